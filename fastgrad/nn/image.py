"""Layers on images that have no parameters: sizes, pixels and channels, response normalization."""

from .. import ops
from .module import Module


class Upsample(Module):
    """Images in another size; see ``functional.interpolate``.

    >>> import fastgrad as fg
    >>> fg.nn.Upsample(scale_factor=2, mode="bilinear")(fg.zeros(2, 3, 4, 5)).shape
    (2, 3, 8, 10)
    """

    def __init__(
        self,
        size=None,
        scale_factor=None,
        mode="nearest",
        align_corners=None,
        recompute_scale_factor=None,
    ):
        super().__init__()
        if isinstance(scale_factor, tuple | list):
            scale_factor = tuple(map(float, scale_factor))
        elif scale_factor is not None:
            scale_factor = float(scale_factor)
        self.size, self.scale_factor, self.mode = size, scale_factor, mode
        self.align_corners, self.recompute_scale_factor = align_corners, recompute_scale_factor

    def forward(self, x):
        return ops.interpolate(
            x,
            self.size,
            self.scale_factor,
            self.mode,
            self.align_corners,
            self.recompute_scale_factor,
        )

    def extra_repr(self):
        if self.scale_factor is not None:
            return f"scale_factor={self.scale_factor!r}, mode={self.mode!r}"
        return f"size={self.size!r}, mode={self.mode!r}"


class UpsamplingNearest2d(Upsample):
    """``Upsample`` of (N, C, H, W) with mode "nearest".

    >>> import fastgrad as fg
    >>> fg.nn.UpsamplingNearest2d(scale_factor=2)(fg.zeros(2, 3, 4, 5)).shape
    (2, 3, 8, 10)
    """

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="nearest")


class UpsamplingBilinear2d(Upsample):
    """``Upsample`` of (N, C, H, W) with mode "bilinear" and ``align_corners``.

    >>> import fastgrad as fg
    >>> fg.nn.UpsamplingBilinear2d((3, 3))(fg.zeros(2, 3, 4, 5)).shape
    (2, 3, 3, 3)
    """

    def __init__(self, size=None, scale_factor=None):
        super().__init__(size, scale_factor, mode="bilinear", align_corners=True)


class PixelShuffle(Module):
    """Channels become pixels; see ``functional.pixel_shuffle``.

    >>> import fastgrad as fg
    >>> fg.nn.PixelShuffle(2)(fg.zeros(2, 12, 4, 5)).shape
    (2, 3, 8, 10)
    """

    def __init__(self, upscale_factor):
        super().__init__()
        self.upscale_factor = upscale_factor

    def forward(self, x):
        return ops.pixel_shuffle(x, self.upscale_factor)

    def extra_repr(self):
        return f"upscale_factor={self.upscale_factor}"


class PixelUnshuffle(Module):
    """Pixels become channels; see ``functional.pixel_unshuffle``.

    >>> import fastgrad as fg
    >>> fg.nn.PixelUnshuffle(2)(fg.zeros(2, 3, 8, 10)).shape
    (2, 12, 4, 5)
    """

    def __init__(self, downscale_factor):
        super().__init__()
        self.downscale_factor = downscale_factor

    def forward(self, x):
        return ops.pixel_unshuffle(x, self.downscale_factor)

    def extra_repr(self):
        return f"downscale_factor={self.downscale_factor}"


class ChannelShuffle(Module):
    """Channels in turn from each group; see ``functional.channel_shuffle``.

    >>> import fastgrad as fg
    >>> fg.nn.ChannelShuffle(2)(fg.zeros(2, 6, 4, 5)).shape
    (2, 6, 4, 5)
    """

    def __init__(self, groups):
        super().__init__()
        self.groups = groups

    def forward(self, x):
        return ops.channel_shuffle(x, self.groups)

    def extra_repr(self):
        return f"groups={self.groups}"


class LocalResponseNorm(Module):
    """Each value by those of the channels around it; see ``functional.local_response_norm``.

    >>> import fastgrad as fg
    >>> fg.nn.LocalResponseNorm(2)(fg.ones(2, 6, 4, 5)).shape
    (2, 6, 4, 5)
    """

    def __init__(self, size, alpha=1e-4, beta=0.75, k=1.0):
        super().__init__()
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x):
        return ops.local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self):
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"
