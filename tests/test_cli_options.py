"""The command line's options: everything by name, and from files."""

import os
import re
from types import SimpleNamespace

import numpy as np
import pytest
from cli_runs import BARE, accuracy_in

from fastgrad import optim
from fastgrad.cli import main
from fastgrad.serialization import load

pytestmark = pytest.mark.usefixtures("settings_are_restored")

# ------------------------------------------------------------------ everything by name


@pytest.mark.parametrize(
    "options",
    [
        ["--activation", "tanh"],
        ["--activation", "Softmax(dim=1)", "--init", "xavier-uniform"],
        ["--init", "kaiming_normal_(mode='fan_out', nonlinearity='relu')"],
        ["--optimizer", "adam(betas=(0.8, 0.9), amsgrad=True)", "--lr", "0.01"],
        ["--optimizer", "SGD(nesterov=True)", "--clip-norm", "1", "--clip-value", "0.5"],
        ["--label-smoothing", "0.1", "--l1", "1e-5", "--weight-decay", "1e-4"],
        ["--mixup", "0.2", "--no-compile"],
        ["--mixup", "0.2", "--label-smoothing", "0.1"],
        ["--patience", "1", "--monitor", "validation_f1", "--metrics", "f1,top_3_accuracy"],
        ["--monitor", "validation_accuracy", "--validation", "0.3"],
        ["--schedule", "OneCycleLR(max_lr=0.1)", "--ema", "0.9"],
        ["--schedule", "reduce_lr_on_plateau(patience=0)", "--optimizer", "RMSprop"],
        ["--augment", "RandomShift(1)", "--augment", "random_rotation(5)", "--mixup", "0.1"],
        ["--optimizer", "lbfgs(max_iter=2)", "--batch-size", "1437"],
    ],
    ids=" ".join,
)
def test_named_options(options, capsys):
    assert main([*BARE, "--quiet", *options]) == 0
    out, err = capsys.readouterr()
    assert accuracy_in(out) > 5
    assert err == ""
    if "--metrics" in options:
        assert re.search(r"^  f1 +0\.\d{4}\n  top_3_accuracy +0\.\d{4}$", out, re.M)


def test_compiled_and_eager_training_give_the_same_bits(tmp_path):
    states = []
    for how in ("--compile", "--no-compile"):
        path = tmp_path / how
        options = ["--patience", "3", "--clip-norm", "1", "--l1", "1e-4", "--save", str(path)]
        assert main([*BARE, "--quiet", how, *options]) == 0
        states.append(path.read_bytes())
    assert states[0] == states[1]


class Later(optim.SGD):
    """An optimizer that somebody adds."""

    def __init__(self, params, lr=0.1, wit=1, **options):
        super().__init__(params, lr=lr * wit, **options)


class LaterLR:
    """A schedule that somebody adds."""

    steps = ()

    def __init__(self, optimizer, gamma, total_steps=None):
        self.optimizer, self.gamma = optimizer, gamma
        LaterLR.steps = [total_steps]

    def step(self):
        LaterLR.steps.append(self.optimizer.param_groups[0]["lr"])
        self.optimizer.param_groups[0]["lr"] *= self.gamma

    def state_dict(self):
        return {}


def test_what_the_library_gains_is_reached_by_name(monkeypatch, capsys):
    monkeypatch.setattr(optim, "Later", Later, raising=False)
    monkeypatch.setattr(optim, "__all__", [*optim.__all__, "Later"])
    schedules = SimpleNamespace(__all__=["LaterLR"], LaterLR=LaterLR)
    monkeypatch.setattr(optim, "lr_scheduler", schedules)
    named = ["--optimizer", "later(wit=2)", "--schedule", "later_lr(gamma=0.5)"]
    assert main([*BARE, *named]) == 0
    out = capsys.readouterr().out
    assert "Later: lr 0.2" in out
    assert "schedule      later_lr(gamma=0.5)" in out
    assert LaterLR.steps == [23] + [0.2 * 0.5**k for k in range(23)]
    assert main([*BARE, *named, "--schedule-per", "epoch"]) == 0
    assert LaterLR.steps == [1, 0.2]
    assert main([*BARE, "--quiet", "--schedule", "laterlr"]) == 2
    assert "schedule laterlr: " in capsys.readouterr().err


def test_an_ensemble_is_better_than_its_models(tmp_path, capsys):
    path, folder = tmp_path / "all", tmp_path / "run"
    table = tmp_path / "log.csv"
    options = ["--ensemble", "3", "--csv", str(table), "--checkpoint", str(folder)]
    assert main([*BARE, "--quiet", *options, "--save", str(path)]) == 0
    out = capsys.readouterr().out
    single = [float(x) for x in re.findall(r"^  one model +([\d.]+)%", out, re.M)]
    assert len(set(single)) == 3
    assert accuracy_in(out) > np.mean(single)
    assert {name.split(".")[0] for name in load(path)} == {"0", "1", "2"}
    names = [f"log-{n}.csv" for n in (1, 2, 3)] + [f"run-{n}" for n in (1, 2, 3)]
    assert set(names) <= set(os.listdir(tmp_path))


def test_a_plot_and_a_table_are_written(tmp_path, capsys):
    pytest.importorskip("matplotlib")
    plot, table = tmp_path / "run.svg", tmp_path / "run.csv"
    assert main([*BARE, "--quiet", "--plot", str(plot), "--csv", str(table)]) == 0
    assert plot.read_text().startswith("<?xml")
    assert table.read_text().startswith("epoch,loss,accuracy")


def test_a_run_goes_on_from_its_checkpoint(tmp_path, capsys):
    whole, resumed, folder = tmp_path / "whole", tmp_path / "resumed", tmp_path / "run"
    options = ["train", "--no-compare", "--quiet", "--hidden", "16", "--patience", "9"]
    assert main([*options, "--epochs", "3", "--save", str(whole)]) == 0
    options += ["--checkpoint", str(folder), "--resume"]
    assert main([*options, "--epochs", "1"]) == 0  # nothing to go on from
    assert main([*options, "--epochs", "3", "--save", str(resumed)]) == 0
    assert whole.read_bytes() == resumed.read_bytes()
    damaged = tmp_path / "damaged"
    damaged.write_bytes(b"12345678")
    capsys.readouterr()
    assert main([*options, str(damaged)]) == 2
    assert f"load_checkpoint: {damaged} is no safetensors file" in capsys.readouterr().err


# ------------------------------------------------------------------ a file of options


CONFIG = """
hidden = [16]
epochs = 1
batch-size = 128
no_compare = true
quiet = true
batch_norm = false
metrics = ["f1", "recall"]
optimizer = {name = "adam", lr = 0.01, betas = [0.9, 0.99]}
activation = "Tanh"
"""


def settled(arguments):
    from argparse import ArgumentParser

    from fastgrad.cli._options import add_options, settle

    parser = ArgumentParser()
    add_options(parser)
    return settle(parser.parse_args(arguments))


def test_a_file_gives_options_and_the_command_line_wins(tmp_path, capsys):
    path = tmp_path / "run.toml"
    path.write_text(CONFIG)
    options = settled(["--batch-norm", "--config", str(path), "--epochs", "2"])
    assert (options.hidden, options.epochs, options.batch_size) == ((16,), 2, 128)
    assert (options.batch_norm, options.quiet, options.seed) == (True, True, 0)
    assert options.metrics == ["f1", "recall"]
    assert str(options.optimizer) == "adam(lr=0.01, betas=[0.9, 0.99])"
    assert str(settled(["--config", str(path), "--optimizer", "sgd"]).optimizer) == "sgd"
    assert main(["train", "--config", str(path)]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()] == ["test", "f1", "recall", "speed"]


BAD_CONFIGS = {
    "epochs = 0": "epochs: '0' is not an integer from 1 up",
    "epoch = 3": "there is no option 'epoch', did you mean 'epochs'?",
    "learning = 3": "there is no option 'learning'",
    "data = 'cifar'": "data: 'cifar'; expected one of digits, mnist, fashion-mnist",
    "batch_norm = 'yes'": "batch_norm: 'yes' is not true or false",
    "epochs = true": "epochs: true is not a value for it",
    "hidden = [0]": "hidden: '0' is not a list of sizes",
    "epochs = {name = 'x'}": "epochs: expected no table",
    "optimizer = {lr = 0.1}": "optimizer: expected no table, or one with a name",
    "optimizer = {name = 'adam', beta = 1}": "Adam has no option 'beta', did you mean 'betas'?",
    "epochs =": "is no TOML",
    "\xff": "is no TOML",
}


@pytest.mark.parametrize("text", BAD_CONFIGS)
def test_wrong_files_of_options(text, tmp_path, capsys):
    path = tmp_path / "run.toml"
    path.write_bytes(text.encode("latin1"))
    assert main(["train", "--quiet", "--config", str(path)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert BAD_CONFIGS[text] in err


def test_every_option_may_stand_in_a_file(tmp_path):
    from fastgrad.cli._options import OPTIONS

    values = {
        "value": "2", "flag": "true", "switch": "false", "maybe": "true", "many": '["Pad(1)"]',
    }  # fmt: skip
    special = {"validation": "0.5", "dropout": "0.5", "label_smoothing": "0.5", "ema": "0.5"}
    special |= {"metrics": '"f1"', "resume": '"here"'}
    path = tmp_path / "run.toml"
    for key, option in OPTIONS.items():
        value = special.get(key, values[option.kind])
        if option.choices:
            value = repr(option.choices[-1])
        elif key in ("model", "activation", "optimizer", "schedule", "init"):
            value = '"name(1, a=2)"'
        path.write_text(f"{key} = {value}")
        assert getattr(settled(["--config", str(path)]), key) not in (None, option.default)
