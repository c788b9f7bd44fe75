"""Arithmetic kernels: NumPy ufuncs with our loops, or NumPy's, on our threads (see ``_ufunc``).

Each takes arrays or numbers of any shapes that broadcast, contiguous or not, and NumPy's ufunc
keywords (``out=``, ``where=``). Formulas hold for a scalar and for a vector.
"""

import numpy as np

from . import _simd
from ._simd import if_equal, if_greater, literal
from ._ufunc import borrowed, elementwise

__all__ = [
    "abs", "add", "add_relu", "ceil", "clamp", "clamp_backward", "div", "floor", "floor_divide",
    "fmod", "lerp", "maximum", "maximum_backward", "minimum", "mul", "neg", "pow", "reciprocal",
    "remainder", "round", "rsqrt", "sign", "sqrt", "sqrt_backward", "square", "sub", "trunc",
]  # fmt: skip


@elementwise(cost=0.1, numpy=np.add)
def add(a, b):
    """``a + b``"""
    return a + b


@elementwise(cost=0.1, numpy=np.subtract)
def sub(a, b):
    """``a - b``"""
    return a - b


@elementwise(cost=0.1, numpy=np.multiply)
def mul(a, b):
    """``a · b``"""
    return a * b


@elementwise(cost=0.15)
def div(a, b):
    """``a / b``"""
    return a / b


@elementwise(cost=0.1, numpy=np.negative)
def neg(x):
    """``-x``"""
    return -x


@elementwise(cost=0.1)
def add_relu(a, b):
    """``max(a + b, 0)``"""
    return _simd.maximum(a + b, literal(a, 0.0))


@borrowed(np.absolute, cost=0.1)
def abs(x):
    """``|x|``"""


@borrowed(np.sign, cost=0.2)
def sign(x):
    """-1, 0 or 1; NaN for NaN."""


@elementwise(cost=0.1, numpy=np.square)
def square(x):
    """``x²``"""
    return x * x


@elementwise(cost=0.15)
def reciprocal(x):
    """``1 / x``"""
    return literal(x, 1.0) / x


@elementwise(cost=0.2)
def sqrt(x):
    """``√x``"""
    return _simd.sqrt(x)


@elementwise(cost=0.2)
def sqrt_backward(grad, out):
    """``grad / (2 · out)``"""
    return grad / (out + out)


@elementwise(cost=0.3)
def rsqrt(x):
    """``1 / √x``"""
    return literal(x, 1.0) / _simd.sqrt(x)


@borrowed(np.power, cost=1.0)
def pow(a, b):
    """``aᵇ``"""


@borrowed(np.floor_divide, cost=5.0)
def floor_divide(a, b):
    """``⌊a / b⌋``"""


@borrowed(np.fmod, cost=5.0)
def fmod(a, b):
    """What is left of a after division by b, with a's sign."""


@borrowed(np.remainder, cost=5.0)
def remainder(a, b):
    """What is left of a after division by b, with b's sign."""


@borrowed(np.floor, cost=0.1)
def floor(x):
    """The largest whole number not above x."""


@borrowed(np.ceil, cost=0.1)
def ceil(x):
    """The smallest whole number not below x."""


@borrowed(np.rint, cost=0.1)
def round(x):
    """The nearest whole number; of two, the even one."""


@borrowed(np.trunc, cost=0.1)
def trunc(x):
    """x without its fraction."""


@elementwise(cost=0.1, numpy=np.maximum)
def maximum(a, b):
    """The larger; NaN if either is."""
    return _simd.maximum(a, b)


@elementwise(cost=0.1, numpy=np.minimum)
def minimum(a, b):
    """The smaller; NaN if either is."""
    return -_simd.maximum(-a, -b)


@elementwise(cost=0.2)
def maximum_backward(grad, a, b):
    """``grad`` where ``a > b``, half of it where they are equal, 0 where ``a < b``."""
    half = if_equal(a, b, grad * literal(grad, 0.5), grad)
    return if_greater(b, a, literal(grad, 0.0), half)


@elementwise(cost=0.15)
def clamp(x, low, high):
    """``x`` between two bounds; ``high`` where these cross. NaN if any is."""
    return -_simd.maximum(-_simd.maximum(x, low), -high)


@elementwise(cost=0.15)
def clamp_backward(grad, x, low, high):
    """``grad`` where ``low <= x <= high``, else 0."""
    inside = if_greater(low, x, literal(grad, 0.0), grad)
    return if_greater(x, high, literal(grad, 0.0), inside)


@elementwise(cost=0.15)
def lerp(a, b, weight):
    """``a + weight · (b - a)``, from whichever end is nearer."""
    d, size = b - a, _simd.maximum(weight, -weight)
    far = b + (weight - literal(a, 1.0)) * d
    return if_greater(literal(a, 0.5), size, a + weight * d, far)
