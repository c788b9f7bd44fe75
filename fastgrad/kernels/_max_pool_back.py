"""The way back of ``max_pool``: outputs' gradients go to the places whose numbers were kept."""

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel
from ._simd import if_equal, lanes, prefetch, splat, zeros
from ._stride import (
    AHEAD,
    bits,
    clear,
    first_pairs,
    last_pairs,
    load_bits,
    load_bytes,
    store_bits,
)

GUARD = 64  # bytes around the places, so that any whole vector of them can be read
STRIP = 16  # rows of outputs that are one item of work; an even number


@register_jitable(forceinline=True)
def _clear(grad_x, plane, oz, first, last, tiled, geometry):
    """Zeros in what ``spread_apart`` leaves out of the part of x that a strip of outputs has.

    tiled   whether windows lie close together: then that is only what follows the last ones
    """
    size, outs, _, stride, padding, _ = geometry
    z_from, z_to = oz * stride[0] - padding[0], (oz + 1) * stride[0] - padding[0]
    y_from, y_to = first * stride[1] - padding[1], last * stride[1] - padding[1]
    z_end = size[0] if oz + 1 == outs[0] else z_to
    y_end = size[1] if last == outs[1] else y_to
    for z in range(max(z_from, 0) if oz else 0, z_end):
        row = plane * size[0] + z
        y = y_to if tiled and z < z_to else max(y_from, 0) if first else 0
        clear(grad_x, (row * size[1] + y) * size[2], (y_end - y) * size[2])


@kernel
def spread_fours(start, stop, grad, position, grad_x, pitch, geometry):
    """``spread_apart`` for the windows of ``_max_pool_fours``."""
    size, outs, _, stride, _, _ = geometry
    lane, nothing = lanes(grad), zeros(grad)
    half, pairs = lane // 2, pitch[1] < lane
    one, two, three = splat(grad, 1), splat(grad, 2), splat(grad, 3)
    strips, width = (outs[1] + STRIP - 1) // STRIP, (size[2] + 1) // 2
    step, ahead = 2 if pairs else 1, min(size[2], 4 * lane)
    for item in range(start, stop):
        plane, first = item // strips, item % strips * STRIP
        last = min(first + STRIP, outs[1])
        _clear(grad_x, plane, 0, first, last, stride[1] == 2, geometry)
        for oy in range(first, last, step):
            row, places = (plane * outs[1] + oy) * outs[2], (plane * pitch[0] + oy) * pitch[1]
            corner = (plane * size[1] + oy * stride[1]) * size[2]
            both = pairs and oy + 1 < last
            for o in range(0, width, lane):  # all of x's row, past the last window too
                n, rest = min(lane, max(outs[2] - o, 0)), size[2] - 2 * o
                value = load_bits(grad, row + o, bits(0, n), nothing)
                if pairs:
                    below = bits(half, half + n) if both else 0
                    value = load_bits(grad, row + n - half, below, value)
                    more, b_bits = stride[1] * size[2], bits(0, rest) if both else 0
                else:
                    more, b_bits = lane, bits(0, rest - lane)
                a_bits = bits(0, rest)
                place = load_bytes(position, GUARD + places + o, grad)
                a = if_equal(place, nothing, value, nothing)
                b = if_equal(place, one, value, nothing)
                c = if_equal(place, two, value, nothing)
                d = if_equal(place, three, value, nothing)
                at = corner + 2 * o
                for i in range(at, at + 2 * ahead, lane):
                    prefetch(grad_x, i + AHEAD)
                store_bits(grad_x, at, a_bits, first_pairs(a, b))
                store_bits(grad_x, at + more, b_bits, last_pairs(a, b))
                at += size[2]
                store_bits(grad_x, at, a_bits, first_pairs(c, d))
                store_bits(grad_x, at + more, b_bits, last_pairs(c, d))


@kernel
def spread_apart(start, stop, grad, position, grad_x, tiled, pitch, geometry):
    """Strips ``start`` to ``stop`` of rows of outputs send their gradients to x's.

    No windows have an element in common, and the stride along rows is 2; ``tiled``: see ``_clear``.
    """
    size, outs, window, stride, padding, dilation = geometry
    lane, nothing = lanes(grad), zeros(grad)
    half, pairs = lane // 2, pitch[1] < lane
    strips, width = (outs[1] + STRIP - 1) // STRIP, (size[2] + padding[2] + 1) // 2
    for item in range(start, stop):
        over, first = item // strips, item % strips * STRIP
        plane, oz = over // outs[0], over % outs[0]
        last = min(first + STRIP, outs[1])
        _clear(grad_x, plane, oz, first, last, tiled, geometry)
        for oy in range(first, last, 2 if pairs else 1):
            two = pairs and oy + 1 < last
            row, places = (over * outs[1] + oy) * outs[2], (over * pitch[0] + oy) * pitch[1]
            z_from, y_from = oz * stride[0] - padding[0], oy * stride[1] - padding[1]
            corner = ((plane * size[0] + z_from) * size[1] + y_from) * size[2] - padding[2]
            more_y = stride[1] if two else 0
            more_x = 0 if pairs else lane
            for o in range(0, width, lane):  # all of x's row, past the last window too
                n, x = min(lane, max(outs[2] - o, 0)), 2 * o - padding[2]
                value = load_bits(grad, row + o, bits(0, n), nothing)
                below = bits(half, half + n) if two else 0
                value = load_bits(grad, row + n - half, below, value)
                place = load_bytes(position, GUARD + places + o, grad)
                a_bits = bits(-x, size[2] - x)
                b_bits = bits(-x - more_x, size[2] - x - more_x) if two or not pairs else 0
                for kz in range(window[0]):
                    z = z_from + kz * dilation[0]
                    for ky in range(window[1]):
                        y = y_from + ky * dilation[1]
                        up = 0 <= z < size[0] and 0 <= y < size[1]
                        down = 0 <= z < size[0] and 0 <= y + more_y < size[1]
                        at = corner + (kz * dilation[0] * size[1] + ky * dilation[1]) * size[2]
                        at += 2 * o
                        prefetch(grad_x, at + AHEAD)
                        prefetch(grad_x, at + AHEAD + lane)
                        number = splat(grad, (kz * window[1] + ky) * window[2])
                        even, odd = if_equal(place, number, value, nothing), nothing
                        if window[2] == 2:
                            odd = if_equal(place, number + splat(grad, 1), value, nothing)
                        store_bits(grad_x, at, a_bits if up else 0, first_pairs(even, odd))
                        at += more_y * size[2] + more_x
                        store_bits(grad_x, at, b_bits if down else 0, last_pairs(even, odd))


@kernel
def spread(start, stop, grad, position, grad_x, offset, pitch, geometry):
    """Planes ``start`` to ``stop`` of x's gradient: outputs' are added where their largest was."""
    size, outs, _, stride, padding, _ = geometry
    n = size[0] * size[1] * size[2]
    for plane in range(start, stop):
        clear(grad_x, plane * n, n)
        for i in range(outs[0] * outs[1]):
            oz, oy = i // outs[1], i % outs[1]
            z, y = oz * stride[0] - padding[0], oy * stride[1] - padding[1]
            at = plane * n + (z * size[1] + y) * size[2] - padding[2]
            source = (plane * outs[0] * outs[1] + i) * outs[2]
            places = GUARD + ((plane * outs[0] + oz) * pitch[0] + oy) * pitch[1]
            for o in range(outs[2]):
                place = np.uint64(at + o * stride[2] + offset[position[np.uint64(places + o)]])
                grad_x[place] += grad[np.uint64(source + o)]
