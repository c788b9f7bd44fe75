"""Rules of elements picked, set and added by their index along an axis."""

import numpy as np

from ..backend import K
from ..lifting import op
from ..tensor import Tensor
from ._family import T
from .index import index_array, run_indexed
from .reduce import check_dim

__all__ = ["gather", "scatter", "scatter_add", "scatter_reduce", "take_along_dim"]


def _check_gather(name, shape, axis, index):
    if index.ndim != len(shape) or any(
        n > shape[k] for k, n in enumerate(index.shape) if k != axis
    ):
        raise ValueError(f"{name}: index {index.shape} does not fit shape {shape} along dim {axis}")


@op(name="gather", linear=True)
def _gather(x, *, axis, index):
    shape = x.shape
    return (
        run_indexed("gather", K.gather, x, index, axis),
        lambda grad: K.gather_backward(grad, index, shape, axis),
    )


def gather(x, dim, index):
    """``out[i, j] = x[index[i, j], j]`` for dim 0, and likewise along other axes.

    index has as many axes as x, and sizes not above x's but along ``dim``.

    Raises ``IndexError`` for an index out of range.

    >>> import fastgrad as fg
    >>> fg.gather(fg.tensor([[1.0, 2.0], [3.0, 4.0]]), 1, fg.tensor([[1], [0]]))
    tensor([[2.],
            [3.]])
    """
    axis, index = check_dim("gather", dim, x.ndim), index_array("gather", index)
    if not x.ndim:
        return T.reshape(gather(T.reshape(x, (1,)), 0, index.reshape(-1)), index.shape)
    if not index.size:
        return T.reshape(T.narrow(T.ravel(x), 0, 0, 0), index.shape)
    _check_gather("gather", x.shape, axis, index)
    return _gather(x, axis=axis, index=index)


@op(name="scatter")
def _scatter(x, src, *, axis, index):
    shape = np.shape(src)

    def without(grad):
        return K.scatter(grad, index, np.zeros((), grad.dtype), axis)

    return run_indexed("scatter", K.scatter, x, index, src, axis), (
        without,
        lambda grad: _of_source(grad, index, axis, shape),
    )


def _of_source(grad, index, axis, shape):
    """What a scatter took from its source, an array of ``shape`` at least as large as index."""
    part = K.gather(grad, index, axis)
    if part.shape == shape or not shape:
        return part
    whole = K.zeros(shape, grad.dtype)
    whole[tuple(slice(0, n) for n in part.shape)] = part
    return whole


_scatter.differentiable(
    lambda grad, axis, index: _scatter(grad, 0.0, axis=axis, index=index),
    lambda grad, axis, index, shape: _fitted(_gather(grad, axis=axis, index=index), shape),
)


@op(name="scatter_add")
def _scatter_add(x, src, *, axis, index):
    shape = src.shape
    return run_indexed("scatter_add", K.scatter_add, x, index, src, axis), (
        lambda grad: grad,
        lambda grad: _of_source(grad, index, axis, shape),
    )


_scatter_add.differentiable(
    lambda grad: grad,
    lambda grad, axis, index, shape: _fitted(_gather(grad, axis=axis, index=index), shape),
)


def _fitted(part, shape):
    """A tensor with zeros behind, up to a shape."""
    if part.shape == shape or not shape:
        return part
    pads = [size for n, whole in zip(part.shape, shape, strict=True) for size in (whole - n, 0)]
    return T.pad(part, pads[::-1])


def scatter(x, dim, index, src=None, value=None, *, reduce=None):
    """A copy of x with ``out[index[i, j], j] = src[i, j]`` for dim 0, likewise along other axes.

    src      a tensor at least as large as index, or a number (also given as ``value``)
    reduce   "add" adds instead, as ``scatter_add`` does

    >>> import fastgrad as fg
    >>> fg.scatter(fg.zeros(2, 2), 1, fg.tensor([[1], [0]]), 5.0)
    tensor([[0., 5.],
            [5., 0.]])
    """
    src = value if src is None else src
    axis, index = check_dim("scatter", dim, x.ndim), index_array("scatter", index)
    if reduce == "add":
        src = src if isinstance(src, Tensor) else Tensor(np.full(index.shape, src, x.dtype))
        return scatter_add(x, dim, index, src)
    if reduce is not None:
        raise ValueError(f"scatter: unknown reduce {reduce!r}; expected None or 'add'")
    _check_scatter("scatter", x, src, axis, index)
    return _scatter(x, src, axis=axis, index=index)


def scatter_add(x, dim, index, src):
    """A copy of x with ``out[index[i, j], j] += src[i, j]`` for dim 0, likewise elsewhere.

    >>> import fastgrad as fg
    >>> fg.scatter_add(fg.zeros(3), 0, fg.tensor([1, 1]), fg.tensor([2.0, 3.0]))
    tensor([0., 5., 0.])
    """
    axis, index = check_dim("scatter_add", dim, x.ndim), index_array("scatter_add", index)
    _check_scatter("scatter_add", x, src, axis, index)
    return _scatter_add(x, src, axis=axis, index=index)


def _check_scatter(name, x, src, axis, index):
    if not index.size:
        return
    _check_gather(name, x.shape, axis, index)
    if isinstance(src, Tensor) and src.ndim:
        if src.dtype != x.dtype:
            raise TypeError(f"{name}: src is {src.dtype}, x is {x.dtype}")
        if src.ndim != index.ndim or any(
            a > b for a, b in zip(index.shape, src.shape, strict=True)
        ):
            raise ValueError(f"{name}: src {src.shape} is smaller than index {index.shape}")


def take_along_dim(x, indices, dim=None):
    """``gather`` for an index that broadcasts against x but along ``dim``; None flattens both.

    >>> import fastgrad as fg
    >>> x = fg.tensor([[3.0, 1.0, 2.0]])
    >>> fg.take_along_dim(x, x.argsort(dim=1), dim=1)
    tensor([[1., 2., 3.]])
    """
    if dim is None:
        return gather(T.ravel(x), 0, T.ravel(indices))
    axis = check_dim("take_along_dim", dim, x.ndim)
    if indices.ndim != x.ndim:
        raise ValueError(f"take_along_dim: indices {indices.shape} do not fit {x.shape}")
    rest = [shape[:axis] + shape[axis + 1 :] for shape in (x.shape, indices.shape)]
    common = np.broadcast_shapes(*rest)
    indices = T.where(indices < 0, indices + x.shape[axis], indices)
    x, indices = (
        T.broadcast_to(t, (*common[:axis], t.shape[axis], *common[axis:])) for t in (x, indices)
    )
    return gather(x, axis, indices)


def scatter_reduce(x, dim, index, src, reduce, *, include_self=True):
    """A copy of x in which ``src[i, j]`` is reduced into ``out[index[i, j], j]``, for dim 0.

    reduce         "sum", "prod", "mean", "amax" or "amin"
    include_self   whether what x has there counts, too

    Equal extremes share the gradient equally.

    >>> import fastgrad as fg
    >>> fg.scatter_reduce(fg.ones(2), 0, fg.tensor([0, 0]), fg.tensor([2.0, 3.0]), "sum")
    tensor([6., 1.])
    """
    if reduce not in _REDUCTIONS:
        raise ValueError(f"scatter_reduce: unknown reduce {reduce!r}; one of {[*_REDUCTIONS]}")
    if src.dtype != x.dtype:
        raise TypeError(f"scatter_reduce: src is {src.dtype}, x is {x.dtype}")
    axis = check_dim("scatter_reduce", dim, x.ndim)
    if not x.ndim:
        parts = (T.reshape(y, (1,)) for y in (x, index, src))
        x, index, src = parts
        out = scatter_reduce(x, 0, index, src, reduce, include_self=include_self)
        return T.reshape(out, ())
    array = index_array("scatter_reduce", index)
    if not array.size:
        return T.clone(x)
    _check_gather("scatter_reduce", x.shape, axis, array)
    if src.shape != array.shape:
        src = src[tuple(slice(0, n) for n in array.shape)]
    if not include_self:
        x = scatter(x, axis, index, _nothing(reduce, x.dtype))
    if reduce == "sum":
        return scatter_add(x, axis, index, src)
    if reduce == "mean":
        ones = Tensor(np.ones(src.shape, x.dtype))
        count = Tensor(np.full(x.shape, int(include_self), x.dtype))
        count = scatter_add(count, axis, index, ones)
        mode = None if x.dtype.kind == "f" else "floor"
        total = scatter_add(x, axis, index, src)
        return T.div(total, T.clamp(count, min=1), rounding_mode=mode).to(x.dtype)
    return _reduce_to(x, src, axis=axis, index=array, ufunc=_REDUCTIONS[reduce])


_REDUCTIONS = {"sum": None, "mean": None, "prod": "multiply", "amax": "maximum", "amin": "minimum"}


def _nothing(reduce, dtype):
    """The number that makes no difference to a reduction."""
    if reduce in ("sum", "mean", "prod"):
        return int(reduce == "prod")
    if dtype.kind == "b":
        return reduce == "amin"
    if dtype.kind == "f":
        return -np.inf if reduce == "amax" else np.inf
    return getattr(np.iinfo(dtype), "min" if reduce == "amax" else "max")


@op(name="scatter_reduce")
def _reduce_to(x, src, *, axis, index, ufunc):
    out = run_indexed("scatter_reduce", K.scatter_reduce, x, index, src, axis, ufunc)

    def vjp(grad, needs):
        return _shares(K, grad, x, src, out, index, axis, ufunc)

    return out, vjp


_reduce_to.differentiable(
    lambda grad, x, src, out, index, axis, ufunc: _shares(T, grad, x, src, out, index, axis, ufunc)
)


def _shares(m, grad, x, src, out, index, axis, ufunc):
    """The gradients of x and src."""

    def taken(y):
        return _gather(y, axis=axis, index=index) if m is T else K.gather(y, index, axis)

    def counted(of_x, of_src):
        if m is T:
            numbers = of_x.to(x.dtype), of_src.to(x.dtype)
            return _scatter_add(*numbers, axis=axis, index=index)
        return K.scatter_add(of_x.astype(x.dtype), index, of_src.astype(x.dtype), axis)

    if ufunc != "multiply":
        of_x, of_src = m.eq(x, out), m.eq(src, taken(out))
        share = m.div(grad, counted(of_x, of_src))
        return m.where(of_x, share, 0.0), m.where(of_src, taken(share), 0.0)
    # the product of the others: where one element is 0, that of all but it
    zero_x, zero_src = m.eq(x, 0.0), m.eq(src, 0.0)
    factors = m.where(zero_x, 1.0, x), m.where(zero_src, 1.0, src)
    if m is T:
        rest = _reduce_to(*factors, axis=axis, index=index, ufunc=ufunc)
    else:
        rest = K.scatter_reduce(factors[0], index, factors[1], axis, ufunc)
    zeros = counted(zero_x, zero_src)
    none, one = (m.where(m.eq(zeros, k), m.mul(grad, rest), 0.0) for k in (0.0, 1.0))
    return (
        m.where(zero_x, one, m.div(none, factors[0])),
        m.where(zero_src, taken(one), m.div(taken(none), factors[1])),
    )
