"""NumPy twins of ``fastgrad.kernels.softmax``."""

import numpy as np

from ._quiet import quiet

__all__ = [
    "check_labels",
    "cross_entropy_backward",
    "cross_entropy_forward",
    "log_softmax_backward",
    "log_softmax_forward",
    "nll_loss_backward",
    "nll_loss_forward",
    "softmax_backward",
    "softmax_forward",
]


@quiet
def softmax_forward(x):
    if not x.size:
        return x.copy()
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@quiet
def softmax_backward(grad, out):
    return out * (grad - (grad * out).sum(axis=-1, keepdims=True))


@quiet
def log_softmax_forward(x):
    if not x.size:
        return x.copy()
    shifted = x - x.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


@quiet
def log_softmax_backward(grad, out):
    return grad - np.exp(out) * grad.sum(axis=-1, keepdims=True)


def check_labels(labels, classes, ignore_index):
    bad = ((labels < 0) | (labels >= classes)) & (labels != ignore_index)
    if bad.any():
        position = int(bad.argmax())
        raise IndexError(
            f"label {labels[position]} at position {position} is out of range; "
            f"expected 0 <= label < {classes}, or ignore_index {ignore_index}"
        )


def _targets(labels, classes, weight, ignore_index, smoothing, dtype):
    """(target distribution, weight of each label), both 0 where the label is ignored."""
    used = labels != ignore_index
    rows = np.flatnonzero(used)
    weight = np.ones(classes, dtype) if weight is None else weight
    target = np.zeros((labels.size, classes), dtype)
    target[rows] = smoothing / classes * weight
    target[rows, labels[rows]] += (1 - smoothing) * weight[labels[rows]]
    mass = np.zeros(labels.size, dtype)
    mass[rows] = weight[labels[rows]]
    return target, mass


def _reduced(loss, mass, reduction):
    one = np.ones(1, loss.dtype)
    if reduction == "none":
        return loss, one
    if reduction == "sum":
        return np.asarray(loss.sum()), one
    return np.asarray(loss.sum() / mass.sum()), mass.sum().reshape(1)


@quiet
def cross_entropy_forward(
    x, labels, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0
):
    check_labels(labels, x.shape[1], ignore_index)
    target, mass = _targets(labels, x.shape[1], weight, ignore_index, label_smoothing, x.dtype)
    log_p = log_softmax_forward(x)
    # 0 · -∞ counts as 0: a class without a share of the target has no part in the loss
    loss = -np.where(target > 0, target * log_p, 0).sum(axis=1)
    result, divisor = _reduced(loss, mass, reduction)
    return result, (log_p, divisor)


@quiet
def cross_entropy_backward(
    grad, x, labels, saved, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0
):
    log_p, divisor = saved
    target, _ = _targets(labels, x.shape[1], weight, ignore_index, label_smoothing, x.dtype)
    scale = (grad / divisor).reshape(-1, 1).astype(x.dtype)
    p = np.where((labels != ignore_index)[:, None], np.exp(log_p), 0)
    return scale * (p * target.sum(axis=1, keepdims=True) - target)


@quiet
def nll_loss_forward(x, labels, weight=None, ignore_index=-100, reduction="mean"):
    check_labels(labels, x.shape[1], ignore_index)
    target, mass = _targets(labels, x.shape[1], weight, ignore_index, 0.0, x.dtype)
    loss = -np.where(target != 0, target * x, 0).sum(axis=1)
    return _reduced(loss, mass, reduction)


@quiet
def nll_loss_backward(
    grad, shape, labels, divisor, weight=None, ignore_index=-100, reduction="mean"
):
    target, _ = _targets(labels, shape[1], weight, ignore_index, 0.0, grad.dtype)
    return -(grad / divisor).reshape(-1, 1).astype(grad.dtype) * target
