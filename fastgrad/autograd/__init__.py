"""Gradients: taking them, writing them, checking them; by the names of PyTorch's ``autograd``."""

from ..differentiate import backward_from as backward
from ..differentiate import grad
from ..tape import enable_grad, is_grad_enabled, no_grad, set_grad_enabled
from ..testing import GradcheckError, gradcheck, gradgradcheck
from ..watch import (
    detect_anomaly,
    is_anomaly_check_nan_enabled,
    is_anomaly_enabled,
    set_detect_anomaly,
)
from . import functional
from .checkpointing import checkpoint
from .function import Function, FunctionCtx, once_differentiable
