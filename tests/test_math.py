"""Errors of the elementary functions, in units in the last place, over their whole range.

float32 is measured against NumPy's float64, float64 against NumPy's long double where that is
wider. Both sides of every branch inside the kernels are visited float by float.
"""

import itertools

import numpy as np
import pytest

from fastgrad import kernels


def _sigmoid(x):
    """Stable in any type: the small side keeps its digits."""
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def _softplus(x):
    return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))


_EXACT = {
    "logsigmoid": lambda x: -_softplus(-x),
    "exp": np.exp,
    "log": np.log,
    "tanh_forward": np.tanh,
    "sigmoid_forward": _sigmoid,
    "sqrt": np.sqrt,
}
_BOUNDS = {  # ulp, as the operations' docstrings promise
    "logsigmoid": {"float32": 3.0, "float64": 3.0},
    "exp": {"float32": 1.1, "float64": 1.1},
    "log": {"float32": 1.0, "float64": 1.0},
    "tanh_forward": {"float32": 5.5, "float64": 1.5},
    "sigmoid_forward": {"float32": 2.5, "float64": 2.5},
    "sqrt": {"float32": 0.5, "float64": 0.5},
}
_CASES = list(itertools.product(_EXACT, ("float32", "float64")))
_INTS = {"float32": np.uint32, "float64": np.uint64}
_WIDER = {"float32": np.float64, "float64": np.longdouble}
_LONG_DOUBLE_IS_WIDER = np.finfo(np.longdouble).nmant > 60

# Where a formula changes: clamps, first subnormal and first zero result, overflow, switch of
# polynomial, and the points halfway between multiples of ln 2 where exp's reduction turns over.
_LN2 = np.log(2.0)
_BRANCHES = {
    ("exp", "float32"): (0.0, -104.0, 89.0, -87.33655, -103.97208, 88.72284, 0.5 * _LN2,
                         -0.5 * _LN2, 1.5 * _LN2, -64.5 * _LN2, 127.5 * _LN2),
    ("exp", "float64"): (0.0, -746.0, 710.0, -708.3964185322641, -745.1332191019411,
                         709.782712893384, 0.5 * _LN2, -0.5 * _LN2, 1023.5 * _LN2),
    ("log", "float32"): (0.0, 1.0, 0.5**0.5, 2.0**0.5, 0.5, 2.0, 2.0**-126, 2.0**-126.5,
                         2.0**127.5),
    ("log", "float64"): (0.0, 1.0, 0.5**0.5, 2.0**0.5, 0.5, 2.0, 2.0**-1022, 2.0**-1022.5,
                         2.0**1023.5),
    ("tanh_forward", "float32"): (0.0, 9.0, 1.0, 2.0**-12),
    ("tanh_forward", "float64"): (0.0, 0.625, 355.0, 19.061547465398498, 2.0**-27),
    ("sigmoid_forward", "float32"): (0.0, -104.0, -87.33655, -103.97208, -88.0, 17.32868),
    ("sigmoid_forward", "float64"): (0.0, -746.0, -708.3964185322641, -745.1332191019411,
                                     36.7368005696771),
    ("logsigmoid", "float32"): (0.0, 104.0, 87.33655, 103.97208, 16.6),
    ("logsigmoid", "float64"): (0.0, 746.0, 708.3964185322641, 745.1332191019411, 36.7),
    ("sqrt", "float32"): (0.0, 1.0, 4.0, 2.0**-126),
    ("sqrt", "float64"): (0.0, 1.0, 4.0, 2.0**-1022),
}  # fmt: skip


def _around(value, dtype, count=2000):
    """The ``count`` next floats on either side of ±value, in ascending order for value > 0."""
    ints = _INTS[dtype]
    bits = int(np.array(abs(value), dtype).view(ints))
    window = np.arange(max(0, bits - count), bits + count, dtype=ints).view(dtype)
    return np.concatenate([-window[::-1], window]) if value else np.concatenate([-window, window])


def _whole_range(dtype):
    """Every 997th float32, or as many float64 spread over all bit patterns."""
    if dtype == "float32":
        return np.arange(5, 2**32, 997, dtype=np.uint32).view(np.float32)
    count = 400_000
    stride = np.uint64(2**64 // count | 1)
    return (np.arange(count, dtype=np.uint64) * stride).view(np.float64)


_SIZES = {
    "logsigmoid": 800.0,
    "exp": 800.0,
    "log": 1e6,
    "tanh_forward": 25.0,
    "sigmoid_forward": 800.0,
    "sqrt": 1e6,
}


def _inputs(name, dtype):
    """The whole range, the interesting range evenly and around 0, and every branch."""
    rng = np.random.default_rng(0)
    count = 400_000 if dtype == "float32" else 100_000
    size = _SIZES[name] if dtype == "float64" else min(_SIZES[name], 120.0)
    parts = [
        _whole_range(dtype),
        rng.uniform(-size, size, count),
        rng.uniform(-2, 2, count),
        1 + rng.uniform(-1e-3, 1e-3, count // 4),
        *(_around(value, dtype) for value in _BRANCHES[name, dtype]),
    ]
    return np.concatenate([part.astype(dtype, copy=False) for part in parts])


def _ulp(exact, dtype):
    """Distance of the floats of a type at each exact value."""
    info = np.finfo(dtype)
    _, exponent = np.frexp(np.where(exact == 0, 1, exact))
    exponent = np.where(exact == 0, info.minexp, np.maximum(exponent - 1, info.minexp))
    return np.ldexp(np.ones((), exact.dtype), exponent - info.nmant)


def _errors(actual, exact):
    """|actual - exact| in ulp of the exact value; infinity counts as the next power of two."""
    dtype = actual.dtype
    beyond = np.ldexp(np.ones((), exact.dtype), np.finfo(dtype).maxexp)
    actual, capped = actual.astype(exact.dtype), np.clip(exact, -beyond, beyond)
    actual = np.clip(actual, -beyond, beyond)
    # The last binade's distance holds at the overflow edge too.
    unit = _ulp(np.clip(capped, -beyond / 2, beyond / 2), dtype)
    return np.abs(actual - capped) / unit


@pytest.mark.parametrize(("name", "dtype"), _CASES)
def test_error(name, dtype):
    if dtype == "float64" and not _LONG_DOUBLE_IS_WIDER:
        pytest.skip("long double is no wider than float64 here: nothing to measure against")
    x = _inputs(name, dtype)
    actual = getattr(kernels, name)(x)
    assert actual.dtype == x.dtype
    with np.errstate(all="ignore"):
        exact = np.asarray(_EXACT[name](x.astype(_WIDER[dtype])))
    undefined = np.isnan(exact)
    np.testing.assert_array_equal(np.isnan(actual), undefined)
    errors = _errors(actual[~undefined], exact[~undefined])
    worst = int(errors.argmax())
    assert errors[worst] <= _BOUNDS[name][dtype], (
        f"{x[~undefined][worst]!r}: {errors[worst]:.3f} ulp"
    )


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_square_roots_are_numpys(dtype):
    x = _inputs("sqrt", dtype)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(kernels.sqrt(x), np.sqrt(x))


@pytest.mark.parametrize(("name", "dtype"), _CASES)
def test_one_by_one_gives_the_same_bits(name, dtype):
    """Whole vectors, a vector's tail, and strided elements take different paths."""
    function = getattr(kernels, name)
    x = np.concatenate([_around(value, dtype, 40) for value in _BRANCHES[name, dtype]])
    whole = function(x).tobytes()
    assert function(np.repeat(x, 3)[::3]).tobytes() == whole
    assert b"".join(function(x[k : k + 1]).tobytes() for k in range(len(x))) == whole
    assert b"".join(function(x[k : k + 7]).tobytes() for k in range(0, len(x), 7)) == whole


# ------------------------------------------------------------------ special values

_INF, _NAN = np.inf, np.nan


def _specials(name, dtype):
    """(x, exact result) pairs."""
    info = np.finfo(dtype)
    tiny, least, most = float(info.tiny), float(info.smallest_subnormal), float(info.max)
    return {
        "logsigmoid": [(_INF, -0.0), (-_INF, -_INF), (_NAN, _NAN), (most, -0.0), (-most, -most)],
        "exp": [(0.0, 1.0), (-0.0, 1.0), (_INF, _INF), (-_INF, 0.0), (_NAN, _NAN), (least, 1.0),
                (-least, 1.0), (tiny, 1.0), (most, _INF), (-most, 0.0), (1000.0, _INF),
                (-1000.0, 0.0)],
        "log": [(0.0, -_INF), (-0.0, -_INF), (1.0, 0.0), (_INF, _INF), (-_INF, _NAN), (_NAN, _NAN),
                (-1.0, _NAN), (-least, _NAN), (-most, _NAN)],
        "tanh_forward": [(0.0, 0.0), (-0.0, -0.0), (_INF, 1.0), (-_INF, -1.0), (_NAN, _NAN),
                         (least, least), (-least, -least), (tiny, tiny), (-tiny, -tiny),
                         (most, 1.0), (-most, -1.0), (100.0, 1.0), (-100.0, -1.0)],
        "sigmoid_forward": [(0.0, 0.5), (-0.0, 0.5), (_INF, 1.0), (-_INF, 0.0), (_NAN, _NAN),
                            (least, 0.5), (-least, 0.5), (most, 1.0), (-most, 0.0),
                            (1000.0, 1.0), (-1000.0, 0.0)],
        "sqrt": [(0.0, 0.0), (-0.0, -0.0), (_INF, _INF), (-_INF, _NAN), (_NAN, _NAN), (-1.0, _NAN),
                 (-least, _NAN), (1.0, 1.0), (4.0, 2.0), (6.25, 2.5)],
    }[name]  # fmt: skip


@pytest.mark.parametrize(("name", "dtype"), _CASES)
def test_special_values(name, dtype):
    x, expected = np.array(_specials(name, dtype), dtype).T
    for count in (1, 16, 37):  # one element, whole vectors, vectors and a tail
        actual = getattr(kernels, name)(np.repeat(x, count))
        np.testing.assert_array_equal(actual, np.repeat(expected, count))
        defined = ~np.isnan(actual)
        signs = np.signbit(np.repeat(expected, count))
        np.testing.assert_array_equal(np.signbit(actual)[defined], signs[defined])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exp_overflows_where_it_should(dtype):
    most = np.finfo(dtype).max
    edge = np.log(_WIDER[dtype](most)).astype(dtype)
    x = _around(float(edge), dtype, 3)[6:]
    with np.errstate(over="ignore"):
        expected = np.exp(x.astype(_WIDER[dtype])).astype(dtype)
    np.testing.assert_array_equal(np.isinf(kernels.exp(x)), np.isinf(expected))
    assert kernels.exp(x)[0] < np.inf
    assert kernels.exp(x)[-1] == np.inf


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_ranges_and_signs(dtype):
    x = np.concatenate([_inputs("tanh_forward", dtype), _inputs("sigmoid_forward", dtype)])
    x = x[~np.isnan(x)]
    tanh, sigmoid = kernels.tanh_forward(x), kernels.sigmoid_forward(x)
    assert np.abs(tanh).max() == 1
    np.testing.assert_array_equal(np.signbit(tanh), np.signbit(x))
    np.testing.assert_array_equal(tanh[x != 0] != 0, True)
    np.testing.assert_array_equal(kernels.tanh_forward(-x), -tanh)
    assert (sigmoid.min(), sigmoid.max()) == (0, 1)
    assert kernels.exp(x).min() == 0
    assert not np.signbit(kernels.exp(x)).any()


# Of tanh in float32, a ratio of polynomials, the last digits may step back by its error.
_RISING = [
    case for case in _CASES if case != ("tanh_forward", "float32") and case[0] != "logsigmoid"
]


@pytest.mark.parametrize(("name", "dtype"), _RISING)
def test_rises_across_every_branch(name, dtype):
    """No step down where a formula changes: consecutive floats, left and right of the branch."""
    for value in _BRANCHES[name, dtype]:
        x = np.sort(_around(value, dtype))
        x = x[x > 0] if name in ("log", "sqrt") else x
        y = getattr(kernels, name)(x).astype(np.float64 if dtype == "float32" else np.longdouble)
        below = np.flatnonzero(y[1:] < y[:-1])
        assert not len(below), f"falls from {x[below[0]]!r}: {len(below)} times"


@pytest.mark.parametrize(("name", "dtype"), _RISING)
def test_rises_over_the_whole_range(name, dtype):
    x = np.unique(_whole_range(dtype))
    x = x[(x > 0) if name in ("log", "sqrt") else ~np.isnan(x)]
    y = getattr(kernels, name)(x)
    assert np.all(y[1:] >= y[:-1])
