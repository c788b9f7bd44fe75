"""NumPy twins of ``fastgrad.kernels.index``."""

import numpy as np

from ._quiet import quiet

__all__ = [
    "add_at", "add_rows", "gather", "gather_backward", "put", "scatter", "scatter_add",
    "scatter_reduce", "take",
]  # fmt: skip


def take(x, key, *indices):
    return x[key(*indices)]


def put(x, key, value, *indices):
    x[key(*indices)] = value


def add_at(x, key, values, *indices):
    np.add.at(x, key(*indices), values)


def add_rows(out, index, values):
    _check(out, index, 0, least=-out.shape[0])
    np.add.at(out, index, values)


def _check(x, index, axis, least=0):
    size = x.shape[axis] if x.ndim else 1
    for value in index.ravel():
        if not least <= value < size:
            raise IndexError(f"index {value} is out of range; expected {least} <= index < {size}")


def gather(x, index, axis):
    _check(x, index, axis)
    if not x.ndim:
        return x.copy()
    cropped = x[tuple(slice(0, n) if k != axis else slice(None) for k, n in enumerate(index.shape))]
    return np.take_along_axis(cropped, index, axis)


def gather_backward(grad, index, shape, axis):
    return scatter_add(np.zeros(shape, grad.dtype), index, grad, axis)


def scatter(x, index, values, axis):
    _check(x, index, axis)
    out = x.copy()
    for place in np.ndindex(index.shape):
        target = tuple(index[place] if k == axis else i for k, i in enumerate(place))
        out[target] = values[place] if np.ndim(values) else values
    return out


def scatter_add(x, index, values, axis):
    return scatter_reduce(x, index, values, axis, "add")


@quiet
def scatter_reduce(x, index, values, axis, ufunc):
    _check(x, index, axis)
    out = x.copy()
    for place in np.ndindex(index.shape):
        target = tuple(index[place] if k == axis else i for k, i in enumerate(place))
        out[target] = getattr(np, ufunc)(out[target], values[place] if np.ndim(values) else values)
    return out
