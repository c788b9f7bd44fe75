"""Convolutions of volumes (N, C, D, H, W), and the gradient of their input, on our register tile.

Rows of a product are output channels, columns output pixels, and its depth are channels and taps.
A band of the source is copied into a frame in cache, where a tap of a run of output pixels is a run
of elements (see ``_windows``). A panel of as many output pixels as a tile is wide, across rows of
the image, is packed from there tap by tap, and meets all output channels. The matrix of all windows
is never stored.

The gradient of the input is the same product: the gradient of the output with the weight turned, by
phases where there is a stride. That is what a transposed convolution computes, too.

Every element is one chain of fused multiply-adds, whatever the threads do.
"""

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel, scratch
from ._record import contiguous, empty
from ._simd import lanes, load, read, splat, store, write, zeros
from ._threads import policy
from ._tile import (
    TILE_VECTORS,
    TILE_WIDTH_BYTES,
    multiply_tile,
    tile_address,
    tile_lanes,
)
from ._windows import plan

__all__ = ["conv_forward", "conv_input_grad"]

_DEPTH = 256  # k-block of a panel: two thirds of the L1 cache, while strips of weights pass by
_BLOCKS = 4  # blocks of items for each thread
_SLACK = 64  # elements after a frame or a panel that vectors may reach
_NS_STEP, _NS_COPY = 1 / 70, 0.3

# Places in a plan's ``sizes``
(
    IMAGES, GROUPS, CHANNELS, ROWS, SOURCE_D, SOURCE_H, SOURCE_W, STRIDE_D, STRIDE_H, STRIDE_W,
    LOW_D, LOW_H, LOW_W, PARTS_D, PARTS_H, PARTS_W, EXTENT_D, EXTENT_H, EXTENT_W, BAND, BANDS,
    STRIPS, HEIGHT, OUT_D, OUT_H, OUT_W, STEP_D, STEP_H, STEP_W, DENSE,
) = range(30)  # fmt: skip
# and in a row of its ``phases``
COUNT_D, COUNT_H, COUNT_W, PLACE, TAPS, OFFSETS, WEIGHTS, CHOSEN = range(8)


@kernel
def _arrange(start, stop, weight, sizes, phases, taps, steps, strips):
    """Strips ``start`` to ``stop`` of the weights: for each step of depth, a row's weights.

    steps   distances in ``weight`` between groups, between rows, and between channels
    """
    many, height = sizes[STRIPS], sizes[HEIGHT]
    of_phase = sizes[GROUPS] * many
    for number in range(start, stop):
        phase, inside = number // of_phase, number % of_phase
        group, strip = inside // many, inside % many
        count, first = phases[phase, TAPS], phases[phase, CHOSEN]
        rows = min(height, sizes[ROWS] - strip * height)
        at = phases[phase, WEIGHTS] + inside * sizes[CHANNELS] * count * height
        for i in range(rows):
            row = group * steps[0] + (strip * height + i) * steps[1]
            target = at + i
            for c in range(sizes[CHANNELS]):
                for t in range(count):
                    strips[target] = weight[row + c * steps[2] + taps[first + t]]
                    target += height


@register_jitable
def _clear(x, at, count):
    lane = lanes(x)
    for i in range(0, count, lane):
        write(x, at + i, min(lane, count - i), zeros(x))


@register_jitable
def _copy_row(x, source, first, step, limit, space, at, count):
    """``count`` elements of a row of ``limit``, from its place ``first`` on; zeros outside."""
    begin = 0 if first >= 0 else min(count, (step - 1 - first) // step)
    end = max(begin, min(count, (limit - first + step - 1) // step))
    _clear(space, at, begin)
    _clear(space, at + end, count - end)
    if step == 1:
        lane = lanes(x)
        for i in range(begin, end, lane):
            n = min(lane, end - i)
            write(space, at + i, n, read(x, source + first + i, n))
    else:
        for i in range(begin, end):
            space[at + i] = x[source + first + i * step]


@register_jitable
def _fill_frame(x, source, sizes, top, space, frame):
    """Copy the source's rows for a band that begins at output row ``top``; see ``_windows``."""
    plane = sizes[SOURCE_H] * sizes[SOURCE_W]
    wide = sizes[EXTENT_W]
    at = frame
    for c in range(sizes[CHANNELS]):
        for part_d in range(sizes[PARTS_D]):
            for part_h in range(sizes[PARTS_H]):
                for part_w in range(sizes[PARTS_W]):
                    for i in range(sizes[EXTENT_D]):
                        d = sizes[LOW_D] + (top + i) * sizes[STRIDE_D] + part_d
                        for j in range(sizes[EXTENT_H]):
                            h = sizes[LOW_H] + j * sizes[STRIDE_H] + part_h
                            if 0 <= d < sizes[SOURCE_D] and 0 <= h < sizes[SOURCE_H]:
                                row = source + c * sizes[SOURCE_D] * plane + d * plane
                                _copy_row(
                                    x, row + h * sizes[SOURCE_W], sizes[LOW_W] + part_w,
                                    sizes[STRIDE_W], sizes[SOURCE_W], space, at, wide,
                                )  # fmt: skip
                            else:
                                _clear(space, at, wide)
                            at += wide


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
    """Copy rows ``first`` on of a panel. A run's last vector reaches into what comes after it."""
    lane = lanes(space)
    for k in range(steps):
        source, target = frame + offsets[first + k], panel + k * width
        for r in range(runs_at, runs_at + 3 * number, 3):
            place, column = source + runs[r], target + runs[r + 1]
            for i in range(0, runs[r + 2], lane):
                store(space, column + i, load(space, place + i))


@register_jitable
def _start_rows(bias, first, c, c_at, c_row, rows, columns):
    """Rows of C begin with their bias."""
    lane = lanes(c)
    for i in range(rows):
        value = splat(c, bias[first + i])
        for j in range(0, columns, lane):
            write(c, c_at + i * c_row + j, min(lane, columns - j), value)


@register_jitable
def _scatter(space, at, width, rows, first, count, high, wide, sizes, out, out_at):
    """Write a panel's pixels, which are not next to each other in the result."""
    plane = sizes[OUT_D] * sizes[OUT_H] * sizes[OUT_W]
    for column in range(count):
        row, w = (first + column) // wide, (first + column) % wide
        place = row // high * sizes[STEP_D] * sizes[OUT_H] + row % high * sizes[STEP_H]
        place = out_at + place * sizes[OUT_W] + w * sizes[STEP_W]
        for i in range(rows):
            out[place + i * plane] = space[at + i * width + column]


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
    source_plane = sizes[SOURCE_D] * sizes[SOURCE_H] * sizes[SOURCE_W]
    for block in range(start, stop):
        frame = block * size
        panel = frame + frame_size
        results = panel + (_DEPTH * width + _SLACK)
        for item in range(items * block // blocks, items * (block + 1) // blocks):
            owner, top = item // bands, item % bands * band_rows
            group = owner % groups
            _fill_frame(x, owner * sizes[CHANNELS] * source_plane, sizes, top, space, frame)
            for f in range(len(phases)):
                phase = phases[f]
                high, wide = phase[COUNT_H], phase[COUNT_W]
                depth = sizes[CHANNELS] * phase[TAPS]
                pixels = min(band_rows, phase[COUNT_D] - top) * high * wide
                at = owner * sizes[ROWS] * plane + phase[PLACE]
                at += top * sizes[STEP_D] * sizes[OUT_H] * sizes[OUT_W]
                strips_at = phase[WEIGHTS] + group * sizes[STRIPS] * sizes[HEIGHT] * depth
                for first in range(0, pixels, width):
                    _panel(
                        tile, strips, strips_at, bias, group * sizes[ROWS], biased, relu, sizes,
                        offsets, phase[OFFSETS], depth, high, wide, first,
                        min(width, pixels - first), space, frame, panel, results, runs, block * 3 * width, out, at,
                    )  # fmt: skip


@register_jitable
def _panel(
    tile, strips, strips_at, bias, bias_at, biased, relu, sizes, offsets, offsets_at, depth,
    high, wide, first, columns, space, frame, panel, results, runs, runs_at, out, out_at,
):  # fmt: skip
    """All output channels of some output pixels."""
    width = TILE_VECTORS * tile_lanes(out)
    plane = sizes[OUT_D] * sizes[OUT_H] * sizes[OUT_W]
    rows, height = sizes[ROWS], sizes[HEIGHT]
    number = _find_runs(runs, runs_at, first, columns, high, wide, sizes)
    dense = sizes[DENSE]
    c_at, c_row = (out_at + first, plane) if dense else (results, width)
    c = out if dense else space
    for k in range(0, max(1, depth), _DEPTH):
        steps = min(_DEPTH, depth - k)
        _pack(space, frame, panel, width, offsets, offsets_at + k, steps, runs, runs_at, number)
        for strip in range(sizes[STRIPS]):
            top = strip * height
            n = min(height, rows - top)
            there = c_at + top * c_row
            if biased and k == 0:
                _start_rows(bias, bias_at + top, c, there, c_row, n, columns)
            multiply_tile(
                tile, strips, strips_at + strip * height * depth + k * height, 1, height,
                space, panel, width, space, 0, 0, steps,
                biased or k > 0, c, there, c_row, relu and k + steps == depth,
                c, there, c_row, n, columns,
            )  # fmt: skip
    if not dense:
        _scatter(space, results, width, rows, first, columns, high, wide, sizes, out, out_at)


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
        count, weight.size * 1.5, weight.ravel(), made.sizes, made.phases, made.taps, steps, strips
    )
    biased = bias is not None
    width = TILE_WIDTH_BYTES // x.itemsize
    rows = int(made.sizes[STRIPS] * made.sizes[HEIGHT])
    frame = -(-(made.frame + _SLACK) // 16) * 16
    size = frame + _DEPTH * width + _SLACK + (0 if made.sizes[DENSE] else rows * width)
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
