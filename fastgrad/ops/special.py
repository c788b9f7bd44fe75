"""Rules of special functions, and of what is computed of numbers' signs and bits."""

import inspect
import math

import numpy as np

from ..backend import K
from ..lifting import op
from ..tape import as_array
from ._family import (
    T,
    as_documented,
    combine,
    do_not_combine,
    have_floats,
    promoted,
    same_type,
    unary,
)

__all__ = [
    "bitwise_left_shift", "bitwise_right_shift", "copysign", "deg2rad", "digamma", "erfc", "erfinv",
    "float_power", "gcd", "heaviside", "igamma", "igammac", "lcm", "ldexp", "lgamma", "logaddexp2",
    "logit", "mvlgamma", "nan_to_num", "nextafter", "polygamma", "positive", "rad2deg",
    "sinc", "xlogy",
]  # fmt: skip


def _floats(a, b):
    """Two operands in their common type, which is one of floats."""
    return same_type(a, b) if have_floats(a, b) else promoted((a, b), np.float32)


# ------------------------------------------------------------------ error and gamma functions


@unary
def erfc(m, grad, x):
    """``1 - erf(x)``, exact also where that is tiny.

    >>> import fastgrad as fg
    >>> fg.erfc(fg.tensor([0.0, 1.0]))
    tensor([1.0000, 0.1573])
    """
    return m.mul(m.mul(grad, -2 / math.sqrt(math.pi)), m.exp(m.neg(m.square(x))))


@unary
def erfinv(m, grad, out):
    """The inverse of ``erf``; NaN outside of -1 to 1, ∓∞ at the ends.

    >>> import fastgrad as fg
    >>> fg.erfinv(fg.tensor([0.0, 0.5]))
    tensor([0.0000, 0.4769])
    """
    return m.mul(m.mul(grad, math.sqrt(math.pi) / 2), m.exp(m.square(out)))


@unary
def lgamma(m, grad, x):
    """``log |Γ(x)|``

    >>> import fastgrad as fg
    >>> fg.lgamma(fg.tensor([1.0, 4.0]))
    tensor([0.0000, 1.7918])
    """
    return m.mul(grad, m.digamma(x))


@unary
def digamma(m, grad, x):
    """``ψ(x) = Γ'(x) / Γ(x)``; NaN for negative integers, ∓∞ for ±0.

    >>> import fastgrad as fg
    >>> fg.digamma(fg.tensor([1.0, 2.0]))
    tensor([-0.5772,  0.4228])
    """
    return m.mul(grad, _polygamma_by(m, x, 1))


def _polygamma_by(m, x, n):
    return _polygamma(x, n=n) if m is T else _derivative(x, n)


def _derivative(x, n):
    """The n-th derivative of ψ: ``(-1)ⁿ⁺¹ · n! · ζ(n + 1, x)``."""
    return K.mul(K.zeta(x, n + 1), math.factorial(n) * (1.0 if n % 2 else -1.0))


@op(name="polygamma")
def _polygamma(x, *, n):
    if x.dtype.kind != "f":
        x = x.astype(np.float32)
    return _derivative(x, n), lambda grad: K.mul(grad, _derivative(x, n + 1))


_polygamma.differentiable(lambda grad, x, n: grad * _polygamma(x, n=n + 1))


def polygamma(n, x):
    """The n-th derivative of ``digamma``, n from 0 on; it comes first, as in PyTorch.

    >>> import fastgrad as fg
    >>> fg.polygamma(1, fg.tensor([1.0, 0.5]))
    tensor([1.6449, 4.9348])
    """
    if n < 0:
        raise ValueError(f"polygamma: expected n >= 0, got {n}")
    return _polygamma(x, n=n) if n else digamma(x)


def mvlgamma(x, p):
    """``log Γₚ(x) = p (p - 1) / 4 · log π + Σ log Γ(x - j / 2)``, j from 0 to p - 1.

    >>> import fastgrad as fg
    >>> fg.mvlgamma(fg.tensor([2.0]), 2)
    tensor([0.4516])
    """
    if p < 1:
        raise ValueError(f"mvlgamma: expected p >= 1, got {p}")
    parts = T.sub(T.unsqueeze(x, -1), np.arange(p, dtype=np.float32) / 2)
    return lgamma(parts).sum(-1) + p * (p - 1) / 4 * math.log(math.pi)


def _gamma_density(m, grad, a, x):
    """``grad · xᵃ⁻¹ e⁻ˣ / Γ(a)``"""
    return m.mul(grad, m.exp(m.sub(m.sub(m.mul(m.sub(a, 1.0), m.log(x)), x), m.lgamma(a))))


def _incomplete_gamma(source):
    """``igamma`` or ``igammac``: the derivative is known for the second operand."""
    name = source.__name__
    sign = 1.0 if name == "igamma" else -1.0

    def of_a(grad):
        raise NotImplementedError(f"{name}: the derivative for its first operand is not there")

    def rule(a, b):
        a, b = (np.asanyarray(x) for x in _floats(a, b))
        return combine(name, a, b), (
            of_a,
            lambda grad: K.mul(_gamma_density(K, grad, a, b), sign),
        )

    lifted = op(rule, name=name).differentiable(
        of_a, lambda grad, a, b: _gamma_density(T, grad, a, b) * sign
    )
    return as_documented(lifted, source, inspect.signature(rule))


@_incomplete_gamma
def igamma(a, b):
    """``P(a, b) = ∫₀ᵇ tᵃ⁻¹ e⁻ᵗ dt / Γ(a)``, the regularized lower incomplete gamma function.

    NaN where an operand is negative. As in PyTorch, there is no gradient for a.

    >>> import fastgrad as fg
    >>> fg.igamma(fg.tensor([1.0, 4.0]), fg.tensor([2.0, 2.0]))
    tensor([0.8647, 0.1429])
    """


@_incomplete_gamma
def igammac(a, b):
    """``Q(a, b) = 1 - P(a, b)``, the upper one; see ``igamma``.

    >>> import fastgrad as fg
    >>> fg.igammac(fg.tensor([1.0, 4.0]), fg.tensor([2.0, 2.0]))
    tensor([0.1353, 0.8571])
    """


# ------------------------------------------------------------------ logarithms, powers, angles


@op
def xlogy(a, b):
    """``a · log b``, and 0 where a is 0, unless b is NaN.

    >>> import fastgrad as fg
    >>> fg.xlogy(fg.tensor([0.0, 2.0]), fg.tensor([0.0, 1.5]))
    tensor([0.0000, 0.8109])
    """
    a, b = _floats(a, b)
    try:
        none = K.logical_and(K.eq(a, 0.0), K.logical_not(K.isnan(b)))
    except ValueError as error:
        raise do_not_combine("xlogy", (a, b), error) from None
    return K.where(none, 0.0, K.mul(a, K.log(b))), (
        lambda grad: _log_slope(K, grad, a, b),
        lambda grad: K.mul(grad, K.div(a, b)),
    )


def _log_slope(m, grad, a, b):
    """``grad · log b``, and 0 where a is 0 and b not positive."""
    none = m.logical_and(m.eq(a, 0.0), m.le(b, 0.0))
    return m.where(none, 0.0, m.mul(grad, m.log(m.where(none, 1.0, b))))


xlogy.differentiable(
    lambda grad, a, b: _log_slope(T, grad, a, b), lambda grad, a, b: grad * T.div(a, b)
)


@op
def logaddexp2(a, b):
    """``log₂(2ᵃ + 2ᵇ)``, without overflow in between.

    >>> import fastgrad as fg
    >>> fg.logaddexp2(fg.tensor([0.0, 10.0]), fg.tensor([0.0, 10.0]))
    tensor([ 1., 11.])
    """
    a, b = _floats(a, b)
    return combine("logaddexp2", a, b), (
        lambda grad: K.mul(grad, K.sigmoid_forward(K.mul(K.sub(a, b), math.log(2)))),
        lambda grad: K.mul(grad, K.sigmoid_forward(K.mul(K.sub(b, a), math.log(2)))),
    )


logaddexp2.differentiable(
    lambda grad, a, b: grad * T.sigmoid((a - b) * math.log(2)),
    lambda grad, a, b: grad * T.sigmoid((b - a) * math.log(2)),
)


def logit(x, eps=None):
    """``log(x / (1 - x))``, the inverse of ``sigmoid``; NaN outside of 0 to 1.

    eps   first bring x into the range from eps to 1 - eps

    >>> import fastgrad as fg
    >>> fg.logit(fg.tensor([0.5, 0.75]))
    tensor([0.0000, 1.0986])
    """
    if eps is not None:
        x = T.clamp(x, eps, 1.0 - eps)
    return T.log(T.div(x, T.sub(1.0, x)))


def sinc(x):
    """``sin(πx) / (πx)``, and 1 at 0.

    >>> import fastgrad as fg
    >>> fg.sinc(fg.tensor([0.0, 0.5]))
    tensor([1.0000, 0.6366])
    """
    none = T.eq(x, 0.0)
    angle = T.where(none, 1.0, T.mul(x, math.pi))
    return T.where(none, 1.0, T.div(T.sin(angle), angle))


def float_power(a, b):
    """``aᵇ`` in float64.

    >>> import fastgrad as fg
    >>> fg.float_power(fg.tensor([2, 3]), -1)
    tensor([0.5000, 0.3333], dtype=fastgrad.float64)
    """
    return T.pow(*(x.to(np.float64) if hasattr(x, "to") else float(x) for x in (a, b)))


def ldexp(x, exponent):
    """``x · 2ᵉˣᵖᵒⁿᵉⁿᵗ``

    >>> import fastgrad as fg
    >>> fg.ldexp(fg.tensor([1.0, 3.0]), fg.tensor([2, -1]))
    tensor([4.0000, 1.5000])
    """
    return T.mul(x, T.pow(2.0, exponent))


def deg2rad(x):
    """Degrees as radians.

    >>> import fastgrad as fg
    >>> fg.deg2rad(fg.tensor([180.0]))
    tensor([3.1416])
    """
    return T.mul(x, math.pi / 180)


def rad2deg(x):
    """Radians as degrees.

    >>> import fastgrad as fg
    >>> fg.rad2deg(fg.tensor([1.0]))
    tensor([57.2958])
    """
    return T.mul(x, 180 / math.pi)


def positive(x):
    """``+x``, x itself.

    >>> import fastgrad as fg
    >>> fg.positive(fg.tensor([-1.0]))
    tensor([-1.])
    """
    if x.dtype == np.bool_:
        raise TypeError("positive: not for bools")
    return x


def nan_to_num(x, nan=0.0, posinf=None, neginf=None):
    """x with numbers for what is none; no gradient flows where one was put.

    nan              instead of NaN
    posinf, neginf   instead of ±∞: the largest and the smallest number of x's type by default

    >>> import fastgrad as fg
    >>> fg.nan_to_num(fg.tensor([1.0, float("nan"), float("inf")]), posinf=9.0)
    tensor([1., 0., 9.])
    """
    if x.dtype.kind != "f":
        return T.clone(x)
    range_ = np.finfo(x.dtype)
    x = T.where(T.isnan(x), 0.0 if nan is None else nan, x)
    x = T.where(T.eq(x, math.inf), float(range_.max) if posinf is None else posinf, x)
    return T.where(T.eq(x, -math.inf), float(range_.min) if neginf is None else neginf, x)


# ------------------------------------------------------------------ signs


@op
def copysign(a, b):
    """a with the sign of b, which may be that of -0. At 0 the gradient of a is 0.

    >>> import fastgrad as fg
    >>> fg.copysign(fg.tensor([1.0, -2.0]), -1)
    tensor([-1., -2.])
    """
    a, b = _floats(a, b)
    return combine("copysign", a, b), (
        lambda grad: K.mul(grad, K.mul(K.sign(a), K.copysign(1.0, b))),
        lambda grad: K.zeros_like(grad),
    )


copysign.differentiable(
    lambda grad, a, b: grad * (T.sign(a) * T.copysign(1.0, b)), lambda grad: T.zeros_like(grad)
)


def _of_two_integers(source):
    """An operation on two tensors of integers."""
    name = source.__name__

    def rule(a, b):
        a, b = promoted((a, b))
        if a.dtype.kind not in "iu":
            raise TypeError(f"{name}: expected integers, got {a.dtype}")
        return combine(name, a, b), None

    return as_documented(op(rule, name=name), source, inspect.signature(rule))


@op
def heaviside(a, b):
    """0 where a is negative, 1 where it is positive, b where it is 0. No gradient flows.

    >>> import fastgrad as fg
    >>> fg.heaviside(fg.tensor([-1.0, 0.0, 2.0]), fg.tensor(0.5))
    tensor([0.0000, 0.5000, 1.0000])
    """
    a, b = same_type(a, b)
    if have_floats(a, b):
        return combine("heaviside", a, b), None
    return K.where(K.eq(a, 0), b, as_array(K.gt(a, 0)).astype(a.dtype)), None


@op
def nextafter(a, b):
    """The next number after a in the direction of b. No gradient flows.

    >>> import fastgrad as fg
    >>> (fg.nextafter(fg.tensor(1.0), fg.tensor(2.0)) - 1).item()
    1.1920928955078125e-07
    """
    return combine("nextafter", *_floats(a, b)), None


@_of_two_integers
def gcd(a, b):
    """Greatest common divisor of integers.

    >>> import fastgrad as fg
    >>> fg.gcd(fg.tensor([12, -9]), fg.tensor([18, 6]))
    tensor([6, 3])
    """


@_of_two_integers
def lcm(a, b):
    """Least common multiple of integers.

    >>> import fastgrad as fg
    >>> fg.lcm(fg.tensor([4, 3]), fg.tensor([6, 5]))
    tensor([12, 15])
    """


@_of_two_integers
def bitwise_left_shift(a, b):
    """``a · 2ᵇ`` of integers, by moving the bits.

    >>> import fastgrad as fg
    >>> fg.bitwise_left_shift(fg.tensor([1, 3]), 2)
    tensor([ 4, 12])
    """


@_of_two_integers
def bitwise_right_shift(a, b):
    """``⌊a / 2ᵇ⌋`` of integers, by moving the bits.

    >>> import fastgrad as fg
    >>> fg.bitwise_right_shift(fg.tensor([9, -9]), 1)
    tensor([ 4, -5])
    """
