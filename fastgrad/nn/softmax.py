"""Softmax and its kind as modules."""

from .. import ops
from ..ops.gating import implied_dim
from ..tensor import Tensor
from .module import Module


class _AlongDim(Module):
    _function = None

    def __init__(self, dim=None):
        super().__init__()
        self.dim = dim

    def forward(self, x):
        x = x if isinstance(x, Tensor) else Tensor(x)
        return self._function(x, dim=implied_dim(x) if self.dim is None else self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"


class Softmax(_AlongDim):
    """``e^xᵢ / Σⱼ e^xⱼ`` along ``dim``.

    dim   None is 0 for tensors of up to one and of three axes, else 1

    >>> import fastgrad as fg
    >>> fg.nn.Softmax(dim=0)(fg.tensor([1.0, 1.0]))
    tensor([0.5000, 0.5000])
    """

    _function = staticmethod(ops.softmax)


class LogSoftmax(_AlongDim):
    """``xᵢ - log Σⱼ e^xⱼ`` along ``dim``; see ``Softmax``.

    >>> import fastgrad as fg
    >>> fg.nn.LogSoftmax(dim=0)(fg.tensor([1.0, 1.0]))
    tensor([-0.6931, -0.6931])
    """

    _function = staticmethod(ops.log_softmax)


class Softmin(_AlongDim):
    """``softmax(-x)`` along ``dim``; see ``Softmax``.

    >>> import fastgrad as fg
    >>> fg.nn.Softmin(dim=0)(fg.tensor([0.0, 1.0]))
    tensor([0.7311, 0.2689])
    """

    _function = staticmethod(ops.softmin)


class Softmax2d(Module):
    """Softmax over the channels of (N, C, H, W) or (C, H, W), at every place.

    Raises ``ValueError`` for another number of axes.

    >>> import fastgrad as fg
    >>> fg.nn.Softmax2d()(fg.zeros(2, 1, 1))
    tensor([[[0.5000]],
    <BLANKLINE>
            [[0.5000]]])
    """

    def forward(self, x):
        if x.ndim not in (3, 4):
            raise ValueError(f"Softmax2d: expected (N, C, H, W) or (C, H, W), got {x.shape}")
        return ops.softmax(x, dim=-3)
