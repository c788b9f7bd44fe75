"""The frame of a convolution: a band of the source in cache, zeros around it; see ``_windows``."""

from numba.extending import register_jitable

from ._runs import copy_run, fill_run

# Places in a plan's ``sizes``
(
    IMAGES, GROUPS, CHANNELS, ROWS, SOURCE_D, SOURCE_H, SOURCE_W, STRIDE_D, STRIDE_H, STRIDE_W,
    LOW_D, LOW_H, LOW_W, PARTS_D, PARTS_H, PARTS_W, EXTENT_D, EXTENT_H, EXTENT_W, BAND, BANDS,
    STRIPS, HEIGHT, OUT_D, OUT_H, OUT_W, STEP_D, STEP_H, STEP_W, DENSE, MODE, IN_PLACE,
) = range(32)  # fmt: skip
# and in a row of its ``phases``
COUNT_D, COUNT_H, COUNT_W, PLACE, TAPS, OFFSETS, CHOSEN, WEIGHTS = range(8)


@register_jitable
def _copy_rows(x, source, sizes, part_d, part_h, part_w, top, space, at):
    """Copy a channel's rows of one part of a frame; returns where the next part begins."""
    step, width = sizes[STRIDE_W], sizes[SOURCE_W]
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
                    copy_run(x, place + begin, space, at + begin, end - begin)
                else:
                    for k in range(begin, end):
                        space[at + k] = x[place + k * step]
            elif sizes[BANDS] > 1:
                fill_run(space, at, wide, 0.0)
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


@register_jitable
def start_rows(bias, first, c, c_at, c_row, rows, columns):
    """Rows of C begin with their bias."""
    for i in range(rows):
        fill_run(c, c_at + i * c_row, columns, bias[first + i])


@register_jitable
def out_place(sizes, d, h, w):
    """Where a phase's output pixel is in the result, counted from the phase's first."""
    row = d * sizes[STEP_D] * sizes[OUT_H] + h * sizes[STEP_H]
    return row * sizes[OUT_W] + w * sizes[STEP_W]


@register_jitable
def spread(space, at, width, sizes, count, out, place):
    """Write a run of all output channels' results to where it belongs."""
    plane = sizes[OUT_D] * sizes[OUT_H] * sizes[OUT_W]
    step = sizes[STEP_W]
    for i in range(sizes[ROWS]):
        source, target = at + i * width, place + i * plane
        if step == 1:
            copy_run(space, source, out, target, count)
        else:
            for k in range(count):
                out[target + k * step] = space[source + k]
