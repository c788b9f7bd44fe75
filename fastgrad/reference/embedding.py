"""NumPy twins of ``fastgrad.kernels.embedding``."""

import numpy as np

from ._quiet import quiet

__all__ = ["embedding_backward", "embedding_renorm", "embedding_shares"]


def embedding_shares(index, rows, padding, by_frequency, dtype):
    shares = np.ones(index.size, dtype)
    if by_frequency:
        shares /= np.bincount(index, minlength=rows)[index]
    shares[index == padding] = 0
    return shares


@quiet
def embedding_backward(grad, index, shares, rows):
    out = np.zeros((rows, grad.shape[1]), grad.dtype)
    used = shares != 0
    np.add.at(out, index[used], grad[used] * shares[used, None])
    return out


@quiet
def embedding_renorm(weight, index, most, p):
    rows = np.unique(index)
    norms = np.linalg.norm(weight[rows].astype(np.float64), ord=p, axis=1)
    large = norms > most
    weight[rows[large]] *= (most / (norms[large] + 1e-7))[:, None].astype(weight.dtype)
    return weight
