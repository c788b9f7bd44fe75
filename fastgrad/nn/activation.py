"""Activations as modules."""

from .. import ops
from .module import Module


class ReLU(Module):
    """``max(x, 0)``

    >>> import fastgrad as fg
    >>> fg.nn.ReLU()(fg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    def forward(self, x):
        return ops.relu(x)


class Sigmoid(Module):
    """``1 / (1 + e⁻ˣ)``

    >>> import fastgrad as fg
    >>> fg.nn.Sigmoid()(fg.tensor([0.0]))
    tensor([0.5000])
    """

    def forward(self, x):
        return ops.sigmoid(x)


class Tanh(Module):
    """Hyperbolic tangent.

    >>> import fastgrad as fg
    >>> fg.nn.Tanh()(fg.tensor([0.0]))
    tensor([0.])
    """

    def forward(self, x):
        return ops.tanh(x)


class _AlongDim(Module):
    _function = None

    def __init__(self, dim=-1):
        super().__init__()
        self.dim = dim

    def forward(self, x):
        return type(self)._function(x, dim=self.dim)

    def extra_repr(self):
        return f"dim={self.dim}"


class Softmax(_AlongDim):
    """``e^xᵢ / Σⱼ e^xⱼ`` along ``dim``.

    >>> import fastgrad as fg
    >>> fg.nn.Softmax(dim=0)(fg.tensor([1.0, 1.0]))
    tensor([0.5000, 0.5000])
    """

    _function = ops.softmax


class LogSoftmax(_AlongDim):
    """``xᵢ - log Σⱼ e^xⱼ`` along ``dim``.

    >>> import fastgrad as fg
    >>> fg.nn.LogSoftmax(dim=0)(fg.tensor([1.0, 1.0]))
    tensor([-0.6931, -0.6931])
    """

    _function = ops.log_softmax


def is_relu(module):
    """Whether the module does what ``ReLU`` does, and nothing else."""
    return type(module) is ReLU and "forward" not in module.__dict__
