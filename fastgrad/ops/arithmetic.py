"""Rules of arithmetic. Operands broadcast; the tape sums their gradients back."""

import math

import numpy as np

from ..backend import K
from ..lifting import op
from ..tape import as_array
from ._family import T, combine, combine_three, have_floats, masked, promoted, same_type, unary

__all__ = [
    "abs", "add", "addcdiv", "addcmul", "ceil", "clamp", "clamp_max", "clamp_min", "div", "floor",
    "floor_divide", "fmod", "frac", "lerp", "maximum", "minimum", "mul", "neg", "pow", "reciprocal",
    "remainder", "round", "rsqrt", "sign", "sqrt", "square", "sub", "trunc",
]  # fmt: skip


@op
def add(a, b, *, alpha=1):
    """``a + alpha · b``, elementwise with broadcasting.

    >>> import fastgrad as fg
    >>> fg.add(fg.tensor([1.0, 2.0]), 10)
    tensor([11., 12.])
    """
    if alpha == 1:
        return combine("add", a, b), (lambda grad: grad, lambda grad: grad)
    scaled = as_array(combine("mul", b, alpha))
    return combine("add", a, scaled), (lambda grad: grad, lambda grad: K.mul(grad, alpha))


add.differentiable(lambda grad: grad, lambda grad, alpha=1: grad * alpha)


@op
def sub(a, b, *, alpha=1):
    """``a - alpha · b``, elementwise with broadcasting.

    >>> import fastgrad as fg
    >>> fg.sub(fg.tensor([1.0, 2.0]), fg.tensor([[1.0], [2.0]]))
    tensor([[ 0.,  1.],
            [-1.,  0.]])
    """
    if alpha == 1:
        return combine("sub", a, b), (lambda grad: grad, lambda grad: K.neg(grad))
    scaled = as_array(combine("mul", b, alpha))
    return combine("sub", a, scaled), (lambda grad: grad, lambda grad: K.mul(grad, -alpha))


sub.differentiable(lambda grad: grad, lambda grad, alpha=1: grad * -alpha)


@op
def mul(a, b):
    """``a · b``, elementwise with broadcasting.

    >>> import fastgrad as fg
    >>> fg.mul(fg.tensor([1.0, 2.0]), 3)
    tensor([3., 6.])
    """
    return combine("mul", a, b), (lambda grad: K.mul(grad, b), lambda grad: K.mul(grad, a))


mul.differentiable(lambda grad, b: grad * b, lambda grad, a: grad * a)


def div(a, b, *, rounding_mode=None):
    """``a / b``, elementwise with broadcasting; integers give floats.

    rounding_mode   None, "trunc" (towards 0) or "floor"; integers then stay integers, and the
                    gradient is 0

    >>> import fastgrad as fg
    >>> fg.div(fg.tensor([1.0, -2.0]), 4)
    tensor([ 0.2500, -0.5000])
    >>> fg.div(fg.tensor([7, -7]), 2, rounding_mode="trunc")
    tensor([ 3, -3])
    """
    if rounding_mode is None:
        return _div(a, b)
    if rounding_mode not in ("trunc", "floor"):
        raise ValueError(f"div: unknown rounding_mode {rounding_mode!r}; expected trunc or floor")
    return _divide_rounded(a, b, rounding=rounding_mode)


@op(name="div")
def _div(a, b):
    if have_floats(a, b):
        out = combine("div", a, b)
    else:
        out = K.div(*promoted((a, b), np.float32))
    return out, (
        lambda grad: K.div(grad, b),
        lambda grad: K.neg(K.div(K.mul(grad, out), b)),
    )


_div.differentiable(lambda grad, b: grad / b, lambda grad, b, out: -(grad * out / b))


@op(name="div")
def _divide_rounded(a, b, *, rounding):
    if rounding == "floor":
        out = combine("floor_divide", a, b)
    elif have_floats(a, b):
        out = K.trunc(combine("div", a, b))
    else:
        a, b = promoted((a, b))
        out = K.floor_divide(K.sub(a, K.fmod(a, b)), b)
    return out, (lambda grad: K.zeros_like(grad), lambda grad: K.zeros_like(grad))


_divide_rounded.differentiable(lambda grad: T.zeros_like(grad), lambda grad: T.zeros_like(grad))


@op
def floor_divide(a, b):
    """``⌊a / b⌋``, elementwise with broadcasting. No gradient flows.

    >>> import fastgrad as fg
    >>> fg.floor_divide(fg.tensor([7.0, -7.0]), 2)
    tensor([ 3., -4.])
    """
    return combine("floor_divide", a, b), None


@op
def pow(a, b):
    """``aᵇ``, elementwise with broadcasting.

    The gradient of the base is 0 where the exponent is 0; that of the exponent is 0 where the base
    is 0 and the exponent not negative.

    >>> import fastgrad as fg
    >>> fg.pow(fg.tensor([1.0, 2.0]), 3)
    tensor([1., 8.])
    """
    if isinstance(a, np.ndarray) and isinstance(b, int | float) and b == 2 and a.dtype != np.bool_:
        return as_array(K.square(a)), (lambda grad: K.mul(grad, K.add(a, a)),)
    a, b = same_type(a, b)
    out = combine("pow", a, b)
    return out, (
        lambda grad: K.mul(grad, _slope_of_base(K, a, b)),
        lambda grad: K.mul(grad, _slope_of_exponent(K, a, b, out)),
    )


def _slope_of_base(m, a, b):
    """``b · a^(b - 1)``, and 0 for b = 0."""
    if not hasattr(b, "shape"):
        return m.mul(m.pow(a, b - 1), b) if b else m.mul(a, 0.0)
    slope = m.mul(b, m.pow(a, m.sub(b, 1.0)))
    return m.where(m.eq(b, 0.0), 0.0, slope)


def _slope_of_exponent(m, a, b, out):
    """``aᵇ · log a``, and 0 for a = 0 and b ≥ 0."""
    if not hasattr(a, "shape"):
        base = math.log(a) if a > 0 else -math.inf if a == 0 else math.nan
        slope = m.mul(out, base)
        return slope if a else m.where(m.ge(b, 0.0), 0.0, slope)
    slope = m.mul(out, m.log(a))
    none = m.logical_and(m.eq(a, 0.0), m.ge(b, 0.0))
    return m.where(none, 0.0, slope)


pow.differentiable(
    lambda grad, a, b=2: grad * _slope_of_base(T, a, b),
    lambda grad, a, b, out: grad * _slope_of_exponent(T, a, b, out),
)


@op
def fmod(a, b):
    """``a - b · trunc(a / b)``: the remainder with a's sign.

    >>> import fastgrad as fg
    >>> fg.fmod(fg.tensor([5.0, -5.0]), 3)
    tensor([ 2., -2.])
    """
    return _remainder("fmod", "trunc", a, b)


@op
def remainder(a, b):
    """``a - b · ⌊a / b⌋``: the remainder with b's sign.

    >>> import fastgrad as fg
    >>> fg.remainder(fg.tensor([5.0, -5.0]), 3)
    tensor([2., 1.])
    """
    return _remainder("remainder", "floor", a, b)


def _remainder(name, rounding, a, b):
    a, b = same_type(a, b)
    out = combine(name, a, b)
    if out.dtype.kind != "f" and not np.all(b):
        raise ZeroDivisionError(f"{name}: integers are divided by 0")
    return out, (
        lambda grad: grad,
        lambda grad: K.neg(K.mul(grad, getattr(K, rounding)(K.div(a, b)))),
    )


fmod.differentiable(lambda grad: grad, lambda grad, a, b: -grad * T.trunc(a / b))
remainder.differentiable(lambda grad: grad, lambda grad, a, b: -grad * T.floor(a / b))


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


def frac(x):
    """The fraction of x, with its sign.

    >>> import fastgrad as fg
    >>> fg.frac(fg.tensor([1.5, -1.5]))
    tensor([ 0.5000, -0.5000])
    """
    return sub(x, trunc(x))


@op
def lerp(a, b, weight):
    """``a + weight · (b - a)``, from the end that is nearer.

    >>> import fastgrad as fg
    >>> fg.lerp(fg.tensor([0.0, 10.0]), fg.tensor([10.0, 20.0]), 0.25)
    tensor([ 2.5000, 12.5000])
    """
    a, b, weight = same_type(a, b, weight)
    return combine_three("lerp", a, b, weight), (
        lambda grad: K.mul(grad, K.sub(1.0, weight)),
        lambda grad: K.mul(grad, weight),
        lambda grad: K.mul(grad, K.sub(b, a)),
    )


lerp.differentiable(
    lambda grad, weight: grad * (1.0 - weight),
    lambda grad, weight: grad * weight,
    lambda grad, a, b: grad * (b - a),
)


def addcmul(x, a, b, *, value=1):
    """``x + value · a · b``

    >>> import fastgrad as fg
    >>> fg.addcmul(fg.tensor([1.0]), fg.tensor([2.0]), fg.tensor([3.0]), value=10)
    tensor([61.])
    """
    return add(x, mul(a, b), alpha=value)


def addcdiv(x, a, b, *, value=1):
    """``x + value · a / b``

    >>> import fastgrad as fg
    >>> fg.addcdiv(fg.tensor([1.0]), fg.tensor([3.0]), fg.tensor([2.0]), value=10)
    tensor([16.])
    """
    return add(x, div(a, b), alpha=value)


# ------------------------------------------------------------------ of one tensor


@unary(integers=True, bools=None)
def neg(m, grad):
    """``-x``

    >>> import fastgrad as fg
    >>> fg.neg(fg.tensor([1.0, -2.0]))
    tensor([-1.,  2.])
    """
    return m.neg(grad)


@unary(integers=True)
def abs(m, grad, x):
    """``|x|``. Its gradient at 0 is 0.

    >>> import fastgrad as fg
    >>> fg.abs(fg.tensor([1.0, -2.0]))
    tensor([1., 2.])
    """
    return m.mul(grad, m.sign(x))


@unary(integers=True, bools=np.int64)
def square(m, grad, x):
    """``x²``

    >>> import fastgrad as fg
    >>> fg.square(fg.tensor([1.0, -2.0]))
    tensor([1., 4.])
    """
    return m.mul(grad, m.add(x, x))


@unary
def reciprocal(m, grad, out):
    """``1 / x``

    >>> import fastgrad as fg
    >>> fg.reciprocal(fg.tensor([1.0, -2.0]))
    tensor([ 1.0000, -0.5000])
    """
    return m.neg(m.mul(grad, m.square(out)))


@unary
def sqrt(m, grad, out):
    """``√x``, correctly rounded; NaN below 0.

    >>> import fastgrad as fg
    >>> fg.sqrt(fg.tensor([4.0, 2.0]))
    tensor([2.0000, 1.4142])
    """
    return m.div(grad, m.add(out, out))


@unary
def rsqrt(m, grad, out):
    """``1 / √x``; NaN below 0.

    >>> import fastgrad as fg
    >>> fg.rsqrt(fg.tensor([4.0, 16.0]))
    tensor([0.5000, 0.2500])
    """
    return m.mul(m.mul(grad, -0.5), m.mul(out, m.square(out)))


@unary(integers=True)
def sign(m, grad):
    """-1, 0 or 1. Its gradient is 0.

    >>> import fastgrad as fg
    >>> fg.sign(fg.tensor([4.0, -0.5, 0.0]))
    tensor([ 1., -1.,  0.])
    """
    return m.zeros_like(grad)


@unary(integers=True)
def floor(m, grad):
    """The largest whole number not above x. Its gradient is 0.

    >>> import fastgrad as fg
    >>> fg.floor(fg.tensor([1.5, -1.5]))
    tensor([ 1., -2.])
    """
    return m.zeros_like(grad)


@unary(integers=True)
def ceil(m, grad):
    """The smallest whole number not below x. Its gradient is 0.

    >>> import fastgrad as fg
    >>> fg.ceil(fg.tensor([1.5, -1.5]))
    tensor([ 2., -1.])
    """
    return m.zeros_like(grad)


@unary(integers=True)
def trunc(m, grad):
    """x without its fraction. Its gradient is 0.

    >>> import fastgrad as fg
    >>> fg.trunc(fg.tensor([1.5, -1.5]))
    tensor([ 1., -1.])
    """
    return m.zeros_like(grad)


@op
def round(x, *, decimals=0):
    """The nearest number with so many decimals; of two, the even one. Its gradient is 0.

    >>> import fastgrad as fg
    >>> fg.round(fg.tensor([0.5, 1.5, -1.7]))
    tensor([ 0.,  2., -2.])
    >>> fg.round(fg.tensor([1.2345]), decimals=2)
    tensor([1.2300])
    """
    if x.dtype.kind != "f":
        return x.copy(), None
    scale = 10.0 ** (decimals if decimals > 0 else -decimals)
    if not decimals:
        out = K.round(x)
    elif decimals > 0:
        out = K.div(K.round(K.mul(x, scale)), scale)
    else:
        out = K.mul(K.round(K.div(x, scale)), scale)
    return out, lambda grad: K.zeros_like(grad)


round.differentiable(lambda grad: T.zeros_like(grad))
