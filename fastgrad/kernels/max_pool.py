"""Max pooling by windows that lie on a grid, with strides of 1 or 2 along rows.

A geometry is six triples (size, outs, window, stride, padding, dilation): lines and images are
volumes with leading sizes of 1. A vector of outputs goes over the places of its windows in order;
where rows are shorter than half a vector, two rows of outputs are one vector. What is kept for the
backward pass is the number of the largest one's place in its window, a byte.
"""

from functools import lru_cache

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel
from ._max_pool_back import GUARD, STRIP, spread, spread_apart, spread_fours
from ._record import empty
from ._simd import lanes, load, prefetch, splat, zeros
from ._stride import (
    AHEAD,
    bits,
    equal_bits,
    evens,
    larger_of,
    load_range,
    odds,
    store_bits,
    store_bytes,
)

__all__ = ["max_pool_backward", "max_pool_forward", "max_pool_index"]

_NS_PLACE = 0.06  # nanoseconds for each place of a window of an output
_NS_MOVED = 0.1  # and for each number read or written


@register_jitable(forceinline=True)
def _largest(x, plane, z_from, y_from, x_from, two, n, geometry):
    """The largest elements of a vector of windows, and the numbers of their places.

    two   whether the second half of the vector is the next row of outputs
    n     outputs, of each row
    """
    size, _, window, stride, _, dilation = geometry
    lane, step, nothing = lanes(x), stride[2], splat(x, -np.inf)
    more_y = stride[1] if two else 0
    more_x = 0 if two else lane
    more = more_y * size[2] + more_x  # from the first half's element to the second half's
    taps = 2 if step == 2 and dilation[2] == 1 else 1
    within = x_from >= 0 and x_from + (n - 1) * step + (window[2] - 1) * dilation[2] < size[2]
    last = x.size - lane - (window[2] - 1) * dilation[2] - (more if step == 2 else 0)
    best, place = nothing, zeros(x)
    for kz in range(window[0]):
        z = z_from + kz * dilation[0]
        if z < 0 or z >= size[0]:
            continue
        for ky in range(window[1]):
            y = y_from + ky * dilation[1]
            a_in, b_in = 0 <= y < size[1], 0 <= y + more_y < size[1]
            if not (a_in or b_in):
                continue
            at = ((plane * size[0] + z) * size[1] + y) * size[2] + x_from
            whole = within and a_in and b_in and at <= last
            number = (kz * window[1] + ky) * window[2]
            for k in range(0, window[2], taps):
                j = k * dilation[2]
                low, high = -(x_from + j), size[2] - (x_from + j)
                if whole:
                    a = load(x, at + j)
                else:
                    a = load_range(x, at + j, low, high if a_in else 0, nothing)
                if step == 2:
                    if whole:
                        b = load(x, at + j + more)
                    else:
                        low, high = low - more_x, high - more_x if b_in else 0
                        b = load_range(x, at + j + more, low, high, nothing)
                    best, place = larger_of(best, place, evens(a, b), splat(x, number + k))
                    a = odds(a, b)
                if step == 1 or (k + 1 < window[2] and taps == 2):
                    best, place = larger_of(best, place, a, splat(x, number + k + taps - 1))
    return best, place


@register_jitable
def _first_place(z_from, y_from, x_from, window, dilation):
    """The number of the first place of a window that is in x."""
    z = max(0, -(z_from // dilation[0]))
    y = max(0, -(y_from // dilation[1]))
    return (z * window[1] + y) * window[2] + max(0, -(x_from // dilation[2]))


@register_jitable
def _block(x, out, position, plane, oz, oy, o, two, row, places, geometry):
    """A vector of outputs from o on, anywhere: of one row, or of two."""
    _, outs, window, stride, padding, dilation = geometry
    half = lanes(x) // 2
    n, x_from = min(lanes(x), outs[2] - o), o * stride[2] - padding[2]
    z_from, y_from = oz * stride[0] - padding[0], oy * stride[1] - padding[1]
    best, place = _largest(x, plane, z_from, y_from, x_from, two, n, geometry)
    _put(out, position, best, place, row + o, places + o, n, two)
    if _all_small(out, best, n, two):  # nothing was larger: the first place it is
        least = equal_bits(best, -np.inf)
        for k in range(lanes(x)):
            below = two and k >= half
            if least >> k & 1 and (k - half if below else k) < n:
                position[GUARD + places + o + k] = _first_place(
                    z_from, y_from + (stride[1] if below else 0),
                    x_from + (k - half if below else k) * stride[2], window, dilation,
                )  # fmt: skip


@register_jitable(forceinline=True)
def _all_small(out, best, n, two):
    """Whether the largest of a window, of n in a row, is -∞."""
    half = lanes(out) // 2
    used = bits(0, n) | bits(half, half + n) if two else bits(0, n)
    return equal_bits(best, -np.inf) & used != 0


@register_jitable(forceinline=True)
def _put(out, position, best, place, at, places, n, two):
    """Write n outputs of a row, or of two, and their places."""
    half = lanes(out) // 2
    store_bits(out, at, bits(0, n), best)
    if two:
        store_bits(out, at + n - half, bits(half, half + n), best)
    store_bytes(position, GUARD + places, place)


@register_jitable
def _strip_of_steps(x, out, position, plane, oz, first, last, pitch, geometry):
    """Rows ``first`` to ``last`` of outputs for a stride of 1 along rows."""
    size, outs, window, stride, padding, dilation = geometry
    reach_y, reach_x = (window[1] - 1) * dilation[1], (window[2] - 1) * dilation[2]
    z_from = oz * stride[0] - padding[0]
    z_in = z_from >= 0 and z_from + (window[0] - 1) * dilation[0] < size[0]
    over, one = plane * outs[0] + oz, splat(x, 1)
    for oy in range(first, last):
        y_from = oy * stride[1] - padding[1]
        y_in = z_in and y_from >= 0 and y_from + reach_y < size[1]
        corner = ((plane * size[0] + z_from) * size[1] + y_from) * size[2] - padding[2]
        row, places = (over * outs[1] + oy) * outs[2], (over * pitch[0] + oy) * pitch[1]
        for o in range(0, outs[2], lanes(x)):
            n, x_from = min(lanes(x), outs[2] - o), o - padding[2]
            within = n == lanes(x) and x_from >= 0 and x_from + n - 1 + reach_x < size[2]
            if not y_in:
                _block(x, out, position, plane, oz, oy, o, False, row, places, geometry)
                continue
            best, place, number = splat(x, -np.inf), zeros(x), zeros(x)
            for kz in range(window[0]):
                for ky in range(window[1]):
                    i = corner + o + (kz * dilation[0] * size[1] + ky * dilation[1]) * size[2]
                    for k in range(0, window[2] * dilation[2], dilation[2]):
                        if within:
                            value = load(x, i + k)
                        else:
                            low, high = -(x_from + k), size[2] - x_from - k
                            value = load_range(x, i + k, low, high, splat(x, -np.inf))
                        best, place = larger_of(best, place, value, number)
                        number += one
            _put(out, position, best, place, row + o, places + o, n, False)
            if _all_small(out, best, n, False):
                _block(x, out, position, plane, oz, oy, o, False, row, places, geometry)


@register_jitable
def _strip_of_pairs(x, out, position, plane, oz, first, last, pitch, geometry):
    """Rows ``first`` to ``last`` of outputs for a stride of 2 along rows."""
    size, outs, window, stride, padding, dilation = geometry
    lane, pairs = lanes(x), pitch[1] < lanes(x)
    reach_z, reach_y = (window[0] - 1) * dilation[0], (window[1] - 1) * dilation[1]
    z_from = oz * stride[0] - padding[0]
    z_in = dilation[2] == 1 and z_from >= 0 and z_from + reach_z < size[0]
    over, one, nothing = plane * outs[0] + oz, splat(x, 1), splat(x, -np.inf)
    end = x.size - lane - (reach_z * size[1] + reach_y) * size[2] - window[2]
    for oy in range(first, last, 2 if pairs else 1):
        two = pairs and oy + 1 < last
        more_y = stride[1] if two else 0
        more_x = 0 if two else lane
        more = more_y * size[2] + more_x  # from the first half to the second
        y_from = oy * stride[1] - padding[1]
        y_in = z_in and y_from >= 0 and y_from + more_y + reach_y < size[1]
        corner = ((plane * size[0] + z_from) * size[1] + y_from) * size[2] - padding[2]
        row, places = (over * outs[1] + oy) * outs[2], (over * pitch[0] + oy) * pitch[1]
        for o in range(0, outs[2], lane):
            n, x_from = min(lane, outs[2] - o), 2 * o - padding[2]
            at = corner + 2 * o
            within = x_from >= 0 and x_from + 2 * n - 3 + window[2] < size[2] and at + more <= end
            if not y_in:
                _block(x, out, position, plane, oz, oy, o, two, row, places, geometry)
                continue
            best, place, number = nothing, zeros(x), zeros(x)
            for kz in range(window[0]):
                for ky in range(window[1]):
                    i = at + (kz * dilation[0] * size[1] + ky * dilation[1]) * size[2]
                    for k in range(0, window[2], 2):
                        if within:
                            a, b = load(x, i + k), load(x, i + k + more)
                        else:
                            low, high = -(x_from + k), size[2] - x_from - k
                            a = load_range(x, i + k, low, high, nothing)
                            low, high = low - more_x, high - more_x
                            b = load_range(x, i + k + more, low, high, nothing)
                        best, place = larger_of(best, place, evens(a, b), number)
                        number += one
                        if k + 1 < window[2]:
                            best, place = larger_of(best, place, odds(a, b), number)
                            number += one
            _put(out, position, best, place, row + o, places + o, n, two)
            if _all_small(out, best, n, two):
                _block(x, out, position, plane, oz, oy, o, two, row, places, geometry)


@kernel
def _max_pool_forward(start, stop, x, out, position, pitch, geometry):
    """Strips ``start`` to ``stop`` of rows of outputs; ``pitch``: see ``_plan``."""
    outs, stride = geometry[1], geometry[3]
    strips = (outs[1] + STRIP - 1) // STRIP
    for item in range(start, stop):
        over, first = item // strips, item % strips * STRIP
        plane, oz = over // outs[0], over % outs[0]
        last = min(first + STRIP, outs[1])
        if stride[2] == 1:
            _strip_of_steps(x, out, position, plane, oz, first, last, pitch, geometry)
        else:
            _strip_of_pairs(x, out, position, plane, oz, first, last, pitch, geometry)


@kernel
def _max_pool_fours(start, stop, x, out, position, pitch, geometry):
    """``_max_pool_forward`` for windows of 2 · 2 that are all in x, with a stride of 2 along rows.

    What most networks have: without a loop over places, it is half as long.
    """
    size, outs, _, stride, _, _ = geometry
    lane, pairs = lanes(x), pitch[1] < lanes(x)
    step = 2 if pairs else 1
    end, ahead = x.size - lane - size[2], min(size[2], 4 * lane)
    strips = (outs[1] + STRIP - 1) // STRIP
    for item in range(start, stop):
        plane, first = item // strips, item % strips * STRIP
        last = min(first + STRIP, outs[1])
        at = (plane * size[1] + first * stride[1]) * size[2]
        row, places = (plane * outs[1] + first) * outs[2], (plane * pitch[0] + first) * pitch[1]
        for oy in range(first, last, step):
            two = pairs and oy + 1 < last
            more = stride[1] * size[2] if two else lane
            for o in range(0, outs[2], lane):
                n, i = min(lane, outs[2] - o), at + 2 * o
                for j in range(i, i + 2 * ahead, lane):
                    prefetch(x, j + AHEAD)
                if i + more > end:
                    _block(x, out, position, plane, 0, oy, o, two, row, places, geometry)
                    continue
                a, b = load(x, i), load(x, i + more)
                c, d = load(x, i + size[2]), load(x, i + more + size[2])
                zero, one = zeros(x), splat(x, 1)
                upper, left = larger_of(evens(a, b), zero, odds(a, b), one)
                lower, right = larger_of(evens(c, d), zero, odds(c, d), one)
                best, place = larger_of(upper, left, lower, right + splat(x, 2))
                _put(out, position, best, place, row + o, places + o, n, two)
                if _all_small(out, best, n, two):
                    _block(x, out, position, plane, 0, oy, o, two, row, places, geometry)
            at, row, places = (
                at + step * stride[1] * size[2], row + step * outs[2], places + step * pitch[1],
            )  # fmt: skip


@kernel
def _index(start, stop, position, index, offset, pitch, geometry):
    """Rows ``start`` to ``stop`` of the flat index in x's plane of each output."""
    size, outs, _, stride, padding, _ = geometry
    for i in range(start, stop):
        over, oy = i // outs[1], i % outs[1]
        z, y = over % outs[0] * stride[0] - padding[0], oy * stride[1] - padding[1]
        at = (z * size[1] + y) * size[2] - padding[2]
        places = GUARD + (over * pitch[0] + oy) * pitch[1]
        for o in range(outs[2]):
            index[i * outs[2] + o] = at + o * stride[2] + offset[position[places + o]]


# ------------------------------------------------------------------ launches


_GENERAL, _APART, _FOURS = range(3)  # windows of any kind; with nothing in common; see below


@lru_cache(maxsize=1024)
def _plan(geometry, lane):
    """(rows of places in a slice, bytes in a row of them), and the kind of the windows.

    Two rows of places may be one vector. ``_FOURS`` are windows of 2 · 2 that are all in x, two
    apart along rows.
    """
    size, outs, window, stride, padding, dilation = geometry
    height, width = outs[1:]
    if stride[2] == 2 and max(2 * width, size[2] + padding[2]) <= lane:
        pitch = height + height % 2, lane // 2
    else:
        pitch = height, -(-width // lane) * lane
    extents = [(k - 1) * d + 1 for k, d in zip(window, dilation, strict=True)]
    if stride[2] != 2 or any(e > s for e, s in zip(extents, stride, strict=True)):
        return pitch, _GENERAL
    last = [(o - 1) * s + e for o, s, e in zip(outs, stride, extents, strict=True)]
    inside = padding == (0, 0, 0) and all(e <= n for e, n in zip(last, size, strict=True))
    fours = inside and size[0] == outs[0] == 1 and window == tuple(extents) == (1, 2, 2)
    return pitch, _FOURS if fours else _APART


@lru_cache(maxsize=1024)
def _offsets(geometry):
    """How far each place of a window is from its first, in x's planes."""
    size, _, window, _, _, dilation = geometry
    z, y, x = (np.arange(k) * d for k, d in zip(window, dilation, strict=True))
    return ((z[:, None, None] * size[1] + y[:, None]) * size[2] + x).reshape(-1)


def max_pool_forward(x, geometry, shape=None):
    """(the largest element of each window of x (planes, depth, height, width), their places).

    Of equal ones the first counts; a NaN is larger than any number, and of several the last counts.
    A window has up to 256 places, and at least one in x; the stride along rows is 1 or 2. The
    result gets ``shape``, if given.
    """
    _, outs, window, *_ = geometry
    pitch, kind = _plan(geometry, 64 // x.itemsize)
    slices = len(x) * outs[0]
    out = empty(shape or (len(x), *outs), x.dtype)
    position = empty(slices * pitch[0] * pitch[1] + 2 * GUARD, np.uint8)
    if out.size:
        work = out.size * (window[0] * window[1] * window[2] * _NS_PLACE) + x.size * _NS_MOVED
        flat = x.reshape(-1), out.reshape(-1), position
        run = _max_pool_fours if kind == _FOURS else _max_pool_forward
        run(slices * -(-outs[1] // STRIP), work, *flat, pitch, geometry)
    return out, position


def max_pool_backward(grad, position, geometry, shape=None):
    """x's gradient, of ``shape`` if given: sums over the windows whose largest an element is."""
    size, outs, window, stride, _, dilation = geometry
    grad_x = empty(shape or (len(grad), *size), grad.dtype)
    if not grad_x.size:
        return grad_x
    flat = grad.reshape(-1), position, grad_x.reshape(-1)
    pitch, kind = _plan(geometry, 64 // grad.itemsize)
    work = (grad.size + grad_x.size) * _NS_MOVED
    strips = len(grad) * outs[0] * -(-outs[1] // STRIP)
    if kind == _FOURS:
        spread_fours(strips, work, *flat, pitch, geometry)
    elif kind == _APART:
        tiled = window[:2] == stride[:2] and dilation[:2] == (1, 1)
        spread_apart(strips, work, *flat, tiled, pitch, geometry)
    else:
        work += grad.size * 2.0
        spread(len(grad), work, *flat, _offsets(geometry), pitch, geometry)
    return grad_x


def max_pool_index(position, geometry, planes, dtype):
    """The places as flat indices in x's planes, (planes, depth, height, width) int64.

    planes, dtype   x's, after which the places are laid out
    """
    _, outs, *_ = geometry
    index = empty((planes, *outs), np.int64)
    if index.size:
        pitch, _ = _plan(geometry, 64 // np.dtype(dtype).itemsize)
        flat = position, index.reshape(-1), _offsets(geometry)
        _index(planes * outs[0] * outs[1], index.size, *flat, pitch, geometry)
    return index
