"""Winograd's way for the gradient of a weight: where it pays, and how its work is shared out.

See ``_conv_winograd_weight``.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ._tile import TILE_ROWS
from ._winograd import EDGES, GAIN, MOST_BYTES, lane_of, suits, up

# Places in a plan's ``sizes`` after those up to ``BANDS``, which ``_winograd`` has, too
PARTS, SHARES, FRAME, LINE, GRADS, SOURCES, PLANE, SIZE = range(17, 25)

_TILES = 80  # in a block, if there are as many: the sums pass by once for each block
_BLOCK_BYTES = 1 << 22  # of a block at a share of the points
_ONE_SHARE, _TWO_SHARES = 1 << 20, 1 << 23  # up to so many bytes of sums of a group
_SUM_BYTES = 1 << 24  # of the sums of all parts, if there are a few
_ITEMS = 8  # that threads share, if there are as many: each has sums of its own
# Tiles in one sum. What those of 4 x 4 pixels are off by grows with the root of their number: 0.2
# millionths of the largest result for one, 10 for the longest.
_CHAIN, _LONGEST = 1024, 2500

# Cycles, measured: of a point of a vector of channels of a tile, of turning a pixel of one again
# for another share of points, and of a multiply-add of vectors; of a vector of sums, for each block
# of tiles and for each part
_POINT, _TURN, _PRODUCT, _VISIT, _PART = 10.0, 30.0, 0.5, 18.0, 6.0
# The direct way's: by its own estimate for a pixel, and of a vector of the result
_DIRECT, _RESULT = 1.53, 50.0


class WeightPlan(NamedTuple):
    """What the kernels are given.

    sizes   see the names above
    sums    elements of the sums of all parts
    items   shares of points of groups of parts
    cycles  about what it takes
    """

    sizes: np.ndarray
    sums: int
    items: int
    cycles: float


@lru_cache(maxsize=1024)
def weight_plan(source, out, window, stride, low, dilation, groups, itemsize, direct):
    """The plan for tiles of the better size, or None where the direct way is as good.

    direct   cycles for a pixel and a group on the direct way, by its own estimate
    """
    if not suits(source, window, out, stride, low, dilation):
        return None
    channels, rows = source[1] // groups, out[1] // groups
    direct *= _DIRECT * source[0] * out[2] * out[4]
    span = window[0]
    direct += _RESULT * span * span * rows * up(channels, lane_of(itemsize))
    best, cycles = None, GAIN * groups * direct
    for edge in EDGES[span]:
        made = _plan_of(edge, span, source, out, low, groups, itemsize)
        if made and made.cycles <= cycles:
            best, cycles = made, GAIN * made.cycles
    return best


def _cycles(edge, span, tiles, blocks, parts, shares, channels, rows, itemsize):
    """About what the tiles of a group take on one thread."""
    lane, points = lane_of(itemsize), (edge + span - 1) ** 2
    there, vectors = up(channels, lane), up(channels, lane) + up(rows, lane)
    turned = _TURN * edge**2 * (shares - 1)
    sums = points * rows * there * (_VISIT * blocks + _PART * parts)
    return tiles * ((_POINT * points + turned) * vectors + _PRODUCT * points * rows * there) + sums


def _even(number):
    """``number``, or one more: two threads are to have the same to do."""
    return number + number % 2 if number > 1 else number


def _plan_of(edge, span, source, out, low, groups, itemsize):
    """The plan for tiles of ``edge`` x ``edge`` pixels.

    None if it takes too much memory, or its result is off by too much.
    """
    lane, along = lane_of(itemsize), edge + span - 1
    images, channels, rows = source[0], source[1] // groups, out[1] // groups
    high, wide = up(out[2], edge), up(out[4], edge)
    there, back = up(channels, lane) * lane, up(rows, lane) * lane
    plane = rows * there + lane  # a line apart, for the sake of the cache
    tiles, sums = images * high * wide, along * along * plane
    if groups * sums * itemsize > MOST_BYTES:
        return None
    each = sums * itemsize
    shares = 1 if each <= _ONE_SHARE else 2 if each <= _TWO_SHARES else along
    fit = _BLOCK_BYTES * shares // (along * along * (there + back) * itemsize)
    most = max(2 * TILE_ROWS, min(_TILES, up(tiles, 2), fit))
    together = up(images, _even(up(images, max(1, most // (high * wide)))))
    bands = up(high, max(1, most // wide))
    band = up(high, _even(bands) if together == 1 else bands)
    blocks, block = up(images, together) * up(high, band), together * band * wide
    if blocks == 1:
        shares = max(2, shares)
    if block > 2 * max(fit, TILE_ROWS):  # a line of tiles is too long for the cache
        return None
    wanted = max(up(_ITEMS, groups * shares), up(tiles, _CHAIN))
    parts = max(1, min(wanted, blocks, _SUM_BYTES // (groups * each)))
    if along > 4 and up(tiles, parts) > _LONGEST:
        return None
    line, points = (edge * wide + span - 1) * lane, along * along // shares
    frame = (edge * band + span - 1) * line
    grads, sources = (points * (block * n + lane) for n in (back, there))
    sizes = [
        edge, span, images, groups, channels, rows, source[2], source[4], out[2], out[4], low[0],
        low[2], high, wide, together, band, up(high, band), parts, shares, frame, line, grads,
        sources, plane, 2 * frame + line + grads + sources,
    ]  # fmt: skip
    cycles = groups * _cycles(edge, span, tiles, blocks, parts, shares, channels, rows, itemsize)
    items = parts * groups * shares
    return WeightPlan(np.array(sizes, np.int64), parts * groups * sums, items, cycles)
