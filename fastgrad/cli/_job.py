"""The training that the command line runs: an MLP on a set of images, built as often as wanted."""

import itertools
import time
from dataclasses import dataclass

from .. import nn, optim
from ..backend import get_backend
from ..data import DataLoader, TensorDataset
from ..random import manual_seed
from ..training import evaluate, fit

OPTIMIZERS = {"sgd": optim.SGD, "adam": optim.Adam, "adamw": optim.AdamW}

_EVALUATION_BATCH = 1000


@dataclass(frozen=True)
class Job:
    """All that decides the result of a training.

    data        x_train (n, features), y_train (n,), x_test, y_test
    hidden      sizes of the hidden layers
    optimizer   its name, and its options
    """

    data: tuple
    hidden: tuple
    batch_norm: bool
    dropout: float
    optimizer: str
    optimizer_options: dict
    batch_size: int
    seed: int

    def build(self):
        """(model, loss, optimizer, loader), new and seeded."""
        x, y = self.data[:2]
        manual_seed(self.seed)
        model = self._model(x.shape[1], int(y.max()) + 1)
        optimizer = OPTIMIZERS[self.optimizer](model.parameters(), **self.optimizer_options)
        return model, nn.CrossEntropyLoss(), optimizer, self._loader(x, y)

    def _model(self, features, classes):
        layers = []
        for size in self.hidden:
            # Batch normalization subtracts the mean: a bias before it would be without effect.
            layers.append(nn.Linear(features, size, bias=not self.batch_norm))
            if self.batch_norm:
                layers.append(nn.BatchNorm1d(size))
            layers.append(nn.ReLU())
            if self.dropout:
                layers.append(nn.Dropout(self.dropout))
            features = size
        return nn.Sequential(*layers, nn.Linear(features, classes))

    def _loader(self, x, y):
        # One sample alone has no deviation to be normalized by.
        drop_last = self.batch_norm and len(x) % self.batch_size == 1
        return DataLoader(
            TensorDataset(x, y), self.batch_size, shuffle=True, drop_last=drop_last, seed=self.seed
        )

    def test(self, model, loss):
        """Evaluate a model on the test images."""
        test_set = TensorDataset(*self.data[2:])
        return evaluate(model, loss, DataLoader(test_set, _EVALUATION_BATCH))

    def warm_up(self):
        """Do once what training does, so that all kernels are compiled; returns the seconds.

        Trains a model of its own on a whole batch and on one of the last batch's size.
        """
        start = time.perf_counter()
        model, loss, optimizer, _ = self.build()
        x, y = self.data[:2]
        size = min(len(x), self.batch_size + len(x) % self.batch_size)
        fit(model, loss, optimizer, self._loader(x[:size], y[:size]), progress=False)
        self.test(model, loss)
        return time.perf_counter() - start


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
