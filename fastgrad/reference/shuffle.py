"""NumPy twins of ``fastgrad.kernels.shuffle``."""

import numpy as np

__all__ = ["pixel_shuffle", "pixel_unshuffle"]


def pixel_shuffle(x, r):
    n, channels, h, w = x.shape
    parts = x.reshape(n, channels // (r * r), r, r, h, w).transpose(0, 1, 4, 2, 5, 3)
    return np.ascontiguousarray(parts).reshape(n, channels // (r * r), h * r, w * r)


def pixel_unshuffle(x, r):
    n, channels, h, w = x.shape
    parts = x.reshape(n, channels, h // r, r, w // r, r).transpose(0, 1, 3, 5, 2, 4)
    return np.ascontiguousarray(parts).reshape(n, channels * r * r, h // r, w // r)
