"""Indexing by arrays, which NumPy does.

``key`` is a function from the index arrays to what stands between NumPy's brackets: slices,
integers and None may stand beside the arrays.
"""

import numpy as np

from ._jit import kernel
from ._record import by_numpy, call_numpy, contiguous, recording
from .sort import put_along, take_along

__all__ = [
    "add_at", "gather", "gather_backward", "put", "scatter", "scatter_add", "scatter_reduce",
    "take",
]  # fmt: skip


def take(x, key, *indices):
    """``x[key(*indices)]``, a new array."""
    return call_numpy(lambda x, *indices: x[key(*indices)], x, *indices)


def put(x, key, value, *indices):
    """``x[key(*indices)] = value``, in place."""

    def assign(value, *indices, out):
        out[key(*indices)] = value

    value = np.asanyarray(value, None if isinstance(value, np.ndarray) else x.dtype)
    if recording() is None:
        assign(value, *indices, out=x)
    else:
        by_numpy(assign, [value, *indices], x)


def add_at(x, key, values, *indices):
    """``x[key(*indices)] += values``, in place; places that are named twice get both."""

    def add(values, *indices, out):
        np.add.at(out, key(*indices), values)

    if recording() is None:
        add(values, *indices, out=x)
    else:
        by_numpy(add, [values, *indices], x)


# ------------------------------------------------------------------ along one axis


def _places(index, shape, axis):
    """The key of ``x.gather(axis, index)`` for x of a shape; IndexError for one out of range."""
    size = shape[axis] if shape else 1
    if index.size and not 0 <= int(index.min()) <= int(index.max()) < size:
        raise _out_of_range(index[(index < 0) | (index >= size)][0], size)
    grid = np.ogrid[tuple(slice(0, n) for n in index.shape)] if index.ndim else []
    return tuple(index if k == axis else part for k, part in enumerate(grid))


def _refuse(code, indices, size):
    raise _out_of_range(indices[code - 1], size)


def _out_of_range(index, size):
    return IndexError(f"index {index} is out of range; expected 0 <= index < {size}")


@kernel(serial=True, on_error=_refuse)
def _check(start, stop, indices, size):
    for i in range(start, stop):
        if indices[i] < 0 or indices[i] >= size:
            return i + 1
    return 0


def _alike(shape, index, axis):
    """Whether an index has x's sizes but along ``axis``, as a kernel wants it."""
    return (
        bool(shape)
        and index.ndim == len(shape)
        and all(
            n == m or k == axis for k, (n, m) in enumerate(zip(shape, index.shape, strict=True))
        )
    )


def gather(x, index, axis):
    """``out[..., i, ...] = x[..., index[..., i, ...], ...]`` along ``axis``."""
    if x.dtype.kind == "f" and _alike(x.shape, index, axis):
        index = contiguous(index.astype(np.int64, copy=False))
        _check(index.size, 0, index.reshape(-1), x.shape[axis])
        return take_along(x, index, axis)
    return call_numpy(lambda x, index: np.asarray(x[_places(index, x.shape, axis)]), x, index)


def gather_backward(grad, index, shape, axis):
    """The gradient of ``gather`` from an array of ``shape``; its index was checked there."""
    if _alike(shape, index, axis):
        return put_along(grad, index.astype(np.int64, copy=False), shape, axis)

    def run(grad, index):
        out = np.zeros(shape, grad.dtype)
        np.add.at(out, _places(index, shape, axis), grad)
        return out

    return call_numpy(run, grad, index)


def scatter(x, index, values, axis):
    """A copy of ``x`` with ``values`` (an array or a number) put where ``gather`` would read."""

    def run(x, index, values):
        out = x.copy()
        out[_places(index, x.shape, axis)] = _cropped(values, index)
        return out

    return call_numpy(run, x, index, np.asanyarray(values))


def scatter_add(x, index, values, axis):
    """A copy of ``x`` with ``values`` added where ``gather`` would read."""

    def run(x, index, values):
        out = x.copy()
        np.add.at(out, _places(index, x.shape, axis), _cropped(values, index))
        return out

    return call_numpy(run, x, index, np.asanyarray(values))


def scatter_reduce(x, index, values, axis, ufunc):
    """A copy of ``x`` with ``values`` taken in by a ufunc of NumPy where ``gather`` would read."""

    def run(x, index, values):
        out = x.copy()
        with np.errstate(all="ignore"):
            getattr(np, ufunc).at(out, _places(index, x.shape, axis), values)
        return out

    return call_numpy(run, x, index, values)


def _cropped(values, index):
    """The part of ``values`` that has the shape of ``index``; a number stays one."""
    return values[tuple(slice(0, n) for n in index.shape)] if values.ndim else values
