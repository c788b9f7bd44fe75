"""The command line's errors: one line and a code."""

import re

import pytest
from cli_runs import BARE, accuracy_in

import fastgrad as fg
from fastgrad.cli import main, train
from fastgrad.serialization import load

pytestmark = pytest.mark.usefixtures("settings_are_restored")

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
