"""The gradient of a convolution's weight where a window has few elements: dot products over pixels.

With one or three input channels, or one for each output channel, a tile's columns would be mostly
empty. Here the vectors run along pixels instead: a few output channels times a few taps are as many
accumulators, each a vector, which go on from band to band and from image to image.

Rows of the gradient are copied to rows as long as the frame's, with zeros between, so that one run
of vectors goes over all pixels of a band.
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
from ._simd import fma, lane_sum, lanes, load, load_part, read, store

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
def _add_block(space, at, row, frame, places, length, sums_at):
    """A block's sums go on over ``length`` elements.

    at, row   where the first channel's gradient begins, and the distances to those of the others
    places    where the three taps are in the frame
    """
    lane = lanes(space)
    x, y, z = frame + places[0], frame + places[1], frame + places[2]
    q, r, t = at + row[0], at + row[1], at + row[2]
    s = _load_sums(space, sums_at)
    whole = length // lane * lane
    for k in range(0, whole, lane):
        s = _multiply_block(
            load(space, at + k), load(space, q + k), load(space, r + k), load(space, t + k),
            load(space, x + k), load(space, y + k), load(space, z + k), s,
        )  # fmt: skip
    n = length - whole
    if n:
        s = _multiply_block(
            load_part(space, at + whole, n, 0.0), load_part(space, q + whole, n, 0.0),
            load_part(space, r + whole, n, 0.0), load_part(space, t + whole, n, 0.0),
            load_part(space, x + whole, n, 0.0), load_part(space, y + whole, n, 0.0),
            load_part(space, z + whole, n, 0.0), s,
        )  # fmt: skip
    for k in range(DOT_BLOCK):
        store(space, sums_at + k * lane, s[k])


@register_jitable
def _add_one(space, at, frame, places, length, sums_at):
    """The same for one output channel."""
    lane = lanes(space)
    x, y, z = frame + places[0], frame + places[1], frame + places[2]
    s, t = load(space, sums_at), load(space, sums_at + lane)
    u = load(space, sums_at + 2 * lane)
    for k in range(0, length, lane):
        n = min(lane, length - k)
        a = read(space, at + k, n)
        s = fma(a, read(space, x + k, n), s)
        t = fma(a, read(space, y + k, n), t)
        u = fma(a, read(space, z + k, n), u)
    store(space, sums_at, s)
    store(space, sums_at + lane, t)
    store(space, sums_at + 2 * lane, u)


@register_jitable
def _copy_lines(grad, at, plane, rows, lines, high, wide, extents, space, target, size):
    """Copy ``lines`` lines of the gradient of ``rows`` channels, ``size`` elements for each."""
    lane = lanes(grad)
    whole, n = wide // lane * lane, wide % lane
    for i in range(rows):
        source, row = at + i * plane, target + i * size
        for _ in range(0, lines, high):
            for h in range(high):
                place = row + h * extents[1]
                for k in range(0, whole, lane):
                    store(space, place + k, load(grad, source + k))
                if n:  # the zeros after it are before the next line, or overwritten by that
                    store(space, place + whole, load_part(grad, source + whole, n, 0.0))
                source += wide
            row += extents[0] * extents[1]


@kernel(chunks=1)
def sum_dots(
    start, stop, grad, x, sizes, phases, offsets, parts, splits, sums, space, size, frame_size,
    line_size, items, blocks,
):  # fmt: skip
    """Blocks ``start`` to ``stop`` of items: some output channels of a group, of a part of a batch.

    sizes, phases, offsets   of the forward product's plan
    sums    (parts, out, window)
    space   ``size`` elements for each block: the frame, ``line_size`` for each of some channels of
            the gradient, and the accumulators
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
        copied = frame + frame_size
        totals = copied + DOT_ROWS * line_size
        fill_run(space, frame, totals - frame, 0.0)
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
                    layers = min(band, deep - top)
                    length = ((layers - 1) * extents[0] + high - 1) * extents[1] + wide
                    fill_frame(x, one * volume, sizes, top, space, frame)
                    for strip in range(low, high_strip):
                        first = strip * DOT_ROWS
                        count = min(DOT_ROWS, rows - first)
                        at = (one * rows + first) * plane + top * high * wide
                        _copy_lines(
                            grad, at, plane, count, layers * high, high, wide, extents, space,
                            copied, line_size,
                        )  # fmt: skip
                        last = (count - 1) * line_size
                        row = (min(line_size, last), min(2 * line_size, last), last)
                        for column in range(columns):
                            t = column * DOT_TAPS
                            places = (
                                offsets[t], offsets[min(t + 1, window - 1)],
                                offsets[min(t + 2, window - 1)],
                            )  # fmt: skip
                            there = (strip - low) * columns + column
                            there = totals + there * DOT_BLOCK * lane
                            if rows == 1:
                                _add_one(space, copied, frame, places, length, there)
                            else:
                                _add_block(space, copied, row, frame, places, length, there)
            for i in range(low * DOT_ROWS, min(rows, high_strip * DOT_ROWS)):
                target = ((part * groups + group) * rows + i) * window
                for t in range(window):
                    strip = i // DOT_ROWS - low
                    there = (strip * columns + t // DOT_TAPS) * DOT_BLOCK
                    there += i % DOT_ROWS * DOT_TAPS + t % DOT_TAPS
                    sums[target + t] = lane_sum(load(space, totals + there * lane))
