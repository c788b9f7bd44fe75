"""NumPy twins of ``fastgrad.kernels.bmm``."""

import numpy as np

from ._quiet import quiet

__all__ = ["bmm", "bmm_nt", "bmm_tn"]


@quiet
def bmm(a, b, out=None):
    return np.matmul(a, b, out=out)


@quiet
def bmm_nt(a, b, out=None):
    return np.matmul(a, b.swapaxes(-1, -2), out=out)


@quiet
def bmm_tn(a, b, out=None):
    return np.matmul(a.swapaxes(-1, -2), b, out=out)
