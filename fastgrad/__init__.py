"""fastgrad: train small and medium networks on a CPU, fast.

A tensor engine with PyTorch's names whose kernels are compiled by Numba and run on all cores.
"""

from . import (
    autograd,
    data,
    ensemble,
    func,
    functional,
    interchange,
    methods,
    metrics,
    models,
    nn,
    optim,
    training,
)
from ._version import __version__
from .autograd import (
    checkpoint,
    detect_anomaly,
    is_anomaly_enabled,
    set_detect_anomaly,
    set_grad_enabled,
)
from .backend import get_backend, get_num_threads, set_backend, set_num_threads
from .compile import Unrecordable, compile
from .creation import (
    arange,
    as_tensor,
    empty,
    empty_like,
    eye,
    from_numpy,
    full,
    full_like,
    linspace,
    logspace,
    ones,
    ones_like,
    rand,
    rand_like,
    randint,
    randint_like,
    randn,
    randn_like,
    randperm,
    tensor,
    tril_indices,
    triu_indices,
    zeros,
    zeros_like,
)  # fmt: skip
from .differentiate import grad
from .dtypes import *
from .lifting import op
from .ops import *
from .random import manual_seed
from .serialization import load, save
from .tape import enable_grad, is_grad_enabled, no_grad
from .tensor import Tensor, bool_, float32, float64, int32, int64, uint8
