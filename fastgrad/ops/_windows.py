"""What pools share: their arguments, and where their windows lie.

Everything is a volume: a line or an image has leading sizes of 1. A grid is six triples, (size,
outs, window, stride, padding, dilation).
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ._family import ints


def triple(name, what, value, rank, least, lead):
    """A number, or one for each of the ``rank`` last axes, as three; ``lead`` stands in front."""
    return (lead,) * (3 - rank) + ints(name, what, value, rank, least)


def hashable(value):
    """A list of sizes as a tuple, so that what follows from it can be looked up."""
    return tuple(value) if isinstance(value, list) else value


def sizes(name, shape, rank):
    """(the shape in front of the last ``rank`` axes, these as a volume)."""
    if len(shape) not in (rank + 1, rank + 2):
        axes = ("(N, C, L)", "(N, C, H, W)", "(N, C, D, H, W)")[rank - 1]
        raise ValueError(
            f"{name}: expected {rank + 2} axes {axes}, or {rank + 1} without N, got shape {shape}"
        )
    lead, size = shape[: len(shape) - rank], shape[len(shape) - rank :]
    if 0 in size:
        raise ValueError(f"{name}: shape {shape} has no elements along an axis that is pooled")
    return lead, (1,) * (3 - rank) + size


def outs_of(size, rank):
    """The axes of a volume that there really are."""
    return size[3 - rank :]


def grid(name, size, rank, kernel_size, stride, padding, dilation=1, ceil_mode=False):
    """The grid of a pool, from PyTorch's arguments."""
    window = triple(name, "kernel_size", kernel_size, rank, 1, 1)
    given = stride is None or (isinstance(stride, tuple | list) and not stride)
    strides = window if given else triple(name, "stride", stride, rank, 1, 1)
    paddings = triple(name, "padding", padding, rank, 0, 0)
    dilations = triple(name, "dilation", dilation, rank, 1, 1)
    outs = []
    for n, k, s, p, d in zip(size, window, strides, paddings, dilations, strict=True):
        reach = (k - 1) * d + 1
        if 2 * p > reach:
            raise ValueError(
                f"{name}: padding {p} is more than half of a window of {reach} "
                f"(kernel_size {k}, dilation {d})"
            )
        if reach > n + 2 * p and not (ceil_mode and n + 2 * p - reach + s - 1 >= 0):
            raise ValueError(
                f"{name}: a window of {reach} (kernel_size {k}, dilation {d}) is larger than the "
                f"input of {n} with padding {p} on both sides"
            )
        out = (n + 2 * p - reach + (s - 1 if ceil_mode else 0)) // s + 1
        outs.append(out - 1 if ceil_mode and (out - 1) * s >= n + p else out)
    return size, tuple(outs), window, strides, paddings, dilations


@lru_cache(maxsize=1024)
def shares(size, outs):
    """(first, last) of the windows of an adaptive pool: ``⌊i n / m⌋`` to ``⌈(i + 1) n / m⌉``."""
    firsts, lasts = [], []
    for n, m in zip(size, outs, strict=True):
        i = np.arange(m)
        firsts.append(i * n // max(m, 1))
        lasts.append(-(-(i + 1) * n // max(m, 1)))
    return tuple(firsts), tuple(lasts)


def adaptive_outs(name, size, output_size, rank):
    """The sizes of an adaptive pool's output as a volume; None stands for that of the input."""
    inside = size[3 - rank :]
    if isinstance(output_size, tuple | list) and len(output_size) == rank:
        output_size = tuple(n if m is None else m for n, m in zip(inside, output_size, strict=True))
    elif output_size is None:
        output_size = inside
    return (1,) * (3 - rank) + ints(name, "output_size", output_size, rank, 0, False)


def even_grid(size, outs):
    """The grid of an adaptive pool whose windows are all alike, or None."""
    if any(m < 1 or n % m for n, m in zip(size, outs, strict=True)):
        return None
    window = tuple(n // m for n, m in zip(size, outs, strict=True))
    return size, outs, window, window, (0, 0, 0), (1, 1, 1)


@lru_cache(maxsize=1024)
def places(name, geometry):
    """(starts, counts, steps) of a grid's windows within the input; each has a place there."""
    starts, counts = [], []
    size, outs, window, stride, padding, dilation = geometry
    for n, m, k, s, p, d in zip(size, outs, window, stride, padding, dilation, strict=True):
        first = np.arange(m) * s - p
        start = np.where(first < 0, first % d, first)
        count = (np.minimum(first + (k - 1) * d, n - 1) - start) // d + 1
        if (count < 1).any():
            raise ValueError(
                f"{name}: a window has no place in the input of {n}: kernel_size {k}, stride {s}, "
                f"padding {p}, dilation {d}"
            )
        starts.append(start[None])
        counts.append(count)
    return tuple(starts), tuple(counts), dilation


class Windows(NamedTuple):
    """Windows of all planes alike, as ``window_max`` wants them."""

    table: np.ndarray
    batch: int
    outs: tuple
    most: tuple
    steps: tuple
    alike: bool


MOST_TABULATED = 1 << 18  # elements of a plane up to which there are tables
_MOST_TAKEN = 4  # times that an element of x may be in a window's sum, for these to go by tables
_LANES = 16  # most numbers of a vector: batches of planes fill vectors, and tables have one more


def _tabulated(size, starts, counts, apart=(1, 1, 1)):
    """``Windows`` that start at places of each axis, and have so many of each, ``apart``."""
    outs, strides = tuple(map(len, starts)), (size[1] * size[2], size[2], 1)
    grids = np.meshgrid(*(np.multiply(a, s) for a, s in zip(starts, strides, strict=True)),
                        indexing="ij")  # fmt: skip
    own = sum(grids).reshape(-1)
    batch = _LANES // math.gcd(own.size, _LANES) if 0 < own.size < 16 * _LANES else 1
    first = (np.arange(batch)[:, None] * math.prod(size) + own).reshape(-1)
    many = [np.tile(n.reshape(-1), batch) for n in np.meshgrid(*counts, indexing="ij")]
    table = np.stack([first, np.tile(own, batch), *many]).astype(np.int32)
    most = tuple(int(n.max(initial=0)) for n in counts)
    alike = all((n == m).all() for n, m in zip(counts, most, strict=True))
    steps = tuple(s * d for s, d in zip(strides, apart, strict=True))
    return Windows(np.pad(table, ((0, 0), (0, _LANES))), batch, outs, most, steps, bool(alike))


@lru_cache(maxsize=1024)
def windows_of_grid(name, geometry):
    """The windows of a grid."""
    starts, counts, steps = places(name, geometry)
    return _tabulated(geometry[0], [start[0] for start in starts], counts, steps)


@lru_cache(maxsize=1024)
def windows_of_shares(size, outs):
    """The windows of an adaptive pool."""
    firsts, lasts = shares(size, outs)
    return _tabulated(size, firsts, [b - a for a, b in zip(firsts, lasts, strict=True)])


# ------------------------------------------------------------------ sums


class Spans(NamedTuple):
    """Where windows lie whose sums are taken, over counts; and which windows hold each place.

    windows, back_windows   (tables of them, divisors), where ``window_mean`` is the faster
    """

    firsts: tuple
    lasts: tuple
    counts: tuple
    along: tuple
    back_firsts: tuple
    back_lasts: tuple
    back_along: tuple
    windows: tuple | None
    back_windows: tuple | None


def _spans(size, firsts, lasts, counts, along, back_along):
    place = [np.arange(n) for n in size]  # windows never go back: those of a place are neighbours
    back_firsts = [np.searchsorted(b, i, "right") for b, i in zip(lasts, place, strict=True)]
    back_lasts = [np.searchsorted(a, i, "right") for a, i in zip(firsts, place, strict=True)]
    windows = back_windows = None
    outs, count = tuple(map(len, firsts)), math.prod(size)
    if 0 < count <= MOST_TABULATED and 0 < math.prod(outs) <= MOST_TABULATED:
        divisors = (counts[0][:, None, None] * counts[1][:, None] * counts[2]).reshape(-1)
        most = [int((b - a).max()) for a, b in zip(firsts, lasts, strict=True)]
        if math.prod(outs) * math.prod(most) <= _MOST_TAKEN * count:
            windows = _mean_of(size, firsts, lasts, divisors)
        most = [int((b - a).max()) for a, b in zip(back_firsts, back_lasts, strict=True)]
        if math.prod(most) <= (_MOST_TAKEN if back_along[0] == 0 else 1):
            back_windows = _mean_of(outs, back_firsts, back_lasts, divisors)
    return Spans(
        tuple(firsts), tuple(lasts), counts, along, tuple(back_firsts), tuple(back_lasts),
        back_along, windows, back_windows,
    )  # fmt: skip


def _mean_of(size, firsts, lasts, divisors):
    """What ``window_mean`` wants of windows from ``firsts`` to ``lasts``."""
    counts = [b - a for a, b in zip(firsts, lasts, strict=True)]
    firsts = [np.minimum(a, n - 1) for a, n in zip(firsts, size, strict=True)]  # of empty ones too
    windows = _tabulated(size, firsts, counts)
    return *windows, np.pad(np.tile(divisors, windows.batch), (0, _LANES), constant_values=1)


@lru_cache(maxsize=1024)
def spans_of_grid(geometry, include_pad, divisor, dtype):
    """The spans of an average pool on a grid."""
    firsts, lasts, counts = [], [], []
    for n, m, k, s, p in zip(*geometry[:5], strict=True):
        first = np.arange(m) * s - p
        last = np.minimum(first + k, n + p)
        whole = last - first
        first, last = np.maximum(first, 0), np.minimum(last, n)
        counts.append(np.maximum(whole if include_pad else last - first, 1))
        firsts.append(np.minimum(first, last))
        lasts.append(last)
    if divisor is not None:
        counts = [np.full(geometry[1][0], divisor), *(np.ones(m) for m in geometry[1][1:])]
    counts = tuple(count.astype(dtype) for count in counts)
    return _spans(geometry[0], firsts, lasts, counts, *_patterns(geometry))


@lru_cache(maxsize=1024)
def spans_of_shares(size, outs, dtype):
    """The spans of an adaptive average pool whose windows are not all alike."""
    firsts, lasts = shares(size, outs)
    counts = tuple((b - a).astype(dtype) for a, b in zip(firsts, lasts, strict=True))
    return _spans(size, firsts, lasts, counts, (0, 0, 0, 0), (0, 0, 0, 0))


def _patterns(geometry):
    """(that of windows along rows, that of their adjoint), as ``window_sum`` wants them."""
    window, stride, padding = (triple[2] for triple in geometry[2:5])
    if stride > 2:
        return (0, 0, 0, 0), (0, 0, 0, 0)
    forward = stride, window, padding, 0
    if stride == 1:
        return forward, (1, window, window - 1 - padding, 0)
    return forward, (3, window, (window - 1) // 2, padding)
