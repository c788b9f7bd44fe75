"""Rows of grids that say where images are read; see ``op_cases``. The references go by places."""

import itertools

import numpy as np
from op_cases import Case, Sample

import fastgrad as fg


def _affine(theta, size, align_corners=False):
    def steps(n):
        middles = (2 * np.arange(n) + 1) / n - 1
        return np.linspace(-1, 1, n) if align_corners and n > 1 else middles

    out = np.zeros((size[0], *size[2:], len(size) - 2))
    for place in np.ndindex(*size[2:]):
        at = [steps(n)[i] for n, i in zip(size[2:], place, strict=True)]
        out[(slice(None), *place)] = theta @ [*reversed(at), 1.0]
    return out


def _brought_in(at, n, padding_mode, aligned):
    if padding_mode == "reflection":
        low, high = (0, n - 1) if aligned else (-0.5, n - 0.5)
        while high > low and not low <= at <= high:
            at = 2 * low - at if at < low else 2 * high - at
    return at if padding_mode == "zeros" else min(max(at, 0), n - 1)


def _hat(x):
    x = abs(x)
    if x <= 1:
        return 1.25 * x**3 - 2.25 * x**2 + 1
    return -0.75 * x**3 + 3.75 * x**2 - 6 * x + 3 if x < 2 else 0.0


def _along(at, n, mode, padding_mode, aligned):
    """[(place, weight)] of the taps of an axis."""
    if mode != "bicubic":
        at = _brought_in(at, n, padding_mode, aligned)
    low = int(np.floor(at))
    if mode == "nearest":
        return [(round(at), 1.0)]
    if mode == "bilinear":
        return [(low, 1 - (at - low)), (low + 1, at - low)]
    return [
        (int(_brought_in(k, n, padding_mode, aligned)), _hat(at - k))
        for k in range(low - 1, low + 3)
    ]


def _sample(x, grid, mode="bilinear", padding_mode="zeros", align_corners=False):
    size = x.shape[2:]
    out = np.zeros((*x.shape[:2], *grid.shape[1:-1]))
    for image, *pixel in np.ndindex(*grid.shape[:-1]):
        taps = []
        for n, g in zip(size, reversed(grid[(image, *pixel)]), strict=True):
            at = (g + 1) / 2 * (n - 1) if align_corners else ((g + 1) * n - 1) / 2
            taps.append(_along(at, n, mode, padding_mode, align_corners))
        for several in itertools.product(*taps):
            place = tuple(p for p, _ in several)
            if all(0 <= p < n for p, n in zip(place, size, strict=True)):
                weight = np.prod([w for _, w in several])
                out[(image, slice(None), *pixel)] += weight * x[(image, slice(None), *place)]
    return out


_FLAT, _DEEP = ((2, 2, 4, 5), (2, 3, 2, 2)), ((1, 2, 3, 4, 2), (1, 2, 2, 2, 3))
_IMAGE, _GRID = np.zeros((2, 3, 4, 5)), np.zeros((2, 6, 7, 2))


def _samples():
    paddings = "zeros", "border", "reflection"
    for shapes, modes in ((_FLAT, ("bilinear", "nearest", "bicubic")), (_DEEP, ("bilinear",))):
        for mode, (number, padding) in itertools.product(modes, enumerate(paddings)):
            aligned = (number + len(mode)) % 2 == 0
            options = {"mode": mode, "padding_mode": padding, "align_corners": aligned}
            yield Sample(shapes, options)
    yield Sample(_DEEP, {"mode": "nearest", "padding_mode": "reflection"})
    yield Sample(((1, 40, 3, 3), (1, 9, 8, 2)), {})


ROWS = (
    Case(
        "affine_grid", fg.affine_grid, _affine,
        (
            Sample(((2, 2, 3),), {"size": (2, 1, 3, 4)}),
            Sample(((1, 2, 3),), {"size": (1, 1, 3, 2), "align_corners": True}),
            Sample(((2, 3, 4),), {"size": (2, 1, 2, 3, 2)}),
        ),
        errors=(
            ((np.zeros((2, 2, 2)),), {"size": (2, 1, 3, 4)}, ValueError,
             r"theta \(2, 2, 2\) does not fit size .*; expected \(2, 2, 3\)"),
            ((np.zeros((2, 2, 3)),), {"size": (2, 3)}, ValueError, r"size is \(2, 3\); expected"),
            ((np.zeros((2, 2, 3)),), {"size": (2, 1, 3, 0)}, ValueError, r"size is .* from 1 on"),
            ((np.zeros((2, 2, 3), int),), {"size": (2, 1, 3, 4)}, TypeError, "got int64"),
        ),
    ),
    Case(
        "grid_sample", fg.grid_sample, _sample, tuple(_samples()),
        draw=lambda rng, shape: rng.uniform(-1.4, 1.4, shape), special=False,
        errors=(
            ((_IMAGE, _GRID), {"mode": "cubic"}, ValueError, "mode is 'cubic'; expected one of"),
            ((_IMAGE, _GRID), {"padding_mode": "wrap"}, ValueError, "padding_mode is 'wrap'"),
            ((_IMAGE, _GRID[:1]), {}, ValueError, r"a grid \(2, H, W, 2\) for .* got \(1, 6"),
            ((_IMAGE[0], _GRID), {}, ValueError, r"expected an input .* got \(3, 4, 5\)"),
            ((_IMAGE[:, :, :0], _GRID), {}, ValueError, r"got \(2, 3, 0, 5\)"),
            ((np.zeros((1, 1, 2, 2, 2)), np.zeros((1, 2, 2, 2, 3))), {"mode": "bicubic"},
             ValueError, r"mode is 'bicubic'; expected one of \('bilinear', 'nearest'\)"),
            ((_IMAGE, _GRID.astype(np.float32)), {}, TypeError, "got float64 and float32"),
        ),
    ),
)  # fmt: skip
