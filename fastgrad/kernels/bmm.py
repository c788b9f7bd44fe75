"""Matrix products of whole batches, in the same three orientations as of single matrices.

Leading axes are the batch, and broadcast: an operand that has an axis once is read again for each
item, not copied. Small products go in one launch, items shared out between threads; large ones
one after the other, each shared out. Either way an item is computed alike, whatever the number of
threads.
"""

import math
from functools import lru_cache

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel, scratch
from ._panels import pack_turned
from ._record import call_numpy, contiguous, empty
from ._threads import policy
from ._tile import (
    TILE_ROWS,
    TILE_VECTORS,
    TILE_WIDTH_BYTES,
    multiply_tile,
    tile_address,
    tile_lanes,
)
from .matmul import _dots, _work, in_rows, matmul, matmul_nt, matmul_tn

__all__ = ["bmm", "bmm_nt", "bmm_tn"]

_ITEM_STEPS = 1 << 20  # multiply-adds of an item up to which items, not their parts, are shared out
_MANY = 8  # of so many items also larger ones are
_ITEM_BYTES = 1 << 19  # of the right operand, at most: it should stay in the L2 cache
_GROUPS = 8  # groups of items for each thread


def _plan_items(tile, a, b, c, a_at, b_at, a_turned, b_turned, space, groups):
    depth = a.shape[1] if a_turned else a.shape[2]
    return groups, c.shape[0] * _work(c.shape[1], depth, c.shape[2], c)


@kernel(plan=_plan_items, counted=True)
def _items(start, stop, tile, a, b, c, a_at, b_at, a_turned, b_turned, space, groups):
    """Groups ``start`` to ``stop`` of the products ``C[i] = A[a_at[i]] · B[b_at[i]]``.

    a (p, rows, depth), b (q, depth, columns), each or both turned, c (items, rows, columns)
    space    scratch for a packed B of each group, where B is turned
    """
    items, rows, columns = c.shape
    depth = a.shape[1] if a_turned else a.shape[2]
    a_row, a_step = (1, rows) if a_turned else (depth, 1)
    width = TILE_VECTORS * tile_lanes(c)
    strips, panels = (rows + TILE_ROWS - 1) // TILE_ROWS, (columns + width - 1) // width
    height = (rows + max(strips, 1) - 1) // max(strips, 1)
    flat_b = b.ravel()
    for group in range(start, stop):
        packed_at, packed = group * panels * depth * width, -1
        for item in range(items * group // groups, items * (group + 1) // groups):
            a_from, c_from = a_at[item] * rows * depth, item * rows * columns
            if b_turned and b_at[item] != packed:
                packed = b_at[item]
                pack_turned(b[packed], space, packed_at, 0, depth, 0, panels)
            for top in range(0, rows, height):
                for panel in range(panels):
                    left = panel * width
                    if b_turned:
                        right, at, step = space, packed_at + left * depth, width
                    else:
                        right, at, step = flat_b, b_at[item] * depth * columns + left, columns
                    multiply_tile(
                        tile, a, a_from + top * a_row, a_row, a_step,
                        right, at, step, right, 0, 0, depth,
                        False, c, 0, 0, False, c, c_from + top * columns + left, columns,
                        min(height, rows - top), min(width, columns - left),
                    )  # fmt: skip


_one_dots = register_jitable(_dots.__wrapped__)


def _plan_item_dots(a, b, c, a_at, b_at, nothing):
    items, rows, columns = c.shape
    return items, items * rows * columns * (a.shape[2] * 0.05 + 5.0)


@kernel(plan=_plan_item_dots, counted=True)
def _item_dots(start, stop, a, b, c, a_at, b_at, nothing):
    """Items ``start`` to ``stop`` of ``C[i] = A[a_at[i]] · B[b_at[i]]ᵀ``, by dot products.

    a (p, rows, depth), b (q, columns, depth), c (items, rows, columns)
    """
    for item in range(start, stop):
        _one_dots(
            0, c.shape[1], a[a_at[item]], b[b_at[item]], nothing, c[item], False, False, False
        )


_NOTHING = {np.dtype(kind): np.zeros(1, kind) for kind in (np.float32, np.float64)}


@lru_cache(maxsize=1024)
def _pairs(left, right):
    """(batch, a_at, b_at): the shape of two batches together, and whose matrix each item takes."""
    batch = np.broadcast_shapes(left, right)
    return batch, *(
        np.broadcast_to(np.arange(math.prod(shape)).reshape(shape), batch).flatten()
        for shape in (left, right)
    )


def _matrices(x):
    """``x`` as (count, rows, columns)."""
    return x.reshape(math.prod(x.shape[:-2]), *x.shape[-2:])


def _multiply_batch(a, b, out, a_turned, b_turned):
    """``out[i] = A[i] · B[i]`` for every item of the broadcast batch."""
    batch, a_at, b_at = _pairs(a.shape[:-2], b.shape[:-2])
    rows, columns = a.shape[-1 if a_turned else -2], b.shape[-2 if b_turned else -1]
    depth = a.shape[-2 if a_turned else -1]
    if out is None:
        out = empty((*batch, rows, columns), a.dtype)
    c = out.reshape(len(a_at), rows, columns)
    if not out.size:
        return out
    small = rows * depth * columns <= _ITEM_STEPS or len(c) >= _MANY
    if len(c) == 1 or not small or depth * columns * c.itemsize > _ITEM_BYTES:
        product = {(False, False): matmul, (False, True): matmul_nt, (True, False): matmul_tn}
        product, a, b = product[a_turned, b_turned], _matrices(a), _matrices(b)
        for item in range(len(c)):
            product(in_rows(a[a_at[item]]), in_rows(b[b_at[item]]), out=c[item])
    elif rows == 1 or columns == 1:
        a, b = _matrices(contiguous(a)), _matrices(contiguous(b))
        _multiply_vectors(a, b, c, a_at, b_at, a_turned, b_turned)
    else:
        (a, a_turned), (b, b_turned) = _as_stored(a, a_turned), _as_stored(b, b_turned)
        _multiply_items(_matrices(a), _matrices(b), c, a_at, b_at, a_turned, b_turned)
    return out


def _as_stored(x, turned):
    """``x`` in C order, and whether its matrices are turned: often no copy is needed for that."""
    if x.flags.c_contiguous:
        return x, turned
    exchanged = x.swapaxes(-1, -2)
    return (exchanged, not turned) if exchanged.flags.c_contiguous else (contiguous(x), turned)


def _multiply_vectors(a, b, c, a_at, b_at, a_turned, b_turned):
    """Products of a matrix and a vector: dot products, or one row times a matrix.

    A vector may be turned as one likes.
    """
    _, rows, columns = c.shape
    depth = a.shape[1 if a_turned else 2]
    if columns == 1:
        b = b.reshape(len(b), 1, depth)
        if a_turned and rows > 1:
            c = c.reshape(len(c), 1, rows)
            _multiply_items(b, a, c, b_at, a_at, False, False)
            return
        a, b_turned = a.reshape(len(a), rows, depth), True
    a = a.reshape(len(a), rows, depth)
    if b_turned:
        _item_dots(a, b, c, a_at, b_at, _NOTHING[c.dtype])
    else:
        _multiply_items(a, b, c, a_at, b_at, False, False)


def _multiply_items(a, b, c, a_at, b_at, a_turned, b_turned):
    """Products of matrices in C order, by one launch for all."""
    _, rows, columns = c.shape
    depth = a.shape[1 if a_turned else 2]
    if depth == 1:  # two vectors
        a, b = a.reshape(len(a), rows, 1), b.reshape(len(b), 1, columns)
        a_turned = b_turned = False
    groups, size = min(len(c), _GROUPS * policy.threads), 0
    if b_turned:
        size = -(-columns * c.itemsize // TILE_WIDTH_BYTES) * depth * TILE_WIDTH_BYTES // c.itemsize
    space = scratch(groups * size, c.dtype)
    _items(tile_address(c.dtype), a, b, c, a_at, b_at, a_turned, b_turned, space, groups)


def bmm(a, b, out=None):
    """``out[i] (m, n) = a[i] (m, k) · b[i] (k, n)``; leading axes broadcast. Also of integers."""
    if a.dtype.kind != "f":
        return call_numpy(np.matmul, a, b)
    if a.ndim == b.ndim == 2:
        return matmul(a, b, out=out)
    return _multiply_batch(a, b, out, False, False)


def bmm_nt(a, b, out=None):
    """``out[i] (m, n) = a[i] (m, k) · b[i] (n, k)ᵀ``: the gradient of the left operand."""
    if a.ndim == b.ndim == 2:
        return matmul_nt(in_rows(a), in_rows(b), out)
    return _multiply_batch(a, b, out, False, True)


def bmm_tn(a, b, out=None):
    """``out[i] (k, n) = a[i] (m, k)ᵀ · b[i] (m, n)``: the gradient of the right operand."""
    if a.ndim == b.ndim == 2:
        return matmul_tn(in_rows(a), in_rows(b), out)
    return _multiply_batch(a, b, out, True, False)
