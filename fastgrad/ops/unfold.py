"""Rules of unfold and fold."""

import numpy as np

from ..backend import K
from ..lifting import op
from ._family import ints

__all__ = ["fold", "unfold"]


def _geometry(name, size, kernel_size, dilation, padding, stride):
    """((rows, columns) of blocks, (kernel, dilation, padding, stride) of both axes)."""
    kernels = ints(name, "kernel_size", kernel_size, 2, 1)
    dilations = ints(name, "dilation", dilation, 2, 1)
    paddings, strides = ints(name, "padding", padding, 2, 0), ints(name, "stride", stride, 2, 1)
    geometry = tuple(zip(kernels, dilations, paddings, strides, strict=True))
    blocks = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, (k, d, p, s) in zip(size, geometry, strict=True)
    )
    if min(blocks) < 1:
        raise ValueError(
            f"{name}: kernel_size {kernels} with dilation {dilations} and padding {paddings} does "
            f"not fit images of size {tuple(size)}"
        )
    return blocks, geometry


def _floats(name, x):
    """``x`` as floats; only bools are converted, as in PyTorch."""
    if x.dtype.kind not in "fb":
        raise TypeError(f"{name}: expected floats or bools, got {x.dtype}")
    return x.astype(np.float32) if x.dtype.kind == "b" else x


@op(linear=True)
def unfold(x, *, kernel_size, dilation=1, padding=0, stride=1):
    """Sliding windows as columns: (N, C, H, W) to (N, C · kernel, L), L the number of windows.

    A column has the window's elements channel by channel; kernel is the product of
    ``kernel_size``. There are ``⌊(size + 2 · padding - dilation · (kernel_size - 1) - 1) / stride⌋
    + 1`` windows along each axis; outside of x are zeros. x may lack N. Each option is an int or
    two, for height and width.

    Raises ``ValueError`` for a shape of other than 3 or 4 axes, for options that are out of range,
    and for a window larger than the padded image; ``TypeError`` for integers.

    >>> import fastgrad as fg
    >>> fg.unfold(fg.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]]), (2, 2))
    tensor([[1., 2.],
            [2., 3.],
            [4., 5.],
            [5., 6.]])
    """
    dtype, x = x.dtype, _floats("unfold", x)
    before = x.shape
    if len(before) not in (3, 4) or 0 in before[-3:]:
        raise ValueError(f"unfold: expected (N, C, H, W) or (C, H, W), got {before}")
    blocks, geometry = _geometry("unfold", before[-2:], kernel_size, dilation, padding, stride)
    shape = before if len(before) == 4 else (1, *before)
    out = K.unfold(x.reshape(shape), blocks, geometry)
    columns = out.shape

    def vjp(grad):
        return K.fold(grad.reshape(columns), shape, blocks, geometry).reshape(before)

    return out.reshape(columns[4 - len(before) :]).astype(dtype, copy=False), vjp


@op(linear=True)
def fold(x, *, output_size, kernel_size, dilation=1, padding=0, stride=1):
    """Images from columns (N, C · kernel, L), which are added up where they overlap.

    It is the adjoint of ``unfold``, of the same options: (N, C, \\*output_size). x may lack N.

    Raises ``ValueError`` where the columns do not fit the options, ``TypeError`` for integers.

    >>> import fastgrad as fg
    >>> fg.fold(fg.ones(4, 2), (2, 3), (2, 2))
    tensor([[[1., 2., 1.],
             [1., 2., 1.]]])
    """
    dtype, x = x.dtype, _floats("fold", x)
    before, size = x.shape, ints("fold", "output_size", output_size, 2, 1)
    blocks, geometry = _geometry("fold", size, kernel_size, dilation, padding, stride)
    each, count = geometry[0][0] * geometry[1][0], blocks[0] * blocks[1]
    if len(before) not in (2, 3) or before[-2] % each or not before[-2] or before[-1] != count:
        raise ValueError(
            f"fold: expected columns ([N,] C · {each}, {count}) for images of size {size}, "
            f"got {before}"
        )
    columns = before if len(before) == 3 else (1, *before)
    shape = columns[0], columns[1] // each, *size
    out = K.fold(x.reshape(columns), shape, blocks, geometry)

    def vjp(grad):
        return K.unfold(grad.reshape(shape), blocks, geometry).reshape(before)

    return out.reshape(shape[3 - len(before) :]).astype(dtype, copy=False), vjp
