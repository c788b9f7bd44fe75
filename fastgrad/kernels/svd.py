"""Singular values of matrices, by NumPy."""

import numpy as np

from ._record import call_numpy, recording

__all__ = ["polar_backward", "svd"]


def svd(x):
    """(u, s, vᵀ) with ``x = u · s · vᵀ``, of matrices (\\*, m, n)."""
    if recording() is None:
        return tuple(np.linalg.svd(x, full_matrices=False))
    return tuple(call_numpy(_part, x, part=part) for part in range(3))


def _part(x, part):
    return np.linalg.svd(x, full_matrices=False)[part]


def polar_backward(grad, u, s, v):
    """The gradient of ``u · vᵀ``."""
    return call_numpy(_polar_backward, grad, u, s, v)


def _polar_backward(grad, u, s, v):
    """u (uᵀ g v - vᵀ gᵀ u) / (sᵢ + sⱼ) vᵀ, and what of g is in no column or row, over s."""
    with np.errstate(all="ignore"):
        core = u.mT @ grad @ v.mT
        out = u @ ((core - core.mT) / (s[..., :, None] + s[..., None, :])) @ v
        right, left = grad @ v.mT, u.mT @ grad
        if u.shape[-2] > u.shape[-1]:
            out = out + (right - u @ core) / s[..., None, :] @ v
        if v.shape[-1] > v.shape[-2]:
            out = out + u @ ((left - core @ v) / s[..., :, None])
        return out
