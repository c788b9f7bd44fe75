"""Elements by their index along an axis: what sorting, extremes and the like give gradients by."""

from collections import namedtuple

import numpy as np

from ..backend import K
from ..lifting import op


def pair(name):
    """The type of a result (values, indices), called ``name``."""
    return namedtuple(name, ("values", "indices"))


@op(name="pick")
def _pick(x, index, *, axis):
    shape = x.shape
    dropped = x.ndim > index.ndim
    out = K.take_along(x, np.expand_dims(index, axis) if dropped else index, axis)

    def vjp(grad):
        if dropped:
            return K.put_along(np.expand_dims(grad, axis), np.expand_dims(index, axis), shape, axis)
        return K.put_along(grad, index, shape, axis)

    return out.reshape(index.shape), (vjp,)


@op(name="put")
def _put(x, index, *, shape, axis):
    if len(shape) > index.ndim:
        out = K.put_along(np.expand_dims(x, axis), np.expand_dims(index, axis), shape, axis)
    else:
        out = K.put_along(x, index, shape, axis)
    return out, (lambda grad: _pick.rule(grad, index, axis=axis)[0],)


_pick.differentiable(
    lambda grad, index, shape, axis: _put(grad, index, shape=shape, axis=axis), None
)
_put.differentiable(lambda grad, index, axis: _pick(grad, index, axis=axis), None)


def pick(x, index, axis):
    """The elements of ``x`` at ``index``, which has x's axes, or all but ``axis``."""
    return _pick(x, index, axis=axis)
