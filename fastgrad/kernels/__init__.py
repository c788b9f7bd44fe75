"""Compiled kernels: NumPy arrays in, NumPy arrays out. The lowest of fastgrad's three doors.

    from fastgrad import kernels

    out = kernels.relu_forward(x)
    grad_x = kernels.relu_backward(grad, out)

Float arrays are all of one type, float32 or float64. Kernels check labels and indices, because
those are data; shapes and types are the caller's to check, and the rules in ``fastgrad.ops`` do.

Importing this package compiles nothing: a kernel is compiled, or loaded from the cache, when it
is first called, an element-wise one when it is first looked up.
"""

from ._ufunc import Elementwise
from .activation import *
from .arithmetic import *
from .attention import *
from .augment import *
from .bmm import *
from .clip import *
from .comparison import *
from .conv import *
from .conv_weight import *
from .copy import *
from .counts import *
from .ctc import *
from .distributions import *
from .embedding import *
from .functions import *
from .gather import *
from .grid import *
from .grid_sample import *
from .index import *
from .linear import *
from .loss import *
from .margin import *
from .matmul import *
from .max_pool import *
from .maxout import *
from .mix import *
from .norm import *
from .optim import *
from .random import *
from .recurrent import *
from .reduce import *
from .resample import *
from .response_norm import *
from .row_norm import *
from .scan import *
from .shuffle import *
from .soft_labels import *
from .softmax import *
from .sort import *
from .special import *
from .statistics import *
from .svd import *
from .tally import *
from .unfold import *
from .window_sum import *
from .windows import *

_elementwise = {name: value for name, value in vars().items() if isinstance(value, Elementwise)}
for _name in _elementwise:
    del globals()[_name]  # __getattr__ gives the ufunc


def __getattr__(name):
    if name not in _elementwise:
        raise AttributeError(f"fastgrad.kernels has no kernel {name!r}")
    globals()[name] = _elementwise[name].ufunc
    return globals()[name]


def __dir__():
    return sorted({*globals(), *_elementwise})
