"""Pools as modules: the functions of the same names say what they compute."""

from .. import functional as F
from .module import Module


def _size(value, rank):
    """A number for each of ``rank`` axes, as PyTorch's modules keep some of them."""
    return tuple(value) if isinstance(value, tuple | list) else (value,) * rank


# ------------------------------------------------------------------ the largest


class _MaxPool(Module):
    def __init__(
        self, kernel_size, stride=None, padding=0, dilation=1, return_indices=False, ceil_mode=False
    ):
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.dilation = padding, dilation
        self.return_indices, self.ceil_mode = return_indices, ceil_mode

    def forward(self, x):
        return self._function(
            x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode,
            self.return_indices,
        )  # fmt: skip

    def extra_repr(self):
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}, "
            f"dilation={self.dilation}, ceil_mode={self.ceil_mode}"
        )


class MaxPool1d(_MaxPool):
    """The largest elements of windows; see ``functional.max_pool1d``.

    >>> import fastgrad as fg
    >>> fg.nn.MaxPool1d(2)(fg.ones(1, 4)).shape
    (1, 2)
    """

    _function = staticmethod(F.max_pool1d)


class MaxPool2d(_MaxPool):
    """The largest elements of windows; see ``functional.max_pool2d``.

    >>> import fastgrad as fg
    >>> fg.nn.MaxPool2d(2)(fg.ones(1, 4, 4)).shape
    (1, 2, 2)
    """

    _function = staticmethod(F.max_pool2d)


class MaxPool3d(_MaxPool):
    """The largest elements of windows; see ``functional.max_pool3d``.

    >>> import fastgrad as fg
    >>> fg.nn.MaxPool3d(2)(fg.ones(1, 4, 4, 4)).shape
    (1, 2, 2, 2)
    """

    _function = staticmethod(F.max_pool3d)


class _MaxUnpool(Module):
    _rank = 1

    def __init__(self, kernel_size, stride=None, padding=0):
        super().__init__()
        self.kernel_size = _size(kernel_size, self._rank)
        self.stride = self.kernel_size if stride is None else _size(stride, self._rank)
        self.padding = _size(padding, self._rank)

    def forward(self, x, indices, output_size=None):
        return self._function(x, indices, self.kernel_size, self.stride, self.padding, output_size)

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class MaxUnpool1d(_MaxUnpool):
    """What a max pool took, put back among zeros; see ``functional.max_unpool1d``.

    >>> import fastgrad as fg
    >>> values, indices = fg.nn.MaxPool1d(2, return_indices=True)(fg.ones(1, 4))
    >>> fg.nn.MaxUnpool1d(2)(values, indices).shape
    (1, 4)
    """

    _function = staticmethod(F.max_unpool1d)


class MaxUnpool2d(_MaxUnpool):
    """What a max pool took, put back among zeros; see ``functional.max_unpool2d``.

    >>> import fastgrad as fg
    >>> values, indices = fg.nn.MaxPool2d(2, return_indices=True)(fg.ones(1, 4, 4))
    >>> fg.nn.MaxUnpool2d(2)(values, indices).shape
    (1, 4, 4)
    """

    _rank = 2
    _function = staticmethod(F.max_unpool2d)


class MaxUnpool3d(_MaxUnpool):
    """What a max pool took, put back among zeros; see ``functional.max_unpool3d``.

    >>> import fastgrad as fg
    >>> values, indices = fg.nn.MaxPool3d(2, return_indices=True)(fg.ones(1, 4, 4, 4))
    >>> fg.nn.MaxUnpool3d(2)(values, indices).shape
    (1, 4, 4, 4)
    """

    _rank = 3
    _function = staticmethod(F.max_unpool3d)


class _FractionalMaxPool(Module):
    _rank = 2

    def __init__(
        self, kernel_size, output_size=None, output_ratio=None, return_indices=False,
        _random_samples=None,
    ):  # fmt: skip
        super().__init__()
        if (output_size is None) == (output_ratio is None):
            raise ValueError(
                f"{type(self).__name__}: expected output_size or output_ratio, got {output_size} "
                f"and {output_ratio}"
            )
        self.kernel_size = _size(kernel_size, self._rank)
        self.return_indices = return_indices
        self.register_buffer("_random_samples", _random_samples)
        self.output_size = None if output_size is None else _size(output_size, self._rank)
        self.output_ratio = None if output_ratio is None else _size(output_ratio, self._rank)
        if output_ratio is not None and not all(0 < ratio < 1 for ratio in self.output_ratio):
            raise ValueError(
                f"{type(self).__name__}: output_ratio {output_ratio} is not between 0 and 1"
            )

    def forward(self, x):
        return self._function(
            x, self.kernel_size, self.output_size, self.output_ratio, self.return_indices,
            self._random_samples,
        )  # fmt: skip


class FractionalMaxPool2d(_FractionalMaxPool):
    """The largest of windows at random; see ``functional.fractional_max_pool2d``.

    >>> import fastgrad as fg
    >>> fg.nn.FractionalMaxPool2d(2, output_ratio=0.5)(fg.ones(1, 4, 4)).shape
    (1, 2, 2)
    """

    _function = staticmethod(F.fractional_max_pool2d)


class FractionalMaxPool3d(_FractionalMaxPool):
    """The largest of windows at random; see ``functional.fractional_max_pool3d``.

    >>> import fastgrad as fg
    >>> fg.nn.FractionalMaxPool3d(2, output_ratio=0.5)(fg.ones(1, 4, 4, 4)).shape
    (1, 2, 2, 2)
    """

    _rank = 3
    _function = staticmethod(F.fractional_max_pool3d)


# ------------------------------------------------------------------ averages


class AvgPool1d(Module):
    """Averages over windows; see ``functional.avg_pool1d``.

    >>> import fastgrad as fg
    >>> fg.nn.AvgPool1d(2)(fg.ones(1, 4)).shape
    (1, 2)
    """

    def __init__(
        self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True
    ):
        super().__init__()
        self.kernel_size = _size(kernel_size, 1)
        self.stride = self.kernel_size if stride is None else _size(stride, 1)
        self.padding = _size(padding, 1)
        self.ceil_mode, self.count_include_pad = ceil_mode, count_include_pad

    def forward(self, x):
        return F.avg_pool1d(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad
        )

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class _AvgPool(Module):
    def __init__(
        self, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
        divisor_override=None,
    ):  # fmt: skip
        super().__init__()
        self.kernel_size = kernel_size
        self.stride = kernel_size if stride is None else stride
        self.padding, self.ceil_mode = padding, ceil_mode
        self.count_include_pad, self.divisor_override = count_include_pad, divisor_override

    def forward(self, x):
        return self._function(
            x, self.kernel_size, self.stride, self.padding, self.ceil_mode,
            self.count_include_pad, self.divisor_override,
        )  # fmt: skip

    def extra_repr(self):
        return f"kernel_size={self.kernel_size}, stride={self.stride}, padding={self.padding}"


class AvgPool2d(_AvgPool):
    """Averages over windows; see ``functional.avg_pool2d``.

    >>> import fastgrad as fg
    >>> fg.nn.AvgPool2d(2)(fg.ones(1, 4, 4)).shape
    (1, 2, 2)
    """

    _function = staticmethod(F.avg_pool2d)


class AvgPool3d(_AvgPool):
    """Averages over windows; see ``functional.avg_pool3d``.

    >>> import fastgrad as fg
    >>> fg.nn.AvgPool3d(2)(fg.ones(1, 4, 4, 4)).shape
    (1, 2, 2, 2)
    """

    _function = staticmethod(F.avg_pool3d)


class _LPPool(Module):
    def __init__(self, norm_type, kernel_size, stride=None, ceil_mode=False):
        super().__init__()
        self.norm_type, self.kernel_size = norm_type, kernel_size
        self.stride, self.ceil_mode = stride, ceil_mode

    def forward(self, x):
        return self._function(
            x, float(self.norm_type), self.kernel_size, self.stride, self.ceil_mode
        )

    def extra_repr(self):
        return (
            f"norm_type={self.norm_type}, kernel_size={self.kernel_size}, stride={self.stride}, "
            f"ceil_mode={self.ceil_mode}"
        )


class LPPool1d(_LPPool):
    """Norms of windows; see ``functional.lp_pool1d``.

    >>> import fastgrad as fg
    >>> fg.nn.LPPool1d(2, 2)(fg.ones(1, 4)).shape
    (1, 2)
    """

    _function = staticmethod(F.lp_pool1d)


class LPPool2d(_LPPool):
    """Norms of windows; see ``functional.lp_pool2d``.

    >>> import fastgrad as fg
    >>> fg.nn.LPPool2d(2, 2)(fg.ones(1, 4, 4)).shape
    (1, 2, 2)
    """

    _function = staticmethod(F.lp_pool2d)


class LPPool3d(_LPPool):
    """Norms of windows; see ``functional.lp_pool3d``.

    >>> import fastgrad as fg
    >>> fg.nn.LPPool3d(2, 2)(fg.ones(1, 4, 4, 4)).shape
    (1, 2, 2, 2)
    """

    _function = staticmethod(F.lp_pool3d)


# ------------------------------------------------------------------ equal shares


class _AdaptiveMaxPool(Module):
    def __init__(self, output_size, return_indices=False):
        super().__init__()
        self.output_size, self.return_indices = output_size, return_indices

    def forward(self, x):
        return self._function(x, self.output_size, self.return_indices)

    def extra_repr(self):
        return f"output_size={self.output_size}"


class AdaptiveMaxPool1d(_AdaptiveMaxPool):
    """The largest of equal shares; see ``functional.adaptive_max_pool1d``.

    >>> import fastgrad as fg
    >>> fg.nn.AdaptiveMaxPool1d(2)(fg.ones(1, 4)).shape
    (1, 2)
    """

    _function = staticmethod(F.adaptive_max_pool1d)


class AdaptiveMaxPool2d(_AdaptiveMaxPool):
    """The largest of equal shares; see ``functional.adaptive_max_pool2d``.

    >>> import fastgrad as fg
    >>> fg.nn.AdaptiveMaxPool2d(2)(fg.ones(1, 4, 4)).shape
    (1, 2, 2)
    """

    _function = staticmethod(F.adaptive_max_pool2d)


class AdaptiveMaxPool3d(_AdaptiveMaxPool):
    """The largest of equal shares; see ``functional.adaptive_max_pool3d``.

    >>> import fastgrad as fg
    >>> fg.nn.AdaptiveMaxPool3d(2)(fg.ones(1, 4, 4, 4)).shape
    (1, 2, 2, 2)
    """

    _function = staticmethod(F.adaptive_max_pool3d)


class _AdaptiveAvgPool(Module):
    def __init__(self, output_size):
        super().__init__()
        self.output_size = output_size

    def forward(self, x):
        return self._function(x, self.output_size)

    def extra_repr(self):
        return f"output_size={self.output_size}"


class AdaptiveAvgPool1d(_AdaptiveAvgPool):
    """Averages of equal shares; see ``functional.adaptive_avg_pool1d``.

    >>> import fastgrad as fg
    >>> fg.nn.AdaptiveAvgPool1d(2)(fg.ones(1, 4)).shape
    (1, 2)
    """

    _function = staticmethod(F.adaptive_avg_pool1d)


class AdaptiveAvgPool2d(_AdaptiveAvgPool):
    """Averages of equal shares; see ``functional.adaptive_avg_pool2d``.

    >>> import fastgrad as fg
    >>> fg.nn.AdaptiveAvgPool2d(2)(fg.ones(1, 4, 4)).shape
    (1, 2, 2)
    """

    _function = staticmethod(F.adaptive_avg_pool2d)


class AdaptiveAvgPool3d(_AdaptiveAvgPool):
    """Averages of equal shares; see ``functional.adaptive_avg_pool3d``.

    >>> import fastgrad as fg
    >>> fg.nn.AdaptiveAvgPool3d(2)(fg.ones(1, 4, 4, 4)).shape
    (1, 2, 2, 2)
    """

    _function = staticmethod(F.adaptive_avg_pool3d)
