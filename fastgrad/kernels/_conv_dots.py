"""The gradient of a convolution's weight where a window has few elements: dot products over pixels.

With one or three input channels, or one for each output channel, a tile's columns would be mostly
empty. Here the vectors run along pixels instead: a few output channels times a few taps are as many
accumulators, each a vector, which go on from row to row and from image to image.
"""

from numba.extending import register_jitable

from ._frame import (
    BAND,
    BANDS,
    CHANNELS,
    COUNT_D,
    COUNT_H,
    COUNT_W,
    EXTENT_H,
    EXTENT_W,
    GROUPS,
    IMAGES,
    ROWS,
    SOURCE_D,
    SOURCE_H,
    SOURCE_W,
    TAPS,
    fill_frame,
)  # fmt: skip
from ._jit import kernel
from ._runs import fill_run
from ._simd import fma, lane_sum, lanes, load, load_part, store

DOT_ROWS, DOT_TAPS = 4, 3  # of a block of accumulators
DOT_BLOCK = DOT_ROWS * DOT_TAPS


@register_jitable
def _load_sums(sums, at):
    lane = lanes(sums)
    return (
        load(sums, at), load(sums, at + lane), load(sums, at + 2 * lane),
        load(sums, at + 3 * lane), load(sums, at + 4 * lane), load(sums, at + 5 * lane),
        load(sums, at + 6 * lane), load(sums, at + 7 * lane), load(sums, at + 8 * lane),
        load(sums, at + 9 * lane), load(sums, at + 10 * lane), load(sums, at + 11 * lane),
    )  # fmt: skip


@register_jitable
def _multiply_block(a, b, c, d, x, y, z, s):
    """Four channels' gradients times three taps, added to 12 sums."""
    return (
        fma(a, x, s[0]), fma(a, y, s[1]), fma(a, z, s[2]),
        fma(b, x, s[3]), fma(b, y, s[4]), fma(b, z, s[5]),
        fma(c, x, s[6]), fma(c, y, s[7]), fma(c, z, s[8]),
        fma(d, x, s[9]), fma(d, y, s[10]), fma(d, z, s[11]),
    )  # fmt: skip


@register_jitable
def _add_block(
    grad, at, row, frame, space, places, lines, high, extents, wide, sums, sums_at
):  # fmt: skip
    """A block's sums go on over ``lines`` rows of pixels, ``wide`` each.

    at, row   where the gradient's first pixel is, and the distances to the next output channels
    places    where the three taps are in the frame
    """
    lane = lanes(grad)
    p, q, r = places
    s = _load_sums(sums, sums_at)
    whole, n = wide // lane * lane, wide % lane
    d = h = 0
    for _ in range(lines):
        source = frame + (d * extents[0] + h) * extents[1]
        for k in range(0, whole, lane):
            s = _multiply_block(
                load(grad, at + k), load(grad, at + row[0] + k), load(grad, at + row[1] + k),
                load(grad, at + row[2] + k), load(space, source + p + k),
                load(space, source + q + k), load(space, source + r + k), s,
            )  # fmt: skip
        if n:
            k = whole
            s = _multiply_block(
                load_part(grad, at + k, n, 0.0), load_part(grad, at + row[0] + k, n, 0.0),
                load_part(grad, at + row[1] + k, n, 0.0), load_part(grad, at + row[2] + k, n, 0.0),
                load_part(space, source + p + k, n, 0.0), load_part(space, source + q + k, n, 0.0),
                load_part(space, source + r + k, n, 0.0), s,
            )  # fmt: skip
        at += wide
        h += 1
        if h == high:
            d, h = d + 1, 0
    for k in range(DOT_BLOCK):
        store(sums, sums_at + k * lane, s[k])


@register_jitable
def _add_one(grad, at, frame, space, places, lines, high, extents, wide, sums, sums_at):
    """The same for one output channel."""
    lane = lanes(grad)
    p, q, r = places
    s, t, u = load(sums, sums_at), load(sums, sums_at + lane), load(sums, sums_at + 2 * lane)
    whole, n = wide // lane * lane, wide % lane
    d = h = 0
    for _ in range(lines):
        source = frame + (d * extents[0] + h) * extents[1]
        for k in range(0, whole, lane):
            a = load(grad, at + k)
            s = fma(a, load(space, source + p + k), s)
            t = fma(a, load(space, source + q + k), t)
            u = fma(a, load(space, source + r + k), u)
        if n:
            k = whole
            a = load_part(grad, at + k, n, 0.0)
            s = fma(a, load_part(space, source + p + k, n, 0.0), s)
            t = fma(a, load_part(space, source + q + k, n, 0.0), t)
            u = fma(a, load_part(space, source + r + k, n, 0.0), u)
        at += wide
        h += 1
        if h == high:
            d, h = d + 1, 0
    store(sums, sums_at, s)
    store(sums, sums_at + lane, t)
    store(sums, sums_at + 2 * lane, u)


@kernel(chunks=1)
def sum_dots(
    start, stop, grad, x, sizes, phases, offsets, parts, splits, sums, space, size, frame_size,
    items, blocks,
):  # fmt: skip
    """Blocks ``start`` to ``stop`` of items: some output channels of a group, of a part of a batch.

    sizes, phases, offsets   of the forward product's plan
    sums    (parts, out, window)
    space   ``size`` elements for each block: the frame, then its accumulators
    """
    lane, groups, rows = lanes(grad), sizes[GROUPS], sizes[ROWS]
    volume = sizes[CHANNELS] * sizes[SOURCE_D] * sizes[SOURCE_H] * sizes[SOURCE_W]
    deep, high, wide = phases[0, COUNT_D], phases[0, COUNT_H], phases[0, COUNT_W]
    plane, band = deep * high * wide, sizes[BAND]
    window = sizes[CHANNELS] * phases[0, TAPS]
    extents = (sizes[EXTENT_H], sizes[EXTENT_W])
    strips = (rows + DOT_ROWS - 1) // DOT_ROWS
    columns = (window + DOT_TAPS - 1) // DOT_TAPS
    for block in range(start, stop):
        frame = block * size
        totals = frame + frame_size
        fill_run(space, frame, frame_size, 0.0)
        for item in range(items * block // blocks, items * (block + 1) // blocks):
            split, owner = item % splits, item // splits
            group, part = owner % groups, owner // groups
            low, high_strip = strips * split // splits, strips * (split + 1) // splits
            fill_run(space, totals, (high_strip - low) * columns * DOT_BLOCK * lane, 0.0)
            begin = sizes[IMAGES] * part // parts
            end = sizes[IMAGES] * (part + 1) // parts
            for image in range(begin, end):
                one = image * groups + group
                for number in range(sizes[BANDS]):
                    top = number * band
                    lines = min(band, deep - top) * high
                    fill_frame(x, one * volume, sizes, top, space, frame)
                    for strip in range(low, high_strip):
                        first = strip * DOT_ROWS
                        last = rows - 1 - first
                        at = (one * rows + first) * plane + top * high * wide
                        row = (min(1, last) * plane, min(2, last) * plane, min(3, last) * plane)
                        for column in range(columns):
                            t = column * DOT_TAPS
                            places = (
                                offsets[t], offsets[min(t + 1, window - 1)],
                                offsets[min(t + 2, window - 1)],
                            )  # fmt: skip
                            there = (strip - low) * columns + column
                            there = totals + there * DOT_BLOCK * lane
                            if last == 0:
                                _add_one(
                                    grad, at, frame, space, places, lines, high, extents, wide,
                                    space, there,
                                )  # fmt: skip
                            else:
                                _add_block(
                                    grad, at, row, frame, space, places, lines, high, extents,
                                    wide, space, there,
                                )  # fmt: skip
            for i in range(low * DOT_ROWS, min(rows, high_strip * DOT_ROWS)):
                target = ((part * groups + group) * rows + i) * window
                for t in range(window):
                    strip = i // DOT_ROWS - low
                    there = (strip * columns + t // DOT_TAPS) * DOT_BLOCK
                    there += i % DOT_ROWS * DOT_TAPS + t % DOT_TAPS
                    sums[target + t] = lane_sum(load(space, totals + there * lane))
