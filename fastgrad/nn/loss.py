"""Losses as modules."""

from .. import ops
from .module import Module


class CrossEntropyLoss(Module):
    """Softmax and negative log-likelihood of scores; see ``functional.cross_entropy``.

    >>> import fastgrad as fg
    >>> fg.nn.CrossEntropyLoss()(fg.tensor([[0.0, 0.0]]), fg.tensor([1]))
    tensor(0.6931)
    """

    def __init__(self, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0):
        super().__init__()
        self.register_buffer("weight", weight)
        self.ignore_index, self.reduction = ignore_index, reduction
        self.label_smoothing = label_smoothing

    def forward(self, x, target):
        return ops.cross_entropy(
            x,
            target,
            self.weight,
            ignore_index=self.ignore_index,
            reduction=self.reduction,
            label_smoothing=self.label_smoothing,
        )


class NLLLoss(Module):
    """Negative log-likelihood of log-probabilities; see ``functional.nll_loss``.

    >>> import fastgrad as fg
    >>> fg.nn.NLLLoss()(fg.tensor([[-0.5, -1.0]]), fg.tensor([0]))
    tensor(0.5000)
    """

    def __init__(self, weight=None, ignore_index=-100, reduction="mean"):
        super().__init__()
        self.register_buffer("weight", weight)
        self.ignore_index, self.reduction = ignore_index, reduction

    def forward(self, x, target):
        return ops.nll_loss(
            x, target, self.weight, ignore_index=self.ignore_index, reduction=self.reduction
        )


class MSELoss(Module):
    """Mean squared error; see ``functional.mse_loss``.

    >>> import fastgrad as fg
    >>> fg.nn.MSELoss()(fg.tensor([1.0]), fg.tensor([3.0]))
    tensor(4.)
    """

    def __init__(self, reduction="mean"):
        super().__init__()
        self.reduction = reduction

    def forward(self, x, target):
        return ops.mse_loss(x, target, reduction=self.reduction)
