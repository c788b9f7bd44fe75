"""Rows of special functions, signs, bits and bounds past NaN; see ``op_cases``."""

import math
from math import pi

import numpy as np
from op_cases import PAIRS, UNARY, Case, Sample, away_from_zero, distinct, positive

import fastgrad as fg
from fastgrad import reference

_BINARY = (*PAIRS[:4], *PAIRS[5:8])
_INTEGERS = Sample((np.array([12, -9, 7]), np.array([18, 6, 1])))
_CHOICE = Sample((np.array([-2.0, 0.0, 3.0]), np.array([0.5, 0.25, 1.0])))


def _unary(name, formula, samples=UNARY, **options):
    return Case(name, getattr(fg, name), formula, samples, **options)


def _binary(name, formula, samples=_BINARY, **options):
    error = ((np.zeros((2, 3)), np.zeros(4)), {}, ValueError, f"{name}: cannot combine")
    return Case(name, getattr(fg, name), formula, samples, errors=(error,), **options)


def _no_gradient(name, formula, *samples, **options):
    return Case(name, getattr(fg, name), formula, samples, gradient=False, special=False, **options)


def _within_one(rng, shape):
    return rng.uniform(-0.9, 0.9, shape)


def _share(rng, shape):
    return rng.uniform(0.1, 0.9, shape)


def _between_poles(rng, shape):
    return rng.integers(-3, 4, shape) + rng.uniform(0.3, 0.7, shape)


def _xlogy(a, b):
    return np.where((a == 0) & ~np.isnan(b), 0.0, a * np.log(b))


def _polygamma(x, n):
    return (-1.0) ** (n + 1) * math.factorial(n) * reference.zeta(x, n + 1)


def _logit(x, eps=None):
    x = x if eps is None else np.clip(x, eps, 1 - eps)
    return np.log(x / (1 - x))


def _replaced(x, nan=0.0, posinf=None, neginf=None):
    return np.nan_to_num(x, nan=nan, posinf=posinf, neginf=neginf)


_ODD = np.array([1.0, math.nan, math.inf, -math.inf])
_NOT_INTEGERS = (((np.zeros(2), np.zeros(2)), {}, TypeError, "expected integers, got float64"),)

ROWS = (
    _unary("erfc", reference.erfc, rtol=1e-5),
    _unary("erfinv", reference.erfinv, draw=_within_one, special=False),
    _unary("lgamma", reference.lgamma, draw=_between_poles, special=False),
    _unary("digamma", reference.digamma, draw=_between_poles, special=False, rtol=1e-4),
    Case(
        "polygamma",
        lambda x, n: fg.polygamma(n, x),
        _polygamma,
        tuple(Sample(((3, 4),), {"n": n}) for n in (1, 2, 3)),
        draw=positive,
        special=False,
        rtol=1e-4,
        errors=(((np.zeros(2),), {"n": -1}, ValueError, "polygamma: expected n >= 0, got -1"),),
    ),
    _unary(
        "mvlgamma",
        lambda x, p: (
            sum(reference.lgamma(x - j / 2) for j in range(p)) + p * (p - 1) / 4 * np.log(pi)
        ),
        (Sample(((3, 4),), {"p": 1}), Sample(((3, 4),), {"p": 3})),
        draw=lambda rng, shape: rng.uniform(1.2, 4.0, shape),
        special=False,
        rtol=1e-4,
        errors=(((np.zeros(2),), {"p": 0}, ValueError, "mvlgamma: expected p >= 1, got 0"),),
    ),
    _binary("xlogy", _xlogy, draw=positive),
    _binary("logaddexp2", np.logaddexp2),
    *(
        Case(
            name, getattr(fg, name),
            lambda a, b, name=name: getattr(reference, name)(a.astype(b.dtype), b),
            # the second operand alone has a gradient, so the first is one of integers
            (Sample((np.array([1, 2, 3, 7]), (3, 4))), Sample((np.array(2), ()))),
            draw=positive, special=False, rtol=1e-4, errors=(
                ((np.zeros(3), np.zeros(2)), {}, ValueError, f"{name}: cannot combine"),
            ),
        )
        for name in ("igamma", "igammac")
    ),
    _unary("logit", _logit, draw=_share),
    _unary("logit", _logit, (Sample(((3, 4),), {"eps": 0.3}),), draw=_share, special=False),
    _unary("sinc", np.sinc, draw=away_from_zero),
    Case(
        "float_power",
        lambda a, b: fg.float_power(a, b).to(a.dtype if a.dtype.kind == "f" else np.float64),
        np.power,
        (Sample(((3, 4), (4,))),),
        draw=positive,
        special=False,
    ),
    Case(
        "ldexp",
        fg.ldexp,
        lambda x, n: x * 2.0**n,
        (Sample(((3, 2), np.array([2, 1]))), Sample(((3,), (3,)))),
    ),
    _unary("deg2rad", np.deg2rad),
    _unary("rad2deg", np.rad2deg),
    Case("rsub", fg.rsub, lambda a, b: b - a, _BINARY),
    Case("rsub", fg.rsub, lambda a, b, alpha: b - alpha * a, (Sample(((3,), (3,)), {"alpha": 2}),)),
    Case("positive", lambda x: fg.positive(x * 1.0), lambda x: x, UNARY),
    Case("nan_to_num", fg.nan_to_num, _replaced, UNARY, special=False),
    _no_gradient(
        "nan_to_num", _replaced,
        Sample((_ODD,), {"nan": 3.0, "posinf": 5.0, "neginf": -7.0}),
        Sample((_ODD,)),
    ),
    _binary("copysign", np.copysign, draw=away_from_zero),
    _no_gradient("heaviside", np.heaviside, _CHOICE, *PAIRS[:4], _INTEGERS),
    _no_gradient("nextafter", np.nextafter, _CHOICE),
    _no_gradient("gcd", np.gcd, _INTEGERS, errors=_NOT_INTEGERS),
    _no_gradient("lcm", np.lcm, _INTEGERS, errors=_NOT_INTEGERS),
    _no_gradient(
        "bitwise_left_shift", np.left_shift, Sample((np.array([1, -3]), np.array([2, 3]))),
        errors=_NOT_INTEGERS,
    ),
    _no_gradient(
        "bitwise_right_shift", np.right_shift, Sample((np.array([9, -9]), np.array([1, 2]))),
        errors=_NOT_INTEGERS,
    ),
    _binary("fmax", np.fmax, draw=distinct),
    _binary("fmin", np.fmin, draw=distinct),
    _no_gradient("isin", np.isin, Sample((np.array([[1, 2], [3, 1]]), np.array([3, 1])))),
    _no_gradient(
        "isin", lambda x, y, invert: np.isin(x, y, invert=invert),
        Sample((np.array([1, 2]), np.array([2])), {"invert": True}),
    ),
    _no_gradient("isposinf", np.isposinf, *UNARY, Sample((_ODD,))),
    _no_gradient("isneginf", np.isneginf, *UNARY, Sample((_ODD,))),
    _no_gradient("isreal", np.isreal, *UNARY, Sample((_ODD,))),
    _no_gradient("signbit", np.signbit, *UNARY, Sample((np.array([-0.0, 1.0]),)),
                 Sample((np.array([-1, 1]),))),
)  # fmt: skip
