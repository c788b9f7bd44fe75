"""Kernel rows of random distributions; see ``kernel_cases``."""

import numpy as np
from kernel_cases import Row, size_of

_TICKET = np.array([12345, 678], np.uint64)
_SHAPES = ((), (0,), (1,), (7,), (33,), (5, 17), (4001,))
_BENCH = ((1000,), (1_000_000,))
_TABLES = ((1, 1), (1, 40), (5, 7), (40, 130))
_LOOSE = {"float32": 1e-5, "float64": 1e-10}  # the tangent near a pole


def _numbers(kind, a, b):
    return Row(
        "random_numbers", lambda m, *s: (kind, s, m.dtype, a, b, _TICKET), _SHAPES, _BENCH,
        moved=size_of, label=kind, rtol=_LOOSE,
    )  # fmt: skip


ROWS = (
    _numbers("normal", 1.5, 2.0),
    _numbers("log_normal", 0.5, 0.75),
    _numbers("exponential", 2.5, 0.0),
    _numbers("cauchy", 1.0, 2.0),
    _numbers("geometric", 0.125, 0.0),
    Row("random_integers", lambda m, *s: (s, -7, 1000, _TICKET), _SHAPES, _BENCH, moved=size_of),
    Row("random_integers", lambda m, *s: (s, -(2**62), 2**63 - 1, _TICKET), _SHAPES, label="wide"),
    Row("bernoulli", lambda m, *s: ((m.fraction(*s) + 1) / 2, _TICKET), _SHAPES, _BENCH),
    Row("check_range", lambda m, *s: (m.positive(*s), 3.5), _SHAPES, _BENCH),
    Row("poisson", lambda m, *s: (m.positive(*s) * 12, _TICKET), (*_SHAPES[:-1], (301,)), _BENCH),
    *(
        Row(
            "multinomial",
            lambda m, *s, replacement=replacement: (m.positive(*s), s[1], replacement, _TICKET),
            _TABLES, ((100, 100),), label="again" if replacement else "",
        )
        for replacement in (False, True)
    ),
)  # fmt: skip
