"""The training that the command line runs: a network on images, built as often as wanted."""

import itertools
import time
from dataclasses import dataclass, field, replace

import numpy as np

from .. import nn, training
from ..backend import get_backend
from ..data import DataLoader, MixUp, TensorDataset, mixed_loss
from ..data.augment import Compose, ConvertImageDtype
from ..random import manual_seed
from ..tensor import Tensor
from ..training.batches import unpack
from ..training.step import make_step
from ._errors import UsageError
from ._named import Spec, build, find, takes
from ._networks import make_network

_EVALUATION_BATCH = 1000
_MLP, _SGD = Spec("mlp"), Spec("sgd")
# Where we choose other options than the optimizers themselves.
_DEFAULTS = {"SGD": {"lr": 0.05, "momentum": 0.9}}
# Parameters of schedules that say how many steps they will get, or that a step is a batch.
_HORIZONS = ("total_steps", "T_max")
_OF_BATCHES = ("total_steps", "step_size_up")


@dataclass(frozen=True)
class Job:
    """All that decides the result of a training.

    data         x_train (n, features) or (n, channels, height, width), floats or bytes,
                 y_train (n,), x_test, y_test
    model        a ``Spec``, as are optimizer, init, schedule and what is in augment
    layers       options of the network that were given outside of its ``Spec``
    shorthands   options of the optimizer that were given outside of its ``Spec``
    validation   share of the training images to validate on
    """

    data: tuple
    model: Spec = _MLP
    layers: dict = field(default_factory=dict)
    init: Spec | None = None
    optimizer: Spec = _SGD
    shorthands: dict = field(default_factory=dict)
    batch_size: int = 64
    seed: int = 0
    epochs: int = 1
    schedule: Spec | None = None
    schedule_per: str | None = None
    label_smoothing: float = 0.0
    l1: float | None = None
    mixup: float | None = None
    augment: tuple = ()
    validation: float = 0.0
    compile: bool = True

    def build(self):
        """(model, loss, optimizer, loader), new and seeded."""
        x, y = self.train_data
        manual_seed(self.seed)
        model = self._model(x, int(y.max()) + 1)
        optimizer = build(
            "optimizer", self.optimizer, model.parameters(), **self._optimizer_options()
        )
        loss = nn.CrossEntropyLoss(label_smoothing=self.label_smoothing)
        if self.mixup is not None:
            loss = _mixed(loss)
        return model, loss, optimizer, self._loader(x, y)

    @property
    def train_data(self):
        """Images and labels to learn."""
        return self.data[:2] if not self.validation else self._split()[0]

    def validation_loader(self):
        """A loader of the images to validate on, or None."""
        return self._evaluation_loader(*self._split()[1]) if self.validation else None

    def _split(self):
        """Training data in two: to learn from, and to validate on."""
        x, y = self.data[:2]
        order = np.random.Generator(np.random.PCG64(self.seed)).permutation(len(x))
        cut = max(1, round(len(x) * self.validation))
        return [(x[rows], y[rows]) for rows in (np.sort(order[cut:]), np.sort(order[:cut]))]

    def _optimizer_options(self):
        """Our own choices and the shorthands, as far as they are the optimizer's."""
        kind = find("optimizer", self.optimizer)
        for name in self.shorthands:
            if not takes(kind, name):
                option = name.replace("_", "-")
                raise UsageError(f"--{option}: {kind.__name__} has no option {name!r}")
        decay = {"l1_decay": self.l1} if self.l1 and takes(kind, "l1_decay") else {}
        return {**_DEFAULTS.get(kind.__name__, {}), **decay, **self.shorthands}

    def _model(self, x, classes):
        model = make_network(self.model, self.layers, x.shape[1:], classes)
        if self.init is not None:
            for parameter in model.parameters():
                if parameter.ndim > 1:
                    build("initialisation", self.init, parameter)
        return model

    def _loader(self, x, y):
        # One sample alone has no deviation to be normalized by.
        normalizes = self.layers.get("batch_norm", True)
        drop_last = normalizes and len(x) % self.batch_size == 1
        changes = _as_floats(x) + [build("augmentation", one) for one in self.augment]
        return DataLoader(
            TensorDataset(x, y), self.batch_size, shuffle=True, drop_last=drop_last,
            seed=self.seed, transform=Compose(changes) if changes else None,
            batch_transform=None if self.mixup is None else MixUp(alpha=self.mixup),
        )  # fmt: skip

    def callbacks(self, optimizer, loader):
        """Those that decide the result: the schedule and the penalty."""
        found = []
        if self.l1 and not takes(type(optimizer), "l1_decay"):
            found.append(training.L1(self.l1))
        if self.schedule is not None:
            kind = find("schedule", self.schedule)
            per = self.schedule_per
            if per is None:
                per = "step" if any(takes(kind, name) for name in _OF_BATCHES) else "epoch"
            steps = self.epochs * (len(loader) if per == "step" else 1)
            horizon = {name: steps for name in _HORIZONS if takes(kind, name)}
            if self.schedule.args:  # which may be the horizon
                horizon = {}
            schedule = build("schedule", self.schedule, optimizer, **horizon)
            try:
                found.append(training.Schedule(schedule, per))
            except ValueError as error:
                raise UsageError(f"--schedule-per: {error}") from error
        return found

    def test(self, model, loss, metrics=()):
        """Evaluate a model on the test images."""
        loader = self._evaluation_loader(*self.data[2:])
        return training.evaluate(model, loss, loader, metrics=metrics)

    def _evaluation_loader(self, x, y):
        changes = _as_floats(x)
        return DataLoader(
            TensorDataset(x, y), _EVALUATION_BATCH, transform=Compose(changes) if changes else None
        )

    def warm_up(self, evaluate=True):
        """Do once what training does, so that all kernels are compiled; returns the seconds.

        Trains a model of its own on a whole batch and on one of the last batch's size, and, where
        ``evaluate`` says so, evaluates it on such batches.
        """
        start = time.perf_counter()
        x, y, x_test, y_test = self.data
        rows = self.batch_size + len(x) % self.batch_size
        tested = _EVALUATION_BATCH + len(x_test) % _EVALUATION_BATCH
        data = x[:rows], y[:rows], x_test[:tested], y_test[:tested]
        short = replace(self, data=data, validation=0.0, epochs=1)
        # as many classes as there are, though these images may not show them all
        model, loss, optimizer, _ = self.build()
        loader = short._loader(*short.data[:2])
        own = short.callbacks(optimizer, loader)
        training.fit(
            model, loss, optimizer, loader, callbacks=own, compile=self.compile, progress=False
        )
        if evaluate:
            short.test(model, loss)
        return time.perf_counter() - start

    def step(self, model, loss, optimizer):
        """A function that trains on what the loader gives; returns the number of samples."""

        context = training.Context(model, loss, optimizer)
        run = make_step(context, (), compiled=self.compile, check_finite=False)

        def train_on(batch):
            x, target = unpack(batch, "train")
            run(x, target)
            return len(x)

        return train_on


def _as_floats(x):
    """The change that bytes need to be seen as numbers from 0 to 1."""
    return [ConvertImageDtype()] if x.dtype == np.uint8 else []


def _mixed(loss):
    """The loss of mixed samples; of others, as in validation, the loss itself."""

    def mixed(scores, target):
        return (
            loss(scores, target) if isinstance(target, Tensor) else mixed_loss(loss, scores, target)
        )

    return mixed


def parameter_count(model):
    """Number of learned values in a model."""
    return sum(parameter.numel() for parameter in model.parameters())


def kernel_counts():
    """(kernels compiled, kernels loaded from the cache) by this process; None on NumPy."""
    if get_backend() != "numba":
        return None
    from ..kernels._cache import counts

    return counts["compiled"], counts["loaded"]


def endless(loader):
    """The batches of epoch after epoch."""
    return itertools.chain.from_iterable(loader for _ in itertools.count())
