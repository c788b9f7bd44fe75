"""Depthwise convolutions with steps of one along rows, straight from the image.

A window has few elements here: to copy an image into a frame would cost as much as the sums. So
vectors run along rows of the image itself, and loads leave out the lanes that are outside of it.
Where windows lie is found once for each shape, in tables, as a group of vectors takes few cycles.
"""

from functools import lru_cache
from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel, scratch
from ._llvm import VECTOR_BYTES
from ._record import contiguous, empty
from ._simd import (
    element,
    fma,
    lane_sum,
    lanes,
    load,
    load_splat,
    maximum,
    splat,
    store,
    write,
    zeros,
)
from ._stride import load_bits

_GROUP, _BLOCK, _SPAN = 5, 3, 4  # numbers of a group, of a block before its bits, of a span
_TOGETHER = 4  # vectors of a group: as many chains of multiply-adds
_LEAST_ITEMS = 8  # parts of a few planes, for threads to share
_NS_STEP, _NS_PIXEL = 1 / 40, 0.1


class _Plan(NamedTuple):
    """Where the windows of a plane lie; a *row* is what a window has in one row of the kernel.

    groups  of each group of lines: where row 0's first tap lies in the source, where the result
            lies, how many lines, and which rows are inside, (begin, end)
    rows    of each row: its distance from row 0 in the source, and its place in the window
    blocks  of each block of columns: the first, how many in a vector, how many vectors, and for
            each tap of a row, as many as fill threes, which lanes are inside
    spans   of each row of the window, by lines that meet it inside: its place in the window, where
            they lie in the result and in the source, and how many
    sizes   see the names below
    """

    groups: np.ndarray
    rows: np.ndarray
    blocks: np.ndarray
    spans: np.ndarray
    sizes: np.ndarray


SOURCE, OUT, WINDOW, ROW, LINE, WIDE, STEP = range(7)


def is_depthwise(source, weight, groups, stride, backward):
    """Whether these kernels compute it: every channel has a window of its own."""
    apart = groups == source[1] and weight[:2] == (groups, 1)
    return apart and max(stride if backward else stride[2:]) == 1


def _inside(place, step, count, size):
    """Which of ``count`` places ``step`` apart are inside: (the first, behind the last)."""
    begin = min(count, max(0, -(place // step)))
    return begin, max(begin, min(count, -((place - size) // step)))


def _blocks(width, wide, low, step, taps, lane, together):
    """Blocks of columns; each has its lanes' bits for all taps."""
    reach, blocks, i = (taps - 1) * step, [], 0
    while i < wide:
        n, place = min(lane, wide - i), i - low
        inner = min(width - place - reach, wide - i) // lane if place >= 0 else 0
        count = max(1, min(_TOGETHER, inner)) if together else 1
        spans = [(max(0, -p), min(n, width - p)) for p in range(place, place + reach + 1, step)]
        bits = [sum(1 << lane for lane in range(*span)) for span in spans]
        blocks.append((i, n, count, *bits, *[0] * (-taps % 3)))
        i += count * lane
    return np.array(blocks, np.int64).ravel()


@lru_cache(maxsize=1024)
def _plan(source, kernel, out, stride, low, dilation, lane, together):
    """The ``_Plan``: output pixel u meets in tap k the source's ``u · stride + k · step - low``."""
    if source[1] == kernel[1] == out[1] == 1:  # an image: its lines are rows, and it has one layer
        numbers = (source, kernel, out, stride, low, dilation)
        source, kernel, out, stride, low, dilation = ((b, a, c) for a, b, c in numbers)
    together = together and out[:2] == (1, 1)
    axes = list(zip(source, kernel, out, stride, low, dilation, strict=True))
    deep, high = (
        [_inside(u * s - a, step, k, n) for u in range(m)] for n, k, m, s, a, step in axes[:2]
    )
    groups, rows, known = [], [], {}
    for d, (d_taps, h) in enumerate((taps, 0) for taps in deep):
        while h < out[1]:
            taps, count = (d_taps, high[h]), 1
            while count < min(_TOGETHER, out[1] - h) and high[h + count] == high[h]:
                count += 1
            if taps not in known:
                begin = len(rows)
                for kd, kh in product(range(*taps[0]), range(*taps[1])):
                    place = (kd * dilation[0] * source[1] + kh * dilation[1]) * source[2]
                    rows.append((place, (kd * kernel[1] + kh) * kernel[2]))
                known[taps] = 2 * begin, 2 * len(rows)
            at = ((d * stride[0] - low[0]) * source[1] + h * stride[1] - low[1]) * source[2]
            groups.append((at - low[2], (d * out[1] + h) * out[2], count, *known[taps]))
            h += count
    spans = []
    for kd, kh in product(range(kernel[0]), range(kernel[1])):
        first_d, first_h = kd * dilation[0] - low[0], kh * dilation[1] - low[1]
        begin, end = _inside(first_h, stride[1], out[1], source[1])
        for d in range(*_inside(first_d, stride[0], out[0], source[0])):
            row = (first_d + d * stride[0]) * source[1] + first_h + begin * stride[1]
            there = (d * out[1] + begin) * out[2]
            place = (kd * kernel[1] + kh) * kernel[2]
            spans.append((place, there, row * source[2] - low[2], end - begin))
    sizes = prod(source), prod(out), prod(kernel), kernel[2], stride[1] * source[2], out[2]
    return _Plan(
        np.array(groups, np.int64).ravel(),
        np.array(rows, np.int64).ravel(),
        _blocks(source[2], out[2], low[2], dilation[2], kernel[2], lane, together),
        np.array(spans, np.int64).ravel(),
        np.array([*sizes, dilation[2]], np.int64),
    )


# ------------------------------------------------------------------ forward


@register_jitable(forceinline=True)
def _add_tap(x, at, second, third, fourth, bits, factor, sums):
    """Add a tap to the sums of four vectors, the others at distances from the first."""
    none = zeros(x)
    return (
        fma(factor, load_bits(x, at, bits, none), sums[0]),
        fma(factor, load_bits(x, at + second, bits, none), sums[1]),
        fma(factor, load_bits(x, at + third, bits, none), sums[2]),
        fma(factor, load_bits(x, at + fourth, bits, none), sums[3]),
    )


@kernel(chunks=1)
def _convolve_planes(start, stop, x, weight, bias, biased, relu, channels, plan, out, bands):
    """Items ``start`` to ``stop``, each some groups of lines of a channel of an image."""
    groups, rows, blocks, sizes = plan
    lane, taps, step, line, wide = lanes(out), sizes[ROW], sizes[STEP], sizes[LINE], sizes[WIDE]
    many, width = len(groups) // _GROUP, _BLOCK + (taps + 2) // 3 * 3
    for item in range(start, stop):
        owner, band = item // bands, item % bands
        channel = owner % channels
        window = channel * sizes[WINDOW]
        initial = splat(out, bias[channel] if biased else out.dtype.type(0))
        first, end = many * band // bands * _GROUP, many * (band + 1) // bands * _GROUP
        for block in range(0, len(blocks), width):
            i, n, bits = element(blocks, block), element(blocks, block + 1), block + _BLOCK
            source, target = owner * sizes[SOURCE] + i, owner * sizes[OUT] + i
            for g in range(first, end, _GROUP):
                at, there = source + element(groups, g), target + element(groups, g + 1)
                count, apart, out_apart = element(groups, g + 2), line, wide
                if count == 1:
                    count, apart, out_apart = element(blocks, block + 2), lane, lane
                second = apart if count > 1 else 0
                third = 2 * apart if count > 2 else 0
                fourth = 3 * apart if count > 3 else 0
                sums = initial, initial, initial, initial
                for k in range(0, taps, 3):
                    p, q = element(blocks, bits + k), element(blocks, bits + k + 1)
                    r = element(blocks, bits + k + 2)
                    for row in range(element(groups, g + 3), element(groups, g + 4), 2):
                        place = at + element(rows, row) + k * step
                        tap = window + element(rows, row + 1) + k
                        factor = load_splat(weight, tap)
                        sums = _add_tap(x, place, second, third, fourth, p, factor, sums)
                        if q:
                            place, factor = place + step, load_splat(weight, tap + 1)
                            sums = _add_tap(x, place, second, third, fourth, q, factor, sums)
                        if r:
                            place, factor = place + step, load_splat(weight, tap + 2)
                            sums = _add_tap(x, place, second, third, fourth, r, factor, sums)
                a, b, c, d = sums
                if relu:
                    none = zeros(out)
                    a, b = maximum(a, none), maximum(b, none)
                    c, d = maximum(c, none), maximum(d, none)
                write(out, there, n, a)
                if count > 1:
                    write(out, there + out_apart, n, b)
                if count > 2:
                    write(out, there + 2 * out_apart, n, c)
                if count > 3:
                    write(out, there + 3 * out_apart, n, d)


def depthwise(x, weight, bias, out, options, backward, relu):
    """Fill ``out`` with a depthwise convolution of x, or with what has that as its adjoint."""
    stride, low, dilation, _ = options
    kernel = weight.shape[2:]
    if backward:  # tap K - 1 - k of the window turned meets the gradient where tap k did
        weight = contiguous(weight.reshape(len(weight), -1)[:, ::-1])
        low = tuple((k - 1) * d - a for k, d, a in zip(kernel, dilation, low, strict=True))
    lane = VECTOR_BYTES // x.itemsize
    plan = _plan(x.shape[2:], kernel, out.shape[2:], stride, low, dilation, lane, True)
    planes = x.shape[0] * x.shape[1]
    bands = min(len(plan.groups) // _GROUP, -(-_LEAST_ITEMS // planes))
    weight = weight.ravel()
    _convolve_planes(
        planes * bands, out.size * (prod(kernel) * _NS_STEP + _NS_PIXEL), x.ravel(), weight,
        weight if bias is None else bias, bias is not None, relu, x.shape[1],
        (plan.groups, plan.rows, plan.blocks, plan.sizes), out.ravel(), bands,
    )  # fmt: skip


# ------------------------------------------------------------------ the gradient of the weight


@register_jitable(forceinline=True)
def _add_lines(
    grad, grad_at, wide, inside, x, at, line, step, blocks, bits, lines, sums, sums_at
):  # fmt: skip
    """Add what three taps of a row meet in a block of ``lines`` lines to three sums.

    inside   the lanes of the gradient, as bits; ``bits`` is where those of the taps are
    """
    lane = lanes(grad)
    p, q, r = element(blocks, bits), element(blocks, bits + 1), element(blocks, bits + 2)
    s, t, u = load(sums, sums_at), load(sums, sums_at + lane), load(sums, sums_at + 2 * lane)
    none = zeros(x)
    for _ in range(lines):
        a = load_bits(grad, grad_at, inside, none)
        s = fma(a, load_bits(x, at, p, none), s)
        if q:
            t = fma(a, load_bits(x, at + step, q, none), t)
        if r:
            u = fma(a, load_bits(x, at + 2 * step, r, none), u)
        grad_at += wide
        at += line
    store(sums, sums_at, s)
    store(sums, sums_at + lane, t)
    store(sums, sums_at + 2 * lane, u)


@kernel(chunks=1)
def _sum_planes(start, stop, grad, x, channels, plan, images, parts, sums, space, size):
    """Items ``start`` to ``stop``, each a channel of a part of the images.

    sums    (parts, channels, window)
    space   ``size`` elements for each item: a vector for each tap, and two more
    """
    spans, blocks, sizes = plan
    lane, taps, step, window = lanes(grad), sizes[ROW], sizes[STEP], sizes[WINDOW]
    line, wide, width = sizes[LINE], sizes[WIDE], _BLOCK + (taps + 2) // 3 * 3
    for item in range(start, stop):
        part, channel = item // channels, item % channels
        totals = item * size
        for i in range(totals, totals + size, lane):
            store(space, i, zeros(space))
        for image in range(images * part // parts, images * (part + 1) // parts):
            owner = image * channels + channel
            source, target = owner * sizes[SOURCE], owner * sizes[OUT]
            for span in range(0, len(spans), _SPAN):
                place = totals + element(spans, span) * lane
                there, at = target + element(spans, span + 1), source + element(spans, span + 2)
                for block in range(0, len(blocks), width):
                    i, n = element(blocks, block), element(blocks, block + 1)
                    for k in range(0, taps, 3):
                        _add_lines(
                            grad, there + i, wide, (1 << n) - 1, x, at + i + k * step, line, step,
                            blocks, block + _BLOCK + k, element(spans, span + 3), space,
                            place + k * lane,
                        )  # fmt: skip
        for k in range(window):
            sums[item * window + k] = lane_sum(load(space, totals + k * lane))


def depthwise_weight_grad(grad, x, kernel, options):
    """What each part of the batch adds: (parts, channels · window)."""
    stride, low, dilation, channels = options
    lane = VECTOR_BYTES // x.itemsize
    plan = _plan(x.shape[2:], kernel, grad.shape[2:], stride, low, dilation, lane, False)
    parts = min(x.shape[0], -(-_LEAST_ITEMS // channels))
    sums, size = empty((parts, channels * prod(kernel)), x.dtype), (prod(kernel) + 2) * lane
    _sum_planes(
        parts * channels, grad.size * (prod(kernel) * _NS_STEP + _NS_PIXEL), grad.ravel(),
        x.ravel(), channels, (plan.spans, plan.blocks, plan.sizes), x.shape[0], parts,
        sums.ravel(), scratch(parts * channels * size, x.dtype), size,
    )  # fmt: skip
    return sums
