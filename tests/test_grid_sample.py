"""Values at places of a grid against PyTorch's: places far away, between and on the pixels."""

import itertools

import numpy as np
import pytest

import fastgrad as fg

_MODES = ("bilinear", "nearest", "bicubic")
_PADDINGS = ("zeros", "border", "reflection")
_SIZES = (((5, 7), (6, 70)), ((1, 4), (3, 3)), ((3, 1, 4), (2, 3, 4)))


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("aligned", [False, True])
@pytest.mark.parametrize(("mode", "padding"), [*itertools.product(_MODES, _PADDINGS)])
def test_values_and_gradients_are_torchs(mode, padding, aligned, backend):
    torch = pytest.importorskip("torch")
    fg.set_backend(backend)
    rng = np.random.default_rng(0)
    try:
        for (size, out), scale in itertools.product(_SIZES, (0.5, 4.0, 1e4)):
            if mode == "bicubic" and len(size) == 3:
                continue
            x = rng.standard_normal((2, 3, *size))
            grid = rng.standard_normal((2, *out, len(size))) * scale
            grid[0] = np.round(grid[0] * 4) / 4  # many of them on a pixel, or on an edge
            ours = [fg.Tensor(a, requires_grad=True) for a in (x, grid)]
            theirs = [torch.tensor(a, requires_grad=True) for a in (x, grid)]
            y = fg.grid_sample(*ours, mode, padding, aligned)
            z = torch.nn.functional.grid_sample(*theirs, mode, padding, aligned)
            np.testing.assert_allclose(y.data, z.detach(), rtol=1e-7, atol=1e-7)
            weights = rng.standard_normal(y.shape)
            y.backward(fg.Tensor(weights))
            z.backward(torch.tensor(weights))
            for a, b in zip(ours, theirs, strict=True):
                np.testing.assert_allclose(a.grad.data, b.grad, rtol=1e-6, atol=1e-6)
    finally:
        fg.set_backend("numba")


@pytest.mark.parametrize("mode", _MODES)
@pytest.mark.parametrize("padding", _PADDINGS)
def test_places_that_are_no_numbers_read_nothing_else(mode, padding):
    x, grid = np.ones((1, 2, 3, 3), np.float32), np.zeros((1, 1, 4, 2), np.float32)
    grid[0, 0, :, 0] = np.nan, np.inf, -np.inf, 1e30
    for backend in ("numba", "numpy"):
        fg.set_backend(backend)
        try:
            y = fg.grid_sample(fg.Tensor(x), fg.Tensor(grid), mode, padding).numpy()
        finally:
            fg.set_backend("numba")
        assert np.all(np.isnan(y) | (np.abs(y) < 1.01))


@pytest.mark.filterwarnings("ignore:Since version 1.3.0, affine_grid")
@pytest.mark.parametrize("size", [(2, 1, 3, 4), (2, 1, 1, 1), (2, 3, 2, 3, 4)])
@pytest.mark.parametrize("aligned", [False, True])
def test_affine_grids_are_torchs(size, aligned):
    torch = pytest.importorskip("torch")
    dims = len(size) - 2
    theta = np.random.default_rng(0).standard_normal((2, dims, dims + 1)).astype(np.float32)
    wanted = torch.nn.functional.affine_grid(torch.tensor(theta), size, align_corners=aligned)
    grid = fg.affine_grid(fg.Tensor(theta), size, align_corners=aligned)
    np.testing.assert_allclose(grid.data, wanted, rtol=1e-5, atol=1e-6)


def test_the_map_that_changes_nothing():
    x = fg.randn(2, 3, 5, 6)
    theta = fg.tensor([[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]] * 2)
    grid = fg.affine_grid(theta, x.shape)
    np.testing.assert_allclose(fg.grid_sample(x, grid).data, x.data, rtol=1e-5, atol=1e-5)
