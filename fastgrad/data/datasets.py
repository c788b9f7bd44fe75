"""Sets to train on: the UCI digits, which come with the package, MNIST, Fashion-MNIST, CIFAR-10.

Every set is a 4-tuple ``(x_train, y_train, x_test, y_test)``: images float32 in [0, 1], labels
int64 from 0 to 9.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from ._idx import read_idx
from ._standardize import Standardizer, standardize

__all__ = ["Standardizer", "cifar10", "digits", "fashion_mnist", "mnist", "read_idx", "standardize"]


def digits(*, flatten=True):
    """The UCI optical digits: 1,797 images of handwritten digits, 8x8 pixels.

    Parameters
    ----------
    flatten
        Images as ``(n, 64)``; otherwise ``(n, 1, 8, 8)``.

    Returns ``(x_train, y_train, x_test, y_test)``, new arrays: images float32 in [0, 1] (the
    original counts from 0 to 16, divided by 16), labels int64.

    The split is fixed: 1,437 images to train on and 360 to test, each in the original order. Every
    class is shuffled by ``np.random.Generator(np.random.PCG64(1998))``, class 0 first, and its
    first 20 % are the test images; fractions of an image are settled by largest remainder. The
    choice itself is stored with the images, so that no version of NumPy can change it.

    The images are the test part of "Optical Recognition of Handwritten Digits" (E. Alpaydin and
    C. Kaynak, 1998, UCI Machine Learning Repository, doi 10.24432/C50P49, CC BY 4.0), see
    ``DIGITS_LICENSE.md``. Both parts of the split have digits by the same 13 writers.

    >>> x_train, y_train, x_test, y_test = digits()
    >>> x_train.shape, x_train.dtype, y_test.shape, y_test.dtype
    ((1437, 64), dtype('float32'), (360,), dtype('int64'))
    """
    with np.load(Path(__file__).with_name("digits.npz")) as stored:
        images, labels, test = stored["images"], stored["labels"], stored["test"]
    x = _shaped(images.astype(np.float32) / np.float32(16), flatten)
    y = labels.astype(np.int64)
    return x[~test], y[~test], x[test], y[test]


def mnist(folder, *, download=False, flatten=True):
    """MNIST: 60,000 + 10,000 images of handwritten digits, 28x28 pixels.

    Parameters
    ----------
    folder
        Where the four IDX files are, plain or gzip-compressed: ``train-images-idx3-ubyte``,
        ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte`` and ``t10k-labels-idx1-ubyte``,
        with or without ``.gz``.
    download
        Fetch the files that are missing (12 MB in all) into ``folder``, which is made if need be.
        A file appears there only when it is complete and its checksum is right.
    flatten
        Images as ``(n, 784)``; otherwise ``(n, 1, 28, 28)``.

    Returns ``(x_train, y_train, x_test, y_test)``: images float32 in [0, 1] (the original bytes
    divided by 255), labels int64 from 0 to 9.

    Raises FileNotFoundError for files that are not there, ValueError for a file that is damaged
    or of another set and for a download with a wrong checksum, OSError for a failed download.

    >>> x_train, y_train, x_test, y_test = mnist("data", download=True)  # doctest: +SKIP
    >>> x_train.shape, y_test.shape  # doctest: +SKIP
    ((60000, 784), (10000,))
    """
    return _load("mnist", folder, download, flatten)


def fashion_mnist(folder, *, download=False, flatten=True):
    """Fashion-MNIST: 60,000 + 10,000 images of clothing, 28x28 pixels, in MNIST's form.

    Classes 0 to 9: T-shirt/top, trouser, pullover, dress, coat, sandal, shirt, sneaker, bag,
    ankle boot. Parameters, result and errors are those of ``mnist``; the files have the same
    names too, so give each set a folder of its own. A download is 31 MB.

    >>> x_train, y_train, x_test, y_test = fashion_mnist("data", download=True)  # doctest: +SKIP
    >>> x_train.shape, y_test.shape  # doctest: +SKIP
    ((60000, 784), (10000,))
    """
    return _load("fashion_mnist", folder, download, flatten)


def cifar10(folder, *, flatten=False, scale=True):
    """CIFAR-10: 50,000 + 10,000 photographs, 32x32 pixels in three colours. Krizhevsky 2009.

    Classes 0 to 9: airplane, automobile, bird, cat, deer, dog, frog, horse, ship, truck.

    Parameters
    ----------
    folder
        Where the files of the binary or of the Python version are (unpacked: ``data_batch_1.bin``
        or ``data_batch_1``, and so on), or the folder around theirs. Nothing is downloaded.
    flatten
        Images as ``(n, 3072)``; otherwise ``(n, 3, 32, 32)``.
    scale
        Floats from 0 to 1; otherwise the bytes themselves, a quarter of the memory, which
        ``augment.ConvertImageDtype`` makes floats of, batch by batch.

    Returns ``(x_train, y_train, x_test, y_test)``: images float32 or uint8, labels int64. Raises
    FileNotFoundError for files that are not there, ValueError for one that is damaged. A pickle
    that names anything but an array is refused, and runs no code.

    >>> x_train, y_train, x_test, y_test = cifar10("data")  # doctest: +SKIP
    >>> x_train.shape, y_test.shape  # doctest: +SKIP
    ((50000, 3, 32, 32), (10000,))
    """
    from ._cifar import read_cifar10

    result = []
    for images, labels in read_cifar10(folder):
        if scale:
            images = np.divide(images, np.float32(255), dtype=np.float32)
        result += [images.reshape(len(images), -1) if flatten else images, labels]
    return tuple(result)


# ------------------------------------------------------------------ MNIST and its kin


class _Source(NamedTuple):
    """Where a set is published."""

    mirror: str  # URL of the folder
    md5: dict[str, str]  # of each compressed file


_FILES = (
    "train-images-idx3-ubyte",
    "train-labels-idx1-ubyte",
    "t10k-images-idx3-ubyte",
    "t10k-labels-idx1-ubyte",
)

_SOURCES = {
    "mnist": _Source(
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        {
            "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
            "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
            "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
            "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
        },
    ),
    "fashion_mnist": _Source(
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        {
            "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
            "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
            "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
            "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
        },
    ),
}


def _load(name, folder, download, flatten):
    folder = Path(folder)
    paths = {file: _find(folder, file) for file in _FILES}
    missing = [file for file, path in paths.items() if path is None]
    if missing and not download:
        raise FileNotFoundError(
            f"{name}: not in {folder}: {', '.join(f'{file}[.gz]' for file in missing)}; put them"
            f" there, or pass download=True to fetch them from {_SOURCES[name].mirror}"
        )
    if missing:
        _download(name, missing, folder)
        paths = {file: _find(folder, file) for file in _FILES}
    train_images, train_labels, test_images, test_labels = paths.values()
    return (
        *_read_pair(name, train_images, train_labels, flatten),
        *_read_pair(name, test_images, test_labels, flatten),
    )


def _download(name, missing, folder):
    from ._download import fetch  # only now: see there

    source = _SOURCES[name]
    folder.mkdir(parents=True, exist_ok=True)
    for file in missing:
        fetch(f"{source.mirror}{file}.gz", folder / f"{file}.gz", source.md5[file], name)


def _find(folder, file):
    """The file in ``folder``, plain or compressed; None if it is not there."""
    candidates = (folder / file, folder / f"{file}.gz")
    return next((path for path in candidates if path.is_file()), None)


def _read_pair(name, images_path, labels_path, flatten):
    """Images (n, 784) or (n, 1, 28, 28) and labels (n,) from their two files."""
    images, labels = read_idx(images_path), read_idx(labels_path)
    if images.dtype != np.uint8 or images.shape[1:] != (28, 28):
        raise ValueError(
            f"{name}: {images_path} has {images.dtype} {images.shape}; expected uint8 (n, 28, 28)"
        )
    if labels.dtype != np.uint8 or labels.ndim != 1:
        raise ValueError(
            f"{name}: {labels_path} has {labels.dtype} {labels.shape}; expected uint8 (n,)"
        )
    if len(images) != len(labels):
        raise ValueError(
            f"{name}: {len(images)} images in {images_path}, but {len(labels)} labels in"
            f" {labels_path}; expected one label for each image"
        )
    if labels.max(initial=0) > 9:
        index = int(np.argmax(labels > 9))
        raise ValueError(
            f"{name}: label {labels[index]} at {index} in {labels_path}; expected 0 to 9"
        )
    x = np.divide(images, np.float32(255), dtype=np.float32)
    return _shaped(x, flatten), labels.astype(np.int64)


def _shaped(images, flatten):
    """Images (n, h, w) as (n, h·w) or with a channel as (n, 1, h, w)."""
    n, height, width = images.shape
    return images.reshape((n, height * width) if flatten else (n, 1, height, width))
