"""Tables of taps: which elements make up each one of an axis of another size, and by how much."""

import numpy as np

_WIDTH = {"linear": 2, "bilinear": 2, "trilinear": 2, "bicubic": 4}  # elements that are looked at


def step_of(size, out, factor, align_corners=False):
    """How far apart the elements of a resized axis lie in the original."""
    if align_corners:
        return (size - 1) / (out - 1) if out > 1 else 0.0
    return 1.0 / factor if factor else size / out


def nearest_places(size, out, factor, exact, dtype):
    """Where each element of an axis comes from; rounded as in PyTorch, by float32."""
    step = dtype.type(step_of(size, out, factor))
    middle = np.arange(out).astype(dtype) + dtype.type(0.5 if exact else 0.0)
    return np.minimum(np.floor((middle * step).astype(np.float32)).astype(np.int64), size - 1)


def _cubic(t, a):
    """The cubic kernel at distances t, Keys 1981."""
    t = np.abs(t)
    near = ((a + 2.0) * t - (a + 3.0)) * t * t + 1.0
    far = ((a * t - 5.0 * a) * t + 8.0 * a) * t - 4.0 * a
    return np.where(t <= 1.0, near, np.where(t < 2.0, far, 0.0))


def _triangle(t):
    return np.maximum(1.0 - np.abs(t), 0.0)


def _of_windows(first, counts, weights):
    """Taps of ``counts`` elements each from ``first`` on; weights (windows, elements)."""
    used = np.arange(weights.shape[1]) < counts[:, None]
    sources = first[:, None] + np.arange(weights.shape[1])
    return np.concatenate([[0], np.cumsum(counts)]), sources[used], weights[used]


def _interpolation(mode, size, out, step, align_corners):
    at = np.arange(out) * step if align_corners else (np.arange(out) + 0.5) * step - 0.5
    width = _WIDTH[mode]
    if width == 2:
        at = np.clip(at, 0.0, size - 1.0)
    low = np.floor(at).astype(np.int64)
    places = low[:, None] + np.arange(width) - (width // 2 - 1)
    distance = at[:, None] - places
    weights = _triangle(distance) if width == 2 else _cubic(distance, -0.75)
    sources = np.clip(places, 0, size - 1).reshape(-1)
    return np.arange(out + 1) * width, sources, weights.reshape(-1)


def _antialiased(mode, size, out, step):
    """The kernel as wide as the elements of the result, where these are further apart."""
    stretch = max(step, 1.0)
    support = _WIDTH[mode] / 2 * stretch
    center = step * (np.arange(out) + 0.5)
    first = np.maximum((center - support + 0.5).astype(np.int64), 0)
    counts = np.minimum((center + support + 0.5).astype(np.int64), size) - first
    offsets = np.arange(counts.max(initial=0)) + first[:, None]
    distance = (offsets - center[:, None] + 0.5) / stretch
    weights = _triangle(distance) if _WIDTH[mode] == 2 else _cubic(distance, -0.5)
    weights = np.where(offsets < (first + counts)[:, None], weights, 0.0)
    return _of_windows(first, counts, weights / weights.sum(axis=1, keepdims=True))


def _means(size, out):
    first = np.arange(out) * size // out
    counts = -(-(np.arange(out) + 1) * size // out) - first
    weights = np.repeat(1.0 / counts[:, None], counts.max(initial=0), axis=1)
    return _of_windows(first, counts, weights)


def _transposed(taps, size):
    starts, sources, weights = taps
    rows = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    order = np.argsort(sources, kind="stable")
    counts = np.bincount(sources, minlength=size)
    return np.concatenate([[0], np.cumsum(counts)]), rows[order], weights[order]


def taps_of(mode, size, out, factor, align_corners, antialias, dtype):
    """(taps, those of the transposed matrix) of an axis from ``size`` to ``out`` elements."""
    step = step_of(size, out, factor, align_corners)
    if mode == "area":
        taps = _means(size, out)
    elif antialias:
        taps = _antialiased(mode, size, out, step)
    else:
        taps = _interpolation(mode, size, out, step, align_corners)
    kinds = np.int64, np.int64, dtype
    return tuple(
        tuple(np.ascontiguousarray(part, kind) for part, kind in zip(table, kinds, strict=True))
        for table in (taps, _transposed(taps, size))
    )
