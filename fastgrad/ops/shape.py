"""Rules of shapes: views wherever NumPy can make one, as in PyTorch."""

import math
import operator

import numpy as np

from ..lifting import op
from ._family import add_to_part
from .reduce import check_dim, check_dims

__all__ = [
    "flatten", "movedim", "narrow", "permute", "ravel", "reshape", "select", "squeeze",
 "transpose", "unflatten", "unsqueeze", "view",
]  # fmt: skip


# ------------------------------------------------------------------ the same elements


def _sizes(name, shape, count, before):
    """``shape`` with its -1 filled in."""
    shape = tuple(operator.index(size) for size in shape)
    known = math.prod(size for size in shape if size != -1)
    fits = shape.count(-1) <= 1 and all(size >= -1 for size in shape)
    if fits and -1 in shape:
        fits = known > 0 and count % known == 0
        shape = tuple(count // max(known, 1) if size == -1 else size for size in shape)
    if not fits or math.prod(shape) != count:
        raise _misfit(name, count, before, shape)
    return shape


def _misfit(name, count, before, shape):
    return ValueError(f"{name}: {count} elements of shape {before} do not fit {shape}")


@op(linear=True)
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
        raise _misfit("reshape", x.size, before, shape) from None
    return out, lambda grad: grad.reshape(before)


@op(linear=True)
def view(x, *, shape):
    """The same elements in another shape, always as a view; one size may be -1.

    Raises ``ValueError`` where that takes a copy; ``reshape`` makes one.

    >>> import fastgrad as fg
    >>> fg.view(fg.tensor([1.0, 2.0, 3.0, 4.0]), (2, -1))
    tensor([[1., 2.],
            [3., 4.]])
    """
    before = x.shape
    shape = _sizes("view", shape, x.size, before)
    out = x.reshape(shape)
    if out.size and not np.may_share_memory(out, x):
        raise ValueError(f"view: {before} with its strides has no view of shape {shape}; reshape")
    return out, lambda grad: grad.reshape(before)


def ravel(x):
    """The elements in a row.

    >>> import fastgrad as fg
    >>> fg.ravel(fg.tensor([[1.0], [2.0]]))
    tensor([1., 2.])
    """
    return reshape(x, (-1,)) if x.ndim != 1 and x.numel() else reshape(x, (x.numel(),))


@op(linear=True)
def flatten(x, *, start_dim=0, end_dim=-1):
    """Merge the axes from ``start_dim`` to ``end_dim`` into one.

    >>> import fastgrad as fg
    >>> fg.flatten(fg.tensor([[[1.0, 2.0]], [[3.0, 4.0]]]), 1).shape
    (2, 2)
    """
    before = x.shape
    start, end = check_dim("flatten", start_dim, x.ndim), check_dim("flatten", end_dim, x.ndim)
    if start > end:
        raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim}")
    merged = math.prod(before[start : end + 1])
    out = x.reshape(*before[:start], merged, *before[end + 1 :])
    return out, lambda grad: grad.reshape(before)


@op(linear=True)
def unflatten(x, *, dim, sizes):
    """Split axis ``dim`` into several; one size may be -1.

    >>> import fastgrad as fg
    >>> fg.unflatten(fg.tensor([1.0, 2.0, 3.0, 4.0]), 0, (2, -1))
    tensor([[1., 2.],
            [3., 4.]])
    """
    before, axis = x.shape, check_dim("unflatten", dim, x.ndim)
    sizes = _sizes("unflatten", sizes, before[axis], before[axis : axis + 1])
    return (
        x.reshape(*before[:axis], *sizes, *before[axis + 1 :]),
        lambda grad: grad.reshape(before),
    )


@op(linear=True)
def squeeze(x, *, dim=None):
    """A view without the axes of size 1, or without those among ``dim``.

    >>> import fastgrad as fg
    >>> fg.squeeze(fg.tensor([[1.0, 2.0]])).shape
    (2,)
    """
    before = x.shape
    axes = () if dim in ((), []) else check_dims("squeeze", dim, x.ndim)
    kept = [size for axis, size in enumerate(before) if size != 1 or axis not in axes]
    return x.reshape(kept), lambda grad: grad.reshape(before)


@op(linear=True)
def unsqueeze(x, *, dim):
    """A view with an axis of size 1 more, at ``dim``.

    >>> import fastgrad as fg
    >>> fg.unsqueeze(fg.tensor([1.0, 2.0]), 1).shape
    (2, 1)
    """
    before, axis = x.shape, check_dim("unsqueeze", dim, x.ndim + 1)
    return x[(slice(None),) * axis + (None,)], lambda grad: grad.reshape(before)


# ------------------------------------------------------------------ axes in another order


@op(linear=True)
def permute(x, *, dims):
    """A view with the axes in the order ``dims``.

    >>> import fastgrad as fg
    >>> fg.permute(fg.tensor([[[1.0, 2.0]]]), (2, 0, 1)).shape
    (2, 1, 1)
    """
    axes = [check_dim("permute", dim, x.ndim) for dim in dims] if x.ndim else []
    if sorted(axes) != list(range(x.ndim)) or len(dims) != x.ndim:
        raise ValueError(f"permute: dims {tuple(dims)} are no order of {x.ndim} dimensions")
    back = sorted(range(x.ndim), key=axes.__getitem__)
    return x.transpose(axes), lambda grad: grad.transpose(back)


@op(linear=True)
def transpose(x, *, dim0, dim1):
    """A view with two axes exchanged.

    >>> import fastgrad as fg
    >>> fg.transpose(fg.tensor([[1.0, 2.0]]), 0, 1)
    tensor([[1.],
            [2.]])
    """
    a, b = check_dim("transpose", dim0, x.ndim), check_dim("transpose", dim1, x.ndim)
    if not x.ndim:
        return x.reshape(()), lambda grad: grad
    return x.swapaxes(a, b), lambda grad: grad.swapaxes(a, b)


@op(linear=True)
def movedim(x, *, source, destination):
    """A view with the axes ``source`` (an int or several) moved to ``destination``.

    >>> import fastgrad as fg
    >>> fg.movedim(fg.tensor([[[1.0, 2.0]]]), 2, 0).shape
    (2, 1, 1)
    """
    several = [(dim,) if isinstance(dim, int) else tuple(dim) for dim in (source, destination)]
    a, b = ([check_dim("movedim", dim, x.ndim) for dim in dims] for dims in several)
    if len(a) != len(b) or len(set(a)) != len(a) or len(set(b)) != len(b):
        raise ValueError(f"movedim: cannot move dims {source} to {destination}")
    if not x.ndim:
        return x.reshape(()), lambda grad: grad
    return np.moveaxis(x, a, b), lambda grad: np.moveaxis(grad, b, a)


# ------------------------------------------------------------------ parts


@op(linear=True, adds=True)
def narrow(x, *, dim, start, length):
    """A view of ``length`` elements along ``dim``, from ``start`` on.

    >>> import fastgrad as fg
    >>> fg.narrow(fg.tensor([1.0, 2.0, 3.0, 4.0]), 0, 1, 2)
    tensor([2., 3.])
    """
    axis = check_dim("narrow", dim, x.ndim)
    if not x.ndim:
        raise ValueError("narrow: a tensor without axes has no parts")
    size, start = x.shape[axis], int(start)
    first = start + size if start < 0 else start
    if not (0 <= first <= size and 0 <= length <= size - first):
        raise IndexError(f"narrow: no {length} elements from {start} on along dim {dim} of {size}")
    return _part(x, (slice(None),) * axis + (slice(first, first + length),))


@op(linear=True, adds=True)
def select(x, *, dim, index):
    """A view of one element along ``dim``, without that axis.

    >>> import fastgrad as fg
    >>> fg.select(fg.tensor([[1.0, 2.0], [3.0, 4.0]]), 1, -1)
    tensor([2., 4.])
    """
    axis = check_dim("select", dim, x.ndim)
    size = x.shape[axis] if x.ndim else 0
    if not -size <= index < size:
        raise IndexError(f"select: index {index} is out of range for dim {dim} of size {size}")
    return _part(x, (slice(None),) * axis + (index,))


def _part(x, key):
    """``x[key]`` and its pull-back, for a key of slices and integers."""
    shape, key = x.shape, (*key, ...)  # without the dots, NumPy gives a number for one element
    return x[key], lambda grad, whole=None: add_to_part(whole, shape, grad, lambda x: x[key])
