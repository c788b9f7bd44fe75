"""Rows of pools; see ``op_cases``. The references go window by window."""

import itertools

import numpy as np
from op_cases import Case, Sample, distinct

from fastgrad import functional as F


def _each(value, rank):
    return tuple(value) if isinstance(value, tuple) else (value,) * rank


def _windows(size, kernel, stride, padding, dilation, ceil_mode):
    """For each axis, the places of each window, those of the padding too."""
    for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True):
        span = n + 2 * p - (k - 1) * d - 1
        outs = (-(-span // s) if ceil_mode else span // s) + 1
        if ceil_mode and (outs - 1) * s >= n + p:
            outs -= 1
        yield [np.arange(k) * d + o * s - p for o in range(outs)]


def _by_windows(x, rank, axes, reduce):
    """``reduce(elements (lead, count), places)`` of each window that ``axes`` give."""
    axes = [list(axis) for axis in axes]
    lead = x.shape[: x.ndim - rank]
    out = np.zeros((*lead, *map(len, axes)))
    for place in np.ndindex(*map(len, axes)):
        taken = [axis[i] for axis, i in zip(axes, place, strict=True)]
        inside = [
            t[(t >= 0) & (t < n)] for t, n in zip(taken, x.shape[x.ndim - rank :], strict=True)
        ]
        part = x[(..., *np.ix_(*inside))].reshape(*lead, -1)
        out[(..., *place)] = reduce(part, taken)
    return out


def _max(rank):
    def reference(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False):
        kernel = _each(kernel_size, rank)
        grid = (
            kernel if stride is None else _each(stride, rank), _each(padding, rank),
            _each(dilation, rank), ceil_mode,
        )  # fmt: skip
        axes = _windows(x.shape[x.ndim - rank :], kernel, *grid)
        return _by_windows(x, rank, axes, lambda part, _: part.max(axis=-1))

    return reference


def _avg(rank):
    def reference(
        x, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True,
        divisor_override=None,
    ):  # fmt: skip
        kernel, paddings = _each(kernel_size, rank), _each(padding, rank)
        strides = kernel if stride is None else _each(stride, rank)
        size = x.shape[x.ndim - rank :]
        axes = _windows(size, kernel, strides, paddings, (1,) * rank, ceil_mode)

        def mean(part, taken):
            padded = [(t < n + p).sum() for t, n, p in zip(taken, size, paddings, strict=True)]
            count = np.prod(padded) if count_include_pad else part.shape[-1]
            return part.sum(axis=-1) / (divisor_override or count)

        return _by_windows(x, rank, axes, mean)

    return reference


def _lp(rank):
    def reference(x, norm_type, kernel_size, stride=None, ceil_mode=False):
        if np.isinf(norm_type):
            return _max(rank)(np.abs(x), kernel_size, stride, ceil_mode=ceil_mode)
        total = _avg(rank)(x**norm_type, kernel_size, stride, 0, ceil_mode)
        count = np.prod(_each(kernel_size, rank))
        return (np.maximum(total, 0) * count) ** (1 / norm_type)

    return reference


def _adaptive(rank, reduce):
    def reference(x, output_size):
        size = x.shape[x.ndim - rank :]
        outs = [m or n for m, n in zip(_each(output_size, rank), size, strict=True)]
        axes = (
            [np.arange(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]
            for n, m in zip(size, outs, strict=True)
        )
        return _by_windows(x, rank, axes, lambda part, _: reduce(part, axis=-1))

    return reference


def _fractional(rank):
    def reference(x, kernel_size, output_size, _random_samples):
        out = np.zeros((*x.shape[:2], *_each(output_size, rank)))
        order = range(rank) if rank == 3 else (1, 0)
        for plane in np.ndindex(*x.shape[:2]):
            axes = []
            for axis, number in enumerate(order):
                n, m = x.shape[2 + axis], out.shape[2 + axis]
                u, step = _random_samples[plane][number], (n - kernel_size) / max(m - 1, 1)
                starts = [int((i + u) * step) - int(u * step) for i in range(m - 1)]
                axes.append([np.arange(kernel_size) + s for s in (*starts, n - kernel_size)])
            out[plane] = _by_windows(x[plane], rank, axes, lambda part, _: part.max(axis=-1))
        return out

    return reference


def _unpool(x, indices, kernel_size, output_size):
    out = np.zeros((*x.shape[:2], int(np.prod(output_size))))
    lead = (*x.shape[:2], -1)
    np.put_along_axis(out, indices.reshape(lead), x.reshape(lead), -1)
    return out.reshape(*x.shape[:2], *output_size)


_SIZES = {1: (2, 2, 19), 2: (1, 2, 7, 9), 3: (1, 2, 5, 4, 5)}
_GRIDS = (
    {"kernel_size": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 3, "stride": 1, "padding": 1, "ceil_mode": True},
    {"kernel_size": 3, "stride": 3, "padding": 1, "ceil_mode": True},
    {"kernel_size": 2, "stride": 2, "ceil_mode": True},
)


def _grids(rank, *more):
    unbatched = Sample((_SIZES[rank][1:],), _GRIDS[0])
    return *(Sample((_SIZES[rank],), options) for options in (*_GRIDS, *more)), unbatched


def _errors(name, rank):
    x = np.zeros(_SIZES[rank])
    n = _SIZES[rank][2]
    return (
        ((x,), {"kernel_size": 50}, ValueError, f"{name}: a window of 50 .* the input of {n}"),
        ((x,), {"kernel_size": 2, "padding": 2}, ValueError, "padding 2 is more than half of a"),
        ((x,), {"kernel_size": 2, "stride": 0}, ValueError, f"{name}: stride is 0; expected"),
        ((x,), {"kernel_size": 2, "padding": -1}, ValueError, f"{name}: padding is -1; expected"),
        ((x,), {"kernel_size": (2, 2, 2, 2)}, ValueError, rf"{name}: kernel_size is \(2, 2, 2, 2"),
        ((x,), {"kernel_size": 2.0}, TypeError, f"{name}: kernel_size is 2.0; expected an int"),
        ((x,), {"kernel_size": None}, TypeError, f"{name}: kernel_size is None; expected an int"),
        ((x > 0,), {"kernel_size": 2}, TypeError, f"{name}: expected numbers, got bool"),
        ((np.zeros(4),), {"kernel_size": 2}, ValueError, rf"expected {rank + 2} axes .* \(4,\)"),
        ((np.zeros((*_SIZES[rank][:-1], 0)),), {"kernel_size": 2}, ValueError, "no elements"),
    )


def _rows(rank):
    x, draw = _SIZES[rank], {"draw": distinct}
    name = f"max_pool{rank}d"
    dilated = {"kernel_size": 2, "stride": 2, "dilation": 2, "padding": 1}
    yield Case(name, getattr(F, name), _max(rank), _grids(rank, dilated), special=False,
               errors=_errors(name, rank), **draw)  # fmt: skip
    name = f"avg_pool{rank}d"
    more = [{"kernel_size": 3, "stride": 2, "padding": 1, "count_include_pad": False}]
    if rank > 1:
        more += [{"kernel_size": 2, "divisor_override": 3}]
    yield Case(name, getattr(F, name), _avg(rank), _grids(rank, *more),
               errors=_errors(name, rank))  # fmt: skip
    name = f"lp_pool{rank}d"
    yield Case(name, getattr(F, name), _lp(rank), tuple(
        Sample((x,), {"norm_type": p, "kernel_size": 2, **given})
        for p, given in ((2.0, {}), (3.0, {"stride": 1}), (1.0, {"ceil_mode": True}), (np.inf, {}))
    ), errors=(
        ((np.zeros(x),), {"norm_type": 0, "kernel_size": 2}, ValueError, f"{name}: norm_type is 0"),
        ((np.zeros(x),), {"norm_type": 2, "kernel_size": 99}, ValueError, f"{name}: a window of"),
    ), draw=lambda rng, shape: rng.uniform(0.5, 2.0, shape), special=False)  # fmt: skip
    outs = (1, 3, 4, None) if rank == 1 else (1, 2, (None,) * (rank - 1) + (4,))
    shares = (*(Sample((x,), {"output_size": m}) for m in outs),
              Sample((x[1:],), {"output_size": 3}))  # fmt: skip
    for kind, reduce in (("avg", np.mean), ("max", np.max)):
        name = f"adaptive_{kind}_pool{rank}d"
        bad = (
            ((np.zeros(x),), {"output_size": -1}, ValueError, f"{name}: output_size is -1"),
            ((np.zeros(x),), {"output_size": 2.0}, TypeError, f"{name}: output_size is 2.0"),
            ((np.zeros(x),), {"output_size": (2,) * 4}, ValueError, f"{name}: output_size is"),
        )
        yield Case(name, getattr(F, name), _adaptive(rank, reduce), shares, errors=bad,
                   special=False, **draw)  # fmt: skip
    name = f"max_unpool{rank}d"
    count = 2**rank
    small = (2, 2, *(2,) * rank)
    places = np.random.default_rng(0).permuted(
        np.tile(np.arange(4**rank), (4, 1)), axis=1
    )[:, :count].reshape(small)  # fmt: skip
    given = {"kernel_size": 2, "output_size": (4,) * rank}
    errors = (
        ((np.zeros(small), places + 1000), given, IndexError, f"out of range; .* {4**rank}"),
        ((np.zeros(small), places[:1]), given, ValueError, f"{name}: indices .* do not fit"),
        ((np.zeros(small), places), {"kernel_size": 2, "output_size": (9,) * rank}, ValueError,
         "output_size 9 is out of range; expected 3 to 5"),
        ((np.zeros(small), places), {"kernel_size": 2, "output_size": 9}, ValueError,
         "output_size 9 is out of range; expected 3 to 5"),
    )  # fmt: skip
    yield Case(name, getattr(F, name), _unpool, (Sample((small, places), given),), errors=errors)
    if rank > 1:
        name = f"fractional_max_pool{rank}d"
        u = np.random.default_rng(1).uniform(size=(*x[:2], rank))
        samples = tuple(
            Sample((x,), {"kernel_size": k, "output_size": m, "_random_samples": u})
            for k, m in ((2, 2), (1, 2), (3, 1))
        )
        errors = (
            ((np.zeros(x),), {"kernel_size": 9, "output_size": 2}, ValueError, "at least 10"),
            ((np.zeros(x),), {"kernel_size": 2}, ValueError, "output_size or output_ratio"),
            ((np.zeros(x),), {"kernel_size": 2, "output_ratio": 2.0}, ValueError, "between 0 and"),
        )  # fmt: skip
        yield Case(name, getattr(F, name), _fractional(rank), samples, special=False,
                   errors=errors, **draw)  # fmt: skip


ROWS = tuple(itertools.chain.from_iterable(_rows(rank) for rank in (1, 2, 3)))
