"""Windows of any kind, given by where they start along each axis: largest elements and sums.

Rows of a window are combined first, whole rows at a time, whatever the windows are along them; then
the columns of each window. So a large window costs little more than reading it.
"""

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel, scratch
from ._record import call_numpy, empty
from ._simd import lanes, load, load_part, read, splat, store, write, zeros
from ._stride import bits, evens, first_pairs, if_larger, last_pairs, load_range, odds, store_bits
from ._threads import policy

__all__ = ["fractional_starts", "unpool", "window_index", "window_sum"]

_GROUPS = 16  # of rows of outputs for each thread, each with scratch of its own
_NS_MOVED = 0.15  # nanoseconds for each number read, row by row
_FEW_PLACES = 18  # in a window, up to which its sum is made place by place
_NS_COLUMN = 1.0  # and for each along a window's row


# ------------------------------------------------------------------ the largest


@register_jitable
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


@register_jitable
def _raise_each(x, at, best, rows, base, width, row, first):
    """``_raise_vectors`` of numbers of any type."""
    for j in range(width):
        value = x[at + j]
        if first or value > best[base + j]:
            best[base + j] = value
            rows[base + j] = row


@register_jitable
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
        start, stop, x, index, starts, counts, steps, own, size, outs, best, rows, pitch, count,
        groups,
    ):  # fmt: skip
        for group in range(start, stop):
            base = group * pitch
            for item in range(count * group // groups, count * (group + 1) // groups):
                over, oy = item // outs[1], item % outs[1]
                plane, oz = over // outs[0], over % outs[0]
                z_from, y_from = starts[0][plane * own[0] + oz], starts[1][plane * own[1] + oy]
                for kz in range(counts[0][oz]):
                    for ky in range(counts[1][oy]):
                        row = (z_from + kz * steps[0]) * size[1] + y_from + ky * steps[1]
                        at = (plane * size[0] * size[1] + row) * size[2]
                        take_in(x, at, best, rows, base, size[2], row, kz + ky == 0)
                for o in range(outs[2]):
                    j = base + starts[2][plane * own[2] + o]
                    j = _best_column(best, rows, j, j + counts[2][o] * steps[2], steps[2])
                    index[item * outs[2] + o] = np.int64(rows[j]) * size[2] + j - base

    run.__name__ = run.__qualname__ = name
    run.__doc__ = """Groups ``start`` to ``stop`` of rows of outputs.

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
        groups, work, x.reshape(-1), index.reshape(-1), tuple(s.reshape(-1) for s in starts),
        counts, steps, own, size, outs, best, found, pitch, rows, groups,
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


# ------------------------------------------------------------------ sums


@register_jitable
def _sum_of_rows(x, at, j, z_from, z_to, y_from, y_to, size, counts, before):
    """Sums over rows of a window, of columns from j on; ``before``: of x over its counts."""
    n, total = min(lanes(x), size[2] - j), zeros(x)
    for z in range(z_from, z_to):
        for y in range(y_from, y_to):
            value = read(x, at + (z * size[1] + y) * size[2] + j, n)
            if before:
                share = load_part(counts[2], j, n, 1.0)
                value = value / (share * splat(x, counts[0][z] * counts[1][y]))
            total += value
    return total


@register_jitable
def _sum_rows(x, at, sums, base, z_from, z_to, y_from, y_to, size, counts, before):
    """``_sum_of_rows`` of all columns."""
    for j in range(0, size[2], lanes(x)):
        total = _sum_of_rows(x, at, j, z_from, z_to, y_from, y_to, size, counts, before)
        store(sums, base + j, total)


@register_jitable
def _sum_places(x, at, out, row, z_from, z_to, y_from, y_to, size, width, along):
    """A row of outputs of small windows that are 1 or 2 columns apart, place by place."""
    lane, nothing = lanes(x), zeros(x)
    step, taps, left, _ = along
    end = x.size - 2 * lane - taps - ((z_to - 1) * size[1] + y_to - 1) * size[2]
    for o in range(0, width, lane):
        n, first = min(lane, width - o), o * step - left
        inside = first >= 0 and first + (n - 1) * step + taps <= size[2] and at + first <= end
        total = nothing
        for z in range(z_from, z_to):
            for y in range(y_from, y_to):
                i = at + (z * size[1] + y) * size[2] + first
                for k in range(0, taps, step):
                    low, high = -(first + k), size[2] - first - k
                    if inside:
                        a = load(x, i + k)
                    else:
                        a = load_range(x, i + k, low, high, nothing)
                    if step == 1:
                        total += a
                        continue
                    if inside:
                        b = load(x, i + k + lane)
                    else:
                        b = load_range(x, i + k + lane, low - lane, high - lane, nothing)
                    total += evens(a, b)
                    if k + 1 < taps:
                        total += odds(a, b)
        write(out, row + o, n, total)


@register_jitable
def _sum_columns(sums, base, out, row, copies, width, firsts, lasts, along):
    """A row of outputs from the sums of columns, by tables; written ``copies`` times."""
    _, _, left, _ = along
    for o in range(width):
        total = out.dtype.type(0.0)
        for j in range(base + left + firsts[o], base + left + lasts[o]):
            total += sums[j]
        out[row + o] = total
    lane = lanes(out)
    for o in range(0, width, lane):
        n = min(lane, width - o)
        value = read(out, row + o, n)
        for copy in range(1, copies):
            write(out, row + copy * width + o, n, value)


@register_jitable
def _sum_steps(sums, base, out, row, copies, width, along):
    """``_sum_columns`` of windows that are 1 or 2 columns apart."""
    lane = lanes(out)
    mode, taps, _, _ = along
    for o in range(0, width, lane):
        total = zeros(out)
        if mode == 1:
            for k in range(taps):
                total += load(sums, base + o + k)
        else:
            for k in range(0, taps, 2):
                at = base + 2 * o + k
                a, b = load(sums, at), load(sums, at + lane)
                total += evens(a, b)
                if k + 1 < taps:
                    total += odds(a, b)
        for copy in range(copies):
            write(out, row + copy * width + o, min(lane, width - o), total)


@register_jitable
def _store_pairs(out, row, copies, j, even, odd, width, padding):
    """Sums of two columns each, from the j-th pair of the padded row on."""
    i = 2 * j - padding
    one, other = first_pairs(even, odd), last_pairs(even, odd)
    one_bits, other_bits = bits(-i, width - i), bits(-i - lanes(out), width - i - lanes(out))
    for copy in range(copies):
        at = row + copy * width + i
        store_bits(out, at, one_bits, one)
        store_bits(out, at + lanes(out), other_bits, other)


@register_jitable
def _sum_pairs(sums, base, out, row, copies, width, along):
    """``_sum_columns`` of what is the adjoint of windows 2 columns apart."""
    _, taps, left, padding = along
    for j in range(padding // 2, (width + padding + 1) // 2, lanes(out)):
        even, odd = zeros(out), zeros(out)
        for k in range(0, taps, 2):
            value = load(sums, base + left + j - k // 2)
            even += value
            if k + 1 < taps:
                odd += value
        _store_pairs(out, row, copies, j, even, odd, width, padding)


@register_jitable
def _spread_pairs(
    x, at, out, row, copies, z_from, z_to, y_from, y_to, size, counts, width, along
):  # fmt: skip
    """``_sum_pairs`` where windows have nothing in common: each column's sum goes to two."""
    for j in range(0, size[2], lanes(out)):
        even = _sum_of_rows(x, at, j, z_from, z_to, y_from, y_to, size, counts, True)
        odd = even if along[1] == 2 else zeros(out)
        _store_pairs(out, row, copies, j, even, odd, width, 0)
    done = 2 * ((size[2] + lanes(out) - 1) // lanes(out) * lanes(out))
    for j in range(done, width):
        for copy in range(copies):
            out[row + copy * width + j] = 0.0


@register_jitable
def _divide(out, row, width, counts, scale):
    """A row of sums over counts."""
    lane = lanes(out)
    for o in range(0, width, lane):
        n = min(lane, width - o)
        count = load_part(counts, o, n, 1.0) * splat(out, scale)
        write(out, row + o, n, read(out, row + o, n) / count)


@kernel
def _window_sum(
    start, stop, x, out, firsts, lasts, counts, before, along, size, outs, sums, pitch, count,
    groups,
):  # fmt: skip
    """Groups ``start`` to ``stop`` of rows of outputs; ``sums``: ``pitch`` of scratch for each."""
    mode, taps, left, padding = along
    depth, plane_size = outs[0], size[0] * size[1] * size[2]
    for group in range(start, stop):
        base = group * pitch
        for j in range(base, base + pitch):
            sums[j] = 0.0
        item, last = count * group // groups, count * (group + 1) // groups
        while item < last:
            over, oy = item // outs[1], item % outs[1]
            plane, oz, row = over // depth, over % depth, item * outs[2]
            y_from, y_to = firsts[1][oy], lasts[1][oy]
            copies = 1  # rows of outputs that are the same
            while (
                before and item + copies < last and oy + copies < outs[1]
                and firsts[1][oy + copies] == y_from and lasts[1][oy + copies] == y_to
            ):  # fmt: skip
                copies += 1
            at, z_from, z_to = plane * plane_size, firsts[0][oz], lasts[0][oz]
            near = mode in (1, 2) and (z_to - z_from) * (y_to - y_from) * taps <= _FEW_PLACES
            if not before and near:
                _sum_places(x, at, out, row, z_from, z_to, y_from, y_to, size, outs[2], along)
            elif before and mode == 3 and taps <= 2 and padding == 0:
                _spread_pairs(
                    x, at, out, row, copies, z_from, z_to, y_from, y_to, size, counts, outs[2],
                    along,
                )  # fmt: skip
            else:
                _sum_rows(
                    x, at, sums, base + left, z_from, z_to, y_from, y_to, size, counts, before
                )
                if mode == 0:
                    _sum_columns(sums, base, out, row, copies, outs[2], firsts[2], lasts[2], along)
                elif mode == 3:
                    _sum_pairs(sums, base, out, row, copies, outs[2], along)
                else:
                    _sum_steps(sums, base, out, row, copies, outs[2], along)
            if not before:
                _divide(out, row, outs[2], counts[2], counts[0][oz] * counts[1][oy])
            item += copies


def window_sum(x, firsts, lasts, counts, before=False, along=(0, 0, 0, 0), shape=None):
    """Sums of x (planes, depth, height, width) over windows, over counts.

    firsts, lasts   for each axis, where windows begin and end (outputs,); neither ever goes back
    counts          for each axis numbers of x's type, whose product a sum is divided by; or, with
                    ``before``, the element of x that has these places
    along           of windows along rows whose places are in a pattern, and of zeros around x:
                    (1, taps, zeros on the left, 0) for a step of 1 between them, (2, ...) of 2,
                    (3, taps, zeros, padding) for what a step of 2 is the adjoint of; 0: none
    shape           that of the result, if it is not (planes, depth, height, width)
    """
    size, outs = x.shape[1:], tuple(len(first) for first in firsts)
    out = empty(shape or (len(x), *outs), x.dtype)
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
