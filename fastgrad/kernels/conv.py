"""Convolutions of volumes (N, C, D, H, W), and the gradient of their input, on our register tile.

Rows of a product are output channels, columns output pixels, and its depth are channels and taps.
A band of the source is copied into a frame in cache, where a tap of a run of output pixels is a run
of elements (see ``_windows``). Of four ways from there, an estimate of cycles picks one:

    packed   a panel of as many output pixels as a tile is wide, across lines of the image, is
             packed tap by tap, and meets all output channels; where windows have one element, it
             is packed from the source, without a frame
    flat     tiles read the frame itself, through a table of taps, as if it were one long line;
             what they compute between two lines is dropped
    lines    the same line by line; one output channel without tiles
    together a few short lines at once, each a vector of the tile

The matrix of all windows is never stored. Depthwise convolutions read the source itself, see
``_conv_depthwise``.

The gradient of the input is the same product: the gradient of the output with the weight turned, by
phases where there is a stride. That is what a transposed convolution computes, too.

Every element is one chain of fused multiply-adds, whatever the threads do. Where it pays, windows
of 3 x 3 pixels go another way, with fewer multiplications: see ``_conv_winograd``.
"""

import numpy as np
from numba.extending import register_jitable

from ._conv_depthwise import depthwise, is_depthwise
from ._conv_direct import direct_phase
from ._conv_winograd import convolve_winograd
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
    IN_PLACE,
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
    STRIPS,
    TAPS,
    WEIGHTS,
    fill_frame,
    out_place,
    spread,
    start_rows,
)
from ._jit import kernel, scratch
from ._record import contiguous, empty
from ._runs import copy_run, fill_run
from ._simd import lanes, load, prefetch, store, store_part, turn_block
from ._threads import policy
from ._tile import TILE_VECTORS, TILE_WIDTH_BYTES, multiply_tile, tile_address, tile_lanes
from ._windows import FLAT, PACKED, plan
from ._winograd import winograd_plan

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

    Vectors may reach into the columns after their run, which come later, not into the next row.
    """
    lane = lanes(space)
    for r in range(number):
        at = runs_at + 3 * r
        column, length = runs[at + 1], runs[at + 2]
        source, target = frame + runs[at], panel + column
        for i in range(0, length, lane):
            if column + i + lane <= width:
                for k in range(steps):
                    place = source + offsets[first + k] + i
                    store(space, target + k * width + i, load(space, place))
            else:
                n = min(lane, length - i)
                for k in range(steps):
                    place = source + offsets[first + k] + i
                    store_part(space, target + k * width + i, n, load(space, place))


@register_jitable
def _packed_panel(
    tile, strips, strips_at, bias, bias_at, biased, relu, sizes, offsets, offsets_at, depth, k,
    high, wide, first, columns, x, source, space, frame, panel, results, runs, runs_at, out, out_at,
):  # fmt: skip
    """All output channels of ``columns`` output pixels, by a panel of their taps from ``k`` on."""
    width = TILE_VECTORS * tile_lanes(out)
    plane = sizes[OUT_D] * sizes[OUT_H] * sizes[OUT_W]
    in_place, dense, height = sizes[IN_PLACE], sizes[DENSE], sizes[HEIGHT]
    number = 0 if in_place else _find_runs(runs, runs_at, first, columns, high, wide, sizes)
    c_at, c_row = (out_at + first, plane) if dense else (results, width)
    c = out if dense else space
    steps = min(_DEPTH, depth - k)
    if in_place:
        for i in range(steps):
            at = source + offsets[offsets_at + k + i] + first
            copy_run(x, at, space, panel + i * width, columns)
            prefetch(x, at + width)  # the next panel's, while tiles compute
            prefetch(x, at + width + width // 2)
    else:
        _pack(space, frame, panel, width, offsets, offsets_at + k, steps, runs, runs_at, number)
    for strip in range(sizes[STRIPS]):
        top = strip * height
        n, there = min(height, sizes[ROWS] - top), c_at + top * c_row
        if biased and k == 0:
            start_rows(bias, bias_at + top, c, there, c_row, n, columns)
        multiply_tile(
            tile, strips, strips_at + strip * height * depth + k * height, 1, height,
            space, panel, width, space, 0, 0, steps,
            biased or k > 0, c, there, c_row, relu and k + steps == depth,
            c, there, c_row, n, columns,
        )  # fmt: skip
    if not dense and k + steps == depth:
        for r in range(number):
            at = runs_at + 3 * r
            column = runs[at + 1]
            row, w = (first + column) // wide, (first + column) % wide
            place = out_at + out_place(sizes, row // high, row % high, w)
            spread(space, results + column, width, sizes, runs[at + 2], out, place)


# ------------------------------------------------------------------ items


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
        fill_run(space, frame, frame_size, 0.0)
        for item in range(items * block // blocks, items * (block + 1) // blocks):
            owner, top = item // bands, item % bands * band_rows
            group = owner % groups
            source = owner * sizes[CHANNELS] * volume
            if sizes[IN_PLACE]:
                source += top * sizes[SOURCE_H] * sizes[SOURCE_W]
            else:
                fill_frame(x, source, sizes, top, space, frame)
            for f in range(len(phases)):
                high, wide, offsets_at = phases[f, COUNT_H], phases[f, COUNT_W], phases[f, OFFSETS]
                rows = min(band_rows, phases[f, COUNT_D] - top)
                depth = sizes[CHANNELS] * phases[f, TAPS]
                at = owner * sizes[ROWS] * plane + phases[f, PLACE] + out_place(sizes, top, 0, 0)
                strips_at = phases[f, WEIGHTS] + group * sizes[STRIPS] * sizes[HEIGHT] * depth
                if sizes[MODE] == PACKED:
                    pixels = rows * high * wide
                    together = pixels if sizes[DENSE] else width  # whose sums are under way at once
                    for begin in range(0, pixels, together):
                        for k in range(0, max(1, depth), _DEPTH):
                            for first in range(begin, min(pixels, begin + together), width):
                                _packed_panel(
                                    tile, strips, strips_at, bias, group * sizes[ROWS], biased,
                                    relu, sizes, offsets, offsets_at, depth, k, high, wide,
                                    first, min(width, pixels - first), x, source, space, frame,
                                    panel, results, runs, block * 3 * width, out, at,
                                )  # fmt: skip
                elif rows > 0:
                    direct_phase(
                        tile, strips, strips_at, bias, group * sizes[ROWS], biased, relu, sizes,
                        offsets, offsets_at, depth, rows, high, wide, space, frame, results,
                        out, at,
                    )  # fmt: skip


def _volume(x, weight, bias, out, options, backward, relu=False):
    """Fill ``out`` with the product of a source and a weight; see ``_windows``."""
    if not out.size:
        return out
    stride, low, dilation, groups = options
    x, weight = contiguous(x), contiguous(weight)
    if is_depthwise(x.shape, weight.shape, groups, stride, backward):
        depthwise(x, weight, bias, out, options, backward, relu)
        return out
    window = weight[0, 0].size if weight.size else 0
    each = weight.shape[1] * window  # of one of the weight's first channels
    per_group = weight.shape[0] // groups * each
    steps = (per_group, window, each) if backward else (per_group, each, window)
    given = x.shape, weight.shape, out.shape, stride, low, dilation, groups, backward, x.itemsize
    fast = winograd_plan(*given, policy.threads)
    if fast:
        return convolve_winograd(fast, x, weight, bias, steps, backward, relu, out)
    made = plan(*given)
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
