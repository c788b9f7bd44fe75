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


def _shuffle(x, upscale_factor):
    r, shape = upscale_factor, x.shape
    parts = x.reshape(*shape[:-3], shape[-3] // (r * r), r, r, *shape[-2:])
    axes = (*range(x.ndim - 3), *(x.ndim - 3 + np.array([0, 3, 1, 4, 2])))
    channels, height, width = shape[-3] // (r * r), shape[-2] * r, shape[-1] * r
    return parts.transpose(axes).reshape(*shape[:-3], channels, height, width)


def _unshuffle(x, downscale_factor):
    r = downscale_factor
    parts = [x[..., i::r, j::r] for i in range(r) for j in range(r)]
    return np.stack(parts, -3).reshape(*x.shape[:-3], -1, x.shape[-2] // r, x.shape[-1] // r)


def _response(x, size, alpha=1e-4, beta=0.75, k=1.0):
    padded = np.pad(x, [(0, 0), (size // 2, (size - 1) // 2), *[(0, 0)] * (x.ndim - 2)])
    total = sum(padded[:, j : j + x.shape[1]] ** 2 for j in range(size))
    return x / (k + alpha * total / size) ** beta


def _places(n, out, factor, align):
    """Where the middle of each element lies among those of an axis of n."""
    if align:
        return np.arange(out) * ((n - 1) / max(out - 1, 1))
    return (np.arange(out) + 0.5) * (1 / factor if factor else n / out) - 0.5


def _hat(x, a):
    x = abs(x)
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0.0


def _matrix(n, out, factor, mode, align):
    """The matrix (out, n) that resizes one axis."""
    matrix = np.zeros((out, n))
    for k, at in enumerate(_places(n, out, factor, align)):
        low = int(np.floor(at))
        if mode.startswith("nearest"):
            at = at + 0.5 if mode == "nearest-exact" else (at + 0.5) / (k + 0.5) * k
            matrix[k, min(int(at + 1e-9), n - 1)] = 1
        elif mode == "area":
            window = slice(k * n // out, -(-(k + 1) * n // out))
            matrix[k, window] = 1 / (window.stop - window.start)
        elif mode == "bicubic":
            for j in range(low - 1, low + 3):
                matrix[k, min(max(j, 0), n - 1)] += _hat(at - j, -0.75)
        else:
            at = min(max(at, 0), n - 1)
            low = min(int(at), n - 1)
            matrix[k, low] += 1 - (at - low)
            matrix[k, min(low + 1, n - 1)] += at - low
    return matrix


def _interpolate(x, size=None, scale_factor=None, mode="nearest", align_corners=None, **_):
    count = x.ndim - 2
    factors = scale_factor if isinstance(scale_factor, tuple) else (scale_factor,) * count
    sizes = size if isinstance(size, tuple) else (size,) * count
    for axis, (out, factor) in enumerate(zip(sizes, factors, strict=True), 2):
        n = x.shape[axis]
        m = _matrix(n, out or int(n * factor), factor, mode, align_corners)
        x = np.moveaxis(np.moveaxis(x, axis, -1) @ m.T, -1, axis)
    return x


_SHAPES = {1: (2, 3, 7), 2: (2, 2, 5, 4), 3: (1, 2, 3, 4, 2)}
_MODES = (
    ("nearest", 1), ("nearest-exact", 2), ("nearest", 3), ("linear", 1), ("bilinear", 2),
    ("trilinear", 3), ("bicubic", 2), ("area", 2),
)  # fmt: skip


def _resized():
    """Samples of ``interpolate``: larger, smaller, both, and by a factor."""
    for mode, count in _MODES:
        shape = (_SHAPES[count],)
        aligned = {"align_corners": True} if mode in ("linear", "bilinear", "bicubic") else {}
        yield Sample(shape, {"size": 3, "mode": mode})
        yield Sample(shape, {"size": (6, 2, 5)[:count], "mode": mode, **aligned})
        if mode != "area":
            yield Sample(shape, {"scale_factor": 2.0, "mode": mode})


_RESIZED = tuple(_resized())

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
            ((np.zeros((1, 3, 3)),), {"kernel_size": 0}, ValueError, "kernel_size is 0; expect"),
            ((np.zeros((1, 3, 3)),), {"kernel_size": 1.5}, TypeError, "kernel_size is 1.5; expect"),
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
    Case(
        "pixel_shuffle",
        fg.pixel_shuffle,
        _shuffle,
        (
            Sample(((2, 8, 3, 4),), {"upscale_factor": 2}),
            Sample(((9, 2, 1),), {"upscale_factor": 3}),
        ),
        errors=(
            ((np.zeros((1, 6, 2, 2)),), {"upscale_factor": 2}, ValueError, r"got \(1, 6, 2, 2\)"),
            ((np.zeros((4, 2, 2)),), {"upscale_factor": 0}, ValueError, "upscale_factor is 0"),
            ((np.zeros((4, 2, 2)),), {"upscale_factor": None}, TypeError, "upscale_factor is None"),
        ),
    ),
    Case(
        "pixel_unshuffle",
        fg.pixel_unshuffle,
        _unshuffle,
        (
            Sample(((2, 2, 6, 4),), {"downscale_factor": 2}),
            Sample(((3, 2, 3, 3),), {"downscale_factor": 3}),
        ),
        errors=(
            ((np.zeros((1, 5, 4)),), {"downscale_factor": 2}, ValueError, r"got \(1, 5, 4\)"),
            ((np.zeros((1, 4, 4)),), {"downscale_factor": -1}, ValueError, "factor is -1"),
        ),
    ),
    Case(
        "channel_shuffle",
        fg.channel_shuffle,
        lambda x, groups: (
            x.reshape(len(x), groups, -1, *x.shape[2:]).swapaxes(1, 2).reshape(x.shape)
        ),
        (
            Sample(((2, 6, 3, 4),), {"groups": 2}),
            Sample(((2, 6, 5),), {"groups": 3}),
            Sample(((2, 3, 70),), {"groups": 3}),
        ),
        errors=(
            ((np.zeros((1, 5, 4)),), {"groups": 2}, ValueError, r"\(N, 2 · C, \*\), got"),
            ((np.zeros((1, 4, 4)),), {"groups": 0}, ValueError, "groups is 0; expected an int"),
        ),
    ),
    Case(
        "local_response_norm",
        fg.local_response_norm,
        _response,
        (
            Sample(((2, 6, 3, 4),), {"size": 5, "alpha": 0.5}),
            Sample(((2, 3, 20),), {"size": 2, "alpha": 2.0, "beta": 0.5, "k": 2.0}),
            Sample(((1, 2, 3),), {"size": 7, "alpha": 1.0, "beta": 1.5}),
        ),
        errors=(
            ((np.zeros((3, 4)),), {"size": 2}, ValueError, r"got \(3, 4\)"),
            ((np.zeros((1, 2, 3)),), {"size": 0}, ValueError, "size is 0; expected an int from 1"),
            ((np.zeros((1, 2, 3)),), {"size": None}, TypeError, "size is None; expected an int"),
        ),
        special=False,
    ),
    Case(
        "interpolate",
        fg.interpolate,
        _interpolate,
        _RESIZED,
        errors=(
            ((np.zeros((1, 2, 3)),), {"size": 2, "mode": "bilinear"}, ValueError, "expected one"),
            ((np.zeros((2, 3)),), {"size": 2}, ValueError, r"1 to 3 axes, got shape \(2, 3\)"),
            ((np.zeros((1, 2, 3)),), {"size": 2.5}, TypeError, "size is 2.5; expected an int"),
            ((np.zeros((1, 2, 3, 3)),), {"size": (2,)}, ValueError, r"size is \(2,\); expected an"),
            ((np.zeros((1, 2, 3)),), {"scale_factor": np.nan}, ValueError, "scale_factor is nan"),
            ((np.zeros((1, 2, 3)),), {}, ValueError, "one of size and scale_factor"),
            ((np.zeros((1, 2, 3)),), {"size": (2, 2)}, ValueError, "expected an int from 1 on"),
            ((np.zeros((1, 2, 3)),), {"scale_factor": 0.1}, ValueError, r"cannot have size \(0,\)"),
            ((np.zeros((1, 2, 3)),), {"size": 2, "align_corners": True}, ValueError, "takes no"),
            (
                (np.zeros((1, 2, 3)),), {"size": 2, "recompute_scale_factor": True}, ValueError,
                "wants a scale_factor",
            ),
            ((np.zeros((1, 2, 3), int),), {"size": 2, "mode": "linear"}, TypeError, "int64"),
        ),
        special=False,
    ),
    Case(
        "upsample", fg.upsample, _interpolate,
        (Sample(((1, 2, 3, 4),), {"size": 5, "mode": "bilinear"}),), special=False,
    ),
    Case(
        "upsample_nearest", fg.upsample_nearest, _interpolate,
        (Sample(((1, 2, 3, 4),), {"scale_factor": 2}),), special=False,
    ),
    Case(
        "upsample_bilinear", fg.upsample_bilinear,
        lambda x, **o: _interpolate(x, mode="bilinear", align_corners=True, **o),
        (Sample(((1, 2, 3, 4),), {"size": (5, 2)}),), special=False,
    ),
)  # fmt: skip
