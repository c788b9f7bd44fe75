"""Random numbers from a counter: Philox4x32-10 (Salmon, Moraes, Dror & Shaw, SC 2011).

The i-th block of four numbers is a function of (seed, offset + i) and of nothing else, so that
the bits do not depend on the number of threads, and a backward pass draws its forward's mask
again instead of storing it.

A state is a uint64 array (seed, offset); a ticket is the state from before a draw.
"""

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel
from ._pool import count
from ._record import empty

__all__ = ["draw", "dropout"]

_ROUNDS = 10
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


@register_jitable
def _philox(seed, block):
    """Four uint32 (held in uint64) for a block."""
    m0, m1 = _MULTIPLIERS
    a, b = block & _LOW, block >> _HALF
    c, d = np.uint64(0), np.uint64(0)
    key0, key1 = seed & _LOW, seed >> _HALF
    for _ in range(_ROUNDS):
        p, q = a * m0, c * m1
        a, b, c, d = (q >> _HALF) ^ b ^ key0, q & _LOW, (p >> _HALF) ^ d ^ key1, p & _LOW
        key0, key1 = (key0 + _WEYL[0]) & _LOW, (key1 + _WEYL[1]) & _LOW
    return a, b, c, d


@kernel(serial=True)
def _draw(start, stop, state, ticket, blocks):
    ticket[0] = state[0]
    ticket[1] = count(state.ctypes.data, 1, blocks)  # no other Python thread gets the same


def draw(state, numbers):
    """Reserve that many ``numbers``: returns their ticket, and moves the state past them."""
    ticket = empty(2, np.uint64)
    _draw(1, 0, state, ticket, -(-numbers // 4))
    return ticket


@kernel(grain=16)
def _dropout(start, stop, x, threshold, scale, ticket, out):
    """Blocks ``start`` to ``stop`` of four elements: ``x · scale`` where the number is kept."""
    seed, offset = ticket[0], ticket[1]
    n = x.size
    factor = x.dtype.type(scale)
    zero = x.dtype.type(0)
    for block in range(start, stop):
        a, b, c, d = _philox(seed, offset + np.uint64(block))
        i = 4 * block
        if i + 4 <= n:
            out[i] = x[i] * factor if a >= threshold else zero
            out[i + 1] = x[i + 1] * factor if b >= threshold else zero
            out[i + 2] = x[i + 2] * factor if c >= threshold else zero
            out[i + 3] = x[i + 3] * factor if d >= threshold else zero
        else:
            out[i] = x[i] * factor if a >= threshold else zero
            if i + 1 < n:
                out[i + 1] = x[i + 1] * factor if b >= threshold else zero
            if i + 2 < n:
                out[i + 2] = x[i + 2] * factor if c >= threshold else zero


def dropout(x, p, ticket):
    """``x / (1 - p)`` with probability ``1 - p``, else 0. With one ticket, its own backward."""
    out = empty(x.shape, x.dtype)
    threshold = np.uint64(round(p * 2.0**32))
    scale = 1.0 / (1.0 - p) if p < 1.0 else 0.0
    _dropout(-(-x.size // 4), x.size * 2.0, x.ravel(), threshold, scale, ticket, out.ravel())
    return out
