"""Rules of activations that look at several elements, and of copies."""

import math

from .. import random
from ..backend import K, contiguous, empty
from ..lifting import alias, op
from ..tensor import Tensor
from ._family import T
from .reduce import check_dims

__all__ = ["duplicate", "glu", "gumbel_softmax", "maxout", "softmin"]


def _halves(x, axis):
    """Keys of the two halves of x along an axis."""
    half, before = x.shape[axis] // 2, (slice(None),) * axis
    return (*before, slice(half)), (*before, slice(half, None))


@op(name="glu")
def _glu(x, *, axis):
    first, second = _halves(x, axis)
    a, b = x[first], x[second]

    def vjp(grad):
        result = empty(x.shape, x.dtype)
        K.glu(grad, b, out=result[first])
        K.glu_backward(grad, a, b, out=result[second])
        return result

    return K.glu(a, b), vjp


@_glu.composed_of
def _(x, *, axis):
    a, b = T.chunk(x, 2, dim=axis)
    return a * T.sigmoid(b)


def glu(x, dim=-1):
    """``a · sigmoid(b)``, a and b being the halves of x along ``dim``. Dauphin et al. 2017.

    Raises ``ValueError`` where the size is odd or x has no axes.

    >>> import fastgrad as fg
    >>> fg.glu(fg.tensor([1.0, 2.0, 0.0, 1.0]))
    tensor([0.5000, 1.4621])
    """
    x = x if isinstance(x, Tensor) else Tensor(x)
    if not x.ndim or x.dtype.kind != "f":
        raise ValueError(f"glu: expected floats with axes, got {x.dtype} of shape {x.shape}")
    (axis,) = check_dims("glu", dim, x.ndim)
    if x.shape[axis] % 2:
        raise ValueError(f"glu: expected an even size of dim {dim}, got shape {x.shape}")
    return _glu(x, axis=axis)


@op(name="maxout")
def _maxout(x, *, pool_size, axis):
    shape = x.shape
    before, after = shape[:axis], shape[axis + 1 :]
    units = shape[axis] // pool_size
    x = contiguous(x).reshape(math.prod(before) * units, pool_size, math.prod(after))
    out = K.maxout_forward(x)
    pools, result = out, out.reshape(*before, units, *after)
    return result, lambda grad: K.maxout_backward(grad.reshape(pools.shape), x, pools).reshape(
        shape
    )


@_maxout.composed_of
def _(x, *, pool_size, axis):
    pools = T.unflatten(x, axis, (x.shape[axis] // pool_size, pool_size))
    return T.max(pools, axis + 1).values


def maxout(x, pool_size, dim=-1):
    """The largest of each ``pool_size`` neighbours along ``dim``. Goodfellow et al. 2013.

    The size of ``dim`` is divided by ``pool_size``. Of equal largest ones the first has the
    gradient.

    Raises ``ValueError`` where ``pool_size`` does not divide the size.

    >>> import fastgrad as fg
    >>> fg.maxout(fg.tensor([1.0, 3.0, 7.0, 5.0]), 2)
    tensor([3., 7.])
    """
    x = x if isinstance(x, Tensor) else Tensor(x)
    if not x.ndim or x.dtype.kind != "f":
        raise ValueError(f"maxout: expected floats with axes, got {x.dtype} of shape {x.shape}")
    (axis,) = check_dims("maxout", dim, x.ndim)
    if pool_size < 1 or x.shape[axis] % pool_size:
        raise ValueError(
            f"maxout: pool_size {pool_size} does not divide dim {dim} of shape {x.shape}"
        )
    return _maxout(x, pool_size=pool_size, axis=axis)


def duplicate(x, n):
    """``n`` tensors that are x: what is learned of each is summed for x.

    The gradient of x is the sum of theirs. They are views: none is copied.

    Raises ``ValueError`` for n below 1.

    >>> import fastgrad as fg
    >>> x = fg.tensor([2.0], requires_grad=True)
    >>> a, b, c = fg.duplicate(x, 3)
    >>> (a * b + c).sum().backward()
    >>> x.grad
    tensor([5.])
    """
    if n < 1:
        raise ValueError(f"duplicate: expected n of at least 1, got {n}")
    return tuple(alias(x) for _ in range(n))


def softmin(x, dim=None, dtype=None):
    """``softmax(-x)`` along ``dim``.

    dim     None is 0 for tensors of up to one and of three axes, else 1
    dtype   the type to convert x to first

    >>> import fastgrad as fg
    >>> fg.softmin(fg.tensor([0.0, 1.0]), dim=0)
    tensor([0.7311, 0.2689])
    """
    x = x if isinstance(x, Tensor) else Tensor(x)
    if dtype is not None:
        x = x.to(dtype)
    return T.softmax(-x, dim=implied_dim(x) if dim is None else dim)


def implied_dim(x):
    """The ``dim`` of softmax and its kind where none is given."""
    return 0 if x.ndim in (0, 1, 3) else 1


def gumbel_softmax(x, tau=1.0, hard=False, eps=1e-10, dim=-1):
    """A sample of the distribution ``softmax(x)``, differentiable: ``softmax((x + g) / tau)``.

    g are Gumbel's numbers ``-log(-log(u))``, u uniform. Jang, Gu & Poole 2017.

    tau    the temperature: the smaller, the nearer to one class
    hard   whether the result is exactly one class; its gradient is that of the soft one
    eps    of no effect, as in PyTorch: u is never 0 or 1
    dim    axis of the classes

    Raises ``TypeError`` for what are no floats, ``ValueError`` where tau is not positive.

    >>> import fastgrad as fg
    >>> fg.manual_seed(0)
    >>> fg.gumbel_softmax(fg.zeros(3), hard=True).sum()
    tensor(1.)
    """
    x = x if isinstance(x, Tensor) else Tensor(x)
    if x.dtype.kind != "f":
        raise TypeError(f"gumbel_softmax: expected a float tensor, got {x.dtype}")
    if tau <= 0:
        raise ValueError(f"gumbel_softmax: tau {tau} is not positive")
    ticket = K.draw(random.default.counter, x.numel())
    noise = Tensor(K.neg(K.log(K.neg(K.log(K.uniform(x.shape, x.dtype, 0.0, 1.0, ticket))))))
    soft = T.softmax((x + noise) / tau, dim=dim)
    if not hard:
        return soft
    constant = soft.detach()
    chosen = T.argmax(constant, dim=dim, keepdim=True)
    one = T.scatter(T.zeros_like(constant), dim, chosen, 1.0)
    return one - constant + soft
