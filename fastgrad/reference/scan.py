"""NumPy twins of ``fastgrad.kernels.scan``."""

import numpy as np

from ._quiet import quiet

__all__ = [
    "cummax", "cummin", "cumprod", "cumprod_backward", "cumsum", "logcumsumexp",
    "logcumsumexp_backward", "prod_backward", "scan_numbers", "shift",
]  # fmt: skip


@quiet
def cumsum(x, axis, reverse=False):
    if reverse:
        x = np.flip(x, axis)
    out = np.cumsum(x, axis=axis, dtype=np.float64).astype(x.dtype)
    return np.flip(out, axis).copy() if reverse else out


@quiet
def cumprod(x, axis):
    return np.cumprod(x, axis=axis, dtype=np.float64).astype(x.dtype)


@quiet
def cumprod_backward(grad, x, out, axis):
    dtype = grad.dtype
    grad, x, out = (np.moveaxis(y, axis, 0).astype(np.float64) for y in (grad, x, out))
    result, later = np.zeros_like(x), 0.0
    for i in reversed(range(len(x))):
        s = grad[i] + later
        result[i] = s * (out[i - 1] if i else 1.0)
        later = x[i] * s
    return np.moveaxis(result, 0, axis).astype(dtype, order="C")


@quiet
def prod_backward(grad, x, axis):
    shape = list(x.shape)
    shape[axis] = 1
    n = x.shape[axis]

    def before(y):
        ones = np.concatenate((np.ones(shape), y), axis)
        return np.take(np.cumprod(ones, axis), range(n), axis)

    out = grad.reshape(shape) * before(x) * np.flip(before(np.flip(x, axis)), axis)
    return out.astype(x.dtype)


@quiet
def logcumsumexp(x, axis):
    return np.logaddexp.accumulate(x, axis=axis)


@quiet
def logcumsumexp_backward(grad, x, out, axis):
    dtype = grad.dtype
    grad, x, out = (np.moveaxis(y, axis, 0).astype(np.float64) for y in (grad, x, out))
    result, s, following = np.zeros_like(x), 0.0, np.inf
    for i in reversed(range(len(x))):
        none = out[i] == -np.inf
        s = grad[i] + np.where(none, 0.0, s * np.exp(out[i] - following))
        result[i] = np.where(none, 0.0, s * np.exp(x[i] - out[i]))
        following = out[i]
    return np.moveaxis(result, 0, axis).astype(dtype, order="C")


def cummax(x, axis):
    return _running(x, axis, np.maximum)


def cummin(x, axis):
    return _running(x, axis, np.minimum)


def _running(x, axis, ufunc):
    axis %= x.ndim
    out = ufunc.accumulate(x, axis=axis)
    steps = np.arange(x.shape[axis]).reshape((-1,) + (1,) * (x.ndim - 1 - axis))
    new = (x == out) | np.isnan(x)
    return out, np.maximum.accumulate(np.where(new, steps, 0), axis=axis)


def scan_numbers(x, name, axis, dtype):
    return getattr(np, name).accumulate(x, axis=axis, dtype=dtype)


def shift(x, distance, axis):
    out = np.zeros_like(x)
    source, target = np.moveaxis(x, axis, 0), np.moveaxis(out, axis, 0)
    if distance >= 0:
        target[distance:] = source[: max(len(source) - distance, 0)]
    else:
        target[:distance] = source[-distance:]
    return out
