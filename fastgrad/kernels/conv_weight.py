"""The gradient of a convolution's weight, on the register tile.

Rows of the product are output channels, its depth are output pixels, and columns are the elements
of a window. Of three ways, an estimate of cycles picks one:

    turned   a band of the input is turned to channels last once, in cache, so that what a pixel's
             window has in one row of the kernel is one run of elements
    packed   with few channels such runs would leave much of a tile's columns empty; panels of
             whole windows are packed from a frame that is not turned
    dots     with few elements of a window and few rows, see ``_conv_dots``; and depthwise
             convolutions have a way of their own, see ``_conv_depthwise``

Each part of a batch has a sum of its own, and these are added in order. Into how many parts a batch
is cut is a matter of shapes, not of threads: no bit depends on their number.
"""

from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np
from numba.extending import register_jitable

from . import _frame
from ._conv_depthwise import depthwise_weight_grad, is_depthwise
from ._conv_dots import DOT_BLOCK, DOT_ROWS, DOT_TAPS, sum_dots
from ._jit import kernel, scratch
from ._llvm import VECTOR_BYTES
from ._record import contiguous, empty
from ._runs import add_run, copy_run, fill_run
from ._simd import lanes, load, store_part, turn_block
from ._threads import policy
from ._tile import (
    TILE_ROWS,
    TILE_VECTORS,
    multiply_taps,
    multiply_tile,
    tile_address,
    tile_lanes,
)
from ._windows import plan

__all__ = ["conv_weight_grad"]

_DEPTH = 256  # pixels at a time: their windows' elements in a panel fill two thirds of L1
_STRIP = 16 * (_DEPTH + 16)  # elements of a strip of the gradient, rows skewed
_FRAME_BYTES = 1 << 19  # of a band turned to channels last
_PART_BYTES = 4 << 20  # of the sums of all parts of a batch
_DOT_BYTES = 1 << 15  # of a frame and lines of the gradient for dot products: two thirds of L1
_TOTAL_BYTES = 1 << 19  # of accumulators of dot products, so that they stay in the L2 cache
_PART_PIXELS = 1 << 12  # at least, so that the end of a sum does not count
_ITEMS = 16  # that threads share
_PACK_CYCLES = 2.5  # of a piece of a window in a panel
_NS_STEP, _NS_COPY = 1 / 60, 0.5

# Places in a plan's ``sizes``
(
    IMAGES, GROUPS, CHANNELS, ROWS, SOURCE_D, SOURCE_H, SOURCE_W, STRIDE_D, LOW_D, LOW_H, LOW_W,
    EXTENT_H, EXTENT_W, REACH, PIXELS_D, LAYER, BAND, PARTS, SPLITS, STRIPS, HEIGHT, RUN, WINDOW,
    TURNED,
) = range(24)  # fmt: skip


class _Plan(NamedTuple):
    """sizes, where each output pixel's window and each run of it begin, elements of a frame.

    cycles   of the tiles, for each pixel, by an estimate
    """

    sizes: np.ndarray
    pixels: np.ndarray
    runs: np.ndarray
    frame: int
    items: int
    cycles: float


def _places(counts, steps, extents):
    """Places in a frame of one channel of ``counts`` points, ``steps`` apart, along three axes."""
    d, h, w = (np.arange(n) * step for n, step in zip(counts, steps, strict=True))
    return ((d[:, None, None] * extents[0] + h[:, None]) * extents[1] + w).ravel().astype(np.int64)


def _cycles(run, height, lane):
    """Cycles of a strip's tiles over ``run`` columns, for a step of depth: work, or loads."""
    whole, rest = divmod(-(-run // lane), TILE_VECTORS)
    each = [max(height * v / 2, (height + v + 1) / 2, 4.0) for v in (TILE_VECTORS, rest)]
    return whole * each[0] + (each[1] if rest else 0)


@lru_cache(maxsize=1024)
def _plan(x, grad, kernel, stride, low, dilation, groups, itemsize):
    pixels = grad[2:]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    extents = [(n - 1) * s + r for n, s, r in zip(pixels, stride, reach, strict=True)][1:]
    channels, rows = x[1] // groups, grad[1] // groups
    layer = extents[0] * extents[1]
    fit = max(1, _FRAME_BYTES // itemsize // max(1, layer * channels) - reach[0])
    band = max(1, min(pixels[0], fit // stride[0] + 1))
    strips = -(-rows // TILE_ROWS)
    height = -(-rows // strips)
    window = prod(kernel) * channels
    most = max(1, _PART_BYTES // max(1, grad[1] * window * itemsize))
    parts = min(x[0], most, -(-_ITEMS // groups))
    together = dilation[2] == 1  # then a row of the kernel is one run
    taps = _places((*kernel[:2], 1) if together else kernel, dilation, extents)
    run, lane = kernel[2] if together else 1, VECTOR_BYTES // itemsize
    frame = ((band - 1) * stride[0] + reach[0]) * layer
    pieces = len(taps) * channels + -(-window // (TILE_VECTORS * lane))
    cycles = [
        strips * _cycles(window, height, lane) + pieces * _PACK_CYCLES,
        strips * len(taps) * _cycles(run * channels, height, lane),
    ]
    turned = cycles[1] <= cycles[0]
    # a panel that was packed should meet a few strips
    splits = min(strips if turned else -(-strips // 3), -(-_ITEMS // (parts * groups)))
    places = _places((band, *pixels[1:]), stride, extents)
    if turned:
        places, taps, run = places * channels, taps * channels, run * channels
    else:
        taps = (np.arange(channels)[:, None] * frame + taps).ravel()
    sizes = [
        x[0], groups, channels, rows, *x[2:], stride[0], *(-a for a in low), *extents, reach[0],
        pixels[0], pixels[1] * pixels[2], band, parts, splits, strips, height, run, window, turned,
    ]  # fmt: skip
    return _Plan(
        np.array(sizes, np.int64), places, taps, frame * channels, parts * groups * splits,
        cycles[turned],
    )  # fmt: skip


@register_jitable
def _fill_frame(x, source, sizes, top, rows, space, frame):
    """Copy ``rows`` rows of the input from ``top`` on, channels last or each by itself.

    What is zero in every band's frame is zero already.
    """
    channels, width, wide, lane = sizes[CHANNELS], sizes[SOURCE_W], sizes[EXTENT_W], lanes(x)
    turned = sizes[TURNED] and channels > 1
    plane = sizes[SOURCE_H] * width
    volume = sizes[SOURCE_D] * plane
    before = min(wide, max(0, -sizes[LOW_W]))
    inside = min(width, wide - before)
    apart = ((sizes[BAND] - 1) * sizes[STRIDE_D] + sizes[REACH]) * sizes[EXTENT_H] * wide
    step, row = (channels, channels * wide) if turned else (1, wide)
    at = frame
    for d in range(sizes[LOW_D] + top, sizes[LOW_D] + top + rows):
        for h in range(sizes[LOW_H], sizes[LOW_H] + sizes[EXTENT_H]):
            there = 0 <= d < sizes[SOURCE_D] and 0 <= h < sizes[SOURCE_H]
            begin, place = at + before * step, source + d * plane + h * width
            if there and turned:
                for c in range(0, channels, lane):
                    for i in range(0, inside, lane):
                        turn_block(
                            x, place + c * volume + i, volume,
                            space, begin + i * channels + c, channels,
                            min(lane, channels - c), min(lane, inside - i),
                        )  # fmt: skip
            elif there:
                for c in range(channels):
                    copy_run(x, place + c * volume, space, begin + c * apart, inside)
            elif sizes[BAND] < sizes[PIXELS_D]:
                for c in range(1 if turned else channels):
                    fill_run(space, at + c * apart, row, 0.0)
            at += row


@register_jitable
def _copy_strips(grad, at, plane, rows, height, first, steps, space, target):
    """Copy ``steps`` pixels of rows of the gradient, a strip of rows each to ``_STRIP`` elements.

    Unmoved, rows a multiple of 4 KiB apart would all fall into one set of the L1 cache.
    """
    for i in range(rows):
        source = at + i * plane + first
        place = target + i // height * _STRIP + i % height * (_DEPTH + 16)
        copy_run(grad, source, space, place, steps)


@kernel(chunks=1)
def _sum_windows(start, stop, tile, grad, x, sizes, pixels, runs, sums, space, size, items, blocks):
    """Blocks ``start`` to ``stop`` of items: some output channels of a group, of a part of a batch.

    sums    (parts, out, window), the window channels last
    space   ``size`` elements for each block: strips of the gradient, a panel, then the frame
    """
    groups, splits, strips, height = sizes[GROUPS], sizes[SPLITS], sizes[STRIPS], sizes[HEIGHT]
    layer, deep, band = sizes[LAYER], sizes[PIXELS_D], sizes[BAND]
    plane, window = deep * layer, sizes[WINDOW]
    volume = sizes[CHANNELS] * sizes[SOURCE_D] * sizes[SOURCE_H] * sizes[SOURCE_W]
    for block in range(start, stop):
        strips_at = block * size
        panel = strips_at + (strips + splits - 1) // splits * _STRIP
        frame = panel + (0 if sizes[TURNED] else _DEPTH * TILE_VECTORS * lanes(x))
        fill_run(space, frame, strips_at + size - frame, 0.0)
        for item in range(items * block // blocks, items * (block + 1) // blocks):
            split, owner = item % splits, item // splits
            group, part = owner % groups, owner // groups
            first_row = strips * split // splits * height
            rows = min(sizes[ROWS], strips * (split + 1) // splits * height) - first_row
            sums_at = ((part * groups + group) * sizes[ROWS] + first_row) * window
            fresh = True
            begin = sizes[IMAGES] * part // sizes[PARTS]
            end = sizes[IMAGES] * (part + 1) // sizes[PARTS]
            for image in range(begin, end):
                one = image * groups + group
                for top in range(0, deep, band):
                    count = min(band, deep - top)
                    _fill_frame(
                        x, one * volume, sizes, top * sizes[STRIDE_D],
                        (count - 1) * sizes[STRIDE_D] + sizes[REACH], space, frame,
                    )  # fmt: skip
                    grad_at = (one * sizes[ROWS] + first_row) * plane + top * layer
                    for first in range(0, count * layer, _DEPTH):
                        steps = min(_DEPTH, count * layer - first)
                        _copy_strips(
                            grad, grad_at, plane, rows, height, first, steps, space, strips_at
                        )
                        if sizes[TURNED]:
                            _add_pixels(
                                tile, space, strips_at, rows, height, frame, pixels, first, steps,
                                runs, sizes[RUN], fresh, sums, sums_at, window,
                            )  # fmt: skip
                        else:
                            _add_panels(
                                tile, space, strips_at, rows, height, frame, pixels, first, steps,
                                runs, sizes[RUN], fresh, sums, sums_at, window, panel,
                            )  # fmt: skip
                        fresh = False


@register_jitable
def _add_pixels(
    tile, space, strips_at, rows, height, frame, pixels, first, steps, runs, run, fresh, sums,
    sums_at, window,
):  # fmt: skip
    """Add what some pixels contribute: panels of the window meet all strips of the gradient."""
    width = TILE_VECTORS * tile_lanes(space)
    for number in range(len(runs)):
        for left in range(0, run, width):
            for top in range(0, rows, height):
                c_at = sums_at + top * window + number * run + left
                multiply_taps(
                    tile, space, strips_at + top // height * _STRIP, _DEPTH + 16, 1,
                    space, frame + runs[number] + left, pixels, first, steps,
                    not fresh, sums, c_at, window, False, sums, c_at, window,
                    min(height, rows - top), min(width, run - left),
                )  # fmt: skip


@register_jitable
def _add_panels(
    tile, space, strips_at, rows, height, frame, pixels, first, steps, runs, run, fresh, sums,
    sums_at, window, panel,
):  # fmt: skip
    """The same where a panel of windows is packed first."""
    width = TILE_VECTORS * tile_lanes(space)
    for left in range(0, window, width):
        columns = min(width, window - left)
        column = 0
        while column < columns:
            number, inner = (left + column) // run, (left + column) % run
            count = min(run - inner, columns - column)
            source, target = frame + runs[number] + inner, panel + column
            for i in range(0, count, lanes(space)):
                n = min(lanes(space), count - i)
                for k in range(steps):
                    there = load(space, source + pixels[first + k] + i)
                    store_part(space, target + k * width + i, n, there)
            column += count
        for top in range(0, rows, height):
            c_at = sums_at + top * window + left
            multiply_tile(
                tile, space, strips_at + top // height * _STRIP, _DEPTH + 16, 1,
                space, panel, width, space, 0, 0, steps, not fresh, sums, c_at, window, False,
                sums, c_at, window, min(height, rows - top), columns,
            )  # fmt: skip


@kernel
def _add_parts(start, stop, sums, parts, channels, taps, out):
    """Rows ``start`` to ``stop`` of the weight (out, channels, taps): the sums of all parts."""
    window = channels * taps
    rows = out.size // window
    for row in range(start, stop):
        at = row * window
        for part in range(1, parts):
            source = (part * rows + row) * window
            add_run(sums, source, sums, at, window)
        for c in range(channels):
            for t in range(taps):
                out[at + c * taps + t] = sums[at + t * channels + c]


def _prefers_dots(rows, wide, reach, made, itemsize):
    """Whether dot products take fewer cycles for a pixel than tiles, by an estimate.

    wide, reach   pixels of a line, and what a line of the frame has more
    """
    window, lane = int(made.sizes[WINDOW]), VECTOR_BYTES // itemsize
    if rows * window * VECTOR_BYTES > _TOTAL_BYTES:
        return False
    blocks = -(-window // DOT_TAPS) * (0.6 if rows == 1 else -(-rows // DOT_ROWS))
    return blocks * DOT_BLOCK / 2 * (1 + reach / wide) / lane < 0.9 * made.cycles


def _by_dots(grad, x, shape, options):
    """The sums of each part of the batch, by dot products."""
    stride, groups = options[0], options[3]
    share = shape[1] * prod(stride)  # of a frame's lines, in lines of the gradient
    bytes_of_frame = _DOT_BYTES * share // (share + DOT_ROWS)
    made = plan(
        x.shape, shape, grad.shape, *options, False, x.itemsize, bytes_of_frame, 1, framed=True
    )
    lane, rows, window = VECTOR_BYTES // x.itemsize, shape[0] // groups, prod(shape[1:])
    strips = -(-rows // DOT_ROWS)
    pixels = grad.size // shape[0]
    parts = min(x.shape[0], -(-_ITEMS // groups), max(1, pixels // _PART_PIXELS))
    splits = min(strips, -(-_ITEMS // (parts * groups)))
    totals = -(-strips // splits) * -(-window // DOT_TAPS) * DOT_BLOCK * lane
    frame = -(-(made.frame + lane) // lane) * lane
    extents = (int(made.sizes[k]) for k in (_frame.BAND, _frame.EXTENT_H, _frame.EXTENT_W))
    line = -(-prod(extents) // lane) * lane + lane
    size = frame + DOT_ROWS * line + totals
    items = parts * groups * splits
    blocks = min(items, 4 * policy.threads)
    sums = empty((parts, prod(shape)), x.dtype)
    sum_dots(
        blocks, made.steps * _NS_STEP + x.size * _NS_COPY, grad.ravel(), x.ravel(), made.sizes,
        made.phases, made.offsets, parts, splits, sums.ravel(), scratch(blocks * size, x.dtype),
        size, frame, line, items, blocks,
    )  # fmt: skip
    return sums


def _by_tiles(grad, x, made):
    """The sums of each part of the batch on the tile, and of how many channels, which come last."""
    sizes = made.sizes
    strips = -(-int(sizes[STRIPS]) // int(sizes[SPLITS]))
    turned = bool(sizes[TURNED])
    panel = 0 if turned else _DEPTH * TILE_VECTORS * VECTOR_BYTES // x.itemsize
    size = -(-(strips * _STRIP + panel + made.frame + 64) // 16) * 16
    blocks = min(made.items, 4 * policy.threads)
    window = int(sizes[WINDOW])
    sums = empty((int(sizes[PARTS]), grad.shape[1] * window), x.dtype)
    _sum_windows(
        blocks, grad.size * window * _NS_STEP + x.size * _NS_COPY, tile_address(x.dtype),
        grad.ravel(), x.ravel(), sizes, made.pixels, made.runs, sums.ravel(),
        scratch(blocks * size, x.dtype), size, made.items, blocks,
    )  # fmt: skip
    return sums, int(sizes[CHANNELS]) if turned else 1


def conv_weight_grad(grad, x, stride, low, dilation, groups, kernel):
    """The adjoint of ``conv_forward`` in its weight, whose window has the sizes ``kernel``.

    grad (N, out, D, H, W), x (N, C, D, H, W); the result is (out, C / groups, \\*kernel).
    """
    shape = (grad.shape[1], x.shape[1] // groups, *kernel)
    out = empty(shape, x.dtype)
    if not (grad.size and x.size and out.size):
        out[...] = 0
        return out
    grad, x = contiguous(grad), contiguous(x)
    options, channels = (stride, low, dilation, groups), 1
    if is_depthwise(x.shape, shape, groups, stride, False):
        sums = depthwise_weight_grad(grad, x, kernel, options)
    else:
        made = _plan(x.shape, grad.shape, kernel, *options, x.itemsize)
        reach = (kernel[2] - 1) * dilation[2] // stride[2]
        if _prefers_dots(shape[0] // groups, grad.shape[4], reach, made, x.itemsize):
            sums = _by_dots(grad, x, shape, options)
        else:
            sums, channels = _by_tiles(grad, x, made)
    _add_parts(
        shape[0], out.size * ((1.0 if channels > 1 else 0.1) + 0.2 * len(sums)), sums.ravel(),
        len(sums), channels, out.size // (shape[0] * channels), out.ravel(),
    )  # fmt: skip
    return out
