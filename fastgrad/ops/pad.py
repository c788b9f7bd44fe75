"""Rules of padding."""

import math
import operator
from functools import lru_cache

import numpy as np

from ._family import shape_of
from ._places import grid_axis, identity_axis, picking, picking_step

__all__ = ["pad"]

_NUMPYS = {"constant": "constant", "reflect": "reflect", "replicate": "edge", "circular": "wrap"}
_FEW = 64  # elements that move together are places of their own; more are an axis


def _numbers(pad):
    """The pads as a tuple of ints."""
    try:
        return tuple(map(operator.index, pad))
    except TypeError:
        raise TypeError(
            f"pad: pad is {pad!r}; expected ints, (before, after) of the last axis first"
        ) from None


def _pairs(pad, ndim):
    """(before, after) of each axis, from PyTorch's pairs, last axis first."""
    if len(pad) % 2 or len(pad) > 2 * ndim:
        raise ValueError(
            f"pad: pad is {pad}; expected pairs (before, after) of at most {ndim} axes"
        )
    pairs = [(0, 0)] * (ndim - len(pad) // 2)
    return (*pairs, *((pad[k], pad[k + 1]) for k in range(len(pad) - 2, -1, -2)))


def _places(size, pair, mode):
    """Where the elements of a padded axis come from."""
    places = np.arange(size)
    if mode == "constant":
        inside = places[max(-pair[0], 0) : size - max(-pair[1], 0)]
        return np.pad(inside, [max(n, 0) for n in pair], constant_values=-1)
    cut, more = [max(-n, 0) for n in pair], [max(n, 0) for n in pair]
    if mode == "circular":  # what is cut off does not come in again
        return np.pad(places[cut[0] : size - cut[1]], more, mode="wrap")
    places = np.pad(places, more, mode=_NUMPYS[mode])
    return places[cut[0] : len(places) - cut[1]]


def _check(shape, pairs, mode):
    for axis, (size, pair) in enumerate(zip(shape, pairs, strict=True)):
        if pair == (0, 0):
            continue
        cut = -sum(min(n, 0) for n in pair)
        if size + sum(pair) < 0 or (cut > size and mode in ("constant", "circular")):
            raise ValueError(f"pad: {pair} cut off more than there is of dim {axis}, shape {shape}")
        most = {"reflect": size - 1, "circular": size}.get(mode, max(pair))
        if mode != "constant" and (max(pair) > most or not size):
            raise ValueError(f"pad: {pair} is too much for mode {mode!r} and size {size}")


@lru_cache(maxsize=512)
def _steps(shape, pad, mode):
    """The steps of a padding (see ``picking_step``), each of up to three axes."""
    pairs = _pairs(pad, len(shape))
    _check(shape, pairs, mode)
    changed = [axis for axis, pair in enumerate(pairs) if pair != (0, 0)]
    steps = []
    while changed:
        axes, after, following = [], list(shape), len(shape)
        while changed:
            axis = changed[-1]
            inner = math.prod(shape[axis + 1 : following])  # elements that move together
            if len(axes) + 1 + (inner > _FEW) > 3:
                break
            places = _places(shape[axis], pairs[axis], mode)
            after[axis], following = len(places), changed.pop()
            if inner > _FEW:
                axes.insert(0, identity_axis(inner))
                inner = 1
            together = places[:, None] * inner + np.arange(inner)
            together[places < 0] = -1
            axes.insert(0, grid_axis(together.reshape(-1), shape[axis] * inner))
        seen = math.prod(shape[:following]), *(len(axis.starts) - 1 for axis in axes)
        shape = tuple(after)
        steps.append(picking_step(seen, tuple(axes), shape))
    return tuple(steps)


_pad = picking("pad")


def pad(x, pad, mode="constant", value=None):
    """More elements at the ends of the last axes: pairs (before, after), the last axis first.

    mode    "constant" (``value``, 0 by default), "reflect" (mirrored without the edge),
            "replicate" (the edge again) or "circular" (from the other end)

    Negative sizes cut off. Raises ``ValueError`` where an axis is too short for its pads, for pads
    that are no pairs or more than there are axes, for an unknown mode, and for a value that the
    mode or the type does not take; ``TypeError`` for pads that are no ints.

    >>> import fastgrad as fg
    >>> fg.pad(fg.tensor([1.0, 2.0, 3.0]), (1, 2))
    tensor([0., 1., 2., 3., 0., 0.])
    >>> fg.pad(fg.tensor([1.0, 2.0, 3.0]), (1, 2), mode="reflect")
    tensor([2., 1., 2., 3., 2., 1.])
    """
    if mode not in _NUMPYS:
        raise ValueError(f"pad: unknown mode {mode!r}; expected one of {tuple(_NUMPYS)}")
    if mode != "constant" and value:
        raise ValueError(f"pad: mode {mode!r} takes no value, got {value}")
    steps = _steps(shape_of("pad", x), _numbers(pad), mode)
    if value is not None and not isinstance(value, int | float | np.number):
        raise TypeError(f"pad: value is {value!r}; expected a number")
    if x.dtype.kind in "iu" and value and not np.isfinite(value):
        raise ValueError(f"pad: value {value} is no {x.dtype}")
    for step in steps:
        x = _pad(x, step=step, fill=value or 0.0)
    return x if steps else x.clone()
