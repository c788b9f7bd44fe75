"""Random changes of images, a whole batch in one pass: places first, then values.

A pass is a table of numbers, one row for each change, which every image runs through by itself
with random numbers of its own. All changes of place (flips, crops, rotations, ...) become one map
from an image's pixels to those of its source, and the source is read once by it. Changes of values
(noise, contrast, erasing, ...) follow in place, while the image is in the cache.

The numbers of image i begin at block ``i · stride`` of the ticket (see ``random``), so that they
are the same for any number of threads.
"""

import math

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel, scratch
from ._record import empty
from ._sample import FRAME, between, load_as, load_back, nearest, ramp, store_rounded
from ._simd import fma, if_greater, lanes, load, log, maximum, prefetch, splat, sqrt, store
from ._threads import policy
from .gather import _AHEAD, _LINE, _check_indices
from .random import _philox

__all__ = ["augment"]

# The first row of a table says what holds for the whole pass. ``HALF`` is what turns truncation
# into rounding where results are bytes.
PLACES, BILINEAR, FILL, GAIN, HALF, STRIDE, CHANNELS, HEIGHT, WIDTH, NEW_HEIGHT, NEW_WIDTH = range(
    11
)
# Every other row: what to do, the first block of its random numbers, and arguments from ARGS on.
KIND, BLOCK, ARGS = range(3)
FLIP_ACROSS, FLIP_DOWN, CROP, AFFINE, NORMALIZE, JITTER, NOISE, ERASE = range(8)
COLUMNS = 16
_READING, _CHANGING = 0.8, 0.8  # ns for a pixel, about
_FLOAT32 = np.dtype(np.float32)
ATTEMPTS = 10  # at a rectangle to erase that fits into the image

_UNIT = 2.0**-32
_CHUNK = 64  # normal numbers that are made at a time, of 16 blocks
_BLOCKS = 16
_SIN = tuple((-1.0) ** k / math.factorial(2 * k + 1) for k in range(9))
_COS = tuple((-1.0) ** k / math.factorial(2 * k) for k in range(10))


# ------------------------------------------------------------------ places


@register_jitable
def _uniform(bits, low, high):
    return low + bits * _UNIT * (high - low)


@register_jitable
def _whole(bits, count):
    """A whole number from 0 to ``count - 1``, as a float."""
    return math.floor(bits * _UNIT * count)


@register_jitable
def _affine(row, seed, block):
    """The map back from a turned, scaled, sheared and shifted image."""
    a, b, c, d = _philox(seed, block)
    e, f, _, _ = _philox(seed, block + np.uint64(1))
    args = row[ARGS:]
    angle = _uniform(a, args[0], args[1])
    right = math.floor(_uniform(b, -args[2], args[2]) + 0.5)
    down = math.floor(_uniform(c, -args[3], args[3]) + 0.5)
    scale = _uniform(d, args[4], args[5])
    across, along = _uniform(e, args[6], args[7]), _uniform(f, args[8], args[9])
    sine, cosine = math.sin(angle - along), math.cos(angle - along)
    slope, lean = math.tan(across), math.cos(along)
    xx = (math.cos(angle) - sine * slope / lean) / scale
    xy = (cosine * slope / lean + math.sin(angle)) / scale
    yx, yy = -sine / lean / scale, cosine / lean / scale
    x, y = args[10], args[11]
    return (
        xx, xy, x - xx * (x + right) - xy * (y + down),
        yx, yy, y - yx * (x + right) - yy * (y + down),
    )  # fmt: skip


@register_jitable
def _map_of(row, seed, block):
    """``(xx, xy, x0, yx, yy, y0)``: pixel (x, y) of a result is the source's (xx·x + xy·y + x0, …).

    The source is the image before the change in this row of a table.
    """
    kind = row[KIND]
    if kind == AFFINE:
        return _affine(row, seed, block)
    a, b, _, _ = _philox(seed, block)
    first, second = row[ARGS], row[ARGS + 1]
    if kind == CROP:
        down, right = _whole(a, first), _whole(b, second)
        return 1.0, 0.0, right - row[ARGS + 3], 0.0, 1.0, down - row[ARGS + 2]
    if a * _UNIT < first:
        if kind == FLIP_ACROSS:
            return -1.0, 0.0, second - 1.0, 0.0, 1.0, 0.0
        return 1.0, 0.0, 0.0, 0.0, -1.0, second - 1.0
    return 1.0, 0.0, 0.0, 0.0, 1.0, 0.0


@register_jitable
def _whole_map(table, seed, base):
    """The map of all changes of place together: the source of the source, and so on."""
    xx, xy, x0, yx, yy, y0 = 1.0, 0.0, 0.0, 0.0, 1.0, 0.0
    for k in range(1, 1 + int(table[0, PLACES])):
        block = base + np.uint64(int(table[k, BLOCK]))
        a, b, p, c, d, q = _map_of(table[k], seed, block)
        x0, y0 = xx * p + xy * q + x0, yx * p + yy * q + y0
        xx, xy, yx, yy = xx * a + xy * c, xx * b + xy * d, yx * a + yy * c, yx * b + yy * d
    return xx, xy, x0, yx, yy, y0


@register_jitable
def _move(head, image, where, like, out):
    """Read an image by a map that only mirrors and moves by whole pixels."""
    height, width = int(head[HEIGHT]), int(head[WIDTH])
    new_height, new_width = int(head[NEW_HEIGHT]), int(head[NEW_WIDTH])
    gain, count = splat(like, head[GAIN]), lanes(like)
    step, right, turn, down = int(where[0]), int(where[2]), int(where[4]), int(where[5])
    if step > 0:
        first, last = max(0, -right), min(new_width, width - right)
    else:
        first, last = max(0, right - width + 1), min(new_width, right + 1)
    if turn > 0:
        top, bottom = max(0, -down), min(new_height, height - down)
    else:
        top, bottom = max(0, down - height + 1), min(new_height, down + 1)
    if last - first < new_width or bottom - top < new_height:
        out[:] = out.dtype.type(head[FILL] + head[HALF])
    for channel in range(int(head[CHANNELS])):
        for y in range(new_height):
            if top <= y < bottom:
                to = (channel * new_height + y) * new_width
                source = (channel * height + down + turn * y) * width + right
                for x in range(first, last, count):
                    part = min(count, last - x)
                    if step > 0:
                        value = load_as(image, source + x, part, like)
                    else:
                        value = load_back(image, source - x, part, like)
                    store_rounded(out, to + x, part, value * gain)


@register_jitable
def _resample(head, image, where, framed, out):
    """Read an image by any map; ``framed`` is a frame already, with room for the image in it."""
    height, width = int(head[HEIGHT]), int(head[WIDTH])
    new_height, new_width = int(head[NEW_HEIGHT]), int(head[NEW_WIDTH])
    wide, gain, count = width + FRAME, splat(framed, head[GAIN]), lanes(framed)
    zero, ramp_ = splat(framed, 0.0), ramp(framed)
    right, bottom = splat(framed, width + 1.0), splat(framed, height + 1.0)
    xx, yx = splat(framed, where[0]), splat(framed, where[3])
    for channel in range(int(head[CHANNELS])):
        for y in range(height):
            source, to = (channel * height + y) * width, (y + 1) * wide + 1
            for x in range(0, width, count):
                part = min(count, width - x)
                store_rounded(framed, to + x, part, load_as(image, source + x, part, framed) * gain)
        for y in range(new_height):
            x0 = splat(framed, where[1] * y + where[2] + 1.0)
            y0 = splat(framed, where[4] * y + where[5] + 1.0)
            for x in range(0, new_width, count):
                place = ramp_ + splat(framed, float(x))
                xs, ys = maximum(xx * place + x0, zero), maximum(yx * place + y0, zero)
                xs, ys = if_greater(xs, right, right, xs), if_greater(ys, bottom, bottom, ys)
                if head[BILINEAR]:
                    value = between(framed, wide, xs, ys)
                else:
                    value = nearest(framed, wide, xs, ys)
                to = (channel * new_height + y) * new_width + x
                store_rounded(out, to, min(count, new_width - x), value)


# ------------------------------------------------------------------ values


@register_jitable
def _normalize(row, constants, channels, like, out):
    size, at, count = out.size // channels, int(row[ARGS]), lanes(like)
    for channel in range(channels):
        mean = splat(like, constants[at + channel])
        std = splat(like, constants[at + channels + channel])
        last = (channel + 1) * size
        for k in range(channel * size, last, count):
            part = min(count, last - k)
            store_rounded(out, k, part, (load_as(out, k, part, like) - mean) / std)


@register_jitable
def _within(value, low, high):
    """A vector clamped; NaN stays."""
    return if_greater(low, value, low, if_greater(value, high, high, value))


@register_jitable
def _blend(out, factor, other, bound, like):
    """``factor · out + other`` within 0 and ``bound``."""
    factor, other = splat(like, factor), splat(like, other)
    zero, bound, count = splat(like, 0.0), splat(like, bound), lanes(like)
    for k in range(0, out.size, count):
        part = min(count, out.size - k)
        value = load_as(out, k, part, like) * factor + other
        store_rounded(out, k, part, _within(value, zero, bound))


@register_jitable
def _grey(channels, out):
    """The mean over an image of what is grey in it: a colour's brightness, or all channels'."""
    size, total = out.size // channels, 0.0
    for channel in range(channels):
        weight = 1.0 / channels
        if channels == 3:
            weight = 0.2989 if channel == 0 else 0.587 if channel == 1 else 0.114
        a = b = c = d = 0.0
        first, last = channel * size, (channel + 1) * size
        whole = first + size // 4 * 4
        for k in range(first, whole, 4):
            a += out[k]
            b += out[k + 1]
            c += out[k + 2]
            d += out[k + 3]
        for k in range(whole, last):
            a += out[k]
        total += weight * ((a + b) + (c + d))
    return total / size


@register_jitable
def _jitter(row, head, seed, block, like, out):
    """Brightness and contrast, one after the other, in either order."""
    a, b, c, _ = _philox(seed, block)
    args, first = row[ARGS:], c * _UNIT < 0.5
    brightness, contrast = _uniform(a, args[0], args[1]), _uniform(b, args[2], args[3])
    if first:
        _blend(out, brightness, 0.0, args[4], like)
    _blend(out, contrast, (1.0 - contrast) * _grey(int(head[CHANNELS]), out), args[4], like)
    if not first:
        _blend(out, brightness, 0.0, args[4], like)


@register_jitable
def _normals(seed, block, buffer):
    """64 normal numbers of 16 blocks, by Box & Muller 1958."""
    real = buffer.dtype.type
    for k in range(_BLOCKS):
        a, b, c, d = _philox(seed, block + np.uint64(k))
        buffer[k] = real((a + 0.5) * _UNIT)
        buffer[k + _BLOCKS] = real(b * _UNIT - 0.5)
        buffer[k + 2 * _BLOCKS] = real((c + 0.5) * _UNIT)
        buffer[k + 3 * _BLOCKS] = real(d * _UNIT - 0.5)
    minus, one, two = splat(buffer, -2.0), splat(buffer, 1.0), splat(buffer, 2.0)
    pi = splat(buffer, math.pi)
    for at in range(0, _CHUNK, 2 * _BLOCKS):
        for k in range(at, at + _BLOCKS, lanes(buffer)):
            radius = sqrt(minus * log(load(buffer, k)))
            angle = pi * load(buffer, k + _BLOCKS)  # half of it, from -π/2 to π/2
            square = angle * angle
            sine, cosine = splat(buffer, _SIN[8]), splat(buffer, _COS[9])
            for j in range(7, -1, -1):
                sine = fma(sine, square, splat(buffer, _SIN[j]))
            for j in range(8, -1, -1):
                cosine = fma(cosine, square, splat(buffer, _COS[j]))
            sine = sine * angle
            store(buffer, k, radius * (one - two * sine * sine))
            store(buffer, k + _BLOCKS, radius * (two * sine * cosine))


@register_jitable
def _noise(row, seed, block, buffer, out):
    args, count = row[ARGS:], lanes(buffer)
    mean, sigma = splat(buffer, args[0]), splat(buffer, args[1])
    low, high = splat(buffer, args[2]), splat(buffer, args[3])
    for start in range(0, out.size, _CHUNK):
        _normals(seed, block + np.uint64(start // 4), buffer)
        last = min(start + _CHUNK, out.size)
        for k in range(start, last, count):
            part = min(count, last - k)
            value = load_as(out, k, part, buffer) + (mean + sigma * load(buffer, k - start))
            store_rounded(out, k, part, _within(value, low, high))


@register_jitable
def _erase(row, head, seed, block, buffer, out):
    """Fill a rectangle with a number, or with normal ones. Zhong et al. 2020, algorithm 1."""
    args = row[ARGS:]
    height, width = int(head[NEW_HEIGHT]), int(head[NEW_WIDTH])
    a, _, _, _ = _philox(seed, block)
    if a * _UNIT >= args[0]:
        return
    for attempt in range(1, ATTEMPTS + 1):
        a, b, c, d = _philox(seed, block + np.uint64(attempt))
        area = _uniform(a, args[1], args[2]) * height * width
        ratio = math.exp(_uniform(b, args[3], args[4]))
        tall = math.floor(math.sqrt(area * ratio) + 0.5)
        broad = math.floor(math.sqrt(area / ratio) + 0.5)
        if tall < height and broad < width:
            break
    else:
        return
    top, left = int(_whole(c, height - tall + 1)), int(_whole(d, width - broad + 1))
    drawn, noisy = 0, args[6] != 0
    value = out.dtype.type(args[5] + head[HALF])
    for channel in range(int(head[CHANNELS])):
        for y in range(top, top + tall):
            to = (channel * height + y) * width + left
            for x in range(broad):
                if noisy:
                    at = drawn % _CHUNK
                    if at == 0:
                        offset = np.uint64(1 + ATTEMPTS + drawn // 4)
                        _normals(seed, block + offset, buffer)
                    out[to + x] = out.dtype.type(buffer[at])
                    drawn += 1
                else:
                    out[to + x] = value


# ------------------------------------------------------------------ a pass


@kernel
def _read(start, stop, x, rows, table, ticket, work, out):
    """Groups ``start`` to ``stop`` of images, by their maps; a group has a row of ``work``."""
    n, groups, real, head = out.shape[0], work.shape[0], work.dtype.type, table[0]
    size, line = x.shape[1], _LINE // x.itemsize
    for group in range(start, stop):
        framed = work[group]
        framed[:] = real(head[FILL])
        last = n * (group + 1) // groups
        for i in range(n * group // groups, last):
            base = ticket[1] + np.uint64(i * int(head[STRIDE]))
            where = _whole_map(table, ticket[0], base)
            ahead = rows[min(i + 1, last - 1)] * size
            for at in range(0, min(size, _AHEAD * line), line):
                prefetch(x, ahead + at)
            straight = where[1] == 0.0 and where[3] == 0.0
            straight = straight and abs(where[0]) == 1.0 and abs(where[4]) == 1.0
            if straight and where[2] % 1.0 == 0.0 and where[5] % 1.0 == 0.0:
                _move(head, x[rows[i]], where, framed, out[i])
            else:
                _resample(head, x[rows[i]], where, framed, out[i])


@kernel
def _change_values(start, stop, table, constants, ticket, work, out):
    """The changes of values of images ``start`` to ``stop``, in place; ``work`` has 64 for each."""
    head, seed = table[0], ticket[0]
    for i in range(start, stop):
        base = ticket[1] + np.uint64(i * int(head[STRIDE]))
        for k in range(1 + int(head[PLACES]), table.shape[0]):
            row = table[k]
            block = base + np.uint64(int(row[BLOCK]))
            if row[KIND] == NORMALIZE:
                _normalize(row, constants, int(head[CHANNELS]), work, out[i])
            elif row[KIND] == JITTER:
                _jitter(row, head, seed, block, work, out[i])
            elif row[KIND] == NOISE:
                _noise(row, seed, block, work[i * _CHUNK : (i + 1) * _CHUNK], out[i])
            else:
                _erase(row, head, seed, block, work[i * _CHUNK : (i + 1) * _CHUNK], out[i])


def augment(x, rows, table, constants, ticket, size, dtype):
    """Images ``rows`` of x after the changes in ``table``, as an array of type ``dtype``.

    x (N, C, H, W) of float32, float64 or uint8, rows (n,) int64; ``dtype`` is that of x, or a float
    type for bytes. ``size`` is the (h, w) that the table gives, ``constants`` are the means and
    deviations of channels. Returns (n, C, h, w); ``IndexError`` for a row outside 0 to N - 1.
    """
    samples, channels, height, width = x.shape
    n = len(rows)
    out = empty((n, channels, *size), dtype)
    _check_indices(n, 0, rows, samples)
    if out.size:
        places = 1 + int(table[0, PLACES])
        real = _FLOAT32 if out.itemsize == 1 else out.dtype
        groups, framed = min(n, 8 * policy.threads), (height + FRAME) * (width + FRAME)
        work = scratch(max(groups * framed, n * _CHUNK), real)
        flat = out.reshape(n, -1)
        _read(
            groups, out.size * _READING + 100.0 * n * places, x.reshape(samples, -1), rows, table,
            ticket, work[: groups * framed].reshape(groups, framed), flat,
        )  # fmt: skip
        if places < len(table):
            cost = out.size * _CHANGING * (len(table) - places)
            _change_values(n, cost, table, constants, ticket, work[: n * _CHUNK], flat)
    return out
