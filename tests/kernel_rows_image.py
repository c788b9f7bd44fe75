"""Rows of the kernels on images' sizes and channels; see ``kernel_cases``."""

import numpy as np
from kernel_cases import Row


def _taps(m, n, out):
    """Up to three taps for each of ``out`` elements, at random places."""
    counts = m.rng.integers(0, 4, out)
    starts = np.concatenate([[0], np.cumsum(counts)])
    return starts, m.rng.integers(0, n, starts[-1]), m.normal(starts[-1])


def _resample(m, shape, axis, out):
    return m.normal(*shape), axis, _taps(m, shape[axis], out)


_RESAMPLED = (
    ((5, 7), 1, 9), ((8, 40), 1, 3), ((2, 3, 4), 1, 5), ((3, 5, 40), 1, 2), ((6, 3), 0, 4),
    ((0, 3), 1, 2),
)  # fmt: skip
_NORMED = ((2, 6, 3, 4, 5), (1, 3, 20, 1, 2), (3, 2, 300, 1, 7), (2, 9, 17, 17, 4), (0, 2, 2, 2, 1))
_OPTIONS = 0.5, 0.75, 1.0

ROWS = (
    Row("resample", _resample, _RESAMPLED, (((512, 28, 28), 2, 56), ((512, 28, 56), 1, 56))),
    Row("pixel_shuffle", lambda m, n, c, h, w, r: (m.normal(n, c * r * r, h, w), r),
        ((2, 3, 4, 5, 2), (1, 1, 1, 17, 3), (0, 1, 2, 2, 2)), ((32, 4, 28, 28, 2),)),
    Row("pixel_unshuffle", lambda m, n, c, h, w, r: (m.normal(n, c, h * r, w * r), r),
        ((2, 3, 4, 5, 2), (1, 1, 1, 17, 3), (0, 1, 2, 2, 2)), ((32, 4, 28, 28, 2),)),
    Row("local_response_norm_forward",
        lambda m, *s: (m.normal(*s[:4]), s[4], *_OPTIONS), _NORMED, ((8, 96, 55, 55, 5),)),
    Row("local_response_norm_backward",
        lambda m, *s: (m.normal(*s[:4]), m.normal(*s[:4]), s[4], *_OPTIONS), _NORMED,
        ((8, 96, 55, 55, 5),)),
)  # fmt: skip
