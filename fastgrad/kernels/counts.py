"""Which elements occur among others, and how many lie between given edges: by NumPy."""

import numpy as np

from ._record import call_numpy

__all__ = ["histogram", "isin"]


def isin(x, among):
    """Whether each element of x is one of those of ``among``."""
    return call_numpy(lambda x, among: np.asarray(np.isin(x, among)), x, among)


def histogram(x, weights, edges):
    """The weights of the elements from each edge on up to the next, the last edge included."""
    return call_numpy(_histogram, *(y for y in (x, weights, edges) if y is not None))


def _histogram(x, *rest):
    *weights, edges = rest
    x, last = x.reshape(-1), len(edges) - 1
    place = np.searchsorted(edges, x, "right") - 1
    place[x == edges[-1]] = last - 1
    inside = (place >= 0) & (place < last)  # a NaN goes behind the last edge
    weights = weights[0].reshape(-1)[inside] if weights else None
    return np.bincount(place[inside], weights, last).astype(edges.dtype)
