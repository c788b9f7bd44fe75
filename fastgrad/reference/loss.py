"""NumPy twins of ``fastgrad.kernels.loss``."""

import numpy as np

from ._quiet import quiet
from .functions import sigmoid_forward

__all__ = [
    "bce",
    "bce_backward",
    "bce_with_logits",
    "bce_with_logits_backward",
    "hinge_embedding",
    "hinge_embedding_backward",
    "huber",
    "huber_backward",
    "kl_div",
    "l1",
    "l1_backward",
    "mse",
    "mse_backward",
    "poisson_nll",
    "poisson_nll_backward",
    "soft_margin",
    "soft_margin_backward",
]


@quiet
def mse(x, target):
    return np.square(x - target)


@quiet
def mse_backward(grad, x, target):
    return grad * (2 * (x - target))


@quiet
def l1(x, target):
    return np.abs(x - target)


@quiet
def l1_backward(grad, x, target):
    return np.where(x > target, grad, np.where(x < target, -grad, np.zeros_like(grad)))


@quiet
def huber(x, target, delta, scale):
    d = np.abs(x - target)
    return scale * np.where(d <= delta, d * d / 2, delta * (d - delta / 2))


@quiet
def huber_backward(grad, x, target, delta, scale):
    d = x - target
    return grad * (scale * np.where(d > delta, delta, np.where(d < -delta, -delta, d)))


@quiet
def bce(x, target):
    yes, no = np.maximum(np.log(x), -100), np.maximum(np.log1p(-x), -100)
    return (target - 1) * no - target * yes


@quiet
def bce_backward(grad, x, target):
    return grad * (x - target) / np.maximum((1 - x) * x, 1e-12)


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@quiet
def bce_with_logits(x, target, pos_weight):
    return (1 - target) * x + (1 + (pos_weight - 1) * target) * _softplus(-x)


@quiet
def bce_with_logits_backward(grad, x, target, pos_weight):
    t = pos_weight * target
    return grad * ((t + (1 - target)) * sigmoid_forward(x) - t)


@quiet
def soft_margin(x, target):
    return _softplus(-(target * x))


@quiet
def soft_margin_backward(grad, x, target):
    return -(grad * target * sigmoid_forward(-(target * x)))


@quiet
def poisson_nll(x, target):
    return np.exp(x) - target * x


@quiet
def poisson_nll_backward(grad, x, target):
    return grad * (np.exp(x) - target)


@quiet
def kl_div(x, target):
    return np.where(target == 0, np.zeros_like(x), target * np.log(target)) - target * x


@quiet
def hinge_embedding(x, target, margin):
    apart = np.where(target == 1, np.zeros_like(x), np.maximum(margin - x, 0))
    return apart + np.where(target == -1, np.zeros_like(x), x)


@quiet
def hinge_embedding_backward(grad, x, target, margin):
    zero = np.zeros_like(x)
    apart = np.where(target == 1, zero, np.where(x > margin, zero, -grad))
    return apart + np.where(target == -1, zero, grad)
