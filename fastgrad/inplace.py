"""What changes a tensor in place: operations that write into it, or replace its view."""

import numpy as np

from .backend import K
from .tape import mode, recording
from .tensor import Tensor


def in_place(function):
    """``x.add_(y)``: the operation, and its result written into x's own array."""

    def method(self, *others, **options):
        _check_inplace(self, function.__name__)
        given = (self, *others, *options.values())
        recorded = mode.grad_enabled and any(
            isinstance(x, Tensor) and x._requires_grad for x in given
        )
        if recorded and self._version[1]:
            raise RuntimeError(
                f"{function.__name__}_: a tensor that shares its memory with a view or a detached "
                "tensor cannot be changed in place while that is recorded; use x = x + y, or clone"
            )
        source = self
        if recorded:  # the pull-back may want the values from before
            source = Tensor(K.copy(self.data) if self.dtype.kind == "f" else self.data.copy())
            source._node, source._requires_grad = self._node, self._requires_grad
        result = function(source, *others, **options)
        if result.shape != self.shape:
            raise ValueError(
                f"{function.__name__}_: the result has shape {result.shape}, which does not fit "
                f"into {self.shape}"
            )
        if not np.can_cast(result.dtype, self.dtype, "same_kind"):
            raise TypeError(
                f"{function.__name__}_: the result is {result.dtype}, which does not fit into "
                f"{self.dtype}"
            )
        _write(result.data, self.data)
        self._version[0] += 1
        if result._node is not None:
            if self._node is not None and self._node.retained is not None:
                result._node.retained, self._node.retained = self._node.retained, None
            self._node, self._requires_grad = result._node, True
            _renew_saved_version(result._node, result._version, self._version)
        return self

    method.__doc__ = f"In-place ``{function.__name__}``; returns the tensor."
    return method


def _write(array, out):
    if out.dtype.kind == "f" and array.dtype == out.dtype:
        K.copy(array, out=out)
    elif recording.here():
        recording.active.assign(out, array)
    else:
        out[...] = array


def _renew_saved_version(node, before, now):
    """The result that a pull-back saved lives in another tensor now, at its present version."""
    node.saved = [
        (now, now[0], name) if cell is before else (cell, version, name)
        for cell, version, name in node.saved
    ]


def _check_inplace(tensor, name):
    if mode.grad_enabled and tensor._requires_grad and tensor._node is None:
        raise RuntimeError(
            f"{name}_: a leaf that requires grad cannot be changed in place while operations are "
            "recorded; do it in no_grad, or change x.detach()"
        )


def zero_(self):
    """Set all elements to 0; returns the tensor."""
    return fill_(self, 0)


def fill_(self, value):
    """Set all elements to ``value``; returns the tensor."""
    _check_inplace(self, "fill")
    if self._node is not None and mode.grad_enabled:
        raise RuntimeError("fill_: expected a tensor outside the graph; use no_grad or detach")
    if self.dtype.kind == "f":
        K.fill(self.data, value)
    else:
        _write(np.asarray(value), self.data)
    self._version[0] += 1
    return self


def copy_(self, source):
    """Overwrite the elements with those of ``source``, broadcast; returns the tensor."""
    _check_inplace(self, "copy")
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
    _write(array, self.data)
    self._version[0] += 1
    return self


def in_place_view(function):
    """``x.unsqueeze_(0)``: the tensor becomes the view that the operation gives."""

    def method(self, *arguments, **options):
        _check_inplace(self, function.__name__.strip("_"))
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
