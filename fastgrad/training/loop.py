"""``fit``: the loop over epochs and batches."""

import signal
import threading
from contextlib import contextmanager

from ..data._checks import as_integer
from .batches import unpack
from .callback import Callback, Context, hooks
from .checkpoint import find, resume_from
from .evaluation import check_parts, evaluate, modes_kept, named
from .progress import ProgressBar
from .step import make_step

__all__ = ["fit"]


def fit(
    model,
    loss,
    optimizer,
    loader,
    *,
    epochs=1,
    validation=None,
    metrics=(),
    callbacks=(),
    compile=False,
    resume=None,
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
        Gives pairs ``(x, target)``, anew in every epoch. Of ``(x, a, b, ...)`` the target is the
        tuple ``(a, b, ...)``; a model of several outputs gives a tuple or a dict of them, and the
        loss gets both (see ``nn.MultiTaskLoss``). An x that is a tuple, or a dict, is several
        inputs: ``model(*x)``, or ``model(**x)``.
    epochs
        How many times to go through ``loader``.
    validation
        A loader to evaluate the model on after every epoch.
    metrics
        What to measure on it besides, see ``evaluate``: ``metrics=["f1", "top_3_accuracy"]``.
    callbacks
        ``Callback`` objects, such as ``EarlyStopping(patience=5)`` and ``Checkpoint(folder)``.
    compile
        Record the training step and replay it (see ``fastgrad.compile``): the same bits, faster.
        For models and losses whose Python code decides nothing that differs from step to step.
    resume
        A checkpoint, or a folder of them of which the newest readable one counts: go on from
        there, to the same bits that an uninterrupted run would have reached. True: the folder of
        the ``Checkpoint`` callback, or from the beginning where it has none yet. ``epochs`` is the
        number in all.
    progress
        Whether to show a bar with loss, accuracy and samples per second on stderr; None shows it
        where stderr is a terminal.
    check_finite
        Stop at the first loss that is NaN or infinite, before it gets into the parameters.
    on_epoch
        Called with the ``History`` so far after every epoch; a true result ends training early.

    Accuracy is measured where targets are integer labels of the rows of the model's scores; labels
    that are the loss's ``ignore_index`` do not count.

    Returns the ``History``. However it ends, every module is back in the mode, training or
    evaluation, that it was in. Ctrl-C ends it after the present batch with what was reached, and
    ``history.interrupted`` is True; a second Ctrl-C does not wait for the batch.

    Raises ``TypeError`` or ``ValueError`` for a loader that is empty or gives no pairs and for a
    loss that is not one number, ``FloatingPointError`` for one that is not finite, ``ValueError``
    for a checkpoint that is damaged or does not fit (nothing is changed then). Other errors
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
    check_parts("fit", model, loss)
    epochs = as_integer(epochs, "fit", "epochs")
    functions = named(metrics, loss)
    if functions and validation is None:
        raise ValueError("fit: metrics are measured on validation data, and there is none")
    context = Context(model, loss, optimizer, loader, validation, epochs)
    context.callbacks = _in_order(callbacks, ProgressBar(progress))
    for callback in context.callbacks:
        if hasattr(callback, "scheduler"):
            context.scheduler = callback.scheduler
    run = _Run(context, functions, compile, check_finite, on_epoch)
    with modes_kept(model), _first_interrupt_noted(context):
        try:
            path = find(resume, context.callbacks)
            run.call("on_fit_begin")
            run.resumed = None if path is None else resume_from(path, context)
            run.epochs()
        except KeyboardInterrupt:
            context.interrupted = True
        finally:
            context.history.interrupted = context.interrupted
            run.call("close")
        run.call("on_fit_end")
    return context.history


def _in_order(callbacks, *own):
    callbacks = [callbacks] if isinstance(callbacks, Callback) else list(callbacks)
    for callback in callbacks:
        if not isinstance(callback, Callback):
            raise TypeError(
                f"fit: a callback is a {type(callback).__name__}; expected a Callback, an object "
                "and not its class"
            )
    if any(type(callback) is ProgressBar for callback in callbacks):
        own = ()
    return sorted([*callbacks, *own], key=lambda callback: callback.order)


@contextmanager
def _first_interrupt_noted(context):
    """Until the end of the block, the first Ctrl-C is a note in ``context``; the second raises."""
    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield  # signals are another thread's, or somebody handles them already
        return

    def note(*_):
        if context.interrupted:
            raise KeyboardInterrupt
        context.interrupted = True

    signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


class _Run:
    """What ``fit`` does, step by step, with the context of one training."""

    def __init__(self, context, metrics, compiled, check_finite, on_epoch):
        self._context, self._metrics, self._on_epoch = context, metrics, on_epoch
        self._step = make_step(
            context,
            hooks(context.callbacks, "on_gradients"),
            compiled=compiled,
            check_finite=check_finite,
        )
        self.resumed = None  # what a checkpoint says about the epoch that it is in
        self._at_end = False  # whether the present epoch has seen all of its batches

    def call(self, name):
        """Call a method of all callbacks; the end comes in the reverse order of the beginning."""
        methods = hooks(self._context.callbacks, name)
        for method in reversed(methods) if name == "on_fit_end" else methods:
            method(self._context)

    def epochs(self):
        """All epochs that are left."""
        context = self._context
        for epoch in range(len(context.history) + 1, context.epochs + 1):
            if context.stopped or context.interrupted:
                break
            self._epoch(epoch)
        if context.interrupted:
            self.call("on_interrupt")

    def _epoch(self, epoch):
        context = self._context
        context.epoch, context.batch = epoch, 0
        context.totals.restart()
        context.loader_state = _state_of(context.loader)
        self.call("on_epoch_begin")
        context.model.train()
        try:
            self._batches()
        except FloatingPointError as error:
            raise FloatingPointError(
                f"fit: {error} in epoch {epoch}, batch {context.batch + 1}; lower the "
                "learning rate, look for NaN in the data, or pass check_finite=False"
            ) from error
        except Exception as error:
            error.add_note(f"in epoch {epoch}, batch {context.batch + 1} of fit")
            raise
        context.totals.stop()
        if not context.totals.samples:
            raise ValueError(
                f"fit: the loader gave nothing in epoch {epoch}"
                + ("; a generator runs only once, give a list or a DataLoader" * (epoch > 1))
            )
        if context.interrupted or (context.stopped and not self._at_end):
            return
        context.history.epochs.append(self._entry())
        self.call("on_epoch_end")
        context.batch = 0
        if self._on_epoch is not None and self._on_epoch(context.history):
            context.stop("on_epoch asked for it")

    def _batches(self):
        """The steps of an epoch, or those that a resumed run had not done."""
        context, step = self._context, self._step
        begin, end = (hooks(context.callbacks, f"on_batch_{at}") for at in ("begin", "end"))
        batches = iter(context.loader)
        if self.resumed is not None:
            self.resumed.go_on(context, batches)
            self.resumed = None
        logs = {}
        self._at_end = False
        for batch in batches:
            context.logs = logs
            for hook in begin:
                hook(context)
            x, target = unpack(batch, "fit")
            logs["loss"] = step(x, target).data.item()
            context.batch += 1
            context.step += 1
            for hook in end:
                hook(context)
            if context.interrupted or context.stopped:
                return
        self._at_end = True

    def _entry(self):
        """An epoch's entry of the history, validation included."""
        context = self._context
        entry = context.logs = {"epoch": context.epoch, **context.totals.as_dict()}
        entry |= {"validation_loss": None, "validation_accuracy": None}
        if context.validation is not None:
            self.call("on_validation_begin")
            try:
                score = evaluate(
                    context.model, context.loss, context.validation, metrics=self._metrics
                )
            finally:
                self.call("on_validation_end")
            entry["validation_loss"], entry["validation_accuracy"] = score[:2]
            entry |= {f"validation_{name}": value for name, value in score.metrics.items()}
        return entry


def _state_of(loader):
    return loader.state_dict() if hasattr(loader, "state_dict") else None
