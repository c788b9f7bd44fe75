"""The largest of small groups of numbers."""

from ._jit import kernel
from ._record import empty

__all__ = ["maxout_backward", "maxout_forward"]


@kernel
def _forward(start, stop, x, out, pool, inner):
    """x (units, pool, inner), out (units, inner), flat; NaN if any is."""
    for unit in range(start, stop):
        for i in range(inner):
            at = unit * pool * inner + i
            best = x[at]
            for k in range(1, pool):
                value = x[at + k * inner]
                if value > best or value != value:
                    best = value
            out[unit * inner + i] = best


@kernel
def _backward(start, stop, grad, x, out, grad_x, pool, inner):
    """grad_x = grad at the first of the largest, 0 elsewhere."""
    zero = grad.dtype.type(0)
    for unit in range(start, stop):
        for i in range(inner):
            at, best, rest = unit * pool * inner + i, out[unit * inner + i], grad[unit * inner + i]
            for k in range(pool):
                value = x[at + k * inner]
                if value == best or value != value:
                    grad_x[at + k * inner] = rest
                    rest = zero
                else:
                    grad_x[at + k * inner] = zero


def maxout_forward(x):
    """The largest of x (units, pool, inner) along the pools, (units, inner)."""
    units, pool, inner = x.shape
    out = empty((units, inner), x.dtype)
    _forward(units, x.size * 0.5, x.ravel(), out.ravel(), pool, inner)
    return out


def maxout_backward(grad, x, out):
    """The gradient of x: ``grad`` at the first element that is ``out``, 0 elsewhere."""
    units, pool, inner = x.shape
    grad_x = empty(x.shape, x.dtype)
    _backward(
        units, x.size * 0.7, grad.ravel(), x.ravel(), out.ravel(), grad_x.ravel(), pool, inner
    )
    return grad_x
