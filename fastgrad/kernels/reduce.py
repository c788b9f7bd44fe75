"""Sums, products, extremes over any axes, and what undoes a broadcast.

Axes are first merged to ``(outer, n, inner)`` with one reduced axis in the middle. Long axes are
cut into blocks of a fixed length, whose results are combined in order: the bits depend on the
shape alone, and rounding errors grow with the block and not with the array.
"""

import math
from functools import lru_cache

import numpy as np
from numba.extending import register_jitable

from ._compile import named
from ._jit import kernel
from ._record import call_numpy, contiguous, empty, recording
from ._simd import (
    first_lane,
    lane_max,
    lane_min,
    lane_prod,
    lane_sum,
    lanes,
    load,
    load_part,
    maximum,
    splat,
    store,
    store_part,
)
from .copy import copy

__all__ = [
    "amax", "amax_backward", "amin", "argmax", "argmin", "count_nonzero", "expand", "mean", "prod",
    "reduce_numbers", "sum", "sum_abs", "sum_squares", "unbroadcast",
]  # fmt: skip

_ROW_BLOCK = 8192  # elements of a row that one partial result covers
_COLUMN_BLOCK = 256  # rows that one partial row of column results covers
_STRIP_BYTES = 4 * 64  # columns that a kernel across rows holds in registers
_GROUP = 16  # additions in a chain before it is added to a total: short chains round less


@lru_cache(maxsize=4096)
def _plan(shape, axes, keepdim):
    """How to reduce ``axes`` (None, an int or ints) of an array of ``shape``.

    Returns (passes, count, shape of the result). Each pass merges neighbouring axes and is
    (outer, n, inner); the last axes come first. ``count`` elements go into each result.
    """
    ndim = len(shape)
    if axes is None:
        axes = range(ndim)
    elif isinstance(axes, int):
        axes = (axes,)
    axes = sorted(axis % ndim for axis in axes) if ndim else []
    result = tuple(
        1 if axis in axes else size
        for axis, size in enumerate(shape)
        if keepdim or axis not in axes
    )
    count = math.prod(shape[axis] for axis in axes)
    sizes, passes = list(shape), []
    while axes:
        stop = axes[-1] + 1
        start = stop
        while axes and axes[-1] == start - 1:
            start = axes.pop()
        n = math.prod(sizes[start:stop])
        passes.append((math.prod(sizes[:start]), n, math.prod(sizes[stop:])))
        sizes[start:stop] = []
    return passes or [(math.prod(shape), 1, 1)], count, result


def _reduction(name, start_value, combine, fold, prepare=None, after=None):
    """The two kernels of a reduction: along contiguous rows, and across rows.

    prepare   what is done to each element first; then ``after`` are the kernels without it, which
              reduce the results of blocks and other axes
    """
    combine = register_jitable(named(combine, f"{name}.combine"))
    prepare = register_jitable(named(prepare or (lambda a: a), f"{name}.prepare"))

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
                    s = combine(s, prepare(load(x, i)))
                    t = combine(t, prepare(load(x, i + lane)))
                    u = combine(u, prepare(load(x, i + 2 * lane)))
                    v = combine(v, prepare(load(x, i + 3 * lane)))
                total = combine(total, combine(combine(s, t), combine(u, v)))
            for i in range(unrolled, whole, lane):
                total = combine(total, prepare(load(x, i)))
            if whole < end:
                total = combine(total, prepare(load_part(x, whole, end - whole, start_value)))
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
                        s = combine(s, prepare(load(x, i)))
                        t = combine(t, prepare(load(x, i + lane)))
                        u = combine(u, prepare(load(x, i + 2 * lane)))
                        v = combine(v, prepare(load(x, i + 3 * lane)))
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
                            part = load_part(x, row * inner + j, count, start_value)
                            s = combine(s, prepare(part))
                        total = combine(total, s)
                    store_part(out, ob * inner + j, count, total / scale)

    along.__name__, across.__name__ = f"{name}_along", f"{name}_across"
    own = kernel(along), kernel(across)
    after = after or own

    def reduce(x, axes, keepdim, average):
        passes, count, shape = _plan(x.shape, axes, keepdim)
        out = empty(shape, x.dtype)
        divisor = float(count) if average else 1.0
        if count == 0:
            out.fill(start_value if not average else math.nan)
            return out
        x = x.ravel()
        run = own
        for outer, n, inner in passes[:-1]:
            partial = empty(outer * inner, x.dtype)
            fold_blocks(run, x, partial, outer, n, inner, 1.0)
            x, run = partial, after
        fold_blocks(run, x, out.ravel(), *passes[-1], divisor)
        return out

    def fold_blocks(run, x, out, outer, n, inner, divisor):
        """Reduce x (outer, n, inner), flat, by blocks, and then their results, if several."""
        if inner == 1:
            blocks, items = -(-n // _ROW_BLOCK), outer
        else:
            blocks, items = -(-n // _COLUMN_BLOCK), outer * -(-inner * x.itemsize // _STRIP_BYTES)
        last = blocks == 1
        target = out if last else empty(outer * blocks * inner, x.dtype)
        scale = divisor if last else 1.0
        if inner == 1:
            run[0](items * blocks, x.size * 0.06, x, target, n, _ROW_BLOCK, scale)
        else:
            run[1](items * blocks, x.size * 0.08, x, target, n, inner, _COLUMN_BLOCK, scale)
        if not last:
            fold_blocks(after, target, out, outer, blocks, inner, divisor)

    return reduce, own


_sum, _sum_kernels = _reduction("sum", 0.0, lambda a, b: a + b, lane_sum)
_amax, _ = _reduction("amax", -math.inf, lambda a, b: maximum(a, b), lane_max)
_amin, _ = _reduction("amin", math.inf, lambda a, b: -maximum(-a, -b), lane_min)
_prod, _ = _reduction("prod", 1.0, lambda a, b: a * b, lane_prod)
_sum_squares, _ = _reduction(
    "sum_squares", 0.0, lambda a, b: a + b, lane_sum, lambda a: a * a, after=_sum_kernels
)
_sum_abs, _ = _reduction(
    "sum_abs", 0.0, lambda a, b: a + b, lane_sum, lambda a: maximum(a, -a), after=_sum_kernels
)


def sum(x, axes=None, keepdim=False):
    """Sum over ``axes`` (all if None)."""
    return _sum(x, axes, keepdim, False)


def mean(x, axes=None, keepdim=False):
    """Mean over ``axes`` (all if None); NaN over nothing."""
    return _sum(x, axes, keepdim, True)


def amax(x, axes=None, keepdim=False):
    """Maximum over ``axes`` (all if None), none of them empty; NaN where there is a NaN."""
    return _amax(x, axes, keepdim, False)


def amin(x, axes=None, keepdim=False):
    """Minimum over ``axes`` (all if None), none of them empty; NaN where there is a NaN."""
    return _amin(x, axes, keepdim, False)


def prod(x, axes=None, keepdim=False):
    """Product over ``axes`` (all if None)."""
    return _prod(x, axes, keepdim, False)


def sum_squares(x, axes=None, keepdim=False):
    """``Σ x²`` over ``axes`` (all if None)."""
    return _sum_squares(x, axes, keepdim, False)


def sum_abs(x, axes=None, keepdim=False):
    """``Σ |x|`` over ``axes`` (all if None)."""
    return _sum_abs(x, axes, keepdim, False)


def reduce_numbers(x, name, axes, keepdim=False, dtype=None):
    """NumPy's own reduction of integers or bools: ``name`` is that of the ufunc."""
    run = getattr(np, name).reduce
    options = {} if dtype is None else {"dtype": dtype}
    return call_numpy(lambda x: np.asarray(run(x, axis=axes, keepdims=keepdim, **options)), x)


def count_nonzero(x, axes=None):
    """How many elements over ``axes`` (all if None) are not 0, int64."""
    axes = tuple(range(x.ndim)) if axes is None else axes
    return call_numpy(lambda x: np.asarray(np.count_nonzero(x, axis=axes), np.int64), x)


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
    order, back = _reduced_last(x.ndim, axes if axes is None else tuple(axes))
    turned = contiguous(x.transpose(order) if back else x)
    rows, n = out.size, x.size // max(out.size, 1)
    grad_x = empty(turned.shape, x.dtype)
    flat = turned.reshape(rows, n), out.ravel(), grad_x.reshape(rows, n)
    _amax_backward(rows, x.size * 1.0, grad.ravel(), *flat)
    return contiguous(grad_x.transpose(back)) if back else grad_x


@lru_cache(maxsize=4096)
def _reduced_last(ndim, axes):
    """(order of axes with the reduced ones last, the order back); none back if it is as before."""
    axes = range(ndim) if axes is None else [axis % ndim for axis in axes]
    order = [axis for axis in range(ndim) if axis not in axes] + list(axes)
    in_order = order == sorted(order)
    return order, None if in_order else tuple(order.index(axis) for axis in range(ndim))


_FEW = 1 << 18  # elements below which NumPy's search, on one thread, is done before ours


def _position(name, start_value, combine, fold, better):
    """The kernel that finds the first extreme of each row of x (rows, n); a NaN counts as one.

    First the block of 4 vectors that has it, then the element.
    """
    combine = register_jitable(named(combine, f"{name}.combine"))
    better = register_jitable(named(better, f"{name}.better"))

    def find(start, stop, x, out, n):
        lane = lanes(x)
        for row in range(start, stop):
            at, end = row * n, (row + 1) * n
            best, where = x.dtype.type(start_value), at
            for first in range(at, end, 4 * lane):
                if first + 4 * lane <= end:
                    s = combine(load(x, first), load(x, first + lane))
                    t = combine(load(x, first + 2 * lane), load(x, first + 3 * lane))
                    s = combine(s, t)
                else:
                    s = splat(x, start_value)
                    for i in range(first, end, lane):
                        s = combine(s, load_part(x, i, min(lane, end - i), start_value))
                value = fold(s)
                if better(value, best):
                    best, where = value, first
                elif value != value:
                    best, where = value, first
                    break
            for i in range(where, end, lane):
                part = load_part(x, i, min(lane, end - i), start_value)
                k = first_lane(part, splat(x, best))
                if k < lane:
                    out[row] = i - at + k
                    break

    find.__name__ = name
    run = kernel(find)

    numpys = getattr(np, name)

    def positions(x, axis):
        if x.size < _FEW and recording() is None:
            return np.asarray(numpys(x, axis=axis), np.int64)
        if x.dtype.kind != "f":
            return call_numpy(lambda x: np.asarray(numpys(x, axis=axis)), x)
        if axis not in (-1, x.ndim - 1):
            x = np.moveaxis(x, axis, -1)
        x = contiguous(x)
        out = empty(x.shape[:-1], np.int64)
        run(out.size, x.size * 0.1 + out.size * 5.0, x.reshape(-1), out.reshape(-1), x.shape[-1])
        return out

    return positions


_argmax = _position("argmax", -math.inf, lambda a, b: maximum(a, b), lane_max, lambda a, b: a > b)
_argmin = _position("argmin", math.inf, lambda a, b: -maximum(-a, -b), lane_min, lambda a, b: a < b)


def argmax(x, axis=-1):
    """Index of the first maximum along ``axis``, int64; the first NaN counts as one."""
    return _argmax(x, axis)


def argmin(x, axis=-1):
    """Index of the first minimum along ``axis``, int64; the first NaN counts as one."""
    return _argmin(x, axis)


@kernel(grain=4)
def _expand(start, stop, x, out, n, inner):
    """Rows ``start`` to ``stop`` of out (outer, n, inner), each a copy of x (outer, inner)."""
    lane = lanes(x)
    whole = inner // lane * lane
    for row in range(start, stop):
        source, target = row // n * inner, row * inner
        for i in range(0, whole, lane):
            store(out, target + i, load(x, source + i))
        if whole < inner:
            rest = inner - whole
            store_part(out, target + whole, rest, load_part(x, source + whole, rest, 0.0))


@kernel
def _spread(start, stop, x, out, n):
    """Rows ``start`` to ``stop`` of out (rows, n), each one element of x (rows)."""
    lane = lanes(x)
    whole = n // lane * lane
    for row in range(start, stop):
        value, target = splat(x, x[row]), row * n
        for i in range(0, whole, lane):
            store(out, target + i, value)
        if whole < n:
            store_part(out, target + whole, n - whole, value)


@lru_cache(maxsize=4096)
def _stretch(shape, to):
    """(outer, n, inner) where neighbouring axes are stretched to ``n`` elements, else None."""
    shape = (1,) * (len(to) - len(shape)) + shape
    axes = [axis for axis, size in enumerate(shape) if size != to[axis]]
    if not axes or axes != list(range(axes[0], axes[-1] + 1)) or 0 in to:
        return None
    start, stop = axes[0], axes[-1] + 1
    return math.prod(to[:start]), math.prod(to[start:stop]), math.prod(to[stop:])


_SMALL = 4096  # elements; below, NumPy's broadcast is done before a launch is


def expand(x, shape):
    """``x`` broadcast to ``shape``, in an array of its own."""
    out = empty(shape, x.dtype)
    parts = _stretch(x.shape, out.shape) if out.size > _SMALL else None
    if parts is None:
        out[...] = x
        return out
    outer, n, inner = parts
    if outer == inner == 1:
        copy(x.reshape(()), out=out)
    elif inner == 1:
        _spread(outer, out.size * 0.1, x.ravel(), out.ravel(), n)
    else:
        _expand(outer * n, out.size * 0.1, x.ravel(), out.ravel(), n, inner)
    return out


def unbroadcast(grad, shape):
    """Sum ``grad`` over the axes that broadcasting from ``shape`` added or stretched."""
    if grad.shape == shape:
        return grad
    return sum(grad, _added(grad.shape, shape)).reshape(shape)


@lru_cache(maxsize=4096)
def _added(shape, before):
    """The axes that broadcasting from ``before`` to ``shape`` added or stretched."""
    added = len(shape) - len(before)
    return tuple(range(added)) + tuple(
        axis + added for axis, size in enumerate(before) if size == 1 and shape[axis + added] != 1
    )
