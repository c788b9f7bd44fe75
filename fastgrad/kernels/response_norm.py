"""Local response normalization: each value by those of the channels around it.

Krizhevsky, Sutskever & Hinton 2012. A block of positions is done for all its channels, so that
what the window reads again is in the cache.
"""

import math

from numba.extending import register_jitable

from ._jit import kernel
from ._record import contiguous, empty
from ._simd import exp, fma, lanes, log, read, splat, write, zeros

__all__ = ["local_response_norm_backward", "local_response_norm_forward"]

_BLOCK = 16  # vectors of positions
_NS = 1.2  # nanoseconds per element


@register_jitable
def _square_sum(x, at, count, plane, low, high):
    """Σ x² over channels from ``low`` to ``high``, at ``count`` positions from ``at`` on."""
    total = zeros(x)
    for c in range(low, high):
        value = read(x, at + c * plane, count)
        total = fma(value, value, total)
    return total


@kernel
def _forward(start, stop, x, out, size, scale, beta, k, channels, plane, blocks):
    """Blocks of positions ``start`` to ``stop`` of x (items, channels, plane)."""
    lane = lanes(x)
    before, after = size // 2, (size - 1) // 2
    rate, power, base = splat(x, scale), splat(x, -beta), splat(x, k)
    for block in range(start, stop):
        item, left = block // blocks * channels * plane, block % blocks * _BLOCK * lane
        right = min(plane, left + _BLOCK * lane)
        for c in range(channels):
            low, high = max(0, c - before), min(channels, c + after + 1)
            for j in range(left, right, lane):
                count, at = min(lane, right - j), item + c * plane + j
                total = _square_sum(x, item + j, count, plane, low, high)
                factor = exp(power * log(fma(total, rate, base)))
                write(out, at, count, read(x, at, count) * factor)


@kernel
def _backward(
    start, stop, grad, x, grad_x, share, size, scale, beta, k, channels, plane, blocks
):  # fmt: skip
    """The gradient of x: with s = k + scale · Σ x² and share = grad · x · s^(-β - 1),

    grad_x = grad · s^-β - 2 · scale · β · x · Σ share, over the channels whose window has this one.
    """
    lane = lanes(x)
    before, after = size // 2, (size - 1) // 2
    rate, power, base = splat(x, scale), splat(x, -beta), splat(x, k)
    back = splat(x, -2.0 * scale * beta)
    for block in range(start, stop):
        item, left = block // blocks * channels * plane, block % blocks * _BLOCK * lane
        right = min(plane, left + _BLOCK * lane)
        for c in range(channels):
            low, high = max(0, c - before), min(channels, c + after + 1)
            for j in range(left, right, lane):
                count, at = min(lane, right - j), item + c * plane + j
                s = fma(_square_sum(x, item + j, count, plane, low, high), rate, base)
                direct = read(grad, at, count) * exp(power * log(s))
                write(grad_x, at, count, direct)
                write(share, at, count, direct * read(x, at, count) / s)
        for c in range(channels):
            low, high = max(0, c - after), min(channels, c + before + 1)
            for j in range(left, right, lane):
                count, at, total = min(lane, right - j), item + c * plane + j, zeros(x)
                for other in range(low, high):
                    total += read(share, item + other * plane + j, count)
                value = read(x, at, count) * back
                write(grad_x, at, count, fma(value, total, read(grad_x, at, count)))


def _launch(run, arrays, size, alpha, beta, k):
    x = arrays[0]
    items, channels, plane = x.shape[0], x.shape[1], math.prod(x.shape[2:])
    if x.size:
        blocks = -(-plane * x.itemsize // (64 * _BLOCK))
        work = x.size * (_NS + 0.15 * size) * (len(arrays) - 1)
        flat = [y.reshape(-1) for y in arrays]
        run(
            items * blocks, work, *flat, int(size), float(alpha) / size, float(beta), float(k),
            channels, plane, blocks,
        )  # fmt: skip


def local_response_norm_forward(x, size, alpha, beta, k):
    """``x / (k + α / size · Σ x²)^β``, the sum over ``size`` channels around each.

    x (N, C, *); of an even size, one more channel before than after.
    """
    out = empty(x.shape, x.dtype)
    _launch(_forward, [contiguous(x), out], size, alpha, beta, k)
    return out


def local_response_norm_backward(grad, x, size, alpha, beta, k):
    """The gradient of x."""
    grad_x, share = empty(x.shape, x.dtype), empty(x.shape, x.dtype)
    _launch(_backward, [contiguous(grad), contiguous(x), grad_x, share], size, alpha, beta, k)
    return grad_x
