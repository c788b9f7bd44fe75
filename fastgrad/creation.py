"""Tensors from data."""

import math

import numpy as np

from . import random
from .backend import empty as empty_array
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


def as_tensor(data, dtype=None):
    """``data`` as a tensor: itself, an array without a copy, or what ``tensor`` makes of it.

    >>> import fastgrad as fg
    >>> x = fg.tensor([1.0])
    >>> fg.as_tensor(x) is x
    True
    """
    if isinstance(data, Tensor):
        return data if dtype is None else data.to(dtype)
    if isinstance(data, np.ndarray) and (dtype is None or data.dtype == dtype):
        return Tensor(data)
    return tensor(data, dtype)


# ------------------------------------------------------------------ of one value


def full(size, fill_value, dtype=None, requires_grad=False):
    """A tensor of one value; its type is the value's unless it is given.

    >>> import fastgrad as fg
    >>> fg.full((2,), 7.0)
    tensor([7., 7.])
    """
    if dtype is None:
        dtype = {bool: np.bool_, int: np.int64}.get(type(fill_value), np.float32)
    array = empty_array(_shape((size,)), dtype)
    array.fill(fill_value)
    return _constant(array, requires_grad)


def zeros(*size, dtype=np.float32, requires_grad=False):
    """A tensor of zeros: ``zeros(2, 3)`` or ``zeros((2, 3))``.

    >>> import fastgrad as fg
    >>> fg.zeros(2)
    tensor([0., 0.])
    """
    return full(_shape(size), 0, dtype, requires_grad)


def ones(*size, dtype=np.float32, requires_grad=False):
    """A tensor of ones: ``ones(2, 3)`` or ``ones((2, 3))``.

    >>> import fastgrad as fg
    >>> fg.ones(2)
    tensor([1., 1.])
    """
    return full(_shape(size), 1, dtype, requires_grad)


def empty(*size, dtype=np.float32, requires_grad=False):
    """A tensor of whatever is in memory: to be overwritten.

    >>> import fastgrad as fg
    >>> fg.empty(2, 3).shape
    (2, 3)
    """
    return Tensor(empty_array(_shape(size), dtype), requires_grad=requires_grad)


def eye(n, m=None, dtype=np.float32, requires_grad=False):
    """The matrix (n, m) with ones on its diagonal.

    >>> import fastgrad as fg
    >>> fg.eye(2)
    tensor([[1., 0.],
            [0., 1.]])
    """
    return _constant(np.eye(n, m, dtype=dtype), requires_grad)


def _like(function):
    def like(x, dtype=None, requires_grad=False):
        return function(x.shape, dtype=dtype or x.dtype, requires_grad=requires_grad)

    return like


zeros_like, ones_like, empty_like = _like(zeros), _like(ones), _like(empty)
zeros_like.__doc__ = """Zeros of the shape and, unless given, the type of ``x``.

    >>> import fastgrad as fg
    >>> fg.zeros_like(fg.tensor([1, 2]))
    tensor([0, 0])
    """
ones_like.__doc__ = """Ones of the shape and, unless given, the type of ``x``.

    >>> import fastgrad as fg
    >>> fg.ones_like(fg.tensor([1.5, 2.5]))
    tensor([1., 1.])
    """
empty_like.__doc__ = """A tensor of the shape and type of ``x``, to be overwritten.

    >>> import fastgrad as fg
    >>> fg.empty_like(fg.tensor([1.5, 2.5])).shape
    (2,)
    """


def full_like(x, fill_value, dtype=None, requires_grad=False):
    """One value in the shape and, unless given, the type of ``x``.

    >>> import fastgrad as fg
    >>> fg.full_like(fg.tensor([1.5, 2.5]), 3)
    tensor([3., 3.])
    """
    return full(x.shape, fill_value, dtype or x.dtype, requires_grad)


# ------------------------------------------------------------------ ranges


def _constant(array, requires_grad):
    if recording.here():  # what Python decided stays so in a replay
        array = recording.active.copy(array)
    return Tensor(array, requires_grad=requires_grad)


def arange(start, end=None, step=1, dtype=None, requires_grad=False):
    """Numbers from ``start`` (0 if one number is given) up to ``end``, without it, by ``step``.

    Integers give int64, floats float32.

    >>> import fastgrad as fg
    >>> fg.arange(3), fg.arange(1, 2, 0.5)
    (tensor([0, 1, 2]), tensor([1.0000, 1.5000]))
    """
    if end is None:
        start, end = 0, start
    numbers = (start, end, step)
    if dtype is not None and np.dtype(dtype).kind in "iu":
        start, end, step = numbers = [int(x) for x in numbers]
    if step == 0 or (end - start) * step < 0:
        raise ValueError(f"arange: no way from {start} to {end} by {step}")
    if dtype is None:
        whole = all(isinstance(x, int | np.integer) for x in numbers)
        dtype = np.int64 if whole else np.float32
    count = math.ceil((end - start) / step)
    wide = np.float64 if any(isinstance(x, float) for x in numbers) else np.int64
    array = (start + np.arange(count, dtype=wide) * step).astype(dtype)
    return _constant(array, requires_grad)


def linspace(start, end, steps, dtype=np.float32, requires_grad=False):
    """``steps`` numbers from ``start`` to ``end``, both included, at equal distances.

    >>> import fastgrad as fg
    >>> fg.linspace(0, 1, 3)
    tensor([0.0000, 0.5000, 1.0000])
    """
    if steps < 0:
        raise ValueError(f"linspace: expected steps >= 0, got {steps}")
    kind = float if np.dtype(dtype).kind == "f" else int
    values = np.linspace(kind(start), kind(end), steps)
    return _constant((values if kind is float else np.trunc(values)).astype(dtype), requires_grad)


def logspace(start, end, steps, base=10.0, dtype=np.float32, requires_grad=False):
    """``base`` to the powers that ``linspace`` gives, from start to end.

    >>> import fastgrad as fg
    >>> fg.logspace(0, 2, 3)
    tensor([  1.,  10., 100.])
    """
    if steps < 0:
        raise ValueError(f"logspace: expected steps >= 0, got {steps}")
    kind = float if np.dtype(dtype).kind == "f" else int
    values = float(base) ** np.linspace(kind(start), kind(end), steps)
    return _constant(values.astype(dtype), requires_grad)


def tril_indices(row, col, offset=0, dtype=np.int64):
    """Rows and columns (2, n) of the elements of a matrix (row, col) on and below a diagonal.

    >>> import fastgrad as fg
    >>> fg.tril_indices(2, 2)
    tensor([[0, 1, 1],
            [0, 0, 1]])
    """
    return _constant(np.stack(np.tril_indices(row, offset, col)).astype(dtype), False)


def triu_indices(row, col, offset=0, dtype=np.int64):
    """Rows and columns (2, n) of the elements of a matrix (row, col) on and above a diagonal.

    >>> import fastgrad as fg
    >>> fg.triu_indices(2, 2)
    tensor([[0, 0, 1],
            [0, 1, 1]])
    """
    return _constant(np.stack(np.triu_indices(row, offset, col)).astype(dtype), False)


# ------------------------------------------------------------------ random


def _draw(name, method, shape, dtype, requires_grad, *arguments):
    if recording.here():
        recording.active.refuse(
            f"compile: {name} draws numbers once, when the step is recorded; draw them outside and "
            "pass them to the step, or use dropout"
        )
    values = getattr(random.default.numpy, method)(*arguments, size=shape)
    return Tensor(np.asarray(values).astype(dtype), requires_grad=requires_grad)


def rand(*size, dtype=np.float32, requires_grad=False):
    """Uniform random numbers from 0 to 1, without it.

    >>> import fastgrad as fg
    >>> fg.manual_seed(0)
    >>> fg.rand(2, 3).shape
    (2, 3)
    """
    return _draw("rand", "random", _shape(size), dtype, requires_grad)


def randn(*size, dtype=np.float32, requires_grad=False):
    """Random numbers from the normal distribution of mean 0 and variance 1.

    >>> import fastgrad as fg
    >>> fg.manual_seed(0)
    >>> fg.randn(2, 3).shape
    (2, 3)
    """
    return _draw("randn", "standard_normal", _shape(size), dtype, requires_grad)


def randint(low, high=None, size=None, dtype=np.int64):
    """Random integers from ``low`` (0 if left out) up to ``high``, without it.

    >>> import fastgrad as fg
    >>> fg.manual_seed(0)
    >>> fg.randint(0, 2, (1000,)).unique()
    tensor([0, 1])
    """
    if size is None:
        low, high, size = 0, low, high
    if low >= high:
        raise ValueError(f"randint: no integers from {low} up to {high}")
    return _draw("randint", "integers", _shape((size,)), dtype, False, low, high)


def randperm(n, dtype=np.int64):
    """The integers from 0 to n - 1 in random order.

    >>> import fastgrad as fg
    >>> fg.manual_seed(0)
    >>> fg.randperm(4).sort().values
    tensor([0, 1, 2, 3])
    """
    keys = _draw("randperm", "random", (n,), np.float64, False)
    return Tensor(np.argsort(keys.data).astype(dtype))


def rand_like(x, dtype=None):
    """``rand`` in the shape and type of ``x``.

    >>> import fastgrad as fg
    >>> fg.rand_like(fg.zeros(2)).shape
    (2,)
    """
    return rand(x.shape, dtype=dtype or x.dtype)


def randn_like(x, dtype=None):
    """``randn`` in the shape and type of ``x``.

    >>> import fastgrad as fg
    >>> fg.randn_like(fg.zeros(2)).shape
    (2,)
    """
    return randn(x.shape, dtype=dtype or x.dtype)


def randint_like(x, low, high=None, dtype=None):
    """``randint`` in the shape and type of ``x``.

    >>> import fastgrad as fg
    >>> fg.randint_like(fg.zeros(2), 3).shape
    (2,)
    """
    low, high = (0, low) if high is None else (low, high)
    return randint(low, high, x.shape, dtype or x.dtype)


def _shape(size):
    size = size[0] if len(size) == 1 and not isinstance(size[0], int | np.integer) else size
    return tuple(size)
