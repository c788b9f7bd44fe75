"""Rows of running reductions; see ``op_cases``."""

import numpy as np
from op_cases import Case, Sample, away_from_zero, distinct

import fastgrad as fg

_SAMPLES = (
    Sample(((),), {"dim": 0}), Sample(((1,),), {"dim": 0}), Sample(((7,),), {"dim": -1}),
    Sample(((3, 4),), {"dim": 0}), Sample(((3, 4),), {"dim": 1}), Sample(((2, 3, 4),), {"dim": 1}),
    Sample(((0, 3),), {"dim": 0}), Sample(((2, 0),), {"dim": 0}),
)  # fmt: skip


def _with_zeros(rng, shape):
    x = away_from_zero(rng, shape)
    x.reshape(-1)[1::3] = 0.0
    return x


def _scan(name, ufunc, part=None, **options):
    call = getattr(fg, name)
    return Case(
        name,
        call if part is None else lambda x, dim: call(x, dim)[part],
        lambda x, dim: ufunc.accumulate(x, axis=dim) if x.ndim else x,
        _SAMPLES,
        errors=(
            ((np.zeros((2, 3)),), {"dim": 2}, IndexError, f"{name}: dim 2 is out of range"),
            ((np.zeros((2, 3)),), {"dim": (0, 1)}, TypeError, f"{name}: expected one int as dim"),
        ),
        **options,
    )


ROWS = (
    _scan("cumsum", np.add),
    _scan("cumprod", np.multiply, draw=_with_zeros, special=False),
    _scan("logcumsumexp", np.logaddexp, draw=lambda rng, shape: 9 * rng.standard_normal(shape)),
    _scan("cummax", np.maximum, 0, draw=distinct),
    _scan("cummin", np.minimum, 0, draw=distinct),
)
