"""Values of images and volumes at the places that a grid gives, between their pixels, too.

Everything is a volume: an image has a depth of 1. A block of pixels of a grid is looked at once:
along each axis it has 1, 2 or 4 taps (the nearest, linear, cubic), places with weights, which
multiply to those of the volume. All channels of the block are then gathered by the same tables.

A tap's place is -1 where it is outside: then it counts as 0.
"""

import math

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel, scratch
from ._record import contiguous, empty
from ._threads import policy

__all__ = ["grid_sample_forward", "grid_sample_grid_grad", "grid_sample_input_grad", "grid_taps"]

ZEROS, BORDER, REFLECTION = range(3)
CUBIC = 4
_PIXELS = 64  # of a grid in a block
_ON_AXES = 12 * _PIXELS  # numbers in a block's tables of 4 taps along 3 axes
_CHANNELS = 16  # whose gradients one item adds up
_BLOCKS = 4  # for each thread
_FARTHEST = 2.0**30  # pixels, about what an integer holds


# ------------------------------------------------------------------ along one axis


@register_jitable
def _turn_in(place, slope, low, span, last, padding):
    """A place brought into the image, and how fast it moves then."""
    none = place - place
    if padding == REFLECTION:
        if span > none:
            place -= low
            if place < none:
                place, slope = -place, -slope
            times = np.floor(place / span)
            place -= times * span
            if times % 2 != 0:
                place, slope = span - place, -slope
            place += low
        else:
            place = none
    if not place > none:  # not a number, either
        return none, none
    if place >= last:
        return last, none
    return place, slope


@register_jitable
def _tap(place, size, mirrored, padding):
    """Where a cubic tap reads; ``mirrored`` is the period of mirror images."""
    if padding == BORDER:
        return min(max(place, 0), size - 1)
    if padding == REFLECTION:
        if mirrored == 0:
            return 0
        place %= mirrored
        if place >= size:
            place = mirrored - place - (1 if mirrored == 2 * size else 0)
    return place if 0 <= place < size else -1


@register_jitable
def _near(x, t):
    """The cubic kernel of distances to 1, with a = -¾, and its slope."""
    number = x.dtype.type
    a, b = number(1.25), number(2.25)
    return (a * t - b) * t * t + number(1.0), (number(3.0) * a * t - number(2.0) * b) * t


@register_jitable
def _far(x, t):
    """The cubic kernel of distances from 1 to 2."""
    number = x.dtype.type
    value = ((number(3.75) - number(0.75) * t) * t - number(6.0)) * t + number(3.0)
    return value, (number(7.5) - number(2.25) * t) * t - number(6.0)


@register_jitable
def _weigh(x, width, t, slope, weights, slopes, at):
    """Weights of taps at the fraction t, and their slopes."""
    one = x.dtype.type(1.0)
    if width == 1:
        weights[at], slopes[at] = one, one - one
    elif width == 2:
        weights[at], slopes[at] = one - t, -slope
        weights[at + _PIXELS], slopes[at + _PIXELS] = t, slope
    else:
        far, near = _far(x, t + one), _near(x, t)
        weights[at], slopes[at] = far[0], far[1] * slope
        weights[at + _PIXELS], slopes[at + _PIXELS] = near[0], near[1] * slope
        near, far = _near(x, one - t), _far(x, x.dtype.type(2.0) - t)
        weights[at + 2 * _PIXELS], slopes[at + 2 * _PIXELS] = near[0], -near[1] * slope
        weights[at + 3 * _PIXELS], slopes[at + 3 * _PIXELS] = far[0], -far[1] * slope


@register_jitable
def _locate(grid, at, numbers, padding, width):
    """(first tap, fraction, slope) of one coordinate; ``numbers`` see ``_axis_numbers``."""
    one, scale, shift, low, span, last, farthest = numbers
    place, slope = (grid[at] + one) * scale + shift, scale
    if padding != ZEROS and width != CUBIC:
        place, slope = _turn_in(place, slope, low, span, last, padding)
    if not place > -farthest:
        place = -farthest
    elif place > farthest:
        place = farthest
    if width == 1:
        return int(np.rint(place)), one - one, slope
    base = np.floor(place)
    return int(base) - (width // 2 - 1), place - base, slope


@register_jitable
def _numbers_of(numbers, axis):
    return (
        numbers[axis, 0], numbers[axis, 1], numbers[axis, 2], numbers[axis, 3], numbers[axis, 4],
        numbers[axis, 5], numbers[axis, 6],
    )  # fmt: skip


@register_jitable
def _look(grid, first, count, sizes, numbers, width, padding, places, at, weights, slopes, to):
    """Tables of ``count`` pixels from ``first`` on: a tap's places, weights and slopes, by axis."""
    dims = sizes[5]
    for axis in range(3):
        size = sizes[1 + axis]
        period = int(numbers[axis, 7])
        here, there = at + 4 * axis * _PIXELS, to + 4 * axis * _PIXELS
        if axis < 3 - dims:
            for j in range(count):
                places[here + j] = 0
                _weigh(grid, 1, numbers[0, 0], numbers[0, 0], weights, slopes, there + j)
            continue
        known = _numbers_of(numbers, axis)
        for j in range(count):
            start, t, slope = _locate(grid, (first + j) * dims + 2 - axis, known, padding, width)
            _weigh(grid, width, t, slope, weights, slopes, there + j)
            for tap in range(width):
                place = start + tap
                if width == CUBIC:
                    place = _tap(place, size, period, padding)
                elif place < 0 or place >= size:
                    place = -1
                places[here + tap * _PIXELS + j] = place


# ------------------------------------------------------------------ in the volume


@register_jitable
def _widths(sizes, width):
    return width if sizes[5] == 3 else 1, width, width


@register_jitable
def _join(sizes, width, count, places, at, index, index_at):
    """The flat places of all taps, the last axis fastest."""
    deep, high, wide = _widths(sizes, width)
    for tap in range(deep * high * wide):
        a = at + tap // (high * wide) * _PIXELS
        b = at + (4 + tap // wide % high) * _PIXELS
        c = at + (8 + tap % wide) * _PIXELS
        for j in range(count):
            d, h, w = places[a + j], places[b + j], places[c + j]
            inside = d >= 0 and h >= 0 and w >= 0
            index[index_at + tap * _PIXELS + j] = (
                (d * sizes[2] + h) * sizes[3] + w if inside else -1
            )


@register_jitable
def _multiply(sizes, width, count, first, second, third, to, products, at):
    """The products of what all taps have along the three axes; each is a (table, its start)."""
    deep, high, wide = _widths(sizes, width)
    for tap in range(deep * high * wide):
        a = to + tap // (high * wide) * _PIXELS
        b = to + (4 + tap // wide % high) * _PIXELS
        c = to + (8 + tap % wide) * _PIXELS
        for j in range(count):
            products[at + tap * _PIXELS + j] = first[a + j] * second[b + j] * third[c + j]


@register_jitable
def _taps(sizes, width):
    deep, high, wide = _widths(sizes, width)
    return deep * high * wide


@kernel(chunks=1)
def _sample(
    start, stop, x, grid, out, sizes, numbers, width, padding, places, weights, slopes, blocks,
):  # fmt: skip
    """Blocks ``start`` to ``stop`` of items, an item being up to ``_PIXELS`` pixels of a grid."""
    channels, pixels, taps = sizes[0], sizes[4], _taps(sizes, width)
    volume, each = sizes[1] * sizes[2] * sizes[3], -(-pixels // _PIXELS)
    items = sizes[6] * each
    for block in range(start, stop):
        at, to = block * (_ON_AXES + taps * _PIXELS), block * (_ON_AXES + taps * _PIXELS)
        index, products = at + _ON_AXES, to + _ON_AXES
        for item in range(items * block // blocks, items * (block + 1) // blocks):
            image, first = item // each, item % each * _PIXELS
            count = min(_PIXELS, pixels - first)
            _look(
                grid, image * pixels + first, count, sizes, numbers, width, padding, places, at,
                weights, slopes, to,
            )  # fmt: skip
            _join(sizes, width, count, places, at, places, index)
            _multiply(sizes, width, count, weights, weights, weights, to, weights, products)
            for channel in range(channels):
                source = (image * channels + channel) * volume
                target = (image * channels + channel) * pixels + first
                for j in range(count):
                    out[target + j] = 0
                for tap in range(taps):
                    i, w = index + tap * _PIXELS, products + tap * _PIXELS
                    for j in range(count):
                        place = places[i + j]
                        if place >= 0:
                            out[target + j] += weights[w + j] * x[source + place]


@kernel(chunks=1)
def _scatter(
    start, stop, grad, grid, out, sizes, numbers, width, padding, places, weights, slopes, blocks,
):  # fmt: skip
    """The adjoint of ``_sample`` in x; an item is up to ``_CHANNELS`` channels of an image."""
    channels, pixels, taps = sizes[0], sizes[4], _taps(sizes, width)
    volume, each = sizes[1] * sizes[2] * sizes[3], -(-channels // _CHANNELS)
    items = sizes[6] * each
    for block in range(start, stop):
        at, to = block * (_ON_AXES + taps * _PIXELS), block * (_ON_AXES + taps * _PIXELS)
        index, products = at + _ON_AXES, to + _ON_AXES
        for item in range(items * block // blocks, items * (block + 1) // blocks):
            image, begin = item // each, item % each * _CHANNELS
            planes = image * channels + begin, image * channels + min(begin + _CHANNELS, channels)
            for k in range(planes[0] * volume, planes[1] * volume):
                out[k] = 0
            for first in range(0, pixels, _PIXELS):
                count = min(_PIXELS, pixels - first)
                _look(
                    grid, image * pixels + first, count, sizes, numbers, width, padding, places,
                    at, weights, slopes, to,
                )  # fmt: skip
                _join(sizes, width, count, places, at, places, index)
                _multiply(sizes, width, count, weights, weights, weights, to, weights, products)
                for plane in range(planes[0], planes[1]):
                    source, target = plane * pixels + first, plane * volume
                    for tap in range(taps):
                        i, w = index + tap * _PIXELS, products + tap * _PIXELS
                        for j in range(count):
                            place = places[i + j]
                            if place >= 0:
                                out[target + place] += weights[w + j] * grad[source + j]


@kernel(chunks=1)
def _to_grid(
    start, stop, grad, x, grid, out, sizes, numbers, width, padding, places, weights, slopes,
    blocks,
):  # fmt: skip
    """The gradient of the grid, by items as ``_sample`` has them."""
    channels, pixels, taps = sizes[0], sizes[4], _taps(sizes, width)
    volume, each, dims = sizes[1] * sizes[2] * sizes[3], -(-pixels // _PIXELS), sizes[5]
    items = sizes[6] * each
    for block in range(start, stop):
        at, to = block * (_ON_AXES + taps * _PIXELS), block * (_ON_AXES + taps * _PIXELS)
        index, products = at + _ON_AXES, to + _ON_AXES
        for item in range(items * block // blocks, items * (block + 1) // blocks):
            image, first = item // each, item % each * _PIXELS
            count = min(_PIXELS, pixels - first)
            _look(
                grid, image * pixels + first, count, sizes, numbers, width, padding, places, at,
                weights, slopes, to,
            )  # fmt: skip
            _join(sizes, width, count, places, at, places, index)
            for k in range(taps * _PIXELS):
                slopes[products + k] = 0
            for channel in range(channels):  # what every tap's weight is worth
                source = (image * channels + channel) * volume
                target = (image * channels + channel) * pixels + first
                for tap in range(taps):
                    i, w = index + tap * _PIXELS, products + tap * _PIXELS
                    for j in range(count):
                        place = places[i + j]
                        if place >= 0:
                            slopes[w + j] += grad[target + j] * x[source + place]
            goal = (image * pixels + first) * dims
            for axis in range(3 - dims, 3):
                if axis == 0:
                    _multiply(sizes, width, count, slopes, weights, weights, to, weights, products)
                elif axis == 1:
                    _multiply(sizes, width, count, weights, slopes, weights, to, weights, products)
                else:
                    _multiply(sizes, width, count, weights, weights, slopes, to, weights, products)
                for j in range(count):
                    total = x.dtype.type(0.0)
                    for tap in range(taps):
                        k = products + tap * _PIXELS + j
                        total += weights[k] * slopes[k]
                    out[goal + j * dims + 2 - axis] = total


@register_jitable
def _start(grid, pixel, axis, dims, numbers, padding, width, slopes, fractions):
    """The first tap of a pixel along an axis; its slope and what its fraction is made of."""
    if axis < 3 - dims:
        return 0
    at = pixel * dims + 2 - axis
    start, t, slope = _locate(grid, at, _numbers_of(numbers, axis), padding, width)
    slopes[at], fractions[at] = slope, t - slope * grid[at]
    return start


@register_jitable
def _read_at(place, axis, sizes, numbers, width, padding):
    """Where the tap at a place of an axis reads, -1 for nowhere."""
    if width == CUBIC and axis >= 3 - sizes[5]:
        return _tap(place, sizes[1 + axis], int(numbers[axis, 7]), padding)
    return place if 0 <= place < sizes[1 + axis] else -1


@kernel
def _tabulate(start, stop, grid, sizes, numbers, width, padding, index, slopes, offsets):
    """Pixels ``start`` to ``stop`` of all grids: their taps, and what fractions are made of."""
    dims, taps = sizes[5], _taps(sizes, width)
    _, high, wide = _widths(sizes, width)
    for pixel in range(start, stop):
        deep = _start(grid, pixel, 0, dims, numbers, padding, width, slopes, offsets)
        down = _start(grid, pixel, 1, dims, numbers, padding, width, slopes, offsets)
        right = _start(grid, pixel, 2, dims, numbers, padding, width, slopes, offsets)
        for tap in range(taps):
            d = _read_at(deep + tap // (high * wide), 0, sizes, numbers, width, padding)
            h = _read_at(down + tap // wide % high, 1, sizes, numbers, width, padding)
            w = _read_at(right + tap % wide, 2, sizes, numbers, width, padding)
            inside = d >= 0 and h >= 0 and w >= 0
            index[pixel * taps + tap] = (d * sizes[2] + h) * sizes[3] + w if inside else -1


# ------------------------------------------------------------------ functions


def _axis_numbers(size, aligned):
    """What coordinates along an axis are made places with; the last is the mirrors' period.

    (1, scale, shift, where mirrors stand, how far apart, the last place, the farthest, period)
    """
    if aligned:
        places = (size - 1) / 2, 0.0, 0.0, size - 1.0
    else:
        places = size / 2, -0.5, -0.5, float(size)
    return (1.0, *places, size - 1.0, _FARTHEST, 2.0 * places[3])


def _geometry(volume, channels, grid, aligned, dtype):
    """(sizes, numbers) of a call: see the kernels."""
    sizes = [channels, *volume, math.prod(grid.shape[1:-1]), grid.shape[-1], grid.shape[0]]
    numbers = [_axis_numbers(size, aligned) for size in volume]
    return np.array(sizes, np.int64), np.array(numbers, dtype)


def _volume(size):
    return (1,) * (3 - len(size)) + tuple(size)


def _run(body, arrays, grid, out, volume, channels, width, padding, aligned, items):
    """Launch a body with the tables that it wants; ``items`` are how many it has."""
    sizes, numbers = _geometry(volume, channels, grid, aligned, out.dtype)
    taps = width ** grid.shape[-1]
    blocks = min(items, _BLOCKS * policy.threads)
    space = blocks * (_ON_AXES + taps * _PIXELS)
    tables = scratch(2 * space, out.dtype)
    pixels = int(sizes[4]) * len(grid)
    body(
        blocks, pixels * (10.0 + taps * (2.0 + channels)), *(contiguous(a).ravel() for a in arrays),
        contiguous(grid).ravel(), out.ravel(), sizes, numbers, width, padding,
        scratch(space, np.int64), tables[:space], tables[space:], blocks,
    )  # fmt: skip
    return out


def _in_grids(grid):
    """How many items grids are cut into."""
    return len(grid) * -(-math.prod(grid.shape[1:-1]) // _PIXELS)


def grid_sample_forward(x, grid, width, padding, aligned):
    """Values of x (N, C, \\*size) at the places of a grid (N, \\*out, dims), from -1 to 1 each.

    width     taps along an axis: 1, the nearest; 2, linear; 4, cubic
    padding   what is outside: ZEROS, BORDER (the edge) or REFLECTION (the mirror image)
    aligned   whether -1 and 1 are the middles of the first and the last pixel, not their edges
    """
    out = empty((*x.shape[:2], *grid.shape[1:-1]), x.dtype)
    if out.size:
        _run(
            _sample, (x,), grid, out, _volume(x.shape[2:]), x.shape[1], width, padding, aligned,
            _in_grids(grid),
        )  # fmt: skip
    return out


def grid_sample_input_grad(grad, grid, size, width, padding, aligned):
    """The adjoint of ``grid_sample_forward`` in x, whose pixels have ``size``."""
    out = empty((*grad.shape[:2], *size), grad.dtype)
    if out.size:
        items = len(grad) * -(-grad.shape[1] // _CHANNELS)
        _run(
            _scatter, (grad,), grid, out, _volume(size), grad.shape[1], width, padding, aligned,
            items,
        )  # fmt: skip
    return out


def grid_sample_grid_grad(grad, x, grid, width, padding, aligned):
    """The gradient of the grid of ``grid_sample_forward``; 0 at places that are brought in."""
    out = empty(grid.shape, grid.dtype)
    if out.size:
        _run(
            _to_grid, (grad, x), grid, out, _volume(x.shape[2:]), x.shape[1], width, padding,
            aligned, _in_grids(grid),
        )  # fmt: skip
    return out


def grid_taps(grid, size, width, padding, aligned):
    """(taps, slopes, offsets) of a grid (N, \\*out, dims) in pixels of ``size``.

    taps      (N, pixels, width ** dims): where each reads, the last axis fastest, -1 for outside
    slopes, offsets   of the grid's shape: along its axis, a coordinate g lies ``slope · g +
              offset`` of a pixel behind the tap that is nearest before it
    """
    sizes, numbers = _geometry(_volume(size), 0, grid, aligned, grid.dtype)
    pixels = len(grid) * int(sizes[4])
    index = empty((len(grid), int(sizes[4]), width ** grid.shape[-1]), np.int64)
    slopes, offsets = empty(grid.shape, grid.dtype), empty(grid.shape, grid.dtype)
    if index.size:
        _tabulate(
            pixels, pixels * 20.0, contiguous(grid).ravel(), sizes, numbers, width, padding,
            index.ravel(), slopes.ravel(), offsets.ravel(),
        )  # fmt: skip
    return index, slopes, offsets
