"""NumPy twins of ``fastgrad.kernels.row_norm``."""

import numpy as np

from ._quiet import quiet

__all__ = ["row_norm_backward", "row_norm_forward"]


def _by_channel(x, rows, n, groups, inner):
    """x as (items, channels, inner)."""
    return x.reshape(rows // groups, groups * n // inner, inner)


@quiet
def row_norm_forward(x, weight, bias, eps, rows, n, groups=1, inner=1, centred=True):
    stats = np.zeros((3, rows), x.dtype)
    if not x.size:
        return x.copy(), stats
    y = x.reshape(rows, n)
    mean = y.mean(axis=1, dtype=np.float64, keepdims=True) * centred
    var = np.square(y - mean).mean(axis=1, keepdims=True)
    rstd = 1 / np.sqrt(var + eps)
    stats[:] = np.hstack([mean, var, rstd]).T
    out = _by_channel((y - mean) * rstd, rows, n, groups, inner)
    if weight is not None:
        out = out * weight.reshape(-1, 1)
    if bias is not None:
        out = out + bias.reshape(-1, 1)
    return out.reshape(x.shape).astype(x.dtype), stats


@quiet
def row_norm_backward(grad, x, weight, stats, rows, n, groups=1, inner=1, centred=True):
    if not x.size:
        nothing = np.zeros(groups * n // inner, x.dtype)
        return x.copy(), nothing, nothing
    mean, _, rstd = stats[..., None]
    hat = (x.reshape(rows, n) - mean) * rstd
    by_channel = _by_channel(grad, rows, n, groups, inner)
    grad_weight = (by_channel * _by_channel(hat, rows, n, groups, inner)).sum(axis=(0, 2))
    grad_bias = by_channel.sum(axis=(0, 2))
    if weight is not None:
        by_channel = by_channel * weight.reshape(-1, 1)
    g = by_channel.reshape(rows, n)
    slope = (g * hat).mean(axis=1, keepdims=True)
    grad_x = (g - g.mean(axis=1, keepdims=True) * centred - hat * slope) * rstd
    return grad_x.reshape(x.shape).astype(x.dtype), grad_weight, grad_bias
