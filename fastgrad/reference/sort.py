"""NumPy twins of ``fastgrad.kernels.sort``."""

import numpy as np

__all__ = [
    "count_labels", "kth", "order", "put_along", "search_sorted", "take_along", "top",
]  # fmt: skip


def order(x, axis, descending=False):
    if not x.ndim:
        return np.zeros((), np.int64)
    if not descending:
        return np.argsort(x, axis=axis, kind="stable")
    # a stable order of the reversed elements, reversed
    turned = np.argsort(np.flip(x, axis), axis=axis, kind="stable")
    return x.shape[axis] - 1 - np.flip(turned, axis)


def top(x, k, axis, largest=True):
    index = order(x, axis, largest)
    return np.take(index, range(k), axis) if x.ndim else index


def kth(x, k, axis):
    index = np.moveaxis(order(x, axis), axis, 0)
    nan = np.isnan(np.moveaxis(np.take_along_axis(x, order(x, axis), axis), axis, 0))
    if k is not None:
        rank = np.full(index.shape[1:], k)
    else:
        rank = np.full(index.shape[1:], (len(index) - 1) // 2)
        rank = np.where(nan.any(axis=0), len(index) - 1, rank)
    rank = np.where(np.take_along_axis(nan, rank[None], 0)[0], nan.argmax(axis=0), rank)
    return np.take_along_axis(index, rank[None], 0)[0]


def take_along(x, index, axis):
    return np.take_along_axis(x, index, axis) if x.ndim else x.copy()


def put_along(grad, index, shape, axis):
    if not shape:
        return grad.copy()
    out = np.zeros(shape, grad.dtype)
    places = list(np.indices(index.shape))
    places[axis] = index
    np.add.at(out, tuple(places), grad)
    return out


def count_labels(x, weights, least):
    return np.bincount(x, weights, least)


def search_sorted(rows, values, side):
    if rows.ndim == 1:
        return np.asarray(np.searchsorted(rows, values, side), np.int64)
    out = np.empty(values.shape, np.int64)
    for place in np.ndindex(*rows.shape[:-1]):
        out[place] = np.searchsorted(rows[place], values[place], side)
    return out
