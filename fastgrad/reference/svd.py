"""NumPy twins of ``fastgrad.kernels.svd``."""

import numpy as np

from ._quiet import quiet

__all__ = ["polar_backward", "svd"]


def svd(x):
    return tuple(np.linalg.svd(x, full_matrices=False))


@quiet
def polar_backward(grad, u, s, v):
    """In the bases of all left and right vectors: (g - gᵀ) / (sᵢ + sⱼ), beyond the square g / s."""
    out, (m, k), n = np.empty_like(grad), u.shape[-2:], v.shape[-1]
    for place in np.ndindex(*grad.shape[:-2]):
        left, _, right = np.linalg.svd((u[place] * s[place]) @ v[place])
        left[:, :k], right[:k] = u[place], v[place]
        g, values = left.T @ grad[place] @ right.T, np.zeros(max(m, n))
        values[:k] = s[place]
        mirrored = np.zeros((m, n), grad.dtype)
        mirrored[:k, :k] = g[:k, :k].T
        out[place] = left @ ((g - mirrored) / (values[:m, None] + values[:n])) @ right
    return out
