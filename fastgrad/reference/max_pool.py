"""Twins of ``kernels/max_pool.py``."""

import numpy as np

from .windows import window_index

__all__ = ["max_pool_backward", "max_pool_forward", "max_pool_index"]


def _windows(geometry):
    """(starts, counts, steps) of a grid of windows, within x."""
    starts, counts = [], []
    size, outs, window, stride, padding, dilation = geometry
    for n, o, k, s, p, d in zip(size, outs, window, stride, padding, dilation, strict=True):
        first = np.arange(o) * s - p
        start = np.where(first < 0, first % d, first)
        starts.append(start[None])
        counts.append((np.minimum(first + (k - 1) * d, n - 1) - start) // d + 1)
    return starts, counts, dilation


def max_pool_forward(x, geometry):
    index = window_index(x, *_windows(geometry))
    return np.take_along_axis(x.reshape(len(x), -1), index.reshape(len(x), -1), 1).reshape(
        index.shape
    ), index


def max_pool_backward(grad, position, geometry):
    grad_x = np.zeros((len(grad), *geometry[0]), grad.dtype)
    flat = grad_x.reshape(-1)
    planes = np.arange(len(grad)).reshape(-1, 1, 1, 1) * int(np.prod(geometry[0]))
    np.add.at(flat, (position + planes).reshape(-1), grad.reshape(-1))
    return grad_x


def max_pool_index(position, geometry, planes, dtype):
    return position
