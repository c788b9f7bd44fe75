"""The frame of a convolution: a band of the source in cache, zeros around it; see ``_windows``."""

from numba.extending import register_jitable

from ._simd import lanes, read, write, zeros

# Places in a plan's ``sizes``
(
    IMAGES, GROUPS, CHANNELS, ROWS, SOURCE_D, SOURCE_H, SOURCE_W, STRIDE_D, STRIDE_H, STRIDE_W,
    LOW_D, LOW_H, LOW_W, PARTS_D, PARTS_H, PARTS_W, EXTENT_D, EXTENT_H, EXTENT_W, BAND, BANDS,
    STRIPS, HEIGHT, OUT_D, OUT_H, OUT_W, STEP_D, STEP_H, STEP_W, DENSE, MODE,
) = range(31)  # fmt: skip
# and in a row of its ``phases``
COUNT_D, COUNT_H, COUNT_W, PLACE, TAPS, OFFSETS, CHOSEN, WEIGHTS = range(8)


@register_jitable
def clear(x, at, count):
    """``x[at : at + count] = 0``"""
    lane = lanes(x)
    for i in range(0, count, lane):
        write(x, at + i, min(lane, count - i), zeros(x))


@register_jitable
def _copy_rows(x, source, sizes, part_d, part_h, part_w, top, space, at):
    """Copy a channel's rows of one part of a frame; returns where the next part begins."""
    lane, step, width = lanes(x), sizes[STRIDE_W], sizes[SOURCE_W]
    high, wide = sizes[EXTENT_H], sizes[EXTENT_W]
    first = sizes[LOW_W] + part_w
    begin = 0 if first >= 0 else min(wide, (step - 1 - first) // step)
    end = max(begin, min(wide, (width - first + step - 1) // step))
    for i in range(sizes[EXTENT_D]):
        d = sizes[LOW_D] + (top + i) * sizes[STRIDE_D] + part_d
        for j in range(high):
            h = sizes[LOW_H] + j * sizes[STRIDE_H] + part_h
            if 0 <= d < sizes[SOURCE_D] and 0 <= h < sizes[SOURCE_H]:
                place = source + (d * sizes[SOURCE_H] + h) * width + first
                if step == 1:
                    for k in range(begin, end, lane):
                        n = min(lane, end - k)
                        write(space, at + k, n, read(x, place + k, n))
                else:
                    for k in range(begin, end):
                        space[at + k] = x[place + k * step]
            elif sizes[BANDS] > 1:
                clear(space, at, wide)
            at += wide
    return at


@register_jitable
def fill_frame(x, source, sizes, top, space, frame):
    """Copy the source's rows for a band that begins at output row ``top``; see ``_windows``.

    What is zero in every band's frame is zero already.
    """
    volume, at = sizes[SOURCE_D] * sizes[SOURCE_H] * sizes[SOURCE_W], frame
    for c in range(sizes[CHANNELS]):
        for part_d in range(sizes[PARTS_D]):
            for part_h in range(sizes[PARTS_H]):
                for part_w in range(sizes[PARTS_W]):
                    at = _copy_rows(
                        x, source + c * volume, sizes, part_d, part_h, part_w, top, space, at
                    )
