"""Hinge losses of several classes, row by row: a class that is not the row's should score less."""

from numba.extending import register_jitable

from ._jit import kernel
from ._record import empty
from ._simd import if_greater, keep_first, lane_sum, lanes, maximum, read, splat, write, zeros
from .softmax import _class_weight

__all__ = [
    "multi_margin_backward",
    "multi_margin_forward",
    "multilabel_margin_backward",
    "multilabel_margin_forward",
]

_NS = 0.3  # nanoseconds per score


def _bad_class(code, labels, least, classes):
    position = code - 1
    raise IndexError(
        f"label {labels[position]} at position {position} is out of range; "
        f"expected {least} <= label < {classes}"
    )


@kernel(serial=True, on_error=_bad_class)
def _check_classes(start, stop, labels, least, classes):
    for i in range(start, stop):
        if labels[i] < least or labels[i] >= classes:
            return i + 1
    return 0


@register_jitable
def _hinges(x, at, n, level, squared):
    """Σ max(x + level, 0), or of the squares of these, over n scores."""
    lane, moved, total = lanes(x), splat(x, level), zeros(x)
    for i in range(0, n, lane):
        count = min(lane, n - i)
        hinge = maximum(read(x, at + i, count) + moved, zeros(x))
        hinge = keep_first(hinge, count)
        total += hinge * hinge if squared else hinge
    return lane_sum(total)


@register_jitable
def _slopes(x, at, n, level, squared, scale, out):
    """out = scale · the slope of each hinge; returns their sum."""
    lane, moved, nothing = lanes(x), splat(x, level), zeros(x)
    factor, total = splat(x, scale), zeros(x)
    for i in range(0, n, lane):
        count = min(lane, n - i)
        above = read(x, at + i, count) + moved
        if squared:
            slope = factor * (above + above)
        else:
            slope = factor
        slope = if_greater(above, nothing, slope, nothing)
        write(out, at + i, count, slope)
        total += keep_first(slope, count)
    return lane_sum(total)


@kernel
def _multi_margin(start, stop, x, labels, weight, weighted, margin, squared, loss, n):
    """Per row: ``weight / n · Σ max(margin - x[label] + x, 0)`` over the other classes."""
    for row in range(start, stop):
        at, label = row * n, labels[row]
        level = x.dtype.type(margin) - x[at + label]
        total = _hinges(x, at, label, level, squared)
        total += _hinges(x, at + label + 1, n - label - 1, level, squared)
        own = weight[label] if weighted else x.dtype.type(1.0)
        loss[row] = total * own / n


@kernel
def _multi_margin_backward(
    start, stop, grad, grad_step, x, labels, weight, weighted, margin, squared, grad_x, n
):
    for row in range(start, stop):
        at, label = row * n, labels[row]
        level = x.dtype.type(margin) - x[at + label]
        own = weight[label] if weighted else x.dtype.type(1.0)
        scale = grad[row * grad_step] * own / n
        total = _slopes(x, at, label, level, squared, scale, grad_x)
        total += _slopes(x, at + label + 1, n - label - 1, level, squared, scale, grad_x)
        grad_x[at + label] = -total


def multi_margin_forward(x, labels, weight=None, p=1, margin=1.0):
    """Losses of the rows of scores x (rows, classes); labels (rows,) int64, checked; p 1 or 2."""
    rows, n = x.shape
    _check_classes(rows, 0, labels, 0, n)
    loss = empty(rows, x.dtype)
    weight = _class_weight(weight, x)
    _multi_margin(
        rows, x.size * _NS, x.ravel(), labels, *weight, float(margin), p == 2, loss, n
    )  # fmt: skip
    return loss


def multi_margin_backward(grad, x, labels, weight=None, p=1, margin=1.0):
    """Gradient of the scores; grad is one number, or one of each row."""
    rows, n = x.shape
    grad_x = empty(x.shape, x.dtype)
    _multi_margin_backward(
        rows, x.size * _NS, grad.ravel(), int(grad.size > 1), x.ravel(), labels,
        *_class_weight(weight, x), float(margin), p == 2, grad_x.ravel(), n,
    )  # fmt: skip
    return grad_x


@kernel
def _multilabel(start, stop, x, labels, own, loss, n):
    """own: 1 for the classes of a row, which come before the first -1; else 0."""
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for row in range(start, stop):
        at, count, total = row * n, 0, x.dtype.type(0)
        for i in range(at, at + n):
            own[i] = zero
        while count < n and labels[at + count] >= 0:
            own[at + labels[at + count]] = one
            count += 1
        for k in range(at, at + count):
            level = one - x[at + labels[k]]
            for i in range(at, at + n):
                if own[i] == zero:
                    hinge = x[i] + level
                    if not hinge <= zero:
                        total += hinge
        loss[row] = total / n


@kernel
def _multilabel_backward(start, stop, grad, grad_step, x, labels, own, grad_x, n):
    zero, one = x.dtype.type(0), x.dtype.type(1)
    for row in range(start, stop):
        at, scale = row * n, grad[row * grad_step] / n
        for i in range(at, at + n):
            grad_x[i] = zero
        for k in range(at, at + n):
            if labels[k] < 0:
                break
            target = at + labels[k]
            level = one - x[target]
            for i in range(at, at + n):
                if own[i] == zero and x[i] + level > zero:
                    grad_x[i] += scale
                    grad_x[target] -= scale


def multilabel_margin_forward(x, labels):
    """Losses of the rows, and which classes are each row's; x (rows, classes), labels alike.

    A row's labels end at its first -1.
    """
    rows, n = x.shape
    _check_classes(labels.size, 0, labels.ravel(), -1, n)
    loss, own = empty(rows, x.dtype), empty(x.shape, x.dtype)
    _multilabel(rows, x.size * n * _NS, x.ravel(), labels.ravel(), own.ravel(), loss, n)
    return loss, own


def multilabel_margin_backward(grad, x, labels, own):
    """Gradient of the scores; grad is one number, or one of each row."""
    rows, n = x.shape
    grad_x = empty(x.shape, x.dtype)
    arrays = x.ravel(), labels.ravel(), own.ravel(), grad_x.ravel()
    step = int(grad.size > 1)
    _multilabel_backward(rows, x.size * n * _NS, grad.ravel(), step, *arrays, n)
    return grad_x
