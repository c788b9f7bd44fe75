"""Twins of ``kernels/windows.py``."""

import numpy as np

__all__ = ["fractional_starts", "unpool", "window_index", "window_max", "window_max_backward"]


def window_index(x, starts, counts, steps):
    planes, *sizes = x.shape
    index = np.zeros((planes, *map(len, counts)), np.int64)
    if not index.size:
        return index
    plane, best, found = np.arange(planes), None, False
    for offsets in np.ndindex(*map(max, counts)):  # in a window, all windows at once
        inside, at = True, []
        for k in range(3):
            axis = [1, 1, 1, 1]
            axis[k + 1] = -1
            inside = inside & (np.asarray(counts[k]) > offsets[k]).reshape(axis)
            places = starts[k][plane % len(starts[k])] + offsets[k] * steps[k]
            axis[0] = planes
            at.append(places.clip(0, sizes[k] - 1).reshape(axis))
        value = x[(plane.reshape(-1, 1, 1, 1), *at)]
        if best is None:
            best = np.zeros_like(value)  # for no window: nothing is found yet
        with np.errstate(invalid="ignore"):
            better = inside & ((value > best) | np.isnan(value) | ~np.asarray(found))
        best = np.where(better, value, best)
        place = (at[0] * sizes[1] + at[1]) * sizes[2] + at[2]
        index = np.where(better, place, index)
        found = found | better
    return index


def window_max(x, table, batch, outs, most, steps, alike, shape=None):
    planes, count = len(x), int(np.prod(outs))
    _, first, *counts = table[:, :count].astype(np.int64)
    flat = x.reshape(planes, int(np.prod(x.shape[1:])))
    best, index = np.full((planes, count), -np.inf, x.dtype), np.tile(first, (planes, 1))
    for places in np.ndindex(*most):
        inside = np.all([c > k for c, k in zip(counts, places, strict=True)], axis=0)
        place = np.where(inside, first + np.dot(places, steps), first)
        value = flat[:, place]
        better = inside & ((value > best) | np.isnan(value))
        best, index = np.where(better, value, best), np.where(better, place, index)
    shape = (planes, *outs) if shape is None else shape
    return best.reshape(shape), index.reshape(shape)


def window_max_backward(grad, index, shape):
    grad_x = np.zeros(shape, grad.dtype)
    if grad_x.size:
        places = np.arange(len(grad)).reshape(-1, 1), index.reshape(grad.shape)
        np.add.at(grad_x.reshape(len(grad), -1), places, grad)
    return grad_x


def fractional_starts(samples, size, outs, window):
    kind = samples.dtype.type
    step = kind(size - window) / kind(max(outs - 1, 1))
    starts = np.empty((samples.size, outs), np.int64)
    for row, u in zip(starts, np.nan_to_num(samples.reshape(-1)).clip(0, 1), strict=True):
        row[:] = [int((kind(i) + u) * step) - int(u * step) for i in range(outs)]
        row[-1] = size - window
    return starts


def unpool(x, index, n):
    bad = (index < 0) | (index >= n)
    if bad.any():
        raise IndexError(f"index {index[bad][0]} is out of range; expected 0 <= index < {n}")
    out = np.zeros((len(x), n), x.dtype)
    np.put_along_axis(out, index, x, 1)
    return out
