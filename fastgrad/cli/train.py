"""``python -m fastgrad train``: train a network on images, and say how well and how fast."""

from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from math import prod
from pathlib import Path
from statistics import median

from .. import training
from .._files import why_unwritable
from ..backend import get_backend, get_num_threads, set_backend, set_num_threads
from ..data import datasets
from ..ensemble import Ensemble
from ..serialization import save
from ..training import fit
from ._compare import compare
from ._errors import Failure, UsageError
from ._job import Job, kernel_counts, parameter_count
from ._named import find, takes
from ._networks import is_mlp
from ._options import add_options, settle

__all__ = ["SUMMARY", "add_options", "run"]

SUMMARY = "Train a network on images, and say how well and how fast"

_READERS = {"mnist": datasets.mnist, "fashion-mnist": datasets.fashion_mnist}
_EPOCHS = {"digits": 30, "mnist": 10, "fashion-mnist": 10, "cifar10": 10}
_OF_OPTIMIZERS = ("lr", "momentum", "weight_decay")
_OF_NETWORKS = (
    "hidden", "channels", "convolutions", "kernel_size", "activation", "batch_norm", "dropout",
)  # fmt: skip


# ------------------------------------------------------------------ options


def _job(options):
    """The ``Job`` that the options ask for."""
    layers, shorthands = (_given(options, names) for names in (_OF_NETWORKS, _OF_OPTIMIZERS))
    own = takes(find("network", options.model), "batch_norm")
    if own and options.batch_size == 1 and layers.get("batch_norm", True):
        raise UsageError("--batch-norm needs a --batch-size of 2 or more")
    if options.l1 and options.optimizer.options.get("l1_decay"):
        raise UsageError("--l1 and the optimizer's own l1_decay are the same; give one")
    for kind in ("activation", "optimizer", "schedule"):
        spec = getattr(options, kind)
        if spec is not None:
            find(kind, spec)
    if options.init is not None:
        find("initialisation", options.init)
    for spec in options.augment:
        find("augmentation", spec)
    same = (
        "model", "init", "optimizer", "batch_size", "seed", "schedule", "schedule_per",
        "label_smoothing", "l1", "mixup", "compile",
    )  # fmt: skip
    return Job(
        data=_data(options),
        augment=tuple(options.augment),
        layers=layers,
        shorthands=shorthands,
        epochs=options.epochs or _EPOCHS[options.data],
        validation=_validation(options),
        **{name: getattr(options, name) for name in same},
    )


def _given(options, names):
    """Those options of these names that were given."""
    values = {name: getattr(options, name) for name in names}
    return {name: value for name, value in values.items() if value is not None}


def _validation(options):
    """The share of the training images to validate on."""
    asked = options.patience or options.monitor or options.metrics
    wants = options.schedule is not None and "plateau" in options.schedule.name.lower()
    if options.validation is None:
        return 0.1 if asked or wants else 0.0
    if options.metrics and not options.validation:
        raise UsageError("--metrics are measured on validation images: --validation 0 has none")
    return options.validation


def _data(options):
    """(x_train, y_train, x_test, y_test)"""
    flatten = is_mlp(options.model) and not options.augment  # which is of images
    if options.data == "digits":
        if options.data_dir is not None or options.download:
            raise UsageError("digits come with fastgrad: no --data-dir or --download")
        return datasets.digits(flatten=flatten)
    if options.data_dir is None:
        raise UsageError(f"--data {options.data} needs --data-dir, the folder of its files")
    if options.data == "cifar10" and options.download:
        raise UsageError("--download: CIFAR-10 is read from --data-dir, and not fetched")
    try:
        if options.data == "cifar10":
            return datasets.cifar10(options.data_dir, scale=False)
        return _READERS[options.data](options.data_dir, download=options.download, flatten=flatten)
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
    options = settle(options)
    for name in ("save", "csv", "plot"):
        path = getattr(options, name)
        reason = path is not None and why_unwritable(path)
        if reason:
            raise UsageError(f"--{name}: cannot write {path}: {reason}")
    if options.plot is not None and Path(options.plot).suffix not in (".png", ".svg", ".pdf"):
        raise UsageError(f"--plot: {options.plot} does not end in .png, .svg or .pdf")
    if options.plot is not None and find_spec("matplotlib") is None:
        raise UsageError("--plot needs Matplotlib; pip install matplotlib, or fastgrad[plot]")
    if options.resume is True and options.checkpoint is None:
        raise UsageError("--resume without a PATH needs --checkpoint, the folder to go on from")
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
    counts = kernel_counts()
    try:
        warm_up = job.warm_up()
    except ValueError as error:  # of a batch that the network or an augmentation cannot take
        raise UsageError(str(error)) from error
    _describe(job, options, tell)
    tell("warm-up", f"{warm_up:.2f} s, not counted below{_compiled_since(counts)}")
    tell("epochs", job.epochs)
    members = []
    for number in range(1, options.ensemble + 1):
        of = f" {number} of {options.ensemble}" if options.ensemble > 1 else ""
        if of:
            tell("model", of.strip())
        model, loss, history = _member(job, options, number)
        members.append((model, history))
        _tell_score("test accuracy" if not of else "  one model", job, model, loss, options)
        if history.interrupted:
            break
        job = replace(job, seed=job.seed + 1)
    if len(members) > 1:
        model = Ensemble([model for model, _ in members])
        _tell_score("test accuracy", job, model, loss, options)
    speeds = [speed for _, history in members for speed in history["samples_per_second"]]
    if speeds:
        seconds = sum(sum(history["seconds"]) for _, history in members)
        text = f"{median(speeds):,.0f} samples/s, median of the epochs; {seconds:.2f} s in all"
        _print("speed", text)
    if options.save is not None:
        save(model.state_dict(), options.save)
        _print("saved", options.save)
    if history.interrupted:
        raise KeyboardInterrupt
    if not options.no_compare:
        _compare(job)


def _member(job, options, number):
    """Train one model; returns (model, loss, history)."""
    model, loss, optimizer, loader = job.build()
    own = job.callbacks(optimizer, loader)
    folder = _of_member(options.checkpoint, options, number)
    resume = options.resume
    if isinstance(resume, str) and options.ensemble > 1:
        resume = _of_member(resume, options, number)
    try:
        history = fit(
            model,
            loss,
            optimizer,
            loader,
            epochs=job.epochs,
            validation=job.validation_loader(),
            metrics=options.metrics,
            callbacks=[*own, *_callbacks(options, folder)],
            compile=job.compile,
            resume=resume,
            progress=False if options.quiet else None,
            on_epoch=None if options.quiet else _print_epoch,
        )
    except (ValueError, OSError) as error:
        if str(error).startswith(("fit: ", "load_checkpoint: ", "KeepBest: ", "EarlyStopping: ")):
            raise UsageError(str(error)) from error
        if isinstance(error, OSError):  # a checkpoint that cannot be written
            raise Failure(str(error)) from error
        raise
    if options.csv is not None:
        history.to_csv(_of_member(options.csv, options, number))
    if options.plot is not None and len(history):
        history.plot(_of_member(options.plot, options, number))
    return model, loss, history


def _of_member(path, options, number):
    """A path of one of several models: ``run`` and ``log.csv`` are ``run-2`` and ``log-2.csv``."""
    if path is None or options.ensemble == 1:
        return path
    path = Path(path)
    return path.with_name(f"{path.stem}-{number}{path.suffix}")


def _callbacks(options, folder):
    """Those that keep, clip and stop."""
    found = []
    if options.clip_norm or options.clip_value:
        found.append(training.ClipGradients(options.clip_norm, value=options.clip_value))
    if options.ema is not None:
        found.append(training.EMA(options.ema))
    if options.patience is not None:
        found.append(training.EarlyStopping(options.patience, options.monitor))
    elif options.monitor is not None:
        found.append(training.KeepBest(options.monitor))
    if folder is not None:
        found.append(
            training.Checkpoint(
                folder, options.checkpoint_every, steps=options.checkpoint_steps, keep=options.keep
            )
        )
    return found


def _tell_score(label, job, model, loss, options):
    """Print how good a model is on the test images."""
    score = job.test(model, loss, options.metrics)
    size = len(job.data[3])
    right = round(score.accuracy * size)
    _print(label, f"{score.accuracy:.2%} ({right:,} of {size:,}), loss {score.loss:.4f}")
    for name, value in score.metrics.items():
        _print(f"  {name}", f"{value:.4f}" if isinstance(value, float) else value)


def _print(label, text):
    """A line of the report; further lines of the text are indented."""
    print(f"{label:<13} {str(text).replace(chr(10), chr(10) + ' ' * 14)}", flush=True)


def _ignore(*anything):
    """Print nothing."""


def _describe(job, options, tell):
    """What is trained, and on what."""
    model, _, optimizer, _ = job.build()
    x_train, _, x_test, _ = job.data
    tell("model", f"{model}\n{parameter_count(model):,} parameters")
    tell(
        "data",
        f"{options.data}: {len(x_train):,} images to learn, {len(x_test):,} to test, "
        f"{_in_pixels(x_train.shape[1:])} each"
        + (f";\n{job.validation:.0%} of those to learn are to validate on" * bool(job.validation)),
    )
    tell("optimizer", f"{_in_words(optimizer)}; batches of {job.batch_size}, seed {job.seed}")
    if job.schedule is not None:
        tell("schedule", job.schedule)
    tell("backend", _backend_in_words())


def _in_pixels(shape):
    """How large an image is."""
    if len(shape) == 3 and shape[0] > 1:
        return f"{shape[1] * shape[2]:,} pixels in {shape[0]} channels"
    return f"{prod(shape)} pixels"


def _in_words(optimizer):
    """An optimizer, and those of its options that are neither off nor unset."""
    options = {k: v for k, v in optimizer.param_groups[0].items() if k != "params" and v}
    return f"{type(optimizer).__name__}: " + ", ".join(f"{k} {v}" for k, v in options.items())


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
    parts = [f"  {epoch['epoch']:>4}  loss {epoch['loss']:.4f}"]
    if epoch["accuracy"] is not None:
        parts.append(f"accuracy {epoch['accuracy']:7.2%}")
    if epoch["validation_loss"] is not None:
        parts.append(
            f"validation loss {epoch['validation_loss']:.4f}, "
            f"accuracy {epoch['validation_accuracy']:7.2%}"
        )
    parts.append(f"{epoch['samples_per_second']:>9,.0f} samples/s")
    print("  ".join(parts), flush=True)


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
        f"{comparison.batches} batch{'es' * (comparison.batches > 1)};\n{kind})",
    )
