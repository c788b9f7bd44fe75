"""Rules of rounding."""

from ..backend import K
from ..lifting import op
from ._family import T, unary

__all__ = ["ceil", "floor", "frac", "round", "trunc"]


@unary(integers=True)
def floor(m, grad):
    """The largest whole number not above x. Its gradient is 0.

    >>> import fastgrad as fg
    >>> fg.floor(fg.tensor([1.5, -1.5]))
    tensor([ 1., -2.])
    """
    return m.zeros_like(grad)


@unary(integers=True)
def ceil(m, grad):
    """The smallest whole number not below x. Its gradient is 0.

    >>> import fastgrad as fg
    >>> fg.ceil(fg.tensor([1.5, -1.5]))
    tensor([ 2., -1.])
    """
    return m.zeros_like(grad)


@unary(integers=True)
def trunc(m, grad):
    """x without its fraction. Its gradient is 0.

    >>> import fastgrad as fg
    >>> fg.trunc(fg.tensor([1.5, -1.5]))
    tensor([ 1., -1.])
    """
    return m.zeros_like(grad)


@op
def round(x, *, decimals=0):
    """The nearest number with so many decimals; of two, the even one. Its gradient is 0.

    >>> import fastgrad as fg
    >>> fg.round(fg.tensor([0.5, 1.5, -1.7]))
    tensor([ 0.,  2., -2.])
    >>> fg.round(fg.tensor([1.2345]), decimals=2)
    tensor([1.2300])
    """
    if x.dtype.kind != "f":
        return x.copy(), None
    scale = 10.0 ** (decimals if decimals > 0 else -decimals)
    if not decimals:
        out = K.round(x)
    elif decimals > 0:
        out = K.div(K.round(K.mul(x, scale)), scale)
    else:
        out = K.mul(K.round(K.div(x, scale)), scale)
    return out, lambda grad: K.zeros_like(grad)


round.differentiable(lambda grad: T.zeros_like(grad))


def frac(x):
    """The fraction of x, with its sign.

    >>> import fastgrad as fg
    >>> fg.frac(fg.tensor([1.5, -1.5]))
    tensor([ 0.5000, -0.5000])
    """
    return T.sub(x, trunc(x))
