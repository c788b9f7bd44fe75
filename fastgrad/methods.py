"""One table that binds operations to Tensor's operators and methods."""

import numpy as np

from . import differentiate, ops
from .backend import K
from .ops.index import assign, getitem, parse_key, put
from .tape import mode, recording
from .tensor import Tensor


def _reflected(function):
    return lambda self, other: function(other, self)


def _inplace(function):
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


def _getitem(self, key):
    """``x[key]``: a view for slices, integers, None and ``...``, a copy for index arrays."""
    return getitem(self, key)


_put_ = _inplace(put)


def _setitem(self, key, value):
    key, indices = parse_key("setitem", key)
    recorded = mode.grad_enabled and (
        self._requires_grad or (isinstance(value, Tensor) and value._requires_grad)
    )
    if recorded:
        _put_(self, value, key=key, indices=indices)
        return
    assign(self.data, key, value.data if isinstance(value, Tensor) else value, indices)
    self._version[0] += 1


def _iter(self):
    if not self.ndim:
        raise TypeError("iter: a 0-d tensor has no elements to go through")
    return iter(ops.unbind(self))


def _contains(self, value):
    return bool((self == value).any())


def _sizes(shape):
    """``x.reshape(2, 3)`` or ``x.reshape((2, 3))``."""
    return shape[0] if len(shape) == 1 and isinstance(shape[0], tuple | list) else shape


def _with_sizes(function):
    """A method that takes sizes, or dims, one by one or together: ``x.reshape(2, -1)``."""

    def method(self, *sizes):
        return function(self, _sizes(sizes))

    method.__doc__ = function.__doc__
    return method


def _t(self):
    """The transpose of a matrix, a view; a vector is its own."""
    if self.ndim > 2:
        raise ValueError(f"t: expected a matrix, got shape {self.shape}")
    return ops.transpose(self, 0, 1) if self.ndim == 2 else self


def _transposed(self):
    """All axes in reverse order, a view."""
    return ops.permute(self, tuple(range(self.ndim))[::-1]) if self.ndim > 1 else self


def _matrix_transposed(self):
    """The last two axes exchanged, a view."""
    return ops.transpose(self, -2, -1)


def _like(function):
    """``x.view_as(y)`` and its kind."""

    def method(self, other):
        return function(self, other.shape)

    method.__doc__ = function.__doc__
    return method


def _is_contiguous(self):
    """Whether the elements lie one after the other in memory."""
    return bool(self.data.flags.c_contiguous)


def _contiguous(self):
    """The tensor itself, or a copy whose elements lie one after the other in memory."""
    return self if self.data.flags.c_contiguous else ops.clone(self)


def _to(self, dtype):
    """The tensor in another type; itself if it has that type. Gradients flow between floats."""
    return self if self.dtype == dtype else ops.cast(self, dtype=dtype)


def _converter(dtype):
    def method(self):
        return _to(self, dtype)

    method.__doc__ = f"The tensor as {np.dtype(dtype).name}."
    return method


def _type_as(self, other):
    """The tensor in the type of another."""
    return _to(self, other.dtype)


def _where(self, condition, other):
    """The tensor's elements where the bools ``condition`` hold, else those of ``other``."""
    return ops.where(condition, self, other)


def _new_full(self, size, fill_value, dtype=None, requires_grad=False):
    """A tensor of one value, in this tensor's type unless another is given."""
    out = Tensor(K.zeros(tuple(size), np.dtype(dtype or self.dtype)))
    K.fill(out.data, fill_value)
    return out.requires_grad_(requires_grad)


def _new(value):
    def method(self, *size, dtype=None, requires_grad=False):
        return _new_full(self, _sizes(size), value, dtype, requires_grad)

    method.__doc__ = (
        f"A tensor of {'ones' if value else 'zeros'}, in this tensor's type by default."
    )
    return method


def _cpu(self):
    """The tensor itself: it is on the CPU."""
    return self


def _element_size(self):
    """Bytes of an element."""
    return self.data.itemsize


def _stride(self, dim=None):
    """How many elements lie between neighbours along each axis, or along one."""
    strides = tuple(step // self.data.itemsize for step in self.data.strides)
    return strides if dim is None else strides[dim]


def _is_floating_point(self):
    """Whether the elements are floats."""
    return self.data.dtype.kind == "f"


# Methods that are the function of their name ...
_FUNCTIONS = (
    "abs", "acos", "acosh", "add", "addbmm", "addcdiv", "addcmul", "addmm", "addmv", "addr", "all",
    "allclose", "amax", "amin", "any", "argmax", "argmin", "argsort", "argwhere", "asin", "asinh",
    "atan", "atan2", "atanh", "baddbmm", "bincount", "bitwise_and", "bitwise_not", "bitwise_or",
    "bitwise_xor", "bmm", "broadcast_to", "ceil", "chunk", "clamp", "clamp_max", "clamp_min",
    "clone", "cos", "cosh", "count_nonzero", "cummax", "cummin", "cumprod", "cumsum", "diag",
    "diag_embed", "diagonal", "div", "dot", "eq", "equal", "erf", "exp", "exp2", "expm1", "flatten",
    "fliplr", "flipud", "floor", "floor_divide", "fmod", "frac", "gather", "ge", "gt", "hypot",
    "index_add", "index_copy", "index_fill", "index_select", "inner", "isclose", "isfinite",
    "isinf", "isnan", "kron", "kthvalue", "le", "lerp", "log", "log10", "log1p", "log2",
    "log_softmax", "logaddexp", "logcumsumexp", "logical_and", "logical_not", "logical_or",
    "logical_xor", "logsumexp", "lt", "masked_fill", "masked_select", "matmul", "max", "maximum",
    "mean", "median", "min", "minimum", "mm", "movedim", "mul", "mv", "nansum", "narrow", "ne",
    "neg", "nonzero", "norm", "outer", "pow", "prod", "ravel", "reciprocal", "relu", "remainder",
    "repeat_interleave", "roll", "rot90", "round", "rsqrt", "scatter", "scatter_add", "select",
    "sigmoid", "sign", "sin", "sinh", "softmax", "sort", "split", "sqrt", "square", "squeeze",
    "std", "sub", "sum", "take", "take_along_dim", "tan", "tanh", "tensor_split", "topk", "trace",
    "transpose", "tril", "triu", "trunc", "unbind", "unflatten", "unique", "unique_consecutive",
    "unsqueeze", "var", "vdot",
)  # fmt: skip
# ... and those that also write into their tensor, with an underscore.
_IN_PLACE = (
    "abs", "acos", "acosh", "add", "addcdiv", "addcmul", "addmm", "addmv", "addr", "asin", "asinh",
    "atan", "atan2", "atanh", "baddbmm", "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor",
    "ceil", "clamp", "clamp_max", "clamp_min", "cos", "cosh", "cumprod", "cumsum", "div", "eq",
    "erf", "exp", "exp2", "expm1", "floor", "floor_divide", "fmod", "frac", "ge", "gt", "hypot",
    "index_add", "index_copy", "index_fill", "le", "lerp", "log", "log10", "log1p", "log2",
    "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "masked_fill", "mul", "ne",
    "neg", "pow", "reciprocal", "relu", "remainder", "round", "rsqrt", "scatter", "scatter_add",
    "sigmoid", "sign", "sin", "sinh", "sqrt", "square", "sub", "tan", "tanh", "tril", "triu",
    "trunc",
)  # fmt: skip
# Operators, and those that answer for an operand on their left.
_OPERATORS = {
    "add": ops.add, "sub": ops.sub, "mul": ops.mul, "truediv": ops.div, "matmul": ops.matmul,
    "pow": ops.pow, "mod": ops.remainder, "floordiv": ops.floor_divide, "and": ops.bitwise_and,
    "or": ops.bitwise_or, "xor": ops.bitwise_xor,
}  # fmt: skip
_OTHERS = {
    "__neg__": ops.neg,
    "__abs__": ops.abs,
    "__invert__": ops.bitwise_not,
    "__eq__": ops.eq,
    "__ne__": ops.ne,
    "__lt__": ops.lt,
    "__le__": ops.le,
    "__gt__": ops.gt,
    "__ge__": ops.ge,
    "backward": differentiate.backward,
    "zero_": _zero_,
    "fill_": _fill_,
    "copy_": _copy_,
    "__getitem__": _getitem,
    "__setitem__": _setitem,
    "__iter__": _iter,
    "__contains__": _contains,
    "reshape": _with_sizes(ops.reshape),
    "view": _with_sizes(ops.view),
    "permute": _with_sizes(ops.permute),
    "expand": _with_sizes(ops.expand),
    "repeat": _with_sizes(ops.repeat),
    "tile": _with_sizes(ops.tile),
    "flip": _with_sizes(ops.flip),
    "view_as": _like(ops.view),
    "reshape_as": _like(ops.reshape),
    "expand_as": _like(ops.expand),
    "contiguous": _contiguous,
    "is_contiguous": _is_contiguous,
    "t": _t,
    "T": property(_transposed),
    "mT": property(_matrix_transposed),
    "to": _to,
    "float": _converter(np.float32),
    "double": _converter(np.float64),
    "long": _converter(np.int64),
    "int": _converter(np.int32),
    "byte": _converter(np.uint8),
    "bool": _converter(np.bool_),
    "type_as": _type_as,
    "where": _where,
    "new_zeros": _new(0),
    "new_ones": _new(1),
    "new_full": _new_full,
    "cpu": _cpu,
    "nelement": Tensor.numel,
    "ndimension": Tensor.dim,
    "element_size": _element_size,
    "stride": _stride,
    "is_floating_point": _is_floating_point,
}
_TABLE = {
    **{name: getattr(ops, name) for name in _FUNCTIONS},
    **{f"{name}_": _inplace(getattr(ops, name)) for name in _IN_PLACE},
    **{a: getattr(ops, b) for a, b in ops.ALIASES.items() if b in _FUNCTIONS},
    **{f"{a}_": _inplace(getattr(ops, b)) for a, b in ops.ALIASES.items() if b in _IN_PLACE},
    **{f"__{name}__": function for name, function in _OPERATORS.items()},
    **{f"__r{name}__": _reflected(function) for name, function in _OPERATORS.items()},
    **{f"__i{name}__": _inplace(function) for name, function in _OPERATORS.items()},
    **_OTHERS,
}

for _name, _function in _TABLE.items():
    setattr(Tensor, _name, _function)
