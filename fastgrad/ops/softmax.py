"""Rules of softmax, log-softmax and the classification losses."""

import numpy as np

from ..backend import K, contiguous
from ..tape import as_array
from ..tensor import op
from .reduce import check_dims

_REDUCTIONS = ("mean", "sum", "none")


def _along_last(name, x, dim, forward, backward):
    """Apply a row kernel along ``dim`` by moving that axis to the end and back."""
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
def softmax(x, *, dim):
    """``e^xᵢ / Σⱼ e^xⱼ`` along ``dim``, stable for any finite x.

    >>> import fastgrad as fg
    >>> fg.softmax(fg.tensor([[1.0, 2.0], [1000.0, 1000.0]]), dim=1)
    tensor([[0.2689, 0.7311],
            [0.5000, 0.5000]])
    """
    return _along_last("softmax", x, dim, K.softmax_forward, K.softmax_backward)


@op
def log_softmax(x, *, dim):
    """``xᵢ - log Σⱼ e^xⱼ`` along ``dim``, stable for any finite x.

    >>> import fastgrad as fg
    >>> fg.log_softmax(fg.tensor([0.0, 0.0]), dim=0)
    tensor([-0.6931, -0.6931])
    """
    return _along_last("log_softmax", x, dim, K.log_softmax_forward, K.log_softmax_backward)


def _check_classification(name, x, target, weight, reduction):
    """Check the parts of a classification loss; returns what its kernel takes.

    x (N, C), (C,) or (N, C, \\*) becomes (rows, C), and target a flat int64 array.
    """
    if reduction not in _REDUCTIONS:
        raise ValueError(f"{name}: unknown reduction {reduction!r}; expected one of {_REDUCTIONS}")
    if x.dtype.kind != "f" or not x.ndim:
        raise TypeError(f"{name}: expected float scores (N, C), got {x.dtype} of shape {x.shape}")
    target = as_array(target)
    if (
        x.ndim == 2
        and x.shape[:1] == target.shape != (0,)
        and x.flags.c_contiguous
        and target.dtype == np.int64
        and target.flags.c_contiguous
        and weight is None
    ):
        return x, target
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
    rows = np.moveaxis(x, 1, -1) if x.ndim > 2 else x
    return contiguous(rows).reshape(-1, classes), target.astype(np.int64, copy=False).ravel()


def _restore(grad_rows, shape):
    """Gradient of the rows in the scores' own layout."""
    if len(shape) <= 2:
        return grad_rows.reshape(shape)
    moved = grad_rows.reshape(shape[0], *shape[2:], shape[1])
    return contiguous(np.moveaxis(moved, -1, 1))


@op
def cross_entropy(
    x, target, weight=None, *, ignore_index=-100, reduction="mean", label_smoothing=0.0
):
    """Softmax and negative log-likelihood in one: ``-log softmax(x)[target]``.

    x                scores (N, C), (C,) or (N, C, \\*)
    target           labels from 0 to C - 1, any integer type: (N,), () or (N, \\*)
    weight           weight of each class (C,)
    ignore_index     label of rows that do not count
    reduction        "mean" (over the labels' weights), "sum" or "none"
    label_smoothing  share ε of the target spread evenly over all classes

    Raises ``TypeError`` for labels that are not integers, ``IndexError`` for one out of range,
    ``ValueError`` for shapes that do not fit and for the mean of an empty batch.

    >>> import fastgrad as fg
    >>> fg.cross_entropy(fg.tensor([[2.0, 0.0], [0.0, 0.0]]), fg.tensor([0, 1]))
    tensor(0.4100)
    """
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"cross_entropy: label_smoothing {label_smoothing} is not from 0 to 1")
    shape, given = x.shape, target
    x, target = _check_classification("cross_entropy", x, target, weight, reduction)
    options = (ignore_index, reduction, label_smoothing)
    try:
        loss, saved = K.cross_entropy_forward(x, target, weight, *options)
    except IndexError as error:
        raise IndexError(f"cross_entropy: {error}") from None

    def vjp(grad):
        grad_x = K.cross_entropy_backward(grad, x, target, saved, weight, *options)
        return grad_x if len(shape) == 2 else _restore(grad_x, shape)

    return loss.reshape(np.shape(given)) if reduction == "none" else loss, (vjp,)


@op
def nll_loss(x, target, weight=None, *, ignore_index=-100, reduction="mean"):
    """Negative log-likelihood ``-x[target]`` of log-probabilities x; see ``cross_entropy``.

    >>> import fastgrad as fg
    >>> fg.nll_loss(fg.tensor([[-0.5, -1.0]]), fg.tensor([1]))
    tensor(1.)
    """
    shape, target_shape = x.shape, np.shape(target)
    x, target = _check_classification("nll_loss", x, target, weight, reduction)
    options = (ignore_index, reduction)
    try:
        loss, divisor = K.nll_loss_forward(x, target, weight, *options)
    except IndexError as error:
        raise IndexError(f"nll_loss: {error}") from None
    rows = x.shape

    def vjp(grad):
        grad_x = K.nll_loss_backward(grad, rows, target, divisor, weight, *options)
        return _restore(grad_x, shape)

    return loss.reshape(target_shape) if reduction == "none" else loss, (vjp,)
