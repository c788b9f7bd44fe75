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

__all__ = ["draw", "dropout", "uniform"]

_ROUNDS = 10
_MULTIPLIERS = np.uint64(0xD2511F53), np.uint64(0xCD9E8D57)
_WEYL = np.uint64(0x9E3779B9), np.uint64(0xBB67AE85)
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)


@register_jitable
def _philox(seed, block):
    """Four uint32 (held in uint64) for a block."""
    return _philox_again(seed, block, np.uint64(0))


@register_jitable
def _philox_again(seed, block, attempt):
    """Four more for each attempt."""
    m0, m1 = _MULTIPLIERS
    a, b = block & _LOW, block >> _HALF
    c, d = attempt & _LOW, attempt >> _HALF
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
def _dropout(start, stop, x, threshold, scale, shift, dropped, ticket, out):
    """Blocks ``start`` to ``stop`` of four elements: ``x · scale + shift`` where one is kept."""
    seed, offset = ticket[0], ticket[1]
    n = x.size
    factor, more = x.dtype.type(scale), x.dtype.type(shift)
    other = x.dtype.type(dropped)
    for block in range(start, stop):
        a, b, c, d = _philox(seed, offset + np.uint64(block))
        i = 4 * block
        if i + 4 <= n:
            out[i] = x[i] * factor + more if a >= threshold else other
            out[i + 1] = x[i + 1] * factor + more if b >= threshold else other
            out[i + 2] = x[i + 2] * factor + more if c >= threshold else other
            out[i + 3] = x[i + 3] * factor + more if d >= threshold else other
        else:
            out[i] = x[i] * factor + more if a >= threshold else other
            if i + 1 < n:
                out[i + 1] = x[i + 1] * factor + more if b >= threshold else other
            if i + 2 < n:
                out[i + 2] = x[i + 2] * factor + more if c >= threshold else other


def dropout(x, p, ticket, scale=None, shift=0.0, dropped=0.0):
    """``x · scale + shift`` with probability ``1 - p``, else ``dropped``.

    scale is ``1 / (1 - p)`` by default. With one ticket, and no shift, it is its own backward.
    """
    out = empty(x.shape, x.dtype)
    threshold = np.uint64(round(p * 2.0**32))
    if scale is None:
        scale = 1.0 / (1.0 - p) if p < 1.0 else 0.0
    numbers = float(scale), float(shift), float(dropped)
    _dropout(-(-x.size // 4), x.size * 2.0, x.ravel(), threshold, *numbers, ticket, out.ravel())
    return out


@kernel(grain=16)
def _uniform(start, stop, low, size, single, ticket, out):
    """Blocks ``start`` to ``stop`` of four numbers, whole multiples of a power of 2 and a half."""
    seed, offset = ticket[0], ticket[1]
    drop = np.uint64(9 if single else 0)  # bits: what is left, and the half, is exact in the type
    unit = 2.0**-23 if single else 2.0**-32
    kind = out.dtype.type
    factor, first = kind(size), kind(low)
    for block in range(start, stop):
        numbers = _philox(seed, offset + np.uint64(block))
        for k in range(min(4, out.size - 4 * block)):
            share = (np.float64(numbers[k] >> drop) + 0.5) * unit
            out[4 * block + k] = first + kind(share) * factor


def uniform(shape, dtype, low, high, ticket):
    """Numbers between ``low`` and ``high``; of 0 and 1, never these themselves."""
    out = empty(shape, dtype)
    single = out.dtype == np.float32
    _uniform(
        -(-out.size // 4),
        out.size * 2.0,
        float(low),
        float(high) - float(low),
        single,
        ticket,
        out.ravel(),
    )
    return out
