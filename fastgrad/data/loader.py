"""Batches, in order or shuffled, from whole arrays."""

import numpy as np

from ..backend import K
from ..tensor import Tensor
from ._checks import as_integer, as_rows
from ._random import new_generator
from .augment import Transform
from .dataset import fresh_seed, gather, source
from .mix import Mixture


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
    sampler
        Gives the indices of an epoch instead, each time it is iterated over; see ``sampler``. Its
        random numbers are its own, and no part of ``state_dict``.
    batch_sampler
        Gives the indices of each batch; ``batch_size``, ``shuffle`` and the like then say nothing.
    drop_last
        Leave out a last batch that is smaller than the others.
    seed
        An integer from 0 up that decides every order; the attribute ``seed`` has it. None draws
        one from the operating system.
    transform
        Applied to the first field of every batch: a ``Transform`` such as ``Compose``, or a
        function of a Tensor. Images of a ``TensorDataset`` are then never gathered as they are.
    batch_transform
        Called with the fields of every batch after that, and gives the batch: ``MixUp``, or a
        function of Tensors.

    A batch of a ``TensorDataset`` is a tuple of Tensors ``(batch, ...)`` that ask for no
    gradient, one for each array. Without shuffling they are views of the dataset: change a copy.
    A dataset whose samples are bare values gives bare Tensors.

    The order of an epoch depends on the seed and the epoch's number alone. ``epoch`` is the number
    of the next one; leaving an epoch early ends it. With ``state_dict`` and ``load_state_dict`` a
    resumed run sees the orders that the first would have seen. The random numbers of transforms
    are the loader's own too, of its seed and the epoch; functions of one's own have theirs.

    Raises TypeError for a dataset without length or indexing and for a batch_size or seed that is
    no integer, ValueError for one out of range and for options that exclude each other.

    >>> from fastgrad.data import TensorDataset
    >>> dataset = TensorDataset(np.zeros((10, 4), np.float32), np.arange(10))
    >>> loader = DataLoader(dataset, batch_size=4, shuffle=True, seed=0)
    >>> [x.shape for x, y in loader]
    [(4, 4), (4, 4), (2, 4)]
    >>> len(loader), loader.epoch
    (3, 1)
    """

    def __init__(
        self,
        dataset,
        batch_size=1,
        shuffle=False,
        sampler=None,
        batch_sampler=None,
        *,
        drop_last=False,
        seed=None,
        transform=None,
        batch_transform=None,
    ):
        for method in ("__len__", "__getitem__"):
            if not hasattr(type(dataset), method):
                raise TypeError(
                    f"DataLoader: dataset is a {type(dataset).__name__} without {method};"
                    " expected a TensorDataset, or a class with __len__ and __getitem__"
                )
        if (sampler is not None) + (batch_sampler is not None) + bool(shuffle) > 1:
            raise ValueError("DataLoader: expected one of shuffle, sampler and batch_sampler")
        for name, value in (("transform", transform), ("batch_transform", batch_transform)):
            if not (value is None or callable(value)):
                raise TypeError(f"DataLoader: {name} is {value!r}; expected a function")
        self.dataset = dataset
        self.batch_size = as_integer(batch_size, "DataLoader", "batch_size", least=1)
        self.shuffle = bool(shuffle)
        self.sampler, self.batch_sampler = sampler, batch_sampler
        self.drop_last = bool(drop_last)
        self.seed = fresh_seed() if seed is None else as_integer(seed, "DataLoader", "seed")
        self.transform, self.batch_transform = transform, batch_transform
        self.epoch = 0

    def __len__(self):
        """Number of batches in an epoch."""
        if self.batch_sampler is not None:
            return len(self.batch_sampler)
        size = len(self.dataset if self.sampler is None else self.sampler)
        whole, rest = divmod(size, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __iter__(self):
        # Here and not in the generator, whose body first runs at its first batch: two iterators
        # side by side must not be the same epoch.
        epoch = self.epoch
        self.epoch += 1
        rows = self._rows(self._order(epoch))
        if self.transform is None and self.batch_transform is None:
            return (gather(self.dataset, part) for part in rows)
        return self._changed(rows, new_generator(self._sequence(epoch).spawn(1)[0]))

    def _order(self, epoch):
        """The indices of an epoch, or None for all in order."""
        if self.batch_sampler is not None:
            return None
        if self.sampler is not None:
            return as_rows(list(self.sampler), len(self.dataset), "DataLoader")
        if not self.shuffle:
            return None
        numbers = np.random.Generator(np.random.PCG64(self._sequence(epoch)))
        return numbers.permutation(len(self.dataset)).astype(np.int64, copy=False)

    def _sequence(self, epoch):
        # A spawn key, and not a seed of (seed, epoch): NumPy hashes the words of such a pair one
        # after the other, so that seeds above 2³² would share orders with smaller ones.
        return np.random.SeedSequence(self.seed, spawn_key=(epoch,))

    def _rows(self, order):
        """The indices of each batch: int64 arrays or slices."""
        if self.batch_sampler is not None:
            for part in self.batch_sampler:
                yield as_rows(part, len(self.dataset), "DataLoader")
            return
        size = len(self.dataset) if order is None else len(order)
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            part = slice(start, min(start + self.batch_size, size))
            yield part if order is None else order[part]

    def _changed(self, rows, generator):
        """The batches after the transforms."""
        for part in rows:
            batch = self._transformed(part, generator)
            if self.batch_transform is not None:
                fields = batch if isinstance(batch, tuple) else (batch,)
                batch = _call(self.batch_transform, fields, generator)
            yield batch

    def _transformed(self, rows, generator):
        transform = self.transform
        whole = source(self.dataset, rows) if isinstance(transform, Transform) else None
        if whole is not None and type(transform).__call__ is Transform.__call__:
            (images, *others), rows = whole
            changed = Tensor(transform.of_rows(images, rows, generator))
            return changed, *(Tensor(K.gather_rows(array, rows)) for array in others)
        batch = gather(self.dataset, rows)
        if transform is None:
            return batch
        if not isinstance(batch, tuple):
            return _call(transform, (batch,), generator)
        return _call(transform, batch[:1], generator), *batch[1:]

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


def _call(function, fields, generator):
    """``function(*fields)``, one of ours with the loader's random numbers."""
    if isinstance(function, Transform | Mixture):
        return function(*fields, generator=generator)
    return function(*fields)
