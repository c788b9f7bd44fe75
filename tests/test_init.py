"""Initial values by their statistics: means and deviations within 5 standard errors."""

import math

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn
from fastgrad.nn import init


def assert_normal(values, std, mean=0.0):
    n = values.size
    assert abs(values.mean() - mean) < 5 * std / math.sqrt(n)
    assert abs(values.var() / std**2 - 1) < 5 * math.sqrt(2 / n)


def assert_uniform(values, bound):
    n, std = values.size, bound / math.sqrt(3)
    assert abs(values.mean()) < 5 * std / math.sqrt(n)
    assert abs(values.var() / std**2 - 1) < 5 * math.sqrt(0.8 / n)
    assert 0.99 * bound < np.abs(values).max() <= bound * (1 + 1e-6)


# ------------------------------------------------------------------ fans

_FANS = [  # shape, layout, (fan in, fan out)
    ((300, 200), None, (300, 200)),
    ((300, 200), "in_out", (300, 200)),
    ((300, 200), "out_in", (200, 300)),
    ((40, 30, 5, 3), None, (450, 600)),
    ((40, 30, 5, 3), "in_out", (600, 450)),
    ((50, 40, 20), "out_in", (800, 1000)),
]
_SIZES = {
    "xavier": lambda i, o: math.sqrt(2 / (i + o)),
    "kaiming": lambda i, o: math.sqrt(2 / i),
    "lecun": lambda i, o: math.sqrt(1 / i),
}


@pytest.mark.parametrize(("shape", "layout", "fans"), _FANS, ids=str)
@pytest.mark.parametrize("name", _SIZES)
def test_deviations_follow_the_fans(name, shape, layout, fans):
    std = _SIZES[name](*fans)
    tensor = fg.zeros(*shape)
    assert getattr(init, f"{name}_normal_")(tensor, layout=layout) is tensor
    assert_normal(tensor.numpy(), std)
    getattr(init, f"{name}_uniform_")(tensor, layout=layout)
    assert_uniform(tensor.numpy(), math.sqrt(3) * std)


@pytest.mark.parametrize("shape", [(60, 50), (20, 10, 3), (8, 4, 3, 3), (6, 5, 2, 2, 2)])
def test_fans_are_pytorchs_for_its_shapes(shape):
    torch = pytest.importorskip("torch")
    theirs = torch.nn.init._calculate_fan_in_and_fan_out(torch.empty(shape))
    assert init._fans(fg.zeros(*shape), "", "out_in") == theirs


@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
def test_kaiming_modes_and_gains(mode):
    tensor = fg.zeros(300, 200)
    fan = {"fan_in": 300, "fan_out": 200}[mode]
    for nonlinearity, a in (("tanh", 0), ("leaky_relu", 0.5), ("relu", 0), ("linear", 0)):
        gain = init.calculate_gain(nonlinearity, a)
        init.kaiming_normal_(tensor, a, mode, nonlinearity)
        assert_normal(tensor.numpy(), gain / math.sqrt(fan))
        init.kaiming_uniform_(tensor, a, mode, nonlinearity)
        assert_uniform(tensor.numpy(), gain * math.sqrt(3 / fan))


@pytest.mark.parametrize(
    "name", ["linear", "conv1d", "conv2d", "conv3d", "conv_transpose1d", "conv_transpose2d",
             "conv_transpose3d", "sigmoid", "tanh", "relu", "leaky_relu", "selu"],
)  # fmt: skip
def test_gains_are_pytorchs(name):
    torch = pytest.importorskip("torch")
    assert init.calculate_gain(name) == torch.nn.init.calculate_gain(name)


# ------------------------------------------------------------------ distributions


def test_truncated_normal_numbers():
    stats = pytest.importorskip("scipy.stats")
    for mean, std, a, b in ((0, 1, -2, 2), (1, 0.5, 0.9, 3), (0, 1, 1, 2), (0, 0.02, -2, 2)):
        values = init.trunc_normal_(fg.zeros(400, 200), mean, std, a, b).numpy()
        assert a <= values.min()
        assert values.max() <= b
        expected = stats.truncnorm((a - mean) / std, (b - mean) / std, mean, std)
        assert abs(values.mean() - expected.mean()) < 5 * expected.std() / math.sqrt(80_000)
        assert abs(values.std() / expected.std() - 1) < 0.02
        assert stats.kstest(values.ravel()[::40], expected.cdf).pvalue > 1e-4


@pytest.mark.parametrize("shape", [(30, 30), (50, 20), (20, 50), (8, 3, 5, 5), (40, 2, 3)])
def test_orthogonal_matrices(shape):
    w = init.orthogonal_(fg.zeros(*shape, dtype=fg.float64), gain=2.0).numpy()
    w = w.reshape(shape[0], -1)
    small = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
    np.testing.assert_allclose(small, 4 * np.eye(len(small)), atol=1e-12)


def test_orthogonal_matrices_are_uniformly_distributed():
    """Every entry has mean 0 and variance 1 / n, the diagonal's signs included."""
    ws = np.array([init.orthogonal_(fg.zeros(3, 3)).numpy() for _ in range(3000)])
    assert np.abs(ws.mean(axis=0)).max() < 5 * math.sqrt(1 / 3 / 3000)
    np.testing.assert_allclose(ws.var(axis=0), 1 / 3, atol=0.04)


def test_sparse_matrices():
    w = init.sparse_(fg.zeros(200, 300), 0.333, std=0.5).numpy()
    assert set((w == 0).sum(axis=0)) == {67}
    assert np.ptp((w == 0).sum(axis=1)) > 10  # in rows at random
    assert_normal(w[w != 0], 0.5)


@pytest.mark.parametrize(
    ("shape", "groups"), [((4, 4, 3), 1), ((6, 3, 3, 5), 2), ((2, 5, 3, 3, 3), 1), ((9, 2, 4), 3)]
)
def test_dirac_against_pytorch(shape, groups):
    torch = pytest.importorskip("torch")
    expected = torch.nn.init.dirac_(torch.empty(shape), groups).numpy()
    np.testing.assert_array_equal(init.dirac_(fg.ones(*shape), groups).numpy(), expected)


def test_eye_is_rectangular():
    np.testing.assert_array_equal(init.eye_(fg.ones(3, 5)).numpy(), np.eye(3, 5))


def test_the_seed_or_a_generator_decides():
    for name in ("uniform_", "normal_", "trunc_normal_", "xavier_normal_", "kaiming_uniform_",
                 "lecun_normal_", "orthogonal_"):  # fmt: skip
        fill = getattr(init, name)
        fg.manual_seed(1)
        first = fill(fg.zeros(4, 5)).tolist()
        fg.manual_seed(1)
        assert fill(fg.zeros(4, 5)).tolist() == first
        twins = [fill(fg.zeros(4, 5), generator=np.random.default_rng(2)).tolist() for _ in "ab"]
        assert twins[0] == twins[1] != first


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: init.xavier_uniform_(fg.zeros(3)), "has no fans; expected 2 axes or more"),
        (lambda: init.lecun_normal_(fg.zeros(3, 2), layout="io"), "layout is 'io'; expected"),
        (lambda: init.trunc_normal_(fg.zeros(3), a=1, b=1), "expected a < b and std > 0"),
        (lambda: init.trunc_normal_(fg.zeros(3), a=8, b=9), "normal numbers .* are from 8 to 9"),
        (lambda: init.eye_(fg.zeros(3)), "eye_: a tensor of shape"),
        (lambda: init.dirac_(fg.zeros(3, 2)), "dirac_: .* expected 3 to 5 axes"),
        (lambda: init.dirac_(fg.zeros(3, 2, 1), 2), "2 groups do not divide 3 output channels"),
        (lambda: init.orthogonal_(fg.zeros(3)), "orthogonal_: .* expected 2 axes or more"),
        (lambda: init.sparse_(fg.zeros(3, 2), 1.5), "sparsity is 1.5; expected a share"),
        (lambda: init.calculate_gain("leaky_relu", "x"), "the slope is 'x'; expected a number"),
        (lambda: init.initialize(nn.ReLU(), "best"), "unknown 'best'; known: constant, dirac"),
    ],
)
def test_fills_that_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# ------------------------------------------------------------------ whole models


class _Mixed(nn.Module):
    """Weights of Linear's shape, of PyTorch's, of a convolution's, and a shared one."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(300, 100)
        self.norm = nn.BatchNorm1d(100)
        self.weight_ih = nn.Parameter(fg.zeros(100, 300))
        self.bias_ih = nn.Parameter(fg.ones(100))
        self.kernel = nn.Parameter(fg.zeros(50, 40, 3, 3))
        self.shared = self.kernel


def test_a_whole_model():
    model = _Mixed()
    assert init.initialize(model, "kaiming_normal", nonlinearity="linear") is model
    assert_normal(model.linear.weight.detach().numpy(), 1 / math.sqrt(300))
    assert_normal(model.weight_ih.detach().numpy(), 1 / math.sqrt(300))
    assert_normal(model.kernel.detach().numpy(), 1 / math.sqrt(360))
    assert (model.norm.weight == 1).all()
    for bias in (model.linear.bias, model.bias_ih, model.norm.bias):
        assert (bias == 0).all()
    init.initialize(model, None, lambda bias: init.constant_(bias, 0.5))
    assert_normal(model.kernel.detach().numpy(), 1 / math.sqrt(360))
    assert (model.bias_ih == 0.5).all()
    init.initialize(model, "normal", bias=None, std=3.0)
    assert_normal(model.weight_ih.detach().numpy(), 3.0)
    with pytest.raises(TypeError, match="initialize: int is not a Module"):
        init.initialize(3)
