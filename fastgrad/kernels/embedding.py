"""Tables of vectors, looked up by index: the gradient of a table, and its rows' norms kept small.

Rows are added in the order of the indices, see ``index.add_rows``.
"""

import math

import numpy as np

from ._jit import kernel
from ._record import contiguous, empty
from .copy import zeros
from .index import add_shares

__all__ = ["embedding_backward", "embedding_renorm", "embedding_shares"]


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


def embedding_backward(grad, index, shares, rows):
    """Zeros (rows, m), and in order ``out[index[i]] += shares[i] · grad[i]`` for grad (n, m)."""
    out = zeros((rows, grad.shape[1]), grad.dtype)
    add_shares(out, index, contiguous(grad), shares)
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
