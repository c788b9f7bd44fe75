"""Rule of batch normalization."""

from ..backend import K
from ..tensor import Tensor, op


@op
def _batch_norm(x, running_mean, running_var, weight, bias, *, training, momentum, eps):
    if training:
        out, mean, var, rstd = K.batch_norm_forward(x, weight, bias, eps)
        if running_mean is not None:
            K.update_running(running_mean, running_var, mean, var, momentum, x.size // x.shape[1])

        def vjp(grad, needs=None):
            grads = K.batch_norm_backward(grad, x, mean, rstd, weight, True)
            return grads[0], None, None, *grads[1:]
    else:
        out, rstd = K.batch_norm_apply(x, running_mean, running_var, weight, bias, eps)

        def vjp(grad, needs=None):
            grads = K.batch_norm_backward(grad, x, running_mean, rstd, weight, False)
            return grads[0], None, None, *grads[1:]

    return out, vjp


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
    arrays = {"running_mean": running_mean, "running_var": running_var}
    arrays |= {"weight": weight, "bias": bias}
    if x.ndim < 2 or x.dtype.kind != "f":
        raise ValueError(f"batch_norm: expected floats (N, C, *), got {x.dtype} {x.shape}")
    for name, tensor in arrays.items():
        if tensor is None:
            continue
        if tensor.shape != (x.shape[1],):
            raise ValueError(
                f"batch_norm: {name} has shape {tensor.shape}, x {x.shape} wants ({x.shape[1]},)"
            )
        if tensor.dtype != x.dtype:
            raise TypeError(f"batch_norm: {name} is {tensor.dtype}, x is {x.dtype}")
    if (running_mean is None) != (running_var is None):
        raise ValueError("batch_norm: running_mean and running_var come together")
    if training:
        per_channel = x.data.size // max(x.shape[1], 1)
        if per_channel < 2:
            raise ValueError(
                f"batch_norm: training wants more than one value per channel, x is {x.shape}"
            )
    elif running_mean is None:
        raise ValueError("batch_norm: evaluation wants running_mean and running_var")
    out = _batch_norm(
        x, running_mean, running_var, weight, bias, training=training, momentum=momentum, eps=eps
    )
    if training and isinstance(running_mean, Tensor):
        running_mean._version[0] += 1
        running_var._version[0] += 1
    return out
