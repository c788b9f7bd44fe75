"""NumPy twins of ``fastgrad.kernels.arithmetic``."""

import numpy as np

from ._quiet import quiet

__all__ = [
    "abs", "add", "add_relu", "ceil", "clamp", "clamp_backward", "div", "floor", "floor_divide",
    "fmod", "lerp", "maximum", "maximum_backward", "minimum", "mul", "neg", "pow", "reciprocal",
    "remainder", "round", "rsqrt", "sign", "sqrt", "sqrt_backward", "square", "sub", "trunc",
]  # fmt: skip

abs = quiet(np.absolute)
sign = quiet(np.sign)
square = quiet(np.square)
pow = quiet(np.power)
floor_divide = quiet(np.floor_divide)
fmod = quiet(np.fmod)
remainder = quiet(np.remainder)
floor = quiet(np.floor)
ceil = quiet(np.ceil)
round = quiet(np.rint)
trunc = quiet(np.trunc)
maximum = quiet(np.maximum)
minimum = quiet(np.minimum)
add = quiet(np.add)
sub = quiet(np.subtract)
mul = quiet(np.multiply)
div = quiet(np.divide)
neg = quiet(np.negative)
sqrt = quiet(np.sqrt)
reciprocal = quiet(np.reciprocal)


@quiet
def add_relu(a, b, out=None):
    return np.maximum(np.add(a, b, out=out), 0, out=out)


@quiet
def sqrt_backward(grad, out):
    return grad / (out + out)


@quiet
def rsqrt(x, out=None):
    return np.divide(1, np.sqrt(x), out=out)


@quiet
def maximum_backward(grad, a, b):
    return np.where(a < b, np.zeros_like(grad), np.where(a == b, grad / 2, grad))


@quiet
def clamp(x, low, high, out=None):
    return np.minimum(np.maximum(x, low), high, out=out)


@quiet
def clamp_backward(grad, x, low, high):
    return np.where((x < low) | (x > high), np.zeros_like(grad), grad)


@quiet
def lerp(a, b, weight):
    return np.where(np.abs(weight) < 0.5, a + weight * (b - a), b + (weight - 1) * (b - a))
