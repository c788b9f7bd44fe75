"""NumPy twins of ``fastgrad.kernels.resample``."""

import itertools

import numpy as np

from ._quiet import quiet

__all__ = ["resample"]


@quiet
def resample(x, axis, taps):
    starts, sources, weights = taps
    taken = np.moveaxis(np.take(x, sources, axis), axis, -1) * weights
    sums = [taken[..., a:b].sum(axis=-1) for a, b in itertools.pairwise(starts)]
    return np.stack(sums, axis).astype(x.dtype, copy=False)
