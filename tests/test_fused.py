"""A ReLU that the layer before it applies: the same bits as one after it, and nobody can tell."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn

_LAYERS = {
    "linear": lambda: nn.Linear(13, 7),
    "no bias": lambda: nn.Linear(13, 7, bias=False),
    "one output": lambda: nn.Linear(13, 1),
    "wide": lambda: nn.Linear(13, 300),
    "batch norm": lambda: nn.BatchNorm1d(13),
    "no affine": lambda: nn.BatchNorm1d(13, affine=False),
    "no statistics": lambda: nn.BatchNorm1d(13, track_running_stats=False),
}
_CONVOLUTIONS = {
    "conv": (lambda: nn.Conv2d(3, 7, 3, padding=1), (2, 3, 9, 20)),
    "many channels": (lambda: nn.Conv2d(40, 70, 3, bias=False), (2, 40, 6, 6)),
    "depthwise": (lambda: nn.Conv1d(5, 5, 3, groups=5, stride=2), (3, 5, 40)),
    "circular": (lambda: nn.Conv3d(2, 3, 2, padding=1, padding_mode="circular"), (2, 2, 3, 4, 5)),
}


class _Apart(nn.ReLU):
    """A ReLU of the user's own: it must be called."""


def _results(make, relu, x, training=True):
    fg.manual_seed(0)
    model = nn.Sequential(make(), relu, nn.Flatten())
    model.to(x.dtype).train(training)
    x = fg.Tensor(x, requires_grad=True)
    out = model(x)
    out.backward(fg.Tensor(np.cos(np.arange(out.numel())).reshape(out.shape).astype(x.dtype)))
    gradients = [p.grad for p in model.parameters()]
    return [t.data for t in (out, x.grad, *gradients, *model.buffers())]


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("rows", [2, 33, 1025])
@pytest.mark.parametrize("layer", _LAYERS)
def test_the_same_as_apart(layer, rows, dtype, training, backend):
    if layer == "no statistics" and rows < 2:
        return
    fg.set_backend(backend)
    x = np.random.default_rng(0).standard_normal((rows, 13)).astype(dtype)
    fused, apart = (_results(_LAYERS[layer], relu, x, training) for relu in (nn.ReLU(), _Apart()))
    for a, b in zip(fused, apart, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("layer", _CONVOLUTIONS)
def test_convolutions(layer, dtype, backend):
    fg.set_backend(backend)
    make, shape = _CONVOLUTIONS[layer]
    x = np.random.default_rng(0).standard_normal(shape).astype(dtype)
    fused, apart = (_results(make, relu, x) for relu in (nn.ReLU(), _Apart()))
    for a, b in zip(fused, apart, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("layer", ["linear", "batch norm"])
def test_inputs_of_three_axes(layer):
    x = np.random.default_rng(0).standard_normal((3, 13, 13)).astype(np.float32)
    fused, apart = (_results(_LAYERS[layer], relu, x) for relu in (nn.ReLU(), _Apart()))
    for a, b in zip(fused, apart, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-6)


def test_nan_passes_through():
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    assert np.isnan(model(fg.tensor([[1.0, float("nan"), 2.0]])).data).all()


def test_what_the_user_puts_in_place_is_called():
    seen = []
    for place in (0, 1):
        model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
        forward = model[place].forward

        def watched(x, forward=forward, place=place):
            seen.append(place)
            return forward(x)

        model[place].forward = watched
        model(fg.ones(4, 3))
    assert seen == [0, 1]


@pytest.mark.parametrize("layer", ["linear", "batch norm"])
def test_a_change_of_the_result_is_noticed(layer):
    model = nn.Sequential(_LAYERS[layer](), nn.ReLU())
    x = fg.Tensor(np.ones((4, 13), np.float32), requires_grad=True)
    out = model(x)
    with fg.no_grad():
        out.add_(1.0)
    with pytest.raises(RuntimeError, match="relu: its result was changed in place"):
        out.sum().backward()


def test_a_change_of_the_bias_is_allowed():
    """The gradient does not depend on it."""
    layer = nn.Linear(3, 2)
    out = layer(fg.ones(4, 3)).sum()
    with fg.no_grad():
        layer.bias.add_(1.0)
    out.backward()
    assert layer.bias.grad.tolist() == [4.0, 4.0]
