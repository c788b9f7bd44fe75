"""What the data package asks of its arguments, each question in one place."""

import operator

import numpy as np

from ..tensor import Tensor


def unwrap(value):
    """The array inside a Tensor; anything else as it is."""
    return value.data if isinstance(value, Tensor) else value


def as_array(value, where, name):
    """The array of numbers in ``value``, an array or a Tensor: C-contiguous, native byte order.

    No copy where ``value`` is so already. ``where`` and ``name`` begin the message of the
    TypeError for anything that is no array, and for objects, strings, dates and complex numbers.
    """
    array = unwrap(value)
    if not isinstance(array, np.ndarray):
        raise TypeError(
            f"{where}: {name} is a {type(value).__name__}; expected a NumPy array or a Tensor"
        )
    check_dtype(array, where, name)
    # Kernels are compiled for C-contiguous arrays in the machine's own byte order. np.require
    # keeps a 0-d array 0-d, which np.ascontiguousarray does not.
    return np.require(array, array.dtype.newbyteorder("="), "C")


def check_dtype(array, where, name):
    """TypeError unless ``array`` holds booleans, integers or floating-point numbers."""
    if array.dtype.kind not in "biuf":
        raise TypeError(
            f"{where}: {name} has dtype {array.dtype}; expected booleans, integers or floats"
        )


def as_integer(value, where, name, least=0):
    """``value`` as an int of at least ``least``; True and 3.0 are not integers."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{where}: {name} is {value!r}; expected an integer")
    if number < least:
        raise ValueError(f"{where}: {name} is {number}; expected at least {least}")
    return number


def as_position(index, size, where):
    """One index, negative ones counted from the end, as an int in ``[0, size)``.

    None if ``index`` is no single integer. IndexError if it is out of range, which also ends a
    plain ``for`` over a dataset.
    """
    try:
        position = operator.index(unwrap(index))
    except TypeError:
        return None
    if isinstance(index, bool):
        return None
    if not -size <= position < size:
        raise IndexError(f"{where}: index {position} is out of range for {size} samples")
    return position % size


def as_rows(indices, size, where):
    """Indices into ``size`` samples as a new int64 array in ``[0, size)``, rank 1.

    Takes a sequence, array or Tensor of integers, negative ones counted from the end, or a
    boolean mask of length ``size``.
    """
    array = np.asarray(unwrap(indices))
    if array.ndim == 0:
        raise TypeError(f"{where}: index {indices!r}; expected an integer, integers or a mask")
    if array.ndim != 1:
        raise IndexError(f"{where}: indices have shape {array.shape}; expected one axis")
    if array.dtype == bool:
        if len(array) != size:
            raise IndexError(f"{where}: a mask of {len(array)} for {size} samples")
        return np.flatnonzero(array).astype(np.int64, copy=False)
    if not len(array):  # NumPy reads [] as float64
        return np.empty(0, np.int64)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{where}: indices have dtype {array.dtype}; expected integers")
    low, high = int(array.min()), int(array.max())
    if low < -size or high >= size:
        index = low if low < -size else high
        raise IndexError(f"{where}: index {index} is out of range for {size} samples")
    rows = array.astype(np.int64)
    rows[rows < 0] += size
    return rows
