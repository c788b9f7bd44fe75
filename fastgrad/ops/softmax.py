"""Rules of softmax, log-softmax and the classification losses."""

import math

import numpy as np

from ..backend import K, contiguous
from ..lifting import op
from ..tape import as_array
from ..tensor import Tensor
from ._family import T
from ._reduction import REDUCTIONS as _REDUCTIONS
from ._reduction import checked
from .reduce import check_dims

__all__ = ["cross_entropy", "log_softmax", "nll_loss", "softmax"]


def _along_last(name, x, dim, dtype, forward, backward):
    """Apply a row kernel along ``dim`` by moving that axis to the end and back."""
    if dtype is not None:
        x = x.astype(dtype, copy=False)
    if x.dtype.kind != "f":
        raise TypeError(f"{name}: expected a float tensor, got {x.dtype}")
    (axis,) = check_dims(name, dim, x.ndim) or (0,)
    last = max(x.ndim - 1, 0)
    shape = x.shape or (1,)
    if axis == last:
        before = x.shape
        out = forward(x.reshape(shape)).reshape(before)
        return out, lambda grad: backward(grad.reshape(shape), out.reshape(shape)).reshape(before)
    turned = forward(contiguous(np.moveaxis(x, axis, -1)))
    out = contiguous(np.moveaxis(turned, -1, axis))

    def vjp(grad):
        grad, rows = (contiguous(np.moveaxis(y, axis, -1)) for y in (grad, out))
        return np.moveaxis(backward(grad, rows), -1, axis)

    return out, vjp


@op
def softmax(x, *, dim, dtype=None):
    """``e^xᵢ / Σⱼ e^xⱼ`` along ``dim``, stable for any finite x; ``dtype`` is converted to first.

    >>> import fastgrad as fg
    >>> fg.softmax(fg.tensor([[1.0, 2.0], [1000.0, 1000.0]]), dim=1)
    tensor([[0.2689, 0.7311],
            [0.5000, 0.5000]])
    """
    return _along_last("softmax", x, dim, dtype, K.softmax_forward, K.softmax_backward)


softmax.differentiable(
    lambda grad, out, axis=-1: out * (grad - (grad * out).sum(dim=axis, keepdim=True))
)


@op
def log_softmax(x, *, dim, dtype=None):
    """``xᵢ - log Σⱼ e^xⱼ`` along ``dim``, stable for any finite x; see ``softmax``.

    >>> import fastgrad as fg
    >>> fg.log_softmax(fg.tensor([0.0, 0.0]), dim=0)
    tensor([-0.6931, -0.6931])
    """
    return _along_last("log_softmax", x, dim, dtype, K.log_softmax_forward, K.log_softmax_backward)


log_softmax.differentiable(
    lambda grad, out, axis=-1: grad - T.exp(out) * grad.sum(dim=axis, keepdim=True)
)


# ------------------------------------------------------------------ losses


def _check_classification(name, x, target, weight, reduction):
    """Check the parts of a classification loss; x is (N, C), (C,) or (N, C, \\*)."""
    if reduction not in _REDUCTIONS:
        raise ValueError(f"{name}: unknown reduction {reduction!r}; expected one of {_REDUCTIONS}")
    if x.dtype.kind != "f" or not x.ndim:
        raise TypeError(f"{name}: expected float scores (N, C), got {x.dtype} of shape {x.shape}")
    if target.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integer labels, got {target.dtype}")
    classes = x.shape[0] if x.ndim == 1 else x.shape[1]
    expected = () if x.ndim == 1 else (x.shape[0], *x.shape[2:])
    if target.shape != expected:
        raise ValueError(
            f"{name}: scores {x.shape} want labels of shape {expected}, got {target.shape}"
        )
    if weight is not None and (weight.shape != (classes,) or weight.dtype != x.dtype):
        raise ValueError(
            f"{name}: expected class weights {x.dtype} of shape ({classes},), got {weight.dtype} "
            f"of shape {weight.shape}"
        )
    if not target.size and reduction == "mean":
        raise ValueError(f"{name}: the batch is empty, scores have shape {x.shape}: no mean")


def _of_rows(name, x, target, weight, reduction):
    """(x, labels) of a loss as its kernel takes them: in C order, labels int64, all checked."""
    target = as_array(target)
    if not (
        x.ndim == 2
        and x.shape[:1] == target.shape != (0,)
        and reduction in _REDUCTIONS
        and x.dtype.kind == "f"
        and x.flags.c_contiguous
        and target.dtype == np.int64
        and target.flags.c_contiguous
        and weight is None
    ):
        _check_classification(name, x, target, weight, reduction)
        x, target = contiguous(x), contiguous(target.astype(np.int64, copy=False))
    return x, target


@op(linear=True)
def _class_last(x):
    """Scores (N, C, \\*) or (C,) as rows (n, C)."""
    shape = x.shape
    if len(shape) == 1:
        return x.reshape(1, shape[0]), lambda grad: grad.reshape(shape)
    moved = shape[0], *shape[2:], shape[1]
    rows = contiguous(np.moveaxis(x, 1, -1)).reshape(math.prod(moved[:-1]), shape[1])
    return rows, lambda grad: contiguous(np.moveaxis(grad.reshape(moved), -1, 1))


def _by_rows(loss):
    """A classification loss of scores that are not (N, C), from that of rows."""

    def function(x, target, weight, *, reduction, **options):
        x, target = (y if isinstance(y, Tensor) else Tensor(y) for y in (x, target))
        weights = weight.data if isinstance(weight, Tensor) else weight
        _check_classification(loss.__name__, x.data, target.data, weights, reduction)
        out = loss(_class_last(x), target.reshape(-1), weight, reduction=reduction, **options)
        return out.reshape(target.shape) if reduction == "none" else out

    return function


@op(name="cross_entropy")
def _cross_entropy(x, target, weight, *, ignore_index, reduction, label_smoothing):
    x, target = _of_rows("cross_entropy", x, target, weight, reduction)
    options = (ignore_index, reduction, label_smoothing)
    try:
        loss, saved = K.cross_entropy_forward(x, target, weight, *options)
    except IndexError as error:
        raise IndexError(f"cross_entropy: {error}") from None
    return loss, (lambda grad: K.cross_entropy_backward(grad, x, target, saved, weight, *options),)


@_cross_entropy.differentiable
def _(grad, x, target, saved, weight, options):
    ignore_index, _, smoothing = options
    shares = _shares(target, weight, x.shape[1], x.dtype, ignore_index, smoothing)
    # of rows that do not count, not even a NaN is looked at
    x = T.where(_used(target, ignore_index), x, 0.0)
    slope = T.softmax(x, dim=1) * shares.sum(dim=1, keepdim=True) - shares
    return (_of_each_row(grad, saved[1]) * slope,)


def _used(target, ignore_index):
    return T.ne(target, ignore_index).reshape(-1, 1)


def _shares(target, weight, classes, dtype, ignore_index, smoothing=0.0):
    """What share of each row's loss each class has, (rows, classes)."""
    hit = T.eq(target.reshape(-1, 1), np.arange(classes)).to(dtype)
    shares = hit * (1.0 - smoothing) + smoothing / classes
    shares = shares if weight is None else shares * weight
    return T.where(_used(target, ignore_index), shares, 0.0)


def _of_each_row(grad, divisor):
    """The gradient of the loss as one of each row, a column."""
    return (grad / Tensor(divisor)).reshape(-1, 1)


@op(name="cross_entropy")
def _soft_cross_entropy(x, target, weight, *, reduction, label_smoothing):
    x, target = contiguous(x), contiguous(target)
    options = weight, label_smoothing
    out, log_total = K.soft_cross_entropy_forward(x, target, *options)
    factor = 1.0
    if reduction == "mean":
        out, factor = K.mean(out), 1.0 / len(x)
    elif reduction == "sum":
        out = K.sum(out)

    def of_x(grad):
        grad = K.mul(grad, factor)
        return K.soft_cross_entropy_backward(grad, x, target, log_total, weight, label_smoothing)

    def of_target(grad):
        grad = K.mul(grad, factor)
        return K.soft_cross_entropy_target_backward(grad, x, log_total, weight, label_smoothing)

    return as_array(out), (of_x, of_target)


@_soft_cross_entropy.composed_of
def _(x, target, weight, *, reduction, label_smoothing):
    shares = target * (1.0 - label_smoothing) + label_smoothing / x.shape[1]
    shares = shares if weight is None else shares * weight
    loss = -(shares * log_softmax(x, dim=1)).sum(dim=1)
    return loss if reduction == "none" else getattr(T, reduction)(loss)


def _of_probabilities(x, target, weight, reduction, label_smoothing):
    """The cross-entropy of scores and of a probability of each class, in x's shape."""
    axis = 0 if x.ndim == 1 else 1
    rows = x.shape[:axis] + x.shape[axis + 1 :]
    weights = weight.data if isinstance(weight, Tensor) else weight
    _check_classification("cross_entropy", x, np.zeros(rows, np.int64), weights, reduction)
    if target.dtype != x.dtype:
        raise TypeError(
            f"cross_entropy: expected probabilities of x's type, {x.dtype}, got {target.dtype}"
        )
    options = {"reduction": reduction, "label_smoothing": label_smoothing}
    if x.ndim == 2:
        return _soft_cross_entropy(x, target, weight, **options)
    loss = _soft_cross_entropy(_class_last(x), _class_last(target), weight, **options)
    return loss.reshape(rows) if reduction == "none" else loss


def cross_entropy(
    x, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean",
    label_smoothing=0.0,
):  # fmt: skip
    """Softmax and negative log-likelihood in one: ``-log softmax(x)[target]``.

    x                scores (N, C), (C,) or (N, C, \\*)
    target           labels from 0 to C - 1, any integer type: (N,), () or (N, \\*); or a
                     probability of each class, of x's shape and type, then the loss of a row is
                     ``-Σ target · log softmax(x)``, and target has a gradient, too
    weight           weight of each class (C,)
    ignore_index     label of rows that do not count; not for probabilities
    reduction        "mean" (over the labels' weights; of probabilities, over the rows), "sum" or
                     "none"
    label_smoothing  share ε of the target spread evenly over all classes
    size_average, reduce  PyTorch's former names of reductions

    Raises ``TypeError`` for a target of the wrong type, ``IndexError`` for a label out of range,
    ``ValueError`` for shapes that do not fit and for the mean of an empty batch.

    >>> import fastgrad as fg
    >>> fg.cross_entropy(fg.tensor([[2.0, 0.0], [0.0, 0.0]]), fg.tensor([0, 1]))
    tensor(0.4100)
    >>> fg.cross_entropy(fg.tensor([[2.0, 0.0]]), fg.tensor([[0.5, 0.5]]))
    tensor(1.1269)
    """
    if size_average is not None or reduce is not None:
        reduction = checked("cross_entropy", reduction, size_average, reduce)
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"cross_entropy: label_smoothing {label_smoothing} is not from 0 to 1")
    if target.dtype.kind == "f" and target.shape == x.shape:
        if ignore_index >= 0:
            raise ValueError("cross_entropy: ignore_index is for labels, not for probabilities")
        return _of_probabilities(x, target, weight, reduction, label_smoothing)
    loss = _cross_entropy if x.ndim == 2 else _by_rows(_cross_entropy)
    return loss(
        x,
        target,
        weight,
        ignore_index=ignore_index,
        reduction=reduction,
        label_smoothing=label_smoothing,
    )


@op(name="nll_loss")
def _nll_loss(x, target, weight, *, ignore_index, reduction):
    x, target = _of_rows("nll_loss", x, target, weight, reduction)
    shape, options = x.shape, (ignore_index, reduction)
    try:
        loss, divisor = K.nll_loss_forward(x, target, weight, *options)
    except IndexError as error:
        raise IndexError(f"nll_loss: {error}") from None
    return loss, (lambda grad: K.nll_loss_backward(grad, shape, target, divisor, weight, *options),)


@_nll_loss.differentiable
def _(grad, target, shape, divisor, weight, options):
    shares = _shares(target, weight, shape[1], grad.dtype, options[0])
    return (-_of_each_row(grad, divisor) * shares,)


def nll_loss(
    x, target, weight=None, size_average=None, ignore_index=-100, reduce=None, reduction="mean"
):
    """Negative log-likelihood ``-x[target]`` of log-probabilities x; see ``cross_entropy``.

    >>> import fastgrad as fg
    >>> fg.nll_loss(fg.tensor([[-0.5, -1.0]]), fg.tensor([1]))
    tensor(1.)
    """
    if size_average is not None or reduce is not None:
        reduction = checked("nll_loss", reduction, size_average, reduce)
    loss = _nll_loss if x.ndim == 2 else _by_rows(_nll_loss)
    return loss(x, target, weight, ignore_index=ignore_index, reduction=reduction)
