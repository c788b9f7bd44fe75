"""NumPy twins of ``fastgrad.kernels.special``."""

import math
from statistics import NormalDist

import numpy as np

from ._quiet import quiet

__all__ = [
    "bitwise_left_shift", "bitwise_right_shift", "copysign", "digamma", "erfc", "erfinv", "fmax",
    "fmin", "gcd", "heaviside", "igamma", "igammac", "lcm", "lgamma", "logaddexp2", "nextafter",
    "signbit", "zeta",
]  # fmt: skip

_TERMS = 40  # of a series, before its rest is estimated

copysign, signbit, heaviside = quiet(np.copysign), quiet(np.signbit), quiet(np.heaviside)
fmax, fmin, nextafter = quiet(np.fmax), quiet(np.fmin), quiet(np.nextafter)
logaddexp2, gcd, lcm = quiet(np.logaddexp2), quiet(np.gcd), quiet(np.lcm)
bitwise_left_shift, bitwise_right_shift = quiet(np.left_shift), quiet(np.right_shift)


def _each(function, x):
    return np.array([function(float(v)) for v in x.ravel()], x.dtype).reshape(x.shape)


def erfc(x):
    return _each(math.erfc, x)


def _log_of_gamma(x):
    return math.inf if (x <= 0 and x == math.floor(x)) or math.isinf(x) else math.lgamma(x)


def lgamma(x):
    return _each(_log_of_gamma, x)


def _inverse(y):
    if not abs(y) < 1:
        return math.copysign(math.inf, y) if abs(y) == 1 else math.nan
    if abs(y) < 1e-3:
        return math.sqrt(math.pi) / 2 * (y + math.pi / 12 * y**3 + 7 * math.pi**2 / 480 * y**5)
    z = NormalDist().inv_cdf((1 - abs(y)) / 2) / -math.sqrt(2)
    z -= (abs(y) - 1 + math.erfc(z)) * -math.exp(z * z) * math.sqrt(math.pi) / 2
    return math.copysign(z, y)


def erfinv(x):
    return _each(_inverse, x)


@quiet
def digamma(x):
    """``ψ``, its series summed after as many steps up as make the rest short."""
    y = np.where(x < 0, 1.0 - x, x).astype(np.float64)
    out = np.zeros_like(y)
    for _ in range(_TERMS):
        out -= 1 / y
        y += 1
    out += np.log(y) - 0.5 / y - 1 / (12 * y**2) + 1 / (120 * y**4) - 1 / (252 * y**6)
    out = np.where(x < 0, out - np.pi / np.tan(np.pi * (x - np.floor(x))), out)
    out = np.where((x < 0) & (x == np.floor(x)), np.nan, out)
    return np.where(x == 0, np.copysign(np.inf, -x), out).astype(x.dtype)


@quiet
def zeta(x, s):
    """The series' terms with 0 passed by, and Euler and Maclaurin's estimate of the rest."""
    y, out = x.astype(np.float64), np.zeros(x.shape)
    steps = _TERMS + math.ceil(max(-y.min(initial=0.0, where=np.isfinite(y)), 0.0))
    for _ in range(steps):
        out += y ** -float(s)
        y += 1
    power = y ** -float(s)
    out += np.where(np.isinf(y), 0.0, power * y) / (s - 1) + power / 2 + power * s / (12 * y)
    out -= power * s * (s + 1) * (s + 2) / (720 * y**3)
    out += power * s * (s + 1) * (s + 2) * (s + 3) * (s + 4) / (30240 * y**5)
    return np.where((x <= 0) & (x == np.floor(x)), np.inf, out).astype(x.dtype)


def _gamma_shares(a, x):
    """(P(a, x), Q(a, x)): a series for the one, a continued fraction for the other."""
    if not (a >= 0 and x >= 0) or a == x == 0 or a == x == math.inf:
        return math.nan, math.nan
    if x == 0 or a == math.inf:
        return 0.0, 1.0
    if a == 0 or x == math.inf:
        return 1.0, 0.0
    front = math.exp(a * math.log(x) - x - math.lgamma(a))
    if x < a + 1:
        terms = [1 / a]
        while terms[-1] > terms[0] * 1e-17:
            terms.append(terms[-1] * x / (a + len(terms)))
        lower = front * math.fsum(terms)
        return lower, 1 - lower
    share = 0.0
    for n in range(1000, 0, -1):  # from its far end
        share = n * (n - a) / (x + 2 * n + 1 - a - share)
    upper = front / (x + 1 - a - share)
    return 1 - upper, upper


def _of_pairs(a, x, which):
    a, x = np.broadcast_arrays(a, x)
    pairs = zip(a.ravel().tolist(), x.ravel().tolist(), strict=True)
    return np.array([_gamma_shares(*pair)[which] for pair in pairs], a.dtype).reshape(a.shape)


def igamma(a, x):
    return _of_pairs(a, x, 0)


def igammac(a, x):
    return _of_pairs(a, x, 1)
