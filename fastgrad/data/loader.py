"""Batches, in order or shuffled, from whole arrays."""

import numpy as np

from ._checks import as_integer
from .dataset import fresh_seed, gather


class DataLoader:
    """Iterate over a dataset in batches; every ``iter(loader)`` is one epoch.

    Parameters
    ----------
    dataset
        A ``TensorDataset``, or a ``Subset`` of one: each batch is gathered from the whole arrays
        by a kernel. Anything else with ``__getitem__`` and ``__len__`` also works, sample by
        sample and stacked, which is the slow path: see ``Dataset``.
    batch_size
        Samples in a batch, from 1 up; the last batch of an epoch may be smaller.
    shuffle
        Each epoch in a new random order.
    drop_last
        Leave out a last batch that is smaller than the others.
    seed
        An integer from 0 up that decides every order; the attribute ``seed`` has it. None draws
        one from the operating system.

    A batch of a ``TensorDataset`` is a tuple of Tensors ``(batch, ...)`` that ask for no
    gradient, one for each array. Without shuffling they are views of the dataset: change a copy.
    A dataset whose samples are bare values gives bare Tensors.

    The order of an epoch depends on the seed and the epoch's number alone. ``epoch`` is the number
    of the next one; leaving an epoch early ends it. With ``state_dict`` and ``load_state_dict`` a
    resumed run sees the orders that the first would have seen.

    Raises TypeError for a dataset without length or indexing and for a batch_size or seed that is
    no integer, ValueError for one out of range.

    >>> from fastgrad.data import TensorDataset
    >>> dataset = TensorDataset(np.zeros((10, 4), np.float32), np.arange(10))
    >>> loader = DataLoader(dataset, batch_size=4, shuffle=True, seed=0)
    >>> [x.shape for x, y in loader]
    [(4, 4), (4, 4), (2, 4)]
    >>> len(loader), loader.epoch
    (3, 1)
    """

    def __init__(self, dataset, batch_size=1, shuffle=False, *, drop_last=False, seed=None):
        for method in ("__len__", "__getitem__"):
            if not hasattr(type(dataset), method):
                raise TypeError(
                    f"DataLoader: dataset is a {type(dataset).__name__} without {method};"
                    " expected a TensorDataset, or a class with __len__ and __getitem__"
                )
        self.dataset = dataset
        self.batch_size = as_integer(batch_size, "DataLoader", "batch_size", least=1)
        self.shuffle = bool(shuffle)
        self.drop_last = bool(drop_last)
        self.seed = fresh_seed() if seed is None else as_integer(seed, "DataLoader", "seed")
        self.epoch = 0

    def __len__(self):
        """Number of batches in an epoch."""
        whole, rest = divmod(len(self.dataset), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self):
        # Here and not in the generator, whose body first runs at its first batch: two iterators
        # side by side must not be the same epoch.
        order = self._order(self.epoch) if self.shuffle else None
        self.epoch += 1
        return self._batches(order)

    def _batches(self, order):
        size = len(self.dataset)
        for batch in range(len(self)):
            start = batch * self.batch_size
            rows = slice(start, min(start + self.batch_size, size))
            yield gather(self.dataset, rows if order is None else order[rows])

    def _order(self, epoch):
        # A spawn key, and not a seed of (seed, epoch): NumPy hashes the words of such a pair one
        # after the other, so that seeds above 2³² would share orders with smaller ones.
        sequence = np.random.SeedSequence(self.seed, spawn_key=(epoch,))
        order = np.random.Generator(np.random.PCG64(sequence)).permutation(len(self.dataset))
        return order.astype(np.int64, copy=False)

    def state_dict(self):
        """``{"seed": int, "epoch": int}``: what decides the order of every epoch to come.

        >>> DataLoader([1, 2, 3], seed=7).state_dict()
        {'seed': 7, 'epoch': 0}
        """
        return {"seed": self.seed, "epoch": self.epoch}

    def load_state_dict(self, state):
        """Go on where the loader that gave ``state`` stood; an epoch already begun goes on.

        Raises ValueError for missing or unexpected entries and negative numbers, TypeError for
        entries that are no integers; the loader is then unchanged.

        >>> loader = DataLoader([1, 2, 3], shuffle=True)
        >>> loader.load_state_dict({"seed": 7, "epoch": 3})
        >>> loader.seed, loader.epoch
        (7, 3)
        """
        if set(state) != {"seed", "epoch"}:
            raise ValueError(
                f"DataLoader.load_state_dict: entries {sorted(map(str, state))};"
                " expected ['epoch', 'seed']"
            )
        seed, epoch = (
            as_integer(state[name], "DataLoader.load_state_dict", name)
            for name in ("seed", "epoch")
        )
        self.seed, self.epoch = seed, epoch
