"""Ready callbacks: the best weights, early stopping, schedules, gradients, a log.

Their order in a training: what measures and decides comes first, ``EMA`` (see ``weights.py``) puts
the weights back after it, then ``Checkpoint`` keeps the state of all. ``on_fit_end`` is called in
the reverse order.
"""

import inspect
import math

from ..data._checks import as_integer
from ..gradients import clip_grad_norm_, clip_grad_value_
from ..ops import sign
from ..serialization import save
from .callback import Callback

__all__ = ["L1", "CSVLog", "ClipGradients", "EarlyStopping", "KeepBest", "Schedule"]


def monitored(monitor, context, where):
    """``(name, value)`` of a history's entry; by default of the validation loss, or the loss."""
    entry = context.logs
    if monitor is None:
        monitor = "loss" if entry["validation_loss"] is None else "validation_loss"
    value = entry.get(monitor)
    if not isinstance(value, int | float):
        known = ", ".join(k for k, v in entry.items() if isinstance(v, int | float))
        raise ValueError(f"{where}: the history has no number {monitor!r}; there are {known}")
    return monitor, value


class KeepBest(Callback):
    """Keeps the weights of the best epoch, and gives them to the model when training ends.

    Parameters
    ----------
    monitor
        The entry of the history that decides; by default the validation loss, or without
        validation the training loss.
    mode
        "min" or "max"; by default "min" for losses and errors, "max" for everything else.
    min_delta
        What is better by no more than this is not better.
    path
        A safetensors file to which the best weights go too, each time.
    restore
        Whether the model gets them in the end.

    ``best`` is the best value, ``best_epoch`` its epoch. NaN is never better. Raises ``ValueError``
    for an entry that is not there.

    >>> KeepBest("validation_accuracy").mode
    'max'
    """

    def __init__(self, monitor=None, *, mode=None, min_delta=0.0, path=None, restore=True):
        if mode not in (None, "min", "max"):
            raise ValueError(f"{type(self).__name__}: mode is {mode!r}; expected 'min' or 'max'")
        low = monitor is None or "loss" in monitor or "error" in monitor
        self.monitor, self.mode = monitor, mode or ("min" if low else "max")
        self.min_delta, self.path, self.restore = abs(min_delta), path, restore
        self.on_fit_begin(None)

    def on_fit_begin(self, context):
        """Forget earlier trainings."""
        self.best, self.best_epoch, self.weights = None, 0, None

    def is_better(self, value):
        """Whether a value is better than the best one so far."""
        if self.best is None:
            return not math.isnan(value)
        gain = self.best - value if self.mode == "min" else value - self.best
        return gain > self.min_delta

    def on_epoch_end(self, context):
        """Keep the weights, if they are better."""
        _, value = monitored(self.monitor, context, type(self).__name__)
        if not self.is_better(value):
            return
        self.best, self.best_epoch = value, context.epoch
        state = context.model.state_dict()
        if self.restore:
            self.weights = {name: tensor.data.copy() for name, tensor in state.items()}
        if self.path is not None:
            save(state, self.path)

    def on_fit_end(self, context):
        """Give the best weights to the model."""
        if self.restore and self.weights is not None:
            context.model.load_state_dict(self.weights)

    def state_dict(self):
        return {"best": self.best, "best_epoch": self.best_epoch, "weights": self.weights}

    def load_state_dict(self, state):
        self.best, self.best_epoch = state["best"], state["best_epoch"]
        self.weights = state["weights"]


class EarlyStopping(KeepBest):
    """Ends the training after ``patience`` epochs without a better one, with the best weights.

    Other parameters are those of ``KeepBest``. Prechelt 1998. Raises ``ValueError`` for a patience
    below 1, ``TypeError`` for one that is no integer.

    >>> import fastgrad as fg
    >>> model, loss = fg.nn.Linear(1, 1), fg.nn.MSELoss()
    >>> optimizer = fg.optim.SGD(model.parameters(), lr=3.0)                # diverges
    >>> batch, stop = (fg.ones(2, 1), fg.zeros(2, 1)), EarlyStopping(patience=2)
    >>> history = fg.training.fit(model, loss, optimizer, [batch], epochs=9, callbacks=[stop])
    >>> len(history), stop.best_epoch
    (3, 1)
    """

    def __init__(
        self, patience=5, monitor=None, *, mode=None, min_delta=0.0, path=None, restore=True
    ):
        self.patience = as_integer(patience, "EarlyStopping", "patience", least=1)
        super().__init__(monitor, mode=mode, min_delta=min_delta, path=path, restore=restore)

    def on_epoch_end(self, context):
        """Keep better weights; stop where there were none for too long."""
        super().on_epoch_end(context)
        if context.epoch - self.best_epoch >= self.patience:
            context.stop(f"no better epoch for {self.patience} epochs")


class Schedule(Callback):
    """Steps a learning-rate scheduler, and writes the rate into the history, as ``lr``.

    scheduler   of ``fastgrad.optim.lr_scheduler``, or anything with ``step`` and ``state_dict``
    per         "epoch", or "step" for schedules that count batches, such as a cycle
    monitor     the entry of the history for one that wants a metric (``ReduceLROnPlateau``); by
                default the validation loss, or the loss

    Raises ``ValueError`` for another ``per``, and for "step" where a metric is wanted.
    """

    def __init__(self, scheduler, per="epoch", *, monitor=None):
        if per not in ("epoch", "step"):
            raise ValueError(f"Schedule: per is {per!r}; expected 'epoch' or 'step'")
        self.scheduler, self.per, self.monitor = scheduler, per, monitor
        first = next(iter(inspect.signature(scheduler.step).parameters.values()), None)
        self._wants_metric = first is not None and first.default is first.empty
        if per == "step":
            if self._wants_metric:
                raise ValueError("Schedule: a metric is measured once an epoch; per is 'step'")
            self.on_batch_end = lambda context: scheduler.step()

    def on_epoch_end(self, context):
        """Note the rate, and take the step."""
        context.logs["lr"] = float(context.optimizer.param_groups[0]["lr"])
        if self._wants_metric:
            self.scheduler.step(monitored(self.monitor, context, "Schedule")[1])
        elif self.per == "epoch":
            self.scheduler.step()

    def state_dict(self):
        return self.scheduler.state_dict()

    def load_state_dict(self, state):
        self.scheduler.load_state_dict(state)


class ClipGradients(Callback):
    """Clips gradients before each step: their common norm, or each element, or both.

    norm, norm_type   see ``nn.utils.clip_grad_norm_``
    value             see ``nn.utils.clip_grad_value_``

    Raises ``ValueError`` where there is neither norm nor value, and for one that is not above 0.

    >>> ClipGradients(norm=1.0).norm
    1.0
    """

    def __init__(self, norm=None, *, norm_type=2.0, value=None):
        if norm is None and value is None:
            raise ValueError("ClipGradients: neither norm nor value")
        for name, limit in (("norm", norm), ("value", value)):
            if limit is not None and not limit > 0:
                raise ValueError(f"ClipGradients: {name} is {limit}; expected a number above 0")
        self.norm, self.norm_type, self.value = norm, norm_type, value

    def on_gradients(self, context):
        """Clip."""
        parameters = [p for group in context.optimizer.param_groups for p in group["params"]]
        if self.value is not None:
            clip_grad_value_(parameters, self.value)
        if self.norm is not None:
            clip_grad_norm_(parameters, self.norm, self.norm_type)


class L1(Callback):
    """Adds ``strength · sign(w)`` to the gradients of weights: the slope of strength · Σ |w|.

    Weights are parameters of two axes or more: no biases, and not what normalizes. The losses in
    the history are without this penalty. Tibshirani 1996. Raises ``ValueError`` for a strength
    below 0.

    >>> L1(1e-4).strength
    0.0001
    """

    def __init__(self, strength):
        if not 0 <= strength < math.inf:
            raise ValueError(f"L1: strength is {strength}; expected a number from 0 up")
        self.strength = strength

    def on_gradients(self, context):
        """Add the penalty's slope."""
        for parameter in context.model.parameters():
            if parameter.ndim >= 2 and parameter.grad is not None:
                parameter.grad = parameter.grad + self.strength * sign(parameter.detach())


class CSVLog(Callback):
    """Writes the history to a CSV file after every epoch, that of earlier, resumed ones included.

    >>> CSVLog("history.csv").path
    'history.csv'
    """

    order = 90  # entries of the others included

    def __init__(self, path):
        self.path = path

    def on_epoch_end(self, context):
        """Write the table."""
        context.history.to_csv(self.path, sync=False)
