"""Kernel rows of special functions, counting, scatter and singular values; see ``kernel_cases``."""

import numpy as np
from kernel_cases import BENCH, SHAPES, Row

_TABLES = ((3, 4), (7, 3), (40, 5))
_MATRICES = ((1, 2, 2), (3, 4, 2), (2, 3, 5), (4, 7, 7))


def _row(kernel, make, sizes=SHAPES, bench=BENCH, **options):
    return Row(kernel, make, sizes, bench, **options)


def _integers(m, *s):
    return m.rng.integers(1, 99, s), m.rng.integers(1, 9, s)


def _with_zeros(m, *s):
    return np.round(m.normal(*s)), m.normal(*s)


def _with_nan(m, *s):
    x = m.normal(*s)
    x.reshape(-1)[2::7] = np.nan
    return x, m.normal(*s)


def _away_from_poles(m, *s):
    """Numbers on both sides of 0, a quarter or more from a whole one."""
    return np.asarray(m.rng.integers(-9, 20, s) + m.rng.uniform(0.25, 0.75, s)).astype(m.dtype)


def _histogram(m, *s):
    return m.normal(*s), None, np.linspace(-1.05, 1.0, 8).astype(m.dtype)


def _weighted(m, *s):
    return m.normal(*s), np.ones(s, m.dtype), np.linspace(-1.05, 1.0, 8).astype(m.dtype)


def _scattered(ufunc, axis):
    def make(m, *s):
        return m.positive(*s), m.rng.integers(0, s[axis], s), m.positive(*s), axis, ufunc

    return make


def _polar(m, *s):
    return m.normal(*s), *np.linalg.svd(m.normal(*s), full_matrices=False)


_LOOSE = {"float32": 1e-5, "float64": 1e-11}
_LOOSER = {"float32": 1e-3, "float64": 1e-9}
ROWS = (
    _row("copysign", lambda m, *s: (m.normal(*s), m.normal(*s))),
    _row("signbit", lambda m, *s: (m.normal(*s),)),
    _row("heaviside", _with_zeros),
    _row("fmax", _with_nan),
    _row("fmin", _with_nan),
    _row("logaddexp2", lambda m, *s: (m.normal(*s), m.normal(*s))),
    _row("nextafter", lambda m, *s: (m.normal(*s), m.normal(*s))),
    _row("gcd", _integers),
    _row("lcm", _integers),
    _row("bitwise_left_shift", _integers),
    _row("bitwise_right_shift", _integers),
    _row("erfc", lambda m, *s: (3 * m.normal(*s),), rtol=_LOOSE),
    _row("erfinv", lambda m, *s: (m.fraction(*s),), rtol=_LOOSE),
    _row("lgamma", lambda m, *s: (_away_from_poles(m, *s),), rtol=_LOOSE),
    _row("digamma", lambda m, *s: (_away_from_poles(m, *s),), rtol=_LOOSE),
    *(
        _row("zeta", lambda m, *s, n=n: (_away_from_poles(m, *s), n), label=str(n), rtol=_LOOSE)
        for n in (2, 3, 6)
    ),
    *(
        _row(
            name,
            lambda m, *s: (3 * m.positive(*s), 3 * m.positive(*s)),
            ((), (0,), (1,), (5, 17), (301,)),
            ((1000,),),
            rtol=_LOOSE,
        )
        for name in ("igamma", "igammac")
    ),
    _row("histogram", _histogram),
    _row("histogram", _weighted, label="weighted"),
    _row("isin", lambda m, *s: (m.rng.integers(0, 9, s), np.array([1, 5, 7]))),
    *(
        _row(
            "scatter_reduce",
            _scattered(name, k),
            _TABLES,
            ((100, 100),),
            label=f"{name} {k}",
        )
        for name in ("multiply", "maximum", "minimum")
        for k in (0, 1)
    ),
    _row("svd", lambda m, *s: (m.normal(*s),), _MATRICES, ((64, 16, 16),), rtol=_LOOSE),
    _row(
        "polar_backward",
        _polar,
        _MATRICES,
        ((64, 16, 16),),
        rtol={"float32": 1e-3, "float64": 1e-9},
    ),
)
