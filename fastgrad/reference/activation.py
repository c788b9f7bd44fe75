"""NumPy twins of ``fastgrad.kernels.activation``."""

import numpy as np

from ._quiet import quiet
from .functions import erf, sigmoid_forward

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

_SCALE, _CUBIC = float(np.sqrt(2 / np.pi)), 0.044715


@quiet
def leaky_relu(x, slope):
    return np.where(x > 0, x, x * slope)


@quiet
def leaky_relu_backward(grad, x, slope):
    return np.where(x > 0, grad, grad * slope)


@quiet
def prelu_weight_backward(grad, x):
    return np.where(x > 0, np.zeros_like(x), grad * x)


@quiet
def hardtanh_backward(grad, x, low, high):
    return np.where((x <= low) | (x >= high), np.zeros_like(x), grad)


@quiet
def hardsigmoid(x):
    return np.clip(x + 3, 0, 6) / 6


@quiet
def hardsigmoid_backward(grad, x):
    return np.where((x > -3) & (x < 3), grad / 6, np.zeros_like(x))


@quiet
def hardshrink(x, bound):
    return np.where(np.abs(x) <= bound, np.zeros_like(x), x)


@quiet
def hardshrink_backward(grad, x, bound):
    return np.where(np.abs(x) <= bound, np.zeros_like(x), grad)


@quiet
def softshrink(x, bound):
    return np.where(x > bound, x - bound, np.where(x < -bound, x + bound, x * 0))


@quiet
def threshold(x, bound, value):
    return np.where(x <= bound, np.asarray(value, x.dtype), x)


@quiet
def threshold_backward(grad, x, bound):
    return np.where(x <= bound, np.zeros_like(x), grad)


@quiet
def elu(x, alpha, scale, steepness):
    return np.where(x <= 0, np.expm1(x * steepness) * (alpha * scale), x * scale)


@quiet
def elu_backward(grad, x, alpha, scale, steepness):
    below = np.exp(x * steepness) * (alpha * scale * steepness)
    return grad * np.where(x <= 0, below, np.asarray(scale, x.dtype))


@quiet
def gelu(x):
    return x * 0.5 * (1 + erf(x * float(np.sqrt(0.5))))


@quiet
def gelu_backward(grad, x):
    share = 0.5 * (1 + erf(x * float(np.sqrt(0.5))))
    return grad * (share + x * (np.exp(x * x * -0.5) * float(1 / np.sqrt(2 * np.pi))))


@quiet
def gelu_tanh(x):
    return x * 0.5 * (1 + np.tanh(_SCALE * (x + _CUBIC * x * x * x)))


@quiet
def gelu_tanh_backward(grad, x):
    t = np.tanh(_SCALE * (x + _CUBIC * x * x * x))
    inner = _SCALE * (1 + 3 * _CUBIC * x * x)
    return grad * 0.5 * (1 + t + x * (1 - t * t) * inner)


@quiet
def silu(x):
    return x * sigmoid_forward(x)


@quiet
def silu_backward(grad, x):
    s = sigmoid_forward(x)
    return grad * (s * (1 + x * (1 - s)))


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


@quiet
def mish(x):
    return x * np.tanh(_softplus(x))


@quiet
def mish_backward(grad, x):
    t = np.tanh(_softplus(x))
    return grad * (t + x * (sigmoid_forward(x) * (1 - t * t)))


@quiet
def softplus(x, beta, bound):
    return np.where(x * beta > bound, x, _softplus(x * beta) / beta)


@quiet
def softplus_backward(grad, x, beta, bound):
    return np.where(x * beta > bound, grad, grad * sigmoid_forward(x * beta))


@quiet
def logsigmoid(x):
    return -_softplus(-x)


@quiet
def logsigmoid_backward(grad, x):
    return grad * sigmoid_forward(-x)


@quiet
def softsign(x):
    return x / (1 + np.abs(x))


@quiet
def softsign_backward(grad, x):
    return grad / np.square(1 + np.abs(x))


@quiet
def hardswish(x):
    return x * np.clip(x + 3, 0, 6) / 6


@quiet
def hardswish_backward(grad, x):
    beyond = np.where(x < 3, grad * (x / 3 + 0.5), grad)
    return np.where(x <= -3, np.zeros_like(x), beyond)


@quiet
def tanhshrink(x):
    return x - np.tanh(x)


@quiet
def tanhshrink_backward(grad, x):
    return grad * np.square(np.tanh(x))


@quiet
def glu(a, b, out=None):
    return np.multiply(a, sigmoid_forward(b), out=out)


@quiet
def glu_backward(grad, a, b, out=None):
    s = sigmoid_forward(b)
    return np.multiply(grad * a, s * (1 - s), out=out)
