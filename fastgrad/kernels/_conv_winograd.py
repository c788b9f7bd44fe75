"""Convolution of small windows with fewer multiplications: Winograd's minimal filtering.

An output is cut into tiles of m x m pixels, m = 2 or 4. The (m + s - 1)² pixels that a tile reads
with windows of s x s, as a polynomial, and the window likewise, are taken to as many *points*;
there their product is one of numbers, and a matrix product over channels; and from the points'
results come the tile's pixels:

    forth      V[p] = Bᵀ · x · B      of each tile and channel
    weights    U[p] = G · w · Gᵀ      of each pair of channels, once a call
    product    M[p] = V[p] · U[p]     (m + 2)² products of matrices (tiles, channels, out channels)
    back       Y    = Aᵀ · M · A      of each tile and output channel

so for s = 3, m = 2 takes 16 multiplications where 36 were, and m = 4 takes 36 where 144 were; for
s = 5, m = 2 takes 36 where 100 were. Lanes are channels: the source is turned a line at a time, the
transforms are sums of whole vectors, and the result is turned back. A block of tiles goes all the
way while it is in the L2 cache.

Four points of a line are 0, ±1 and ∞, and six are 0, ±3/4, ±3/2 and ∞, which lose a quarter of
what the usual 0, ±1, ±2 and ∞ lose. Results are off by up to twice as much as on the direct way,
of four points by less than there, as sums have fewer terms.

A tile's pixels are computed together: a NaN or an infinity reaches all pixels of the tiles that
read it.

Lavin & Gray, "Fast Algorithms for Convolutional Neural Networks", 2016; the choice of points:
Barabasz et al., "Error Analysis and Improving the Accuracy of Winograd Convolution for Deep Neural
Networks", 2020.
"""

from numba.extending import register_jitable

from ._jit import kernel, scratch
from ._record import empty
from ._runs import fill_run
from ._simd import fma, lanes, load, load_part, maximum, splat, store, turn_block, zeros
from ._threads import policy
from ._tile import TILE_ROWS, multiply_tile, tile_address
from ._winograd import (
    BAND,
    BANDS,
    BLOCKS,
    CHANNELS,
    EDGE,
    FRAME,
    GROUPS,
    IMAGES,
    LINES,
    LOW_H,
    LOW_W,
    NS_CYCLE,
    OUT_H,
    OUT_W,
    RESULTS,
    ROWS,
    SIZE,
    SOURCE_H,
    SOURCE_W,
    SOURCES,
    SPAN,
    TILES_H,
    TILES_W,
    TOGETHER,
    WEIGHT,
    WIDTH,
    lane_of,
    up,
)

# ------------------------------------------------------------------ transforms of a line

_A, _B = 0.75, 1.5  # points ±a, ±b
_A2, _B2 = _A * _A, _B * _B
_AT_A, _AT_B = 1 / (2 * _A2 * (_A2 - _B2)), 1 / (2 * _B2 * (_B2 - _A2))


@register_jitable
def _line_forth(along, x, at, step, y, to, jump):
    """The pixels of a line, ``step`` apart, at ``along`` points, ``jump`` apart."""
    a, b, c, d = load(x, at), load(x, at + step), load(x, at + 2 * step), load(x, at + 3 * step)
    if along == 4:
        store(y, to, a - c)
        store(y, to + jump, b + c)
        store(y, to + 2 * jump, c - b)
        store(y, to + 3 * jump, d - b)
        return
    e, f = load(x, at + 4 * step), load(x, at + 5 * step)
    product, total = splat(x, _A2 * _B2), splat(x, -_A2 - _B2)
    store(y, to, fma(product, a, fma(total, c, e)))
    store(y, to + 5 * jump, fma(product, b, fma(total, d, f)))
    even, odd = fma(splat(x, -_B2), c, e), fma(splat(x, -_B2), b, d)
    store(y, to + jump, fma(splat(x, _A), odd, even))
    store(y, to + 2 * jump, fma(splat(x, -_A), odd, even))
    even, odd = fma(splat(x, -_A2), c, e), fma(splat(x, -_A2), b, d)
    store(y, to + 3 * jump, fma(splat(x, _B), odd, even))
    store(y, to + 4 * jump, fma(splat(x, -_B), odd, even))


@register_jitable
def _line_weights(along, span, x, at, step, y, to, jump):
    """``span`` taps, ``step`` apart, at ``along`` points, ``jump`` apart."""
    a, b, c = load(x, at), load(x, at + step), load(x, at + 2 * step)
    if along == 4:
        half = splat(x, 0.5)
        even, odd = half * (a + c), half * b
        store(y, to, a)
        store(y, to + jump, even + odd)
        store(y, to + 2 * jump, even - odd)
        store(y, to + 3 * jump, c)
        return
    d = e = zeros(x)
    if span == 5:
        d, e = load(x, at + 3 * step), load(x, at + 4 * step)
    for p2, p, factor, place in ((_A2, _A, _AT_A, 1), (_B2, _B, _AT_B, 3)):
        square = splat(x, p2)
        even = splat(x, factor) * fma(square, fma(square, e, c), a)
        odd = splat(x, factor * p) * fma(square, d, b)
        store(y, to + place * jump, even + odd)
        store(y, to + (place + 1) * jump, even - odd)
    store(y, to, a * splat(x, 1 / (_A2 * _B2)))
    store(y, to + 5 * jump, e if span == 5 else c)


@register_jitable
def _line_back(edge, along, x, at, step):
    """Four pixels of a line of points, ``step`` apart; of two pixels the others mean nothing."""
    a, b, c, d = load(x, at), load(x, at + step), load(x, at + 2 * step), load(x, at + 3 * step)
    total, apart = b + c, b - c
    if along == 4:
        return a + total, apart + d, a, a
    e, f = load(x, at + 4 * step), load(x, at + 5 * step)
    more, far = d + e, d - e
    first, second = a + total + more, fma(splat(x, _B), far, splat(x, _A) * apart)
    if edge == 2:
        return first, second + f, a, a
    third = fma(splat(x, _B2), more, splat(x, _A2) * total)
    fourth = fma(splat(x, _B * _B2), far, fma(splat(x, _A * _A2), apart, f))
    return first, second, third, fourth


# ------------------------------------------------------------------ weights


@kernel
def _weights_at_points(start, stop, weight, sizes, steps, turned, points, work):
    """Vectors ``start`` to ``stop`` of output channels: their weights with every channel.

    steps    distances in ``weight`` between groups, between rows, and between channels
    turned   the window is upside down and mirrored, as for a gradient
    points   by panel of output channels, point and channel
    work     space for a window's taps and for them at the points of a line, for each vector
    """
    lane, width, span, channels = lanes(weight), sizes[WIDTH], sizes[SPAN], sizes[CHANNELS]
    along, window = sizes[EDGE] + span - 1, span * span
    of_panel = width // lane
    of_group = -(-sizes[ROWS] // width) * of_panel
    for item in range(start, stop):
        group, first = item // of_group, item % of_group * lane
        taps = item * (window + span * along) * lane
        at_points = taps + window * lane
        place = item // of_panel * along * along * channels * width + item % of_panel * lane
        begin, step = (taps + (window - 1) * lane, -lane) if turned else (taps, lane)
        count = min(lane, sizes[ROWS] - first)
        if count <= 0:
            continue
        for c in range(channels):
            source = group * steps[0] + first * steps[1] + c * steps[2]
            for k in range(0, window, lane):
                turn_block(
                    weight, source + k, steps[1], work, taps + k * lane, lane, count,
                    min(lane, window - k),
                )  # fmt: skip
            for j in range(span):
                at, to = begin + j * step, at_points + j * lane
                _line_weights(along, span, work, at, span * step, work, to, span * lane)
            for i in range(along):
                to = place + (i * along * channels + c) * width
                line = at_points + span * i * lane
                _line_weights(along, span, work, line, lane, points, to, channels * width)


# ------------------------------------------------------------------ blocks of tiles


@register_jitable
def _turn_source(x, source, channels, sizes, first, rows, space, frame):
    """A frame of ``rows`` lines of the source from ``first`` on, a vector of channels a pixel.

    What is zero in every line is zero already.
    """
    lane, wide, plane = lanes(x), sizes[SOURCE_W], sizes[SOURCE_H] * sizes[SOURCE_W]
    columns = sizes[EDGE] * sizes[TILES_W] + sizes[SPAN] - 1
    left = max(0, sizes[LOW_W])
    skipped = left - sizes[LOW_W]
    count = min(wide - skipped, columns - left)
    for i in range(rows):
        h, at = first + i, frame + i * columns * lane
        if h < 0 or h >= sizes[SOURCE_H]:
            fill_run(space, at, columns * lane, 0.0)
            continue
        for w in range(0, count, lane):
            turn_block(
                x, source + h * wide + skipped + w, plane, space, at + (left + w) * lane, lane,
                channels, min(lane, count - w),
            )  # fmt: skip


@register_jitable
def _go_forth(x, sizes, first, images, group, top, rows, space, frame, lines, sources, apart):
    """All channels of a block of tiles at all points, ``apart`` from each other."""
    lane, edge, channels = lanes(x), sizes[EDGE], sizes[CHANNELS]
    along, wide = edge + sizes[SPAN] - 1, sizes[TILES_W]
    columns = edge * wide + sizes[SPAN] - 1
    plane, each = sizes[SOURCE_H] * sizes[SOURCE_W], -(-channels // lane) * lane
    for c in range(0, channels, lane):
        for image in range(images):
            owner = (first + image) * sizes[GROUPS] + group
            _turn_source(
                x, (owner * channels + c) * plane, min(lane, channels - c), sizes,
                top * edge - sizes[LOW_H], rows * edge + sizes[SPAN] - 1, space, frame,
            )  # fmt: skip
            for r in range(rows):
                line = frame + r * edge * columns * lane
                for w in range(0, columns * lane, lane):
                    _line_forth(
                        along, space, line + w, columns * lane, space, lines + w, columns * lane
                    )
                place = sources + (image * rows + r) * wide * each + c
                for i in range(along):  # few points at once, for the sake of the pages' table
                    at, to = lines + i * columns * lane, place + i * along * apart
                    for t in range(wide):
                        _line_forth(
                            along, space, at + t * edge * lane, lane, space, to + t * each, apart
                        )


@register_jitable
def _multiply_points(
    tile, sizes, tiles, columns, weights, weights_at, space, sources, apart, results, far
):
    """Products at all points, of all tiles with a panel of ``columns`` output channels."""
    channels, width = sizes[CHANNELS], sizes[WIDTH]
    points = (sizes[EDGE] + sizes[SPAN] - 1) ** 2
    each = -(-channels // lanes(space)) * lanes(space)
    strips = -(-tiles // TILE_ROWS)
    height = -(-tiles // strips)
    for p in range(points):
        b = weights_at + p * channels * width
        for t in range(0, tiles, height):
            multiply_tile(
                tile, space, sources + p * apart + t * each, each, 1, weights, b, width,
                weights, b, 0, channels, False, space, 0, 0, False,
                space, results + p * far + t * width, width, min(height, tiles - t), columns,
            )  # fmt: skip


@register_jitable
def _tile_back(sizes, space, at, far, start, relu, lines, to, high, wide):
    """A tile's ``high`` x ``wide`` pixels of a vector of output channels."""
    lane, edge = lanes(space), sizes[EDGE]
    along, row, none = edge + sizes[SPAN] - 1, sizes[OUT_W] * lane, zeros(space)
    for j in range(along):
        pixels = _line_back(edge, along, space, at + j * far, along * far)
        store(space, lines + j * lane, pixels[0])
        store(space, lines + (along + j) * lane, pixels[1])
        if edge > 2:
            store(space, lines + (2 * along + j) * lane, pixels[2])
            store(space, lines + (3 * along + j) * lane, pixels[3])
    for i in range(high):
        a, b, c, d = _line_back(edge, along, space, lines + i * along * lane, lane)
        a, b, c, d = a + start, b + start, c + start, d + start
        if relu:
            a, b, c, d = maximum(a, none), maximum(b, none), maximum(c, none), maximum(d, none)
        place = to + i * row
        store(space, place, a)
        if wide > 1:
            store(space, place + lane, b)
        if wide > 2:
            store(space, place + 2 * lane, c)
        if wide > 3:
            store(space, place + 3 * lane, d)


@register_jitable
def _go_back(
    sizes, images, top, rows, space, results, far, start, relu, lines, pixels, out, out_at, count
):
    """Write the pixels of a block of tiles for ``count`` output channels, at most a vector."""
    lane, edge, high, wide = lanes(out), sizes[EDGE], sizes[OUT_H], sizes[OUT_W]
    across, width = sizes[TILES_W], sizes[WIDTH]
    for image in range(images):
        for r in range(rows):
            at = results + (image * rows + r) * across * width
            to = pixels + r * edge * wide * lane
            for t in range(across):
                _tile_back(
                    sizes, space, at + t * width, far, start, relu, lines, to + t * edge * lane,
                    min(edge, high - (top + r) * edge), min(edge, wide - t * edge),
                )  # fmt: skip
        done = (min(high, (top + rows) * edge) - top * edge) * wide
        place = out_at + image * sizes[GROUPS] * sizes[ROWS] * high * wide + top * edge * wide
        for i in range(0, done, lane):
            turn_block(
                space, pixels + i * lane, lane, out, place + i, high * wide, min(lane, done - i),
                count,
            )  # fmt: skip


@kernel(chunks=1)
def _convolve(start, stop, tile, x, weights, bias, biased, relu, sizes, out, space, items, blocks):
    """Blocks ``start`` to ``stop`` of items, an item being a few images' band of tiles of a group.

    space   for each block: a frame, lines at points, the tiles at all points, the products of a
            panel of output channels, and pixels of a vector of those
    """
    lane, groups, rows, width = lanes(x), sizes[GROUPS], sizes[ROWS], sizes[WIDTH]
    points, panels = (sizes[EDGE] + sizes[SPAN] - 1) ** 2, -(-rows // width)
    plane = sizes[OUT_H] * sizes[OUT_W]
    apart, far = sizes[SOURCES] // points, sizes[RESULTS] // points
    for block in range(start, stop):
        frame = block * sizes[SIZE]
        lines = frame + sizes[FRAME]
        sources = lines + sizes[LINES]
        results = sources + sizes[SOURCES]
        pixels = results + sizes[RESULTS]
        fill_run(space, frame, sizes[FRAME], 0.0)
        for item in range(items * block // blocks, items * (block + 1) // blocks):
            group, rest = item % groups, item // groups
            top, first = rest % sizes[BANDS] * sizes[BAND], rest // sizes[BANDS] * sizes[TOGETHER]
            images = min(sizes[TOGETHER], sizes[IMAGES] - first)
            high = min(sizes[BAND], sizes[TILES_H] - top)
            _go_forth(
                x, sizes, first, images, group, top, high, space, frame, lines, sources, apart
            )
            for panel in range(panels):
                channel = panel * width
                columns = min(width, rows - channel)
                _multiply_points(
                    tile, sizes, images * high * sizes[TILES_W], columns, weights,
                    (group * panels + panel) * points * sizes[CHANNELS] * width, space, sources,
                    apart, results, far,
                )  # fmt: skip
                for part in range(0, columns, lane):
                    row, count = group * rows + channel + part, min(lane, columns - part)
                    start_at = load_part(bias, row, count, 0.0) if biased else zeros(x)
                    _go_back(
                        sizes, images, top, high, space, results + part, far, start_at, relu,
                        lines, pixels, out, (first * groups * rows + row) * plane, count,
                    )  # fmt: skip


def convolve_winograd(made, x, weight, bias, steps, turned, relu, out):
    """Fill ``out`` by a plan; ``steps`` are the weight's, see ``_weights_at_points``."""
    sizes = made.sizes
    lane, width, span = lane_of(x.itemsize), int(sizes[WIDTH]), int(sizes[SPAN])
    along = int(sizes[EDGE]) + span - 1
    vectors = int(sizes[GROUPS]) * up(int(sizes[ROWS]), width) * (width // lane)
    weights = empty(made.weights, x.dtype)
    work = scratch(vectors * (span * span + span * along) * lane, x.dtype)
    cycles = WEIGHT * along * along * int(sizes[CHANNELS]) * vectors
    _weights_at_points(
        vectors, cycles * NS_CYCLE, weight.ravel(), sizes, steps, turned, weights, work
    )
    blocks = min(made.items, BLOCKS * policy.threads if policy.threads > 1 else 1)
    _convolve(
        blocks, made.cycles * NS_CYCLE, tile_address(x.dtype), x.ravel(), weights,
        weights if bias is None else bias, bias is not None, relu, sizes, out.ravel(),
        scratch(blocks * int(sizes[SIZE]), x.dtype), made.items, blocks,
    )  # fmt: skip
    return out
