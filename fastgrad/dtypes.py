"""Facts about tensors and their types."""

import numpy as np
from numpy import finfo, iinfo

from .ops._family import category
from .ops._family import result_type as _common_type
from .tensor import Tensor

__all__ = [
    "broadcast_shapes",
    "can_cast",
    "finfo",
    "iinfo",
    "is_complex",
    "is_floating_point",
    "is_nonzero",
    "is_same_size",
    "is_tensor",
    "numel",
    "promote_types",
    "result_type",
]


def is_tensor(x):
    """Whether ``x`` is a tensor.

    >>> import fastgrad as fg
    >>> fg.is_tensor(fg.tensor(1.0)), fg.is_tensor(1.0)
    (True, False)
    """
    return isinstance(x, Tensor)


def is_floating_point(x):
    """Whether the elements of a tensor are floats.

    >>> import fastgrad as fg
    >>> fg.is_floating_point(fg.tensor([1, 2]))
    False
    """
    return x.is_floating_point()


def is_complex(x):
    """False: tensors have no complex numbers.

    >>> import fastgrad as fg
    >>> fg.is_complex(fg.tensor(1.0))
    False
    """
    return x.is_complex()


def is_nonzero(x):
    """Whether a tensor's only element is not 0.

    Raises ``ValueError`` where there is not exactly one.

    >>> import fastgrad as fg
    >>> fg.is_nonzero(fg.tensor([0.5]))
    True
    """
    return x.is_nonzero()


def is_same_size(x, other):
    """Whether two tensors have the same shape.

    >>> import fastgrad as fg
    >>> fg.is_same_size(fg.zeros(2), fg.zeros(2, 1))
    False
    """
    return x.is_same_size(other)


def numel(x):
    """Number of elements.

    >>> import fastgrad as fg
    >>> fg.numel(fg.zeros(2, 3))
    6
    """
    return x.numel()


def broadcast_shapes(*shapes):
    """The shape that shapes broadcast to together; an int is a shape of one axis.

    >>> import fastgrad as fg
    >>> fg.broadcast_shapes((2, 1), (3,))
    (2, 3)
    """
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        raise ValueError(f"broadcast_shapes: {list(shapes)} do not broadcast") from None


def result_type(a, b):
    """The type of an operation on two tensors or numbers.

    A number, or a tensor without axes, changes a tensor's type only to a higher category: bools,
    integers, floats.

    >>> import fastgrad as fg
    >>> fg.result_type(fg.tensor([1, 2]), 1.5)
    dtype('float32')
    """
    return _common_type(*(x.data if isinstance(x, Tensor) else x for x in (a, b)))


def promote_types(type1, type2):
    """The smallest type for the elements of both types, by PyTorch's rules.

    >>> import fastgrad as fg
    >>> fg.promote_types(fg.int64, fg.float32)
    dtype('float32')
    """
    return _common_type(*(np.empty(1, dtype) for dtype in (type1, type2)))


def can_cast(from_, to):
    """Whether numbers of one type may become another: not floats integers, nor numbers bools.

    >>> import fastgrad as fg
    >>> fg.can_cast(fg.float64, fg.float32), fg.can_cast(fg.float32, fg.int64)
    (True, False)
    """
    return category(np.dtype(from_)) <= category(np.dtype(to))
