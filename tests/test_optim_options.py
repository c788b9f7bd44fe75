"""What optimizers take beyond their formulas: penalties, hooks, names, tensors; and compiled."""

import copy
import math

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn
from fastgrad.nn.utils import elastic_net_penalty, l1_penalty, l2_penalty

_KINDS = {
    "SGD": {"lr": 0.05, "momentum": 0.9, "nesterov": True},
    "ASGD": {"lr": 0.05, "t0": 3},
    "Rprop": {"lr": 0.01},
    "Adagrad": {"lr": 0.05, "lr_decay": 0.1},
    "RMSprop": {"lr": 0.01, "momentum": 0.5, "centered": True, "eps": 1e-3},
    "Adadelta": {"lr": 0.5},
    "Adam": {"lr": 0.02, "amsgrad": True},
    "AdamW": {"lr": 0.02},
    "Adamax": {"lr": 0.02},
    "NAdam": {"lr": 0.02, "decoupled_weight_decay": True, "weight_decay": 0.1},
    "RAdam": {"lr": 0.02},
}
_NO_DECAY = {"Rprop"}


def _make(kind, params, **more):
    return getattr(fg.optim, kind)(params, **_KINDS[kind] | more)


# ------------------------------------------------------------------ penalties


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("kind", _KINDS)
def test_l1_decay_is_the_penalty_in_the_loss(kind, backend):
    fg.set_backend(backend)
    start = np.random.default_rng(0).standard_normal((5, 9))
    start[1, :4] = 0  # where |x| has no slope
    results = []
    for in_loss in (False, True):
        w = fg.tensor(start, requires_grad=True)
        optimizer = _make(kind, [w], l1_decay=0.0 if in_loss else 0.3)
        for step in range(10):
            optimizer.zero_grad()
            loss = (w * w * math.cos(step)).sum() + (l1_penalty([w], 0.3) if in_loss else 0.0)
            loss.backward()
            optimizer.step()
        results.append(w.detach().numpy())
    np.testing.assert_allclose(*results, rtol=1e-12, atol=1e-12)


def test_an_elastic_net_of_both_decays():
    start, results = np.random.default_rng(0).standard_normal(9), []
    for in_loss in (False, True):
        w = fg.tensor(start, requires_grad=True)
        decays = {} if in_loss else {"l1_decay": 0.2, "weight_decay": 0.1}
        optimizer = fg.optim.SGD([w], lr=0.1, **decays)
        for _ in range(5):
            optimizer.zero_grad()
            (w.sum() + (elastic_net_penalty([w], 0.2, 0.1) if in_loss else 0.0)).backward()
            optimizer.step()
        results.append(w.detach().numpy())
    np.testing.assert_allclose(*results, rtol=1e-12)


def test_a_penalty_is_added_also_where_the_goal_is_maximized():
    w = fg.tensor([2.0, -2.0], requires_grad=True)
    w.grad = fg.tensor([1.0, 1.0])
    fg.optim.SGD([w], lr=1.0, maximize=True, l1_decay=0.5).step()
    assert w.tolist() == [2.5, -0.5]


def test_penalties_of_several_parameters():
    w, b = fg.tensor([[3.0, -4.0]], requires_grad=True), fg.tensor(-2.0, requires_grad=True)
    assert l1_penalty([w, b], 0.5).item() == 4.5
    assert l2_penalty([w, b], 0.5).item() == 7.25
    assert elastic_net_penalty(iter([w, b]), 0.5, 0.5).item() == 11.75
    assert l1_penalty(w).item() == 7
    assert l1_penalty([]).item() == 0
    (gradient,) = fg.grad(l2_penalty([w, b], 2.0), w, create_graph=True)
    assert gradient.tolist() == [[6, -8]]
    assert fg.grad(gradient.sum(), w)[0].tolist() == [[2, 2]]
    assert l1_penalty(w.detach().to(np.float64)).dtype == np.float64


# ------------------------------------------------------------------ compiled


def _train(kind, wrap, options):
    fg.manual_seed(0)
    rng = np.random.default_rng(0)
    model = nn.Sequential(nn.Linear(13, 17), nn.Tanh(), nn.Linear(17, 3))
    optimizer = _make(kind, model.parameters(), **options)

    @wrap
    def step(x, y):
        optimizer.zero_grad()
        loss = ((model(x) - y) ** 2).mean()
        loss.backward()
        optimizer.step()
        return loss

    losses = []
    for _ in range(12):
        x, y = (fg.tensor(rng.standard_normal((7, n)).astype(np.float32)) for n in (13, 3))
        losses.append(step(x, y).item())
    state = [
        {name: np.asarray(value).tobytes() for name, value in values.items()}
        for values in optimizer.state_dict()["state"].values()
    ]
    return losses, [p.data.tobytes() for p in model.parameters()], state


@pytest.mark.parametrize("decays", ["none", "both"])
@pytest.mark.parametrize("kind", _KINDS)
def test_a_compiled_step_gives_the_eager_bits(kind, decays):
    options = {} if decays == "none" else {"l1_decay": 0.01, "maximize": True}
    if decays == "both" and kind not in _NO_DECAY:
        options["weight_decay"] = 0.02
    assert _train(kind, fg.compile, options) == _train(kind, lambda step: step, options)


@pytest.mark.parametrize("option", ["maximize", "momentum", "centered"])
def test_a_switch_leads_to_a_new_recording(option):
    results = []
    for wrap in (fg.compile, lambda step: step):
        w = fg.tensor([1.0, 2.0], requires_grad=True)
        optimizer = fg.optim.RMSprop([w], lr=0.1, eps=0.1)

        @wrap
        def step(x, w=w, optimizer=optimizer):
            optimizer.zero_grad()
            (w * w * x).sum().backward()
            optimizer.step()

        for number in range(6):
            if number == 3:
                optimizer.param_groups[0][option] = 0.5 if option == "momentum" else True
            step(fg.ones(2))
        results.append(w.data.tobytes())
    assert results[0] == results[1]


# ------------------------------------------------------------------ hooks


def test_hooks_around_a_step():
    w = fg.ones(1, requires_grad=True)
    w.grad = fg.ones(1)
    optimizer, seen = fg.optim.SGD([w], lr=0.25), []

    def before(chosen, args, kwargs):
        assert chosen is optimizer
        assert args == (optimizer,)
        seen.append(("before", w.item(), kwargs))

    def after(chosen, args, kwargs):
        seen.append(("after", w.item(), kwargs))

    handles = optimizer.register_step_pre_hook(before), optimizer.register_step_post_hook(after)
    optimizer.step(closure=None)
    assert seen == [("before", 1, {"closure": None}), ("after", 0.75, {"closure": None})]
    for handle in handles:
        handle.remove()
        handle.remove()
    optimizer.step()
    assert len(seen) == 2


def test_a_hook_may_change_the_arguments():
    w = fg.ones(1, requires_grad=True)
    optimizer = fg.optim.SGD([w])
    handle = optimizer.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: 7), {}))
    assert optimizer.step() == 7
    handle.remove()
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 3)
    with pytest.raises(RuntimeError, match=r"SGD: expected a hook .* None or \(args, kwargs\)"):
        optimizer.step()


def test_hooks_of_optimizers_with_their_own_step():
    w, seen = fg.ones(1, requires_grad=True), []
    optimizer = fg.optim.NewtonCG([w])
    optimizer.register_step_post_hook(lambda o, args, kwargs: seen.append(w.item()))
    optimizer.step(lambda: (w * w).sum())
    assert seen == [0]


# ------------------------------------------------------------------ names, tensors, keywords


def test_named_parameters():
    model = nn.Linear(2, 3)
    optimizer = fg.optim.Adam(model.named_parameters())
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.param_groups[0]["params"][0] is model.weight
    state = optimizer.state_dict()
    assert state["param_groups"][0]["param_names"] == ["weight", "bias"]
    optimizer.load_state_dict(state)


@pytest.mark.parametrize("kind", sorted(_KINDS))
def test_options_that_are_tensors(kind):
    results = []
    for make in (float, lambda x: fg.tensor(x, dtype=fg.float64)):
        w = fg.ones(3, requires_grad=True)
        w.grad = fg.tensor([1.0, -2.0, 0.5])
        options = {"lr": make(0.125)}
        if "betas" in fg.optim.Adam([w]).defaults and kind == "Adam":
            options["betas"] = (make(0.5), make(0.75))
        optimizer = _make(kind, [w], **options)
        for _ in range(3):
            optimizer.step()
        results.append(w.data.tobytes())
    assert results[0] == results[1]


@pytest.mark.parametrize("kind", sorted(_KINDS))
def test_choices_of_implementations_change_nothing(kind):
    known = getattr(fg.optim, kind)([fg.ones(1)]).defaults
    for name in {"foreach", "fused", "capturable"} & known.keys():
        optimizer = _make(kind, [fg.ones(1)], **{name: True})
        assert optimizer.param_groups[0][name] is True


@pytest.mark.parametrize("kind", sorted(_KINDS))
def test_a_copied_optimizer_goes_on_by_itself(kind):
    model = nn.Linear(3, 2)
    optimizer = _make(kind, model.parameters())

    def step(model, optimizer):
        optimizer.zero_grad()
        (model(fg.ones(4, 3)) ** 2).sum().backward()
        optimizer.step()

    step(model, optimizer)
    twin, other = copy.deepcopy((model, optimizer))
    step(model, optimizer)
    before = twin.weight.data.copy()
    step(twin, other)
    assert (before != twin.weight.data).any()
    np.testing.assert_array_equal(twin.weight.data, model.weight.data)
