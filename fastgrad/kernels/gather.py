"""Batches: rows of a whole array, picked by index."""

import numpy as np

from ._jit import kernel
from ._record import contiguous, empty, recording
from ._simd import prefetch

__all__ = ["gather_rows"]

_LINE = 64  # bytes of a line of the cache
_AHEAD = 64  # lines of the next row that are asked for while one is copied
_CACHED = 1 << 20  # bytes of a source from which rows come out of memory, not out of a cache
_SMALL = 1 << 16  # bytes of a result up to which NumPy copies rows before a launch is done


def _bad_index(code, indices, size):
    position = code - 1
    raise IndexError(
        f"gather_rows: index {indices[position]} at position {position} is out of range; "
        f"expected 0 <= index < {size}"
    )


@kernel(serial=True, on_error=_bad_index)
def _check_indices(start, stop, indices, size):
    for i in range(start, stop):
        if indices[i] < 0 or indices[i] >= size:
            return i + 1
    return 0


@kernel
def _gather_rows(start, stop, x, indices, out):
    """Rows ``start`` to ``stop`` of out (m, bytes) = rows ``indices`` of x (n, bytes)."""
    size = x.shape[1]
    for i in range(start, stop):
        ahead = indices[min(i + 1, stop - 1)] * size
        for j in range(0, min(size, _AHEAD * _LINE), _LINE):
            prefetch(x, ahead + j)
        source = x[indices[i]]
        target = out[i]
        for j in range(target.size):
            target[j] = source[j]


def gather_rows(x, indices):
    """``x[indices]`` along the first axis, for any type of elements.

    x (n, ...) contiguous, indices (m,) int64; ``IndexError`` for an index outside 0 to n - 1.
    """
    _check_indices(indices.size, 0, indices, x.shape[0])
    if indices.size * x.nbytes < _SMALL * x.shape[0] and recording() is None:
        return x.take(indices, 0, mode="clip")
    out = empty((indices.size, *x.shape[1:]), x.dtype)
    if out.size:
        as_bytes = contiguous(x).reshape(x.shape[0], -1).view(np.uint8)
        cost = 0.05 if x.nbytes < _CACHED else 0.2  # ns per byte
        _gather_rows(
            indices.size, out.nbytes * cost, as_bytes, indices,
            out.reshape(indices.size, -1).view(np.uint8),
        )  # fmt: skip
    return out
