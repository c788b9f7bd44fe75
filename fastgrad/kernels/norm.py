"""Batch normalization over (N, C) and (N, C, *): statistics, normalization and backward.

A ReLU after it is a switch: it is applied as the result is written, and its mask as the gradient
is read.

Every channel is read from cache three times in one launch: for its mean, for its variance about
that mean, and to normalize. Sums are of differences (from the first element, then from the
mean), so that a mean of 10⁴ deviations costs no digits.
"""

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel
from ._record import empty
from ._simd import (
    VECTOR_BYTES,
    fma,
    if_greater,
    keep_first,
    lane_sum,
    lanes,
    load,
    load_part,
    maximum,
    read,
    splat,
    sqrt,
    store_part,
    write,
    zeros,
)

__all__ = [
    "batch_norm_apply",
    "batch_norm_backward",
    "batch_norm_forward",
]

_ROW_BLOCK = 128  # rows whose sum is added to the total at once
_NOWHERE = np.zeros(1, np.int64)  # where batches are counted that nobody counts
_VECTORS = 4  # of channels, side by side: as many sums run at once


@register_jitable
def _put(out, at, count, value, relu):
    write(out, at, count, maximum(value, zeros(out)) if relu else value)


@register_jitable
def _take(grad, out, at, count, relu):
    """A vector of the gradient, behind the ReLU whose result is ``out``."""
    value = read(grad, at, count)
    return if_greater(read(out, at, count), zeros(grad), value, zeros(grad)) if relu else value


@register_jitable
def _part(count, k, lane):
    """How many of ``count`` elements are in the vector of number ``k``."""
    return max(0, min(lane, count - k * lane))


@register_jitable
def _read_four(x, at, count):
    """Four vectors of together ``count`` elements, then zeros."""
    lane = lanes(x)
    if count == _VECTORS * lane:
        return load(x, at), load(x, at + lane), load(x, at + 2 * lane), load(x, at + 3 * lane)
    return (
        load_part(x, at, _part(count, 0, lane), 0.0),
        load_part(x, at + lane, _part(count, 1, lane), 0.0),
        load_part(x, at + 2 * lane, _part(count, 2, lane), 0.0),
        load_part(x, at + 3 * lane, _part(count, 3, lane), 0.0),
    )


@register_jitable
def _take_four(grad, out, at, count, relu):
    """Four vectors of the gradient; see ``_take``."""
    a, b, c, d = _read_four(grad, at, count)
    if relu:
        nothing = zeros(grad)
        p, q, r, s = _read_four(out, at, count)
        a, b = if_greater(p, nothing, a, nothing), if_greater(q, nothing, b, nothing)
        c, d = if_greater(r, nothing, c, nothing), if_greater(s, nothing, d, nothing)
    return a, b, c, d


@register_jitable
def _column_sums(x, at, n, rows, count, shift):
    """(Σ (x - shift), Σ (x - shift)²) down ``count`` columns of x (rows, n), as four vectors.

    A block of rows at a time, so that long columns do not lose small terms.
    """
    nothing = zeros(x)
    total, squares = (nothing, nothing, nothing, nothing), (nothing, nothing, nothing, nothing)
    o, p, q, r = shift
    for top in range(0, rows, _ROW_BLOCK):
        a, b, c, d = nothing, nothing, nothing, nothing
        e, f, g, h = nothing, nothing, nothing, nothing
        for row in range(top, min(top + _ROW_BLOCK, rows)):
            s, t, u, v = _read_four(x, at + row * n, count)
            s, t, u, v = s - o, t - p, u - q, v - r
            a, b, c, d = a + s, b + t, c + u, d + v
            e, f, g, h = fma(s, s, e), fma(t, t, f), fma(u, u, g), fma(v, v, h)
        total = total[0] + a, total[1] + b, total[2] + c, total[3] + d
        squares = squares[0] + e, squares[1] + f, squares[2] + g, squares[3] + h
    return total, squares


@register_jitable
def _gradient_sums(grad, out, relu, x, at, n, rows, count, center):
    """(Σ grad, Σ grad · (x - center)) down columns; see ``_column_sums``."""
    nothing = zeros(x)
    total, both = (nothing, nothing, nothing, nothing), (nothing, nothing, nothing, nothing)
    o, p, q, r = center
    for top in range(0, rows, _ROW_BLOCK):
        a, b, c, d = nothing, nothing, nothing, nothing
        e, f, g, h = nothing, nothing, nothing, nothing
        for row in range(top, min(top + _ROW_BLOCK, rows)):
            i = at + row * n
            w, x1, y, z = _take_four(grad, out, i, count, relu)
            s, t, u, v = _read_four(x, i, count)
            a, b, c, d = a + w, b + x1, c + y, d + z
            e, f = fma(w, s - o, e), fma(x1, t - p, f)
            g, h = fma(y, u - q, g), fma(z, v - r, h)
        total = total[0] + a, total[1] + b, total[2] + c, total[3] + d
        both = both[0] + e, both[1] + f, both[2] + g, both[3] + h
    return total, both


@register_jitable
def _move(running, at, count, value, momentum):
    """running = (1 - momentum) · running + momentum · value, for a vector of channels."""
    old = load_part(running, at, count, 0.0) * splat(running, 1.0 - momentum)
    store_part(running, at, count, fma(value, splat(running, momentum), old))


@kernel
def _forward_columns(
    start, stop, x, weight, bias, eps, relu, out, stats, running_mean, running_var, batches,
    moving, momentum, rows, n,
):  # fmt: skip
    """Groups of channels ``start`` to ``stop`` of x (rows, n); stats (3 · n)."""
    if start == 0:
        batches[0] += 1
    lane = lanes(x)
    size, unbiased = splat(x, float(rows)), splat(x, rows / (rows - 1.0))
    for group in range(start, stop):
        left = group * _VECTORS * lane
        columns = min(_VECTORS * lane, n - left)
        origin = _read_four(x, left, columns)
        total, _ = _column_sums(x, left, n, rows, columns, origin)
        center = (
            origin[0] + total[0] / size, origin[1] + total[1] / size,
            origin[2] + total[2] / size, origin[3] + total[3] / size,
        )  # fmt: skip
        errors, squares = _column_sums(x, left, n, rows, columns, center)
        for k in range((columns + lane - 1) // lane):
            at, count = left + k * lane, _part(columns, k, lane)
            error = errors[k] / size  # what rounding left in the mean
            variance = squares[k] / size - error * error
            mean = center[k] + error
            store_part(stats, at, count, mean)
            store_part(stats, n + at, count, variance)
            inverse = splat(x, 1.0) / sqrt(variance + splat(x, eps))
            store_part(stats, 2 * n + at, count, inverse)
            if moving:
                _move(running_mean, at, count, mean, momentum)
                _move(running_var, at, count, variance * unbiased, momentum)
            gain = inverse * load_part(weight, at, count, 1.0)
            offset = load_part(bias, at, count, 0.0)
            for row in range(rows):
                i = at + row * n
                _put(out, i, count, fma(read(x, i, count) - mean, gain, offset), relu)


@kernel
def _backward_columns(
    start, stop, grad, out, relu, x, weight, mean, rstd, training, grad_x, grad_weight, grad_bias,
    rows, n,
):  # fmt: skip
    """Groups of channels ``start`` to ``stop``; see ``batch_norm_backward``."""
    lane = lanes(x)
    size = splat(x, float(rows))
    for group in range(start, stop):
        left = group * _VECTORS * lane
        columns = min(_VECTORS * lane, n - left)
        centers = _read_four(mean, left, columns)
        sums, boths = _gradient_sums(grad, out, relu, x, left, n, rows, columns, centers)
        for k in range((columns + lane - 1) // lane):
            at, count = left + k * lane, _part(columns, k, lane)
            center, inverse = centers[k], load_part(rstd, at, count, 0.0)
            both = boths[k] * inverse
            store_part(grad_bias, at, count, sums[k])
            store_part(grad_weight, at, count, both)
            gain = inverse * load_part(weight, at, count, 1.0)
            mean_grad, slope = zeros(x), zeros(x)
            if training:
                mean_grad, slope = sums[k] / size, both / size * inverse
            for row in range(rows):
                i = at + row * n
                d = read(x, i, count) - center
                value = _take(grad, out, i, count, relu) - mean_grad - d * slope
                write(grad_x, i, count, value * gain)


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
def _forward_channels(
    start, stop, x, weight, bias, eps, relu, out, stats, running_mean, running_var, batches,
    moving, momentum, items, channels, n,
):  # fmt: skip
    """Channels ``start`` to ``stop`` of x (items, channels, n); stats (3 · channels)."""
    if start == 0:
        batches[0] += 1
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
        stats[c] = float(center) + error
        stats[channels + c] = variance
        stats[2 * channels + c] = inverse
        moved = splat(x, stats[c])
        if moving:
            _move(running_mean, c, 1, moved, momentum)
            unbiased = splat(x, variance * (size / (size - 1.0)))
            _move(running_var, c, 1, unbiased, momentum)
        gain, offset = splat(x, inverse * float(weight[c])), splat(x, bias[c])
        for item in range(items):
            _normalize(x, out, at + item * step, n, moved, gain, offset, relu)


@register_jitable
def _normalize(x, out, at, n, center, gain, offset, relu):
    """``n`` elements of one channel."""
    lane = lanes(x)
    for i in range(at, at + n, lane):
        count = min(lane, at + n - i)
        _put(out, i, count, fma(read(x, i, count) - center, gain, offset), relu)


@kernel
def _backward_channels(
    start, stop, grad, out, relu, x, weight, mean, rstd, training, grad_x, grad_weight, grad_bias,
    items, channels, n,
):  # fmt: skip
    """Channels ``start`` to ``stop``; see ``batch_norm_backward``."""
    lane = lanes(x)
    size = float(items * n)
    for c in range(start, stop):
        at, step = c * n, channels * n
        center, inverse = splat(x, mean[c]), float(rstd[c])
        sum_grad, sum_both = 0.0, 0.0
        for item in range(items):
            i = at + item * step
            s, q = zeros(x), zeros(x)
            for j in range(i, i + n, lane):
                count = min(lane, i + n - j)
                g = _take(grad, out, j, count, relu)
                s += g
                q = fma(g, read(x, j, count) - center, q)
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
            for j in range(i, i + n, lane):
                count = min(lane, i + n - j)
                d = read(x, j, count) - center
                value = _take(grad, out, j, count, relu) - mean_grad - d * slope
                write(grad_x, j, count, value * gain)


@kernel
def _apply_columns(start, stop, x, weight, bias, relu, out, mean, rstd, rows, n):
    """Normalize rows ``start`` to ``stop`` of x (rows, n) by given statistics."""
    lane = lanes(x)
    for row in range(start, stop):
        for j in range(0, n, lane):
            count = min(lane, n - j)
            gain = load_part(rstd, j, count, 0.0) * load_part(weight, j, count, 1.0)
            d = load_part(x, row * n + j, count, 0.0) - load_part(mean, j, count, 0.0)
            value = fma(d, gain, load_part(bias, j, count, 0.0))
            _put(out, row * n + j, count, value, relu)


@kernel
def _apply_channels(start, stop, x, weight, bias, relu, out, mean, rstd, items, channels, n):
    """Normalize runs ``start`` to ``stop`` of x (items · channels, n) by given statistics."""
    for run in range(start, stop):
        c = run % channels
        gain = splat(x, float(rstd[c]) * float(weight[c]))
        _normalize(x, out, run * n, n, splat(x, mean[c]), gain, splat(x, bias[c]), relu)


@kernel(serial=True)
def _inverse_deviation(start, stop, var, eps, out):
    for c in range(start, stop):
        out[c] = 1.0 / np.sqrt(float(var[c]) + eps)


def _sizes(x):
    """(N, C, size of one channel of one item)."""
    items, channels = x.shape[:2]
    return items, channels, x.size // max(items * channels, 1)


def affine(weight, bias, channels, dtype):
    """Weight and bias, ones and zeros where they are None."""
    weight = np.ones(channels, dtype) if weight is None else weight
    bias = np.zeros(channels, dtype) if bias is None else bias
    return weight, bias


def batch_norm_forward(
    x, weight=None, bias=None, eps=1e-5, running_mean=None, running_var=None, momentum=0.1,
    relu=False, batches=None,
):  # fmt: skip
    """``(x - mean) / √(var + ε) · weight + bias`` with the batch's own statistics per channel.

    x (N, C) or (N, C, *). Running statistics, if not None, move towards the batch's, in place:
    ``running = (1 - momentum) · running + momentum · batch``, with the unbiased variance; and
    ``batches`` (1,) int64, if not None, counts up.

    Returns (out, mean, var, rstd), the last three (C,); var is biased.
    """
    items, channels, n = _sizes(x)
    weight, bias = affine(weight, bias, channels, x.dtype)
    out, stats = empty(x.shape, x.dtype), empty((3, channels), x.dtype)
    moving = running_mean is not None
    running = (running_mean, running_var) if moving else (weight, weight)
    if batches is None:
        batches = _NOWHERE
    arrays = (
        x.ravel(), weight, bias, float(eps), relu, out.ravel(), stats.ravel(), *running, batches,
        moving, float(momentum),
    )  # fmt: skip
    if n == 1:
        width = _VECTORS * VECTOR_BYTES // x.itemsize
        _forward_columns(-(-channels // width), x.size * 0.2, *arrays, items, channels)
    else:
        _forward_channels(channels, x.size * 0.3, *arrays, items, channels, n)
    return out, stats[0], stats[1], stats[2]


def batch_norm_apply(x, mean, var, weight=None, bias=None, eps=1e-5, relu=False):
    """The same with given statistics, as in evaluation. Returns (out, rstd)."""
    items, channels, n = _sizes(x)
    weight, bias = affine(weight, bias, channels, x.dtype)
    out, rstd = empty(x.shape, x.dtype), empty(channels, x.dtype)
    _inverse_deviation(channels, 0, var, float(eps), rstd)
    arrays = (x.ravel(), weight, bias, relu, out.ravel(), mean, rstd)
    if n == 1:
        _apply_columns(items, x.size * 0.15, *arrays, items, channels)
    else:
        _apply_channels(items * channels, x.size * 0.15, *arrays, items, channels, n)
    return out, rstd


def batch_norm_backward(grad, x, mean, rstd, weight=None, training=True, out=None):
    """(grad_x, grad_weight, grad_bias), with x̂ = (x - mean) · rstd and M elements per channel:

    grad_bias = Σ grad, grad_weight = Σ grad · x̂ and, in training,
    grad_x = weight · rstd · (grad - grad_bias / M - x̂ · grad_weight / M), otherwise
    grad_x = weight · rstd · grad.

    out is the result, if it went through a ReLU, else None.
    """
    items, channels, n = _sizes(x)
    weight, _ = affine(weight, weight, channels, x.dtype)
    grad_x = empty(x.shape, x.dtype)
    grad_weight, grad_bias = empty(channels, x.dtype), empty(channels, x.dtype)
    relu = out is not None
    arrays = (
        grad.ravel(), out.ravel() if relu else x.ravel(), relu, x.ravel(), weight, mean, rstd,
        training, grad_x.ravel(), grad_weight, grad_bias,
    )  # fmt: skip
    if n == 1:
        width = _VECTORS * VECTOR_BYTES // x.itemsize
        _backward_columns(-(-channels // width), x.size * 0.25, *arrays, items, channels)
    else:
        _backward_channels(channels, x.size * 0.4, *arrays, items, channels, n)
    return grad_x, grad_weight, grad_bias
