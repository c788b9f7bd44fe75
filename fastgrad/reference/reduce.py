"""NumPy twins of ``fastgrad.kernels.reduce``."""

import numpy as np

from ._quiet import quiet

__all__ = [
    "amax", "amax_backward", "amin", "argmax", "argmin", "count_nonzero", "expand", "mean", "prod",
    "reduce_numbers", "sum", "sum_abs", "sum_squares", "unbroadcast",
]  # fmt: skip


def _axes(axes):
    return axes if axes is None or isinstance(axes, int) else tuple(axes)


@quiet
def sum(x, axes=None, keepdim=False):
    return np.asarray(np.sum(x, axis=_axes(axes), keepdims=keepdim))


@quiet
def mean(x, axes=None, keepdim=False):
    axes = _axes(axes)
    total = np.sum(x, axis=axes, keepdims=keepdim)
    sizes = x.shape if axes is None else [x.shape[a] for a in np.atleast_1d(axes).astype(int)]
    return np.asarray(total / x.dtype.type(np.prod(sizes)))


@quiet
def amax(x, axes=None, keepdim=False):
    return np.asarray(np.max(x, axis=_axes(axes), keepdims=keepdim))


@quiet
def amin(x, axes=None, keepdim=False):
    return np.asarray(np.min(x, axis=_axes(axes), keepdims=keepdim))


@quiet
def prod(x, axes=None, keepdim=False):
    return np.asarray(np.prod(x, axis=_axes(axes), keepdims=keepdim))


def sum_squares(x, axes=None, keepdim=False):
    return sum(np.square(x), axes, keepdim)


def sum_abs(x, axes=None, keepdim=False):
    return sum(np.abs(x), axes, keepdim)


def reduce_numbers(x, name, axes, keepdim=False, dtype=None):
    options = {} if dtype is None else {"dtype": dtype}
    return np.asarray(getattr(np, name).reduce(x, axis=axes, keepdims=keepdim, **options))


def count_nonzero(x, axes=None):
    axes = tuple(range(x.ndim)) if axes is None else axes
    return np.asarray(np.count_nonzero(x, axis=axes), np.int64)


@quiet
def amax_backward(grad, x, out, axes=None):
    axes = tuple(range(x.ndim)) if axes is None else _axes(axes)
    grad, out = np.expand_dims(grad, axes), np.expand_dims(out, axes)
    hit = (x == out) | (np.isnan(x) & np.isnan(out))
    return hit * (grad / np.sum(hit, axis=axes, keepdims=True, dtype=x.dtype))


def argmax(x, axis=-1):
    return np.asarray(np.argmax(x, axis=axis))


def argmin(x, axis=-1):
    return np.asarray(np.argmin(x, axis=axis))


def expand(x, shape):
    return np.array(np.broadcast_to(x, shape))


def unbroadcast(grad, shape):
    if grad.shape == shape:
        return grad
    added = grad.ndim - len(shape)
    stretched = (k + added for k, size in enumerate(shape) if size == 1 != grad.shape[k + added])
    return np.asarray(np.sum(grad, axis=(*range(added), *stretched))).reshape(shape)
