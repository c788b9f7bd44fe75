"""Layers and losses against PyTorch; batch normalization, dropout."""

import math

import numpy as np
import pytest
from small_modules import assert_state, state_of

import fastgrad as fg
from fastgrad import nn


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")


# ------------------------------------------------------------------ layers against PyTorch


def _load_theirs(ours, theirs):
    """Copy PyTorch's state; matrices are Linear's weights, transposed there."""
    state = {name: t.detach().numpy() for name, t in theirs.state_dict().items()}
    ours.load_state_dict({k: v.T if v.ndim == 2 else v for k, v in state.items()})


def _assert_equal(ours, theirs, tolerance):
    ours = np.asarray(ours.detach())
    theirs = theirs.detach().numpy()
    theirs = theirs.T if ours.shape != theirs.shape else theirs
    assert ours.dtype == theirs.dtype
    scale = max(1.0, float(np.abs(theirs).max(initial=0)))
    np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * scale)


def _assert_same_step(ours, theirs, arrays, tolerance, torch):
    """Both modules give the same result, gradients and state for the same input."""
    inputs = [fg.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    their_inputs = [torch.tensor(a, requires_grad=a.dtype.kind == "f") for a in arrays]
    out, expected = ours(*inputs), theirs(*their_inputs)
    _assert_equal(out, expected, tolerance)
    if out.requires_grad:
        weights = np.random.default_rng(9).uniform(0.5, 1.5, out.shape).astype(out.dtype)
        ours.zero_grad()
        theirs.zero_grad()
        out.backward(weights)
        expected.backward(torch.tensor(weights))
    for a, b in zip(inputs, their_inputs, strict=True):
        if b.grad is not None:
            _assert_equal(a.grad, b.grad, tolerance)
    for a, b in zip(ours.parameters(), theirs.parameters(), strict=True):
        if b.grad is not None:
            expected_grad = b.grad.T if b.ndim == 2 else b.grad
            _assert_equal(a.grad, expected_grad, tolerance)
    for (name, a), (their_name, b) in zip(
        ours.named_buffers(), theirs.named_buffers(), strict=True
    ):
        assert name == their_name
        _assert_equal(a, b, tolerance)


def _network(nn):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(6, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.0),
        nn.Linear(16, 8), nn.Tanh(), nn.Linear(8, 4, bias=False), nn.LogSoftmax(dim=-1),
    )  # fmt: skip


_LAYERS = {
    "Linear": (lambda nn: nn.Linear(5, 3), (4, 5)),
    "Linear without bias": (lambda nn: nn.Linear(5, 3, bias=False), (4, 5)),
    "Linear of a vector": (lambda nn: nn.Linear(5, 3), (5,)),
    "Linear of a stack": (lambda nn: nn.Linear(5, 3), (2, 4, 5)),
    "Linear of an empty batch": (lambda nn: nn.Linear(5, 3), (0, 5)),
    "ReLU": (lambda nn: nn.ReLU(), (3, 4)),
    "Sigmoid": (lambda nn: nn.Sigmoid(), (3, 4)),
    "Tanh": (lambda nn: nn.Tanh(), (3, 4)),
    "Softmax": (lambda nn: nn.Softmax(dim=1), (3, 4)),
    "Softmax over channels": (lambda nn: nn.Softmax(dim=1), (3, 4, 5)),
    "LogSoftmax": (lambda nn: nn.LogSoftmax(dim=0), (3, 4)),
    "Flatten": (lambda nn: nn.Flatten(), (3, 4, 5)),
    "Flatten of some axes": (lambda nn: nn.Flatten(0, 1), (3, 4, 5)),
    "Dropout of nothing": (lambda nn: nn.Dropout(0.0), (3, 4)),
    "BatchNorm1d": (lambda nn: nn.BatchNorm1d(5), (7, 5)),
    "BatchNorm1d of sequences": (lambda nn: nn.BatchNorm1d(5), (3, 5, 4)),
    "BatchNorm1d of nothing": (lambda nn: nn.BatchNorm1d(5), (0, 5)),
    "BatchNorm1d with eps": (lambda nn: nn.BatchNorm1d(5, eps=0.5), (7, 5)),
    "BatchNorm1d not affine": (lambda nn: nn.BatchNorm1d(5, affine=False), (7, 5)),
    "BatchNorm1d without statistics": (
        lambda nn: nn.BatchNorm1d(5, track_running_stats=False),
        (7, 5),
    ),
    "BatchNorm1d averaging": (lambda nn: nn.BatchNorm1d(5, momentum=None), (7, 5)),
    "BatchNorm1d, momentum 1": (lambda nn: nn.BatchNorm1d(5, momentum=1.0), (7, 5)),
    "BatchNorm1d, momentum 0": (lambda nn: nn.BatchNorm1d(5, momentum=0.0), (7, 5)),
    "network": (_network, (9, 2, 3)),
}
_PRECISIONS = {"float32": 2e-5, "float64": 1e-11}


@pytest.mark.parametrize("dtype", _PRECISIONS)
@pytest.mark.parametrize("name", _LAYERS)
def test_layers_as_in_pytorch(torch, name, dtype):
    """Three batches of training and two of evaluation, with backward each time."""
    build, shape = _LAYERS[name]
    torch.manual_seed(0)
    ours, theirs = build(nn), build(torch.nn)
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.add_(torch.tensor(rng.normal(0, 0.3, parameter.shape), dtype=torch.float32))
    _load_theirs(ours, theirs)
    if dtype == "float64":
        ours.double()
        theirs.double()
    for batch in range(5):
        training = batch < 3
        ours.train(training)
        theirs.train(training)
        x = (2 * rng.standard_normal(shape) + batch).astype(dtype)
        _assert_same_step(ours, theirs, [x], _PRECISIONS[dtype], torch)


def _loss_cases():
    labels = np.array([2, 0, 1, 2, 1])
    ignored = np.array([2, -100, 1, 2, -100])
    other = np.array([2, 1, 1, 0, 1])
    pixels = np.array([[0, 1, 2, 2], [1, 1, 0, -100]])
    for reduction in ("mean", "sum", "none"):
        yield "MSELoss", {"reduction": reduction}, [(4, 3), (4, 3)]
        for kind in ("CrossEntropyLoss", "NLLLoss"):
            for smooth in ({}, {"label_smoothing": 0.1}) if kind == "CrossEntropyLoss" else ({},):
                for weight in ({}, {"weight": [0.5, 2.0, 1.25]}):
                    options = {"reduction": reduction, **smooth, **weight}
                    yield kind, options, [(5, 3), labels]
                    yield kind, options, [(5, 3), ignored]
                    yield kind, {**options, "ignore_index": 1}, [(5, 3), other]
                    yield kind, options, [(2, 3, 4), pixels]
                    yield kind, options, [(3,), np.array(1)]
                    if reduction != "mean":
                        yield kind, options, [(0, 3), np.zeros(0, np.int64)]


_LOSSES = list(_loss_cases())


@pytest.mark.parametrize("dtype", _PRECISIONS)
@pytest.mark.parametrize("number", range(len(_LOSSES)))
def test_losses_as_in_pytorch(torch, number, dtype):
    kind, options, inputs = _LOSSES[number]
    rng = np.random.default_rng(number)
    arrays = [
        (3 * rng.standard_normal(x)).astype(dtype) if isinstance(x, tuple) else x for x in inputs
    ]
    weight = options.get("weight")
    ours, theirs = ({**options}, {**options})
    if weight:
        ours["weight"] = fg.tensor(weight, dtype=dtype)
        theirs["weight"] = torch.tensor(weight, dtype=getattr(torch, dtype))
    if kind == "NLLLoss":
        arrays[0] = np.log(0.1 + rng.uniform(size=arrays[0].shape)).astype(dtype)
    losses = getattr(nn, kind)(**ours), getattr(torch.nn, kind)(**theirs)
    _assert_same_step(*losses, arrays, _PRECISIONS[dtype], torch)


def test_a_loss_of_ignored_labels_only_is_nan_as_in_pytorch(torch):
    x, labels = np.ones((2, 3), np.float32), np.array([-100, -100])
    ours = nn.CrossEntropyLoss()(fg.tensor(x), fg.tensor(labels))
    theirs = torch.nn.CrossEntropyLoss()(torch.tensor(x), torch.tensor(labels))
    assert math.isnan(theirs.item())
    assert math.isnan(ours.item())


# ------------------------------------------------------------------ batch normalization


def test_running_statistics():
    """After two batches, by hand: unbiased variance, momentum 0.25, and the plain average."""
    batches = [np.array([[1.0], [3.0]]), np.array([[5.0], [11.0]])]
    for momentum, mean, var in (
        (0.25, 0.25 * 8 + 0.75 * (0.25 * 2), 0.25 * 18 + 0.75 * (0.75 + 0.25 * 2)),
        (None, 5.0, 10.0),
    ):
        layer = nn.BatchNorm1d(1, momentum=momentum)
        for batch in batches:
            layer(fg.tensor(batch.astype(np.float32)))
        assert layer.running_mean.item() == pytest.approx(mean)
        assert layer.running_var.item() == pytest.approx(var)
        assert layer.num_batches_tracked.item() == 2
        before = state_of(layer)
        out = layer.eval()(fg.tensor([[mean]]))
        assert out.item() == pytest.approx(0.0, abs=1e-6)
        assert_state(layer, before)


@pytest.mark.parametrize("shape", [(4, 3), (1, 2), (0, 3)])
def test_a_refused_batch_changes_nothing(shape):
    layer = nn.BatchNorm1d(2)
    before = state_of(layer)
    with pytest.raises(ValueError, match="batch_norm"):
        layer(fg.ones(*shape))
    assert_state(layer, before)


# ------------------------------------------------------------------ dropout


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_dropout_in_training(p):
    x = fg.ones(200_000, requires_grad=True)
    layer = nn.Dropout(p)
    y = layer(x)
    values = y.detach().numpy()
    kept = values != 0
    np.testing.assert_allclose(values[kept], 1 / (1 - p), rtol=1e-6)
    deviation = math.sqrt(p * (1 - p) / x.numel())
    assert abs(kept.mean() - (1 - p)) < 5 * deviation
    y.sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), values)
    # Neighbours, and the next draw, know nothing of each other.
    for a, b in ((kept[1:], kept[:-1]), (kept, layer(x).detach().numpy() != 0)):
        assert abs(np.corrcoef(a, b)[0, 1]) < 5 / math.sqrt(x.numel())


def test_dropout_follows_the_seed():
    def draws(seed):
        fg.manual_seed(seed)
        return [nn.Dropout(0.5)(fg.ones(100)).tolist() for _ in range(2)]

    assert draws(1) == draws(1)
    assert draws(1) != draws(2)
    assert draws(1)[0] != draws(1)[1]


def test_dropout_switched_off_and_fully_on():
    x = fg.ones(5, requires_grad=True)
    assert nn.Dropout(0.5).eval()(x) is x
    assert nn.Dropout(0.0)(x) is x
    y = nn.Dropout(1.0)(x)
    assert y.tolist() == [0] * 5
    y.sum().backward()
    assert x.grad.tolist() == [0] * 5
