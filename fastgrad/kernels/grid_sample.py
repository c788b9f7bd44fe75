"""Values of images and volumes at the places that a grid gives, between their pixels, too.

Everything is a volume: an image has a depth of 1. A block of pixels of a grid is looked at once:
along each axis it has 1, 2 or 4 taps (the nearest, linear, cubic), places with weights, which
multiply to those of the volume. All channels of the block are then gathered by the same tables.

A tap's place is -1 where it is outside: then it counts as 0.
"""

import math

import numpy as np
from numba.extending import register_jitable

from ._grid_taps import (
    CUBIC,
    ON_AXES,
    PIXELS,
    locate,
    look,
    multiply,
    numbers_of,
    tap_place,
    taps_of,
    widths,
)
from ._jit import kernel, scratch
from ._record import contiguous, empty
from ._sample import gather_inside
from ._simd import fma, lanes, load, read, store, write, zeros
from ._threads import policy

__all__ = ["grid_sample_forward", "grid_sample_grid_grad", "grid_sample_input_grad", "grid_taps"]

_CHANNELS = 16  # whose gradients one item adds up
_BLOCKS = 4  # for each thread
_FARTHEST = 2.0**30  # pixels, about what an integer holds


@kernel(chunks=1, counted=True)
def _sample(
    start, stop, x, grid, out, sizes, numbers, width, padding, places, weights, slopes, blocks,
):  # fmt: skip
    """Blocks ``start`` to ``stop`` of items, an item being up to ``PIXELS`` pixels of a grid."""
    channels, pixels, taps = sizes[0], sizes[4], taps_of(sizes, width)
    volume, each = sizes[1] * sizes[2] * sizes[3], -(-pixels // PIXELS)
    items = sizes[6] * each
    for block in range(start, stop):
        at = block * (ON_AXES + taps * PIXELS)
        joined = at + ON_AXES
        for item in range(items * block // blocks, items * (block + 1) // blocks):
            image, first = item // each, item % each * PIXELS
            count = min(PIXELS, pixels - first)
            look(
                grid, image * pixels + first, count, sizes, numbers, width, padding, places,
                weights, slopes, at,
            )  # fmt: skip
            for channel in range(channels):
                source = (image * channels + channel) * volume
                target = (image * channels + channel) * pixels + first
                for j in range(0, count, lanes(x)):
                    total = zeros(x)
                    for tap in range(taps):
                        value = gather_inside(x, source, places, joined + tap * PIXELS + j)
                        total = fma(load(weights, joined + tap * PIXELS + j), value, total)
                    write(out, target + j, min(lanes(x), count - j), total)


@kernel(chunks=1, counted=True)
def _scatter(
    start, stop, grad, grid, out, sizes, numbers, width, padding, places, weights, slopes, blocks,
):  # fmt: skip
    """The adjoint of ``_sample`` in x; an item is up to ``_CHANNELS`` channels of an image."""
    channels, pixels, taps = sizes[0], sizes[4], taps_of(sizes, width)
    volume, each = sizes[1] * sizes[2] * sizes[3], -(-channels // _CHANNELS)
    items = sizes[6] * each
    for block in range(start, stop):
        at = block * (ON_AXES + taps * PIXELS)
        joined = at + ON_AXES
        for item in range(items * block // blocks, items * (block + 1) // blocks):
            image, begin = item // each, item % each * _CHANNELS
            planes = image * channels + begin, image * channels + min(begin + _CHANNELS, channels)
            for k in range(planes[0] * volume, planes[1] * volume):
                out[k] = 0
            for first in range(0, pixels, PIXELS):
                count = min(PIXELS, pixels - first)
                look(
                    grid, image * pixels + first, count, sizes, numbers, width, padding, places,
                    weights, slopes, at,
                )  # fmt: skip
                for plane in range(planes[0], planes[1]):
                    source, target = plane * pixels + first, plane * volume
                    for tap in range(taps):
                        of_tap = joined + tap * PIXELS
                        for j in range(count):
                            place = places[of_tap + j]
                            if place >= 0:
                                out[target + place] += weights[of_tap + j] * grad[source + j]


@kernel(chunks=1, counted=True)
def _to_grid(
    start, stop, grad, x, grid, out, sizes, numbers, width, padding, places, weights, slopes,
    blocks,
):  # fmt: skip
    """The gradient of the grid, by items as ``_sample`` has them."""
    channels, pixels, taps = sizes[0], sizes[4], taps_of(sizes, width)
    volume, each, dims = sizes[1] * sizes[2] * sizes[3], -(-pixels // PIXELS), sizes[5]
    items = sizes[6] * each
    for block in range(start, stop):
        at = block * (ON_AXES + taps * PIXELS)
        joined = at + ON_AXES
        for item in range(items * block // blocks, items * (block + 1) // blocks):
            image, first = item // each, item % each * PIXELS
            count = min(PIXELS, pixels - first)
            look(
                grid, image * pixels + first, count, sizes, numbers, width, padding, places,
                weights, slopes, at,
            )  # fmt: skip
            for k in range(taps * PIXELS):
                slopes[joined + k] = 0
            for channel in range(channels):  # what every tap's weight is worth
                source = (image * channels + channel) * volume
                target = (image * channels + channel) * pixels + first
                for j in range(0, count, lanes(x)):
                    factor = read(grad, target + j, min(lanes(x), count - j))
                    for tap in range(taps):
                        k = joined + tap * PIXELS + j
                        value = gather_inside(x, source, places, k)
                        store(slopes, k, fma(factor, value, load(slopes, k)))
            goal = (image * pixels + first) * dims
            for axis in range(3 - dims, 3):
                if axis == 0:
                    multiply(sizes, width, count, slopes, weights, weights, at, weights, joined)
                elif axis == 1:
                    multiply(sizes, width, count, weights, slopes, weights, at, weights, joined)
                else:
                    multiply(sizes, width, count, weights, weights, slopes, at, weights, joined)
                for j in range(0, count, lanes(x)):
                    total = zeros(x)
                    for tap in range(taps):
                        k = joined + tap * PIXELS + j
                        total = fma(load(weights, k), load(slopes, k), total)
                    store(weights, joined + j, total)
                for j in range(count):
                    out[goal + j * dims + 2 - axis] = weights[joined + j]


@register_jitable
def _start(grid, pixel, axis, dims, numbers, padding, width, slopes, fractions):
    """The first tap of a pixel along an axis; its slope and what its fraction is made of."""
    if axis < 3 - dims:
        return 0
    at = pixel * dims + 2 - axis
    start, t, slope = locate(grid[at], numbers_of(numbers, axis), padding, width)
    slopes[at], fractions[at] = slope, t - slope * grid[at]
    return int(start)


@register_jitable
def _read_at(place, axis, sizes, numbers, width, padding):
    """Where the tap at a place of an axis reads, -1 for nowhere."""
    if width == CUBIC and axis >= 3 - sizes[5]:
        return tap_place(place, sizes[1 + axis], int(numbers[axis, 7]), padding)
    return place if 0 <= place < sizes[1 + axis] else -1


@kernel
def _tabulate(start, stop, grid, sizes, numbers, width, padding, index, slopes, offsets):
    """Pixels ``start`` to ``stop`` of all grids: their taps, and what fractions are made of."""
    dims, taps = sizes[5], taps_of(sizes, width)
    _, high, wide = widths(sizes, width)
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
    space = blocks * (ON_AXES + taps * PIXELS)
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
    return len(grid) * -(-math.prod(grid.shape[1:-1]) // PIXELS)


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
