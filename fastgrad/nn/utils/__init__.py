"""What PyTorch keeps in ``torch.nn.utils``, and penalties on parameters."""

from ...gradients import (
    clip_grad_norm_,
    clip_grad_value_,
    clip_grads_with_norm_,
    get_total_norm,
)
from . import rnn
from .penalties import elastic_net_penalty, l1_penalty, l2_penalty

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "clip_grads_with_norm_",
    "elastic_net_penalty",
    "get_total_norm",
    "l1_penalty",
    "l2_penalty",
    "rnn",
]
