"""Rules that put tensors together, and that take them apart."""

import itertools

import numpy as np

from ..backend import K
from ..lifting import op
from ..tensor import Tensor
from ._family import T, result_type
from .reduce import check_dim

__all__ = [
    "cat", "chunk", "meshgrid", "split", "stack", "tensor_split", "unbind",
]  # fmt: skip


def _join(arrays, shape, places):
    """An array of ``shape`` with each of the arrays at its place, and the pull-back."""
    dtype = arrays[0].dtype
    if any(x.dtype is not dtype for x in arrays):
        dtype = result_type(*arrays)
    out, shapes = K.empty(shape, dtype), [x.shape for x in arrays]
    for x, place in zip(arrays, places, strict=True):
        target = out[place]
        if x.dtype is dtype and x.size:
            K.copy(x, out=target)
        elif target.size:
            target[...] = x
    if len(arrays) == 1:
        shape = shapes[0]
        return out, lambda grad: grad.reshape(shape)
    return out, lambda grad, needs: _apart(grad, needs, places, shapes)


def _apart(grad, needs, places=None, shapes=None, shape=None):
    """The parts of a gradient, an array or a tensor, that belong to what was joined."""
    if places is None:
        return grad.reshape(shape)
    return [
        grad[place].reshape(shape) if need else None
        for place, shape, need in zip(places, shapes, needs, strict=True)
    ]


def _arrays(name, operands):
    if not operands:
        raise ValueError(f"{name}: expected at least one tensor")
    return [x if isinstance(x, np.ndarray) else np.asarray(x) for x in operands]


@op(name="cat")
def _cat(*operands, dim):
    arrays = _arrays("cat", operands)
    shapes = [x.shape for x in arrays]
    # PyTorch lets empty vectors pass, whatever the others are
    whole = next((shape for shape in shapes if shape != (0,)), (0,))
    axis = check_dim("cat", dim, len(whole))
    here, before, after = (slice(None),) * axis, whole[:axis], whole[axis + 1 :]
    at, places = 0, []
    for shape in shapes:
        end = at
        same = len(shape) == len(whole) > 0
        if same and shape[:axis] == before and shape[axis + 1 :] == after:
            end += shape[axis]
        elif shape != (0,):
            raise ValueError(f"cat: shapes {shapes} do not fit along dim {axis}")
        places.append((*here, slice(at, end)))
        at = end
    return _join(arrays, (*before, at, *after), places)


@op(name="stack")
def _stack(*operands, dim):
    arrays = _arrays("stack", operands)
    shape = arrays[0].shape
    if any(x.shape != shape for x in arrays):
        raise ValueError(f"stack: expected tensors of one shape, got {[x.shape for x in arrays]}")
    axis = check_dim("stack", dim, len(shape) + 1)
    here = (slice(None),) * axis
    places = [(*here, k, ...) for k in range(len(arrays))]  # a view, also of one element
    return _join(arrays, (*shape[:axis], len(arrays), *shape[axis:]), places)


_cat.differentiable(_apart)
_stack.differentiable(_apart)


def cat(tensors, dim=0):
    """The tensors one after the other along ``dim``.

    Raises ``ValueError`` where other sizes differ.

    >>> import fastgrad as fg
    >>> fg.cat([fg.tensor([1.0, 2.0]), fg.tensor([3.0])])
    tensor([1., 2., 3.])
    """
    return _cat(*tensors, dim=dim)


def stack(tensors, dim=0):
    """The tensors, all of one shape, along a new axis ``dim``.

    Raises ``ValueError`` where shapes differ.

    >>> import fastgrad as fg
    >>> fg.stack([fg.tensor([1.0, 2.0]), fg.tensor([3.0, 4.0])], dim=1)
    tensor([[1., 3.],
            [2., 4.]])
    """
    return _stack(*tensors, dim=dim)


# ------------------------------------------------------------------ apart


def split(x, split_size_or_sections, dim=0):
    """Views of parts of so many elements each along ``dim``, or of the sizes given, a tuple.

    >>> import fastgrad as fg
    >>> fg.split(fg.tensor([1.0, 2.0, 3.0]), 2)
    (tensor([1., 2.]), tensor([3.]))
    """
    axis = check_dim("split", dim, x.ndim)
    size = x.shape[axis] if x.ndim else 1
    if isinstance(split_size_or_sections, int):
        each = split_size_or_sections
        if each < 0 or (each == 0 and size):
            raise ValueError(f"split: expected a size above 0, got {each}")
        starts = range(0, size, each) if size else (0,)
        sizes = [min(each, size - start) for start in starts]
    else:
        sizes = list(split_size_or_sections)
        if sum(sizes) != size or any(part < 0 for part in sizes):
            raise ValueError(f"split: sizes {sizes} do not make up {size}")
    return _parts(x, axis, sizes)


def _parts(x, axis, sizes):
    starts = itertools.accumulate(sizes[:-1], initial=0)
    return tuple(T.narrow(x, axis, at, size) for at, size in zip(starts, sizes, strict=False))


def chunk(x, chunks, dim=0):
    """At most so many views of equal parts along ``dim``; the last may be smaller.

    >>> import fastgrad as fg
    >>> fg.chunk(fg.tensor([1.0, 2.0, 3.0]), 2)
    (tensor([1., 2.]), tensor([3.]))
    """
    if chunks < 1:
        raise ValueError(f"chunk: expected at least 1 chunk, got {chunks}")
    axis = check_dim("chunk", dim, x.ndim)
    size = x.shape[axis] if x.ndim else 1
    if not size:
        return _parts(x, axis, [0] * chunks)
    return split(x, -(-size // chunks), axis)


def tensor_split(x, indices_or_sections, dim=0):
    """Views of so many parts along ``dim`` (the first ones larger), or cut at the indices given.

    >>> import fastgrad as fg
    >>> fg.tensor_split(fg.tensor([1.0, 2.0, 3.0]), 2)
    (tensor([1., 2.]), tensor([3.]))
    """
    axis = check_dim("tensor_split", dim, x.ndim)
    size = x.shape[axis] if x.ndim else 0
    if isinstance(indices_or_sections, Tensor):
        indices_or_sections = indices_or_sections.tolist()
    if isinstance(indices_or_sections, int):
        count = indices_or_sections
        if count < 1:
            raise ValueError(f"tensor_split: expected at least 1 section, got {count}")
        sizes = [size // count + (k < size % count) for k in range(count)]
        return _parts(x, axis, sizes)
    cuts = [slice(None, cut).indices(size)[1] for cut in indices_or_sections]
    pairs = zip([0, *cuts], [*cuts, size], strict=True)
    return tuple(T.narrow(x, axis, a, max(0, b - a)) for a, b in pairs)


def unbind(x, dim=0):
    """Views of the elements along ``dim``, without that axis, a tuple.

    >>> import fastgrad as fg
    >>> fg.unbind(fg.tensor([[1.0], [2.0]]))
    (tensor([1.]), tensor([2.]))
    """
    axis = check_dim("unbind", dim, x.ndim)
    if not x.ndim:
        raise ValueError("unbind: a tensor without axes has no parts")
    return tuple(T.select(x, axis, k) for k in range(x.shape[axis]))


def meshgrid(*tensors, indexing="ij"):
    """Coordinates of a grid: tensor k repeated along all axes but its own, k.

    indexing   "ij", or "xy", where the first two axes are exchanged

    >>> import fastgrad as fg
    >>> fg.meshgrid(fg.tensor([1.0, 2.0]), fg.tensor([3.0]))
    (tensor([[1.],
            [2.]]), tensor([[3.],
            [3.]]))
    """
    if len(tensors) == 1 and isinstance(tensors[0], list | tuple):
        tensors = tensors[0]
    if indexing not in ("ij", "xy"):
        raise ValueError(f"meshgrid: unknown indexing {indexing!r}; expected 'ij' or 'xy'")
    if any(x.ndim > 1 for x in tensors):
        raise ValueError(f"meshgrid: expected vectors, got {[x.shape for x in tensors]}")
    swap = indexing == "xy" and len(tensors) > 1
    order = [1, 0, *range(2, len(tensors))] if swap else list(range(len(tensors)))
    shape = [0] * len(tensors)
    for x, axis in zip(tensors, order, strict=True):
        shape[axis] = x.numel()
    grids = []
    for x, axis in zip(tensors, order, strict=True):
        single = [1] * len(shape)
        single[axis] = x.numel()
        grids.append(T.broadcast_to(T.reshape(x, single), shape))
    return tuple(grids)
