"""Rows of connectionist temporal classification; see ``op_cases``. The oracle tries every path."""

import itertools

import numpy as np
from op_cases import Case, Sample

import fastgrad as fg
from fastgrad import functional as F


def _collapsed(path, blank):
    return tuple(label for label, _ in itertools.groupby(path) if label != blank)


def _by_all_paths(
    x, targets, input_lengths, target_lengths, blank=0, reduction="mean", zero_infinity=False
):
    shape = x.shape
    x = x.reshape(len(x), -1, x.shape[-1])
    shares = np.exp(x) / np.exp(x).sum(axis=2, keepdims=True)
    counts = np.reshape(target_lengths, -1)
    if targets.ndim == 1:
        targets = np.split(targets, np.cumsum(counts)[:-1])
    losses = []
    for b, steps in enumerate(np.reshape(input_lengths, -1)):
        wanted = tuple(targets[b][: counts[b]])
        total = sum(
            np.prod([shares[t, b, label] for t, label in enumerate(path)])
            for path in itertools.product(range(x.shape[2]), repeat=int(steps))
            if _collapsed(path, blank) == wanted
        )
        losses.append(-np.log(total))
    losses = np.array(losses)
    losses = np.where(np.isinf(losses), 0, losses) if zero_infinity else losses
    if reduction == "none":
        return losses.reshape(shape[1:-1])
    return (losses / np.maximum(counts, 1)).mean() if reduction == "mean" else losses.sum()


def _call(x, *arguments, **options):
    return F.ctc_loss(fg.log_softmax(x, dim=-1), *arguments, **options)


_X = (4, 3, 3)
_ARGUMENTS = _X, np.array([[1, 2], [2, 2], [1, 0]]), np.array([4, 3, 2]), np.array([2, 2, 1])
_ROW = _X, np.array([1, 2, 2, 2, 1]), np.array([4, 3, 2], np.int32), np.array([2, 2, 1], np.int32)
_LAST = (5, 2, 3), np.array([[0, 0], [1, 0]], np.int32), np.array([5, 4]), np.array([2, 2])
_LOGS = np.zeros((2, 1, 3))
_GOOD = np.array([[1, 2]]), np.array([2]), np.array([2])


def _error(*arguments, error=ValueError, match="", x=_LOGS, **options):
    arguments = (*arguments, *_GOOD[len(arguments) :])
    return (x, *map(np.array, arguments)), options, error, f"ctc_loss: .*{match}"


ROWS = (
    Case(
        "ctc_loss", _call, _by_all_paths,
        (
            *(
                Sample(arguments, {"reduction": reduction})
                for arguments in (_ARGUMENTS, _ROW)
                for reduction in ("mean", "sum", "none")
            ),
            Sample(_LAST, {"blank": 2}),
            Sample(((4, 3), np.array([1, 1]), np.array([4]), np.array(2)), {"reduction": "none"}),
            Sample(((4, 3), np.array([1]), np.array(4), np.array([1]))),
            # no label; as many as steps; more than steps, which counts 0
            Sample(((3, 3, 3), np.array([[0, 0], [1, 2], [1, 1]]), np.array([3, 2, 2]),
                    np.array([0, 2, 2])), {"zero_infinity": True}),
            Sample(((3, 2, 2), np.array([[1], [1]]), np.array([0, 3]), np.array([0, 1]))),
        ),
        special=False,
        errors=(
            _error(x=np.zeros((2, 0, 3)), match=r"not empty, got float64 of shape \(2, 0, 3\)"),
            _error([[1.0, 2.0]], error=TypeError, match="integer targets, got float64"),
            _error([[1, 2]] * 2, match=r"expected targets \(1, S\).*got shape \(2, 2\)"),
            _error([[1, 3]], error=IndexError, match="label 3 at position 1 is out of range"),
            _error([[1, 2]], [3], match="input length 3 of sample 0 is not from 0 to 2"),
            _error([[1, 2]], [2], [3], match="target length 3 of sample 0 is not from 0 to 2"),
            _error([1, 2], [2], [1], match="target lengths sum to 1, not to 2 labels"),
            _error([[1, 2]], [2.0], error=TypeError, match="integer input_lengths, got float64"),
            _error([[1, 2]], [2], [1, 1], match="target_lengths for each of 1 samples"),
            _error(blank=3, match="blank 3 is not from 0 to 2"),
            _error(reduction="average", match="unknown reduction"),
        ),
    ),
)  # fmt: skip
