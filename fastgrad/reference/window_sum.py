"""Twin of ``kernels/window_sum.py``."""

import numpy as np

from ._quiet import quiet

__all__ = ["window_sum"]


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
