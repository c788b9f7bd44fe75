"""Sum, mean and maximum over any axes, and what undoes a broadcast.

Axes are first merged to ``(outer, n, inner)`` with one reduced axis in the middle. Long axes are
cut into blocks of a fixed length, whose results are combined in order: the bits depend on the
shape alone, and rounding errors grow with the block and not with the array.
"""

import math

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel
from ._simd import lane_max, lane_sum, lanes, load, load_part, maximum, splat, store, store_part
from .elementwise import copy

__all__ = [
    "amax",
    "amax_backward",
    "argmax",
    "expand",
    "mean",
    "sum",
    "unbroadcast",
]

_ROW_BLOCK = 8192  # elements of a row that one partial result covers
_COLUMN_BLOCK = 256  # rows that one partial row of column results covers
_GROUP = 16  # additions in a chain before it is added to a total: short chains round less


def normalize_axes(axes, ndim):
    """``axes`` (None, an int or ints, possibly negative) as sorted non-negative ints."""
    if axes is None:
        return tuple(range(ndim))
    if isinstance(axes, int):
        axes = (axes,)
    return tuple(sorted(axis % ndim for axis in axes)) if ndim else ()


def merged(x, axes):
    """(``x`` contiguous as (outer, n, inner), kept shape) for reduced ``axes``, sorted.

    Axes that are not neighbours are moved to the end first, in a copy.
    """
    shape = x.shape
    kept = tuple(size for axis, size in enumerate(shape) if axis not in axes)
    if not axes:
        return x.reshape(-1, 1, 1), kept
    first, last = axes[0], axes[-1]
    if last - first + 1 != len(axes):
        order = [axis for axis in range(x.ndim) if axis not in axes] + list(axes)
        x = copy.ufunc(x.transpose(order), order="C")
        return x.reshape(math.prod(kept), -1, 1) if x.size else x.reshape(
            math.prod(kept), math.prod(shape[a] for a in axes), 1
        ), kept
    outer, inner = math.prod(shape[:first]), math.prod(shape[last + 1 :])
    return x.reshape(outer, math.prod(shape[first : last + 1]), inner), kept


def _reduction(name, start_value, combine, fold):
    """The two kernels of a reduction: along contiguous rows, and across rows."""
    combine = register_jitable(combine)

    def along(start, stop, x, out, n, block, divisor):
        """out[row, b] = reduction of block b of row of x (rows, n); items are (row, b)."""
        lane = lanes(x)
        group = _GROUP * 4 * lane
        blocks = (n + block - 1) // block
        for item in range(start, stop):
            row, b = item // blocks, item % blocks
            at = row * n + b * block
            end = at + min(block, n - b * block)
            whole = at + (end - at) // lane * lane
            unrolled = at + (end - at) // (4 * lane) * (4 * lane)
            total = splat(x, start_value)
            for first in range(at, unrolled, group):
                s, t = splat(x, start_value), splat(x, start_value)
                u, v = s, t
                for i in range(first, min(first + group, unrolled), 4 * lane):
                    s = combine(s, load(x, i))
                    t = combine(t, load(x, i + lane))
                    u = combine(u, load(x, i + 2 * lane))
                    v = combine(v, load(x, i + 3 * lane))
                total = combine(total, combine(combine(s, t), combine(u, v)))
            for i in range(unrolled, whole, lane):
                total = combine(total, load(x, i))
            if whole < end:
                total = combine(total, load_part(x, whole, end - whole, start_value))
            out[item] = fold(total) / divisor

    def across(start, stop, x, out, n, inner, block, divisor):
        """out[o, b, c] = reduction over rows of block b of x (outer, n, inner).

        An item is (o, b, a strip of 4 vectors of columns).
        """
        lane = lanes(x)
        blocks = (n + block - 1) // block
        strips = (inner + 4 * lane - 1) // (4 * lane)
        scale = splat(x, divisor)
        for item in range(start, stop):
            strip, ob = item % strips, item // strips
            o, b = ob // blocks, ob % blocks
            left = strip * 4 * lane
            top, bottom = o * n + b * block, o * n + min((b + 1) * block, n)
            if left + 4 * lane <= inner:
                s_all, t_all = splat(x, start_value), splat(x, start_value)
                u_all, v_all = s_all, t_all
                for first in range(top, bottom, _GROUP):
                    s, t = splat(x, start_value), splat(x, start_value)
                    u, v = s, t
                    for row in range(first, min(first + _GROUP, bottom)):
                        i = row * inner + left
                        s = combine(s, load(x, i))
                        t = combine(t, load(x, i + lane))
                        u = combine(u, load(x, i + 2 * lane))
                        v = combine(v, load(x, i + 3 * lane))
                    s_all, t_all = combine(s_all, s), combine(t_all, t)
                    u_all, v_all = combine(u_all, u), combine(v_all, v)
                target = ob * inner + left
                store(out, target, s_all / scale)
                store(out, target + lane, t_all / scale)
                store(out, target + 2 * lane, u_all / scale)
                store(out, target + 3 * lane, v_all / scale)
            else:
                for j in range(left, inner, lane):
                    count = min(lane, inner - j)
                    total = splat(x, start_value)
                    for first in range(top, bottom, _GROUP):
                        s = splat(x, start_value)
                        for row in range(first, min(first + _GROUP, bottom)):
                            s = combine(s, load_part(x, row * inner + j, count, start_value))
                        total = combine(total, s)
                    store_part(out, ob * inner + j, count, total / scale)

    along.__name__, across.__name__ = f"{name}_along", f"{name}_across"
    run_along, run_across = kernel(along), kernel(across)

    def reduce(x, axes, divisor):
        """Flat result of reducing x (outer, n, inner) over n; divided by ``divisor``."""
        outer, n, inner = x.shape
        if inner == 1:
            blocks = -(-n // _ROW_BLOCK)
            partial = np.empty(outer * max(blocks, 1), x.dtype)
            last = 1.0 if blocks > 1 else divisor
            run_along(outer * blocks, x.size * 0.06, x.ravel(), partial, n, _ROW_BLOCK, last)
        else:
            blocks = -(-n // _COLUMN_BLOCK)
            partial = np.empty(outer * max(blocks, 1) * inner, x.dtype)
            last = 1.0 if blocks > 1 else divisor
            lane4 = 256 // x.itemsize
            run_across(
                outer * blocks * -(-inner // lane4), x.size * 0.08,
                x.ravel(), partial, n, inner, _COLUMN_BLOCK, last,
            )  # fmt: skip
        if n == 0:
            partial.fill(start_value / divisor if divisor else math.nan)
            return partial
        return (
            partial if blocks == 1 else reduce(partial.reshape(outer, blocks, inner), axes, divisor)
        )

    return reduce


_sum = _reduction("sum", 0.0, lambda a, b: a + b, lane_sum)
_amax = _reduction("amax", -math.inf, lambda a, b: maximum(a, b), lane_max)


def _shape(x, axes, kept, keepdim):
    if not keepdim:
        return kept
    return tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))


def sum(x, axes=None, keepdim=False):
    """Sum over ``axes`` (all if None)."""
    axes = normalize_axes(axes, x.ndim)
    y, kept = merged(x, axes)
    return _sum(y, axes, 1.0).reshape(_shape(x, axes, kept, keepdim))


def mean(x, axes=None, keepdim=False):
    """Mean over ``axes`` (all if None); NaN over nothing."""
    axes = normalize_axes(axes, x.ndim)
    y, kept = merged(x, axes)
    return _sum(y, axes, float(y.shape[1])).reshape(_shape(x, axes, kept, keepdim))


def amax(x, axes=None, keepdim=False):
    """Maximum over ``axes`` (all if None), none of them empty; NaN where there is a NaN."""
    axes = normalize_axes(axes, x.ndim)
    y, kept = merged(x, axes)
    return _amax(y, axes, 1.0).reshape(_shape(x, axes, kept, keepdim))


@kernel
def _amax_backward(start, stop, grad, x, out, grad_x):
    """Rows ``start`` to ``stop`` of grad_x (rows, n): grad (rows) shared among the maxima of x."""
    n = x.shape[1]
    for row in range(start, stop):
        best = out[row]
        ties = 0
        for i in range(n):
            ties += x[row, i] == best or (x[row, i] != x[row, i] and best != best)
        share = grad[row] / grad.dtype.type(max(ties, 1))
        for i in range(n):
            hit = x[row, i] == best or (x[row, i] != x[row, i] and best != best)
            grad_x[row, i] = share if hit else grad.dtype.type(0)


def amax_backward(grad, x, out, axes=None):
    """Gradient of ``amax``; elements that tie for a maximum share its gradient equally."""
    axes = normalize_axes(axes, x.ndim)
    order = [axis for axis in range(x.ndim) if axis not in axes] + list(axes)
    turned = np.ascontiguousarray(x.transpose(order))
    rows, n = out.size, x.size // max(out.size, 1)
    grad_x = np.empty((rows, n), x.dtype)
    flat = turned.reshape(rows, n)
    _amax_backward(rows, x.size * 1.0, grad.ravel(), flat, out.ravel(), grad_x)
    shape = tuple(x.shape[axis] for axis in order)
    return np.ascontiguousarray(grad_x.reshape(shape).transpose(np.argsort(order)))


@kernel
def _argmax(start, stop, x, out):
    """out[row] = first position of the maximum of x (rows, n); the first NaN counts as one."""
    n = x.shape[1]
    for row in range(start, stop):
        best, where = x[row, 0], 0
        for i in range(1, n):
            value = x[row, i]
            if value > best or (value != value and best == best):
                best, where = value, i
        out[row] = where


def argmax(x, axis=-1):
    """Index of the first maximum along ``axis``, int64."""
    axis %= x.ndim
    turned = np.ascontiguousarray(np.moveaxis(x, axis, -1))
    rows = turned.size // x.shape[axis]
    out = np.empty(rows, np.int64)
    _argmax(rows, x.size * 1.0, turned.reshape(rows, -1), out)
    return out.reshape(turned.shape[:-1])


def expand(x, shape):
    """``x`` broadcast to ``shape``, in an array of its own."""
    out = np.empty(shape, x.dtype)
    copy.ufunc(x, out=out)
    return out


def unbroadcast(grad, shape):
    """Sum ``grad`` over the axes that broadcasting from ``shape`` added or stretched."""
    if grad.shape == shape:
        return grad
    added = grad.ndim - len(shape)
    axes = tuple(range(added)) + tuple(
        axis + added
        for axis, size in enumerate(shape)
        if size == 1 and grad.shape[axis + added] != 1
    )
    return sum(grad, axes).reshape(shape)
