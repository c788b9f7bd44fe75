"""NumPy twins of ``fastgrad.kernels.mse``."""

import numpy as np

from ._quiet import quiet

__all__ = ["scaled_difference", "squared_difference"]


@quiet
def squared_difference(a, b):
    return np.square(a - b)


@quiet
def scaled_difference(a, b, factor):
    return (a - b) * factor
