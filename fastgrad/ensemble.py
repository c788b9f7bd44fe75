"""Ensembles: several networks that answer together, trained apart or collected along one run.

    ensemble = train_ensemble(make, train, seeds=range(5))
    ensemble.predict(x_test)
    ensemble.save("five.safetensors")

Members that err differently err less together (Hansen & Salamon 1990; for deep networks and their
uncertainty, Lakshminarayanan, Pritzel & Blundell 2017).
"""

import copy
import math
import re

import numpy as np

from . import random
from .nn import Module
from .ops import log_softmax, logsumexp, softmax, stack
from .serialization import load, save
from .tape import no_grad
from .tensor import Tensor

__all__ = ["Ensemble", "Snapshots", "train_ensemble"]

_AVERAGES = ("probabilities", "outputs")


class Ensemble(Module):
    """Members whose answers are averaged.

    Parameters
    ----------
    members
        Modules with outputs of one shape.
    average
        "probabilities": members give logits (N, C, ...), and the ensemble the logarithm of the
        mean of their softmaxes, which every loss of logits takes. "outputs": the mean of outputs,
        for regression, or of logits.

    As a Module it has the members' parameters, modes and state. Raises ``TypeError`` for members
    that are no Modules, ``ValueError`` for none and for another average.

    >>> import fastgrad as fg
    >>> ensemble = Ensemble([fg.nn.Linear(2, 3), fg.nn.Linear(2, 3)])
    >>> ensemble.predict_proba(fg.zeros(4, 2)).shape, ensemble.predict(fg.zeros(4, 2)).shape
    ((4, 3), (4,))
    """

    def __init__(self, members, average="probabilities"):
        super().__init__()
        members = list(members)
        if not members:
            raise ValueError("Ensemble: no members; expected at least one")
        if average not in _AVERAGES:
            raise ValueError(f"Ensemble: average is {average!r}; expected one of {_AVERAGES}")
        for number, member in enumerate(members):
            if not isinstance(member, Module):
                raise TypeError(f"Ensemble: member {number} is {type(member).__name__}, no Module")
            self.add_module(str(number), member)
        self.average = average

    @property
    def members(self):
        """The members, a list."""
        return list(self._modules.values())

    def __len__(self):
        return len(self._modules)

    def forward(self, x):
        """The members' average, see ``average``."""
        outputs = [member(x) for member in self.members]
        if self.average == "outputs":
            return stack(outputs).mean(0)
        together = stack([log_softmax(scores, 1) for scores in outputs])
        return logsumexp(together, 0) - math.log(len(outputs))

    # ---------------------------------------------------------------- answers

    def _answers(self, x, batch_size):
        """``forward(x)`` in evaluation mode and without gradients, so many rows at a time."""
        modes = [(module, module.training) for module in self.modules()]
        x = x if isinstance(x, Tensor) else Tensor(np.ascontiguousarray(x))
        try:
            self.eval()
            with no_grad():
                parts = [
                    self.forward(x[start : start + batch_size]).data
                    for start in range(0, max(1, len(x)), batch_size)
                ]
        finally:
            for module, training in modes:
                module.training = training
        return np.concatenate(parts)

    def predict_proba(self, x, batch_size=1024):
        """Probabilities of classes, an array (N, C, ...), for x (N, ...), a Tensor or an array.

        With ``average="outputs"`` they are the softmax of the mean logits.
        """
        return softmax(Tensor(self._answers(x, batch_size)), 1).data

    def predict(self, x, batch_size=1024):
        """The most probable class for each row of x, an array of int64 (N, ...).

        With ``average="outputs"``, the mean of the outputs.
        """
        answers = self._answers(x, batch_size)
        return answers if self.average == "outputs" else answers.argmax(axis=1)

    def score(self, x, y, batch_size=1024):
        """Share of right classes, from 0 to 1, for labels y (N,).

        >>> import fastgrad as fg
        >>> ensemble = Ensemble([fg.nn.Sequential()])
        >>> ensemble.score(np.eye(3, dtype=np.float32), np.array([0, 1, 1]))
        0.6666666666666666
        """
        y = np.asarray(y.data if isinstance(y, Tensor) else y)
        right = self._answers(x, batch_size).argmax(axis=1) == y
        if not right.size:
            raise ValueError("Ensemble.score: no samples")
        return float(right.mean())

    # ---------------------------------------------------------------- files

    def save(self, path):
        """Write all members to one file in the safetensors format, see ``fastgrad.save``."""
        save(self.state_dict(), path)

    @classmethod
    def load(cls, path, make, average="probabilities"):
        """The ensemble in a file, of members that ``make()`` gives.

        Raises what ``fastgrad.load`` and ``Module.load_state_dict`` raise, ``ValueError`` for a
        file that has no members.

        >>> import tempfile
        >>> import fastgrad as fg
        >>> ensemble = Ensemble([fg.nn.Linear(2, 1), fg.nn.Linear(2, 1)], average="outputs")
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     ensemble.save(f"{folder}/two.safetensors")
        ...     again = Ensemble.load(
        ...         f"{folder}/two.safetensors", lambda: fg.nn.Linear(2, 1), average="outputs"
        ...     )
        >>> bool((again(fg.ones(1, 2)) == ensemble(fg.ones(1, 2))).all())
        True
        """
        state = load(path)
        numbers = [re.match(r"(\d+)\.", name) for name in state]
        if not numbers or not all(numbers):
            raise ValueError(f"Ensemble.load: {path} has no members 0., 1., ...")
        ensemble = cls([make() for _ in range(1 + max(int(n[1]) for n in numbers))], average)
        ensemble.load_state_dict(state)
        return ensemble

    def extra_repr(self):
        return f"average={self.average!r}"


def train_ensemble(make, train, seeds, average="probabilities"):
    """An ``Ensemble`` of members trained one after the other, each from a seed of its own.

    Parameters
    ----------
    make
        ``make()`` gives a new member.
    train
        ``train(member, seed)`` trains it; data of its own, for bagging, are its to choose.
    seeds
        Integers: ``manual_seed(seed)`` comes before ``make()``. The default generator is then as
        it was before all this.

    Raises ``ValueError`` for no seeds and for equal ones.

    >>> import fastgrad as fg
    >>> ensemble = train_ensemble(lambda: fg.nn.Linear(2, 2), lambda member, seed: None, [1, 2, 3])
    >>> len(ensemble)
    3
    """
    seeds = list(seeds)
    if not seeds or len(set(seeds)) < len(seeds):
        raise ValueError(f"train_ensemble: seeds are {seeds}; expected different ones, at least 1")
    default = random.default
    counter, numbers = default.counter.copy(), copy.deepcopy(default.numpy)
    members = []
    try:
        for seed in seeds:
            random.manual_seed(seed)
            member = make()
            train(member, seed)
            members.append(member)
    finally:
        default.counter[:], default.numpy = counter, numbers
    return Ensemble(members, average)


class Snapshots:
    """Members collected along one run: "train 1, get M for free" (Huang et al. 2017).

    The learning rate falls from its first value towards 0 along half a cosine, ``cycles`` times;
    at the end of each fall the model is in a minimum, and is kept.

    Parameters
    ----------
    model, optimizer
        What is trained; the rates of the optimizer's groups are set by ``step``.
    steps
        How often ``step`` will be called in all: after every batch, or after every epoch.
    cycles
        How many members there are to be, from 1 to ``steps``.

    In step t of a cycle of T steps the rate is ``lr / 2 · (cos(π · t / T) + 1)``. An instance is
    an ``on_epoch`` of ``fit``, too. Raises ``ValueError`` for numbers out of range.

    >>> import fastgrad as fg
    >>> model = fg.nn.Linear(2, 2)
    >>> optimizer = fg.optim.SGD(model.parameters(), lr=0.1)
    >>> snapshots = Snapshots(model, optimizer, steps=4, cycles=2)
    >>> rates = []
    >>> for _ in range(4):
    ...     rates.append(round(optimizer.param_groups[0]["lr"], 3))
    ...     snapshots.step()
    >>> rates, len(snapshots.ensemble())
    ([0.1, 0.05, 0.1, 0.05], 2)
    """

    def __init__(self, model, optimizer, steps, cycles):
        if not 1 <= cycles <= steps:
            raise ValueError(
                f"Snapshots: cycles is {cycles}, steps {steps}; expected 1 <= cycles <= steps"
            )
        self.model, self.optimizer = model, optimizer
        self.steps, self.cycles = steps, cycles
        self.members = []
        self._length = math.ceil(steps / cycles)
        self._done = 0
        self._rates = [group["lr"] for group in optimizer.param_groups]

    def step(self):
        """A step is done: keep the model where a cycle ends, and set the next step's rates."""
        self._done += 1
        at = self._done % self._length
        if at == 0 or self._done == self.steps:
            self.members.append(copy.deepcopy(self.model))
        share = (math.cos(math.pi * at / self._length) + 1.0) / 2.0
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * share

    def __call__(self, history):
        """``step``, for ``fit(..., on_epoch=snapshots)``."""
        self.step()

    def ensemble(self, last=None, average="probabilities"):
        """An ``Ensemble`` of the members so far, or of the ``last`` so many of them."""
        if last is not None and not 1 <= last <= len(self.members):
            raise ValueError(
                f"Snapshots: last is {last}; expected 1 to {len(self.members)}, the members so far"
            )
        return Ensemble(self.members[-last:] if last else self.members, average)
