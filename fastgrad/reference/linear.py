"""NumPy twins of ``fastgrad.kernels.linear``."""

import numpy as np

from ._quiet import quiet
from .matmul import matmul

__all__ = ["linear_backward", "linear_forward"]


def linear_forward(x, weight, bias=None, out=None, relu=False):
    return matmul(x, weight, bias, out, relu)


@quiet
def linear_backward(grad, x, weight, needs=(True, True, True), out=None):
    if out is not None:
        grad = np.where(out > 0, grad, 0)
    return (
        grad @ weight.T if needs[0] else None,
        x.T @ grad if needs[1] else None,
        grad.sum(axis=0) if needs[2] else None,
    )
