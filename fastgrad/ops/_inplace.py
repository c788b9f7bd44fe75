"""Operations that change their tensor."""

import numpy as np

from ..backend import K
from ..tape import mode, recording
from ..tensor import Tensor


def in_place(function):
    """``x.add_(y)``: the operation, and its result written into x's own array."""

    def method(self, *others, **options):
        check_in_place(self, function.__name__)
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
        write(result.data, self.data)
        self._version[0] += 1
        if result._node is not None:
            if self._node is not None and self._node.retained is not None:
                result._node.retained, self._node.retained = self._node.retained, None
            self._node, self._requires_grad = result._node, True
            _renew_saved_version(result._node, result._version, self._version)
        return self

    method.__doc__ = f"In-place ``{function.__name__}``; returns the tensor."
    return method


def write(array, out):
    """Overwrite an array with another, which broadcasts to it."""
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


def check_in_place(tensor, name):
    """Refuse what is no tensor, and a leaf whose change would have to be recorded."""
    if not isinstance(tensor, Tensor):
        raise TypeError(f"{name}_: expected a tensor, got {type(tensor).__name__}")
    if mode.grad_enabled and tensor._requires_grad and tensor._node is None:
        raise RuntimeError(
            f"{name}_: a leaf that requires grad cannot be changed in place while operations are "
            "recorded; do it in no_grad, or change x.detach()"
        )
