"""Matrix products on our own register tile, in the three orientations that training needs.

    forward        Y  = X · W      (M, K)·(K, N)
    input grad     dX = dY · Wᵀ    (M, N)·(K, N)ᵀ
    weight grad    dW = Xᵀ · dY    (M, K)ᵀ·(M, N)

Below, C (rows, columns) = A (rows, depth) · B (depth, columns), and "turned" says that an operand
is stored as its transpose. The tile reads B along its rows; it may read A along rows or columns.

    _direct   tiles straight on the operands: B is small or has short rows
    _tall     the same for Aᵀ · B, a block of k at a time: B has few columns
    _packed   panels of B, and a strip of A, copied into cache first: B is large or turned
    _dots     one dot product per element, along rows of A and of Bᵀ: one or a few columns

Every element is a single chain of fused multiply-adds over ascending k (in ``_dots``, one chain
per vector lane), so no result depends on the number of threads.
"""

from functools import lru_cache

import numpy as np
from numba.extending import register_jitable

from . import arithmetic
from ._jit import kernel, scratch
from ._panels import DEPTH, STRIP, STRIPS, copy_strips, pack_panels, pack_turned
from ._record import empty
from ._simd import fma, lane_sum, lanes, load, load_part, turn_block, zeros
from ._threads import policy
from ._tile import (
    TILE_ROWS,
    TILE_VECTORS,
    TILE_WIDTH_BYTES,
    WIDE_ROWS,
    WIDE_VECTORS,
    multiply_tile,
    tile_address,
    tile_lanes,
)

__all__ = ["matmul", "matmul_nt", "matmul_tn", "transpose"]

_GROUP_BYTES = 1 << 20  # packed B kept in L2 at a time
_DIRECT_BYTES = 1 << 20  # from there on B is packed
_BLOCKS = 2  # blocks of a packed product for each thread
_HALVED = 4  # times the size of C that B must have, to be read by halves
_PACKED_ROWS = 8  # with fewer rows a packed panel is not used often enough
_FEW = 4  # up to so many columns, dot products beat tiles that are mostly masked
_TALL_DEPTH = 128  # k-block of a product whose A is turned, and whose B has few panels
_TALL_PANELS = 8
_NARROW_DEPTH = 64  # k-block of a narrow product: pages that are read at a time
_NANOSECONDS_PER_STEP = 1 / 80  # per multiply-add, on one thread
_NANOSECONDS_PER_BYTE = 1 / 40  # of B, which half is in the other core's cache, on one thread


@register_jitable
def _work(rows, depth, columns, c):
    """Nanoseconds of a product on one thread; the last vector of columns counts whole."""
    lane = lanes(c)
    padded = (columns + lane - 1) // lane * lane
    return depth * padded * (rows * _NANOSECONDS_PER_STEP + c.itemsize * _NANOSECONDS_PER_BYTE)


@register_jitable
def _cut_directly(c):
    """(rows, columns) of a tile, and how many strips and panels they make."""
    rows, columns = c.shape
    height, vectors = (WIDE_ROWS, WIDE_VECTORS) if rows <= WIDE_ROWS else (TILE_ROWS, TILE_VECTORS)
    width = vectors * tile_lanes(c)
    return width, (rows + height - 1) // height, (columns + width - 1) // width


def _plan_direct(tile, a, b, bias, c, a_turned, resume, relu):
    _, strips, panels = _cut_directly(c)
    return strips * panels, _work(c.shape[0], b.shape[0], c.shape[1], c)


@kernel(plan=_plan_direct)
def _direct(start, stop, tile, a, b, bias, c, a_turned, resume, relu):
    """Tiles ``start`` to ``stop`` of C; tiles run along a strip of rows.

    a (rows, depth) or turned, b (depth, columns), bias (columns) if ``resume``, c (rows, columns)
    """
    rows, columns = c.shape
    depth = b.shape[0]
    a_row, a_step = (1, rows) if a_turned else (depth, 1)
    width, strips, panels = _cut_directly(c)
    height = (rows + strips - 1) // strips  # no strip is empty, as all but the last were full
    for number in range(start, stop):
        strip, panel = number // panels, number % panels
        top, left = strip * height, panel * width
        multiply_tile(
            tile, a, top * a_row, a_row, a_step,
            b, left, columns,
            b, left + width, 0 if strip else columns, depth,
            resume, bias, left, 0,
            relu, c, top * columns + left, columns,
            min(height, rows - top), min(width, columns - left),
        )  # fmt: skip


def _plan_halves(tile, a, b, bias, c, rest, half, resume):
    _, strips, panels = _cut_directly(c)
    return 2 * strips * panels, _work(c.shape[0], b.shape[0], c.shape[1], c)


@kernel(plan=_plan_halves)
def _halves(start, stop, tile, a, b, bias, c, rest, half, resume):
    """Tiles of ``c = A · B`` over k < half, then of ``rest = A · B`` over the other k.

    Of B, which is the larger operand, each thread reads one half only: the one whose gradient it
    computed, and that it updated, in the training step before.
    """
    rows, columns = c.shape
    depth = b.shape[0]
    width, strips, panels = _cut_directly(c)
    height = (rows + strips - 1) // strips
    for number in range(start, stop):
        second, inside = number // (strips * panels), number % (strips * panels)
        top, left = inside // panels * height, inside % panels * width
        k, steps = (half, depth - half) if second else (0, half)
        out = rest if second else c
        multiply_tile(
            tile, a, top * depth + k, depth, 1,
            b, k * columns + left, columns,
            b, k * columns + left + width, 0 if top else columns, steps,
            resume and not second, bias, left, 0,
            False, out, top * columns + left, columns,
            min(height, rows - top), min(width, columns - left),
        )  # fmt: skip


def _plan_tall(tile, a, b, c):
    _, strips, _ = _cut_directly(c)
    return strips, _work(c.shape[0], b.shape[0], c.shape[1], c)


@kernel(plan=_plan_tall)
def _tall(start, stop, tile, a, b, c):
    """Strips ``start`` to ``stop`` of ``C = Aᵀ · B``: a (depth, rows), b (depth, columns).

    A block of k at a time: of it, a strip of A stays in the L1 cache while it meets all of B, and
    the next strip is asked for.
    """
    rows, columns = c.shape
    depth = b.shape[0]
    width, strips, panels = _cut_directly(c)
    height = (rows + strips - 1) // strips
    for k in range(0, max(1, depth), _TALL_DEPTH):
        steps = min(_TALL_DEPTH, depth - k)
        for strip in range(start, stop):
            top = strip * height
            for panel in range(panels):
                left = panel * width
                multiply_tile(
                    tile, a, k * rows + top, 1, rows,
                    b, k * columns + left, columns,
                    a, k * rows + top + height, 0 if panel else rows, steps,
                    k > 0, c, top * columns + left, columns,
                    False, c, top * columns + left, columns,
                    min(height, rows - top), min(width, columns - left),
                )  # fmt: skip


def _plan_packed(tile, a, b, bias, c, a_turned, b_turned, resume, relu, down, across, space, size):
    depth = b.shape[1] if b_turned else b.shape[0]
    return down * across, _work(c.shape[0], depth, c.shape[1], c)


@kernel(plan=_plan_packed, counted=True)
def _packed(
    start, stop, tile, a, b, bias, c, a_turned, b_turned, resume, relu, down, across, space, size
):
    """Blocks ``start`` to ``stop`` of C, which is cut into ``down × across``, by packed copies.

    space    scratch of ``size`` elements for each block: its strips of A, then panels of B
    """
    rows, columns = c.shape
    depth = b.shape[1] if b_turned else b.shape[0]
    a_row, a_step = (1, rows) if a_turned else (depth, 1)
    width = TILE_VECTORS * tile_lanes(c)
    group = max(1, _GROUP_BYTES // (DEPTH * width * c.itemsize))
    panels, strips = (columns + width - 1) // width, (rows + TILE_ROWS - 1) // TILE_ROWS
    most = (rows + strips - 1) // strips  # rows in a strip
    flat_a = a.ravel()
    jump = (depth if a_step == 1 else rows) * c.itemsize
    for block in range(start, stop):
        high, low = strips * (block // across) // down, strips * (block // across + 1) // down
        left, right = panels * (block % across) // across, panels * (block % across + 1) // across
        strips_at = block * size
        panels_at = strips_at + STRIPS * STRIP
        row, step = a_row, a_step
        # A strip is copied where that is a small part of the work, or where its lines are far
        # apart: in the same sets of the L1 cache, or each on a page of its own.
        copied = right - left >= 4 or jump % 4096 == 0 or (a_turned and right - left > 1)
        for first in range(left, right, group):
            last = min(first + group, right)
            for k in range(0, depth, DEPTH):
                steps = min(DEPTH, depth - k)
                clamp = relu and k + steps == depth
                if b_turned:
                    pack_turned(b, space, panels_at, k, steps, first, last)
                else:
                    pack_panels(b, space, panels_at, k, steps, first, last)
                for top_strip in range(high, low, STRIPS):
                    end_strip = min(top_strip + STRIPS, low)
                    if copied:
                        row, step = copy_strips(
                            a, a_row, a_step, k, steps, rows, most, top_strip, end_strip,
                            space, strips_at,
                        )  # fmt: skip
                    for strip in range(top_strip, end_strip):
                        top = strip * most
                        height = min(most, rows - top)
                        if copied:
                            a_strip, a_at = space, strips_at + (strip - top_strip) * STRIP
                        else:
                            a_strip, a_at = flat_a, top * a_row + k * a_step
                            row, step = a_row, a_step
                        for panel in range(first, last):
                            at = panel * width
                            c_at, count = top * columns + at, min(width, columns - at)
                            b_at = panels_at + (panel - first) * steps * width
                            if k == 0:
                                multiply_tile(
                                    tile, a_strip, a_at, row, step, space, b_at, width,
                                    space, 0, 0, steps,
                                    resume, bias, at, 0, clamp, c, c_at, columns, height, count,
                                )  # fmt: skip
                            else:
                                multiply_tile(
                                    tile, a_strip, a_at, row, step, space, b_at, width,
                                    space, 0, 0, steps,
                                    True, c, c_at, columns, clamp, c, c_at, columns, height, count,
                                )  # fmt: skip


def _plan_narrow(tile, a, b, c, space):
    width = TILE_VECTORS * tile_lanes(c)
    rows, columns = c.shape
    return (rows + width - 1) // width, _work(columns, a.shape[0], rows, c)


@kernel(plan=_plan_narrow)
def _narrow(start, stop, tile, a, b, c, space):
    """Panels ``start`` to ``stop`` of Cᵀ = Bᵀ · A, turned into the narrow C (rows, columns).

    a (depth, rows), b (depth, columns); space: scratch for Cᵀ. Tiles of C itself would leave most
    lanes of a vector unused.
    """
    rows, columns = c.shape
    depth, width, lane = a.shape[0], TILE_VECTORS * tile_lanes(c), lanes(c)
    for k in range(0, max(1, depth), _NARROW_DEPTH):
        steps = min(_NARROW_DEPTH, depth - k)
        for panel in range(start, stop):
            left = panel * width
            for top in range(0, columns, TILE_ROWS):
                at = top * rows + left
                multiply_tile(
                    tile, b, k * columns + top, 1, columns,
                    a, k * rows + left, rows, a, 0, 0, steps,
                    k > 0, space, at, rows, False, space, at, rows,
                    min(TILE_ROWS, columns - top), min(width, rows - left),
                )  # fmt: skip
    for left in range(start * width, min(stop * width, rows), lane):
        for top in range(0, columns, lane):
            turn_block(
                space, top * rows + left, rows, c, left * columns + top, columns,
                min(lane, columns - top), min(lane, rows - left),
            )  # fmt: skip


def _plan_dots(a, b, bias, c, swapped, resume, relu):
    return a.shape[0], a.shape[0] * b.shape[0] * (a.shape[1] * 0.05 + 5.0)


@kernel(plan=_plan_dots, counted=True)
def _dots(start, stop, a, b, bias, c, swapped, resume, relu):
    """Rows ``start`` to ``stop`` of ``C = A · Bᵀ``: a (rows, depth), b (columns, depth).

    Where ``swapped``, c is (columns, rows), and the bias belongs to the rows.
    """
    depth, columns = a.shape[1], b.shape[0]
    lane = lanes(c)
    whole = depth // lane * lane
    unrolled = depth // (4 * lane) * (4 * lane)
    c_row, c_step = (1, a.shape[0]) if swapped else (columns, 1)
    flat = c.ravel()
    for i in range(start, stop):
        for j in range(columns):
            s, t, u, v = zeros(c), zeros(c), zeros(c), zeros(c)
            x, y = i * depth, j * depth
            for k in range(0, unrolled, 4 * lane):
                s = fma(load(a, x + k), load(b, y + k), s)
                t = fma(load(a, x + k + lane), load(b, y + k + lane), t)
                u = fma(load(a, x + k + 2 * lane), load(b, y + k + 2 * lane), u)
                v = fma(load(a, x + k + 3 * lane), load(b, y + k + 3 * lane), v)
            for k in range(unrolled, whole, lane):
                s = fma(load(a, x + k), load(b, y + k), s)
            if whole < depth:
                rest = depth - whole
                part = load_part(a, x + whole, rest, 0.0)
                t = fma(part, load_part(b, y + whole, rest, 0.0), t)
            result = lane_sum((s + t) + (u + v))
            if resume:
                result += bias[i if swapped else j]
            if relu and result <= 0:
                result = c.dtype.type(0)
            flat[i * c_row + j * c_step] = result


@kernel
def _transpose(start, stop, x, out):
    """Bands ``start`` to ``stop`` of out (columns, rows) = xᵀ; a band is one vector wide."""
    rows, columns = x.shape
    lane = lanes(x)
    for band in range(start, stop):
        left = band * lane
        for top in range(0, rows, lane):
            turn_block(
                x, top * columns + left, columns, out, left * rows + top, rows,
                min(lane, rows - top), min(lane, columns - left),
            )  # fmt: skip


@lru_cache(maxsize=1024)
def _grid(strips, panels, ratio, parts):
    """How to cut C into ``parts`` blocks: (down, across). Nearly square ones copy least."""
    divisors = [part for part in range(1, parts + 1) if parts % part == 0]
    down = min(divisors, key=lambda part: part + parts / part * ratio)
    return min(down, strips), min(parts // down, panels)


_NO_BIAS = {np.dtype(kind): np.zeros(1, kind) for kind in (np.float32, np.float64)}


def _multiply(a, b, bias, out, a_turned, b_turned, relu=False):
    """out = A · B + bias through tiles, what is below 0 set to 0 with ``relu``."""
    rows, columns = out.shape
    itemsize = out.itemsize
    resume = bias is not None
    if not resume:
        bias = _NO_BIAS[out.dtype]
    tile = tile_address(out.dtype)
    panels = -(-columns * itemsize // TILE_WIDTH_BYTES)
    if b_turned:
        direct = panels == 1 or b.size == 0
    elif a_turned and 1 < panels <= _TALL_PANELS:
        _tall(tile, a, b, out)
        return
    elif a_turned and panels > 1 and (b.shape[0] > DEPTH or rows * itemsize % 4096 == 0):
        direct = False
    else:
        direct = panels == 1 or b.size * itemsize <= _DIRECT_BYTES or rows < _PACKED_ROWS
    if direct:
        if b_turned:
            b = transpose(b, scratch(b.size, out.dtype)[: b.size].reshape(-1, columns))
        elif rows > 1 and not a_turned and b.nbytes >= 1 << 17 and b.size >= _HALVED * out.size:
            rest = scratch(out.size, out.dtype)[: out.size].reshape(out.shape)
            _halves(tile, a, b, bias, out, rest, b.shape[0] // 32 * 16, resume)
            combine = arithmetic.add_relu if relu else arithmetic.add
            combine.ufunc(out, rest, out=out)
            return
        _direct(tile, a, b, bias, out, a_turned, resume, relu)
        return
    width = TILE_WIDTH_BYTES // itemsize
    down, across = _grid(-(-rows // TILE_ROWS), panels, rows / columns, _BLOCKS * policy.threads)
    group = min(-(-panels // across), max(1, _GROUP_BYTES // (DEPTH * TILE_WIDTH_BYTES)))
    size = STRIPS * STRIP + group * DEPTH * width
    space = scratch(down * across * size, out.dtype)
    _packed(tile, a, b, bias, out, a_turned, b_turned, resume, relu, down, across, space, size)


def _multiply_dots(a, b, bias, out, relu=False):
    """out (rows, columns) = a (rows, depth) · b (columns, depth)ᵀ + bias; see ``_multiply``."""
    resume = bias is not None
    if not resume:
        bias = _NO_BIAS[out.dtype]
    rows, columns = out.shape
    if rows >= columns:
        _dots(a, b, bias, out, False, resume, relu)
    else:  # share the longer side out between threads
        _dots(b, a, bias, out, True, resume, relu)


def matmul(a, b, bias=None, out=None, relu=False):
    """``out (m, n) = a (m, k) · b (k, n) + bias (n,)``, with ``relu`` its positive part."""
    if not (a.flags.c_contiguous and b.flags.c_contiguous):
        a, b = in_rows(a), in_rows(b)
    columns = b.shape[1]
    if out is None:
        out = empty((a.shape[0], columns), a.dtype)
    if columns <= _FEW:
        b = b.reshape(1, -1) if columns == 1 else transpose(b)
        _multiply_dots(a, b, bias, out, relu)
    else:
        _multiply(a, b, bias, out, False, False, relu)
    return out


def in_rows(x):
    """A matrix in C order: itself, or a copy. A transposed view is turned by our own kernel."""
    if x.flags.c_contiguous:
        return x
    return transpose(x.T) if x.T.flags.c_contiguous else x.copy()


def matmul_nt(a, b, out=None, bias=None):
    """``out (m, n) = a (m, k) · b (n, k)ᵀ + bias (n,)``.

    With ``dY`` and ``W``, the gradient of the input.
    """
    if out is None:
        out = empty((a.shape[0], b.shape[0]), a.dtype)
    if min(out.shape) <= _FEW:
        _multiply_dots(a, b, bias, out)
    else:
        _multiply(a, b, bias, out, False, True)
    return out


def matmul_tn(a, b, out=None):
    """``out (k, n) = a (m, k)ᵀ · b (m, n)``: with ``X`` and ``dY``, the gradient of the weight."""
    rows, columns = a.shape[1], b.shape[1]
    if out is None:
        out = empty((rows, columns), a.dtype)
    if columns * out.itemsize < 64 and columns < rows:
        space = scratch(out.size, out.dtype)
        _narrow(tile_address(out.dtype), a, b, out, space)
    else:
        _multiply(a, b, None, out, True, False)
    return out


def transpose(x, out=None):
    """``xᵀ`` of a matrix, as a contiguous array of its own."""
    rows, columns = x.shape
    if out is None:
        out = empty((columns, rows), x.dtype)
    if rows == 1 or columns == 1:
        out[...] = x.reshape(out.shape)
    else:
        _transpose(-(-columns * x.itemsize // 64), 0.2 * x.size, x, out)
    return out
