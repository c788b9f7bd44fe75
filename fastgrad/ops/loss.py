"""Rules of losses that compare x with a target, element by element: one family."""

import math

import numpy as np

from ..backend import K
from ..lifting import op
from ..tape import as_array, recording
from ..tensor import Tensor
from ._family import T, constants, same_type
from ._reduction import checked, reduced, reduced_array

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "gaussian_nll_loss",
    "hinge_embedding_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "mse_loss",
    "multilabel_soft_margin_loss",
    "poisson_nll_loss",
    "smooth_l1_loss",
    "soft_margin_loss",
]


def _pointwise(name, kernel, formula, of_x=None, of_target="swapped"):
    """The operation ``K.kernel(x, target, *numbers)``, reduced.

    formula     the same by operations on tensors, for gradients of gradients
    of_x        (grad, x, target, *numbers) -> the gradient of x; by default the kernel's backward
    of_target   likewise that of the target, or None; by default x's with the two exchanged
    """
    if of_x is None:

        def of_x(grad, *operands):
            return getattr(K, f"{kernel}_backward")(grad, *operands)

    if of_target == "swapped":

        def of_target(grad, x, target, *numbers):
            return of_x(grad, target, x, *numbers)

    @op(name=name)
    def loss(x, target, *, reduction, numbers=()):
        if x.shape != target.shape:
            raise ValueError(
                f"{name}: x has shape {x.shape}, target {target.shape}; expected equal"
            )
        if x.dtype is not target.dtype or x.dtype.kind != "f":
            x, target = same_type(x, target)
            if x.dtype.kind != "f":
                raise TypeError(f"{name}: expected float tensors, got {x.dtype}")
        numbers = constants(x.dtype, numbers)
        out, factor = reduced_array(name, getattr(K, kernel)(x, target, *numbers), reduction)
        out, back = as_array(out), lambda grad: of_x(K.mul(grad, factor), x, target, *numbers)
        if of_target is None:
            return out, (back, None)
        return out, (back, lambda grad: of_target(K.mul(grad, factor), x, target, *numbers))

    @loss.composed_of
    def _(x, target, *, reduction, numbers=()):
        numbers = (y.item() if y.size == 1 else Tensor(y) for y in map(np.asarray, numbers))
        return reduced(formula(x, target, *numbers), reduction)

    return loss


def _weighted(loss, x, target, weight, reduction, numbers=()):
    """A loss whose elements have weights, which broadcast; the mean is over their number."""
    return reduced(loss(x, target, reduction="none", numbers=numbers) * weight, reduction)


def _averaged(name, loss, x, target, weight, reduction, numbers=()):
    """A loss whose elements have weights of their own; the mean is over the weights."""
    _check_weight(name, x, weight)
    if reduction != "mean":
        return _weighted(loss, x, target, weight, reduction, numbers)
    return _weighted(loss, x, target, weight, "sum", numbers) / T.sum(weight)


def _check_weight(name, x, weight):
    if weight.shape != x.shape:
        raise ValueError(f"{name}: weight has shape {weight.shape}, x {x.shape}; expected equal")


# ------------------------------------------------------------------ of distances


def _clipped(x, target, delta, scale):
    d = x - target
    near = T.clamp(d, -delta, delta)
    return near * (d - 0.5 * near) * scale


_mse = _pointwise("mse_loss", "mse", lambda x, target: T.square(x - target))
_l1 = _pointwise("l1_loss", "l1", lambda x, target: T.abs(x - target))
_huber = _pointwise("huber_loss", "huber", _clipped)
_smooth_l1 = _pointwise("smooth_l1_loss", "huber", _clipped)


def mse_loss(x, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """Squared error ``(x - target)²``, its mean, sum or neither.

    weight   of each element; the mean is over the weights
    size_average, reduce   PyTorch's former names of reductions

    Raises ``ValueError`` where the shapes differ or the reduction is unknown.

    >>> import fastgrad as fg
    >>> fg.mse_loss(fg.tensor([1.0, 2.0]), fg.tensor([1.0, 4.0]))
    tensor(2.)
    """
    reduction = checked("mse_loss", reduction, size_average, reduce)
    if weight is not None:
        return _averaged("mse_loss", _mse, x, target, weight, reduction)
    return _mse(x, target, reduction=reduction)


def l1_loss(x, target, size_average=None, reduce=None, reduction="mean", weight=None):
    """``|x - target|``, reduced; see ``mse_loss``. Its slope at 0 is 0.

    >>> import fastgrad as fg
    >>> fg.l1_loss(fg.tensor([1.0, 2.0]), fg.tensor([1.0, 4.0]))
    tensor(1.)
    """
    reduction = checked("l1_loss", reduction, size_average, reduce)
    if weight is not None:
        return _averaged("l1_loss", _l1, x, target, weight, reduction)
    return _l1(x, target, reduction=reduction)


def huber_loss(x, target, reduction="mean", delta=1.0, weight=None):
    """``d² / 2`` where ``d = |x - target| <= delta``, else ``delta · (d - delta / 2)``. Huber 1964.

    Raises ``ValueError`` for a delta that is not positive; else see ``mse_loss``.

    >>> import fastgrad as fg
    >>> fg.huber_loss(fg.tensor([1.0, 2.0]), fg.tensor([1.5, 5.0]), reduction="none")
    tensor([0.1250, 2.5000])
    """
    reduction = checked("huber_loss", reduction)
    if delta <= 0:
        raise ValueError(f"huber_loss: delta {delta} is not positive")
    numbers = delta, 1.0
    if weight is not None:
        _check_weight("huber_loss", x, weight)  # and, as in PyTorch, a mean over the elements
        return _weighted(_huber, x, target, weight, reduction, numbers)
    return _huber(x, target, reduction=reduction, numbers=numbers)


def smooth_l1_loss(x, target, size_average=None, reduce=None, reduction="mean", beta=1.0):
    """``d² / (2 beta)`` where ``d = |x - target| < beta``, else ``d - beta / 2``. Girshick 2015.

    With beta 0 it is ``l1_loss``.

    Raises ``ValueError`` for a negative beta; else see ``mse_loss``.

    >>> import fastgrad as fg
    >>> fg.smooth_l1_loss(fg.tensor([1.0, 2.0]), fg.tensor([1.5, 5.0]), reduction="none")
    tensor([0.1250, 2.5000])
    """
    reduction = checked("smooth_l1_loss", reduction, size_average, reduce)
    if beta < 0:
        raise ValueError(f"smooth_l1_loss: beta {beta} is negative")
    if beta == 0:
        return _l1(x, target, reduction=reduction)
    return _smooth_l1(x, target, reduction=reduction, numbers=(beta, 1.0 / beta))


# ------------------------------------------------------------------ of probabilities


def _bce_formula(x, target):
    yes, no = (T.clamp_min(T.log(p), -100.0) for p in (x, 1.0 - x))
    return (target - 1.0) * no - target * yes


def _bce_of_target(grad, x, target):
    return K.mul(grad, K.sub(K.log1p(K.neg(x)), K.log(x)))


def _with_logits(x, target, pos_weight):
    return (1.0 - target) * x - (1.0 + (pos_weight - 1.0) * target) * T.logsigmoid(x)


def _with_logits_of_target(grad, x, target, pos_weight):
    log_p = K.logsigmoid(x)
    return K.mul(grad, K.sub(log_p, K.add(x, K.mul(log_p, pos_weight))))


def _of_logs(x, target):
    return T.exp(target) * (target - x)


_bce = _pointwise("binary_cross_entropy", "bce", _bce_formula, of_target=_bce_of_target)
_bce_with_logits = _pointwise(
    "binary_cross_entropy_with_logits",
    "bce_with_logits",
    _with_logits,
    of_target=_with_logits_of_target,
)
_kl_div = _pointwise(
    "kl_div",
    "kl_div",
    lambda x, target: target * (T.log(T.where(T.eq(target, 0.0), 1.0, target)) - x),
    of_x=lambda grad, x, target: K.neg(K.mul(grad, target)),
    of_target=lambda grad, x, target: K.mul(grad, K.sub(K.add(K.log(target), 1.0), x)),
)


def binary_cross_entropy(x, target, weight=None, size_average=None, reduce=None, reduction="mean"):
    """``-target · log x - (1 - target) · log(1 - x)`` of probabilities x, reduced.

    Each logarithm counts as at least -100. For scores, ``binary_cross_entropy_with_logits`` is
    exact. weight, if given, is of each element, and broadcasts.

    Raises ``ValueError`` where the shapes differ or the reduction is unknown.

    >>> import fastgrad as fg
    >>> fg.binary_cross_entropy(fg.tensor([0.5, 0.9]), fg.tensor([1.0, 1.0]))
    tensor(0.3993)
    """
    reduction = checked("binary_cross_entropy", reduction, size_average, reduce)
    if weight is not None:
        return _weighted(_bce, x, target, weight, reduction)
    return _bce(x, target, reduction=reduction)


def binary_cross_entropy_with_logits(
    x, target, weight=None, size_average=None, reduce=None, reduction="mean", pos_weight=None
):
    """``binary_cross_entropy(sigmoid(x), target)``, stable for any x.

    weight       of each element; broadcasts
    pos_weight   of the positive part, ``-pos_weight · target · log sigmoid(x)``; broadcasts

    Raises ``ValueError`` where the shapes differ or the reduction is unknown.

    >>> import fastgrad as fg
    >>> fg.binary_cross_entropy_with_logits(fg.tensor([0.0, 1000.0]), fg.tensor([1.0, 1.0]))
    tensor(0.3466)
    """
    name = "binary_cross_entropy_with_logits"
    reduction = checked(name, reduction, size_average, reduce)
    numbers = (1.0,)
    if pos_weight is not None:
        numbers = (pos_weight.data if isinstance(pos_weight, Tensor) else np.asarray(pos_weight),)
    if weight is not None:
        return _weighted(_bce_with_logits, x, target, weight, reduction, numbers)
    return _bce_with_logits(x, target, reduction=reduction, numbers=numbers)


def multilabel_soft_margin_loss(
    x, target, weight=None, size_average=None, reduce=None, reduction="mean"
):
    """The mean over the classes (N, C) of ``binary_cross_entropy_with_logits``, reduced.

    weight   of each class; broadcasts

    >>> import fastgrad as fg
    >>> fg.multilabel_soft_margin_loss(fg.zeros(1, 2), fg.tensor([[1.0, 0.0]]))
    tensor(0.6931)
    """
    reduction = checked("multilabel_soft_margin_loss", reduction, size_average, reduce)
    each = binary_cross_entropy_with_logits(x, target, weight, reduction="none")
    return reduced(each.mean(dim=-1), reduction)


def kl_div(x, target, size_average=None, reduce=None, reduction="mean", log_target=False):
    """``target · (log target - x)`` of log-probabilities x, reduced.

    log_target   whether the target is of log-probabilities, too
    reduction    also "batchmean": the sum over the size of the first axis, which alone is the
                 divergence of Kullback and Leibler

    Raises ``ValueError`` where the shapes differ or the reduction is unknown.

    >>> import fastgrad as fg
    >>> fg.kl_div(fg.log(fg.tensor([[0.5, 0.5]])), fg.tensor([[1.0, 0.0]]), reduction="batchmean")
    tensor(0.6931)
    """
    batchmean = reduction == "batchmean"
    reduction = checked("kl_div", "sum" if batchmean else reduction, size_average, reduce)
    if log_target:
        if x.shape != target.shape:
            raise ValueError(f"kl_div: x has shape {x.shape}, target {target.shape}")
        loss = reduced(_of_logs(x, target), reduction)
    else:
        loss = _kl_div(x, target, reduction=reduction)
    return loss / x.shape[0] if batchmean and x.ndim else loss


# ------------------------------------------------------------------ of other kinds


def _hinge_formula(x, target, margin):
    apart = T.where(T.eq(target, 1.0), 0.0, T.clamp_min(margin - x, 0.0))
    return apart + T.where(T.eq(target, -1.0), 0.0, x)


_hinge_embedding = _pointwise(
    "hinge_embedding_loss", "hinge_embedding", _hinge_formula, of_target=None
)
_soft_margin = _pointwise(
    "soft_margin_loss", "soft_margin", lambda x, target: -T.logsigmoid(target * x)
)
_poisson = _pointwise(
    "poisson_nll_loss",
    "poisson_nll",
    lambda x, target: T.exp(x) - target * x,
    of_target=lambda grad, x, target: K.neg(K.mul(grad, x)),
)


def hinge_embedding_loss(x, target, margin=1.0, size_average=None, reduce=None, reduction="mean"):
    """Distances x of pairs that belong together (1) or apart (-1): ``x`` or ``max(margin - x, 0)``.

    Raises ``ValueError`` where the shapes differ or the reduction is unknown.

    >>> import fastgrad as fg
    >>> fg.hinge_embedding_loss(fg.tensor([0.5, 0.25]), fg.tensor([1.0, -1.0]), reduction="none")
    tensor([0.5000, 0.7500])
    """
    reduction = checked("hinge_embedding_loss", reduction, size_average, reduce)
    return _hinge_embedding(x, target, reduction=reduction, numbers=(margin,))


def soft_margin_loss(x, target, size_average=None, reduce=None, reduction="mean"):
    """``log(1 + e^(-target · x))`` for targets 1 and -1, reduced; stable for any x.

    Raises ``ValueError`` where the shapes differ or the reduction is unknown.

    >>> import fastgrad as fg
    >>> fg.soft_margin_loss(fg.tensor([0.0, 0.0]), fg.tensor([1.0, -1.0]))
    tensor(0.6931)
    """
    reduction = checked("soft_margin_loss", reduction, size_average, reduce)
    return _soft_margin(x, target, reduction=reduction)


def poisson_nll_loss(
    x, target, log_input=True, full=False, size_average=None, eps=1e-8, reduce=None,
    reduction="mean",
):  # fmt: skip
    """Negative log-likelihood of counts: ``eˣ - target · x``, the rate being eˣ.

    log_input   False: x is the rate itself, ``x - target · log(x + eps)``
    full        adds Stirling's ``target · log target - target + log(2π · target) / 2`` for
                targets above 1

    Raises ``ValueError`` where the shapes differ or the reduction is unknown.

    >>> import fastgrad as fg
    >>> fg.poisson_nll_loss(fg.tensor([0.0]), fg.tensor([2.0]))
    tensor(1.)
    """
    reduction = checked("poisson_nll_loss", reduction, size_average, reduce)
    if x.dtype.kind != "f" and target.dtype.kind != "f":
        x = (x if isinstance(x, Tensor) else Tensor(x)).to(np.float32)
    if log_input and not full:
        return _poisson(x, target, reduction=reduction)
    if log_input:
        each = _poisson(x, target, reduction="none")
    else:
        each = x - target * T.log(x + eps)
    if full:
        large = T.where(T.gt(target, 1.0), target, 1.0)
        stirling = large * T.log(large) - large + 0.5 * T.log(2 * math.pi * large)
        each = each + T.where(T.gt(target, 1.0), stirling, 0.0)
    return reduced(each, reduction)


def gaussian_nll_loss(x, target, var, full=False, eps=1e-6, reduction="mean"):
    """``(log var + (x - target)² / var) / 2``, var being at least eps. Nix & Weigend 1994.

    var    a number, or of x's shape, or without its last axis, or with one axis of size 1
    full   adds ``log(2π) / 2``
    eps    is not differentiated: where var is less, it still has var's gradient

    Raises ``ValueError`` for a var of another shape or below 0, or an unknown reduction.

    >>> import fastgrad as fg
    >>> fg.gaussian_nll_loss(fg.tensor([1.0]), fg.tensor([3.0]), fg.tensor([4.0]))
    tensor(1.1931)
    """
    reduction = checked("gaussian_nll_loss", reduction)
    var = var if isinstance(var, Tensor) else T.zeros_like(x) + var
    if not recording.here() and (var.data < 0).any():
        raise ValueError("gaussian_nll_loss: var has numbers below 0")
    if var.shape == x.shape[:-1] != x.shape:
        var = T.unsqueeze(var, -1)
    elif var.ndim != x.ndim or [
        b for a, b in zip(x.shape, var.shape, strict=True) if a != b
    ] not in ([], [1]):
        raise ValueError(f"gaussian_nll_loss: var has shape {var.shape}, x {x.shape}")
    least = T.clamp_min(var.detach(), eps)
    var = var + (least - var.detach())
    each = 0.5 * (T.log(var) + T.square(x - target) / var)
    return reduced(each + 0.5 * math.log(2 * math.pi) if full else each, reduction)
