"""One table that binds operations to Tensor's operators and methods."""

import numpy as np

from . import differentiate, inplace_random, ops
from .backend import K
from .inplace import copy_, fill_, fill_diagonal_, in_place_view, zero_
from .ops._inplace import in_place
from .ops.index import assign, getitem, parse_key, put
from .tape import mode
from .tensor import Tensor


def _reflected(function):
    return lambda self, other: function(other, self)


def _getitem(self, key):
    """``x[key]``: a view for slices, integers, None and ``...``, a copy for index arrays."""
    return getitem(self, key)


_put_ = in_place(put)


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


def _nbytes(self):
    """Bytes of all elements."""
    return self.data.nbytes


def _stride(self, dim=None):
    """How many elements lie between neighbours along each axis, or along one."""
    strides = tuple(step // self.data.itemsize for step in self.data.strides)
    return strides if dim is None else strides[dim]


def _is_floating_point(self):
    """Whether the elements are floats."""
    return self.data.dtype.kind == "f"


def _is_signed(self):
    """Whether the elements may be negative."""
    return self.data.dtype.kind in "if"


def _is_complex(self):
    """False: there are no complex tensors."""
    return self.data.dtype.kind == "c"


def _is_same_size(self, other):
    """Whether another tensor has the same shape."""
    return self.shape == other.shape


def _is_nonzero(self):
    """Whether the only element is not 0."""
    return bool(self.item() != 0)


def _type(self, dtype=None):
    """The tensor in another type; without one, the name of its own."""
    return self.dtype.name if dtype is None else _to(self, dtype)


def _new_tensor(self, data, dtype=None, requires_grad=False):
    """A new tensor with a copy of ``data``, in this tensor's type unless another is given."""
    source = data._values() if isinstance(data, Tensor) else data
    return Tensor(np.array(source, dtype or self.dtype), requires_grad=requires_grad)


def _new_empty(self, *size, dtype=None, requires_grad=False):
    """A tensor to be overwritten, in this tensor's type unless another is given."""
    shape = tuple(_sizes(size))
    return Tensor(K.zeros(shape, np.dtype(dtype or self.dtype)), requires_grad=requires_grad)


def _detach_(self):
    """Take the tensor out of the graph; returns the tensor."""
    self._node, self._requires_grad = None, False
    return self


def _polygamma(self, n):
    """The n-th derivative of ``digamma``."""
    return ops.polygamma(n, self)


# Methods that are the function of their name ...
_FUNCTIONS = (
    "abs", "acos", "acosh", "add", "addbmm", "addcdiv", "addcmul", "addmm", "addmv", "addr", "all",
    "allclose", "amax", "amin", "aminmax", "any", "argmax", "argmin", "argsort", "argwhere", "asin",
    "asinh", "atan", "atan2", "atanh", "baddbmm", "bernoulli", "bincount", "bitwise_and",
    "bitwise_left_shift", "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "bmm",
    "broadcast_to", "ceil", "chunk", "clamp", "clamp_max", "clamp_min", "clone", "copysign",
    "corrcoef", "cos", "cosh", "count_nonzero", "cov", "cross", "cummax", "cummin", "cumprod",
    "cumsum", "deg2rad", "diag", "diag_embed", "diagflat", "diagonal", "diagonal_scatter", "diff",
    "digamma", "dist", "div", "dot", "dsplit", "eq", "equal", "erf", "erfc", "erfinv", "exp",
    "exp2", "expm1", "flatten", "fliplr", "flipud", "float_power", "floor", "floor_divide", "fmax",
    "fmin", "fmod", "frac", "gather", "gcd", "ge", "gt", "heaviside", "histc", "histogram",
    "hsplit", "hypot", "igamma", "igammac", "index_add", "index_copy", "index_fill", "index_put",
    "index_select", "inner", "isclose", "isfinite", "isinf", "isnan", "isneginf", "isposinf",
    "isreal", "kron", "kthvalue", "lcm", "ldexp", "le", "lerp", "lgamma", "log", "log10", "log1p",
    "log2", "log_softmax", "logaddexp", "logaddexp2", "logcumsumexp", "logical_and", "logical_not",
    "logical_or", "logical_xor", "logit", "logsumexp", "lt", "masked_fill", "masked_scatter",
    "masked_select", "matmul", "max", "maximum", "mean", "median", "min", "minimum", "mm", "mode",
    "movedim", "msort", "mul", "multinomial", "mv", "mvlgamma", "nan_to_num", "nanmean",
    "nanmedian", "nanquantile", "nansum", "narrow", "ne", "neg", "nextafter", "nonzero", "norm",
    "outer", "positive", "pow", "prod", "put", "quantile", "rad2deg", "ravel", "reciprocal", "relu",
    "remainder", "renorm", "repeat_interleave", "roll", "rot90", "round", "rsqrt", "scatter",
    "scatter_add", "scatter_reduce", "select", "select_scatter", "sigmoid", "sign", "signbit",
    "sin", "sinc", "sinh", "slice_scatter", "softmax", "sort", "split", "sqrt", "square", "squeeze",
    "std", "sub", "sum", "take", "take_along_dim", "tan", "tanh", "tensor_split", "topk", "trace",
    "transpose", "tril", "triu", "trunc", "unbind", "unflatten", "unique", "unique_consecutive",
    "unsqueeze", "var", "vdot", "vsplit", "xlogy",
)  # fmt: skip
# ... and those that also write into their tensor, with an underscore.
_IN_PLACE = (
    "abs", "acos", "acosh", "add", "addbmm", "addcdiv", "addcmul", "addmm", "addmv", "addr", "asin",
    "asinh", "atan", "atan2", "atanh", "baddbmm", "bitwise_and", "bitwise_left_shift",
    "bitwise_not", "bitwise_or", "bitwise_right_shift", "bitwise_xor", "ceil", "clamp", "clamp_max",
    "clamp_min", "copysign", "cos", "cosh", "cumprod", "cumsum", "deg2rad", "digamma", "div", "eq",
    "erf", "erfc", "erfinv", "exp", "exp2", "expm1", "float_power", "floor", "floor_divide", "fmod",
    "frac", "gcd", "ge", "gt", "heaviside", "hypot", "igamma", "igammac", "index_add", "index_copy",
    "index_fill", "index_put", "lcm", "ldexp", "le", "lerp", "lgamma", "log", "log10", "log1p",
    "log2", "logical_and", "logical_not", "logical_or", "logical_xor", "logit", "lt", "masked_fill",
    "masked_scatter", "mul", "mvlgamma", "nan_to_num", "ne", "neg", "nextafter", "pow", "put",
    "rad2deg", "reciprocal", "relu", "remainder", "renorm", "round", "rsqrt", "scatter",
    "scatter_add", "scatter_reduce", "sigmoid", "sign", "sin", "sinc", "sinh", "sqrt", "square",
    "sub", "tan", "tanh", "tril", "triu", "trunc", "xlogy",
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
    "zero_": zero_,
    "fill_": fill_,
    "copy_": copy_,
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
    "is_signed": _is_signed,
    "is_complex": _is_complex,
    "is_same_size": _is_same_size,
    "is_nonzero": _is_nonzero,
    "type": _type,
    "new_tensor": _new_tensor,
    "new_empty": _new_empty,
    "fill_diagonal_": fill_diagonal_,
    "detach_": _detach_,
    "polygamma": _polygamma,
    "polygamma_": in_place(_polygamma),
    "adjoint": _matrix_transposed,
    "H": property(_transposed),
    "mH": property(_matrix_transposed),
    "itemsize": property(_element_size),
    "nbytes": property(_nbytes),
    "t_": in_place_view(_t),
    **{
        f"{name}_": getattr(inplace_random, f"{name}_")
        for name in (
            "bernoulli",
            "cauchy",
            "exponential",
            "geometric",
            "log_normal",
            "normal",
            "random",
            "uniform",
        )
    },
    **{
        f"{name}_": in_place_view(getattr(ops, name))
        for name in ("squeeze", "swapaxes", "swapdims", "transpose", "unsqueeze")
    },
}
_TABLE = {
    **{name: getattr(ops, name) for name in _FUNCTIONS},
    **{f"{name}_": in_place(getattr(ops, name)) for name in _IN_PLACE},
    **{a: getattr(ops, b) for a, b in ops.ALIASES.items() if b in _FUNCTIONS},
    **{f"{a}_": in_place(getattr(ops, b)) for a, b in ops.ALIASES.items() if b in _IN_PLACE},
    **{f"__{name}__": function for name, function in _OPERATORS.items()},
    **{f"__r{name}__": _reflected(function) for name, function in _OPERATORS.items()},
    **{f"__i{name}__": in_place(function) for name, function in _OPERATORS.items()},
    **_OTHERS,
}

for _name, _function in _TABLE.items():
    setattr(Tensor, _name, _function)
