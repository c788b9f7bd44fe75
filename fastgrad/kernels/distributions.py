"""Random numbers of distributions, from the counter; see ``random``.

A block of the counter gives two numbers of 52 bits between 0 and 1, neither included, for two
elements, or four of 32 bits where a float32 wants no more. What rejects numbers draws more of them
from the same block, by the number of the attempt. Formulas are those of Devroye 1986 unless another
source is named.
"""

import math

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel
from ._record import empty
from ._simd import exp, lanes, load, splat, store
from .augment import _normals
from .random import _philox, _philox_again
from .sort import top

__all__ = [
    "bernoulli",
    "check_range",
    "multinomial",
    "poisson",
    "random_integers",
    "random_numbers",
]

_KINDS = ("normal", "log_normal", "exponential", "cauchy", "geometric")
_NORMAL, _LOG_NORMAL, _EXPONENTIAL, _CAUCHY, _GEOMETRIC = range(5)
_HALF, _DROP = np.uint64(32), np.uint64(12)
_NS = 20.0  # nanoseconds per number


@register_jitable
def _share(high, low):
    """64 bits as a number between 0 and 1."""
    return (float(np.int64(((high << _HALF) | low) >> _DROP)) + 0.5) * 2.0**-52


@register_jitable
def _pair(seed, block):
    a, b, c, d = _philox(seed, block)
    return _share(a, b), _share(c, d)


@register_jitable
def _of(kind, share, a, b):
    """The number of a distribution below which a share of it lies."""
    if kind == _EXPONENTIAL:
        return -math.log(share) / a
    if kind == _CAUCHY:
        return a + b * math.tan(math.pi * (share - 0.5))
    return math.ceil(math.log(share) / math.log1p(-a))


@kernel(grain=32)
def _numbers(start, stop, kind, a, b, ticket, out):
    """Blocks ``start`` to ``stop`` of two numbers; normal ones by Box & Muller 1958."""
    seed, offset = ticket[0], ticket[1]
    for block in range(start, stop):
        first, second = _pair(seed, offset + np.uint64(block))
        if kind <= _LOG_NORMAL:
            radius, angle = math.sqrt(-2.0 * math.log(first)), 2.0 * math.pi * second
            first, second = a + b * radius * math.cos(angle), a + b * radius * math.sin(angle)
            if kind == _LOG_NORMAL:
                first, second = math.exp(first), math.exp(second)
        else:
            first, second = _of(kind, first, a, b), _of(kind, second, a, b)
        out[2 * block] = first
        if 2 * block + 1 < out.size:
            out[2 * block + 1] = second


@kernel(counted=True)
def _single_normals(start, stop, kind, a, b, ticket, out, rest):
    """64 at a time, float32, from 32 bits each; the last few go by way of ``rest`` (64,)."""
    seed, offset, lane = ticket[0], ticket[1], lanes(out)
    mean, deviation = splat(out, a), splat(out, b)
    for chunk in range(start, stop):
        at = 64 * chunk
        whole = at + 64 <= out.size
        target = out[at : at + 64] if whole else rest
        _normals(seed, offset + np.uint64(16 * chunk), target)
        for k in range(0, 64, lane):
            value = mean + deviation * load(target, k)
            store(target, k, exp(value) if kind == _LOG_NORMAL else value)
        if not whole:
            out[at:] = target[: out.size - at]


def random_numbers(kind, shape, dtype, a, b, ticket):
    """Floats: "normal" or "log_normal" (mean, deviation), "exponential" (rate, unused), "cauchy"
    (median, width) or "geometric" (share of ends, unused).
    """
    out = empty(shape, dtype)
    code = _KINDS.index(kind)
    if code <= _LOG_NORMAL and out.dtype == np.float32:
        chunks, rest = -(-out.size // 64), empty(64, out.dtype)
        arguments = code, float(a), float(b), ticket, out.reshape(-1), rest
        _single_normals(chunks, out.size * 3.0, *arguments)
        return out
    _numbers(-(-out.size // 2), out.size * _NS, code, float(a), float(b), ticket, out.reshape(-1))
    return out


@kernel(grain=32)
def _integers(start, stop, low, size, ticket, out):
    seed, offset = ticket[0], ticket[1]
    for block in range(start, stop):
        a, b, c, d = _philox(seed, offset + np.uint64(block))
        out[2 * block] = np.int64(np.uint64(low) + ((a << _HALF) | b) % size)
        if 2 * block + 1 < out.size:
            out[2 * block + 1] = np.int64(np.uint64(low) + ((c << _HALF) | d) % size)


def random_integers(shape, low, high, ticket):
    """Integers from ``low`` up to ``high``, without it; int64."""
    out = empty(shape, np.int64)
    size = np.uint64(high - low)
    _integers(-(-out.size // 2), out.size * _NS, int(low), size, ticket, out.reshape(-1))
    return out


# ------------------------------------------------------------------ of a parameter for each


def _bad_number(code, x, most):
    raise ValueError(f"{x[code - 1]} at position {code - 1} is not from 0 to {most}")


@kernel(serial=True, on_error=_bad_number)
def _check_range(start, stop, x, most):
    for i in range(start, stop):
        if not 0.0 <= x[i] <= most:
            return i + 1
    return 0


@kernel(grain=32)
def _bernoulli(start, stop, p, ticket, out):
    seed, offset = ticket[0], ticket[1]
    for block in range(start, stop):
        first, second = _pair(seed, offset + np.uint64(block))
        out[2 * block] = first < p[2 * block]
        if 2 * block + 1 < out.size:
            out[2 * block + 1] = second < p[2 * block + 1]


def check_range(x, most):
    """Raise ``ValueError`` for a number that is not from 0 to ``most``, NaN included."""
    _check_range(x.size, 0, x.reshape(-1), float(most))


def bernoulli(p, ticket):
    """1 with probability p, else 0, in p's shape and type."""
    out = empty(p.shape, p.dtype)
    _bernoulli(-(-out.size // 2), out.size * _NS, p.reshape(-1), ticket, out.reshape(-1))
    return out


@register_jitable
def _poisson_by_sums(rate, share):
    """The least number that more than a share of the distribution is up to."""
    count, chance = 0.0, math.exp(-rate)
    total = chance
    while share > total and chance > 0.0:
        count += 1.0
        chance *= rate / count
        total += chance
    return count


@register_jitable
def _poisson_by_rejection(rate, seed, block):
    """Hörmann 1993: a ratio of uniform numbers, transformed."""
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    scale, most = 1.1239 + 1.1328 / (b - 3.4), 0.9277 - 3.6224 / (b - 2.0)
    attempt = np.uint64(0)
    while True:
        words = _philox_again(seed, block, attempt)
        u, v = _share(words[0], words[1]) - 0.5, _share(words[2], words[3])
        near = 0.5 - abs(u)
        count = math.floor((2.0 * a / near + b) * u + rate + 0.43)
        if near >= 0.07 and v <= most:
            return count
        if count >= 0.0 and (near >= 0.013 or v <= near):
            chance = count * math.log(rate) - rate - math.lgamma(count + 1.0)
            if math.log(v * scale / (a / (near * near) + b)) <= chance:
                return count
        attempt += np.uint64(1)


@kernel(grain=16)
def _poisson(start, stop, rates, ticket, out):
    seed, offset = ticket[0], ticket[1]
    for i in range(start, stop):
        rate, block = float(rates[i]), offset + np.uint64(i)
        if rate < 10.0:
            out[i] = _poisson_by_sums(rate, _pair(seed, block)[0])
        else:
            out[i] = _poisson_by_rejection(rate, seed, block)


def poisson(rates, ticket):
    """Counts whose means are the rates, from 0 to 2⁵³; a block each."""
    out = empty(rates.shape, rates.dtype)
    _poisson(out.size, out.size * 3.0 * _NS, rates.reshape(-1), ticket, out.reshape(-1))
    return out


# ------------------------------------------------------------------ classes


def _bad_weights(code, x, totals, n):
    row = (code - 1) // 2
    if code % 2:
        raise ValueError(f"row {row} has a weight that is negative, infinite or NaN")
    raise ValueError(f"the weights of row {row} sum to 0")


@kernel(serial=True, on_error=_bad_weights)
def _add_up(start, stop, x, totals, n):
    """totals[row, i] = Σ x[row, : i + 1], in float64."""
    for row in range(start, stop):
        total = 0.0
        for i in range(row * n, row * n + n):
            if not 0.0 <= x[i] < math.inf:
                return 2 * row + 1
            total += x[i]
            totals[i] = total
        if total == 0.0:
            return 2 * row + 2
    return 0


@kernel(grain=16)
def _choose(start, stop, totals, n, count, ticket, out):
    """out[row, k] = the first class whose total exceeds a share of that of all."""
    seed, offset = ticket[0], ticket[1]
    for item in range(start, stop):
        at = item // count * n
        share = _pair(seed, offset + np.uint64(item))[0] * totals[at + n - 1]
        low, high = 0, n - 1
        while low < high:
            middle = (low + high) // 2
            if totals[at + middle] > share:
                high = middle
            else:
                low = middle + 1
        out[item] = low


@kernel(grain=16)
def _race(start, stop, x, ticket, keys):
    """Weights over exponential numbers: the largest are a draw without repetition."""
    seed, offset = ticket[0], ticket[1]
    for i in range(start, stop):
        keys[i] = float(x[i]) / -math.log(_pair(seed, offset + np.uint64(i))[0])


def multinomial(weights, count, replacement, ticket):
    """Classes of rows of weights (rows, n), drawn ``count`` times, int64 (rows, count).

    With replacement a block is used for each draw, else one for each weight (Efraimidis &
    Spirakis 2006). Raises ``ValueError`` for weights that are no distribution.
    """
    rows, n = weights.shape
    totals = empty((rows, n), np.float64)
    _add_up(rows, 0, weights.reshape(-1), totals.reshape(-1), n)
    if replacement:
        out = empty((rows, count), np.int64)
        _choose(out.size, out.size * _NS, totals.reshape(-1), n, count, ticket, out.reshape(-1))
        return out
    _race(totals.size, totals.size * _NS, weights.reshape(-1), ticket, totals.reshape(-1))
    return top(totals, count, 1)
