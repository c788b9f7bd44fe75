"""Layers of windows as columns."""

from .. import ops
from .module import Module


class Unfold(Module):
    """Sliding windows as columns; see ``functional.unfold``.

    >>> import fastgrad as fg
    >>> fg.nn.Unfold(3, padding=1)(fg.zeros(2, 4, 5, 5)).shape
    (2, 36, 25)
    """

    def __init__(self, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.kernel_size, self.dilation = kernel_size, dilation
        self.padding, self.stride = padding, stride

    def forward(self, x):
        return ops.unfold(x, self.kernel_size, self.dilation, self.padding, self.stride)

    def extra_repr(self):
        return (
            f"kernel_size={self.kernel_size}, dilation={self.dilation}, "
            f"padding={self.padding}, stride={self.stride}"
        )


class Fold(Module):
    """Images from columns, added up where they overlap; see ``functional.fold``.

    >>> import fastgrad as fg
    >>> fg.nn.Fold((5, 5), 3, padding=1)(fg.zeros(2, 36, 25)).shape
    (2, 4, 5, 5)
    """

    def __init__(self, output_size, kernel_size, dilation=1, padding=0, stride=1):
        super().__init__()
        self.output_size, self.kernel_size = output_size, kernel_size
        self.dilation, self.padding, self.stride = dilation, padding, stride

    def forward(self, x):
        options = self.kernel_size, self.dilation, self.padding, self.stride
        return ops.fold(x, self.output_size, *options)

    def extra_repr(self):
        return (
            f"output_size={self.output_size}, kernel_size={self.kernel_size}, "
            f"dilation={self.dilation}, padding={self.padding}, stride={self.stride}"
        )
