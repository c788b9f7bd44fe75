"""Convolutions and transposed convolutions along one, two or three axes."""

import math

from .. import ops
from ..creation import empty
from ..ops._family import ints
from ..ops.conv import convolve
from . import init
from .module import Module, Parameter, place

_MODES = ("zeros", "reflect", "replicate", "circular")


class _ConvNd(Module):
    """What convolutions share; ``rank`` axes."""

    rank, transposed = 0, False

    def _construct(
        self, in_channels, out_channels, kernel_size, stride, padding, output_padding, dilation,
        groups, bias, padding_mode, device, dtype,
    ):  # fmt: skip
        name, rank = type(self).__name__, self.rank
        (groups,) = ints(name, "groups", groups, 1, 1)
        for what, channels in (("in_channels", in_channels), ("out_channels", out_channels)):
            ints(name, what, channels, 1, 0)
            if channels % groups:
                raise ValueError(f"{name}: {groups} groups do not divide {what} = {channels}")
        modes = _MODES[:1] if self.transposed else _MODES
        if padding_mode not in modes:
            raise ValueError(f"{name}: padding_mode is {padding_mode!r}; expected one of {modes}")
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = ints(name, "kernel_size", kernel_size, rank, 1)
        self.stride = ints(name, "stride", stride, rank, 1)
        if isinstance(padding, str) and not self.transposed:
            if padding not in ("same", "valid"):
                raise ValueError(f"{name}: padding is {padding!r}; expected 'same' or 'valid'")
            if padding == "same" and max(self.stride) > 1:
                raise ValueError(f"{name}: padding 'same' is for stride 1, not {self.stride}")
            self.padding = padding
        else:
            self.padding = ints(name, "padding", padding, rank, 0)
        self.dilation = ints(name, "dilation", dilation, rank, 1)
        self.output_padding = ints(name, "output_padding", output_padding, rank, 0)
        self.groups, self.padding_mode = groups, padding_mode
        first, second = in_channels, out_channels
        if not self.transposed:
            first, second = second, first
        self.weight = Parameter(empty(first, second // groups, *self.kernel_size))
        self.register_parameter("bias", Parameter(empty(out_channels)) if bias else None)
        self.reset_parameters()
        place(self, device, dtype)

    def reset_parameters(self):
        """Draw the parameters anew: both uniform within ``±1/√(inputs of a window)``."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        inputs = self.weight[0].numel() if self.weight.shape[0] else 0
        if self.bias is not None and inputs:
            bound = 1.0 / math.sqrt(inputs)
            init.uniform_(self.bias, -bound, bound)

    def extra_repr(self):
        parts = [
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}"
        ]
        zeros, ones = (0,) * self.rank, (1,) * self.rank
        for name, default in (
            ("padding", zeros), ("dilation", ones), ("output_padding", zeros), ("groups", 1)
        ):  # fmt: skip
            if getattr(self, name) != default:
                value = getattr(self, name)
                parts.append(f"{name}={value!r}" if name != "padding" else f"padding={value}")
        if self.bias is None:
            parts.append("bias=False")
        if self.padding_mode != "zeros":
            parts.append(f"padding_mode={self.padding_mode}")
        return ", ".join(parts)


class _Conv(_ConvNd):
    """A convolution; subclasses say along how many axes."""

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        dilation=1,
        groups=1,
        bias=True,
        padding_mode="zeros",
        device=None,
        dtype=None,
    ):
        super().__init__()
        self._construct(
            in_channels, out_channels, kernel_size, stride, padding, 0, dilation, groups, bias,
            padding_mode, device, dtype,
        )  # fmt: skip

    def _pads(self):
        """What ``pad`` adds at the ends of the axes, the last one first."""
        pads = []
        for axis in reversed(range(self.rank)):
            if self.padding == "same":
                more = (self.kernel_size[axis] - 1) * self.dilation[axis]
                pads += [more // 2, more - more // 2]
            else:
                pads += [0 if self.padding == "valid" else self.padding[axis]] * 2
        return pads

    def _convolve(self, x, relu):
        padding = self.padding
        if self.padding_mode != "zeros":
            x, padding = ops.pad(x, self._pads(), mode=self.padding_mode), 0
        return convolve(
            self.rank, x, self.weight, self.bias, self.stride, padding, self.dilation, self.groups,
            relu,
        )  # fmt: skip

    def forward(self, input):  # PyTorch's name, which callers use
        return self._convolve(input, False)

    def forward_relu(self, x):
        """``relu(forward(x))`` in one pass."""
        return self._convolve(x, True)


class Conv1d(_Conv):
    """Convolution along one axis: (N, C, L) or (C, L); see ``Conv2d``.

    >>> import fastgrad as fg
    >>> fg.nn.Conv1d(3, 5, 4)(fg.zeros(2, 3, 10)).shape
    (2, 5, 7)
    """

    rank = 1


class Conv2d(_Conv):
    """Convolution of images (N, C, H, W) or (C, H, W); see ``functional.conv2d``.

    weight (out_channels, in_channels / groups, *kernel_size) and bias (out_channels,), both
    uniform within ``±1/√(in_channels / groups · pixels of the kernel)`` at first, as in PyTorch.

    padding_mode   what is padded with: "zeros", "reflect" (mirrored without the edge), "replicate"
                   (the edge again) or "circular" (from the other end)

    Raises ``ValueError`` for groups that do not divide both numbers of channels, and for an
    unknown mode or padding.

    >>> import fastgrad as fg
    >>> fg.nn.Conv2d(3, 16, 3, stride=2, padding=1)
    Conv2d(3, 16, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1))
    >>> fg.nn.Conv2d(3, 16, 3, padding="same")(fg.zeros(2, 3, 8, 8)).shape
    (2, 16, 8, 8)
    """

    rank = 2


class Conv3d(_Conv):
    """Convolution of volumes (N, C, D, H, W) or (C, D, H, W); see ``Conv2d``.

    >>> import fastgrad as fg
    >>> fg.nn.Conv3d(3, 4, (1, 3, 3))(fg.zeros(2, 3, 5, 8, 8)).shape
    (2, 4, 5, 6, 6)
    """

    rank = 3


class _ConvTranspose(_ConvNd):
    """A transposed convolution; subclasses say along how many axes."""

    transposed = True

    def __init__(
        self,
        in_channels,
        out_channels,
        kernel_size,
        stride=1,
        padding=0,
        output_padding=0,
        groups=1,
        bias=True,
        dilation=1,
        padding_mode="zeros",
        device=None,
        dtype=None,
    ):
        super().__init__()
        self._construct(
            in_channels, out_channels, kernel_size, stride, padding, output_padding, dilation,
            groups, bias, padding_mode, device, dtype,
        )  # fmt: skip

    def forward(self, input, output_size=None):
        more = self.output_padding if output_size is None else self._more(input, output_size)
        function = getattr(ops, f"conv_transpose{self.rank}d")
        return function(
            input, self.weight, self.bias, self.stride, self.padding, more, self.groups,
            self.dilation,
        )  # fmt: skip

    def _more(self, x, output_size):
        """The ``output_padding`` that makes the result so large."""
        name, rank = type(self).__name__, self.rank
        several = isinstance(output_size, list | tuple)
        wanted = tuple(output_size) if several else (output_size,) * rank
        if len(wanted) > rank and len(wanted) == len(x.shape):
            wanted = wanted[-rank:]
        least = [
            (n - 1) * s - 2 * p + d * (k - 1) + 1
            for n, s, p, d, k in zip(
                x.shape[-rank:], self.stride, self.padding, self.dilation, self.kernel_size,
                strict=True,
            )
        ]  # fmt: skip
        most = [a + s - 1 for a, s in zip(least, self.stride, strict=True)]
        if len(wanted) != rank or any(
            not a <= n <= b for a, n, b in zip(least, wanted, most, strict=True)
        ):
            raise ValueError(
                f"{name}: output_size is {output_size}; for an input {x.shape} it can be "
                f"{tuple(least)} to {tuple(most)}"
            )
        return tuple(n - a for n, a in zip(wanted, least, strict=True))


class ConvTranspose1d(_ConvTranspose):
    """Transposed convolution along one axis; see ``ConvTranspose2d``.

    >>> import fastgrad as fg
    >>> fg.nn.ConvTranspose1d(3, 5, 4, stride=2)(fg.zeros(2, 3, 10)).shape
    (2, 5, 22)
    """

    rank = 1


class ConvTranspose2d(_ConvTranspose):
    """Transposed convolution of images; see ``functional.conv_transpose2d``.

    weight (in_channels, out_channels / groups, *kernel_size) and bias (out_channels,) start as
    PyTorch's. Called with ``output_size``, it chooses the output_padding that gives that size.

    Raises ``ValueError`` as ``Conv2d`` does, and for an ``output_size`` that cannot be.

    >>> import fastgrad as fg
    >>> up = fg.nn.ConvTranspose2d(16, 3, 3, stride=2, padding=1)
    >>> up(fg.zeros(1, 16, 4, 4)).shape, up(fg.zeros(1, 16, 4, 4), output_size=(8, 8)).shape
    ((1, 3, 7, 7), (1, 3, 8, 8))
    """

    rank = 2


class ConvTranspose3d(_ConvTranspose):
    """Transposed convolution of volumes; see ``ConvTranspose2d``.

    >>> import fastgrad as fg
    >>> fg.nn.ConvTranspose3d(3, 4, 2, stride=2)(fg.zeros(1, 3, 2, 3, 3)).shape
    (1, 4, 4, 6, 6)
    """

    rank = 3
