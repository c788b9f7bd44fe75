"""Compositions that give tensors axes, and that build larger ones from several."""

import itertools

import numpy as np

from ..tensor import Tensor
from ._family import T
from .join import cat, meshgrid, stack, tensor_split

__all__ = [
    "atleast_1d", "atleast_2d", "atleast_3d", "block_diag", "cartesian_prod", "column_stack",
    "combinations", "dsplit", "dstack", "hsplit", "hstack", "unravel_index", "vander", "vsplit",
    "vstack",
]  # fmt: skip


def _at_least(ndim, tensors):
    if len(tensors) == 1 and isinstance(tensors[0], tuple | list):
        return tuple(_at_least(ndim, (x,)) for x in tensors[0])
    if len(tensors) != 1:
        return tuple(_at_least(ndim, (x,)) for x in tensors)
    (x,) = tensors
    while x.ndim < ndim:
        x = T.unsqueeze(x, -1 if x.ndim == 2 else 0)
    return x


def atleast_1d(*tensors):
    """A number as a vector; of several tensors, a tuple.

    >>> import fastgrad as fg
    >>> fg.atleast_1d(fg.tensor(1.0))
    tensor([1.])
    """
    return _at_least(1, tensors)


def atleast_2d(*tensors):
    """A number or a vector as a matrix of one row; of several tensors, a tuple.

    >>> import fastgrad as fg
    >>> fg.atleast_2d(fg.tensor([1.0, 2.0]))
    tensor([[1., 2.]])
    """
    return _at_least(2, tensors)


def atleast_3d(*tensors):
    """A matrix (m, n) as (m, n, 1), a vector (n,) as (1, n, 1); of several tensors, a tuple.

    >>> import fastgrad as fg
    >>> fg.atleast_3d(fg.tensor([1.0, 2.0])).shape
    (1, 2, 1)
    """
    return _at_least(3, tensors)


def hstack(tensors):
    """The tensors side by side: along the second axis, vectors along their only one.

    >>> import fastgrad as fg
    >>> fg.hstack([fg.tensor([1.0]), fg.tensor([2.0])])
    tensor([1., 2.])
    """
    tensors = [atleast_1d(x) for x in tensors]
    return cat(tensors, 0 if tensors and tensors[0].ndim == 1 else 1)


def vstack(tensors):
    """The tensors below each other: vectors as rows.

    >>> import fastgrad as fg
    >>> fg.vstack([fg.tensor([1.0]), fg.tensor([2.0])])
    tensor([[1.],
            [2.]])
    """
    return cat([atleast_2d(x) for x in tensors], 0)


def dstack(tensors):
    """The tensors behind each other, along the third axis.

    >>> import fastgrad as fg
    >>> fg.dstack([fg.tensor([1.0]), fg.tensor([2.0])])
    tensor([[[1., 2.]]])
    """
    return cat([atleast_3d(x) for x in tensors], 2)


def column_stack(tensors):
    """The tensors side by side: vectors as columns.

    >>> import fastgrad as fg
    >>> fg.column_stack([fg.tensor([1.0]), fg.tensor([2.0])])
    tensor([[1., 2.]])
    """
    return cat([T.reshape(x, (x.numel(), 1)) if x.ndim < 2 else x for x in tensors], 1)


def block_diag(*tensors):
    """The matrix with the given ones along its diagonal, and zeros elsewhere; vectors are rows.

    >>> import fastgrad as fg
    >>> fg.block_diag(fg.tensor([[1.0, 2.0]]), fg.tensor([3.0]))
    tensor([[1., 2., 0.],
            [0., 0., 3.]])
    """
    if any(x.ndim > 2 for x in tensors):
        shapes = [x.shape for x in tensors]
        raise ValueError(f"block_diag: expected tensors of two axes at most, got {shapes}")
    blocks = [atleast_2d(x) for x in tensors]
    total, left, rows = sum(x.shape[1] for x in blocks), 0, []
    for x in blocks:
        rows.append(T.pad(x, (left, total - left - x.shape[1])))
        left += x.shape[1]
    return cat(rows)


def cartesian_prod(*tensors):
    """All choices of one element from each vector, a row each; of one vector, that vector.

    >>> import fastgrad as fg
    >>> fg.cartesian_prod(fg.tensor([1, 2]), fg.tensor([3, 4]))
    tensor([[1, 3],
            [1, 4],
            [2, 3],
            [2, 4]])
    """
    if any(x.ndim != 1 for x in tensors):
        raise ValueError(f"cartesian_prod: expected vectors, got {[x.shape for x in tensors]}")
    if len(tensors) == 1:
        return tensors[0]
    grids = [T.ravel(x) for x in meshgrid(*tensors, indexing="ij")]
    return stack(grids, 1)


def combinations(x, r=2, with_replacement=False):
    """All choices of r elements of a vector, a row each, in the vector's order.

    with_replacement   an element may be chosen more than once

    >>> import fastgrad as fg
    >>> fg.combinations(fg.tensor([1, 2, 3]))
    tensor([[1, 2],
            [1, 3],
            [2, 3]])
    """
    if x.ndim != 1 or r < 0:
        raise ValueError(f"combinations: expected a vector and r >= 0, got {x.shape} and r = {r}")
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    places = np.array(list(choose(range(x.shape[0]), r)), np.int64)
    if not places.size:
        return T.reshape(T.narrow(x, 0, 0, 0), (0, r) if r else (0,))
    return T.take(x, Tensor(places))


def vander(x, N=None, increasing=False):
    """The matrix of the powers of a vector's elements, a row each, the highest first.

    N            how many columns, as many as elements by default
    increasing   the lowest first

    >>> import fastgrad as fg
    >>> fg.vander(fg.tensor([1.0, 2.0, 3.0]))
    tensor([[1., 1., 1.],
            [4., 2., 1.],
            [9., 3., 1.]])
    """
    if x.ndim != 1:
        raise ValueError(f"vander: expected a vector, got shape {x.shape}")
    powers = np.arange(x.shape[0] if N is None else N)
    return T.pow(T.unsqueeze(x, -1), Tensor(powers if increasing else powers[::-1].copy()))


# ------------------------------------------------------------------ apart


def _split_along(name, axis, least):
    def split(x, indices_or_sections):
        if x.ndim < least:
            raise ValueError(f"{name}: expected {least} axes or more, got shape {x.shape}")
        along = 0 if name == "hsplit" and x.ndim == 1 else axis
        parts = indices_or_sections
        if isinstance(parts, int) and x.shape[along] % parts:
            raise ValueError(f"{name}: {x.shape} has no {parts} equal parts along dim {along}")
        return tensor_split(x, parts, along)

    split.__name__ = split.__qualname__ = name
    return split


hsplit = _split_along("hsplit", 1, 1)
hsplit.__doc__ = """Equal parts, or parts between indices, along the second axis, or a vector's.

    >>> import fastgrad as fg
    >>> fg.hsplit(fg.tensor([[1.0, 2.0]]), 2)
    (tensor([[1.]]), tensor([[2.]]))
    """
vsplit = _split_along("vsplit", 0, 2)
vsplit.__doc__ = """Equal parts, or parts between indices, along the first axis.

    >>> import fastgrad as fg
    >>> fg.vsplit(fg.tensor([[1.0], [2.0]]), 2)
    (tensor([[1.]]), tensor([[2.]]))
    """
dsplit = _split_along("dsplit", 2, 3)
dsplit.__doc__ = """Equal parts, or parts between indices, along the third axis.

    >>> import fastgrad as fg
    >>> fg.dsplit(fg.tensor([[[1.0, 2.0]]]), [1])
    (tensor([[[1.]]]), tensor([[[2.]]]))
    """


def unravel_index(indices, shape):
    """Where flat indices are in a tensor of a shape: an index tensor for each axis.

    >>> import fastgrad as fg
    >>> fg.unravel_index(fg.tensor([5, 0]), (2, 3))
    (tensor([1, 0]), tensor([2, 0]))
    """
    shape = (shape,) if isinstance(shape, int) else tuple(shape)
    if indices.dtype.kind not in "iu":
        raise TypeError(f"unravel_index: expected integers, got {indices.dtype}")
    parts = []
    for size in shape[::-1]:
        parts.append(T.remainder(indices, size))
        indices = T.floor_divide(indices, size)
    return tuple(parts[::-1])
