"""Windows of any kind, given by where they start along each axis: largest elements and sums.

Rows of a window are combined first, whole rows at a time, whatever the windows are along them; then
the columns of each window. So a large window costs little more than reading it.
"""

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel, scratch
from ._record import call_numpy, empty
from ._simd import lanes, load, load_part, read, splat, store, write, zeros
from ._stride import bits, evens, first_pairs, last_pairs, store_bits
from ._threads import policy

__all__ = ["fractional_starts", "unpool", "window_index", "window_sum"]

_GROUPS = 16  # of rows of outputs for each thread, each with scratch of its own
_NS_MOVED = 0.15  # nanoseconds for each number read, row by row
_NS_COLUMN = 1.0  # and for each along a window's row


# ------------------------------------------------------------------ the largest


@kernel
def _window_index(
    start, stop, x, index, starts, counts, steps, own, size, outs, best, rows, count, groups
):
    """Groups ``start`` to ``stop`` of rows of outputs.

    own          for each axis, how many starts each plane has of its own, or 0
    best, rows   scratch of each group: the largest of each column, and in which row it is
    """
    width = size[2]
    for group in range(start, stop):
        base = group * width
        for item in range(count * group // groups, count * (group + 1) // groups):
            over, oy = item // outs[1], item % outs[1]
            plane, oz = over // outs[0], over % outs[0]
            z_from, y_from = starts[0][plane * own[0] + oz], starts[1][plane * own[1] + oy]
            for kz in range(counts[0][oz]):
                for ky in range(counts[1][oy]):
                    row = (z_from + kz * steps[0]) * size[1] + y_from + ky * steps[1]
                    at = (plane * size[0] * size[1] + row) * width
                    if kz + ky == 0:
                        for j in range(width):
                            best[base + j] = x[at + j]
                            rows[base + j] = row
                        continue
                    for j in range(width):
                        value = x[at + j]
                        take = value > best[base + j] or value != value
                        best[base + j] = value if take else best[base + j]
                        rows[base + j] = row if take else rows[base + j]
            for o in range(outs[2]):
                where = starts[2][plane * own[2] + o]
                largest, row = best[base + where], rows[base + where]
                for k in range(1, counts[2][o]):
                    j = starts[2][plane * own[2] + o] + k * steps[2]
                    value, other = best[base + j], rows[base + j]
                    if (
                        value > largest
                        or (value == largest and other < row)
                        or (value != value and (largest == largest or other >= row))
                    ):
                        largest, row, where = value, other, j
                index[item * outs[2] + o] = row * width + where


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
    space = scratch(2 * groups * size[2], np.dtype(np.int64))
    best, found = space[groups * size[2] :].view(x.dtype), space[: groups * size[2]]
    _window_index(
        groups, work, x.reshape(-1), index.reshape(-1), tuple(s.reshape(-1) for s in starts),
        counts, steps, own, size, outs, best, found, rows, groups,
    )  # fmt: skip
    return index


def fractional_starts(samples, size, outs, window):
    """Where windows start along an axis of fractional pooling: (planes, outs), by a sample each.

    ``⌊(i + u) · α⌋ - ⌊u · α⌋`` with ``α = (size - window) / (outs - 1)``; the last one is at the
    end. A sample counts as one from 0 to 1, whatever it is. Graham 2014. The arithmetic is done in the
    samples' type.
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


# ------------------------------------------------------------------ sums


@register_jitable
def _sum_rows(x, at, sums, base, z_from, z_to, y_from, y_to, size, counts, before):
    """Sums over rows of a window, for all columns; ``before``: of x over its counts."""
    lane = lanes(x)
    for j in range(0, size[2], lane):
        n = min(lane, size[2] - j)
        total = zeros(x)
        share = load_part(counts[2], j, n, 1.0) if before else splat(x, 1.0)
        for z in range(z_from, z_to):
            for y in range(y_from, y_to):
                value = read(x, at + (z * size[1] + y) * size[2] + j, n)
                if before:
                    value = value / (share * splat(x, counts[0][z] * counts[1][y]))
                total += value
        store(sums, base + j, total)


@register_jitable
def _sum_columns(sums, base, out, row, width, firsts, lasts, counts, scale, after, along):
    """A row of outputs from the sums of columns; ``after``: over the counts and ``scale``."""
    lane = lanes(out)
    mode, taps, left, padding = along
    if mode == 0:
        for o in range(width):
            total = out.dtype.type(0.0)
            for j in range(base + left + firsts[o], base + left + lasts[o]):
                total += sums[j]
            out[row + o] = total / (counts[o] * scale) if after else total
    elif mode == 3:
        for j in range(padding // 2, (width + padding + 1) // 2, lane):
            even, odd = zeros(out), zeros(out)
            for k in range(0, taps, 2):
                value = load(sums, base + left + j - k // 2)
                even += value
                if k + 1 < taps:
                    odd += value
            i = 2 * j - padding
            store_bits(out, row + i, bits(-i, width - i), first_pairs(even, odd))
            i += lane
            store_bits(out, row + i, bits(-i, width - i), last_pairs(even, odd))
    else:
        for o in range(0, width, lane):
            n = min(lane, width - o)
            total = zeros(out)
            for k in range(taps):
                if mode == 1:
                    total += load(sums, base + o + k)
                else:
                    at = base + 2 * o + k
                    total += evens(load(sums, at), load(sums, at + lane))
            if after:
                total = total / (load_part(counts, o, n, 1.0) * splat(out, scale))
            write(out, row + o, n, total)


@kernel
def _window_sum(
    start, stop, x, out, firsts, lasts, counts, before, along, size, outs, sums, pitch, count,
    groups,
):  # fmt: skip
    """Groups ``start`` to ``stop`` of rows of outputs; ``sums``: ``pitch`` of scratch for each."""
    left, depth, plane_size = along[2], outs[0], size[0] * size[1] * size[2]
    for group in range(start, stop):
        base = group * pitch
        for j in range(base, base + pitch):
            sums[j] = 0.0
        first = count * group // groups
        for item in range(first, count * (group + 1) // groups):
            over, oy = item // outs[1], item % outs[1]
            plane, oz = over // depth, over % depth
            y_from, y_to, row = firsts[1][oy], lasts[1][oy], item * outs[2]
            again = before and item > first and oy > 0
            if again and y_from == firsts[1][oy - 1] and y_to == lasts[1][oy - 1]:
                for o in range(row, row + outs[2]):  # the same rows again
                    out[o] = out[o - outs[2]]
                continue
            _sum_rows(
                x, plane * plane_size, sums, base + left, firsts[0][oz], lasts[0][oz], y_from, y_to,
                size, counts, before,
            )  # fmt: skip
            scale = out.dtype.type(1.0) if before else counts[0][oz] * counts[1][oy]
            _sum_columns(
                sums, base, out, row, outs[2], firsts[2], lasts[2], counts[2], scale, not before,
                along,
            )  # fmt: skip


def window_sum(x, firsts, lasts, counts, before=False, along=(0, 0, 0, 0)):
    """Sums of x (planes, depth, height, width) over windows, over counts.

    firsts, lasts   for each axis, where windows begin and end (outputs,); neither ever goes back
    counts          for each axis numbers of x's type, whose product a sum is divided by; or, with
                    ``before``, the element of x that has these places
    along           of windows along rows whose places are in a pattern, and of zeros around x:
                    (1, taps, zeros on the left, 0) for a step of 1 between them, (2, ...) of 2,
                    (3, taps, zeros, padding) for what a step of 2 is the adjoint of; 0: none
    """
    size, outs = x.shape[1:], tuple(len(first) for first in firsts)
    out = empty((len(x), *outs), x.dtype)
    if not out.size:
        return out
    lane = 64 // x.itemsize
    rows = len(x) * outs[0] * outs[1]
    groups = min(rows, _GROUPS * policy.threads)
    mode, taps, left, padding = along
    pitch = (
        max(left + size[2], max(mode, 1) * (outs[2] + lane), outs[2] + padding) + taps + 3 * lane
    )
    depth, height = (int((b - a).max()) for a, b in zip(firsts[:2], lasts[:2], strict=True))
    columns = taps / lane if mode else float((lasts[2] - firsts[2]).mean())
    work = rows * (depth * height * size[2] * _NS_MOVED + outs[2] * (columns + 0.2) * _NS_COLUMN)
    _window_sum(
        groups, work, x.reshape(-1), out.reshape(-1), firsts, lasts, counts, before, along, size,
        outs, scratch(groups * pitch, x.dtype), pitch, rows, groups,
    )  # fmt: skip
    return out


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
        for j in range(plane * n, (plane + 1) * n):
            out[j] = 0.0
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
