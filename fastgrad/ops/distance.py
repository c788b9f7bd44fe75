"""Compositions of two sets of vectors: distances, cross products, covariances."""

import numpy as np

from ._family import T
from .reduce import check_dim

__all__ = ["cdist", "corrcoef", "cov", "cross", "dist", "pdist"]


def dist(a, b, p=2):
    """The p-norm of ``a - b``, a number; see ``norm``.

    >>> import fastgrad as fg
    >>> fg.dist(fg.tensor([3.0, 0.0]), fg.tensor([0.0, 4.0]))
    tensor(5.)
    """
    return T.norm(T.sub(a, b), p)


def cdist(a, b, p=2.0, compute_mode=None):
    """The p-norms of all differences of rows, (\\*, m, d) and (\\*, n, d) give (\\*, m, n).

    Distances are computed from the differences themselves, whatever ``compute_mode`` says: no
    digits are lost between points that are near each other. The gradient of a distance 0 is 0.

    >>> import fastgrad as fg
    >>> fg.cdist(fg.tensor([[0.0, 0.0], [1.0, 0.0]]), fg.tensor([[0.0, 1.0]]))
    tensor([[1.0000],
            [1.4142]])
    """
    if a.ndim < 2 or b.ndim < 2 or a.shape[-1] != b.shape[-1]:
        raise ValueError(f"cdist: expected (*, m, d) and (*, n, d), got {a.shape} and {b.shape}")
    return _lengths(T.sub(T.unsqueeze(a, -2), T.unsqueeze(b, -3)), p)


def pdist(x, p=2.0):
    """The p-norms of the differences of each two rows of x (n, d), in the order of ``cdist``.

    >>> import fastgrad as fg
    >>> fg.pdist(fg.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]]))
    tensor([1.0000, 2.0000, 2.2361])
    """
    if x.ndim != 2:
        raise ValueError(f"pdist: expected (n, d), got {x.shape}")
    first, second = np.triu_indices(x.shape[0], 1)
    return _lengths(T.sub(T.index_select(x, 0, first), T.index_select(x, 0, second)), p)


def _lengths(rows, p):
    if not rows.shape[-1]:
        return T.sum(rows, -1)
    return T.norm(rows, float(p), -1)


def cross(a, b, dim=None):
    """The cross product of vectors of 3 elements along ``dim``, by default the first such axis.

    >>> import fastgrad as fg
    >>> fg.cross(fg.tensor([1.0, 0.0, 0.0]), fg.tensor([0.0, 1.0, 0.0]))
    tensor([0., 0., 1.])
    """
    a, b = T.broadcast_tensors(a, b)
    if dim is None:
        dim = a.shape.index(3) if 3 in a.shape else 0
    axis = check_dim("cross", dim, a.ndim)
    if not a.ndim or a.shape[axis] != 3:
        raise ValueError(f"cross: expected 3 elements along dim {dim}, got shape {a.shape}")
    left = T.mul(T.roll(a, -1, axis), T.roll(b, -2, axis))
    return T.sub(left, T.mul(T.roll(a, -2, axis), T.roll(b, -1, axis)))


def cov(x, *, correction=1, fweights=None, aweights=None):
    """The covariances (m, m) of m variables, the rows of x, from n observations, its columns.

    correction   what is taken from n in the divisor
    fweights     how often each observation was made (n,), integers
    aweights     how much each observation counts (n,)

    >>> import fastgrad as fg
    >>> fg.cov(fg.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    if x.ndim > 2:
        raise ValueError(f"cov: expected a vector or a matrix, got shape {x.shape}")
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        if given is not None and given.shape != x.shape[-1:]:
            raise ValueError(f"cov: {name} have shape {given.shape}, expected {x.shape[-1:]}")
    rows = T.reshape(x, (1, -1)) if x.ndim < 2 else x
    rows = rows if x.dtype.kind == "f" else rows.to(np.float32)
    weight = fweights if aweights is None else aweights
    if weight is None:
        total = float(rows.shape[1])
        mean, divisor = T.mean(rows, 1, True), max(total - correction, 0.0)
        weighted = centred = T.sub(rows, mean)
    else:
        if fweights is not None and aweights is not None:
            weight = T.mul(fweights, aweights)
        weight = weight.to(rows.dtype)
        total = T.sum(weight)
        mean = T.div(T.sum(T.mul(rows, weight), 1, True), total)
        used = total
        if aweights is not None and correction:
            used = T.div(T.sum(T.mul(weight, aweights.to(rows.dtype))), total)
            divisor = T.sub(total, T.mul(used, correction))
        else:
            divisor = T.sub(total, correction)
        divisor = T.clamp(divisor, min=0.0)
        centred = T.sub(rows, mean)
        weighted = T.mul(centred, weight)
    out = T.matmul(weighted, T.transpose(centred, 0, 1))
    out = T.div(out, divisor)
    return T.reshape(out, ()) if x.ndim < 2 or x.shape[0] == 1 else out


def corrcoef(x):
    """The correlations (m, m) of m variables, the rows of x; see ``cov``. They are within ±1.

    >>> import fastgrad as fg
    >>> fg.corrcoef(fg.tensor([[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]]))
    tensor([[ 1., -1.],
            [-1.,  1.]])
    """
    out = cov(x)
    if not out.ndim:
        return T.div(out, out)
    spread = T.sqrt(T.diagonal(out))
    return T.clamp(T.div(T.div(out, T.unsqueeze(spread, 1)), spread), -1.0, 1.0)
