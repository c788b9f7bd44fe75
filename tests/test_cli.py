"""The command line: train, networks of convolutions, help, as a program."""

import functools
import itertools
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from cli_runs import BARE, QUICK, accuracy_in

import fastgrad as fg
from fastgrad import training
from fastgrad.cli import _compare, main, train
from fastgrad.cli._compare import Comparison, Slice, compare
from fastgrad.cli._job import Job, endless
from fastgrad.serialization import load

pytestmark = pytest.mark.usefixtures("settings_are_restored")


def job(**changes):
    data = fg.data.datasets.digits()
    data = (data[0][:70], data[1][:70], data[2], data[3])
    settings = {"data": data, "layers": {"hidden": (8,)}, "batch_size": 32}
    settings["shorthands"] = {"lr": 0.1}
    return Job(**{**settings, **changes})


# ------------------------------------------------------------------ train


def test_the_defaults_learn_the_digits(capsys):
    assert main(["train", "--no-compare"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert accuracy_in(out) >= 97.5
    for part in (
        "(0): Linear(in_features=64, out_features=256, bias=False)",
        "(3): Dropout(p=0.2, inplace=False)",
        "51,210 parameters",
        "digits: 1,437 images to learn, 360 to test, 64 pixels each",
        "SGD: lr 0.05, momentum 0.9; batches of 64, seed 0",
        f"numba, {fg.get_num_threads()} thread",
        "kernels compiled",
        "samples/s, median of the epochs",
    ):
        assert part in out
    assert len(re.findall(r"^ +\d+  loss [\d.]+  accuracy +[\d.]+%", out, re.M)) == 30


def test_training_is_compared_with_numpy(capsys, monkeypatch):
    monkeypatch.setattr(train, "compare", functools.partial(compare, wanted=2, patience=0.3))
    assert main([*QUICK, "--quiet"]) == 0
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines()][:3] == ["test", "speed", "comparison"]
    ratio, fast, slow = re.search(
        r"([\d.]+) times as fast as the NumPy reference backend: ([\d,]+) and ([\d,]+) samples/s",
        out,
    ).groups()
    fast, slow = (float(text.replace(",", "")) for text in (fast, slow))
    assert float(ratio) == pytest.approx(fast / slow, abs=0.006)
    assert "the same training on both, by turns, after a warm-up, in slices of" in out


def test_on_numpy_there_is_nothing_to_compare(capsys):
    assert main([*QUICK, "--backend", "numpy"]) == 0
    out = capsys.readouterr().out
    assert "backend       numpy, with the threads of its BLAS library" in out
    assert "comparison    none" in out
    assert "compiled" not in out


@pytest.mark.parametrize(
    "options",
    [
        ["--optimizer", "adam", "--lr", "0.01"],
        ["--optimizer", "adamw", "--weight-decay", "0.1"],
        ["--optimizer", "sgd", "--momentum", "0"],
        ["--no-batch-norm", "--dropout", "0", "--hidden", "16,8"],
        ["--batch-norm", "--batch-size", "359"],  # leaves a last batch of one sample
        ["--batch-size", "5000"],
        ["--threads", "1", "--seed", "5"],
        ["--backend", "numpy"],
    ],
    ids=" ".join,
)
def test_options(options, capsys):
    assert main([*BARE, "--quiet", *options]) == 0
    out, err = capsys.readouterr()
    assert [line.split()[0] for line in out.splitlines()] == ["test", "speed"]
    assert err == ""


def test_images_from_a_folder(folder, capsys):
    data = ["--data", "mnist", "--data-dir", str(folder)]
    assert main([*BARE, *data, "--epochs", "20", "--batch-size", "10", "--lr", "0.05"]) == 0
    out = capsys.readouterr().out
    assert "mnist: 40 images to learn, 10 to test, 784 pixels each" in out
    assert accuracy_in(out) == 100


def test_a_seed_decides_every_bit(tmp_path, capsys):
    states = {}
    for name, options in {
        "once": ["--threads", "1"],
        "again": ["--threads", "1"],
        "threads": ["--threads", str(fg.get_num_threads())],
        "another": ["--seed", "1"],
    }.items():
        path = tmp_path / name
        # A batch of 512 is work enough for two threads.
        options += ["--hidden", "256,128", "--batch-size", "512"]
        assert main([*BARE, "--quiet", "--save", str(path), *options]) == 0
        states[name] = path.read_bytes()
    assert states["once"] == states["again"] == states["threads"]
    assert states["once"] != states["another"]


def test_a_saved_model_is_the_one_that_was_tested(tmp_path, capsys):
    path = tmp_path / "model.safetensors"
    assert main([*BARE, "--quiet", "--save", str(path)]) == 0
    out = capsys.readouterr().out
    assert f"saved         {path}" in out
    _, _, x, y = fg.data.datasets.digits()
    model = job(layers={"hidden": (16,)}).build()[0]
    model.load_state_dict(load(path))
    assert training.accuracy(model.eval()(fg.tensor(x)), y) == pytest.approx(
        accuracy_in(out) / 100, abs=1e-4
    )


def test_warming_up_leaves_no_trace():
    def trained(warm_up):
        work = job()
        if warm_up:
            work.warm_up()
        model, *parts = work.build()
        training.fit(model, *parts)
        return model[0].weight.tolist()

    assert trained(True) == trained(False)


def slices(*rates, disturbed=()):
    return [Slice(rate, calm=False) for rate in disturbed] + [Slice(rate, True) for rate in rates]


def test_disturbed_slices_do_not_count():
    measured = Comparison({"a": slices(30, 20, 25), "b": slices(9, 10, 11, disturbed=[99])}, 7)
    assert measured.fair
    assert (measured.speed("a"), measured.speed("b")) == (25, 10)
    assert measured.ratio("a", "b") == 2.5
    assert (measured.calm("a"), measured.calm("b")) == (3, 3)


def test_the_fastest_slices_count_where_too_few_are_undisturbed():
    measured = Comparison({"a": slices(30, 20, 25), "b": slices(9, disturbed=[1, 15])}, 7)
    assert not measured.fair
    assert measured.ratio("a", "b") == 2.0


@pytest.mark.parametrize("busy", [False, True])
def test_slices_are_taken_until_enough_are_undisturbed(monkeypatch, busy):
    switches = itertools.count(step=1000 if busy else 0)
    monkeypatch.setattr(_compare, "_switches", lambda: next(switches))
    before = fg.get_backend()
    patience = 0.1 if busy else 60
    measured = compare(job(), ("numpy",), wanted=3, patience=patience, seconds=0.001)
    assert measured.fair is not busy
    assert busy or len(measured.slices["numpy"]) == 3
    assert measured.batches >= 1
    assert fg.get_backend() == before


def test_an_unfair_comparison_is_called_so(capsys, monkeypatch):
    measured = Comparison({"numba": slices(30.0), "numpy": slices(disturbed=[15.0])}, 7)
    monkeypatch.setattr(train, "compare", lambda job: measured)
    assert main([*QUICK, "--quiet"]) == 0
    out = capsys.readouterr().out
    assert "2.00 times as fast as the NumPy reference backend: 30 and 15 samples/s" in out
    assert "the fastest of 1 slices each.\n" in out
    assert "UNFAIR: other processes kept the cores busy" in out


def test_endless_batches_go_through_epoch_after_epoch():
    batches = endless([1, 2])
    assert [next(batches) for _ in range(5)] == [1, 2, 1, 2, 1]


# ------------------------------------------------------------------ networks of convolutions

CNN = ["train", "--epochs", "1", "--no-compare", "--model", "cnn", "--channels", "4,8"]


@pytest.fixture
def photographs(tmp_path):
    """36 + 12 images in the form of CIFAR-10; the label is where the bright column is."""
    rng = np.random.default_rng(0)
    names = [f"data_batch_{k}" for k in range(1, 6)] + ["test_batch"]
    for name, size in zip(names, (8, 8, 8, 8, 4, 12), strict=True):
        labels = np.arange(size, dtype=np.uint8) % 4
        images = rng.integers(0, 50, (size, 3, 32, 32)).astype(np.uint8)
        images[np.arange(size), 1, :, 8 * labels] = 255
        records = np.hstack([labels[:, None], images.reshape(size, -1)])
        (tmp_path / f"{name}.bin").write_bytes(records.tobytes())
    return tmp_path


def test_a_convolutional_network_learns_the_digits(tmp_path, capsys):
    path = tmp_path / "model.safetensors"
    options = ["--epochs", "4", "--hidden", "16", "--dropout", "0.1", "--save", str(path)]
    assert main([*CNN, *options]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert accuracy_in(out) > 85
    for part in (
        "(0): Conv2d(1, 4, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), bias=False)",
        "(5): Linear(in_features=16, out_features=10, bias=True)",
        "digits: 1,437 images to learn, 360 to test, 64 pixels each",
    ):
        assert part in out
    model = fg.models.ConvNet(10, 1, 8, (4, 8), hidden=(16,), dropout=0.1)
    model.load_state_dict(load(path))
    _, _, x, y = fg.data.datasets.digits(flatten=False)
    assert training.accuracy(model.eval()(fg.tensor(x)), y) == pytest.approx(
        accuracy_in(out) / 100, abs=1e-4
    )


def test_a_convolutional_network_trains_compiled_as_eager(tmp_path):
    states = []
    for how in ("--compile", "--no-compile"):
        path = tmp_path / how
        assert main([*CNN, "--quiet", how, "--dropout", "0.2", "--save", str(path)]) == 0
        states.append(path.read_bytes())
    assert states[0] == states[1]


@pytest.mark.parametrize(
    "options",
    [
        ["--model", "cnn(channels=(4,), convolutions=2)", "--kernel-size", "5"],
        ["--no-batch-norm", "--activation", "tanh", "--init", "xavier_uniform"],
        ["--augment", "RandomShift(1)", "--mixup", "0.2", "--optimizer", "adam"],
        ["--validation", "0.2", "--metrics", "f1", "--ensemble", "2"],
    ],
    ids=" ".join,
)
def test_options_of_convolutional_networks(options, capsys):
    if options[0] != "--model":
        options = ["--channels", "4,8", *options]
    assert main(["train", "--epochs", "1", "--no-compare", "--model", "cnn", *options]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert accuracy_in(out) > 5


def test_photographs_from_a_folder(photographs, capsys):
    data = ["--data", "cifar10", "--data-dir", str(photographs), "--batch-size", "9"]
    assert main([*CNN, *data, "--epochs", "12", "--augment", "RandomCrop(32, padding=1)"]) == 0
    out = capsys.readouterr().out
    assert "cifar10: 36 images to learn, 12 to test, 1,024 pixels in 3 channels each" in out
    assert accuracy_in(out) == 100
    assert main(["train", *data, "--epochs", "1", "--no-compare", "--quiet"]) == 0  # an mlp


def test_a_network_of_the_library_by_name(photographs, capsys):
    path = photographs / "run.toml"
    path.write_text(
        f"data = 'cifar10'\ndata_dir = '{photographs}'\nepochs = 1\nno_compare = true\n"
        "model = {name = 'ResNet20', stochastic_depth = 0.5, width = 4}\nbatch_size = 12\n"
    )
    assert main(["train", "--config", str(path)]) == 0
    out = capsys.readouterr().out
    assert "(fc): Linear(in_features=16, out_features=4, bias=True)" in out
    assert "(drop): StochasticDepth(p=0.5, mode=row)" in out


def test_lenet_on_images_of_mnists_form(folder, capsys):
    options = ["--data", "mnist", "--data-dir", str(folder), "--model", "LeNet5"]
    options += ["--activation", "relu", "--batch-size", "10", "--epochs", "2", "--no-compare"]
    assert main(["train", *options]) == 0
    assert "61,706 parameters" in capsys.readouterr().out


# ------------------------------------------------------------------ as a program


def test_as_a_program(tmp_path):
    command = [sys.executable, "-W", "error", "-m", "fastgrad", *BARE]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0
    assert finished.stderr == ""
    assert accuracy_in(finished.stdout) > 50
    assert os.listdir(tmp_path) == []
