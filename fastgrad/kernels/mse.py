"""Kernels of the squared error."""

from ._ufunc import elementwise

__all__ = ["scaled_difference", "squared_difference"]


@elementwise(cost=0.1)
def squared_difference(a, b):
    """``(a - b)²``"""
    d = a - b
    return d * d


@elementwise(cost=0.1)
def scaled_difference(a, b, factor):
    """``(a - b) · factor``"""
    return (a - b) * factor
