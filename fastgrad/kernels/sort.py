"""Order along one axis: sorting, the first few, the k-th; and elements by their index.

Elements are compared as unsigned integers in the same order (``_keys``), in which NaN is largest,
and -0 and 0 are equal. Sorting is by digits of these, from the lowest up: stable, and as fast for
any values. Every row is one item, done by one thread. What is sorted are indices.
"""

import math

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel
from ._record import call_numpy, contiguous, empty

__all__ = [
    "count_labels", "kth", "order", "put_along", "search_sorted", "take_along", "top",
]  # fmt: skip

_SMALL = 128  # elements of a row up to which merging is faster than counting digits
_RUN = 12  # elements that are sorted by insertion
_MOST_KEPT = 32  # the first so many are kept in order, for more the row is sorted
_NS = 12.0  # nanoseconds per element


# ------------------------------------------------------------------ keys


@kernel
def _float_keys(start, stop, bits, keys, sign, infinity, none, turn):
    """Bits of floats (sign bit, bits of infinity) as keys; ``turn`` all bits for descending."""
    zero = none ^ none
    for i in range(start, stop):
        value = bits[i]
        size = value & ~sign
        if size > infinity:
            key = none
        elif size == zero:
            key = sign
        elif value > size:
            key = ~value
        else:
            key = value | sign
        keys[i] = key ^ turn


@kernel
def _whole_keys(start, stop, bits, keys, sign, turn):
    """Bits of integers as keys."""
    for i in range(start, stop):
        keys[i] = bits[i] ^ sign ^ turn


# (sign bit, bits of infinity, all bits) by size of the elements
_BITS = {
    4: (np.uint32(1 << 31), np.float32(math.inf).view(np.uint32), np.uint32(2**32 - 1)),
    8: (np.uint64(1 << 63), np.float64(math.inf).view(np.uint64), np.uint64(2**64 - 1)),
}


def _keys(x, descending):
    """Unsigned integers in the order of the elements of x, or in the opposite one; flat."""
    is_float = x.dtype.kind == "f"
    x = contiguous(x if is_float else x.astype(np.int64)).reshape(-1)
    sign, infinity, every = _BITS[x.itemsize]
    keys = empty(x.size, every.dtype)
    turn = every if descending else every ^ every
    if is_float:
        _float_keys(x.size, x.size * 0.5, x.view(keys.dtype), keys, sign, infinity, every, turn)
    else:
        _whole_keys(x.size, x.size * 0.3, x.view(keys.dtype), keys, sign, turn)
    return keys


def _to_end(x, axis):
    """``x`` with an axis moved to the end, in C order."""
    return contiguous(x if axis in (-1, x.ndim - 1) else np.moveaxis(x, axis, -1))


def _from_end(x, axis):
    """Its inverse."""
    return x if axis in (-1, x.ndim - 1) else contiguous(np.moveaxis(x, -1, axis))


# ------------------------------------------------------------------ sorting


@register_jitable
def _sort_by_merging(keys, index, spare_keys, spare_index, at, n):
    """Sort keys[at : at + n], and index with them; from sorted runs ever longer ones."""
    for first in range(at, at + n, _RUN):
        for i in range(first + 1, min(first + _RUN, at + n)):
            key, own, j = keys[i], index[i], i
            while j > first and keys[j - 1] > key:
                keys[j], index[j] = keys[j - 1], index[j - 1]
                j -= 1
            keys[j], index[j] = key, own
    length = _RUN
    while length < n:
        for first in range(at, at + n, 2 * length):
            middle, end = min(first + length, at + n), min(first + 2 * length, at + n)
            i, j = first, middle
            for k in range(first, end):
                if i < middle and (j >= end or keys[i] <= keys[j]):
                    spare_keys[k], spare_index[k] = keys[i], index[i]
                    i += 1
                else:
                    spare_keys[k], spare_index[k] = keys[j], index[j]
                    j += 1
        for k in range(at, at + n):
            keys[k], index[k] = spare_keys[k], spare_index[k]
        length *= 2


@register_jitable
def _pass(keys, index, to_keys, to_index, at, n, counts, first, size, shift):
    """Move a row by one digit of its keys; False where all have the same."""
    mask = keys.dtype.type(size - 1)
    for d in range(first, first + size):
        counts[d] = 0
    for i in range(at, at + n):
        counts[first + np.int64((keys[i] >> shift) & mask)] += 1
    if counts[first + np.int64((keys[at] >> shift) & mask)] == n:
        return False
    place = at
    for d in range(first, first + size):
        count = counts[d]
        counts[d] = place
        place += count
    for i in range(at, at + n):
        digit = first + np.int64((keys[i] >> shift) & mask)
        place = counts[digit]
        counts[digit] = place + 1
        to_keys[place], to_index[place] = keys[i], index[i]
    return True


@kernel
def _order_rows(start, stop, keys, index, spare_keys, spare_index, counts, n, digit):
    """index[row] = positions in the row by ascending key; keys and spares are changed.

    digit   bits of keys that are sorted by at a time; 0: by merging
    """
    bits = keys.itemsize * 8
    size = 1 << digit
    for row in range(start, stop):
        at = row * n
        for i in range(n):
            index[at + i] = i
        if digit == 0:
            _sort_by_merging(keys, index, spare_keys, spare_index, at, n)
            continue
        moved = False  # where the row is now
        for low in range(0, bits, digit):
            shift = keys.dtype.type(low)
            if moved:
                change = _pass(
                    spare_keys, spare_index, keys, index, at, n, counts, row * size, size, shift
                )
            else:
                change = _pass(
                    keys, index, spare_keys, spare_index, at, n, counts, row * size, size, shift
                )
            moved = moved != change
        if moved:
            for i in range(at, at + n):
                index[i] = spare_index[i]


def _digit(n):
    """Bits of the digits that a row of n elements is sorted by."""
    return 0 if n <= _SMALL else 8 if n < 1 << 16 else 11


def order(x, axis, descending=False):
    """Indices along ``axis`` that put x in order, int64. Stable; NaN counts as largest."""
    if not x.ndim or not x.size:
        return _zero(x)
    turned = _to_end(x, axis)
    n = turned.shape[-1]
    keys, index, digit = _keys(turned, descending), empty(turned.shape, np.int64), _digit(n)
    _order_rows(
        x.size // n, x.size * _NS, keys, index.reshape(-1), empty(x.size, keys.dtype),
        empty(x.size, np.int64), empty((x.size // n) << digit, np.int64), n, digit,
    )  # fmt: skip
    return _from_end(index, axis)


def _zero(x):
    index = empty(x.shape, np.int64)
    index.fill(0)
    return index


@kernel
def _first_of_rows(start, stop, keys, index, kept, n, k):
    """index[row] (rows, k) = positions of the k smallest keys, by key; of equal ones the first."""
    for row in range(start, stop):
        at, first = row * n, row * k
        for i in range(n):
            key = keys[at + i]
            if i >= k and key >= kept[first + k - 1]:
                continue
            j = first + min(i, k - 1)
            while j > first and kept[j - 1] > key:
                kept[j], index[j] = kept[j - 1], index[j - 1]
                j -= 1
            kept[j], index[j] = key, i


def top(x, k, axis, largest=True):
    """Indices of the k largest (or smallest) elements along ``axis``, in order, int64."""
    n = x.shape[axis] if x.ndim else 1
    if not x.ndim or k > _MOST_KEPT or not k or not x.size:
        index = order(x, axis, largest)
        return index if not x.ndim else contiguous(_cut(index, axis, k))
    turned = _to_end(x, axis)
    keys, index = _keys(turned, largest), empty((*turned.shape[:-1], k), np.int64)
    _first_of_rows(
        x.size // n, x.size * 1.5, keys, index.reshape(-1), empty(index.size, keys.dtype), n, k
    )
    return _from_end(index, axis)


def _cut(index, axis, k):
    """The first k along an axis."""
    return index[(slice(None),) * (axis % index.ndim) + (slice(k),)]


@kernel
def _kth_of_rows(start, stop, keys, index, counts, n, k, none_wins):
    """index[row] = position of the k-th smallest key (from 0), found digit by digit, high first.

    Of NaN, the first is taken; ``none_wins``: wherever there is one.
    """
    kind = keys.dtype.type
    low = kind(0)
    for row in range(start, stop):
        at, first = row * n, row * 256
        prefix, mask, rank = low, low, k
        if none_wins:
            for i in range(n):
                if keys[at + i] == ~low:  # NaN
                    rank = n - 1
                    break
        for byte in range(keys.itemsize - 1, -1, -1):
            shift = kind(8 * byte)
            for d in range(first, first + 256):
                counts[d] = 0
            for i in range(at, at + n):
                if keys[i] & mask == prefix:
                    counts[first + np.int64((keys[i] >> shift) & kind(255))] += 1
            d = 0
            while rank >= counts[first + d]:
                rank -= counts[first + d]
                d += 1
            prefix |= kind(d) << shift
            mask |= kind(255) << shift
        for i in range(n):
            if keys[at + i] == prefix:
                if rank == 0 or prefix == ~low:
                    index[row] = i
                    break
                rank -= 1


def kth(x, k, axis):
    """Index of the k-th smallest element (from 0) along ``axis``, which is dropped; int64.

    ``k = None``: of the lower median, or of the first NaN.
    """
    turned = _to_end(x, axis)
    n = turned.shape[-1]
    index = empty(turned.shape[:-1], np.int64)
    rows = index.size
    if rows:
        step = -(-rows // max(1, -(-rows * 256 // (4 * x.size + 4096))))
        keys, flat = _keys(turned, False), index.reshape(-1)
        for row in range(0, rows, step):  # so that the space for counts stays small
            part = min(step, rows - row)
            _kth_of_rows(
                part, part * n * 12.0, keys[row * n : (row + part) * n], flat[row : row + part],
                empty(part * 256, np.int64), n, (n - 1) // 2 if k is None else k,
                k is None and x.dtype.kind == "f",
            )  # fmt: skip
    return index


# ------------------------------------------------------------------ elements by their index


def _sizes(shape, axis):
    """(outer, n, inner) of an array whose axis is in the middle."""
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1 :])


# Unsigned, as Numba would turn every index around that may be negative.


@kernel
def _take_along(start, stop, x, index, out, wrong, n, k, inner):
    """out[o, j, c] = x[o, index[o, j, c], c]; items are (o, j).

    For an index that is out of range the last stands in, and ``wrong`` (1,) becomes 1.
    """
    width, last, most = np.uint64(inner), np.uint64(n - 1), np.uint64(0)
    item = start
    while item < stop:
        outer = item // k
        end = min(stop, (outer + 1) * k)
        source = x[outer * n * inner : (outer + 1) * n * inner]
        if inner == 1:
            places, target = index[item:end], out[item:end]
            for i in range(target.size):
                place = np.uint64(places[i])
                most = max(most, place)
                target[i] = source[min(place, last)]
        else:
            for i in range(item * inner, end * inner, inner):
                places, target = index[i : i + inner], out[i : i + inner]
                for c in range(inner):
                    place = np.uint64(places[c])
                    most = max(most, place)
                    target[c] = source[min(place, last) * width + np.uint64(c)]
        item = end
    if most > last:
        wrong[0] = 1


@kernel
def _put_along(start, stop, grad, index, out, n, k, inner):
    """out[o] = 0, then out[o, index[o, j, c], c] += grad[o, j, c]; items are o."""
    width = np.uint64(inner)
    for outer in range(start, stop):
        target = out[outer * n * inner : (outer + 1) * n * inner]
        target[:] = 0
        for i in range(outer * k * inner, (outer + 1) * k * inner, inner):
            for c in range(inner):
                target[np.uint64(index[i + c]) * width + np.uint64(c)] += grad[i + c]


_UNREAD = np.zeros(1, np.int64)


def take_along(x, index, axis):
    """``x[..., index[..., i, ...], ...]`` along ``axis``; indices are right, and not negative."""
    if x.dtype.kind != "f" or not x.ndim:
        return call_numpy(np.take_along_axis, x, index, axis=axis) if x.ndim else x.copy()
    return take_checked(x, index, axis, _UNREAD)


def take_checked(x, index, axis, wrong):
    """``take_along`` of floats, which tells in ``wrong`` (1,) whether an index is not right."""
    x, index = contiguous(x), contiguous(index)
    axis %= x.ndim
    out = empty(index.shape, x.dtype)
    _, n, inner = _sizes(x.shape, axis)
    outer, k, _ = _sizes(index.shape, axis)
    if n == 0:
        wrong[:] = 1
    elif out.size:
        flat = x.reshape(-1), index.reshape(-1), out.reshape(-1)
        _take_along(outer * k, out.size * 1.5, *flat, wrong, n, k, inner)
    return out


def put_along(grad, index, shape, axis):
    """The gradient of ``take_along`` from an array of ``shape``: added where it was taken."""
    if not shape:
        return grad.copy()
    grad, index = contiguous(grad), contiguous(index)
    axis %= len(shape)
    out = empty(shape, grad.dtype)
    outer, n, inner = _sizes(shape, axis)
    flat = grad.reshape(-1), index.reshape(-1), out.reshape(-1)
    work = grad.size * 1.5 + out.size * 0.1
    _put_along(outer, work, *flat, n, index.shape[axis], inner)
    return out


# ------------------------------------------------------------------ by NumPy


def count_labels(x, weights, least):
    """How often each integer from 0 on occurs in x, or the weights of these."""
    return np.bincount(x, weights, least)


def search_sorted(rows, values, side):
    """Where in the sorted rows (..., n) the values (..., k) belong; rows may be one for all."""
    return call_numpy(_search, rows, values, side=side)


def _search(rows, values, side):
    if rows.ndim == 1:
        return np.asarray(np.searchsorted(rows, values, side), np.int64)
    out = np.empty(values.shape, np.int64)
    for place in np.ndindex(*rows.shape[:-1]):
        out[place] = np.searchsorted(rows[place], values[place], side)
    return out
