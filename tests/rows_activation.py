"""Rows of activations; see ``op_cases``."""

import math

import numpy as np
from op_cases import UNARY, Case, Sample, distinct

import fastgrad as fg
from fastgrad import functional as F


def _sigmoid(x):
    return 0.5 * (1 + np.tanh(x / 2))


def _softplus(x, beta=1.0, threshold=20.0):
    return np.where(x * beta > threshold, x, np.logaddexp(0, x * beta) / beta)


def _elu(x, alpha=1.0):
    return np.where(x > 0, x, alpha * np.expm1(x))


def _gelu(x, approximate="none"):
    if approximate == "tanh":
        return x / 2 * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x / 2 * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2)))


def _softshrink(x, lambd=0.5):
    return np.where(np.abs(x) > lambd, x - np.sign(x) * lambd, x * 0)


def _off_kinks(rng, shape):
    """Numbers of any size, none of them within 0.1 of a multiple of a half."""
    return rng.integers(-9, 9, shape) / 2 + rng.uniform(0.1, 0.4, shape)


def _row(name, reference, *options, errors=(), **more):
    samples = (*UNARY, *(Sample(((5, 7),), given) for given in options))
    whole = ((np.zeros(2, int),), {}, TypeError, f"{name}: expected a float tensor, got int64")
    errors = (*errors, whole) if more.pop("floats", True) else errors
    return Case(name, getattr(F, name), reference, samples, draw=_off_kinks, errors=errors, **more)


def _prelu(x, weight):
    axes = (1,) * (x.ndim - 2)
    return np.where(x > 0, x, x * (weight.reshape(-1, *axes) if weight.size > 1 else weight.item()))


def _rrelu_in_training(x):
    fg.manual_seed(3)
    return F.rrelu(x, 0.1, 0.4, training=True)


def _rrelu_reference(x):
    fg.manual_seed(3)
    slopes = -F.rrelu(fg.tensor(-np.ones(x.shape)), 0.1, 0.4, training=True).numpy()
    return np.where(x > 0, x, x * slopes)


def _glu(x, dim=-1):
    a, b = np.split(x, 2, axis=dim)
    return a * _sigmoid(b)


def _maxout(x, pool_size, dim=-1):
    dim %= x.ndim
    shape = (*x.shape[:dim], x.shape[dim] // pool_size, pool_size, *x.shape[dim + 1 :])
    return x.reshape(shape).max(axis=dim + 1)


def _softmin(x, dim=None, dtype=None):
    dim = (0 if x.ndim in (0, 1, 3) else 1) if dim is None else dim
    e = np.exp(x.min(axis=dim, keepdims=True) - x)
    return e / e.sum(axis=dim, keepdims=True)


def _gumbel(x, **options):
    fg.manual_seed(5)
    return F.gumbel_softmax(x, **options)


def _gumbel_reference(x, tau=1.0, dim=-1):
    from fastgrad import reference

    fg.manual_seed(5)
    ticket = reference.draw(fg.random.default.counter, x.size)
    drawn = reference.uniform(x.shape, np.float64, 0.0, 1.0, ticket)
    e = np.exp((x - np.log(-np.log(drawn))) / tau)
    return e / e.sum(axis=dim, keepdims=True)


ROWS = (
    _row("relu6", lambda x: np.clip(x, 0, 6), floats=False),
    _row(
        "hardtanh",
        lambda x, min_val=-1.0, max_val=1.0: np.clip(x, min_val, max_val),
        {"min_val": -0.5, "max_val": 2.0},
        {"min_val": 0.0, "max_val": 0.0},
        floats=False,
        errors=(
            ((np.zeros(2),), {"min_val": 1.0, "max_val": 0.0}, ValueError,
             "hardtanh: min_val .* above max_val"),
        ),
    ),
    _row(
        "leaky_relu",
        lambda x, negative_slope=0.01: np.where(x > 0, x, x * negative_slope),
        {"negative_slope": 0.3},
        {"negative_slope": -0.3},
    ),
    Case(
        "prelu",
        F.prelu,
        _prelu,
        (
            Sample(((), ())), Sample(((5,), (1,))), Sample(((4, 3), ())), Sample(((4, 3), (3,))),
            Sample(((2, 3, 4), (3,))), Sample(((2, 3, 4, 2), (1,))), Sample(((0, 3), (3,))),
        ),
        draw=_off_kinks,
        special=False,
        errors=(
            ((np.zeros((2, 3)), np.zeros(2)), {}, ValueError,
             r"prelu: weight has shape \(2,\), x \(2, 3\) wants \(1,\) or \(3,\)"),
            ((np.zeros((2, 3)), np.zeros(3, np.float32)), {}, TypeError,
             "prelu: expected floats of one type, got float64 and float32"),
        ),
    ),
    Case(
        "rrelu",
        _rrelu_in_training,
        _rrelu_reference,
        (Sample(((50,),)), Sample(((3, 4),)), Sample(((0,),))),
        draw=_off_kinks,
        special=False,
    ),
    _row(
        "rrelu",
        lambda x, lower=1 / 8, upper=1 / 3: np.where(x > 0, x, x * (lower + upper) / 2),
        {"lower": 0.2, "upper": 0.6},
        floats=False,
        errors=(
            ((np.zeros(2),), {"lower": 1.0, "upper": 0.5}, ValueError,
             "rrelu: lower 1.0 is above upper 0.5"),
        ),
    ),
    _row("hardsigmoid", lambda x: np.clip(x + 3, 0, 6) / 6),
    _row(
        "hardshrink",
        lambda x, lambd=0.5: np.where(np.abs(x) <= lambd, 0, x),
        {"lambd": 1.0},
        {"lambd": -0.5},
    ),
    _row(
        "softshrink",
        _softshrink,
        {"lambd": 1.0},
        {"lambd": 0.0},
        errors=(
            ((np.zeros(2),), {"lambd": -1.0}, ValueError,
             "softshrink: lambd -1.0 is negative"),
        ),
        special=False,
    ),
    Case(
        "threshold",
        F.threshold,
        lambda x, threshold, value: np.where(x <= threshold, value, x),
        tuple(Sample((shape,), {"threshold": 0.5, "value": 7.0}) for shape in ((), (0,), (4, 5))),
        draw=_off_kinks,
    ),
    _row("hardswish", lambda x: x * np.clip(x + 3, 0, 6) / 6),
    _row("elu", _elu, {"alpha": 2.0}, {"alpha": -0.5}),
    _row(
        "celu",
        lambda x, alpha=1.0: np.maximum(x, 0) + np.minimum(alpha * np.expm1(x / alpha), 0),
        {"alpha": 2.0},
        errors=(
            ((np.zeros(2),), {"alpha": 0.0}, ZeroDivisionError,
             "celu: alpha is 0"),
        ),
    ),
    _row("selu", lambda x: 1.0507009873554805 * _elu(x, 1.6732632423543772)),
    _row(
        "gelu",
        _gelu,
        {"approximate": "tanh"},
        errors=(
            ((np.zeros(2),), {"approximate": "x"}, ValueError,
             "gelu: unknown approximate 'x'"),
        ),
    ),
    _row("silu", lambda x: x * _sigmoid(x)),
    _row("mish", lambda x: x * np.tanh(_softplus(x))),
    _row("softplus", _softplus, {"beta": 2.0, "threshold": 3.0}, {"beta": -2.0}),
    _row("logsigmoid", lambda x: -np.logaddexp(0, -x)),
    _row("softsign", lambda x: x / (1 + np.abs(x)), floats=False),
    _row("tanhshrink", lambda x: x - np.tanh(x), floats=False, rtol=5e-5),
    Case(
        "glu",
        F.glu,
        _glu,
        (
            Sample(((2,),)), Sample(((0, 2),), {"dim": 1}), Sample(((8, 34),)),
            Sample(((8, 3),), {"dim": 0}), Sample(((2, 6, 3),), {"dim": -2}),
        ),
        special=False,
        errors=(
            ((np.zeros((2, 3)),), {}, ValueError, "glu: expected an even size of dim -1"),
            ((np.zeros(()),), {}, ValueError, "glu: expected floats with axes"),
        ),
    ),
    Case(
        "maxout",
        F.maxout,
        _maxout,
        (
            Sample(((6,),), {"pool_size": 2}), Sample(((4, 9),), {"pool_size": 3}),
            Sample(((4, 9),), {"pool_size": 2, "dim": 0}), Sample(((4, 3),), {"pool_size": 1}),
            Sample(((2, 6, 5),), {"pool_size": 3, "dim": 1}), Sample(((0, 4),), {"pool_size": 2}),
        ),
        draw=distinct,
        special=False,
        errors=(
            ((np.zeros((2, 3)),), {"pool_size": 2}, ValueError,
             r"maxout: pool_size 2 does not divide dim -1 of shape \(2, 3\)"),
            ((np.zeros(4),), {"pool_size": 0}, ValueError, "maxout: pool_size 0 does not divide"),
            ((np.zeros(4, int),), {"pool_size": 2}, ValueError, "maxout: expected floats"),
        ),
    ),
    Case(
        "duplicate",
        lambda x, n: math.prod(F.duplicate(x, n)),
        lambda x, n: x**n,
        tuple(Sample((shape,), {"n": n}) for shape in ((), (4, 5), (0,)) for n in (1, 3)),
        errors=(
            ((np.zeros(2),), {"n": 0}, ValueError,
             "duplicate: expected n of at least 1"),
        ),
    ),
    Case(
        "softmin",
        F.softmin,
        _softmin,
        (
            Sample(((3, 4),), {"dim": 0}), Sample(((2, 3, 4),), {"dim": -1}),
            Sample(((3, 4),), {"dim": 1, "dtype": np.float64}),
        ),
        special=False,
    ),
    Case(
        "softmin",
        lambda x: F.softmin(x),
        _softmin,
        (Sample(((5,),)), Sample(((3, 4),)), Sample(((2, 3, 4),)), Sample(((2, 3, 4, 2),))),
        special=False,
    ),
    Case(
        "gumbel_softmax",
        _gumbel,
        _gumbel_reference,
        (Sample(((5, 7),)), Sample(((5, 7),), {"tau": 0.5, "dim": 0}), Sample(((3,),))),
        special=False,
        rtol=1e-3,
        errors=(
            ((np.zeros(3),), {"tau": 0.0}, ValueError, "gumbel_softmax: tau 0.0 is not positive"),
            ((np.zeros(3, int),), {}, TypeError, "gumbel_softmax: expected a float tensor"),
        ),
    ),
)  # fmt: skip
