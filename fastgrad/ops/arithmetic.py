"""Rules of arithmetic. Operands broadcast; the tape sums their gradients back."""

import math

import numpy as np

from ..backend import K
from ..lifting import op
from ..tape import as_array
from ._family import T, combine, combine_three, have_floats, promoted, same_type

__all__ = [
    "add", "addcdiv", "addcmul", "div", "floor_divide", "fmod", "lerp", "mul", "pow", "remainder",
    "rsub", "sub",
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


def rsub(a, b, *, alpha=1):
    """``b - alpha · a``

    >>> import fastgrad as fg
    >>> fg.rsub(fg.tensor([1.0, 2.0]), 5.0)
    tensor([4., 3.])
    """
    return sub(b, a, alpha=alpha)


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
def lerp(a, b, weight):
    """``a + weight · (b - a)``, from the end that is nearer.

    >>> import fastgrad as fg
    >>> fg.lerp(fg.tensor([0.0, 10.0]), fg.tensor([10.0, 20.0]), 0.25)
    tensor([ 2.5000, 12.5000])
    """
    a, b, weight = same_type(a, b, weight)
    return combine_three("lerp", a, b, weight), (
        lambda grad: K.mul(grad, _rest(weight)),
        lambda grad: K.mul(grad, weight),
        lambda grad: K.mul(grad, K.sub(b, a)),
    )


lerp.differentiable(
    lambda grad, weight: grad * (1.0 - weight),
    lambda grad, weight: grad * weight,
    lambda grad, a, b: grad * (b - a),
)


def _rest(weight):
    """``1 - weight``; of a number a number, which leaves the type of a gradient as it is."""
    return K.sub(1.0, weight) if isinstance(weight, np.ndarray) else 1.0 - weight


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
