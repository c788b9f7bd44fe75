"""Rows of reductions, statistics and norms; see ``op_cases``."""

import numpy as np
from op_cases import DIM_ERRORS, DIMS, Case, Sample, away_from_zero, distinct, reduced

import fastgrad as fg

_ONE_DIM = (
    Sample(((),)), Sample(((5,),)), Sample(((3, 4),)), Sample(((3, 4),), {"dim": 0}),
    Sample(((3, 4),), {"dim": -1, "keepdim": True}), Sample(((2, 3, 4),), {"dim": 1}),
    Sample(((40, 7),), {"dim": 0}), Sample(((1, 1),), {"dim": 0}),
)  # fmt: skip
_OVER = tuple(sample for sample in _ONE_DIM if "dim" in sample.options)
_NO_ELEMENTS = (np.zeros((0, 3)),), {"dim": 0}, ValueError
_INTEGERS = (np.zeros((2, 3), int),), {}, TypeError


def _with(options, samples=DIMS):
    return tuple(Sample(s.inputs, {**s.options, **options}) for s in samples)


def _values(function, position=0):
    """A call that gives several tensors, of which one is looked at."""
    return lambda *inputs, **options: function(*inputs, **options)[position]


def _with_a_zero(rng, shape):
    x = away_from_zero(rng, shape)
    x.reshape(-1)[:1] = 0.0
    return x


def _moment(function):
    def reference(x, dim=None, keepdim=False, unbiased=None, correction=1):
        correction = correction if unbiased is None else int(unbiased)
        return function(x, axis=dim, keepdims=keepdim, ddof=correction)

    return reference


def _logsumexp(x, dim, keepdim=False):
    best = x.max(axis=dim, keepdims=True)
    best = np.where(np.isinf(best), 0.0, best)
    out = np.log(np.exp(x - best).sum(axis=dim, keepdims=True)) + best
    return out if keepdim else out.reshape(x.sum(axis=dim).shape)


def _norm(x, p="fro", dim=None, keepdim=False):
    p = 2 if p == "fro" else p
    size, options = np.abs(x), {"axis": dim, "keepdims": keepdim}
    if np.isinf(p):
        return (np.max if p > 0 else np.min)(size, **options)
    if p == 0:
        return np.sum(size != 0, **options).astype(float)
    return np.sum(size**p, **options) ** (1 / p)


def _moments(name, function):
    samples = (
        *(s for s in DIMS if s.inputs[0] not in ((), (1, 1))),
        Sample(((6,),), {"correction": 0}), Sample(((3, 4),), {"correction": 2.5, "dim": 1}),
        Sample(((3, 4),), {"unbiased": False, "keepdim": True}), Sample(((5000,),)),
    )  # fmt: skip
    call = getattr(fg, name)
    return Case(
        name,
        _values(call) if name.endswith("mean") else call,
        _moment(function),
        samples,
        errors=(
            *DIM_ERRORS,
            (*_INTEGERS, f"{name}: expected a float tensor"),
            ((np.zeros(3),), {"unbiased": True, "correction": 0}, TypeError, "got both"),
        ),
        rtol=1e-4,
    )


def _truth(name, function):
    return Case(
        name, getattr(fg, name), reduced(function),
        (*DIMS, Sample((np.array([[0, 2], [3, 1]]),), {"dim": 1}),
         Sample((np.array([[False, True], [True, True]]),), {"dim": 0})),
        draw=lambda rng, shape: rng.integers(0, 2, shape) * 1.5,
        gradient=False, errors=DIM_ERRORS,
    )  # fmt: skip


def _extreme(name, function, both):
    pairs = (Sample(((3, 4), (3, 4))),)
    return Case(
        name,
        lambda x, y=None, **options: (
            getattr(fg, name)(x, y)
            if y is not None
            else _values(getattr(fg, name))(x, **options)
            if options
            else getattr(fg, name)(x)
        ),
        lambda x, y=None, dim=None, keepdim=False: (
            both(x, y) if y is not None else function(x, axis=dim, keepdims=keepdim)
        ),
        (*_ONE_DIM, *pairs),
        draw=distinct,
        errors=((*_NO_ELEMENTS, rf"arg{name}: shape \(0, 3\) has no elements"),),
        special=False,  # the gradient's row looks at NaN
    )


def _renorm(x, p, dim, maxnorm):
    rows = np.moveaxis(x, dim, 0)
    size = np.linalg.norm(rows.reshape(len(rows), -1), p, axis=1)
    scale = np.where(size > maxnorm, maxnorm / (size + 1e-7), 1.0)
    return np.moveaxis(rows * scale.reshape(-1, *[1] * (x.ndim - 1)), 0, dim)


ROWS = (
    Case(
        "amin", fg.amin, reduced(np.min), DIMS, draw=distinct,
        errors=(*DIM_ERRORS, (*_NO_ELEMENTS, r"amin: shape \(0, 3\) has no elements")),
    ),
    Case(
        "argmin", fg.argmin,
        lambda x, dim=None, keepdim=False: np.argmin(x, axis=dim, keepdims=keepdim),
        (Sample(((5,),)), Sample(((3, 4),)), Sample(((3, 4),), {"dim": 0}),
         Sample(((2, 3, 4),), {"dim": -2, "keepdim": True})),
        draw=distinct, gradient=False,
        errors=((*_NO_ELEMENTS, "argmin: shape .* has no elements"),),
    ),
    _extreme("max", np.max, np.maximum),
    _extreme("min", np.min, np.minimum),
    Case(
        "prod", fg.prod, reduced(np.prod), (*_ONE_DIM, Sample(((0, 3),), {"dim": 0})),
        draw=_with_a_zero,
        errors=(((np.zeros((2, 3)),), {"dim": (0, 1)}, TypeError, "prod: expected one int as dim"),
                ((np.zeros((2, 3)),), {"dim": 2}, IndexError, "prod: dim 2 is out of range")),
        special=False,  # 0 times infinity
    ),
    Case(
        "nansum", fg.nansum,
        lambda x, dim=None, keepdim=False: np.nansum(x, axis=dim, keepdims=keepdim), DIMS,
    ),
    _truth("all", np.all),
    _truth("any", np.any),
    Case(
        "count_nonzero", fg.count_nonzero, lambda x, dim=None: np.count_nonzero(x, axis=dim),
        (Sample(((),)), Sample(((3, 4),)), Sample(((3, 4),), {"dim": (0, 1)}),
         Sample(((2, 3, 4),), {"dim": -1})),
        draw=lambda rng, shape: rng.integers(0, 2, shape) * 1.5, gradient=False,
        errors=(((np.zeros((2, 3)),), {"dim": 2}, IndexError, "count_nonzero: dim 2"),),
    ),
    _moments("var", np.var),
    _moments("std", np.std),
    _moments("var_mean", np.var),
    _moments("std_mean", np.std),
    Case(
        "logsumexp", fg.logsumexp, _logsumexp,
        (*_OVER, Sample(((2, 3, 4),), {"dim": (0, 2)}), Sample(((9000,),), {"dim": 0})),
        draw=lambda rng, shape: 30 * rng.standard_normal(shape),
        errors=(((np.zeros((2, 3)),), {"dim": 2}, IndexError, "logsumexp: dim 2"),),
    ),
    Case(
        "norm", fg.norm, _norm,
        (*(sample for p in (2, 1, 3, 0.5, -1, np.inf, -np.inf)
           for sample in _with({"p": p}, DIMS[1:6])), *DIMS[:9]),
        draw=lambda rng, shape: distinct(rng, shape) + 0.17, rtol=1e-4,
        errors=(
            *DIM_ERRORS, (*_INTEGERS, "norm: expected a float tensor"),
            ((np.zeros(3),), {"p": "x"}, ValueError, "norm: unknown p 'x'"),
        ),
        special=False,
    ),
    Case(
        "renorm", fg.renorm, _renorm,
        (*(Sample(((3, 4),), {"p": p, "dim": dim, "maxnorm": 1.5})
           for p in (1, 2, 3, np.inf) for dim in (0, -1)),
         Sample(((2, 3, 4),), {"p": 2, "dim": 1, "maxnorm": 0.0}),
         Sample(((2, 3, 4),), {"p": 2, "dim": 1, "maxnorm": 1e9})),
        draw=lambda rng, shape: distinct(rng, shape) / 5 + 0.17, special=False, rtol=1e-4,
        errors=(
            ((np.zeros(3),), {"p": 2, "dim": 0, "maxnorm": 1}, ValueError,
             "renorm: expected two axes or more"),
            ((np.zeros((2, 3)),), {"p": 2, "dim": 2, "maxnorm": 1}, IndexError, "renorm: dim 2"),
        ),
    ),
)  # fmt: skip
