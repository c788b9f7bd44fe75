"""Rules of losses that want a margin between scores."""

import numpy as np

from ..backend import K, contiguous
from ..lifting import op
from ..tape import as_array
from ..tensor import Tensor
from ._family import T
from ._reduction import checked, reduced, reduced_array

__all__ = ["margin_ranking_loss", "multi_margin_loss", "multilabel_margin_loss"]


def _rows(name, x, target, fitting):
    """(x, target) in C order, x as (rows, classes) and target as int64; all checked.

    fitting   shapes that a target may have
    """
    if x.dtype.kind != "f" or x.ndim > 2 or x.shape[-1:] == (0,):
        raise ValueError(f"{name}: expected float scores (N, C) or (C,), got {x.dtype} {x.shape}")
    if target.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected integer labels, got {target.dtype}")
    if target.shape not in fitting:
        raise ValueError(
            f"{name}: scores {x.shape} want labels of shape {fitting[0]}, got {target.shape}"
        )
    classes = x.shape[-1] if x.ndim else 1
    x = contiguous(x).reshape(x.size // classes, classes)
    return x, contiguous(target.astype(np.int64, copy=False))


def _run(name, kernel, *args):
    try:
        return kernel(*args)
    except IndexError as error:
        raise IndexError(f"{name}: {error}") from None


@op(name="multi_margin_loss")
def _multi_margin(x, target, weight, *, p, margin, reduction):
    shape, fitting = x.shape, [x.shape[:1]] if x.ndim == 2 else [(), (1,)]
    x, target = _rows("multi_margin_loss", x, as_array(target), fitting)
    target = target.reshape(-1)
    classes = x.shape[1]
    if weight is not None and (weight.shape != (classes,) or weight.dtype != x.dtype):
        raise ValueError(
            f"multi_margin_loss: expected class weights {x.dtype} of shape ({classes},), got "
            f"{weight.dtype} of shape {weight.shape}"
        )
    loss = _run("multi_margin_loss", K.multi_margin_forward, x, target, weight, p, margin)
    out, factor = reduced_array("multi_margin_loss", loss, reduction)

    def vjp(grad):
        grad = K.mul(grad, factor)
        return K.multi_margin_backward(grad, x, target, weight, p, margin).reshape(shape)

    return as_array(out if reduction != "none" else out.reshape(shape[:-1])), (vjp,)


@_multi_margin.composed_of
def _(x, target, weight, *, p, margin, reduction):
    shape = x.shape
    x, target = x.reshape(-1, shape[-1] if shape else 1), target.reshape(-1, 1)
    hinges = T.clamp_min(margin + x - T.gather(x, 1, target), 0.0)
    hinges = hinges if p == 1 else T.square(hinges)
    others = T.ne(target, np.arange(x.shape[1])).to(x.dtype)
    each = (hinges * others).sum(dim=1) / x.shape[1]
    each = each if weight is None else each * T.index_select(weight, 0, target.reshape(-1))
    return reduced(each, reduction) if reduction != "none" else each.reshape(shape[:-1])


def multi_margin_loss(
    x, target, p=1, margin=1.0, weight=None, size_average=None, reduce=None, reduction="mean"
):
    """The support vector machine's loss, ``1/C Σⱼ max(0, margin - x[target] + x[j])ᵖ``, j ≠ target.

    x        scores (N, C) or (C,)
    target   labels from 0 to C - 1, (N,) or ()
    p        1 or 2
    weight   of each label, (C,)

    (The course's loss has no division by C: give that by ``reduction="sum"`` or a factor.)
    Weston & Watkins 1999.

    Raises ``TypeError`` for labels that are not integers, ``IndexError`` for one out of range,
    ``ValueError`` for shapes that do not fit, another p, or the mean of an empty batch.

    >>> import fastgrad as fg
    >>> fg.multi_margin_loss(fg.tensor([[3.0, 2.5, 0.0]]), fg.tensor([0]))
    tensor(0.1667)
    """
    reduction = checked("multi_margin_loss", reduction, size_average, reduce)
    if p not in (1, 2):
        raise ValueError(f"multi_margin_loss: p is {p}; expected 1 or 2")
    return _multi_margin(x, target, weight, p=p, margin=margin, reduction=reduction)


@op(name="multilabel_margin_loss")
def _multilabel_margin(x, target, *, reduction):
    shape = x.shape
    x, target = _rows("multilabel_margin_loss", x, as_array(target), [shape])
    target = target.reshape(x.shape)
    loss, own = _run("multilabel_margin_loss", K.multilabel_margin_forward, x, target)
    out, factor = reduced_array("multilabel_margin_loss", loss, reduction)

    def vjp(grad):
        grad = K.mul(grad, factor)
        return K.multilabel_margin_backward(grad, x, target, own).reshape(shape)

    return as_array(out if reduction != "none" else out.reshape(shape[:-1])), (vjp,)


@_multilabel_margin.differentiable
def _(grad, x, target, own, factor, shape):
    rows = x.reshape(own.shape).data
    one = np.ones((), rows.dtype)
    slope = Tensor(K.multilabel_margin_backward(one, rows, target.data.reshape(own.shape), own))
    grad = (grad * factor).reshape(-1, 1)
    return ((grad * slope).reshape(shape),)


def multilabel_margin_loss(x, target, size_average=None, reduce=None, reduction="mean"):
    """``1/C Σᵢⱼ max(0, 1 - x[i] + x[j])``: every class i of a row above every other class j.

    x        scores (N, C) or (C,)
    target   of x's shape: each row's labels, up to its first -1

    Raises ``TypeError`` for labels that are not integers, ``IndexError`` for one out of range,
    ``ValueError`` for shapes that differ and for the mean of an empty batch.

    >>> import fastgrad as fg
    >>> fg.multilabel_margin_loss(fg.tensor([0.1, 0.2, 0.4, 0.8]), fg.tensor([3, 0, -1, 1]))
    tensor(0.8500)
    """
    reduction = checked("multilabel_margin_loss", reduction, size_average, reduce)
    return _multilabel_margin(x, target, reduction=reduction)


def margin_ranking_loss(
    x1, x2, target, margin=0.0, size_average=None, reduce=None, reduction="mean"
):
    """``max(0, margin - target · (x1 - x2))``: x1 should be above x2 for target 1, below for -1.

    Raises ``ValueError`` where the numbers of axes differ or the reduction is unknown.

    >>> import fastgrad as fg
    >>> fg.margin_ranking_loss(fg.tensor([1.0]), fg.tensor([3.0]), fg.tensor([1.0]))
    tensor(2.)
    """
    reduction = checked("margin_ranking_loss", reduction, size_average, reduce)
    x1, x2, target = (y if isinstance(y, Tensor) else Tensor(y) for y in (x1, x2, target))
    if not x1.ndim == x2.ndim == target.ndim:
        raise ValueError(
            "margin_ranking_loss: expected equal numbers of axes, got shapes "
            f"{x1.shape}, {x2.shape} and {target.shape}"
        )
    return reduced(T.clamp_min(margin - target * (x1 - x2), 0.0), reduction)
