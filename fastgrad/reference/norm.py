"""NumPy twins of ``fastgrad.kernels.norm``."""

import numpy as np

from ._quiet import quiet

__all__ = ["batch_norm_apply", "batch_norm_backward", "batch_norm_forward"]


def _axes(x):
    return (0, *range(2, x.ndim))


def _column(v, x):
    """A vector of channels, shaped to broadcast against x."""
    return v.reshape(1, -1, *[1] * (x.ndim - 2))


def _normalize(x, mean, rstd, weight, bias, relu):
    out = (x - _column(mean, x)) * _column(rstd, x)
    if weight is not None:
        out = out * _column(weight, x)
    if bias is not None:
        out = out + _column(bias, x)
    return np.maximum(out, 0) if relu else out


def _move(running, value, momentum):
    running *= 1 - momentum
    running += momentum * value


@quiet
def batch_norm_forward(
    x, weight=None, bias=None, eps=1e-5, running_mean=None, running_var=None, momentum=0.1,
    relu=False, batches=None,
):  # fmt: skip
    if batches is not None:
        batches += 1
    mean = x.mean(axis=_axes(x), dtype=np.float64)
    var = np.square(x - _column(mean, x)).mean(axis=_axes(x), dtype=np.float64)
    rstd = 1 / np.sqrt(var + eps)
    if running_mean is not None:
        count = x.size // x.shape[1]
        _move(running_mean, mean, momentum)
        _move(running_var, var * count / np.float64(count - 1), momentum)
    out = _normalize(x, mean, rstd, weight, bias, relu)
    return tuple(v.astype(x.dtype) for v in (out, mean, var, rstd))


@quiet
def batch_norm_apply(x, mean, var, weight=None, bias=None, eps=1e-5, relu=False):
    rstd = (1 / np.sqrt(var + eps)).astype(x.dtype)
    return _normalize(x, mean, rstd, weight, bias, relu), rstd


@quiet
def batch_norm_backward(grad, x, mean, rstd, weight=None, training=True, out=None):
    if out is not None:
        grad = np.where(out > 0, grad, 0)
    x_hat = (x - _column(mean, x)) * _column(rstd, x)
    grad_bias = grad.sum(axis=_axes(x))
    grad_weight = (grad * x_hat).sum(axis=_axes(x))
    gain = rstd if weight is None else rstd * weight
    grad_x = grad
    if training:
        size = x.dtype.type(x.size / x.shape[1])
        grad_x = grad - _column(grad_bias / size, x) - x_hat * _column(grad_weight / size, x)
    return grad_x * _column(gain, x), grad_weight, grad_bias
