"""Rules of reductions: over one axis, several, or all."""

import builtins
import math
import operator
from collections import namedtuple

import numpy as np

from ..backend import K
from ..lifting import op
from ..tape import as_array
from ..tensor import Tensor
from ._family import T
from ._pick import pair, pick

__all__ = [
    "all", "amax", "amin", "aminmax", "any", "argmax", "argmin", "count_nonzero", "max", "mean",
    "min", "nanmean", "nansum", "prod", "sum",
]  # fmt: skip


def check_dims(name, dim, ndim):
    """``dim`` (None, an int or ints) as sorted axes; IndexError or ValueError if it can't be."""
    dims = (dim,) if not isinstance(dim, tuple | list) else tuple(dim)
    if dim is None or not dims:
        return tuple(range(ndim))
    axes = []
    for d in dims:
        d = operator.index(d)
        bound = builtins.max(ndim, 1)
        if not -bound <= d < bound:
            raise IndexError(
                f"{name}: dim {d} is out of range for {ndim} dimensions; "
                f"expected {-bound} to {bound - 1}"
            )
        axes.append(d % bound)
    if len(set(axes)) != len(axes):
        raise ValueError(f"{name}: dim {dims} names an axis twice")
    return tuple(sorted(axes)) if ndim else ()


def check_dim(name, dim, ndim):
    """``dim``, one int, as an axis; 0 for a tensor without axes."""
    if type(dim) is int and -ndim <= dim < ndim:
        return dim % ndim
    if isinstance(dim, tuple | list) or dim is None:
        raise TypeError(f"{name}: expected one int as dim, got {dim}")
    axes = check_dims(name, dim, ndim)
    return axes[0] if axes else 0


def _check_elements(name, shape, axes):
    if not math.prod(shape[axis] for axis in axes):
        raise ValueError(f"{name}: shape {shape} has no elements along dim {axes}")


def kept_shape(shape, axes):
    """The shape of a reduction that keeps its axes."""
    return tuple([1 if axis in axes else size for axis, size in enumerate(shape)])


def _spread(grad, shape, axes):
    """A gradient of the reduced shape, repeated over the reduced axes."""
    return K.expand(grad.reshape(kept_shape(shape, axes)), shape)


# ------------------------------------------------------------------ sums and products


@op(linear=True)
def sum(x, *, dim=None, keepdim=False, dtype=None):
    """Sum over ``dim`` (an int, several, or None for all); 0 over nothing.

    Integers and bools give int64. ``dtype`` is a type to convert to first.

    >>> import fastgrad as fg
    >>> fg.sum(fg.tensor([[1.0, 2.0], [3.0, 4.0]]), dim=0)
    tensor([4., 6.])
    """
    axes, shape = check_dims("sum", dim, x.ndim), x.shape
    if dtype is not None:
        x = x.astype(dtype, copy=False)
    if x.dtype.kind != "f":
        return K.reduce_numbers(x, "add", axes, keepdim, dtype or np.int64), None
    return K.sum(x, axes, keepdim), lambda grad: _spread(grad, shape, axes)


@op(linear=True)
def mean(x, *, dim=None, keepdim=False, dtype=None):
    """Mean over ``dim`` (an int, several, or None for all); NaN over nothing.

    ``dtype`` is a type to convert to first. Raises ``TypeError`` for the mean of integers.

    >>> import fastgrad as fg
    >>> fg.mean(fg.tensor([[1.0, 2.0], [3.0, 4.0]]))
    tensor(2.5000)
    """
    axes, shape = check_dims("mean", dim, x.ndim), x.shape
    if dtype is not None:
        x = x.astype(dtype, copy=False)
    if x.dtype.kind != "f":
        raise TypeError(f"mean: expected a float tensor, got {x.dtype}")
    count = float(math.prod(shape[axis] for axis in axes))

    def vjp(grad):
        return _spread(as_array(K.div(grad, count)), shape, axes)

    return K.mean(x, axes, keepdim), vjp


def nansum(x, dim=None, keepdim=False, *, dtype=None):
    """Sum over ``dim`` of what is not NaN.

    >>> import fastgrad as fg
    >>> fg.nansum(fg.tensor([1.0, float("nan"), 2.0]))
    tensor(3.)
    """
    if x.dtype.kind == "f":
        x = T.where(T.isnan(x), 0.0, x)
    return sum(x, dim, keepdim, dtype=dtype)


def nanmean(x, dim=None, keepdim=False, *, dtype=None):
    """Mean over ``dim`` of what is not NaN; NaN where nothing is.

    >>> import fastgrad as fg
    >>> fg.nanmean(fg.tensor([1.0, float("nan"), 2.0]))
    tensor(1.5000)
    """
    if x.dtype.kind != "f":
        raise TypeError(f"nanmean: expected a float tensor, got {x.dtype}")
    return T.div(nansum(x, dim, keepdim, dtype=dtype), sum(T.eq(x, x), dim, keepdim))


@op
def prod(x, *, dim=None, keepdim=False, dtype=None):
    """Product over ``dim`` (an int, or None for all); 1 over nothing.

    Integers and bools give int64. ``dtype`` is a type to convert to first. The gradient is the
    product of the other elements, whether some are 0 or not.

    >>> import fastgrad as fg
    >>> x = fg.tensor([2.0, 0.0, 3.0], requires_grad=True)
    >>> fg.prod(x).backward()
    >>> x.grad
    tensor([0., 6., 0.])
    """
    shape = x.shape
    axis = None if dim is None else check_dim("prod", dim, x.ndim)
    axes = tuple(range(x.ndim)) if axis is None or not x.ndim else (axis,)
    if dtype is not None:
        x = x.astype(dtype, copy=False)
    if x.dtype.kind != "f":
        return K.reduce_numbers(x, "multiply", axes, keepdim, dtype or np.int64), None

    def vjp(grad):
        if axis is None or not shape:
            return K.prod_backward(grad, x.reshape(-1), 0).reshape(shape)
        return K.prod_backward(grad, x, axis)

    return K.prod(x, axes, keepdim), vjp


@prod.composed_of
def _prod_by_steps(x, dim=None, keepdim=False, dtype=None):
    """The last of the running products, whose gradients can be differentiated again."""
    kept = kept_shape(x.shape, check_dims("prod", dim, x.ndim))
    out = sum(x, dim, True).shape if keepdim else sum(x, dim).shape
    x = x if dtype is None else x.to(dtype)
    if dim is None or not x.ndim:
        x, dim, kept = x.reshape(-1), 0, (1,)
    axis = dim % x.ndim
    if not x.shape[axis]:
        return sum(x, axis).reshape(out) + 1.0
    last = Tensor(np.full(kept, x.shape[axis] - 1))
    return pick(T.cumprod(x, axis), last, axis).reshape(out)


# ------------------------------------------------------------------ extremes


def shares(x, out, axes):
    """Which part of an extreme's gradient each element gets: equal parts where they are equal."""
    out = out.reshape(kept_shape(x.shape, axes))
    hit = ((x == out) | (T.isnan(x) & T.isnan(out))).to(x.dtype)
    return hit / hit.sum(axes, True)


def _extreme(name, ufunc, text, example, result):
    def rule(x, *, dim=None, keepdim=False):
        axes, shape = check_dims(name, dim, x.ndim), x.shape
        _check_elements(name, shape, axes)
        if x.dtype.kind != "f":
            return K.reduce_numbers(x, ufunc, axes, keepdim), None
        out = getattr(K, name)(x, axes, keepdim)

        def vjp(grad):
            reduced = tuple(size for axis, size in enumerate(shape) if axis not in axes)
            return K.amax_backward(grad.reshape(reduced), x, out.reshape(reduced), axes)

        return out, vjp

    rule.__doc__ = f"""{text} over ``dim``; NaN where there is one. Ties share the gradient equally.

    Raises ``ValueError`` over an axis of no elements.

    >>> import fastgrad as fg
    >>> fg.{name}(fg.tensor({example}), dim=1)
    tensor({result})
    """
    lifted = op(rule, name=name)
    return lifted.differentiable(
        lambda grad, x, out, axes: grad.reshape(kept_shape(x.shape, axes)) * shares(x, out, axes)
    )


_EXAMPLE = "[[1.0, 5.0], [4.0, 3.0]]"
amax = _extreme("amax", "maximum", "Maximum", _EXAMPLE, "[5., 4.]")
amin = _extreme("amin", "minimum", "Minimum", _EXAMPLE, "[1., 3.]")


def aminmax(x, *, dim=None, keepdim=False):
    """(min, max) of the elements along ``dim``, or of all; see ``amin`` and ``amax``.

    >>> import fastgrad as fg
    >>> low, high = fg.aminmax(fg.tensor([2.0, 1.0, 3.0]))
    >>> low, high
    (tensor(1.), tensor(3.))
    """
    return _AMinMax(amin(x, dim, keepdim), amax(x, dim, keepdim))


def _position(name, text, result):
    def rule(x, *, dim=None, keepdim=False):
        if dim is None:
            _check_elements(name, x.shape, range(x.ndim))
            out = getattr(K, name)(x.reshape(-1), 0)
            return out.reshape((1,) * x.ndim if keepdim else ()), None
        axis, shape = check_dim(name, dim, x.ndim), x.shape
        _check_elements(name, shape, (axis,) if shape else ())
        out = getattr(K, name)(x if shape else x.reshape(1), axis)
        return np.expand_dims(out, axis) if keepdim and shape else out, None

    rule.__doc__ = f"""Index of the first {text} along ``dim``, or in the flattened tensor.

    The first NaN counts as one. No gradient flows. Raises ``ValueError`` over an axis of no
    elements.

    >>> import fastgrad as fg
    >>> fg.{name}(fg.tensor({_EXAMPLE}), dim=1)
    tensor({result})
    """
    return op(rule, name=name)


argmax = _position("argmax", "maximum", "[1, 0]")
argmin = _position("argmin", "minimum", "[0, 1]")

_Max, _Min = pair("max"), pair("min")
_AMinMax = namedtuple("aminmax", ("min", "max"))


def max(x, dim=None, keepdim=False, *, other=None):
    """The largest element; along ``dim``, the largest and their indices; or that of two tensors.

        max(x)                       as ``amax(x)``
        max(x, dim, keepdim=False)   (values, indices), the first of equal ones: it gets the
                                     gradient
        max(x, other)                as ``maximum(x, other)``

    >>> import fastgrad as fg
    >>> values, indices = fg.max(fg.tensor([[1.0, 5.0], [4.0, 3.0]]), dim=1)
    >>> values, indices
    (tensor([5., 4.]), tensor([1, 0]))
    """
    return _any_form(x, dim, keepdim, other, amax, argmax, T.maximum, _Max)


def min(x, dim=None, keepdim=False, *, other=None):
    """The smallest element; along ``dim``, the smallest and their indices; or that of two tensors.

    See ``max``.

    >>> import fastgrad as fg
    >>> fg.min(fg.tensor([[1.0, 5.0], [4.0, 3.0]]))
    tensor(1.)
    """
    return _any_form(x, dim, keepdim, other, amin, argmin, T.minimum, _Min)


def _any_form(x, dim, keepdim, other, of_all, position, of_two, result):
    other = dim if isinstance(dim, Tensor) else other
    if other is not None:
        return of_two(x, other)
    if dim is None:
        return of_all(x)
    indices = position(x, dim, keepdim)
    return result(pick(x, indices, check_dim(of_all.__name__[1:], dim, x.ndim)), indices)


# ------------------------------------------------------------------ truth


def _truth(name, ufunc, text, result):
    def rule(x, *, dim=None, keepdim=False):
        axes = () if dim in ((), []) else check_dims(name, dim, x.ndim)
        holds = x if x.dtype.kind == "b" else K.ne(x, x.dtype.type(0))
        out = K.reduce_numbers(as_array(holds), ufunc, axes, keepdim)
        return out.astype(np.uint8) if x.dtype == np.uint8 else out, None

    rule.__doc__ = f"""Whether {text} over ``dim`` (an int, several, or None for all) is not 0.

    >>> import fastgrad as fg
    >>> fg.{name}(fg.tensor([[True, False], [True, True]]), dim=1)
    tensor({result})
    """
    return op(rule, name=name)


all = _truth("all", "logical_and", "every element", "[False,  True]")
any = _truth("any", "logical_or", "an element", "[True, True]")


@op
def count_nonzero(x, *, dim=None):
    """How many elements over ``dim`` (an int, several, or None for all) are not 0, int64.

    >>> import fastgrad as fg
    >>> fg.count_nonzero(fg.tensor([[1.0, 0.0], [2.0, 3.0]]), dim=0)
    tensor([2, 1])
    """
    return K.count_nonzero(x, check_dims("count_nonzero", dim, x.ndim)), None
