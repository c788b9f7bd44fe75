"""Kernel rows of reductions, statistics, scans and sorting; see ``kernel_cases``."""

import numpy as np
from kernel_cases import BENCH, SHAPES, Row, reductions, size_of

_LINES = ((1,), (7,), (9, 5), (3, 4, 5), (5000,))
_TABLES = ((7, 3), (40, 65), (3, 5, 4), (9000, 2))
_OVER = (((0,), (*_TABLES, (7,), (20_000,))), ((1,), _TABLES), ((0, 2), ((3, 5, 4),)))
_BENCH_LINE = ((1_000_000,), (1000, 1000))
_LOOSE = {"float32": 1e-4}


def _near_one(m, *shape):
    """Factors whose products stay near 1; one is 0."""
    x = (1 + 0.05 * m.normal(*shape) / np.sqrt(max(size_of(*shape), 1))).astype(m.dtype)
    x.reshape(-1)[3:4] = 0.0
    return x


def _rounded(m, *shape):
    """Elements some of which are equal, and some NaN."""
    x = np.round(4 * m.normal(*shape)) / 4
    x.reshape(-1)[5::17] = np.nan
    return x


def _few(m, *s):
    """One large and one small element in each row, twice, the rest between."""
    x = m.fraction(*s)
    x[..., -1] = x[..., s[-1] // 2] = 2.0
    x[..., s[-1] // 3] = x[..., 0] = -2.0
    return x


def _infinite(m, *s):
    """Infinities only."""
    return np.where(m.normal(*s) > 0, np.inf, -np.inf).astype(m.dtype)


def _on(kernel, make, sizes, label="", bench=(), moved=2, **options):
    """A kernel whose arguments are those that ``make(Maker, *shape)`` gives."""
    return Row(
        kernel, make, sizes, bench, moved=lambda *s: moved * size_of(*s), label=label, **options
    )


def _scans(kernel, make=None, **options):
    make = make or (lambda m, *s: (m.normal(*s),))
    for axis, sizes in ((0, _LINES), (-1, _LINES), (1, ((9, 5), (3, 4, 5)))):
        yield _on(
            kernel, lambda m, *s, axis=axis: (*make(m, *s), axis), sizes, f"axis {axis}",
            _BENCH_LINE if axis == -1 else (), **options,
        )  # fmt: skip


def _cumprod_backward(m, *s):
    x = _near_one(m, *s)
    return m.normal(*s), x, m.normal(*s)


def _logcumsumexp_backward(m, *s):
    x = m.normal(*s)
    return m.normal(*s), x, x + m.positive(*s)


def _indices(m, *s):
    return m.rng.integers(0, s[0], s)


ROWS = (
    *reductions("amin"),
    *(row for name in ("sum_squares", "sum_abs") for row in reductions(name)),
    *(
        _on("prod", lambda m, *s, axes=axes: (_near_one(m, *s), axes), sizes, label, rtol=_LOOSE)
        for axes, sizes, label in (
            (None, ((1,), (5,), (4099,), (20_000,), (2, 3, 4)), "all"),
            ((0,), ((3, 7), (300, 21)), "columns"),
            ((0, 2), ((5, 70, 9),), "outer"),
        )
    ),
    *(
        _on(name, lambda m, *s: (m.normal(*s), 0), ((7,), (64, 10)), bench=(*BENCH, (1000, 10)))
        for name in ("argmax", "argmin")
    ),
    *(
        _on(
            name, lambda m, *s, draw=draw: (draw(m, *s), -1),
            ((1,), (7,), (3, 7), (64, 10), (5, 64), (3, 130), (2, 5000), (2, 140_000), (9000, 33)),
            label,
        )
        for name in ("argmax", "argmin")
        for label, draw in (("rounded", _rounded), ("few", _few), ("infinite", _infinite))
    ),
    *(
        _on(
            "reduce_numbers",
            lambda m, *s, name=name: (m.labels(size_of(*s), 9).reshape(s), name, (0,), True),
            ((1,), (3, 4)),
            name,
        )
        for name in ("add", "logical_and")
    ),
    _on("count_nonzero", lambda m, *s: (np.round(m.normal(*s)), (0,)), ((7,), (3, 4))),
    # ---------------------------------------------------------------- statistics
    *(
        _on(
            "var", lambda m, *s, axes=axes: (m.normal(*s, mean=3.0), axes, 1.0), sizes, str(axes),
            _BENCH_LINE if axes == (0,) else (), moved=1, rtol=_LOOSE,
        )
        for axes, sizes in _OVER
    ),
    _on("deviation", lambda m, *s: (m.normal(*s), m.normal(), m.normal()), SHAPES, bench=BENCH),
    *(
        _on(
            "logsumexp", lambda m, *s, axes=axes: (20 * m.normal(*s), axes, True), sizes, str(axes),
            _BENCH_LINE if axes == (0,) else (), moved=1,
        )
        for axes, sizes in _OVER
    ),
    _on(
        "scaled_exp", lambda m, *s: (m.normal(*s), m.normal(), m.normal()), SHAPES, bench=BENCH
    ),
    # ---------------------------------------------------------------- scans
    *_scans("cumsum", rtol={"float32": 3e-5}),
    _on("cumsum", lambda m, *s: (m.normal(*s), 0, True), _LINES, "back", rtol={"float32": 3e-5}),
    *_scans("cumprod", lambda m, *s: (_near_one(m, *s),), rtol=_LOOSE),
    *_scans("cumprod_backward", _cumprod_backward, rtol=_LOOSE),
    _on(
        "prod_backward", lambda m, n, k: (m.normal(n), _near_one(m, n, k), 1),
        ((1, 1), (3, 7), (2, 4000)), rtol=_LOOSE,
    ),
    *_scans("logcumsumexp", rtol=_LOOSE),
    *_scans("logcumsumexp_backward", _logcumsumexp_backward, rtol=_LOOSE),
    *_scans("cummax", lambda m, *s: (_rounded(m, *s),)),
    *_scans("cummin", lambda m, *s: (_rounded(m, *s),)),
    _on(
        "scan_numbers",
        lambda m, *s: (m.labels(size_of(*s), 9).reshape(s), "add", 0, np.int64), ((3, 4),),
    ),
    *(
        _on("shift", lambda m, *s, by=by: (m.normal(*s), by, 0), ((1,), (7,), (3, 4)), str(by))
        for by in (2, -2)
    ),
    # ---------------------------------------------------------------- order
    *(
        _on(
            "order", lambda m, *s, axis=axis, down=down: (_rounded(m, *s), axis, down),
            ((7,), (40, 50), (129, 3), (1000,), (70_000,)), f"{axis} {down}",
            _BENCH_LINE if axis == -1 and not down else (),
        )
        for axis, down in ((0, False), (0, True), (-1, False), (-1, True))
    ),
    *(
        _on(
            "top", lambda m, *s, k=k, large=large: (_rounded(m, *s), k, 0, large),
            ((40,), (50, 3)), f"{k} {large}",
        )
        for k in (1, 7, 35) for large in (False, True)
    ),
    *(
        _on(
            "kth", lambda m, *s, k=k: (_rounded(m, *s), k, -1), ((40,), (3, 50), (3000,)), str(k),
            ((1_000_000,),) if k is None else (), moved=1,
        )
        for k in (0, 39, None)
    ),
    _on(
        "take_along", lambda m, *s: (m.normal(*s), _indices(m, *s), 0), ((7,), (5, 9), (4, 3, 2)),
        bench=((1_000_000,),),
    ),
    _on(
        "put_along", lambda m, *s: (m.normal(*s), _indices(m, *s), s, 0),
        ((7,), (5, 9), (4, 3, 2)), bench=((1_000_000,),),
    ),
    _on("count_labels", lambda m, n: (m.labels(n, 5), m.normal(n), 7), ((1,), (40,))),
    _on(
        "search_sorted", lambda m, n, k: (np.sort(m.normal(n, k)), m.normal(n, 4), "left"),
        ((1, 3), (5, 40)),
    ),
)  # fmt: skip
