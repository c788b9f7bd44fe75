"""NumPy twins of ``fastgrad.kernels.mix``."""

from .gather import gather_rows

__all__ = ["cutmix", "mixup"]


def mixup(x, partners, share):
    mine, other = x.dtype.type(share), x.dtype.type(1 - share)
    return x * mine + gather_rows(x, partners) * other


def cutmix(x, partners, box):
    top, bottom, left, right = box
    out = x.copy()
    out[..., top:bottom, left:right] = gather_rows(x, partners)[..., top:bottom, left:right]
    return out
