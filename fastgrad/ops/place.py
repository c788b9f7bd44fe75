"""Rules of copies with other values in some places."""

import numpy as np

from ..backend import K
from ..lifting import op
from ..tensor import Tensor
from ._family import T
from .index import (
    _check_gather,
    _gather,
    _index,
    _item,
    _run,
    _scatter_add,
    parse_key,
    scatter,
    scatter_add,
)
from .index import put as put_at
from .reduce import check_dim

__all__ = [
    "diagonal_scatter", "index_put", "masked_scatter", "put", "scatter_reduce", "select_scatter",
    "slice_scatter",
]  # fmt: skip


# ------------------------------------------------------------------ by keys


@op(name="index_put")
def _add_at(x, value, *, key, indices):
    out = K.copy(x)
    view = out[key.first] if key.first else out
    _run("index_put", K.add_at, view, key, value, *indices)

    def of_value(grad):
        grad = grad[key.first] if key.first else grad
        return K.take(grad, key, *indices)

    return out, (lambda grad: grad, of_value)


_add_at.differentiable(
    lambda grad: grad, lambda grad, key, indices: _item(grad, key=key, indices=indices)
)


def index_put(x, indices, values, accumulate=False):
    """A copy of x with ``out[indices] = values``, for a tuple of index tensors.

    accumulate   add the values instead, those of one place all together

    >>> import fastgrad as fg
    >>> fg.index_put(fg.zeros(3), (fg.tensor([2, 0]),), fg.tensor([1.0, 2.0]))
    tensor([2., 0., 1.])
    """
    key, arrays = parse_key("index_put", tuple(indices))
    if values.dtype != x.dtype:
        raise TypeError(f"index_put: values are {values.dtype}, x is {x.dtype}")
    return (_add_at if accumulate else put_at)(x, values, key=key, indices=arrays)


def put(x, index, source, accumulate=False):
    """A copy of x with the elements of ``source`` at places of the flattened tensor; see ``take``.

    accumulate   add them instead

    >>> import fastgrad as fg
    >>> fg.put(fg.zeros(2, 2), fg.tensor([3, 0]), fg.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 1.]])
    """
    if index.numel() != source.numel():
        raise ValueError(f"put: {index.numel()} places for {source.numel()} elements")
    out = index_put(T.ravel(x), (T.ravel(index),), T.ravel(source), accumulate)
    return T.reshape(out, x.shape)


def masked_scatter(x, mask, source):
    """A copy of x with the elements of ``source``, in order, where the bools ``mask`` hold.

    >>> import fastgrad as fg
    >>> mask = fg.tensor([True, False, True])
    >>> fg.masked_scatter(fg.zeros(3), mask, fg.tensor([1.0, 2.0]))
    tensor([1., 0., 2.])
    """
    if mask.dtype != np.bool_ or source.dtype != x.dtype:
        raise TypeError(
            f"masked_scatter: expected a mask of bools and a source of {x.dtype}, got {mask.dtype} "
            f"and {source.dtype}"
        )
    x, mask = T.broadcast_tensors(x, mask)
    if not x.numel() or not source.numel():
        return T.clone(x)
    place = T.cumsum(T.ravel(mask), 0) - 1
    place = T.clamp(place, 0, source.numel() - 1)
    return T.where(mask, T.reshape(T.take(source, place), x.shape), x)


def _in_view(x, src, view):
    """A copy of x with ``src`` where ``view`` (of an array of x's shape) shows."""
    shape = view(np.empty(x.shape, np.bool_)).shape
    if src.shape != shape:
        raise ValueError(f"{view.__name__}: src has shape {src.shape}, expected {shape}")
    places = view(np.arange(x.numel()).reshape(x.shape))
    return put(x, Tensor(np.ascontiguousarray(places)), src.to(x.dtype))


def select_scatter(x, src, dim, index):
    """A copy of x with ``src`` for what ``select(x, dim, index)`` shows.

    >>> import fastgrad as fg
    >>> fg.select_scatter(fg.zeros(2, 2), fg.tensor([1.0, 2.0]), 0, 1)
    tensor([[0., 0.],
            [1., 2.]])
    """

    def select_scatter(array):
        return T.select(Tensor(array), dim, index).data

    return _in_view(x, src, select_scatter)


def slice_scatter(x, src, dim=0, start=None, end=None, step=1):
    """A copy of x with ``src`` for the elements from start to end, by step, along ``dim``.

    >>> import fastgrad as fg
    >>> fg.slice_scatter(fg.zeros(4), fg.tensor([1.0, 2.0]), 0, 0, 4, 2)
    tensor([1., 0., 2., 0.])
    """
    axis = check_dim("slice_scatter", dim, x.ndim)

    def slice_scatter(array):
        return array[(slice(None),) * axis + (slice(start, end, step),)]

    return _in_view(x, src, slice_scatter)


def diagonal_scatter(x, src, offset=0, dim1=0, dim2=1):
    """A copy of x with ``src`` for what ``diagonal(x, offset, dim1, dim2)`` shows.

    >>> import fastgrad as fg
    >>> fg.diagonal_scatter(fg.zeros(2, 2), fg.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    """

    def diagonal_scatter(array):
        return T.diagonal(Tensor(array), offset, dim1, dim2).data

    return _in_view(x, src, diagonal_scatter)


# ------------------------------------------------------------------ reductions to places


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
    array = _index("scatter_reduce", index)
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
    out = _run("scatter_reduce", K.scatter_reduce, x, index, src, axis, ufunc)

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
