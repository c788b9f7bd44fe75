"""Compiled kernels: NumPy arrays in, NumPy arrays out. The lowest of fastgrad's three doors.

    from fastgrad import kernels

    out = kernels.relu_forward(x)
    grad_x = kernels.relu_backward(grad, out)

Float arrays are all of one type, float32 or float64. Kernels check labels and indices, because
those are data; shapes and types are the caller's to check, and the rules in ``fastgrad.ops`` do.

Importing this package compiles nothing: a kernel is compiled, or loaded from the cache, when it
is first called, an element-wise one when it is first looked up.
"""

from . import elementwise
from ._ufunc import Elementwise
from .clip import *
from .elementwise import copy, fill
from .gather import *
from .matmul import *
from .norm import *
from .optim import *
from .random import *
from .reduce import *
from .softmax import *


def __getattr__(name):
    declaration = vars(elementwise).get(name)
    if not isinstance(declaration, Elementwise):
        raise AttributeError(f"fastgrad.kernels has no kernel {name!r}")
    globals()[name] = declaration.ufunc
    return declaration.ufunc


def __dir__():
    lazy = (name for name, value in vars(elementwise).items() if isinstance(value, Elementwise))
    return sorted({*globals(), *lazy})
