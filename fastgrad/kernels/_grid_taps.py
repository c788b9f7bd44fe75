"""Where the pixels of a grid read an image: taps along each axis, joined to those of the volume.

A block of ``PIXELS`` pixels is looked at once. Tables of a block begin with ``ON_AXES`` numbers, 4
taps along 3 axes of every pixel; behind them is what all taps of the volume have.
"""

from numba.extending import register_jitable

from ._sample import store_integers
from ._simd import (
    absolute,
    floor,
    if_greater,
    lanes,
    literal,
    load,
    rint,
    splat,
    store,
    zeros,
)

ZEROS, BORDER, REFLECTION = range(3)
CUBIC = 4  # taps along an axis
PIXELS = 64
ON_AXES = 12 * PIXELS


# ------------------------------------------------------------------ along one axis
# Formulas for one number and for vectors.


@register_jitable
def _turn_in(place, slope, known, padding):
    """Places brought into the image, and how fast they move then."""
    _, _, _, low, span, last, _ = known
    none = literal(place, 0.0)
    if padding == REFLECTION:
        place = place - low
        slope = if_greater(none, place, -slope, slope)
        place = absolute(place)
        times = floor(place / span)
        odd = times - literal(place, 2.0) * floor(times * literal(place, 0.5))
        place = place - times * span
        slope = if_greater(odd, none, -slope, slope)
        place = if_greater(odd, none, span - place, place) + low
        place = if_greater(span, none, place, none)
    slope = if_greater(place, none, if_greater(last, place, slope, none), none)
    place = if_greater(place, none, place, none)  # what is not a number, too
    return if_greater(last, place, place, last), slope


@register_jitable
def locate(coordinate, known, padding, width):
    """(first tap, fraction, slope) of coordinates; ``known`` are the first of ``_axis_numbers``."""
    one, scale, shift, _, _, _, farthest = known
    place, slope = (coordinate + one) * scale + shift, scale
    if padding != ZEROS and width != CUBIC:
        place, slope = _turn_in(place, slope, known, padding)
    place = if_greater(place, -farthest, place, -farthest)
    place = if_greater(farthest, place, place, farthest)
    if width == 1:
        return rint(place), literal(place, 0.0), slope
    base = floor(place)
    first = base - one if width == CUBIC else base
    return first, place - base, slope


@register_jitable
def _near(t):
    """(the cubic kernel of distances to 1, with a = -¾, its slope)"""
    a, b, c = literal(t, 1.25), literal(t, 2.25), literal(t, 3.75)
    return (a * t - b) * t * t + literal(t, 1.0), (c * t - (b + b)) * t


@register_jitable
def _far(t):
    """The same of distances from 1 to 2."""
    a, b, c, d = literal(t, 3.75), literal(t, 0.75), literal(t, 6.0), literal(t, 3.0)
    return ((a - b * t) * t - c) * t + d, (a + a - d * b * t) * t - c


@register_jitable
def _weigh(t, slope, width, weights, slopes, at):
    """Store weights of taps at the fractions t, and their slopes."""
    one = literal(t, 1.0)
    if width == 1:
        store(weights, at, one)
        store(slopes, at, one - one)
    elif width == 2:
        store(weights, at, one - t)
        store(weights, at + PIXELS, t)
        store(slopes, at, -slope)
        store(slopes, at + PIXELS, slope)
    else:
        (a, p), (b, q) = _far(t + one), _near(t)
        (c, r), (d, s) = _near(one - t), _far(one + one - t)
        store(weights, at, a)
        store(weights, at + PIXELS, b)
        store(weights, at + 2 * PIXELS, c)
        store(weights, at + 3 * PIXELS, d)
        store(slopes, at, p * slope)
        store(slopes, at + PIXELS, q * slope)
        store(slopes, at + 2 * PIXELS, -r * slope)
        store(slopes, at + 3 * PIXELS, -s * slope)


@register_jitable
def numbers_of(numbers, axis):
    """What ``locate`` wants to know of an axis."""
    return (
        numbers[axis, 0], numbers[axis, 1], numbers[axis, 2], numbers[axis, 3], numbers[axis, 4],
        numbers[axis, 5], numbers[axis, 6],
    )  # fmt: skip


@register_jitable
def _vectors_of(numbers, axis):
    a, b, c, d, e, f, g = numbers_of(numbers, axis)
    return (
        splat(numbers, a), splat(numbers, b), splat(numbers, c), splat(numbers, d),
        splat(numbers, e), splat(numbers, f), splat(numbers, g),
    )  # fmt: skip


@register_jitable
def tap_place(place, size, period, padding):
    """Where a cubic tap reads; ``period`` is that of mirror images."""
    if padding == BORDER:
        return min(max(place, 0), size - 1)
    if padding == REFLECTION:
        if period == 0:
            return 0
        place %= period
        if place >= size:
            place = period - place - (1 if period == 2 * size else 0)
    return place if 0 <= place < size else -1


# ------------------------------------------------------------------ in the volume


@register_jitable
def widths(sizes, width):
    """Taps along each axis of the volume; along the depth of images, one."""
    return width if sizes[5] == 3 else 1, width, width


@register_jitable
def _join(sizes, width, count, places, at, index_at):
    """The flat places of all taps, the last axis fastest; -1 after the last pixel, too."""
    deep, high, wide = widths(sizes, width)
    for tap in range(deep * high * wide):
        a = at + tap // (high * wide) * PIXELS
        b = at + (4 + tap // wide % high) * PIXELS
        c = at + (8 + tap % wide) * PIXELS
        to = index_at + tap * PIXELS
        below, rows, columns = places[a : a + count], places[b : b + count], places[c : c + count]
        index = places[to : to + PIXELS]
        for j in range(count):
            d, h, w = below[j], rows[j], columns[j]
            place = (d * sizes[2] + h) * sizes[3] + w
            index[j] = place if (d | h | w) >= 0 else -1
        for j in range(count, PIXELS):
            index[j] = -1


@register_jitable
def multiply(sizes, width, count, first, second, third, to, products, at):
    """The products of what all taps have along the three axes."""
    deep, high, wide = widths(sizes, width)
    for tap in range(deep * high * wide):
        a = to + tap // (high * wide) * PIXELS
        b = to + (4 + tap // wide % high) * PIXELS
        c = to + (8 + tap % wide) * PIXELS
        for j in range(0, count, lanes(products)):
            value = load(first, a + j) * load(second, b + j) * load(third, c + j)
            store(products, at + tap * PIXELS + j, value)


@register_jitable
def taps_of(sizes, width):
    """How many taps a pixel has."""
    deep, high, wide = widths(sizes, width)
    return deep * high * wide


@register_jitable
def _look_along(
    grid, first, count, sizes, numbers, width, padding, places, weights, slopes, at,
):  # fmt: skip
    """Tables of ``count`` pixels from ``first`` on: a tap's places, weights and slopes, by axis."""
    dims, lane = sizes[5], lanes(grid)
    for axis in range(3):
        here = at + 4 * axis * PIXELS
        if axis < 3 - dims:
            for j in range(0, count, lane):
                store_integers(places, here + j, zeros(grid))
                _weigh(zeros(grid), zeros(grid), 1, weights, slopes, here + j)
            continue
        known, begin = _vectors_of(numbers, axis), first * dims + 2 - axis
        along = grid[begin : begin + count * dims : dims]
        coordinates = weights[at + ON_AXES : at + ON_AXES + count]  # where products come later
        for j in range(count):
            coordinates[j] = along[j]
        for j in range(0, count, lane):
            coordinate = load(weights, at + ON_AXES + j)
            start, t, slope = locate(coordinate, known, padding, width)
            store_integers(places, at + ON_AXES + j, start)
            _weigh(t, slope, width, weights, slopes, here + j)
        size, period = sizes[1 + axis], int(numbers[axis, 7])
        starts = places[at + ON_AXES : at + ON_AXES + count]
        for tap in range(width):
            found = places[here + tap * PIXELS : here + tap * PIXELS + count]
            if width == CUBIC:
                for j in range(count):
                    found[j] = tap_place(starts[j] + tap, size, period, padding)
            else:
                for j in range(count):
                    place = starts[j] + tap
                    found[j] = place if 0 <= place < size else -1


@register_jitable
def look(
    grid, first, count, sizes, numbers, width, padding, places, weights, slopes, at,
):  # fmt: skip
    """All tables of ``count`` pixels from ``first`` on, at ``at`` of places, weights and slopes."""
    _look_along(grid, first, count, sizes, numbers, width, padding, places, weights, slopes, at)
    _join(sizes, width, count, places, at, at + ON_AXES)
    multiply(sizes, width, count, weights, weights, weights, at, weights, at + ON_AXES)
