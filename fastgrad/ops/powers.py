"""Rules of signs, squares, roots and reciprocals."""

import numpy as np

from ._family import unary

__all__ = ["abs", "neg", "reciprocal", "rsqrt", "sign", "sqrt", "square"]


@unary(integers=True, bools=None)
def neg(m, grad):
    """``-x``

    >>> import fastgrad as fg
    >>> fg.neg(fg.tensor([1.0, -2.0]))
    tensor([-1.,  2.])
    """
    return m.neg(grad)


@unary(integers=True)
def abs(m, grad, x):
    """``|x|``. Its gradient at 0 is 0.

    >>> import fastgrad as fg
    >>> fg.abs(fg.tensor([1.0, -2.0]))
    tensor([1., 2.])
    """
    return m.mul(grad, m.sign(x))


@unary(integers=True, bools=np.int64)
def square(m, grad, x):
    """``x²``

    >>> import fastgrad as fg
    >>> fg.square(fg.tensor([1.0, -2.0]))
    tensor([1., 4.])
    """
    return m.mul(grad, m.add(x, x))


@unary
def reciprocal(m, grad, out):
    """``1 / x``

    >>> import fastgrad as fg
    >>> fg.reciprocal(fg.tensor([1.0, -2.0]))
    tensor([ 1.0000, -0.5000])
    """
    return m.neg(m.mul(grad, m.square(out)))


@unary
def sqrt(m, grad, out):
    """``√x``, correctly rounded; NaN below 0.

    >>> import fastgrad as fg
    >>> fg.sqrt(fg.tensor([4.0, 2.0]))
    tensor([2.0000, 1.4142])
    """
    return m.div(grad, m.add(out, out))


@unary
def rsqrt(m, grad, out):
    """``1 / √x``; NaN below 0.

    >>> import fastgrad as fg
    >>> fg.rsqrt(fg.tensor([4.0, 16.0]))
    tensor([0.5000, 0.2500])
    """
    return m.mul(m.mul(grad, -0.5), m.mul(out, m.square(out)))


@unary(integers=True)
def sign(m, grad):
    """-1, 0 or 1. Its gradient is 0.

    >>> import fastgrad as fg
    >>> fg.sign(fg.tensor([4.0, -0.5, 0.0]))
    tensor([ 1., -1.,  0.])
    """
    return m.zeros_like(grad)
