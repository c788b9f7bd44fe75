"""NumPy twins of ``fastgrad.kernels.clip``."""

import numpy as np

from ._quiet import quiet

__all__ = ["clip_norm", "clip_value", "total_norm", "zero"]


@quiet
def total_norm(arrays, power=2.0):
    magnitudes = np.abs(np.concatenate([x.ravel() for x in arrays]))
    if power == np.inf:
        return magnitudes.max(initial=0, keepdims=True).reshape(())
    total = (magnitudes.astype(np.float64) ** power).sum() ** (1 / power)
    return np.asarray(total, magnitudes.dtype)


@quiet
def clip_norm(arrays, norm, limit):
    coefficient = limit / (float(norm) + 1e-6)
    if not coefficient >= 1:
        for x in arrays:
            x *= coefficient


@quiet
def clip_value(arrays, limit):
    for x in arrays:
        np.clip(x, -limit, limit, out=x)


def zero(arrays):
    for x in arrays:
        x.fill(0)
