"""Convolutions of volumes (N, C, D, H, W), and the gradient of their input, on our register tile.

Rows of a product are output channels, columns output pixels, and its depth are channels and taps.
A band of the source is copied into a frame in cache, where a tap of a run of output pixels is a run
of elements (see ``_windows``). Of three ways from there, the one that takes the fewest cycles by an
estimate is gone:

    packed   a panel of as many output pixels as a tile is wide, across lines of the image, is
             packed tap by tap, and meets all output channels
    flat     tiles read the frame itself, through a table of taps, as if it were one long line;
             what they compute between two lines is dropped
    lines    the same line by line; depthwise without tiles

The matrix of all windows is never stored.

The gradient of the input is the same product: the gradient of the output with the weight turned, by
phases where there is a stride. That is what a transposed convolution computes, too.

Every element is one chain of fused multiply-adds, whatever the threads do.
"""

import numpy as np
from numba.extending import register_jitable

from ._frame import (
    BAND,
    BANDS,
    CHANNELS,
    CHOSEN,
    COUNT_D,
    COUNT_H,
    COUNT_W,
    DENSE,
    EXTENT_H,
    EXTENT_W,
    GROUPS,
    HEIGHT,
    MODE,
    OFFSETS,
    OUT_D,
    OUT_H,
    OUT_W,
    PLACE,
    ROWS,
    SOURCE_D,
    SOURCE_H,
    SOURCE_W,
    STEP_D,
    STEP_H,
    STEP_W,
    STRIPS,
    TAPS,
    WEIGHTS,
    clear,
    fill_frame,
)  # fmt: skip
from ._jit import kernel, scratch
from ._record import contiguous, empty
from ._simd import (
    fma,
    lanes,
    load,
    maximum,
    read,
    splat,
    store,
    store_part,
    turn_block,
    write,
    zeros,
)
from ._threads import policy
from ._tile import (
    TILE_VECTORS,
    TILE_WIDTH_BYTES,
    WIDE_ROWS,
    WIDE_VECTORS,
    multiply_lines,
    multiply_taps,
    multiply_tile,
    tile_address,
    tile_lanes,
)
from ._windows import FLAT, PACKED, TOGETHER, plan

__all__ = ["conv_forward", "conv_input_grad"]

_DEPTH = 256  # k-block of a panel: two thirds of the L1 cache, while strips of weights pass by
_BLOCKS = 4  # blocks of items for each thread
_SLACK = 64  # elements after a frame or a panel that vectors may reach
_NS_STEP, _NS_COPY = 1 / 70, 0.3


@kernel
def _arrange(start, stop, weight, sizes, phases, taps, steps, strips):
    """Strips ``start`` to ``stop`` of the weights: for each step of depth, a row's weights.

    steps   distances in ``weight`` between groups, between rows, and between channels
    """
    many, height = sizes[STRIPS], sizes[HEIGHT]
    of_phase, lane = sizes[GROUPS] * many, lanes(weight)
    for number in range(start, stop):
        phase, inside = number // of_phase, number % of_phase
        group, strip = inside // many, inside % many
        count, first = phases[phase, TAPS], phases[phase, CHOSEN]
        if count == 0:
            continue
        rows = min(height, sizes[ROWS] - strip * height)
        at = phases[phase, WEIGHTS] + inside * sizes[CHANNELS] * count * height
        source = group * steps[0] + strip * height * steps[1] + taps[first]
        in_a_row = taps[first + count - 1] - taps[first] == count - 1
        channels, run = sizes[CHANNELS], count
        if in_a_row and steps[2] == count:
            channels, run = 1, count * sizes[CHANNELS]
        for _ in range(channels):
            if in_a_row:
                for k in range(0, run, lane):
                    for i in range(0, rows, lane):
                        turn_block(
                            weight, source + i * steps[1] + k, steps[1],
                            strips, at + k * height + i, height,
                            min(lane, rows - i), min(lane, run - k),
                        )  # fmt: skip
            else:
                for t in range(count):
                    place = source - taps[first] + taps[first + t]
                    for i in range(rows):
                        strips[at + t * height + i] = weight[place + i * steps[1]]
            source += steps[2]
            at += run * height


@register_jitable
def _start_rows(bias, first, c, c_at, c_row, rows, columns):
    """Rows of C begin with their bias."""
    lane = lanes(c)
    for i in range(rows):
        value = splat(c, bias[first + i])
        for j in range(0, columns, lane):
            write(c, c_at + i * c_row + j, min(lane, columns - j), value)


# ------------------------------------------------------------------ packed panels


@register_jitable
def _find_runs(runs, runs_at, first, count, high, wide, sizes):
    """Cut ``count`` output pixels into runs along rows; returns how many.

    Of each, ``runs`` gets its place in the frame, its column in the panel, and its length.
    """
    number, column = 0, 0
    while column < count:
        row, w = (first + column) // wide, (first + column) % wide
        length = min(wide - w, count - column)
        at = runs_at + 3 * number
        place = (row // high * sizes[EXTENT_H] + row % high) * sizes[EXTENT_W] + w
        runs[at], runs[at + 1], runs[at + 2] = place, column, length
        column += length
        number += 1
    return number


@register_jitable
def _pack(space, frame, panel, width, offsets, first, steps, runs, runs_at, number):
    """Copy rows ``first`` on of a panel, run by run.

    All but the last run's vectors may reach into the columns after it, which come later.
    """
    lane = lanes(space)
    for r in range(number):
        at = runs_at + 3 * r
        source, target, length = frame + runs[at], panel + runs[at + 1], runs[at + 2]
        if r < number - 1:
            for i in range(0, length, lane):
                for k in range(steps):
                    place = source + offsets[first + k] + i
                    store(space, target + k * width + i, load(space, place))
        else:
            for i in range(0, length, lane):
                n = min(lane, length - i)
                for k in range(steps):
                    place = source + offsets[first + k] + i
                    store_part(space, target + k * width + i, n, load(space, place))


@register_jitable
def _packed_panel(
    tile, strips, strips_at, bias, bias_at, biased, relu, sizes, offsets, offsets_at, depth,
    high, wide, first, columns, space, frame, panel, results, runs, runs_at, out, out_at,
):  # fmt: skip
    """All output channels of ``columns`` output pixels, by a panel of their taps."""
    width = TILE_VECTORS * tile_lanes(out)
    plane = sizes[OUT_D] * sizes[OUT_H] * sizes[OUT_W]
    number = _find_runs(runs, runs_at, first, columns, high, wide, sizes)
    dense, height = sizes[DENSE], sizes[HEIGHT]
    c_at, c_row = (out_at + first, plane) if dense else (results, width)
    c = out if dense else space
    for k in range(0, max(1, depth), _DEPTH):
        steps = min(_DEPTH, depth - k)
        _pack(space, frame, panel, width, offsets, offsets_at + k, steps, runs, runs_at, number)
        for strip in range(sizes[STRIPS]):
            top = strip * height
            n, there = min(height, sizes[ROWS] - top), c_at + top * c_row
            if biased and k == 0:
                _start_rows(bias, bias_at + top, c, there, c_row, n, columns)
            multiply_tile(
                tile, strips, strips_at + strip * height * depth + k * height, 1, height,
                space, panel, width, space, 0, 0, steps,
                biased or k > 0, c, there, c_row, relu and k + steps == depth,
                c, there, c_row, n, columns,
            )  # fmt: skip
    if not dense:
        for r in range(number):
            at = runs_at + 3 * r
            column = runs[at + 1]
            row, w = (first + column) // wide, (first + column) % wide
            place = out_at + _out_place(sizes, row // high, row % high, w)
            _spread(space, results + column, width, sizes, runs[at + 2], out, place)


# ------------------------------------------------------------------ straight from the frame


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
            _start_rows(bias, bias_at + top, c, there, c_row, n, columns)
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
    """The only output channel of a band, as of a depthwise convolution, without tiles."""
    row, out_row = _line_distances(sizes, high)
    line = 0
    while line < rows * high:
        d, h = line // high, line % high
        count = min(4, rows - d if high == 1 else high - h)
        place = frame + (d * sizes[EXTENT_H] + h) * sizes[EXTENT_W]
        _rows_of_one(
            strips, strips_at, bias, relu, offsets, offsets_at, depth, space, place, row,
            out, out_at + _out_place(sizes, d, h, 0), out_row, wide, count,
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
        line_at = out_at + _out_place(sizes, d, h, 0)
        for strip in range(sizes[STRIPS]):
            top = strip * height
            n, there = min(height, sizes[ROWS] - top), line_at + top * plane
            if biased:
                for j in range(count):
                    _start_rows(bias, bias_at + top, out, there + j * out_row, plane, n, wide)
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
            place = out_at + _out_place(sizes, d, h, w)
            _spread(space, results + column, width, sizes, count, out, place)
        column += sizes[EXTENT_W] - w
        w, h = 0, h + 1
        if h == sizes[EXTENT_H]:
            d, h = d + 1, 0


# ------------------------------------------------------------------ items


@register_jitable
def _out_place(sizes, d, h, w):
    """Where a phase's output pixel is in the result, counted from the phase's first."""
    row = d * sizes[STEP_D] * sizes[OUT_H] + h * sizes[STEP_H]
    return row * sizes[OUT_W] + w * sizes[STEP_W]


@register_jitable
def _spread(space, at, width, sizes, count, out, place):
    """Write a run of all output channels' results to where it belongs."""
    plane = sizes[OUT_D] * sizes[OUT_H] * sizes[OUT_W]
    step, lane = sizes[STEP_W], lanes(out)
    for i in range(sizes[ROWS]):
        source, target = at + i * width, place + i * plane
        if step == 1:
            for k in range(0, count, lane):
                n = min(lane, count - k)
                write(out, target + k, n, read(space, source + k, n))
        else:
            for k in range(count):
                out[target + k * step] = space[source + k]


@kernel(chunks=1)
def _convolve(
    start, stop, tile, x, strips, bias, biased, relu, sizes, phases, offsets, out, space, size,
    frame_size, runs, items, blocks,
):  # fmt: skip
    """Blocks ``start`` to ``stop`` of items, an item being a band of a group of an image.

    space   ``size`` elements for each block: the frame, a panel, and a panel of results
    runs    space for the runs of a panel, for each block
    """
    width = TILE_VECTORS * tile_lanes(out)
    bands, groups, band_rows = sizes[BANDS], sizes[GROUPS], sizes[BAND]
    plane = sizes[OUT_D] * sizes[OUT_H] * sizes[OUT_W]
    volume = sizes[SOURCE_D] * sizes[SOURCE_H] * sizes[SOURCE_W]
    for block in range(start, stop):
        frame = block * size
        panel = frame + frame_size
        results = panel + (_DEPTH * width if sizes[MODE] == PACKED else 0)
        clear(space, frame, frame_size)
        for item in range(items * block // blocks, items * (block + 1) // blocks):
            owner, top = item // bands, item % bands * band_rows
            group = owner % groups
            fill_frame(x, owner * sizes[CHANNELS] * volume, sizes, top, space, frame)
            for f in range(len(phases)):
                phase = phases[f]
                high, wide = phase[COUNT_H], phase[COUNT_W]
                rows = min(band_rows, phase[COUNT_D] - top)
                depth = sizes[CHANNELS] * phase[TAPS]
                at = owner * sizes[ROWS] * plane + phase[PLACE] + _out_place(sizes, top, 0, 0)
                strips_at = phase[WEIGHTS] + group * sizes[STRIPS] * sizes[HEIGHT] * depth
                if sizes[MODE] == PACKED:
                    pixels = rows * high * wide
                    for first in range(0, pixels, width):
                        _packed_panel(
                            tile, strips, strips_at, bias, group * sizes[ROWS], biased, relu,
                            sizes, offsets, phase[OFFSETS], depth, high, wide, first,
                            min(width, pixels - first), space, frame, panel, results, runs,
                            block * 3 * width, out, at,
                        )  # fmt: skip
                elif rows > 0:
                    _direct_phase(
                        tile, strips, strips_at, bias, group * sizes[ROWS], biased, relu, sizes,
                        offsets, phase[OFFSETS], depth, rows, high, wide, space, frame, results,
                        out, at,
                    )  # fmt: skip


@register_jitable
def _direct_phase(
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
        line_at = out_at + _out_place(sizes, d, h, 0)
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
                _spread(space, results, width, sizes, columns, out, there)


def _volume(x, weight, bias, out, options, backward, relu=False):
    """Fill ``out`` with the product of a source and a weight; see ``_windows``."""
    if not out.size:
        return out
    stride, low, dilation, groups = options
    x, weight = contiguous(x), contiguous(weight)
    made = plan(
        x.shape, weight.shape, out.shape, stride, low, dilation, groups, backward, x.itemsize
    )
    window = weight[0, 0].size if weight.size else 0
    each = weight.shape[1] * window  # of one of the weight's first channels
    per_group = weight.shape[0] // groups * each
    steps = (per_group, window, each) if backward else (per_group, each, window)
    strips = empty(max(1, made.weights), x.dtype)
    count = len(made.phases) * groups * int(made.sizes[STRIPS])
    _arrange(
        count, weight.size * 0.5, weight.ravel(), made.sizes, made.phases, made.taps, steps, strips
    )
    biased = bias is not None
    packed, dense = made.sizes[MODE] == PACKED, made.sizes[DENSE] and made.sizes[MODE] != FLAT
    width = (1 if packed else 4) * TILE_WIDTH_BYTES // x.itemsize
    rows = int(made.sizes[STRIPS] * made.sizes[HEIGHT])
    frame = -(-(made.frame + _SLACK) // 16) * 16
    size = frame + (_DEPTH * width if packed else 0) + (0 if dense else rows * width) + _SLACK
    blocks = min(made.items, _BLOCKS * policy.threads)
    work = made.steps * _NS_STEP + _NS_COPY * (made.items * made.frame + out.size)
    _convolve(
        blocks, work, tile_address(x.dtype), x.ravel(), strips, bias if biased else strips, biased,
        relu, made.sizes, made.phases, made.offsets, out.ravel(), scratch(blocks * size, x.dtype),
        size, frame, scratch(blocks * 3 * width, np.int64), made.items, blocks,
    )  # fmt: skip
    return out


def conv_forward(x, weight, bias, stride, low, dilation, groups, size, relu=False):
    """``out[n, o, p] = bias[o] + Σ weight[o, c, k] · x[n, c, p · stride + k · dilation - low]``

    x (N, C, D, H, W), zero outside; weight (out, C / groups, D, H, W); out's pixels have ``size``,
    and with ``relu``, what is below 0 becomes 0.
    """
    out = empty((x.shape[0], weight.shape[0], *size), x.dtype)
    return _volume(x, weight, bias, out, (stride, low, dilation, groups), False, relu)


def conv_input_grad(grad, weight, bias, stride, low, dilation, groups, size):
    """The adjoint of ``conv_forward`` in x, whose pixels have ``size``, and a bias of x's channels.

    Also what a transposed convolution computes.
    """
    out = empty((grad.shape[0], weight.shape[1] * groups, *size), grad.dtype)
    return _volume(grad, weight, bias, out, (stride, low, dilation, groups), True)
