"""The gradient of a convolution's weight, on the register tile.

Rows of the product are output channels, its depth are output pixels, and columns are the elements
of a window, channels last: a band of the input is turned to channels last once, in cache, so that
what a pixel's window has in one row of the kernel is one run of elements.

Each part of a batch has a sum of its own, and these are added in order. Into how many parts a batch
is cut is a matter of shapes, not of threads: no bit depends on their number.
"""

from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np
from numba.extending import register_jitable

from ._conv_depthwise import depthwise_weight_grad, is_depthwise
from ._conv_dots import DOT_BLOCK, DOT_ROWS, DOT_TAPS, sum_dots
from ._jit import kernel, scratch
from ._llvm import VECTOR_BYTES
from ._record import contiguous, empty
from ._runs import add_run, copy_run, fill_run
from ._simd import lanes, turn_block
from ._threads import policy
from ._tile import (
    TILE_ROWS,
    TILE_VECTORS,
    multiply_taps,
    tile_address,
    tile_lanes,
)
from ._windows import plan

__all__ = ["conv_weight_grad"]

_DEPTH = 256  # pixels at a time: their windows' elements in a panel fill two thirds of L1
_STRIP = 16 * (_DEPTH + 16)  # elements of a strip of the gradient, rows skewed
_FRAME_BYTES = 1 << 19  # of a band turned to channels last
_PART_BYTES = 4 << 20  # of the sums of all parts of a batch
_DOT_BYTES = 1 << 14  # of a frame for dot products, so that it stays in the L1 cache
_TOTAL_BYTES = 1 << 19  # of accumulators of dot products, so that they stay in the L2 cache
_ITEMS = 16  # that threads share
_NS_STEP, _NS_COPY = 1 / 60, 0.5

# Places in a plan's ``sizes``
(
    IMAGES, GROUPS, CHANNELS, ROWS, SOURCE_D, SOURCE_H, SOURCE_W, STRIDE_D, LOW_D, LOW_H, LOW_W,
    EXTENT_H, EXTENT_W, REACH, PIXELS_D, LAYER, BAND, PARTS, SPLITS, STRIPS, HEIGHT, RUN, WINDOW,
) = range(23)  # fmt: skip


class _Plan(NamedTuple):
    """sizes, where each output pixel's window and each run of it begin, elements of a frame."""

    sizes: np.ndarray
    pixels: np.ndarray
    runs: np.ndarray
    frame: int
    items: int


def _places(counts, steps, extents, channels):
    """Places in a frame of ``counts`` points, ``steps`` apart, along three axes."""
    d, h, w = (np.arange(n) * step for n, step in zip(counts, steps, strict=True))
    places = (d[:, None, None] * extents[0] + h[:, None]) * extents[1] + w
    return (places * channels).ravel().astype(np.int64)


@lru_cache(maxsize=1024)
def _plan(x, grad, kernel, stride, low, dilation, groups, itemsize):
    pixels = grad[2:]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    extents = [(n - 1) * s + r for n, s, r in zip(pixels, stride, reach, strict=True)][1:]
    channels, rows = x[1] // groups, grad[1] // groups
    layer = extents[0] * extents[1] * channels
    fit = max(1, _FRAME_BYTES // itemsize // max(1, layer) - reach[0])
    band = max(1, min(pixels[0], fit // stride[0] + 1))
    strips = -(-rows // TILE_ROWS)
    window = prod(kernel) * channels
    most = max(1, _PART_BYTES // max(1, grad[1] * window * itemsize))
    parts = min(x[0], most, -(-_ITEMS // groups))
    splits = min(strips, -(-_ITEMS // (parts * groups)))
    together = dilation[2] == 1  # then a row of the kernel is one run
    taps = (*kernel[:2], 1) if together else kernel
    sizes = [
        x[0], groups, channels, rows, *x[2:], stride[0], *(-a for a in low), *extents, reach[0],
        pixels[0], pixels[1] * pixels[2], band, parts, splits, strips, -(-rows // strips),
        channels * (kernel[2] if together else 1), window,
    ]  # fmt: skip
    frame = ((band - 1) * stride[0] + reach[0]) * layer
    return _Plan(
        np.array(sizes, np.int64),
        _places((band, *pixels[1:]), stride, extents, channels),
        _places(taps, dilation, extents, channels),
        frame,
        parts * groups * splits,
    )


@register_jitable
def _turn_frame(x, source, sizes, top, rows, space, frame):
    """Copy ``rows`` rows of the input from ``top`` on, channels last.

    What is zero in every band's frame is zero already.
    """
    channels, lane = sizes[CHANNELS], lanes(x)
    row = sizes[EXTENT_W] * channels
    width = sizes[SOURCE_W]
    plane = sizes[SOURCE_H] * width
    volume = sizes[SOURCE_D] * plane
    before = min(sizes[EXTENT_W], max(0, -sizes[LOW_W]))
    inside = min(width, sizes[EXTENT_W] - before)
    at = frame
    for d in range(sizes[LOW_D] + top, sizes[LOW_D] + top + rows):
        for h in range(sizes[LOW_H], sizes[LOW_H] + sizes[EXTENT_H]):
            if 0 <= d < sizes[SOURCE_D] and 0 <= h < sizes[SOURCE_H]:
                begin, place = at + before * channels, source + d * plane + h * width
                if channels == 1:
                    copy_run(x, place, space, begin, inside)
                else:
                    for c in range(0, channels, lane):
                        for i in range(0, inside, lane):
                            turn_block(
                                x, place + c * volume + i, volume,
                                space, begin + i * channels + c, channels,
                                min(lane, channels - c), min(lane, inside - i),
                            )  # fmt: skip
            elif sizes[BAND] < sizes[PIXELS_D]:
                fill_run(space, at, row, 0.0)
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
    space   ``size`` elements for each block: strips of the gradient, then the frame
    """
    groups, splits, strips, height = sizes[GROUPS], sizes[SPLITS], sizes[STRIPS], sizes[HEIGHT]
    layer, deep, band = sizes[LAYER], sizes[PIXELS_D], sizes[BAND]
    plane, window = deep * layer, sizes[WINDOW]
    volume = sizes[CHANNELS] * sizes[SOURCE_D] * sizes[SOURCE_H] * sizes[SOURCE_W]
    for block in range(start, stop):
        strips_at = block * size
        frame = strips_at + (strips + splits - 1) // splits * _STRIP
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
                    _turn_frame(
                        x, one * volume, sizes, top * sizes[STRIDE_D],
                        (count - 1) * sizes[STRIDE_D] + sizes[REACH], space, frame,
                    )  # fmt: skip
                    grad_at = (one * sizes[ROWS] + first_row) * plane + top * layer
                    for first in range(0, count * layer, _DEPTH):
                        steps = min(_DEPTH, count * layer - first)
                        _copy_strips(
                            grad, grad_at, plane, rows, height, first, steps, space, strips_at
                        )
                        _add_pixels(
                            tile, space, strips_at, rows, height, frame, pixels, first, steps,
                            runs, sizes[RUN], fresh, sums, sums_at, window,
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


def _prefers_dots(rows, wide, sizes, runs, itemsize):
    """Whether dot products take fewer cycles for a pixel than tiles, by an estimate."""
    lane = VECTOR_BYTES // itemsize
    if rows * int(sizes[WINDOW]) * VECTOR_BYTES > _TOTAL_BYTES:
        return False
    strips, height, run = (int(sizes[k]) for k in (STRIPS, HEIGHT, RUN))
    whole, rest = divmod(-(-run // lane), TILE_VECTORS)
    tiles = [max(height * v / 2, (height + v + 1) / 2, 4.0) for v in (TILE_VECTORS, rest)]
    tiles = strips * runs * (whole * tiles[0] + (tiles[1] if rest else 0))
    blocks = -(-int(sizes[WINDOW]) // DOT_TAPS) * (0.6 if rows == 1 else -(-rows // DOT_ROWS))
    return blocks * DOT_BLOCK / 2 * -(-wide // lane) / wide < 0.9 * tiles


def _by_dots(grad, x, shape, options, parts, splits, sums):
    """The sums of all parts, by dot products."""
    made = plan(x.shape, shape, grad.shape, *options, False, x.itemsize, _DOT_BYTES, 1, True)
    lane = VECTOR_BYTES // x.itemsize
    strips = -(-(grad.shape[1] // options[3]) // DOT_ROWS)
    splits = min(splits, strips)
    totals = -(-strips // splits) * -(-prod(shape[1:]) // DOT_TAPS) * DOT_BLOCK * lane
    frame = -(-(made.frame + lane) // lane) * lane
    items = parts * options[3] * splits
    blocks = min(items, 4 * policy.threads)
    space = scratch(blocks * (frame + totals), x.dtype)
    sum_dots(
        blocks, made.steps * _NS_STEP + x.size * _NS_COPY, grad.ravel(), x.ravel(), made.sizes,
        made.phases, made.offsets, parts, splits, sums.ravel(), space, frame + totals, frame, items,
        blocks,
    )  # fmt: skip


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
    made = _plan(x.shape, grad.shape, kernel, stride, low, dilation, groups, x.itemsize)
    sizes = made.sizes
    parts, splits, taps = int(sizes[PARTS]), int(sizes[SPLITS]), prod(kernel)
    sums = empty((parts, out.size), x.dtype)
    if is_depthwise(x.shape, shape, groups, stride, False):
        depthwise_weight_grad(grad, x, kernel, (stride, low, dilation, groups), parts, sums)
        _add_parts(
            shape[0], out.size * (0.1 + 0.1 * parts), sums.ravel(), parts, 1, taps, out.ravel()
        )
        return out
    if _prefers_dots(shape[0] // groups, grad.shape[4], sizes, len(made.runs), x.itemsize):
        options = stride, low, dilation, groups
        _by_dots(grad, x, shape, options, parts, -(-_ITEMS // (parts * groups)), sums)
        work = out.size * (0.1 + 0.1 * parts)
        _add_parts(shape[0], work, sums.ravel(), parts, 1, shape[1] * taps, out.ravel())
        return out
    strips = -(-int(sizes[STRIPS]) // splits)
    size = -(-(strips * _STRIP + made.frame + 64) // 16) * 16
    blocks = min(made.items, 4 * policy.threads)
    steps = grad.size * int(sizes[WINDOW])
    _sum_windows(
        blocks, steps * _NS_STEP + x.size * _NS_COPY, tile_address(x.dtype), grad.ravel(),
        x.ravel(), sizes, made.pixels, made.runs, sums.ravel(),
        scratch(blocks * size, x.dtype), size, made.items, blocks,
    )  # fmt: skip
    _add_parts(
        shape[0], out.size * (1.0 + 0.2 * parts), sums.ravel(), parts, shape[1], taps, out.ravel()
    )
    return out
