"""Activations and the slopes of them, element by element; see ``arithmetic`` for what they take.

Which side a kink belongs to, and where a NaN goes, is as in PyTorch: ``if_greater`` and
``if_at_most`` send NaN to their last argument.
"""

import math

from . import _simd
from ._simd import absolute, exp, fma, if_at_most, if_greater, literal
from ._ufunc import elementwise

__all__ = [
    "elu",
    "elu_backward",
    "gelu",
    "gelu_backward",
    "gelu_tanh",
    "gelu_tanh_backward",
    "glu",
    "glu_backward",
    "hardshrink",
    "hardshrink_backward",
    "hardsigmoid",
    "hardsigmoid_backward",
    "hardswish",
    "hardswish_backward",
    "hardtanh_backward",
    "leaky_relu",
    "leaky_relu_backward",
    "logsigmoid",
    "logsigmoid_backward",
    "mish",
    "mish_backward",
    "prelu_weight_backward",
    "silu",
    "silu_backward",
    "softplus",
    "softplus_backward",
    "softshrink",
    "softsign",
    "softsign_backward",
    "tanhshrink",
    "tanhshrink_backward",
    "threshold",
    "threshold_backward",
]

_ROOT_HALF = math.sqrt(0.5)
_GELU_SCALE, _GELU_CUBIC = math.sqrt(2.0 / math.pi), 0.044715  # Hendrycks & Gimpel 2016
_MISH_MOST = 40.0  # beyond, mish is x in either type, and the square of eˣ is still a float32


# ------------------------------------------------------------------ linear in pieces


@elementwise(cost=0.1)
def leaky_relu(x, slope):
    """``x`` where ``x > 0``, else ``slope · x``."""
    return if_greater(x, literal(x, 0.0), x, x * slope)


@elementwise(cost=0.1)
def leaky_relu_backward(grad, x, slope):
    """``grad`` where ``x > 0``, else ``slope · grad``."""
    return if_greater(x, literal(x, 0.0), grad, grad * slope)


@elementwise(cost=0.1)
def prelu_weight_backward(grad, x):
    """0 where ``x > 0``, else ``grad · x``."""
    return if_greater(x, literal(x, 0.0), literal(x, 0.0), grad * x)


@elementwise(cost=0.15, numbers=2)
def hardtanh_backward(grad, x, low, high):
    """``grad`` where ``low < x < high``, else 0."""
    zero = literal(x, 0.0)
    return if_at_most(x, low, zero, if_at_most(high, x, zero, grad))


@elementwise(cost=0.1)
def hardsigmoid(x):
    """``x + 3`` between 0 and 6, over 6."""
    top = _simd.maximum(x + literal(x, 3.0), literal(x, 0.0))
    return -_simd.maximum(-top, literal(x, -6.0)) * literal(x, 1.0 / 6.0)


@elementwise(cost=0.1)
def hardsigmoid_backward(grad, x):
    """``grad / 6`` where ``-3 < x < 3``, else 0."""
    zero = literal(x, 0.0)
    inside = if_greater(literal(x, 3.0), x, grad * literal(x, 1.0 / 6.0), zero)
    return if_greater(x, literal(x, -3.0), inside, zero)


@elementwise(cost=0.1)
def hardshrink(x, bound):
    """0 where ``|x| <= bound``, else ``x``."""
    return if_at_most(absolute(x), bound, literal(x, 0.0), x)


@elementwise(cost=0.1, numbers=1)
def hardshrink_backward(grad, x, bound):
    """0 where ``|x| <= bound``, else ``grad``."""
    return if_at_most(absolute(x), bound, literal(x, 0.0), grad)


@elementwise(cost=0.1)
def softshrink(x, bound):
    """``x``, moved towards 0 by ``bound``, and not across."""
    zero = literal(x, 0.0)
    return if_greater(x, bound, x - bound, if_greater(-bound, x, x + bound, x * zero))


@elementwise(cost=0.1, numbers=2)
def threshold(x, bound, value):
    """``value`` where ``x <= bound``, else ``x``."""
    return if_at_most(x, bound, value, x)


@elementwise(cost=0.1, numbers=1)
def threshold_backward(grad, x, bound):
    """0 where ``x <= bound``, else ``grad``."""
    return if_at_most(x, bound, literal(x, 0.0), grad)


# ------------------------------------------------------------------ smooth


@elementwise(cost=0.4, numbers=3)
def elu(x, alpha, scale, steepness):
    """``scale · x`` where ``x > 0``, else ``scale · alpha · (e^(steepness · x) - 1)``."""
    below = _simd.expm1(x * steepness) * (alpha * scale)
    return if_at_most(x, literal(x, 0.0), below, x * scale)


@elementwise(cost=0.4, numbers=3)
def elu_backward(grad, x, alpha, scale, steepness):
    """``grad`` times ``elu``'s slope."""
    below = exp(x * steepness) * (alpha * scale * steepness)
    return grad * if_at_most(x, literal(x, 0.0), below, scale)


@elementwise(cost=0.6)
def gelu(x):
    """``x · Φ(x)``, Φ the normal distribution's cumulative function."""
    half = x * literal(x, 0.5)
    return half * (literal(x, 1.0) + _simd.erf(x * literal(x, _ROOT_HALF)))


@elementwise(cost=0.9)
def gelu_backward(grad, x):
    """``grad · (Φ(x) + x · Φ'(x))``"""
    return grad * _simd.gelu_slope(x)


@elementwise(cost=0.5)
def gelu_tanh(x):
    """``x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))``"""
    inner = literal(x, _GELU_SCALE) * (x + literal(x, _GELU_CUBIC) * x * x * x)
    return x * literal(x, 0.5) * (literal(x, 1.0) + _simd.tanh(inner))


@elementwise(cost=0.6)
def gelu_tanh_backward(grad, x):
    """``grad`` times ``gelu_tanh``'s slope."""
    one, half, square = literal(x, 1.0), literal(x, 0.5), x * x
    cubic = literal(x, _GELU_CUBIC) * square
    t = _simd.tanh(literal(x, _GELU_SCALE) * (x + cubic * x))
    inner = literal(x, _GELU_SCALE) * (one + literal(x, 3.0) * cubic)
    return grad * half * (one + t + x * (one - t * t) * inner)


@elementwise(cost=0.4)
def silu(x):
    """``x · sigmoid(x)``"""
    return x * _simd.sigmoid(x)


@elementwise(cost=0.5)
def silu_backward(grad, x):
    """``grad · s · (1 + x · (1 - s))``, ``s = sigmoid(x)``."""
    one, s = literal(x, 1.0), _simd.sigmoid(x)
    return grad * (s * (one + x * (one - s)))


@elementwise(cost=0.4)
def mish(x):
    """``x · tanh(log(1 + eˣ)) = x · n / (n + 2)``, ``n = e²ˣ + 2eˣ``."""
    e = exp(-_simd.maximum(-x, literal(x, -_MISH_MOST)))
    n = e * (e + literal(x, 2.0))
    return x * (n / (n + literal(x, 2.0)))


@elementwise(cost=0.5)
def mish_backward(grad, x):
    """``grad · (n / (n + 2) + x · 4eˣ(1 + eˣ) / (n + 2)²)``"""
    most, two = literal(x, _MISH_MOST), literal(x, 2.0)
    e = exp(-_simd.maximum(-x, -most))
    n = e * (e + two)
    below = n + two
    slope = literal(x, 4.0) * (e / below) * ((e + literal(x, 1.0)) / below)
    return grad * (n / below + x * if_greater(x, most, literal(x, 0.0), slope))


@elementwise(cost=0.6, numbers=2)
def softplus(x, beta, bound):
    """``log(1 + e^(beta · x)) / beta``; where ``beta · x > bound``, x itself."""
    z = x * beta
    return if_greater(z, bound, x, _simd.softplus(z) / beta)


@elementwise(cost=0.4, numbers=2)
def softplus_backward(grad, x, beta, bound):
    """``grad · sigmoid(beta · x)``; where ``beta · x > bound``, grad itself."""
    z = x * beta
    return if_greater(z, bound, grad, grad * _simd.sigmoid(z))


@elementwise(cost=0.6)
def logsigmoid(x):
    """``-log(1 + e⁻ˣ)``"""
    return -_simd.softplus(-x)


@elementwise(cost=0.4)
def logsigmoid_backward(grad, x):
    """``grad · sigmoid(-x)``"""
    return grad * _simd.sigmoid(-x)


@elementwise(cost=0.15)
def softsign(x):
    """``x / (1 + |x|)``"""
    return x / (literal(x, 1.0) + absolute(x))


@elementwise(cost=0.15)
def softsign_backward(grad, x):
    """``grad / (1 + |x|)²``"""
    below = literal(x, 1.0) + absolute(x)
    return grad / (below * below)


@elementwise(cost=0.1)
def hardswish(x):
    """``x · hardsigmoid(x)``"""
    top = _simd.maximum(x + literal(x, 3.0), literal(x, 0.0))
    return x * -_simd.maximum(-top, literal(x, -6.0)) * literal(x, 1.0 / 6.0)


@elementwise(cost=0.1)
def hardswish_backward(grad, x):
    """0 up to -3, ``grad · (x / 3 + 1/2)`` up to 3, then ``grad``."""
    middle = grad * fma(x, literal(x, 1.0 / 3.0), literal(x, 0.5))
    beyond = if_greater(literal(x, 3.0), x, middle, grad)
    return if_at_most(x, literal(x, -3.0), literal(x, 0.0), beyond)


@elementwise(cost=0.4)
def tanhshrink(x):
    """``x - tanh(x)``"""
    return x - _simd.tanh(x)


@elementwise(cost=0.4)
def tanhshrink_backward(grad, x):
    """``grad · tanh(x)²``"""
    t = _simd.tanh(x)
    return grad * (t * t)


@elementwise(cost=0.4)
def glu(a, b):
    """``a · sigmoid(b)``; with a gradient for a, that of ``a``."""
    return a * _simd.sigmoid(b)


@elementwise(cost=0.5)
def glu_backward(grad, a, b):
    """The gradient of b: ``grad · a · s · (1 - s)``, ``s = sigmoid(b)``."""
    s = _simd.sigmoid(b)
    return grad * a * (s * (literal(s, 1.0) - s))
