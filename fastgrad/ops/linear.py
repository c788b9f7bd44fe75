"""Rule of the linear layer, with and without a ReLU after it."""

import math

from ..backend import K
from ..lifting import op
from ._family import T

__all__ = ["linear"]

_ALL = (True, True, True)


def _layer(relu):
    """The rule of a linear layer. The pull-back closes over ``out`` only where it needs it."""

    def rule(x, weight, bias=None):
        """``Y = X · W + b`` with x (\\*, in), weight (in, out) and bias (out,).

        Note the weight's orientation: PyTorch's is (out, in).

        >>> import fastgrad as fg
        >>> fg.linear(fg.tensor([[1.0, 2.0]]), fg.tensor([[3.0], [4.0]]), fg.tensor([0.5]))
        tensor([[11.5000]])
        """
        shape, x, has_bias = x.shape, _rows(x, weight, bias), bias is not None
        out = K.linear_forward(x, weight, bias, None, relu)
        result = out if len(shape) == 2 else out.reshape(*shape[:-1], out.shape[1])
        if relu:
            return result, lambda grad, needs=_ALL: _pull_back(
                grad, needs, x, weight, has_bias, shape, out
            )
        return result, lambda grad, needs=_ALL: _pull_back(grad, needs, x, weight, has_bias, shape)

    return rule


def _pull_back(grad, needs, x, weight, has_bias, shape, out=None):
    """Gradients of x, in its own ``shape``, of weight and of bias."""
    grad = grad.reshape(-1, weight.shape[1]) if grad.ndim != 2 else grad
    grads = K.linear_backward(grad, x, weight, (*needs[:2], has_bias and needs[2]), out)
    if len(shape) == 2 or grads[0] is None:
        return grads
    return grads[0].reshape(shape), *grads[1:]


def _again(grad, x, weight, needs, has_bias, out=None):
    """``_pull_back`` on tensors."""
    shape, rows = x.shape, math.prod(grad.shape[:-1])
    grad = grad if out is None else T.relu_backward(grad, out)
    grad = grad.reshape(rows, weight.shape[1])
    return (
        T.bmm_nt(grad, weight).reshape(shape) if needs[0] else None,
        T.bmm_tn(x.reshape(rows, weight.shape[0]), grad) if needs[1] else None,
        grad.sum(dim=0) if has_bias and needs[2] else None,
    )


linear = op(_layer(relu=False), name="linear").differentiable(_again)
linear_relu = op(_layer(relu=True), name="relu").differentiable(_again)


def _rows(x, weight, bias):
    """x of a linear layer as a matrix."""
    dtype = x.dtype
    if (
        x.ndim == weight.ndim == 2
        and x.shape[1] == weight.shape[0]
        and dtype is weight.dtype
        and dtype.kind == "f"
        and (bias is None or (bias.shape == weight.shape[1:] and bias.dtype is dtype))
    ):
        return x
    _check(x, weight, bias)
    return x.reshape(math.prod(x.shape[:-1]), x.shape[-1])


def _check(x, weight, bias):
    """Raise an error that says what is wrong with operands of ``linear``, if anything is."""
    dtypes = [array.dtype for array in (x, weight, bias) if array is not None]
    if any(dtype.kind != "f" for dtype in dtypes) or len(set(dtypes)) > 1:
        raise TypeError(
            f"linear: expected float tensors of one type, got "
            f"{' and '.join(dtype.name for dtype in dtypes)}; convert with x.to(dtype)"
        )
    if not x.ndim or weight.ndim != 2 or x.shape[-1] != weight.shape[0]:
        raise ValueError(
            f"linear: x {x.shape} does not fit weight {weight.shape}; expected x (*, in) and "
            "weight (in, out), the transpose of PyTorch's"
        )
    if bias is not None and bias.shape != weight.shape[1:]:
        raise ValueError(f"linear: bias has shape {bias.shape}, expected ({weight.shape[1]},)")
