"""The command line: train, help, and what goes wrong."""

import functools
import itertools
import os
import re
import subprocess
import sys

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import training
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
    settings = {
        "data": data,
        "hidden": (8,),
        "batch_norm": True,
        "dropout": 0.2,
        "optimizer": "sgd",
        "optimizer_options": {"lr": 0.1, "momentum": 0.9},
        "batch_size": 32,
        "seed": 0,
    }
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
        "(3): Dropout(p=0.2)",
        "51,210 parameters",
        "digits: 1,437 images to learn, 360 to test, 64 pixels each",
        "sgd: lr 0.05, weight_decay 0, momentum 0.9; batches of 64, seed 0",
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
    model = job(hidden=(16,)).build()[0]
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
    "--optimizer lbfgs": "argument --optimizer: invalid choice: 'lbfgs'",
    "--optimizer adam --momentum 0.5": "--momentum belongs to sgd, adam has none",
    "--data cifar": "argument --data: invalid choice: 'cifar'",
    "--data mnist": "--data mnist needs --data-dir",
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
    assert main(["train", *options.format(empty=empty).split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("python -m fastgrad: error: ")
    assert err.count("\n") == 1
    assert ERRORS[options].format(empty=empty) in err


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
