"""Rules of copying and conversion."""

import numpy as np

from ..backend import K
from ..lifting import op
from ..tensor import Tensor

__all__ = ["cast", "clone"]


@op(linear=True)
def clone(x):
    """A copy that gradients flow through.

    >>> import fastgrad as fg
    >>> fg.clone(fg.tensor([1.0]))
    tensor([1.])
    """
    return K.copy(x), lambda grad: grad


@op
def cast(x, *, dtype):
    """``x`` in another type. Gradients flow between float types.

    >>> import fastgrad as fg
    >>> fg.cast(fg.tensor([1.5]), dtype=fg.float64)
    tensor([1.5000], dtype=fastgrad.float64)
    """
    return x.astype(dtype), (lambda grad: grad) if np.dtype(dtype).kind == "f" else None


cast.differentiable(lambda grad: grad)


def zeros_like(x):
    """Zeros of the shape and type of ``x``, for gradients' formulas."""
    return Tensor(K.zeros_like(x.data))
