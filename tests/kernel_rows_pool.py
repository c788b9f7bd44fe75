"""Rows of the kernels of pools; see ``kernel_cases``."""

import numpy as np
from kernel_cases import Row, size_of

_GRIDS = (  # planes, size, window, stride, padding, dilation; the outputs follow
    (3, (1, 6, 8), (1, 2, 2), (1, 2, 2), (0, 0, 0), (1, 1, 1)),
    (2, (1, 9, 37), (1, 2, 2), (1, 2, 2), (0, 1, 1), (1, 1, 1)),
    (2, (1, 21, 70), (1, 3, 3), (1, 2, 2), (0, 1, 1), (1, 1, 1)),
    (3, (1, 7, 15), (1, 3, 3), (1, 2, 2), (0, 1, 1), (1, 1, 1)),
    (2, (1, 9, 40), (1, 5, 3), (1, 1, 1), (0, 2, 1), (1, 1, 1)),
    (2, (3, 5, 12), (2, 2, 3), (2, 1, 2), (1, 0, 1), (1, 2, 2)),
    (2, (1, 12, 9), (1, 2, 1), (1, 3, 2), (0, 0, 0), (1, 1, 1)),
    (2, (4, 9, 33), (2, 2, 2), (3, 3, 2), (1, 1, 1), (1, 1, 1)),
    (1, (1, 1, 50), (1, 1, 4), (1, 1, 1), (0, 0, 1), (1, 1, 3)),
    (3, (1, 7, 17), (1, 2, 2), (1, 2, 2), (0, 0, 0), (1, 1, 1)),
    (2, (2, 35, 33), (1, 2, 2), (2, 2, 2), (0, 1, 1), (1, 1, 1)),
    (2, (1, 37, 9), (1, 2, 2), (1, 3, 2), (0, 0, 0), (1, 1, 1)),
    (1, (1, 40, 36), (1, 2, 2), (1, 2, 2), (0, 0, 0), (1, 1, 1)),
    (0, (1, 4, 4), (1, 2, 2), (1, 2, 2), (0, 0, 0), (1, 1, 1)),
)
_LARGE = (  # strides and windows that need tables
    (5, (1, 9, 9), (1, 3, 3), (1, 3, 3), (0, 1, 1), (1, 1, 1)),
    (37, (1, 7, 7), (1, 7, 7), (1, 1, 1), (0, 0, 0), (1, 1, 1)),
    (3, (1, 17, 20), (1, 17, 20), (1, 1, 1), (0, 0, 0), (1, 1, 1)),
    (2, (1, 18, 18), (1, 18, 18), (1, 1, 1), (0, 1, 1), (1, 1, 1)),
    (2, (1, 70, 130), (1, 3, 3), (1, 2, 4), (0, 1, 1), (1, 1, 1)),
)
_BENCH = (
    (1024, (1, 28, 28), (1, 2, 2), (1, 2, 2), (0, 0, 0), (1, 1, 1)),
    (2048, (1, 14, 14), (1, 2, 2), (1, 2, 2), (0, 0, 0), (1, 1, 1)),
    (768, (1, 55, 55), (1, 3, 3), (1, 2, 2), (0, 0, 0), (1, 1, 1)),
)


def _geometry(size, window, stride, padding, dilation):
    outs = tuple(
        (n + 2 * p - (k - 1) * d - 1) // s + 1
        for n, k, s, p, d in zip(size, window, stride, padding, dilation, strict=True)
    )
    return size, outs, window, stride, padding, dilation


def _values(m, planes, *grid):
    """Elements with ties, a window that is -∞ and a NaN."""
    x = m.normal(planes, *grid[0]).round(0)
    if planes:
        x[0, :, :4, :4] = -np.inf
        x[-1, 0, 0, -1] = np.nan
    return x


def _forward(m, *grid):
    return _values(m, *grid), _geometry(*grid[1:])


def _backward(m, *grid):
    from fastgrad import reference

    x, geometry = _forward(m, *grid)
    out, position = reference.max_pool_forward(x, geometry)
    return m.normal(*out.shape), position, geometry


def _flat(m, *grid):
    grad, position, geometry = _backward(m, *grid)
    return position, geometry, len(grad), m.dtype


def _tables(outs, size, own):
    """Starts of windows along an axis and how many places each has, with ``own`` rows of starts."""
    starts = np.arange(outs) * size // outs + np.zeros((own, 1), int)
    return starts, -(-np.arange(1, outs + 1) * size // outs) - starts[0]


def _index(m, planes, size, outs, own):
    tables = [_tables(o, n, own) for o, n in zip(outs, size, strict=True)]
    starts, counts = (tuple(part) for part in zip(*tables, strict=True))
    return _values(m, planes, size), starts, counts, (1, 1, 1)


def _largest(m, planes, *grid):
    """x, and the windows of a grid as a table."""
    from fastgrad.ops._windows import windows_of_grid

    return _values(m, planes, *grid), *windows_of_grid("", _geometry(*grid))


def _largest_back(m, *grid):
    from fastgrad import reference

    x, *windows = _largest(m, *grid)
    out, index = reference.window_max(x, *windows)
    flat = len(x), size_of(*out.shape[1:])
    return m.normal(*flat), index.reshape(flat), x.shape


def _sum(m, planes, size, outs, before):
    _, firsts, counts, _ = _index(m, planes, size, outs, 1)
    x = m.normal(planes, *size)
    firsts = tuple(first[0] for first in firsts)
    lasts = tuple(a + b for a, b in zip(firsts, counts, strict=True))
    over = size if before else outs
    shares = tuple(m.rng.integers(1, 5, n).astype(m.dtype) for n in over)
    return x, firsts, lasts, shares, before


def _patterned(m, mode, taps, width, padding):
    """Windows along rows that follow a pattern, and as tables."""
    outs = (width + 2 * padding - taps) // mode + 1
    first = np.arange(outs) * mode - padding
    first, last = np.maximum(first, 0), np.minimum(first + taps, width)
    ones, y = np.ones(1, m.dtype), (np.zeros(1, int), np.ones(1, int))
    return (
        m.normal(2, 1, 1, width), (y[0], y[0], first), (y[1], y[1], last),
        (ones, ones, np.full(outs, taps, m.dtype)), False, (mode, taps, padding, 0),
    )  # fmt: skip


def _mean(m, planes, size, outs, before):
    """Averages over equal shares along a table, or what is their adjoint."""
    from fastgrad.ops._windows import spans_of_shares

    spans = spans_of_shares(size, outs, m.dtype)
    windows = spans.back_windows if before else spans.windows
    return m.normal(planes, *(outs if before else size)), *windows, before


_SHARES = (
    (2, (1, 7, 33), (1, 3, 4)), (3, (2, 5, 9), (2, 2, 5)), (2, (1, 4, 5), (1, 8, 9)),
    (2, (3, 8, 8), (1, 1, 1)),
)  # fmt: skip

ROWS = (
    Row("max_pool_forward", _forward, _GRIDS, _BENCH, moved=lambda n, size, *_: n * size_of(*size)),
    Row("max_pool_backward", _backward, _GRIDS, _BENCH,
        moved=lambda n, size, *_: n * size_of(*size)),
    Row("max_pool_index", _flat, _GRIDS, _BENCH[:1]),
    Row("window_index", _index, (*((*s, 1) for s in _SHARES), *((*s, s[0]) for s in _SHARES)),
        ((64, (1, 56, 56), (1, 7, 7), 1),)),
    Row("window_max", _largest, _GRIDS + _LARGE, _BENCH[:1]),
    Row("window_max_backward", _largest_back, _GRIDS + _LARGE, _BENCH[:1]),
    Row("window_sum", _sum, (*((*s, False) for s in _SHARES), *((*s, True) for s in _SHARES)),
        ((64, (1, 56, 56), (1, 7, 7), False),), rtol={"float32": 3e-5}),
    Row("window_mean", _mean, tuple((*s, before) for s in _SHARES[:2] for before in (0, 1)),
        ((64, (1, 56, 56), (1, 7, 7), 0),), rtol={"float32": 3e-5}),
    Row("window_sum", _patterned,
        ((1, 3, 40, 1), (2, 3, 41, 1), (2, 2, 64, 0), (1, 1, 5, 0), (2, 5, 7, 2)),
        label="patterns"),
    Row("fractional_starts",
        lambda m, planes, *sizes: (m.positive(planes) / 3.5, *sizes),
        ((5, 9, 4, 3), (4, 9, 1, 3), (3, 8, 7, 2))),
    Row("unpool", lambda m, planes, k, n: (m.normal(planes, k), m.labels((planes, k), n), n),
        ((2, 3, 40), (3, 1, 1), (0, 2, 3))),
)  # fmt: skip
