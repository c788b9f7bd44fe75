"""fit, evaluate, accuracy, History; a model comes back from its file."""

import math
import os
import subprocess
import sys

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn, optim
from fastgrad.data import DataLoader, TensorDataset
from fastgrad.serialization import load, save
from fastgrad.training import Evaluation, History, accuracy, evaluate, fit

NAMES = [
    "epoch",
    "loss",
    "accuracy",
    "seconds",
    "samples_per_second",
    "validation_loss",
    "validation_accuracy",
]


def blobs(size=50, seed=0):
    """Points around (2, 0), (-2, 0) and (0, 3), and which of them."""
    generator = np.random.Generator(np.random.PCG64(seed))
    labels = generator.integers(0, 3, size)
    centres = np.array([[2, 0], [-2, 0], [0, 3]], np.float32)
    points = centres[labels] + generator.normal(0, 0.5, (size, 2)).astype(np.float32)
    return points, labels


def loader_of(size=50, batch_size=16, **options):
    return DataLoader(TensorDataset(*blobs(size)), batch_size, **options)


def network(seed=0, layers=()):
    fg.manual_seed(seed)
    model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), *layers, nn.Linear(8, 3))
    return model, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def modes(model):
    return [module.training for module in model.modules()]


class Constant(nn.Module):
    """Gives the same scores whatever comes; its gradient is not zero."""

    def __init__(self, scores):
        super().__init__()
        self.scores = nn.Parameter(fg.tensor(scores))

    def forward(self, x):
        return self.scores * 1.0


# ------------------------------------------------------------------ fit


def test_fit_learns_and_tells_how():
    history = fit(*network(), loader_of(shuffle=True, seed=0), epochs=8, validation=loader_of())
    assert isinstance(history, History)
    assert len(history) == 8
    assert list(history[0]) == NAMES
    assert history["epoch"] == list(range(1, 9))
    assert history["loss"][-1] < 0.1 < history["loss"][0]
    assert history["accuracy"][-1] > 0.95
    assert history[-1]["validation_accuracy"] > 0.95
    for entry in history:
        assert all(type(value) in (int, float) for value in entry.values())
        assert entry["samples_per_second"] == pytest.approx(50 / entry["seconds"])


def test_fit_does_what_the_bare_loop_does():
    model, loss, optimizer = network()
    fit(model, loss, optimizer, loader_of(shuffle=True, seed=3), epochs=2)
    twin, loss, optimizer = network()
    loader = loader_of(shuffle=True, seed=3)
    for _ in range(2):
        for x, y in loader:
            optimizer.zero_grad()
            loss(twin(x), y).backward()
            optimizer.step()
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        np.testing.assert_array_equal(ours.data, theirs.data)


def test_means_are_over_samples_and_not_over_batches():
    scores = [[1.0, 0.0]] * 3
    batches = [
        (fg.zeros(3, 1), fg.tensor([0, 0, 1])),
        (fg.zeros(1, 1), fg.tensor([1])),
    ]

    class FirstRows(Constant):
        def forward(self, x):
            return fg.Tensor(self.scores.data[: len(x)])

    score = evaluate(FirstRows(scores), nn.CrossEntropyLoss(), batches)
    right, wrong = math.log(1 + math.exp(-1)), math.log(1 + math.exp(1))
    assert score.loss == pytest.approx((2 * right + 2 * wrong) / 4, rel=1e-6)
    assert score.accuracy == 2 / 4


def test_ignored_labels_do_not_count():
    model = Constant([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    for ignored in (-100, 0):
        batch = fg.zeros(3, 1), fg.tensor([1, ignored, ignored])
        score = evaluate(model, nn.CrossEntropyLoss(ignore_index=ignored), [batch])
        assert score.accuracy == 0.0
    batch = fg.zeros(3, 1), fg.tensor([0, 1, -100])
    assert evaluate(model, nn.CrossEntropyLoss(), [batch]).accuracy == 0.5


def test_targets_that_are_no_labels_have_no_accuracy():
    x = np.linspace(-1, 1, 10, dtype=np.float32).reshape(10, 1)
    model = nn.Linear(1, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    loader = DataLoader(TensorDataset(x, 3 * x + 1), 5)
    history = fit(model, nn.MSELoss(), optimizer, loader, epochs=3, validation=loader)
    assert history["accuracy"] == history["validation_accuracy"] == [None] * 3
    assert history["validation_loss"][-1] < history["validation_loss"][0]


@pytest.mark.parametrize("kind", ["list", "arrays", "lists of two", "iterator"])
def test_any_loader_of_pairs_will_do(kind):
    loader = loader_of()
    if kind == "list":
        loader = list(loader)
    elif kind == "arrays":
        loader = [(x.numpy(), y.numpy()) for x, y in loader]
    elif kind == "lists of two":
        loader = [[x, y] for x, y in loader]
    else:
        loader = iter(loader)
    assert fit(*network(), loader)["loss"] == fit(*network(), loader_of())["loss"]


def test_zero_epochs_do_nothing():
    model, loss, optimizer = network()
    before = model[0].weight.data.copy()
    assert len(fit(model, loss, optimizer, loader_of(), epochs=0)) == 0
    np.testing.assert_array_equal(model[0].weight.data, before)


def test_on_epoch_sees_the_history_and_can_stop():
    seen = []

    def stop_at_three(history):
        seen.append(len(history))
        return len(history) == 3

    assert len(fit(*network(), loader_of(), epochs=9, on_epoch=stop_at_three)) == 3
    assert seen == [1, 2, 3]


def test_losses_of_any_reduction_to_one_number_will_do():
    model, _, optimizer = network()
    history = fit(model, lambda x, y: fg.cross_entropy(x, y).reshape(1), optimizer, loader_of())
    assert history["accuracy"][0] > 0


# ------------------------------------------------------------------ errors


BATCH = (fg.zeros(2, 2), fg.tensor([0, 1]))
FIT_ERRORS = {
    "empty loader": ({"loader": []}, ValueError, "fit: the loader gave nothing in epoch 1"),
    "empty validation": ({"validation": []}, ValueError, "evaluate: the loader gave nothing"),
    "bare tensors": ({"loader": [fg.zeros(2, 2)]}, TypeError, "gave a Tensor; expected pairs"),
    "singles": ({"loader": [(1,)]}, TypeError, "gave a tuple of 1; expected pairs"),
    "metrics of nothing": ({"metrics": "f1"}, ValueError, "metrics are measured on validation"),
    "no callback": ({"callbacks": [3]}, TypeError, "fit: a callback is a int; expected a Callback"),
    "unknown metric": (
        {"metrics": "f2", "validation": [BATCH]},
        ValueError,
        "metrics: there is none named 'f2'; there are accuracy",
    ),
    "no model": ({"model": print}, TypeError, "the model is a builtin_function_or_method"),
    "no loss": ({"loss": 3}, TypeError, "the loss is a int; expected a function"),
    "loss of rows": (
        {"loss": nn.CrossEntropyLoss(reduction="none")},
        ValueError,
        r"fit: the loss has shape \(16,\); expected one number",
    ),
    "loss no tensor": ({"loss": lambda x, y: 0.5}, TypeError, "fit: the loss is a float"),
    "epochs -1": ({"epochs": -1}, ValueError, "fit: epochs is -1"),
    "epochs 1.5": ({"epochs": 1.5}, TypeError, "fit: epochs is 1.5"),
    "NaN": (
        {"loader": [BATCH, (fg.tensor([[math.nan, 0.0]]), fg.tensor([0]))]},
        FloatingPointError,
        "fit: the loss is nan in epoch 1, batch 2; lower",
    ),
}


@pytest.mark.parametrize("case", FIT_ERRORS)
def test_fit_errors(case):
    changes, error, message = FIT_ERRORS[case]
    model, loss, optimizer = network(layers=[nn.Dropout(0.1)])
    parts = {"model": model, "loss": loss, "optimizer": optimizer, "loader": loader_of(), **changes}
    model[1].eval()
    before = modes(model)
    with pytest.raises(error, match=message):
        fit(**parts)
    assert modes(model) == before
    assert fg.is_grad_enabled()


def test_a_generator_runs_only_once():
    with pytest.raises(ValueError, match="nothing in epoch 2; a generator runs only once"):
        fit(*network(), iter(loader_of()), epochs=2)


def test_a_loss_that_is_not_finite_stays_out_of_the_parameters():
    model, loss, optimizer = network()
    bad = fg.tensor([[math.inf, 0.0]]), fg.tensor([0])
    fit(model, loss, optimizer, [BATCH])
    before = [parameter.data.copy() for parameter in model.parameters()]
    with pytest.raises(FloatingPointError, match="epoch 1, batch 1"):
        fit(model, loss, optimizer, [bad])
    for parameter, kept in zip(model.parameters(), before, strict=True):
        np.testing.assert_array_equal(parameter.data, kept)
    history = fit(model, loss, optimizer, [bad], check_finite=False)
    assert math.isnan(history["loss"][0])


def test_errors_in_a_batch_say_which():
    batches = [BATCH, (fg.zeros(1, 2), fg.tensor([7]))]
    with pytest.raises(IndexError) as caught:
        fit(*network(), batches)
    assert caught.value.__notes__ == ["in epoch 1, batch 2 of fit"]


@pytest.mark.parametrize("where", ["training", "validation", "on_epoch"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_modes_are_restored_whatever_happens(error, where):
    model, loss, optimizer = network(layers=[nn.BatchNorm1d(8), nn.Dropout(0.5)])
    model[2].eval()
    before = modes(model)

    def interrupted(*_):
        raise error

    class Interrupted:
        def __iter__(self):
            yield BATCH
            interrupted()

    options = {
        "training": {"loader": Interrupted()},
        "validation": {"validation": Interrupted()},
        "on_epoch": {"on_epoch": interrupted},
    }[where]
    parts = {"loader": [BATCH], **options, "progress": True}
    if error is KeyboardInterrupt:
        history = fit(model, loss, optimizer, **parts)
        assert history.interrupted
        assert len(history) == (where == "on_epoch")
    else:
        with pytest.raises(error):
            fit(model, loss, optimizer, **parts)
    assert modes(model) == before
    assert fg.is_grad_enabled()


def test_training_is_in_training_mode_and_evaluation_is_not():
    seen = []

    class Spy(nn.Module):
        def forward(self, x):
            seen.append((self.training, fg.is_grad_enabled()))
            return x

    model, loss, optimizer = network(layers=[Spy()])
    model.eval()
    fit(model, loss, optimizer, [BATCH], validation=[BATCH], epochs=2)
    assert seen == [(True, True), (False, False)] * 2
    assert not model.training


# ------------------------------------------------------------------ evaluate, accuracy, history


def test_evaluate_changes_nothing():
    model, loss, _ = network(layers=[nn.BatchNorm1d(8), nn.Dropout(0.5)])
    before = {name: value.data.copy() for name, value in model.state_dict().items()}
    score, whole = (evaluate(model, loss, loader_of(batch_size=size)) for size in (16, 50))
    assert isinstance(score, Evaluation)
    assert score.loss == pytest.approx(whole.loss, rel=1e-5)
    assert score.accuracy == whole.accuracy
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.data, before[name])
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("logits", "target", "expected"),
    [
        ([[0.0, 1.0]], [1], 1.0),
        ([[1.0, 1.0], [1.0, 1.0]], [0, 1], 0.5),  # the first of equal scores
        ([[0.0, math.nan]], [1], 1.0),
        ([[[1.0, 0.0], [0.0, 1.0]]], [[0, 0]], 0.5),  # (N, C, L)
        ([[1.0, 0.0]] * 4, [0, 0, 0, 1], 0.75),
    ],
)
def test_accuracy(logits, target, expected):
    for dtype in (np.int64, np.uint8):
        assert accuracy(np.array(logits, np.float32), np.array(target, dtype)) == expected
        assert accuracy(fg.tensor(logits), fg.tensor(np.array(target, dtype))) == expected


@pytest.mark.parametrize(
    ("logits", "target", "error", "message"),
    [
        (np.zeros((2, 3)), np.zeros(2), TypeError, "accuracy: expected integer labels, got float"),
        (np.zeros((2, 3)), np.zeros(3, int), ValueError, r"\(2, 3\) and target \(3,\) do not fit"),
        (np.zeros(3), np.zeros(3, int), ValueError, "do not fit"),
        (np.zeros((0, 3)), np.zeros(0, int), ValueError, "accuracy: no labels"),
    ],
)
def test_accuracy_errors(logits, target, error, message):
    with pytest.raises(error, match=message):
        accuracy(logits, target)


def test_history_reads_as_lists_and_as_dicts():
    entries = [{"epoch": 1, "loss": 0.5, "accuracy": None}, {"epoch": 2, "loss": 0.25}]
    entries[1]["accuracy"] = None
    history = History(entries)
    assert history["loss"] == [0.5, 0.25]
    assert history[-1] is entries[1]
    assert history[:1] == entries[:1]
    assert list(history) == entries
    assert history.as_dict() == {"epoch": [1, 2], "loss": [0.5, 0.25], "accuracy": [None, None]}
    assert repr(history) == "History(2 epochs, the last: epoch=2, loss=0.25)"
    with pytest.raises(KeyError, match="no entry 'los'; there are epoch, loss, accuracy"):
        history["los"]
    empty = History()
    assert (list(empty), empty["loss"], empty.as_dict()) == ([], [], {})
    assert repr(empty) == "History(no epochs)"


# ------------------------------------------------------------------ progress


def test_the_bar_shows_loss_accuracy_and_speed(capsys):
    fit(*network(), loader_of(), epochs=2, validation=loader_of(), progress=True)
    out, err = capsys.readouterr()
    assert out == ""
    final = err.split("\r")[-1]
    for part in ("epoch 2/2", "100%", "4/4", "loss ", "accuracy ", "validation ", " samples/s"):
        assert part in final


def test_the_bar_needs_no_length_and_no_labels(capsys):
    model = nn.Linear(1, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    batch = fg.zeros(2, 1), fg.zeros(2, 1)
    fit(model, nn.MSELoss(), optimizer, iter([batch]), validation=[batch], progress=True)
    final = capsys.readouterr().err
    assert "1 batches" in final
    assert "validation loss" in final
    assert "accuracy" not in final


@pytest.mark.parametrize("progress", [None, False])
def test_no_bar_where_there_is_no_terminal(capsys, progress):
    fit(*network(), loader_of(), progress=progress)
    assert capsys.readouterr() == ("", "")


def test_a_bar_on_a_terminal(capsys, monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    fit(*network(), loader_of())
    assert "epoch 1/1" in capsys.readouterr().err


def test_a_model_comes_back_from_its_file(tmp_path):
    model, loss, optimizer = network(layers=[nn.BatchNorm1d(8)])
    fit(model, loss, optimizer, loader_of(), epochs=2)
    path = tmp_path / "model.safetensors"
    save(path, model.state_dict())  # either order
    twin, _, _ = network(seed=1, layers=[nn.BatchNorm1d(8)])
    twin.load_state_dict(load(path))
    assert evaluate(twin, loss, loader_of()) == evaluate(model, loss, loader_of())
    assert twin[2].num_batches_tracked.item() == 8
    assert os.listdir(tmp_path) == ["model.safetensors"]


def test_importing_does_not_load_what_only_some_need():
    code = (
        "import sys, fastgrad, fastgrad.training\n"
        "print(*{'argparse', 'tqdm', 'safetensors'} & sys.modules.keys())"
    )
    environment = {**os.environ, "FASTGRAD_BACKEND": "numpy"}
    out = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert out.stdout.split() == []
