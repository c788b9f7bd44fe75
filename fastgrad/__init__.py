"""fastgrad: train small and medium networks on a CPU, fast.

A tensor engine with PyTorch's names whose kernels are compiled by Numba and run on all cores.
"""

from . import data, functional, methods, nn, optim, training
from ._version import __version__
from .backend import get_backend, get_num_threads, set_backend, set_num_threads
from .compile import Unrecordable, compile
from .creation import from_numpy, ones, tensor, zeros
from .ops import *
from .random import manual_seed
from .serialization import load, save
from .tape import enable_grad, is_grad_enabled, no_grad
from .tensor import Tensor, bool_, float32, float64, grad, int32, int64, op, uint8
