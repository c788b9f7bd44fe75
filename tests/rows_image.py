"""Rows of operations on images; see ``op_cases``."""

import numpy as np
from op_cases import Case, Sample

import fastgrad as fg


def _pair(n):
    return (n, n) if isinstance(n, int) else n


def _unfold(x, kernel_size, dilation=1, padding=0, stride=1):
    whole = x if x.ndim == 4 else x[None]
    (dh, dw), (ph, pw), (sh, sw) = map(_pair, (dilation, padding, stride))
    kh, kw = _pair(kernel_size)
    padded = np.pad(whole, [(0, 0), (0, 0), (ph, ph), (pw, pw)])
    size = (kh - 1) * dh + 1, (kw - 1) * dw + 1
    windows = np.lib.stride_tricks.sliding_window_view(padded, size, (2, 3))
    windows = windows[:, :, ::sh, ::sw, ::dh, ::dw].transpose(0, 1, 4, 5, 2, 3)
    out = windows.reshape(len(whole), whole.shape[1] * kh * kw, -1)
    return out if x.ndim == 4 else out[0]


def _fold(x, output_size, kernel_size, **options):
    """Column by column, by what unfolds to it."""
    channels = x.shape[-2] // np.prod(_pair(kernel_size))
    shape = (*x.shape[:-2], channels, *_pair(output_size))
    places = _unfold(np.arange(1.0, np.prod(shape) + 1).reshape(shape), kernel_size, **options)
    out = np.zeros(int(np.prod(shape)) + 1)
    np.add.at(out, places.astype(int), x)
    return out[1:].reshape(shape)


_WINDOWS = {"kernel_size": (2, 3), "dilation": (1, 2), "padding": (1, 2), "stride": (2, 1)}

ROWS = (
    Case(
        "unfold",
        fg.unfold,
        _unfold,
        (
            Sample(((2, 3, 4, 5),), {"kernel_size": 2}),
            Sample(((3, 4, 5),), {"kernel_size": (3, 2), "padding": 1}),
            Sample(((2, 2, 5, 7),), _WINDOWS),
            Sample(((1, 1, 4, 4),), {"kernel_size": 2, "stride": 2}),
        ),
        errors=(
            ((np.zeros((3, 3)),), {"kernel_size": 2}, ValueError, r"unfold: expected .*\(3, 3\)"),
            ((np.zeros((1, 3, 3)),), {"kernel_size": 4}, ValueError, r"\(4, 4\) with dilation"),
            ((np.zeros((1, 3, 3)),), {"kernel_size": 0}, ValueError, "two ints from 1, got 0"),
            ((np.zeros((1, 3, 3), int),), {"kernel_size": 1}, TypeError, "unfold: expected floats"),
        ),
    ),
    Case(
        "fold",
        fg.fold,
        _fold,
        (
            Sample(((2, 12, 12),), {"output_size": (4, 5), "kernel_size": 2}),
            Sample(((6, 24),), {"output_size": (4, 5), "kernel_size": (3, 2), "padding": 1}),
            Sample(((2, 12, 21),), {"output_size": (5, 7), **_WINDOWS}),
        ),
        errors=(
            (
                (np.zeros((3, 4)),),
                {"output_size": 3, "kernel_size": 2},
                ValueError,
                r"fold: expected columns .* 4\) for images of size \(3, 3\), got \(3, 4\)",
            ),
        ),
    ),
)
