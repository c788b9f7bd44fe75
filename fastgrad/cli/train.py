"""``python -m fastgrad train``: train an MLP on images, and say how well and how fast."""

import argparse
import math
from contextlib import contextmanager
from statistics import median

from .._files import why_unwritable
from ..backend import get_backend, get_num_threads, set_backend, set_num_threads
from ..data import datasets
from ..serialization import save
from ..training import fit
from ._compare import compare
from ._errors import Failure, UsageError
from ._job import OPTIMIZERS, Job, kernel_counts, parameter_count

SUMMARY = "Train a multi-layer perceptron on images, and say how well and how fast"

_READERS = {"mnist": datasets.mnist, "fashion-mnist": datasets.fashion_mnist}
_EPOCHS = {"digits": 30, "mnist": 10, "fashion-mnist": 10}
_LEARNING_RATES = {"sgd": 0.05, "adam": 1e-3, "adamw": 1e-3}
_WEIGHT_DECAYS = {"sgd": 0.0, "adam": 0.0, "adamw": 0.01}
_MOMENTUM = 0.9


# ------------------------------------------------------------------ options


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


def add_options(parser):
    """Declare the options of ``train``."""
    data = parser.add_argument_group("data")
    data.add_argument(
        "--data", choices=[*_EPOCHS], default="digits", help="images to learn (default: digits)"
    )
    data.add_argument("--data-dir", metavar="DIR", help="folder of the IDX files of MNIST and kin")
    data.add_argument("--download", action="store_true", help="fetch files missing from DIR")

    model = parser.add_argument_group("model")
    model.add_argument(
        "--hidden",
        type=_sizes,
        default=(256, 128),
        metavar="N,N",
        help="sizes of the hidden layers (default: 256,128)",
    )
    model.add_argument(
        "--batch-norm",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="normalize the hidden layers (default: yes)",
    )
    model.add_argument(
        "--dropout",
        type=_share,
        default=0.2,
        metavar="P",
        help="share of the hidden units left out in a step (default: 0.2)",
    )

    training = parser.add_argument_group("training")
    training.add_argument(
        "--epochs", type=_count, metavar="N", help="default: 30 for digits, else 10"
    )
    training.add_argument(
        "--batch-size", type=_count, default=64, metavar="N", help="images in a step (default: 64)"
    )
    training.add_argument("--optimizer", choices=[*OPTIMIZERS], default="sgd", help="default: sgd")
    training.add_argument(
        "--lr", type=_positive, metavar="X", help="learning rate (default: 0.05, adam's 0.001)"
    )
    training.add_argument(
        "--momentum", type=_not_negative, metavar="X", help="sgd's (default: 0.9)"
    )
    training.add_argument(
        "--weight-decay", type=_not_negative, metavar="X", help="default: 0, adamw's 0.01"
    )
    training.add_argument(
        "--seed", type=_seed, default=0, metavar="N", help="decides all that is random (default: 0)"
    )

    running = parser.add_argument_group("running")
    running.add_argument("--backend", choices=["numba", "numpy"], help="default: numba")
    running.add_argument("--threads", type=_count, metavar="N", help="of the numba backend")
    running.add_argument("--save", metavar="FILE", help="write the model to a safetensors file")
    running.add_argument(
        "--no-compare", action="store_true", help="do not measure the NumPy backend's speed"
    )
    running.add_argument("--quiet", action="store_true", help="print the results only")


def _job(options):
    """The ``Job`` that the options ask for."""
    if options.batch_norm and options.batch_size == 1:
        raise UsageError("--batch-norm needs a --batch-size of 2 or more")
    settings = {
        "lr": options.lr or _LEARNING_RATES[options.optimizer],
        "weight_decay": _WEIGHT_DECAYS[options.optimizer],
    }
    if options.weight_decay is not None:
        settings["weight_decay"] = options.weight_decay
    if options.optimizer == "sgd":
        settings["momentum"] = _MOMENTUM if options.momentum is None else options.momentum
    elif options.momentum is not None:
        raise UsageError(f"--momentum belongs to sgd, {options.optimizer} has none")
    return Job(
        data=_data(options),
        hidden=options.hidden,
        batch_norm=options.batch_norm,
        dropout=options.dropout,
        optimizer=options.optimizer,
        optimizer_options=settings,
        batch_size=options.batch_size,
        seed=options.seed,
    )


def _data(options):
    """(x_train, y_train, x_test, y_test)"""
    if options.data == "digits":
        if options.data_dir is not None or options.download:
            raise UsageError("digits come with fastgrad: no --data-dir or --download")
        return datasets.digits()
    if options.data_dir is None:
        raise UsageError(f"--data {options.data} needs --data-dir, the folder of its IDX files")
    try:
        return _READERS[options.data](options.data_dir, download=options.download)
    except (OSError, ValueError) as error:
        text = str(error).replace("pass download=True", "add --download")
        raise UsageError(text) from error


@contextmanager
def _backend(options):
    """The backend and the threads that the options ask for, until the end of the block."""
    before, threads = get_backend(), get_num_threads()
    try:
        if options.backend is not None:
            try:
                set_backend(options.backend)
            except ImportError as error:
                raise UsageError(f"--backend {options.backend}: {error}") from error
        if options.threads is not None:
            if get_backend() != "numba":
                raise UsageError("--threads: the numpy backend has none, its BLAS library has")
            try:
                set_num_threads(options.threads)
            except ValueError as error:
                raise UsageError(f"--threads: {error}") from error
        yield
    finally:
        set_backend(before)
        set_num_threads(threads)


# ------------------------------------------------------------------ the command


def run(options):
    """Run the command; raises ``UsageError`` or ``Failure``."""
    reason = options.save is not None and why_unwritable(options.save)
    if reason:
        raise UsageError(f"--save: cannot write {options.save}: {reason}")
    with _backend(options):
        job = _job(options)
        try:
            _train(job, options)
        except FloatingPointError as error:
            raise Failure(str(error).partition(";")[0] + "; try a lower --lr") from error
        except MemoryError as error:
            raise Failure(f"out of memory: {error}") from error


def _train(job, options):
    tell = _ignore if options.quiet else _print
    epochs = options.epochs or _EPOCHS[options.data]
    counts = kernel_counts()
    warm_up = job.warm_up()
    model, loss, optimizer, loader = job.build()
    _describe(job, model, options, tell)
    tell("warm-up", f"{warm_up:.2f} s, not counted below{_compiled_since(counts)}")
    tell("epochs", epochs)
    history = fit(
        model,
        loss,
        optimizer,
        loader,
        epochs=epochs,
        progress=False if options.quiet else None,
        on_epoch=_ignore if options.quiet else _print_epoch,
    )
    score = job.test(model, loss)
    right, size = round(score.accuracy * len(job.data[3])), len(job.data[3])
    _print("test accuracy", f"{score.accuracy:.2%} ({right:,} of {size:,}), loss {score.loss:.4f}")
    speed = median(history["samples_per_second"])
    seconds = sum(history["seconds"])
    _print("speed", f"{speed:,.0f} samples/s, median of the epochs; {seconds:.2f} s in all")
    if options.save is not None:
        save(model.state_dict(), options.save)
        _print("saved", options.save)
    if not options.no_compare:
        _compare(job)


def _print(label, text):
    """A line of the report; further lines of the text are indented."""
    print(f"{label:<14}{str(text).replace(chr(10), chr(10) + ' ' * 14)}", flush=True)


def _ignore(*anything):
    """Print nothing; as ``on_epoch``, go on."""


def _describe(job, model, options, tell):
    """What is trained, and on what."""
    x_train, _, x_test, _ = job.data
    tell("model", f"{model}\n{parameter_count(model):,} parameters")
    tell(
        "data",
        f"{options.data}: {len(x_train):,} images to learn, {len(x_test):,} to test, "
        f"{x_train.shape[1]} pixels each",
    )
    settings = ", ".join(f"{name} {value:g}" for name, value in job.optimizer_options.items())
    tell("optimizer", f"{job.optimizer}: {settings}; batches of {job.batch_size}, seed {job.seed}")
    tell("backend", _backend_in_words())


def _backend_in_words():
    if get_backend() == "numpy":
        return "numpy, with the threads of its BLAS library"
    threads = get_num_threads()
    return f"numba, {threads} thread{'s' if threads > 1 else ''}"


def _compiled_since(before):
    """`` (... kernels compiled, ... loaded)`` since the counts ``before``; empty on NumPy."""
    now = kernel_counts()
    if before is None:
        return ""
    compiled, loaded = (after - then for after, then in zip(now, before, strict=True))
    return f" ({compiled} kernels compiled, {loaded} loaded from the cache)"


def _print_epoch(history):
    epoch = history[-1]
    print(
        f"  {epoch['epoch']:>4}  loss {epoch['loss']:.4f}  accuracy {epoch['accuracy']:7.2%}  "
        f"{epoch['samples_per_second']:>9,.0f} samples/s",
        flush=True,
    )


def _compare(job):
    """Measure and print how many times as fast as the NumPy reference this training is."""
    if get_backend() == "numpy":
        _print("comparison", "none: this was the NumPy reference")
        return
    comparison = compare(job)
    fast, slow = (f"{comparison.speed(backend):,.0f}" for backend in ("numba", "numpy"))
    if comparison.fair:
        calm = comparison.calm("numba"), comparison.calm("numpy")
        kind = "medians of the {} and {} slices that no other process disturbed".format(*calm)
    else:
        kind = f"the fastest of {len(comparison.slices['numpy'])} slices each.\nUNFAIR: "
        kind += "other processes kept the cores busy; measure again on an idle machine"
    _print(
        "comparison",
        f"{comparison.ratio('numba', 'numpy'):.2f} times as fast as the NumPy reference backend: "
        f"{fast} and {slow} samples/s\n"
        "(the same training on both, by turns, after a warm-up, in slices of "
        f"{comparison.batches} batches;\n{kind})",
    )
