"""Copying and filling arrays."""

import math

import numpy as np
from numpy.lib.stride_tricks import as_strided

from . import _record
from ._record import empty
from ._ufunc import elementwise

__all__ = ["copy", "empty", "fill", "strided", "zeros", "zeros_like"]


@elementwise(cost=0.1, numpy=np.positive)
def _copy(x):
    """The same values."""
    return x


# Bytes from which our copy and fill, on all threads, are done before NumPy's. What is strided
# NumPy copies: it chooses an order of axes, and reads and writes by its own code for every step.
SMALL = 1 << 19


def copy(x, out=None):
    """The same values in C order, in an array of their own or in ``out``."""
    if _record.recorder is not None and _record.recording():
        return _record_copy(x, out)
    if out is None:
        if x.nbytes < SMALL or not x.flags.c_contiguous:
            return x.copy()
        out = empty(x.shape, x.dtype)
    elif out.nbytes < SMALL or not (x.flags.c_contiguous and out.flags.c_contiguous):
        out[...] = x
        return out
    if x.dtype.kind == "b":
        _copy.ufunc(x.view(np.uint8), out=out.view(np.uint8))
        return out
    return _copy.ufunc(x, out=out)


def _record_copy(x, out):
    if x.dtype.kind == "b":
        out = None if out is None else out.view(np.uint8)
        return _copy.record([x.view(np.uint8)], out).view(np.bool_)
    return _copy.record([x], out)


def fill(out, value):
    """Set every element of ``out`` to ``value``."""
    if _record.recorder is not None and _record.recording():
        _copy.record([np.asarray(value, out.dtype)], out)
    elif out.nbytes < SMALL or not out.flags.c_contiguous:
        out.fill(value)
    else:
        copy(np.asarray(value, out.dtype), out)


_FEW = SMALL >> 3  # elements, of any type


def zeros(shape, dtype):
    """Zeros of a shape, a tuple, and a type."""
    if math.prod(shape) < _FEW and (_record.recorder is None or not _record.recording()):
        return np.zeros(shape, dtype)
    out = empty(shape, dtype)
    fill(out, 0)
    return out


def zeros_like(x):
    """Zeros of the shape and type of ``x``."""
    return zeros(x.shape, x.dtype)


def strided(x, shape, strides):
    """A view from the first element of ``x`` on, with a shape and strides in bytes of its own."""
    return as_strided(x, shape, strides, subok=True)
