"""The options of ``train``: one table, from which both the command line and a file are read."""

import argparse
import math
import tomllib
from dataclasses import dataclass
from types import SimpleNamespace

from ..metrics import by_name
from ._errors import UsageError
from ._named import Spec, hint, read_spec

# ------------------------------------------------------------------ converters


def _number(convert, fits, expected):
    """A converter of an option's text, for argparse, that rejects what does not fit."""

    def parse(text):
        try:
            value = convert(text)
        except ValueError:
            value = None
        if value is None or not fits(value):
            raise argparse.ArgumentTypeError(f"{text!r} is not {expected}")
        return value

    return parse


def _always(value):
    return True


_count = _number(int, lambda n: n >= 1, "an integer from 1 up")
_seed = _number(int, lambda n: 0 <= n < 2**63, "an integer from 0 to 2**63 - 1")
_positive = _number(float, lambda x: 0 < x < math.inf, "a number above 0")
_not_negative = _number(float, lambda x: 0 <= x < math.inf, "a number from 0 up")
_share = _number(float, lambda p: 0 <= p < 1, "a number from 0 up and below 1")
_sizes = _number(
    lambda text: tuple(int(size) for size in text.split(",")),
    lambda sizes: min(sizes) >= 1,
    "a list of sizes such as 256,128",
)
_named = _number(read_spec, _always, "a name such as adam, or with options: adam(eps=1e-7)")


def _metrics(text):
    names = [name.strip() for name in text.split(",")]
    for name in names:
        try:
            by_name(name)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error
    return names


# ------------------------------------------------------------------ the table


@dataclass(frozen=True)
class Option:
    """An option: ``--batch-size`` on the command line, ``batch_size`` in a file.

    kind   "value"; "flag", which is there or not; "switch", also with ``--no-``; "many", may be
           repeated; "maybe", a value that may be left out
    """

    name: str
    convert: object
    default: object
    help: str
    metavar: str | None = None
    kind: str = "value"
    choices: tuple | None = None

    @property
    def key(self):
        """Its name in Python and in files."""
        return self.name.replace("-", "_")


_GROUPS = {
    "data": (
        Option("data", str, "digits", "images to learn (default: digits)",
               choices=("digits", "mnist", "fashion-mnist", "cifar10")),
        Option("data-dir", str, None, "folder of the IDX files of MNIST and kin, or of CIFAR-10's",
               "DIR"),
        Option("download", None, False, "fetch files missing from DIR", kind="flag"),
        Option("validation", _share, None, "share of the training images to validate on after "
               "every epoch (default: 0.1 where something asks for it, else 0)", "P"),
        Option("augment", _named, (), "change images at random, RandomShift(2) for instance; "
               "may be repeated", "NAME", "many"),
        Option("mixup", _positive, None, "mix images in pairs, shares from Beta(X, X)", "X"),
    ),
    "model": (
        Option("model", _named, Spec("mlp"), "mlp (the default), cnn, or a network of "
               "fastgrad.models: LeNet5, resnet20(stochastic_depth=0.5), ...", "NAME"),
        Option("hidden", _sizes, None, "sizes of the hidden linear layers (default: mlp's 256,128, "
               "cnn's none)", "N,N"),
        Option("channels", _sizes, None, "of each stage of a cnn, which ends in a pooling "
               "(default: 16,32)", "N,N"),
        Option("convolutions", _count, None, "in each stage of a cnn (default: 1)", "N"),
        Option("kernel-size", _count, None, "of a cnn's convolutions, odd (default: 3)", "N"),
        Option("activation", _named, None, "of the hidden layers (default: ReLU)", "NAME"),
        Option("batch-norm", None, None, "normalize the hidden layers (default: yes)",
               kind="switch"),
        Option("dropout", _share, None, "share of the hidden units left out in a step "
               "(default: mlp's 0.2, cnn's 0)", "P"),
        Option("init", _named, None, "initial weights, kaiming_normal for instance "
               "(default: the layers' own)", "NAME"),
    ),
    "training": (
        Option("epochs", _count, None, "default: 30 for digits, else 10", "N"),
        Option("batch-size", _count, 64, "images in a step (default: 64)", "N"),
        Option("optimizer", _named, Spec("sgd"), "default: sgd; adam(eps=1e-7) gives options",
               "NAME"),
        Option("lr", _positive, None, "learning rate (default: the optimizer's, sgd's 0.05)", "X"),
        Option("momentum", _not_negative, None, "default: the optimizer's, sgd's 0.9", "X"),
        Option("weight-decay", _not_negative, None, "default: the optimizer's", "X"),
        Option("l1", _not_negative, None, "strength of the penalty on the sum of |weights|", "X"),
        Option("schedule", _named, None, "of the learning rate, StepLR(step_size=5) for instance",
               "NAME"),
        Option("schedule-per", str, None, "what a step of it is (default: what suits it)",
               choices=("epoch", "step")),
        Option("label-smoothing", _share, 0.0, "share of the targets spread over all classes",
               "P"),
        Option("clip-norm", _positive, None, "greatest norm of the gradients", "X"),
        Option("clip-value", _positive, None, "greatest magnitude of a gradient's element", "X"),
        Option("ema", _share, None, "keep a running average of the weights of this decay", "P"),
        Option("patience", _count, None, "stop after so many epochs without a better one, with "
               "the best weights", "N"),
        Option("monitor", str, None, "entry of the history that tells what is better (default: "
               "validation_loss)", "NAME"),
        Option("metrics", _metrics, (), "what else to measure: f1,top_3_accuracy", "NAME,NAME"),
        Option("ensemble", _count, 1, "train so many models that decide together", "N"),
        Option("seed", _seed, 0, "decides all that is random (default: 0)", "N"),
    ),
    "keeping": (
        Option("checkpoint", str, None, "folder of checkpoints", "DIR"),
        Option("checkpoint-every", _count, 1, "epochs between two (default: 1)", "N"),
        Option("checkpoint-steps", _count, None, "and steps between two, in an epoch", "N"),
        Option("keep", _count, 3, "how many of the newest to keep (default: 3)", "N"),
        Option("resume", str, None, "go on from a checkpoint or from a folder's newest; without "
               "a PATH from the newest in --checkpoint, if there is one", "PATH", "maybe"),
        Option("save", str, None, "write the model to a safetensors file", "FILE"),
        Option("csv", str, None, "write the history to a CSV file", "FILE"),
        Option("plot", str, None, "draw the history: a PNG, SVG or PDF file", "FILE"),
    ),
    "running": (
        Option("compile", None, True, "record the step and replay it (default: yes)",
               kind="switch"),
        Option("backend", str, None, "default: numba", choices=("numba", "numpy")),
        Option("threads", _count, None, "of the numba backend", "N"),
        Option("no-compare", None, False, "do not measure the NumPy backend's speed", kind="flag"),
        Option("quiet", None, False, "print the results only", kind="flag"),
    ),
}  # fmt: skip

OPTIONS = {option.key: option for group in _GROUPS.values() for option in group}


# ------------------------------------------------------------------ reading them


def add_options(parser):
    """Declare the options. What is not given is not in the result: ``settle`` adds defaults."""
    parser.add_argument(
        "--config", metavar="FILE", help="a TOML file of these options; those given here win"
    )
    for title, group in _GROUPS.items():
        section = parser.add_argument_group(title)
        for option in group:
            section.add_argument(f"--{option.name}", **_argument(option))


def _argument(option):
    how = {"default": argparse.SUPPRESS, "help": option.help.replace("%", "%%")}
    if option.kind == "flag":
        return how | {"action": "store_true"}
    if option.kind == "switch":
        return how | {"action": argparse.BooleanOptionalAction}
    how |= {"type": option.convert, "choices": option.choices}
    if option.choices is None:
        how["metavar"] = option.metavar
    if option.kind == "many":
        how["action"] = "append"
    if option.kind == "maybe":
        how |= {"nargs": "?", "const": True}
    return how


def settle(given):
    """All options as attributes: defaults, over them the file's, over those the given ones.

    Raises ``UsageError`` for a file that cannot be read, unknown keys, and wrong values.
    """
    given = {key: value for key, value in vars(given).items() if key in OPTIONS or key == "config"}
    path = given.pop("config", None)
    defaults = {key: option.default for key, option in OPTIONS.items()}
    return SimpleNamespace(**{**defaults, **(_from_file(path) if path else {}), **given})


def _from_file(path):
    try:
        with open(path, "rb") as file:
            values = tomllib.load(file)
    except OSError as error:
        raise UsageError(f"--config: cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"--config: {path} is no TOML: {error}") from error
    found = {}
    for name, value in values.items():
        key = name.replace("-", "_")
        if key not in OPTIONS:
            raise UsageError(f"{path}: there is no option {name!r}{hint(name, OPTIONS)}")
        try:
            found[key] = _converted(OPTIONS[key], value)
        except argparse.ArgumentTypeError as error:
            raise UsageError(f"{path}: {name}: {error}") from error
    return found


def _converted(option, value):
    """A value of a file, checked as an option's text is."""
    if option.kind in ("flag", "switch") or (option.kind == "maybe" and isinstance(value, bool)):
        if not isinstance(value, bool):
            raise argparse.ArgumentTypeError(f"{value!r} is not true or false")
        return value if option.kind != "maybe" else value or None
    if option.kind == "many":
        return [_single(option, item) for item in (value if isinstance(value, list) else [value])]
    return _single(option, value)


def _single(option, value):
    if isinstance(value, dict):
        if option.convert is not _named or not isinstance(value.get("name"), str):
            raise argparse.ArgumentTypeError("expected no table, or one with a name")
        return Spec(value["name"], (), {k: v for k, v in value.items() if k != "name"})
    if isinstance(value, bool):
        raise argparse.ArgumentTypeError(f"{str(value).lower()} is not a value for it")
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    value = option.convert(text)
    if option.choices and value not in option.choices:
        raise argparse.ArgumentTypeError(f"{value!r}; expected one of {', '.join(option.choices)}")
    return value
