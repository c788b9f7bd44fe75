"""fastgrad: train small and medium networks on a CPU, fast.

A tensor engine with PyTorch's names whose kernels are compiled by Numba and run on all cores.
"""

from . import functional, methods
from .backend import get_backend, set_backend
from .creation import from_numpy, ones, tensor, zeros
from .ops import *
from .random import manual_seed
from .tape import enable_grad, is_grad_enabled, no_grad
from .tensor import Tensor, bool_, float32, float64, grad, int32, int64, op, uint8

__version__ = "0.1.0"
