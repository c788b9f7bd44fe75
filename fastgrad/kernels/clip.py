"""Gradients of all parameters at once: their norm, clipping, zeroing."""

import math

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel
from ._record import empty
from ._simd import (
    fma,
    if_greater,
    lane_max,
    lane_sum,
    lanes,
    maximum,
    read,
    splat,
    write,
    zeros,
)
from ._tables import ADDRESS, LIKE, SIZE, array_at, piece, table_of
from .copy import SMALL, fill

__all__ = ["clip_norm", "clip_value", "total_norm", "zero"]


@register_jitable
def _gather(total, x, power):
    """``total`` with a vector more: its largest magnitude (power inf), Σ |x| (1) or Σ x² (2)."""
    if power == 2.0:
        return fma(x, x, total)
    size = maximum(x, -x)
    return total + size if power == 1.0 else maximum(total, size)


@kernel
def _partial_norms(start, stop, table, like, power, partial):
    """partial[block] = Σ |x|ᵖ, or the maximum of |x|, over the elements of the block."""
    lane = lanes(like)
    at, block = 0, start
    while block < stop:
        number = block
        at, begin, end, block = piece(table, at, block, block + 1)
        x = array_at(table[ADDRESS, at], table[SIZE, at], like)
        if power != 1.0 and power != 2.0 and power != math.inf:
            value = 0.0
            for i in range(begin, end):
                value += abs(float(x[i])) ** power
        else:
            total = zeros(like)
            for i in range(begin, end, lane):
                total = _gather(total, read(x, i, min(lane, end - i)), power)
            value = float(lane_max(total) if power == math.inf else lane_sum(total))
        partial[number] = value


@kernel(serial=True)
def _combine_norms(start, stop, partial, power, out):
    total = 0.0
    for i in range(start, stop):
        if power != math.inf:
            total += partial[i]
        elif partial[i] > total or partial[i] != partial[i]:
            total = partial[i]
    if power == 2.0:
        total = math.sqrt(total)
    elif power != math.inf:
        total = total ** (1.0 / power)
    out[0] = total


def total_norm(arrays, power=2.0):
    """``(Σ |x|ᵖ)^(1/p)`` over the elements of all arrays, shape (); the maximum for p = inf."""
    table, blocks, elements = table_of(arrays)
    out, partial = empty((), arrays[0].dtype), empty(blocks, np.float64)
    power = float(power)
    _partial_norms(blocks, elements * 0.1, table, LIKE[out.dtype], power, partial)
    _combine_norms(blocks, 0, partial, power, out.reshape(1))
    return out


@kernel
def _scale(start, stop, table, like, norm, limit):
    """Multiply by ``min(1, limit / (norm + 10⁻⁶))``; by NaN where that is NaN."""
    coefficient = limit / (float(norm[0]) + 1e-6)
    if coefficient >= 1.0:
        return
    factor, lane = splat(like, coefficient), lanes(like)
    at, block = 0, start
    while block < stop:
        at, begin, end, block = piece(table, at, block, stop)
        x = array_at(table[ADDRESS, at], table[SIZE, at], like)
        for i in range(begin, end, lane):
            n = min(lane, end - i)
            write(x, i, n, read(x, i, n) * factor)


def clip_norm(arrays, norm, limit):
    """Scale arrays whose total norm () is above ``limit`` down to it, in place."""
    table, blocks, elements = table_of(arrays)
    like = LIKE[arrays[0].dtype]
    _scale(blocks, elements * 0.1, table, like, norm.reshape(1), float(limit))


@register_jitable
def _clamp(x, low, high):
    """``x`` between the bounds; NaN stays NaN."""
    return if_greater(low, x, low, if_greater(x, high, high, x))


@kernel
def _clamp_all(start, stop, table, like, limit):
    high, low, lane = splat(like, limit), splat(like, -limit), lanes(like)
    at, block = 0, start
    while block < stop:
        at, begin, end, block = piece(table, at, block, stop)
        x = array_at(table[ADDRESS, at], table[SIZE, at], like)
        for i in range(begin, end, lane):
            n = min(lane, end - i)
            write(x, i, n, _clamp(read(x, i, n), low, high))


def clip_value(arrays, limit):
    """Put every element of the arrays between ``-limit`` and ``limit``, in place."""
    table, blocks, elements = table_of(arrays)
    _clamp_all(blocks, elements * 0.1, table, LIKE[arrays[0].dtype], float(limit))


@kernel
def _zero(start, stop, table, like):
    nothing, lane = zeros(like), lanes(like)
    at, block = 0, start
    while block < stop:
        at, begin, end, block = piece(table, at, block, stop)
        x = array_at(table[ADDRESS, at], table[SIZE, at], like)
        for i in range(begin, end, lane):
            write(x, i, min(lane, end - i), nothing)


_FEW = 12  # arrays that are filled one by one before a table of them is made


def zero(arrays):
    """Set every element of the arrays to 0."""
    if len(arrays) <= _FEW and sum([x.nbytes for x in arrays]) < SMALL:
        for x in arrays:
            fill(x, 0)
        return
    table, blocks, elements = table_of(arrays)
    _zero(blocks, elements * 0.05, table, LIKE[arrays[0].dtype])
