"""Rule of connectionist temporal classification."""

import numpy as np

from ..backend import K, contiguous
from ..lifting import op
from ..tape import as_array
from ._reduction import checked

__all__ = ["ctc_loss"]


def _whole(what, values, samples):
    """Lengths as int64 (samples,)."""
    lengths = np.asarray(values) if isinstance(values, int | list | tuple) else as_array(values)
    if lengths.dtype.kind not in "iu":
        raise TypeError(f"ctc_loss: expected integer {what}, got {lengths.dtype}")
    if lengths.size != samples or lengths.ndim > 1:
        raise ValueError(
            f"ctc_loss: expected one of {what} for each of {samples} samples, got shape "
            f"{lengths.shape}"
        )
    return contiguous(lengths.astype(np.int64, copy=False)).reshape(samples)


def _checked(x, targets, blank):
    """(x (steps, samples, classes), targets), in C order and as kernels want them."""
    if x.dtype.kind != "f" or x.ndim not in (2, 3) or not x.size:
        raise ValueError(
            "ctc_loss: expected float log-probabilities (T, N, C) or (T, C), not empty, got "
            f"{x.dtype} of shape {x.shape}"
        )
    if targets.dtype.kind not in "iu":
        raise TypeError(f"ctc_loss: expected integer targets, got {targets.dtype}")
    x = contiguous(x if x.ndim == 3 else x.reshape(len(x), 1, x.shape[1]))
    samples, classes = x.shape[1:]
    if targets.ndim not in (1, 2) or (targets.ndim == 2 and len(targets) != samples):
        raise ValueError(
            f"ctc_loss: expected targets ({samples}, S), or those of all samples in one row, got "
            f"shape {targets.shape}"
        )
    if not 0 <= blank < classes:
        raise ValueError(f"ctc_loss: blank {blank} is not from 0 to {classes - 1}, the classes")
    return x, contiguous(targets.astype(np.int64, copy=False))


@op(name="ctc_loss")
def _ctc_loss(
    log_probs, targets, input_lengths, target_lengths, *, blank, reduction, zero_infinity
):
    shape = log_probs.shape
    log_probs, targets = _checked(log_probs, as_array(targets), blank)
    samples = log_probs.shape[1]
    lengths = [
        _whole(what, values, samples)
        for what, values in (("input_lengths", input_lengths), ("target_lengths", target_lengths))
    ]
    try:
        loss, places, alpha, counted = K.ctc_loss_forward(
            log_probs, targets, *lengths, blank, zero_infinity
        )
    except (IndexError, ValueError) as error:
        raise type(error)(f"ctc_loss: {error}") from None

    def vjp(grad):
        if reduction == "mean":
            grad = K.div(K.mul(grad, 1.0 / samples), counted)
        return K.ctc_loss_backward(
            grad, log_probs, targets, places, alpha, blank, zero_infinity
        ).reshape(shape)

    if reduction == "mean":
        loss = K.mean(K.div(loss, counted))
    elif reduction == "sum":
        loss = K.sum(loss)
    elif len(shape) == 2:
        loss = loss.reshape(())
    return as_array(loss), (vjp,)


def ctc_loss(
    log_probs, targets, input_lengths, target_lengths, blank=0, reduction="mean",
    zero_infinity=False,
):  # fmt: skip
    """``-log p(target)`` of sequences whose labels are not aligned with their steps.

    The probability of a target is that of all sequences of one class at each step which are the
    target once repeated classes are merged and blanks left out.

    log_probs        logarithms of the classes' probabilities (T, N, C), or (T, C) for one sample
    targets          labels (N, S), of which each sample's first few count; or those of all samples
                     one after the other, (sum of target_lengths,)
    input_lengths    how many of the T steps each sample has: a tensor (N,), or numbers
    target_lengths   how many labels
    blank            the class that is no label
    reduction        "mean" (of the losses, each divided by its target's length), "sum" or "none"
    zero_infinity    a target too long for its steps, whose loss is infinite, counts 0

    As in PyTorch, log_probs must be a log-softmax's result: the gradient is that of the scores it
    is taken of, which log-softmax passes on unchanged. It cannot be differentiated again.

    Raises ``TypeError`` for types, ``ValueError`` for shapes and lengths that do not fit,
    ``IndexError`` for a label that is no class.

    Graves, Fernández, Gomez & Schmidhuber 2006.

    >>> import fastgrad as fg
    >>> even = fg.log_softmax(fg.zeros(2, 1, 3), dim=2)  # 1/9 for each of 9 sequences
    >>> fg.ctc_loss(even, fg.tensor([[1]]), (2,), (1,))  # three of them, 1/3: 11, 1-, -1
    tensor(1.0986)
    """
    return _ctc_loss(
        log_probs, targets, input_lengths, target_lengths, blank=blank,
        reduction=checked("ctc_loss", reduction), zero_infinity=zero_infinity,
    )  # fmt: skip
