"""NumPy twin of ``fastgrad.kernels.conv_weight``."""

import numpy as np

from ._quiet import quiet
from .conv import extents, framed, windows

__all__ = ["conv_weight_grad"]


@quiet
def conv_weight_grad(grad, x, stride, low, dilation, groups, kernel):
    batch, pixels = x.shape[0], grad.shape[2:]
    frame = framed(x, low, extents(kernel, stride, dilation, pixels))
    out = np.zeros((grad.shape[1], x.shape[1] // groups, *kernel), x.dtype)
    parts = grad.reshape(batch, groups, grad.shape[1] // groups, *pixels)
    for tap, places in windows(kernel, stride, dilation, pixels):
        part = frame[places].reshape(batch, groups, x.shape[1] // groups, *pixels)
        each = np.einsum("ngodhw,ngcdhw->goc", parts, part, optimize=True)
        out[(..., *tap)] = each.reshape(out.shape[:2])
    return out
