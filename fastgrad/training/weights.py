"""Weights of more than one moment: running averages, snapshots for an ensemble."""

import copy

from ..ensemble import Ensemble
from ..optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from .callback import Callback

__all__ = ["EMA", "KeepSnapshots"]


class EMA(Callback):
    """An exponential moving average of the weights, which is validated, and kept in the end.

        average = decay · average + (1 - decay) · weight      after every step; weight in the first

    decay   from 0 up and below 1
    every   steps between two updates
    keep    whether the model gets the averages when training ends

    Training itself goes on with the weights. ``average`` is an ``optim.swa_utils.AveragedModel``;
    buffers (of batch normalization, for instance) are the model's own. Polyak & Juditsky 1992.
    Raises ``ValueError`` for numbers out of range.

    >>> EMA(0.99).decay
    0.99
    """

    order = 50  # after those that keep the weights that were validated, before ``Checkpoint``

    def __init__(self, decay=0.999, *, every=1, keep=True):
        if not 0 <= decay < 1:
            raise ValueError(f"EMA: decay is {decay}; expected a number from 0 up and below 1")
        if every < 1:
            raise ValueError(f"EMA: every is {every}; expected at least 1")
        self.decay, self.every, self.keep = decay, every, keep
        self.average = self._own = None

    def on_fit_begin(self, context):
        """Begin anew."""
        average = get_ema_multi_avg_fn(self.decay)
        self.average = AveragedModel(context.model, multi_avg_fn=average)
        self._own = None

    def on_batch_end(self, context):
        """Update the averages."""
        if context.step % self.every == 0:
            self.average.update_parameters(context.model)

    def on_validation_begin(self, context):
        """The averages stand in for the weights until all have seen them."""
        state = context.model.state_dict()
        self._own = {name: tensor.data.copy() for name, tensor in state.items()}
        context.model.load_state_dict(self.average.module.state_dict())

    def on_epoch_end(self, context):
        """Put the weights back."""
        self.close(context)

    def close(self, context):
        """Put the weights back, if they are away."""
        if self._own is not None:
            context.model.load_state_dict(self._own)
            self._own = None

    def on_fit_end(self, context):
        """Give the averages to the model."""
        if self.keep:
            context.model.load_state_dict(self.average.module.state_dict())

    def state_dict(self):
        return {"average": self.average.state_dict()}

    def load_state_dict(self, state):
        self.average.load_state_dict(state["average"])


class KeepSnapshots(Callback):
    """Copies of the weights on the way, for an ensemble from one training.

    every   epochs between two, best the period of a cyclic learning rate, at whose end the
            weights are at rest
    keep    how many of the newest; None, all

    They are part of a checkpoint. Huang et al. 2017. Raises ``ValueError`` for numbers below 1.

    >>> import fastgrad as fg
    >>> model, loss, shots = fg.nn.Linear(1, 1), fg.nn.MSELoss(), KeepSnapshots(every=2)
    >>> optimizer = fg.optim.SGD(model.parameters(), lr=0.1)
    >>> batch = fg.ones(2, 1), fg.zeros(2, 1)
    >>> _ = fg.training.fit(model, loss, optimizer, [batch], epochs=6, callbacks=[shots])
    >>> len(shots.weights), shots.ensemble(model, "outputs")(fg.ones(5, 1)).shape
    (3, (5, 1))
    """

    def __init__(self, every=1, *, keep=5):
        for name, value in (("every", every), ("keep", keep)):
            if value is not None and value < 1:
                raise ValueError(f"KeepSnapshots: {name} is {value}; expected at least 1")
        self.every, self.keep, self.weights = every, keep, []

    def on_fit_begin(self, context):
        """Forget earlier trainings."""
        self.weights = []

    def on_epoch_end(self, context):
        """Copy the weights, if it is time."""
        if context.epoch % self.every == 0:
            state = context.model.state_dict()
            self.weights.append({name: tensor.data.copy() for name, tensor in state.items()})
            if self.keep is not None:
                del self.weights[: -self.keep]

    def ensemble(self, model, average="probabilities"):
        """An ``Ensemble`` of copies of the model with the weights that were kept."""
        members = [copy.deepcopy(model) for _ in self.weights]
        for member, weights in zip(members, self.weights, strict=True):
            member.load_state_dict(weights)
        return Ensemble(members, average)

    def state_dict(self):
        return {"weights": self.weights}

    def load_state_dict(self, state):
        self.weights = state["weights"]
