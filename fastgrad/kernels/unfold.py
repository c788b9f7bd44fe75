"""Windows of images as columns, and their sum back: unfold and fold.

A geometry is ((kernel, dilation, padding, stride) along the height, the same along the width).
"""

from numba.extending import register_jitable

from ._jit import kernel
from ._record import contiguous, empty
from ._runs import copy_run, fill_run
from ._simd import lanes, read, write

__all__ = ["fold", "unfold"]

_NS = 0.3  # nanoseconds per element of the columns


@register_jitable
def _inside(offset, step, size, count):
    """The first and the end of the k < count for which 0 <= offset + k · step < size."""
    first = 0 if offset >= 0 else min(count, (step - 1 - offset) // step)
    end = 0 if offset >= size else min(count, (size - 1 - offset) // step + 1)
    return first, max(first, end)


@kernel
def _unfold(start, stop, x, out, height, width, rows, columns, vertical, horizontal):
    """Channels of the columns ``start`` to ``stop``: out (N, C, kh, kw, rows, columns), flat."""
    (kh, dh, ph, sh), (kw, dw, pw, sw) = vertical, horizontal
    for item in range(start, stop):
        j, i, plane = item % kw, item // kw % kh, item // (kw * kh)
        top, left = i * dh - ph, j * dw - pw
        first, end = _inside(left, sw, width, columns)
        for row in range(rows):
            at, h = (item * rows + row) * columns, top + row * sh
            if h < 0 or h >= height:
                fill_run(out, at, columns, 0.0)
                continue
            source = (plane * height + h) * width + left
            fill_run(out, at, first, 0.0)
            if sw == 1:
                copy_run(x, source + first, out, at + first, end - first)
            else:
                for k in range(first, end):
                    out[at + k] = x[source + k * sw]
            fill_run(out, at + end, columns - end, 0.0)


@kernel
def _fold(start, stop, x, out, height, width, rows, columns, vertical, horizontal):
    """Planes ``start`` to ``stop`` of out (N, C, height, width), flat; see ``_unfold``."""
    (kh, dh, ph, sh), (kw, dw, pw, sw) = vertical, horizontal
    lane = lanes(x)
    for plane in range(start, stop):
        fill_run(out, plane * height * width, height * width, 0.0)
        for i in range(kh):
            top = i * dh - ph
            low, high = _inside(top, sh, height, rows)
            for j in range(kw):
                left = j * dw - pw
                first, end = _inside(left, sw, width, columns)
                item = (plane * kh + i) * kw + j
                for row in range(low, high):
                    at = (item * rows + row) * columns
                    target = (plane * height + top + row * sh) * width + left
                    if sw == 1:
                        for k in range(first, end, lane):
                            n = min(lane, end - k)
                            total = read(out, target + k, n) + read(x, at + k, n)
                            write(out, target + k, n, total)
                    else:
                        for k in range(first, end):
                            out[target + k * sw] += x[at + k]


def _integers(geometry):
    return tuple(tuple(int(n) for n in axis) for axis in geometry)


def unfold(x, blocks, geometry):
    """Columns (N, C · kh · kw, rows · columns) of x (N, C, H, W); ``blocks`` is (rows, columns)."""
    items, channels, height, width = x.shape
    (kh, *_), (kw, *_) = geometry
    out = empty((items, channels * kh * kw, blocks[0] * blocks[1]), x.dtype)
    if out.size:
        _unfold(
            items * channels * kh * kw, out.size * _NS, contiguous(x).reshape(-1),
            out.reshape(-1), height, width, *blocks, *_integers(geometry),
        )  # fmt: skip
    return out


def fold(x, shape, blocks, geometry):
    """The sum of columns at their places in images of a shape (N, C, H, W): unfold's adjoint."""
    out = empty(shape, x.dtype)
    if out.size:
        _fold(
            shape[0] * shape[1], x.size * _NS + out.size * 0.1, contiguous(x).reshape(-1),
            out.reshape(-1), *shape[2:], *blocks, *_integers(geometry),
        )  # fmt: skip
    return out
