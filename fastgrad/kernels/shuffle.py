"""Pixels from channels, and back: (outer, i, j, H, W) against (outer, H, i, W, j)."""

from ._jit import kernel
from ._record import contiguous, empty

__all__ = ["pixel_shuffle", "pixel_unshuffle"]

_NS = 0.6  # nanoseconds per element


@kernel
def _shuffle(start, stop, x, out, r, height, width, back):
    """Rows ``start`` to ``stop`` of the images (outer, height, r, width · r), flat.

    ``x`` are the channels and ``out`` the images, or, ``back``, the other way round.
    """
    plane = height * width
    for row in range(start, stop):
        i, h, outer = row % r, row // r % height, row // (r * height)
        image, channel = row * width * r, (outer * r + i) * r * plane + h * width
        for j in range(r):
            if back:
                for w in range(width):
                    out[channel + j * plane + w] = x[image + w * r + j]
            else:
                for w in range(width):
                    out[image + w * r + j] = x[channel + j * plane + w]


def pixel_shuffle(x, r):
    """(N, C · r², H, W) as (N, C, H · r, W · r)."""
    n, channels, h, w = x.shape
    out = empty((n, channels // (r * r), h * r, w * r), x.dtype)
    if out.size:
        rows = n * (channels // (r * r)) * h * r
        given = contiguous(x).reshape(-1), out.reshape(-1)
        _shuffle(rows, x.size * _NS, *given, r, h, w, False)
    return out


def pixel_unshuffle(x, r):
    """(N, C, H · r, W · r) as (N, C · r², H, W)."""
    n, channels, h, w = x.shape
    out = empty((n, channels * r * r, h // r, w // r), x.dtype)
    if out.size:
        given = contiguous(x).reshape(-1), out.reshape(-1)
        _shuffle(n * channels * h, x.size * _NS, *given, r, h // r, w // r, True)
    return out
