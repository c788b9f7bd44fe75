"""Rules of pools that average: over windows on a grid, over equal shares, of powers."""

import math
from functools import lru_cache

import numpy as np

from ..backend import K, contiguous
from ..lifting import op
from ._family import T, ints, shape_of
from ._windows import (
    adaptive_outs,
    even_grid,
    grid,
    hashable,
    outs_of,
    sizes,
    spans_of_grid,
    spans_of_shares,
)

__all__ = [
    "adaptive_avg_pool1d", "adaptive_avg_pool2d", "adaptive_avg_pool3d", "avg_pool1d",
    "avg_pool2d", "avg_pool3d", "lp_pool1d", "lp_pool2d", "lp_pool3d",
]  # fmt: skip


@op(name="avg_pool", linear=True)
def _average(x, *, lead, spans, shape):
    before, planes = x.shape, math.prod(lead)
    size = tuple(len(first) for first in spans.back_firsts)
    outs = tuple(len(first) for first in spans.firsts)
    x = contiguous(x).reshape(planes, *size)
    if spans.windows is not None:
        out = K.window_mean(x, *spans.windows, False, shape)
    else:
        out = K.window_sum(
            x, spans.firsts, spans.lasts, spans.counts, False, spans.along, shape
        )  # fmt: skip

    def vjp(grad):
        grad = contiguous(grad).reshape(planes, *outs)
        if spans.back_windows is not None:
            return K.window_mean(grad, *spans.back_windows, True, before)
        return K.window_sum(
            grad, spans.back_firsts, spans.back_lasts, spans.counts, True, spans.back_along, before
        )

    return out, vjp


def _averaged(name, x, lead, rank, outs, make):
    """Averages of x over the spans that ``make(dtype)`` gives; integers are rounded to 0."""
    shape = lead + outs_of(outs, rank)
    if x.dtype.kind == "f":
        return _average(x, lead=lead, spans=make(x.dtype), shape=shape)
    if x.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected numbers, got {x.dtype}")
    double = np.dtype(np.float64)
    return T.trunc(_average(x.to(double), lead=lead, spans=make(double), shape=shape)).to(x.dtype)


@lru_cache(maxsize=1024, typed=True)
def _planned(name, shape, rank, kernel_size, stride, padding, ceil_mode):
    """(the shape in front of the pooled axes, the grid) of PyTorch's arguments."""
    lead, size = sizes(name, shape, rank)
    return lead, grid(name, size, rank, kernel_size, stride, padding, 1, ceil_mode)


def _avg_pool(
    name, rank, x, kernel_size, stride, padding, ceil_mode, count_include_pad, divisor_override
):
    if divisor_override is not None and not (
        isinstance(divisor_override, int | float | np.number) and divisor_override
    ):
        raise ValueError(
            f"{name}: divisor_override is {divisor_override!r}; expected a number other than 0"
        )
    arguments = map(hashable, (kernel_size, stride, padding, ceil_mode))
    lead, place = _planned(name, shape_of(name, x), rank, *arguments)
    return _averaged(
        name, x, lead, rank, place[1],
        lambda dtype: spans_of_grid(place, bool(count_include_pad), divisor_override, dtype),
    )  # fmt: skip


def avg_pool1d(x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True):
    """Averages over windows of x (N, C, L) or (C, L).

    ``out[i] = Σⱼ x[i·stride - padding + j] / kernel_size`` for j below ``kernel_size``.

    stride             from one window to the next, by default the windows' size
    padding            zeros on both sides, at most half a window
    ceil_mode          whether windows may reach over the end
    count_include_pad  whether zeros of the padding count in the divisor

    Raises ``ValueError`` for a window larger than the padded input, and for sizes out of range.

    >>> import fastgrad as fg
    >>> fg.nn.functional.avg_pool1d(fg.tensor([[1.0, 3.0, 5.0, 7.0]]), 2)
    tensor([[2., 6.]])
    """
    options = stride, padding, ceil_mode, count_include_pad, None
    return _avg_pool("avg_pool1d", 1, x, kernel_size, *options)


def avg_pool2d(
    x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
    divisor_override=None,
):  # fmt: skip
    """Averages over windows of images x (N, C, H, W) or (C, H, W); see ``avg_pool1d``.

    Sizes are numbers, or pairs of them. ``divisor_override`` is divided by instead of the number of
    elements of a window; not 0, or ``ValueError`` is raised.

    >>> import fastgrad as fg
    >>> fg.nn.functional.avg_pool2d(fg.arange(4.0).reshape(1, 2, 2), 2)
    tensor([[[1.5000]]])
    """
    options = stride, padding, ceil_mode, count_include_pad, divisor_override
    return _avg_pool("avg_pool2d", 2, x, kernel_size, *options)


def avg_pool3d(
    x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
    divisor_override=None,
):  # fmt: skip
    """Averages over windows of volumes x (N, C, D, H, W) or (C, D, H, W); see ``avg_pool2d``.

    >>> import fastgrad as fg
    >>> fg.nn.functional.avg_pool3d(fg.arange(8.0).reshape(1, 2, 2, 2), 2)
    tensor([[[[3.5000]]]])
    """
    options = stride, padding, ceil_mode, count_include_pad, divisor_override
    return _avg_pool("avg_pool3d", 3, x, kernel_size, *options)


# ------------------------------------------------------------------ equal shares


def _adaptive(name, rank, x, output_size):
    lead, size = sizes(name, shape_of(name, x), rank)
    outs = adaptive_outs(name, size, output_size, rank)
    if x.dtype.kind != "f":
        raise TypeError(f"{name}: expected a float tensor, got {x.dtype}")
    if outs == size:
        return T.clone(x)
    if outs == (1, 1, 1):
        return T.mean(x, dim=tuple(range(-rank, 0)), keepdim=True)
    even = even_grid(size, outs)
    if even is None:
        return _averaged(
            name, x, lead, rank, outs, lambda dtype: spans_of_shares(size, outs, dtype)
        )
    return _averaged(
        name, x, lead, rank, outs, lambda dtype: spans_of_grid(even, True, None, dtype)
    )


def adaptive_avg_pool1d(x, output_size):
    """Averages of x (N, C, L) or (C, L) over ``output_size`` windows of equal shares of L.

    Window i goes from ``⌊i L / output_size⌋`` to ``⌈(i + 1) L / output_size⌉``. A size of 1 is the
    average of all.

    Raises ``ValueError`` for a negative size, and for a shape that does not fit.

    >>> import fastgrad as fg
    >>> fg.adaptive_avg_pool1d(fg.tensor([[1.0, 3.0, 5.0, 7.0]]), 2)
    tensor([[2., 6.]])
    """
    return _adaptive("adaptive_avg_pool1d", 1, x, output_size)


def adaptive_avg_pool2d(x, output_size):
    """Averages of images x (N, C, H, W) or (C, H, W) over equal shares; see the one for 1 axis.

    ``output_size`` is a number, or one for each of H and W; None keeps a size as it is.

    >>> import fastgrad as fg
    >>> fg.nn.functional.adaptive_avg_pool2d(fg.arange(4.0).reshape(1, 2, 2), (None, 1))
    tensor([[[0.5000],
             [2.5000]]])
    """
    return _adaptive("adaptive_avg_pool2d", 2, x, output_size)


def adaptive_avg_pool3d(x, output_size):
    """Averages of volumes x (N, C, D, H, W) or (C, D, H, W) over equal shares; see the others.

    >>> import fastgrad as fg
    >>> fg.nn.functional.adaptive_avg_pool3d(fg.arange(8.0).reshape(1, 2, 2, 2), 1)
    tensor([[[[3.5000]]]])
    """
    return _adaptive("adaptive_avg_pool3d", 3, x, output_size)


# ------------------------------------------------------------------ powers


def _power(rank, x, norm_type, kernel_size, stride, ceil_mode):
    name = f"lp_pool{rank}d"
    if not isinstance(norm_type, int | float | np.number) or not norm_type:
        raise ValueError(f"{name}: norm_type is {norm_type!r}; expected a number other than 0")
    window = ints(name, "kernel_size", kernel_size, rank, 1)
    shape_of(name, x)
    if math.isinf(norm_type):  # the largest of magnitudes, or the smallest
        sign = math.copysign(1, norm_type)
        largest = getattr(T, f"max_pool{rank}d")
        return T.mul(largest(T.mul(T.abs(x), sign), window, stride, ceil_mode=ceil_mode), sign)
    options = window, stride, 0, ceil_mode, True, None
    total = _avg_pool(name, rank, T.pow(x, norm_type), *options)
    total = T.mul(T.sign(total) * T.relu(T.abs(total)), math.prod(window))
    return T.pow(total, 1.0 / norm_type)


def lp_pool1d(x, norm_type, kernel_size, stride=None, ceil_mode=False):
    """``(Σ x^p)^(1/p)`` over windows of x (N, C, L) or (C, L), for p = ``norm_type``.

    With p = 1 that is the sum; with p = ∞, the largest magnitude. Where a sum is 0, the gradient is
    NaN for p > 1, as PyTorch's is. Sizes are those of ``avg_pool1d``, which see. Raises
    ``ValueError`` for p = 0, too.

    >>> import fastgrad as fg
    >>> fg.nn.functional.lp_pool1d(fg.tensor([[3.0, 4.0]]), 2.0, 2)
    tensor([[5.]])
    """
    return _power(1, x, norm_type, kernel_size, stride, ceil_mode)


def lp_pool2d(x, norm_type, kernel_size, stride=None, ceil_mode=False):
    """``(Σ x^p)^(1/p)`` over windows of images x (N, C, H, W) or (C, H, W); see ``lp_pool1d``.

    >>> import fastgrad as fg
    >>> fg.nn.functional.lp_pool2d(fg.tensor([[[3.0, 4.0]]]), 2.0, (1, 2))
    tensor([[[5.]]])
    """
    return _power(2, x, norm_type, kernel_size, stride, ceil_mode)


def lp_pool3d(x, norm_type, kernel_size, stride=None, ceil_mode=False):
    """``(Σ x^p)^(1/p)`` over windows of volumes (N, C, D, H, W) or (C, D, H, W); see the others.

    >>> import fastgrad as fg
    >>> fg.nn.functional.lp_pool3d(fg.tensor([[[[3.0, 4.0]]]]), 2.0, (1, 1, 2))
    tensor([[[[5.]]]])
    """
    return _power(3, x, norm_type, kernel_size, stride, ceil_mode)
