"""Mixtures of samples with others of their batch."""

import numpy as np

from ._jit import kernel
from ._record import empty
from .gather import _check_indices

__all__ = ["cutmix", "mixup"]


@kernel
def _mixup(start, stop, x, partners, share, out):
    for i in range(start, stop):
        a, b = x[i], x[partners[i]]
        mine, other = x.dtype.type(share), x.dtype.type(1.0 - share)
        for j in range(a.size):
            out[i, j] = a[j] * mine + b[j] * other


def mixup(x, partners, share):
    """``share · x[i] + (1 - share) · x[partners[i]]`` for float x (n, ...)."""
    out = empty(x.shape, x.dtype)
    _check_indices(partners.size, 0, partners, x.shape[0])
    if out.size:
        rows = (x.shape[0], -1)
        _mixup(x.shape[0], x.size * 0.2, x.reshape(rows), partners, share, out.reshape(rows))
    return out


@kernel
def _cutmix(start, stop, x, partners, box, out):
    """``x`` is (n, planes, rows, bytes of a row), and the box counts bytes."""
    top, bottom, left, right = box[0], box[1], box[2], box[3]
    for i in range(start, stop):
        for plane in range(x.shape[1]):
            for y in range(x.shape[2]):
                mine, to = x[i, plane, y], out[i, plane, y]
                for k in range(to.size):
                    to[k] = mine[k]
                if top <= y < bottom:
                    other = x[partners[i], plane, y]
                    for k in range(left, right):
                        to[k] = other[k]


def cutmix(x, partners, box):
    """x (n, C, H, W), with what ``x[partners[i]]`` has in the box (top, bottom, left, right)."""
    out = empty(x.shape, x.dtype)
    _check_indices(partners.size, 0, partners, x.shape[0])
    if out.size:
        top, bottom, left, right = box
        place = np.array([top, bottom, left * x.itemsize, right * x.itemsize], np.int64)
        _cutmix(x.shape[0], x.nbytes * 0.05, x.view(np.uint8), partners, place, out.view(np.uint8))
    return out
