"""Comparison, logic and choice as kernels; see ``arithmetic`` for what they take."""

import numpy as np

from ._record import call_numpy
from ._simd import if_equal, literal
from ._ufunc import borrowed, elementwise

__all__ = [
    "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "eq", "ge", "gt", "isfinite",
    "isinf", "isnan", "le", "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "ne",
    "where",
]  # fmt: skip


@borrowed(np.equal, cost=0.1)
def eq(a, b):
    """``a = b``"""


@borrowed(np.not_equal, cost=0.1)
def ne(a, b):
    """``a ≠ b``"""


@borrowed(np.less, cost=0.1)
def lt(a, b):
    """``a < b``"""


@borrowed(np.less_equal, cost=0.1)
def le(a, b):
    """``a ≤ b``"""


@borrowed(np.greater, cost=0.1)
def gt(a, b):
    """``a > b``"""


@borrowed(np.greater_equal, cost=0.1)
def ge(a, b):
    """``a ≥ b``"""


@borrowed(np.logical_and, cost=0.1)
def logical_and(a, b):
    """Whether both are not 0."""


@borrowed(np.logical_or, cost=0.1)
def logical_or(a, b):
    """Whether one is not 0."""


@borrowed(np.logical_xor, cost=0.1)
def logical_xor(a, b):
    """Whether just one is not 0."""


@borrowed(np.logical_not, cost=0.1)
def logical_not(x):
    """Whether it is 0."""


@borrowed(np.bitwise_and, cost=0.1)
def bitwise_and(a, b):
    """And, bit by bit."""


@borrowed(np.bitwise_or, cost=0.1)
def bitwise_or(a, b):
    """Or, bit by bit."""


@borrowed(np.bitwise_xor, cost=0.1)
def bitwise_xor(a, b):
    """Exclusive or, bit by bit."""


@borrowed(np.invert, cost=0.1)
def bitwise_not(x):
    """Every bit turned."""


@borrowed(np.isnan, cost=0.1)
def isnan(x):
    """Whether it is NaN."""


@borrowed(np.isinf, cost=0.1)
def isinf(x):
    """Whether it is infinite."""


@borrowed(np.isfinite, cost=0.1)
def isfinite(x):
    """Whether it is neither."""


@elementwise(cost=0.15, flags=True)
def _choose(condition, a, b):
    """``a`` where the condition holds, else ``b``."""
    return if_equal(condition, literal(a, 0.0), b, a)


def where(condition, a, b):
    """``a`` where the bools ``condition`` hold, else ``b``; these broadcast."""
    if np.result_type(a, b).kind == "f":
        return _choose.ufunc(condition, a, b)
    return call_numpy(np.where, condition, a, b)
