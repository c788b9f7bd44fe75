"""NumPy twins of ``fastgrad.kernels.statistics``."""

import math

import numpy as np

from ._quiet import quiet

__all__ = ["deviation", "logsumexp", "scaled_exp", "var"]


@quiet
def var(x, axes, correction=1.0):
    n = math.prod(x.shape[axis] for axis in axes)
    mean = np.asarray(np.sum(x, axis=axes, keepdims=True) / x.dtype.type(n))
    off = np.sum(x - mean, axis=axes, keepdims=True)
    squares = np.sum(np.square(x - mean), axis=axes, keepdims=True) - off * off / x.dtype.type(n)
    if not x.size:
        squares = np.full_like(squares, math.nan)
    return np.asarray(squares / x.dtype.type(max(n - correction, 0.0))), mean


@quiet
def deviation(x, mean, scale):
    return (x - mean) * scale


@quiet
def logsumexp(x, axes, keepdim=False):
    if not math.prod(x.shape[axis] for axis in axes):
        return np.full(np.sum(x, axis=axes, keepdims=keepdim).shape, -math.inf, x.dtype)
    best = np.max(x, axis=axes, keepdims=True)
    shift = np.where(np.isinf(best), x.dtype.type(0), best)
    out = np.log(np.sum(np.exp(x - shift), axis=axes, keepdims=True)) + shift
    return np.asarray(out if keepdim else out.reshape(np.sum(x, axis=axes).shape))


@quiet
def scaled_exp(x, shift, grad):
    return grad * np.exp(x - shift)
