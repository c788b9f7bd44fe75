"""Rules of grids that say where images are read: affine maps, values at places."""

import math
from functools import lru_cache

import numpy as np

from ..backend import K
from ..lifting import op
from ._family import T, ints, shape_of

__all__ = ["affine_grid", "grid_sample"]

_ALL = (True, True)
_WIDTHS = {"bilinear": 2, "nearest": 1, "bicubic": 4}
_PADDINGS = {"zeros": 0, "border": 1, "reflection": 2}


# ------------------------------------------------------------------ affine maps


def _steps(count, aligned, dtype):
    """The coordinates of ``count`` pixels, from -1 to 1."""
    if count <= 1:
        return np.zeros(count, dtype)
    steps = np.linspace(-1, 1, count, dtype=dtype)
    return steps if aligned else steps * dtype.type((count - 1) / count)


@lru_cache(maxsize=64)
def _base(size, aligned, dtype):
    """Coordinates of pixels, the last axis first, and a 1: (pixels, dims + 1)."""
    axes = np.meshgrid(*(_steps(n, aligned, dtype) for n in size), indexing="ij")
    base = np.stack([*reversed(axes), np.ones(size, dtype)], -1).reshape(-1, len(size) + 1)
    base.flags.writeable = False
    return base


def affine_grid(theta, size, align_corners=None):
    """The grid (N, \\*pixels, dims) of affine maps theta, for ``grid_sample``.

    theta           (N, 2, 3) for images, (N, 3, 4) for volumes: what maps places in the result to
                    those in the source, in coordinates from -1 to 1, (x, y) or (x, y, z)
    size            of the result, (N, C, H, W) or (N, C, D, H, W)
    align_corners   whether -1 and 1 are the middles of the first and the last pixel, or their
                    outer edges (False, the default)

    ``grid[n, h, w] = theta[n] · (x_w, y_h, 1)``. Jaderberg et al. 2015. Raises ``ValueError`` for
    shapes that do not fit, ``TypeError`` where theta is not of floats.

    >>> import fastgrad as fg
    >>> half = fg.tensor([[[0.5, 0.0, 0.0], [0.0, 0.5, 0.0]]])
    >>> fg.affine_grid(half, (1, 1, 1, 2), align_corners=True)
    tensor([[[[-0.5000,  0.0000],
              [ 0.5000,  0.0000]]]])
    """
    shape = shape_of("affine_grid", theta)
    if theta.dtype.kind != "f":
        raise TypeError(f"affine_grid: expected a theta of floats, got {theta.dtype}")
    size = tuple(size)
    dims = len(size) - 2
    if dims not in (2, 3):
        raise ValueError(f"affine_grid: size is {size}; expected (N, C, H, W) or (N, C, D, H, W)")
    size = ints("affine_grid", "size", size, dims + 2, 1)
    if shape != (size[0], dims, dims + 1):
        raise ValueError(
            f"affine_grid: theta {shape} does not fit size {size}; expected "
            f"{(size[0], dims, dims + 1)}"
        )
    base = _base(size[2:], bool(align_corners), theta.dtype)
    return T.matmul(base, T.transpose(theta, 1, 2)).reshape(size[0], *size[2:], dims)


# ------------------------------------------------------------------ values at places


@op(name="grid_sample")
def _sample(x, grid, *, width, padding, aligned):
    options = width, padding, aligned

    def vjp(grad, needs=_ALL):
        return (
            K.grid_sample_input_grad(grad, grid, x.shape[2:], *options) if needs[0] else None,
            K.grid_sample_grid_grad(grad, x, grid, *options) if needs[1] else None,
        )

    return K.grid_sample_forward(x, grid, *options), vjp


@op(name="grid_taps")
def _taps(grid, *, size, options):
    return K.grid_taps(grid, size, *options), None


def _weights(t, width):
    """Weights of an axis' taps at fractions t, by operations."""
    if width == 1:
        return [t * 0.0 + 1.0]
    if width == 2:
        return [1.0 - t, t]

    def near(t):
        return (1.25 * t - 2.25) * t * t + 1.0

    def far(t):
        return ((3.75 - 0.75 * t) * t - 6.0) * t + 3.0

    return [far(t + 1.0), near(t), near(1.0 - t), far(2.0 - t)]


@_sample.composed_of
def _(x, grid, width, padding, aligned):
    dims = x.ndim - 2
    taps, slopes, offsets = _taps(grid, size=x.shape[2:], options=(width, padding, aligned))
    items, pixels, count = taps.shape
    t = (grid * slopes + offsets).reshape(items, pixels, dims)
    whole = None
    for axis in reversed(range(dims)):  # the last coordinate is that of the first axis
        along = T.stack(_weights(t[..., axis], width), -1)
        if whole is not None:
            along = T.flatten(whole.unsqueeze(-1) * along.unsqueeze(-2), 2)
        whole = along
    whole = T.masked_fill(whole, taps < 0, 0.0).unsqueeze(1)
    index = T.clamp(taps, 0).reshape(items, 1, pixels * count)
    index = index.expand(items, x.shape[1], pixels * count)
    values = T.gather(T.flatten(x, 2), 2, index)
    values = values.reshape(*x.shape[:2], pixels, count)
    values = T.masked_fill(values, (taps < 0).unsqueeze(1), 0.0)
    return (values * whole).sum(-1).reshape(*x.shape[:2], *grid.shape[1:-1])


def grid_sample(input, grid, mode="bilinear", padding_mode="zeros", align_corners=None):
    """Values of images at the places of a grid.

    input           (N, C, H, W), or volumes (N, C, D, H, W)
    grid            (N, \\*pixels, 2) or (N, \\*pixels, 3): (x, y) or (x, y, z) from -1 to 1 across
                    the image, for as many axes of pixels; see ``affine_grid``
    mode            "bilinear" (of volumes, too), "nearest" (halves to even), or "bicubic" (images
                    only; Keys 1981, a = -¾)
    padding_mode    what is outside: "zeros", "border" (the edge), or "reflection"
    align_corners   whether -1 and 1 are the middles of the first and the last pixel, or their
                    outer edges (False, the default)

    The result is (N, C, \\*pixels). Jaderberg et al. 2015. Differentiable in both; in the grid,
    the gradient is 0 for "nearest", and where a place was brought in from outside.

    Raises ``ValueError`` for shapes and modes that do not fit, ``TypeError`` for types.

    >>> import fastgrad as fg
    >>> image = fg.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    >>> fg.grid_sample(image, fg.tensor([[[[0.0, 0.0], [1.0, 1.0]]]]), align_corners=True)
    tensor([[[[2.5000, 4.0000]]]])
    """
    shape, places = shape_of("grid_sample", input), shape_of("grid_sample", grid)
    dims = len(shape) - 2
    if dims not in (2, 3) or not math.prod(shape[2:]):
        raise ValueError(
            f"grid_sample: expected an input (N, C, H, W) or (N, C, D, H, W) with pixels, "
            f"got {shape}"
        )
    if len(places) != len(shape) or places[0] != shape[0] or places[-1] != dims:
        pixels = ("H, W", "D, H, W")[dims - 2]
        raise ValueError(
            f"grid_sample: expected a grid ({shape[0]}, {pixels}, {dims}) for an input {shape}, "
            f"got {places}"
        )
    if mode not in _WIDTHS or (mode == "bicubic" and dims == 3):
        known = tuple(_WIDTHS)[: 3 if dims == 2 else 2]
        raise ValueError(
            f"grid_sample: mode is {mode!r}; expected one of {known} for an input {shape}"
        )
    if padding_mode not in _PADDINGS:
        raise ValueError(
            f"grid_sample: padding_mode is {padding_mode!r}; expected one of {tuple(_PADDINGS)}"
        )
    if input.dtype.kind != "f" or input.dtype != grid.dtype:
        raise TypeError(
            "grid_sample: expected an input and a grid of the same floats, got "
            f"{input.dtype} and {grid.dtype}"
        )
    return _sample(
        input, grid, width=_WIDTHS[mode], padding=_PADDINGS[padding_mode],
        aligned=bool(align_corners),
    )  # fmt: skip
