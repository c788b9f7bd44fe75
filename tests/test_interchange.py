"""State dicts to PyTorch's and back: the same training goes on, on either side."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import interchange, nn

_SIZES = ((5, 7), (7, 7), (7, 3))  # a square one, whose transpose has the same shape


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")


@pytest.fixture
def doubles(torch):
    """PyTorch keeps optimizers' scalars in its default type."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _model(module):
    """A network with a module in a module; tied to itself under two names."""
    parts = [module.Linear(*size) for size in _SIZES]
    inner = module.Sequential(module.BatchNorm1d(7), parts[1])
    model = module.Sequential(parts[0], module.Tanh(), inner, parts[2])
    model.add_module("again", module.Sequential(parts[1]))
    model.double()
    return model


def _forward(model, x):
    for part in list(model)[:4]:
        x = part(x)
    return x


def _train(module, model, optimizer, steps, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        x, y = (
            module.tensor(rng.standard_normal((9, 5))),
            module.tensor(rng.standard_normal((9, 3))),
        )

        def closure(x=x, y=y):
            optimizer.zero_grad()
            loss = ((_forward(model, x) - y) ** 2).mean()
            if type(optimizer).__name__ != "NewtonCG":
                loss.backward()
            return loss

        optimizer.step(closure)


def _assert_same(ours, theirs, tolerance=1e-9):
    state, expected = interchange.to_torch_state_dict(ours), theirs.state_dict()
    assert list(state) == list(expected)
    for name, value in expected.items():
        assert state[name].shape == tuple(value.shape)
        np.testing.assert_allclose(state[name], value.numpy(), rtol=tolerance, atol=tolerance)


def test_modules_both_ways(torch):
    ours, theirs = _model(nn), _model(torch.nn)
    x = np.random.default_rng(0).standard_normal((4, 5))
    ours.eval(), theirs.eval()
    assert interchange.load_torch_state_dict(ours, theirs.state_dict()) == ([], [])
    _assert_same(ours, theirs, 0)
    out, expected = _forward(ours, fg.tensor(x)), _forward(theirs, torch.tensor(x))
    np.testing.assert_allclose(out.detach(), expected.detach(), rtol=1e-12, atol=1e-12)
    other = _model(torch.nn)
    other.load_state_dict(interchange.to_torch_state_dict(ours, wrap=torch.from_numpy))
    for name, value in theirs.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)


def test_the_state_is_a_copy():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, bias=False))
    state = interchange.to_torch_state_dict(model)
    before = state["0.weight"].numpy().copy()
    model[0].weight.data[...] = 7
    np.testing.assert_array_equal(state["0.weight"], before)
    assert state["0.weight"].data.flags.c_contiguous
    other = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, bias=False))
    interchange.load_torch_state_dict(other, state)
    np.testing.assert_array_equal(other[0].weight.data, before.T)


def test_what_does_not_fit_is_refused():
    layer = nn.Linear(3, 2)
    state = interchange.to_torch_state_dict(layer)
    state["weight"] = np.zeros((3, 2))
    with pytest.raises(RuntimeError, match=r"weight has shape \(2, 3\), expected \(3, 2\)"):
        interchange.load_torch_state_dict(layer, state)
    del state["weight"]
    assert interchange.load_torch_state_dict(layer, state, strict=False) == (["weight"], [])


_OPTIMIZERS = {
    "SGD": {"lr": 0.05},
    "SGD, momentum": {"lr": 0.05, "momentum": 0.9, "dampening": 0.1},
    "Adam": {"lr": 0.01, "amsgrad": True, "weight_decay": 0.1},
    "AdamW": {"lr": 0.01},
    "Adamax": {"lr": 0.01},
    "NAdam": {"lr": 0.01},
    "RAdam": {"lr": 0.01},
    "Adagrad": {"lr": 0.01, "lr_decay": 0.1, "initial_accumulator_value": 0.1},
    "RMSprop": {"lr": 0.01, "momentum": 0.5, "centered": True, "eps": 1e-3},
    "Adadelta": {"lr": 0.5},
    "ASGD": {"lr": 0.01, "t0": 3},
    "Rprop": {"lr": 0.01},
    "LBFGS": {"lr": 0.3, "max_iter": 4, "history_size": 5},
}


def _pair(torch, name, **more):
    """(model, optimizer) of both sides, with the same weights."""
    kind, options = name.split(",")[0], _OPTIMIZERS[name] | more
    ours, theirs = _model(nn), _model(torch.nn)
    interchange.load_torch_state_dict(ours, theirs.state_dict())
    return (
        (ours, getattr(fg.optim, kind)(ours.parameters(), **options)),
        (theirs, getattr(torch.optim, kind)(theirs.parameters(), **options)),
    )


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize("name", _OPTIMIZERS)
def test_training_that_began_in_pytorch_goes_on(torch, name):
    (ours, optimizer), (theirs, other) = _pair(torch, name)
    _train(torch, theirs, other, 4)
    interchange.load_torch_state_dict(ours, theirs.state_dict())
    interchange.load_torch_optimizer_state_dict(optimizer, ours, other.state_dict())
    _train(torch, theirs, other, 4, seed=1)
    _train(fg, ours, optimizer, 4, seed=1)
    _assert_same(ours, theirs)


@pytest.mark.usefixtures("doubles")
@pytest.mark.parametrize("name", _OPTIMIZERS)
def test_training_that_began_here_goes_on_in_pytorch(torch, name):
    (ours, optimizer), (theirs, other) = _pair(torch, name)
    _train(fg, ours, optimizer, 4)
    theirs.load_state_dict(interchange.to_torch_state_dict(ours, wrap=torch.from_numpy))
    other.load_state_dict(
        interchange.to_torch_optimizer_state_dict(optimizer, ours, wrap=torch.from_numpy)
    )
    _train(torch, theirs, other, 4, seed=1)
    _train(fg, ours, optimizer, 4, seed=1)
    _assert_same(ours, theirs)


@pytest.mark.parametrize("name", _OPTIMIZERS)
def test_names_and_shapes_are_pytorchs(torch, name):
    (ours, optimizer), (theirs, other) = _pair(torch, name)
    _train(fg, ours, optimizer, 2)
    _train(torch, theirs, other, 2)
    state = interchange.to_torch_optimizer_state_dict(optimizer, ours)
    expected = other.state_dict()
    assert state["param_groups"] == expected["param_groups"]
    assert state["state"].keys() == expected["state"].keys()
    for number, values in expected["state"].items():
        assert state["state"][number].keys() == values.keys() - {"al"}
        for key, value in values.items():
            if isinstance(value, torch.Tensor) and key != "H_diag":
                assert state["state"][number][key].shape == tuple(value.shape)


def test_groups_and_a_schedule_s_options(torch):
    (ours, optimizer), (theirs, other) = _pair(torch, "Adam")
    for optim, model, chosen in ((fg.optim, ours, optimizer), (torch.optim, theirs, other)):
        chosen.param_groups[0]["lr"] = 0.5
        optim.lr_scheduler.ExponentialLR(chosen, 0.5)
        _train(fg if optim is fg.optim else torch, model, chosen, 1)
    state = interchange.to_torch_optimizer_state_dict(optimizer, ours)
    assert state["param_groups"] == other.state_dict()["param_groups"]
    fresh = fg.optim.Adam(ours.parameters())
    interchange.load_torch_optimizer_state_dict(fresh, ours, other.state_dict())
    assert fresh.param_groups[0]["initial_lr"] == 0.5
    assert fresh.param_groups[0]["l1_decay"] == 0


def test_a_rate_that_is_a_tensor(torch):
    (ours, optimizer), (_, other) = _pair(torch, "Adam", lr=torch.tensor(0.25).item())
    optimizer.param_groups[0]["lr"] = fg.tensor(0.125)
    state = interchange.to_torch_optimizer_state_dict(optimizer, ours, wrap=torch.from_numpy)
    other.load_state_dict(state)
    assert float(other.param_groups[0]["lr"]) == 0.125
    fresh = fg.optim.Adam(ours.parameters())
    interchange.load_torch_optimizer_state_dict(fresh, ours, other.state_dict())
    assert fresh.param_groups[0]["lr"].item() == 0.125


def test_what_pytorch_does_not_have():
    layer = nn.Linear(2, 2)
    with pytest.raises(ValueError, match="PyTorch has no NewtonCG"):
        interchange.to_torch_optimizer_state_dict(fg.optim.NewtonCG(layer.parameters()), layer)
    optimizer = fg.optim.Adam(layer.parameters(), l1_decay=0.5)
    with pytest.raises(ValueError, match=r"l1_decay = 0.5, which PyTorch's optimizers do not have"):
        interchange.to_torch_optimizer_state_dict(optimizer, layer)


def test_an_optimizer_s_state_that_does_not_fit_changes_nothing():
    layer = nn.Linear(3, 2)
    optimizer = fg.optim.Adam(layer.parameters())
    layer(fg.ones(1, 3)).sum().backward()
    optimizer.step()
    state = interchange.to_torch_optimizer_state_dict(optimizer, layer)
    state["state"][0]["exp_avg"] = np.zeros((3, 2), np.float32)
    state["param_groups"][0]["lr"] = 7.0
    with pytest.raises(ValueError, match=r"state 'exp_avg' has shape \(2, 3\), its parameter"):
        interchange.load_torch_optimizer_state_dict(optimizer, layer, state)
    assert optimizer.param_groups[0]["lr"] == 1e-3
