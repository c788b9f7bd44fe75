"""NumPy twins of ``fastgrad.kernels.distributions``: the same numbers from the same tickets."""

import math

import numpy as np

from ._quiet import quiet
from .random import _philox

__all__ = [
    "bernoulli",
    "check_range",
    "multinomial",
    "poisson",
    "random_integers",
    "random_numbers",
]


def _words(ticket, count, attempt=0):
    """64 bits (count,), two of each block."""
    a, b, c, d = _philox(ticket, -(-count // 2), attempt).T
    half = np.uint64(32)
    return np.stack([(a << half) | b, (c << half) | d], axis=1).ravel()[:count]


def _shares(ticket, count, attempt=0):
    words = _words(ticket, count, attempt) >> np.uint64(12)
    return (words.astype(np.float64) + 0.5) * 2.0**-52


def _normals(ticket, count):
    first, second = _shares(ticket, count + count % 2).reshape(-1, 2).T
    radius, angle = np.sqrt(-2 * np.log(first)), 2 * np.pi * second
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1).ravel()[:count]


def _single_normals(ticket, count):
    """64 of 16 blocks: 16 cosines, 16 sines, and so once more."""
    words = _philox(ticket, -(-count // 64) * 16).astype(np.float64) * 2.0**-32
    a, b, c, d = words.reshape(-1, 16, 4).transpose(2, 0, 1)
    parts = []
    for size, angle in ((a, b), (c, d)):
        radius, angle = np.sqrt(-2 * np.log(size + 2.0**-33)), 2 * np.pi * (angle - 0.5)
        parts += [radius * np.cos(angle), radius * np.sin(angle)]
    return np.concatenate(parts, axis=1).ravel()[:count]


@quiet
def random_numbers(kind, shape, dtype, a, b, ticket):
    count, single = math.prod(shape), np.dtype(dtype) == np.float32
    if kind in ("normal", "log_normal"):
        out = _single_normals(ticket, count) if single else _normals(ticket, count)
        out = np.exp(a + b * out) if kind == "log_normal" else a + b * out
    else:
        shares = _shares(ticket, count)
        out = {
            "exponential": lambda: -np.log(shares) / a,
            "cauchy": lambda: a + b * np.tan(np.pi * (shares - 0.5)),
            "geometric": lambda: np.ceil(np.log(shares) / np.log1p(-a)),
        }[kind]()
    return out.astype(dtype).reshape(shape)


def random_integers(shape, low, high, ticket):
    words = _words(ticket, math.prod(shape)) % np.uint64(high - low)
    return (np.array(low, np.int64).view(np.uint64) + words).view(np.int64).reshape(shape)


def check_range(x, most):
    wrong = np.flatnonzero(~((x >= 0) & (x <= most)))
    if wrong.size:
        value = x.reshape(-1)[wrong[0]]
        raise ValueError(f"{value} at position {wrong[0]} is not from 0 to {most}")


def bernoulli(p, ticket):
    return (_shares(ticket, p.size).reshape(p.shape) < p).astype(p.dtype)


def _poisson_by_sums(rate, share):
    count, chance = 0.0, math.exp(-rate)
    total = chance
    while share > total and chance > 0.0:
        count += 1.0
        chance *= rate / count
        total += chance
    return count


def _poisson_by_rejection(rate, ticket):
    b = 0.931 + 2.53 * math.sqrt(rate)
    a = -0.059 + 0.02483 * b
    scale, most = 1.1239 + 1.1328 / (b - 3.4), 0.9277 - 3.6224 / (b - 2.0)
    attempt = 0
    while True:
        u, v = map(float, _shares(ticket, 2, attempt))
        u -= 0.5
        near = 0.5 - abs(u)
        count = math.floor((2.0 * a / near + b) * u + rate + 0.43)
        if near >= 0.07 and v <= most:
            return count
        if count >= 0.0 and (near >= 0.013 or v <= near):
            chance = count * math.log(rate) - rate - math.lgamma(count + 1.0)
            if math.log(v * scale / (a / (near * near) + b)) <= chance:
                return count
        attempt += 1


def poisson(rates, ticket):
    shares, out = _shares(ticket, 2 * rates.size)[::2], np.empty(rates.size, rates.dtype)
    for i, rate in enumerate(rates.reshape(-1).tolist()):
        if rate < 10.0:
            out[i] = _poisson_by_sums(rate, shares[i])
        else:
            own = ticket + np.array([0, i], np.uint64)
            out[i] = _poisson_by_rejection(rate, own)
    return out.reshape(rates.shape)


@quiet
def multinomial(weights, count, replacement, ticket):
    for row, weight in enumerate(weights):
        if not ((weight >= 0) & (weight < np.inf)).all():
            raise ValueError(f"row {row} has a weight that is negative, infinite or NaN")
        if not weight.any():
            raise ValueError(f"the weights of row {row} sum to 0")
    wide = weights.astype(np.float64)
    if replacement:
        totals = np.cumsum(wide, axis=1)
        shares = _shares(ticket, 2 * len(weights) * count)[::2].reshape(len(weights), count)
        places = [
            np.searchsorted(total, share * total[-1], "right")
            for total, share in zip(totals, shares, strict=True)
        ]
        return np.array(places, np.int64).reshape(len(weights), count)
    keys = wide / -np.log(_shares(ticket, 2 * weights.size)[::2].reshape(weights.shape))
    return np.argsort(-keys, axis=1, kind="stable")[:, :count]
