"""Callbacks of ``fit``: when they are called, and what the ready ones do."""

import csv
import math
import sys

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn, optim
from fastgrad.data import DataLoader, MixUp, TensorDataset, mixed_loss
from fastgrad.training import (
    EMA,
    L1,
    Callback,
    ClipGradients,
    CSVLog,
    EarlyStopping,
    History,
    KeepBest,
    KeepSnapshots,
    ProgressBar,
    Schedule,
    evaluate,
    fit,
)


def data(size=40, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((size, 4)).astype(np.float32)
    return TensorDataset(x, (x[:, 0] > 0).astype(np.int64) + (x[:, 1] > 0))


def network(seed=0, optimizer=optim.SGD, **options):
    fg.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))
    return model, nn.CrossEntropyLoss(), optimizer(model.parameters(), **{"lr": 0.1, **options})


def loader(size=40, batch=16):
    return DataLoader(data(size), batch, shuffle=True, seed=0)


def weights(model):
    return {name: tensor.data.copy() for name, tensor in model.state_dict().items()}


def same(a, b):
    return all(np.array_equal(a[name], b[name]) for name in a) and a.keys() == b.keys()


class Script(Callback):
    """Sets an entry of the history, and notes the weights of each epoch."""

    order = -10

    def __init__(self, name, values):
        self.name, self.values, self.seen = name, values, []

    def on_epoch_end(self, context):
        context.logs[self.name] = self.values[context.epoch - 1]
        self.seen.append(weights(context.model))


# ------------------------------------------------------------------ when


def test_callbacks_are_called_in_order():
    calls = []

    class Spy(Callback):
        def __init__(self, name, order):
            self.name, self.order = name, order

    def noting(event):
        def method(self, context):
            calls.append(f"{self.name}.{event} {context.epoch}.{context.batch}")

        return method

    events = [name for name in vars(Callback) if name.startswith("on_")] + ["close"]
    for event in events:
        setattr(Spy, event, noting(event))
    fit(
        *network(), loader(20), epochs=2, validation=loader(20),
        callbacks=[Spy("late", 5), Spy("early", -5)],
    )  # fmt: skip
    late = [call.removeprefix("late.") for call in calls if call.startswith("late")]
    epoch = [
        "on_epoch_begin {0}.0", "on_batch_begin {0}.0", "on_gradients {0}.0", "on_batch_end {0}.1",
        "on_batch_begin {0}.1", "on_gradients {0}.1", "on_batch_end {0}.2",
        "on_validation_begin {0}.2", "on_validation_end {0}.2", "on_epoch_end {0}.2",
    ]  # fmt: skip
    first, second = ([line.format(n) for line in epoch] for n in (1, 2))
    assert late == ["on_fit_begin 0.0", *first, *second, "close 2.0", "on_fit_end 2.0"]
    for event in ("on_fit_begin", "on_batch_end", "close"):
        found = [call for call in calls if event in call]
        assert found[0].startswith("early")
    assert [call[:5] for call in calls if "on_fit_end" in call] == ["late.", "early"]


def test_the_context_tells_what_is_going_on():
    seen = []

    class Look(Callback):
        def on_batch_end(self, context):
            seen.append((context.epoch, context.batch, context.step, context.logs["loss"]))

    model, loss, optimizer = network()
    history = fit(model, loss, optimizer, loader(), epochs=2, callbacks=Look())
    assert [entry[:3] for entry in seen] == [
        (1, 1, 1), (1, 2, 2), (1, 3, 3), (2, 1, 4), (2, 2, 5), (2, 3, 6),
    ]  # fmt: skip
    sizes = [16, 16, 8]
    mean = sum(n * entry[3] for n, entry in zip(sizes, seen[:3], strict=True)) / 40
    assert history[0]["loss"] == pytest.approx(mean, rel=1e-12)


def test_a_callback_may_stop_in_the_middle_of_an_epoch():
    class Stop(Callback):
        def on_batch_end(self, context):
            if context.step == 4:
                context.stop("enough")

    history = fit(*network(), loader(), epochs=5, callbacks=[Stop()])
    assert len(history) == 1
    assert not history.interrupted


def test_compiled_steps_give_the_same_bits():
    results = []
    for compile in (False, True):
        model, loss, optimizer = network(optimizer=optim.Adam)
        own = [ClipGradients(norm=0.5, value=0.1), L1(1e-3)]
        history = fit(
            model, loss, optimizer, loader(), epochs=3, callbacks=own, compile=compile,
            validation=loader(),
        )  # fmt: skip
        results.append((weights(model), history["loss"], history["accuracy"]))
    assert same(results[0][0], results[1][0])
    assert results[0][1:] == results[1][1:]


@pytest.mark.parametrize("compile", [False, True])
def test_a_loss_that_is_not_finite_changes_no_parameter(compile):
    model, loss, optimizer = network(optimizer=optim.Adam)
    good = fg.zeros(2, 4), fg.tensor([0, 1])
    bad = fg.tensor([[math.nan] * 4] * 2), fg.tensor([0, 1])
    fit(model, loss, optimizer, [good], compile=compile)
    before = weights(model)
    with pytest.raises(FloatingPointError, match="fit: the loss is nan in epoch 1, batch 1; lower"):
        fit(model, loss, optimizer, [bad], compile=compile)
    with pytest.raises(FloatingPointError, match="fit: the loss is nan in epoch 2, batch 1; lower"):
        fit(model, loss, optimizer, Turns([good, bad]), compile=compile, epochs=2)
    assert not same(weights(model), before)
    assert all(np.isfinite(array).all() for array in weights(model).values())


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("name", ["LBFGS", "NewtonCG"])
def test_optimizers_of_the_whole_loss(name, compile):
    model, loss, _ = network()
    optimizer = getattr(optim, name)(model.parameters(), max_iter=3)
    batches = loader(batch=40)
    history = fit(model, loss, optimizer, batches, epochs=5, compile=compile)
    assert history["loss"][-1] < 0.5 * history["loss"][0]
    assert history["accuracy"][-1] > 0.8
    if name == "NewtonCG":
        with pytest.raises(ValueError, match="NewtonCG computes the gradients itself"):
            fit(model, loss, optimizer, batches, callbacks=[ClipGradients(1)])


def test_a_bad_label_is_the_same_error_where_it_is_recorded():
    for compile in (False, True):
        with pytest.raises(IndexError, match="label 7 at position 0 is out of range"):
            fit(*network(), [(fg.zeros(1, 4), fg.tensor([7]))], compile=compile)


class Turns:
    """A loader of one batch, another in each epoch."""

    def __init__(self, batches):
        self.batches = list(batches)

    def __iter__(self):
        yield self.batches.pop(0)


class Closures(optim.SGD):
    """An optimizer that asks for gradients twice in a step."""

    def step(self, closure):
        loss = closure()
        closure()
        super().step()
        return loss


@pytest.mark.parametrize("compile", [False, True])
def test_optimizers_that_want_a_closure(compile):
    model, loss, _ = network()
    history = fit(
        model, loss, Closures(model.parameters(), lr=0.1), loader(), epochs=2, compile=compile
    )
    twin, loss, optimizer = network()
    assert history["loss"] == fit(twin, loss, optimizer, loader(), epochs=2)["loss"]
    assert same(weights(model), weights(twin))
    bad = fg.tensor([[math.nan] * 4]), fg.tensor([0])
    with pytest.raises(FloatingPointError, match="the loss is nan"):
        fit(model, loss, Closures(model.parameters(), lr=0.1), [bad], compile=compile)


# ------------------------------------------------------------------ the best weights


@pytest.mark.parametrize(
    ("values", "options", "epochs", "best"),
    [
        ([5, 4, 3, 4, 4, 1], {"patience": 2}, 5, 3),
        ([5, 4, 3, 4, 4, 1], {"patience": 3}, 6, 6),
        ([1, 2, 3, 3, 3, 9], {"patience": 2, "mode": "max"}, 5, 3),
        ([5, 4.9, 4.8, 4.7, 4.6, 4.5], {"patience": 2, "min_delta": 0.15}, 6, 5),
        ([5, 4.9, 4.8, 4.7, 4.6, 4.5], {"patience": 2, "min_delta": 0.5}, 3, 1),
        ([math.nan, math.nan, 3, 2, math.nan, math.nan], {"patience": 3}, 6, 4),
        ([math.nan] * 6, {"patience": 2}, 2, 0),
    ],
)
def test_early_stopping(values, options, epochs, best):
    model, loss, optimizer = network()
    script = Script("my_loss", values)
    stop = EarlyStopping(monitor="my_loss", **options)
    history = fit(model, loss, optimizer, loader(), epochs=6, callbacks=[stop, script])
    assert len(history) == epochs
    assert stop.best_epoch == best
    assert same(weights(model), script.seen[best - 1] if best else script.seen[-1])


def test_keep_best_trains_on_and_may_leave_the_weights(tmp_path):
    model, loss, optimizer = network()
    script, path = Script("score", [1, 3, 2]), tmp_path / "best.safetensors"
    keep = KeepBest("score", path=path, restore=False)
    assert keep.mode == "max"
    fit(model, loss, optimizer, loader(), epochs=3, callbacks=[keep, script])
    assert same(weights(model), script.seen[2])
    assert same({k: v.data for k, v in fg.load(path).items()}, script.seen[1])
    again = Script("score", [1, 0, 0])
    fit(model, loss, optimizer, loader(), epochs=3, callbacks=[keep, again])
    assert (keep.best, keep.best_epoch) == (1, 1)  # of this training, not of the one before


def test_what_is_monitored_by_default():
    for validation, expected in ((loader(), "validation_loss"), (None, "loss")):
        keep = KeepBest()
        history = fit(*network(), loader(), epochs=3, validation=validation, callbacks=[keep])
        assert keep.best == min(history[expected])
    with pytest.raises(ValueError, match="KeepBest: the history has no number 'f1'; there are"):
        fit(*network(), loader(), callbacks=[KeepBest("f1")])


# ------------------------------------------------------------------ schedules, gradients


class Plateau:
    """Notes the metrics that it gets."""

    def __init__(self):
        self.metrics = []

    def step(self, metrics, epoch=None):
        self.metrics.append(metrics)

    def state_dict(self):
        return {}


class Steps:
    """Doubles the rate."""

    def __init__(self, optimizer):
        self.optimizer = optimizer

    def step(self, epoch=None):
        self.optimizer.param_groups[0]["lr"] *= 2

    def state_dict(self):
        return {}


@pytest.mark.parametrize("compile", [False, True])
def test_schedules(compile):
    model, loss, optimizer = network(lr=1e-3)
    schedule, seen = Steps(optimizer), []

    class Look(Callback):
        def on_batch_begin(self, context):
            assert context.scheduler is schedule
            seen.append(optimizer.param_groups[0]["lr"])

    own = [Schedule(schedule), Look()]
    history = fit(model, loss, optimizer, loader(), epochs=3, callbacks=own, compile=compile)
    assert history["lr"] == [1e-3, 2e-3, 4e-3]
    assert seen == [1e-3] * 3 + [2e-3] * 3 + [4e-3] * 3
    twin, loss, optimizer = network(lr=1e-3)
    for lr in (1e-3, 2e-3, 4e-3):
        optimizer.param_groups[0]["lr"] = lr
        if lr == 1e-3:
            again = loader()
        fit(twin, loss, optimizer, again)
    assert same(weights(model), weights(twin))


def test_schedules_by_step_and_by_metric():
    model, loss, optimizer = network(lr=1e-6)
    fit(
        model, loss, optimizer, loader(), epochs=2,
        callbacks=Schedule(Steps(optimizer), per="step"),
    )  # fmt: skip
    assert optimizer.param_groups[0]["lr"] == pytest.approx(2**6 * 1e-6)
    plateau, chosen = Plateau(), Plateau()
    own = [Schedule(plateau), Schedule(chosen, monitor="accuracy")]
    history = fit(model, loss, optimizer, loader(), epochs=2, validation=loader(), callbacks=own)
    assert plateau.metrics == history["validation_loss"]
    assert chosen.metrics == history["accuracy"]
    with pytest.raises(ValueError, match="per is 'batch'"):
        Schedule(plateau, "batch")
    with pytest.raises(ValueError, match="measured once an epoch"):
        Schedule(plateau, "step")


def test_clipping_and_l1_are_what_a_loop_would_do():
    model, loss, optimizer = network()
    fit(model, loss, optimizer, loader(), callbacks=[L1(0.01), ClipGradients(norm=0.1, value=0.05)])
    twin, loss, optimizer = network()
    for x, y in loader():
        optimizer.zero_grad()
        loss(twin(x), y).backward()
        for parameter in twin.parameters():
            if parameter.ndim == 2:
                parameter.grad = parameter.grad + 0.01 * parameter.detach().sign()
        nn.utils.clip_grad_value_(twin.parameters(), 0.05)
        nn.utils.clip_grad_norm_(twin.parameters(), 0.1)
        optimizer.step()
    assert same(weights(model), weights(twin))


ERRORS = {
    "neither norm nor value": lambda: ClipGradients(),
    "norm is 0": lambda: ClipGradients(0),
    "strength is -1": lambda: L1(-1),
    "patience is 0": lambda: EarlyStopping(0),
    "mode is 'up'": lambda: KeepBest(mode="up"),
    "decay is 1": lambda: EMA(1),
    "every is 0": lambda: EMA(0.5, every=0),
    "KeepSnapshots: keep is 0": lambda: KeepSnapshots(keep=0),
}


@pytest.mark.parametrize("message", ERRORS)
def test_wrong_options(message):
    with pytest.raises(ValueError, match=message):
        ERRORS[message]()


# ------------------------------------------------------------------ averages, ensembles


def test_ema_is_validated_and_kept():
    model, loss, optimizer = network()
    script, ema, best = Script("x", [0] * 3), EMA(0.9), KeepBest()
    history = fit(
        model,
        loss,
        optimizer,
        loader(),
        epochs=3,
        validation=loader(),
        callbacks=[ema, script, best],
    )
    twin, loss, optimizer = network()
    batches, average = loader(), None
    for epoch in range(3):
        for x, y in batches:
            fit(twin, loss, optimizer, [(x, y)])
            now = weights(twin)
            average = average or now
            average = {k: 0.9 * average[k] + 0.1 * v for k, v in now.items()}
        for name, array in average.items():
            np.testing.assert_allclose(script.seen[epoch][name], array, rtol=1e-5, atol=1e-6)
    assert best.best_epoch == 3
    assert evaluate(model, loss, loader()).loss == pytest.approx(history["validation_loss"][-1])


def test_snapshots_are_the_weights_of_their_epochs():
    model, loss, optimizer = network()
    script, shots = Script("x", [0] * 6), KeepSnapshots(every=2, keep=2)
    fit(model, loss, optimizer, loader(), epochs=6, callbacks=[script, shots])
    assert [
        same(kept, script.seen[epoch]) for kept, epoch in zip(shots.weights, (3, 5), strict=True)
    ]
    ensemble = shots.ensemble(model)
    assert same(weights(ensemble._modules["0"]), script.seen[3])
    assert not same(weights(model), script.seen[3])


# ------------------------------------------------------------------ several outputs


@pytest.mark.parametrize("compile", [False, True])
@pytest.mark.parametrize("named", [False, True])
def test_a_model_of_two_heads(compile, named):
    x, y = data().arrays
    batches = DataLoader(TensorDataset(x, y, x[:, :1]), 16, shuffle=True, seed=0)
    names = ("digit", "angle") if named else (0, 1)
    losses, weights = [nn.CrossEntropyLoss(), fg.mse_loss], [1.0, 0.5]
    fg.manual_seed(0)
    heads = [nn.Linear(8, 3), nn.Linear(8, 1)]
    if named:
        batches = [(x, {"angle": angle, "digit": digit}) for x, digit, angle in batches]
        losses, weights, heads = (
            dict(zip(names, parts, strict=True)) for parts in (losses, weights, heads)
        )
    loss = nn.MultiTaskLoss(losses, weights)
    model = nn.MultiHead(nn.Sequential(nn.Linear(4, 8), nn.ReLU()), heads)
    optimizer = optim.SGD(model.parameters(), lr=0.1)

    def digit_accuracy(outputs, targets):
        return fg.metrics.accuracy(outputs[names[0]], targets[names[0]])

    history = fit(
        model, loss, optimizer, batches, epochs=3, validation=batches, metrics=[digit_accuracy],
        compile=compile,
    )  # fmt: skip
    assert history["loss"][-1] < history["loss"][0]
    assert history["accuracy"] == [None] * 3
    assert 0.3 < history["validation_digit_accuracy"][-1] <= 1
    outputs = model(fg.tensor(x))
    targets = dict(zip(names, (fg.tensor(y), fg.tensor(x[:, :1])), strict=True))
    parts = [
        function(outputs[n], targets[n])
        for n, function in zip(names, (fg.cross_entropy, fg.mse_loss), strict=True)
    ]
    targets = targets if named else tuple(targets.values())
    assert loss(outputs, targets).item() == (parts[0] + 0.5 * parts[1]).item()


def test_several_inputs():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(2, 1)

        def forward(self, a, b):
            return self.layer(a + b)

    for inputs in ((fg.ones(4, 2), fg.zeros(4, 2)), {"b": fg.zeros(4, 2), "a": fg.ones(4, 2)}):
        model = Sum()
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        batch = inputs, fg.ones(4, 1)
        history = fit(model, nn.MSELoss(), optimizer, [batch], epochs=20, compile=True)
        assert history[-1]["loss"] < 1e-3


@pytest.mark.parametrize("compile", [False, True])
def test_mixed_samples(compile):
    batches = DataLoader(data(), 16, shuffle=True, seed=0, batch_transform=MixUp(alpha=0.4))
    model, loss, optimizer = network()

    def mixed(scores, target):
        return (
            loss(scores, target)
            if isinstance(target, fg.Tensor)
            else mixed_loss(loss, scores, target)
        )

    history = fit(model, mixed, optimizer, batches, epochs=20, validation=loader(), compile=compile)
    assert history["accuracy"] == [None] * 20
    assert history["validation_accuracy"][-1] > 0.6


def test_metrics_see_all_of_the_validation_data_at_once():
    sizes = []

    def count(outputs, targets):
        sizes.append((outputs.shape, targets.shape))
        return fg.tensor(2.0)

    model, loss, _ = network()
    score = evaluate(model, loss, loader(), metrics={"n": count, "top": "top_2_accuracy"})
    assert sizes == [((40, 3), (40,))]
    assert score.metrics["n"] == 2.0
    assert type(score.metrics["n"]) is float
    whole = data().tensors
    assert score.metrics["top"] == fg.metrics.top_k_accuracy(model(whole[0]), whole[1], 2)


# ------------------------------------------------------------------ history, log, bar


def test_the_log_is_the_history(tmp_path):
    path = tmp_path / "log.csv"
    history = fit(
        *network(), loader(), epochs=3, validation=loader(), metrics=["f1", "f1_classes"],
        callbacks=[CSVLog(path)],
    )  # fmt: skip
    with path.open(newline="") as file:
        lines = list(csv.DictReader(file))
    assert [float(line["validation_f1"]) for line in lines] == history["validation_f1"]
    assert list(lines[0]) == history.keys()
    again = tmp_path / "again.csv"
    history.to_csv(again)
    assert again.read_bytes() == path.read_bytes()


def test_a_history_is_a_dict_of_lists():
    history = History([{"epoch": 1, "loss": 2.0}, {"epoch": 2, "loss": 1.0, "lr": 0.1}])
    assert dict(history) == {"epoch": [1, 2], "loss": [2.0, 1.0], "lr": [None, 0.1]}
    assert "lr" in history
    assert "accuracy" not in history
    assert history.get("accuracy") is None
    assert history.items() == list(zip(history.keys(), history.values(), strict=True))


def test_a_plot_needs_no_display(tmp_path, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.delenv("DISPLAY", raising=False)
    history = fit(*network(), loader(), epochs=3, validation=loader(), metrics=["f1", "f1_classes"])
    for ending, start in (("png", b"\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
        path = tmp_path / f"history.{ending}"
        figure = history.plot(path)
        assert path.read_bytes().startswith(start)
    losses, others = figure.axes
    assert [line.get_label() for line in losses.lines] == ["loss", "validation loss"]
    labels = ["accuracy", "validation accuracy", "validation f1"]
    assert [line.get_label() for line in others.lines] == labels
    np.testing.assert_array_equal(losses.lines[0].get_ydata(), history["loss"])
    assert len(History([{"epoch": 1, "loss": 1.0}]).plot().axes) == 1
    with pytest.raises(ValueError, match="no epochs"):
        History().plot()


def test_a_plot_without_matplotlib_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ImportError, match=r"History.plot needs Matplotlib; pip install matplotlib"):
        History([{"epoch": 1, "loss": 1.0}]).plot()


def test_the_bar_as_a_callback(capsys):
    fit(*network(), loader(), epochs=2, callbacks=[ProgressBar()], progress=True)
    error = capsys.readouterr().err
    assert error.count("epoch 1/2   0%") == 1
