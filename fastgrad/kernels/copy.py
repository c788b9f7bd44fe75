"""Copying and filling arrays."""

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


_SMALL = 1 << 17  # bytes; below, NumPy's copy and fill, on one thread, are done before ours start


def copy(x, out=None):
    """The same values in C order, in an array of their own or in ``out``."""
    if x.dtype.kind == "b":
        return copy(x.view(np.uint8), None if out is None else out.view(np.uint8)).view(np.bool_)
    if _record.recorder is not None and _record.recording():
        return _copy.record([x], out)
    if out is None:
        if x.nbytes < _SMALL:
            return x.copy()
        out = empty(x.shape, x.dtype)
    return _copy.ufunc(x, out=out)


def fill(out, value):
    """Set every element of ``out`` to ``value``."""
    if _record.recorder is not None and _record.recording():
        _copy.record([np.asarray(value, out.dtype)], out)
    elif out.nbytes < _SMALL:
        out.fill(value)
    else:
        _copy.ufunc(out.dtype.type(value), out=out)


def zeros(shape, dtype):
    """Zeros of a shape and type."""
    out = empty(shape, dtype)
    fill(out, 0)
    return out


def zeros_like(x):
    """Zeros of the shape and type of ``x``."""
    return zeros(x.shape, x.dtype)


def strided(x, shape, strides):
    """A view from the first element of ``x`` on, with a shape and strides in bytes of its own."""
    return as_strided(x, shape, strides, subok=True)
