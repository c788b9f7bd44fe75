"""Weighted sums along one axis by a table of taps: what interpolation does axis by axis.

Taps are (starts, sources, weights): element k of the result is the sum of ``weights[t] ·
x[sources[t]]`` for t from ``starts[k]`` to ``starts[k + 1]``. The gradient is the same with the
taps of the transposed matrix.
"""

import math

from ._jit import kernel
from ._record import contiguous, empty
from ._simd import fma, lanes, read, splat, write, zeros

__all__ = ["resample"]

_TOGETHER = 4  # rows whose elements are looked up side by side, for one reading of the table


@kernel
def _resample_rows(start, stop, x, out, starts, sources, weights, rows, n):
    """Groups of rows ``start`` to ``stop`` of x (rows, n) along the rows."""
    m, nothing = starts.size - 1, x.dtype.type(0.0)
    for group in range(start, stop):
        first = group * _TOGETHER
        if first + _TOGETHER <= rows:
            at, to = first * n, first * m
            for k in range(m):
                a, b, c, d = nothing, nothing, nothing, nothing
                for t in range(starts[k], starts[k + 1]):
                    i, weight = at + sources[t], weights[t]
                    a += weight * x[i]
                    b += weight * x[i + n]
                    c += weight * x[i + 2 * n]
                    d += weight * x[i + 3 * n]
                out[to + k], out[to + m + k] = a, b
                out[to + 2 * m + k], out[to + 3 * m + k] = c, d
        else:
            for row in range(first, rows):
                for k in range(m):
                    a = nothing
                    for t in range(starts[k], starts[k + 1]):
                        a += weights[t] * x[row * n + sources[t]]
                    out[row * m + k] = a


@kernel
def _resample_columns(start, stop, x, out, starts, sources, weights, n, inner):
    """Rows ``start`` to ``stop`` of out (outer, m, inner), from rows of x (outer, n, inner)."""
    lane, m = lanes(x), starts.size - 1
    for row in range(start, stop):
        k, base = row % m, row // m * n
        for j in range(0, inner, lane):
            count, total = min(lane, inner - j), zeros(x)
            for t in range(starts[k], starts[k + 1]):
                value = read(x, (base + sources[t]) * inner + j, count)
                total = fma(value, splat(x, weights[t]), total)
            write(out, row * inner + j, count, total)


def resample(x, axis, taps):
    """The sums of taps along ``axis``, which is not negative; the others stay."""
    starts, sources, weights = taps
    m, n, inner = len(starts) - 1, x.shape[axis], math.prod(x.shape[axis + 1 :])
    out = empty((*x.shape[:axis], m, *x.shape[axis + 1 :]), x.dtype)
    if not out.size:
        return out
    rows, each = math.prod(x.shape[:axis]), len(sources) / m
    given = contiguous(x).reshape(-1), out.reshape(-1), starts, sources, weights
    if inner == 1:
        _resample_rows(-(-rows // _TOGETHER), out.size * (0.5 + each * 0.5), *given, rows, n)
    else:
        _resample_columns(rows * m, out.size * (0.1 + each * 0.15), *given, n, inner)
    return out
