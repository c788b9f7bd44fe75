"""The IDX file format: one array of any rank and one of six types, as MNIST is stored.

    offset  size     content
    0       2        zero
    2       1        type, see _DTYPES
    3       1        rank
    4       4·rank   sizes, unsigned, most significant byte first
    then             the elements, most significant byte first, last axis fastest

The file may be compressed with gzip.
"""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
_MAX_RANK = 64  # NumPy's own limit
_CHUNK = 1 << 20


def read_idx(path):
    """Read an IDX file, plain or gzip-compressed, into an array.

    Parameters
    ----------
    path
        The file. Whether it is compressed is decided by its content, not by its name.

    Returns an array with the shape and type in the file's header (uint8, int8, int16, int32,
    float32 or float64), in native byte order, writable.

    Raises ValueError, naming the file, for a wrong magic number or type code, for data that end
    too early or go on too long, and for damaged compression; OSError if the file cannot be read.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "pair-idx1-ubyte")
    ...     _ = path.write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2]) + bytes([10, 20]))
    ...     read_idx(path)
    array([10, 20], dtype=uint8)
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            compressed = file.read(2) == b"\x1f\x8b"
            file.seek(0)
            if not compressed:
                return _parse(file, path)
            with gzip.GzipFile(fileobj=file) as unpacked:
                return _parse(unpacked, path)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"read_idx: {path}: damaged gzip compression: {error}") from error


def _parse(file, path):
    head = _read_up_to(file, 4)
    if len(head) < 4 or head[:2] != b"\0\0":
        found = f"begins with {head.hex(' ')}" if head else "is empty"
        raise ValueError(
            f"read_idx: {path}: not an IDX file: {found}; expected 00 00, a type and a rank"
        )
    code, rank = head[2:]
    if code not in _DTYPES:
        known = ", ".join(f"0x{known:02x}" for known in _DTYPES)
        raise ValueError(f"read_idx: {path}: type code 0x{code:02x}; expected one of {known}")
    if rank > _MAX_RANK:
        raise ValueError(f"read_idx: {path}: rank {rank}; expected at most {_MAX_RANK}")
    sizes = _read_up_to(file, 4 * rank)
    if len(sizes) < 4 * rank:
        raise ValueError(
            f"read_idx: {path}: ends in the header: rank {rank} needs {4 + 4 * rank} bytes,"
            f" got {4 + len(sizes)}"
        )
    shape = tuple(np.frombuffer(sizes, ">u4").tolist())
    dtype = np.dtype(_DTYPES[code])
    expected = math.prod(shape) * dtype.itemsize
    # One byte more than there should be shows that there is more, whatever its size; for gzip,
    # reading on to the end is also what checks the sum at the end of the file.
    data = _read_up_to(file, expected + 1)
    if len(data) != expected:
        found = "more" if len(data) > expected else f"{len(data):,}"
        raise ValueError(
            f"read_idx: {path}: {found} bytes of data; shape {shape} of {dtype.name} needs"
            f" {expected:,}"
        )
    array = np.frombuffer(data, dtype)
    try:
        array = array.reshape(shape)
    except ValueError as error:  # sizes that no array can have, beside a zero
        raise ValueError(f"read_idx: {path}: shape {shape}: {error}") from error
    return array.astype(dtype.newbyteorder("="), copy=False)


def _read_up_to(file, size):
    """``size`` bytes, or fewer at the end of the file, as a bytearray.

    In pieces, so that a header that lies about its sizes cannot ask for more memory than the
    file has content.
    """
    data = bytearray()
    while len(data) < size:
        piece = file.read(min(_CHUNK, size - len(data)))
        if not piece:
            break
        data += piece
    return data
