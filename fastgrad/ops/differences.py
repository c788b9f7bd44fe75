"""Compositions of neighbours along an axis: differences, and integrals by trapezoids."""

from ._family import T
from .reduce import check_dim

__all__ = ["cumulative_trapezoid", "diff", "trapezoid"]


def _neighbours(x, axis):
    """All elements but the first, and all but the last, along an axis."""
    n = max(x.shape[axis] - 1, 0)
    return T.narrow(x, axis, x.shape[axis] - n, n), T.narrow(x, axis, 0, n)


def diff(x, n=1, dim=-1, prepend=None, append=None):
    """Each element along ``dim`` less the one before, n times over; of bools, whether they differ.

    prepend, append   tensors to put before and after x first

    >>> import fastgrad as fg
    >>> fg.diff(fg.tensor([1.0, 3.0, 6.0]))
    tensor([2., 3.])
    """
    axis = check_dim("diff", dim, x.ndim)
    if not x.ndim or n < 0:
        raise ValueError(f"diff: expected one axis or more and n >= 0, got {x.shape}, n = {n}")
    parts = [part for part in (prepend, x, append) if part is not None]
    x = T.cat(parts, axis) if n and len(parts) > 1 else x
    for _ in range(min(n, x.shape[axis])):
        after, before = _neighbours(x, axis)
        x = T.ne(after, before) if x.dtype.kind == "b" else T.sub(after, before)
    return x


def _areas(name, y, x, dx, dim):
    """The areas of the trapezoids between neighbours, and their axis."""
    axis = check_dim(name, dim, y.ndim)
    if not y.ndim:
        raise ValueError(f"{name}: expected one axis or more, got shape ()")
    after, before = _neighbours(y, axis)
    if x is None:
        return T.mul(T.add(after, before), (1.0 if dx is None else dx) / 2.0), axis
    if dx is not None:
        raise TypeError(f"{name}: expected x or dx, got both")
    if x.ndim == 1:
        if x.shape[0] != y.shape[axis]:
            raise ValueError(f"{name}: {x.shape[0]} places for {y.shape[axis]} values")
        x = T.reshape(x, (-1,) + (1,) * (y.ndim - 1 - axis))
    along = axis - y.ndim + x.ndim
    widths = diff(x, dim=along)
    return T.div(T.mul(widths, T.add(after, before)), 2.0), axis


def trapezoid(y, x=None, *, dx=None, dim=-1):
    """``Σ (xᵢ₊₁ - xᵢ) · (yᵢ + yᵢ₊₁) / 2`` along ``dim``, the integral by the trapezoidal rule.

    x    the places of the values, a vector or a tensor that broadcasts against y
    dx   instead, the distance between two of them, 1 by default

    >>> import fastgrad as fg
    >>> fg.trapezoid(fg.tensor([1.0, 2.0, 3.0]))
    tensor(4.)
    """
    areas, axis = _areas("trapezoid", y, x, dx, dim)
    return T.sum(areas, max(axis - y.ndim + areas.ndim, 0))


def cumulative_trapezoid(y, x=None, *, dx=None, dim=-1):
    """The running integrals along ``dim``; see ``trapezoid``.

    >>> import fastgrad as fg
    >>> fg.cumulative_trapezoid(fg.tensor([1.0, 2.0, 3.0]))
    tensor([1.5000, 4.0000])
    """
    areas, axis = _areas("cumulative_trapezoid", y, x, dx, dim)
    return T.cumsum(areas, max(axis - y.ndim + areas.ndim, 0))
