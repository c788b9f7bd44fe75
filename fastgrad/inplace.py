"""What changes a tensor in place: operations that write into it, or replace its view."""

import numpy as np

from .backend import K
from .ops._inplace import check_in_place, write
from .tape import mode
from .tensor import Tensor


def zero_(self):
    """Set all elements to 0; returns the tensor."""
    return fill_(self, 0)


def fill_(self, value):
    """Set all elements to ``value``; returns the tensor."""
    check_in_place(self, "fill")
    if self._node is not None and mode.grad_enabled:
        raise RuntimeError("fill_: expected a tensor outside the graph; use no_grad or detach")
    if self.dtype.kind == "f":
        K.fill(self.data, value)
    else:
        write(np.asarray(value), self.data)
    self._version[0] += 1
    return self


def copy_(self, source):
    """Overwrite the elements with those of ``source``, broadcast; returns the tensor."""
    check_in_place(self, "copy")
    if self._node is not None and mode.grad_enabled:
        raise RuntimeError("copy_: expected a tensor outside the graph; use no_grad or detach")
    if mode.grad_enabled and isinstance(source, Tensor) and source._requires_grad:
        raise RuntimeError(
            "copy_: expected a tensor outside the graph as the source; use source.detach()"
        )
    array = source.data if isinstance(source, Tensor) else np.asarray(source)
    try:
        array = np.broadcast_to(array, self.shape, subok=True)
    except ValueError:
        raise ValueError(f"copy_: {array.shape} does not broadcast to {self.shape}") from None
    write(array, self.data)
    self._version[0] += 1
    return self


def in_place_view(function):
    """``x.unsqueeze_(0)``: the tensor becomes the view that the operation gives."""

    def method(self, *arguments, **options):
        check_in_place(self, function.__name__.strip("_"))
        shared = self._version[1]
        result = function(self, *arguments, **options)
        if result is self:
            return self
        if result._node is not None and self._node is not None:
            result._node.retained, self._node.retained = self._node.retained, None
        self.data, self._node = result.data, result._node
        self._version[1] = shared  # no other tensor has the view
        return self

    method.__doc__ = f"In-place ``{function.__name__.strip('_')}``; returns the tensor."
    return method


def fill_diagonal_(self, fill_value, wrap=False):
    """Set the elements ``x[i, ..., i]`` to a number; returns the tensor.

    wrap   in a tall matrix, begin again after each n + 1 rows
    """
    if self.ndim < 2 or (self.ndim > 2 and len(set(self.shape)) > 1):
        raise ValueError(f"fill_diagonal_: expected a matrix or equal sizes, got {self.shape}")
    where = np.zeros(self.shape, np.bool_)
    np.fill_diagonal(where, True, wrap=wrap)
    return self.masked_fill_(Tensor(where), fill_value)
