"""Rows of the kernels of random numbers; see ``kernel_cases``."""

import numpy as np
from kernel_cases import BENCH, SHAPES, Row, size_of

_TICKET = np.array([12345, 678], np.uint64)

ROWS = (
    Row("dropout", lambda m, *s: (m.normal(*s), 0.3, _TICKET, 0.75, -0.5, -1.0), SHAPES,
        label="affine"),
    Row("uniform", lambda m, *s: (s, m.dtype, -0.5, 2.0, _TICKET), SHAPES, BENCH, moved=size_of),
)  # fmt: skip
