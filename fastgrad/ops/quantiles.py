"""Compositions of order and counting: quantiles, histograms, what is not NaN."""

from collections import namedtuple

import numpy as np

from ..backend import K
from ..tensor import Tensor
from ._family import T, refuse_recording
from ._pick import pair, pick
from .reduce import check_dim, kept_shape

__all__ = ["histc", "histogram", "nanmedian", "nanquantile", "quantile"]

_NanMedian = pair("nanmedian")
_Histogram = namedtuple("histogram", ("hist", "bin_edges"))
_INTERPOLATIONS = ("linear", "lower", "higher", "midpoint", "nearest")


def quantile(x, q, dim=None, keepdim=False, *, interpolation="linear"):
    """The values that the share ``q`` of the elements along ``dim`` (None: of all) is not above.

    q               a number from 0 to 1, or a vector of these, whose results come first
    interpolation   what lies between two elements: "linear", "lower", "higher", "midpoint" or
                    "nearest"

    NaN where an element is. Raises ``TypeError`` for integers, ``ValueError`` for no elements.

    >>> import fastgrad as fg
    >>> fg.quantile(fg.tensor([1.0, 2.0, 4.0]), fg.tensor([0.5, 0.75]))
    tensor([2., 3.])
    """
    return _quantile("quantile", x, q, dim, keepdim, interpolation, None)


def nanquantile(x, q, dim=None, keepdim=False, *, interpolation="linear"):
    """``quantile`` of the elements that are not NaN.

    >>> import fastgrad as fg
    >>> fg.nanquantile(fg.tensor([1.0, float("nan"), 3.0]), 0.5)
    tensor(2.)
    """
    return _quantile("nanquantile", x, q, dim, keepdim, interpolation, T.isnan(x))


def _quantile(name, x, q, dim, keepdim, interpolation, left_out):
    q = q if isinstance(q, Tensor) else Tensor(np.asarray(q, x.dtype))
    if x.dtype.kind != "f" or q.dtype != x.dtype:
        raise TypeError(f"{name}: expected floats of one type, got {x.dtype} and {q.dtype}")
    if q.ndim > 1 or interpolation not in _INTERPOLATIONS:
        raise ValueError(
            f"{name}: expected q of one axis at most and interpolation one of {_INTERPOLATIONS}, "
            f"got shape {q.shape} and {interpolation!r}"
        )
    axis = None if dim is None else check_dim(name, dim, x.ndim)
    kept = kept_shape(x.shape, range(x.ndim) if axis is None else (axis,))
    rows, odd = (
        T.ravel(y) if axis is None or not x.ndim else T.movedim(y, axis, -1)
        for y in (x, T.isnan(x) if left_out is None else left_out)
    )
    n = rows.shape[-1]
    if not n:
        raise ValueError(f"{name}: shape {x.shape} has no elements along dim {dim}")
    last = Tensor(np.asarray(n - 1, x.dtype))
    if left_out is not None:
        last = T.clamp(T.sub(last, T.sum(odd, -1, True)), min=0).to(x.dtype)
    rank = T.mul(last, T.reshape(q, (-1,)))
    if left_out is None:  # a NaN is sorted to the end
        rank = T.where(T.any(odd, -1, True), last, rank)
    out = _between(T.sort(rows, -1).values, rank, interpolation)
    whole = [*q.shape, *(kept if keepdim else out.shape[:-1])]
    return T.reshape(T.movedim(out, -1, 0), whole)


def _between(rows, rank, interpolation):
    """What is at a rank (\\*, q), which need not be whole, in sorted rows (\\*, n)."""

    def at(place):
        shape = (*rows.shape[:-1], rank.shape[-1])
        return T.gather(rows, -1, T.broadcast_to(place.to(np.int64), shape))

    if interpolation == "nearest":
        return at(T.round(rank))
    low, high = T.floor(rank), T.ceil(rank)
    if interpolation in ("lower", "higher"):
        return at(low if interpolation == "lower" else high)
    share = 0.5 if interpolation == "midpoint" else T.sub(rank, low)
    return T.lerp(at(low), at(high), share)


def nanmedian(x, dim=None, keepdim=False):
    """The median of the elements that are not NaN; see ``median``.

    >>> import fastgrad as fg
    >>> fg.nanmedian(fg.tensor([4.0, float("nan"), 1.0, 2.0]))
    tensor(2.)
    """
    if dim is None:
        if not x.numel():
            return T.median(x)
        return _lower_middle(T.ravel(x), 0, False).values
    axis = check_dim("nanmedian", dim, x.ndim)
    if not x.ndim:
        return T.median(x, dim, keepdim)
    if not x.shape[axis]:
        raise ValueError(f"nanmedian: shape {x.shape} has no elements along dim {dim}")
    return _lower_middle(x, axis, keepdim)


def _lower_middle(x, axis, keepdim):
    order = T.argsort(x, axis)  # NaNs last
    count = T.sum(T.eq(x, x), axis, True)
    middle = T.clamp(T.floor_divide(T.sub(count, 1), 2), min=0)
    index = T.gather(order, axis, middle)
    index = index if keepdim else T.reshape(index, (*x.shape[:axis], *x.shape[axis + 1 :]))
    return _NanMedian(pick(x, index, axis), index)


# ------------------------------------------------------------------ histograms


def _range(name, x, low, high, around):
    """The given bounds, or where both are equal x's least and largest element, or around that."""
    if low == high:
        refuse_recording(f"{name} without a range")
        if x.size:
            low, high = float(x.min()), float(x.max())
        if low == high:
            low, high = low - around, high + around
    if not low < high or np.isinf([low, high]).any():
        raise ValueError(f"{name}: expected a finite range from min to max, got {low} to {high}")
    return low, high


def _floats_of(name, x):
    if x.dtype.kind != "f":
        raise TypeError(f"{name}: expected a float tensor, got {x.dtype}")
    return x.data


def histc(x, bins=100, min=0, max=0):
    """How many elements lie in each of ``bins`` equal parts of the range from min to max.

    Where min and max are equal, the range is that of the elements. Others do not count, nor does
    NaN. No gradient flows.

    >>> import fastgrad as fg
    >>> fg.histc(fg.tensor([1.0, 2.0, 1.0]), bins=4, min=0, max=3)
    tensor([0., 2., 1., 0.])
    """
    array = _floats_of("histc", x)
    if bins < 1:
        raise ValueError(f"histc: expected bins >= 1, got {bins}")
    low, high = _range("histc", array, min, max, 1.0)
    return Tensor(K.histogram(array, None, np.linspace(low, high, bins + 1, dtype=x.dtype)))


def histogram(x, bins, *, range=None, weight=None, density=False):
    """(hist, bin_edges): how many elements lie between edges, the last one included.

    bins      the edges (n + 1,), or how many equal parts the range has
    range     (low, high), by default the least and the largest element
    weight    what each element counts, of x's shape
    density   counts divided by their sum and by the parts' widths

    >>> import fastgrad as fg
    >>> fg.histogram(fg.tensor([1.0, 2.0, 1.0]), bins=2, range=(0.0, 3.0))
    histogram(hist=tensor([2., 1.]), bin_edges=tensor([0.0000, 1.5000, 3.0000]))
    """
    array = _floats_of("histogram", x)
    if weight is not None and weight.shape != x.shape:
        raise ValueError(f"histogram: weight has shape {weight.shape}, expected {x.shape}")
    if isinstance(bins, Tensor):
        edges = bins
    else:
        low, high = _range("histogram", array, *(range or (0, 0)), 0.5)
        edges = Tensor(np.linspace(low, high, bins + 1, dtype=x.dtype))
    counts = Tensor(K.histogram(array, None if weight is None else weight.data, edges.data))
    if density:
        counts = T.div(counts, T.mul(T.sum(counts), T.sub(edges[1:], edges[:-1])))
    return _Histogram(counts, edges)
