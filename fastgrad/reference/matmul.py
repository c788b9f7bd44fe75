"""NumPy twins of ``fastgrad.kernels.matmul``."""

import numpy as np

from ._quiet import quiet

__all__ = [
    "matmul",
    "matmul_nt",
    "matmul_tn",
    "transpose",
]


@quiet
def matmul(a, b, bias=None, out=None, relu=False):
    out = np.matmul(a, b, out=out)
    if bias is not None:
        out += bias
    return np.maximum(out, 0, out=out) if relu else out


@quiet
def matmul_nt(a, b, out=None, bias=None):
    return matmul(a, b.T, bias, out)


@quiet
def matmul_tn(a, b, out=None):
    return np.matmul(a.T, b, out=out)


def transpose(x, out=None):
    if out is None:
        return np.ascontiguousarray(x.T)
    out[...] = x.T
    return out
