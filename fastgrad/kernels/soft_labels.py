"""Cross-entropy with a probability of each class as the target, row by row.

As with labels (see ``softmax``), ``log Σ eˣ`` is the one number per row that is kept.
"""

from ._jit import kernel
from ._record import empty
from ._simd import exp, keep_first, lane_sum, lanes, log, read, splat, write, zeros
from .softmax import _NS_EXP, _class_weight, _row_exp_sum, _row_max

__all__ = [
    "soft_cross_entropy_backward",
    "soft_cross_entropy_forward",
    "soft_cross_entropy_target_backward",
]


@kernel
def _rows_of_loss(start, stop, x, target, weight, weighted, smoothing, log_total, loss, n):
    """Per row: ``Σ share · (log Σ eˣ - x)``, a share being target, smoothed and weighted."""
    lane = lanes(x)
    keep, flat = splat(x, 1.0 - smoothing), splat(x, smoothing / n)
    for row in range(start, stop):
        at = row * n
        best = _row_max(x, at, n)
        norm = best + log(_row_exp_sum(x, at, n, best))
        log_total[row] = norm
        level, total = splat(x, norm), zeros(x)
        for i in range(0, n, lane):
            count = min(lane, n - i)
            share = keep * read(target, at + i, count) + flat
            if weighted:
                share *= read(weight, i, count)
            total += keep_first(share * (level - read(x, at + i, count)), count)
        loss[row] = lane_sum(total)


@kernel
def _x_backward(
    start, stop, grad, grad_step, x, target, weight, weighted, smoothing, log_total, out, n
):
    """out = grad · (softmax · Σ share - share)."""
    lane = lanes(x)
    keep, flat = splat(x, 1.0 - smoothing), splat(x, smoothing / n)
    for row in range(start, stop):
        at, total = row * n, zeros(x)
        for i in range(0, n, lane):
            count = min(lane, n - i)
            share = keep * read(target, at + i, count) + flat
            if weighted:
                share *= read(weight, i, count)
            write(out, at + i, count, share)
            total += keep_first(share, count)
        whole, level = splat(x, lane_sum(total)), splat(x, log_total[row])
        scale = splat(x, grad[row * grad_step])
        for i in range(0, n, lane):
            count = min(lane, n - i)
            e = exp(read(x, at + i, count) - level)
            write(out, at + i, count, scale * (e * whole - read(out, at + i, count)))


@kernel
def _target_backward(
    start, stop, grad, grad_step, x, weight, weighted, smoothing, log_total, out, n
):
    """out = grad · (1 - smoothing) · weight · (log Σ eˣ - x)."""
    lane = lanes(x)
    for row in range(start, stop):
        at, level = row * n, splat(x, log_total[row])
        scale = splat(x, grad[row * grad_step] * (1.0 - smoothing))
        for i in range(0, n, lane):
            count = min(lane, n - i)
            value = scale * (level - read(x, at + i, count))
            if weighted:
                value *= read(weight, i, count)
            write(out, at + i, count, value)


def soft_cross_entropy_forward(x, target, weight=None, label_smoothing=0.0):
    """Losses of the rows of logits x (rows, classes), and log Σ eˣ of each."""
    rows, n = x.shape
    loss, log_total = empty(rows, x.dtype), empty(rows, x.dtype)
    _rows_of_loss(
        rows, x.size * _NS_EXP, x.ravel(), target.ravel(), *_class_weight(weight, x),
        float(label_smoothing), log_total, loss, n,
    )  # fmt: skip
    return loss, log_total


def soft_cross_entropy_backward(grad, x, target, log_total, weight=None, label_smoothing=0.0):
    """Gradient of the logits; grad is one number, or one of each row."""
    rows, n = x.shape
    out = empty(x.shape, x.dtype)
    _x_backward(
        rows, x.size * _NS_EXP, grad.ravel(), int(grad.size > 1), x.ravel(), target.ravel(),
        *_class_weight(weight, x), float(label_smoothing), log_total, out.ravel(), n,
    )  # fmt: skip
    return out


def soft_cross_entropy_target_backward(grad, x, log_total, weight=None, label_smoothing=0.0):
    """Gradient of the target; grad is one number, or one of each row."""
    rows, n = x.shape
    out = empty(x.shape, x.dtype)
    _target_backward(
        rows, x.size * 0.15, grad.ravel(), int(grad.size > 1), x.ravel(),
        *_class_weight(weight, x), float(label_smoothing), log_total, out.ravel(), n,
    )  # fmt: skip
    return out
