"""Rules of copies with other values in some places."""

import numpy as np

from ..backend import K
from ..lifting import op
from ..tensor import Tensor
from ._family import T
from .index import item, parse_key, run_indexed
from .index import put as put_at
from .reduce import check_dim

__all__ = [
    "diagonal_scatter", "index_put", "masked_scatter", "put", "select_scatter", "slice_scatter",
]  # fmt: skip


# ------------------------------------------------------------------ by keys


@op(name="index_put")
def _add_at(x, value, *, key, indices):
    out = K.copy(x)
    view = out[key.first] if key.first else out
    run_indexed("index_put", K.add_at, view, key, value, *indices)

    def of_value(grad):
        grad = grad[key.first] if key.first else grad
        return K.take(grad, key, *indices)

    return out, (lambda grad: grad, of_value)


_add_at.differentiable(
    lambda grad: grad, lambda grad, key, indices: item(grad, key=key, indices=indices)
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
