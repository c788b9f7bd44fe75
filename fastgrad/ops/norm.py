"""Rule of batch normalization."""

from ..backend import K
from ..lifting import op
from ..tensor import Tensor
from ._family import T

__all__ = ["batch_norm"]


def _rule(
    x, running_mean, running_var, weight, bias, *, training, momentum, eps, relu=False, batches=None
):
    _check(x, running_mean, running_var, weight, bias, training)
    if training and not x.size:  # nothing to measure, and nothing moves, as in PyTorch
        training, running_mean = False, K.zeros(x.shape[1:2], x.dtype)
        running_var = running_mean
        if batches is not None:
            K.add(batches, 1, out=batches)
    # What pull-backs close over counts as saved by its name. So there is one for each case: out
    # only where a ReLU wants it, running statistics, which may change later, only where used.
    if training:
        out, mean, _, rstd = K.batch_norm_forward(
            x, weight, bias, eps, running_mean, running_var, momentum, relu, batches
        )
        if relu:
            return out, lambda grad, _=None: _pull_back(grad, x, mean, rstd, weight, True, out)
        return out, lambda grad, _=None: _pull_back(grad, x, mean, rstd, weight, True)
    out, rstd = K.batch_norm_apply(x, running_mean, running_var, weight, bias, eps, relu)
    if relu:
        return out, lambda grad, _=None: _pull_back(grad, x, running_mean, rstd, weight, False, out)
    return out, lambda grad, _=None: _pull_back(grad, x, running_mean, rstd, weight, False)


def _pull_back(*args):
    """Gradients of x, weight and bias at the places of the rule's inputs."""
    grad_x, grad_weight, grad_bias = K.batch_norm_backward(*args)
    return grad_x, None, None, grad_weight, grad_bias


def _again(grad, x, weight, rstd, running_mean=None, out=None):
    """``_pull_back`` on tensors; in evaluation with the running mean."""
    dims = (0, *range(2, x.ndim))
    count = x.numel() // x.shape[1]

    def column(v):
        return v.reshape(1, -1, *[1] * (x.ndim - 2))

    grad = grad if out is None else T.relu_backward(grad, out)
    rstd = Tensor(rstd)
    if running_mean is None:
        centred = x - x.mean(dim=dims, keepdim=True)
        var = (centred * centred).mean(dim=dims, keepdim=True)
        # The variance that was used, ε included, but with the slope of this one.
        used = column(1.0 / (rstd * rstd))
        rstd = T.rsqrt(var + (used - var.detach()))
    else:
        centred, rstd = x - column(running_mean), column(rstd)
    x_hat = centred * rstd
    grad_bias, grad_weight = grad.sum(dim=dims), (grad * x_hat).sum(dim=dims)
    if running_mean is None:
        grad = grad - column(grad_bias / count) - x_hat * column(grad_weight / count)
    gain = rstd if weight is None else rstd * column(weight)
    return grad * gain, None, None, grad_weight, grad_bias


_batch_norm, _batch_norm_relu = (
    op(_rule, name=name).differentiable(_again) for name in ("batch_norm", "relu")
)


def _check(x, running_mean, running_var, weight, bias, training):
    if x.ndim < 2 or x.dtype.kind != "f":
        raise ValueError(f"batch_norm: expected floats (N, C, *), got {x.dtype} {x.shape}")
    channels, dtype = x.shape[1:2], x.dtype
    for array in (running_mean, running_var, weight, bias):
        if array is not None and (array.shape != channels or array.dtype != dtype):
            _refuse(x, running_mean=running_mean, running_var=running_var, weight=weight, bias=bias)
    if (running_mean is None) != (running_var is None):
        raise ValueError("batch_norm: running_mean and running_var come together")
    if training:
        if 0 < x.size < 2 * channels[0]:
            raise ValueError(
                f"batch_norm: training wants more than one value per channel, x is {x.shape}"
            )
    elif running_mean is None:
        raise ValueError("batch_norm: evaluation wants running_mean and running_var")


def _refuse(x, **arrays):
    """Raise an error that says which array does not fit x."""
    for name, array in arrays.items():
        if array is not None and array.shape != x.shape[1:2]:
            raise ValueError(
                f"batch_norm: {name} has shape {array.shape}, x {x.shape} wants ({x.shape[1]},)"
            )
        if array is not None and array.dtype != x.dtype:
            raise TypeError(f"batch_norm: {name} is {array.dtype}, x is {x.dtype}")


def batch_norm(
    x,
    running_mean,
    running_var,
    weight=None,
    bias=None,
    training=False,
    momentum=0.1,
    eps=1e-5,
):
    """``(x - mean) / √(var + ε) · weight + bias`` for each channel of x (N, C) or (N, C, \\*).

    In training, mean and (biased) var are the batch's, and the running ones, if not None, move
    towards them in place: ``running = (1 - momentum) · running + momentum · batch``, with the
    unbiased variance. Otherwise the running ones are used. Ioffe & Szegedy 2015.

    Raises ``ValueError`` for shapes that do not fit, a batch of one value per channel in
    training, and missing running statistics in evaluation; ``TypeError`` for mixed types.

    >>> import fastgrad as fg
    >>> x = fg.tensor([[1.0], [3.0]])
    >>> fg.batch_norm(x, None, None, training=True)
    tensor([[-1.0000],
            [ 1.0000]])
    """
    if x.shape == (0,):  # nothing, even without channels, is passed on, as in PyTorch
        return T.clone(x)
    options = {"training": training, "momentum": momentum, "eps": eps}
    return apply(x, running_mean, running_var, weight, bias, options)


def apply(x, running_mean, running_var, weight, bias, options):
    """Batch normalization, with ``relu`` among the options its positive part, in one pass."""
    function = _batch_norm_relu if "relu" in options else _batch_norm
    out = function(x, running_mean, running_var, weight, bias, **options)
    if options["training"] and isinstance(running_mean, Tensor) and out.data.size:
        running_mean._version[0] += 1
        running_var._version[0] += 1
    return out
