"""CIFAR-10 as it is published: the binary version, and the one of pickles for Python.

Binary: records of a label's byte and 3072 of an image, red, green, blue, 10,000 to a file.
Python: a pickle of a dict with the images as ``data`` (10000, 3072) and ``labels``. Pickles can
run code; what is read here may name nothing but how NumPy makes an array.
"""

import pickle
from pathlib import Path

import numpy as np

_PIXELS = 3 * 32 * 32
_KINDS = {"": "cifar-10-batches-py", ".bin": "cifar-10-batches-bin"}
_TRAIN, _TEST = tuple(f"data_batch_{k}" for k in range(1, 6)), ("test_batch",)
_HARMLESS = {
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("_codecs", "encode"),
}


def read_cifar10(folder):
    """((images, labels) to train on, (images, labels) to test) of the files in ``folder``.

    Images are uint8 (n, 3, 32, 32), labels int64.
    """
    for suffix, name in _KINDS.items():
        for place in (Path(folder), Path(folder) / name):
            if (place / f"{_TEST[0]}{suffix}").is_file():
                return [_read_all(place, names, suffix) for names in (_TRAIN, _TEST)]
    raise FileNotFoundError(
        f"cifar10: not in {folder}: {_TRAIN[0]} to {_TRAIN[-1]} and {_TEST[0]}, or the same with "
        ".bin, there or in cifar-10-batches-py or -bin"
    )


def _read_all(folder, names, suffix):
    missing = [name + suffix for name in names if not (folder / (name + suffix)).is_file()]
    if missing:
        raise FileNotFoundError(f"cifar10: not in {folder}: {', '.join(missing)}")
    read = _read_binary if suffix else _read_pickle
    parts = [read(folder / (name + suffix)) for name in names]
    images = np.concatenate([images for images, _ in parts]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([labels for _, labels in parts])
    return images, labels


def _read_binary(path):
    data = np.fromfile(path, np.uint8)
    if not data.size or data.size % (1 + _PIXELS):
        raise ValueError(
            f"cifar10: {path} has {data.size:,} bytes; expected a multiple of {1 + _PIXELS:,}"
        )
    records = data.reshape(-1, 1 + _PIXELS)
    return records[:, 1:], _checked(records[:, 0], path)


class _Unpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _HARMLESS:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return super().find_class(module, name)


def _read_pickle(path):
    try:
        with path.open("rb") as file:
            batch = _Unpickler(file, encoding="bytes").load()
        batch = {k.decode() if isinstance(k, bytes) else k: v for k, v in batch.items()}
        images, labels = batch["data"], np.asarray(batch["labels"])
    except (pickle.UnpicklingError, EOFError, KeyError, AttributeError, ValueError,
            IndexError, TypeError, ImportError) as error:  # fmt: skip
        raise ValueError(f"cifar10: {path} is not a batch of CIFAR-10: {error}") from error
    shape = (len(labels), _PIXELS) if labels.ndim == 1 else None
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8 or images.shape != shape:
        raise ValueError(
            f"cifar10: {path} has images {np.shape(images)} and labels {labels.shape}; expected "
            f"uint8 (n, {_PIXELS}) and (n,)"
        )
    return images, _checked(labels, path)


def _checked(labels, path):
    if labels.size and not 0 <= labels.min() <= labels.max() <= 9:
        raise ValueError(
            f"cifar10: labels in {path} go from {labels.min()} to {labels.max()}; expected 0 to 9"
        )
    return labels.astype(np.int64)
