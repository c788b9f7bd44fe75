"""Runs of elements copied, added and filled, in vectors."""

from numba.extending import register_jitable

from ._simd import lanes, read, splat, write


@register_jitable
def copy_run(x, x_at, y, y_at, count):
    """``y[y_at : y_at + count] = x[x_at : x_at + count]``"""
    lane = lanes(x)
    for i in range(0, count, lane):
        n = min(lane, count - i)
        write(y, y_at + i, n, read(x, x_at + i, n))


@register_jitable
def add_run(x, x_at, y, y_at, count):
    """``y[y_at : y_at + count] += x[x_at : x_at + count]``"""
    lane = lanes(x)
    for i in range(0, count, lane):
        n = min(lane, count - i)
        write(y, y_at + i, n, read(y, y_at + i, n) + read(x, x_at + i, n))


@register_jitable
def fill_run(x, at, count, value):
    """``x[at : at + count] = value``"""
    lane, vector = lanes(x), splat(x, value)
    for i in range(0, count, lane):
        write(x, at + i, min(lane, count - i), vector)
