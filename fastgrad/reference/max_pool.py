"""Twins of ``kernels/max_pool.py``. Places are laid out alike, so that either's can be read."""

import numpy as np

from .windows import window_index

__all__ = ["max_pool_backward", "max_pool_forward", "max_pool_index"]

_GUARD = 64


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


def _pitch(geometry, itemsize):
    """(rows of places in a slice, bytes in a row of them)."""
    size, outs, _, stride, padding, _ = geometry
    lane = 64 // itemsize
    if stride[2] == 2 and max(2 * outs[2], size[2] + padding[2]) <= lane:
        return outs[1] + outs[1] % 2, lane // 2
    return outs[1], -(-outs[2] // lane) * lane


def _laid_out(position, geometry, itemsize):
    """The places (slices, height, width) in a buffer of them, a view."""
    _, (_, height, width), *_ = geometry
    rows, row = _pitch(geometry, itemsize)
    slices = (position.size - 2 * _GUARD) // (rows * row)
    return position[_GUARD:-_GUARD].reshape(slices, rows, row)[:, :height, :width]


def _origins(geometry):
    """Where each axis of windows starts, of all outputs, in the padding too: (3, \\*outs)."""
    _, outs, _, stride, padding, _ = geometry
    shape = -1, 1, 1, 1
    return np.indices(outs) * np.reshape(stride, shape) - np.reshape(padding, shape)


def max_pool_forward(x, geometry, shape=None):
    size, outs, window, _, _, dilation = geometry
    index = window_index(x, *_windows(geometry))
    flat = (len(x), int(np.prod(size))), (len(x), int(np.prod(outs)))
    values = np.take_along_axis(x.reshape(flat[0]), index.reshape(flat[1]), 1)
    axes = np.stack(np.unravel_index(index, size), axis=1) - _origins(geometry)
    number = np.ravel_multi_index(
        np.moveaxis(axes // np.reshape(dilation, (-1, 1, 1, 1)), 1, 0), window
    )
    rows, row = _pitch(geometry, x.itemsize)
    position = np.zeros(len(x) * outs[0] * rows * row + 2 * _GUARD, np.uint8)
    _laid_out(position, geometry, x.itemsize)[...] = number.reshape(-1, *outs[1:])
    return values.reshape(index.shape if shape is None else shape), position


def max_pool_index(position, geometry, planes, dtype):
    size, outs, window, _, _, dilation = geometry
    number = _laid_out(position, geometry, np.dtype(dtype).itemsize).reshape(planes, *outs)
    steps = np.stack(np.unravel_index(number, window), axis=1)
    axes = steps * np.reshape(dilation, (-1, 1, 1, 1)) + _origins(geometry)
    return np.ravel_multi_index(np.moveaxis(axes, 1, 0), size)


def max_pool_backward(grad, position, geometry, shape=None):
    grad_x = np.zeros((len(grad), int(np.prod(geometry[0]))), grad.dtype)
    index = max_pool_index(position, geometry, len(grad), grad.dtype)
    if grad.size:
        planes = np.arange(len(grad)).reshape(-1, 1)
        values = grad.reshape(len(grad), -1)
        np.add.at(grad_x, (planes, index.reshape(values.shape)), values)
    return grad_x.reshape((len(grad), *geometry[0]) if shape is None else shape)
