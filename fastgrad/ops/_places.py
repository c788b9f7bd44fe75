"""Operations that pick from a grid, by tables that say where each element comes from."""

from typing import NamedTuple

import numpy as np

from ..backend import K, contiguous
from ..lifting import op


class GridAxis(NamedTuple):
    """An axis as the kernels ``pick_grid`` want it.

    places           where each element comes from, -1 for nowhere
    left, right      the longest run of places that follow each other
    starts, targets  element i went to the places ``targets[starts[i] : starts[i + 1]]``
    """

    places: np.ndarray
    left: int
    right: int
    starts: np.ndarray
    targets: np.ndarray

    def back(self):
        """The axis that takes every element back, or None where one went to several places."""
        size = len(self.starts) - 1
        if not self.left and self.right == len(self.places) == size:  # all of them, in order
            return self
        counts = np.diff(self.starts)
        if counts.size and counts.max() > 1:
            return None
        places = np.full(len(counts), -1)
        places[counts > 0] = self.targets
        return grid_axis(places, len(self.places))


def grid_axis(places, size):
    """The ``GridAxis`` of places along an axis of ``size`` elements."""
    places = np.ascontiguousarray(places, np.int64)
    breaks = np.flatnonzero((np.diff(places) != 1) | (places[:-1] < 0)) + 1
    edges = np.concatenate([[0], breaks, [len(places)]])
    longest = int(np.argmax(np.diff(edges)))
    left, right = int(edges[longest]), int(edges[longest + 1])
    if not len(places) or places[left] < 0:
        left = right = 0
    used = np.flatnonzero(places >= 0)
    targets = used[np.argsort(places[used], kind="stable")]
    counts = np.bincount(places[used], minlength=size)
    starts = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
    return GridAxis(places, left, right, starts, targets.astype(np.int64))


_order = np.arange(1024)
"""0, 1, 2, ..., of which every axis that is left as it is has a part: it may be a long one."""


def identity_axis(size):
    """The ``GridAxis`` of elements that stay where they are."""
    global _order
    if size >= len(_order):
        _order = np.arange(2 * size)
    return GridAxis(_order[:size], 0, size, _order[: size + 1], _order[:size])


def picking_step(seen, axes, after):
    """What ``picking`` does: (shape seen by the kernel, its axes, shape of the result, axes back).

    The axes back, None where there are no such, make the gradient a picking, too: twice as fast as
    adding up.
    """
    back = tuple(axis.back() for axis in axes)
    return seen, axes, after, None if None in back else back


def _put(x, step, fill=0.0):
    seen, axes, after, _ = step
    return K.pick_grid(contiguous(x).reshape(seen), axes, fill).reshape(after)


def _gather(grad, step, before):
    seen, axes, _, back = step
    rows = contiguous(grad).reshape(*seen[:1], *(len(axis.places) for axis in axes))
    if back:
        return K.pick_grid(rows, back).reshape(before)
    return K.pick_grid_backward(rows, axes, seen).reshape(before)


def picking(name):
    """An operation ``f(x, step=, fill=)`` of a name that picks by a ``picking_step``."""

    @op(name=name)
    def pick(x, *, step, fill):
        before = x.shape
        return _put(x, step, fill), lambda grad: _gather(grad, step, before)

    return pick.differentiable(lambda grad, step, before: _back(grad, step=step, before=before))


@op(name="picking_backward", linear=True)
def _back(grad, *, step, before):
    return _gather(grad, step, before), lambda x: _put(x, step)
