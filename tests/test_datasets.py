"""The embedded digits, IDX files, MNIST and Fashion-MNIST, downloads."""

import gzip
import hashlib
import http.server
import importlib
import struct
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastgrad.data import datasets

quick = settings(max_examples=40, deadline=None)


# ------------------------------------------------------------------ digits


def sha256(array):
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()


def test_digits():
    x_train, y_train, x_test, y_test = datasets.digits()
    assert (x_train.shape, x_test.shape) == ((1437, 64), (360, 64))
    assert (y_train.shape, y_test.shape) == ((1437,), (360,))
    for x, y in ((x_train, y_train), (x_test, y_test)):
        assert x.dtype == np.float32
        assert y.dtype == np.int64
        assert x.flags.c_contiguous
        assert (x.min(), x.max()) == (0, 1)
        assert set(y.tolist()) == set(range(10))
    # The class sizes that the repository states for optdigits.tes, and a fifth of each.
    sizes = np.bincount(y_train) + np.bincount(y_test)
    assert sizes.tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert np.abs(np.bincount(y_test) - sizes * 360 / 1797).max() < 1


def test_digits_as_images():
    flat, images = datasets.digits(), datasets.digits(flatten=False)
    assert (images[0].shape, images[2].shape) == ((1437, 1, 8, 8), (360, 1, 8, 8))
    for a, b in zip(flat, images, strict=True):
        np.testing.assert_array_equal(a, b.reshape(a.shape))


def test_digits_are_new_arrays_each_time():
    first = datasets.digits()
    for array in first:
        array[...] = 0
    assert all(array.any() for array in datasets.digits())


def test_digits_are_the_published_set_split_as_documented():
    x_train, y_train, x_test, y_test = datasets.digits()
    rng = np.random.Generator(np.random.PCG64(1998))
    sizes = np.bincount(y_train) + np.bincount(y_test)
    quota = sizes * 360 / 1797
    share = np.floor(quota).astype(int)
    share[np.argsort(share - quota, kind="stable")[: 360 - share.sum()]] += 1
    # Put the images back in their original order, then split that again.
    with np.load(Path(datasets.__file__).with_name("digits.npz")) as stored:
        test = stored["test"]
    x, y = np.empty((1797, 64), np.float32), np.empty(1797, np.int64)
    x[test], x[~test], y[test], y[~test] = x_test, x_train, y_test, y_train
    pixels, labels = (x * 16).astype(np.uint8), y.astype(np.uint8)
    assert sha256(pixels) == "8f26b2bd9d135c256808f68f14fdabddde6d9c7f869ae419704b051f0f14b3b3"
    assert sha256(labels) == "8ba4f891220f5e4c9c819638d1602d74b83618f167043c6da52a2a247841ddf0"
    assert sha256(test) == "6dfa8cb70d207ebe3b880ac662a61534c70acf7504983f4147c98df750abb515"
    chosen = [rng.permutation(np.flatnonzero(y == label))[: share[label]] for label in range(10)]
    np.testing.assert_array_equal(np.sort(np.concatenate(chosen)), np.flatnonzero(test))


# ------------------------------------------------------------------ IDX files

IDX_CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx_bytes(array):
    code = IDX_CODES[array.dtype.str[1:]]
    head = struct.pack(f">HBB{array.ndim}I", 0, code, array.ndim, *array.shape)
    return head + array.astype(array.dtype.newbyteorder(">")).tobytes()


@quick
@given(
    array=st.sampled_from(sorted(IDX_CODES)).flatmap(
        lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, max_dims=5, min_side=0))
    ),
    compressed=st.booleans(),
)
def test_read_idx_round_trip(tmp_path_factory, array, compressed):
    path = tmp_path_factory.mktemp("idx") / "file"  # the name says nothing about compression
    content = idx_bytes(array)
    path.write_bytes(gzip.compress(content) if compressed else content)
    found = datasets.read_idx(path)
    assert found.dtype == array.dtype
    assert found.dtype.isnative
    assert found.flags.writeable
    assert found.shape == array.shape
    np.testing.assert_array_equal(found, array)


def test_read_idx_takes_a_string_and_ignores_the_name(tmp_path):
    path = tmp_path / "plain.gz"
    path.write_bytes(idx_bytes(np.arange(3, dtype="i4")))
    assert datasets.read_idx(str(path)).tolist() == [0, 1, 2]


IDX = idx_bytes(np.arange(6, dtype="i2").reshape(2, 3))
PACKED = gzip.compress(IDX, mtime=0)
WRONG_IDX = {
    "empty": (b"", "not an IDX file: is empty"),
    "wrong magic": (b"\x01" + IDX[1:], "not an IDX file: begins with 01 00 0b 02"),
    "another format": (b"\x89PNG\r\n", "not an IDX file: begins with 89 50 4e 47"),
    "short magic": (IDX[:3], "not an IDX file: begins with 00 00 0b;"),
    "unknown type": (IDX[:2] + b"\x0a" + IDX[3:], "type code 0x0a; expected one of 0x08, 0x09"),
    "short header": (IDX[:9], "ends in the header: rank 2 needs 12 bytes, got 9"),
    "truncated": (IDX[:-1], r"11 bytes of data; shape \(2, 3\) of int16 needs 12"),
    "no data": (IDX[:12], r"0 bytes of data; shape \(2, 3\)"),
    "trailing garbage": (IDX + b"\0", r"more bytes of data; shape \(2, 3\) of int16 needs 12"),
    "rank 65": (bytes([0, 0, 8, 65]) + bytes(4 * 65), "rank 65; expected at most 64"),
    "sizes that lie": (bytes([0, 0, 8, 3]) + b"\xff" * 12 + IDX, "24 bytes of data"),
    "impossible sizes": (bytes([0, 0, 8, 4]) + b"\xff" * 12 + bytes(4), r"shape \(4294967295, "),
    "truncated gzip": (PACKED[:-9], "damaged gzip compression: .*ended before"),
    "gzip without checksum": (PACKED[:-6], "damaged gzip compression: .*ended before"),
    "gzip with a wrong checksum": (
        PACKED[:-8] + bytes([PACKED[-8] ^ 1]) + PACKED[-7:],
        "damaged gzip compression: CRC check failed",
    ),
    "gzip with garbage in it": (PACKED[:10] + b"\xff" * 20, "damaged gzip compression: Error -3"),
    "gzip with garbage after it": (PACKED + b"garbage", "damaged gzip compression: Not a gzip"),
    "gzip header only": (b"\x1f\x8b", "damaged gzip compression"),
    "gzip of another method": (b"\x1f\x8b\x07" + PACKED[3:], "damaged gzip compression: Unknown"),
    "truncated within gzip": (gzip.compress(IDX[:-1]), "11 bytes of data"),
    "trailing garbage within gzip": (gzip.compress(IDX + b"\0" * 9), "more bytes of data"),
}


@pytest.mark.parametrize(("content", "message"), WRONG_IDX.values(), ids=WRONG_IDX)
def test_read_idx_errors(tmp_path, content, message):
    path = tmp_path / "some-file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"^read_idx: .*some-file: .*{message}"):
        datasets.read_idx(path)


@pytest.mark.parametrize("content", [IDX, PACKED], ids=["plain", "gzip"])
def test_read_idx_notices_every_truncation(tmp_path, content):
    path = tmp_path / "file"
    for size in range(len(content)):
        path.write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"^read_idx: .*file: "):
            datasets.read_idx(path)


def test_read_idx_without_a_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        datasets.read_idx(tmp_path / "nowhere")


# ------------------------------------------------------------------ MNIST, Fashion-MNIST

MNIST_LIKE = [datasets.mnist, datasets.fashion_mnist]
either_set = pytest.mark.parametrize("load", MNIST_LIKE, ids=lambda load: load.__name__)


def small_set():
    """The four arrays of a set with 7 + 3 images, by file name."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (10, 28, 28), dtype=np.uint8)
    images[0, 0, :2] = 0, 255
    labels = np.arange(10, dtype=np.uint8)
    return {
        "train-images-idx3-ubyte": images[:7],
        "train-labels-idx1-ubyte": labels[:7],
        "t10k-images-idx3-ubyte": images[7:],
        "t10k-labels-idx1-ubyte": labels[7:],
    }


def write_set(folder, compressed=(), **changed):
    """Write ``small_set`` to ``folder``; ``changed`` replaces arrays by the start of their name."""
    for file, array in small_set().items():
        start = "_".join(file.split("-")[:2])
        content = idx_bytes(changed.get(start, array))
        if file in compressed:
            (folder / f"{file}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / file).write_bytes(content)


@either_set
@pytest.mark.parametrize("how", ["plain", "gz", "mixed"])
def test_mnist_reads_plain_and_compressed_files(tmp_path, load, how):
    names = list(small_set())
    write_set(tmp_path, {"plain": [], "gz": names, "mixed": names[1::2]}[how])
    x_train, y_train, x_test, y_test = load(str(tmp_path))
    train, train_labels, test, test_labels = small_set().values()
    for x, y, images, labels in (
        (x_train, y_train, train, train_labels),
        (x_test, y_test, test, test_labels),
    ):
        assert (x.dtype, y.dtype) == (np.float32, np.int64)
        assert (x.min() >= 0, x.max() <= 1) == (True, True)
        # Correctly rounded quotients, not products with 1/255.
        expected = (images.astype(np.float64) / 255).astype(np.float32)
        np.testing.assert_array_equal(x, expected.reshape(len(images), 784))
        np.testing.assert_array_equal(y, labels)
    assert x_train[0, :2].tolist() == [0, 1]


@either_set
def test_mnist_as_images(tmp_path, load):
    write_set(tmp_path)
    flat, images = load(tmp_path), load(tmp_path, flatten=False)
    assert (images[0].shape, images[2].shape) == ((7, 1, 28, 28), (3, 1, 28, 28))
    np.testing.assert_array_equal(images[0].reshape(7, 784), flat[0])


@either_set
def test_mnist_lists_what_is_missing(tmp_path, load):
    where = datasets._SOURCES[load.__name__].mirror
    with pytest.raises(FileNotFoundError, match=f"download=True to fetch them from {where}") as e:
        load(tmp_path / "nowhere")
    assert str(e.value).startswith(f"{load.__name__}: not in {tmp_path / 'nowhere'}: ")
    assert all(f"{file}[.gz]" in str(e.value) for file in small_set())
    assert not (tmp_path / "nowhere").exists()
    write_set(tmp_path)
    (tmp_path / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match="train-labels") as e:
        load(tmp_path)
    assert "images" not in str(e.value)


@either_set
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"train_labels": np.zeros(6, np.uint8)},
            "7 images in .*train-images-idx3-ubyte, but 6 labels in .*train-labels-idx1-ubyte",
        ),
        (
            {"t10k_labels": np.array([1, 10, 11], np.uint8)},
            "label 10 at 1 in .*t10k-labels-idx1-ubyte; expected 0 to 9",
        ),
        (
            {"train_images": np.zeros((7, 32, 32), np.uint8)},
            r"uint8 \(7, 32, 32\); expected uint8 \(n, 28, 28\)",
        ),
        (
            {"train_images": np.zeros((7, 28, 28), np.int16)},
            r"int16 \(7, 28, 28\); expected uint8 \(n, 28, 28\)",
        ),
        (
            {"train_images": np.zeros(7, np.uint8)},
            r"train-images-idx3-ubyte has uint8 \(7,\); expected uint8 \(n, 28, 28\)",
        ),
        (
            {"t10k_labels": np.zeros((3, 1), np.uint8)},
            r"t10k-labels-idx1-ubyte has uint8 \(3, 1\); expected uint8 \(n,\)",
        ),
        ({"t10k_labels": np.zeros(3, np.float32)}, r"float32 \(3,\); expected uint8 \(n,\)"),
    ],
)
def test_mnist_refuses_files_of_another_set(tmp_path, load, changed, message):
    write_set(tmp_path, **changed)
    with pytest.raises(ValueError, match=f"^{load.__name__}: .*{message}"):
        load(tmp_path)


# ------------------------------------------------------------------ downloads


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        status, body, declared = self.server.answers.get(self.path, (404, b"none", 4))
        self.send_response(status)
        if declared is not None:
            self.send_header("Content-Length", str(declared))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        pass


@pytest.fixture
def mirror(monkeypatch):
    """A server on this machine that publishes ``small_set`` as both sets.

    ``answers`` maps a path to (status, body, Content-Length), ``asked`` lists requests.
    """
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    files = {file: gzip.compress(idx_bytes(array)) for file, array in small_set().items()}
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.answers = {f"/{f}.gz": (200, body, len(body)) for f, body in files.items()}
        server.asked = []
        url = f"http://127.0.0.1:{server.server_port}/"
        md5 = {file: hashlib.md5(body).hexdigest() for file, body in files.items()}
        for name in ("mnist", "fashion_mnist"):
            monkeypatch.setitem(datasets._SOURCES, name, datasets._Source(url, md5))
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


@either_set
def test_download(mirror, tmp_path, load):
    folder = tmp_path / "new" / "folder"
    downloaded = load(folder, download=True)
    assert names_in(folder) == sorted(f"{file}.gz" for file in small_set())
    assert mirror.asked == [f"/{file}.gz" for file in small_set()]
    write_set(tmp_path)
    for found, expected in zip(downloaded, load(tmp_path), strict=True):
        np.testing.assert_array_equal(found, expected)
    # What is there is not fetched again.
    load(folder, download=True)
    assert len(mirror.asked) == 4


def test_download_fetches_only_what_is_missing(mirror, tmp_path):
    write_set(tmp_path)
    (tmp_path / "t10k-labels-idx1-ubyte").unlink()
    datasets.mnist(tmp_path, download=True)
    assert mirror.asked == ["/t10k-labels-idx1-ubyte.gz"]


def test_no_download_unless_asked(mirror, tmp_path):
    with pytest.raises(FileNotFoundError):
        datasets.mnist(tmp_path)
    assert mirror.asked == []


@pytest.mark.parametrize(
    ("answer", "error", "message"),
    [
        ((200, b"changed", 7), ValueError, "has MD5 sum [0-9a-f]{32}; expected [0-9a-f]{32}"),
        ((200, b"", 0), ValueError, "has MD5 sum d41d8cd98f00b204e9800998ecf8427e; expected"),
        ((404, b"none", 4), OSError, "HTTP status 404"),
        ((500, b"", 0), OSError, "HTTP status 500"),
        ((200, b"half", 8), OSError, "the connection ended after 4 of 8 bytes"),
        ((200, b"no length", None), ValueError, "has MD5 sum"),
    ],
    ids=["changed", "empty", "404", "500", "cut short", "no length"],
)
def test_a_failed_download_leaves_nothing(mirror, tmp_path, answer, error, message):
    mirror.answers["/train-labels-idx1-ubyte.gz"] = answer
    pattern = f"^mnist: .*{mirror.server_port}/train-labels-idx1-ubyte.gz.*{message}"
    with pytest.raises(error, match=pattern):
        datasets.mnist(tmp_path, download=True)
    # The file before it is whole and stays; nothing is tried twice.
    assert names_in(tmp_path) == ["train-images-idx3-ubyte.gz"]
    assert mirror.asked == ["/train-images-idx3-ubyte.gz", "/train-labels-idx1-ubyte.gz"]


def test_a_file_appears_only_when_it_is_checked(mirror, tmp_path, monkeypatch):
    seen = []

    def md5(**arguments):
        digest = hashlib.md5(**arguments)

        def hexdigest():
            seen.append(names_in(tmp_path))
            return digest.hexdigest()

        return SimpleNamespace(update=digest.update, hexdigest=hexdigest)

    download = importlib.import_module("fastgrad.data._download")
    monkeypatch.setattr(download, "hashlib", SimpleNamespace(md5=md5))
    datasets.mnist(tmp_path, download=True)
    assert len(seen) == 4
    for finished, names in enumerate(seen):
        parts = [name for name in names if name.endswith(".part")]
        assert len(parts) == 1
        assert len(names) == finished + 1


def test_a_mirror_that_is_not_there(mirror, tmp_path, monkeypatch):
    closed = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    closed.server_close()  # nobody listens on its port now
    url = f"http://127.0.0.1:{closed.server_port}/"
    source = datasets._Source(url, datasets._SOURCES["mnist"].md5)
    monkeypatch.setitem(datasets._SOURCES, "mnist", source)
    with pytest.raises(OSError, match=f"^mnist: cannot download {url}train-images.*refused"):
        datasets.mnist(tmp_path, download=True)
    assert names_in(tmp_path) == []


def test_published_checksums_are_complete():
    for source in datasets._SOURCES.values():
        assert set(source.md5) == set(small_set())
        assert all(len(bytes.fromhex(md5)) == 16 for md5 in source.md5.values())
