"""Rules of interpolation: images of another size."""

import math
from functools import lru_cache

import numpy as np

from ..backend import K
from ..lifting import op
from ._family import ints, shape_of
from ._places import grid_axis, picking, picking_step
from ._taps import nearest_places, taps_of

__all__ = ["interpolate", "upsample", "upsample_bilinear", "upsample_nearest"]

_AXES = {
    "nearest": (1, 2, 3), "nearest-exact": (1, 2, 3), "area": (1, 2, 3), "linear": (1,),
    "bilinear": (2,), "bicubic": (2,), "trilinear": (3,),
}  # fmt: skip

_nearest = picking("interpolate")


def _nearest_step(shape, dtype, size, factors, exact):
    dtype = dtype if dtype.kind == "f" else np.dtype(np.float32)
    axes = [
        grid_axis(nearest_places(n, out, factor, exact, dtype), n)
        for n, out, factor in zip(shape[2:], size, factors, strict=True)
    ]
    return picking_step((shape[0] * shape[1], *shape[2:]), tuple(axes), (*shape[:2], *size))


@op(name="interpolate", linear=True)
def _weighted(x, *, plan):
    def apply(x, which):
        for axis, *tables in plan[:: -1 if which else 1]:
            x = K.resample(x, axis, tables[which])
        return x

    return apply(x, 0), lambda grad: apply(grad, 1)


def _plan(shape, dtype, mode, size, factors, align_corners, antialias):
    """(axis, taps, taps back) of the axes in the order in which least is computed.

    What shrinks goes first. Along rows elements are looked up one by one, along other axes they
    are read in vectors: so the rows' turn is before what grows and after what shrinks.
    """
    axes = []
    for axis, (n, out, factor) in enumerate(zip(shape[2:], size, factors, strict=True), 2):
        pair = taps_of(mode, n, out, factor, align_corners, antialias, dtype)
        if out != n or factor not in (None, 1.0) or antialias:
            axes.append((out / n, -axis if out > n else axis, (axis, *pair)))
    return tuple(entry for _, _, entry in sorted(axes, key=lambda entry: entry[:2]))


def _factors(scale_factor, count):
    """A factor for each axis."""
    factors = scale_factor if isinstance(scale_factor, tuple) else (scale_factor,) * count
    if len(factors) != count or not all(
        isinstance(f, int | float | np.number) and math.isfinite(f) for f in factors
    ):
        raise ValueError(
            f"interpolate: scale_factor is {scale_factor!r}; expected a number or {count}"
        )
    return tuple(map(float, factors))


def _sizes(shape, size, scale_factor, recompute_scale_factor):
    """(sizes of the result, factors that decide where its elements lie, None: the sizes)."""
    count = len(shape) - 2
    if (size is None) == (scale_factor is None):
        raise ValueError(
            f"interpolate: expected one of size and scale_factor, got {size} and {scale_factor}"
        )
    if scale_factor is None:
        if recompute_scale_factor:
            raise ValueError("interpolate: recompute_scale_factor wants a scale_factor, not a size")
        sizes, factors = ints("interpolate", "size", size, count, 1, False), (None,) * count
    else:
        factors = _factors(scale_factor, count)
        sizes = tuple(math.floor(n * f) for n, f in zip(shape[2:], factors, strict=True))
        factors = (None,) * count if recompute_scale_factor else factors
    if 0 in shape[1:] or min(sizes) < 1:
        raise ValueError(f"interpolate: shape {shape} cannot have size {sizes}")
    return sizes, factors


@lru_cache(maxsize=512, typed=True)
def _prepared(shape, dtype, mode, align_corners, antialias, *sizes):
    """What is to be done, all checked: a ``picking_step`` for the nearest, otherwise a plan."""
    if len(shape) - 2 not in _AXES.get(mode, ()):
        known = tuple(name for name, counts in _AXES.items() if len(shape) - 2 in counts)
        if not known:
            raise ValueError(f"interpolate: expected (N, C, *) of 1 to 3 axes, got shape {shape}")
        raise ValueError(
            f"interpolate: mode {mode!r} does not go with shape {shape}; expected one of {known}"
        )
    nearest = mode.startswith("nearest")
    if align_corners is not None and (nearest or mode == "area"):
        raise ValueError(f"interpolate: mode {mode!r} takes no align_corners, got {align_corners}")
    if antialias and mode not in ("bilinear", "bicubic"):
        raise ValueError(f"interpolate: antialias is for bilinear and bicubic, not for {mode!r}")
    sizes, factors = _sizes(shape, *sizes)
    if nearest:
        return _nearest_step(shape, dtype, sizes, factors, mode == "nearest-exact")
    if dtype.kind != "f":
        raise TypeError(f"interpolate: mode {mode!r} expects floats, got {dtype}; use x.float()")
    factors = factors if mode != "area" else (None,) * len(sizes)
    return _plan(shape, dtype, mode, sizes, factors, bool(align_corners), antialias)


def interpolate(
    x, size=None, scale_factor=None, mode="nearest", align_corners=None,
    recompute_scale_factor=None, antialias=False,
):  # fmt: skip
    """Images (N, C, \\*) of one to three axes in another size.

    size, scale_factor       the size to get, or by what to multiply: a number, or one for each axis
    mode                     "nearest" and "nearest-exact", "linear" (1 axis), "bilinear" and
                             "bicubic" (2), "trilinear" (3), "area" (means of windows)
    align_corners            whether the first and last elements, not their outer edges, lie at the
                             same places; for the linear modes and "bicubic"
    recompute_scale_factor   whether the sizes, after rounding, say where elements lie
    antialias                for "bilinear" and "bicubic": a wider kernel where images shrink

    Element k lies at ``(k + ½) · s - ½`` in x, s the ratio of sizes, or at ``k · s`` with s that
    of sizes less 1. Weights along each axis are those of the two elements next to it, of four by
    the cubic kernel with a = -¾ (Keys 1981), or of the nearest one.

    Raises ``ValueError`` for a mode that does not go with x's axes, for sizes that are not one or
    one for each axis, and for options that the mode does not take; ``TypeError`` where values of
    integers would be mixed.

    >>> import fastgrad as fg
    >>> fg.interpolate(fg.tensor([[[1.0, 2.0]]]), scale_factor=2)
    tensor([[[1., 1., 2., 2.]]])
    >>> fg.interpolate(fg.tensor([[[1.0, 2.0]]]), size=3, mode="linear", align_corners=True)
    tensor([[[1.0000, 1.5000, 2.0000]]])
    """
    size, scale_factor = (
        tuple(given) if isinstance(given, list) else given for given in (size, scale_factor)
    )
    plan = _prepared(
        shape_of("interpolate", x), x.dtype, mode, align_corners, antialias, size, scale_factor,
        recompute_scale_factor,
    )  # fmt: skip
    if mode.startswith("nearest"):
        return _nearest(x, step=plan, fill=0.0)
    return _weighted(x, plan=plan) if plan else x.clone()


def upsample(x, size=None, scale_factor=None, mode="nearest", align_corners=None):
    """``interpolate`` by its former name.

    >>> import fastgrad as fg
    >>> fg.upsample(fg.tensor([[[1.0, 2.0]]]), 4)
    tensor([[[1., 1., 2., 2.]]])
    """
    return interpolate(x, size, scale_factor, mode, align_corners)


def upsample_nearest(x, size=None, scale_factor=None):
    """``interpolate`` with mode "nearest".

    >>> import fastgrad as fg
    >>> fg.upsample_nearest(fg.tensor([[[1.0, 2.0]]]), 4)
    tensor([[[1., 1., 2., 2.]]])
    """
    return interpolate(x, size, scale_factor, "nearest")


def upsample_bilinear(x, size=None, scale_factor=None):
    """``interpolate`` with mode "bilinear" and ``align_corners``.

    >>> import fastgrad as fg
    >>> fg.upsample_bilinear(fg.tensor([[[[1.0, 2.0]]]]), (1, 3))
    tensor([[[[1.0000, 1.5000, 2.0000]]]])
    """
    return interpolate(x, size, scale_factor, "bilinear", align_corners=True)
