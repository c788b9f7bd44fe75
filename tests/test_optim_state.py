"""The state of optimizers: there and back; training that gives the same bits every time."""

import copy
import itertools
import pickle

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn
from fastgrad.optim import Adam

_ALL = [name for name in fg.optim.__all__ if name[0].isupper()]
for _name in ("LBFGS", "NewtonCG", "Optimizer"):  # which want a closure, and the base
    _ALL.remove(_name)


# ------------------------------------------------------------------ state dicts

_STATEFUL = [
    ("SGD", {"lr": 0.05, "momentum": 0.9, "dampening": 0.1}),
    ("SGD", {"lr": 0.05}),
    ("Adam", {"lr": 0.02, "amsgrad": True}),
    ("AdamW", {"lr": 0.02}),
    ("RMSprop", {"lr": 0.02, "momentum": 0.9, "centered": True, "eps": 1e-2}),
    *((kind, {"lr": 0.02}) for kind in _ALL if kind not in ("SGD", "Adam", "AdamW", "RMSprop")),
]


def _run(model, optimizer, steps, seed):
    rng = np.random.default_rng(seed)
    for _ in range(steps):
        x = fg.tensor(rng.standard_normal((8, 6)).astype(np.float32))
        optimizer.zero_grad()
        fg.cross_entropy(model(x), fg.tensor(rng.integers(0, 4, 8))).backward()
        optimizer.step()


def _bits(module):
    return {name: tensor.numpy().tobytes() for name, tensor in module.state_dict().items()}


def _small_model():
    return nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 4))


@pytest.mark.parametrize(("kind", "options"), _STATEFUL)
def test_a_loaded_state_goes_on_to_the_same_bits(kind, options):
    make = getattr(fg.optim, kind)
    model = _small_model()
    optimizer = make(model.parameters(), **options)
    _run(model, optimizer, 5, seed=1)
    weights, state = copy.deepcopy(model.state_dict()), optimizer.state_dict()
    _run(model, optimizer, 5, seed=2)

    twin = _small_model()
    twin.load_state_dict(weights)
    other = make(twin.parameters(), lr=9.0)
    other.load_state_dict(state)
    assert other.param_groups[0]["lr"] == options["lr"]
    _run(twin, other, 5, seed=2)
    assert _bits(twin) == _bits(model)


def test_a_state_dict_is_a_copy():
    model = _small_model()
    optimizer = Adam(model.parameters())
    _run(model, optimizer, 2, seed=1)
    state = optimizer.state_dict()
    kept = copy.deepcopy(state)
    _run(model, optimizer, 2, seed=2)
    assert state["param_groups"] == kept["param_groups"]
    assert state["param_groups"][0]["params"] == [0, 1, 2, 3]
    for number, name in itertools.product(range(4), ("step", "exp_avg", "exp_avg_sq")):
        np.testing.assert_array_equal(state["state"][number][name], kept["state"][number][name])
    optimizer.load_state_dict(state)
    _run(model, optimizer, 2, seed=2)
    np.testing.assert_array_equal(state["state"][0]["exp_avg"], kept["state"][0]["exp_avg"])


def _wrong_shape(state):
    state["state"][1]["exp_avg"] = np.zeros(3, np.float32)


def _one_parameter_less(state):
    state["param_groups"][0]["params"].pop()


def _one_group_more(state):
    state["param_groups"].append({"params": [4]})


def _no_groups(state):
    del state["param_groups"]


def _wrong_option(state):
    state["param_groups"][0]["lr"] = -1.0


def _wrong_step(state):
    state["state"][0]["step"] = np.zeros(3, np.int64)


_SPOILED = {
    _wrong_shape: r"Adam: state 'exp_avg' has shape \(3,\), its parameter \(10,\)",
    _one_parameter_less: r"groups of \[3\] parameters, expected \[4\]",
    _one_group_more: r"groups of \[4, 1\] parameters, expected \[4\]",
    _no_groups: "Adam: .*param_groups",
    _wrong_option: "Adam: lr = -1.0 is out of range",
    _wrong_step: "Adam: .*step",
}


@pytest.mark.parametrize("spoil", _SPOILED, ids=lambda f: f.__name__.strip("_"))
def test_a_state_dict_that_does_not_fit_changes_nothing(spoil):
    model = _small_model()
    optimizer = Adam(model.parameters(), lr=0.25)
    _run(model, optimizer, 2, seed=1)
    before, state = optimizer.state_dict(), optimizer.state_dict()
    state["param_groups"][0]["lr"] = 0.125
    spoil(state)
    with pytest.raises((ValueError, KeyError), match=_SPOILED[spoil]):
        optimizer.load_state_dict(state)
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    for number, values in before["state"].items():
        for name, value in values.items():
            np.testing.assert_array_equal(after["state"][number][name], value)


# ------------------------------------------------------------------ the same bits


def _train_twenty_steps(kind):
    fg.manual_seed(5)
    rng = np.random.default_rng(5)
    model = nn.Sequential(
        nn.Linear(37, 50), nn.BatchNorm1d(50), nn.ReLU(), nn.Dropout(0.3),
        nn.Linear(50, 21), nn.Tanh(), nn.Linear(21, 10),
    )  # fmt: skip
    options = {"lr": 0.1, "momentum": 0.9, "nesterov": True} if kind == "SGD" else {"lr": 0.01}
    optimizer = getattr(fg.optim, kind)(model.parameters(), **options)
    losses = []
    for _ in range(20):
        x = fg.tensor(rng.standard_normal((33, 37)).astype(np.float32))
        labels = fg.tensor(rng.integers(0, 10, 33))
        optimizer.zero_grad()
        loss = fg.cross_entropy(model(x), labels, label_smoothing=0.1)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, _bits(model)


@pytest.mark.usefixtures("always_threaded")
@pytest.mark.parametrize("kind", _ALL)
def test_twenty_steps_give_the_same_bits(kind):
    """With 1 and with more threads, and from run to run."""
    if fg.get_num_threads() < 2:
        pytest.skip("one thread only")
    first = _train_twenty_steps(kind)
    assert _train_twenty_steps(kind) == first
    fg.set_num_threads(1)
    assert _train_twenty_steps(kind) == first
    assert first[0][-1] != first[0][0]


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("kind", "options", "averages"),
    [
        ("SGD", {"momentum": 0.5}, ["momentum_buffer"]),
        ("Adam", {"betas": (0.5, 0.5)}, ["exp_avg", "exp_avg_sq"]),
        ("NAdam", {"betas": (0.5, 0.5)}, ["exp_avg", "exp_avg_sq"]),
        ("RAdam", {"betas": (0.5, 0.5)}, ["exp_avg", "exp_avg_sq"]),
        ("Adamax", {"betas": (0.5, 0.5)}, ["exp_avg"]),
        (
            "RMSprop",
            {"alpha": 0.5, "momentum": 0.5, "centered": True},
            ["square_avg", "grad_avg", "momentum_buffer"],
        ),
        ("Adadelta", {"rho": 0.5}, ["square_avg"]),
    ],
)
def test_averages_fade_to_zero_and_not_through_subnormal_numbers(
    kind, options, averages, dtype, backend
):
    fg.set_backend(backend)
    w = fg.tensor(np.ones(37, dtype), requires_grad=True)
    optimizer = getattr(fg.optim, kind)([w], lr=0.0, **options)
    gradient = np.ones(37, dtype)
    gradient[3], gradient[5] = np.nan, 0.0
    for step in range(1100):
        w.grad = fg.Tensor(gradient if step == 0 else np.zeros(37, dtype))
        optimizer.step()
        for name in averages:
            size = np.abs(optimizer.state[w][name])
            assert not np.any((size > 0) & (size < np.finfo(dtype).tiny))
    for name in averages:
        assert np.isnan(optimizer.state[w][name][3])
        assert not np.delete(optimizer.state[w][name], 3).any()


def test_state_of_another_type_is_refused():
    """As of a model that was converted after the optimizer's first step."""
    model = nn.Linear(3, 2)
    optimizer = Adam(model.parameters())
    model(fg.ones(1, 3)).sum().backward()
    optimizer.step()
    model.double()
    before = model.weight.data.copy()
    with pytest.raises(ValueError, match=r"float32 .*float64"):
        optimizer.step()
    np.testing.assert_array_equal(model.weight.data, before)


def test_parameters_and_state_that_were_pickled():
    def train(model, optimizer):
        optimizer.zero_grad()
        model(fg.ones(1, 3)).sum().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        optimizer.step()

    model = nn.Linear(3, 2)
    optimizer = Adam(model.parameters())
    train(model, optimizer)
    twin, twins_optimizer = pickle.loads(pickle.dumps((model, optimizer)))
    train(model, optimizer)
    train(twin, twins_optimizer)
    np.testing.assert_array_equal(twin.weight.data, model.weight.data)
