"""Layers that normalize what they are given by its own mean and deviation."""

from .. import ops
from ..creation import ones
from . import init
from .layers import add_affine, add_statistics
from .module import Module, Parameter, place


class _Norm(Module):
    def reset_parameters(self):
        """Weight 1 and bias 0."""
        if self.weight is not None:
            init.ones_(self.weight)
        if self._parameters.get("bias") is not None:
            init.zeros_(self.bias)


class LayerNorm(_Norm):
    """Layer normalization over the last axes; see ``functional.layer_norm``.

    >>> import fastgrad as fg
    >>> fg.nn.LayerNorm(2)(fg.tensor([[1.0, 3.0]]))
    tensor([[-1.0000,  1.0000]], grad_fn=<LayerNormBackward>)
    """

    def __init__(
        self,
        normalized_shape,
        eps=1e-5,
        elementwise_affine=True,
        bias=True,
        device=None,
        dtype=None,
    ):
        super().__init__()
        self.normalized_shape = _sizes(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        add_affine(self, self.normalized_shape, elementwise_affine, elementwise_affine and bias)
        place(self, device, dtype)

    def forward(self, x):
        return ops.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return (
            f"{self.normalized_shape}, eps={self.eps}, "
            f"elementwise_affine={self.elementwise_affine}, bias={self.bias is not None}"
        )


class RMSNorm(_Norm):
    """Root mean square normalization over the last axes; see ``functional.rms_norm``.

    >>> import fastgrad as fg
    >>> fg.nn.RMSNorm(2)(fg.tensor([[3.0, 4.0]]))
    tensor([[0.8485, 1.1314]], grad_fn=<RmsNormBackward>)
    """

    def __init__(
        self, normalized_shape, eps=None, elementwise_affine=True, device=None, dtype=None
    ):
        super().__init__()
        self.normalized_shape = _sizes(normalized_shape)
        self.eps, self.elementwise_affine = eps, elementwise_affine
        weight = Parameter(ones(self.normalized_shape)) if elementwise_affine else None
        self.register_parameter("weight", weight)
        place(self, device, dtype)

    def forward(self, x):
        return ops.rms_norm(x, self.normalized_shape, self.weight, self.eps)

    def extra_repr(self):
        return (
            f"{self.normalized_shape}, eps={self.eps}, elementwise_affine={self.elementwise_affine}"
        )


def _sizes(shape):
    return (shape,) if isinstance(shape, int) else tuple(shape)


class GroupNorm(_Norm):
    """Group normalization of (N, C, \\*); see ``functional.group_norm``.

    >>> import fastgrad as fg
    >>> fg.nn.GroupNorm(2, 6)(fg.ones(5, 6, 4, 4)).shape
    (5, 6, 4, 4)
    """

    def __init__(
        self, num_groups, num_channels, eps=1e-5, affine=True, device=None, dtype=None, *, bias=True
    ):
        super().__init__()
        if num_channels % num_groups:
            raise ValueError(
                f"GroupNorm: {num_channels} channels do not make {num_groups} equal groups"
            )
        self.num_groups, self.num_channels = num_groups, num_channels
        self.eps, self.affine = eps, affine
        add_affine(self, (num_channels,), affine, affine and bias)
        place(self, device, dtype)

    def forward(self, x):
        return ops.group_norm(x, self.num_groups, self.weight, self.bias, self.eps)

    def extra_repr(self):
        return (
            f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}, "
            f"bias={self.bias is not None}"
        )


class _InstanceNorm(_Norm):
    """Instance normalization; subclasses say how many axes an item has."""

    _item_axes, _shapes = 0, ""

    def __init__(
        self,
        num_features,
        eps=1e-5,
        momentum=0.1,
        affine=False,
        track_running_stats=False,
        device=None,
        dtype=None,
        *,
        bias=True,
    ):
        super().__init__()
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        add_affine(self, (num_features,), affine, affine and bias)
        add_statistics(self, num_features, track_running_stats)
        place(self, device, dtype)

    def forward(self, x):
        axes = self._item_axes
        if x.ndim not in (axes, axes + 1):
            raise ValueError(f"{type(self).__name__}: expected {self._shapes}, got {x.shape}")
        channels = x.shape[-axes]
        if channels != self.num_features and (self.affine or self.track_running_stats):
            raise ValueError(
                f"{type(self).__name__}: expected {self.num_features} channels, got {channels}"
            )
        if x.ndim == axes:
            return self._normalize(x.unsqueeze(0)).squeeze(0)
        return self._normalize(x)

    def _normalize(self, x):
        return ops.instance_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
            self.training or not self.track_running_stats,
            0.0 if self.momentum is None else self.momentum,
            self.eps,
        )

    def extra_repr(self):
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class InstanceNorm1d(_InstanceNorm):
    """Instance normalization of (N, C, L) or (C, L); see ``functional.instance_norm``.

    >>> import fastgrad as fg
    >>> fg.nn.InstanceNorm1d(1)(fg.tensor([[[1.0, 3.0]]]))
    tensor([[[-1.0000,  1.0000]]])
    """

    _item_axes, _shapes = 2, "(N, C, L) or (C, L)"


class InstanceNorm2d(_InstanceNorm):
    """Instance normalization of images (N, C, H, W) or (C, H, W).

    >>> import fastgrad as fg
    >>> fg.nn.InstanceNorm2d(3)(fg.ones(2, 3, 4, 4)).shape
    (2, 3, 4, 4)
    """

    _item_axes, _shapes = 3, "(N, C, H, W) or (C, H, W)"


class InstanceNorm3d(_InstanceNorm):
    """Instance normalization of volumes (N, C, D, H, W) or (C, D, H, W).

    >>> import fastgrad as fg
    >>> fg.nn.InstanceNorm3d(3)(fg.ones(2, 3, 4, 4, 4)).shape
    (2, 3, 4, 4, 4)
    """

    _item_axes, _shapes = 4, "(N, C, D, H, W) or (C, D, H, W)"
