"""Rules of pools that take the largest, on a grid, of equal shares, at random; what undoes them."""

import math
from functools import lru_cache

import numpy as np

from .. import random
from ..backend import K, contiguous
from ..lifting import op
from ..tensor import Tensor
from ._family import T, shape_of
from ._pick import pick
from ._windows import (
    MOST_TABULATED,
    adaptive_outs,
    even_grid,
    grid,
    hashable,
    outs_of,
    places,
    shares,
    sizes,
    triple,
    windows_of_grid,
    windows_of_shares,
)
from .index import index_array, run_indexed

__all__ = [
    "adaptive_max_pool1d", "adaptive_max_pool2d", "adaptive_max_pool3d", "fractional_max_pool2d",
    "fractional_max_pool3d", "max_pool1d", "max_pool2d", "max_pool3d", "max_unpool1d",
    "max_unpool2d", "max_unpool3d",
]  # fmt: skip

_MOST_PLACES = 256  # in a window whose places the grid's kernels number
_NARROW = 3  # outputs in a row that are too few for these kernels, with a stride of 2


def _as_volume(x, lead, size):
    return contiguous(x).reshape(math.prod(lead), *size)


@op(name="max_pool")
def _max_pool(x, *, lead, geometry, shape):
    size, outs, before = geometry[0], geometry[1], x.shape
    largest, position = K.max_pool_forward(_as_volume(x, lead, size), geometry, shape)

    def vjp(grad):
        grad = _as_volume(grad, lead, outs)
        return K.max_pool_backward(grad, position, geometry, before)

    return largest, vjp


@op(name="max_pool_backward", linear=True)
def _spread(x, *, position, lead, geometry, shape):
    planes, n, outs = math.prod(lead), math.prod(geometry[0]), geometry[1]
    before, dtype = x.shape, x.dtype

    def vjp(grad):
        index = K.max_pool_index(position, geometry, planes, dtype)
        grad = contiguous(grad).reshape(planes, n)
        return K.take_along(grad, index.reshape(planes, math.prod(outs)), 1).reshape(before)

    return K.max_pool_backward(_as_volume(x, lead, outs), position, geometry, shape), vjp


_max_pool.differentiable(
    lambda grad, position, lead, geometry, before: _spread(
        grad, position=position, lead=lead, geometry=geometry, shape=before
    )
)


@op(name="max_pool")
def _window_max(x, *, lead, size, windows, shape, found):
    largest, index = K.window_max(_as_volume(x, lead, size), *windows, shape)
    index, before = index.reshape(math.prod(lead), math.prod(windows.outs)), x.shape
    if found is not None:  # a copy: gradients go by the index
        found.append(index.copy().reshape(shape))

    def vjp(grad):
        return K.window_max_backward(contiguous(grad).reshape(index.shape), index, before)

    return largest, vjp


@op(name="window_max_backward", linear=True)
def _spread_by_index(x, *, index, shape):
    before = x.shape

    def vjp(grad):
        return K.take_along(contiguous(grad).reshape(len(index), -1), index, 1).reshape(before)

    return K.window_max_backward(contiguous(x).reshape(index.shape), index, shape), vjp


_window_max.differentiable(
    lambda grad, index, before: _spread_by_index(grad, index=index, shape=before)
)


@op(name="window_index")
def _window_index(x, *, lead, size, where, shape):
    return K.window_index(_as_volume(x, lead, size), *where).reshape(shape), None


def _picked(name, x, lead, size, outs, where, shape, return_indices):
    """The largest of windows of any kind: ``where`` are (starts, counts, steps)."""
    if x.dtype.kind not in "fiu":
        raise TypeError(f"{name}: expected numbers, got {x.dtype}")
    if not math.prod(shape):
        indices = Tensor(np.zeros(shape, np.int64))
        values = T.reshape(T.narrow(T.ravel(x), 0, 0, 0), shape)
    else:
        indices = _window_index(x, lead=lead, size=size, where=where, shape=shape)
        flat = T.reshape(indices, (math.prod(lead), math.prod(outs)))
        values = pick(T.reshape(x, (math.prod(lead), math.prod(size))), flat, 1)
        values = T.reshape(values, shape)
    return (values, indices) if return_indices else values


def _by_tables(x, lead, size, windows, shape, return_indices):
    """The largest of windows that planes have in common."""
    found = [] if return_indices else None
    values = _window_max(x, lead=lead, size=size, windows=windows, shape=shape, found=found)
    return (values, Tensor(found[0])) if return_indices else values


def _tabulated(x, size):
    """Whether ``_by_tables`` can take x."""
    return x.dtype.kind == "f" and math.prod(size) <= MOST_TABULATED


@lru_cache(maxsize=1024, typed=True)
def _planned(name, shape, rank, *arguments):
    """(the shape in front of the pooled axes, the grid) of PyTorch's arguments."""
    lead, size = sizes(name, shape, rank)
    geometry = grid(name, size, rank, *arguments)
    places(name, geometry)  # that there are
    return lead, geometry


def _on_grid(name, x, lead, rank, geometry, return_indices):
    """The largest of windows on a grid: by their numbers where these are bytes."""
    size, outs, window, stride, *_ = geometry
    shape = lead + outs_of(outs, rank)
    numbered = stride[2] <= 2 and math.prod(window) <= _MOST_PLACES
    narrow = stride[2] == 2 and outs[2] <= _NARROW
    if x.dtype.kind == "f" and numbered and not (narrow or return_indices):
        return _max_pool(x, lead=lead, geometry=geometry, shape=shape)
    if _tabulated(x, size):
        windows = windows_of_grid(name, geometry)
        return _by_tables(x, lead, size, windows, shape, return_indices)
    return _picked(name, x, lead, size, outs, places(name, geometry), shape, return_indices)


def _max_pool_of(rank, x, *arguments, return_indices):
    name = f"max_pool{rank}d"
    lead, geometry = _planned(name, shape_of(name, x), rank, *map(hashable, arguments))
    return _on_grid(name, x, lead, rank, geometry, return_indices)


def max_pool1d(
    x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """The largest elements of windows of x (N, C, L) or (C, L).

    ``out[i] = maxⱼ x[i·stride - padding + j·dilation]`` for j below ``kernel_size``.

    stride          from one window to the next, by default the windows' size
    padding         places of -∞ on both sides, at most half a window
    ceil_mode       whether windows may reach over the end
    return_indices  whether (values, indices) are returned: where in L each value was

    A NaN is larger than any number. Of equal elements the first counts: the gradient goes there.
    Raises ``ValueError`` for a window larger than the padded input, and for sizes out of range.

    >>> import fastgrad as fg
    >>> fg.max_pool1d(fg.tensor([[1.0, 4.0, 3.0, 2.0]]), 2)
    tensor([[4., 3.]])
    """
    options = padding, dilation, ceil_mode
    return _max_pool_of(1, x, kernel_size, stride, *options, return_indices=return_indices)


def max_pool2d(
    x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """The largest elements of windows of images x (N, C, H, W) or (C, H, W); see ``max_pool1d``.

    Sizes are numbers, or pairs of them. Indices are ``row · W + column``.

    >>> import fastgrad as fg
    >>> fg.max_pool2d(fg.arange(4.0).reshape(1, 2, 2), 2)
    tensor([[[3.]]])
    """
    options = padding, dilation, ceil_mode
    return _max_pool_of(2, x, kernel_size, stride, *options, return_indices=return_indices)


def max_pool3d(
    x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False
):
    """The largest elements of windows of volumes (N, C, D, H, W) or (C, D, H, W); see the others.

    >>> import fastgrad as fg
    >>> fg.max_pool3d(fg.arange(8.0).reshape(1, 2, 2, 2), 2)
    tensor([[[[7.]]]])
    """
    options = padding, dilation, ceil_mode
    return _max_pool_of(3, x, kernel_size, stride, *options, return_indices=return_indices)


# ------------------------------------------------------------------ equal shares


def _adaptive(rank, x, output_size, return_indices):
    name = f"adaptive_max_pool{rank}d"
    lead, size = sizes(name, shape_of(name, x), rank)
    outs = adaptive_outs(name, size, output_size, rank)
    geometry = even_grid(size, outs)
    if geometry is not None:
        return _on_grid(name, x, lead, rank, geometry, return_indices)
    shape = lead + outs_of(outs, rank)
    if _tabulated(x, size):
        windows = windows_of_shares(size, outs)
        return _by_tables(x, lead, size, windows, shape, return_indices)
    firsts, lasts = shares(size, outs)
    starts = tuple(first[None] for first in firsts)
    counts = tuple(b - a for a, b in zip(firsts, lasts, strict=True))
    where = starts, counts, (1, 1, 1)
    return _picked(name, x, lead, size, outs, where, shape, return_indices)


def adaptive_max_pool1d(x, output_size, return_indices=True):
    """The largest elements of ``output_size`` windows of equal shares of x (N, C, L) or (C, L).

    Window i goes from ``⌊i L / output_size⌋`` to ``⌈(i + 1) L / output_size⌉``. The result is
    (values, indices) as of ``max_pool1d``, or values alone without ``return_indices``, by default
    so in ``functional``: PyTorch has both.

    Raises ``ValueError`` for a negative size, and for a shape that does not fit.

    >>> import fastgrad as fg
    >>> x = fg.tensor([[1.0, 4.0, 3.0, 2.0]])
    >>> fg.adaptive_max_pool1d(x, 2)
    (tensor([[4., 3.]]), tensor([[1, 2]]))
    >>> fg.functional.adaptive_max_pool1d(x, 2)
    tensor([[4., 3.]])
    """
    return _adaptive(1, x, output_size, return_indices)


def adaptive_max_pool2d(x, output_size, return_indices=False):
    """The largest elements of equal shares of images x (N, C, H, W) or (C, H, W); see the above.

    ``output_size`` is a number, or one for each of H and W; None keeps a size as it is.

    >>> import fastgrad as fg
    >>> fg.nn.functional.adaptive_max_pool2d(fg.arange(4.0).reshape(1, 2, 2), (None, 1))
    tensor([[[1.],
             [3.]]])
    """
    return _adaptive(2, x, output_size, return_indices)


def adaptive_max_pool3d(x, output_size, return_indices=False):
    """The largest elements of equal shares of volumes (N, C, D, H, W) or (C, D, H, W).

    >>> import fastgrad as fg
    >>> fg.nn.functional.adaptive_max_pool3d(fg.arange(8.0).reshape(1, 2, 2, 2), 1)
    tensor([[[[7.]]]])
    """
    return _adaptive(3, x, output_size, return_indices)


# ------------------------------------------------------------------ windows at random


def _samples(name, x, lead, rank, given):
    """The numbers from 0 to 1 that windows' places depend on, (planes, rank)."""
    batch = lead if len(lead) == 2 else (1, *lead)
    if given is None:
        if x.dtype.kind != "f":
            raise TypeError(f"{name}: expected a float tensor, got {x.dtype}")
        shape = math.prod(lead), rank
        return K.uniform(shape, x.dtype, 0.0, 1.0, K.draw(random.default.counter, math.prod(shape)))
    if given.ndim != 3 or len(given) < batch[0] or given.shape[1:] != (batch[1], rank):
        raise ValueError(
            f"{name}: expected _random_samples of shape {(*batch, rank)}, got {given.shape}"
        )
    numbers = given.data[: batch[0]].astype(x.dtype, copy=False)
    return contiguous(numbers).reshape(math.prod(lead), rank)


def _fractional(rank, x, kernel_size, output_size, output_ratio, return_indices, samples):
    name = f"fractional_max_pool{rank}d"
    lead, size = sizes(name, shape_of(name, x), rank)
    if (output_size is None) == (output_ratio is None):
        raise ValueError(
            f"{name}: expected output_size or output_ratio, got {output_size} and {output_ratio}"
        )
    if output_size is None:
        several = isinstance(output_ratio, tuple | list)
        ratios = tuple(output_ratio) if several else (output_ratio,) * rank
        if len(ratios) != rank or not all(0 < ratio < 1 for ratio in ratios):
            raise ValueError(
                f"{name}: expected output_ratio between 0 and 1, as one number or {rank}, got "
                f"{output_ratio}"
            )
        output_size = [int(n * r) for n, r in zip(size[3 - rank :], ratios, strict=True)]
    outs = triple(name, "output_size", output_size, rank, 1, 1)
    window = triple(name, "kernel_size", kernel_size, rank, 1, 1)
    for n, m, k in zip(size, outs, window, strict=True):
        if m + k - 1 > n:
            raise ValueError(
                f"{name}: kernel_size {k} and output_size {m} want at least {m + k - 1} elements, "
                f"the input has {n}"
            )
    drawn = _samples(name, x, lead, rank, samples)
    order = range(rank) if rank == 3 else (1, 0)  # as PyTorch has it: of images, the row's first
    starts = (np.zeros((1, 1), np.int64),) * (3 - rank) + tuple(
        K.fractional_starts(contiguous(drawn[:, i]), n, m, k)
        for i, n, m, k in zip(order, size[3 - rank :], outs[3 - rank :], window[3 - rank :],
                              strict=True)
    )  # fmt: skip
    counts = tuple(np.full(m, k) for m, k in zip(outs, window, strict=True))
    where, shape = (starts, counts, (1, 1, 1)), lead + outs_of(outs, rank)
    return _picked(name, x, lead, size, outs, where, shape, return_indices)


def fractional_max_pool2d(
    x, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """The largest elements of windows at random places of images x (N, C, H, W) or (C, H, W).

    Along an axis of n elements, m windows of k start at ``⌊(i + u) α⌋ - ⌊u α⌋``, with
    ``α = (n - k) / (m - 1)`` and u drawn for each channel. Graham 2014.

    output_size, output_ratio  what comes out, in elements or as a part of what goes in: one of them
    return_indices             whether (values, indices) are returned, as by ``max_pool2d``
    _random_samples            (N, C, 2) numbers u from 0 to 1, first those of columns: the same
                               give the same windows; by default they are drawn anew

    Raises ``ValueError`` for sizes out of range.

    >>> import fastgrad as fg
    >>> u = fg.full((1, 1, 2), 0.5)
    >>> fg.nn.functional.fractional_max_pool2d(
    ...     fg.arange(9.0).reshape(1, 3, 3), 2, output_size=2, _random_samples=u
    ... )
    tensor([[[4., 5.],
             [7., 8.]]])
    """
    options = output_size, output_ratio, return_indices, _random_samples
    return _fractional(2, x, kernel_size, *options)


def fractional_max_pool3d(
    x, kernel_size, output_size=None, output_ratio=None, return_indices=False, _random_samples=None
):
    """``fractional_max_pool2d`` of volumes x (N, C, D, H, W) or (C, D, H, W).

    ``_random_samples`` are (N, C, 3), in the order of the axes.

    >>> import fastgrad as fg
    >>> x = fg.arange(27.0).reshape(1, 3, 3, 3)
    >>> fg.nn.functional.fractional_max_pool3d(x, 3, output_size=1)
    tensor([[[[26.]]]])
    """
    options = output_size, output_ratio, return_indices, _random_samples
    return _fractional(3, x, kernel_size, *options)


# ------------------------------------------------------------------ undone


@op(name="max_unpool", linear=True)
def _put_back(x, *, index, n, shape):
    before = x.shape
    out = run_indexed("max_unpool", K.unpool, contiguous(x).reshape(index.shape), index, n)

    def vjp(grad):
        return K.take_along(contiguous(grad).reshape(len(index), n), index, 1).reshape(before)

    return out.reshape(shape), vjp


def _max_unpool(rank, x, indices, kernel_size, stride, padding, output_size):
    name = f"max_unpool{rank}d"
    lead, size = sizes(name, shape_of(name, x), rank)
    if shape_of(name, indices) != x.shape:
        raise ValueError(f"{name}: indices {indices.shape} do not fit x {x.shape}")
    if x.dtype.kind != "f":
        raise TypeError(f"{name}: expected a float tensor, got {x.dtype}")
    window = triple(name, "kernel_size", kernel_size, rank, 1, 1)
    stride = window if stride is None else triple(name, "stride", stride, rank, 1, 1)
    padding = triple(name, "padding", padding, rank, 0, 0)
    outs = tuple(
        (n - 1) * s - 2 * p + k for n, k, s, p in zip(size, window, stride, padding, strict=True)
    )
    if output_size is not None:
        given = tuple(output_size) if isinstance(output_size, list | tuple) else (output_size,)
        given = triple(name, "output_size", given[2:] if len(given) == rank + 2 else given, rank,
                       1, 1)  # fmt: skip
        for m, n, s in list(zip(given, outs, stride, strict=True))[3 - rank :]:
            if not n - s < m < n + s:
                raise ValueError(
                    f"{name}: output_size {m} is out of range; expected {n - s + 1} to {n + s - 1}"
                )
        outs = given
    if min(outs) < 1:
        raise ValueError(f"{name}: an input of {size} gives an output of {outs}, of no elements")
    index = index_array(name, indices).astype(np.int64, copy=False)
    index = contiguous(index).reshape(math.prod(lead), math.prod(size))
    return _put_back(x, index=index, n=math.prod(outs), shape=lead + outs_of(outs, rank))


def max_unpool1d(x, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Zeros with x (N, C, L) or (C, L) put where ``max_pool1d`` says that it was.

    indices      those that it returned
    output_size  the size of what it pooled; by default ``(L - 1) · stride - 2 · padding +
                 kernel_size``, from which it may differ by less than the stride

    Of several elements of one place the last stays. Zeiler et al. 2011. Raises ``IndexError`` for
    an index that is not in the output, ``ValueError`` for sizes out of range.

    >>> import fastgrad as fg
    >>> F = fg.nn.functional
    >>> values, indices = F.max_pool1d(fg.tensor([[1.0, 4.0, 3.0, 2.0]]), 2, return_indices=True)
    >>> F.max_unpool1d(values, indices, 2)
    tensor([[0., 4., 3., 0.]])
    """
    return _max_unpool(1, x, indices, kernel_size, stride, padding, output_size)


def max_unpool2d(x, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Zeros with x (N, C, H, W) or (C, H, W) put where ``max_pool2d`` says; see ``max_unpool1d``.

    >>> import fastgrad as fg
    >>> fg.nn.functional.max_unpool2d(fg.ones(1, 1, 1), fg.tensor([[[2]]]), 2)
    tensor([[[0., 0.],
             [1., 0.]]])
    """
    return _max_unpool(2, x, indices, kernel_size, stride, padding, output_size)


def max_unpool3d(x, indices, kernel_size, stride=None, padding=0, output_size=None):
    """Zeros with x (N, C, D, H, W) or (C, D, H, W) put where ``max_pool3d`` says; see the others.

    >>> import fastgrad as fg
    >>> fg.nn.functional.max_unpool3d(fg.ones(1, 1, 1, 1), fg.tensor([[[[1]]]]), (1, 1, 2))
    tensor([[[[0., 1.]]]])
    """
    return _max_unpool(3, x, indices, kernel_size, stride, padding, output_size)
