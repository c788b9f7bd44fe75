"""NumPy twins of ``fastgrad.kernels.random``: the same bits."""

import math

import numpy as np

__all__ = ["draw", "dropout", "uniform"]

_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)


def draw(state, numbers):
    ticket = state.copy()
    state[1] += np.uint64(-(-numbers // 4))
    return ticket


def _philox(ticket, blocks, attempt=0):
    """(blocks, 4) uint32 in uint64: Philox4x32-10 of the blocks from the ticket's offset on."""
    seed = ticket[0]
    block = ticket[1] + np.arange(blocks, dtype=np.uint64)
    a, b = block & _LOW, block >> _HALF
    c, d = np.full_like(a, attempt), np.zeros_like(a)
    key0, key1 = seed & _LOW, seed >> _HALF
    for _ in range(10):
        p, q = a * _MULTIPLIERS[0], c * _MULTIPLIERS[1]
        a, b, c, d = (q >> _HALF) ^ b ^ key0, q & _LOW, (p >> _HALF) ^ d ^ key1, p & _LOW
        key0, key1 = (key0 + _WEYL[0]) & _LOW, (key1 + _WEYL[1]) & _LOW
    return np.stack([a, b, c, d], axis=1)


def dropout(x, p, ticket, scale=None, shift=0.0, dropped=0.0):
    numbers = _philox(ticket, -(-x.size // 4)).ravel()[: x.size].reshape(x.shape)
    keep = numbers >= np.uint64(round(p * 2.0**32))
    if scale is None:
        scale = 1 / (1 - p) if p < 1 else 0
    kept = x * x.dtype.type(scale) + x.dtype.type(shift)
    return np.where(keep, kept, x.dtype.type(dropped))


def uniform(shape, dtype, low, high, ticket):
    dtype = np.dtype(dtype)
    count = math.prod(shape)
    numbers = _philox(ticket, -(-count // 4)).ravel()[:count].reshape(shape)
    drop, bits = (9, 23) if dtype == np.float32 else (0, 32)
    share = ((numbers >> np.uint64(drop)).astype(np.float64) + 0.5) * 2.0**-bits
    return dtype.type(low) + share.astype(dtype) * dtype.type(high - low)
