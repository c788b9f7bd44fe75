"""Rules of element-wise operations. Operands broadcast; the tape sums their gradients back."""

from functools import reduce

import numpy as np

from ..backend import K
from ..tape import as_array
from ..tensor import op

_INTEGER_FUNCTIONS = {"add": np.add, "sub": np.subtract, "mul": np.multiply}


def _combine(name, a, b):
    """``a name b`` by its kernel, in the type that PyTorch gives the result."""
    try:
        if not isinstance(a, np.ndarray):
            same = b.dtype.kind == "f"
        elif not isinstance(b, np.ndarray):
            same = a.dtype.kind == "f"
        else:
            same = a.dtype is b.dtype and a.dtype.kind == "f"
        return getattr(K, name)(a, b) if same else _combine_types(name, a, b)
    except (AttributeError, TypeError, ValueError) as error:
        shapes = " and ".join(str(np.shape(x)) for x in (a, b))
        kind = ValueError if isinstance(error, ValueError) else TypeError
        raise kind(f"{name}: cannot combine operands of shapes {shapes}: {error}") from None


def _combine_types(name, a, b):
    """The same for operands of different types, or without floats."""
    dtype = _result_type(a, b)
    if name == "div" and dtype.kind != "f":
        dtype = np.dtype(np.float32)
    a, b = (x.astype(dtype, copy=False) if isinstance(x, np.ndarray) else x for x in (a, b))
    if dtype.kind == "f":
        return getattr(K, name)(a, b)
    return as_array(_INTEGER_FUNCTIONS[name](a, b)).astype(dtype, copy=False)


def _result_type(*operands):
    """PyTorch's type promotion.

    Bool gives way to integers, these to floats. Arrays without axes count only if they bring a
    higher category than those with axes, and numbers only if they bring a higher one still.
    """
    groups = {"axes": [], "no axes": [], "number": []}
    for x in operands:
        if isinstance(x, np.ndarray):
            groups["axes" if x.ndim else "no axes"].append(x.dtype)
        else:
            default = {bool: np.bool_, int: np.int64, float: np.float32}[type(x)]
            groups["number"].append(np.dtype(default))
    result = None
    for dtypes in groups.values():
        if dtypes:
            group = reduce(_promote, dtypes)
            if result is None or _category(group) > _category(result):
                result = group
    return result


def _category(dtype):
    return "biuf".index(dtype.kind) if dtype.kind != "u" else 1


def _promote(a, b):
    if _category(a) != _category(b):
        return max(a, b, key=_category)
    return np.result_type(a, b)


@op
def add(a, b):
    """``a + b``, elementwise with broadcasting.

    >>> import fastgrad as fg
    >>> fg.add(fg.tensor([1.0, 2.0]), 10)
    tensor([11., 12.])
    """
    return _combine("add", a, b), (lambda grad: grad, lambda grad: grad)


@op
def sub(a, b):
    """``a - b``, elementwise with broadcasting.

    >>> import fastgrad as fg
    >>> fg.sub(fg.tensor([1.0, 2.0]), fg.tensor([[1.0], [2.0]]))
    tensor([[ 0.,  1.],
            [-1.,  0.]])
    """
    return _combine("sub", a, b), (lambda grad: grad, lambda grad: K.neg(grad))


@op
def mul(a, b):
    """``a · b``, elementwise with broadcasting.

    >>> import fastgrad as fg
    >>> fg.mul(fg.tensor([1.0, 2.0]), 3)
    tensor([3., 6.])
    """
    return _combine("mul", a, b), (lambda grad: K.mul(grad, b), lambda grad: K.mul(grad, a))


@op
def div(a, b):
    """``a / b``, elementwise with broadcasting.

    >>> import fastgrad as fg
    >>> fg.div(fg.tensor([1.0, 2.0]), 4)
    tensor([0.2500, 0.5000])
    """
    out = _combine("div", a, b)
    return out, (
        lambda grad: K.div(grad, b),
        lambda grad: K.neg(K.div(K.mul(grad, out), b)),
    )


def _float_input(name, x):
    """Refuse what has no kernel; integers become float32, as in PyTorch."""
    if not isinstance(x, np.ndarray) or x.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected a tensor of numbers, got {type(x).__name__}")
    return x if x.dtype.kind == "f" else x.astype(np.float32)


@op
def neg(x):
    """``-x``

    >>> import fastgrad as fg
    >>> fg.neg(fg.tensor([1.0, -2.0]))
    tensor([-1.,  2.])
    """
    return (K.neg(x) if x.dtype.kind == "f" else -x), lambda grad: K.neg(grad)


@op
def exp(x):
    """``eˣ``, at most 1.1 ulp from the exact value in either type.

    >>> import fastgrad as fg
    >>> fg.exp(fg.tensor([0.0, 1.0]))
    tensor([1.0000, 2.7183])
    """
    out = K.exp(_float_input("exp", x))
    return out, lambda grad: K.mul(grad, out)


@op
def log(x):
    """Natural logarithm, within 1 ulp; NaN below 0, -∞ at 0.

    >>> import fastgrad as fg
    >>> fg.log(fg.tensor([1.0, 10.0]))
    tensor([0.0000, 2.3026])
    """
    return K.log(_float_input("log", x)), lambda grad: K.div(grad, x)


@op
def sqrt(x):
    """``√x``, correctly rounded; NaN below 0.

    >>> import fastgrad as fg
    >>> fg.sqrt(fg.tensor([4.0, 2.0]))
    tensor([2.0000, 1.4142])
    """
    out = K.sqrt(_float_input("sqrt", x))
    return out, lambda grad: K.sqrt_backward(grad, out)


@op
def tanh(x):
    """Hyperbolic tangent, within 5.5 ulp (float32) or 1.5 ulp (float64).

    >>> import fastgrad as fg
    >>> fg.tanh(fg.tensor([0.0, 1.0]))
    tensor([0.0000, 0.7616])
    """
    out = K.tanh_forward(_float_input("tanh", x))
    return out, lambda grad: K.tanh_backward(grad, out)


@op
def sigmoid(x):
    """Logistic function ``1 / (1 + e⁻ˣ)``, within 2.5 ulp; never overflows.

    >>> import fastgrad as fg
    >>> fg.sigmoid(fg.tensor([0.0, 1.0]))
    tensor([0.5000, 0.7311])
    """
    out = K.sigmoid_forward(_float_input("sigmoid", x))
    return out, lambda grad: K.sigmoid_backward(grad, out)


@op
def relu(x):
    """Rectified linear unit, ``max(x, 0)``. Its gradient at 0 is 0.

    >>> import fastgrad as fg
    >>> fg.relu(fg.tensor([1.0, -2.0]))
    tensor([1., 0.])
    """
    if x.dtype.kind != "f":
        return np.maximum(x, 0), None
    out = K.relu_forward(x)
    return out, lambda grad: K.relu_backward(grad, out)


@op
def clone(x):
    """A copy that gradients flow through.

    >>> import fastgrad as fg
    >>> fg.clone(fg.tensor([1.0]))
    tensor([1.])
    """
    return (K.copy(x) if x.dtype.kind == "f" else x.copy()), lambda grad: grad


@op
def cast(x, *, dtype):
    """``x`` in another type. Gradients flow between float types.

    >>> import fastgrad as fg
    >>> fg.cast(fg.tensor([1.5]), dtype=fg.float64)
    tensor([1.5000], dtype=fastgrad.float64)
    """
    return x.astype(dtype), lambda grad: grad
