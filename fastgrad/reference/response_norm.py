"""NumPy twins of ``fastgrad.kernels.response_norm``."""

import numpy as np

from ._quiet import quiet

__all__ = ["local_response_norm_backward", "local_response_norm_forward"]


def _around(x, before, after):
    """The sum of so many channels before, after and of each itself."""
    padded = np.pad(x, [(0, 0), (before, after), *[(0, 0)] * (x.ndim - 2)])
    return sum(padded[:, k : k + x.shape[1]] for k in range(before + after + 1))


def _scale(x, size, alpha, k):
    return k + alpha / size * _around(x * x, size // 2, (size - 1) // 2)


@quiet
def local_response_norm_forward(x, size, alpha, beta, k):
    return x * _scale(x, size, alpha, k) ** -beta


@quiet
def local_response_norm_backward(grad, x, size, alpha, beta, k):
    s = _scale(x, size, alpha, k)
    direct = grad * s**-beta
    around = _around(direct * x / s, (size - 1) // 2, size // 2)
    return direct - 2 * alpha / size * beta * x * around
