"""Rows of random distributions: what chance has no part in; see ``op_cases``, and
``test_distributions`` for the rest. Each call sets the seed, so that it draws the same.
"""

import numpy as np
from op_cases import Case, Sample

import fastgrad as fg
from fastgrad import reference


def _seeded(function):
    def call(*arrays, **options):
        fg.manual_seed(3)
        return function(*arrays, **options)

    return call


_TICKET = np.array([3, 0], np.uint64)
_ONE = (np.zeros(2), np.zeros(3))


def _share(rng, shape):
    return rng.uniform(0.1, 0.9, shape)


def _normal(mean, std):
    shape = np.broadcast_shapes(mean.shape, std.shape)
    return mean + std * reference.random_numbers("normal", shape, np.float64, 0.0, 1.0, _TICKET)


def _multinomial(x, num_samples, replacement=False):
    out = reference.multinomial(np.atleast_2d(x), num_samples, replacement, _TICKET)
    return out if x.ndim == 2 else out[0]


def _row(name, reference, samples, errors, **options):
    call = _seeded(getattr(fg, name))
    errors = tuple((*error[:3], f"{name}: {error[3]}") for error in errors)
    return Case(name, call, reference, samples, errors=errors, special=False, **options)


_SHAPES = tuple(Sample((shape,)) for shape in ((), (0, 3), (7,), (4, 5)))
ROWS = (
    # no gradient: that of the chances is 0, and differences are not
    _row(
        "bernoulli", lambda p: reference.bernoulli(p, _TICKET), _SHAPES,
        (
            ((np.array([0.5, 1.5]),), {}, ValueError, "1.5 at position 1 is not from 0 to 1"),
            ((np.array([np.nan]),), {}, ValueError, "nan at position 0"),
            ((np.array([1]),), {}, TypeError, "expected a float tensor, got int64"),
        ),
        draw=_share, gradient=False,
    ),
    _row(
        "poisson", lambda x: reference.poisson(x, _TICKET), _SHAPES,
        (((np.array([1.0, -1.0]),), {}, ValueError, "-1.0 at position 1 is not from 0"),),
        draw=lambda rng, shape: rng.uniform(0.5, 30.0, shape), gradient=False,
    ),
    Case(  # in float64, as other numbers are drawn in float32
        "normal",
        _seeded(lambda mean, std: fg.normal(mean.double(), std.double()).to(mean.dtype)), _normal,
        (Sample(((3, 4), (4,))), Sample(((), (5,))), Sample(((2, 1), (1, 3)))),
        errors=((_ONE, {}, ValueError, r"normal: mean of shape \(2,\) and std of \(3,\) do not"),),
        draw=_share, special=False, gradient=False,
    ),
    _row(
        "multinomial", _multinomial,
        (
            Sample(((6,),), {"num_samples": 6}), Sample(((3, 6),), {"num_samples": 2}),
            Sample(((3, 2),), {"num_samples": 9, "replacement": True}),
        ),
        (
            ((np.ones(3),), {"num_samples": 4}, ValueError, "4 cannot be drawn from 3 classes"),
            ((np.array([1.0, -1.0]),), {"num_samples": 1}, ValueError, "row 0 has a weight that"),
            ((np.zeros((2, 3)),), {"num_samples": 1}, ValueError, "the weights of row 0 sum to 0"),
            ((np.ones((1, 1, 1)),), {"num_samples": 1}, ValueError, r"expected weights \(n,\)"),
            ((np.ones(3, int),), {"num_samples": 1}, TypeError, "expected float weights"),
        ),
        draw=_share, gradient=False,
    ),
)  # fmt: skip
