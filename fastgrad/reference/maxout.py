"""NumPy twins of ``fastgrad.kernels.maxout``."""

import numpy as np

__all__ = ["maxout_backward", "maxout_forward"]


def maxout_forward(x):
    return x.max(axis=1)


def maxout_backward(grad, x, out):
    first = x.argmax(axis=1)[:, None]
    grad_x = np.zeros_like(x)
    np.put_along_axis(grad_x, first, grad[:, None], axis=1)
    return grad_x
