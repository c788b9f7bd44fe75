"""Pools beyond their rows: indices, NaN and -∞, integers, chance, modules, all against PyTorch."""

import itertools

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import functional as F
from fastgrad import nn

_SIZES = {1: (2, 3, 35), 2: (2, 3, 9, 21), 3: (2, 2, 5, 6, 19)}
_GRIDS = (
    {"kernel_size": 2, "stride": 2},
    {"kernel_size": 3, "stride": 2, "padding": 1},
    {"kernel_size": 2, "stride": 2, "padding": 1, "ceil_mode": True},
    {"kernel_size": 3, "stride": 1, "padding": 1, "dilation": 2},
    {"kernel_size": 2, "stride": 2, "dilation": 3, "padding": 1},
    {"kernel_size": 3, "stride": 3, "ceil_mode": True},
    {"kernel_size": 4, "stride": 5, "padding": 2},
)


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")


def _awkward(shape, dtype=np.float64):
    """Ties, several NaN in a window, and windows with nothing but -∞."""
    rng = np.random.default_rng(0)
    x = rng.integers(-2, 3, shape).astype(dtype)
    if x.dtype.kind == "f":
        x[..., :6] = -np.inf
        x[..., -7:-4] = np.nan
    return x


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64, np.int32, np.uint8])
@pytest.mark.parametrize(("rank", "options"), [*itertools.product((1, 2, 3), _GRIDS)])
def test_values_indices_and_gradients_at_ties_nan_and_infinity(
    torch, rank, options, dtype, backend
):
    if rank == 1 and np.dtype(dtype).kind != "f":
        pytest.skip("PyTorch's max_pool1d is for floats only")
    fg.set_backend(backend)
    x, name = _awkward(_SIZES[rank], dtype), f"max_pool{rank}d"
    a = fg.Tensor(x, requires_grad=x.dtype.kind == "f")
    b = torch.tensor(x, requires_grad=x.dtype.kind == "f")
    values, indices = getattr(F, name)(a, **options, return_indices=True)
    wanted, places = getattr(torch.nn.functional, name)(b, **options, return_indices=True)
    np.testing.assert_array_equal(values.data, wanted.detach().numpy())
    np.testing.assert_array_equal(indices.data, places.numpy())
    assert indices.dtype == np.int64
    assert not indices.requires_grad
    only = getattr(F, name)(a, **options)
    np.testing.assert_array_equal(only.data, values.data)
    if a.requires_grad:
        weights = np.random.default_rng(1).uniform(0.5, 1.5, values.shape).astype(dtype)
        wanted.backward(torch.tensor(weights))
        for out in (only, values):
            (grad,) = fg.grad(out, a, fg.Tensor(weights))
            np.testing.assert_allclose(grad.data, b.grad.numpy(), rtol=1e-6)


@pytest.mark.parametrize("width", [3, 7, 8, 15, 16, 17, 31, 32, 33, 64])
@pytest.mark.parametrize("height", [2, 5, 16, 33, 36])
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(2, 2, 0), (2, 2, 1), (3, 2, 1)])
def test_rows_of_every_length(torch, width, height, kernel, stride, padding):
    x = np.random.default_rng(width).standard_normal((3, 2, height, width)).astype(np.float32)
    for dtype in (np.float32, np.float64):
        a = fg.Tensor(x.astype(dtype), requires_grad=True)
        b = torch.tensor(a.detach().numpy(), requires_grad=True)
        ours, theirs = (
            f.max_pool2d(y, kernel, stride, padding) for f, y in ((F, a), (torch.nn.functional, b))
        )
        (ours * ours).sum().backward()
        (theirs * theirs).sum().backward()
        np.testing.assert_array_equal(ours.data, theirs.detach().numpy())
        np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=1e-5)


@pytest.mark.parametrize("width", [5, 7, 8, 15, 16, 17, 32, 33])
@pytest.mark.parametrize(
    ("kernel", "stride", "padding"),
    [(2, 2, 0), (1, 2, 0), (3, 2, 1), (2, 1, 1), (5, 1, 2), (4, 2, 2), (3, 4, 1)],
)
def test_averages_of_rows_of_every_length(torch, width, kernel, stride, padding):
    x = np.random.default_rng(width).standard_normal((2, 2, 6, width)).astype(np.float32)
    for dtype, count in itertools.product((np.float32, np.float64), (True, False)):
        a = fg.Tensor(x.astype(dtype), requires_grad=True)
        b = torch.tensor(a.detach().numpy(), requires_grad=True)
        options = kernel, stride, padding, False, count
        ours, theirs = F.avg_pool2d(a, *options), torch.nn.functional.avg_pool2d(b, *options)
        (ours * ours).sum().backward()
        (theirs * theirs).sum().backward()
        np.testing.assert_allclose(ours.data, theirs.detach().numpy(), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=1e-4, atol=1e-6)


def test_a_window_with_more_places_than_a_byte_numbers(torch):
    x = np.random.default_rng(0).standard_normal((2, 2, 20, 23))
    values, indices = F.max_pool2d(fg.Tensor(x), 17, 1, return_indices=True)
    wanted, places = torch.nn.functional.max_pool2d(torch.tensor(x), 17, 1, return_indices=True)
    np.testing.assert_array_equal(values.data, wanted.numpy())
    np.testing.assert_array_equal(indices.data, places.numpy())


def test_a_window_without_a_place_in_the_input_is_refused():
    with pytest.raises(ValueError, match="max_pool1d: a window has no place in the input of 1"):
        F.max_pool1d(fg.ones(1, 1, 1), 2, 1, padding=2, dilation=3)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_adaptive_indices_and_no_outputs(torch, rank):
    x, name = _awkward(_SIZES[rank]), f"adaptive_max_pool{rank}d"
    for size in (1, 2, 3, 4, 7):
        ours = getattr(F, name)(fg.Tensor(x), size, return_indices=True)
        theirs = getattr(torch.nn.functional, name)(torch.tensor(x), size, return_indices=True)
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a.data, b.numpy())
    a = fg.Tensor(x, requires_grad=True)
    for kind in ("max", "avg"):
        out = getattr(F, f"adaptive_{kind}_pool{rank}d")(a, 0)
        assert out.shape == x.shape[:2] + (0,) * rank
        (grad,) = fg.grad(out.sum(), a)
        assert not grad.data.any()


def test_averages_of_integers_are_rounded_to_zero(torch):
    x = np.random.default_rng(0).integers(-99, 99, (2, 2, 6, 7))
    for options in ({"kernel_size": 2}, {"kernel_size": 3, "padding": 1, "ceil_mode": True}):
        expected = torch.nn.functional.avg_pool2d(torch.tensor(x), **options)
        out = F.avg_pool2d(fg.Tensor(x), **options)
        assert out.dtype == np.int64
        np.testing.assert_array_equal(out.data, expected.numpy())


@pytest.mark.parametrize("rank", [2, 3])
def test_fractional_windows_are_torchs_and_those_of_their_samples(torch, rank):
    name, rng = f"fractional_max_pool{rank}d", np.random.default_rng(0)
    for dtype, size in itertools.product(
        (np.float32, np.float64), ((7,) * rank, (12, 9, 10)[:rank])
    ):
        x = rng.standard_normal((2, 3, *size)).astype(dtype)
        u = rng.uniform(size=(2, 3, rank)).astype(dtype)
        given = {"kernel_size": 2, "output_ratio": (0.6,) * rank, "return_indices": True}
        ours = getattr(F, name)(fg.Tensor(x), **given, _random_samples=fg.Tensor(u))
        theirs = getattr(torch.nn.functional, name)(
            torch.tensor(x), **given, _random_samples=torch.tensor(u)
        )
        for a, b in zip(ours, theirs, strict=True):
            np.testing.assert_array_equal(a.data, b.numpy())


def test_fractional_windows_are_drawn_anew_and_by_the_seed():
    pool = nn.FractionalMaxPool2d(2, output_size=7)
    x = fg.Tensor(np.random.default_rng(0).standard_normal((2, 3, 16, 16)))
    fg.manual_seed(0)
    first, second = pool(x), pool(x)
    assert (first.data != second.data).any()
    fg.manual_seed(0)
    np.testing.assert_array_equal(pool(x).data, first.data)
    fg.manual_seed(0)
    step = fg.compile(pool)
    for expected in (first, second):
        np.testing.assert_array_equal(step(x).data, expected.data)


def test_samples_out_of_range_do_not_leave_the_input():
    for u in (np.nan, np.inf, -5.0, 1e30):
        samples = fg.full((1, 1, 2), u)
        out = F.fractional_max_pool2d(fg.ones(1, 1, 9, 9), 2, 4, _random_samples=samples)
        assert (out.data == 1).all()


def test_one_recording_of_pools_that_follow_each_other():
    rng = np.random.default_rng(0)
    model = nn.Sequential(
        nn.MaxPool2d(2), nn.AvgPool2d(3, 1, 1), nn.LPPool2d(2, 2), nn.AdaptiveMaxPool2d(3),
        nn.AdaptiveAvgPool2d(1),
    )  # fmt: skip
    weight = fg.Tensor(np.ones((2, 3, 20, 22)), requires_grad=True)

    def step(x):
        return fg.grad((model(x * weight) ** 2).sum(), weight)[0]

    compiled = fg.compile(step)
    for _ in range(3):
        x = fg.Tensor(rng.uniform(1.0, 2.0, weight.shape))
        np.testing.assert_array_equal(compiled(x).data, step(x).data)


def test_unpooling_takes_what_pooling_gave():
    x = fg.Tensor(np.random.default_rng(0).standard_normal((2, 3, 7, 8)), requires_grad=True)
    values, indices = F.max_pool2d(x, 2, return_indices=True)
    back = F.max_unpool2d(values, indices, 2, output_size=(2, 3, 7, 8))
    assert back.shape == x.shape
    np.testing.assert_array_equal(np.sort(back.data[back.data != 0]), np.sort(values.data.ravel()))
    (grad,) = fg.grad((back * back).sum(), x)
    np.testing.assert_allclose(grad.data, 2 * back.data)


_MODULES = {
    "MaxPool": [(2,), (3, 2, 1, 1, False, True)],
    "AvgPool": [(2,), (3, 2, 1, True, False)],
    "LPPool": [(2, 2), (1, 3, 1, True)],
    "AdaptiveMaxPool": [(3,), (1,)],
    "AdaptiveAvgPool": [(3,), (1,)],
}


@pytest.mark.parametrize("name", _MODULES)
@pytest.mark.parametrize("rank", [1, 2, 3])
def test_modules_are_torchs(torch, name, rank):
    x = np.random.default_rng(0).uniform(0.5, 2.0, _SIZES[rank])
    for given, batch in itertools.product(_MODULES[name], (slice(None), 0)):
        ours = getattr(nn, f"{name}{rank}d")(*given)
        theirs = getattr(torch.nn, f"{name}{rank}d")(*given)
        assert repr(ours) == repr(theirs)
        out = ours(fg.Tensor(x[batch])).data
        np.testing.assert_allclose(out, theirs(torch.tensor(x[batch])).numpy(), rtol=1e-9)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_modules_that_undo(torch, rank):
    x = np.random.default_rng(0).uniform(0.5, 2.0, _SIZES[rank])
    results = []
    for module, tensor in ((nn, fg.Tensor), (torch.nn, torch.tensor)):
        pool = getattr(module, f"MaxPool{rank}d")(2, return_indices=True)
        undo = getattr(module, f"MaxUnpool{rank}d")(2)
        results.append((repr(undo), undo(*pool(tensor(x)), output_size=x.shape)))
    assert results[0][0] == results[1][0]
    np.testing.assert_array_equal(results[0][1].data, results[1][1].numpy())


def test_fractional_modules_check_their_arguments():
    for given in ({}, {"output_size": 2, "output_ratio": 0.5}):
        with pytest.raises(ValueError, match="FractionalMaxPool2d: expected output_size or"):
            nn.FractionalMaxPool2d(2, **given)
    with pytest.raises(ValueError, match=r"output_ratio 1.5 is not between 0 and 1"):
        nn.FractionalMaxPool3d(2, output_ratio=1.5)
    samples = fg.full((2, 3, 2), 0.5)
    pool = nn.FractionalMaxPool2d(2, output_size=3, _random_samples=samples)
    assert list(pool.state_dict()) == ["_random_samples"]
    x = fg.Tensor(np.random.default_rng(0).standard_normal((2, 3, 9, 9)))
    np.testing.assert_array_equal(pool(x).data, pool(x).data)


def test_both_namespaces_of_the_adaptive_pool_along_one_axis(torch):
    x = np.random.default_rng(0).standard_normal((2, 3, 11)).astype(np.float32)
    ours, theirs = fg.Tensor(x), torch.tensor(x)
    pair, wanted = fg.adaptive_max_pool1d(ours, 4), torch.adaptive_max_pool1d(theirs, 4)
    for a, b in zip(pair, wanted, strict=True):
        np.testing.assert_array_equal(a.data, b)
    alone = fg.functional.adaptive_max_pool1d(ours, 4)
    np.testing.assert_array_equal(alone.data, torch.nn.functional.adaptive_max_pool1d(theirs, 4))
