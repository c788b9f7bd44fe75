"""Rows of the kernel that counts losses and right answers; see ``kernel_cases``."""

import numpy as np
from kernel_cases import Row


def _batch(m, *shape):
    """A loss, scores (with NaN and equal ones among them) and labels of a shape (N, C, ...)."""
    scores = np.round(m.normal(*shape))
    scores.reshape(-1)[::7] = np.nan
    return m.normal(1), scores, m.labels((shape[0], *shape[2:]), shape[1])


def _sums(m, *shape):
    return *_batch(m, *shape), 2, shape[0], True, np.arange(4.0)


ROWS = (
    Row("tally", _sums, ((1, 1), (5, 3), (64, 10), (700, 130), (4, 5, 6)), ((64, 10),),
        changes=(6,)),
    Row("tally", lambda m, n: (m.normal(1), None, None, -100, n, False, np.zeros(4)),
        ((1,), (7,)), changes=(6,), label="no labels"),
)  # fmt: skip
