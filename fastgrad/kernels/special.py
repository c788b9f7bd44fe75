"""Special functions, and what else is computed element by element; see ``arithmetic``.

The gamma and error functions are computed in float64, one element at a time, in either type.
"""

import math

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel
from ._record import contiguous, empty
from ._ufunc import borrowed

__all__ = [
    "bitwise_left_shift", "bitwise_right_shift", "copysign", "digamma", "erfc", "erfinv", "fmax",
    "fmin", "gcd", "heaviside", "igamma", "igammac", "lcm", "lgamma", "logaddexp2", "nextafter",
    "signbit", "zeta",
]  # fmt: skip

_NS = 30.0  # nanoseconds per element


@borrowed(np.copysign, cost=0.2)
def copysign(a, b):
    """a with the sign of b."""


@borrowed(np.signbit, cost=0.1)
def signbit(x):
    """Whether x has a minus, -0 and NaN included."""


@borrowed(np.heaviside, cost=0.5)
def heaviside(a, b):
    """0 where a is negative, 1 where it is positive, b where it is 0."""


@borrowed(np.fmax, cost=0.2)
def fmax(a, b):
    """The larger of two, NaN only if both are."""


@borrowed(np.fmin, cost=0.2)
def fmin(a, b):
    """The smaller of two, NaN only if both are."""


@borrowed(np.logaddexp2, cost=10.0)
def logaddexp2(a, b):
    """``log₂(2ᵃ + 2ᵇ)``, without overflow in between."""


@borrowed(np.nextafter, cost=2.0)
def nextafter(a, b):
    """The next number after a in the direction of b."""


@borrowed(np.gcd, cost=20.0)
def gcd(a, b):
    """Greatest common divisor."""


@borrowed(np.lcm, cost=20.0)
def lcm(a, b):
    """Least common multiple."""


@borrowed(np.left_shift, cost=0.2)
def bitwise_left_shift(a, b):
    """``a · 2ᵇ`` by moving the bits."""


@borrowed(np.right_shift, cost=0.2)
def bitwise_right_shift(a, b):
    """``⌊a / 2ᵇ⌋`` by moving the bits."""


# ------------------------------------------------------------------ one element at a time


def _each(run, x, *options):
    """Launch a kernel on the elements of x and of a result like it."""
    x = contiguous(x)
    out = empty(x.shape, x.dtype)
    if x.size:
        run(x.size, x.size * _NS, x.reshape(-1), out.reshape(-1), *options)
    return out


@kernel
def _erfc(start, stop, x, out):
    for i in range(start, stop):
        out[i] = math.erfc(float(x[i]))


def erfc(x):
    """``1 - erf(x)``, exact also where that is tiny."""
    return _each(_erfc, x)


@kernel
def _lgamma(start, stop, x, out):
    for i in range(start, stop):
        out[i] = math.lgamma(float(x[i]))


def lgamma(x):
    """``log |Γ(x)|``"""
    return _each(_lgamma, x)


@kernel
def _erfinv(start, stop, x, out):
    """Winitzki's approximation, within 0.2 %, and two steps of Halley's method."""
    for i in range(start, stop):
        y = abs(float(x[i]))
        if not y < 1.0:
            z = math.inf if y == 1.0 else math.nan
        else:
            log = math.log1p(-y) + math.log1p(y)
            t = 2.0 / (math.pi * 0.147) + 0.5 * log
            z = math.sqrt(max(math.sqrt(t * t - log / 0.147) - t, 0.0))
            for _ in range(2):
                off = math.erf(z) - y if y < 0.5 else (1.0 - y) - math.erfc(z)
                u = off * math.exp(z * z) * (0.5 * math.sqrt(math.pi))
                z -= u / (1.0 + z * u)
        out[i] = math.copysign(z, x[i])


def erfinv(x):
    """What ``erf`` takes to x; NaN outside of -1 to 1."""
    return _each(_erfinv, x)


@register_jitable
def _digamma_above(x):
    """ψ(x) for x > 0: ψ(x + 1) - 1 / x up to 10, from there the asymptotic series."""
    out = 0.0
    while x < 10.0:
        out -= 1.0 / x
        x += 1.0
    z = 1.0 / (x * x)
    series = 1 / 12 - z * (1 / 120 - z * (1 / 252 - z * (1 / 240 - z * (
        1 / 132 - z * (691 / 32760 - z / 12)))))  # fmt: skip
    return out + math.log(x) - 0.5 / x - z * series


@kernel
def _digamma(start, stop, x, out):
    for i in range(start, stop):
        y = float(x[i])
        if y > 0.0:
            out[i] = _digamma_above(y)
        elif y == 0.0:
            out[i] = math.copysign(math.inf, -y)
        elif y == math.floor(y):
            out[i] = math.nan
        else:  # ψ(1 - x) - ψ(x) = π / tan(πx); a NaN comes here, too
            turn = y - math.floor(y)
            out[i] = _digamma_above(1.0 - y) - math.pi / math.tan(math.pi * turn)


def digamma(x):
    """``ψ(x) = Γ'(x) / Γ(x)``; NaN for negative integers, ∓∞ for ±0."""
    return _each(_digamma, x)


@register_jitable
def _zeta_above(s, q):
    """ζ(s, q) for q > 0, by Euler and Maclaurin's formula."""
    total, w = 0.0, q
    while w < 12.0 + s:
        total += w**-s
        w += 1.0
    power = w**-s
    total += power * w / (s - 1.0) + 0.5 * power
    term, factor = power * s / w, 1.0
    for k, number in enumerate((  # B₂ⱼ / (2j)!
        1 / 12, -1 / 720, 1 / 30240, -1 / 1209600, 1 / 47900160, -691 / 1307674368000,
        1 / 74724249600,
    )):  # fmt: skip
        total += number * term * factor
        term /= w * w
        factor *= (s + 2.0 * k + 1.0) * (s + 2.0 * k + 2.0)
    return total


@kernel
def _zeta(start, stop, x, out, s):
    for i in range(start, stop):
        q = float(x[i])
        if q == math.inf:
            out[i] = 0.0
        elif q > 0.0:
            out[i] = _zeta_above(s, q)
        elif q == math.floor(q):
            out[i] = math.inf
        elif q != q:
            out[i] = q
        else:  # the sum over all numbers q + k, less that of those below q
            part = q - math.floor(q)
            sign = 1.0 if s % 2.0 == 0.0 else -1.0
            below = _zeta_above(s, 1.0 - part) - _zeta_above(s, 1.0 - q)
            out[i] = _zeta_above(s, part) + sign * below


def zeta(x, s):
    """Hurwitz's ``ζ(s, x) = Σ (x + k)⁻ˢ`` over k from 0 on, for a whole number s above 1."""
    return _each(_zeta, x, float(s))


# ------------------------------------------------------------------ incomplete gamma functions


@register_jitable
def _gamma_share(a, x, upper):
    """P(a, x), or, ``upper``, Q(a, x): DLMF 8.11.4, and from x = a + 1 on 8.9.2 by Lentz 1976."""
    if not (a >= 0.0 and x >= 0.0) or (a == 0.0 and x == 0.0) or (a == math.inf and x == math.inf):
        return math.nan
    if x == 0.0 or a == math.inf:
        return 1.0 if upper else 0.0
    if a == 0.0 or x == math.inf:
        return 0.0 if upper else 1.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1.0:
        term, total, n = 1.0 / a, 1.0 / a, a
        while term > total * 1e-17:
            n += 1.0
            term *= x / n
            total += term
        return 1.0 - front * total if upper else front * total
    b = x + 1.0 - a
    c, d, n, change = 1e300, 1.0 / b, 0.0, 0.0
    share = d
    while abs(change - 1.0) > 1e-15 and n < 1e5:
        n += 1.0
        b += 2.0
        step = n * (a - n)
        d = 1.0 / (step * d + b)
        c = b + step / c
        change = c * d
        share *= change
    return front * share if upper else 1.0 - front * share


@kernel
def _igamma(start, stop, a, x, out, upper):
    for i in range(start, stop):
        out[i] = _gamma_share(float(a[i]), float(x[i]), upper)


def _incomplete(a, x, upper):
    shape = np.broadcast_shapes(a.shape, x.shape)
    a, x = (contiguous(np.broadcast_to(y, shape, subok=True)) for y in (a, x))
    out = empty(shape, a.dtype)
    _igamma(out.size, out.size * 10.0 * _NS, a.reshape(-1), x.reshape(-1), out.reshape(-1), upper)
    return out


def igamma(a, x):
    """``P(a, x) = ∫₀ˣ tᵃ⁻¹ e⁻ᵗ dt / Γ(a)``"""
    return _incomplete(a, x, False)


def igammac(a, x):
    """``Q(a, x) = 1 - P(a, x)``, exact also where that is tiny."""
    return _incomplete(a, x, True)
