"""Rules of layer norm, RMS norm, group norm and instance norm: one, over rows of other kinds."""

import math

import numpy as np

from ..backend import K, contiguous
from ..lifting import op
from ..tensor import Tensor
from ._family import T

__all__ = ["group_norm", "instance_norm", "layer_norm", "rms_norm"]

_ALL = (True, True, True)


def _rule(x, weight, bias, *, rows, n, groups, inner, centred, eps):
    x = contiguous(x)
    out, stats = K.row_norm_forward(x, weight, bias, eps, rows, n, groups, inner, centred)
    kind = rows, n, groups, inner, centred
    shape = next((y.shape for y in (weight, bias) if y is not None), None)
    return out, lambda grad, needs=_ALL: _pull_back(grad, x, weight, stats, kind, shape)


def _pull_back(grad, x, weight, stats, kind, shape):
    """Gradients of x, and of weight and bias, which have a ``shape``, if there are any."""
    grad_x, *others = K.row_norm_backward(grad, x, weight, stats, *kind)
    return grad_x, *(y.reshape(shape) if shape else y for y in others)


def _composed(x, weight, bias, *, rows, n, groups, inner, centred, eps):
    """The same by simpler operations."""
    hat = x.reshape(rows, n)
    if centred:
        hat = hat - hat.mean(dim=1, keepdim=True)
    hat = hat * T.rsqrt((hat * hat).mean(dim=1, keepdim=True) + eps)
    hat = hat.reshape(rows // groups, groups * n // inner, inner)
    if weight is not None:
        hat = hat * weight.reshape(-1, 1)
    if bias is not None:
        hat = hat + bias.reshape(-1, 1)
    return hat.reshape(x.shape)


_layer_norm, _rms_norm, _group_norm, _instance_norm = (
    op(_rule, name=name).composed_of(_composed)
    for name in ("layer_norm", "rms_norm", "group_norm", "instance_norm")
)


def _check(name, x, weight, bias, shape):
    """Raise unless x is of floats, and weight and bias of its type and of a shape."""
    dtype = x.dtype
    if dtype.kind != "f":
        raise TypeError(f"{name}: expected a float tensor, got {dtype}")
    for kind, array in (("weight", weight), ("bias", bias)):
        if array is None:
            continue
        if array.shape != shape:
            raise ValueError(f"{name}: {kind} has shape {array.shape}, expected {shape}")
        if array.dtype != dtype:
            raise TypeError(f"{name}: {kind} is {array.dtype}, x is {dtype}")


def _over_last(name, function, x, normalized_shape, weight, bias, eps, centred):
    """Normalization over the last axes, whose sizes are ``normalized_shape``."""
    if isinstance(normalized_shape, int):
        normalized_shape = (normalized_shape,)
    shape = tuple(normalized_shape)
    count = len(shape)
    if not shape or x.shape[-count:] != shape:
        raise ValueError(f"{name}: expected the last axes of x {x.shape} to be {shape}")
    _check(name, x, weight, bias, shape)
    rows, n = math.prod(x.shape[:-count]), math.prod(shape)
    kind = {"rows": rows, "n": n, "groups": 1, "inner": 1}
    return function(x, weight, bias, **kind, centred=centred, eps=eps)


def layer_norm(x, normalized_shape, weight=None, bias=None, eps=1e-5):
    """``(x - mean) / √(var + ε) · weight + bias`` over the last axes of x, for each of the others.

    normalized_shape  sizes of these axes, which weight and bias have too

    Mean and (biased) variance are of the last axes. Ba, Kiros & Hinton 2016. Raises ``ValueError``
    for shapes that do not fit, ``TypeError`` for mixed types.

    >>> import fastgrad as fg
    >>> fg.layer_norm(fg.tensor([[1.0, 3.0], [5.0, 5.0]]), 2)
    tensor([[-1.0000,  1.0000],
            [ 0.0000,  0.0000]])
    """
    return _over_last("layer_norm", _layer_norm, x, normalized_shape, weight, bias, eps, True)


def rms_norm(x, normalized_shape, weight=None, eps=None):
    """``x / √(mean(x²) + ε) · weight`` over the last axes of x; see ``layer_norm``.

    eps  None for the smallest difference from 1 of x's type

    Zhang & Sennrich 2019.

    >>> import fastgrad as fg
    >>> fg.rms_norm(fg.tensor([[3.0, 4.0]]), 2)
    tensor([[0.8485, 1.1314]])
    """
    if eps is None and x.dtype.kind == "f":
        eps = float(np.finfo(x.dtype).eps)
    return _over_last("rms_norm", _rms_norm, x, normalized_shape, weight, None, eps, False)


def group_norm(x, num_groups, weight=None, bias=None, eps=1e-5):
    """Layer norm of x (N, C, \\*) over groups of channels, weight and bias (C,) by channel.

    Each item's channels are cut into ``num_groups`` groups of neighbours, each with a mean and a
    variance of its own. Wu & He 2018.

    Raises ``ValueError`` where the channels cannot be cut so, or shapes do not fit.

    >>> import fastgrad as fg
    >>> fg.group_norm(fg.tensor([[1.0, 3.0, 2.0, 8.0]]), 2)
    tensor([[-1.0000,  1.0000, -1.0000,  1.0000]])
    """
    if x.ndim < 2:
        raise ValueError(f"group_norm: expected x (N, C, *), got {x.shape}")
    items, channels = x.shape[:2]
    if num_groups < 1 or channels % num_groups:
        raise ValueError(f"group_norm: {channels} channels do not make {num_groups} equal groups")
    _check("group_norm", x, weight, bias, (channels,))
    inner = math.prod(x.shape[2:])
    kind = {"rows": items * num_groups, "n": channels // num_groups * inner, "groups": num_groups}
    kind["inner"] = max(inner, 1)
    return _group_norm(x, weight, bias, **kind, centred=True, eps=eps)


def instance_norm(
    x,
    running_mean=None,
    running_var=None,
    weight=None,
    bias=None,
    use_input_stats=True,
    momentum=0.1,
    eps=1e-5,
):
    """Each channel of each item of x (N, C, \\*) normalized by itself; weight and bias (C,).

    With ``use_input_stats``, the running statistics (C,), if not None, move towards the mean over
    the batch of the items' (with the unbiased variance), in place; without, they are used instead,
    as by ``batch_norm`` in evaluation. Ulyanov, Vedaldi & Lempitsky 2016.

    Raises ``ValueError`` for shapes that do not fit, and for images of one element.

    >>> import fastgrad as fg
    >>> fg.instance_norm(fg.tensor([[[1.0, 3.0], [2.0, 8.0]]]))
    tensor([[[-1.0000,  1.0000],
             [-1.0000,  1.0000]]])
    """
    if (running_mean is None) != (running_var is None):
        raise ValueError("instance_norm: running_mean and running_var come together")
    if not use_input_stats:
        if running_mean is None:
            raise ValueError("instance_norm: without the input's statistics, running ones are used")
        return T.batch_norm(x, running_mean, running_var, weight, bias, False, momentum, eps)
    if x.ndim < 2:
        raise ValueError(f"instance_norm: expected x (N, C, *), got {x.shape}")
    items, channels, n = *x.shape[:2], math.prod(x.shape[2:])
    if n == 1:
        raise ValueError(f"instance_norm: expected more than one element in a channel of {x.shape}")
    _check("instance_norm", x, weight, bias, (channels,))
    kind = {"rows": items * channels, "n": n, "groups": max(channels, 1), "inner": max(n, 1)}
    if running_mean is not None:
        _check("instance_norm", x, running_mean, running_var, (channels,))
        _track(x, running_mean, running_var, momentum)
    return _instance_norm(x, weight, bias, **kind, centred=True, eps=eps)


def _track(x, running_mean, running_var, momentum):
    """Move running statistics towards the mean of the items' own."""
    array = x.data if isinstance(x, Tensor) else x
    var, mean = K.var(array, tuple(range(2, array.ndim)), 1.0)
    for running, value in ((running_mean, mean), (running_var, var)):
        value = K.mean(value.reshape(array.shape[:2]), (0,))
        K.mul(running.data, 1.0 - momentum, out=running.data)
        K.add(running.data, K.mul(value, momentum), out=running.data)
        running._version[0] += 1
