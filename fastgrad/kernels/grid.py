"""Picking along up to three axes at once by tables of places: padding, nearest neighbours.

An axis is a tuple (places, left, right, starts, targets), see ``fastgrad.ops._places``:
``places[k]`` is where element k of the result comes from, -1 for nowhere. Between ``left`` and
``right`` places follow each other, so that rows are copied there in vectors; ``starts, targets``
list for every place where it went.
"""

import math

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel
from ._record import call_numpy, contiguous, empty
from ._runs import copy_run, fill_run
from ._simd import lanes, read, write

__all__ = ["pick_grid", "pick_grid_backward"]

_NS = 0.15  # nanoseconds per element that is copied in vectors
_NS_APART = 0.7  # and of one that is looked up


@register_jitable
def _look_up(x, x_at, out, out_at, places, start, stop, fill):
    for k in range(start, stop):
        place = places[k]
        out[out_at + k] = x[x_at + place] if place >= 0 else fill


@register_jitable
def _next(h, d, outer, height, depth):
    """The row after (outer, d, h)."""
    h += 1
    if h == height:
        h, d = 0, d + 1
        if d == depth:
            d, outer = 0, outer + 1
    return h, d, outer


@kernel
def _pick(start, stop, x, out, fill, depth, height, width, left, right, d_size, h_size, w_size):
    """Rows ``start`` to ``stop`` of out (outer, depths, heights, widths), flat."""
    depths, heights, widths = depth.size, height.size, width.size
    h, d, outer = start % heights, start // heights % depths, start // (heights * depths)
    before = -1
    for row in range(start, stop):
        at, i, j = row * widths, depth[d], height[h]
        source = ((outer * d_size + i) * h_size + j) * w_size
        if i < 0 or j < 0:
            fill_run(out, at, widths, fill)
        elif source == before:
            copy_run(out, at - widths, out, at, widths)
        else:
            _look_up(x, source, out, at, width, 0, left, fill)
            if left < right:
                copy_run(x, source + width[left], out, at + left, right - left)
            _look_up(x, source, out, at, width, right, widths, fill)
        before = source if i >= 0 and j >= 0 else -1
        h, d, outer = _next(h, d, outer, heights, depths)


@register_jitable
def _add_row(grad, at, grad_x, x_at, n, first, width, left, right):
    """What a row of the result, which begins at ``at``, adds to the gradient of its source."""
    lane, count = lanes(grad), right - left
    begin = width[left] if count else 0
    if first:
        fill_run(grad_x, x_at, begin, 0.0)
        if count:
            copy_run(grad, at + left, grad_x, x_at + begin, count)
        fill_run(grad_x, x_at + begin + count, n - begin - count, 0.0)
    else:
        for k in range(0, count, lane):
            m = min(lane, count - k)
            i = x_at + begin + k
            write(grad_x, i, m, read(grad_x, i, m) + read(grad, at + left + k, m))
    for k in range(left):
        if width[k] >= 0:
            grad_x[x_at + width[k]] += grad[at + k]
    for k in range(right, width.size):
        if width[k] >= 0:
            grad_x[x_at + width[k]] += grad[at + k]


@kernel
def _pick_backward(
    start, stop, grad, grad_x, d_starts, d_targets, h_starts, h_targets, width, left, right,
    depths, heights, n,
):  # fmt: skip
    """Rows ``start`` to ``stop`` of the gradient of x (outer, depth, height, n), flat."""
    depth, height, widths = d_starts.size - 1, h_starts.size - 1, width.size
    h, d, outer = start % height, start // height % depth, start // (height * depth)
    for row in range(start, stop):
        first = True
        for p in range(d_starts[d], d_starts[d + 1]):
            for q in range(h_starts[h], h_starts[h + 1]):
                at = ((outer * depths + d_targets[p]) * heights + h_targets[q]) * widths
                _add_row(grad, at, grad_x, row * n, n, first, width, left, right)
                first = False
        if first:
            fill_run(grad_x, row * n, n, 0.0)
        h, d, outer = _next(h, d, outer, height, depth)


_ALONE = (
    np.zeros(1, np.int64), 0, 1, np.arange(2, dtype=np.int64), np.zeros(1, np.int64),
)  # fmt: skip


def _cost(axis, rows):
    """Nanoseconds that ``rows`` rows take, picked along their axis as it says."""
    places, left, right = axis[:3]
    return rows * ((right - left) * _NS + (len(places) - right + left) * _NS_APART + 5.0)


def pick_grid(x, axes, fill=0.0):
    """``out[..., i, j, k] = x[..., a[i], b[j], c[k]]`` for axes of places a, b and c: 1 to 3.

    Where a place is -1 there is ``fill``.
    """
    shape = (*x.shape[: x.ndim - len(axes)], *(len(axis[0]) for axis in axes))
    if x.dtype.kind != "f":
        return call_numpy(_by_numpy, x, axes=axes, fill=fill)
    out, rows = empty(shape, x.dtype), math.prod(shape[:-1])
    sizes = (1, 1, *x.shape[x.ndim - len(axes) :])[-3:]
    depth, height, width = (_ALONE, _ALONE, *axes)[-3:]
    if out.size:
        _pick(
            rows, _cost(width, rows), contiguous(x).reshape(-1), out.reshape(-1), float(fill),
            depth[0], height[0], *width[:3], *sizes,
        )  # fmt: skip
    return out


def _by_numpy(x, axes, fill):
    places = [axis[0] for axis in axes]
    nowhere = [np.asarray(place < 0) for place in places]
    out = np.full((*x.shape[: x.ndim - len(axes)], *map(len, places)), fill, x.dtype)
    inside = np.ix_(*(~where for where in nowhere))
    out[(..., *inside)] = x[(..., *np.ix_(*(p[p >= 0] for p in places)))]
    return out


def pick_grid_backward(grad, axes, shape):
    """The gradient of x, of a shape, from that of ``pick_grid(x, axes)``: its adjoint."""
    grad_x, rows = empty(shape, grad.dtype), math.prod(shape[:-1])
    depth, height, width = (_ALONE, _ALONE, *axes)[-3:]
    if grad_x.size:
        sizes = len(depth[0]), len(height[0]), shape[-1]
        _pick_backward(
            rows, _cost(width, grad.size // max(len(width[0]), 1)), contiguous(grad).reshape(-1),
            grad_x.reshape(-1), *depth[3:], *height[3:], *width[:3], *sizes,
        )  # fmt: skip
    return grad_x
