"""Rules that repeat elements, or put them in another order."""

import numpy as np

from ..backend import K
from ..lifting import op
from ._family import T
from .reduce import check_dim, check_dims
from .shape import flatten, ravel, transpose

__all__ = [
    "broadcast_tensors", "broadcast_to", "expand", "flip", "fliplr", "flipud", "repeat",
    "repeat_interleave", "roll", "rot90", "tile",
]  # fmt: skip


# ------------------------------------------------------------------ more elements


@op(linear=True)
def broadcast_to(x, *, shape):
    """A view in which axes of size 1, or missing in front, are repeated without a copy.

    >>> import fastgrad as fg
    >>> fg.broadcast_to(fg.tensor([1.0, 2.0]), (2, 2))
    tensor([[1., 2.],
            [1., 2.]])
    """
    return _expanded("broadcast_to", x, shape)


@op(linear=True)
def expand(x, *, sizes):
    """Like ``broadcast_to``; a size of -1 leaves an axis as it is.

    >>> import fastgrad as fg
    >>> fg.expand(fg.tensor([[1.0], [2.0]]), (-1, 2))
    tensor([[1., 1.],
            [2., 2.]])
    """
    added = len(sizes) - x.ndim
    sizes = [
        x.shape[k - added] if size == -1 and k >= added else size for k, size in enumerate(sizes)
    ]
    return _expanded("expand", x, sizes)


def _expanded(name, x, shape):
    before = x.shape
    try:
        out = np.broadcast_to(x, tuple(shape), subok=True)
    except ValueError:
        raise ValueError(f"{name}: {before} does not broadcast to {tuple(shape)}") from None
    return out, lambda grad: K.unbroadcast(grad, before)


def broadcast_tensors(*tensors):
    """Views of all tensors in the shape that they broadcast to together.

    >>> import fastgrad as fg
    >>> [x.shape for x in fg.broadcast_tensors(fg.tensor([1.0]), fg.tensor([[1.0], [2.0]]))]
    [(2, 1), (2, 1)]
    """
    try:
        shape = np.broadcast_shapes(*(x.shape for x in tensors))
    except ValueError:
        shapes = ", ".join(str(x.shape) for x in tensors)
        raise ValueError(f"broadcast_tensors: shapes {shapes} do not broadcast") from None
    return tuple(broadcast_to(x, shape) for x in tensors)


@op(linear=True)
def repeat(x, *, repeats):
    """The tensor one after the other, so many times along each axis; axes may be added in front.

    >>> import fastgrad as fg
    >>> fg.repeat(fg.tensor([1.0, 2.0]), (2, 2))
    tensor([[1., 2., 1., 2.],
            [1., 2., 1., 2.]])
    """
    before, added = x.shape, len(repeats) - x.ndim
    if added < 0 or any(times < 0 for times in repeats):
        raise ValueError(f"repeat: {tuple(repeats)} does not say how often for shape {before}")
    sizes = (1,) * added + before
    pairs = tuple(part for pair in zip(repeats, sizes, strict=True) for part in pair)
    single = tuple(part for size in sizes for part in (1, size))
    shape = tuple(times * size for times, size in zip(repeats, sizes, strict=True))
    out = np.broadcast_to(x.reshape(single), pairs, subok=True)
    axes = tuple(range(0, len(pairs), 2))
    return (
        K.copy(out).reshape(shape),
        lambda grad: K.sum(grad.reshape(pairs), axes, False).reshape(before),
    )


def tile(x, dims):
    """Like ``repeat``; counts that are missing in front are 1.

    >>> import fastgrad as fg
    >>> fg.tile(fg.tensor([[1.0, 2.0]]), (2,))
    tensor([[1., 2., 1., 2.]])
    """
    dims = (dims,) if isinstance(dims, int) else tuple(dims)
    return repeat(x, (1,) * (x.ndim - len(dims)) + dims)


def repeat_interleave(x, repeats, dim=None, *, output_size=None):
    """Each element along ``dim`` (or of the flattened tensor) so many times in a row.

    repeats   a number, or a tensor of one for each element

    >>> import fastgrad as fg
    >>> fg.repeat_interleave(fg.tensor([1.0, 2.0]), 2)
    tensor([1., 1., 2., 2.])
    """
    if dim is None:
        x, dim = ravel(x), 0
    axis = check_dim("repeat_interleave", dim, x.ndim)
    size = x.shape[axis] if x.ndim else 1
    if isinstance(repeats, int):
        if repeats < 0:
            raise ValueError(f"repeat_interleave: expected repeats >= 0, got {repeats}")
        wide = T.unsqueeze(x, axis + 1)
        shape = (*wide.shape[: axis + 1], repeats, *wide.shape[axis + 2 :])
        return flatten(T.clone(broadcast_to(wide, shape)), axis, axis + 1)
    counts = repeats._values() if hasattr(repeats, "_values") else np.asarray(repeats)
    if counts.size not in (1, size) or (counts < 0).any():
        raise ValueError(f"repeat_interleave: {counts.size} repeats for {size} elements")
    places = np.repeat(np.arange(size), np.broadcast_to(counts, size))
    return T.index_select(x, axis, places)


# ------------------------------------------------------------------ elements in another order


def _turned(x, axes):
    return x[tuple(slice(None, None, -1) if k in axes else slice(None) for k in range(x.ndim))]


@op(linear=True)
def flip(x, *, dims):
    """The elements along ``dims`` in reverse order, a copy.

    >>> import fastgrad as fg
    >>> fg.flip(fg.tensor([1.0, 2.0, 3.0]), (0,))
    tensor([3., 2., 1.])
    """
    axes = () if dims in ((), []) else check_dims("flip", dims, x.ndim)
    return K.copy(_turned(x, axes)), lambda grad: _turned(grad, axes)


def fliplr(x):
    """The columns in reverse order, a copy.

    >>> import fastgrad as fg
    >>> fg.fliplr(fg.tensor([[1.0, 2.0]]))
    tensor([[2., 1.]])
    """
    return flip(x, (1,))


def flipud(x):
    """The rows in reverse order, a copy.

    >>> import fastgrad as fg
    >>> fg.flipud(fg.tensor([1.0, 2.0]))
    tensor([2., 1.])
    """
    return flip(x, (0,))


@op(linear=True)
def roll(x, *, shifts, dims=None):
    """The elements moved on along ``dims``, those that leave coming in again at the other end.

    >>> import fastgrad as fg
    >>> fg.roll(fg.tensor([1.0, 2.0, 3.0]), 1)
    tensor([3., 1., 2.])
    """
    shape = x.shape
    shifts = (shifts,) if isinstance(shifts, int) else tuple(shifts)
    if dims is None:
        if len(shifts) != 1:
            raise ValueError(f"roll: {len(shifts)} shifts want as many dims")
        return (
            _rolled(x.reshape(-1), shifts, (0,)).reshape(shape),
            lambda grad: _rolled(grad.reshape(-1), [-shifts[0]], (0,)).reshape(shape),
        )
    dims = (dims,) if isinstance(dims, int) else tuple(dims)
    if len(shifts) != len(dims):
        raise ValueError(f"roll: {len(shifts)} shifts do not fit {len(dims)} dims")
    axes = [check_dim("roll", dim, x.ndim) for dim in dims]
    return _rolled(x, shifts, axes), lambda grad: _rolled(grad, [-s for s in shifts], axes)


def _rolled(x, shifts, axes):
    for shift, axis in zip(shifts, axes, strict=True):
        size = x.shape[axis]
        shift %= max(size, 1)
        out, here = K.empty(x.shape, x.dtype), (slice(None),) * axis
        out[(*here, slice(shift, None))] = x[(*here, slice(0, size - shift))]
        out[(*here, slice(0, shift))] = x[(*here, slice(size - shift, None))]
        x = out
    return x if axes else K.copy(x)


def rot90(x, k=1, dims=(0, 1)):
    """Turned by 90 degrees, k times, from the first of two axes towards the second.

    >>> import fastgrad as fg
    >>> fg.rot90(fg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor([[2., 4.],
            [1., 3.]])
    """
    a, b = (check_dim("rot90", dim, x.ndim) for dim in dims)
    if a == b:
        raise ValueError(f"rot90: expected two dims, got {tuple(dims)}")
    k %= 4
    if k == 0:
        return T.clone(x)
    if k == 2:
        return flip(x, (a, b))
    return flip(transpose(x, a, b), (a if k == 1 else b,))
