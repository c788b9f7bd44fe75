"""Layers with parameters or state."""

import math

from .. import ops
from ..creation import ones, zeros
from ..ops.linear import linear_relu
from ..ops.norm import apply as apply_batch_norm
from ..tape import recording
from ..tensor import Tensor
from . import init
from .conv import Conv1d, Conv2d, Conv3d
from .module import Module, Parameter, place


class Linear(Module):
    """``Y = X · W + b`` with weight (in_features, out_features) and bias (out_features,).

    The weight is the transpose of PyTorch's, so that the forward product reads it along its
    rows. Both start uniform within ``±1/√in_features``, as in PyTorch.

    >>> import fastgrad as fg
    >>> fg.nn.Linear(3, 2)(fg.zeros(5, 3)).shape
    (5, 2)
    """

    transposed_in_torch = ("weight",)

    def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
        super().__init__()
        if in_features < 1 or out_features < 1:
            raise ValueError(f"Linear: sizes must be positive, got {in_features}, {out_features}")
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(zeros(in_features, out_features))
        self.register_parameter("bias", Parameter(zeros(out_features)) if bias else None)
        self.reset_parameters()
        place(self, device, dtype)

    def reset_parameters(self):
        """Draw the parameters anew."""
        bound = 1.0 / math.sqrt(self.in_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input):  # PyTorch's name, which callers use
        return ops.linear(input, self.weight, self.bias)

    def forward_relu(self, x):
        """``relu(forward(x))`` in one pass."""
        return linear_relu(x, self.weight, self.bias)

    def extra_repr(self):
        bias = self.bias is not None
        return f"in_features={self.in_features}, out_features={self.out_features}, bias={bias}"


def add_affine(module, shape, weight, bias):
    """Register a weight and a bias, or None for one that is left out."""
    module.register_parameter("weight", Parameter(ones(shape)) if weight else None)
    module.register_parameter("bias", Parameter(zeros(shape)) if bias else None)


def add_statistics(module, features, track):
    """Register running statistics, or None where they are not tracked."""
    module.register_buffer("running_mean", zeros(features) if track else None)
    module.register_buffer("running_var", ones(features) if track else None)
    module.register_buffer("num_batches_tracked", zeros((), dtype="int64") if track else None)


class _BatchNorm(Module):
    """Batch normalization; subclasses say how many axes they take."""

    _axes, _shapes = (), ""

    def __init__(
        self,
        num_features,
        eps=1e-5,
        momentum=0.1,
        affine=True,
        track_running_stats=True,
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
        return self._normalize(x)

    def forward_relu(self, x):
        """``relu(forward(x))`` in one pass."""
        if recording.active is not None:
            self.note_mode()
        return self._normalize(x, relu=True)

    def _normalize(self, x, **options):
        if x.data.ndim not in self._axes:
            raise ValueError(f"{type(self).__name__}: expected {self._shapes}, got {x.shape}")
        buffers, momentum, tracking = self._buffers, self.momentum, self.track_running_stats
        training = self.training or not tracking
        if training and tracking:
            options["batches"] = buffers["num_batches_tracked"].data.reshape(1)
            if momentum is None:
                momentum = 1.0 / (self.num_batches_tracked.item() + 1)
        options.update(training=training, momentum=momentum or 0.0, eps=self.eps)
        mean, var = buffers["running_mean"], buffers["running_var"]
        return apply_batch_norm(x, mean, var, self.weight, self.bias, options)

    def extra_repr(self):
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, bias={self.bias is not None}, "
            f"track_running_stats={self.track_running_stats}"
        )


class BatchNorm1d(_BatchNorm):
    """Batch normalization of (N, C) or (N, C, L); see ``functional.batch_norm``.

    momentum None averages all batches with equal weight. Without ``track_running_stats`` the
    batch's statistics serve in evaluation too.

    >>> import fastgrad as fg
    >>> fg.nn.BatchNorm1d(1)(fg.tensor([[1.0], [3.0]]))
    tensor([[-1.0000],
            [ 1.0000]], grad_fn=<BatchNormBackward>)
    """

    _axes, _shapes = (2, 3), "(N, C) or (N, C, L)"


class BatchNorm2d(_BatchNorm):
    """Batch normalization of images (N, C, H, W); see ``BatchNorm1d``.

    >>> import fastgrad as fg
    >>> fg.nn.BatchNorm2d(3)(fg.ones(2, 3, 4, 4)).shape
    (2, 3, 4, 4)
    """

    _axes, _shapes = (4,), "(N, C, H, W)"


class BatchNorm3d(_BatchNorm):
    """Batch normalization of volumes (N, C, D, H, W); see ``BatchNorm1d``.

    >>> import fastgrad as fg
    >>> fg.nn.BatchNorm3d(3)(fg.ones(2, 3, 4, 4, 4)).shape
    (2, 3, 4, 4, 4)
    """

    _axes, _shapes = (5,), "(N, C, D, H, W)"


class Flatten(Module):
    """Merges the axes from ``start_dim`` to ``end_dim``: (N, C, H, W) to (N, C · H · W).

    >>> import fastgrad as fg
    >>> fg.nn.Flatten()(fg.zeros(5, 2, 3)).shape
    (5, 6)
    """

    def __init__(self, start_dim=1, end_dim=-1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x):
        x = x if isinstance(x, Tensor) else Tensor(x)
        return ops.flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self):
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"


class Unflatten(Module):
    """Splits the axis ``dim`` into axes of given sizes, of which one may be -1.

    >>> import fastgrad as fg
    >>> fg.nn.Unflatten(1, (2, 3))(fg.zeros(5, 6)).shape
    (5, 2, 3)
    """

    def __init__(self, dim, unflattened_size):
        super().__init__()
        self.dim, self.unflattened_size = dim, tuple(unflattened_size)

    def forward(self, x):
        return ops.unflatten(x, self.dim, self.unflattened_size)

    def extra_repr(self):
        return f"dim={self.dim}, unflattened_size={self.unflattened_size}"


class Identity(Module):
    """Its input, whatever it is constructed with.

    >>> import fastgrad as fg
    >>> fg.nn.Identity(54, unused=True)(fg.tensor([1.0]))
    tensor([1.])
    """

    def __init__(self, *args, **kwargs):
        super().__init__()

    def forward(self, x):
        return x


class Bilinear(Module):
    """``yₒ = Σᵢⱼ aᵢ · Wₒᵢⱼ · bⱼ + biasₒ`` with weight (out_features, in1_features, in2_features).

    >>> import fastgrad as fg
    >>> fg.nn.Bilinear(3, 4, 2)(fg.zeros(5, 3), fg.zeros(5, 4)).shape
    (5, 2)
    """

    def __init__(
        self, in1_features, in2_features, out_features, bias=True, device=None, dtype=None
    ):
        super().__init__()
        if in1_features < 1:
            raise ValueError(f"Bilinear: in1_features must be positive, got {in1_features}")
        self.in1_features, self.in2_features = in1_features, in2_features
        self.out_features = out_features
        self.weight = Parameter(zeros(out_features, in1_features, in2_features))
        self.register_parameter("bias", Parameter(zeros(out_features)) if bias else None)
        self.reset_parameters()
        place(self, device, dtype)

    def reset_parameters(self):
        """Draw the parameters anew."""
        bound = 1.0 / math.sqrt(self.in1_features)
        init.uniform_(self.weight, -bound, bound)
        if self.bias is not None:
            init.uniform_(self.bias, -bound, bound)

    def forward(self, input1, input2):
        return ops.bilinear(input1, input2, self.weight, self.bias)

    def extra_repr(self):
        return (
            f"in1_features={self.in1_features}, in2_features={self.in2_features}, "
            f"out_features={self.out_features}, bias={self.bias is not None}"
        )


_TAKE_A_RELU = (Linear, BatchNorm1d, BatchNorm2d, BatchNorm3d, Conv1d, Conv2d, Conv3d)


def can_apply_relu(module):
    """Whether ``module.forward_relu(x)`` may stand for the module and a ReLU: nobody can tell."""
    own = module.__dict__
    return type(module) in _TAKE_A_RELU and "forward" not in own and "_hooks" not in own
