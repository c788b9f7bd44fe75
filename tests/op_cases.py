"""What a row of the table of operations is: how to call it, what it computes, what it refuses.

The rows stand here and in ``rows_*.py``, family by family; ``all_rows.py`` has them all.
``tests/test_ops.py`` generates its tests from them, and fails for an operation without a row.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

import fastgrad as fg
from fastgrad import functional as F


@dataclass(frozen=True)
class Sample:
    """Arguments of one call: shapes of float inputs, or arrays taken as they are, and options."""

    inputs: tuple
    options: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Case:
    """An operation.

    call       (tensors, **options) -> tensor
    reference  the same on float64 arrays, in plain NumPy
    samples    calls to check
    draw       (rng, shape) -> array: the values of float inputs
    errors     (tensors' arrays, options, exception, message) of calls that are refused
    special    whether NaN and infinities should come out as in the reference
    """

    name: str
    call: Callable
    reference: Callable
    samples: tuple
    draw: Callable = lambda rng, shape: rng.standard_normal(shape)
    errors: tuple = ()
    special: bool = True
    rtol: float = 2e-5
    gradient: bool = True


def positive(rng, shape):
    return rng.uniform(0.2, 3.0, shape)


def away_from_zero(rng, shape):
    x = rng.uniform(0.3, 2.0, shape)
    return x * rng.choice([-1.0, 1.0], shape)


def distinct(rng, shape):
    order = rng.permutation(np.arange(int(np.prod(shape)), dtype=float)).reshape(shape)
    return order * 0.37 - 2 + rng.uniform(0.0, 0.3)  # two draws have no number in common


UNARY = (
    Sample(((),)),
    Sample(((1,),)),
    Sample(((0, 3),)),
    Sample(((5, 7),)),
    Sample(((2, 3, 4),)),
)
PAIRS = (
    Sample(((), ())), Sample(((3,), (3,))), Sample(((4, 5), (5,))), Sample(((4, 5), (4, 1))),
    Sample(((4, 1), (1, 5))), Sample(((2, 3, 4), ())), Sample(((), (2, 3))),
    Sample(((0, 3), (3,))), Sample(((3, 1, 5), (4, 1))),
)  # fmt: skip
DIMS = (
    Sample(((),)), Sample(((5,),)), Sample(((3, 4),)), Sample(((3, 4),), {"dim": 0}),
    Sample(((3, 4),), {"dim": -1, "keepdim": True}), Sample(((2, 3, 4),), {"dim": (0, 2)}),
    Sample(((2, 3, 4),), {"dim": (0, -1), "keepdim": True}), Sample(((2, 3, 4),), {"dim": 1}),
    Sample(((1, 1),), {"dim": 0}), Sample(((40, 70),), {"dim": 0}), Sample(((40, 70),), {"dim": 1}),
)  # fmt: skip
DIM_ERRORS = (
    ((np.zeros((2, 3)),), {"dim": 2}, IndexError, "dim 2 is out of range for 2 dimensions"),
    ((np.zeros((2, 3)),), {"dim": (0, -2)}, ValueError, "names an axis twice"),
)


def reduced(function):
    def reference(x, dim=None, keepdim=False):
        return function(x, axis=dim, keepdims=keepdim)

    return reference


def _softmax(x, dim):
    e = np.exp(x - x.max(axis=dim, keepdims=True))
    return e / e.sum(axis=dim, keepdims=True)


def _log_softmax(x, dim):
    shifted = x - x.max(axis=dim, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=dim, keepdims=True))


_SOFTMAX = (
    Sample(((5,),), {"dim": 0}), Sample(((3, 10),), {"dim": 1}), Sample(((3, 10),), {"dim": 0}),
    Sample(((2, 3, 17),), {"dim": -1}), Sample(((2, 5, 3),), {"dim": 1}),
    Sample(((0, 3),), {"dim": 1}),
    Sample(((4, 1),), {"dim": 1}),
)  # fmt: skip


def _nll(x, target, weight=None, ignore_index=-100, reduction="mean"):
    x = x[None] if x.ndim == 1 else x
    labels = np.asarray(target).reshape(-1)
    rows = np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])
    weight = np.ones(x.shape[1]) if weight is None else weight
    used = labels != ignore_index
    safe = np.where(used, labels, 0).astype(int)
    mass = np.where(used, weight[safe], 0.0)
    loss = -rows[np.arange(len(rows)), safe] * mass
    if reduction == "none":
        return loss.reshape(np.shape(target))
    return loss.sum() / (mass.sum() if reduction == "mean" else 1.0)


def _cross_entropy(
    x, target, weight=None, ignore_index=-100, reduction="mean", label_smoothing=0.0
):
    axis = 0 if x.ndim == 1 else 1
    log_p = _log_softmax(x, axis)
    hard = _nll(log_p, target, weight, ignore_index, reduction)
    if not label_smoothing:
        return hard
    classes = x.shape[axis]
    weights = np.ones(classes) if weight is None else weight
    rows = np.moveaxis(log_p, axis, -1).reshape(-1, classes)
    labels = np.asarray(target).reshape(-1)
    used = labels != ignore_index
    smooth = np.where(used, -(rows * weights).sum(axis=1), 0.0)
    if reduction == "none":
        smooth = smooth.reshape(np.shape(target))
    else:
        mass = np.where(used, weights[np.where(used, labels, 0).astype(int)], 0.0).sum()
        smooth = smooth.sum() / (mass if reduction == "mean" else 1.0)
    return (1 - label_smoothing) * hard + label_smoothing / classes * smooth


_LABELS = np.array([2, 0, 1, 2, 2])
_WITH_IGNORED = np.array([2, -100, 1, 0, -100])
_CLASS_WEIGHT = np.array([0.5, 2.0, 1.25])


def _losses(**more):
    return (
        *(
            Sample(((5, 3), labels), {"reduction": reduction, **weight, **more})
            for labels in (_LABELS, _WITH_IGNORED)
            for reduction in ("mean", "sum", "none")
            for weight in ({}, {"weight": _CLASS_WEIGHT})
        ),
        Sample(((3,), np.array(1)), more),
        Sample(((1, 1), np.array([0])), more),
        Sample(((2, 3, 4), np.array([[0, 1, 2, 2], [1, 1, 0, -100]], np.int32)), more),
        Sample(((3, 20), np.array([19, 0, 7], np.uint8)), {"reduction": "sum", **more}),
    )


def _loss_errors(name):
    x = np.zeros((2, 3))
    return (
        ((x, np.array([0, 3])), {}, IndexError, f"{name}: label 3 at position 1 is out of range"),
        ((x, np.array([0.0, 1.0])), {}, TypeError, f"{name}: expected integer labels, got float64"),
        ((x, np.array([0.0, np.nan])), {}, TypeError, f"{name}: expected integer labels"),
        ((x, np.array([0])), {}, ValueError, r"want labels of shape \(2,\), got \(1,\)"),
        ((x, np.array([0, 1])), {"reduction": "average"}, ValueError, "unknown reduction"),
        ((np.zeros((0, 3)), np.zeros(0, int)), {}, ValueError, f"{name}: the batch is empty"),
        ((x, np.array([0, 1]), np.ones(2)), {}, ValueError, r"expected class weights .* \(3,\)"),
    )


def _batch_norm(x, weight, bias, eps=1e-5):
    axes = (0, *range(2, x.ndim))
    shape = (1, -1, *[1] * (x.ndim - 2))
    x_hat = (x - x.mean(axis=axes, keepdims=True)) / np.sqrt(x.var(axis=axes, keepdims=True) + eps)
    return x_hat * weight.reshape(shape) + bias.reshape(shape)


def _dropout(x, p):
    fg.manual_seed(3)
    return fg.dropout(x, p=p)


def _dropout_reference(x, p):
    fg.manual_seed(3)
    kept = fg.dropout(fg.tensor(np.ones(x.shape)), p=p).numpy() != 0
    return np.where(kept, x / (1 - p) if p < 1 else 0.0, 0.0)


CASES = (
    Case("clone", fg.clone, lambda x: x, UNARY),
    Case("cast", fg.cast, lambda x, dtype: x, (Sample(((3, 2),), {"dtype": np.float64}),)),
    Case(
        "sum", fg.sum, reduced(np.sum), (*DIMS, Sample(((0, 3),), {"dim": 0})),
        errors=DIM_ERRORS,
    ),
    Case("mean", fg.mean, reduced(np.mean), DIMS, errors=DIM_ERRORS),
    Case(
        "amax", fg.amax, reduced(np.max), DIMS, draw=distinct,
        errors=(
            *DIM_ERRORS,
            ((np.zeros((0, 3)),), {"dim": 0}, ValueError, r"amax: shape \(0, 3\) has no elements"),
        ),
    ),
    Case(
        "argmax", fg.argmax,
        lambda x, dim=None, keepdim=False: np.argmax(x, axis=dim, keepdims=keepdim),
        (Sample(((5,),)), Sample(((3, 4),)), Sample(((3, 4),), {"dim": 0}),
         Sample(((2, 3, 4),), {"dim": -2, "keepdim": True})),
        draw=distinct, gradient=False, special=False,
        errors=(((np.zeros((0, 3)),), {}, ValueError, "argmax: shape .* has no elements"),),
    ),
    Case(
        "matmul", fg.matmul, np.matmul,
        (Sample(((3, 4), (4, 5))), Sample(((1, 1), (1, 1))), Sample(((4,), (4, 5))),
         Sample(((3, 4), (4,))), Sample(((4,), (4,))), Sample(((2, 3, 4), (4, 5))),
         Sample(((17, 33), (33, 2))), Sample(((3, 0), (0, 2))), Sample(((0, 3), (3, 2)))),
        errors=(
            ((np.zeros((2, 3)), np.zeros((4, 5))), {}, ValueError,
             r"matmul: inner sizes differ: \(2, 3\) @ \(4, 5\); expected \(3, n\)"),
            ((np.zeros((2, 3)), np.zeros((3, 2), np.float32)), {}, TypeError,
             "matmul: expected float tensors of one type, got float64 and float32"),
            ((np.zeros(()), np.zeros((3, 2))), {}, ValueError, "matmul: expected"),
        ),
    ),
    Case(
        "linear", fg.linear, lambda x, w, b=0.0: x @ w + b,
        (Sample(((3, 4), (4, 5), (5,))), Sample(((3, 4), (4, 5))), Sample(((4,), (4, 2), (2,))),
         Sample(((2, 3, 4), (4, 5), (5,))), Sample(((7, 13), (13, 29), (29,))),
         Sample(((0, 4), (4, 5), (5,))), Sample(((3, 4), (4, 1), (1,)))),
        errors=(
            ((np.zeros((2, 3)), np.zeros((4, 5))), {}, ValueError,
             r"linear: x \(2, 3\) does not fit weight \(4, 5\); .* transpose of PyTorch's"),
            ((np.zeros((2, 3)), np.zeros((3, 5)), np.zeros(4)), {}, ValueError,
             r"linear: bias has shape \(4,\), expected \(5,\)"),
            ((np.zeros((2, 3)), np.zeros((3, 5), int)), {}, TypeError, "linear: expected float"),
        ),
    ),
    Case("softmax", fg.softmax, _softmax, _SOFTMAX, errors=(
        ((np.zeros((2, 3)),), {"dim": 2}, IndexError, "softmax: dim 2 is out of range"),
        ((np.zeros((2, 3), int),), {"dim": 0}, TypeError, "softmax: expected a float tensor"),
    )),
    Case("log_softmax", fg.log_softmax, _log_softmax, _SOFTMAX, errors=(
        ((np.zeros((2, 3)),), {"dim": 2}, IndexError, "log_softmax: dim 2 is out of range"),
    )),
    Case(
        "cross_entropy", F.cross_entropy, _cross_entropy,
        (*_losses(), *_losses(label_smoothing=0.1)),
        errors=(
            *_loss_errors("cross_entropy"),
            ((np.zeros((2, 3)), np.array([0, 1])), {"label_smoothing": 1.5}, ValueError,
             "label_smoothing 1.5 is not from 0 to 1"),
        ),
        special=False,
    ),
    Case("nll_loss", F.nll_loss, _nll, _losses(), errors=_loss_errors("nll_loss"), special=False),
    Case(
        "batch_norm", lambda x, w, b: F.batch_norm(x, None, None, w, b, training=True), _batch_norm,
        (Sample(((5, 3), (3,), (3,))), Sample(((4, 2, 7), (2,), (2,))),
         Sample(((40, 33), (33,), (33,))), Sample(((3, 2, 4, 5), (2,), (2,)))),
        errors=(
            ((np.zeros((2, 3)), np.zeros(2), np.zeros(3)), {}, ValueError,
             r"batch_norm: weight has shape \(2,\), x \(2, 3\) wants \(3,\)"),
            ((np.zeros((1, 3)), np.zeros(3), np.zeros(3)), {}, ValueError,
             "training wants more than one value per channel"),
            ((np.zeros(3), np.zeros(3), np.zeros(3)), {}, ValueError,
             r"expected floats \(N, C, \*\)"),
        ),
        special=False, rtol=1e-4,
    ),
    Case(
        "dropout", _dropout, _dropout_reference,
        (Sample(((50,),), {"p": 0.3}), Sample(((5, 7),), {"p": 1.0}), Sample(((0,),), {"p": 0.5})),
        errors=(((np.zeros(3),), {"p": 1.5}, ValueError, "p = 1.5 is not a probability"),),
        special=False,
    ),
)  # fmt: skip
