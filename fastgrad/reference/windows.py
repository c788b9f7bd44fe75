"""Twins of ``kernels/windows.py``."""

import numpy as np

__all__ = ["fractional_starts", "unpool", "window_index"]


def window_index(x, starts, counts, steps):
    planes, _, height, width = x.shape
    index = np.zeros((planes, *map(len, counts)), np.int64)
    for plane, oz, oy, o in np.ndindex(index.shape):
        z, y, at = (
            start[plane % len(start), i] + np.arange(count[i]) * step
            for start, count, step, i in zip(starts, counts, steps, (oz, oy, o), strict=True)
        )
        window = x[plane][np.ix_(z, y, at)]
        if (window != window).any():
            place = np.argwhere(window != window)[-1]
        else:
            place = np.unravel_index(window.argmax(), window.shape)
        index[plane, oz, oy, o] = (z[place[0]] * height + y[place[1]]) * width + at[place[2]]
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
