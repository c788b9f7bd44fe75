"""Compiled kernels: NumPy arrays in, NumPy arrays out. The lowest of fastgrad's three doors.

    from fastgrad import kernels

    out = kernels.relu_forward(x)
    grad_x = kernels.relu_backward(grad, out)

Float arrays are all of one type, float32 or float64. Kernels check labels and indices, because
those are data; shapes and types are the caller's to check, and the rules in ``fastgrad.ops`` do.

Names are looked up on first use, so that importing this package compiles nothing.
"""

from importlib import import_module

from ._ufunc import Elementwise

_FILES = ("elementwise", "reduce", "matmul", "softmax", "norm", "random", "optim", "gather")


def __getattr__(name):
    if not name.startswith("_"):
        for file in _FILES:
            value = vars(import_module(f"{__name__}.{file}")).get(name)
            if value is not None and getattr(value, "__module__", "").startswith(__name__):
                value = value.ufunc if isinstance(value, Elementwise) else value
                globals()[name] = value
                return value
    raise AttributeError(f"fastgrad.kernels has no kernel {name!r}")
