"""``Callback``: what can be done at each point of a training; ``Context``: what it sees."""

from .evaluation import Totals
from .history import History

__all__ = ["Callback", "Context"]


class Context:
    """A training as its callbacks see it.

    model, loss, optimizer, loader, validation
                the parts that ``fit`` was given
    scheduler   that of the ``Schedule`` callback, or None
    epochs      how many epochs there will be
    epoch       the number of the present epoch, from 1
    batch       batches of this epoch that are done
    step        batches of all epochs that are done
    logs        in ``on_batch_end`` the batch's ``{"loss": ...}``; in ``on_epoch_end`` the epoch's
                entry of the history, to which a callback may add
    history     the ``History`` so far
    totals      the running means of this epoch: ``loss``, ``accuracy``, ``samples``, ``seconds``
    callbacks   all of them, in the order in which they are called
    stopped     why training ends early, or None
    interrupted whether Ctrl-C ended it
    """

    def __init__(self, model, loss, optimizer, loader=(), validation=None, epochs=0):
        self.model, self.loss, self.optimizer = model, loss, optimizer
        self.loader, self.validation = loader, validation
        self.epochs, self.history = epochs, History()
        self.scheduler = self.stopped = None
        self.totals = Totals(loss)
        self.epoch = self.batch = self.step = 0
        self.loader_state = None  # before the present epoch began
        self.logs, self.callbacks = {}, []
        self.interrupted = False

    def stop(self, reason="a callback asked for it"):
        """End the training after the present batch, or epoch."""
        self.stopped = str(reason)


class Callback:
    """Base of the callbacks: ``fit`` calls these methods with its ``Context``.

    ``order`` decides who is called first where it matters: lower numbers, then as given.

    >>> import fastgrad as fg
    >>> class Count(Callback):
    ...     steps = 0
    ...     def on_batch_end(self, context):
    ...         self.steps += 1
    >>> count, model = Count(), fg.nn.Linear(1, 1)
    >>> batch = fg.zeros(2, 1), fg.zeros(2, 1)
    >>> optimizer = fg.optim.SGD(model.parameters())
    >>> _ = fg.training.fit(model, fg.nn.MSELoss(), optimizer, [batch], epochs=3, callbacks=[count])
    >>> count.steps
    3
    """

    order = 0

    def on_fit_begin(self, context):
        """Before the first epoch; the state of a run that is resumed comes right after."""

    def on_fit_end(self, context):
        """After the last epoch, also where training ended early or Ctrl-C ended it; in the reverse
        order."""

    def on_epoch_begin(self, context):
        """Before an epoch's first batch, or before the first that a resumed run has left of it."""

    def on_epoch_end(self, context):
        """After an epoch and its validation."""

    def on_batch_begin(self, context):
        """Before a batch."""

    def on_gradients(self, context):
        """Between ``backward`` and the optimizer's step, inside what ``compile`` records: for
        operations on gradients only."""

    def on_batch_end(self, context):
        """After a batch and its step."""

    def on_validation_begin(self, context):
        """Before validation."""

    def on_validation_end(self, context):
        """After validation, before ``on_epoch_end``."""

    def on_interrupt(self, context):
        """After Ctrl-C, between two batches."""

    def close(self, context):
        """Last of all, after an error too."""

    def state_dict(self):
        """What a resumed run must know: nested dicts and lists of numbers, strings, arrays."""
        return {}

    def load_state_dict(self, state):
        """Take over what ``state_dict`` gave."""


def hooks(callbacks, name):
    """The methods ``name`` of those callbacks that define it."""
    return [
        getattr(callback, name)
        for callback in callbacks
        if getattr(type(callback), name, None) is not getattr(Callback, name)
        or name in vars(callback)
    ]
