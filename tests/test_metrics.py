"""Metrics against scikit-learn, and by hand."""

import math
import warnings

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import metrics
from fastgrad.metrics import accuracy, confusion_matrix, f1, precision, recall, top_k_accuracy

AVERAGES = ("macro", "micro", "weighted", None)
FUNCTIONS = {"precision": precision, "recall": recall, "f1": f1}


def drawn(samples, classes, seed, *rest):
    """Scores, and labels of which some are never drawn."""
    rng = np.random.default_rng(seed)
    scores = rng.standard_normal((samples, classes, *rest)).astype(np.float32)
    return scores, rng.integers(0, max(1, classes - 1), (samples, *rest))


CASES = [(1, 1), (1, 5), (7, 2), (50, 3), (500, 10), (40, 30)]


@pytest.mark.parametrize(("samples", "classes"), CASES)
@pytest.mark.parametrize("average", AVERAGES)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_equals_scikit_learn(name, average, samples, classes):
    theirs = pytest.importorskip("sklearn.metrics")
    scores, labels = drawn(samples, classes, samples)
    options = {"average": average, "zero_division": 0}
    if average is None:
        options["labels"] = range(classes)
    expected = getattr(theirs, f"{name}_score")(labels, scores.argmax(1), **options)
    ours = FUNCTIONS[name]
    np.testing.assert_allclose(ours(scores, labels, average), expected, rtol=1e-12)
    np.testing.assert_allclose(ours(fg.tensor(scores), fg.tensor(labels), average), expected)
    predicted = scores.argmax(1)
    np.testing.assert_allclose(ours(predicted, labels, average, classes=classes), expected)


@pytest.mark.parametrize(("samples", "classes"), CASES)
def test_matrix_accuracy_and_top_k_equal_scikit_learns(samples, classes):
    theirs = pytest.importorskip("sklearn.metrics")
    scores, labels = drawn(samples, classes, samples)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of one class alone
        expected = theirs.confusion_matrix(labels, scores.argmax(1), labels=range(classes))
    np.testing.assert_array_equal(confusion_matrix(scores, labels), expected)
    assert accuracy(scores, labels) == theirs.accuracy_score(labels, scores.argmax(1))
    for k in (1, 2, 5):
        if classes > 2:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                wanted = theirs.top_k_accuracy_score(labels, scores, k=k, labels=range(classes))
            assert top_k_accuracy(scores, labels, k) == pytest.approx(wanted)
    assert top_k_accuracy(scores, labels, 1) == accuracy(scores, labels)
    assert top_k_accuracy(scores, labels, classes) == 1.0


def test_by_hand():
    true, predicted = np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 0])
    np.testing.assert_array_equal(
        confusion_matrix(predicted, true), [[1, 1, 0], [0, 2, 0], [1, 0, 0]]
    )
    np.testing.assert_allclose(precision(predicted, true, None), [1 / 2, 2 / 3, 0])
    np.testing.assert_allclose(recall(predicted, true, None), [1 / 2, 1, 0])
    np.testing.assert_allclose(f1(predicted, true, None), [1 / 2, 4 / 5, 0])
    assert f1(predicted, true) == pytest.approx((1 / 2 + 4 / 5) / 3)
    assert f1(predicted, true, "weighted") == pytest.approx((2 * 1 / 2 + 2 * 4 / 5) / 5)
    assert f1(predicted, true, "micro") == accuracy(predicted, true) == 3 / 5


def test_ties_and_nan_are_those_of_argmax():
    scores = np.array([[1, 1, 1], [0, math.nan, math.inf], [math.inf, math.nan, 0]], np.float32)
    for label in range(3):
        labels = np.full(3, label)
        right = (scores.argmax(1) == label).mean()
        assert accuracy(scores, labels) == pytest.approx(right)
    assert top_k_accuracy(np.ones((1, 3)), np.array([1]), 1) == 0.0
    assert top_k_accuracy(np.ones((1, 3)), np.array([1]), 2) == 1.0


def test_more_axes_and_ignored_labels():
    scores, labels = drawn(6, 4, 0, 5)
    flat = np.moveaxis(scores, 1, -1).reshape(-1, 4), labels.reshape(-1)
    for function in (accuracy, precision, recall, f1, top_k_accuracy):
        assert function(scores, labels) == function(*flat)
    labels[:2] = -100
    for function in (accuracy, precision, recall, f1, top_k_accuracy):
        assert function(scores, labels, ignore_index=-100) == function(scores[2:], labels[2:])


@pytest.mark.parametrize("function", [accuracy, precision, recall, f1, confusion_matrix])
@pytest.mark.parametrize(
    ("scores", "labels", "error", "message"),
    [
        (np.zeros((2, 3)), np.zeros(2), TypeError, "expected integer labels, got float64"),
        (np.zeros((2, 3)), np.zeros(3, int), ValueError, "do not fit"),
        (np.zeros(3), np.zeros(3, int), ValueError, "do not fit"),
        (np.zeros((0, 3)), np.zeros(0, int), ValueError, "no labels"),
    ],
)
def test_errors(function, scores, labels, error, message):
    with pytest.raises(error, match=f"^{function.__name__}: .*{message}"):
        function(scores, labels)


def test_errors_of_labels_out_of_range_and_of_options():
    scores = np.zeros((2, 3))
    for function in (confusion_matrix, f1, top_k_accuracy):
        for labels in ([0, 3], [-1, 0]):
            with pytest.raises(ValueError, match=r"label (3|-1) is out of range; expected 0 to 2"):
                function(scores, np.array(labels))
    with pytest.raises(ValueError, match="f1: unknown average 'mean'"):
        f1(scores, np.zeros(2, int), "mean")
    with pytest.raises(ValueError, match="k = 0"):
        top_k_accuracy(scores, np.zeros(2, int), 0)
    with pytest.raises(ValueError, match="no labels that count"):
        f1(scores, np.full(2, -1), ignore_index=-1)


def test_every_name_is_a_function():
    scores, labels = drawn(20, 6, 0)
    for name in [*metrics._NAMED, "top_3_accuracy"]:
        assert np.isfinite(metrics.by_name(name)(scores, labels)).all()
    assert metrics.by_name("f1_classes")(scores, labels).shape == (6,)
    for name in ("f2", "top_0_accuracy", "by_name"):
        with pytest.raises(ValueError, match=f"none named {name!r}; there are accuracy"):
            metrics.by_name(name)
