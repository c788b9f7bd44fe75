"""Rows of the dropouts; see ``op_cases``. Each call sets the seed, so that it draws the same."""

import numpy as np
from op_cases import Case, Sample

import fastgrad as fg
from fastgrad import functional as F

_CHANNELS = {"dropout1d": ((4, 5, 3), (5, 3)), "dropout2d": ((4, 5, 3, 2), (4, 5, 3)),
             "dropout3d": ((4, 5, 3, 2, 2), (5, 3, 2, 2))}  # fmt: skip


def _seeded(function):
    def call(x, **options):
        fg.manual_seed(3)
        return function(x, **options)

    return call


def _of_mask(function):
    """``x`` times what the operation makes of ones."""

    def reference(x, **options):
        fg.manual_seed(3)
        return x * function(fg.tensor(np.ones(x.shape)), **options).numpy()

    return reference


def _of_line(function):
    """``x · a + b``, from what the operation makes of zeros and ones."""

    def reference(x, **options):
        ends = []
        for end in (np.zeros, np.ones):
            fg.manual_seed(3)
            ends.append(function(fg.tensor(end(x.shape)), **options).numpy())
        return x * (ends[1] - ends[0]) + ends[0]

    return reference


def _row(name, reference, shapes, *options, errors=()):
    function = getattr(F, name)
    samples = tuple(Sample((shape,), given) for shape in shapes for given in options)
    bad = {**options[0], "p": 1.5}
    errors = (
        ((np.zeros(shapes[0]),), bad, ValueError, f"{name}: p = 1.5 is not a probability"),
        ((np.zeros(shapes[0], int),), options[0], TypeError, f"{name}: expected a float tensor"),
        *errors,
    )
    return Case(name, _seeded(function), reference(function), samples, errors=errors, special=False)


_TRAINING = tuple({"p": p, "training": True} for p in (0.4, 1.0))

ROWS = (
    *(
        _row(
            name, _of_mask, shapes, {"p": 0.4}, {"p": 1.0}, {"training": False},
            errors=(((np.zeros(3),), {}, ValueError, f"{name}: expected . or . axes"),),
        )
        for name, shapes in _CHANNELS.items()
    ),
    _row(
        "stochastic_depth", _of_mask, ((6, 3), (5,)),
        *({"p": p, "mode": mode} for p in (0.4, 1.0) for mode in ("row", "batch")),
        errors=(
            ((np.zeros(3),), {"p": 0.5, "mode": "x"}, ValueError, "unknown mode 'x'"),
            ((np.zeros(()),), {"p": 0.5, "mode": "row"}, ValueError, "got no axes"),
        ),
    ),
    _row("alpha_dropout", _of_line, ((50,), (5, 7)), *_TRAINING),
    _row(
        "feature_alpha_dropout", _of_line, ((4, 5, 3), (6, 7)), *_TRAINING,
        errors=(((np.zeros(3),), {"training": True}, ValueError, r"expected \(N, C, \*\)"),),
    ),
)  # fmt: skip
