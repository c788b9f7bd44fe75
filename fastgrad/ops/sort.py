"""Rules of order: sorting, the first few, the middle; what occurs, and how often."""

import math
import operator

import numpy as np

from ..backend import K
from ..lifting import op
from ..tape import as_array
from ..tensor import Tensor
from ._family import T, refuse_recording, result_type
from ._pick import pair, pick
from .reduce import check_dim, kept_shape, shares

__all__ = [
    "argsort", "bincount", "bucketize", "kthvalue", "median", "mode", "msort", "searchsorted",
    "sort", "topk", "unique", "unique_consecutive",
]  # fmt: skip

_Sort, _Topk, _Median, _Kth = pair("sort"), pair("topk"), pair("median"), pair("kthvalue")
_Mode = pair("mode")


@op(name="argsort")
def _order(x, *, axis, descending):
    return K.order(x, axis, descending), None


def sort(x, dim=-1, descending=False, *, stable=False):
    """(values, indices) in order along ``dim``.

    Always stable. NaN counts as larger than any number: it comes last, or, descending, first.
    Gradients of the values flow to the elements at the indices.

    >>> import fastgrad as fg
    >>> values, indices = fg.sort(fg.tensor([2.0, 3.0, 1.0]))
    >>> values, indices
    (tensor([1., 2., 3.]), tensor([2, 0, 1]))
    """
    axis = check_dim("sort", dim, x.ndim)
    indices = _order(x, axis=axis, descending=bool(descending))
    return _Sort(pick(x, indices, axis), indices)


def msort(x):
    """The values of ``sort`` along the first axis.

    >>> import fastgrad as fg
    >>> fg.msort(fg.tensor([2.0, 3.0, 1.0]))
    tensor([1., 2., 3.])
    """
    return sort(x, 0).values


def argsort(x, dim=-1, descending=False, *, stable=False):
    """The indices that put ``x`` in order along ``dim``; see ``sort``.

    >>> import fastgrad as fg
    >>> fg.argsort(fg.tensor([2.0, 3.0, 1.0]), descending=True)
    tensor([1, 0, 2])
    """
    axis = check_dim("argsort", dim, x.ndim)
    return _order(x, axis=axis, descending=bool(descending))


@op(name="topk")
def _top(x, *, k, axis, largest):
    return K.top(x, k, axis, largest), None


def topk(x, k, dim=-1, largest=True, sorted=True):
    """(values, indices) of the ``k`` largest or smallest elements along ``dim``, in order.

    NaN counts as larger than any number. Raises ``ValueError`` where there are not k elements.

    >>> import fastgrad as fg
    >>> values, indices = fg.topk(fg.tensor([2.0, 3.0, 1.0]), 2)
    >>> values, indices
    (tensor([3., 2.]), tensor([1, 0]))
    """
    axis, k = check_dim("topk", dim, x.ndim), operator.index(k)
    n = x.shape[axis] if x.ndim else 1
    if not 0 <= k <= n:
        raise ValueError(f"topk: k = {k} is out of range for {n} elements along dim {axis}")
    indices = _top(x, k=k, axis=axis, largest=bool(largest))
    return _Topk(pick(x, indices, axis), indices)


# ------------------------------------------------------------------ the k-th


@op(name="kthvalue")
def _kth(x, *, k, axis, keepdim):
    out = K.kth(x if x.ndim else x.reshape(1), k, axis)
    return np.expand_dims(out, axis) if keepdim and x.ndim else out, None


def _checked_axis(name, x, dim):
    axis = check_dim(name, dim, x.ndim)
    if x.ndim and not x.shape[axis]:
        raise ValueError(f"{name}: shape {x.shape} has no elements along dim {axis}")
    return axis


def kthvalue(x, k, dim=-1, keepdim=False):
    """(values, indices) of the k-th smallest elements along ``dim``; the smallest is k = 1.

    NaN counts as larger than any number. Raises ``ValueError`` where there are not k elements.

    >>> import fastgrad as fg
    >>> fg.kthvalue(fg.tensor([2.0, 3.0, 1.0]), 2).values
    tensor(2.)
    """
    axis, k = _checked_axis("kthvalue", x, dim), operator.index(k)
    n = x.shape[axis] if x.ndim else 1
    if not 1 <= k <= n:
        raise ValueError(f"kthvalue: k = {k} is out of range; expected 1 to {n}")
    indices = _kth(x, k=k - 1, axis=axis, keepdim=keepdim)
    return _Kth(pick(x, indices, axis), indices)


@op(name="median")
def _median_of_all(x):
    flat = x.reshape(-1)
    if not flat.size:
        if x.dtype.kind != "f":
            raise ValueError(f"median: {x.dtype} of shape {x.shape} has no elements")
        return np.asarray(math.nan, x.dtype), lambda grad: K.zeros_like(x)
    index = K.kth(flat, None, 0).reshape(1)
    out = K.take_along(flat, index, 0).reshape(())
    return out, lambda grad: K.amax_backward(grad, x, out)


@_median_of_all.differentiable
def _median_again(grad, x, out=None):
    if out is None:  # of nothing
        return T.zeros_like(x)
    axes = tuple(range(x.ndim))
    return grad.reshape(kept_shape(x.shape, axes)) * shares(x, out, axes)


def median(x, dim=None, keepdim=False):
    """The median: of an even number of elements the lower of the two in the middle.

    NaN where there is one. Along ``dim``, (values, indices), and the gradient flows to the
    elements at the indices; of all elements, equal ones share it. Of no elements it is NaN;
    along an axis of none, a ``ValueError``.

    >>> import fastgrad as fg
    >>> fg.median(fg.tensor([4.0, 3.0, 1.0, 2.0]))
    tensor(2.)
    >>> fg.median(fg.tensor([[1.0, 5.0, 3.0]]), dim=1).indices
    tensor([2])
    """
    if dim is None:
        return _median_of_all(x)
    axis = _checked_axis("median", x, dim)
    indices = _kth(x, k=None, axis=axis, keepdim=keepdim)
    return _Median(pick(x, indices, axis), indices)


def mode(x, dim=-1, keepdim=False):
    """(values, indices) of what occurs most often along ``dim``: the least, and its last place.

    A NaN is equal to no other. (In long rows PyTorch names any of the places.) Raises
    ``ValueError`` where there are no elements.

    >>> import fastgrad as fg
    >>> fg.mode(fg.tensor([3, 1, 3, 1, 2]))
    mode(values=tensor(1), indices=tensor(3))
    """
    axis = check_dim("mode", dim, x.ndim)
    if not x.ndim:
        return _Mode(T.clone(x), Tensor(np.zeros((), np.int64)))
    n = x.shape[axis]
    if not n:
        raise ValueError(f"mode: shape {x.shape} has no elements along dim {dim}")
    order = argsort(x.detach(), axis, stable=True)
    ranked = T.movedim(T.gather(x.detach(), axis, order), axis, -1)
    starts = T.ne(T.narrow(ranked, -1, 1, n - 1), T.narrow(ranked, -1, 0, n - 1))
    place = np.arange(n)
    begun = T.pad(T.mul(starts, place[1:]), (1, 0))  # where an element's equals begin
    longest = T.argmax(T.sub(Tensor(place), T.cummax(begun, -1).values), -1, True)
    indices = T.gather(order, axis, T.movedim(longest, -1, axis))
    if not keepdim:
        indices = T.squeeze(indices, axis)
    return _Mode(pick(x, indices, axis), indices)


# ------------------------------------------------------------------ what occurs


def _array(x):
    return x.data if isinstance(x, Tensor) else as_array(x)


def unique(x, sorted=True, return_inverse=False, return_counts=False, dim=None):
    """The different elements, in order; along ``dim``, the different slices.

    return_inverse   also give where each element of x is among them
    return_counts    also give how often each occurs

    Every NaN is different from every other. No gradient flows.

    >>> import fastgrad as fg
    >>> fg.unique(fg.tensor([3, 1, 3]), return_counts=True)
    (tensor([1, 3]), tensor([1, 2]))
    """
    refuse_recording("unique")
    x = _array(x)
    axis = None if dim is None else check_dim("unique", dim, x.ndim)
    found, inverse, counts = np.unique(
        x if axis is None or x.ndim else x.reshape(1),
        return_inverse=True, return_counts=True, axis=axis, equal_nan=False,
    )  # fmt: skip
    inverse = inverse.reshape(x.shape if axis is None else -1)
    return _parts(found, inverse, counts, return_inverse, return_counts)


def unique_consecutive(x, return_inverse=False, return_counts=False, dim=None):
    """The elements that differ from the one before; along ``dim``, the slices.

    See ``unique`` for what else is given.

    >>> import fastgrad as fg
    >>> fg.unique_consecutive(fg.tensor([3, 3, 1, 3]))
    tensor([3, 1, 3])
    """
    refuse_recording("unique_consecutive")
    x = _array(x)
    axis = None if dim is None else check_dim("unique_consecutive", dim, x.ndim)
    rows = np.moveaxis(x, axis, 0) if axis is not None and x.ndim else x.reshape(-1)
    differs = np.ones(len(rows), np.bool_)
    differs[1:] = (rows[1:] != rows[:-1]).any(axis=tuple(range(1, rows.ndim)))
    (starts,) = np.nonzero(differs)
    inverse = (np.cumsum(differs) - 1).reshape(x.shape if axis is None else -1)
    found = np.moveaxis(rows[starts], 0, axis or 0)
    counts = np.diff(np.append(starts, len(rows)))
    return _parts(np.ascontiguousarray(found), inverse, counts, return_inverse, return_counts)


def _parts(found, inverse, counts, return_inverse, return_counts):
    parts = [Tensor(found)]
    if return_inverse:
        parts.append(Tensor(inverse.astype(np.int64, copy=False)))
    if return_counts:
        parts.append(Tensor(counts.astype(np.int64, copy=False)))
    return parts[0] if len(parts) == 1 else tuple(parts)


def bincount(x, weights=None, minlength=0):
    """How often each integer from 0 on occurs in the vector ``x``, int64.

    weights     instead, the sums of these numbers, one for each element
    minlength   at least so many integers are counted

    >>> import fastgrad as fg
    >>> fg.bincount(fg.tensor([1, 3, 1]), minlength=5)
    tensor([0, 2, 0, 1, 0])
    """
    refuse_recording("bincount")
    x, weights = _array(x), None if weights is None else _array(weights)
    if x.ndim != 1 or x.dtype.kind not in "iu" or (x < 0).any():
        raise ValueError(
            f"bincount: expected a vector of integers from 0 on, got {x.dtype} of shape {x.shape}"
        )
    if weights is not None and weights.shape != x.shape:
        raise ValueError(f"bincount: weights have shape {weights.shape}, expected {x.shape}")
    if minlength < 0:
        raise ValueError(f"bincount: minlength {minlength} is negative")
    out = K.count_labels(x, weights, minlength)
    if weights is not None and weights.dtype == np.float32:
        out = out.astype(np.float32)
    return Tensor(out)


@op(name="searchsorted")
def _search(rows, values, *, side, dtype):
    return K.search_sorted(rows, values, side).astype(dtype), None


def searchsorted(sorted_sequence, values, *, out_int32=False, right=False, side=None, sorter=None):
    """Where ``values`` would go in the sorted rows of ``sorted_sequence``, to keep them sorted.

    sorted_sequence   (n,), or (..., n) for values (..., k), row by row
    right             after equal elements, not before them; or ``side="right"``
    sorter            indices that sort the sequence, if it is not sorted itself
    out_int32         int32 instead of int64

    >>> import fastgrad as fg
    >>> fg.searchsorted(fg.tensor([1.0, 3.0, 5.0]), fg.tensor([3.0, 6.0]))
    tensor([1, 3])
    """
    if side not in (None, "left", "right") or (right and side == "left"):
        raise ValueError(f"searchsorted: side {side!r} with right={right}; expected left or right")
    rows = sorted_sequence if sorter is None else pick(sorted_sequence, sorter, -1)
    number = not isinstance(values, Tensor)
    values = Tensor(np.asarray(values, result_type(rows.data, values))) if number else values
    if rows.ndim != 1 and (number or rows.shape[:-1] != values.shape[:-1]):
        raise ValueError(
            f"searchsorted: rows {rows.shape} do not fit values {values.shape}; expected one row, "
            "or the same axes but for the last"
        )
    dtype = np.int32 if out_int32 else np.int64
    return _search(rows, values, side="right" if right else side or "left", dtype=dtype)


def bucketize(x, boundaries, *, out_int32=False, right=False):
    """Which interval between the sorted ``boundaries`` (n,) each element of ``x`` is in, 0 to n.

    ``right``: a boundary belongs to the interval after it, not to the one before.

    >>> import fastgrad as fg
    >>> fg.bucketize(fg.tensor([0.5, 1.0, 2.5]), fg.tensor([1.0, 2.0]))
    tensor([0, 0, 2])
    """
    if boundaries.ndim != 1:
        raise ValueError(f"bucketize: expected boundaries (n,), got shape {boundaries.shape}")
    return searchsorted(boundaries, x, out_int32=out_int32, right=right)
