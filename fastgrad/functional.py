"""The functions of ``torch.nn.functional`` that fastgrad has, by the same names."""

from .ops import (
    batch_norm,
    cross_entropy,
    dropout,
    linear,
    log_softmax,
    mse_loss,
    nll_loss,
    one_hot,
    pad,
    pdist,
    relu,
    sigmoid,
    softmax,
    tanh,
)

__all__ = [
    "batch_norm",
    "cross_entropy",
    "dropout",
    "linear",
    "log_softmax",
    "mse_loss",
    "nll_loss",
    "one_hot",
    "pad",
    "pdist",
    "relu",
    "sigmoid",
    "softmax",
    "tanh",
]
