"""What is counted while a model trains: losses and right answers, in the step itself.

As a launch, so that a compiled step does it too, and asks whether its loss is a number before the
parameters change.
"""

import math

import numpy as np

from ._jit import kernel
from ._record import contiguous
from .reduce import argmax

__all__ = ["tally"]

_SMALL = 1 << 16  # scores that one thread goes through while others would be woken up
_NONE = np.empty(0, np.int64)


def _not_finite(code, loss, *rest):
    raise FloatingPointError(f"the loss is {loss[0]}")


@kernel(serial=True, on_error=_not_finite)
def _tally(start, stop, loss, scores, predicted, labels, ignored, check, sums):
    """Of ``stop`` samples; where nothing is ``predicted``, the best of each row of scores is."""
    if check and not math.isfinite(loss[0]):
        return 1
    right = counted = 0
    for i in range(labels.size):
        if labels[i] == ignored:
            continue
        counted += 1
        if predicted.size:
            at = predicted[i]
        else:
            at, best = 0, scores[i, 0]
            for j in range(1, scores.shape[1]):
                x = scores[i, j]
                if x > best or (x != x and best == best):
                    at, best = j, x
        right += at == labels[i]
    sums[0] += float(loss[0]) * stop
    sums[1] += right
    sums[2] += counted
    sums[3] += stop
    return 0


def tally(loss, scores, labels, ignored, samples, check, sums):
    """Add a batch to ``sums`` (4,) float64: loss · samples, right answers, labels, samples.

    loss (1,); scores (N, C) or (N, C, \\*), the largest of which is the answer (the first of
    equals; NaN is the largest), and labels (N, \\*) int64, of which those that are ``ignored`` do
    not count. No answers are counted where scores is None. With ``check``, ``FloatingPointError``
    for a loss that is NaN or infinite, and nothing is added.
    """
    rows, predicted, labels = loss.reshape(1, 1), _NONE, _NONE if scores is None else labels
    if scores is not None and scores.ndim == 2 and scores.size <= _SMALL:
        rows = contiguous(scores)
    elif scores is not None:
        predicted = argmax(contiguous(scores), 1).reshape(-1)
    labels = contiguous(labels).reshape(-1)
    _tally(samples, 0, loss, rows, predicted, labels, ignored, check, sums)
