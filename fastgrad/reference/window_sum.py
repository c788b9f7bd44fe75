"""Twin of ``kernels/window_sum.py``."""

import numpy as np

from ._quiet import quiet

__all__ = ["window_mean", "window_sum"]


@quiet
def window_sum(x, firsts, lasts, counts, before=False, along=(0, 0, 0, 0), shape=None):
    out = np.zeros((len(x), *map(len, firsts)), x.dtype)
    count = counts[0][:, None, None] * counts[1][:, None] * counts[2]
    if before:
        x = x / count
    for places in np.ndindex(out.shape[1:]):
        part = tuple(
            slice(first[i], last[i]) for first, last, i in zip(firsts, lasts, places, strict=True)
        )
        out[:, *places] = x[:, *part].sum(axis=(1, 2, 3))
    out = out if before else out / count
    return out.reshape(out.shape if shape is None else shape)


@quiet
def window_mean(
    x, table, batch, outs, most, steps, alike, divisors, before=False, shape=None
):  # fmt: skip
    planes, count = len(x), int(np.prod(outs))
    _, first, *counts = table[:, :count].astype(np.int64)
    flat = x.reshape(planes, int(np.prod(x.shape[1:])))
    if before:
        flat = flat / divisors[: flat.shape[1]]
    total = np.zeros((planes, count), x.dtype)
    for places in np.ndindex(*most):
        inside = np.all([c > k for c, k in zip(counts, places, strict=True)], axis=0)
        place = np.where(inside, first + np.dot(places, steps), 0)
        total += np.where(inside, flat[:, place], 0)
    total = total if before else total / divisors[:count]
    return total.reshape((planes, *outs) if shape is None else shape)
