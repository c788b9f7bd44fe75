"""Rules of element-wise operations. Operands broadcast; the tape sums their gradients back."""

import numpy as np

from ..backend import K
from ..tensor import op

_BOTH = (True, True)
_FLOAT64 = np.dtype(np.float64)


def _combine(name, a, b):
    """``a name b`` by its kernel; integers meet floats in the floats' type, as in PyTorch."""
    try:
        out = getattr(K, name)(a, b)
    except (TypeError, ValueError) as error:
        shapes = " and ".join(str(np.shape(x)) for x in (a, b))
        raise type(error)(f"{name}: cannot combine operands of shapes {shapes}: {error}") from None
    if out.dtype is _FLOAT64:
        return _combine_integers(name, a, b, out)
    return out


def _combine_integers(name, a, b, out):
    """What to return instead of the float64 that NumPy turns integer arrays into."""
    arrays = [x for x in (a, b) if isinstance(x, np.ndarray)]
    floats = [x.dtype for x in arrays if x.dtype.kind == "f"]
    if len(floats) == len(arrays):
        return out
    if floats:
        return out.astype(floats[0])
    if name == "div" or any(isinstance(x, float) for x in (a, b)):
        return out.astype(np.float32)
    return {"add": np.add, "sub": np.subtract, "mul": np.multiply}[name](a, b)


@op
def add(a, b):
    """``a + b``, elementwise with broadcasting.

    >>> import fastgrad as fg
    >>> fg.add(fg.tensor([1.0, 2.0]), 10)
    tensor([11., 12.])
    """
    return _combine("add", a, b), lambda grad, needs=_BOTH: (grad, grad)


@op
def sub(a, b):
    """``a - b``, elementwise with broadcasting.

    >>> import fastgrad as fg
    >>> fg.sub(fg.tensor([1.0, 2.0]), fg.tensor([[1.0], [2.0]]))
    tensor([[ 0.,  1.],
            [-1.,  0.]])
    """

    def vjp(grad, needs=_BOTH):
        return grad, K.neg(grad) if needs[1] else None

    return _combine("sub", a, b), vjp


@op
def mul(a, b):
    """``a · b``, elementwise with broadcasting.

    >>> import fastgrad as fg
    >>> fg.mul(fg.tensor([1.0, 2.0]), 3)
    tensor([3., 6.])
    """

    out = _combine("mul", a, b)
    if not isinstance(b, np.ndarray):  # a number: nothing else has to be kept
        return out, lambda grad, needs=_BOTH: (K.mul(grad, b), None)
    if not isinstance(a, np.ndarray):
        return out, lambda grad, needs=_BOTH: (None, K.mul(grad, a))

    def vjp(grad, needs=_BOTH):
        return K.mul(grad, b) if needs[0] else None, K.mul(grad, a) if needs[1] else None

    return out, vjp


@op
def div(a, b):
    """``a / b``, elementwise with broadcasting.

    >>> import fastgrad as fg
    >>> fg.div(fg.tensor([1.0, 2.0]), 4)
    tensor([0.2500, 0.5000])
    """
    out = _combine("div", a, b)

    def vjp(grad, needs=_BOTH):
        share = K.div(grad, b)
        return share, K.neg(K.mul(share, out)) if needs[1] else None

    return out, vjp


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
    """Hyperbolic tangent, within 4.2 ulp (float32) or 1.5 ulp (float64).

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
    out = K.relu_forward(_float_input("relu", x))
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
