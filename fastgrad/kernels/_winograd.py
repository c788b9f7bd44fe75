"""Winograd's way for windows of 3 x 3 and 5 x 5: where it pays, and by what tiles.

See ``_conv_winograd``.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ._llvm import VECTOR_BYTES
from ._tile import TILE_ROWS, TILE_WIDTH_BYTES

# Places in a plan's ``sizes``
(
    EDGE, SPAN, IMAGES, GROUPS, CHANNELS, ROWS, SOURCE_H, SOURCE_W, OUT_H, OUT_W, LOW_H, LOW_W,
    TILES_H, TILES_W, TOGETHER, BAND, BANDS, WIDTH, FRAME, LINES, SOURCES, RESULTS, SIZE,
) = range(23)  # fmt: skip

EDGES = {3: (2, 4), 5: (2,)}  # of tiles, for each span of a window: up to six points along a line
MOST_BYTES = 1 << 25  # of the weights at all points
_V_BYTES = 1 << 21  # of a block of tiles at all points
_TILES = 28, 56  # in a block, if there are as many: the weights pass by once for each block
BLOCKS = 2  # for each thread

# Cycles, measured: of a multiply-add of vectors and of arranging a weight on the direct way; of a
# multiply-add of vectors here, and for each point, of a vector of channels of a tile forth and
# back, and of a vector of weights
_DIRECT, _ARRANGE = 0.72, 6.0
_PACKED = 1.15  # times as much where lines do not fill vectors
_PRODUCT, _FORTH, _BACK, WEIGHT = 0.62, 16, 10, 18
# Weights beyond the L2 cache: bytes a cycle that are read, for each block, and written, once
_L2_BYTES, _READ, _WRITTEN = 1 << 20, 9.0, 2.0
GAIN = 0.85  # of the direct way's cycles, and of small tiles', at most: rounding has its price
_IMAGES = 16  # for which the choice is made
NS_CYCLE = 0.3


class WinogradPlan(NamedTuple):
    """What the kernels are given.

    sizes    see the names above
    weights  elements of all weights at all points
    items    blocks of tiles
    cycles   about what it takes
    """

    sizes: np.ndarray
    weights: int
    items: int
    cycles: float


def up(number, step):
    """``number / step``, rounded up."""
    return -(-number // step)


@lru_cache(maxsize=1024)
def winograd_plan(source, weight, out, stride, low, dilation, groups, backward, itemsize, threads):
    """The plan for tiles of the better size, or None where the direct way is as good.

    Which way is taken depends neither on the number of threads nor on that of images: an image's
    result has the same bits in every batch.
    """
    if not suits(source, weight[2:], out, stride, low, dilation):
        return None
    span = weight[2]
    if backward:
        low = tuple(k - 1 - n for k, n in zip(weight[2:], low, strict=True))
    lane = lane_of(itemsize)
    vectors = _IMAGES * out[2] * min(up(out[4], lane), _PACKED * out[4] / lane)
    direct = span * span * source[1] // groups * out[1] * (_DIRECT * vectors + _ARRANGE)
    best, chosen = direct, None
    for edge in EDGES[span]:
        cycles = _cycles(edge, span, _IMAGES, source, out, groups, itemsize)
        if cycles < GAIN * best:
            best, chosen = cycles, edge
    if chosen is None:
        return None
    return _plan_of(chosen, span, source, out, low, groups, itemsize, threads)


def suits(source, window, out, stride, low, dilation):
    """Whether windows are of 3 x 3 or 5 x 5 neighbouring pixels, one next to the other."""
    flat, span = source[3] == out[3] == 1 and low[1] == 0, window[0]
    square = span in EDGES and window == (span, 1, span)
    return flat and square and (*stride, *dilation) == (1,) * 6 and source[1] > 0


def lane_of(itemsize):
    """Elements of a vector."""
    return VECTOR_BYTES // itemsize


def _most_tiles(points, vectors):
    """Tiles in a block, of so many vectors of channels."""
    return min(max(_V_BYTES // (points * vectors * VECTOR_BYTES), _TILES[0]), _TILES[1])


def _cycles(edge, span, images, source, out, groups, itemsize):
    """About what tiles of ``edge`` x ``edge`` pixels of so many images take, on one thread."""
    lane, points, channels = lane_of(itemsize), (edge + span - 1) ** 2, source[1] // groups
    there, back = up(channels, lane), up(out[1] // groups, lane)
    line = up(out[4], edge)
    if points * there * line * VECTOR_BYTES > 2 * _V_BYTES:  # too long for the cache
        return float("inf")
    tiles = images * up(out[2], edge) * line
    each = tiles * (_FORTH * there + _BACK * back) + channels * back * (_PRODUCT * tiles + WEIGHT)
    weights = points * channels * back * VECTOR_BYTES
    if groups * weights > MOST_BYTES:
        return float("inf")
    beyond = max(0, weights - _L2_BYTES) / points
    each += beyond * (up(tiles, _most_tiles(points, there)) / _READ + 1 / _WRITTEN)
    return groups * points * each


def _plan_of(edge, span, source, out, low, groups, itemsize, threads):
    """The plan for tiles of ``edge`` x ``edge`` pixels."""
    lane, points = lane_of(itemsize), (edge + span - 1) ** 2
    images, channels, rows = source[0], source[1] // groups, out[1] // groups
    high, wide = up(out[2], edge), up(out[4], edge)
    vectors, width = up(channels, lane), TILE_WIDTH_BYTES // itemsize
    most = _most_tiles(points, vectors)
    if threads > 1:
        most = min(most, max(TILE_ROWS, images * high * wide * groups // (BLOCKS * threads)))
    together = max(1, min(images, most // (high * wide)))  # images in a block
    together = up(images, up(images, together))
    band = up(high, up(high, max(1, most // wide)))
    bands = up(high, band)
    tiles, columns = together * band * wide, edge * wide + span - 1
    frame = (edge * band + span - 1) * columns * lane
    lines = max((edge + span - 1) * columns, points) * lane
    sources = points * (tiles * vectors + 1) * lane  # a line apart, for the sake of the cache
    results = points * (tiles * width + lane)
    size = frame + lines + sources + results + (edge * band * out[4] + lane) * lane
    sizes = [
        edge, span, images, groups, channels, rows, source[2], source[4], out[2], out[4], low[0],
        low[2], high, wide, together, band, bands, width, frame, lines, sources, results, size,
    ]  # fmt: skip
    weights = groups * points * channels * up(rows, width) * width
    items = up(images, together) * bands * groups
    cycles = _cycles(edge, span, images, source, out, groups, itemsize)
    return WinogradPlan(np.array(sizes, np.int64), weights, items, cycles)
