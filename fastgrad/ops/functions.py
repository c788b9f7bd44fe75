"""Rules of elementary functions and activations."""

import math

import numpy as np

from ..backend import K
from ..lifting import op
from ._family import T, combine, have_floats, masked, promoted, same_type, unary

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
    "relu",
    "sigmoid",
    "sin",
    "sinh",
    "tan",
    "tanh",
]  # fmt: skip


@unary
def exp(m, grad, out):
    """``eˣ``, at most 1.1 ulp from the exact value in either type.

    >>> import fastgrad as fg
    >>> fg.exp(fg.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """
    return m.mul(grad, out)


@unary
def expm1(m, grad, out):
    """``eˣ - 1``, also where x is near 0.

    >>> import fastgrad as fg
    >>> fg.expm1(fg.tensor([0.0, 1.0]))
    tensor([0.0000, 1.7183])
    """
    return m.mul(grad, m.add(out, 1.0))


@unary
def log(m, grad, x):
    """Natural logarithm, within 1 ulp; NaN below 0, -∞ at 0.

    >>> import fastgrad as fg
    >>> fg.log(fg.tensor([1.0, 10.0]))
    tensor([0.0000, 2.3026])
    """
    return m.div(grad, x)


@unary
def log1p(m, grad, x):
    """``log(1 + x)``, also where x is near 0.

    >>> import fastgrad as fg
    >>> fg.log1p(fg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.6931])
    """
    return m.div(grad, m.add(x, 1.0))


@unary
def log2(m, grad, x):
    """Logarithm to base 2.

    >>> import fastgrad as fg
    >>> fg.log2(fg.tensor([1.0, 8.0]))
    tensor([0., 3.])
    """
    return m.div(grad, m.mul(x, math.log(2)))


@unary
def log10(m, grad, x):
    """Logarithm to base 10.

    >>> import fastgrad as fg
    >>> fg.log10(fg.tensor([2.0, 5.0]))
    tensor([0.3010, 0.6990])
    """
    return m.div(grad, m.mul(x, math.log(10)))


@unary
def sin(m, grad, x):
    """Sine of x in radians.

    >>> import fastgrad as fg
    >>> fg.sin(fg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8415])
    """
    return m.mul(grad, m.cos(x))


@unary
def cos(m, grad, x):
    """Cosine of x in radians.

    >>> import fastgrad as fg
    >>> fg.cos(fg.tensor([0.0, 1.0]))
    tensor([1.0000, 0.5403])
    """
    return m.neg(m.mul(grad, m.sin(x)))


@unary
def tan(m, grad, out):
    """Tangent of x in radians.

    >>> import fastgrad as fg
    >>> fg.tan(fg.tensor([0.0, 1.0]))
    tensor([0.0000, 1.5574])
    """
    return m.mul(grad, m.add(m.square(out), 1.0))


@unary
def asin(m, grad, x):
    """Arc sine, in radians; NaN outside of -1 to 1.

    >>> import fastgrad as fg
    >>> fg.asin(fg.tensor([0.0, 1.0]))
    tensor([0.0000, 1.5708])
    """
    return m.mul(grad, m.rsqrt(m.sub(1.0, m.square(x))))


@unary
def acos(m, grad, x):
    """Arc cosine, in radians; NaN outside of -1 to 1.

    >>> import fastgrad as fg
    >>> fg.acos(fg.tensor([0.0, 1.0]))
    tensor([1.5708, 0.0000])
    """
    return m.neg(m.mul(grad, m.rsqrt(m.sub(1.0, m.square(x)))))


@unary
def atan(m, grad, x):
    """Arc tangent, in radians.

    >>> import fastgrad as fg
    >>> fg.atan(fg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7854])
    """
    return m.div(grad, m.add(m.square(x), 1.0))


@op
def atan2(a, b):
    """Angle of the point (b, a) in radians, from -π to π.

    >>> import fastgrad as fg
    >>> fg.atan2(fg.tensor([1.0, 1.0]), fg.tensor([1.0, -1.0]))
    tensor([0.7854, 2.3562])
    """
    a, b = same_type(a, b) if have_floats(a, b) else promoted((a, b), np.float32)
    return combine("atan2", a, b), (
        lambda grad: K.mul(grad, _share(K, b, a)),
        lambda grad: K.neg(K.mul(grad, _share(K, a, b))),
    )


def _share(m, a, b):
    """``a / (a² + b²)``"""
    return m.div(a, m.add(m.square(a), m.square(b)))


atan2.differentiable(
    lambda grad, a, b: grad * _share(T, b, a),
    lambda grad, a, b: -(grad * _share(T, a, b)),
)


@unary
def sinh(m, grad, x):
    """Hyperbolic sine.

    >>> import fastgrad as fg
    >>> fg.sinh(fg.tensor([0.0, 1.0]))
    tensor([0.0000, 1.1752])
    """
    return m.mul(grad, m.cosh(x))


@unary
def cosh(m, grad, x):
    """Hyperbolic cosine.

    >>> import fastgrad as fg
    >>> fg.cosh(fg.tensor([0.0, 1.0]))
    tensor([1.0000, 1.5431])
    """
    return m.mul(grad, m.sinh(x))


@unary
def asinh(m, grad, x):
    """Inverse hyperbolic sine.

    >>> import fastgrad as fg
    >>> fg.asinh(fg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8814])
    """
    return m.mul(grad, m.rsqrt(m.add(m.square(x), 1.0)))


@unary
def acosh(m, grad, x):
    """Inverse hyperbolic cosine; NaN below 1.

    >>> import fastgrad as fg
    >>> fg.acosh(fg.tensor([1.0, 2.0]))
    tensor([0.0000, 1.3170])
    """
    return m.mul(grad, m.rsqrt(m.sub(m.square(x), 1.0)))


@unary
def atanh(m, grad, x):
    """Inverse hyperbolic tangent; NaN outside of -1 to 1.

    >>> import fastgrad as fg
    >>> fg.atanh(fg.tensor([0.0, 0.5]))
    tensor([0.0000, 0.5493])
    """
    return m.div(grad, m.sub(1.0, m.square(x)))


@unary
def exp2(m, grad, out):
    """``2ˣ``

    >>> import fastgrad as fg
    >>> fg.exp2(fg.tensor([0.0, 3.0]))
    tensor([1., 8.])
    """
    return m.mul(grad, m.mul(out, math.log(2)))


@op
def hypot(a, b):
    """``√(a² + b²)``, without overflow in between.

    >>> import fastgrad as fg
    >>> fg.hypot(fg.tensor([3.0]), fg.tensor([4.0]))
    tensor([5.])
    """
    a, b = same_type(a, b) if have_floats(a, b) else promoted((a, b), np.float32)
    out = combine("hypot", a, b)
    return out, (
        lambda grad: K.mul(grad, K.div(a, out)),
        lambda grad: K.mul(grad, K.div(b, out)),
    )


hypot.differentiable(lambda grad, a, out: grad * (a / out), lambda grad, b, out: grad * (b / out))


@op
def logaddexp(a, b):
    """``log(eᵃ + eᵇ)``, without overflow in between.

    >>> import fastgrad as fg
    >>> fg.logaddexp(fg.tensor([0.0, 10.0]), fg.tensor([0.0, 10.0]))
    tensor([ 0.6931, 10.6931])
    """
    a, b = same_type(a, b) if have_floats(a, b) else promoted((a, b), np.float32)
    return combine("logaddexp", a, b), (
        lambda grad: K.mul(grad, K.sigmoid_forward(K.sub(a, b))),
        lambda grad: K.mul(grad, K.sigmoid_forward(K.sub(b, a))),
    )


logaddexp.differentiable(
    lambda grad, a, b: grad * T.sigmoid(a - b), lambda grad, a, b: grad * T.sigmoid(b - a)
)


@unary(kernel="tanh_forward")
def tanh(m, grad, out):
    """Hyperbolic tangent, within 5.5 ulp (float32) or 1.5 ulp (float64).

    >>> import fastgrad as fg
    >>> fg.tanh(fg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """
    return m.tanh_backward(grad, out)


@unary(kernel="sigmoid_forward")
def sigmoid(m, grad, out):
    """Logistic function ``1 / (1 + e⁻ˣ)``, within 2.5 ulp; never overflows.

    >>> import fastgrad as fg
    >>> fg.sigmoid(fg.tensor([0.0, 1.0]))
    tensor([0.5000, 0.7311])
    """
    return m.sigmoid_backward(grad, out)


@op
def relu(x):
    """Rectified linear unit, ``max(x, 0)``. Its gradient at 0 is 0.

    >>> import fastgrad as fg
    >>> fg.relu(fg.tensor([1.0, -2.0]))
    tensor([1., 0.])
    """
    if x.dtype.kind != "f":
        return K.maximum(x, 0), None
    out = K.relu_forward(x)
    return out, lambda grad: K.relu_backward(grad, out)


relu.differentiable(lambda grad, out: relu_backward(grad, out))


@unary
def erf(m, grad, x):
    """Error function, ``2 / √π · ∫₀ˣ exp(-t²) dt``.

    >>> import fastgrad as fg
    >>> fg.erf(fg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.8427])
    """
    return m.mul(m.mul(grad, 2 / math.sqrt(math.pi)), m.exp(m.neg(m.square(x))))


# ------------------------------------------------------------------ backward kernels, on tensors


def tanh_backward(grad, out):
    """``grad · (1 - out²)``"""
    return grad * (1.0 - out * out)


def sigmoid_backward(grad, out):
    """``grad · out · (1 - out)``"""
    return grad * out * (1.0 - out)


def relu_backward(grad, out):
    """``grad`` where ``out > 0``, else 0."""
    return masked(grad, "relu_backward", out)
