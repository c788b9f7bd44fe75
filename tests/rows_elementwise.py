"""Rows of arithmetic, elementary functions, comparison and choice; see ``op_cases``."""

import math

import numpy as np
from op_cases import PAIRS, UNARY, Case, Sample, away_from_zero, distinct, positive

import fastgrad as fg


def _unary(name, reference, **options):
    return Case(name, getattr(fg, name), reference, UNARY, **options)


def _binary(name, reference, samples=PAIRS, **options):
    error = ((np.zeros((2, 3)), np.zeros(4)), {}, ValueError, rf"{name}: .*\(2, 3\) and \(4,\)")
    return Case(name, getattr(fg, name), reference, samples, errors=(error,), **options)


def _within_one(rng, shape):
    return rng.uniform(-0.9, 0.9, shape)


def _small(rng, shape):
    """Numbers that meet each other and 0, for comparisons."""
    return rng.integers(-2, 3, shape) * 0.5


def _nearly_whole(rng, shape):
    return rng.integers(-3, 4, shape) + rng.uniform(-0.3, 0.3, shape)


_SCALAR = (Sample(((3, 4),), {"b": 2}), Sample(((3, 4),), {"b": -1.5}), Sample(((),), {"b": 3}))


def _with_scalar(name, reference, **options):
    """An operation on a tensor and a number."""
    return Case(
        name, lambda x, b: getattr(fg, name)(x, b), lambda x, b: reference(x, b), _SCALAR, **options
    )


def _comparison(name, reference):
    return Case(
        name, getattr(fg, name), reference, PAIRS, draw=_small, gradient=False, special=False
    )


def _test(name, reference, samples=UNARY):
    return Case(
        name, getattr(fg, name), reference, samples, draw=_small, gradient=False, special=False
    )


def _bits(name, reference, count=2):
    arrays = (np.array([[1, 2, 3], [12, 5, 0]]), np.array([6, 3, -1]))[:count]
    flags = (np.array([True, False, True]), np.array([True, True, False]))[:count]
    return Case(
        name,
        getattr(fg, name),
        reference,
        (Sample(arrays), Sample(flags)),
        gradient=False,
        special=False,
    )


def _clamp(x, min=None, max=None):
    return np.minimum(
        np.maximum(x, -np.inf if min is None else min), np.inf if max is None else max
    )


def _lerp(a, b, weight):
    return a + weight * (b - a)


def _erf(x):
    return np.vectorize(math.erf, otypes=[float])(x)


_TRIPLES = (
    Sample(((3, 4), (3, 4), (3, 4))),
    Sample(((3, 4), (4,), ())),
    Sample(((5,), (2, 1), (2, 5))),
    Sample(((0, 2), (2,), (2,))),
)
_MASK = np.array([[True, False, True], [False, False, True]])
_FLAG = np.array([True, False, False])

ROWS = (
    _binary("add", np.add),
    _binary("sub", np.subtract),
    _binary("mul", np.multiply),
    _binary("div", np.divide, draw=away_from_zero),
    _binary("floor_divide", np.floor_divide, draw=away_from_zero, gradient=False, special=False),
    _binary("pow", np.power, draw=positive, rtol=1e-4),
    _binary("maximum", np.maximum, draw=distinct),
    _binary("minimum", np.minimum, draw=distinct),
    _binary(
        "fmod",
        np.fmod,
        (Sample(((4, 5), (4, 5))), Sample(((7,), ()))),
        draw=_nearly_whole,
        special=False,
    ),
    _binary(
        "remainder",
        np.remainder,
        (Sample(((4, 5), (4, 5))), Sample(((7,), ()))),
        draw=_nearly_whole,
        special=False,
    ),
    _binary("atan2", np.arctan2, draw=away_from_zero),
    _with_scalar("pow", np.power, draw=positive),
    _with_scalar("add", np.add),
    _with_scalar("div", np.divide),
    Case(
        "add", fg.add, lambda a, b, alpha: a + alpha * b, (Sample(((3, 4), (4,)), {"alpha": 2.5}),)
    ),
    Case(
        "sub", fg.sub, lambda a, b, alpha: a - alpha * b, (Sample(((3, 4), (4,)), {"alpha": 2.5}),)
    ),
    Case(
        "div",
        fg.div,
        lambda a, b, rounding_mode: np.floor(a / b),
        (Sample(((3, 4), (4,)), {"rounding_mode": "floor"}),),
        draw=away_from_zero,
        gradient=False,
        special=False,
        errors=(
            (
                (np.ones(2), np.ones(2)),
                {"rounding_mode": "up"},
                ValueError,
                "div: unknown rounding_mode 'up'",
            ),
        ),
    ),
    Case(
        "addcmul",
        fg.addcmul,
        lambda x, a, b, value=1: x + value * a * b,
        (*_TRIPLES, Sample(((3,), (3,), (3,)), {"value": -0.5})),
    ),
    Case(
        "addcdiv",
        fg.addcdiv,
        lambda x, a, b, value=1: x + value * a / b,
        (*_TRIPLES, Sample(((3,), (3,), (3,)), {"value": -0.5})),
        draw=away_from_zero,
    ),
    Case(
        "lerp",
        fg.lerp,
        _lerp,
        (Sample(((3, 4), (3, 4), (3, 4))), Sample(((3, 4), (4,), ()))),
        special=False,
    ),
    Case(
        "clamp",
        fg.clamp,
        _clamp,
        (
            Sample(((5, 7),), {"min": -0.5, "max": 0.75}),
            Sample(((5, 7),), {"min": 0.1}),
            Sample(((5, 7),), {"max": 0.1}),
            Sample(((),), {"max": 0.1}),
            Sample(((4, 5), (5,), (4, 1))),
            Sample(((4, 5), (5,))),
        ),
        errors=(((np.zeros(2),), {}, ValueError, "clamp: expected min or max, got neither"),),
    ),
    _unary("neg", np.negative),
    _unary("abs", np.abs, draw=away_from_zero),
    _unary("sign", np.sign),
    _unary("square", np.square),
    _unary("reciprocal", np.reciprocal, draw=away_from_zero),
    _unary("sqrt", np.sqrt, draw=positive),
    _unary("rsqrt", lambda x: 1 / np.sqrt(x), draw=positive),
    _unary("floor", np.floor, draw=_nearly_whole),
    _unary("ceil", np.ceil, draw=_nearly_whole),
    _unary("round", np.round, draw=_nearly_whole),
    _unary("trunc", np.trunc, draw=_nearly_whole),
    Case(
        "round",
        fg.round,
        np.round,
        (Sample(((5, 7),), {"decimals": 1}), Sample(((5, 7),), {"decimals": -1})),
        draw=lambda rng, shape: rng.integers(-99, 99, shape) + 0.33,
        special=False,
    ),
    _unary("exp", np.exp),
    _unary("expm1", np.expm1),
    _unary("log", np.log, draw=positive),
    _unary("log1p", np.log1p, draw=positive),
    _unary("log2", np.log2, draw=positive),
    _unary("log10", np.log10, draw=positive),
    _unary("sin", np.sin),
    _unary("cos", np.cos),
    _unary("tan", np.tan, draw=_within_one),
    _unary("asin", np.arcsin, draw=_within_one),
    _unary("acos", np.arccos, draw=_within_one),
    _unary("atan", np.arctan),
    _unary("sinh", np.sinh),
    _unary("cosh", np.cosh),
    _unary("asinh", np.arcsinh),
    _unary("acosh", np.arccosh, draw=lambda rng, shape: rng.uniform(1.1, 3.0, shape)),
    _unary("atanh", np.arctanh, draw=_within_one),
    _unary("exp2", np.exp2),
    _binary("hypot", np.hypot, draw=away_from_zero),
    _binary("logaddexp", np.logaddexp, special=False),
    _unary("frac", lambda x: x - np.trunc(x), draw=_nearly_whole, special=False),
    Case("clamp_min", fg.clamp_min, np.maximum, (Sample(((5, 7), ())),)),
    Case("clamp_max", fg.clamp_max, np.minimum, (Sample(((5, 7), ())),)),
    _unary("tanh", np.tanh),
    _unary("erf", _erf),
    _unary("sigmoid", lambda x: 0.5 * (1 + np.tanh(x / 2))),
    _unary("relu", lambda x: np.maximum(x, 0), draw=away_from_zero),
    _comparison("eq", np.equal),
    _comparison("ne", np.not_equal),
    _comparison("lt", np.less),
    _comparison("le", np.less_equal),
    _comparison("gt", np.greater),
    _comparison("ge", np.greater_equal),
    _comparison("logical_and", np.logical_and),
    _comparison("logical_or", np.logical_or),
    _comparison("logical_xor", np.logical_xor),
    _test("logical_not", np.logical_not),
    _test("isnan", np.isnan),
    _test("isinf", np.isinf),
    _test("isfinite", np.isfinite),
    Case("isclose", fg.isclose, np.isclose, PAIRS, draw=_small, gradient=False, special=False),
    Case(
        "allclose",
        lambda *x: fg.tensor(fg.allclose(*x)),
        np.allclose,
        (Sample(((3,), (3,))), Sample(((0,), (0,)))),
        gradient=False,
        special=False,
    ),
    Case(
        "equal",
        lambda *x: fg.tensor(fg.equal(*x)),
        np.array_equal,
        (Sample(((3,), (3,))), Sample(((3,), (1, 3)))),
        draw=lambda rng, shape: np.ones(shape),
        gradient=False,
        special=False,
    ),
    _bits("bitwise_and", np.bitwise_and),
    _bits("bitwise_or", np.bitwise_or),
    _bits("bitwise_xor", np.bitwise_xor),
    _bits("bitwise_not", np.invert, 1),
    Case(
        "where",
        fg.where,
        np.where,
        (
            Sample((_MASK, (2, 3), (2, 3))),
            Sample((_FLAG, (2, 3), ())),
            Sample((_MASK, (3,), (1,))),
            Sample((np.array(True), (3,), (3,))),
        ),
        errors=(
            (
                (np.zeros(2), np.zeros(2), np.zeros(2)),
                {},
                TypeError,
                "where: expected a condition of bools, got float64",
            ),
            ((_FLAG, np.zeros(2), np.zeros(2)), {}, ValueError, "where: cannot combine"),
        ),
    ),
    Case(
        "masked_fill",
        fg.masked_fill,
        lambda x, mask, value: np.where(mask, value, x),
        (
            Sample(((2, 3), _MASK), {"value": 2.5}),
            Sample(((2, 3), _FLAG), {"value": -1}),
            Sample(((2, 3), _FLAG, ())),
        ),
        errors=(
            (
                (np.zeros(3), _FLAG, np.zeros(3)),
                {},
                ValueError,
                "masked_fill: expected a number as value",
            ),
        ),
    ),
)
