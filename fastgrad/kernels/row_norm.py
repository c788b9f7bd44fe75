"""Normalization of rows: layer norm, RMS norm, group norm and instance norm, and their backward.

All are one computation on x (rows, n): each row less its mean (not for RMS norm), over its
deviation, times a weight, plus a bias. They differ in what a row is and how the affine
parameters lie along it. In row r, the channel of element j is ``r % groups · parts + j // inner``,
with ``parts = n // inner``:

    layer norm     groups 1, inner 1: a weight for each element of the row
    group norm     groups G, inner the size of an image: a weight for a run of elements
    instance norm  the same with a group for each channel

A row stays in the cache while it is read, for its mean and variance and to be written. Sums are of
differences from the row's first element, so that a mean of 10⁴ deviations costs no digits; where
that element is no good choice, they are taken again from the mean. Four rows go side by side, so
that one waits less for its own sums; each is computed alike, whatever its neighbours. Gradients of
parameters are summed over chunks of rows of a fixed length, and the chunks added in order.
"""

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel
from ._record import empty
from ._simd import fma, keep_first, lane_sum, lanes, load, read, splat, write, zeros
from .norm import affine
from .reduce import sum

__all__ = ["row_norm_backward", "row_norm_forward"]

_BLOCK = 2048  # elements whose sum is added to the total at once
_CHUNKS = 64  # at most so many chunks of rows
_CHUNK_ROWS, _CHUNK_SIZE = 8, 4096  # at least so many rows, and about so many elements


@register_jitable
def _four(first, last, step):
    """``first`` and the three after it, none beyond ``last``: that is computed again."""
    return (
        first, min(first + step, last), min(first + 2 * step, last), min(first + 3 * step, last)
    )  # fmt: skip


@register_jitable
def _difference(x, at, count, shift):
    d = read(x, at, count) - shift
    return d if count == lanes(x) else keep_first(d, count)


@register_jitable
def _moments(x, at, n, shift):
    """Σ (x - shift), and Σ (x - shift)², over n elements from each of four places.

    ``shift`` is four vectors.
    """
    lane = lanes(x)
    i, j, k, m = at
    o, p, q, r = shift
    total, squares = (0.0, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.0)
    for first in range(0, n, _BLOCK):
        end = min(first + _BLOCK, n)
        whole = first + (end - first) // lane * lane
        a, b, c, d = zeros(x), zeros(x), zeros(x), zeros(x)
        e, f, g, h = zeros(x), zeros(x), zeros(x), zeros(x)
        for z in range(first, whole, lane):
            s, t = _difference(x, i + z, lane, o), _difference(x, j + z, lane, p)
            u, v = _difference(x, k + z, lane, q), _difference(x, m + z, lane, r)
            a, b, c, d = a + s, b + t, c + u, d + v
            e, f, g, h = fma(s, s, e), fma(t, t, f), fma(u, u, g), fma(v, v, h)
        if whole < end:
            z, rest = whole, end - whole
            s, t = _difference(x, i + z, rest, o), _difference(x, j + z, rest, p)
            u, v = _difference(x, k + z, rest, q), _difference(x, m + z, rest, r)
            a, b, c, d = a + s, b + t, c + u, d + v
            e, f, g, h = fma(s, s, e), fma(t, t, f), fma(u, u, g), fma(v, v, h)
        total = _add_sums(total, a, b, c, d)
        squares = _add_sums(squares, e, f, g, h)
    return total, squares


@register_jitable
def _add_sums(total, a, b, c, d):
    s, t, u, v = total
    return (
        s + float(lane_sum(a)), t + float(lane_sum(b)),
        u + float(lane_sum(c)), v + float(lane_sum(d)),
    )  # fmt: skip


@register_jitable
def _is_far(error, variance):
    """Whether what the squares are of is so far from the mean that digits of them cancelled."""
    return error * error > 4.0 * variance


@register_jitable
def _splats(x, numbers):
    a, b, c, d = numbers
    return splat(x, a), splat(x, b), splat(x, c), splat(x, d)


@register_jitable
def _put(x, out, at, count, center, scale, gain, offset):
    hat = (read(x, at, count) - center) * scale
    write(out, at, count, fma(hat, gain, offset))


@register_jitable
def _variances(sums, squares, share, centred):
    """(how far from the mean the differences were taken, variance) of four rows."""
    if not centred:
        a, b, c, d = squares
        return (0.0, 0.0, 0.0, 0.0), (a * share, b * share, c * share, d * share)
    s, t, u, v = sums
    s, t, u, v = s * share, t * share, u * share, v * share
    a, b, c, d = squares
    variance = a * share - s * s, b * share - t * t, c * share - u * u, d * share - v * v
    return (s, t, u, v), variance


@register_jitable
def _settle(stats, row, rows, eps, mean, variance):
    """Write the statistics of a row."""
    stats[row] = mean
    stats[rows + row] = variance
    stats[2 * rows + row] = 1.0 / np.sqrt(variance + eps)


@register_jitable
def _statistics(x, row, rows, n, eps, centred, stats):
    """Mean, variance and 1 / deviation of four rows."""
    share, of_type = 1.0 / n, x.dtype.type
    i, j, k, m = row
    at = i * n, j * n, k * n, m * n
    zero = of_type(0.0)
    a, b, c, d = (x[at[0]], x[at[1]], x[at[2]], x[at[3]]) if centred else (zero, zero, zero, zero)
    sums, squares = _moments(x, at, n, _splats(x, (a, b, c, d)))
    (s, t, u, v), (o, p, q, r) = _variances(sums, squares, share, centred)
    a, b, c, d = of_type(a + s), of_type(b + t), of_type(c + u), of_type(d + v)
    _settle(stats, i, rows, eps, a, o)
    _settle(stats, j, rows, eps, b, p)
    _settle(stats, k, rows, eps, c, q)
    _settle(stats, m, rows, eps, d, r)
    if _is_far(s, o) or _is_far(t, p) or _is_far(u, q) or _is_far(v, r):
        sums, squares = _moments(x, at, n, _splats(x, (a, b, c, d)))
        (e, f, g, h), (w, y, z, last) = _variances(sums, squares, share, centred)
        if _is_far(s, o):
            _settle(stats, i, rows, eps, a + e, w)
        if _is_far(t, p):
            _settle(stats, j, rows, eps, b + f, y)
        if _is_far(u, q):
            _settle(stats, k, rows, eps, c + g, z)
        if _is_far(v, r):
            _settle(stats, m, rows, eps, d + h, last)


@kernel
def _forward(
    start, stop, x, weight, bias, eps, centred, out, stats, rows, n, groups, inner
):  # fmt: skip
    """Rows ``start`` to ``stop``; stats (3 · rows): mean, variance and 1 / deviation."""
    lane, parts = lanes(x), n // inner
    whole = inner // lane * lane if inner > 1 else n // lane * lane
    for top in range(start, stop, 4):
        _statistics(x, _four(top, stop - 1, 1), rows, n, eps, centred, stats)
        for row in range(top, min(top + 4, stop)):
            channel = row % groups * parts if groups > 1 else 0
            center, scale = splat(x, stats[row]), splat(x, stats[2 * rows + row])
            at = row * n
            if inner == 1:
                for j in range(0, whole, lane):
                    i = channel + j
                    _put(x, out, at + j, lane, center, scale, load(weight, i), load(bias, i))
                if whole < n:
                    i, rest = channel + whole, n - whole
                    gain, offset = read(weight, i, rest), read(bias, i, rest)
                    _put(x, out, at + whole, rest, center, scale, gain, offset)
            else:
                for part in range(parts):
                    gain, offset = splat(x, weight[channel + part]), splat(x, bias[channel + part])
                    first = at + part * inner
                    for i in range(first, first + whole, lane):
                        _put(x, out, i, lane, center, scale, gain, offset)
                    if whole < inner:
                        rest = inner - whole
                        _put(x, out, first + whole, rest, center, scale, gain, offset)


@register_jitable
def _slopes(grad, x, gain, at, count, center, s, q):
    """Sums of ĝ = grad · weight and of ĝ · (x - mean), and one vector more."""
    g = read(grad, at, count) * gain
    return s + g, fma(g, read(x, at, count) - center, q)


@register_jitable
def _of_input(grad, x, gain, at, count, center, scale, mean_grad, slope, grad_x):
    """Write the gradient of a vector of x; returns those of weight and bias."""
    g, d = read(grad, at, count), read(x, at, count) - center
    write(grad_x, at, count, (g * gain - mean_grad - d * slope) * scale)
    return g * (d * scale), g


@register_jitable
def _add_at(x, at, count, value):
    write(x, at, count, read(x, at, count) + value)


@register_jitable
def _sum_of(count, a, b, c, d):
    """Of the first ``count``."""
    if count == 4:
        return (a + b) + (c + d)
    if count == 3:
        return (a + b) + c
    return a + b if count == 2 else a


@register_jitable
def _four_rows(
    grad, x, weight, stats, centred, grad_x, partial, at, row, rows, count, n, channel, of_weight,
    of_bias,
):  # fmt: skip
    """``count`` up to four rows that have the same weights; see ``_backward_rows``."""
    lane = lanes(x)
    i, j, k, m = at
    e, f, g, h = _splats(x, (stats[row[0]], stats[row[1]], stats[row[2]], stats[row[3]]))
    down = 2 * rows
    inverse = stats[down + row[0]], stats[down + row[1]], stats[down + row[2]], stats[down + row[3]]
    o, p, q, r = _splats(x, inverse)
    s, t, u, v = zeros(x), zeros(x), zeros(x), zeros(x)
    a, b, c, d = zeros(x), zeros(x), zeros(x), zeros(x)
    whole = n // lane * lane
    for z in range(0, whole, lane):
        gain = read(weight, channel + z, lane)
        s, a = _slopes(grad, x, gain, i + z, lane, e, s, a)
        t, b = _slopes(grad, x, gain, j + z, lane, f, t, b)
        u, c = _slopes(grad, x, gain, k + z, lane, g, u, c)
        v, d = _slopes(grad, x, gain, m + z, lane, h, v, d)
    if whole < n:
        z, rest = whole, n - whole
        gain = read(weight, channel + z, rest)
        s, a = _slopes(grad, x, gain, i + z, rest, e, s, a)
        t, b = _slopes(grad, x, gain, j + z, rest, f, t, b)
        u, c = _slopes(grad, x, gain, k + z, rest, g, u, c)
        v, d = _slopes(grad, x, gain, m + z, rest, h, v, d)
    share = splat(x, 1.0 / n)
    means = (zeros(x), zeros(x), zeros(x), zeros(x))
    if centred:
        s, t, u, v = _splats(x, (lane_sum(s), lane_sum(t), lane_sum(u), lane_sum(v)))
        means = s * share, t * share, u * share, v * share
    a, b, c, d = _splats(x, (lane_sum(a), lane_sum(b), lane_sum(c), lane_sum(d)))
    a, b, c, d = a * share * o * o, b * share * p * p, c * share * q * q, d * share * r * r
    s, t, u, v = means
    for z in range(0, n, lane):
        size = min(lane, n - z)
        if size == lane:
            gain = read(weight, channel + z, lane)
            w0, b0 = _of_input(grad, x, gain, i + z, lane, e, o, s, a, grad_x)
            w1, b1 = _of_input(grad, x, gain, j + z, lane, f, p, t, b, grad_x)
            w2, b2 = _of_input(grad, x, gain, k + z, lane, g, q, u, c, grad_x)
            w3, b3 = _of_input(grad, x, gain, m + z, lane, h, r, v, d, grad_x)
            _add_at(partial, of_weight + z, lane, _sum_of(count, w0, w1, w2, w3))
            _add_at(partial, of_bias + z, lane, _sum_of(count, b0, b1, b2, b3))
        else:
            gain = read(weight, channel + z, size)
            w0, b0 = _of_input(grad, x, gain, i + z, size, e, o, s, a, grad_x)
            w1, b1 = _of_input(grad, x, gain, j + z, size, f, p, t, b, grad_x)
            w2, b2 = _of_input(grad, x, gain, k + z, size, g, q, u, c, grad_x)
            w3, b3 = _of_input(grad, x, gain, m + z, size, h, r, v, d, grad_x)
            _add_at(partial, of_weight + z, size, _sum_of(count, w0, w1, w2, w3))
            _add_at(partial, of_bias + z, size, _sum_of(count, b0, b1, b2, b3))


@kernel
def _backward_rows(
    start, stop, grad, x, weight, stats, centred, grad_x, partial, rows, n, groups, chunk
):  # fmt: skip
    """Chunks ``start`` to ``stop`` of items, of a row for each group, with weights by element.

    partial  (chunks, 2, groups · n): each chunk's gradients of weight and bias
    """
    channels = groups * n
    for part in range(start, stop):
        place = 2 * part * channels
        for i in range(place, place + 2 * channels):
            partial[i] = 0.0
        end = min((part + 1) * chunk, rows // groups)
        for group in range(groups):
            channel = group * n
            for item in range(part * chunk, end, 4):
                row = _four(item * groups + group, (end - 1) * groups + group, groups)
                at = row[0] * n, row[1] * n, row[2] * n, row[3] * n
                _four_rows(
                    grad, x, weight, stats, centred, grad_x, partial, at, row, rows,
                    min(4, end - item), n, channel, place + channel, place + channels + channel,
                )  # fmt: skip


@kernel
def _backward_runs(
    start, stop, grad, x, weight, stats, centred, grad_x, partial, rows, n, groups, inner
):  # fmt: skip
    """Rows ``start`` to ``stop`` with a weight for each run of ``inner`` elements.

    partial  (rows / groups, 2, groups · parts): gradients of weight and bias of each item
    """
    lane = lanes(x)
    parts = n // inner
    for row in range(start, stop):
        at, channel = row * n, row % groups * parts
        of_weight = row // groups * 2 * groups * parts + channel
        of_bias = of_weight + groups * parts
        inverse = float(stats[2 * rows + row])
        center, scale = splat(x, stats[row]), splat(x, inverse)
        sums, slopes = 0.0, 0.0
        for part in range(parts):
            total, both = 0.0, 0.0
            end = at + (part + 1) * inner
            for first in range(end - inner, end, _BLOCK):
                s, q = zeros(x), zeros(x)
                for i in range(first, min(first + _BLOCK, end), lane):
                    count = min(lane, end - i)
                    g = read(grad, i, count)
                    s, q = s + g, fma(g, read(x, i, count) - center, q)
                total += float(lane_sum(s))
                both += float(lane_sum(q))
            both *= inverse
            partial[of_weight + part] = both
            partial[of_bias + part] = total
            sums += total * float(weight[channel + part])
            slopes += both * float(weight[channel + part])
        mean_grad = splat(x, sums / n if centred else 0.0)
        slope = splat(x, slopes / n * inverse)
        for part in range(parts):
            gain = splat(x, weight[channel + part])
            end = at + (part + 1) * inner
            for i in range(end - inner, end, lane):
                count = min(lane, end - i)
                d = read(x, i, count) - center
                g = fma(read(grad, i, count), gain, -mean_grad)
                write(grad_x, i, count, (g - d * slope) * scale)


def row_norm_forward(x, weight, bias, eps, rows, n, groups=1, inner=1, centred=True):
    """Normalize the rows of x, as (rows, n): ``(x - mean) / √(var + ε) · weight + bias``.

    weight, bias  of each channel, or None; see the file's text on groups and inner
    centred       False for RMS norm: the mean counts as 0

    Returns (out, stats), stats (3, rows): mean, biased variance and ``1 / √(var + ε)``.
    """
    out, stats = empty(x.shape, x.dtype), empty((3, rows), x.dtype)
    if x.size:
        weight, bias = affine(weight, bias, groups * n // inner, x.dtype)
        _forward(
            rows, x.size * 0.15, x.ravel(), weight.ravel(), bias.ravel(), float(eps), centred,
            out.ravel(), stats.ravel(), rows, n, groups, inner,
        )  # fmt: skip
    return out, stats


def row_norm_backward(grad, x, weight, stats, rows, n, groups=1, inner=1, centred=True):
    """(grad_x, grad_weight, grad_bias), the last two (channels,).

    With ĝ = grad · weight, x̂ the normalized row, and means over a row:
    ``grad_x = (ĝ - mean(ĝ) - x̂ · mean(ĝ · x̂)) / √(var + ε)``, without mean(ĝ) for RMS norm.
    """
    grad_x = empty(x.shape, x.dtype)
    channels = groups * n // inner
    if not x.size:
        nothing = np.zeros(channels, x.dtype)
        return grad_x, nothing, nothing
    weight, _ = affine(weight, weight, channels, x.dtype)
    arrays = (grad.ravel(), x.ravel(), weight.ravel(), stats.ravel(), centred, grad_x.ravel())
    if inner == 1:
        chunk = max(_CHUNK_ROWS, _CHUNK_SIZE // n, -(-rows // groups // _CHUNKS))
        chunks = -(-rows // groups // chunk)
        partial = empty((chunks, 2 * channels), x.dtype)
        _backward_rows(chunks, x.size * 0.25, *arrays, partial.ravel(), rows, n, groups, chunk)
    else:
        partial = empty((rows // groups, 2 * channels), x.dtype)
        _backward_runs(rows, x.size * 0.2, *arrays, partial.ravel(), rows, n, groups, inner)
    totals = partial if len(partial) == 1 else sum(partial, (0,))
    totals = totals.reshape(2, channels)
    return grad_x, totals[0], totals[1]
