"""``evaluate``: how good a model is on a loader's samples."""

import math
import time
from collections.abc import Mapping
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from ..backend import K
from ..metrics import by_name
from ..nn import Module
from ..tape import no_grad
from ..tensor import Tensor
from ..trees import flatten
from .batches import apply, samples, unpack

__all__ = ["Evaluation", "evaluate"]


class Evaluation(NamedTuple):
    """Mean loss per sample, the share of right answers (None where targets are no labels), and
    the metrics that were asked for, by name."""

    loss: float
    accuracy: float | None
    metrics: dict = {}  # noqa: RUF012 (never changed)


def evaluate(model, loss, loader, *, metrics=()):
    """Loss and accuracy of ``model`` over ``loader``, in evaluation mode and without gradients.

    Parameters
    ----------
    model, loss, loader
        As for ``fit``.
    metrics
        What else to measure: names (see ``fastgrad.metrics``), functions ``f(outputs, targets)``,
        or a dict of either by a name of one's own. They get the outputs and the targets of all
        samples at once, as Tensors (in the structure that the model and the loader give them).

    Returns an ``Evaluation``: the mean ``loss`` per sample, the ``accuracy``, None where
    targets are not integer labels, and the ``metrics`` as plain Python values. Every module is
    then back in the mode that it was in.

    Raises ``TypeError`` or ``ValueError`` for a loader that is empty or gives no pairs, and for a
    loss that is not one number.

    >>> import fastgrad as fg
    >>> batch = fg.tensor([[2.0, 0.0], [2.0, 0.0]]), fg.tensor([0, 1])
    >>> score = evaluate(fg.nn.Sequential(), fg.nn.CrossEntropyLoss(), [batch], metrics="f1")
    >>> score.accuracy, score.metrics
    (0.5, {'f1': 0.3333333333333333})
    """
    check_parts("evaluate", model, loss)
    functions = named(metrics, loss)
    totals, seen = Totals(loss), []
    with modes_kept(model), no_grad():
        model.eval()
        for batch in loader:
            x, target = unpack(batch, "evaluate")
            outputs = apply(model, x)
            value = loss(outputs, target)
            check_loss(value, "evaluate")
            totals.add(value, outputs, target)
            if functions:
                seen.append((outputs, target))
        if not totals.samples:
            raise ValueError("evaluate: the loader gave nothing")
        whole = _joined(seen) if functions else ()
        found = {name: _plain(function(*whole)) for name, function in functions.items()}
    return Evaluation(totals.loss, totals.accuracy, found)


def named(metrics, loss):
    """Metrics as functions by name; those of ours leave out the labels that ``loss`` ignores."""
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    if not isinstance(metrics, Mapping):
        metrics = {_name_of(metric): metric for metric in metrics}
    ignored = getattr(loss, "ignore_index", None)
    functions = {}
    for name, metric in metrics.items():
        if isinstance(metric, str):
            function = by_name(metric)
            metric = lambda outputs, targets, function=function: function(  # noqa: E731
                outputs, targets, ignore_index=ignored
            )
        elif not callable(metric):
            raise TypeError(f"metrics: {metric!r} is neither a name nor a function")
        functions[name] = metric
    return functions


def _name_of(metric):
    return metric if isinstance(metric, str) else getattr(metric, "__name__", repr(metric))


def _joined(batches):
    """Nested tensors of all batches, joined along their first axis."""
    _, rebuild = flatten(batches[0])
    columns = zip(*(flatten(batch)[0] for batch in batches), strict=True)
    return rebuild([_concatenated(column) for column in columns])


def _concatenated(tensors):
    arrays = [tensor.data for tensor in tensors]
    return Tensor(np.concatenate(arrays) if arrays[0].ndim else np.stack(arrays))


def _plain(value):
    """A metric as Python numbers."""
    value = value.data if isinstance(value, Tensor) else value
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


# ------------------------------------------------------------------ pieces that fit shares


class Totals:
    """Sums over the batches of an epoch, and the time that they took.

    They are in one array, to which a kernel adds, so that a compiled step can do it.
    """

    def __init__(self, loss):
        ignored = getattr(loss, "ignore_index", None)
        self._ignored = np.iinfo(np.int64).min if ignored is None else int(ignored)
        self._sums = np.zeros(4)  # loss, right answers, labels, samples
        self.restart()

    def restart(self):
        """Begin an epoch."""
        self._sums[:] = 0.0
        self._before = 0.0  # seconds that a run which this one goes on had spent
        self._start, self._stop = time.perf_counter(), None

    def add(self, loss, outputs, target, check_finite=False):
        """Add a batch: its mean loss, the model's outputs and the targets.

        With ``check_finite``, ``FloatingPointError`` for a loss that is NaN or infinite.
        """
        scores = labels = None
        if type(target) is Tensor and isinstance(outputs, Tensor):
            labels, scores = target.data, outputs.data
            if labels.dtype.kind not in "iu" or not _are_of(labels, scores):
                scores = None
            elif labels.dtype != np.int64:
                labels = labels.astype(np.int64)
        loss = loss.data.reshape(1)
        K.tally(loss, scores, labels, self._ignored, samples(target), check_finite, self._sums)

    def stop(self):
        """Stop the clock."""
        self._stop = time.perf_counter()

    @property
    def samples(self):
        """How many there were."""
        return int(self._sums[3])

    @property
    def loss(self):
        """Mean loss per sample."""
        return float(self._sums[0]) / self.samples if self.samples else math.nan

    @property
    def accuracy(self):
        """Share of right answers; None where there were no labels."""
        right, labels = self._sums[1:3].tolist()
        return right / labels if labels else None

    @property
    def seconds(self):
        """Time so far."""
        return self._before + (self._stop or time.perf_counter()) - self._start

    def as_dict(self):
        """The entries of a ``History``."""
        return {
            "loss": self.loss,
            "accuracy": self.accuracy,
            "seconds": self.seconds,
            "samples_per_second": self.samples / self.seconds,
        }

    def state_dict(self):
        """The sums, and the time."""
        return {"sums": self._sums.tolist(), "seconds": self.seconds}

    def load_state_dict(self, state):
        """Go on from the sums of another run."""
        self._sums[:] = state["sums"]
        self._before = float(state["seconds"])


def _are_of(labels, scores):
    """Whether there is a label for each row of scores (N, C, \\*), and C is not 0."""
    return (
        scores.ndim >= 2
        and scores.dtype.kind == "f"
        and scores.shape[1] > 0
        and labels.shape == scores.shape[:1] + scores.shape[2:]
    )


@contextmanager
def modes_kept(model):
    """Put every module back into the mode, training or evaluation, that it is in now."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def check_parts(where, model, loss):
    """Raise ``TypeError`` where the model is none, or the loss no function."""
    if not isinstance(model, Module):
        raise TypeError(f"{where}: the model is a {type(model).__name__}; expected a Module")
    if not callable(loss):
        raise TypeError(f"{where}: the loss is a {type(loss).__name__}; expected a function")


def check_loss(value, where):
    """Raise where the loss of a batch is not one number in a Tensor."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{where}: the loss is a {type(value).__name__}; expected a Tensor")
    if value.data.size != 1:
        raise ValueError(
            f"{where}: the loss has shape {value.shape}; expected one number, such as its mean()"
        )
