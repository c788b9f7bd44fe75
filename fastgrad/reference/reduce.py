"""NumPy twins of ``fastgrad.kernels.reduce``."""

import numpy as np

from .elementwise import quiet

__all__ = ["amax", "amax_backward", "argmax", "expand", "mean", "sum", "unbroadcast"]


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
def amax_backward(grad, x, out, axes=None):
    axes = tuple(range(x.ndim)) if axes is None else _axes(axes)
    grad, out = np.expand_dims(grad, axes), np.expand_dims(out, axes)
    hit = (x == out) | (np.isnan(x) & np.isnan(out))
    return hit * (grad / np.sum(hit, axis=axes, keepdims=True, dtype=x.dtype))


def argmax(x, axis=-1):
    return np.argmax(x, axis=axis)


def expand(x, shape):
    return np.array(np.broadcast_to(x, shape))


def unbroadcast(grad, shape):
    if grad.shape == shape:
        return grad
    added = grad.ndim - len(shape)
    stretched = (k + added for k, size in enumerate(shape) if size == 1 != grad.shape[k + added])
    return np.sum(grad, axis=(*range(added), *stretched)).reshape(shape)
