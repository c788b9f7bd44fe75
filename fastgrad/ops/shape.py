"""Rules of shape work: views where NumPy can make one."""

import math

import numpy as np

from ..tensor import op
from .reduce import check_dims


@op
def reshape(x, *, shape):
    """The same elements in another shape; one size may be -1. A view of a contiguous tensor.

    >>> import fastgrad as fg
    >>> fg.reshape(fg.tensor([1.0, 2.0, 3.0, 4.0]), (2, -1))
    tensor([[1., 2.],
            [3., 4.]])
    """
    before = x.shape
    try:
        out = x.reshape(shape)
    except ValueError:
        raise ValueError(
            f"reshape: {x.size} elements of shape {before} do not fit {shape}"
        ) from None
    return out, lambda grad: grad.reshape(before)


@op
def flatten(x, *, start_dim=0, end_dim=-1):
    """Merge the axes from ``start_dim`` to ``end_dim`` into one.

    >>> import fastgrad as fg
    >>> fg.flatten(fg.tensor([[[1.0, 2.0]], [[3.0, 4.0]]]), 1).shape
    (2, 2)
    """
    before = x.shape
    if not x.ndim:
        return x.reshape(1), lambda grad: grad.reshape(())
    (start,), (end,) = (
        check_dims("flatten", start_dim, x.ndim),
        check_dims("flatten", end_dim, x.ndim),
    )
    if start > end:
        raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    merged = math.prod(before[start : end + 1])
    out = x.reshape(*before[:start], merged, *before[end + 1 :])
    return out, lambda grad: grad.reshape(before)


@op
def transpose(x, *, dim0, dim1):
    """A view with two axes exchanged.

    >>> import fastgrad as fg
    >>> fg.transpose(fg.tensor([[1.0, 2.0]]), 0, 1)
    tensor([[1.],
            [2.]])
    """
    for dim in (dim0, dim1):
        if not -x.ndim <= dim < x.ndim:
            raise IndexError(f"transpose: dim {dim} is out of range for shape {x.shape}")
    return np.swapaxes(x, dim0, dim1), lambda grad: np.swapaxes(grad, dim0, dim1)
