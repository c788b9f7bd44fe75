"""Training: ``fit`` runs the epochs, ``evaluate`` tells how good a model is, ``save`` keeps it.

    model = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 10))
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loss = nn.CrossEntropyLoss()
    history = fit(model, loss, optimizer, train_loader, epochs=10, validation=test_loader)
    history["validation_accuracy"]                  # a number for each epoch
    save(model.state_dict(), "digits.safetensors")

A loader is anything that can be iterated over once an epoch and gives pairs ``(x, target)`` of
Tensors or arrays, with one sample per row.
"""

import math
import time
from collections.abc import Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from ._progress import Bar
from .backend import K
from .data._checks import as_integer
from .nn import Module
from .serialization import load, save
from .tape import no_grad
from .tensor import Tensor

__all__ = ["Evaluation", "History", "accuracy", "evaluate", "fit", "load", "save"]


class History(Sequence):
    """What ``fit`` measured: a sequence of dicts, one for each epoch, with the entries

    epoch                 its number, from 1
    loss, accuracy        means over the training batches, each batch before its own step
    validation_loss, validation_accuracy
                          of the model at the end of the epoch
    seconds               time spent on training, validation not counted
    samples_per_second    training samples, divided by that time

    Losses are means per sample, accuracies shares from 0 to 1. An entry is None where it does not
    apply: accuracy where targets are no labels, and validation where there was none.

    ``history[-1]`` is the last epoch's dict, ``history["loss"]`` a list over the epochs, and
    ``as_dict()`` has all the lists. Everything in them is a plain Python number.

    >>> history = History([{"epoch": 1, "loss": 0.5}, {"epoch": 2, "loss": 0.25}])
    >>> history["loss"]
    [0.5, 0.25]
    >>> history[-1]
    {'epoch': 2, 'loss': 0.25}
    """

    def __init__(self, epochs=()):
        self.epochs = list(epochs)

    def __len__(self):
        return len(self.epochs)

    def __getitem__(self, key):
        if not isinstance(key, str):
            return self.epochs[key]
        names = self.epochs[0] if self.epochs else ()
        if self.epochs and key not in names:
            raise KeyError(f"History: no entry {key!r}; there are {', '.join(names)}")
        return [epoch[key] for epoch in self.epochs]

    def as_dict(self):
        """Every entry as a list over the epochs, by name.

        >>> History([{"epoch": 1, "loss": 0.5}]).as_dict()
        {'epoch': [1], 'loss': [0.5]}
        """
        return {name: self[name] for name in (self.epochs[0] if self.epochs else ())}

    def __repr__(self):
        if not self.epochs:
            return "History(no epochs)"
        last = ", ".join(f"{k}={_short(v)}" for k, v in self.epochs[-1].items() if v is not None)
        return f"History({len(self)} epochs, the last: {last})"


class Evaluation(NamedTuple):
    """Mean loss per sample, and the share of right answers (None where targets are no labels)."""

    loss: float
    accuracy: float | None


def fit(
    model,
    loss,
    optimizer,
    loader,
    *,
    epochs=1,
    validation=None,
    progress=None,
    check_finite=True,
    on_epoch=None,
):
    """Train ``model``: every epoch, a step of ``optimizer`` for every batch of ``loader``.

    Parameters
    ----------
    model, loss
        The Module to train, and ``loss(model(x), target)``: the mean over a batch, one number.
    optimizer
        Has the model's parameters already.
    loader
        Gives pairs ``(x, target)``, anew in every epoch.
    epochs
        How many times to go through ``loader``.
    validation
        A loader to evaluate the model on after every epoch.
    progress
        Whether to show a bar with loss, accuracy and samples per second on stderr; None shows it
        where stderr is a terminal.
    check_finite
        Stop at the first loss that is NaN or infinite, before it gets into the parameters.
    on_epoch
        Called with the ``History`` so far after every epoch; a true result ends training early.

    Accuracy is measured where targets are integer labels of the rows of the model's scores; labels
    that are the loss's ``ignore_index`` do not count.

    Returns the ``History``. However it ends, by an error or Ctrl-C too, every module is back in
    the mode, training or evaluation, that it was in.

    Raises ``TypeError`` or ``ValueError`` for a loader that is empty or gives no pairs and for a
    loss that is not one number, ``FloatingPointError`` for one that is not finite. Other errors
    carry a note of the epoch and the batch.

    >>> import fastgrad as fg
    >>> fg.manual_seed(0)
    >>> model = fg.nn.Linear(1, 1)
    >>> optimizer = fg.optim.SGD(model.parameters(), lr=0.5)
    >>> batch = fg.tensor([[-1.0], [1.0]]), fg.tensor([[-2.0], [4.0]])      # y = 3x + 1
    >>> history = fit(model, fg.nn.MSELoss(), optimizer, [batch], epochs=10)
    >>> len(history), history[-1]["loss"] < 1e-6
    (10, True)
    >>> model.weight.detach(), model.bias.detach()
    (tensor([[3.]]), tensor([1.]))
    """
    _check_parts("fit", model, loss)
    epochs = as_integer(epochs, "fit", "epochs")
    history = History()
    with _modes_kept(model):
        for epoch in range(1, epochs + 1):
            with Bar(f"epoch {epoch}/{epochs}", loader, progress) as bar:
                model.train()
                totals = _train_epoch((model, loss, optimizer), loader, epoch, check_finite, bar)
                entry = {"epoch": epoch, **totals.as_dict()}
                score = evaluate(model, loss, validation) if validation is not None else _NOTHING
                entry["validation_loss"], entry["validation_accuracy"] = score
                bar.finish(totals, score)
            history.epochs.append(entry)
            if on_epoch is not None and on_epoch(history):
                break
    return history


def _train_epoch(parts, loader, epoch, check_finite, bar):
    """One epoch of (model, loss, optimizer); returns its ``_Totals``."""
    model, loss, optimizer = parts
    totals = _Totals(loss)
    batch = 0
    try:
        for batch, pair in enumerate(loader, 1):
            x, target = _unpack(pair, "fit")
            optimizer.zero_grad()
            scores = model(x)
            value = loss(scores, target)
            number = _number(value, "fit")
            if check_finite and not math.isfinite(number):
                raise FloatingPointError(
                    f"fit: the loss is {number} in epoch {epoch}, batch {batch}; lower the "
                    "learning rate, look for NaN in the data, or pass check_finite=False"
                )
            value.backward()
            optimizer.step()
            totals.add(number, scores, target)
            bar.show(totals)
    except FloatingPointError:
        raise
    except Exception as error:
        error.add_note(f"in epoch {epoch}, batch {batch} of fit")
        raise
    totals.stop()
    if not totals.samples:
        raise ValueError(
            f"fit: the loader gave nothing in epoch {epoch}"
            + ("; a generator runs only once, give a list or a DataLoader" if epoch > 1 else "")
        )
    return totals


def evaluate(model, loss, loader):
    """Loss and accuracy of ``model`` over ``loader``, in evaluation mode and without gradients.

    Parameters
    ----------
    model, loss, loader
        As for ``fit``.

    Returns an ``Evaluation``: the mean ``loss`` per sample, and the ``accuracy``, None where
    targets are not integer labels. Every module is then back in the mode that it was in.

    Raises ``TypeError`` or ``ValueError`` for a loader that is empty or gives no pairs, and for a
    loss that is not one number.

    >>> import fastgrad as fg
    >>> batch = fg.tensor([[2.0, 0.0], [2.0, 0.0]]), fg.tensor([0, 1])
    >>> evaluate(fg.nn.Sequential(), fg.nn.CrossEntropyLoss(), [batch]).accuracy
    0.5
    """
    _check_parts("evaluate", model, loss)
    totals = _Totals(loss)
    with _modes_kept(model), no_grad():
        model.eval()
        for pair in loader:
            x, target = _unpack(pair, "evaluate")
            scores = model(x)
            totals.add(_number(loss(scores, target), "evaluate"), scores, target)
    if not totals.samples:
        raise ValueError("evaluate: the loader gave nothing")
    return Evaluation(totals.mean_loss, totals.accuracy)


def accuracy(logits, target):
    """Share of rows whose largest score is that of the right class, from 0 to 1.

    Parameters
    ----------
    logits
        Scores ``(N, C)`` or ``(N, C, *)``, Tensor or array; of equal scores, the first counts.
    target
        Integer labels ``(N,)`` or ``(N, *)``, Tensor or array.

    Raises ``TypeError`` for labels that are no integers, ``ValueError`` for shapes that do not fit
    and for no labels.

    >>> accuracy(np.array([[2.0, 1.0], [0.0, 3.0], [1.0, 0.0]]), np.array([0, 1, 1]))
    0.6666666666666666
    """
    scores, labels = _array(logits), _array(target)
    if labels.dtype.kind not in "iu":
        raise TypeError(f"accuracy: expected integer labels, got {labels.dtype}")
    if not _are_labels(labels, scores):
        raise ValueError(
            f"accuracy: logits {scores.shape} and target {labels.shape} do not fit; expected "
            "(N, C) and (N,), or (N, C, *) and (N, *)"
        )
    if not labels.size:
        raise ValueError(f"accuracy: no labels, target has shape {labels.shape}")
    return int(np.count_nonzero(K.argmax(scores, 1) == labels)) / labels.size


# ------------------------------------------------------------------ pieces of the loop


_NOTHING = Evaluation(None, None)


class _Totals:
    """Sums over the batches of an epoch, and the time that they took."""

    def __init__(self, loss):
        self._ignored = getattr(loss, "ignore_index", None)
        self._loss = 0.0
        self._right = self._labels = 0
        self.samples = 0
        self._start, self._stop = time.perf_counter(), None

    def add(self, loss, scores, target):
        """Add a batch: its mean loss, the model's scores and the targets."""
        labels = target.data
        size = labels.shape[0] if labels.ndim else 1
        self._loss += loss * size
        self.samples += size
        if isinstance(scores, Tensor) and _are_labels(labels, scores.data):
            right = K.argmax(scores.data, 1) == labels
            if self._ignored is None:
                self._labels += labels.size
            else:
                counted = labels != self._ignored
                right &= counted
                self._labels += np.count_nonzero(counted)
            self._right += np.count_nonzero(right)

    def stop(self):
        """Stop the clock."""
        self._stop = time.perf_counter()

    @property
    def mean_loss(self):
        return self._loss / self.samples if self.samples else math.nan

    @property
    def accuracy(self):
        return int(self._right) / int(self._labels) if self._labels else None

    @property
    def seconds(self):
        return (self._stop or time.perf_counter()) - self._start

    def as_dict(self):
        """The entries of a ``History``."""
        return {
            "loss": self.mean_loss,
            "accuracy": self.accuracy,
            "seconds": self.seconds,
            "samples_per_second": self.samples / self.seconds,
        }


@contextmanager
def _modes_kept(model):
    """Put every module back into the mode, training or evaluation, that it is in now."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def _check_parts(where, model, loss):
    if not isinstance(model, Module):
        raise TypeError(f"{where}: the model is a {type(model).__name__}; expected a Module")
    if not callable(loss):
        raise TypeError(f"{where}: the loss is a {type(loss).__name__}; expected a function")


def _unpack(pair, where):
    """A batch as a pair of Tensors."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        size = f" of {len(pair)}" if isinstance(pair, tuple | list) else ""
        raise TypeError(
            f"{where}: the loader gave a {type(pair).__name__}{size}; expected pairs (x, target)"
        )
    x, target = pair
    return (
        x if isinstance(x, Tensor) else Tensor(x),
        target if isinstance(target, Tensor) else Tensor(target),
    )


def _number(value, where):
    """The loss of a batch as a Python float."""
    if not isinstance(value, Tensor):
        raise TypeError(f"{where}: the loss is a {type(value).__name__}; expected a Tensor")
    if value.data.size != 1:
        raise ValueError(
            f"{where}: the loss has shape {value.shape}; expected one number, such as its mean()"
        )
    return value.data.item()


def _are_labels(labels, scores):
    """Whether ``labels`` (N, \\*) are integers for the rows of ``scores`` (N, C, \\*)."""
    return (
        labels.dtype.kind in "iu"
        and scores.ndim >= 2
        and labels.shape == scores.shape[:1] + scores.shape[2:]
    )


def _array(value):
    return value.data if isinstance(value, Tensor) else np.asarray(value)


def _short(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)
