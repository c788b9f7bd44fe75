"""Averages of weights, against PyTorch and by hand; copies of modules; batch norm's statistics."""

import copy

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import interchange, nn
from fastgrad.optim import swa_utils


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")


def _model(module):
    return module.Sequential(module.Linear(3, 5), module.BatchNorm1d(5), module.Linear(5, 2))


def _walk(module, model, rng):
    """Move all parameters and buffers."""
    for tensor in (*model.parameters(), *model.buffers()):
        if "float" in str(tensor.dtype):
            change = module.tensor(rng.standard_normal(tuple(tensor.shape)).astype(np.float32))
            tensor.detach().copy_(tensor.detach() + change)
        else:
            tensor += 1


# Linear weights are transposed between the two: random numbers are drawn for the model of PyTorch,
# and ours follows.
def _averages(torch, make, steps=6, **options):
    ours, theirs = _model(nn), _model(torch.nn)
    interchange.load_torch_state_dict(ours, theirs.state_dict())
    average = make(fg.optim.swa_utils, ours)
    expected = make(torch.optim.swa_utils, theirs)
    rng = np.random.default_rng(0)
    for _ in range(steps):
        _walk(torch, theirs, rng)
        interchange.load_torch_state_dict(ours, theirs.state_dict())
        average.update_parameters(ours)
        expected.update_parameters(theirs)
    return interchange.to_torch_state_dict(average), expected.state_dict()


_WAYS = {
    "mean": lambda m, model: m.AveragedModel(model),
    "mean of all": lambda m, model: m.AveragedModel(model, use_buffers=True),
    "mean, one by one": lambda m, model: m.AveragedModel(model, avg_fn=m.get_swa_avg_fn()),
    "ema": lambda m, model: m.AveragedModel(model, multi_avg_fn=m.get_ema_multi_avg_fn(0.9)),
    "fast ema": lambda m, model: m.AveragedModel(model, multi_avg_fn=m.get_ema_multi_avg_fn(0.3)),
    "ema of all": lambda m, model: m.AveragedModel(
        model, multi_avg_fn=m.get_ema_multi_avg_fn(0.9), use_buffers=True
    ),
    "ema, one by one": lambda m, model: m.AveragedModel(model, avg_fn=m.get_ema_avg_fn(0.9)),
    "own": lambda m, model: m.AveragedModel(model, avg_fn=lambda a, c, n: (a * n + c) / (n + 1)),
}


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("way", _WAYS)
def test_averages_are_pytorchs(torch, way, backend):
    fg.set_backend(backend)
    state, expected = _averages(torch, _WAYS[way])
    assert list(state) == list(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(state[name], value.numpy(), rtol=2e-5, atol=2e-5)


def test_an_average_by_hand():
    model = nn.Linear(1, 1, bias=False)
    mean, ema = swa_utils.AveragedModel(model), swa_utils.AveragedModel(
        model, multi_avg_fn=swa_utils.get_ema_multi_avg_fn(0.75)
    )  # fmt: skip
    for weight in (1.0, 2.0, 6.0):
        nn.init.constant_(model.weight, weight)
        mean.update_parameters(model)
        ema.update_parameters(model)
    assert mean.module.weight.item() == pytest.approx(3)
    assert ema.module.weight.item() == pytest.approx(0.75 * (0.75 * 1 + 0.25 * 2) + 0.25 * 6)
    assert mean.n_averaged.item() == 3
    assert mean(fg.ones(1, 1)).item() == pytest.approx(3)
    assert model.weight.item() == 6


def test_an_average_in_float64_and_its_state():
    model = _model(nn).double()
    average = swa_utils.AveragedModel(model)
    for _ in range(3):
        average.update_parameters(model)
    assert average.module[0].weight.dtype == np.float64
    other = swa_utils.AveragedModel(_model(nn).double())
    other.load_state_dict(average.state_dict())
    assert other.n_averaged.item() == 3
    np.testing.assert_array_equal(other.module[0].weight.data, model[0].weight.data)


def test_running_statistics_anew(torch):
    ours, theirs = _model(nn), _model(torch.nn)
    interchange.load_torch_state_dict(ours, theirs.state_dict())
    rng = np.random.default_rng(0)
    batches = [rng.standard_normal((8, 3)).astype(np.float32) for _ in range(4)]
    ours.eval()
    theirs.eval()
    swa_utils.update_bn([(fg.tensor(x), None) for x in batches], ours)
    torch.optim.swa_utils.update_bn([(torch.tensor(x), None) for x in batches], theirs)
    assert not ours.training
    assert ours[1].momentum == 0.1
    state = interchange.to_torch_state_dict(ours)
    for name, value in theirs.state_dict().items():
        np.testing.assert_allclose(state[name], value.numpy(), rtol=1e-5, atol=1e-6)
    plain = nn.Linear(2, 2)
    swa_utils.update_bn([None], plain)  # nothing to do


def test_a_deep_copy_of_a_module_is_a_module_of_its_own():
    model = _model(nn)
    model[2].weight = model[0].weight = nn.Parameter(fg.ones(3, 5))
    twin = copy.deepcopy(model)
    assert type(twin[0].weight) is nn.Parameter
    assert twin[0].weight is twin[2].weight  # shared as before
    assert twin[0].weight.requires_grad
    assert [name for name, _ in twin.named_parameters()] == [
        name for name, _ in model.named_parameters()
    ]
    twin[0].weight.data[...] = 2
    assert model[0].weight.data.max() == 1
    twin[1].running_mean.data[...] = 9
    assert model[1].running_mean.data.max() == 0


def test_a_deep_copy_trains_like_the_original():
    model = _model(nn)
    model(fg.ones(4, 3)).sum().backward()
    twin = copy.deepcopy(model)
    np.testing.assert_array_equal(twin[0].weight.grad, model[0].weight.grad)
    for network in (model, twin):
        optimizer = fg.optim.Adam(network.parameters(), lr=0.1)
        (network(fg.ones(4, 3)) ** 2).sum().backward()
        optimizer.step()
    for a, b in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)


_WRONG = {
    "decay": (lambda: swa_utils.get_ema_multi_avg_fn(1.5), "get_ema_multi_avg_fn: decay = 1.5"),
    "decay of one": (lambda: swa_utils.get_ema_avg_fn(-1), "get_ema_avg_fn: decay = -1"),
    "both": (
        lambda: swa_utils.AveragedModel(nn.Linear(1, 1), avg_fn=max, multi_avg_fn=max),
        "expected avg_fn or multi_avg_fn, not both",
    ),
    "device": (lambda: swa_utils.AveragedModel(nn.Linear(1, 1), "cuda"), "device = 'cuda'"),
    "device of a loader": (lambda: swa_utils.update_bn([], nn.Linear(1, 1), "cuda"), "= 'cuda'"),
}


@pytest.mark.parametrize("name", _WRONG)
def test_what_is_refused(name):
    call, message = _WRONG[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_not_in_a_compiled_step():
    if fg.get_backend() != "numba":
        pytest.skip("nothing is recorded")
    model = nn.Linear(1, 1)
    average = swa_utils.AveragedModel(model)

    @fg.compile
    def step(x):
        average.update_parameters(model)
        return model(x)

    with pytest.raises(fg.Unrecordable, match="call it after the step"):
        step(fg.ones(1, 1))
