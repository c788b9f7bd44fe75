"""Tables of vectors, looked up by index: the gradient of a table, and its rows' norms kept small.

Rows are added in the order of the indices, a strip of columns on each thread, so that the bits do
not depend on the number of threads.
"""

import math

import numpy as np

from ._jit import kernel
from ._record import contiguous, empty
from ._simd import fma, lanes, read, splat, write
from .copy import zeros

__all__ = ["embedding_backward", "embedding_renorm", "embedding_shares"]

_STRIP = 64  # bytes of the columns that stay on one thread


@kernel(serial=True)
def _shares(start, stop, index, counts, padding, by_frequency, out):
    for i in range(counts.size if by_frequency else 0):
        counts[i] = 0
    if by_frequency:
        for i in range(start, stop):
            counts[index[i]] += 1
    for i in range(start, stop):
        share = 1.0 / counts[index[i]] if by_frequency else 1.0
        out[i] = 0.0 if index[i] == padding else share


def embedding_shares(index, rows, padding, by_frequency, dtype):
    """What the gradient at each index counts (n,): 0 where it is ``padding`` (-1 for none), else 1.

    by_frequency  1 over how often the index occurs, instead of 1
    """
    out, counts = empty(index.size, dtype), empty(rows if by_frequency else 1, np.int64)
    _shares(index.size, 0, index, counts, padding, by_frequency, out)
    return out


@kernel
def _add_rows(start, stop, grad, index, shares, out, width):
    """Strips ``start`` to ``stop`` of columns of ``out[index[i]] += shares[i] · grad[i]``."""
    lane = lanes(out)
    for i in range(index.size):
        if shares[i] != 0.0:
            share = splat(out, shares[i])
            for strip in range(start, stop):
                j = strip * lane
                count, at = min(lane, width - j), index[i] * width + j
                value = fma(read(grad, i * width + j, count), share, read(out, at, count))
                write(out, at, count, value)


def embedding_backward(grad, index, shares, rows):
    """Zeros (rows, m), and in order ``out[index[i]] += shares[i] · grad[i]`` for grad (n, m)."""
    width = grad.shape[1]
    out = zeros((rows, width), grad.dtype)
    if grad.size:
        strips = -(-width * grad.itemsize // _STRIP)
        _add_rows(strips, grad.size * 0.3, grad.ravel(), index, shares, out.ravel(), width)
    return out


@kernel(serial=True)
def _renorm(start, stop, weight, index, width, most, p):
    for i in range(start, stop):
        at, total = index[i] * width, 0.0
        for j in range(at, at + width):
            size = abs(float(weight[j]))
            if p == 2.0:
                total += size * size
            elif p == math.inf:
                total = max(total, size)
            else:
                total += size**p
        norm = total if p == math.inf else total ** (1.0 / p)
        if norm > most:
            factor = most / (norm + 1e-7)
            for j in range(at, at + width):
                weight[j] = weight[j] * factor


def embedding_renorm(weight, index, most, p):
    """Scale the rows ``index`` of weight down, in place, to a p-norm of ``most`` where above."""
    rows, width = contiguous(weight), weight.shape[1]
    _renorm(index.size, 0, rows.reshape(-1), index, width, float(most), float(p))
    if rows is not weight:
        weight[...] = rows
    return weight
