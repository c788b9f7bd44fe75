"""NumPy twins of ``fastgrad.kernels.soft_labels``."""

import numpy as np

from ._quiet import quiet

__all__ = [
    "soft_cross_entropy_backward",
    "soft_cross_entropy_forward",
    "soft_cross_entropy_target_backward",
]


def _shares(x, target, weight, smoothing):
    shares = target * x.dtype.type(1 - smoothing) + x.dtype.type(smoothing / x.shape[1])
    return shares if weight is None else shares * weight


@quiet
def soft_cross_entropy_forward(x, target, weight=None, label_smoothing=0.0):
    best = x.max(axis=1, keepdims=True)
    log_total = best + np.log(np.exp(x - best).sum(axis=1, keepdims=True))
    loss = (_shares(x, target, weight, label_smoothing) * (log_total - x)).sum(axis=1)
    return loss, log_total[:, 0]


@quiet
def soft_cross_entropy_backward(grad, x, target, log_total, weight=None, label_smoothing=0.0):
    shares = _shares(x, target, weight, label_smoothing)
    slope = np.exp(x - log_total[:, None]) * shares.sum(axis=1, keepdims=True) - shares
    return np.reshape(grad, (-1, 1)) * slope


@quiet
def soft_cross_entropy_target_backward(grad, x, log_total, weight=None, label_smoothing=0.0):
    slope = (log_total[:, None] - x) * x.dtype.type(1 - label_smoothing)
    return np.reshape(grad, (-1, 1)) * (slope if weight is None else slope * weight)
