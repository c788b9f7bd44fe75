"""Rules of comparison, logic and choice. Operands broadcast."""

import math

import numpy as np

from ..backend import K
from ..lifting import op
from ..tape import as_array
from ..tensor import Tensor
from ._family import T, same_type

__all__ = [
    "allclose", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "eq", "equal", "ge",
    "gt", "isclose", "isfinite", "isin", "isinf", "isnan", "isneginf", "isposinf", "isreal", "le",
    "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "masked_fill", "ne", "signbit",
    "where",
]  # fmt: skip


def _family(name, text, example, result, operands=2, common=True):
    """An operation that gives bools, or integers, and has no gradient."""

    def one(x):
        return getattr(K, name)(x), None

    def two(a, b):
        a, b = same_type(a, b) if common else (a, b)
        try:
            return getattr(K, name)(a, b), None
        except ValueError:
            shapes = f"{np.shape(a)} and {np.shape(b)}"
            raise ValueError(f"{name}: cannot combine operands of shapes {shapes}") from None

    rule = one if operands == 1 else two
    rule.__doc__ = f"""{text}

    >>> import fastgrad as fg
    >>> fg.{name}({example})
    tensor({result})
    """
    return op(rule, name=name)


_PAIR = "fg.tensor([1.0, 2.0, 3.0]), 2"
eq = _family("eq", "``a = b``", _PAIR, "[False,  True, False]")
ne = _family("ne", "``a ≠ b``", _PAIR, "[ True, False,  True]")
lt = _family("lt", "``a < b``", _PAIR, "[ True, False, False]")
le = _family("le", "``a ≤ b``", _PAIR, "[ True,  True, False]")
gt = _family("gt", "``a > b``", _PAIR, "[False, False,  True]")
ge = _family("ge", "``a ≥ b``", _PAIR, "[False,  True,  True]")

_TRUTH = "fg.tensor([1.0, 1.0, 0.0]), fg.tensor([1.0, 0.0, 0.0])"
logical_and = _family(
    "logical_and", "Whether both are not 0.", _TRUTH, "[ True, False, False]", common=False
)
logical_or = _family(
    "logical_or", "Whether one is not 0.", _TRUTH, "[ True,  True, False]", common=False
)
logical_xor = _family(
    "logical_xor", "Whether just one is not 0.", _TRUTH, "[False,  True, False]", common=False
)
logical_not = _family(
    "logical_not", "Whether x is 0.", "fg.tensor([1.0, 0.0])", "[False,  True]", operands=1
)

_BITS = "fg.tensor([1, 2, 3]), 3"
bitwise_and = _family("bitwise_and", "And, bit by bit, of integers or bools.", _BITS, "[1, 2, 3]")
bitwise_or = _family("bitwise_or", "Or, bit by bit, of integers or bools.", _BITS, "[3, 3, 3]")
bitwise_xor = _family(
    "bitwise_xor", "Exclusive or, bit by bit, of integers or bools.", _BITS, "[2, 1, 0]"
)
bitwise_not = _family(
    "bitwise_not", "Every bit of integers or bools turned.", "fg.tensor([0, 1])", "[-1, -2]",
    operands=1,
)  # fmt: skip

_ODD = 'fg.tensor([1.0, float("inf"), float("nan")])'
isnan = _family("isnan", "Whether x is NaN.", _ODD, "[False, False,  True]", operands=1)
isinf = _family("isinf", "Whether x is infinite.", _ODD, "[False,  True, False]", operands=1)
isfinite = _family(
    "isfinite", "Whether x is neither infinite nor NaN.", _ODD, "[ True, False, False]", operands=1
)


def isposinf(x):
    """Whether x is ∞.

    >>> import fastgrad as fg
    >>> fg.isposinf(fg.tensor([float("-inf"), float("inf")]))
    tensor([False,  True])
    """
    return eq(x, math.inf)


def isneginf(x):
    """Whether x is -∞.

    >>> import fastgrad as fg
    >>> fg.isneginf(fg.tensor([float("-inf"), float("inf")]))
    tensor([ True, False])
    """
    return eq(x, -math.inf)


def isreal(x):
    """True everywhere: complex numbers there are none.

    >>> import fastgrad as fg
    >>> fg.isreal(fg.tensor([1.0, 2.0]))
    tensor([True, True])
    """
    return T.logical_or(eq(x, x), True)


@op
def signbit(x):
    """Whether x has a minus, as -0.0 has, too.

    >>> import fastgrad as fg
    >>> fg.signbit(fg.tensor([1.0, -0.0, -2.0]))
    tensor([False,  True,  True])
    """
    return K.lt(x, 0) if x.dtype.kind != "f" else K.signbit(x), None


@op
def isin(elements, test_elements, *, assume_unique=False, invert=False):
    """Whether each of ``elements`` is among ``test_elements``; ``invert``: whether it is not.

    ``assume_unique`` is accepted, and makes no difference.

    >>> import fastgrad as fg
    >>> fg.isin(fg.tensor([1, 2, 3]), fg.tensor([3, 1]))
    tensor([ True, False,  True])
    """
    out = K.isin(*(np.asanyarray(x) for x in (elements, test_elements)))
    return K.logical_not(out) if invert else out, None


def isclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    """``|a - b| ≤ atol + rtol · |b|``, elementwise.

    >>> import fastgrad as fg
    >>> fg.isclose(fg.tensor([1.0, 2.0]), fg.tensor([1.000001, 2.1]))
    tensor([ True, False])
    """
    near = eq(a, b) | (T.le(T.abs(T.sub(a, b)), T.add(T.mul(T.abs(b), rtol), atol)) & isfinite(b))
    return near | (isnan(a) & isnan(b)) if equal_nan else near


def allclose(a, b, rtol=1e-5, atol=1e-8, equal_nan=False):
    """Whether ``isclose`` holds everywhere, a Python bool.

    >>> import fastgrad as fg
    >>> fg.allclose(fg.tensor([1.0, 2.0]), fg.tensor([1.0, 2.1]))
    False
    """
    return bool(isclose(a, b, rtol, atol, equal_nan).all())


def equal(a, b):
    """Whether two tensors have the same shape and the same elements, a Python bool.

    >>> import fastgrad as fg
    >>> fg.equal(fg.tensor([1.0, 2.0]), fg.tensor([1.0, 2.0]))
    True
    """
    return a.shape == b.shape and bool(eq(a, b).all())


@op
def _where(condition, a, b):
    condition = as_array(condition)
    if condition.dtype != np.bool_:
        raise TypeError(f"where: expected a condition of bools, got {condition.dtype}")
    a, b = same_type(a, b)
    try:
        out = K.where(condition, a, b)
    except ValueError:
        shapes = ", ".join(str(np.shape(x)) for x in (condition, a, b))
        raise ValueError(f"where: cannot combine operands of shapes {shapes}") from None
    return out, (
        None,
        lambda grad: K.where(condition, grad, 0.0),
        lambda grad: K.where(condition, 0.0, grad),
    )


_where.differentiable(
    None,
    lambda grad, condition: _where(condition, grad, 0.0),
    lambda grad, condition: _where(condition, 0.0, grad),
)


def where(condition, a=None, b=None):
    """``a`` where the bools ``condition`` hold, else ``b``; with one argument, see ``nonzero``.

    >>> import fastgrad as fg
    >>> x = fg.tensor([1.0, -2.0])
    >>> fg.where(x > 0, x, 0.0)
    tensor([1., 0.])
    """
    if a is None and b is None:
        return T.nonzero(condition, as_tuple=True)
    return _where(condition, a, b)


def masked_fill(x, mask, value):
    """``value`` where the bools ``mask`` hold, else ``x``, in x's type.

    >>> import fastgrad as fg
    >>> fg.masked_fill(fg.tensor([1.0, 2.0]), fg.tensor([True, False]), 9.0)
    tensor([9., 2.])
    """
    if isinstance(value, Tensor):
        if value.ndim:
            raise ValueError(f"masked_fill: expected a number as value, got shape {value.shape}")
        value = value.to(x.dtype)
    return _where(mask, value, x).to(x.dtype)
