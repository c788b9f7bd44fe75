"""Matrix products on our own register tile, in the three orientations that training needs.

    forward        Y  = X · W      (M, K)·(K, N)
    input grad     dX = dY · Wᵀ    (M, N)·(K, N)ᵀ
    weight grad    dW = Xᵀ · dY    (M, K)ᵀ·(M, N)

Below, C (rows, columns) = A (rows, depth) · B (depth, columns), and "turned" says that an operand
is stored as its transpose. The tile reads B along its rows; it may read A along rows or columns.

    _direct   tiles straight on the operands: B is small or has short rows
    _packed   panels of B, and a strip of A, copied into cache first: B is large or turned
    _dots     one dot product per element, along rows of A and of Bᵀ: one or a few columns

Every element is a single chain of fused multiply-adds over ascending k (in ``_dots``, one chain
per vector lane), so no result depends on the number of threads.
"""

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel, scratch
from ._simd import fma, lane_sum, lanes, load, load_part, store, store_part, turn_block, zeros
from ._tile import (
    TILE_ROWS,
    TILE_VECTORS,
    TILE_WIDTH_BYTES,
    WIDE_ROWS,
    WIDE_VECTORS,
    multiply_tile,
    tile_lanes,
)
from .reduce import sum

__all__ = [
    "linear_backward",
    "linear_forward",
    "matmul",
    "matmul_nt",
    "matmul_tn",
    "transpose",
]

_DEPTH = 384  # k-block of a packed panel: a strip of A (14 × 384 float32) fills half of L1
_STRIP = 16 * (_DEPTH + 16)  # elements of the copy of a strip: up to 16 rows, skewed
_GROUP_BYTES = 1 << 20  # packed B kept in L2 at a time
_DIRECT_BYTES = 1 << 20  # from there on B is packed; from half of it where A is turned
_PACKED_ROWS = 8  # with fewer rows a packed panel is not used often enough
_FEW = 4  # up to so many columns, dot products beat tiles that are mostly masked
_NANOSECONDS_PER_STEP = 1 / 60  # per multiply-add, on one thread


@kernel
def _direct(start, stop, a, b, bias, c, a_turned, resume):
    """Tiles ``start`` to ``stop`` of C; tiles run along a strip of rows.

    a (rows, depth) or turned, b (depth, columns), bias (columns) if ``resume``, c (rows, columns)
    """
    rows, columns = c.shape
    depth = b.shape[0]
    a_row, a_step = (1, rows) if a_turned else (depth, 1)
    height, vectors = (WIDE_ROWS, WIDE_VECTORS) if rows <= WIDE_ROWS else (TILE_ROWS, TILE_VECTORS)
    width = vectors * tile_lanes(c)
    strips = (rows + height - 1) // height
    panels = (columns + width - 1) // width
    for tile in range(start, stop):
        strip, panel = tile // panels, tile % panels
        top, bottom = rows * strip // strips, rows * (strip + 1) // strips
        left = panel * width
        multiply_tile(
            a, top * a_row, a_row, a_step,
            b, left, columns, depth,
            resume, bias, left, 0,
            c, top * columns + left, columns,
            bottom - top, min(width, columns - left),
        )  # fmt: skip


@kernel
def _packed(start, stop, a, b, bias, c, a_turned, b_turned, resume, panels, strip_copy):
    """Panels ``start`` to ``stop`` of C, through packed copies.

    panels       (panels of C, _DEPTH, width) scratch; a part uses the region of its first panel
    strip_copy   (panels of C, _STRIP) scratch, likewise
    """
    rows, columns = c.shape
    depth = b.shape[1] if b_turned else b.shape[0]
    a_row, a_step = (1, rows) if a_turned else (depth, 1)
    width = TILE_VECTORS * tile_lanes(c)
    group = max(1, _GROUP_BYTES // (_DEPTH * width * c.itemsize))
    strips = (rows + TILE_ROWS - 1) // TILE_ROWS
    panels_at, strip_at = start * _DEPTH * width, start * _STRIP
    for first in range(start, stop, group):
        last = min(first + group, stop)
        for k in range(0, depth, _DEPTH):
            steps = min(_DEPTH, depth - k)
            if b_turned:
                _pack_turned(b, panels, panels_at, k, steps, first, last)
            else:
                _pack_panels(b, panels, panels_at, k, steps, first, last)
            for strip in range(strips):
                top, bottom = rows * strip // strips, rows * (strip + 1) // strips
                height, origin = bottom - top, top * a_row + k * a_step
                row, step = _copy_strip(
                    a, origin, a_row, a_step, strip_copy, strip_at, height, steps
                )
                for panel in range(first, last):
                    left = panel * width
                    c_at, count = top * columns + left, min(width, columns - left)
                    b_at = panels_at + (panel - first) * steps * width
                    if k == 0:
                        multiply_tile(
                            strip_copy, strip_at, row, step, panels, b_at, width, steps,
                            resume, bias, left, 0, c, c_at, columns, height, count,
                        )  # fmt: skip
                    else:
                        multiply_tile(
                            strip_copy, strip_at, row, step, panels, b_at, width, steps,
                            True, c, c_at, columns, c, c_at, columns, height, count,
                        )  # fmt: skip


@register_jitable
def _pack_panels(b, panels, at, k, steps, first, last):
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
def _pack_turned(b, panels, at, k, steps, first, last):
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
def _copy_strip(a, origin, a_row, a_step, strip, at, height, steps):
    """Copy a strip of A; returns the distances between its rows and between its steps.

    Unmoved, rows a multiple of 4 KiB apart would all fall into one set of the L1 cache.
    """
    lane = lanes(a)
    if a_step == 1:
        row = steps + 16
        whole = steps // lane * lane
        for i in range(height):
            source, target = origin + i * a_row, at + i * row
            for k in range(0, whole, lane):
                store(strip, target + k, load(a, source + k))
            if whole < steps:
                rest = steps - whole
                store_part(strip, target + whole, rest, load_part(a, source + whole, rest, 0.0))
        return row, 1
    for k in range(steps):
        source, target = origin + k * a_step, at + k * 16
        for i in range(0, height, lane):
            count = min(lane, height - i)
            store_part(strip, target + i, count, load_part(a, source + i, count, 0.0))
    return 1, 16


@kernel
def _dots(start, stop, a, b, bias, c, swapped, resume):
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


def _multiply(a, b, bias, out, a_turned, b_turned):
    """out = A · B + bias through tiles."""
    rows, columns = out.shape
    depth = b.shape[1 if b_turned else 0]
    resume = bias is not None
    if not resume:
        bias = out.ravel()  # of the right type, and not read
    work = rows * depth * columns * _NANOSECONDS_PER_STEP
    width = TILE_WIDTH_BYTES // out.itemsize
    panels = -(-columns // width)
    b_bytes = depth * columns * out.itemsize
    limit = _DIRECT_BYTES // 2 if a_turned else _DIRECT_BYTES
    if b_bytes > limit and rows >= _PACKED_ROWS and columns > width:
        region = _DEPTH * width
        space = scratch(panels * (region + _STRIP), out.dtype)
        split = panels * region
        _packed(
            panels, work, a, b, bias, out, a_turned, b_turned, resume, space[:split], space[split:]
        )
        return
    if b_turned:
        b = transpose(b, scratch(depth * columns, out.dtype)[: depth * columns].reshape(depth, -1))
    if rows <= WIDE_ROWS:
        tiles = -(-columns * TILE_VECTORS // (width * WIDE_VECTORS))
    else:
        tiles = panels * -(-rows // TILE_ROWS)
    _direct(tiles, work, a, b, bias, out, a_turned, resume)


def _multiply_dots(a, b, bias, out):
    """out (rows, columns) = a (rows, depth) · b (columns, depth)ᵀ + bias."""
    resume = bias is not None
    if not resume:
        bias = out.ravel()
    rows, columns = out.shape
    work = rows * columns * (a.shape[1] * 0.05 + 5)
    if rows >= columns:
        _dots(rows, work, a, b, bias, out, False, resume)
    else:  # share the longer side out between threads
        _dots(columns, work, b, a, bias, out, True, resume)


def matmul(a, b, bias=None, out=None):
    """``out (m, n) = a (m, k) · b (k, n) + bias (n,)``."""
    columns = b.shape[1]
    if out is None:
        out = np.empty((a.shape[0], columns), a.dtype)
    if columns <= _FEW:
        _multiply_dots(a, b.reshape(1, -1) if columns == 1 else transpose(b), bias, out)
    else:
        _multiply(a, b, bias, out, False, False)
    return out


def matmul_nt(a, b, out=None):
    """``out (m, n) = a (m, k) · b (n, k)ᵀ``: with ``dY`` and ``W``, the gradient of the input."""
    if out is None:
        out = np.empty((a.shape[0], b.shape[0]), a.dtype)
    if min(out.shape) <= _FEW:
        _multiply_dots(a, b, None, out)
    else:
        _multiply(a, b, None, out, False, True)
    return out


def matmul_tn(a, b, out=None):
    """``out (k, n) = a (m, k)ᵀ · b (m, n)``: with ``X`` and ``dY``, the gradient of the weight."""
    rows, columns = a.shape[1], b.shape[1]
    if out is None:
        out = np.empty((rows, columns), a.dtype)
    if columns <= _FEW < rows:
        # outᵀ = bᵀ · a has long rows
        turned = np.empty((columns, rows), a.dtype)
        _multiply(b, a, None, turned, True, False)
        transpose(turned, out)
    else:
        _multiply(a, b, None, out, True, False)
    return out


def transpose(x, out=None):
    """``xᵀ`` of a matrix, as a contiguous array of its own."""
    rows, columns = x.shape
    if out is None:
        out = np.empty((columns, rows), x.dtype)
    if rows == 1 or columns == 1:
        out[...] = x.reshape(out.shape)
    else:
        _transpose(-(-columns * x.itemsize // 64), 0.2 * x.size, x, out)
    return out


def linear_forward(x, weight, bias=None, out=None):
    """``Y (n, out) = X (n, in) · W (in, out) + b (out,)``, the bias added in the product."""
    return matmul(x, weight, bias, out)


def linear_backward(grad, x, weight, needs=(True, True, True)):
    """``dX = dY · Wᵀ``, ``dW = Xᵀ · dY``, ``db = Σ dY`` over the batch; None where not needed."""
    needs_x, needs_weight, needs_bias = needs
    grad_x = matmul_nt(grad, weight) if needs_x else None
    grad_weight = matmul_tn(x, grad) if needs_weight else None
    grad_bias = sum(grad, (0,)) if needs_bias else None
    return grad_x, grad_weight, grad_bias
