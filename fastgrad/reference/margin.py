"""NumPy twins of ``fastgrad.kernels.margin``."""

import numpy as np

from ._quiet import quiet

__all__ = [
    "multi_margin_backward",
    "multi_margin_forward",
    "multilabel_margin_backward",
    "multilabel_margin_forward",
]


def _check_classes(labels, least, classes):
    bad = (labels < least) | (labels >= classes)
    if bad.any():
        position = int(bad.argmax())
        raise IndexError(
            f"label {labels.flat[position]} at position {position} is out of range; "
            f"expected {least} <= label < {classes}"
        )


def _hinges(x, labels, margin):
    """max(margin - x[label] + x, 0) of every class, 0 of the row's own; and their own scores."""
    rows = np.arange(len(x))
    hinges = np.maximum(x.dtype.type(margin) - x[rows, labels][:, None] + x, 0)
    hinges[rows, labels] = 0
    return hinges


@quiet
def multi_margin_forward(x, labels, weight=None, p=1, margin=1.0):
    _check_classes(labels, 0, x.shape[1])
    loss = (_hinges(x, labels, margin) ** p).sum(axis=1) / x.dtype.type(x.shape[1])
    return loss if weight is None else loss * weight[labels]


@quiet
def multi_margin_backward(grad, x, labels, weight=None, p=1, margin=1.0):
    hinges = _hinges(x, labels, margin)
    slope = 2 * hinges if p == 2 else (hinges > 0).astype(x.dtype)
    slope[np.arange(len(x)), labels] = -slope.sum(axis=1)
    scale = np.broadcast_to(grad, len(x)) / x.dtype.type(x.shape[1])
    return slope * (scale if weight is None else scale * weight[labels])[:, None]


def _pairs(x, labels):
    """Of each row: its labels, which classes are its own, and 1 - x[label] + x, (labels, n)."""
    for row, these in zip(x, labels, strict=True):
        ends = np.flatnonzero(these < 0)
        these = these[: ends[0]] if ends.size else these
        own = np.isin(np.arange(row.size), these)
        yield these, own, x.dtype.type(1) - row[these][:, None] + row


@quiet
def multilabel_margin_forward(x, labels):
    _check_classes(labels, -1, x.shape[1])
    loss, owns = np.zeros(len(x), x.dtype), np.zeros_like(x)
    for row, (_, own, hinges) in enumerate(_pairs(x, labels)):
        loss[row] = np.maximum(hinges[:, ~own], 0).sum() / x.shape[1]
        owns[row] = own
    return loss, owns


@quiet
def multilabel_margin_backward(grad, x, labels, own):
    grad_x = np.zeros_like(x)
    scale = np.broadcast_to(grad, len(x)) / x.dtype.type(x.shape[1])
    for row, (these, mine, hinges) in enumerate(_pairs(x, labels)):
        active = (hinges > 0) & ~mine
        grad_x[row] += scale[row] * active.sum(axis=0)
        np.add.at(grad_x[row], these, -scale[row] * active.sum(axis=1))
    return grad_x
