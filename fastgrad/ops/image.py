"""Rules of images' channels: shuffles, local response normalization."""

import math
from functools import lru_cache

import numpy as np

from ..backend import K
from ..lifting import op
from ._family import T, float_input, ints, shape_of
from ._places import grid_axis, identity_axis, picking, picking_step

__all__ = ["channel_shuffle", "local_response_norm", "pixel_shuffle", "pixel_unshuffle"]


@op(linear=True)
def pixel_shuffle(x, *, upscale_factor):
    """Channels become pixels: (\\*, C · r², H, W) to (\\*, C, H · r, W · r), r the factor.

    Pixel (h · r + i, w · r + j) of channel c is pixel (h, w) of channel c · r² + i · r + j.
    Shi et al. 2016. Raises ``ValueError`` for fewer than 3 axes, a factor below 1, and channels
    that are no multiple of r².

    >>> import fastgrad as fg
    >>> fg.pixel_shuffle(fg.tensor([[[1.0]], [[2.0]], [[3.0]], [[4.0]]]), 2)
    tensor([[[1., 2.],
             [3., 4.]]])
    """
    (r,) = ints("pixel_shuffle", "upscale_factor", upscale_factor, 1, 1)
    if x.ndim < 3 or x.shape[-3] % (r * r):
        raise ValueError(f"pixel_shuffle: expected (*, C · {r}², H, W), got {x.shape}")
    return _shuffled(x, r, "pixel_shuffle", "pixel_unshuffle")


@op(linear=True)
def pixel_unshuffle(x, *, downscale_factor):
    """Pixels become channels, the inverse of ``pixel_shuffle``: (\\*, C · r², H / r, W / r).

    Raises ``ValueError`` for fewer than 3 axes, a factor below 1, and sides that are no multiple
    of it.

    >>> import fastgrad as fg
    >>> fg.pixel_unshuffle(fg.tensor([[[1.0, 2.0], [3.0, 4.0]]]), 2).shape
    (4, 1, 1)
    """
    (r,) = ints("pixel_unshuffle", "downscale_factor", downscale_factor, 1, 1)
    if x.ndim < 3 or x.shape[-1] % r or x.shape[-2] % r:
        raise ValueError(f"pixel_unshuffle: expected (*, C, H · {r}, W · {r}), got {x.shape}")
    return _shuffled(x, r, "pixel_unshuffle", "pixel_shuffle")


def _shuffled(x, r, forward, backward):
    """x (\\*, C, H, W) by a kernel of (N, C, H, W), and the pull-back."""
    before, dtype = x.shape, x.dtype
    items = math.prod(before[:-3])
    if dtype.kind != "f":
        x = x.astype(np.float64)
    out = getattr(K, forward)(x.reshape(items, *before[-3:]), r)
    images = out.shape

    def vjp(grad):
        return getattr(K, backward)(grad.reshape(images), r).reshape(before)

    return out.reshape(*before[:-3], *images[1:]).astype(dtype, copy=False), vjp


# ------------------------------------------------------------------ channels


_pick_channels = picking("channel_shuffle")


@lru_cache(maxsize=256)
def _channel_step(shape, groups):
    channels, plane = shape[1], math.prod(shape[2:])
    order = np.arange(channels).reshape(groups, -1).T.reshape(-1)
    axes = grid_axis(order, channels), identity_axis(plane)
    return picking_step((shape[0], channels, plane), axes, shape)


def channel_shuffle(x, groups):
    """Channels (N, groups · C, \\*) in turn from each group: 0, C, 2 · C, ..., 1, C + 1, ...

    Zhang et al. 2018. Raises ``ValueError`` for fewer than 3 axes and channels that do not make
    so many groups.

    >>> import fastgrad as fg
    >>> fg.channel_shuffle(fg.tensor([[[1.0], [2.0], [3.0], [4.0]]]), 2).reshape(-1)
    tensor([1., 3., 2., 4.])
    """
    (groups,) = ints("channel_shuffle", "groups", groups, 1, 1)
    shape = shape_of("channel_shuffle", x)
    if len(shape) < 3 or shape[1] % groups:
        raise ValueError(f"channel_shuffle: expected (N, {groups} · C, *), got {shape}")
    return _pick_channels(x, step=_channel_step(shape, groups), fill=0.0)


@op(name="local_response_norm")
def _local_response_norm(x, *, options):
    x = float_input("local_response_norm", x)
    out = K.local_response_norm_forward(x, *options)
    return out, lambda grad: K.local_response_norm_backward(grad, x, *options)


@_local_response_norm.composed_of
def _(x, options):
    size, alpha, beta, k = options
    sides = (0, 0) * (x.ndim - 2)
    squares = T.pad(x * x, (*sides, size // 2, (size - 1) // 2))
    total = sum(T.narrow(squares, 1, j, x.shape[1]) for j in range(size))
    return x * (total * (alpha / size) + k) ** -beta


def local_response_norm(x, size, alpha=1e-4, beta=0.75, k=1.0):
    """``x / (k + α / size · Σ x²)^β``, the sum over ``size`` channels around each; x (N, C, \\*).

    Beyond the channels are zeros. Krizhevsky, Sutskever & Hinton 2012. Raises ``ValueError`` for
    fewer than 3 axes and a size below 1. Integers become float32.

    >>> import fastgrad as fg
    >>> fg.local_response_norm(fg.tensor([[[1.0], [2.0]]]), 2, alpha=2.0, beta=1.0, k=0.0)
    tensor([[[1.0000],
             [0.4000]]])
    """
    (size,) = ints("local_response_norm", "size", size, 1, 1)
    shape = shape_of("local_response_norm", x)
    if len(shape) < 3:
        raise ValueError(f"local_response_norm: expected (N, C, *), got {shape}")
    return _local_response_norm(x, options=(size, alpha, beta, k))
