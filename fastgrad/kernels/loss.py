"""Losses of one element of x and one of the target, and their gradients for x."""

from . import _simd
from ._simd import absolute, exp, if_at_most, if_equal, if_greater, literal, log
from ._ufunc import elementwise

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


@elementwise(cost=0.1)
def mse(x, target):
    """``(x - target)²``"""
    d = x - target
    return d * d


@elementwise(cost=0.1)
def mse_backward(grad, x, target):
    """``grad · 2 (x - target)``"""
    d = x - target
    return grad * (d + d)


@elementwise(cost=0.1)
def l1(x, target):
    """``|x - target|``"""
    return absolute(x - target)


@elementwise(cost=0.1)
def l1_backward(grad, x, target):
    """``grad · sign(x - target)``, 0 for NaN."""
    zero = literal(x, 0.0)
    return if_greater(x, target, grad, if_greater(target, x, -grad, zero))


@elementwise(cost=0.1, numbers=2)
def huber(x, target, delta, scale):
    """``d² / 2`` where ``d = |x - target| <= delta``, else ``delta · (d - delta / 2)``; scaled."""
    d, half = absolute(x - target), literal(x, 0.5)
    return scale * if_at_most(d, delta, half * d * d, delta * (d - half * delta))


@elementwise(cost=0.1, numbers=2)
def huber_backward(grad, x, target, delta, scale):
    """``grad · scale · (x - target)``, the difference between ``-delta`` and ``delta``."""
    d = x - target
    d = if_greater(d, delta, delta, if_greater(-delta, d, -delta, d))
    return grad * (scale * d)


@elementwise(cost=0.6)
def bce(x, target):
    """``-target · log x - (1 - target) · log(1 - x)``, each logarithm at least -100."""
    one, least = literal(x, 1.0), literal(x, -100.0)
    rest = one - x
    lost = (one - rest) - x  # by rounding 1 - x: nothing where x is large, all where it is tiny
    yes, no = _simd.maximum(log(x), least), _simd.maximum(log(rest) + lost, least)
    return (target - one) * no - target * yes


@elementwise(cost=0.2)
def bce_backward(grad, x, target):
    """``grad · (x - target) / (x · (1 - x))``, the divisor at least 10⁻¹²."""
    divisor = _simd.maximum((literal(x, 1.0) - x) * x, literal(x, 1e-12))
    return grad * (x - target) / divisor


@elementwise(cost=0.6)
def bce_with_logits(x, target, pos_weight):
    """``(1 - target) · x + (1 + (pos_weight - 1) · target) · log(1 + e⁻ˣ)``"""
    one = literal(x, 1.0)
    return (one - target) * x + (one + (pos_weight - one) * target) * _simd.softplus(-x)


@elementwise(cost=0.4, numbers=1)
def bce_with_logits_backward(grad, x, target, pos_weight):
    """``grad · ((1 - target + t) · sigmoid(x) - t)``, ``t = pos_weight · target``."""
    t = pos_weight * target
    return grad * ((t + (literal(x, 1.0) - target)) * _simd.sigmoid(x) - t)


@elementwise(cost=0.6)
def soft_margin(x, target):
    """``log(1 + e^(-target · x))``"""
    return _simd.softplus(-(target * x))


@elementwise(cost=0.4)
def soft_margin_backward(grad, x, target):
    """``-grad · target · sigmoid(-target · x)``"""
    return -(grad * target * _simd.sigmoid(-(target * x)))


@elementwise(cost=0.4)
def poisson_nll(x, target):
    """``eˣ - target · x``"""
    return exp(x) - target * x


@elementwise(cost=0.4)
def poisson_nll_backward(grad, x, target):
    """``grad · (eˣ - target)``"""
    return grad * (exp(x) - target)


@elementwise(cost=0.4)
def kl_div(x, target):
    """``target · (log target - x)``; 0 · log 0 is 0."""
    zero = literal(x, 0.0)
    return if_equal(target, zero, zero, target * log(target)) - target * x


@elementwise(cost=0.2, numbers=1)
def hinge_embedding(x, target, margin):
    """``x`` where target is 1, ``max(margin - x, 0)`` where it is -1, the sum of both elsewhere."""
    zero, one = literal(x, 0.0), literal(x, 1.0)
    apart = if_equal(target, one, zero, _simd.maximum(margin - x, zero))
    return apart + if_equal(target, -one, zero, x)


@elementwise(cost=0.2, numbers=1)
def hinge_embedding_backward(grad, x, target, margin):
    """``grad`` where target is 1, ``-grad`` where it is -1 and ``x <= margin``."""
    zero, one = literal(x, 0.0), literal(x, 1.0)
    apart = if_equal(target, one, zero, if_greater(x, margin, zero, -grad))
    return apart + if_equal(target, -one, zero, grad)
