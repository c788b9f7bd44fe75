"""NumPy twin of ``fastgrad.kernels.tally``."""

import math

import numpy as np

__all__ = ["tally"]


def tally(loss, scores, labels, ignored, samples, check, sums):
    if check and not math.isfinite(loss[0]):
        raise FloatingPointError(f"the loss is {loss[0]}")
    right = counted = 0
    if scores is not None:
        used = labels != ignored
        right = np.count_nonzero((scores.argmax(axis=1) == labels) & used)
        counted = np.count_nonzero(used)
    sums += float(loss[0]) * samples, right, counted, samples
