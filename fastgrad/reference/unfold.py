"""NumPy twins of ``fastgrad.kernels.unfold``."""

import numpy as np

__all__ = ["fold", "unfold"]


def _windows(blocks, geometry):
    """(i, j, key of the elements of padded images that block by block stand at (i, j))."""
    (kh, dh, _, sh), (kw, dw, _, sw) = geometry
    for i in range(kh):
        for j in range(kw):
            top, left = i * dh, j * dw
            rows = slice(top, top + (blocks[0] - 1) * sh + 1, sh)
            yield i, j, (..., rows, slice(left, left + (blocks[1] - 1) * sw + 1, sw))


def _padded(shape, geometry, dtype):
    (_, _, ph, _), (_, _, pw, _) = geometry
    inner = (..., slice(ph, ph + shape[2]), slice(pw, pw + shape[3]))
    return np.zeros((*shape[:2], shape[2] + 2 * ph, shape[3] + 2 * pw), dtype), inner


def unfold(x, blocks, geometry):
    padded, inner = _padded(x.shape, geometry, x.dtype)
    padded[inner] = x
    (kh, *_), (kw, *_) = geometry
    out = np.empty((*x.shape[:2], kh, kw, *blocks), x.dtype)
    for i, j, key in _windows(blocks, geometry):
        out[:, :, i, j] = padded[key]
    return out.reshape(x.shape[0], x.shape[1] * kh * kw, blocks[0] * blocks[1])


def fold(x, shape, blocks, geometry):
    out, inner = _padded(shape, geometry, x.dtype)
    (kh, *_), (kw, *_) = geometry
    x = x.reshape(*shape[:2], kh, kw, *blocks)
    for i, j, key in _windows(blocks, geometry):
        out[key] += x[:, :, i, j]
    return np.ascontiguousarray(out[inner])
