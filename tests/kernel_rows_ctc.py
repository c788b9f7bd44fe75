"""Kernel rows of connectionist temporal classification; see ``kernel_cases``."""

import numpy as np
from kernel_cases import Row

from fastgrad import reference

_SIZES = ((1, 1, 2, 1), (7, 3, 4, 2), (20, 5, 30, 9), (40, 2, 17, 35))
_BENCH = ((50, 16, 20, 30), (200, 32, 40, 50))


def _arguments(m, steps, samples, classes, most):
    """Samples of different lengths, of which one has too few steps, and labels that repeat."""
    x = m.normal(steps, samples, classes)
    x = (x - np.log(np.exp(x).sum(axis=2, keepdims=True))).astype(m.dtype)
    targets = m.rng.integers(1, max(2, min(classes, 4)), (samples, most))
    lengths = m.rng.integers((steps + 1) // 2, steps + 1, samples)
    counts = np.minimum(m.rng.integers(0, most + 1, samples), lengths // 2)
    if samples > 2:
        lengths[0], counts[0] = 0, most
    return x, targets, lengths, counts


def _one_row(m, *s):
    x, targets, lengths, counts = _arguments(m, *s)
    labels = [row[:n] for row, n in zip(targets, counts, strict=True)]
    return x, np.concatenate(labels), lengths, counts


def _backward(make, each, zero_infinity):
    def arguments(m, *s):
        x, targets, *lengths = make(m, *s)
        _, places, alpha, _ = reference.ctc_loss_forward(x, targets, *lengths)
        return (
            m.normal(s[1]) if each else m.normal(), x, targets, places, alpha, 0, zero_infinity
        )  # fmt: skip

    return arguments


_LOOSE = {"float32": 1e-4, "float64": 1e-10}  # differences of sums of many logarithms
ROWS = (
    Row("ctc_loss_forward", _arguments, _SIZES, _BENCH),
    Row("ctc_loss_forward", lambda m, *s: (*_one_row(m, *s), 0, True), _SIZES, label="one row"),
    Row("ctc_loss_backward", _backward(_arguments, False, False), _SIZES, _BENCH, rtol=_LOOSE),
    Row("ctc_loss_backward", _backward(_one_row, True, True), _SIZES, label="one row", rtol=_LOOSE),
)
