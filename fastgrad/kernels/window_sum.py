"""Sums over windows of any kind, over counts: averages, and the adjoint of averages.

Rows of a window are summed first, whole rows at a time, then the columns of each window, so that a
large window costs little more than reading it. Windows that follow a pattern along rows need no
tables there. Where an element is in few windows, ``window_mean`` sums them element by element.
"""

import math

from numba.extending import register_jitable

from ._jit import kernel, scratch
from ._record import empty
from ._simd import lanes, load, load_part, prefetch, read, splat, store, write, zeros
from ._stride import (
    AHEAD,
    bits,
    evens,
    first_pairs,
    larger_bits,
    last_pairs,
    load_each,
    odds,
    store_bits,
)
from ._threads import policy

__all__ = ["window_mean", "window_sum"]

_GROUPS = 16  # of rows of outputs for each thread, each with scratch of its own
_NS_MOVED = 0.15  # nanoseconds for each number read, row by row
_NS_COLUMN = 1.0  # and for each along a window's row


@register_jitable(forceinline=True)
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


@register_jitable(forceinline=True)
def _sum_rows(x, at, sums, base, z_from, z_to, y_from, y_to, size, counts, before):
    """``_sum_of_rows`` of all columns."""
    for j in range(0, size[2], lanes(x)):
        total = _sum_of_rows(x, at, j, z_from, z_to, y_from, y_to, size, counts, before)
        store(sums, base + j, total)


@register_jitable(forceinline=True)
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


@register_jitable(forceinline=True)
def _sum_steps(sums, base, out, row, copies, width, along, shares, scale, before):
    """``_sum_columns`` of windows that are 1 or 2 columns apart; over counts if not ``before``."""
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
        n = min(lane, width - o)
        if not before:
            total = total / (load_part(shares, o, n, 1.0) * splat(out, scale))
        for copy in range(copies):
            write(out, row + copy * width + o, n, total)


@register_jitable(forceinline=True)
def _store_pairs(out, row, copies, j, even, odd, width, padding):
    """Sums of two columns each, from the j-th pair of the padded row on."""
    i = 2 * j - padding
    one, other = first_pairs(even, odd), last_pairs(even, odd)
    one_bits, other_bits = bits(-i, width - i), bits(-i - lanes(out), width - i - lanes(out))
    for copy in range(copies):
        at = row + copy * width + i
        store_bits(out, at, one_bits, one)
        store_bits(out, at + lanes(out), other_bits, other)


@register_jitable(forceinline=True)
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


@register_jitable(forceinline=True)
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


@register_jitable(forceinline=True)
def _divide(out, row, width, counts, scale):
    """A row of sums over counts."""
    lane = lanes(out)
    for o in range(0, width, lane):
        n = min(lane, width - o)
        count = load_part(counts, o, n, 1.0) * splat(out, scale)
        write(out, row + o, n, read(out, row + o, n) / count)


@kernel
def _window_sum(
    start, stop, x, out, z_firsts, y_firsts, x_firsts, z_lasts, y_lasts, x_lasts, z_counts,
    y_counts, x_counts, before, along, size, outs, sums, pitch, count, groups,
):  # fmt: skip
    """Groups ``start`` to ``stop`` of rows of outputs; ``sums``: ``pitch`` of scratch for each."""
    counts = z_counts, y_counts, x_counts
    mode, taps, left, padding = along
    depth, plane_size = outs[0], size[0] * size[1] * size[2]
    for group in range(start, stop):
        base = group * pitch
        for j in range(base, base + pitch):
            sums[j] = 0.0
        item, last = count * group // groups, count * (group + 1) // groups
        oy, over = item % outs[1], item // outs[1]
        plane, oz = over // depth, over % depth
        while item < last:
            row = item * outs[2]
            y_from, y_to = y_firsts[oy], y_lasts[oy]
            copies = 1  # rows of outputs that are the same
            while (
                before and item + copies < last and oy + copies < outs[1]
                and y_firsts[oy + copies] == y_from and y_lasts[oy + copies] == y_to
            ):  # fmt: skip
                copies += 1
            at, z_from, z_to = plane * plane_size, z_firsts[oz], z_lasts[oz]
            if before and mode == 3 and taps <= 2 and padding == 0:
                _spread_pairs(
                    x, at, out, row, copies, z_from, z_to, y_from, y_to, size, counts, outs[2],
                    along,
                )  # fmt: skip
            else:
                _sum_rows(
                    x, at, sums, base + left, z_from, z_to, y_from, y_to, size, counts, before
                )
                if mode == 0:
                    _sum_columns(sums, base, out, row, copies, outs[2], x_firsts, x_lasts, along)
                elif mode == 3:
                    _sum_pairs(sums, base, out, row, copies, outs[2], along)
                else:
                    scale = 1.0 if before else counts[0][oz] * counts[1][oy]
                    _sum_steps(
                        sums, base, out, row, copies, outs[2], along, counts[2], scale, before
                    )
            if mode == 0 and not before:
                _divide(out, row, outs[2], counts[2], counts[0][oz] * counts[1][oy])
            item, oy = item + copies, oy + copies
            if oy == outs[1]:
                oy, oz = 0, oz + 1
                if oz == depth:
                    oz, plane = 0, plane + 1


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
        groups, work, x.reshape(-1), out.reshape(-1), *firsts, *lasts, *counts, before, along, size,
        outs, scratch(groups * pitch, x.dtype), pitch, rows, groups,
    )  # fmt: skip
    return out


# ------------------------------------------------------------------ along tables

_STRIP = 1024  # outputs that are one item of work; a multiple of all vectors' lanes
_NS_TAP = 0.25  # nanoseconds for each element of a window


@kernel
def _shared(start, stop, x, out, divisors, size):
    """Planes ``start`` to ``stop`` of x over ``divisors``."""
    for plane in range(start, stop):
        for j in range(0, size, lanes(x)):
            n = min(lanes(x), size - j)
            write(out, plane * size + j, n, read(x, plane * size + j, n) / load(divisors, j))


@kernel
def _window_mean(
    start, stop, x, out, table, pitch, most, steps, alike, divisors, size, outs, planes, batch
):  # fmt: skip
    """Strips ``start`` to ``stop`` of outputs of ``batch`` planes; see ``window_mean``.

    divisors     of the outputs, or none
    size, outs   how many elements and outputs a plane has
    """
    lane, nothing = lanes(x), zeros(x)
    strips = (batch * outs + _STRIP - 1) // _STRIP
    for item in range(start, stop):
        group, strip = item // strips, item % strips
        base, count = group * batch * size, min(batch, planes - group * batch) * outs
        for o in range(strip * _STRIP, min((strip + 1) * _STRIP, count), lane):
            ahead, target = base + table[o] + AHEAD, group * batch * outs + o
            for j in range(ahead, ahead + min(lane * size // outs, AHEAD), lane):
                prefetch(x, j)
            prefetch(out, target + AHEAD)
            used, total = bits(0, count - o), nothing
            for kz in range(most[0]):
                in_z = used if alike else used & larger_bits(table, 2 * pitch + o, kz, x)
                for ky in range(most[1]):
                    in_y = in_z if alike else in_z & larger_bits(table, 3 * pitch + o, ky, x)
                    at = base + kz * steps[0] + ky * steps[1]
                    for kx in range(most[2]):
                        taken = in_y if alike else in_y & larger_bits(table, 4 * pitch + o, kx, x)
                        total += load_each(x, at + kx * steps[2], table, o, taken, nothing)
            if divisors.size:
                total = total / load(divisors, o)
            store_bits(out, target, used, total)


def window_mean(
    x, table, batch, outs, most, steps, alike, divisors, before=False, shape=None
):  # fmt: skip
    """``window_sum`` along a table of windows, of small windows or such as lie side by side.

    table, ..., alike   see ``window_max``
    divisors            what sums are divided by, for as many planes as the table has, and a vector
                        more; with ``before``, what the elements of a plane of x are
    """
    out = empty(shape or (len(x), *outs), x.dtype)
    if not out.size:
        return out
    size, count = x[0].size, math.prod(outs)
    flat = x.reshape(-1)
    if before:
        flat = empty(x.size, x.dtype)
        _shared(len(x), x.size * 0.1, x.reshape(-1), flat, divisors, size)
        divisors = divisors[:0]
    items = -(-len(x) // batch) * -(-batch * count // _STRIP)
    _window_mean(
        items, out.size * (math.prod(most) * _NS_TAP + 0.1), flat, out.reshape(-1),
        table.reshape(-1), table.shape[1], most, steps, alike, divisors, size, count, len(x), batch,
    )  # fmt: skip
    return out
