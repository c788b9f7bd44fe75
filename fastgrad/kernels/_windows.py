"""Where the windows of a convolution lie: tables that its kernels go by, made once for each shape.

Everything is a volume (depth, height, width): pixels of a *source* are gathered, by *taps*, for
pixels of an output. Along one axis, output pixel u of a phase reads, for each of its taps, the
source at ``u · stride + offset``.

    forward     one phase; tap k has the offset ``k · dilation - low``
    backward    the source is the gradient of the output; where the stride is s, the pixels
                ``q ≡ r - low (mod s)`` of the input are phase r, have the taps with
                ``k · dilation ≡ r``, and read the gradient pixel by pixel, stride 1

A band of the source is copied into a frame with zeros around it, and its pixels are sorted by
their remainder modulo the stride, so that a tap of neighbouring output pixels is a run of
neighbouring elements whatever the stride, padding and dilation.
"""

from functools import lru_cache
from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np

from ._llvm import VECTOR_BYTES
from ._tile import TILE_ROWS, TILE_VECTORS, WIDE_ROWS, WIDE_VECTORS

_BAND_BYTES = 1 << 18  # of a frame, so that it stays in the L2 cache
_PACK_CYCLES = 3.0  # of a run of a panel, per step of depth and vector
# Panels; from the frame, all pixels at once, line by line, or a few short lines at once
PACKED, FLAT, LINES, TOGETHER = range(4)
_LEAST_ITEMS = 8  # bands of a small batch, for threads to share


class Plan(NamedTuple):
    """What the kernel of ``conv`` is given.

    sizes    see the names in ``_frame``
    phases   one row for each: output pixels along three axes, the first one's place, the number
             of taps, where its offsets, its taps and its weights begin
    offsets  of every channel's every tap in the frame, phase by phase
    taps     which of the kernel's elements each tap is, phase by phase
    frame    elements of a frame
    weights  elements of all weights, in strips
    items    what threads share
    steps    multiply-adds in all
    """

    sizes: np.ndarray
    phases: np.ndarray
    offsets: np.ndarray
    taps: np.ndarray
    frame: int
    weights: int
    items: int
    steps: int


def _axis_forward(kernel, stride, low, dilation, size):
    """[(first pixel, pixels, first place, [(tap, offset)])] of each phase, and the two strides."""
    taps = [(k, k * dilation - low) for k in range(kernel)]
    return [(0, size, 0, taps)], stride, 1


def _axis_backward(kernel, stride, low, dilation, size):
    """The same of the gradient of the input."""
    phases = []
    for r in range(stride):
        first = -((r - low) // stride)  # the least u whose place u · stride + r - low is not < 0
        place = first * stride + r - low
        count = max(0, -((place - size) // stride))
        taps = [
            (k, -((k * dilation - r) // stride))
            for k in range(kernel)
            if (k * dilation - r) % stride == 0
        ]
        if count:
            phases.append((first, count, place, taps))
    return phases, 1, stride


class _Axis:
    """One axis of a frame: its phases, where it begins, and its tables."""

    def __init__(self, phases, stride, step):
        self.phases, self.stride, self.step = phases, stride, step
        starts = [
            first * stride + offset for first, _, _, taps in phases for _, offset in taps
        ] or [0]
        self.low = min(starts)
        places = [start - self.low for start in starts]
        self.parts = 1 + max(place % stride for place in places)
        self.reach = max(place // stride for place in places)
        self.count = max((count for _, count, _, _ in phases), default=0)

    def places(self, phase):
        """(tap, part of the frame, place in it) of a phase's taps."""
        first, _, _, taps = phase
        for tap, offset in taps:
            place = first * self.stride + offset - self.low
            yield tap, place % self.stride, place // self.stride


def _mode(strips, height, rows, high, wide, dense, itemsize):
    """Which way takes the fewest cycles for one step of depth of a band, by an estimate."""
    lane = VECTOR_BYTES // itemsize
    vectors = WIDE_VECTORS if height <= WIDE_ROWS else TILE_VECTORS

    def tiles(pixels, most=vectors):
        """Cycles of tiles over ``pixels``: multiply-adds, or loads, of which a cycle has two."""
        whole, rest = divmod(-(-pixels // lane), most)
        each = [max(height * v / 2, (height + 2 * v + 1) / 2, 4.0) for v in (most, rest)]
        return strips * (whole * each[0] + (each[1] if rest else 0))

    lines, length = rows * high.count, wide.count
    flat = ((rows - 1) * (high.count + high.reach) + high.count - 1) * (length + wide.reach)
    panels = lines * length / (TILE_VECTORS * lane)
    pack = (
        panels * (1 + lines / panels) * _PACK_CYCLES * -(-min(length, TILE_VECTORS * lane) // lane)
    )
    if strips * height == 1 and dense:
        return LINES if wide.reach or high.reach else FLAT
    cycles = {
        PACKED: tiles(lines * length, TILE_VECTORS) + pack,
        FLAT: tiles(flat + length),
        LINES: lines * tiles(length),
    }
    if dense and length <= lane and height > WIDE_ROWS:
        cycles[TOGETHER] = -(-lines // TILE_VECTORS) * tiles(TILE_VECTORS * lane, TILE_VECTORS)
    return min(cycles, key=cycles.get)


def _tables(axes, kernel, out, channels, extents, part):
    """A plan's phases, without where their weights begin, its ``offsets`` and its ``taps``."""
    _, high, wide = axes
    parts = prod(axis.parts for axis in axes)
    phases, offsets, chosen = [], [], []
    for three in product(*(axis.phases for axis in axes)):
        taps = list(product(*(axis.places(p) for axis, p in zip(axes, three, strict=True))))
        counts, first = [p[1] for p in three], [p[2] for p in three]
        place = (first[0] * out[3] + first[1]) * out[4] + first[2]
        phases.append((*counts, place, len(taps), len(offsets), len(chosen)))
        places = [
            ((d[1] * high.parts + h[1]) * wide.parts + w[1]) * part
            + (d[2] * extents[1] + h[2]) * extents[2] + w[2]
            for d, h, w in taps
        ]  # fmt: skip
        offsets += [c * parts * part + at for c in range(channels) for at in places]
        chosen += [(d[0] * kernel[1] + h[0]) * kernel[2] + w[0] for d, h, w in taps]
    return phases, offsets, chosen


@lru_cache(maxsize=1024)
def plan(
    source, weight, out, stride, low, dilation, groups, backward, itemsize,
    band_bytes=_BAND_BYTES, least_items=_LEAST_ITEMS, framed=False,
):  # fmt: skip
    """The ``Plan`` of a product: source (N, C, D, H, W), weight, out likewise."""
    kernel = weight[2:]
    along = _axis_backward if backward else _axis_forward
    axes = [
        _Axis(*along(*numbers))
        for numbers in zip(kernel, stride, low, dilation, out[2:], strict=True)
    ]
    channels, rows = source[1] // groups, out[1] // groups
    strips = -(-rows // TILE_ROWS)
    height = -(-rows // strips)
    deep, high, wide = axes
    # where windows have one element and leave none out, panels are packed from the source
    in_place = not framed and prod(kernel) == max(stride) == 1 and not any(low)
    high_extent, wide_extent = high.count + high.reach, wide.count + wide.reach
    parts = deep.parts * high.parts * wide.parts
    layer = channels * parts * high_extent * wide_extent * itemsize
    count = max(1, band_bytes // max(1, layer) - deep.reach)
    wanted = -(-least_items // max(1, source[0] * groups))
    count = max(1, min(count, deep.count, -(-deep.count // wanted)))
    bands = -(-deep.count // count)
    count = -(-deep.count // max(1, bands))  # as even as can be
    extents = count + deep.reach, high_extent, wide_extent
    apart = prod(source[2:] if in_place else extents)  # from channel to channel
    phases, offsets, chosen = _tables(axes, kernel, out, channels, extents, apart)
    depths = [channels * phase[4] for phase in phases]
    before = np.cumsum([0, *(groups * strips * height * depth for depth in depths)])
    steps = (
        out[0]
        * out[1]
        * sum(prod(phase[:3]) * depth for phase, depth in zip(phases, depths, strict=True))
    )
    phases = [(*phase, at) for phase, at in zip(phases, before[:-1], strict=True)]
    dense = len(phases) == 1 and all(axis.step == 1 for axis in axes)
    sizes = [
        source[0], groups, channels, rows, *source[2:], *(axis.stride for axis in axes),
        *(axis.low for axis in axes), *(axis.parts for axis in axes), *extents, count, bands,
        strips, height, *out[2:], *(axis.step for axis in axes), dense,
        PACKED if in_place else _mode(strips, height, count, high, wide, dense, itemsize), in_place,
    ]  # fmt: skip
    return Plan(
        np.array(sizes, np.int64),
        np.array(phases, np.int64).reshape(-1, 8),
        np.array(offsets or [0], np.int64),
        np.array(chosen or [0], np.int64),
        0 if in_place else channels * parts * prod(extents),
        int(before[-1]),
        source[0] * groups * bands,
        steps,
    )
