"""Running sums, products, extremes along one axis, and their gradients.

Arrays are seen as ``(outer, n, inner)`` with the axis in the middle. Each line along it is one
item, done in order by one thread. Sums and products are kept in float64, as in PyTorch.
"""

import math

import numpy as np
from numba.extending import register_jitable

from ._compile import named
from ._jit import kernel
from ._record import call_numpy, contiguous, empty
from ._simd import exp, log

__all__ = [
    "cummax", "cummin", "cumprod", "cumprod_backward", "cumsum", "logcumsumexp",
    "logcumsumexp_backward", "prod_backward", "scan_numbers", "shift",
]  # fmt: skip

_NS = 1.5  # nanoseconds per element: each waits for the one before


def _lines(shape, axis):
    """(lines, n, inner): how many lines along ``axis``, their length, and the step in them."""
    axis %= max(len(shape), 1)
    n = shape[axis] if shape else 1
    inner = math.prod(shape[axis + 1 :])
    return math.prod(shape[:axis]) * inner, n, inner


@register_jitable
def _start(line, n, inner):
    """Index of the first element of a line."""
    return line // inner * n * inner + line % inner


def _along(run, axis, cost, *arrays):
    """Launch a kernel on the lines of arrays of one shape; the result is like the first."""
    arrays = [contiguous(x) for x in arrays]
    out = empty(arrays[0].shape, arrays[0].dtype)
    lines, n, inner = _lines(out.shape, axis)
    if out.size:
        flat = [x.reshape(-1) for x in (*arrays, out)]
        run(lines, out.size * cost, *flat, n, inner)
    return out


@kernel
def _cumsum(start, stop, x, out, n, inner):
    for line in range(start, stop):
        at, total = _start(line, n, inner), 0.0
        for _ in range(n):
            total += x[at]
            out[at] = total
            at += inner


@kernel
def _cumsum_back(start, stop, x, out, n, inner):
    for line in range(start, stop):
        at, total = _start(line, n, inner) + n * inner, 0.0
        for _ in range(n):
            at -= inner
            total += x[at]
            out[at] = total


def cumsum(x, axis, reverse=False):
    """Sums of the elements up to each along ``axis``; ``reverse``: from each on."""
    return _along(_cumsum_back if reverse else _cumsum, axis, _NS, x)


@kernel
def _cumprod(start, stop, x, out, n, inner):
    for line in range(start, stop):
        at, total = _start(line, n, inner), 1.0
        for _ in range(n):
            total *= x[at]
            out[at] = total
            at += inner


def cumprod(x, axis):
    """Products of the elements up to each along ``axis``."""
    return _along(_cumprod, axis, _NS, x)


@kernel
def _cumprod_backward(start, stop, grad, x, out, grad_x, n, inner):
    """grad_x[i] = out[i - 1] · s[i] with s[i] = grad[i] + x[i + 1] · s[i + 1]: no division."""
    for line in range(start, stop):
        at, later = _start(line, n, inner) + (n - 1) * inner, 0.0
        for _ in range(n - 1):
            s = grad[at] + later
            grad_x[at] = out[at - inner] * s
            later = x[at] * s
            at -= inner
        grad_x[at] = grad[at] + later


def cumprod_backward(grad, x, out, axis):
    """Gradient of ``cumprod``, right where elements are 0."""
    return _along(_cumprod_backward, axis, _NS, grad, x, out)


@kernel
def _prod_backward(start, stop, grad, x, grad_x, n, inner):
    """grad_x[i] = grad · Π x[k], k ≠ i: the products before i and after it.

    Both are carried along at once, as each waits for its last multiplication: up to the middle
    they are stored, from there on multiplied with what the other one stored.
    """
    for line in range(start, stop):
        front = _start(line, n, inner)
        back = front + (n - 1) * inner
        before, after = float(grad[line]), 1.0
        for _ in range(n // 2):
            grad_x[front], grad_x[back] = before, after
            before *= x[front]
            after *= x[back]
            front += inner
            back -= inner
        if n % 2:
            grad_x[front] = before * after
            before *= x[front]
            after *= x[front]
            front += inner
            back -= inner
        for _ in range(n // 2):
            grad_x[front], grad_x[back] = grad_x[front] * before, grad_x[back] * after
            before *= x[front]
            after *= x[back]
            front += inner
            back -= inner


def prod_backward(grad, x, axis):
    """Gradient of a product over ``axis``, right where elements are 0; grad is without the axis."""
    x = contiguous(x)
    out = empty(x.shape, x.dtype)
    lines, n, inner = _lines(x.shape, axis)
    if out.size:
        flat = [contiguous(grad).reshape(-1), x.reshape(-1), out.reshape(-1)]
        _prod_backward(lines, x.size * _NS, *flat, n, inner)
    return out


# ------------------------------------------------------------------ log Σ exp


@kernel
def _logcumsumexp(start, stop, x, out, n, inner):
    """The sum is kept as total · e^best, best being the largest so far."""
    for line in range(start, stop):
        at = _start(line, n, inner)
        best, total = x[at], 1.0
        out[at] = best
        for _ in range(n - 1):
            at += inner
            value = x[at]
            if value == best:  # both may be infinite
                total += 1.0
            elif value < best:
                total += exp(value - best)
            else:  # also where one is NaN
                total = total * exp(best - value) + 1.0
                best = value if best == best else best
            out[at] = best + log(x.dtype.type(total))


def logcumsumexp(x, axis):
    """``log Σ eˣ`` of the elements up to each along ``axis``."""
    return _along(_logcumsumexp, axis, 20.0, x)


@kernel
def _logcumsumexp_backward(start, stop, grad, x, out, grad_x, n, inner):
    """grad_x[i] = s[i] · e^(x[i] - out[i]), s[i] = grad[i] + s[i + 1] · e^(out[i] - out[i + 1])."""
    for line in range(start, stop):
        at, s = _start(line, n, inner) + (n - 1) * inner, 0.0
        following = out[at]
        for _ in range(n):
            norm = out[at]
            if norm == -np.inf:  # of nothing but -inf: no influence on what follows
                s = float(grad[at])
                grad_x[at] = 0.0
            else:
                s = grad[at] + s * exp(norm - following)
                grad_x[at] = s * exp(x[at] - norm)
            following = norm
            at -= inner


def logcumsumexp_backward(grad, x, out, axis):
    """Gradient of ``logcumsumexp``; 0 where ``out`` is -inf."""
    return _along(_logcumsumexp_backward, axis, 15.0, grad, x, out)


# ------------------------------------------------------------------ extremes


def _running(name, better):
    """The largest or smallest so far and where it is: of equal ones the last, of NaN too."""
    better = register_jitable(named(better, f"{name}.better"))

    def run(start, stop, x, out, where, n, inner):
        for line in range(start, stop):
            at = _start(line, n, inner)
            best, position = x[at], 0
            for i in range(n):
                value = x[at]
                if better(value, best) or value != value:
                    best, position = value, i
                out[at] = best
                where[at] = position
                at += inner

    run.__name__ = name
    launch = kernel(run)

    def running(x, axis):
        x = contiguous(x)
        out, where = empty(x.shape, x.dtype), empty(x.shape, np.int64)
        lines, n, inner = _lines(x.shape, axis)
        if x.size:
            flat = [array.reshape(-1) for array in (x, out, where)]
            launch(lines, x.size * _NS, *flat, n, inner)
        return out, where

    return running


_cummax = _running("cummax", lambda a, b: a >= b)
_cummin = _running("cummin", lambda a, b: a <= b)


def cummax(x, axis):
    """(largest element so far, its index) along ``axis``; of equal ones the last index."""
    return _cummax(x, axis)


def cummin(x, axis):
    """(smallest element so far, its index) along ``axis``; of equal ones the last index."""
    return _cummin(x, axis)


# ------------------------------------------------------------------ by NumPy


def scan_numbers(x, name, axis, dtype):
    """NumPy's own running reduction of integers or bools: ``name`` is that of the ufunc."""
    return call_numpy(getattr(np, name).accumulate, x, axis=axis, dtype=dtype)


def shift(x, distance, axis):
    """``x`` moved by ``distance`` along ``axis``, with zeros where nothing came from."""
    return call_numpy(_shift, x, distance=distance, axis=axis)


def _shift(x, distance, axis):
    out = np.zeros_like(x)
    source, target = np.moveaxis(x, axis, 0), np.moveaxis(out, axis, 0)
    if distance >= 0:
        target[distance:] = source[: max(len(source) - distance, 0)]
    else:
        target[:distance] = source[-distance:]
    return out
