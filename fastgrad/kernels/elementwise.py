"""Element-wise kernels: NumPy ufuncs with our loops (see ``_ufunc``).

Each takes arrays or numbers of any shapes that broadcast, contiguous or not, float32 or float64,
and NumPy's ufunc keywords (``out=``, ``where=``). Formulas hold for a scalar and for a vector.
"""

import numpy as np

from . import _record, _simd
from ._record import empty
from ._simd import fma, if_greater, literal
from ._ufunc import elementwise

__all__ = [
    "add",
    "add_relu",
    "copy",
    "div",
    "exp",
    "fill",
    "log",
    "mul",
    "neg",
    "relu_backward",
    "relu_forward",
    "sigmoid_backward",
    "sigmoid_forward",
    "sqrt",
    "sqrt_backward",
    "sub",
    "tanh_backward",
    "tanh_forward",
]


@elementwise(cost=0.1)
def add(a, b):
    """``a + b``"""
    return a + b


@elementwise(cost=0.1)
def sub(a, b):
    """``a - b``"""
    return a - b


@elementwise(cost=0.1)
def mul(a, b):
    """``a · b``"""
    return a * b


@elementwise(cost=0.15)
def div(a, b):
    """``a / b``"""
    return a / b


@elementwise(cost=0.1)
def neg(x):
    """``-x``"""
    return -x


@elementwise(cost=0.3)
def exp(x):
    """``eˣ``"""
    return _simd.exp(x)


@elementwise(cost=0.3)
def log(x):
    """Natural logarithm."""
    return _simd.log(x)


@elementwise(cost=0.2)
def sqrt(x):
    """``√x``"""
    return _simd.sqrt(x)


@elementwise(cost=0.2)
def sqrt_backward(grad, out):
    """``grad / (2 · out)``"""
    return grad / (out + out)


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
def add_relu(a, b):
    """``max(a + b, 0)``"""
    return _simd.maximum(a + b, literal(a, 0.0))


@elementwise(cost=0.1)
def relu_backward(grad, out):
    """``grad`` where ``out > 0``, else 0."""
    return if_greater(out, literal(out, 0.0), grad, literal(grad, 0.0))


@elementwise(cost=0.1)
def _copy(x):
    """The same values."""
    return x


_SMALL = 1 << 17  # bytes; below, NumPy's copy and fill, on one thread, are done before ours start


def copy(x, out=None):
    """The same values in C order, in an array of their own or in ``out``."""
    if _record.recorder is not None and _record.recording():
        return _copy.record([x], out)
    if out is None:
        if x.nbytes < _SMALL:
            return x.copy()
        out = empty(x.shape, x.dtype)
    return _copy.ufunc(x, out=out)


def fill(out, value):
    """Set every element of ``out`` to ``value``."""
    if _record.recorder is not None and _record.recording():
        _copy.record([np.asarray(value, out.dtype)], out)
    elif out.nbytes < _SMALL:
        out.fill(value)
    else:
        _copy.ufunc(out.dtype.type(value), out=out)
