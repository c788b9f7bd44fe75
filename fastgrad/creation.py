"""Tensors from data."""

import numpy as np

from .backend import empty
from .tape import recording
from .tensor import Tensor


def tensor(data, dtype=None, requires_grad=False):
    """A new tensor with a copy of ``data``: numbers, nested lists, an array or a tensor.

    Python floats become float32, Python ints int64; arrays keep their type.

    Raises ``TypeError`` for what is not numeric, ``ValueError`` for ragged lists.

    >>> import fastgrad as fg
    >>> fg.tensor([[1, 2], [3, 4]])
    tensor([[1, 2],
            [3, 4]])
    >>> fg.tensor([1.5, 2.0], requires_grad=True)
    tensor([1.5000, 2.0000], requires_grad=True)
    """
    source = data.data if isinstance(data, Tensor) else data
    try:
        array = np.array(source, dtype=dtype, order="C")
    except ValueError as error:
        raise ValueError(f"tensor: {error}") from None
    if dtype is None and array.dtype == np.float64:
        first = source
        while isinstance(first, list | tuple) and first:
            first = first[0]
        given = isinstance(first, np.ndarray | np.generic)
        array = array if given else array.astype(np.float32)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"tensor: expected numbers, got {array.dtype}")
    if recording.here():  # a copy of what the data is in each replay
        array = recording.active.copy(source if isinstance(source, np.ndarray) else array)
        array = array if dtype is None else array.astype(dtype)
    return Tensor(array, requires_grad=requires_grad)


def from_numpy(array):
    """A tensor that shares the array's memory.

    >>> import numpy as np
    >>> import fastgrad as fg
    >>> a = np.zeros(2, np.float32)
    >>> t = fg.from_numpy(a)
    >>> a[0] = 1
    >>> t
    tensor([1., 0.])
    """
    if not isinstance(array, np.ndarray):
        raise TypeError(f"from_numpy: expected an ndarray, got {type(array).__name__}")
    return Tensor(array)


def zeros(*shape, dtype=np.float32, requires_grad=False):
    """A tensor of zeros: ``zeros(2, 3)`` or ``zeros((2, 3))``.

    >>> import fastgrad as fg
    >>> fg.zeros(2)
    tensor([0., 0.])
    """
    return _filled(0, shape, dtype, requires_grad)


def ones(*shape, dtype=np.float32, requires_grad=False):
    """A tensor of ones: ``ones(2, 3)`` or ``ones((2, 3))``.

    >>> import fastgrad as fg
    >>> fg.ones(2)
    tensor([1., 1.])
    """
    return _filled(1, shape, dtype, requires_grad)


def _filled(value, shape, dtype, requires_grad):
    array = empty(_shape(shape), dtype)
    array.fill(value)
    return Tensor(array, requires_grad=requires_grad)


def _shape(shape):
    return shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape
