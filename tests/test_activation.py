"""Activations, losses, dropouts beyond their rows: kinks, changes in place, chance, modules."""

import inspect
import math

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import functional as F
from fastgrad import nn

_KINKS = {
    "celu": (0.0,), "elu": (0.0,), "hardshrink": (-0.5, 0.5), "hardswish": (-3.0, 3.0),
    "hardtanh": (-1.0, 1.0), "leaky_relu": (0.0,), "relu": (0.0,), "relu6": (0.0, 6.0),
    "selu": (0.0,), "softshrink": (-0.5, 0.5), "softplus": (20.0,), "hardsigmoid": (-3.0, 3.0),
}  # fmt: skip
_SMOOTH = ("logsigmoid", "mish", "silu", "tanhshrink")  # PyTorch's gelu(∞) is NaN in float32


@pytest.mark.parametrize("name", [*_KINKS, *_SMOOTH])
def test_kinks_infinities_and_nan_are_as_in_torch(name):
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    values = [*_KINKS.get(name, ()), 0.0, -0.0, math.inf, -math.inf, math.nan, 200.0, -200.0]
    for dtype in (np.float32, np.float64):
        x = fg.Tensor(np.array(values * 3, dtype), requires_grad=True)
        y = torch.tensor(x.detach().numpy(), requires_grad=True)
        out, expected = getattr(F, name)(x), getattr(torch.nn.functional, name)(y)
        np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-5)
        out.backward(fg.ones_like(out))
        expected.backward(torch.ones_like(expected))
        known = ~np.isnan(x.data)  # at NaN, PyTorch's vectors and its scalars differ
        np.testing.assert_allclose(x.grad.data[known], y.grad.numpy()[known], rtol=1e-5)


_CHANGING = [
    name for name in F.__all__ if "inplace" in inspect.signature(getattr(F, name)).parameters
]
_ARGUMENTS = {"threshold": (0.1, 2.0)}


@pytest.mark.parametrize("name", [name for name in _CHANGING if "dropout" not in name])
def test_in_place_equals_out_of_place(name):
    function, given = getattr(F, name), _ARGUMENTS.get(name, ())
    values = np.linspace(-4.0, 8.0, 30).reshape(5, 6)
    weight = fg.Tensor(np.ones((5, 6)), requires_grad=True)
    expected = function(weight * values, *given)
    expected.sum().backward()
    slope, weight.grad = weight.grad, None
    x = weight * values
    assert function(x, *given, inplace=True) is x
    x.sum().backward()
    np.testing.assert_array_equal(x.data, expected.data)
    np.testing.assert_array_equal(weight.grad.data, slope.data)
    if hasattr(F, f"{name}_"):
        plain = fg.Tensor(values.copy())
        assert getattr(F, f"{name}_")(plain, *given) is plain
        np.testing.assert_array_equal(plain.data, expected.data)


@pytest.mark.parametrize("name", _CHANGING)
def test_in_place_is_checked(name):
    function, given = getattr(F, name), _ARGUMENTS.get(name, ())
    options = {"training": True} if "training" in inspect.signature(function).parameters else {}
    shape = (2, 3, 4) if name == "dropout1d" else (2, 3, 4, 4)
    with pytest.raises(RuntimeError, match="a leaf that requires grad cannot be changed in place"):
        function(fg.ones(*shape, requires_grad=True), *given, inplace=True, **options)
    x = fg.ones(*shape, requires_grad=True) * 2.0
    y = fg.exp(x)  # which saves its result
    function(y, *given, inplace=True, **options)
    with pytest.raises(RuntimeError, match="was changed in place"):
        y.sum().backward()


_RANDOM = {
    "alpha_dropout": lambda x: F.alpha_dropout(x, 0.5, True),
    "dropout": lambda x: F.dropout(x, 0.5),
    "dropout in place": lambda x: F.dropout(x * 1.0, 0.5, inplace=True),
    "dropout1d": lambda x: F.dropout1d(x[0], 0.5),
    "dropout2d": lambda x: F.dropout2d(x, 0.5),
    "dropout3d": lambda x: F.dropout3d(x, 0.5),
    "feature_alpha_dropout": lambda x: F.feature_alpha_dropout(x, 0.5, True),
    "gumbel_softmax": lambda x: F.gumbel_softmax(x, hard=True, dim=1),
    "rrelu": lambda x: F.rrelu(-x, training=True),
    "stochastic_depth": lambda x: F.stochastic_depth(x, 0.5, "row"),
}


@pytest.mark.parametrize("name", _RANDOM)
def test_every_replay_draws_anew_and_seeds_repeat(name):
    weight = fg.ones(40, 8, 3, 3, requires_grad=True)

    def step(x):
        weight.grad = None
        out = _RANDOM[name](weight * x)
        (out * out).sum().backward()
        return out, weight.grad

    def run(step):
        fg.manual_seed(7)
        return [[y.data.copy() for y in step(x)] for _ in range(4)]

    x = fg.Tensor(np.random.default_rng(0).uniform(0.5, 1.5, weight.shape).astype(np.float32))
    eager, compiled = run(step), run(fg.compile(step))
    assert not np.array_equal(eager[0][0], eager[1][0])
    for ours, expected in zip(compiled, eager, strict=True):
        for a, b in zip(ours, expected, strict=True):
            np.testing.assert_array_equal(a, b)


def test_channels_and_samples_fall_as_a_whole():
    x = fg.ones(50, 4, 3, 3)
    whole = F.dropout2d(x, 0.5).numpy().reshape(200, 9)
    assert {tuple(row) for row in whole} == {(0.0,) * 9, (2.0,) * 9}
    rows = F.stochastic_depth(x, 0.5, "row").numpy().reshape(50, 36)
    assert {tuple(row) for row in rows} == {(0.0,) * 36, (2.0,) * 36}
    for _ in range(5):
        assert len(set(F.stochastic_depth(x, 0.5, "batch").numpy().ravel())) == 1


def test_uniform_numbers_are_uniform_and_inside():
    from fastgrad import kernels

    for dtype in (np.float32, np.float64):
        x = kernels.uniform(200_000, dtype, 0.0, 1.0, np.array([1, 2], np.uint64))
        assert 0.0 < x.min() < 1e-4
        assert 1 - 1e-4 < x.max() < 1.0
        counts, _ = np.histogram(x, 20, (0, 1))
        assert abs(counts - 10_000).max() < 500


def test_gumbel_softmax_samples_the_distribution():
    fg.manual_seed(0)
    p = np.array([0.1, 0.6, 0.3], np.float32)
    x = fg.Tensor(np.log(np.tile(p, (20_000, 1))))
    np.testing.assert_allclose(F.gumbel_softmax(x, hard=True).numpy().mean(axis=0), p, atol=0.02)


def test_maxout_is_the_largest_of_its_linear_maps():
    layer = nn.Maxout(5, 3, 4).double()
    x = fg.Tensor(np.random.default_rng(0).standard_normal((7, 5)))
    maps = [x @ layer.weight[:, k::4] + layer.bias[k::4] for k in range(4)]
    expected = np.max([y.detach().numpy() for y in maps], axis=0)
    np.testing.assert_allclose(layer(x).detach().numpy(), expected, rtol=1e-12)
    assert repr(layer) == "Maxout(in_features=5, out_features=3, pool_size=4, bias=True)"
    assert nn.Maxout(5, 3, 4, bias=False).bias is None
    with pytest.raises(ValueError, match="Maxout: sizes must be positive"):
        nn.Maxout(5, 3, 0)
    with pytest.raises(ValueError, match="PReLU: device 'cuda' is not there"):
        nn.PReLU(device="cuda")


def test_duplicates_sum_their_gradients():
    x = fg.tensor([1.0, 2.0], requires_grad=True)
    copies = F.duplicate(x, 4)
    for k, copy in enumerate(copies):
        (copy * float(k)).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [6.0, 6.0])


def test_losses_take_the_former_names_of_reductions():
    x, y = fg.tensor([1.0, 2.0]), fg.tensor([0.0, 0.0])
    for options, expected in (
        ({"size_average": False}, 5.0), ({"size_average": True}, 2.5), ({"reduce": True}, 2.5),
    ):  # fmt: skip
        with pytest.warns(UserWarning, match="size_average and reduce are deprecated"):
            assert F.mse_loss(x, y, **options).item() == expected
    with pytest.warns(UserWarning, match="MSELoss: size_average"):
        assert nn.MSELoss(reduce=False).reduction == "none"


def test_functional_is_one_module():
    import fastgrad.nn.functional as other

    assert other is F
    assert nn.functional is F


# ------------------------------------------------------------------ modules

_MODULES = {
    "CELU": ((2.0,), {}), "CosineSimilarity": ((0,), {"eps": 1e-6}), "ELU": ((1.5,), {}),
    "FeatureAlphaDropout": ((0.3,), {}), "GELU": (("tanh",), {}), "GLU": ((1,), {}),
    "GaussianNLLLoss": ((), {"full": True}), "Hardshrink": ((0.3,), {}),
    "Hardtanh": ((-0.5, 2.0), {}), "HingeEmbeddingLoss": ((0.5,), {}),
    "HuberLoss": ((), {"delta": 0.5}), "KLDivLoss": ((), {"reduction": "batchmean"}),
    "LeakyReLU": ((0.2,), {}), "LogSigmoid": ((), {}), "LogSoftmax": ((1,), {}),
    "MarginRankingLoss": ((0.5,), {}), "Mish": ((), {}), "MultiMarginLoss": ((2, 0.5), {}),
    "PReLU": ((4,), {"init": 0.3}), "PairwiseDistance": ((3.0,), {}),
    "PoissonNLLLoss": ((False,), {}), "RReLU": ((0.1, 0.2), {}), "ReLU": ((), {"inplace": True}),
    "ReLU6": ((), {}), "SELU": ((), {}), "SiLU": ((True,), {}), "SmoothL1Loss": ((), {"beta": 0.5}),
    "Softmax": ((0,), {}), "Softmin": ((1,), {}), "Softplus": ((2.0, 3.0), {}),
    "Softshrink": ((0.3,), {}), "Threshold": ((0.1, 0.5), {}),
    "TripletMarginLoss": ((0.5,), {"swap": True}), "AlphaDropout": ((0.3,), {}),
}  # fmt: skip
_TARGETS = {"GaussianNLLLoss": 3, "MarginRankingLoss": 3, "TripletMarginLoss": 3}


@pytest.mark.parametrize("name", _MODULES)
def test_modules_are_those_of_torch(name):
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    args, options = _MODULES[name]
    ours = getattr(nn, name)(*args, **options).double().eval()
    theirs = getattr(torch.nn, name)(*args, **options).double().eval()
    assert repr(ours) == repr(theirs)
    rng = np.random.default_rng(0)
    count = _TARGETS.get(name, 2 if "Loss" in name or "Dist" in name or "Simil" in name else 1)
    arrays = [rng.uniform(0.1, 2.0, (5, 4)) for _ in range(count)]
    if name == "MultiMarginLoss":
        arrays[1] = rng.integers(0, 4, 5)
    elif "Loss" not in name:
        arrays[0] -= 1.0
    out = ours(*(fg.Tensor(x.copy()) for x in arrays))
    expected = theirs(*(torch.from_numpy(x.copy()) for x in arrays))
    np.testing.assert_allclose(out.detach().numpy(), expected.detach().numpy(), rtol=1e-7)
