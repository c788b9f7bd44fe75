"""Modules that learn the size of their input from the first one that they see."""

import inspect

import numpy as np

from ..tape import recording
from .conv import (
    Conv1d,
    Conv2d,
    Conv3d,
    ConvTranspose1d,
    ConvTranspose2d,
    ConvTranspose3d,
)
from .layers import BatchNorm1d, BatchNorm2d, BatchNorm3d, Linear
from .parameter import UninitializedBuffer, UninitializedParameter, is_lazy


class LazyModuleMixin:
    """What makes a module lazy: before its first forward, ``initialize_parameters`` is called.

    That method gets the arguments of the call, and gives all uninitialized parameters and buffers
    their shapes and values. Then the module becomes one of ``cls_to_become``, unless that is None.

    >>> import fastgrad as fg
    >>> class Scale(fg.nn.LazyModuleMixin, fg.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.factor = fg.nn.UninitializedParameter()
    ...     def initialize_parameters(self, x):
    ...         self.factor.materialize(x.shape[-1:])
    ...         fg.nn.init.ones_(self.factor)
    ...     def forward(self, x):
    ...         return x * self.factor
    >>> scale = Scale()
    >>> scale.factor
    <UninitializedParameter>
    >>> scale(fg.tensor([2.0, 3.0])).tolist()
    [2.0, 3.0]
    """

    cls_to_become = None
    _is_ready = False

    def initialize_parameters(self, *args, **kwargs):
        """Give what is uninitialized its shape and values; a subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} defines no initialize_parameters")

    def has_uninitialized_params(self):
        """Whether a parameter or buffer of the module's own has no shape yet."""
        return any(map(is_lazy, (*self._parameters.values(), *self._buffers.values())))

    def __call__(self, *args, **kwargs):
        if not self._is_ready:
            name = type(self).__name__
            if recording.here():
                recording.active.refuse(
                    f"compile: {name}: its first forward decides on its parameters; call it once "
                    "before the step is recorded"
                )
            self.initialize_parameters(*args, **kwargs)
            if self.has_uninitialized_params():
                raise RuntimeError(f"{name}: initialize_parameters left some uninitialized")
            if self.cls_to_become is not None:
                self.__class__ = self.cls_to_become
                return self(*args, **kwargs)
            self._is_ready = True
        return super().__call__(*args, **kwargs)


class _Lazy(LazyModuleMixin):
    """A layer without the first argument of its class, which the first input tells.

    Until then all parameters are uninitialized; then they are those of a new layer of
    ``cls_to_become``. A subclass says how that argument is called, along which axis of an input
    its value lies, and how many axes an input may have, if that matters.
    """

    _inferred, _axis, _input_axes = "", 1, ()

    def __init__(self, *args, **kwargs):
        given = inspect.signature(self.cls_to_become).bind(1, *args, **kwargs).arguments
        super().__init__(given.get("groups", 1), *args, **kwargs)
        self._given = args, kwargs
        setattr(self, self._inferred, 0)
        for registry, kind in (
            (self._parameters, UninitializedParameter),
            (self._buffers, UninitializedBuffer),
        ):
            for name, tensor in registry.items():
                if tensor is not None and tensor.dtype.kind == "f":
                    registry[name] = kind(tensor.requires_grad, None, tensor.dtype)

    def reset_parameters(self):
        """Draw the parameters anew, if they are there."""
        if not self.has_uninitialized_params():
            super().reset_parameters()

    def initialize_parameters(self, input):  # PyTorch's name
        """Make the parameters for inputs of this size; those that were loaded must fit it."""
        name, least = type(self).__name__, self._axis + 1 if self._axis >= 0 else -self._axis
        if input.ndim not in self._input_axes if self._input_axes else input.ndim < least:
            wanted = " or ".join(map(str, self._input_axes)) or f"at least {least}"
            raise ValueError(f"{name}: expected {wanted} axes, got shape {input.shape}")
        args, kwargs = self._given
        size = input.shape[self._axis]
        layer = self.cls_to_become(size, *args, **kwargs)
        mine, new = ({**x._parameters, **x._buffers} for x in (self, layer))
        pairs = [(key, mine[key], x) for key, x in new.items() if mine.get(key) is not None]
        for key, own, fresh in pairs:
            if not is_lazy(own) and own.shape != fresh.shape:
                raise ValueError(
                    f"{name}: {key} has shape {own.shape}; an input {input.shape} wants "
                    f"{fresh.shape}"
                )
        for _, own, fresh in pairs:
            if is_lazy(own):
                own.materialize(fresh.shape)
                np.copyto(own.data, fresh.data)
        setattr(self, self._inferred, size)
        del self._given


class LazyLinear(_Lazy, Linear):
    """``Linear`` whose in_features is the size of the first input's last axis.

    Until its first forward it has ``UninitializedParameter``; from then on it is a ``Linear``.
    ``LazyLinear(out_features, bias=True, device=None, dtype=None)``.

    >>> import fastgrad as fg
    >>> layer = fg.nn.LazyLinear(2)
    >>> layer
    LazyLinear(in_features=0, out_features=2, bias=True)
    >>> layer(fg.ones(5, 3)).shape
    (5, 2)
    >>> layer
    Linear(in_features=3, out_features=2, bias=True)
    """

    cls_to_become, _inferred, _axis = Linear, "in_features", -1


class LazyBatchNorm1d(_Lazy, BatchNorm1d):
    """``BatchNorm1d`` whose num_features is the first input's; see ``LazyLinear``.

    >>> import fastgrad as fg
    >>> norm = fg.nn.LazyBatchNorm1d()
    >>> norm(fg.randn(8, 3)).shape, norm.num_features
    ((8, 3), 3)
    """

    cls_to_become, _inferred, _input_axes = BatchNorm1d, "num_features", BatchNorm1d._axes


class LazyBatchNorm2d(_Lazy, BatchNorm2d):
    """``BatchNorm2d`` whose num_features is the first input's; see ``LazyLinear``.

    >>> import fastgrad as fg
    >>> norm = fg.nn.LazyBatchNorm2d()
    >>> norm(fg.randn(8, 3, 2, 2)).shape, norm.num_features
    ((8, 3, 2, 2), 3)
    """

    cls_to_become, _inferred, _input_axes = BatchNorm2d, "num_features", BatchNorm2d._axes


class LazyBatchNorm3d(_Lazy, BatchNorm3d):
    """``BatchNorm3d`` whose num_features is the first input's; see ``LazyLinear``.

    >>> import fastgrad as fg
    >>> norm = fg.nn.LazyBatchNorm3d()
    >>> norm(fg.randn(8, 3, 2, 2, 2)).shape, norm.num_features
    ((8, 3, 2, 2, 2), 3)
    """

    cls_to_become, _inferred, _input_axes = BatchNorm3d, "num_features", BatchNorm3d._axes


class LazyConv1d(_Lazy, Conv1d):
    """``Conv1d`` whose in_channels is the first input's; see ``LazyLinear``.

    >>> import fastgrad as fg
    >>> layer = fg.nn.LazyConv1d(2, 3)
    >>> layer(fg.ones(1, 3, 5)).shape[:2], layer.in_channels
    ((1, 2), 3)
    """

    cls_to_become, _inferred, _axis = Conv1d, "in_channels", -2
    _input_axes = 2, 3


class LazyConv2d(_Lazy, Conv2d):
    """``Conv2d`` whose in_channels is the first input's; see ``LazyLinear``.

    >>> import fastgrad as fg
    >>> layer = fg.nn.LazyConv2d(2, 3)
    >>> layer(fg.ones(1, 3, 5, 5)).shape[:2], layer.in_channels
    ((1, 2), 3)
    """

    cls_to_become, _inferred, _axis = Conv2d, "in_channels", -3
    _input_axes = 3, 4


class LazyConv3d(_Lazy, Conv3d):
    """``Conv3d`` whose in_channels is the first input's; see ``LazyLinear``.

    >>> import fastgrad as fg
    >>> layer = fg.nn.LazyConv3d(2, 3)
    >>> layer(fg.ones(1, 3, 5, 5, 5)).shape[:2], layer.in_channels
    ((1, 2), 3)
    """

    cls_to_become, _inferred, _axis = Conv3d, "in_channels", -4
    _input_axes = 4, 5


class LazyConvTranspose1d(_Lazy, ConvTranspose1d):
    """``ConvTranspose1d`` whose in_channels is the first input's; see ``LazyLinear``.

    >>> import fastgrad as fg
    >>> layer = fg.nn.LazyConvTranspose1d(2, 3)
    >>> layer(fg.ones(1, 3, 5)).shape[:2], layer.in_channels
    ((1, 2), 3)
    """

    cls_to_become, _inferred, _axis = ConvTranspose1d, "in_channels", -2
    _input_axes = 2, 3


class LazyConvTranspose2d(_Lazy, ConvTranspose2d):
    """``ConvTranspose2d`` whose in_channels is the first input's; see ``LazyLinear``.

    >>> import fastgrad as fg
    >>> layer = fg.nn.LazyConvTranspose2d(2, 3)
    >>> layer(fg.ones(1, 3, 5, 5)).shape[:2], layer.in_channels
    ((1, 2), 3)
    """

    cls_to_become, _inferred, _axis = ConvTranspose2d, "in_channels", -3
    _input_axes = 3, 4


class LazyConvTranspose3d(_Lazy, ConvTranspose3d):
    """``ConvTranspose3d`` whose in_channels is the first input's; see ``LazyLinear``.

    >>> import fastgrad as fg
    >>> layer = fg.nn.LazyConvTranspose3d(2, 3)
    >>> layer(fg.ones(1, 3, 5, 5, 5)).shape[:2], layer.in_channels
    ((1, 2), 3)
    """

    cls_to_become, _inferred, _axis = ConvTranspose3d, "in_channels", -4
    _input_axes = 4, 5
