"""Batch normalization over (N, C) and (N, C, *): statistics, normalization and backward.

Every channel is read from cache three times in one launch: for its mean, for its variance about
that mean, and to normalize. Sums are of differences (from the first element, then from the
mean), so that a mean of 10⁴ deviations costs no digits.
"""

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel
from ._record import empty
from ._simd import (
    fma,
    keep_first,
    lane_sum,
    lanes,
    load,
    load_part,
    splat,
    sqrt,
    store,
    store_part,
    zeros,
)

__all__ = [
    "batch_norm_apply",
    "batch_norm_backward",
    "batch_norm_forward",
    "update_running",
]

_ROW_BLOCK = 128  # rows whose sum is added to the total at once


@register_jitable
def _column_sums(x, y, at, row_size, rows, count, shift, scale):
    """(Σ (x - shift), Σ (x - shift) · y · scale) down one vector of columns, for y like x.

    A block of rows at a time, so that long columns do not lose small terms.
    """
    first_total, second_total = zeros(x), zeros(x)
    for top in range(0, rows, _ROW_BLOCK):
        first, second = zeros(x), zeros(x)
        for row in range(top, min(top + _ROW_BLOCK, rows)):
            i = at + row * row_size
            d = load_part(x, i, count, 0.0) - shift
            first += d
            second = fma(d, (load_part(y, i, count, 0.0) - shift) * scale, second)
        first_total += first
        second_total += second
    return first_total, second_total


@kernel
def _forward_columns(start, stop, x, weight, bias, eps, out, mean, var, rstd, rows, n):
    """Vectors ``start`` to ``stop`` of the channels of x (rows, n)."""
    lane = lanes(x)
    ones, size = splat(x, 1.0), splat(x, float(rows))
    for item in range(start, stop):
        at = item * lane
        count = min(lane, n - at)
        origin = load_part(x, at, count, 0.0)
        total, _ = _column_sums(x, x, at, n, rows, count, origin, ones)
        center = origin + total / size
        error, squares = _column_sums(x, x, at, n, rows, count, center, ones)
        error = error / size  # what rounding left in the mean
        variance = squares / size - error * error
        inverse = ones / sqrt(variance + splat(x, eps))
        store_part(mean, at, count, center + error)
        store_part(var, at, count, variance)
        store_part(rstd, at, count, inverse)
        gain = inverse * load_part(weight, at, count, 1.0)
        offset = load_part(bias, at, count, 0.0)
        center = center + error
        for row in range(rows):
            i = at + row * n
            store_part(out, i, count, fma(load_part(x, i, count, 0.0) - center, gain, offset))


@kernel
def _backward_columns(
    start, stop, grad, x, weight, mean, rstd, training, grad_x, grad_weight, grad_bias, rows, n
):
    """Vectors ``start`` to ``stop`` of the channels; see ``batch_norm_backward``."""
    lane = lanes(x)
    size = splat(x, float(rows))
    for item in range(start, stop):
        at = item * lane
        count = min(lane, n - at)
        center, inverse = load_part(mean, at, count, 0.0), load_part(rstd, at, count, 0.0)
        sum_grad, sum_both = zeros(x), zeros(x)
        for top in range(0, rows, _ROW_BLOCK):
            block_grad, block_both = zeros(x), zeros(x)
            for row in range(top, min(top + _ROW_BLOCK, rows)):
                i = at + row * n
                g = load_part(grad, i, count, 0.0)
                block_grad += g
                block_both = fma(g, load_part(x, i, count, 0.0) - center, block_both)
            sum_grad += block_grad
            sum_both += block_both
        sum_both = sum_both * inverse
        store_part(grad_bias, at, count, sum_grad)
        store_part(grad_weight, at, count, sum_both)
        gain = inverse * load_part(weight, at, count, 1.0)
        mean_grad, slope = zeros(x), zeros(x)
        if training:
            mean_grad, slope = sum_grad / size, sum_both / size * inverse
        for row in range(rows):
            i = at + row * n
            d = load_part(x, i, count, 0.0) - center
            value = load_part(grad, i, count, 0.0) - mean_grad - d * slope
            store_part(grad_x, i, count, value * gain)


@register_jitable
def _channel_sums(x, at, item_size, items, n, shift):
    """(Σ (x - shift), Σ (x - shift)²) over ``items`` runs of n elements, ``item_size`` apart."""
    lane = lanes(x)
    whole = n // lane * lane
    moved = splat(x, shift)
    total, squares = 0.0, 0.0
    for item in range(items):
        i = at + item * item_size
        s, q = zeros(x), zeros(x)
        for j in range(i, i + whole, lane):
            d = load(x, j) - moved
            s += d
            q = fma(d, d, q)
        if whole < n:
            d = keep_first(load_part(x, i + whole, n - whole, 0.0) - moved, n - whole)
            s += d
            q = fma(d, d, q)
        total += float(lane_sum(s))
        squares += float(lane_sum(q))
    return total, squares


@kernel
def _forward_channels(start, stop, x, weight, bias, eps, out, mean, var, rstd, items, channels, n):
    """Channels ``start`` to ``stop`` of x (items, channels, n)."""
    lane = lanes(x)
    whole = n // lane * lane
    rest = n - whole
    size = float(items * n)
    for c in range(start, stop):
        at, step = c * n, channels * n
        origin = x[at]
        total, _ = _channel_sums(x, at, step, items, n, origin)
        center = x.dtype.type(float(origin) + total / size)
        error, squares = _channel_sums(x, at, step, items, n, center)
        error /= size
        variance = squares / size - error * error
        inverse = 1.0 / np.sqrt(variance + eps)
        mean[c] = float(center) + error
        var[c] = variance
        rstd[c] = inverse
        moved, gain = splat(x, mean[c]), splat(x, inverse * float(weight[c]))
        offset = splat(x, bias[c])
        for item in range(items):
            i = at + item * step
            for j in range(i, i + whole, lane):
                store(out, j, fma(load(x, j) - moved, gain, offset))
            if rest:
                j = i + whole
                store_part(out, j, rest, fma(load_part(x, j, rest, 0.0) - moved, gain, offset))


@kernel
def _backward_channels(
    start, stop, grad, x, weight, mean, rstd, training, grad_x, grad_weight, grad_bias,
    items, channels, n,
):  # fmt: skip
    """Channels ``start`` to ``stop``; see ``batch_norm_backward``."""
    lane = lanes(x)
    whole = n // lane * lane
    rest = n - whole
    size = float(items * n)
    for c in range(start, stop):
        at, step = c * n, channels * n
        center, inverse = splat(x, mean[c]), float(rstd[c])
        sum_grad, sum_both = 0.0, 0.0
        for item in range(items):
            i = at + item * step
            s, q = zeros(x), zeros(x)
            for j in range(i, i + whole, lane):
                g = load(grad, j)
                s += g
                q = fma(g, load(x, j) - center, q)
            if rest:
                g = load_part(grad, i + whole, rest, 0.0)
                s += g
                q = fma(g, load_part(x, i + whole, rest, 0.0) - center, q)
            sum_grad += float(lane_sum(s))
            sum_both += float(lane_sum(q))
        sum_both *= inverse
        grad_bias[c] = sum_grad
        grad_weight[c] = sum_both
        gain = splat(x, inverse * float(weight[c]))
        mean_grad, slope = zeros(x), zeros(x)
        if training:
            mean_grad, slope = splat(x, sum_grad / size), splat(x, sum_both / size * inverse)
        for item in range(items):
            i = at + item * step
            for j in range(i, i + whole, lane):
                value = load(grad, j) - mean_grad - (load(x, j) - center) * slope
                store(grad_x, j, value * gain)
            if rest:
                j = i + whole
                d = load_part(x, j, rest, 0.0) - center
                value = load_part(grad, j, rest, 0.0) - mean_grad - d * slope
                store_part(grad_x, j, rest, value * gain)


@kernel
def _apply_columns(start, stop, x, weight, bias, eps, out, mean, var, rstd, rows, n):
    """Normalize rows ``start`` to ``stop`` of x (rows, n) by given statistics."""
    lane = lanes(x)
    for row in range(start, stop):
        for j in range(0, n, lane):
            count = min(lane, n - j)
            inverse = load_part(rstd, j, count, 0.0)
            gain = inverse * load_part(weight, j, count, 1.0)
            d = load_part(x, row * n + j, count, 0.0) - load_part(mean, j, count, 0.0)
            store_part(out, row * n + j, count, fma(d, gain, load_part(bias, j, count, 0.0)))


@kernel
def _apply_channels(start, stop, x, weight, bias, eps, out, mean, var, rstd, items, channels, n):
    """Normalize runs ``start`` to ``stop`` of x (items · channels, n) by given statistics."""
    lane = lanes(x)
    whole = n // lane * lane
    rest = n - whole
    for run in range(start, stop):
        c, i = run % channels, run * n
        moved, gain = splat(x, mean[c]), splat(x, float(rstd[c]) * float(weight[c]))
        offset = splat(x, bias[c])
        for j in range(i, i + whole, lane):
            store(out, j, fma(load(x, j) - moved, gain, offset))
        if rest:
            j = i + whole
            store_part(out, j, rest, fma(load_part(x, j, rest, 0.0) - moved, gain, offset))


@kernel(serial=True)
def _update_running(start, stop, running, batch, momentum, correction):
    """running = (1 - momentum) · running + momentum · correction · batch."""
    lane = lanes(running)
    keep, new = splat(running, 1.0 - momentum), splat(running, momentum * correction)
    for i in range(start, stop, lane):
        count = min(lane, stop - i)
        old = load_part(running, i, count, 0.0) * keep
        store_part(running, i, count, fma(load_part(batch, i, count, 0.0), new, old))


@kernel(serial=True)
def _inverse_deviation(start, stop, var, eps, out):
    for c in range(start, stop):
        out[c] = 1.0 / np.sqrt(float(var[c]) + eps)


def _sizes(x):
    """(N, C, size of one channel of one item)."""
    items, channels = x.shape[:2]
    return items, channels, x.size // max(items * channels, 1)


def _affine(weight, bias, channels, dtype):
    weight = np.ones(channels, dtype) if weight is None else weight.ravel()
    bias = np.zeros(channels, dtype) if bias is None else bias.ravel()
    return weight, bias


def batch_norm_forward(x, weight=None, bias=None, eps=1e-5):
    """``(x - mean) / √(var + ε) · weight + bias`` with the batch's own statistics per channel.

    x (N, C) or (N, C, *). Returns (out, mean, var, rstd), the last three (C,); var is biased.
    """
    items, channels, n = _sizes(x)
    weight, bias = _affine(weight, bias, channels, x.dtype)
    out = empty(x.shape, x.dtype)
    mean, var, rstd = (empty(channels, x.dtype) for _ in range(3))
    arrays = (x.ravel(), weight, bias, float(eps), out.ravel(), mean, var, rstd)
    if n == 1:
        lane = 64 // x.itemsize
        _forward_columns(-(-channels // lane), x.size * 0.3, *arrays, items, channels)
    else:
        _forward_channels(channels, x.size * 0.3, *arrays, items, channels, n)
    return out, mean, var, rstd


def batch_norm_apply(x, mean, var, weight=None, bias=None, eps=1e-5):
    """The same with given statistics, as in evaluation. Returns (out, rstd)."""
    items, channels, n = _sizes(x)
    weight, bias = _affine(weight, bias, channels, x.dtype)
    out, rstd = empty(x.shape, x.dtype), empty(channels, x.dtype)
    _inverse_deviation(channels, 0, var, float(eps), rstd)
    arrays = (x.ravel(), weight, bias, float(eps), out.ravel(), mean, var, rstd)
    if n == 1:
        _apply_columns(items, x.size * 0.15, *arrays, items, channels)
    else:
        _apply_channels(items * channels, x.size * 0.15, *arrays, items, channels, n)
    return out, rstd


def batch_norm_backward(grad, x, mean, rstd, weight=None, training=True):
    """(grad_x, grad_weight, grad_bias), with x̂ = (x - mean) · rstd and M elements per channel:

    grad_bias = Σ grad, grad_weight = Σ grad · x̂ and, in training,
    grad_x = weight · rstd · (grad - grad_bias / M - x̂ · grad_weight / M), otherwise
    grad_x = weight · rstd · grad.
    """
    items, channels, n = _sizes(x)
    weight, _ = _affine(weight, None, channels, x.dtype)
    grad_x = empty(x.shape, x.dtype)
    grad_weight, grad_bias = empty(channels, x.dtype), empty(channels, x.dtype)
    arrays = (
        grad.ravel(), x.ravel(), weight, mean, rstd, bool(training), grad_x.ravel(),
        grad_weight, grad_bias,
    )  # fmt: skip
    if n == 1:
        lane = 64 // x.itemsize
        _backward_columns(-(-channels // lane), x.size * 0.4, *arrays, items, channels)
    else:
        _backward_channels(channels, x.size * 0.4, *arrays, items, channels, n)
    return grad_x, grad_weight, grad_bias


def update_running(running_mean, running_var, mean, var, momentum, count):
    """Move running statistics towards the batch's, in place.

    ``running = (1 - momentum) · running + momentum · batch``; the batch's variance of ``count``
    elements is made unbiased by ``count / (count - 1)``.
    """
    n = mean.size
    _update_running(n, 0, running_mean, mean, float(momentum), 1.0)
    correction = count / (count - 1) if count > 1 else float("nan")
    _update_running(n, 0, running_var, var, float(momentum), correction)
