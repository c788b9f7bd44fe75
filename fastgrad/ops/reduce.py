"""Rules of reductions: over one axis, several, or all."""

import math
import operator

import numpy as np

from ..backend import K
from ..tape import as_array
from ..tensor import Tensor, op


def check_dims(name, dim, ndim):
    """``dim`` (None, an int or ints) as sorted axes; IndexError or ValueError if it can't be."""
    if dim is None:
        return tuple(range(ndim))
    dims = (dim,) if not isinstance(dim, tuple | list) else tuple(dim)
    axes = []
    for d in dims:
        d = operator.index(d)
        bound = max(ndim, 1)
        if not -bound <= d < bound:
            raise IndexError(
                f"{name}: dim {d} is out of range for {ndim} dimensions; "
                f"expected {-bound} to {bound - 1}"
            )
        axes.append(d % bound)
    if len(set(axes)) != len(axes):
        raise ValueError(f"{name}: dim {dims} names an axis twice")
    return tuple(sorted(axes)) if ndim else ()


def _spread(grad, shape, axes):
    """A gradient of the reduced shape, repeated over the reduced axes."""
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return K.expand(grad.reshape(kept), shape)


@op
def sum(x, *, dim=None, keepdim=False):
    """Sum over ``dim`` (an int, several, or None for all).

    >>> import fastgrad as fg
    >>> fg.sum(fg.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([4., 6.])
    """
    axes, shape = check_dims("sum", dim, x.ndim), x.shape
    if x.dtype.kind != "f":
        return as_array(x.sum(axis=axes, keepdims=keepdim, dtype=np.int64)), None
    return K.sum(x, axes, keepdim), lambda grad: _spread(grad, shape, axes)


@op
def mean(x, *, dim=None, keepdim=False):
    """Mean over ``dim`` (an int, several, or None for all); NaN over nothing.

    >>> import fastgrad as fg
    >>> fg.mean(fg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(2.5000)
    """
    axes, shape = check_dims("mean", dim, x.ndim), x.shape
    if x.dtype.kind != "f":
        raise TypeError(f"mean: expected a float tensor, got {x.dtype}")
    count = float(math.prod(shape[axis] for axis in axes))

    def vjp(grad):
        return _spread(as_array(K.div(grad, count)), shape, axes)

    return K.mean(x, axes, keepdim), vjp


@op
def amax(x, *, dim=None, keepdim=False):
    """Maximum over ``dim``; NaN where there is one. Ties share the gradient equally.

    Raises ``ValueError`` over an axis of no elements.

    >>> import fastgrad as fg
    >>> fg.amax(fg.tensor([[1.0, 5.0], [3.0, 4.0]]), dim=1)
    tensor([5., 4.])
    """
    axes, shape = check_dims("amax", dim, x.ndim), x.shape
    if not math.prod(shape[axis] for axis in axes):
        raise ValueError(f"amax: shape {shape} has no elements along dim {axes}")
    if x.dtype.kind != "f":
        return as_array(x.max(axis=axes, keepdims=keepdim)), None
    out = K.amax(x, axes, keepdim)

    def vjp(grad):
        reduced = tuple(size for axis, size in enumerate(shape) if axis not in axes)
        return K.amax_backward(grad.reshape(reduced), x, out.reshape(reduced), axes)

    return out, vjp


def argmax(x, dim=None, keepdim=False):
    """Index of the first maximum along ``dim``, or in the flattened tensor. No gradient.

    >>> import fastgrad as fg
    >>> fg.argmax(fg.tensor([[1.0, 5.0], [4.0, 3.0]]), dim=1)
    tensor([1, 0])
    """
    array = x.data if isinstance(x, Tensor) else as_array(x)
    if not array.size:
        raise ValueError(f"argmax: shape {array.shape} has no elements")
    if dim is None:
        out = as_array(K.argmax(array.reshape(-1), 0))
        return Tensor(out.reshape((1,) * array.ndim) if keepdim else out.reshape(()))
    (axis,) = check_dims("argmax", dim, array.ndim) or (0,)
    out = as_array(K.argmax(array, axis))
    return Tensor(np.expand_dims(out, axis) if keepdim else out)
