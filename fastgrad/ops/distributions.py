"""Random numbers of distributions whose parameters are tensors. Drawn anew in every call.

They come from the counter (see ``kernels.random``): the same for any number of threads, and other
ones in each replay of a compiled step. As in PyTorch, their gradients for parameters are 0.
"""

import math
import numbers

import numpy as np

from .. import random
from ..backend import K, contiguous
from ..lifting import op
from ..tape import as_array
from ..tensor import Tensor
from ._family import T, result_type

__all__ = ["bernoulli", "multinomial", "normal", "poisson"]


_OF_A_PARAMETER = {"bernoulli": (2, 1.0), "poisson": (4, 2.0**53)}  # numbers used, bound


def ticket(shape, each=2):
    """A ticket for the elements of a shape, which use ``each`` numbers of a block of four.

    It is for 64 numbers at least: float32 normals are made so many at a time.
    """
    return K.draw(random.default.counter, max(each * math.prod(shape), 64))


def _drawn(name, x):
    """What a kernel draws of a parameter for each element."""
    if x.dtype.kind != "f":
        raise TypeError(f"{name}: expected a float tensor, got {x.dtype}")
    x, numbers, most = contiguous(x), *_OF_A_PARAMETER[name]
    _check(name, x, most)
    return getattr(K, name)(x, ticket(x.shape, numbers))


def _check(name, x, most):
    try:
        K.check_range(x, most)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


@op(name="bernoulli")
def _bernoulli(p):
    shape, dtype = p.shape, p.dtype
    return _drawn("bernoulli", p), lambda grad: K.zeros(shape, dtype)


_bernoulli.differentiable(lambda grad: T.zeros_like(grad))


def bernoulli(x, p=None):
    """1 with the probability that is the element of x, else 0; in x's shape and type.

    p   one probability for all elements, instead of those of x

    Raises ``ValueError`` for what is no probability, ``TypeError`` where x has no floats.

    >>> import fastgrad as fg
    >>> fg.bernoulli(fg.tensor([0.0, 1.0]))
    tensor([0., 1.])
    >>> fg.bernoulli(fg.zeros(2), 1.0)
    tensor([1., 1.])
    """
    if p is None:
        return _bernoulli(x)
    out = _bernoulli(T.add(T.zeros_like(x), p))
    return out if out.dtype == x.dtype else T.cast(out, dtype=x.dtype)


@op(name="poisson")
def _poisson(rates):
    shape, dtype = rates.shape, rates.dtype
    return _drawn("poisson", rates), lambda grad: K.zeros(shape, dtype)


_poisson.differentiable(lambda grad: T.zeros_like(grad))


def poisson(x):
    """Counts whose mean and variance is the element of x: ``k`` with chance ``xᵏ e⁻ˣ / k!``.

    Hörmann 1993. Raises ``ValueError`` for a negative rate, ``TypeError`` where x has no floats.

    >>> import fastgrad as fg
    >>> fg.manual_seed(0)
    >>> abs(fg.poisson(fg.zeros(10000) + 4.0).mean().item() - 4.0) < 0.1
    True
    """
    return _poisson(x)


@op(name="normal")
def _normal(mean, std, *, size, dtype):
    arrays = [x for x in (mean, std) if isinstance(x, np.ndarray)]
    dtype = dtype or result_type(*arrays)
    if dtype.kind != "f":
        raise TypeError(f"normal: expected float tensors, got {dtype}")
    try:
        shape = np.broadcast_shapes(*(x.shape for x in arrays), *size)
    except ValueError:
        raise ValueError(
            f"normal: mean of shape {np.shape(mean)} and std of {np.shape(std)} do not fit"
        ) from None
    if isinstance(std, np.ndarray):
        _check("normal", contiguous(std), math.inf)
    out = K.random_numbers("normal", shape, dtype, 0.0, 1.0, ticket(shape))
    return as_array(K.add(K.mul(out, std), mean)), (K.zeros_like, K.zeros_like)


_normal.differentiable(lambda grad: T.zeros_like(grad), lambda grad: T.zeros_like(grad))


def normal(mean=0.0, std=1.0, size=None, *, dtype=None, requires_grad=False):
    """Normal numbers of given means and standard deviations: numbers, or tensors that broadcast.

    size                   the result's shape, where both are numbers
    dtype, requires_grad   the result's then; float32 by default

    Raises ``ValueError`` for a negative deviation, and for shapes that do not fit.

    >>> import fastgrad as fg
    >>> fg.manual_seed(0)
    >>> fg.normal(fg.tensor([-5.0, 5.0]), 0.1).round()
    tensor([-5.,  5.])
    >>> fg.normal(0.0, 1.0, (2, 3)).shape
    (2, 3)
    """
    both = isinstance(mean, numbers.Real) and isinstance(std, numbers.Real)
    if both == (size is None):
        raise TypeError("normal: expected a tensor, or numbers and a size")
    if isinstance(std, numbers.Real) and not std >= 0:
        raise ValueError(f"normal: expected std >= 0, got {std}")
    if not both:
        return _normal(mean, std, size=(), dtype=None)
    out = _normal(mean, std, size=(tuple(size),), dtype=np.dtype(dtype or np.float32))
    return out.requires_grad_(requires_grad)


@op(name="multinomial")
def _multinomial(x, *, num_samples, replacement):
    shape = (len(x), num_samples) if replacement else x.shape
    try:
        return K.multinomial(contiguous(x), num_samples, replacement, ticket(shape, 4)), None
    except ValueError as error:
        raise ValueError(f"multinomial: {error}") from None


def multinomial(x, num_samples, replacement=False):
    """Classes drawn with chances in proportion to weights x, (n,) or rows (m, n); int64.

    replacement   whether a class may be drawn more than once from a row

    Raises ``ValueError`` for weights that are negative or all 0, and where more classes are wanted
    than there are. No gradient flows.

    >>> import fastgrad as fg
    >>> fg.multinomial(fg.tensor([0.0, 3.0]), 3, replacement=True)
    tensor([1, 1, 1])
    """
    if x.dtype.kind != "f":
        raise TypeError(f"multinomial: expected float weights, got {x.dtype}")
    if x.ndim not in (1, 2) or not x.shape[-1]:
        raise ValueError(f"multinomial: expected weights (n,) or (m, n), got shape {x.shape}")
    if num_samples < 1 or (not replacement and num_samples > x.shape[-1]):
        raise ValueError(
            f"multinomial: {num_samples} cannot be drawn from {x.shape[-1]} classes "
            f"{'with' if replacement else 'without'} replacement"
        )

    rows = x if x.ndim == 2 else T.unsqueeze(x, 0)
    out = _multinomial(rows, num_samples=num_samples, replacement=bool(replacement))
    return out if x.ndim == 2 else T.squeeze(out, 0)


# ------------------------------------------------------------------ values for a tensor in place


def values(name, x, a, b):
    """Numbers of a distribution in x's shape; floats, or for tensors of integers float64."""
    dtype = x.dtype if x.dtype.kind == "f" else np.dtype(np.float64)
    if name == "uniform":
        return K.uniform(x.shape, dtype, a, b, ticket(x.shape, 1))
    return K.random_numbers(name, x.shape, dtype, a, b, ticket(x.shape))


def whole_values(x, low, high):
    """Integers from low up to high in x's shape, int64."""
    return K.random_integers(x.shape, low, high, ticket(x.shape))


def chosen_values(x, p):
    """What ``bernoulli`` draws of p, a number or a tensor that broadcasts to x's shape."""
    p = p.data if isinstance(p, Tensor) else np.asarray(p, np.float64)
    if p.dtype.kind != "f":
        raise TypeError(f"bernoulli_: expected float probabilities, got {p.dtype}")
    try:
        spread = np.broadcast_to(p, x.shape, subok=True)
    except ValueError:
        raise ValueError(
            f"bernoulli_: probabilities {p.shape} do not broadcast to {x.shape}"
        ) from None
    return _drawn("bernoulli", K.copy(spread))
