"""Attention, ``softmax(Q · Kᵀ · scale + mask) · V``, block by block, without the whole softmax.

A block of queries meets one block of keys after the other: their scores go through the register
tile into cache, become exponentials there, and meet the values. A running maximum and sum of each
query rescale what was added before (Dao, Fu, Ermon, Rudra & Ré 2022). The backward pass computes
the scores again. So nothing of the size queries × keys is stored.

Heads are read and written where they lie: arrays (batch, heads, length, size) may be views with any
distances between items, heads and rows, such as those of one array of queries, keys and values side
by side. Every head is computed alike by one thread, so no bit depends on their number.
"""

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel, scratch
from ._record import empty
from ._simd import (
    VECTOR_BYTES,
    exp,
    fma,
    keep_first,
    lane_max,
    lane_sum,
    lanes,
    load,
    load_part,
    maximum,
    read,
    splat,
    store,
    store_part,
    turn_block,
    write,
    zeros,
)
from ._threads import policy
from ._tile import TILE_ROWS, TILE_VECTORS, multiply_tile, tile_address, tile_lanes
from .copy import strided
from .reduce import expand

__all__ = ["attention_backward", "attention_forward"]

_QUERIES, _KEYS = 64, 128  # of a block
_GROUPS = 8  # groups of items for each thread
_NS_STEP, _NS_SCORE = 1 / 60, 0.5  # per multiply-add, per score


@register_jitable
def _multiply(
    tile, a, a_at, a_row, a_step, b, b_at, b_step, depth, resume, c, c_at, c_row, rows, columns
):  # fmt: skip
    """``C = A · B``, or ``C += A · B`` with ``resume``, by tiles; see ``multiply_tile``."""
    width = TILE_VECTORS * tile_lanes(c)
    strips = (rows + TILE_ROWS - 1) // TILE_ROWS
    height = (rows + strips - 1) // strips
    for top in range(0, rows, height):
        for left in range(0, columns, width):
            at = c_at + top * c_row + left
            multiply_tile(
                tile, a, a_at + top * a_row, a_row, a_step, b, b_at + left, b_step,
                b, b_at, 0, depth, resume, c, at, c_row, False, c, at, c_row,
                min(height, rows - top), min(width, columns - left),
            )  # fmt: skip


@register_jitable
def _turn(x, x_at, x_row, rows, columns, space, at, width):
    """Copy x (rows, columns) turned: to (columns, width)."""
    lane = lanes(x)
    for i in range(0, rows, lane):
        for j in range(0, columns, lane):
            turn_block(
                x, x_at + i * x_row + j, x_row, space, at + j * width + i, width,
                min(lane, rows - i), min(lane, columns - j),
            )  # fmt: skip


@register_jitable
def _seen(causal, query, first_key, keys):
    """How many of a block's keys a query may look at."""
    return max(0, min(keys, query + 1 - first_key)) if causal else keys


@register_jitable
def _soften(
    space, at, width, query, first_key, rows, keys, causal, scale,
    mask, mask_at, mask_row, masked, drop, drop_at, drop_row, dropped,
    peaks, sums, stat_at, out, out_at, out_row, columns,
):  # fmt: skip
    """Turn a block of scores (rows, width) into exponentials.

    Each row's peak and sum so far move on, and its result so far is scaled down to the new peak.
    """
    lane, factor, nothing = lanes(space), splat(space, scale), zeros(space)
    for r in range(rows):
        n, row = _seen(causal, query + r, first_key, keys), at + r * width
        whole, m = n // lane * lane, mask_at + r * mask_row
        best = splat(space, -np.inf)
        for j in range(0, whole, lane):
            s = load(space, row + j) * factor
            if masked:
                s += load(mask, m + j)
            store(space, row + j, s)
            best = maximum(best, s)
        if whole < n:
            j, rest = whole, n - whole
            s = load_part(space, row + j, rest, 0.0) * factor
            if masked:
                s += load_part(mask, m + j, rest, 0.0)
            store_part(space, row + j, rest, s)
            best = maximum(best, load_part(space, row + j, rest, -np.inf))
        before, peak = peaks[stat_at + r], lane_max(best)
        peak = peak if peak > before or peak != peak else before
        peaks[stat_at + r] = peak
        shift = peak if peak != -np.inf else space.dtype.type(0.0)
        moved, total = splat(space, shift), nothing
        for j in range(0, n, lane):
            count = min(lane, n - j)
            e = exp(read(space, row + j, count) - moved)
            e = e if count == lane else keep_first(e, count)
            total += e
            if dropped:
                e = e * read(drop, drop_at + r * drop_row + j, count)
            store(space, row + j, e)
        for j in range((n + lane - 1) // lane * lane, keys, lane):
            store(space, row + j, nothing)
        if first_key == 0:
            sums[stat_at + r] = lane_sum(total)
        else:
            less = exp(before - shift)
            sums[stat_at + r] = sums[stat_at + r] * less + lane_sum(total)
            scaled = splat(space, less)
            for j in range(0, columns, lane):
                count, i = min(lane, columns - j), out_at + r * out_row + j
                write(out, i, count, read(out, i, count) * scaled)


@register_jitable
def _settle(rows, peaks, sums, stat_at, out, out_at, out_row, columns):
    """Divide rows by their sums, which become 1 / sum; a query that sees no key gets 0."""
    lane, zero, one = lanes(out), out.dtype.type(0.0), out.dtype.type(1.0)
    for r in range(rows):
        total = sums[stat_at + r]
        if peaks[stat_at + r] == -np.inf:
            peaks[stat_at + r] = zero
        share = zero if total == zero else one / total
        sums[stat_at + r] = share
        factor = splat(out, share)
        for j in range(0, columns, lane):
            count, i = min(lane, columns - j), out_at + r * out_row + j
            write(out, i, count, read(out, i, count) * factor)


@kernel
def _forward(
    start, stop, tile, q, q_step, k, k_step, v, v_step, mask, mask_step, masked, drop, dropped,
    scale, causal, out, out_step, peaks, sums, sizes, space, groups,
):  # fmt: skip
    """Groups ``start`` to ``stop`` of blocks of queries.

    x_step       distances between items, heads and rows of x
    peaks, sums  of each query's exponentials (batch, heads, length)
    sizes        batch, heads, heads of keys, queries, keys, size of a key, size of a value
    space        scratch of each group: turned keys, and scores
    """
    batch, heads, key_heads, length, count, depth, columns = sizes
    width = min(_KEYS, (count + lanes(q) - 1) // lanes(q) * lanes(q))
    blocks = (length + _QUERIES - 1) // _QUERIES
    items = batch * heads * blocks
    for group in range(start, stop):
        turned = group * (depth + _QUERIES) * width
        scores = turned + depth * width
        for item in range(items * group // groups, items * (group + 1) // groups):
            one, head = item // blocks // heads, item // blocks % heads
            query = item % blocks * _QUERIES
            rows = min(_QUERIES, length - query)
            other = head // (heads // key_heads)
            q_at = one * q_step[0] + head * q_step[1] + query * q_step[2]
            k_from = one * k_step[0] + other * k_step[1]
            v_from = one * v_step[0] + other * v_step[1]
            out_at = one * out_step[0] + head * out_step[1] + query * out_step[2]
            mask_from = one * mask_step[0] + head * mask_step[1] + query * mask_step[2]
            stat_at = (one * heads + head) * length + query
            for i in range(stat_at, stat_at + rows):
                peaks[i] = -np.inf
            last = min(count, query + rows) if causal else count
            for first in range(0, last, width):
                keys = min(width, last - first)
                _turn(k, k_from + first * k_step[2], k_step[2], keys, depth, space, turned, width)
                _multiply(
                    tile, q, q_at, q_step[2], 1, space, turned, width, depth, False,
                    space, scores, width, rows, keys,
                )  # fmt: skip
                _soften(
                    space, scores, width, query, first, rows, keys, causal, scale,
                    mask, mask_from + first, mask_step[2], masked,
                    drop, stat_at * count + first, count, dropped,
                    peaks, sums, stat_at, out, out_at, out_step[2], columns,
                )  # fmt: skip
                _multiply(
                    tile, space, scores, width, 1, v, v_from + first * v_step[2], v_step[2], keys,
                    first > 0, out, out_at, out_step[2], rows, columns,
                )  # fmt: skip
            _settle(rows, peaks, sums, stat_at, out, out_at, out_step[2], columns)


@register_jitable
def _dots(a, a_at, a_row, b, b_at, b_row, rows, n, out, out_at):
    """``Σ a · b`` of each of ``rows`` rows of n elements."""
    lane = lanes(a)
    for r in range(rows):
        total = zeros(a)
        for j in range(0, n, lane):
            size = min(lane, n - j)
            part = read(a, a_at + r * a_row + j, size)
            total = fma(part, read(b, b_at + r * b_row + j, size), total)
        out[out_at + r] = lane_sum(total)


@register_jitable
def _soften_back(
    space, at, slopes, width, query, first_key, rows, keys, causal, scale,
    mask, mask_at, mask_row, masked, drop, drop_at, drop_row, dropped,
    peaks, sums, deltas, stat_at,
):  # fmt: skip
    """Scores become weights again, and gradients of weights (at ``slopes``) those of scores."""
    lane, factor, nothing = lanes(space), splat(space, scale), zeros(space)
    for r in range(rows):
        n, row = _seen(causal, query + r, first_key, keys), at + r * width
        slope = slopes + r * width
        shift, share = splat(space, peaks[stat_at + r]), splat(space, sums[stat_at + r])
        delta = splat(space, deltas[stat_at + r])
        for j in range(0, n, lane):
            count = min(lane, n - j)
            s = read(space, row + j, count) * factor
            if masked:
                s += read(mask, mask_at + r * mask_row + j, count)
            p = exp(s - shift) * share
            g = read(space, slope + j, count)
            p = p if count == lane else keep_first(p, count)
            kept = p
            if dropped:
                d = read(drop, drop_at + r * drop_row + j, count)
                kept, g = p * d, g * d
            store(space, row + j, kept)
            store(space, slope + j, p * (g - delta) * factor)
        for j in range((n + lane - 1) // lane * lane, keys, lane):
            store(space, row + j, nothing)
            store(space, slope + j, nothing)


@register_jitable
def _clear(x, at, row, rows, columns):
    for i in range(rows):
        for j in range(at + i * row, at + i * row + columns):
            x[j] = 0.0


@kernel
def _backward(
    start, stop, tile, grad, grad_step, q, q_step, k, k_step, v, v_step, mask, mask_step, masked,
    drop, dropped, scale, causal, out, out_step, peaks, sums, deltas,
    to_q, to_q_step, to_k, to_k_step, to_v, to_v_step, sizes, space, groups,
):  # fmt: skip
    """Groups ``start`` to ``stop`` of heads of keys; see ``_forward``.

    deltas  (batch, heads, length), scratch: Σ grad · out of each query
    space   scratch of each group: turned keys and values, weights, and gradients of scores
    """
    batch, heads, key_heads, length, count, depth, columns = sizes
    width = min(_KEYS, (count + lanes(q) - 1) // lanes(q) * lanes(q))
    items, each = batch * key_heads, heads // key_heads
    for group in range(start, stop):
        keys_at = group * (depth + columns + 2 * _QUERIES) * width
        values_at = keys_at + depth * width
        scores = values_at + columns * width
        slopes = scores + _QUERIES * width
        for item in range(items * group // groups, items * (group + 1) // groups):
            one, other = item // key_heads, item % key_heads
            for head in range(other * each, (other + 1) * each):
                _dots(
                    grad, one * grad_step[0] + head * grad_step[1], grad_step[2],
                    out, one * out_step[0] + head * out_step[1], out_step[2],
                    length, columns, deltas, (one * heads + head) * length,
                )  # fmt: skip
            for first in range(0, count, width):
                keys, fresh = min(width, count - first), True
                k_at = one * k_step[0] + other * k_step[1] + first * k_step[2]
                v_at = one * v_step[0] + other * v_step[1] + first * v_step[2]
                to_k_at = one * to_k_step[0] + other * to_k_step[1] + first * to_k_step[2]
                to_v_at = one * to_v_step[0] + other * to_v_step[1] + first * to_v_step[2]
                _turn(k, k_at, k_step[2], keys, depth, space, keys_at, width)
                _turn(v, v_at, v_step[2], keys, columns, space, values_at, width)
                # the queries before the first that sees these keys have nothing to do with them
                skipped = first // _QUERIES * _QUERIES if causal else 0
                for head in range(other * each, (other + 1) * each):
                    for query in range(skipped, length, _QUERIES):
                        rows = min(_QUERIES, length - query)
                        q_at = one * q_step[0] + head * q_step[1] + query * q_step[2]
                        grad_at = one * grad_step[0] + head * grad_step[1] + query * grad_step[2]
                        to_q_at = one * to_q_step[0] + head * to_q_step[1] + query * to_q_step[2]
                        mask_at = one * mask_step[0] + head * mask_step[1] + query * mask_step[2]
                        stat_at = (one * heads + head) * length + query
                        _multiply(
                            tile, q, q_at, q_step[2], 1, space, keys_at, width, depth, False,
                            space, scores, width, rows, keys,
                        )  # fmt: skip
                        _multiply(
                            tile, grad, grad_at, grad_step[2], 1, space, values_at, width, columns,
                            False, space, slopes, width, rows, keys,
                        )  # fmt: skip
                        _soften_back(
                            space, scores, slopes, width, query, first, rows, keys, causal, scale,
                            mask, mask_at + first, mask_step[2], masked,
                            drop, stat_at * count + first, count, dropped,
                            peaks, sums, deltas, stat_at,
                        )  # fmt: skip
                        _multiply(
                            tile, space, scores, 1, width, grad, grad_at, grad_step[2], rows,
                            not fresh, to_v, to_v_at, to_v_step[2], keys, columns,
                        )  # fmt: skip
                        _multiply(
                            tile, space, slopes, 1, width, q, q_at, q_step[2], rows,
                            not fresh, to_k, to_k_at, to_k_step[2], keys, depth,
                        )  # fmt: skip
                        _multiply(
                            tile, space, slopes, width, 1, k, k_at, k_step[2], keys,
                            first > 0, to_q, to_q_at, to_q_step[2], rows, depth,
                        )  # fmt: skip
                        fresh = False
                if fresh:
                    _clear(to_k, to_k_at, to_k_step[2], keys, depth)
                    _clear(to_v, to_v_at, to_v_step[2], keys, columns)


# ------------------------------------------------------------------ arrays


def _places(x):
    """x (batch, heads, length, size) as (a flat array, distances between its parts)."""
    itemsize = x.itemsize
    if x.strides[3] != itemsize or min(x.strides) < 0:
        x = x.copy()
    extent = sum((n - 1) * step for n, step in zip(x.shape, x.strides, strict=True)) // itemsize + 1
    return strided(x, (extent,), (itemsize,)), tuple(step // itemsize for step in x.strides[:3])


def _like(x, size):
    """An array for (batch, heads, length, size), the first three in memory in the order of x's."""
    shape = x.shape[:3]
    order = sorted(range(3), key=lambda axis: (-x.strides[axis], axis))
    array = empty([*(shape[axis] for axis in order), size], x.dtype)
    return array.transpose(*sorted(range(3), key=order.__getitem__), 3)


def _sizes(q, k, v):
    batch, heads, length, depth = q.shape
    return batch, heads, k.shape[1], length, k.shape[2], depth, v.shape[3]


def _addends(mask, q, count):
    """What kernels are given of a mask that may be None."""
    if mask is None:
        return q, (0, 0, 0), False
    mask = mask.reshape(*[1] * (4 - mask.ndim), *mask.shape)
    if mask.shape[3] != count:
        mask = expand(mask, (*mask.shape[:3], count))
    flat, steps = _places(mask)
    steps = tuple(0 if n == 1 else step for n, step in zip(mask.shape, steps, strict=False))
    return flat, steps, True


def _launch(run, items, passes, q, sizes, cells, arguments):
    """Run a kernel over groups of items, each with ``cells`` times a block's keys of scratch."""
    batch, heads, _, length, count, depth, columns = sizes
    lane = VECTOR_BYTES // q.itemsize
    width = min(_KEYS, -(-count // lane) * lane)
    groups = min(items, _GROUPS * policy.threads)
    space = scratch(groups * cells * width, q.dtype)
    scores = batch * heads * length * count
    work = passes * scores * ((depth + columns) * _NS_STEP + _NS_SCORE)
    run(groups, work, tile_address(q.dtype), *arguments, sizes, space, groups)


def attention_forward(q, k, v, mask=None, drop=None, scale=1.0, causal=False):
    """``softmax(q · kᵀ · scale + mask) · drop · v``

    q (batch, heads, length, size), k and v (batch, key heads, keys, size); a head of keys serves as
    many heads of queries as there are for it. All may be views, and none is empty.
    mask    floats that broadcast to (batch, heads, length, keys), or None
    drop    (batch, heads, length, keys) in C order, or None
    causal  query i sees keys 0 to i

    Returns (out, stats): the greatest score of each query, and 1 over the sum of exponentials of
    what scores are below that, (2, batch, heads, length). A query that sees nothing gets 0.
    """
    sizes = _sizes(q, k, v)
    batch, heads, _, length, _, depth, columns = sizes
    out, stats = _like(q, columns), empty((2, batch, heads, length), q.dtype)
    flat_q = _places(q)
    dropped = drop is not None
    blocks = -(-length // _QUERIES)
    arguments = (
        *flat_q, *_places(k), *_places(v), *_addends(mask, flat_q[0], sizes[4]),
        drop.ravel() if dropped else flat_q[0], dropped, float(scale), causal, *_places(out),
        stats[0].ravel(), stats[1].ravel(),
    )  # fmt: skip
    _launch(_forward, batch * heads * blocks, 1.0, q, sizes, depth + _QUERIES, arguments)
    return out, stats


def attention_backward(
    grad, q, k, v, out, stats, mask=None, drop=None, scale=1.0, causal=False, into=None
):
    """(grad_q, grad_k, grad_v) of ``attention_forward``, written to the three arrays ``into``."""
    sizes = _sizes(q, k, v)
    batch, _, key_heads, _, _, depth, columns = sizes
    if into is None:
        into = _like(q, depth), _like(k, depth), _like(v, columns)
    flat_q = _places(q)
    dropped = drop is not None
    arguments = (
        *_places(grad), *flat_q, *_places(k), *_places(v), *_addends(mask, flat_q[0], sizes[4]),
        drop.ravel() if dropped else flat_q[0], dropped, float(scale), causal, *_places(out),
        stats[0].ravel(), stats[1].ravel(), empty(stats[0].size, q.dtype),
        *(part for x in into for part in _places(x)),
    )  # fmt: skip
    cells = depth + columns + 2 * _QUERIES
    _launch(_backward, batch * key_heads, 2.5, q, sizes, cells, arguments)
    return into
