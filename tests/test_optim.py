"""Optimizers against PyTorch; what a step touches; options and groups."""

import math
import sys

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn
from fastgrad.optim import ASGD, SGD, Adagrad, Adam, AdamW, NAdam, RMSprop, Rprop


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")


_OPTIONS = {
    "SGD": (
        {},
        {"weight_decay": 0.1},
        {"maximize": True},
        {"momentum": 0.9},
        {"momentum": 0.9, "dampening": 0.5},
        {"momentum": 0.9, "nesterov": True},
        {"momentum": 0.9, "nesterov": True, "weight_decay": 0.1, "maximize": True},
        {"momentum": 0.5, "dampening": 0.3, "weight_decay": 0.01, "maximize": True},
        {"dampening": 0.5},
        {"lr": 0.0, "momentum": 0.9},
    ),
    "Adam": (
        {},
        {"weight_decay": 0.1},
        {"maximize": True},
        {"amsgrad": True},
        {"betas": (0.5, 0.9), "eps": 1e-3},
        {"betas": (0.0, 0.0)},
        {"amsgrad": True, "maximize": True, "weight_decay": 0.05},
    ),
}
_OPTIONS["AdamW"] = _OPTIONS["Adam"] + ({"weight_decay": 0}, {"lr": 0.1})
_PLAIN = ({}, {"weight_decay": 0.1}, {"maximize": True, "weight_decay": 0.05})
_DECOUPLED = ({"decoupled_weight_decay": True, "weight_decay": 0.2, "maximize": True},)
_OPTIONS |= {
    "Adadelta": (*_PLAIN, {"rho": 0.5, "eps": 1e-3}, {"lr": 1.0, "rho": 1.0}),
    "Adagrad": (*_PLAIN, {"lr_decay": 0.1}, {"initial_accumulator_value": 0.5, "eps": 1e-3}),
    "Adamax": (*_PLAIN, {"betas": (0.5, 0.9), "eps": 1e-3}),
    "ASGD": (*_PLAIN, {"t0": 10, "lambd": 0.1}, {"alpha": 0.5, "lambd": 0.01}),
    "NAdam": (*_PLAIN, *_DECOUPLED, {"momentum_decay": 0.1, "betas": (0.8, 0.9)}),
    "RAdam": (*_PLAIN, *_DECOUPLED, {"betas": (0.5, 0.9)}, {"betas": (0.9, 0.5), "eps": 1e-2}),
    "RMSprop": (
        *_PLAIN,
        {"momentum": 0.9},
        {"centered": True, "eps": 1e-3},
        {"centered": True, "momentum": 0.5, "alpha": 0.9, "weight_decay": 0.1, "eps": 1e-2},
    ),
    "Rprop": ({}, {"maximize": True}, {"etas": (0.25, 1.5), "step_sizes": (1e-3, 0.1)}),
}
_RATES = dict.fromkeys(_OPTIONS, 0.02) | {"SGD": 0.03, "Adadelta": 0.5}
_ALL = sorted(_OPTIONS)
_CASES = [
    pytest.param(kind, {"lr": _RATES[kind], **options}, id=f"{kind}-{number}")
    for kind, table in _OPTIONS.items()
    for number, options in enumerate(table)
]
_TOLERANCE = {"float32": 3e-5, "float64": 1e-12}
_SHAPES = ((7,), (3, 5), (), (40, 33))


def _gradient(rng, array, step):
    """Changes sign and size over the steps, and is exactly 0 here and there."""
    gradient = np.cos(step) * array + rng.standard_normal(array.shape)
    return np.where(rng.uniform(size=array.shape) < 0.1, 0.0, gradient).astype(array.dtype)


def _parameters(dtype):
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape).astype(dtype) for shape in _SHAPES]


def _trajectory(optimizer, parameters, wrap, arrays_of, steps=50, change=None):
    """Parameters after each step; the last one gets no gradient in every third step."""
    rng = np.random.default_rng(1)
    history = []
    for step in range(steps):
        for k, parameter in enumerate(parameters):
            gradient = _gradient(rng, arrays_of(parameter), step)
            skipped = step % 3 == 1 and k == len(parameters) - 1
            parameter.grad = None if skipped else wrap(gradient)
        if change is not None:
            change(optimizer, step)
        optimizer.step()
        history.append([arrays_of(parameter).copy() for parameter in parameters])
    return history


def _ours(kind, options, dtype, group=lambda parameters: parameters, **more):
    parameters = [fg.tensor(array, requires_grad=True) for array in _parameters(dtype)]
    optimizer = getattr(fg.optim, kind)(group(parameters), **options)
    return _trajectory(optimizer, parameters, fg.Tensor, lambda p: p.data, **more)


@pytest.fixture(autouse=True)
def _scalars_of_pytorch_in_float64():
    """PyTorch keeps its scalars in its default type; ours are float64."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def _theirs(torch, kind, options, dtype, group=lambda parameters: parameters, **more):
    parameters = [torch.tensor(array, requires_grad=True) for array in _parameters(dtype)]
    optimizer = getattr(torch.optim, kind)(group(parameters), **options)
    return _trajectory(optimizer, parameters, torch.tensor, lambda p: p.detach().numpy(), **more)


def _assert_same(ours, theirs, dtype):
    """Each step's values; differences may grow with the number of steps taken."""
    for step, (a, b) in enumerate(zip(ours, theirs, strict=True)):
        tolerance = _TOLERANCE[dtype] * (1 + step / 10)
        for x, y in zip(a, b, strict=True):
            assert x.dtype == y.dtype == dtype
            np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


# ------------------------------------------------------------------ against PyTorch


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("kind", "options"), _CASES)
def test_fifty_steps_as_in_pytorch(torch, kind, options, dtype, backend):
    fg.set_backend(backend)
    _assert_same(_ours(kind, options, dtype), _theirs(torch, kind, options, dtype), dtype)


def _groups(kind):
    other = {
        "SGD": {"momentum": 0.5}, "Adam": {"betas": (0.5, 0.7)}, "AdamW": {"amsgrad": True},
        "RMSprop": {"momentum": 0.5, "centered": True}, "NAdam": {"betas": (0.5, 0.7)},
    }  # fmt: skip
    return lambda parameters: [
        {"params": parameters[:2]},
        {"params": parameters[2], "lr": 0.1, **other.get(kind, {})},
        {"params": parameters[3:], "weight_decay": 0.2},
    ]


def _change_rate(optimizer, step):
    for group in optimizer.param_groups:
        group["lr"] *= 0.5 if step == 20 else 1.05


@pytest.mark.parametrize("kind", _ALL)
def test_groups_and_changing_rates_as_in_pytorch(torch, kind):
    options = {"lr": _RATES[kind]}
    run = {"group": _groups(kind), "change": _change_rate}
    ours = _ours(kind, options, "float32", **run)
    _assert_same(ours, _theirs(torch, kind, options, "float32", **run), "float32")


@pytest.mark.parametrize("kind", _ALL)
def test_defaults_are_pytorchs(torch, kind):
    ours = getattr(fg.optim, kind)([fg.ones(1)]).defaults
    theirs = getattr(torch.optim, kind)([torch.ones(1)]).defaults
    assert ours.pop("l1_decay") == 0
    assert ours == theirs


def test_a_step_by_hand():
    w = fg.tensor([1.0, -2.0], dtype=fg.float64, requires_grad=True)
    w.grad = fg.tensor([0.5, 1.0], dtype=fg.float64)
    SGD([w], lr=0.1, momentum=0.9, weight_decay=0.1).step()
    assert w.tolist() == pytest.approx([1 - 0.1 * 0.6, -2 - 0.1 * 0.8])
    w.grad = fg.tensor([3.0, -0.001], dtype=fg.float64)
    before = w.tolist()
    Adam([w], lr=0.1).step()  # a first step has the size of the rate
    assert w.tolist() == pytest.approx([before[0] - 0.1, before[1] + 0.1], abs=2e-6)


# ------------------------------------------------------------------ what a step touches


def test_only_parameters_with_a_gradient_move():
    used, unused = fg.ones(2, requires_grad=True), fg.ones(2, requires_grad=True)
    for optimizer in (
        SGD([used, unused], lr=1.0, momentum=0.9, weight_decay=0.5),
        Adam([used, unused]),
        AdamW([used, unused]),
    ):
        used.grad = fg.ones(2)
        optimizer.step()
        assert unused.tolist() == [1, 1]
        assert list(optimizer.state_dict()["state"]) == [0]
    assert used.grad.tolist() == [1, 1]


def test_a_step_records_nothing_and_keeps_the_array():
    w = fg.ones(3, requires_grad=True)
    array = w.data
    (w * 2).sum().backward()
    SGD([w], lr=0.25).step()
    assert w.data is array
    assert w.is_leaf
    assert w.requires_grad
    assert array.tolist() == [0.5] * 3


def test_a_closure_is_called_with_recording_on():
    w = fg.tensor(3.0, requires_grad=True)
    optimizer = SGD([w], lr=0.1)

    def closure():
        optimizer.zero_grad()
        loss = w * w
        loss.backward()
        return loss

    with fg.no_grad():
        assert optimizer.step(closure).item() == 9
    assert w.item() == pytest.approx(2.4)
    assert optimizer.step() is None


def test_zero_grad_both_ways():
    w, v = fg.ones(2, requires_grad=True), fg.ones(2, requires_grad=True)
    (w * 3).sum().backward()
    optimizer = SGD([w, v])
    gradient = w.grad
    optimizer.zero_grad(set_to_none=False)
    assert w.grad is gradient
    assert gradient.tolist() == [0, 0]
    assert v.grad is None
    optimizer.zero_grad()
    assert w.grad is None


def _read_only(array):
    array = array.copy()
    array.flags.writeable = False
    return array


_LAYOUTS = {
    "transposed": lambda a: a.T.copy().T,
    "strided": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "reversed": lambda a: a[::-1].copy()[::-1],
    "read-only": _read_only,
}


@pytest.mark.parametrize("kind", _ALL)
@pytest.mark.parametrize("layout", _LAYOUTS)
def test_layouts_of_parameters_and_gradients(kind, layout):
    rng = np.random.default_rng(0)
    values = rng.standard_normal((5, 7)).astype(np.float32)
    gradients = rng.standard_normal((4, 5, 7)).astype(np.float32)
    options = {"momentum": 0.9} if kind in ("SGD", "RMSprop") else {}
    results = []
    for arrange in (np.array, _LAYOUTS[layout]):
        given = arrange(values)
        w = fg.Tensor(given, requires_grad=True)
        optimizer = getattr(fg.optim, kind)([w], lr=0.1, **options)
        for gradient in gradients:
            w.grad = fg.Tensor(arrange(gradient))
            optimizer.step()
        results.append(w.data)
        if layout == "read-only" and not given.flags.writeable:
            np.testing.assert_array_equal(given, values)
    np.testing.assert_array_equal(*results)


def test_a_step_reaches_every_name_of_a_parameter():
    """Another view of a parameter's memory sees the step, whatever its layout."""
    base = fg.tensor(np.arange(6, dtype=np.float32).reshape(2, 3))
    w = nn.Parameter(base.T)
    (w * 2).sum().backward()
    SGD([w], lr=0.5).step()
    assert w.tolist() == (np.arange(6).reshape(2, 3).T - 1).tolist()
    assert base.tolist() == (np.arange(6).reshape(2, 3) - 1).tolist()


@pytest.mark.parametrize("shape", [(), (0,), (1,), (1, 1)])
@pytest.mark.parametrize("kind", _ALL)
def test_small_parameters(kind, shape):
    w = fg.ones(*shape, requires_grad=True)
    optimizer = getattr(fg.optim, kind)([w], lr=0.1)
    w.grad = fg.ones(*shape)
    optimizer.step()
    assert w.shape == shape
    first = {"RMSprop": 0.0, "Adadelta": 0.99968}.get(kind, 0.9)
    np.testing.assert_allclose(w.detach(), np.full(shape, first), atol=8e-3)


# ------------------------------------------------------------------ options and groups

_WRONG_OPTIONS = [
    (SGD, {"lr": -0.1}, r"SGD: lr = -0.1 is out of range; expected at least 0"),
    (SGD, {"lr": math.nan}, "SGD: lr = nan"),
    (SGD, {"lr": math.inf}, "SGD: lr = inf"),
    (SGD, {"momentum": -0.5}, "SGD: momentum = -0.5"),
    (SGD, {"weight_decay": -1}, "SGD: weight_decay = -1"),
    (SGD, {"nesterov": True}, "nesterov wants a momentum above 0 and no dampening"),
    (SGD, {"nesterov": True, "momentum": 0.9, "dampening": 0.1}, "nesterov wants"),
    (Adam, {"lr": -1}, "Adam: lr = -1"),
    (Adam, {"betas": (1.0, 0.9)}, r"Adam: betas\[0\] = 1.0 is out of range; .* and below 1"),
    (Adam, {"betas": (0.9, -0.1)}, r"Adam: betas\[1\] = -0.1"),
    (Adam, {"eps": -1e-8}, "Adam: eps = -1e-08"),
    (AdamW, {"weight_decay": -0.1}, "AdamW: weight_decay = -0.1"),
    (AdamW, {"l1_decay": -0.1}, "AdamW: l1_decay = -0.1"),
    (Adagrad, {"lr_decay": -1}, "Adagrad: lr_decay = -1"),
    (Adagrad, {"initial_accumulator_value": -1}, "Adagrad: initial_accumulator_value = -1"),
    (RMSprop, {"alpha": -1}, "RMSprop: alpha = -1"),
    (NAdam, {"momentum_decay": -1}, "NAdam: momentum_decay = -1"),
    (fg.optim.RAdam, {"betas": (0.5, 1.0)}, r"RAdam: betas\[1\] = 1.0"),
    (fg.optim.Adadelta, {"rho": 1.01}, "Adadelta: rho = 1.01"),
    (ASGD, {"weight_decay": -1}, "ASGD: weight_decay = -1"),
    (Rprop, {"etas": (0.5, 0.9)}, r"Rprop: etas = \(0.5, 0.9\) is out of range"),
    (Rprop, {"step_sizes": (1, 0.5)}, r"Rprop: step_sizes\[1\] = 0.5"),
]


@pytest.mark.parametrize(("kind", "options", "message"), _WRONG_OPTIONS)
def test_options_out_of_range(kind, options, message):
    w = fg.ones(2, requires_grad=True)
    with pytest.raises(ValueError, match=message):
        kind([w], **options)
    optimizer = kind([w])
    with pytest.raises(ValueError, match=message):
        optimizer.add_param_group({"params": [fg.ones(1, requires_grad=True)], **options})
    assert len(optimizer.param_groups) == 1


_WRONG_PARAMETERS = {
    "none": (lambda w: SGD([]), ValueError, "SGD: got no parameters"),
    "arrays": (lambda w: SGD([np.ones(2)]), TypeError, "expected tensors, got ndarray"),
    "pairs": (lambda w: SGD([(1, w)]), TypeError, "expected tensors, got tuple"),
    "some names": (lambda w: SGD([("w", w), fg.ones(1)]), ValueError, "names for all parameters"),
    "a set": (lambda w: SGD([{"params": {w}}]), TypeError, "a set has no order"),
    "no group": (lambda w: SGD([w]).add_param_group([w]), TypeError, "expected a group as a dict"),
    "names in one group": (
        lambda w: SGD([{"params": [("w", w)]}, {"params": fg.ones(1)}]),
        ValueError,
        "names in all groups of parameters or none",
    ),
    "differentiable": (lambda w: Adam([w], differentiable=True), ValueError, "Adam: different"),
    "a rate of two": (lambda w: SGD([w], lr=fg.ones(2)), ValueError, "expected one element"),
    "result": (lambda w: SGD([w * 2]), ValueError, "can only optimize leaf tensors"),
    "twice": (lambda w: SGD([w, w]), ValueError, "a parameter is given twice"),
    "twice in groups": (
        lambda w: SGD([{"params": [w]}, {"params": w}]),
        ValueError,
        "a parameter is given twice",
    ),
}


@pytest.mark.parametrize("name", _WRONG_PARAMETERS)
def test_parameters_that_are_refused(name):
    call, exception, message = _WRONG_PARAMETERS[name]
    with pytest.raises(exception, match=message):
        call(fg.ones(2, requires_grad=True))


def test_adding_a_group():
    w, v = fg.ones(2, requires_grad=True), fg.ones(2, requires_grad=True)
    optimizer = SGD(w, lr=0.1)
    optimizer.add_param_group({"params": v, "lr": 0.5})
    assert [group["lr"] for group in optimizer.param_groups] == [0.1, 0.5]
    assert optimizer.param_groups[1]["params"] == [v]
    ((w + v) * 1.0).sum().backward()
    optimizer.step()
    assert w.tolist() == pytest.approx([0.9, 0.9])
    assert v.tolist() == [0.5, 0.5]
    with pytest.raises(ValueError, match="given twice"):
        optimizer.add_param_group({"params": [fg.ones(1), w]})
    assert len(optimizer.param_groups) == 2


def test_parameters_may_come_from_a_generator():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    optimizer = Adam(p for p in model.parameters())
    assert len(optimizer.param_groups[0]["params"]) == 4


def test_text():
    assert repr(SGD([fg.ones(1)], lr=0.5)) == (
        "SGD (\nParameter Group 0\n    dampening: 0\n    differentiable: False\n"
        "    foreach: None\n    fused: None\n    l1_decay: 0\n    lr: 0.5\n    maximize: False\n"
        "    momentum: 0\n    nesterov: False\n    weight_decay: 0\n)"
    )
