"""Copies of a matrix for the register tile: panels of B, strips of A.

A panel is as many columns as a tile is wide, row after row, so that the tile reads it in one run. A
strip is as many rows as a tile has.
"""

from numba.extending import register_jitable

from ._simd import lanes, load, load_part, prefetch, store, store_part, turn_block
from ._tile import TILE_VECTORS, tile_lanes

DEPTH = 384  # k-block of a packed panel: a strip of A (14 × 384 float32) fills half of L1
STRIP = 16 * (DEPTH + 16)  # elements of the copy of a strip: up to 16 rows, skewed
_AHEAD = 8  # rows of A that are asked for before they are copied
STRIPS = 8  # strips copied at a time, in long reads where A is turned


@register_jitable
def pack_panels(b, panels, at, k, steps, first, last):
    """Copy rows ``k : k + steps`` of panels ``first : last`` of b (depth, columns)."""
    columns = b.shape[1]
    width = TILE_VECTORS * tile_lanes(b)
    lane = lanes(b)
    for i in range(steps):
        row = (k + i) * columns
        for panel in range(first, last):
            left = panel * width
            target = at + ((panel - first) * steps + i) * width
            count = min(width, columns - left)
            whole = count // lane * lane
            for j in range(0, whole, lane):
                store(panels, target + j, load(b, row + left + j))
            if whole < count:
                rest = load_part(b, row + left + whole, count - whole, 0.0)
                store(panels, target + whole, rest)


@register_jitable
def pack_turned(b, panels, at, k, steps, first, last):
    """The same from b (columns, depth), turned in blocks of one vector squared."""
    columns, depth = b.shape
    width = TILE_VECTORS * tile_lanes(b)
    lane = lanes(b)
    for panel in range(first, last):
        left = panel * width
        target = at + (panel - first) * steps * width
        for j in range(0, min(width, columns - left), lane):
            height = min(lane, columns - left - j)
            for i in range(0, steps, lane):
                turn_block(
                    b, (left + j) * depth + k + i, depth,
                    panels, target + i * width + j, width,
                    height, min(lane, steps - i),
                )  # fmt: skip


@register_jitable
def copy_strips(a, a_row, a_step, k, steps, rows, most, first, last, space, at):
    """Copy steps ``k`` on of strips ``first`` to ``last`` of A, each to ``STRIP`` elements.

    Returns the distances between rows and between steps of the copies. Unmoved, rows a multiple
    of 4 KiB apart would all fall into one set of the L1 cache.
    """
    lane = lanes(a)
    if a_step == 1:
        row = steps + 16
        whole = steps // lane * lane
        for strip in range(first, last):
            top = strip * most
            for i in range(top, min(rows, top + most)):
                source, target = i * a_row + k, at + (strip - first) * STRIP + (i - top) * row
                for j in range(0, whole, lane):
                    store(space, target + j, load(a, source + j))
                if whole < steps:
                    rest = load_part(a, source + whole, steps - whole, 0.0)
                    store_part(space, target + whole, steps - whole, rest)
        return row, 1
    left, right = first * most, min(rows, last * most)
    for j in range(steps):
        source = (k + j) * a_step
        for i in range(left, right, 64 // a.itemsize):
            prefetch(a, source + _AHEAD * a_step + i)
        for strip in range(first, last):
            top = strip * most
            target = at + (strip - first) * STRIP + j * 16
            # lanes beyond the strip are copied and not used
            for i in range(top, min(rows, top + most), lane):
                if i + lane <= rows:
                    store(space, target + i - top, load(a, source + i))
                else:
                    store(space, target + i - top, load_part(a, source + i, rows - i, 0.0))
    return 1, 16
