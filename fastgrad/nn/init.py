"""Initial values of parameters, drawn from the default generator (``fastgrad.manual_seed``).

A weight's fans are read off its shape: (in, out) for a linear layer, (out, in, \\*kernel) for a
convolution.
"""

import math

from .. import random

_GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3.0, "relu": math.sqrt(2.0), "selu": 0.75}


def calculate_gain(nonlinearity, param=None):
    """Factor by which an activation's input should be scaled up to keep the variance.

    1 for linear and sigmoid, 5/3 for tanh, √2 for ReLU, √(2 / (1 + slope²)) for leaky_relu.
    Raises ``ValueError`` for another name.

    >>> calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        return math.sqrt(2.0 / (1.0 + slope**2))
    if nonlinearity not in _GAINS:
        known = ", ".join([*_GAINS, "leaky_relu"])
        raise ValueError(f"calculate_gain: unknown nonlinearity {nonlinearity!r}; known: {known}")
    return _GAINS[nonlinearity]


def _fans(tensor, name):
    """(fan in, fan out) of a weight."""
    shape = tensor.shape
    if len(shape) < 2:
        raise ValueError(f"{name}: a weight of shape {shape} has no fans; expected 2 axes or more")
    if len(shape) == 2:
        return shape
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def _fill(tensor, values):
    tensor.data[...] = values
    tensor._version[0] += 1
    return tensor


def uniform_(tensor, a=0.0, b=1.0):
    """Uniform from a to b; returns the tensor, as all of these do."""
    return _fill(tensor, random.default.numpy.uniform(a, b, tensor.shape))


def normal_(tensor, mean=0.0, std=1.0):
    """Normal with the given mean and standard deviation."""
    return _fill(tensor, random.default.numpy.normal(mean, std, tensor.shape))


def constant_(tensor, value):
    """All elements ``value``."""
    return _fill(tensor, value)


def zeros_(tensor):
    """All elements 0."""
    return _fill(tensor, 0)


def ones_(tensor):
    """All elements 1."""
    return _fill(tensor, 1)


def xavier_uniform_(tensor, gain=1.0):
    """Uniform within ``± gain · √(6 / (fan_in + fan_out))``. Glorot & Bengio 2010.

    >>> import fastgrad as fg
    >>> bool(abs(xavier_uniform_(fg.zeros(3, 3)).numpy()).max() <= 1.0)
    True
    """
    fan_in, fan_out = _fans(tensor, "xavier_uniform_")
    bound = gain * math.sqrt(6.0 / (fan_in + fan_out))
    return uniform_(tensor, -bound, bound)


def xavier_normal_(tensor, gain=1.0):
    """Normal with deviation ``gain · √(2 / (fan_in + fan_out))``. Glorot & Bengio 2010."""
    fan_in, fan_out = _fans(tensor, "xavier_normal_")
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / (fan_in + fan_out)))


def _kaiming_std(tensor, a, mode, nonlinearity, name):
    fans = dict(zip(("fan_in", "fan_out"), _fans(tensor, name), strict=True))
    if mode not in fans:
        raise ValueError(f"{name}: unknown mode {mode!r}; expected 'fan_in' or 'fan_out'")
    return calculate_gain(nonlinearity, a) / math.sqrt(fans[mode])


def kaiming_uniform_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu"):
    """Uniform within ``± gain · √(3 / fan)``. He et al. 2015.

    a is the negative slope of a leaky ReLU; ``mode`` chooses the fan.
    """
    bound = math.sqrt(3.0) * _kaiming_std(tensor, a, mode, nonlinearity, "kaiming_uniform_")
    return uniform_(tensor, -bound, bound)


def kaiming_normal_(tensor, a=0, mode="fan_in", nonlinearity="leaky_relu"):
    """Normal with deviation ``gain / √fan``. He et al. 2015."""
    return normal_(tensor, 0.0, _kaiming_std(tensor, a, mode, nonlinearity, "kaiming_normal_"))
