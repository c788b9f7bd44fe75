"""Elementary functions and activations as kernels; see ``arithmetic`` for what they take."""

import numpy as np

from . import _simd
from ._simd import fma, if_greater, literal
from ._ufunc import borrowed, elementwise

__all__ = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cos",
    "cosh",
    "erf",
    "exp",
    "exp2",
    "expm1",
    "hypot",
    "log",
    "log1p",
    "log2",
    "log10",
    "logaddexp",
    "relu_backward",
    "relu_forward",
    "sigmoid_backward",
    "sigmoid_forward",
    "sin",
    "sinh",
    "tan",
    "tanh_backward",
    "tanh_forward",
]  # fmt: skip


@elementwise(cost=0.3)
def exp(x):
    """``eˣ``"""
    return _simd.exp(x)


@elementwise(cost=0.3)
def log(x):
    """Natural logarithm."""
    return _simd.log(x)


@borrowed(np.expm1, cost=0.6)
def expm1(x):
    """``eˣ - 1``, also near 0"""


@borrowed(np.log1p, cost=0.7)
def log1p(x):
    """``log(1 + x)``, also near 0"""


@borrowed(np.log2, cost=0.5)
def log2(x):
    """Logarithm to base 2."""


@borrowed(np.log10, cost=0.5)
def log10(x):
    """Logarithm to base 10."""


@borrowed(np.sin, cost=0.6)
def sin(x):
    """Sine."""


@borrowed(np.cos, cost=0.6)
def cos(x):
    """Cosine."""


@borrowed(np.tan, cost=0.8)
def tan(x):
    """Tangent."""


@borrowed(np.arcsin, cost=0.8)
def asin(x):
    """Arc sine."""


@borrowed(np.arccos, cost=0.8)
def acos(x):
    """Arc cosine."""


@borrowed(np.arctan, cost=0.8)
def atan(x):
    """Arc tangent."""


@borrowed(np.arctan2, cost=1.5)
def atan2(a, b):
    """Angle of the point (b, a)."""


@borrowed(np.sinh, cost=0.8)
def sinh(x):
    """Hyperbolic sine."""


@borrowed(np.cosh, cost=0.8)
def cosh(x):
    """Hyperbolic cosine."""


@borrowed(np.arcsinh, cost=0.8)
def asinh(x):
    """Inverse hyperbolic sine."""


@borrowed(np.arccosh, cost=0.8)
def acosh(x):
    """Inverse hyperbolic cosine."""


@borrowed(np.arctanh, cost=0.8)
def atanh(x):
    """Inverse hyperbolic tangent."""


@borrowed(np.exp2, cost=0.5)
def exp2(x):
    """``2ˣ``"""


@borrowed(np.hypot, cost=3.0)
def hypot(a, b):
    """``√(a² + b²)``, without overflow in between."""


@borrowed(np.logaddexp, cost=10.0)
def logaddexp(a, b):
    """``log(eᵃ + eᵇ)``, without overflow in between."""


@elementwise(cost=0.4)
def tanh_forward(x):
    """Hyperbolic tangent."""
    return _simd.tanh(x)


@elementwise(cost=0.1)
def tanh_backward(grad, out):
    """``grad · (1 - out²)``"""
    return grad * fma(-out, out, literal(out, 1.0))


@elementwise(cost=0.4)
def sigmoid_forward(x):
    """``1 / (1 + e⁻ˣ)``"""
    return _simd.sigmoid(x)


@elementwise(cost=0.1)
def sigmoid_backward(grad, out):
    """``grad · out · (1 - out)``"""
    return grad * out * (literal(out, 1.0) - out)


@elementwise(cost=0.1)
def relu_forward(x):
    """``max(x, 0)``; NaN stays NaN."""
    return _simd.maximum(x, literal(x, 0.0))


@elementwise(cost=0.1)
def relu_backward(grad, out):
    """``grad`` where ``out > 0``, else 0."""
    return if_greater(out, literal(out, 0.0), grad, literal(grad, 0.0))


@elementwise(cost=0.5)
def erf(x):
    """Error function."""
    return _simd.erf(x)
