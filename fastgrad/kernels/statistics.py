"""Variance and ``log Σ exp`` over any axes, in one pass over memory.

Rows are cut into blocks that stay in the cache while they are read twice: for their mean and the
squared deviations from it, or for their maximum and the exponentials. Blocks are then combined in
order, so that the bits depend on the shape alone.
"""

import math
from functools import lru_cache

import numpy as np

from ._jit import kernel
from ._record import contiguous, empty
from ._simd import (
    exp,
    if_equal,
    keep_first,
    lane_max,
    lane_sum,
    lanes,
    load,
    load_part,
    log,
    maximum,
    read,
    splat,
    write,
    zeros,
)
from ._ufunc import elementwise

__all__ = ["deviation", "logsumexp", "scaled_exp", "var"]

_BLOCK = 4096  # elements of a row that one partial result covers
_GROUP = 64  # additions in a chain before it is added to a total


@lru_cache(maxsize=4096)
def _plan(shape, axes, keepdim):
    """(order of the axes, the reduced ones last; rows; n; shape of the result)."""
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    result = [1 if axis in axes else n for axis, n in enumerate(shape) if keepdim or axis in kept]
    n = math.prod(shape[axis] for axis in axes)
    return (*kept, *axes), math.prod(shape[axis] for axis in kept), n, tuple(result)


def _rows(x, order):
    """``x`` with its axes in an order, flat."""
    in_order = order == tuple(range(x.ndim))
    return contiguous(x if in_order else x.transpose(order)).reshape(-1)


# ------------------------------------------------------------------ variance


@kernel
def _block_moments(start, stop, x, mean, square, n, block, divisor):
    """Mean of each block of rows of x (rows, n), and Σ (x - mean)² over divisor; (row, block)."""
    lane = lanes(x)
    blocks = (n + block - 1) // block
    for item in range(start, stop):
        at = item // blocks * n + item % blocks * block
        size = min(block, n - item % blocks * block)
        whole = at + size // lane * lane
        rest = size % lane
        total = zeros(x)
        for first in range(at, whole, _GROUP * lane):
            part = zeros(x)
            for i in range(first, min(first + _GROUP * lane, whole), lane):
                part += load(x, i)
            total += part
        if rest:
            total += load_part(x, whole, rest, 0.0)
        middle = float(lane_sum(total)) / size
        center = splat(x, middle)
        off, squares = zeros(x), zeros(x)
        for first in range(at, whole, _GROUP * lane):
            part, part_squares = zeros(x), zeros(x)
            for i in range(first, min(first + _GROUP * lane, whole), lane):
                d = load(x, i) - center
                part += d
                part_squares += d * d
            off += part
            squares += part_squares
        if rest:
            d = keep_first(load_part(x, whole, rest, 0.0) - center, rest)
            off += d
            squares += d * d
        # The center was rounded: correct for what the deviations still sum to.
        error, exact = float(lane_sum(off)), float(lane_sum(squares))
        exact -= error * error / size
        square[item] = (0.0 if exact < 0.0 else exact) / divisor
        mean[item] = float(x.dtype.type(middle)) + (error / size if error == error else 0.0)


@kernel
def _combine_moments(start, stop, block_mean, block_square, mean, square, n, block, divisor):
    """Of each row's blocks."""
    blocks = (n + block - 1) // block
    for row in range(start, stop):
        total, squares = 0.0, 0.0
        for b in range(blocks):
            total += block_mean[row * blocks + b] * min(block, n - b * block)
        for b in range(blocks):
            d = block_mean[row * blocks + b] - total / n
            squares += block_square[row * blocks + b] + d * d * min(block, n - b * block)
        mean[row] = total / n
        square[row] = squares / divisor


@kernel
def _column_moments(start, stop, x, mean, square, n, inner, divisor):
    """The same across rows of x (outer, n, inner); an item is one vector of columns."""
    lane = lanes(x)
    strips = (inner + lane - 1) // lane
    count = splat(x, float(n))
    scale = splat(x, divisor)
    for item in range(start, stop):
        left = item % strips * lane
        width = min(lane, inner - left)
        target = item // strips * inner + left
        at = item // strips * n * inner + left
        total = zeros(x)
        for first in range(0, n, _GROUP):
            part = zeros(x)
            for i in range(first, min(first + _GROUP, n)):
                part += read(x, at + i * inner, width)
            total += part
        center = total / count
        off, squares = zeros(x), zeros(x)
        for first in range(0, n, _GROUP):
            part, part_squares = zeros(x), zeros(x)
            for i in range(first, min(first + _GROUP, n)):
                d = read(x, at + i * inner, width) - center
                part += d
                part_squares += d * d
            off += part
            squares += part_squares
        write(mean, target, width, center + if_equal(off, off, off / count, zeros(x)))
        rest = squares - off * off / count
        write(square, target, width, maximum(rest, zeros(x)) / scale)


def var(x, axes, correction=1.0):
    """(variance, mean) over ``axes`` (a tuple), with axes of size 1 kept.

    The squared deviations are divided by ``n - correction``; by 0 where that is negative.
    """
    order, rows, n, shape = _plan(x.shape, axes, True)
    mean, square = empty(shape, x.dtype), empty(shape, x.dtype)
    divisor = max(n - correction, 0.0) + 0.0
    if not rows * n:
        mean.fill(math.nan)
        square.fill(math.nan)
        return square, mean
    together = axes and axes[-1] - axes[0] + 1 == len(axes) and axes[-1] < x.ndim - 1
    inner = math.prod(x.shape[axes[-1] + 1 :]) if together else 1
    if inner > 1:
        flat = contiguous(x).reshape(-1)
        strips = rows // inner * -(-inner * x.itemsize // 64)
        results = mean.reshape(-1), square.reshape(-1)
        _column_moments(strips, x.size * 0.2, flat, *results, n, inner, divisor)
        return square, mean
    flat, results = _rows(x, order), (mean.reshape(-1), square.reshape(-1))
    blocks = -(-n // _BLOCK)
    if blocks == 1:
        _block_moments(rows, x.size * 0.15, flat, *results, n, _BLOCK, divisor)
        return square, mean
    parts = empty(rows * blocks, np.float64), empty(rows * blocks, np.float64)
    _block_moments(rows * blocks, x.size * 0.15, flat, *parts, n, _BLOCK, 1.0)
    _combine_moments(rows, rows * blocks * 5.0, *parts, *results, n, _BLOCK, divisor)
    return square, mean


@elementwise(cost=0.1)
def deviation(x, mean, scale):
    """``(x - mean) · scale``"""
    return (x - mean) * scale


# ------------------------------------------------------------------ log Σ exp


@kernel
def _block_exponentials(start, stop, x, best, total, n, block):
    """Maximum m of each block of rows of x (rows, n), and Σ e^(x - m); items are (row, block).

    Where a row is one block, ``best`` becomes the result.
    """
    lane = lanes(x)
    blocks = (n + block - 1) // block
    for item in range(start, stop):
        at = item // blocks * n + item % blocks * block
        size = min(block, n - item % blocks * block)
        whole = at + size // lane * lane
        rest = size % lane
        most = splat(x, -np.inf)
        for i in range(at, whole, lane):
            most = maximum(most, load(x, i))
        if rest:
            most = maximum(most, load_part(x, whole, rest, -np.inf))
        peak = lane_max(most)
        best[item] = peak
        finite = peak if abs(peak) < np.inf else x.dtype.type(0)  # ∞ - ∞ would be NaN
        shift = splat(x, finite)
        sums = zeros(x)
        for i in range(at, whole, lane):
            sums += exp(load(x, i) - shift)
        if rest:
            sums += keep_first(exp(load_part(x, whole, rest, 0.0) - shift), rest)
        if blocks == 1:
            best[item] = finite + log(lane_sum(sums))
        else:
            total[item] = lane_sum(sums)


@kernel
def _combine_exponentials(start, stop, best, total, out, blocks):
    for row in range(start, stop):
        peak = best[row * blocks]
        for b in range(1, blocks):
            value = best[row * blocks + b]
            if value > peak or value != value:
                peak = value
        shift = peak if abs(peak) < np.inf else out.dtype.type(0)
        sums = 0.0
        for b in range(blocks):
            own = best[row * blocks + b]
            finite = own if abs(own) < np.inf else out.dtype.type(0)
            if own > -np.inf or own != own:
                sums += total[row * blocks + b] * exp(finite - shift)
        out[row] = shift + log(out.dtype.type(sums))


def logsumexp(x, axes, keepdim=False):
    """``log Σ eˣ`` over ``axes`` (a tuple); -inf over nothing."""
    order, rows, n, shape = _plan(x.shape, axes, keepdim)
    out = empty(shape, x.dtype)
    if not rows * n:
        out.fill(-math.inf)
        return out
    blocks = -(-n // _BLOCK)
    if blocks == 1:
        flat = out.reshape(-1)
        _block_exponentials(rows, x.size * 0.6, _rows(x, order), flat, flat, n, _BLOCK)
        return out
    parts = empty(rows * blocks, x.dtype), empty(rows * blocks, x.dtype)
    _block_exponentials(rows * blocks, x.size * 0.6, _rows(x, order), *parts, n, _BLOCK)
    _combine_exponentials(rows, rows * blocks * 10.0, *parts, out.reshape(-1), blocks)
    return out


@elementwise(cost=0.6)
def scaled_exp(x, shift, grad):
    """``grad · e^(x - shift)``"""
    return grad * exp(x - shift)
