"""Rules of the larger and the smaller of two, and of bounds. Operands broadcast."""

import math

from ..backend import K
from ..lifting import op
from ._family import T, combine, combine_three, masked, same_type

__all__ = ["clamp", "clamp_max", "clamp_min", "fmax", "fmin", "maximum", "minimum"]


@op
def maximum(a, b):
    """The larger of two, elementwise; NaN if either is. Ties share the gradient equally.

    >>> import fastgrad as fg
    >>> fg.maximum(fg.tensor([1.0, 5.0]), fg.tensor([3.0, 4.0]))
    tensor([3., 5.])
    """
    a, b = same_type(a, b)
    return combine("maximum", a, b), (
        lambda grad: K.maximum_backward(grad, a, b),
        lambda grad: K.maximum_backward(grad, b, a),
    )


@op
def minimum(a, b):
    """The smaller of two, elementwise; NaN if either is. Ties share the gradient equally.

    >>> import fastgrad as fg
    >>> fg.minimum(fg.tensor([1.0, 5.0]), fg.tensor([3.0, 4.0]))
    tensor([1., 4.])
    """
    a, b = same_type(a, b)
    return combine("minimum", a, b), (
        lambda grad: K.maximum_backward(grad, b, a),
        lambda grad: K.maximum_backward(grad, a, b),
    )


maximum.differentiable(
    lambda grad, a, b: masked(grad, "maximum_backward", a, b),
    lambda grad, a, b: masked(grad, "maximum_backward", b, a),
)
minimum.differentiable(
    lambda grad, a, b: masked(grad, "maximum_backward", b, a),
    lambda grad, a, b: masked(grad, "maximum_backward", a, b),
)


@op
def clamp(x, min=None, max=None):
    """``x`` no lower than ``min`` and no higher than ``max``, which are numbers, tensors or None.

    Gradients flow where x is between the bounds or on one; elsewhere to the bound.

    Raises ``ValueError`` where both bounds are None.

    >>> import fastgrad as fg
    >>> fg.clamp(fg.tensor([-2.0, 0.5, 2.0]), -1, 1)
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min is None and max is None:
        raise ValueError("clamp: expected min or max, got neither")
    if max is None:
        x, min = same_type(x, min)
    elif min is None:
        x, max = same_type(x, max)
    else:
        x, min, max = same_type(x, min, max)
    if x.dtype.kind == "f":
        min, max = -math.inf if min is None else min, math.inf if max is None else max
        out = combine_three("clamp", x, min, max)
    else:
        out = x if min is None else combine("maximum", x, min)
        out = out if max is None else combine("minimum", out, max)
    return out, (
        lambda grad: K.clamp_backward(grad, x, min, max),
        lambda grad: K.where(K.logical_and(K.lt(x, min), K.lt(min, max)), grad, 0.0),
        lambda grad: K.where(K.logical_or(K.gt(x, max), K.lt(max, min)), grad, 0.0),
    )


clamp.differentiable(
    lambda grad, x, min, max: masked(grad, "clamp_backward", x, min, max),
    lambda grad, x, min, max: T.where((x < min) & T.lt(min, max), grad, 0.0),
    lambda grad, x, min, max: T.where((x > max) | T.lt(max, min), grad, 0.0),
)


def clamp_min(x, min):
    """``x`` no lower than ``min``; see ``clamp``.

    >>> import fastgrad as fg
    >>> fg.clamp_min(fg.tensor([-2.0, 2.0]), 0.0)
    tensor([0., 2.])
    """
    return clamp(x, min=min)


def clamp_max(x, max):
    """``x`` no higher than ``max``; see ``clamp``.

    >>> import fastgrad as fg
    >>> fg.clamp_max(fg.tensor([-2.0, 2.0]), 0.0)
    tensor([-2.,  0.])
    """
    return clamp(x, max=max)


# ------------------------------------------------------------------ the larger, past NaN


def _past_nan(name, ahead):
    """``fmax`` or ``fmin``; ``ahead`` is the comparison in which the first operand wins."""

    def first(m, a, b):
        return m.logical_or(getattr(m, ahead)(a, b), m.isnan(b))

    def rule(a, b):
        a, b = same_type(a, b)
        return combine(name, a, b), (
            lambda grad: K.where(first(K, a, b), grad, 0.0),
            lambda grad: K.where(first(K, a, b), 0.0, grad),
        )

    rule.__doc__ = f"""The {"larger" if ahead == "ge" else "smaller"} of two; NaN only if both are.

    Of equal ones the first gets the gradient.

    >>> import fastgrad as fg
    >>> fg.{name}(fg.tensor([1.0, float("nan")]), fg.tensor([3.0, 4.0]))
    tensor([{"3., 4." if ahead == "ge" else "1., 4."}])
    """
    return op(rule, name=name).differentiable(
        lambda grad, a, b: T.where(first(T, a, b), grad, 0.0),
        lambda grad, a, b: T.where(first(T, a, b), 0.0, grad),
    )


fmax, fmin = _past_nan("fmax", "ge"), _past_nan("fmin", "le")
