"""Layers on images, against PyTorch's."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")

_LAYERS = {
    "Upsample": ({"scale_factor": 1.7, "mode": "bilinear"}, (2, 3, 5, 6)),
    "UpsamplingNearest2d": ({"size": (4, 9)}, (2, 3, 5, 6)),
    "UpsamplingBilinear2d": ({"scale_factor": 2}, (2, 3, 5, 6)),
    "PixelShuffle": ({"upscale_factor": 2}, (2, 8, 5, 6)),
    "PixelUnshuffle": ({"downscale_factor": 2}, (2, 3, 4, 6)),
    "ChannelShuffle": ({"groups": 3}, (2, 6, 4, 6)),
    "LocalResponseNorm": ({"size": 3, "alpha": 0.5}, (2, 6, 4, 6)),
    "Unfold": ({"kernel_size": (2, 3), "padding": 1}, (2, 2, 4, 6)),
    "Fold": ({"output_size": (4, 6), "kernel_size": 2}, (2, 8, 15)),
}


def _compare(ours, theirs, x):
    a, b = fg.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    out, wanted = ours(a), theirs(b)
    np.testing.assert_allclose(out.data, wanted.detach(), rtol=1e-10, atol=1e-12)
    weights = np.cos(np.arange(out.numel())).reshape(out.shape)
    out.backward(fg.Tensor(weights))
    wanted.backward(torch.from_numpy(weights))
    np.testing.assert_allclose(a.grad.data, b.grad, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", _LAYERS)
def test_layers_are_as_in_torch(name):
    options, shape = _LAYERS[name]
    ours, theirs = (getattr(m, name)(**options) for m in (nn, torch.nn))
    assert repr(ours) == repr(theirs)
    _compare(ours, theirs, np.random.default_rng(0).standard_normal(shape))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("align", [False, True])
@pytest.mark.parametrize("size", [(3, 4), (12, 2), (17, 18)])
def test_antialias(mode, align, size):
    options = {"size": size, "mode": mode, "align_corners": align, "antialias": True}
    _compare(
        lambda x: fg.interpolate(x, **options),
        lambda x: torch.nn.functional.interpolate(x, **options),
        np.random.default_rng(0).standard_normal((2, 3, 9, 11)),
    )


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@pytest.mark.parametrize("factor", [0.37, 1 / 3, 1.1, 2.9])
@pytest.mark.parametrize("again", [None, True])
def test_nearest_places_are_torchs(mode, factor, again):
    x = np.arange(2.0 * 97).reshape(1, 2, 97)
    for dtype in (np.float32, np.float64):
        given, options = x.astype(dtype), {"mode": mode, "recompute_scale_factor": again}
        out = fg.interpolate(fg.Tensor(given), scale_factor=factor, **options)
        wanted = torch.nn.functional.interpolate(
            torch.from_numpy(given), scale_factor=factor, **options
        )
        np.testing.assert_array_equal(out.data, wanted)


def test_the_same_size_is_a_copy():
    x = fg.ones(1, 1, 3)
    out = fg.interpolate(x, size=3, mode="linear")
    assert not np.shares_memory(out.data, x.data)
