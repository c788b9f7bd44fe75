"""Rows of the losses; see ``op_cases``."""

import itertools

import numpy as np
from op_cases import Case, Sample, distinct

from fastgrad import functional as F

_REDUCTIONS = ("mean", "sum", "none")


def _reduced(loss, reduction):
    return {"mean": np.mean, "sum": np.sum, "none": lambda x: x}[reduction](loss)


# ------------------------------------------------------------------ of classes


def _soft_cross_entropy(x, target, weight=None, reduction="mean", label_smoothing=0.0):
    axis = 0 if x.ndim == 1 else 1
    shifted = x - x.max(axis=axis, keepdims=True)
    log_p = shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    shares = target * (1 - label_smoothing) + label_smoothing / x.shape[axis]
    if weight is not None:
        shares = shares * weight.reshape(-1, *[1] * (x.ndim - 1 - axis))
    return _reduced(-(shares * log_p).sum(axis=axis), reduction)


_CLASS_WEIGHT = np.array([0.5, 2.0, 1.25])
_SOFT = (
    *(
        Sample(((5, 3), (5, 3)), {"reduction": reduction, **weight, **smoothing})
        for reduction in _REDUCTIONS
        for weight in ({}, {"weight": _CLASS_WEIGHT})
        for smoothing in ({}, {"label_smoothing": 0.1})
    ),
    Sample(((3,), (3,)), {"weight": _CLASS_WEIGHT}),
    Sample(((2, 3, 4), (2, 3, 4)), {"weight": _CLASS_WEIGHT}),
    Sample(((2, 3, 2, 2), (2, 3, 2, 2)), {"reduction": "none"}),
    Sample(((4, 40), (4, 40)), {"reduction": "sum"}),
)

# ------------------------------------------------------------------ element by element


def _pointwise(name, formula, samples=(), *, draw=None, errors=(), **more):
    """A loss of x and a target of one shape, and of numbers."""

    def reference(x, target, reduction="mean", **numbers):
        return _reduced(np.asarray(formula(x, target, **numbers)), reduction)

    samples = (
        *(Sample(((3, 4), (3, 4)), {"reduction": reduction}) for reduction in _REDUCTIONS),
        Sample(((), ())),
        Sample(((70,), (70,)), {"reduction": "sum"}),
        *(Sample(((3, 4), (3, 4)), options) for options in samples),
    )
    errors = (
        ((np.zeros(3), np.zeros((3, 1))), {}, ValueError, f"{name}: x has shape"),
        ((np.zeros(3), np.zeros(3)), {"reduction": "x"}, ValueError, "unknown reduction"),
        ((np.zeros(0), np.zeros(0)), {}, ValueError, f"{name}: the batch is empty"),
        ((np.zeros(2, int), np.zeros(2, int)), {}, TypeError, f"{name}: expected float tensors"),
        *errors,
    )
    more = {"special": False, **more}
    if draw is not None:
        more["draw"] = draw
    return Case(name, getattr(F, name), reference, samples, errors=errors, **more)


def _share(rng, shape):
    return rng.uniform(0.05, 0.95, shape)


def _side(rng, shape):
    return rng.choice([-1.0, 1.0], shape)


def _huber(x, target, delta=1.0):
    d = np.abs(x - target)
    return np.where(d <= delta, d * d / 2, delta * (d - delta / 2))


def _bce(x, target):
    return -target * np.log(x) - (1 - target) * np.log(1 - x)


def _with_logits(x, target, weight=1.0, reduction="mean", pos_weight=1.0):
    p = 0.5 * (1 + np.tanh(x / 2))
    loss = -pos_weight * target * np.log(p) - (1 - target) * np.log(1 - p)
    return _reduced(loss * weight, reduction)


def _with_target(name, reference, target, samples, **more):
    """A loss whose target has no gradient: given, and not drawn."""
    return Case(
        name, getattr(F, name), reference,
        tuple(Sample(((3, 4), target), options) for options in samples),
        special=False, **more,
    )  # fmt: skip


_SIDES = _side(np.random.default_rng(3), (3, 4)).astype(int)
_ALL = tuple({"reduction": reduction} for reduction in _REDUCTIONS)
_WEIGHT = np.random.default_rng(4).uniform(0.5, 2.0, (3, 4))


def _hinge(x, target, margin=1.0, reduction="mean"):
    return _reduced(np.where(target == 1, x, np.maximum(margin - x, 0)), reduction)


def _poisson(x, target, log_input=True, full=False, eps=1e-8, reduction="mean"):
    loss = np.exp(x) - target * x if log_input else x - target * np.log(x + eps)
    if full:
        stirling = target * np.log(target) - target + 0.5 * np.log(2 * np.pi * target)
        loss = loss + np.where(target > 1, stirling, 0.0)
    return _reduced(loss, reduction)


def _kl(x, target, reduction="mean", log_target=False):
    loss = np.exp(target) * (target - x) if log_target else target * (np.log(target) - x)
    return loss.sum() / len(x) if reduction == "batchmean" else _reduced(loss, reduction)


def _gaussian(x, target, var, full=False, reduction="mean"):
    var = var[..., None] if var.ndim == x.ndim - 1 and var.ndim else var
    loss = 0.5 * (np.log(var) + (x - target) ** 2 / var)
    return _reduced(loss + 0.5 * np.log(2 * np.pi) if full else loss, reduction)


def _positive(rng, shape):
    return rng.uniform(0.3, 3.0, shape)


# ------------------------------------------------------------------ margins and distances


def _multi_margin(x, target, p=1, margin=1.0, weight=None, reduction="mean"):
    rows, labels = np.atleast_2d(x), np.atleast_1d(target)
    at = np.arange(len(rows))
    hinges = np.maximum(margin - rows[at, labels][:, None] + rows, 0) ** p
    hinges[at, labels] = 0
    loss = hinges.sum(axis=1) / rows.shape[1] * (1.0 if weight is None else weight[labels])
    return _reduced(loss.reshape(x.shape[:-1]), reduction)


def _multilabel_margin(x, target, reduction="mean"):
    losses = []
    for row, labels in zip(np.atleast_2d(x), np.atleast_2d(target), strict=True):
        own = list(itertools.takewhile(lambda label: label >= 0, labels))
        others = np.setdiff1d(np.arange(row.size), own)
        losses.append(sum(max(0, 1 - row[i] + row[j]) for i in own for j in others) / row.size)
    return _reduced(np.reshape(losses, x.shape[:-1]), reduction)


def _ranking(x1, x2, target, margin=0.0, reduction="mean"):
    return _reduced(np.maximum(0, margin - target * (x1 - x2)), reduction)


def _norm(x, p=2.0, axis=-1, keepdims=False):
    return (np.abs(x) ** p).sum(axis=axis, keepdims=keepdims) ** (1 / p)


def _normalize(x, p=2.0, dim=1, eps=1e-12):
    return x / np.maximum(_norm(x, p, dim, True), eps)


def _cosine(x1, x2, dim=1, eps=1e-8):
    lengths = np.maximum(_norm(x1, axis=dim), eps) * np.maximum(_norm(x2, axis=dim), eps)
    return (x1 * x2).sum(axis=dim) / lengths


def _distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    return _norm(x1 - x2 + eps, p, keepdims=keepdim)


def _cosine_embedding(x1, x2, target, margin=0.0, reduction="mean"):
    cosine = _cosine(x1, x2, -1)
    return _reduced(np.where(target == 1, 1 - cosine, np.maximum(0, cosine - margin)), reduction)


def _triplet(a, b, c, margin=1.0, p=2.0, eps=1e-6, swap=False, reduction="mean"):
    far = _distance(a, c, p, eps)
    far = np.minimum(far, _distance(b, c, p, eps)) if swap else far
    return _reduced(np.maximum(0, _distance(a, b, p, eps) - far + margin), reduction)


def _triplets(*options):
    shape = (5, 4)
    return tuple(Sample((shape,) * 3, given) for given in ({}, *_ALL, {"swap": True}, *options))


_LABELS = np.array([2, 0, 1, 2, 2])
_BAD = np.array([0, 3])
_PAIR = np.array([1, -1, 1, -1, -1])
_SEVERAL = np.array([[2, 0, -1], [-1, 1, 1], [0, 1, 2], [1, -1, 2], [0, -1, -1]])

ROWS = (
    Case(
        "cross_entropy",
        F.cross_entropy,
        _soft_cross_entropy,
        _SOFT,
        special=False,
        errors=(
            ((np.zeros((2, 3)), np.zeros((2, 3), np.float32)), {}, TypeError,
             "cross_entropy: expected probabilities of x's type, float64, got float32"),
            ((np.zeros((2, 3)), np.zeros((2, 3))), {"ignore_index": 1}, ValueError,
             "ignore_index is for labels, not for probabilities"),
            ((np.zeros((0, 3)), np.zeros((0, 3))), {}, ValueError, "the batch is empty"),
        ),
    ),
    _pointwise("mse_loss", lambda x, t: (x - t) ** 2, special=True),
    _pointwise("l1_loss", lambda x, t: np.abs(x - t), draw=distinct, special=True),
    _pointwise(
        "huber_loss", _huber, ({"delta": 0.3}, {"delta": 3.0}),
        errors=(((np.zeros(2), np.zeros(2)), {"delta": 0.0}, ValueError, "delta 0.0 is not"),),
    ),
    _pointwise(
        "smooth_l1_loss", lambda x, t, beta=1.0: _huber(x, t, beta) / beta,
        ({"beta": 0.3}, {"beta": 3.0}),
        errors=(((np.zeros(2), np.zeros(2)), {"beta": -1.0}, ValueError, "beta -1.0 is negative"),),
    ),
    Case(
        "mse_loss", F.mse_loss,
        lambda x, t, weight, reduction: (
            _reduced(weight * (x - t) ** 2, reduction)
            / (weight.mean() if reduction == "mean" else 1.0)
        ),
        tuple(Sample(((3, 4), (3, 4)), {"weight": _WEIGHT, **options}) for options in _ALL),
        special=False,
    ),
    Case(
        "huber_loss", F.huber_loss,
        lambda x, t, weight, reduction: _reduced(weight * _huber(x, t), reduction),
        tuple(Sample(((3, 4), (3, 4)), {"weight": _WEIGHT, **options}) for options in _ALL),
        special=False,
    ),
    _pointwise("binary_cross_entropy", _bce, draw=_share),
    Case(
        "binary_cross_entropy", F.binary_cross_entropy,
        lambda x, t, weight, reduction: _reduced(_bce(x, t) * weight, reduction),
        tuple(Sample(((3, 4), (3, 4)), {"weight": _WEIGHT[0], **options}) for options in _ALL),
        draw=_share, special=False,
    ),
    Case(
        "binary_cross_entropy_with_logits", F.binary_cross_entropy_with_logits, _with_logits,
        (
            *(Sample(((3, 4), (3, 4)), options) for options in _ALL),
            *(Sample(((3, 4), (3, 4)), options) for options in (
                {"pos_weight": _WEIGHT[0]}, {"weight": _WEIGHT},
                {"weight": _WEIGHT[0], "pos_weight": _WEIGHT[1]},
            )),
            Sample(((), ())),
        ),
        special=False,
        errors=(((np.zeros(3), np.zeros(4)), {}, ValueError, "with_logits: x has shape"),),
    ),
    Case(
        "multilabel_soft_margin_loss", F.multilabel_soft_margin_loss,
        lambda x, t, reduction="mean", weight=1.0: _reduced(
            _with_logits(x, t, weight, "none").mean(axis=-1), reduction
        ),
        tuple(
            Sample(((3, 4), (3, 4)), options) for options in (*_ALL, {"weight": _WEIGHT[0]})
        ),
        special=False,
    ),
    Case(
        "kl_div", F.kl_div, _kl,
        tuple(
            Sample(((3, 4), (3, 4)), {"log_target": log_target, **options})
            for log_target in (False, True) for options in (*_ALL, {"reduction": "batchmean"})
        ),
        draw=_share, special=False,
        errors=(((np.zeros(3), np.zeros(4)), {}, ValueError, "kl_div: x has shape"),),
    ),
    _with_target("hinge_embedding_loss", _hinge, _SIDES, (*_ALL, {"margin": 0.4})),
    _with_target(
        "soft_margin_loss",
        lambda x, t, reduction="mean": _reduced(np.log1p(np.exp(-t * x)), reduction),
        _SIDES, _ALL,
    ),
    Case(
        "poisson_nll_loss", F.poisson_nll_loss, _poisson,
        tuple(
            Sample(((3, 4), (3, 4)), options)
            for options in (*_ALL, {"full": True}, {"log_input": False}, {"eps": 0.1},
                            {"log_input": False, "full": True, "reduction": "sum"})
        ),
        draw=_positive, special=False,
    ),
    Case(
        "gaussian_nll_loss", F.gaussian_nll_loss, _gaussian,
        (
            *(Sample(((3, 4), (3, 4), (3, 4)), options) for options in _ALL),
            Sample(((3, 4), (3, 4), (3,)), {"full": True}), Sample(((3, 4), (3, 4), (3, 1))),
            Sample(((3, 4), (3, 4), (1, 4))),
        ),
        draw=_positive, special=False,
        errors=(((np.zeros((2, 3)), np.zeros((2, 3)), np.zeros(4)), {}, ValueError,
                 r"gaussian_nll_loss: var has shape \(4,\)"),),
    ),
    Case(
        "multi_margin_loss", F.multi_margin_loss, _multi_margin,
        (
            *(Sample(((5, 3), _LABELS), {**options, **more}) for options in _ALL
              for more in ({}, {"p": 2}, {"weight": _CLASS_WEIGHT}, {"margin": 0.3})),
            Sample(((3,), np.array(1))), Sample(((4, 40), np.array([0, 39, 7, 16], np.int32))),
        ),
        special=False, draw=distinct,
        errors=(
            ((np.zeros((2, 3)), _BAD), {}, IndexError,
             "multi_margin_loss: label 3 at position 1 is out of range; expected 0 <= label < 3"),
            ((np.zeros((2, 3)), np.zeros(2)), {}, TypeError, "expected integer labels"),
            ((np.zeros((2, 3)), np.zeros(3, int)), {}, ValueError, r"labels of shape \(2,\)"),
            ((np.zeros((2, 3)), np.zeros(2, int)), {"p": 3}, ValueError, "p is 3; expected 1 or 2"),
            ((np.zeros((0, 3)), np.zeros(0, int)), {}, ValueError, "the batch is empty"),
        ),
    ),
    Case(
        "multilabel_margin_loss", F.multilabel_margin_loss, _multilabel_margin,
        (*(Sample(((5, 3), _SEVERAL), options) for options in _ALL),
         Sample(((3,), np.array([1, 2, -1])))),
        special=False, draw=distinct,
        errors=(
            ((np.zeros((2, 3)), np.full((2, 3), 3)), {}, IndexError,
             "multilabel_margin_loss: label 3 at position 0 .* expected -1 <= label < 3"),
        ),
    ),
    Case(
        "margin_ranking_loss", F.margin_ranking_loss, _ranking,
        (*(Sample(((5,), (5,), _PAIR), options) for options in _ALL),
         Sample(((5,), (5,), _PAIR), {"margin": 0.7})),
        draw=distinct, special=False,
        errors=(((np.zeros(2), np.zeros((2, 1)), np.zeros(2)), {}, ValueError, "numbers of axes"),),
    ),
    Case(
        "normalize", F.normalize, _normalize,
        (Sample(((3, 4),)), Sample(((3, 4),), {"p": 3.0, "dim": 0}),
         Sample(((2, 3, 4),), {"dim": -1, "p": 1.0}), Sample(((3, 4),), {"eps": 3.0})),
        special=False,
    ),
    Case(
        "cosine_similarity", F.cosine_similarity, _cosine,
        (Sample(((3, 4), (3, 4))), Sample(((3, 4), (3, 4)), {"dim": 0}),
         Sample(((5,), (5,)), {"dim": -1})),
        special=False,
    ),
    Case(
        "cosine_similarity", F.cosine_similarity, _cosine,
        (Sample(((3, 4), (3, 4)), {"eps": 3.0}),), special=False, gradient=False,
    ),
    Case(
        "pairwise_distance", F.pairwise_distance, _distance,
        (Sample(((3, 4), (3, 4))), Sample(((3, 4), (3, 4)), {"p": 3.0, "keepdim": True}),
         Sample(((5,), (5,))), Sample(((3, 4), (4,)), {"eps": 1.0})),
        special=False, rtol=1e-4,
    ),
    Case(
        "cosine_embedding_loss", F.cosine_embedding_loss, _cosine_embedding,
        (*(Sample(((5, 4), (5, 4), _PAIR), options) for options in _ALL),
         Sample(((5, 4), (5, 4), _PAIR), {"margin": 0.2}), Sample(((4,), (4,), np.array(1)))),
        special=False,
        errors=(((np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 1))), {}, ValueError,
                 "cosine_embedding_loss: expected vectors"),),
    ),
    Case(
        "triplet_margin_loss", F.triplet_margin_loss, _triplet,
        _triplets({"p": 3.0}, {"margin": 0.3}), special=False, rtol=1e-4,
        errors=(((np.zeros(2),) * 3, {"margin": 0.0}, ValueError, "expected a positive margin"),),
    ),
    Case(
        "triplet_margin_with_distance_loss", F.triplet_margin_with_distance_loss, _triplet,
        _triplets(), special=False, rtol=1e-4,
        errors=(((np.zeros(2),) * 3, {"margin": 0.0}, ValueError, "expected a positive margin"),),
    ),
)  # fmt: skip
