"""Twins of ``kernels/windows.py``."""

import numpy as np

__all__ = ["fractional_starts", "unpool", "window_index"]


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
            best = np.zeros_like(value)  # anything: nothing is found yet
        with np.errstate(invalid="ignore"):
            better = inside & ((value > best) | np.isnan(value) | ~np.asarray(found))
        best = np.where(better, value, best)
        place = (at[0] * sizes[1] + at[1]) * sizes[2] + at[2]
        index = np.where(better, place, index)
        found = found | better
    return index


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
