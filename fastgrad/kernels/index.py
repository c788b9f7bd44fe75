"""Indexing by arrays. What is more than rows, or places along one axis, NumPy does.

``key`` is a function from the index arrays to what stands between NumPy's brackets: slices,
integers and None may stand beside the arrays.
"""

import math

import numpy as np

from ._jit import kernel
from ._record import by_numpy, call_numpy, contiguous, recording
from ._simd import fma, lanes, prefetch, read, splat, write
from .sort import put_along, take_checked

__all__ = [
    "add_at", "add_rows", "gather", "gather_backward", "put", "scatter", "scatter_add",
    "scatter_reduce", "take",
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
    if len(indices) == 1 and _are_rows(x, key(*indices), values, *indices):
        index = indices[0].astype(np.int64, copy=False)
        add_rows(x, index.reshape(-1), values.reshape(index.size, *x.shape[1:]))
        return

    def add(values, *indices, out):
        np.add.at(out, key(*indices), values)

    if recording() is None:
        add(values, *indices, out=x)
    else:
        by_numpy(add, [values, *indices], x)


def _are_rows(x, places, values, index):
    """Whether a kernel can do it: one array of integers that names rows, floats, nothing strided.

    And values for each place of its own: what is broadcast NumPy adds.
    """
    return (
        places[0] is index
        and all(part is Ellipsis for part in places[1:])
        and index.dtype.kind in "iu"
        and x.dtype.kind == "f"
        and x.flags.c_contiguous
        and isinstance(values, np.ndarray)
        and values.dtype == x.dtype
        and values.shape == index.shape + x.shape[1:]
    )


# ------------------------------------------------------------------ rows


def _refuse(code, indices, least, size, wrong):
    raise _out_of_range(indices[code - 1], size, least)


def _out_of_range(index, size, least=0):
    return IndexError(f"index {index} is out of range; expected {least} <= index < {size}")


@kernel(serial=True, on_error=_refuse)
def _check(start, stop, indices, least, size, wrong):
    """Look for an index out of range, unless ``wrong`` (1,) says that there is none."""
    if wrong.size and not wrong[0]:
        return 0
    for i in range(start, stop):
        if indices[i] < least or indices[i] >= size:
            wrong[:] = 0
            return i + 1
    return 0


_UNKNOWN = np.zeros(0, np.int64)


@kernel(chunks=1)
def _add_rows(start, stop, out, index, values, shares, rows, columns):
    """out[index[i]] += shares[i] · values[i] in order, in vectors ``start`` to ``stop`` of rows.

    No shares stand for 1 each; what has a share of 0 is left out. Each thread has columns of its
    own: no two change the same element.
    """
    lane = lanes(out)
    left, right = start * lane, min(stop * lane, columns)
    for i in range(index.size):
        ahead = index[min(i + _AHEAD, index.size - 1)] * columns
        for j in range(left, min(right, left + _AHEAD_COLUMNS), lane):
            prefetch(out, ahead + j)
        share = shares[i] if shares.size else out.dtype.type(1.0)
        if share == 0.0:
            continue
        factor = splat(out, share)
        place = index[i] if index[i] >= 0 else index[i] + rows
        target, source = place * columns, i * columns
        for j in range(left, right, lane):
            n = min(lane, right - j)
            value = fma(read(values, source + j, n), factor, read(out, target + j, n))
            write(out, target + j, n, value)


_AHEAD = 2  # rows that are asked for before their turn
_AHEAD_COLUMNS = 1024  # and how much of them; the rest the CPU expects itself


def add_rows(out, index, values):
    """``out[index[i]] += values[i]`` for all i in order, in place: the gradient of picking rows.

    out (n, ...) floats, contiguous, index (m,) int64, values (m, ...). Negative indices count from
    the end; ``IndexError`` for one outside -n to n - 1, before anything is changed.
    """
    index = contiguous(index)
    _check(index.size, 0, index, -len(out), len(out), _UNKNOWN)
    add_shares(out, index, contiguous(values))


def add_shares(out, index, values, shares=None):
    """``add_rows`` of ``shares[i] · values[i]``, shares (m,); indices are right."""
    rows, columns = out.shape[0], math.prod(out.shape[1:])
    if values.size:
        lane, flat = 64 // out.itemsize, values.reshape(-1)
        _add_rows(
            -(-columns // lane), values.size * 0.15 + index.size * 2.0, out.reshape(-1), index,
            flat, flat[:0] if shares is None else shares, rows, columns,
        )  # fmt: skip


# ------------------------------------------------------------------ along one axis


def _places(index, shape, axis):
    """The key of ``x.gather(axis, index)`` for x of a shape; IndexError for one out of range."""
    size = shape[axis] if shape else 1
    if index.size and not 0 <= int(index.min()) <= int(index.max()) < size:
        raise _out_of_range(index[(index < 0) | (index >= size)][0], size)
    grid = np.ogrid[tuple(slice(0, n) for n in index.shape)] if index.ndim else []
    return tuple(index if k == axis else part for k, part in enumerate(grid))


def _alike(shape, index, axis):
    """Whether an index has x's sizes but along ``axis``, as a kernel wants it."""
    other = index.shape
    return (
        len(shape) == len(other) > 0
        and shape[:axis] == other[:axis]
        and shape[axis + 1 :] == other[axis + 1 :]
    )


def gather(x, index, axis):
    """``out[..., i, ...] = x[..., index[..., i, ...], ...]`` along ``axis``."""
    axis = axis % x.ndim if x.ndim else 0
    if x.dtype.kind == "f" and _alike(x.shape, index, axis):
        index, wrong = contiguous(index.astype(np.int64, copy=False)), np.zeros(1, np.int64)
        out = take_checked(x, index, axis, wrong)
        if recording() or wrong[0]:
            _check(index.size, 0, index.reshape(-1), 0, x.shape[axis], wrong)
        return out
    return call_numpy(lambda x, index: np.asarray(x[_places(index, x.shape, axis)]), x, index)


def gather_backward(grad, index, shape, axis):
    """The gradient of ``gather`` from an array of ``shape``; its index was checked there."""
    axis = axis % len(shape) if shape else 0
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
