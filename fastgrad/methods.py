"""One table that binds operations to Tensor's operators and methods."""

import numpy as np

from . import ops
from .backend import K
from .tape import mode, recording
from .tensor import Tensor


def _reflected(function):
    return lambda self, other: function(other, self)


def _inplace(function):
    """``x.add_(y)``: the operation, and its result written into x's own array."""

    def method(self, other):
        _check_inplace(self, function.__name__)
        recorded = mode.grad_enabled and (
            self._requires_grad or (isinstance(other, Tensor) and other._requires_grad)
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
        result = function(source, other)
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


def _zero_(self):
    """Set all elements to 0; returns the tensor."""
    return _fill_(self, 0)


def _fill_(self, value):
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


def _copy_(self, source):
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


def _sizes(shape):
    """``x.reshape(2, 3)`` or ``x.reshape((2, 3))``."""
    return shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape


def _max(self):
    """The largest element."""
    return ops.amax(self)


def _reshape(self, *shape):
    """The same elements in another shape, ``x.reshape(2, -1)``; see ``fastgrad.reshape``."""
    return ops.reshape(self, shape=_sizes(shape))


def _t(self):
    """The transpose of a matrix, a view; a vector is its own."""
    return ops.transpose(self, 0, 1) if self.ndim > 1 else self


def _to(self, dtype):
    """The tensor in another type; itself if it has that type. Gradients flow between floats."""
    return self if self.dtype == dtype else ops.cast(self, dtype=dtype)


def _converter(dtype):
    def method(self):
        return _to(self, dtype)

    method.__doc__ = f"The tensor as {np.dtype(dtype).name}."
    return method


_TABLE = {
    "__add__": ops.add,
    "__radd__": _reflected(ops.add),
    "__sub__": ops.sub,
    "__rsub__": _reflected(ops.sub),
    "__mul__": ops.mul,
    "__rmul__": _reflected(ops.mul),
    "__truediv__": ops.div,
    "__rtruediv__": _reflected(ops.div),
    "__matmul__": ops.matmul,
    "__rmatmul__": _reflected(ops.matmul),
    "__neg__": ops.neg,
    "__iadd__": _inplace(ops.add),
    "__isub__": _inplace(ops.sub),
    "__imul__": _inplace(ops.mul),
    "__itruediv__": _inplace(ops.div),
    "add": ops.add,
    "sub": ops.sub,
    "mul": ops.mul,
    "div": ops.div,
    "neg": ops.neg,
    "add_": _inplace(ops.add),
    "sub_": _inplace(ops.sub),
    "mul_": _inplace(ops.mul),
    "div_": _inplace(ops.div),
    "zero_": _zero_,
    "fill_": _fill_,
    "copy_": _copy_,
    "matmul": ops.matmul,
    "mm": ops.matmul,
    "exp": ops.exp,
    "log": ops.log,
    "sqrt": ops.sqrt,
    "tanh": ops.tanh,
    "sigmoid": ops.sigmoid,
    "relu": ops.relu,
    "softmax": ops.softmax,
    "log_softmax": ops.log_softmax,
    "sum": ops.sum,
    "mean": ops.mean,
    "amax": ops.amax,
    "max": _max,
    "argmax": ops.argmax,
    "clone": ops.clone,
    "flatten": ops.flatten,
    "transpose": ops.transpose,
    "reshape": _reshape,
    "view": _reshape,
    "t": _t,
    "T": property(_t),
    "to": _to,
    "float": _converter(np.float32),
    "double": _converter(np.float64),
    "long": _converter(np.int64),
}

for _name, _function in _TABLE.items():
    setattr(Tensor, _name, _function)
