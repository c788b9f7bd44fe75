"""The gradient of a small window's weight by Winograd's minimal filtering.

The adjoint in the weight of what ``_conv_winograd`` computes, with the same matrices:

    spread     W[p] = A · dY · Aᵀ       of each tile and output channel
    forth      V[p] = Bᵀ · x · B        of each tile and channel
    product    S[p] += W[p]ᵀ · V[p]     (m + s - 1)² products of matrices, over all tiles and images
    taps       dw = Gᵀ · S · G          of each pair of channels, once a call

An item is a share of the points, some of their lines, of a part of the batch: its sums are to stay
in the L2 cache while tiles pass by, a block at a time. Each share turns the images anew, and
computes its own points; each part has sums of its own, which are added in order at the end. How
many there are of both is a matter of shapes, not of threads: no bit depends on their number.

A tile's pixels are taken together: a NaN in either operand reaches taps of its channel that do not
see it, at an image's edge, and an infinity makes NaN where the direct way has an infinity.
"""

from numba.extending import register_jitable

from ._jit import kernel, scratch
from ._record import empty
from ._runs import fill_run
from ._simd import lanes, load, store, turn_block
from ._threads import policy
from ._tile import TILE_ROWS, TILE_WIDTH_BYTES, multiply_tile, tile_address
from ._winograd import (
    BAND,
    BANDS,
    BLOCKS,
    CHANNELS,
    EDGE,
    GROUPS,
    IMAGES,
    LOW_H,
    LOW_W,
    NS_CYCLE,
    OUT_H,
    OUT_W,
    ROWS,
    SOURCE_H,
    SOURCE_W,
    SPAN,
    TILES_H,
    TILES_W,
    TOGETHER,
    lane_of,
)
from ._winograd_lines import (
    line_forth,
    line_spread,
    line_taps,
    point_forth,
    point_spread,
    turn_source,
)
from ._winograd_weight import FRAME, GRADS, LINE, PARTS, PLANE, SHARES, SIZE, SOURCES

_WIDE = 2 * TILE_WIDTH_BYTES  # of a panel of the gradient: few strips are lower than a tile
_TAP_CYCLES = 6  # of a vector of sums


@register_jitable
def _points_of_tiles(spread, sizes, share, space, frame, columns, line, target, step, apart):
    """A line of tiles at a share of the points: tiles ``step`` elements, points ``apart``.

    spread   the tiles are the gradient's; otherwise the source's
    line     space for a line of points of all columns
    """
    lane, edge, wide = lanes(space), sizes[EDGE], columns * lanes(space)
    along = edge + sizes[SPAN] - 1
    of_share = along // sizes[SHARES]
    for i in range(of_share):
        to, number = target + i * along * apart, share * of_share + i
        for w in range(0, wide, lane):
            if spread:
                store(space, line + w, point_spread(edge, along, number, space, frame + w, wide))
            else:
                store(space, line + w, point_forth(along, number, space, frame + w, wide))
        for t in range(sizes[TILES_W]):
            at = line + t * edge * lane
            if spread:
                line_spread(edge, along, space, at, lane, space, to + t * step, apart)
            else:
                line_forth(along, space, at, lane, space, to + t * step, apart)


@register_jitable
def _points_of_block(
    spread, x, channels, high, wide, left, columns, width, sizes, first, images, group, top, rows,
    share, space, frame, line, target, apart,
):  # fmt: skip
    """All channels of a block of tiles at a share of the points, in panels of ``width`` channels.

    high, wide      an image's
    left, columns   where a line of the frame begins in the image, and its pixels
    """
    lane, edge, across = lanes(x), sizes[EDGE], sizes[TILES_W]
    begin = top * edge - (0 if spread else sizes[LOW_H])
    lines = rows * edge + (0 if spread else sizes[SPAN] - 1)
    for c in range(0, channels, lane):
        panel = c // width * width
        step = min(width, -(-channels // lane) * lane - panel)
        place = target + panel * images * rows * across + c - panel
        for image in range(images):
            owner = (first + image) * sizes[GROUPS] + group
            turn_source(
                x, (owner * channels + c) * high * wide, min(lane, channels - c), high, wide, begin,
                lines, left, columns, space, frame,
            )  # fmt: skip
            for r in range(rows):
                _points_of_tiles(
                    spread, sizes, share, space, frame + r * edge * columns * lane, columns, line,
                    place + (image * rows + r) * across * step, step, apart,
                )  # fmt: skip


@register_jitable
def _multiply_points(
    tile, sizes, tiles, points, space, grads, far, sources, apart, fresh, sums, sums_at
):
    """Add the products of a block's tiles to the sums at ``points`` points."""
    channels, rows, lane = sizes[CHANNELS], sizes[ROWS], lanes(space)
    width, high = TILE_WIDTH_BYTES // space.itemsize, _WIDE // space.itemsize
    all_channels, all_rows = -(-channels // lane) * lane, -(-rows // lane) * lane
    for p in range(points):
        for left in range(0, channels, width):
            step, b = min(width, all_channels - left), sources + p * apart + left * tiles
            for top in range(0, rows, high):
                a_step, a = min(high, all_rows - top), grads + p * far + top * tiles
                many = min(high, rows - top)
                height = -(-many // -(-many // TILE_ROWS))
                for row in range(0, many, height):
                    at = sums_at + p * sizes[PLANE] + left * rows + (top + row) * step
                    multiply_tile(
                        tile, space, a + row, 1, a_step, space, b, step, space, 0, 0, tiles,
                        not fresh, sums, at, step, False, sums, at, step,
                        min(height, many - row), min(width, channels - left),
                    )  # fmt: skip


@kernel(chunks=1)
def _sum_points(start, stop, tile, grad, x, sizes, sums, space, items, blocks):
    """Blocks ``start`` to ``stop`` of items, an item being a share of the points of a group, part.

    sums    by part, group, point and panel of channels: rows of these
    space   for each block: frames of the source and the gradient, a line of points, and blocks of
            tiles of the gradient and the source
    """
    edge, groups, rows, channels = sizes[EDGE], sizes[GROUPS], sizes[ROWS], sizes[CHANNELS]
    parts, shares, bands = sizes[PARTS], sizes[SHARES], sizes[BANDS]
    columns, span = edge * sizes[TILES_W], sizes[SPAN]
    points = (edge + span - 1) ** 2 // shares
    apart, far = sizes[SOURCES] // points, sizes[GRADS] // points
    width, high = TILE_WIDTH_BYTES // x.itemsize, _WIDE // x.itemsize
    many = -(-sizes[IMAGES] // sizes[TOGETHER]) * bands
    for block in range(start, stop):
        frame = block * sizes[SIZE]
        grad_frame = frame + sizes[FRAME]
        line = grad_frame + sizes[FRAME]
        grads = line + sizes[LINE]
        sources = grads + sizes[GRADS]
        fill_run(space, frame, 2 * sizes[FRAME], 0.0)
        for item in range(items * block // blocks, items * (block + 1) // blocks):
            share, owner = item % shares, item // shares
            group, part = owner % groups, owner // groups
            begin = many * part // parts
            for number in range(begin, many * (part + 1) // parts):
                top, first = number % bands * sizes[BAND], number // bands * sizes[TOGETHER]
                images = min(sizes[TOGETHER], sizes[IMAGES] - first)
                lines = min(sizes[BAND], sizes[TILES_H] - top)
                _points_of_block(
                    False, x, channels, sizes[SOURCE_H], sizes[SOURCE_W], -sizes[LOW_W],
                    columns + span - 1, width, sizes, first, images, group, top, lines, share,
                    space, frame, line, sources, apart,
                )  # fmt: skip
                _points_of_block(
                    True, grad, rows, sizes[OUT_H], sizes[OUT_W], 0, columns, high, sizes, first,
                    images, group, top, lines, share, space, grad_frame, line, grads, far,
                )  # fmt: skip
                _multiply_points(
                    tile, sizes, images * lines * sizes[TILES_W], points, space, grads, far,
                    sources, apart, number == begin, sums, item * points * sizes[PLANE],
                )  # fmt: skip


@kernel
def _taps_of_sums(start, stop, sums, sizes, work, out):
    """Rows ``start`` to ``stop`` of the weight: the sums of all parts at all points, as taps.

    work   space for a vector of channels at all points, its lines as taps, and its taps, for
           each row
    """
    lane, edge, channels, rows = lanes(out), sizes[EDGE], sizes[CHANNELS], sizes[ROWS]
    span, plane, width = sizes[SPAN], sizes[PLANE], TILE_WIDTH_BYTES // out.itemsize
    along, window = edge + span - 1, span * span
    points, all_channels = along * along, -(-channels // lane) * lane
    at_points = start * (points + span * along + window) * lane
    lines = at_points + points * lane
    taps = lines + span * along * lane
    for item in range(start, stop):
        group, row = item // rows, item % rows
        for c in range(0, channels, lane):
            left = c // width * width
            step = min(width, all_channels - left)
            at = group * points * plane + left * rows + row * step + c - left
            for p in range(points):
                total = load(sums, at + p * plane)
                for part in range(1, sizes[PARTS]):
                    total += load(sums, at + (part * sizes[GROUPS] * points + p) * plane)
                store(work, at_points + p * lane, total)
            for j in range(along):
                from_at, to = at_points + j * lane, lines + j * lane
                line_taps(along, span, work, from_at, along * lane, work, to, along * lane)
            for i in range(span):
                from_at, to = lines + i * along * lane, taps + span * i * lane
                line_taps(along, span, work, from_at, lane, work, to, lane)
            for k in range(0, window, lane):
                turn_block(
                    work, taps + k * lane, lane, out, (item * channels + c) * window + k, window,
                    min(lane, window - k), min(lane, channels - c),
                )  # fmt: skip


def winograd_weight_grad(made, grad, x, out):
    """Fill ``out`` by a plan."""
    sizes, lane, rows = made.sizes, lane_of(x.itemsize), out.shape[0]
    span = int(sizes[SPAN])
    along = int(sizes[EDGE]) + span - 1
    sums = empty(made.sums, x.dtype)
    blocks = min(made.items, BLOCKS * policy.threads if policy.threads > 1 else 1)
    _sum_points(
        blocks, made.cycles * NS_CYCLE, tile_address(x.dtype), grad.ravel(), x.ravel(), sizes, sums,
        scratch(blocks * int(sizes[SIZE]), x.dtype), made.items, blocks,
    )  # fmt: skip
    work = scratch(rows * (along * along + span * along + span * span) * lane, x.dtype)
    _taps_of_sums(rows, made.sums // lane * _TAP_CYCLES * NS_CYCLE, sums, sizes, work, out.ravel())
    return out
