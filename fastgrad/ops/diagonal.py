"""Rules of diagonals and triangles of matrices."""

import numpy as np

from ..backend import K
from ..lifting import op
from ._family import T, add_to_part
from .reduce import check_dim

__all__ = [
    "diag", "diag_embed", "diagflat", "diagonal", "trace", "tril", "triu",
]  # fmt: skip


def _diagonal_view(x, offset, axis0, axis1):
    """A writable view of the diagonals, as the last axis."""
    turned = np.moveaxis(x, (axis0, axis1), (-2, -1))
    rows, columns = turned.shape[-2:]
    turned = turned[..., -offset:, :] if offset < 0 else turned[..., offset:]
    n = max(0, min(rows + min(offset, 0), columns - max(offset, 0)))
    *outer, down, right = turned.strides
    return K.strided(turned, (*turned.shape[:-2], n), (*outer, down + right))


@op(linear=True, adds=True)
def diagonal(x, *, offset=0, dim1=0, dim2=1):
    """A view of the diagonals over two axes, as the last axis; ``offset`` above the main one.

    >>> import fastgrad as fg
    >>> fg.diagonal(fg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([1., 4.])
    """
    a, b = check_dim("diagonal", dim1, x.ndim), check_dim("diagonal", dim2, x.ndim)
    if a == b or x.ndim < 2:
        raise ValueError(f"diagonal: expected two axes, got dims {dim1} and {dim2} of {x.shape}")
    shape = x.shape

    def part(x):
        return _diagonal_view(x, offset, a, b)

    return part(x), lambda grad, whole=None: add_to_part(whole, shape, grad, part)


@op(linear=True)
def diag_embed(x, *, offset=0, dim1=-2, dim2=-1):
    """Zeros but for diagonals over two new axes, which hold the last axis of x.

    >>> import fastgrad as fg
    >>> fg.diag_embed(fg.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    """
    a, b = check_dim("diag_embed", dim1, x.ndim + 1), check_dim("diag_embed", dim2, x.ndim + 1)
    if a == b:
        raise ValueError(f"diag_embed: dims {dim1} and {dim2} are the same")
    n = x.shape[-1] + abs(offset)
    shape = list(x.shape[:-1])
    for axis in sorted((a, b)):
        shape.insert(axis, n)
    if a > b:
        offset = -offset
        a, b = b, a
    out = K.zeros(tuple(shape), x.dtype)
    _diagonal_view(out, offset, a, b)[...] = x
    return out, lambda grad: _diagonal_view(grad, offset, a, b)


def diag(x, diagonal=0):
    """The matrix with a vector on its diagonal, or the diagonal of a matrix.

    >>> import fastgrad as fg
    >>> fg.diag(fg.tensor([1.0, 2.0]))
    tensor([[1., 0.],
            [0., 2.]])
    """
    if x.ndim == 1:
        return diag_embed(x, diagonal)
    if x.ndim == 2:
        return T.clone(T.diagonal(x, diagonal))
    raise ValueError(f"diag: expected a vector or a matrix, got shape {x.shape}")


def diagflat(x, offset=0):
    """The matrix with all elements of x on a diagonal, and zeros elsewhere.

    >>> import fastgrad as fg
    >>> fg.diagflat(fg.tensor([[1.0], [2.0]]))
    tensor([[1., 0.],
            [0., 2.]])
    """
    return diag_embed(T.ravel(x), offset)


def trace(x):
    """Sum of the diagonal of a matrix.

    >>> import fastgrad as fg
    >>> fg.trace(fg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(5.)
    """
    if x.ndim != 2:
        raise ValueError(f"trace: expected a matrix, got shape {x.shape}")
    return T.diagonal(x).sum()


@op(linear=True)
def tril(x, *, diagonal=0):
    """The elements on and below a diagonal of matrices; zeros above.

    >>> import fastgrad as fg
    >>> fg.tril(fg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 0.],
            [3., 4.]])
    """
    keep = _triangle("tril", x.shape, diagonal)
    return K.where(keep, x, x.dtype.type(0)), lambda grad: K.where(keep, grad, 0.0)


@op(linear=True)
def triu(x, *, diagonal=0):
    """The elements on and above a diagonal of matrices; zeros below.

    >>> import fastgrad as fg
    >>> fg.triu(fg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[1., 2.],
            [0., 4.]])
    """
    keep = ~_triangle("triu", x.shape, diagonal - 1)
    return K.where(keep, x, x.dtype.type(0)), lambda grad: K.where(keep, grad, 0.0)


def _triangle(name, shape, diagonal):
    if len(shape) < 2:
        raise ValueError(f"{name}: expected matrices (*, m, n), got shape {shape}")
    return np.tri(*shape[-2:], k=diagonal, dtype=bool)
