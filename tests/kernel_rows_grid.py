"""Rows of the kernels that pick from grids; see ``kernel_cases``."""

import numpy as np
from kernel_cases import Row

from fastgrad.ops._places import grid_axis


def _axes(sizes, kind):
    """Axes of a grid: a run with nothing at its ends, with mirrored ends, or each element twice."""
    axes = []
    for n in sizes:
        places = np.arange(n)
        if kind == "nothing":
            places = np.concatenate([[-1], places[1:], [-1, -1]])
        elif kind == "mirrored":
            places = np.concatenate([places[1:3][::-1], places, places[-2:-1]])
        else:
            places = np.repeat(places, 2)
        axes.append(grid_axis(places, n))
    return tuple(axes)


_SIZES = ((2, 3), (1, 5, 7), (2, 3, 4, 17), (4, 1, 40), (3, 30, 33), (0, 3, 4))


def _rows():
    for kind in ("nothing", "mirrored", "twice"):

        def make(m, n, *sizes, kind=kind):
            return m.normal(n, *sizes), _axes(sizes, kind), 0.5

        def back(m, n, *sizes, kind=kind):
            axes = _axes(sizes, kind)
            return m.normal(n, *(len(axis.places) for axis in axes)), axes, (n, *sizes)

        yield Row("pick_grid", make, _SIZES, ((64, 32, 32),), label=kind)
        yield Row("pick_grid_backward", back, _SIZES, ((64, 32, 32),), label=kind)


ROWS = tuple(_rows())
