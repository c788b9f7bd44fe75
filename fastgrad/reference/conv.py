"""NumPy twins of ``fastgrad.kernels.conv``."""

from itertools import product

import numpy as np

from ._quiet import quiet

__all__ = ["conv_forward", "conv_input_grad"]


def framed(x, low, extents):
    """``x`` with zeros around its pixels: ``low`` before, and up to ``extents`` in all."""
    shape = [max(a + n, extent) for a, n, extent in zip(low, x.shape[2:], extents, strict=True)]
    frame = np.zeros((*x.shape[:2], *shape), x.dtype)
    frame[(..., *map(slice, low, np.add(low, x.shape[2:])))] = x
    return frame


def extents(kernel, stride, dilation, size):
    """Pixels that the windows of ``size`` output pixels reach over."""
    return [
        (n - 1) * s + (k - 1) * d + 1
        for k, s, d, n in zip(kernel, stride, dilation, size, strict=True)
    ]


def windows(kernel, stride, dilation, size):
    """(element of the kernel, the pixels of a frame that it meets) for each element."""
    for tap in product(*map(range, kernel)):
        yield (
            tap,
            (
                ...,
                *(
                    slice(k * d, k * d + (n - 1) * s + 1, s)
                    for k, s, d, n in zip(tap, stride, dilation, size, strict=True)
                ),
            ),
        )


@quiet
def conv_forward(x, weight, bias, stride, low, dilation, groups, size, relu=False):
    kernel = weight.shape[2:]
    frame = framed(x, low, extents(kernel, stride, dilation, size))
    weight = weight.reshape(groups, len(weight) // groups, *weight.shape[1:])
    out = np.zeros((x.shape[0], groups, weight.shape[1], *size), x.dtype)
    for tap, pixels in windows(kernel, stride, dilation, size):
        part = frame[pixels].reshape(x.shape[0], groups, x.shape[1] // groups, *size)
        out += np.einsum("ngcdhw,goc->ngodhw", part, weight[(..., *tap)], optimize=True)
    out = out.reshape(x.shape[0], groups * out.shape[2], *size)
    if bias is not None:
        out += bias.reshape(-1, 1, 1, 1)
    return np.where(out <= 0, x.dtype.type(0), out) if relu else out


@quiet
def conv_input_grad(grad, weight, bias, stride, low, dilation, groups, size):
    kernel, pixels = weight.shape[2:], grad.shape[2:]
    out = np.zeros((grad.shape[0], weight.shape[1] * groups, *size), grad.dtype)
    frame = framed(out, low, extents(kernel, stride, dilation, pixels))
    weight = weight.reshape(groups, len(weight) // groups, *weight.shape[1:])
    parts = grad.reshape(grad.shape[0], groups, grad.shape[1] // groups, *pixels)
    for tap, places in windows(kernel, stride, dilation, pixels):
        part = np.einsum("ngodhw,goc->ngcdhw", parts, weight[(..., *tap)], optimize=True)
        frame[places] += part.reshape(grad.shape[0], out.shape[1], *pixels)
    out[...] = frame[(..., *map(slice, low, np.add(low, size)))]
    return out if bias is None else out + bias.reshape(-1, 1, 1, 1)
