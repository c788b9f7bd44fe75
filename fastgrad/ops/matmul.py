"""Rules of matrix products."""

import math

from ..backend import K
from ..tensor import op


def _check_floats(name, *arrays):
    """Arrays of one float type, or a TypeError that names them."""
    dtypes = [x.dtype for x in arrays]
    if any(dtype.kind != "f" for dtype in dtypes) or len(set(dtypes)) > 1:
        raise TypeError(
            f"{name}: expected float tensors of one type, got "
            f"{' and '.join(dtype.name for dtype in dtypes)}; convert with x.to(dtype)"
        )


@op
def matmul(a, b):
    """Matrix product ``a · b``.

    (m, k)·(k, n) gives (m, n). A vector counts as a row on the left, as a column on the right,
    and leaves no axis in the result. On the left, leading axes (\\*, k) are kept.

    Raises ``ValueError`` where the inner sizes differ, ``TypeError`` where the types do.

    >>> import fastgrad as fg
    >>> fg.matmul(fg.tensor([[1.0, 2.0]]), fg.tensor([[3.0], [4.0]]))
    tensor([[11.]])
    """
    if not (a.ndim == b.ndim == 2 and a.dtype is b.dtype and a.dtype.kind == "f"):
        return _matmul_any(a, b)
    if a.shape[1] != b.shape[0]:
        raise _inner_sizes_differ(a, b)
    return K.matmul(a, b), (lambda grad: K.matmul_nt(grad, b), lambda grad: K.matmul_tn(a, grad))


def _inner_sizes_differ(a, b):
    return ValueError(
        f"matmul: inner sizes differ: {a.shape} @ {b.shape}; expected ({a.shape[-1]}, n) on the "
        "right"
    )


def _matmul_any(a, b):
    """``matmul`` where an operand is not a matrix."""
    _check_floats("matmul", a, b)
    if not a.ndim or not 1 <= b.ndim <= 2:
        raise ValueError(
            f"matmul: expected (*, k) @ (k, n) or (*, k) @ (k,), got {a.shape} @ {b.shape}"
        )
    if a.shape[-1] != b.shape[0]:
        raise _inner_sizes_differ(a, b)
    shape, a_shape, b_shape = a.shape[:-1] + b.shape[1:], a.shape, b.shape
    rows, columns = math.prod(a_shape[:-1]), math.prod(b_shape[1:])
    a, b = a.reshape(rows, a_shape[-1]), b.reshape(b_shape[0], columns)
    out = K.matmul(a, b).reshape(shape)
    return out, (
        lambda grad: K.matmul_nt(grad.reshape(rows, columns), b).reshape(a_shape),
        lambda grad: K.matmul_tn(a, grad.reshape(rows, columns)).reshape(b_shape),
    )


@op
def linear(x, weight, bias=None):
    """``Y = X · W + b`` with x (\\*, in), weight (in, out) and bias (out,).

    Note the weight's orientation: PyTorch's is (out, in).

    >>> import fastgrad as fg
    >>> fg.linear(fg.tensor([[1.0, 2.0]]), fg.tensor([[3.0], [4.0]]), fg.tensor([0.5]))
    tensor([[11.5000]])
    """
    shape, x, has_bias = x.shape, _rows(x, weight, bias), bias is not None
    out = K.linear_forward(x, weight, bias)
    columns = out.shape[1]

    def vjp(grad, needs=(True, True, True)):
        grad = grad.reshape(-1, columns) if grad.ndim != 2 else grad
        grads = K.linear_backward(grad, x, weight, (*needs[:2], has_bias and needs[2]))
        return _as_given(grads, shape)

    return (out if len(shape) == 2 else out.reshape(*shape[:-1], columns)), vjp


def _linear_relu(x, weight, bias=None):
    """``relu(linear(x, weight, bias))`` in one pass."""
    shape, x, has_bias = x.shape, _rows(x, weight, bias), bias is not None
    out = K.linear_forward(x, weight, bias, None, True)
    columns = out.shape[1]

    def vjp(grad, needs=(True, True, True)):
        grad = grad.reshape(-1, columns) if grad.ndim != 2 else grad
        grads = K.linear_backward(grad, x, weight, (*needs[:2], has_bias and needs[2]), out)
        return _as_given(grads, shape)

    return (out if len(shape) == 2 else out.reshape(*shape[:-1], columns)), vjp


linear_relu = op(_linear_relu, name="relu")


def _rows(x, weight, bias):
    """x of a linear layer as a matrix."""
    if (
        x.ndim == weight.ndim == 2
        and x.shape[1] == weight.shape[0]
        and x.dtype is weight.dtype
        and x.dtype.kind == "f"
        and (bias is None or (bias.shape == weight.shape[1:] and bias.dtype is x.dtype))
    ):
        return x
    _check_linear(x, weight, bias)
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _as_given(grads, shape):
    """Gradients of a linear layer, that of x in its shape."""
    if len(shape) == 2 or grads[0] is None:
        return grads
    return grads[0].reshape(shape), *grads[1:]


def _check_linear(x, weight, bias):
    """Raise an error that says what is wrong with operands of ``linear``, if anything is."""
    _check_floats("linear", x, weight, *(() if bias is None else (bias,)))
    if not x.ndim or weight.ndim != 2 or x.shape[-1] != weight.shape[0]:
        raise ValueError(
            f"linear: x {x.shape} does not fit weight {weight.shape}; expected x (*, in) and "
            "weight (in, out), the transpose of PyTorch's"
        )
    if bias is not None and bias.shape != weight.shape[1:]:
        raise ValueError(f"linear: bias has shape {bias.shape}, expected ({weight.shape[1]},)")
