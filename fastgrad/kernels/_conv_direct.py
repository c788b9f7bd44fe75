"""Convolution straight from the frame: as one line, line by line, or a few lines together."""

from numba.extending import register_jitable

from ._frame import (
    DENSE,
    EXTENT_H,
    EXTENT_W,
    HEIGHT,
    MODE,
    OUT_D,
    OUT_H,
    OUT_W,
    ROWS,
    STEP_W,
    STRIPS,
    out_place,
    spread,
    start_rows,
)
from ._simd import fma, lanes, load, maximum, splat, write, zeros
from ._tile import TILE_VECTORS, WIDE_ROWS, WIDE_VECTORS, multiply_lines, multiply_taps, tile_lanes
from ._windows import FLAT, TOGETHER


@register_jitable
def _tile_width(sizes, out):
    """Columns of a tile: with one or two rows it is wider."""
    wide = sizes[HEIGHT] <= WIDE_ROWS
    return (WIDE_VECTORS if wide else TILE_VECTORS) * tile_lanes(out)


@register_jitable
def _multiply_strips(
    tile, strips, strips_at, bias, bias_at, biased, relu, sizes, offsets, offsets_at, depth,
    space, place, c, c_at, c_row, columns,
):  # fmt: skip
    """All output channels of ``columns`` pixels that follow each other in the frame."""
    height = sizes[HEIGHT]
    for strip in range(sizes[STRIPS]):
        top = strip * height
        n, there = min(height, sizes[ROWS] - top), c_at + top * c_row
        if biased:
            start_rows(bias, bias_at + top, c, there, c_row, n, columns)
        multiply_taps(
            tile, strips, strips_at + top * depth, 1, height, space, place, offsets, offsets_at,
            depth, biased, c, there, c_row, relu, c, there, c_row, n, columns,
        )  # fmt: skip


@register_jitable
def _rows_of_one(
    strips, strips_at, bias, relu, offsets, offsets_at, depth, space, place, row, out, out_at,
    out_row, count, rows,
):  # fmt: skip
    """Up to four rows of the only output channel, together: four chains of multiply-adds.

    row, out_row   distances between the rows, in the frame and in the result
    """
    lane, last = lanes(out), rows - 1
    second, third, fourth = row * min(1, last), row * min(2, last), row * min(3, last)
    for i in range(0, count, lane):
        a = b = c = d = splat(out, bias)
        for k in range(depth):
            factor = splat(out, strips[strips_at + k])
            at = place + i + offsets[offsets_at + k]
            a = fma(factor, load(space, at), a)
            b = fma(factor, load(space, at + second), b)
            c = fma(factor, load(space, at + third), c)
            d = fma(factor, load(space, at + fourth), d)
        if relu:
            none = zeros(out)
            a, b, c, d = maximum(a, none), maximum(b, none), maximum(c, none), maximum(d, none)
        n, at = min(lane, count - i), out_at + i
        write(out, at, n, a)
        if rows > 1:
            write(out, at + out_row, n, b)
        if rows > 2:
            write(out, at + 2 * out_row, n, c)
        if rows > 3:
            write(out, at + 3 * out_row, n, d)


@register_jitable
def _only_channel(
    strips, strips_at, bias, relu, sizes, offsets, offsets_at, depth, rows, high, wide, space,
    frame, out, out_at,
):  # fmt: skip
    """The only output channel of a band, without tiles."""
    row, out_row = _line_distances(sizes, high)
    line = 0
    while line < rows * high:
        d, h = line // high, line % high
        count = min(4, rows - d if high == 1 else high - h)
        place = frame + (d * sizes[EXTENT_H] + h) * sizes[EXTENT_W]
        _rows_of_one(
            strips, strips_at, bias, relu, offsets, offsets_at, depth, space, place, row,
            out, out_at + out_place(sizes, d, h, 0), out_row, wide, count,
        )  # fmt: skip
        line += count


@register_jitable
def _line_distances(sizes, high):
    """From one line of pixels to the next, in the frame and in a dense result."""
    if high > 1:
        return sizes[EXTENT_W], sizes[OUT_W]
    return sizes[EXTENT_W] * sizes[EXTENT_H], sizes[OUT_W] * sizes[OUT_H]


@register_jitable
def _lines_together(
    tile, strips, strips_at, bias, bias_at, biased, relu, sizes, offsets, offsets_at, depth,
    rows, high, wide, space, frame, out, out_at,
):  # fmt: skip
    """All output channels of a band whose lines are short: a vector of a tile for each."""
    row, out_row = _line_distances(sizes, high)
    plane, height = sizes[OUT_D] * sizes[OUT_H] * sizes[OUT_W], sizes[HEIGHT]
    line = 0
    while line < rows * high:
        d, h = line // high, line % high
        count = min(TILE_VECTORS, rows - d if high == 1 else high - h)
        place = frame + (d * sizes[EXTENT_H] + h) * sizes[EXTENT_W]
        line_at = out_at + out_place(sizes, d, h, 0)
        for strip in range(sizes[STRIPS]):
            top = strip * height
            n, there = min(height, sizes[ROWS] - top), line_at + top * plane
            if biased:
                for j in range(count):
                    start_rows(bias, bias_at + top, out, there + j * out_row, plane, n, wide)
            multiply_lines(
                tile, strips, strips_at + top * depth, 1, height,
                space, place, row, offsets, offsets_at, depth,
                biased, relu, out, there, plane, out_row, n, count, wide,
            )  # fmt: skip
        line += count


@register_jitable
def _spread_flat(sizes, first, columns, high, wide, space, results, width, out, out_at):
    """Write the results of ``columns`` elements of a frame from ``first`` on: those of pixels."""
    row, w = first // sizes[EXTENT_W], first % sizes[EXTENT_W]
    d, h = row // sizes[EXTENT_H], row % sizes[EXTENT_H]
    column = 0
    while column < columns:
        if w < wide and h < high:
            count = min(wide - w, columns - column)
            place = out_at + out_place(sizes, d, h, w)
            spread(space, results + column, width, sizes, count, out, place)
        column += sizes[EXTENT_W] - w
        w, h = 0, h + 1
        if h == sizes[EXTENT_H]:
            d, h = d + 1, 0


@register_jitable
def direct_phase(
    tile, strips, strips_at, bias, bias_at, biased, relu, sizes, offsets, offsets_at, depth,
    rows, high, wide, space, frame, results, out, out_at,
):  # fmt: skip
    """All pixels of a phase, straight from the frame: row by row, or all as if they were one."""
    width = _tile_width(sizes, out)
    flat, dense = sizes[MODE] == FLAT, sizes[DENSE]
    plane = sizes[OUT_D] * sizes[OUT_H] * sizes[OUT_W]
    lines, length = rows * high, wide
    if flat:
        lines = 1
        if dense and wide == sizes[EXTENT_W] and high == sizes[EXTENT_H]:
            flat = False  # the frame has no more than the pixels
        length += ((rows - 1) * sizes[EXTENT_H] + high - 1) * sizes[EXTENT_W]
    if dense and not flat and sizes[ROWS] == 1:
        _only_channel(
            strips, strips_at, bias[bias_at] if biased else out.dtype.type(0), relu, sizes, offsets,
            offsets_at, depth, rows, high, wide, space, frame, out, out_at,
        )  # fmt: skip
        return
    if sizes[MODE] == TOGETHER:
        _lines_together(
            tile, strips, strips_at, bias, bias_at, biased, relu, sizes, offsets, offsets_at, depth,
            rows, high, wide, space, frame, out, out_at,
        )  # fmt: skip
        return
    for line in range(lines):
        d, h = line // high, line % high
        place = frame + (d * sizes[EXTENT_H] + h) * sizes[EXTENT_W]
        line_at = out_at + out_place(sizes, d, h, 0)
        for first in range(0, length, width):
            columns = min(width, length - first)
            if dense and not flat:
                _multiply_strips(
                    tile, strips, strips_at, bias, bias_at, biased, relu, sizes, offsets,
                    offsets_at, depth, space, place + first, out, line_at + first, plane, columns,
                )  # fmt: skip
                continue
            _multiply_strips(
                tile, strips, strips_at, bias, bias_at, biased, relu, sizes, offsets,
                offsets_at, depth, space, place + first, space, results, width, columns,
            )  # fmt: skip
            if flat:
                _spread_flat(sizes, first, columns, high, wide, space, results, width, out, out_at)
            else:
                there = line_at + first * sizes[STEP_W]
                spread(space, results, width, sizes, columns, out, there)
