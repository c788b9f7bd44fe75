"""Tables that say for each element along an axis where it comes from."""

from typing import NamedTuple

import numpy as np


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


def identity(places):
    """Whether the places are those of the elements themselves."""
    return np.array_equal(places, np.arange(len(places)))
