"""Schedules: every rate as PyTorch's, or as the formula; state; and what a compiled step sees."""

import math
import pickle
import warnings
from types import SimpleNamespace

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.optim import lr_scheduler as ours
from fastgrad.optim import swa_utils

_STEPS = 60


class _Falling:
    """A function whose state a state dict holds."""

    def __init__(self, rate):
        self.rate = rate

    def __call__(self, epoch):
        return self.rate**epoch


def _chain(module, optimizer, *parts):
    return module.ChainedScheduler([make(module, optimizer) for make in parts])


def _sequence(module, optimizer, milestones, *parts):
    parts = [make(module, optimizer) for make in parts]
    return module.SequentialLR(optimizer, parts, milestones=milestones)


def _named(name, *args, **options):
    return lambda module, optimizer: getattr(module, name)(optimizer, *args, **options)


_WARM_UP = _named("LinearLR", start_factor=0.1, total_iters=7)
_SCHEDULES = {
    "lambda": _named("LambdaLR", lambda epoch: 0.95**epoch),
    "lambdas": _named("LambdaLR", [lambda epoch: 1 / (1 + epoch), _Falling(0.9)]),
    "multiplicative": _named("MultiplicativeLR", lambda epoch: 0.95 + 0.001 * epoch),
    "step": _named("StepLR", 7),
    "step, gamma": _named("StepLR", step_size=5, gamma=0.7),
    "milestones": _named("MultiStepLR", [3, 10, 10, 40], gamma=0.5),
    "constant": _named("ConstantLR"),
    "constant, long": _named("ConstantLR", factor=0.7, total_iters=20),
    "linear": _named("LinearLR"),
    "linear down": _named("LinearLR", start_factor=1.0, end_factor=0.2, total_iters=33),
    "exponential": _named("ExponentialLR", gamma=0.93),
    "polynomial": _named("PolynomialLR", total_iters=30, power=2.0),
    "polynomial, line": _named("PolynomialLR", total_iters=45),
    "cosine": _named("CosineAnnealingLR", T_max=40),
    "cosine, up again": _named("CosineAnnealingLR", T_max=13, eta_min=0.01),
    "restarts": _named("CosineAnnealingWarmRestarts", T_0=9),
    "restarts, longer": _named("CosineAnnealingWarmRestarts", T_0=4, T_mult=2, eta_min=0.003),
    "cyclic": _named("CyclicLR", base_lr=0.01, max_lr=0.1, step_size_up=7),
    "cyclic, lists": _named(
        "CyclicLR", base_lr=[0.01, 0.02], max_lr=[0.1, 0.3], step_size_up=5, step_size_down=9,
        mode="triangular2", base_momentum=[0.7, 0.6], max_momentum=0.95,
    ),
    "cyclic, exp": _named(
        "CyclicLR", base_lr=0.01, max_lr=0.1, step_size_up=4, mode="exp_range", gamma=0.97,
        cycle_momentum=False,
    ),
    "cyclic, function": _named(
        "CyclicLR", base_lr=0.01, max_lr=0.1, step_size_up=4, scale_fn=lambda x: 1 / x,
    ),
    "cyclic, function of steps": _named(
        "CyclicLR", base_lr=0.01, max_lr=0.1, step_size_up=4, scale_fn=lambda x: 0.99**x,
        scale_mode="iterations",
    ),
    "one cycle": _named("OneCycleLR", max_lr=0.5, total_steps=_STEPS + 1),
    "one cycle, linear": _named(
        "OneCycleLR", max_lr=[0.5, 0.1], epochs=9, steps_per_epoch=7, anneal_strategy="linear",
        pct_start=0.4, div_factor=10, final_div_factor=100,
    ),
    "one cycle, three phases": _named(
        "OneCycleLR", max_lr=0.5, total_steps=_STEPS, three_phase=True, cycle_momentum=False,
    ),
    "warm-up": lambda m, o: _sequence(m, o, [7], _WARM_UP, _named("CosineAnnealingLR", T_max=50)),
    "three in a row": lambda m, o: _sequence(
        m, o, [7, 30], _WARM_UP, _named("ExponentialLR", 0.9), _named("StepLR", 3, 0.5)
    ),
    "warm-up and restarts": lambda m, o: _sequence(
        m, o, [7], _WARM_UP, _named("CosineAnnealingWarmRestarts", 5, 2)
    ),
    "chained": lambda m, o: _chain(m, o, _named("ConstantLR", 0.1, 4), _named("StepLR", 5, 0.9)),
    "chain in a sequence": lambda m, o: m.ChainedScheduler(
        [_sequence(m, o, [9], _WARM_UP, _named("StepLR", 10)), _named("ExponentialLR", 0.99)(m, o)]
    ),
}  # fmt: skip
_SWA = {
    "cos": {"swa_lr": 0.05},
    "linear": {"swa_lr": [0.05, 0.5], "anneal_epochs": 20, "anneal_strategy": "linear"},
    "at once": {"swa_lr": 0.05, "anneal_epochs": 0},
}
_SCHEDULES |= {
    f"swa, {name}": lambda m, o, options=options: m.SWALR(o, **options)
    for name, options in _SWA.items()
}


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")


def _optimizer(kind="SGD", make=fg.ones, optim=fg.optim):
    groups = [{"params": [make(2)]}, {"params": [make(1)], "lr": 0.3}]
    options = {"momentum": 0.9} if kind == "SGD" else {}
    optimizer = getattr(optim, kind)(groups, lr=0.1, **options)
    optimizer.step()
    return optimizer


def _options_of(optimizer):
    return [(g["lr"], g.get("momentum"), g.get("betas")) for g in optimizer.param_groups]


def _trace(schedule, optimizer, steps=_STEPS):
    history = [(schedule.get_last_lr(), _options_of(optimizer))]
    for _ in range(steps):
        optimizer.step()
        schedule.step()
        history.append((schedule.get_last_lr(), _options_of(optimizer)))
    return history


def _module(optim):
    """All schedules in one place."""
    return SimpleNamespace(**vars(optim.lr_scheduler), SWALR=optim.swa_utils.SWALR)


_OURS = _module(fg.optim)


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("name", _SCHEDULES)
def test_sixty_rates_as_in_pytorch(torch, name, kind):
    optimizer = _optimizer(kind)
    history = _trace(_SCHEDULES[name](_OURS, optimizer), optimizer)
    other = _optimizer(kind, torch.ones, torch.optim)
    assert history == _trace(_SCHEDULES[name](_module(torch.optim), other), other)


@pytest.mark.parametrize(
    "name", ["step", "milestones", "linear", "cosine", "polynomial", "restarts"]
)
def test_rates_of_an_epoch_as_in_pytorch(torch, name):
    optimizer, other = _optimizer(), _optimizer("SGD", torch.ones, torch.optim)
    schedule = _SCHEDULES[name](_OURS, optimizer)
    theirs = _SCHEDULES[name](_module(torch.optim), other)
    for epoch in (3, 17, 5, 41):
        schedule.step(epoch)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs.step(epoch)
        assert schedule.get_last_lr() == theirs.get_last_lr()


_PLATEAUS = [
    {},
    {"patience": 3, "factor": 0.5},
    {"patience": 1, "cooldown": 4, "factor": 0.7, "min_lr": [0.01, 0.2]},
    {"mode": "max", "patience": 2, "threshold": 0.05},
    {"mode": "max", "patience": 2, "threshold": 0.05, "threshold_mode": "abs"},
    {"threshold_mode": "abs", "threshold": 0.3, "patience": 2, "eps": 1e-3},
]


@pytest.mark.parametrize("options", _PLATEAUS)
def test_plateaus_as_in_pytorch(torch, options):
    metrics = np.cumsum(np.random.default_rng(0).standard_normal(_STEPS)).tolist()
    metrics[20], metrics[30] = math.nan, math.inf
    optimizer, other = _optimizer(), _optimizer("SGD", torch.ones, torch.optim)
    schedule = ours.ReduceLROnPlateau(optimizer, **options)
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(other, **options)
    for metric in metrics:
        schedule.step(fg.tensor(metric, dtype=fg.float64))
        theirs.step(metric)
        assert schedule.get_last_lr() == theirs.get_last_lr()
        assert schedule.in_cooldown == theirs.in_cooldown


_FORMULAS = {
    "step": lambda t: 0.1 * 0.1 ** (t // 7),
    "exponential": lambda t: 0.1 * 0.93**t,
    "linear": lambda t: 0.1 * (1 / 3 + 2 / 3 * min(t, 5) / 5),
    "polynomial": lambda t: 0.1 * (1 - min(t, 30) / 30) ** 2,
    "cosine": lambda t: 0.05 * (1 + math.cos(math.pi * t / 40)),
    "restarts": lambda t: 0.05 * (1 + math.cos(math.pi * (t % 9) / 9)),
    "cyclic": lambda t: 0.01 + 0.09 * (1 - abs(t / 7 % 2 - 1)),
}


@pytest.mark.parametrize("name", _FORMULAS)
def test_rates_by_formula(name):
    optimizer = _optimizer()
    history = _trace(_SCHEDULES[name](_OURS, optimizer), optimizer)
    rates = [rates[0] for rates, _ in history]
    expected = [_FORMULAS[name](t) for t in range(_STEPS + 1)]
    np.testing.assert_allclose(rates, expected, rtol=1e-9, atol=1e-12)


def test_inverse_time():
    optimizer = _optimizer()
    history = _trace(ours.InverseTimeLR(optimizer, decay=0.25), optimizer)
    expected = [0.1 / (1 + 0.25 * t) for t in range(_STEPS + 1)]
    np.testing.assert_allclose([rates[0] for rates, _ in history], expected, rtol=1e-12)
    schedule = ours.InverseTimeLR(_optimizer(), decay=0.25)
    schedule.step(8)
    assert schedule.get_last_lr() == pytest.approx([0.1 / 3, 0.1])


@pytest.mark.parametrize("name", _SCHEDULES)
def test_a_loaded_state_goes_on(name):
    optimizer = _optimizer()
    schedule = _SCHEDULES[name](_OURS, optimizer)
    _trace(schedule, optimizer, 25)
    saved = pickle.loads(pickle.dumps((schedule.state_dict(), optimizer.state_dict())))
    expected = _trace(schedule, optimizer, 20)
    twin = _optimizer()
    other = _SCHEDULES[name](_OURS, twin)
    other.load_state_dict(saved[0])
    twin.load_state_dict(saved[1])
    assert _trace(other, twin, 20) == expected


def test_a_plateau_s_state():
    first, second = (ours.ReduceLROnPlateau(_optimizer(), patience=2) for _ in range(2))
    for metric in (1.0, 2.0, 2.0):
        first.step(metric)
    second.load_state_dict(first.state_dict())
    second.step(2.0)
    assert second.get_last_lr() == [pytest.approx(0.01), pytest.approx(0.03)]


def test_a_function_with_a_state_is_restored():
    function, optimizer = _Falling(0.5), _optimizer()
    schedule = ours.LambdaLR(optimizer, function)
    state = schedule.state_dict()
    function.rate = 0.25
    schedule.load_state_dict(state)
    assert function.rate == 0.5


def test_a_schedule_resumes_from_an_epoch():
    optimizer = _optimizer()
    _trace(ours.ExponentialLR(optimizer, 0.5), optimizer, 3)
    schedule = ours.ExponentialLR(optimizer, 0.5, last_epoch=3)
    assert schedule.last_epoch == 4
    with pytest.raises(KeyError, match="group 0 has no 'initial_lr', which last_epoch = 3 needs"):
        ours.ExponentialLR(_optimizer(), 0.5, last_epoch=3)


def test_a_rate_that_is_a_tensor_stays_the_same_tensor():
    rate = fg.tensor(0.5, dtype=fg.float64)
    w = fg.ones(1, requires_grad=True)
    optimizer = fg.optim.SGD([w], lr=rate)
    schedule = ours.ExponentialLR(optimizer, 0.5)
    w.grad = fg.ones(1)
    optimizer.step()
    schedule.step()
    optimizer.step()
    assert optimizer.param_groups[0]["lr"] is rate
    assert rate.item() == 0.25
    assert w.item() == 0.25
    assert schedule.base_lrs[0].item() == 0.5


def test_the_order_of_steps():
    optimizer = fg.optim.SGD([fg.ones(1)], lr=0.1)
    schedule = ours.StepLR(optimizer, 3)
    with pytest.warns(UserWarning, match=r"StepLR.step\(\) is called before optimizer.step\(\)"):
        schedule.step()


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("name", ["warm-up", "one cycle", "cyclic", "swa, cos"])
def test_a_compiled_step_sees_every_rate(name, kind):
    """And is recorded once."""

    def train(wrap):
        w = fg.tensor([1.0, -2.0, 3.0], requires_grad=True)
        optimizer = getattr(fg.optim, kind)([{"params": w}, {"params": []}], lr=0.1)
        schedule, recordings = _SCHEDULES[name](_OURS, optimizer), []

        @wrap
        def step(x):
            recordings.append(1)
            optimizer.zero_grad()
            loss = (w * w * x).sum()
            loss.backward()
            optimizer.step()
            return loss

        losses = []
        for _ in range(20):
            losses.append(step(fg.ones(3)).item())
            schedule.step()
        return losses, w.data.tobytes(), len(recordings)

    *eager, _ = train(lambda step: step)
    *compiled, recordings = train(fg.compile)
    assert compiled == eager
    assert recordings == 1


_SGD = fg.optim.SGD([{"params": fg.ones(1)}, {"params": fg.ones(1)}], lr=0.1)
_WRONG = {
    "no optimizer": (lambda: ours.StepLR(None, 3), TypeError, "StepLR: expected an Optimizer, got"),
    "lambdas": (lambda: ours.LambdaLR(_SGD, [abs]), ValueError, "1 values, expected one for each"),
    "no function": (lambda: ours.LambdaLR(_SGD, 0.5), TypeError, "lr_lambda as a function, got"),
    "factor": (lambda: ours.ConstantLR(_SGD, 1.5), ValueError, "factor = 1.5; expected a number"),
    "start": (lambda: ours.LinearLR(_SGD, 0.0), ValueError, "LinearLR: start_factor = 0.0"),
    "end": (lambda: ours.LinearLR(_SGD, 0.5, 1.5), ValueError, "LinearLR: end_factor = 1.5"),
    "decay": (lambda: ours.InverseTimeLR(_SGD, -1), ValueError, "InverseTimeLR: decay = -1"),
    "T_0": (lambda: ours.CosineAnnealingWarmRestarts(_SGD, 0), ValueError, "T_0 = 0; expected an"),
    "T_mult": (lambda: ours.CosineAnnealingWarmRestarts(_SGD, 3, 1.5), ValueError, "T_mult = 1.5"),
    "eta_min": (
        lambda: ours.CosineAnnealingWarmRestarts(_SGD, 3, 1, "0"), ValueError, "eta_min = '0'",
    ),
    "epoch": (
        lambda: ours.CosineAnnealingWarmRestarts(_SGD, 3).step(-1), ValueError, "epoch = -1",
    ),
    "mode": (lambda: ours.CyclicLR(_SGD, 0.1, 1, mode="up"), ValueError, "mode = 'up'; expected"),
    "no momentum": (
        lambda: ours.CyclicLR(fg.optim.Adagrad([fg.ones(1)]), 0.1, 1.0),
        ValueError,
        "Adagrad has neither momentum nor betas; pass cycle_momentum=False",
    ),
    "no steps": (lambda: ours.OneCycleLR(_SGD, 0.1), ValueError, "expected total_steps, or epochs"),
    "steps": (lambda: ours.OneCycleLR(_SGD, 0.1, 0), ValueError, "total_steps = 0; expect"),
    "epochs": (
        lambda: ours.OneCycleLR(_SGD, 0.1, epochs=1.5, steps_per_epoch=2), ValueError,
        "epochs = 1.5",
    ),
    "pct_start": (lambda: ours.OneCycleLR(_SGD, 1, 9, pct_start=2), ValueError, "pct_start = 2"),
    "strategy": (
        lambda: ours.OneCycleLR(_SGD, 1, 9, anneal_strategy="sin"), ValueError, "= 'sin'; expected",
    ),
    "plateau's factor": (
        lambda: ours.ReduceLROnPlateau(_SGD, factor=1.0), ValueError, "factor = 1.0; expected",
    ),
    "plateau's mode": (lambda: ours.ReduceLROnPlateau(_SGD, "least"), ValueError, "= 'least'"),
    "plateau's threshold": (
        lambda: ours.ReduceLROnPlateau(_SGD, threshold_mode="x"), ValueError, "= 'x'; expected",
    ),
    "plateau's rates": (
        lambda: ours.ReduceLROnPlateau(_SGD, min_lr=[0.1]), ValueError, "min_lr has 1 values",
    ),
    "none": (lambda: ours.ChainedScheduler([]), ValueError, "expected at least one schedule"),
    "no schedule": (lambda: ours.ChainedScheduler([3], _SGD), TypeError, "schedules, got int at"),
    "a plateau": (
        lambda: ours.ChainedScheduler([ours.ReduceLROnPlateau(_SGD)]), ValueError, "wants a metric",
    ),
    "another optimizer": (
        lambda: ours.ChainedScheduler([ours.StepLR(_SGD, 3), ours.StepLR(_optimizer(), 3)]),
        ValueError,
        "the schedule at position 1 has another optimizer",
    ),
    "milestones": (
        lambda: ours.SequentialLR(_SGD, [ours.StepLR(_SGD, 3)], [4]),
        ValueError,
        "got 1 schedules and 1 milestones; expected one milestone between each two",
    ),
    "swa": (
        lambda: swa_utils.SWALR(_SGD, 0.1, anneal_strategy="x"), ValueError, "= 'x'; expect",
    ),
    "swa's epochs": (
        lambda: swa_utils.SWALR(_SGD, 0.1, anneal_epochs=-1), ValueError, "anneal_epochs = -1",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", _WRONG)
def test_what_makes_no_sense_is_refused(name):
    call, exception, message = _WRONG[name]
    with pytest.raises(exception, match=message):
        call()


def test_a_cycle_that_is_over():
    optimizer = _optimizer()
    schedule = ours.OneCycleLR(optimizer, 0.1, total_steps=3)
    for _ in range(3):
        schedule.step()
    with pytest.raises(ValueError, match="OneCycleLR: step 4 of 3: the cycle is over"):
        schedule.step()


def test_a_plateau_after_another_group():
    optimizer = _optimizer()
    schedule = ours.ReduceLROnPlateau(optimizer, patience=0, min_lr=[0.1, 0.1])
    optimizer.add_param_group({"params": fg.ones(1)})
    schedule.step(1.0)
    with pytest.raises(RuntimeError, match="3 groups now, and min_lr 2 values; set min_lrs"):
        schedule.step(1.0)
