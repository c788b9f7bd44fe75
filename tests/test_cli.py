"""The command line: train, help, and what goes wrong."""

import functools
import itertools
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import optim, training
from fastgrad.cli import _compare, main, train
from fastgrad.cli._compare import Comparison, Slice, compare
from fastgrad.cli._job import Job, endless
from fastgrad.serialization import load

QUICK = ["train", "--epochs", "1", "--hidden", "16"]
BARE = [*QUICK, "--no-compare"]


@pytest.fixture(autouse=True)
def settings_are_restored():
    before = fg.get_backend(), fg.get_num_threads()
    yield
    assert (fg.get_backend(), fg.get_num_threads()) == before


@pytest.fixture
def folder(tmp_path):
    """40 + 10 images in the form of MNIST; the label is where the bright column is."""
    generator = np.random.Generator(np.random.PCG64(0))
    for part, size in (("train", 40), ("t10k", 10)):
        labels = np.arange(size, dtype=np.uint8) % 10
        images = generator.integers(0, 50, (size, 28, 28)).astype(np.uint8)
        images[np.arange(size), :, labels] = 255
        header = bytes([0, 0, 8, 3]) + np.array(images.shape, ">u4").tobytes()
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        header = bytes([0, 0, 8, 1]) + np.array([size], ">u4").tobytes()
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())
    return tmp_path


def job(**changes):
    data = fg.data.datasets.digits()
    data = (data[0][:70], data[1][:70], data[2], data[3])
    settings = {"data": data, "layers": {"hidden": (8,)}, "batch_size": 32}
    settings["shorthands"] = {"lr": 0.1}
    return Job(**{**settings, **changes})


def accuracy_in(out):
    return float(re.search(r"^test accuracy +([\d.]+)%", out, re.M)[1])


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


# ------------------------------------------------------------------ errors


ERRORS = {
    "--hidden 0": "argument --hidden: '0' is not a list of sizes such as 256,128",
    "--hidden 3,x": "argument --hidden: '3,x' is not a list of sizes",
    "--epochs 0": "argument --epochs: '0' is not an integer from 1 up",
    "--batch-size 1.5": "argument --batch-size: '1.5' is not an integer from 1 up",
    "--lr nan": "argument --lr: 'nan' is not a number above 0",
    "--lr 0": "argument --lr: '0' is not a number above 0",
    "--momentum -1": "argument --momentum: '-1' is not a number from 0 up",
    "--dropout 1": "argument --dropout: '1' is not a number from 0 up and below 1",
    "--seed -1": "argument --seed: '-1' is not an integer from 0 to 2**63 - 1",
    "--optimizer addam": "there is no optimizer 'addam', did you mean 'Adam'?; there are A",
    "--optimizer adam(": "argument --optimizer: 'adam(' is not a name such as adam",
    "--optimizer adam(lr=print())": "'adam(lr=print())' is not a name such as adam",
    "--optimizer __import__('os').system('true')": "is not a name such as adam, or with options",
    "--optimizer adam(beta=1)": "Adam has no option 'beta', did you mean 'betas'?; it has lr",
    "--optimizer adam(eps=-1)": "optimizer adam(eps=-1): Adam: eps = -1 is out of range",
    "--optimizer sgd(lr='x')": "optimizer sgd(lr='x'): ",
    "--optimizer adam --momentum 0.5": "--momentum: Adam has no option 'momentum'",
    "--activation relo": "there is no activation 'relo', did you mean 'ReLU'?",
    "--activation MSELoss": "there is no activation 'MSELoss'",
    "--activation Flatten": "there is no activation 'Flatten'; there are CELU, ELU, GELU",
    "--activation tanh(2)": "activation tanh(2): ",
    "--init kaiming": "there is no initialisation 'kaiming'",
    "--init xavier_normal(gian=2)": "has no option 'gian', did you mean 'gain'?; it has gain",
    "--schedule nothing": "there is no schedule 'nothing'",
    "--augment nothing": "there is no augmentation 'nothing'",
    "--augment pad": "augmentation pad: ",
    "--schedule lr_scheduler": "schedule lr_scheduler: it is only the base of others",
    "--metrics f1,f2": "argument --metrics: metrics: there is none named 'f2'",
    "--metrics f1 --validation 0": "--metrics are measured on validation images",
    "--resume": "--resume without a PATH needs --checkpoint",
    "--resume {empty}": "fit: there is no checkpoint in {empty}",
    "--monitor f1": "KeepBest: the history has no number 'f1'",
    "--config {empty}/none": "--config: cannot read {empty}/none: No such file",
    "--plot {empty}": "--plot: cannot write {empty}: it is a folder",
    "--plot {empty}/run.doc": "run.doc does not end in .png, .svg or .pdf",
    "--data cifar": "argument --data: invalid choice: 'cifar'",
    "--data mnist": "--data mnist needs --data-dir",
    "--data cifar10": "--data cifar10 needs --data-dir",
    "--data cifar10 --data-dir {empty}": "cifar10: not in {empty}: data_batch_1",
    "--data cifar10 --data-dir {empty} --download": "--download: CIFAR-10 is read from --data-dir",
    "--model cnm": "there is no network 'cnm', did you mean 'cnn'?; there are AlexNet, ConvNet",
    "--model resnet19": "there is no network 'resnet19', did you mean 'resnet1",
    "--model cnn(kernel_size=4)": "network cnn(kernel_size=4): ConvNet: kernel_size is 4; exp",
    "--model cnn(kernels=4)": "ConvNet has no option 'kernels', did you mean 'kernel_size'?",
    "--model resnet20(deep=4)": "network resnet20(deep=4): ",
    "--model cnn(channels=8)": "ConvNet: channels is 8; expected one of each stage",
    "--model cnn(num_classes=3)": "cnn(num_classes=3) gives 3 scores; the images are of 10 kinds",
    "--model resnet18 --batch-size 1": "batch_norm: training wants more than one value per channel",
    "--model cnn --augment RandomCrop(99)": "RandomCrop: size (99, 99) of images that are (8, 8)",
    "--model LeNet5": "network LeNet5 does not take images of 1x8x8: ",
    "--model LeNet5 --channels 3": "--channels: the network LeNet5 has no option 'channels'",
    "--channels 3": "--channels: the network mlp has no option 'channels'",
    "--model cnn --channels 8,8,8,8": "4 poolings leave nothing of images of (8, 8); expected 16",
    "--model cnn --kernel-size 0": "argument --kernel-size: '0' is not an integer from 1 up",
    "--model cnn --batch-size 1": "--batch-norm needs a --batch-size of 2 or more",
    "--data fashion-mnist --data-dir {empty}": "not in {empty}: train-images-idx3-ubyte[.gz]",
    "--data-dir {empty}": "digits come with fastgrad: no --data-dir",
    "--download": "digits come with fastgrad: no --data-dir",
    "--batch-size 1": "--batch-norm needs a --batch-size of 2 or more",
    "--threads 1000000": "--threads: set_num_threads: 1000000 is out of range",
    "--threads 1 --backend numpy": "--threads: the numpy backend has none",
    "--save {empty}": "--save: cannot write {empty}: it is a folder",
    "--save {empty}/no/file": "there is no folder {empty}/no",
    "--unknown": "unrecognized arguments: --unknown",
}


@pytest.mark.parametrize("options", ERRORS)
def test_wrong_options_are_one_line_and_code_2(options, capsys, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    command = ["train", "--quiet", "--epochs", "1", *options.format(empty=empty).split()]
    assert main(command) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("python -m fastgrad: error: ")
    assert err.count("\n") == 1
    assert ERRORS[options].format(empty=empty) in err


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


# ------------------------------------------------------------------ what goes wrong


def test_a_damaged_file_is_named(folder, capsys):
    path = folder / "t10k-images-idx3-ubyte"
    path.write_bytes(path.read_bytes()[:-1])
    assert main([*BARE, "--data", "mnist", "--data-dir", str(folder)]) == 2
    assert f"error: read_idx: {path}: 7,839 bytes of data" in capsys.readouterr().err


def test_training_that_diverges_is_code_1(capsys):
    assert main([*BARE, "--quiet", "--lr", "1e30"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert re.fullmatch(
        r"python -m fastgrad: error: fit: the loss is \w+ in epoch 1, batch \d; try a lower --lr\n",
        err,
    )


def test_ctrl_c_is_code_130(capsys, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(train, "fit", interrupted)
    assert main([*BARE, "--threads", "1"]) == 130
    assert capsys.readouterr().err == "python -m fastgrad: interrupted\n"


def test_ctrl_c_while_training_tells_what_was_reached(capsys, monkeypatch, tmp_path):
    def interrupt(history):
        if len(history) == 2:
            raise KeyboardInterrupt

    path = tmp_path / "model"
    monkeypatch.setattr(train, "_print_epoch", interrupt)
    assert main([*BARE, "--epochs", "9", "--save", str(path)]) == 130
    out, err = capsys.readouterr()
    assert accuracy_in(out) > 20
    assert err == "python -m fastgrad: interrupted\n"
    assert load(path)


def test_a_folder_of_checkpoints_that_cannot_be_made_is_code_1(capsys, tmp_path):
    (tmp_path / "file").write_text("")
    assert main([*BARE, "--quiet", "--checkpoint", str(tmp_path / "file")]) == 1
    assert "File exists" in capsys.readouterr().err


def test_memory_that_is_not_there_is_code_1(capsys, monkeypatch):
    def greedy(*arguments, **options):
        raise MemoryError("cannot allocate 1 TiB")

    monkeypatch.setattr(train, "fit", greedy)
    assert main(BARE) == 1
    assert "out of memory: cannot allocate 1 TiB" in capsys.readouterr().err


def test_alone_it_prints_help(capsys):
    assert main([]) == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: python -m fastgrad")
    assert "train" in out
    assert "doctor" in out


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["doctor", "--help"]])
def test_help(arguments, capsys):
    with pytest.raises(SystemExit) as exit_:
        main(arguments)
    assert exit_.value.code == 0
    assert capsys.readouterr().out.startswith("usage: python -m fastgrad")


def test_version(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"fastgrad {fg.__version__}\n"


# ------------------------------------------------------------------ as a program


def test_as_a_program(tmp_path):
    command = [sys.executable, "-W", "error", "-m", "fastgrad", *BARE]
    finished = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert finished.returncode == 0
    assert finished.stderr == ""
    assert accuracy_in(finished.stdout) > 50
    assert os.listdir(tmp_path) == []
