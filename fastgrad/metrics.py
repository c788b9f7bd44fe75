"""Measures of a classifier: accuracy, top-k accuracy, confusion matrix, precision, recall, F1.

Each takes scores, or labels that were predicted, and the true labels. ``fit`` and ``evaluate``
take them by name: ``fit(..., validation=loader, metrics=["f1", "top_3_accuracy"])``.

    name                                measures
    accuracy                            share of samples that are right
    top_5_accuracy                      share whose label is among the 5 best; any number
    precision, recall, f1               the mean over the classes ("macro")
    f1_micro, f1_weighted, f1_classes   other means; each class; likewise precision and recall
    confusion_matrix                    counts of (true, predicted)
"""

import re
from functools import partial

import numpy as np

from .tensor import Tensor

__all__ = [
    "accuracy",
    "by_name",
    "confusion_matrix",
    "f1",
    "precision",
    "recall",
    "top_k_accuracy",
]


def accuracy(scores, target, *, ignore_index=None):
    """Share of samples whose largest score is that of the right class, from 0 to 1.

    Parameters
    ----------
    scores
        Scores ``(N, C)`` or ``(N, C, *)``, Tensor or array, of which the largest counts (of equal
        ones the first); or predicted labels of the target's shape.
    target
        Integer labels ``(N,)`` or ``(N, *)``, Tensor or array.
    ignore_index
        A label of samples that do not count.

    Raises ``TypeError`` for labels that are no integers, ``ValueError`` for shapes that do not fit
    and for no labels.

    >>> accuracy(np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]]), np.array([0, 1, 1]))
    0.6666666666666666
    """
    predicted, target, _ = _labels("accuracy", scores, target, ignore_index)
    return int(np.count_nonzero(predicted == target)) / target.size


def top_k_accuracy(scores, target, k=5, *, ignore_index=None):
    """Share of samples whose class has one of the ``k`` largest scores, from 0 to 1.

    scores   ``(N, C)`` or ``(N, C, *)``; of equal scores the first is the larger
    target   integer labels ``(N,)`` or ``(N, *)``

    Raises as ``accuracy`` does, and ``ValueError`` for a k below 1 and labels outside 0 to C - 1.

    >>> scores = np.array([[0.1, 0.2, 0.7], [0.5, 0.3, 0.2]])
    >>> top_k_accuracy(scores, np.array([1, 2]), k=2)
    0.5
    """
    scores, target = _array(scores), _array(target)
    if k < 1:
        raise ValueError(f"top_k_accuracy: k = {k}; expected at least 1")
    _check("top_k_accuracy", scores, target, labels_too=False)
    classes = scores.shape[1]
    rows = np.moveaxis(scores, 1, -1).reshape(-1, classes)
    labels = target.reshape(-1)
    if ignore_index is not None:
        rows, labels = rows[labels != ignore_index], labels[labels != ignore_index]
    _check_range("top_k_accuracy", labels, classes)
    if rows.dtype.kind == "f":
        rows = np.where(np.isnan(rows), np.inf, rows)  # argmax takes NaN for the largest
    own = np.take_along_axis(rows, labels[:, None].astype(np.int64), axis=1)
    earlier = np.arange(classes) < labels[:, None]
    better = (rows > own) | ((rows == own) & earlier)
    return int(np.count_nonzero(better.sum(axis=1) < k)) / labels.size


def confusion_matrix(scores, target, *, classes=None, ignore_index=None):
    """How often each true class (row) was taken for each class (column): int64 ``(C, C)``.

    scores, target, ignore_index   as for ``accuracy``
    classes                        C; by default the number of scores, or the largest label + 1

    Raises as ``accuracy`` does, and ``ValueError`` for labels outside 0 to C - 1.

    >>> confusion_matrix(np.array([0, 1, 1]), np.array([0, 0, 1]))
    array([[1, 1],
           [0, 1]])
    """
    return _matrix("confusion_matrix", scores, target, classes, ignore_index)


def precision(scores, target, average="macro", *, classes=None, ignore_index=None):
    """Of what was taken for a class, the share that is of it: TP / (TP + FP).

    Parameters
    ----------
    scores, target, ignore_index
        As for ``accuracy``.
    average
        "macro", the mean over the classes that occur, be it as labels or as predictions;
        "weighted", their mean weighted by the number of labels; "micro", from the counts of all
        classes together; None, an array ``(C,)`` of each class.
    classes
        As for ``confusion_matrix``.

    A share of nothing is 0. Sokolova & Lapalme 2009. Raises as ``confusion_matrix`` does, and
    ``ValueError`` for another ``average``.

    >>> precision(np.array([0, 1, 1]), np.array([0, 0, 1]))
    0.75
    """
    matrix = _matrix("precision", scores, target, classes, ignore_index)
    hits, taken = np.diagonal(matrix), matrix.sum(axis=0)
    return _averaged("precision", hits, taken, matrix, average)


def recall(scores, target, average="macro", *, classes=None, ignore_index=None):
    """Of what is of a class, the share that was taken for it: TP / (TP + FN); see ``precision``.

    >>> recall(np.array([0, 1, 1]), np.array([0, 0, 1]))
    0.75
    """
    matrix = _matrix("recall", scores, target, classes, ignore_index)
    hits, labels = np.diagonal(matrix), matrix.sum(axis=1)
    return _averaged("recall", hits, labels, matrix, average)


def f1(scores, target, average="macro", *, classes=None, ignore_index=None):
    """Harmonic mean of precision and recall, 2 TP / (2 TP + FP + FN); see ``precision``.

    >>> f1(np.array([0, 1, 1]), np.array([0, 0, 1]))
    0.6666666666666666
    """
    matrix = _matrix("f1", scores, target, classes, ignore_index)
    hits = 2 * np.diagonal(matrix)
    return _averaged("f1", hits, matrix.sum(axis=0) + matrix.sum(axis=1), matrix, average)


def by_name(name):
    """The function of (scores, target) with a name; see the list in ``fastgrad.metrics``.

    Raises ``ValueError`` for a name that is none.

    >>> by_name("top_2_accuracy")(np.array([[0.1, 0.2, 0.7]]), np.array([1]))
    1.0
    """
    if name in _NAMED:
        return _NAMED[name]
    top = re.fullmatch(r"top_([1-9]\d*)_accuracy", name)
    if top:
        return partial(top_k_accuracy, k=int(top[1]))
    known = ", ".join([*_NAMED, "top_5_accuracy (any number)"])
    raise ValueError(f"metrics: there is none named {name!r}; there are {known}")


_NAMED = {"accuracy": accuracy, "confusion_matrix": confusion_matrix}
for _function in (precision, recall, f1):
    _NAMED[_function.__name__] = _function
    for _suffix, _average in (
        ("macro", "macro"), ("micro", "micro"), ("weighted", "weighted"), ("classes", None),
    ):  # fmt: skip
        _NAMED[f"{_function.__name__}_{_suffix}"] = partial(_function, average=_average)


# ------------------------------------------------------------------ pieces


def _array(value):
    return value.data if isinstance(value, Tensor) else np.asarray(value)


def _check(name, scores, target, labels_too=True):
    """Raise where scores and target do not belong together."""
    if target.dtype.kind not in "iub":
        raise TypeError(f"{name}: expected integer labels, got {target.dtype}")
    of_classes = scores.ndim >= 2 and target.shape == scores.shape[:1] + scores.shape[2:]
    if not (of_classes or (labels_too and _are_predictions(scores, target))):
        raise ValueError(
            f"{name}: scores {scores.dtype} {scores.shape} and target {target.shape} do not fit; "
            "expected (N, C) and (N,), or (N, C, *) and (N, *)"
            + ", or two arrays of labels of one shape"
            * labels_too
        )
    if not target.size:
        raise ValueError(f"{name}: no labels, target has shape {target.shape}")


def _are_predictions(scores, target):
    return scores.dtype.kind in "iub" and scores.shape == target.shape


def _check_range(name, labels, classes):
    if not labels.size:
        raise ValueError(f"{name}: no labels that count")
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        bad = low if low < 0 else high
        raise ValueError(f"{name}: label {bad} is out of range; expected 0 to {classes - 1}")


def _labels(name, scores, target, ignore_index):
    """(predicted labels, true labels, number of classes or None), both flat."""
    scores, target = _array(scores), _array(target)
    _check(name, scores, target)
    classes = None
    if _are_predictions(scores, target):
        predicted = scores.reshape(-1)
    else:
        predicted, classes = scores.argmax(axis=1).reshape(-1), scores.shape[1]
    target = target.reshape(-1)
    if ignore_index is not None:
        counted = target != ignore_index
        predicted, target = predicted[counted], target[counted]
        if not target.size:
            raise ValueError(f"{name}: no labels that count")
    return predicted.astype(np.int64), target.astype(np.int64), classes


def _matrix(name, scores, target, classes, ignore_index):
    predicted, target, found = _labels(name, scores, target, ignore_index)
    if classes is None:
        classes = found or int(max(predicted.max(), target.max())) + 1
    for labels in (target, predicted):
        _check_range(name, labels, classes)
    counts = np.bincount(target * classes + predicted, minlength=classes * classes)
    return counts.reshape(classes, classes)


def _averaged(name, hits, of, matrix, average):
    """``hits / of`` by class, averaged; 0 where ``of`` is 0."""
    if average == "micro":
        return int(hits.sum()) / max(1, int(of.sum()))
    shares = hits / np.maximum(of, 1)
    if average is None:
        return shares
    labels = matrix.sum(axis=1)
    if average == "macro":
        return float(shares[(labels + matrix.sum(axis=0)) > 0].mean())
    if average == "weighted":
        return float((shares * labels).sum() / labels.sum())
    raise ValueError(
        f"{name}: unknown average {average!r}; expected 'macro', 'micro', 'weighted' or None"
    )
