"""Windows of any kind, given by where they start along each axis: their largest elements.

Rows of a window are combined first, whole rows at a time, whatever the windows are along them; then
the columns of each window. So a large window costs little more than reading it.
"""

import math

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel, scratch
from ._record import call_numpy, empty
from ._sample import ramp
from ._simd import (
    if_equal,
    lane_max,
    lane_min,
    lanes,
    load,
    load_part,
    prefetch,
    splat,
    store,
    zeros,
)
from ._stride import (
    AHEAD,
    bits,
    clear,
    if_larger,
    larger_bits,
    larger_of,
    load_each,
    store_bits,
    store_sums,
)
from ._threads import policy

__all__ = ["fractional_starts", "unpool", "window_index", "window_max", "window_max_backward"]

_GROUPS = 16  # of rows of outputs for each thread, each with scratch of its own
_NS_MOVED = 0.15  # nanoseconds for each number read, row by row


# ------------------------------------------------------------------ the largest


@register_jitable(forceinline=True)
def _raise_vectors(x, at, best, rows, base, width, row, first):
    """Take a row of floats into the largest of each column, and into where these are."""
    lane, number = lanes(x), splat(x, row)
    for j in range(0, width, lane):
        if j + lane <= width:
            value = load(x, at + j)
        else:
            value = load_part(x, at + j, width - j, -np.inf)
        if first:
            store(best, base + j, value)
            store(rows, base + j, number)
        else:
            known, place = load(best, base + j), load(rows, base + j)
            store(best, base + j, if_larger(value, known, value, known))
            store(rows, base + j, if_larger(value, known, number, place))


@register_jitable(forceinline=True)
def _raise_each(x, at, best, rows, base, width, row, first):
    """``_raise_vectors`` of numbers of any type."""
    for j in range(width):
        value = x[at + j]
        if first or value > best[base + j]:
            best[base + j] = value
            rows[base + j] = row


@register_jitable(forceinline=True)
def _best_column(best, rows, start, stop, step):
    """Where the largest of some columns is; of equal ones the first row's, of NaN the last's."""
    where = start
    largest, row = best[start], rows[start]
    for j in range(start + step, stop, step):  # without branches: they would be guesses
        value, other = best[j], rows[j]
        nan, later = value != value, (largest == largest) | (other >= row)
        take = (value > largest) | ((value == largest) & (other < row)) | (nan & later)
        largest = value if take else largest
        row = other if take else row
        where = j if take else where
    return where


def _index_kernel(name, take_in):
    """The kernel of ``window_index`` whose rows are taken in by a function."""

    def run(
        start, stop, x, index, z_starts, y_starts, x_starts, z_counts, y_counts, x_counts, steps,
        own, size, outs, best, rows, pitch, count, groups,
    ):  # fmt: skip
        for group in range(start, stop):
            base = group * pitch
            for item in range(count * group // groups, count * (group + 1) // groups):
                over, oy = item // outs[1], item % outs[1]
                plane, oz = over // outs[0], over % outs[0]
                z_from, y_from = z_starts[plane * own[0] + oz], y_starts[plane * own[1] + oy]
                for kz in range(z_counts[oz]):
                    for ky in range(y_counts[oy]):
                        row = (z_from + kz * steps[0]) * size[1] + y_from + ky * steps[1]
                        at = (plane * size[0] * size[1] + row) * size[2]
                        take_in(x, at, best, rows, base, size[2], row, kz + ky == 0)
                for o in range(outs[2]):
                    j = base + x_starts[plane * own[2] + o]
                    j = _best_column(best, rows, j, j + x_counts[o] * steps[2], steps[2])
                    index[item * outs[2] + o] = np.int64(rows[j]) * size[2] + j - base

    run.__name__ = run.__qualname__ = name
    run.__doc__ = """Groups ``start`` to ``stop`` of rows of outputs: see ``window_index``.

    own          for each axis, how many starts each plane has of its own, or 0
    best, rows   scratch of each group, ``pitch`` long: the largest of each column, and its row
    """
    return kernel(run)


_index_of_floats = _index_kernel("window_index_of_floats", _raise_vectors)
_index_of_any = _index_kernel("window_index_of_any", _raise_each)
_MOST_ROWS = 1 << 24  # in a plane, up to which a float32 numbers them


def window_index(x, starts, counts, steps):
    """The flat index, in its plane of x, of the largest element of each window.

    x               (planes, depth, height, width), of any type
    starts          for each axis, where windows start: (1, outputs), or (planes, outputs)
    counts, steps   for each axis, how many places each output's window has (outputs,), at least
                    one, and how far apart they are

    Of equal elements the first counts; a NaN is larger than any number, of several the last counts.
    """
    size, outs = x.shape[1:], tuple(len(count) for count in counts)
    index = empty((len(x), *outs), np.int64)
    if not index.size:
        return index
    rows = len(x) * outs[0] * outs[1]
    groups = min(rows, _GROUPS * policy.threads)
    own = tuple(0 if len(s) == 1 else n for s, n in zip(starts, outs, strict=True))
    depth, height = int(counts[0].max()), int(counts[1].max())
    work = rows * (depth * height * size[2] * _NS_MOVED + outs[2] * int(counts[2].max()))
    pitch = -(-size[2] // 16) * 16
    space = scratch(2 * groups * pitch, np.dtype(np.int64))
    floats = x.dtype.kind == "f" and size[0] * size[1] <= _MOST_ROWS
    found = space[: groups * pitch].view(x.dtype) if floats else space[: groups * pitch]
    best = space[groups * pitch :].view(x.dtype)
    run = _index_of_floats if floats else _index_of_any
    run(
        groups, work, x.reshape(-1), index.reshape(-1), *(s.reshape(-1) for s in starts),
        *counts, steps, own, size, outs, best, found, pitch, rows, groups,
    )  # fmt: skip
    return index


def fractional_starts(samples, size, outs, window):
    """Where windows start along an axis of fractional pooling: (planes, outs), by a sample each.

    ``⌊(i + u) · α⌋ - ⌊u · α⌋`` with ``α = (size - window) / (outs - 1)``, in the samples' type;
    the last one is at the end. A sample counts as one from 0 to 1, whatever it is. Graham 2014.
    """
    return call_numpy(_starts, samples, size=size, outs=outs, window=window)


def _starts(samples, *, size, outs, window):
    kind = samples.dtype.type
    step = kind(size - window) / kind(max(outs - 1, 1))
    u = np.nan_to_num(samples.reshape(-1, 1)).clip(0, 1)
    starts = ((np.arange(outs, dtype=kind) + u) * step).astype(np.int64)
    starts -= (u * step).astype(np.int64)
    starts[:, -1] = size - window
    return starts


# ------------------------------------------------------------------ the largest, with vectors

_STRIP = 1024  # outputs that are one item of work; a multiple of all vectors' lanes
_LONG = 256  # elements of a plane that are one window, from which vectors go along the window
_NS_TAP = 0.25  # nanoseconds for each element of a window


@kernel
def _window_max(
    start, stop, x, out, index, table, pitch, most, steps, alike, size, outs, planes, batch
):  # fmt: skip
    """Strips ``start`` to ``stop`` of outputs of ``batch`` planes; see ``window_max``.

    size, outs   how many elements and outputs a plane has
    """
    lane, nothing = lanes(x), splat(x, -np.inf)
    strips = (batch * outs + _STRIP - 1) // _STRIP
    for item in range(start, stop):
        group, strip = item // strips, item % strips
        base, count = group * batch * size, min(batch, planes - group * batch) * outs
        for o in range(strip * _STRIP, min((strip + 1) * _STRIP, count), lane):
            ahead = base + table[o] + AHEAD
            for j in range(ahead, ahead + min(lane * size // outs, AHEAD), lane):
                prefetch(x, j)
            used = bits(0, count - o)
            best, place = nothing, zeros(x)
            for kz in range(most[0]):
                in_z = used if alike else used & larger_bits(table, 2 * pitch + o, kz, x)
                for ky in range(most[1]):
                    in_y = in_z if alike else in_z & larger_bits(table, 3 * pitch + o, ky, x)
                    at = kz * steps[0] + ky * steps[1]
                    for kx in range(most[2]):
                        taken = in_y if alike else in_y & larger_bits(table, 4 * pitch + o, kx, x)
                        value = load_each(x, base + at, table, o, taken, nothing)
                        best, place = larger_of(best, place, value, splat(x, at))
                        at += steps[2]
            target = group * batch * outs + o
            store_bits(out, target, used, best)
            store_sums(index, target, used, table, pitch + o, place)


@kernel
def _plane_max(start, stop, x, out, index, size):
    """The largest element of planes ``start`` to ``stop``, and its place."""
    lane, ramped, never = lanes(x), ramp(x), splat(x, np.inf)
    for plane in range(start, stop):
        at = plane * size
        best, place = splat(x, -np.inf), zeros(x)
        for j in range(0, size, lane):
            if j + lane <= size:
                value = load(x, at + j)
            else:
                value = load_part(x, at + j, size - j, -np.inf)
            best, place = larger_of(best, place, value, splat(x, j))
        place += ramped
        largest = lane_max(best)
        if largest == largest:
            found = lane_min(if_equal(best, splat(x, largest), place, never))
        else:  # of NaN the last
            found = lane_max(if_equal(best, best, splat(x, -1), place))
        index[plane] = np.int64(found)
        out[plane] = x[at + index[plane]]


def window_max(x, table, batch, outs, most, steps, alike, shape=None):
    """(the largest element of each window of floats x, its flat index in its plane, int64).

    x        (planes, depth, height, width), of up to 2²⁴ elements in a plane
    table    int32, a column for each output of ``batch`` planes in turn: where its window starts
             in these planes, where in its own, and how many places it has along each axis
    outs     the axes of a plane's outputs
    most     places along each axis of the largest window
    steps    how far apart they are, in elements
    alike    whether all windows are as large
    shape    that of the results, if it is not (planes, \\*outs)

    Of equal elements the first counts; a NaN is larger than any number, of several the last counts.
    """
    size, count = x[0].size if len(x) else 0, math.prod(outs)
    out = empty(shape or (len(x), *outs), x.dtype)
    index = empty(out.shape, np.int64)
    if not out.size:
        return out, index
    flat = x.reshape(-1), out.reshape(-1), index.reshape(-1)
    if count == 1 and math.prod(most) == size >= _LONG:
        _plane_max(len(x), x.size * 0.1 + len(x) * 10.0, *flat, size)
    else:
        items = -(-len(x) // batch) * -(-batch * count // _STRIP)
        _window_max(
            items, out.size * math.prod(most) * _NS_TAP, *flat, table.reshape(-1), table.shape[1],
            most, steps, alike, size, count, len(x), batch,
        )  # fmt: skip
    return out, index


@kernel
def _window_max_backward(start, stop, grad, index, grad_x, count, size):
    """Planes ``start`` to ``stop`` of x's gradient: outputs' are added where their largest was."""
    for plane in range(start, stop):
        base = plane * size
        clear(grad_x, base, size)
        for i in range(plane * count, (plane + 1) * count):
            place = np.uint64(base + index[np.uint64(i)])
            grad_x[place] += grad[np.uint64(i)]


def window_max_backward(grad, index, shape):
    """x's gradient, of ``shape``, of the largest elements' (planes, outputs), by their index."""
    grad_x = empty(shape, grad.dtype)
    if grad_x.size:
        planes, count = grad.shape
        work = grad_x.size * 0.1 + grad.size
        flat = grad.reshape(-1), index.reshape(-1), grad_x.reshape(-1)
        _window_max_backward(planes, work, *flat, count, grad_x.size // planes)
    return grad_x


# ------------------------------------------------------------------ back to where they were


def _bad_index(code, index, n):
    raise IndexError(f"index {index[code - 1]} is out of range; expected 0 <= index < {n}")


@kernel(serial=True, on_error=_bad_index)
def _check(start, stop, index, n):
    for i in range(start, stop):
        if index[i] < 0 or index[i] >= n:
            return i + 1
    return 0


@kernel
def _unpool(start, stop, x, index, out, count, n):
    """Planes ``start`` to ``stop`` of out (planes, n): zeros, and x (planes, count) put there."""
    for plane in range(start, stop):
        clear(out, plane * n, n)
        for i in range(plane * count, (plane + 1) * count):
            out[plane * n + index[i]] = x[i]


def unpool(x, index, n):
    """Planes (planes, n) of zeros with x (planes, count) put to flat indices; the last one stays.

    ``IndexError`` for an index outside 0 to n - 1.
    """
    _check(index.size, 0, index.reshape(-1), n)
    out = empty((len(x), n), x.dtype)
    if out.size:
        work = out.size * 0.1 + x.size
        _unpool(len(x), work, x.reshape(-1), index.reshape(-1), out.reshape(-1), x.shape[1], n)
    return out
