"""Winograd's transforms of a line of a tile, and of the source that they read.

See ``_conv_winograd``. A line has ``along`` pixels or points, 4 or 6, or ``edge`` pixels of the
output, and windows have ``span`` taps.
Two transforms have a form for one point alone, for where lines of points are shared out.
"""

from numba.extending import register_jitable

from ._runs import fill_run
from ._simd import fma, lanes, load, splat, store, turn_block, zeros

_A, _B = 0.75, 1.5  # points ±a, ±b
_A2, _B2 = _A * _A, _B * _B
_AT_A, _AT_B = 1 / (2 * _A2 * (_A2 - _B2)), 1 / (2 * _B2 * (_B2 - _A2))


# ------------------------------------------------------------------ of the source


@register_jitable
def _small_forth(i, a, b, c, d):
    """Four pixels at one of four points."""
    if i == 0:
        return a - c
    if i == 1:
        return b + c
    if i == 2:
        return c - b
    return d - b


@register_jitable
def _large_forth(x, i, a, b, c, d, e, f):
    """Six pixels at one of six points."""
    if i == 0 or i == 5:
        if i == 5:
            a, c, e = b, d, f
        return fma(splat(x, _A2 * _B2), a, fma(splat(x, -_A2 - _B2), c, e))
    if i < 3:
        even, odd = fma(splat(x, -_B2), c, e), fma(splat(x, -_B2), b, d)
        return fma(splat(x, _A if i == 1 else -_A), odd, even)
    even, odd = fma(splat(x, -_A2), c, e), fma(splat(x, -_A2), b, d)
    return fma(splat(x, _B if i == 3 else -_B), odd, even)


@register_jitable
def point_forth(along, i, x, at, step):
    """The pixels of a line, ``step`` apart, at one point."""
    a, b, c, d = load(x, at), load(x, at + step), load(x, at + 2 * step), load(x, at + 3 * step)
    if along == 4:
        return _small_forth(i, a, b, c, d)
    return _large_forth(x, i, a, b, c, d, load(x, at + 4 * step), load(x, at + 5 * step))


@register_jitable
def line_forth(along, x, at, step, y, to, jump):
    """The pixels of a line, ``step`` apart, at all points, ``jump`` apart."""
    a, b, c, d = load(x, at), load(x, at + step), load(x, at + 2 * step), load(x, at + 3 * step)
    if along == 4:
        store(y, to, _small_forth(0, a, b, c, d))
        store(y, to + jump, _small_forth(1, a, b, c, d))
        store(y, to + 2 * jump, _small_forth(2, a, b, c, d))
        store(y, to + 3 * jump, _small_forth(3, a, b, c, d))
        return
    e, f = load(x, at + 4 * step), load(x, at + 5 * step)
    store(y, to, _large_forth(x, 0, a, b, c, d, e, f))
    store(y, to + jump, _large_forth(x, 1, a, b, c, d, e, f))
    store(y, to + 2 * jump, _large_forth(x, 2, a, b, c, d, e, f))
    store(y, to + 3 * jump, _large_forth(x, 3, a, b, c, d, e, f))
    store(y, to + 4 * jump, _large_forth(x, 4, a, b, c, d, e, f))
    store(y, to + 5 * jump, _large_forth(x, 5, a, b, c, d, e, f))


@register_jitable
def turn_source(x, source, channels, high, wide, first, rows, left, columns, space, frame):
    """A frame of ``rows`` lines of an image from ``first`` on, a vector of channels a pixel.

    high, wide      the image's
    left, columns   where a line begins in the image, and its pixels

    What is zero in every line is zero already.
    """
    lane, plane = lanes(x), high * wide
    before = max(0, -left)
    skipped = left + before
    count = min(wide - skipped, columns - before)
    for i in range(rows):
        h, at = first + i, frame + i * columns * lane
        if h < 0 or h >= high:
            fill_run(space, at, columns * lane, 0.0)
            continue
        for w in range(0, count, lane):
            turn_block(
                x, source + h * wide + skipped + w, plane, space, at + (before + w) * lane, lane,
                channels, min(lane, count - w),
            )  # fmt: skip


# ------------------------------------------------------------------ of weights


@register_jitable
def line_weights(along, span, x, at, step, y, to, jump):
    """``span`` taps, ``step`` apart, at ``along`` points, ``jump`` apart."""
    a, b, c = load(x, at), load(x, at + step), load(x, at + 2 * step)
    if along == 4:
        half = splat(x, 0.5)
        even, odd = half * (a + c), half * b
        store(y, to, a)
        store(y, to + jump, even + odd)
        store(y, to + 2 * jump, even - odd)
        store(y, to + 3 * jump, c)
        return
    d = e = zeros(x)
    if span == 5:
        d, e = load(x, at + 3 * step), load(x, at + 4 * step)
    for p2, p, factor, place in ((_A2, _A, _AT_A, 1), (_B2, _B, _AT_B, 3)):
        square = splat(x, p2)
        even = splat(x, factor) * fma(square, fma(square, e, c), a)
        odd = splat(x, factor * p) * fma(square, d, b)
        store(y, to + place * jump, even + odd)
        store(y, to + (place + 1) * jump, even - odd)
    store(y, to, a * splat(x, 1 / (_A2 * _B2)))
    store(y, to + 5 * jump, e if span == 5 else c)


@register_jitable
def line_taps(along, span, x, at, step, y, to, jump):
    """The adjoint of ``line_weights``: from all points, ``step`` apart, ``span`` taps."""
    a, b, c, d = load(x, at), load(x, at + step), load(x, at + 2 * step), load(x, at + 3 * step)
    total, apart = b + c, b - c
    if along == 4:
        half = splat(x, 0.5)
        store(y, to, fma(half, total, a))
        store(y, to + jump, half * apart)
        store(y, to + 2 * jump, fma(half, total, d))
        return
    e, f = load(x, at + 4 * step), load(x, at + 5 * step)
    near, far = splat(x, _AT_A) * total, splat(x, _AT_B) * (d + e)
    near_odd, far_odd = splat(x, _AT_A * _A) * apart, splat(x, _AT_B * _B) * (d - e)
    store(y, to, fma(splat(x, 1 / (_A2 * _B2)), a, near + far))
    store(y, to + jump, near_odd + far_odd)
    near, far = splat(x, _A2) * near, splat(x, _B2) * far
    if span == 3:
        store(y, to + 2 * jump, near + far + f)
        return
    store(y, to + 2 * jump, near + far)
    store(y, to + 3 * jump, fma(splat(x, _A2), near_odd, splat(x, _B2) * far_odd))
    store(y, to + 4 * jump, fma(splat(x, _A2), near, fma(splat(x, _B2), far, f)))


# ------------------------------------------------------------------ of the result


@register_jitable
def line_back(edge, along, x, at, step):
    """Four pixels of a line of points, ``step`` apart; of two pixels the others mean nothing."""
    a, b, c, d = load(x, at), load(x, at + step), load(x, at + 2 * step), load(x, at + 3 * step)
    total, apart = b + c, b - c
    if along == 4:
        return a + total, apart + d, a, a
    e, f = load(x, at + 4 * step), load(x, at + 5 * step)
    more, far = d + e, d - e
    first, second = a + total + more, fma(splat(x, _B), far, splat(x, _A) * apart)
    if edge == 2:
        return first, second + f, a, a
    third = fma(splat(x, _B2), more, splat(x, _A2) * total)
    fourth = fma(splat(x, _B * _B2), far, fma(splat(x, _A * _A2), apart, f))
    return first, second, third, fourth


@register_jitable
def _small_spread(i, a, b):
    """The adjoint of ``line_back`` at one of four points."""
    if i == 0:
        return a
    if i == 1:
        return a + b
    if i == 2:
        return a - b
    return b


@register_jitable
def _large_spread(x, i, a, b, c, d, last):
    """The adjoint of ``line_back`` at one of six points; ``last`` is the last pixel."""
    if i == 0:
        return a
    if i == 5:
        return last
    if i < 3:
        even, odd = fma(splat(x, _A2), c, a), fma(splat(x, _A2), d, b)
        return fma(splat(x, _A if i == 1 else -_A), odd, even)
    even, odd = fma(splat(x, _B2), c, a), fma(splat(x, _B2), d, b)
    return fma(splat(x, _B if i == 3 else -_B), odd, even)


@register_jitable
def _four_pixels(edge, x, at, step):
    """The pixels of a line, zeros where it has two, and the last one."""
    a, b = load(x, at), load(x, at + step)
    c = d = zeros(x)
    last = b
    if edge > 2:
        c, d = load(x, at + 2 * step), load(x, at + 3 * step)
        last = d
    return a, b, c, d, last


@register_jitable
def point_spread(edge, along, i, x, at, step):
    """The adjoint of ``line_back``, of pixels ``step`` apart, at one point."""
    a, b, c, d, last = _four_pixels(edge, x, at, step)
    return _small_spread(i, a, b) if along == 4 else _large_spread(x, i, a, b, c, d, last)


@register_jitable
def line_spread(edge, along, x, at, step, y, to, jump):
    """The adjoint of ``line_back``: pixels, ``step`` apart, to all points, ``jump`` apart."""
    a, b, c, d, last = _four_pixels(edge, x, at, step)
    if along == 4:
        store(y, to, _small_spread(0, a, b))
        store(y, to + jump, _small_spread(1, a, b))
        store(y, to + 2 * jump, _small_spread(2, a, b))
        store(y, to + 3 * jump, _small_spread(3, a, b))
        return
    store(y, to, _large_spread(x, 0, a, b, c, d, last))
    store(y, to + jump, _large_spread(x, 1, a, b, c, d, last))
    store(y, to + 2 * jump, _large_spread(x, 2, a, b, c, d, last))
    store(y, to + 3 * jump, _large_spread(x, 3, a, b, c, d, last))
    store(y, to + 4 * jump, _large_spread(x, 4, a, b, c, d, last))
    store(y, to + 5 * jump, _large_spread(x, 5, a, b, c, d, last))
