"""Softmax, log-softmax and the losses on them, row by row, stable for any finite logits.

With m the row's maximum, ``log Σ e^x = m + log Σ e^(x - m)`` cannot overflow. Cross-entropy keeps
that one number per row, and its backward makes ``softmax - target`` from it in one pass.
"""

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel, scratch
from ._record import empty
from ._simd import (
    exp,
    keep_first,
    lane_max,
    lane_sum,
    lanes,
    load,
    load_part,
    log,
    maximum,
    splat,
    store,
    store_part,
    zeros,
)

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

_SMALL_LOSS = 4096  # scores, up to which a loss is one launch on one thread
_NS_EXP = 0.5  # nanoseconds per element of a pass with an exponential


@register_jitable
def _row_max(x, at, n):
    lane = lanes(x)
    whole, unrolled = n // lane * lane, n // (4 * lane) * (4 * lane)
    best = splat(x, -np.inf)
    if unrolled:  # four chains: each has to wait for itself
        s, t, u = best, best, best
        for i in range(at, at + unrolled, 4 * lane):
            best, s = maximum(best, load(x, i)), maximum(s, load(x, i + lane))
            t, u = maximum(t, load(x, i + 2 * lane)), maximum(u, load(x, i + 3 * lane))
        best = maximum(maximum(best, s), maximum(t, u))
    for i in range(at + unrolled, at + whole, lane):
        best = maximum(best, load(x, i))
    if whole < n:
        best = maximum(best, load_part(x, at + whole, n - whole, -np.inf))
    return lane_max(best)


@register_jitable
def _row_exp_sum(x, at, n, shift):
    """Σ e^(x - shift) over a row."""
    lane = lanes(x)
    whole = n // lane * lane
    moved = splat(x, shift)
    total = zeros(x)
    for i in range(at, at + whole, lane):
        total += exp(load(x, i) - moved)
    if whole < n:
        total += keep_first(exp(load_part(x, at + whole, n - whole, 0.0) - moved), n - whole)
    return lane_sum(total)


@register_jitable
def _row_dot(x, x_at, y, y_at, n):
    """Σ x · y over n elements of each, from ``x_at`` and ``y_at`` on."""
    lane = lanes(x)
    whole = n // lane * lane
    total = zeros(x)
    for i in range(0, whole, lane):
        total += load(x, x_at + i) * load(y, y_at + i)
    if whole < n:
        rest = n - whole
        part = load_part(x, x_at + whole, rest, 0.0)
        total += part * load_part(y, y_at + whole, rest, 0.0)
    return lane_sum(total)


@register_jitable
def _row_sum(x, at, n):
    lane = lanes(x)
    whole = n // lane * lane
    total = zeros(x)
    for i in range(at, at + whole, lane):
        total += load(x, i)
    if whole < n:
        total += load_part(x, at + whole, n - whole, 0.0)
    return lane_sum(total)


@kernel
def _softmax_forward(start, stop, x, out, n):
    """out = e^(x - m) / Σ e^(x - m); x, out (rows, n) flat."""
    lane = lanes(x)
    whole = n // lane * lane
    for row in range(start, stop):
        at = row * n
        best = _row_max(x, at, n)
        shift, total = splat(x, best), zeros(x)
        for i in range(at, at + whole, lane):
            e = exp(load(x, i) - shift)
            store(out, i, e)
            total += e
        if whole < n:
            rest = n - whole
            e = exp(load_part(x, at + whole, rest, 0.0) - shift)
            store_part(out, at + whole, rest, e)
            total += keep_first(e, rest)
        scale = splat(x, lane_sum(total))
        for i in range(at, at + whole, lane):
            store(out, i, load(out, i) / scale)
        if whole < n:
            rest = n - whole
            store_part(out, at + whole, rest, load_part(out, at + whole, rest, 0.0) / scale)


@kernel
def _softmax_backward(start, stop, grad, out, grad_x, n):
    """grad_x = out · (grad - Σ grad · out)."""
    lane = lanes(out)
    whole = n // lane * lane
    for row in range(start, stop):
        at = row * n
        dot = splat(out, _row_dot(grad, at, out, at, n))
        for i in range(at, at + whole, lane):
            store(grad_x, i, load(out, i) * (load(grad, i) - dot))
        if whole < n:
            i, rest = at + whole, n - whole
            part = load_part(out, i, rest, 0.0) * (load_part(grad, i, rest, 0.0) - dot)
            store_part(grad_x, i, rest, part)


@kernel
def _log_softmax_forward(start, stop, x, out, n):
    """out = x - m - log Σ e^(x - m)."""
    lane = lanes(x)
    whole = n // lane * lane
    for row in range(start, stop):
        at = row * n
        best = _row_max(x, at, n)
        shift, rest = splat(x, best), n - whole
        minus = splat(x, log(_row_exp_sum(x, at, n, best)))
        for i in range(at, at + whole, lane):
            store(out, i, load(x, i) - shift - minus)
        if rest:
            i = at + whole
            store_part(out, i, rest, load_part(x, i, rest, 0.0) - shift - minus)


@kernel
def _log_softmax_backward(start, stop, grad, out, grad_x, n):
    """grad_x = grad - e^out · Σ grad."""
    lane = lanes(out)
    whole = n // lane * lane
    for row in range(start, stop):
        at = row * n
        total, rest = splat(out, _row_sum(grad, at, n)), n - whole
        for i in range(at, at + whole, lane):
            store(grad_x, i, load(grad, i) - exp(load(out, i)) * total)
        if rest:
            i = at + whole
            e = exp(load_part(out, i, rest, 0.0))
            store_part(grad_x, i, rest, load_part(grad, i, rest, 0.0) - e * total)


def _by_rows(run, n, *arrays):
    """Launch a row kernel on arrays (..., n); the last one is the output, made here."""
    out = empty(arrays[0].shape, arrays[0].dtype)
    if out.size:
        run(out.size // n, out.size * _NS_EXP, *(x.ravel() for x in arrays), out.ravel(), n)
    return out


def softmax_forward(x):
    """Softmax over the last axis."""
    return _by_rows(_softmax_forward, x.shape[-1], x)


def softmax_backward(grad, out):
    """``grad_x = out · (grad - Σ grad · out)``"""
    return _by_rows(_softmax_backward, out.shape[-1], grad, out)


def log_softmax_forward(x):
    """``x - log Σ eˣ`` over the last axis."""
    return _by_rows(_log_softmax_forward, x.shape[-1], x)


def log_softmax_backward(grad, out):
    """``grad_x = grad - softmax · Σ grad``"""
    return _by_rows(_log_softmax_backward, out.shape[-1], grad, out)


# ------------------------------------------------------------------ losses


def _bad_label(code, labels, classes, ignore_index):
    position = code - 1
    raise IndexError(
        f"label {labels[position]} at position {position} is out of range; "
        f"expected 0 <= label < {classes}, or ignore_index {ignore_index}"
    )


@kernel(serial=True, on_error=_bad_label)
def _check_labels(start, stop, labels, classes, ignore_index):
    for i in range(start, stop):
        label = labels[i]
        if (label < 0 or label >= classes) and label != ignore_index:
            return i + 1
    return 0


def check_labels(labels, classes, ignore_index):
    """``IndexError`` that names the first label outside 0 to classes - 1, unless ignored."""
    _check_labels(labels.size, 0, labels, classes, ignore_index)


@kernel
def _cross_entropy_rows(
    start, stop, x, labels, weight, weighted, ignore_index, smoothing, log_total, loss, mass, n
):
    """Per row: loss, weight of its label, and log Σ eˣ; both 0 where the label is ignored."""
    flat_share = smoothing / n
    total_weight = float(n)
    if weighted:
        total_weight = float(_row_sum(weight, 0, n))
    for row in range(start, stop):
        at, label = row * n, labels[row]
        best = _row_max(x, at, n)
        norm = best + log(_row_exp_sum(x, at, n, best))
        log_total[row] = norm
        if label == ignore_index:
            loss[row] = 0.0
            mass[row] = 0.0
            continue
        own = float(weight[label]) if weighted else 1.0
        value = (1.0 - smoothing) * own * float(norm - x[at + label])
        if smoothing > 0.0:
            seen = _row_dot(x, at, weight, 0, n) if weighted else _row_sum(x, at, n)
            value += flat_share * (total_weight * float(norm) - float(seen))
        loss[row] = value
        mass[row] = own


@kernel
def _cross_entropy_backward(
    start, stop, grad, grad_step, divisor, x, labels, weight, weighted, ignore_index, smoothing,
    log_total, grad_x, n,
):  # fmt: skip
    """grad_x = grad / divisor · (softmax · Σ target - target), target smoothed and weighted."""
    lane = lanes(x)
    whole = n // lane * lane
    flat_share = smoothing / n
    total_weight = float(n)
    if weighted:
        total_weight = float(_row_sum(weight, 0, n))
    for row in range(start, stop):
        at, label, rest = row * n, labels[row], n - whole
        if label == ignore_index:
            nothing = zeros(x)
            for i in range(at, at + whole, lane):
                store(grad_x, i, nothing)
            if rest:
                store_part(grad_x, at + whole, rest, nothing)
            continue
        own = float(weight[label]) if weighted else 1.0
        g = float(grad[row * grad_step]) / float(divisor[0])
        hit = (1.0 - smoothing) * own
        scale = splat(x, g * (hit + flat_share * total_weight))
        share = splat(x, g * flat_share)
        shift = splat(x, log_total[row])
        for i in range(0, whole, lane):
            spread = share * load(weight, i) if weighted else share
            store(grad_x, at + i, scale * exp(load(x, at + i) - shift) - spread)
        if rest:
            spread = share * load_part(weight, whole, rest, 0.0) if weighted else share
            e = exp(load_part(x, at + whole, rest, 0.0) - shift)
            store_part(grad_x, at + whole, rest, scale * e - spread)
        grad_x[at + label] -= g * hit


@kernel
def _nll_rows(start, stop, x, labels, weight, weighted, ignore_index, loss, mass, n):
    """Per row: minus the weighted log-probability of its label, and the label's weight."""
    for row in range(start, stop):
        label = labels[row]
        if label == ignore_index:
            loss[row] = 0.0
            mass[row] = 0.0
        else:
            own = weight[label] if weighted else x.dtype.type(1.0)
            loss[row] = -x[row * n + label] * own
            mass[row] = own


@kernel
def _nll_backward(
    start, stop, grad, grad_step, divisor, labels, weight, weighted, ignore_index, grad_x, n
):
    """grad_x = -grad · weight / divisor at the label, 0 elsewhere."""
    for row in range(start, stop):
        for i in range(row * n, (row + 1) * n):
            grad_x[i] = 0.0
        label = labels[row]
        if label != ignore_index:
            own = float(weight[label]) if weighted else 1.0
            g = float(grad[row * grad_step]) / float(divisor[0])
            grad_x[row * n + label] = -g * own


@kernel(serial=True)
def _total(start, stop, loss, mass, average, result, divisor):
    """result = Σ loss / divisor, with divisor = Σ mass for the average, else 1."""
    total, weights = 0.0, 0.0
    for i in range(start, stop):
        total += loss[i]
        weights += mass[i]
    divisor[0] = weights if average else 1.0
    result[0] = total / weights if average else total


_find_bad_label, _rows_of_loss, _total_of_loss = (
    register_jitable(f.__wrapped__) for f in (_check_labels, _cross_entropy_rows, _total)
)


def _bad_label_of(code, x, labels, weight, weighted, ignore_index, *rest):
    _bad_label(code, labels, rest[-1], ignore_index)


@kernel(serial=True, on_error=_bad_label_of)
def _cross_entropy_small(
    start, stop, x, labels, weight, weighted, ignore_index, smoothing, log_total, loss, mass,
    average, result, divisor, n,
):  # fmt: skip
    """Check labels, compute rows and reduce them, in one launch."""
    code = _find_bad_label(start, stop, labels, n, ignore_index)
    if code == 0:
        _rows_of_loss(
            start, stop, x, labels, weight, weighted, ignore_index, smoothing, log_total, loss,
            mass, n,
        )  # fmt: skip
        _total_of_loss(start, stop, loss, mass, average, result, divisor)
    return code


def _reduced(loss, mass, reduction):
    """(result, divisor): the mean is over the weights of the labels."""
    divisor = empty(1, loss.dtype)
    if reduction == "none":
        divisor.fill(1)
        return loss, divisor
    result = empty((), loss.dtype)
    _total(loss.size, 0, loss, mass, reduction == "mean", result.reshape(1), divisor)
    return result, divisor


def _class_weight(weight, x):
    return (weight, True) if weight is not None else (x.ravel()[:1], False)


def cross_entropy_forward(
    x, labels, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0
):
    """Loss of logits x (rows, classes), and what its backward wants.

    labels (rows,) int64, checked; weight (classes,) or None. Returns (loss, (log_total, divisor)).
    """
    rows, n = x.shape
    weight, weighted = _class_weight(weight, x)
    log_total = empty(rows, x.dtype)
    if x.size <= _SMALL_LOSS and reduction != "none":
        parts = scratch(2 * rows, x.dtype)
        result, divisor = empty((), x.dtype), empty(1, x.dtype)
        _cross_entropy_small(
            rows, 0, x.ravel(), labels, weight, weighted, ignore_index, float(label_smoothing),
            log_total, parts[:rows], parts[rows:], reduction == "mean", result.reshape(1), divisor,
            n,
        )  # fmt: skip
        return result, (log_total, divisor)
    check_labels(labels, n, ignore_index)
    loss, mass = empty(rows, x.dtype), empty(rows, x.dtype)
    _cross_entropy_rows(
        rows, x.size * _NS_EXP, x.ravel(), labels, weight, weighted, ignore_index,
        float(label_smoothing), log_total, loss, mass, n,
    )  # fmt: skip
    result, divisor = _reduced(loss, mass, reduction)
    return result, (log_total, divisor)


def cross_entropy_backward(
    grad, x, labels, saved, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0
):
    """Gradient of the logits; grad is a scalar, or (rows,) for reduction "none"."""
    rows, n = x.shape
    log_total, divisor = saved
    weight, weighted = _class_weight(weight, x)
    grad_x = empty(x.shape, x.dtype)
    _cross_entropy_backward(
        rows, x.size * _NS_EXP, grad.ravel(), int(reduction == "none"), divisor, x.ravel(), labels,
        weight, weighted, ignore_index, float(label_smoothing), log_total, grad_x.ravel(), n,
    )  # fmt: skip
    return grad_x


def nll_loss_forward(x, labels, weight=None, ignore_index=-100, reduction="mean"):
    """Loss of log-probabilities x (rows, classes), and the divisor that its backward wants."""
    rows, n = x.shape
    check_labels(labels, n, ignore_index)
    weight, weighted = _class_weight(weight, x)
    loss, mass = empty(rows, x.dtype), empty(rows, x.dtype)
    _nll_rows(rows, rows * 5, x.ravel(), labels, weight, weighted, ignore_index, loss, mass, n)
    return _reduced(loss, mass, reduction)


def nll_loss_backward(
    grad, shape, labels, divisor, weight=None, ignore_index=-100, reduction="mean"
):
    """Gradient of the log-probabilities, of ``shape`` (rows, classes)."""
    rows, n = shape
    grad_x = empty(shape, grad.dtype)
    weight, weighted = _class_weight(weight, grad_x)
    _nll_backward(
        rows, grad_x.size * 0.1, grad.ravel(), int(reduction == "none"), divisor, labels,
        weight, weighted, ignore_index, grad_x.ravel(), n,
    )  # fmt: skip
    return grad_x
