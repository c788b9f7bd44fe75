"""NumPy twins of ``fastgrad.kernels.grid``."""

import numpy as np

__all__ = ["pick_grid", "pick_grid_backward"]


def pick_grid(x, axes, fill=0.0):
    for axis, (places, *_) in zip(range(-len(axes), 0), axes, strict=True):
        beyond = np.full((*x.shape[:axis], 1, *x.shape[axis % x.ndim + 1 :]), fill, x.dtype)
        x = np.take(np.concatenate([x, beyond], axis), places, axis)  # -1 is the last one
    return x


def pick_grid_backward(grad, axes, shape):
    for axis, (places, *_) in zip(range(-len(axes), 0), axes, strict=True):
        moved = np.moveaxis(grad, axis, 0)
        out = np.zeros((shape[axis] + 1, *moved.shape[1:]), grad.dtype)
        np.add.at(out, places, moved)
        grad = np.moveaxis(out[:-1], 0, axis)
    return np.ascontiguousarray(grad)
