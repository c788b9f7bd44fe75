"""Rules of running reductions along an axis."""

import numpy as np

from ..backend import K
from ..lifting import op
from ..tensor import Tensor
from ._family import T, float_input
from ._pick import pair, pick
from .reduce import check_dim

__all__ = ["cummax", "cummin", "cumprod", "cumsum", "logcumsumexp"]


def _prepared(name, x, dim, dtype):
    """(x in the type asked for, axis); integers become int64."""
    axis = check_dim(name, dim, x.ndim)
    if dtype is None and x.dtype.kind != "f":
        dtype = np.int64
    return x if dtype is None else x.astype(dtype, copy=False), axis


def _running(x, run, *options):
    """``run(x, *options)``; a number is a line of one."""
    return run(x, *options) if x.ndim else run(x.reshape(1), *options).reshape(())


@op(linear=True)
def cumsum(x, *, dim, dtype=None):
    """Sums of the elements up to each along ``dim``. Integers and bools give int64.

    >>> import fastgrad as fg
    >>> fg.cumsum(fg.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([1., 3., 6.])
    """
    x, axis = _prepared("cumsum", x, dim, dtype)
    if x.dtype.kind != "f":
        return _running(x, K.scan_numbers, "add", axis, x.dtype), None
    return _running(x, K.cumsum, axis), lambda grad: _running(grad, K.cumsum, axis, True)


@op
def cumprod(x, *, dim, dtype=None):
    """Products of the elements up to each along ``dim``. Integers and bools give int64.

    The gradient is right where elements are 0, too.

    >>> import fastgrad as fg
    >>> fg.cumprod(fg.tensor([1.0, 2.0, 3.0]), dim=0)
    tensor([1., 2., 6.])
    """
    x, axis = _prepared("cumprod", x, dim, dtype)
    if x.dtype.kind != "f":
        return _running(x, K.scan_numbers, "multiply", axis, x.dtype), None
    out = _running(x, K.cumprod, axis)
    if not x.ndim:
        return out, lambda grad: K.mul(grad, K.add(K.mul(x, 0.0), 1.0))
    return out, lambda grad: K.cumprod_backward(grad, x, out, axis)


@cumprod.composed_of
def _cumprod_by_doubling(x, dim, dtype=None):
    """Each element times that before it, then times that two before, four before, and so on."""
    out = x if dtype is None else x.to(dtype)
    axis, distance = dim % max(x.ndim, 1), 1
    n = x.shape[axis] if x.ndim else 1
    place = np.arange(n).reshape((-1,) + (1,) * (x.ndim - 1 - axis))
    while distance < n:
        none = Tensor((place < distance).astype(x.dtype))
        out = out * (_shift(out, distance=distance, axis=axis) + none)
        distance *= 2
    return out


@op(name="shift", linear=True)
def _shift(x, *, distance, axis):
    return K.shift(x, distance, axis), lambda grad: K.shift(grad, -distance, axis)


@op
def logcumsumexp(x, *, dim):
    """``log Σ eˣ`` of the elements up to each along ``dim``, without overflow.

    >>> import fastgrad as fg
    >>> fg.logcumsumexp(fg.tensor([0.0, 0.0, 100.0]), dim=0)
    tensor([  0.0000,   0.6931, 100.0000])
    """
    x = float_input("logcumsumexp", x)
    axis = check_dim("logcumsumexp", dim, x.ndim)
    out = _running(x, K.logcumsumexp, axis)
    if not x.ndim:
        return out, lambda grad: K.mul(grad, K.add(K.mul(x, 0.0), 1.0))
    return out, lambda grad: K.logcumsumexp_backward(grad, x, out, axis)


@logcumsumexp.composed_of
def _logcumsumexp_by_rows(x, dim):
    """All the sums apart, of which each takes more elements than the one before."""
    if not x.ndim:
        return T.clone(x)
    axis = dim % x.ndim
    n = x.shape[axis]
    later = np.triu(np.ones((n, n), np.bool_), 1)  # [sum, element]
    later = Tensor(later.reshape(n, n, *[1] * (x.ndim - 1 - axis)))
    rows = x.reshape(*x.shape[:axis], 1, *x.shape[axis:])
    return T.logsumexp(T.where(later, -np.inf, rows), axis + 1)


# ------------------------------------------------------------------ extremes

_Cummax, _Cummin = pair("cummax"), pair("cummin")


@op(name="running_position")
def _position(x, *, axis, name):
    return _running(x, lambda x: getattr(K, name)(x, axis)[1]), None


def _running_extreme(name, result, x, dim):
    axis = check_dim(name, dim, x.ndim)
    indices = _position(x, axis=axis, name=name)
    return result(pick(x, indices, axis), indices)


def cummax(x, dim):
    """(values, indices) of the largest elements so far along ``dim``; of equal ones the last.

    Gradients flow to the elements at the indices.

    >>> import fastgrad as fg
    >>> fg.cummax(fg.tensor([1.0, 3.0, 2.0]), dim=0).values
    tensor([1., 3., 3.])
    """
    return _running_extreme("cummax", _Cummax, x, dim)


def cummin(x, dim):
    """(values, indices) of the smallest elements so far along ``dim``; of equal ones the last.

    Gradients flow to the elements at the indices.

    >>> import fastgrad as fg
    >>> fg.cummin(fg.tensor([3.0, 1.0, 2.0]), dim=0).indices
    tensor([0, 1, 1])
    """
    return _running_extreme("cummin", _Cummin, x, dim)
