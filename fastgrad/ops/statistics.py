"""Rules of variance, ``log Σ exp`` and norms."""

import math

from ..backend import K
from ..lifting import op
from ._family import T, float_input
from .reduce import amax, amin, check_dim, check_dims, kept_shape, mean

__all__ = ["logsumexp", "norm", "renorm", "std", "std_mean", "var", "var_mean"]


# ------------------------------------------------------------------ variance


def _arguments(name, x, dim, unbiased, correction):
    """(dim, correction) of a call in one of PyTorch's forms."""
    if x.dtype.kind != "f":
        raise TypeError(f"{name}: expected a float tensor, got {x.dtype}")
    if isinstance(dim, bool):
        if unbiased is not None:
            raise TypeError(f"{name}: got several values for 'unbiased'")
        dim, unbiased = None, dim
    if unbiased is not None:
        if correction is not None:
            raise TypeError(f"{name}: expected correction or unbiased, got both")
        correction = int(unbiased)
    return check_dims(name, dim, x.ndim), 1 if correction is None else correction


def _freedom(shape, axes, correction):
    """What squared deviations are divided by."""
    return max(float(math.prod(shape[axis] for axis in axes)) - correction, 0.0)


@op(name="var")
def _var(x, *, axes, keepdim, correction):
    out, center = K.var(x, axes, correction)
    freedom = _freedom(x.shape, axes, correction)
    factor = 2.0 / freedom if freedom else math.inf

    def vjp(grad):
        grad = grad.reshape(kept_shape(x.shape, axes))
        return K.deviation(x, center, K.mul(grad, factor))

    return _without(out, axes, keepdim), vjp


_var.differentiable(
    lambda grad, x, axes, factor: (
        (x - mean(x, axes, True)) * (grad.reshape(kept_shape(x.shape, axes)) * factor)
    )
)


def _without(out, axes, keepdim):
    """A result with its reduced axes dropped, if they are to be."""
    if keepdim:
        return out
    return out.reshape([size for axis, size in enumerate(out.shape) if axis not in axes])


@op(name="std")
def _std(x, *, axes, keepdim, correction):
    square, center = K.var(x, axes, correction)
    freedom = _freedom(x.shape, axes, correction)
    out = _without(K.sqrt(square), axes, keepdim)

    def vjp(grad):
        kept = kept_shape(x.shape, axes)
        slope = _std_slope(K, grad.reshape(kept), out.reshape(kept), freedom)
        return K.deviation(x, center, slope)

    return out, vjp


def _std_slope(m, grad, out, freedom):
    """``grad / (freedom · out)``, and 0 where ``out`` is."""
    none = m.eq(out, 0.0)
    return m.where(none, 0.0, m.div(grad, m.mul(m.where(none, 1.0, out), freedom)))


@_std.differentiable
def _std_again(grad, x, out, axes, freedom):
    kept = kept_shape(x.shape, axes)
    slope = _std_slope(T, grad.reshape(kept), out.reshape(kept), freedom)
    return (x - mean(x, axes, True)) * slope


def var(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """Variance ``Σ (x - mean)² / (n - correction)`` over ``dim`` (an int, several or None for all).

    correction   1 by default
    unbiased     True for a correction of 1, False for 0; ``var(x, False)`` means this one

    Raises ``TypeError`` for integers.

    >>> import fastgrad as fg
    >>> fg.var(fg.tensor([[1.0, 3.0], [2.0, 2.0]]), dim=1)
    tensor([2., 0.])
    >>> fg.var(fg.tensor([1.0, 3.0]), correction=0)
    tensor(1.)
    """
    axes, correction = _arguments("var", x, dim, unbiased, correction)
    return _var(x, axes=axes, keepdim=keepdim, correction=correction)


def std(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """Standard deviation, the root of ``var``, from the same arguments. Its gradient at 0 is 0.

    >>> import fastgrad as fg
    >>> fg.std(fg.tensor([1.0, 3.0]), correction=0)
    tensor(1.)
    """
    axes, correction = _arguments("std", x, dim, unbiased, correction)
    return _std(x, axes=axes, keepdim=keepdim, correction=correction)


def var_mean(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """(variance, mean); see ``var``.

    >>> import fastgrad as fg
    >>> fg.var_mean(fg.tensor([1.0, 3.0]))
    (tensor(2.), tensor(2.))
    """
    axes, correction = _arguments("var_mean", x, dim, unbiased, correction)
    return _var(x, axes=axes, keepdim=keepdim, correction=correction), mean(x, axes, keepdim)


def std_mean(x, dim=None, unbiased=None, keepdim=False, *, correction=None):
    """(standard deviation, mean); see ``var``.

    >>> import fastgrad as fg
    >>> fg.std_mean(fg.tensor([1.0, 3.0]), correction=0)
    (tensor(1.), tensor(2.))
    """
    axes, correction = _arguments("std_mean", x, dim, unbiased, correction)
    return _std(x, axes=axes, keepdim=keepdim, correction=correction), mean(x, axes, keepdim)


# ------------------------------------------------------------------ log Σ exp


@op
def logsumexp(x, *, dim, keepdim=False):
    """``log Σ eˣ`` over ``dim`` (an int or several), without overflow; -inf over nothing.

    Integers become float32.

    >>> import fastgrad as fg
    >>> fg.logsumexp(fg.tensor([[0.0, 0.0], [1000.0, 1000.0]]), dim=1)
    tensor([6.9315e-01, 1.0007e+03])
    """
    x = float_input("logsumexp", x)
    axes = check_dims("logsumexp", dim, x.ndim)
    out, kept = K.logsumexp(x, axes, keepdim), kept_shape(x.shape, axes)
    return out, lambda grad: K.scaled_exp(x, out.reshape(kept), grad.reshape(kept))


logsumexp.differentiable(
    lambda grad, x, out, kept: grad.reshape(kept) * T.exp(x - out.reshape(kept))
)


# ------------------------------------------------------------------ norms


def norm(x, p="fro", dim=None, keepdim=False, *, dtype=None):
    """``(Σ |x|ᵖ)^(1/p)`` over ``dim`` (an int, several, or None for all).

    p      a number; "fro" is 2, inf the largest ``|x|``, -inf the smallest, 0 how many are not 0;
           "nuc" is the sum of the singular values of matrices over two axes
    dtype  a type to convert to first

    The gradient is 0 where the norm is. Raises ``TypeError`` for integers.

    >>> import fastgrad as fg
    >>> fg.norm(fg.tensor([3.0, -4.0])), fg.norm(fg.tensor([3.0, -4.0]), 1)
    (tensor(5.), tensor(7.))
    """
    x = x if dtype is None else x.to(dtype)
    if x.dtype.kind != "f":
        raise TypeError(f"norm: expected a float tensor, got {x.dtype}")
    if p == "nuc":
        return _nuclear_norm(x, dim, keepdim)
    if p == "fro" or p is None:
        p = 2.0
    if isinstance(p, str):
        raise ValueError(f"norm: unknown p {p!r}; expected a number, inf, 'fro' or 'nuc'")
    axes = check_dims("norm", dim, x.ndim)
    if math.isinf(p):
        return (amax if p > 0 else amin)(T.abs(x), axes, keepdim)
    return _norm(x, p=float(p), axes=axes, keepdim=keepdim)


@op(name="norm")
def _norm(x, *, p, axes, keepdim):
    kept = kept_shape(x.shape, axes)
    if p == 2:
        out = K.sqrt(K.sum_squares(x, axes, keepdim))
    elif p == 1:
        out = K.sum_abs(x, axes, keepdim)
    elif p == 0:
        out = K.sum(K.ne(x, 0.0).astype(x.dtype), axes, keepdim)
    else:
        out = K.pow(K.sum(K.pow(K.abs(x), p), axes, keepdim), 1.0 / p)

    def vjp(grad):
        return _norm_slope(K, grad.reshape(kept), x, out.reshape(kept), p)

    return out, vjp


def _norm_slope(m, grad, x, out, p):
    """``grad · sign(x) · (|x| / out)^(p - 1)``, and 0 where x or the norm is 0."""
    if p == 0:
        return m.zeros_like(x)
    if p == 1:
        return m.mul(grad, m.sign(x))
    none = m.eq(out, 0.0)
    safe = m.where(none, 1.0, out)
    if p == 2:
        return m.mul(x, m.where(none, 0.0, m.div(grad, safe)))
    size = m.where(m.eq(x, 0.0), 1.0, m.abs(x))
    scale = m.where(none, 0.0, m.div(grad, m.pow(safe, p - 1.0)))
    return m.mul(m.mul(m.sign(x), m.pow(size, p - 1.0)), scale)


_norm.differentiable(
    lambda grad, x, out, kept, p: _norm_slope(T, grad.reshape(kept), x, out.reshape(kept), p)
)


def renorm(x, p, dim, maxnorm):
    """x with each slice ``x[..., i, ...]`` along ``dim`` scaled down to a p-norm of ``maxnorm``.

    Slices whose norm is at most that stay as they are. Raises ``ValueError`` for fewer than two
    axes, p <= 0 or a negative maxnorm.

    >>> import fastgrad as fg
    >>> fg.renorm(fg.tensor([[3.0, 4.0], [0.3, 0.4]]), 2, 0, 1.0)
    tensor([[0.6000, 0.8000],
            [0.3000, 0.4000]])
    """
    axis = check_dim("renorm", dim, x.ndim)
    if x.ndim < 2 or not p > 0 or not maxnorm >= 0:
        raise ValueError(
            f"renorm: expected two axes or more, p > 0 and maxnorm >= 0, got shape {x.shape}, "
            f"p = {p} and maxnorm = {maxnorm}"
        )
    size = norm(x, p, tuple(k for k in range(x.ndim) if k != axis), True)
    scale = T.div(float(maxnorm), T.add(size, 1e-7))
    return T.mul(x, T.where(T.gt(size, maxnorm), scale, 1.0))


# ------------------------------------------------------------------ of matrices


def _nuclear_norm(x, dim, keepdim):
    axes = tuple(range(x.ndim)) if dim is None else dim
    if isinstance(axes, int) or len(axes) != 2:
        raise ValueError(f"norm: 'nuc' wants two axes, got dim {dim} of shape {x.shape}")
    axes = [check_dim("norm", axis, x.ndim) for axis in axes]
    check_dims("norm", tuple(axes), x.ndim)  # two different ones
    out = _nuclear(T.movedim(x, tuple(axes), (-2, -1)))
    return out.reshape(kept_shape(x.shape, axes)) if keepdim else out


@op(name="norm")
def _nuclear(x):
    parts = K.svd(x)
    out = K.sum(parts[1], (x.ndim - 2,), False)
    return out, lambda grad: K.mul(grad.reshape(*grad.shape, 1, 1), _polar_factor(x, parts))


def _polar_factor(x, parts):
    """``U · Vᵀ``, the slope of the sum of the singular values."""
    u, _, v = parts
    return K.bmm(_batch(u), _batch(v)).reshape(x.shape)


def _batch(x):
    return x.reshape(math.prod(x.shape[:-2]), *x.shape[-2:])


_nuclear.differentiable(lambda grad, x: grad.reshape(*grad.shape, 1, 1) * _polar(x))


@op(name="polar")
def _polar(x):
    """``U · Vᵀ``, whose derivative is its own adjoint. Higham 2008, chapter 8."""
    parts = K.svd(x)
    return _polar_factor(x, parts), lambda grad: K.polar_backward(grad, *parts)
