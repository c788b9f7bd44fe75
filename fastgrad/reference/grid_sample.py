"""NumPy twins of ``fastgrad.kernels.grid_sample``."""

import itertools
import math

import numpy as np

from ._quiet import quiet

__all__ = ["grid_sample_forward", "grid_sample_grid_grad", "grid_sample_input_grad", "grid_taps"]

_ZEROS, _BORDER, _REFLECTION = range(3)
_FARTHEST = 2.0**30


def _mirrored(place, size, aligned):
    """(place between the mirrors at both ends, 1 or -1: the direction there)"""
    low, span = (0.0, size - 1) if aligned else (-0.5, size)
    if span == 0:
        return np.zeros_like(place), np.zeros_like(place)
    place, sign = np.abs(place - low), np.where(place < low, -1, 1)
    times = np.floor(place / span)
    place, odd = place - times * span, times % 2 != 0
    return np.where(odd, span - place, place) + low, np.where(odd, -sign, sign)


def _axis(coordinate, size, width, padding, aligned):
    """(first tap, fraction, slope) of coordinates along one axis."""
    kind = coordinate.dtype.type
    scale, shift = (kind((size - 1) / 2), kind(0)) if aligned else (kind(size / 2), kind(-0.5))
    place, slope = (coordinate + kind(1)) * scale + shift, np.full_like(coordinate, scale)
    if padding != _ZEROS and width != 4:
        if padding == _REFLECTION:
            place, sign = _mirrored(place, size, aligned)
            place, slope = place.astype(kind), (slope * sign).astype(kind)
        slope = np.where((place > 0) & (place < size - 1), slope, kind(0))
        place = np.nan_to_num(place, nan=0.0).clip(0, size - 1)
    place = np.where(place > -_FARTHEST, np.minimum(place, kind(_FARTHEST)), kind(-_FARTHEST))
    if width == 1:
        return np.rint(place).astype(np.int64), np.zeros_like(place), slope
    base = np.floor(place)
    return base.astype(np.int64) - (width // 2 - 1), place - base, slope


def _reads(first, size, width, padding, aligned):
    """Where the taps of an axis read, (..., width); -1 outside."""
    place = first[..., None] + np.arange(width)
    if width == 4 and padding == _BORDER:
        place = place.clip(0, size - 1)
    elif width == 4 and padding == _REFLECTION:
        period = 2 * (size - 1) if aligned else 2 * size
        place = place % max(period, 1)
        place = np.where(place >= size, period - place - (0 if aligned else 1), place)
    return np.where((place >= 0) & (place < size), place, -1)


def _weights(t, slope, width):
    """(weights, their slopes) of the taps of an axis, (..., width)."""
    if width == 1:
        return np.ones_like(t)[..., None], np.zeros_like(t)[..., None]
    if width == 2:
        return np.stack([1 - t, t], -1), np.stack([-slope, slope], -1)
    away = np.stack([t + 1, t, 1 - t, 2 - t], -1)
    outer = np.array([True, False, False, True])
    weights = np.where(
        outer, ((3.75 - 0.75 * away) * away - 6) * away + 3, (1.25 * away - 2.25) * away**2 + 1
    )
    slopes = np.where(outer, (7.5 - 2.25 * away) * away - 6, (3.75 * away - 4.5) * away)
    return weights, slopes * np.array([1, 1, -1, -1]) * slope[..., None]


def _looked_up(grid, size, width, padding, aligned):
    """For each axis (places, weights, slopes), (N, pixels, width) each."""
    flat = grid.reshape(len(grid), math.prod(grid.shape[1:-1]), grid.shape[-1])
    found = []
    for axis, n in enumerate(size):
        first, t, slope = _axis(flat[..., len(size) - 1 - axis], n, width, padding, aligned)
        found.append((_reads(first, n, width, padding, aligned), *_weights(t, slope, width)))
    return found


def _joined(parts, combine):
    """What all taps have, of what they have along each axis: (N, pixels, taps)."""
    whole = parts[0]
    for part in parts[1:]:
        whole = combine(whole[..., :, None], part[..., None, :])
        whole = whole.reshape(*part.shape[:-1], math.prod(whole.shape[-2:]))
    return whole


def _index(places, size):
    sizes = iter(size[1:])

    def join(a, b):
        return np.where((a < 0) | (b < 0), -1, a * next(sizes) + b)

    return _joined(places, join)


@quiet
def grid_sample_forward(x, grid, width, padding, aligned):
    axes = _looked_up(grid, x.shape[2:], width, padding, aligned)
    index = _index([axis[0] for axis in axes], x.shape[2:])
    weights = _joined([axis[1] for axis in axes], np.multiply)
    values = _values(x, index) * weights[:, None]
    return values.sum(-1).reshape(*x.shape[:2], *grid.shape[1:-1]).astype(x.dtype, copy=False)


def _values(x, index):
    """x's elements at all taps, (N, C, pixels, taps); 0 outside."""
    flat = x.reshape(*x.shape[:2], math.prod(x.shape[2:]))
    at = index.clip(0).reshape(len(index), 1, index[0].size if len(index) else 0)
    taken = np.take_along_axis(flat, at, 2).reshape(*x.shape[:2], *index.shape[1:])
    return np.where(index[:, None] < 0, x.dtype.type(0), taken)


@quiet
def grid_sample_input_grad(grad, grid, size, width, padding, aligned):
    axes = _looked_up(grid, size, width, padding, aligned)
    index = _index([axis[0] for axis in axes], size)
    weights = _joined([axis[1] for axis in axes], np.multiply)
    out = np.zeros((*grad.shape[:2], math.prod(size)), grad.dtype)
    for image, channel in itertools.product(*map(range, grad.shape[:2])):
        inside = index[image] >= 0
        parts = weights[image] * grad[image, channel].reshape(-1, 1)
        np.add.at(out[image, channel], index[image][inside], parts[inside])
    return out.reshape(*grad.shape[:2], *size)


@quiet
def grid_sample_grid_grad(grad, x, grid, width, padding, aligned):
    size = x.shape[2:]
    axes = _looked_up(grid, size, width, padding, aligned)
    index = _index([axis[0] for axis in axes], size)
    flat = grad.reshape(*grad.shape[:2], math.prod(grid.shape[1:-1]), 1)
    worth = (_values(x, index) * flat).sum(1)
    out = np.empty((*worth.shape[:2], len(size)), grid.dtype)
    for axis in range(len(size)):
        chosen = [entry[2 if k == axis else 1] for k, entry in enumerate(axes)]
        out[..., len(size) - 1 - axis] = (worth * _joined(chosen, np.multiply)).sum(-1)
    return out.reshape(grid.shape)


@quiet
def grid_taps(grid, size, width, padding, aligned):
    places, slopes, offsets = [], np.empty_like(grid), np.empty_like(grid)
    for axis, n in enumerate(size):
        at = len(size) - 1 - axis
        first, t, slope = _axis(grid[..., at], n, width, padding, aligned)
        slopes[..., at], offsets[..., at] = slope, t - slope * grid[..., at]
        reads = _reads(first, n, width, padding, aligned)
        places.append(reads.reshape(len(grid), math.prod(grid.shape[1:-1]), width))
    return _index(places, size), slopes, offsets
