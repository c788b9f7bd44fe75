"""NumPy twin of ``fastgrad.kernels.gather``."""

import numpy as np

__all__ = ["gather_rows"]


def gather_rows(x, indices):
    bad = (indices < 0) | (indices >= x.shape[0])
    if bad.any():
        position = int(bad.argmax())
        raise IndexError(
            f"gather_rows: index {indices[position]} at position {position} is out of range; "
            f"expected 0 <= index < {x.shape[0]}"
        )
    return np.take(x, indices, axis=0)
