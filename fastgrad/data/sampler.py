"""Samplers: the order in which a loader asks for samples, by PyTorch's names.

A sampler is anything with a length that gives indices when it is iterated over. ``generator`` is
None for what ``manual_seed`` sets, a seed, or a NumPy generator.
"""

import numpy as np

from ._checks import as_integer, unwrap
from ._random import as_numpy, default

__all__ = [
    "BatchSampler",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "SubsetRandomSampler",
    "WeightedRandomSampler",
]


class Sampler:
    """The base: a subclass defines ``__iter__`` and ``__len__``."""

    def __iter__(self):
        raise NotImplementedError(f"{type(self).__name__} does not define __iter__")


class SequentialSampler(Sampler):
    """All samples in order.

    >>> list(SequentialSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source):
        self.data_source = data_source

    def __iter__(self):
        return iter(range(len(self.data_source)))

    def __len__(self):
        return len(self.data_source)


class RandomSampler(Sampler):
    """``num_samples`` samples at random, by default as many as there are.

    Without ``replacement`` each is given once before any is given again.

    >>> sorted(RandomSampler("abc"))
    [0, 1, 2]
    """

    def __init__(self, data_source, replacement=False, num_samples=None, generator=None):
        self.data_source, self.replacement = data_source, bool(replacement)
        count = len(data_source) if num_samples is None else num_samples
        self.num_samples = as_integer(count, "RandomSampler", "num_samples")
        self._own = as_numpy(generator, "RandomSampler")

    def __iter__(self):
        numbers, size = self._own or default.numpy, len(self.data_source)
        if self.replacement:
            return iter(numbers.integers(size, size=self.num_samples).tolist())
        orders = [numbers.permutation(size) for _ in range(-(-self.num_samples // max(1, size)))]
        return iter(np.concatenate([np.empty(0, int), *orders])[: self.num_samples].tolist())

    def __len__(self):
        return self.num_samples


class SubsetRandomSampler(Sampler):
    """The given indices in random order.

    >>> sorted(SubsetRandomSampler([5, 2]))
    [2, 5]
    """

    def __init__(self, indices, generator=None):
        self.indices = np.asarray(unwrap(indices))
        self._own = as_numpy(generator, "SubsetRandomSampler")

    def __iter__(self):
        numbers = self._own or default.numpy
        return iter(numbers.permutation(self.indices).tolist())

    def __len__(self):
        return len(self.indices)


class WeightedRandomSampler(Sampler):
    """``num_samples`` indices, each with a probability in proportion to its weight.

    Weights of 1 / (number of samples in a sample's class) give every class equally often. Without
    ``replacement`` no index comes twice. Raises ``ValueError`` for weights that are no such list,
    and for more samples than weights above 0 without replacement.

    >>> set(WeightedRandomSampler([0.0, 1.0, 3.0], 100)) <= {1, 2}
    True
    """

    def __init__(self, weights, num_samples, replacement=True, generator=None):
        where = "WeightedRandomSampler"
        self.weights = np.asarray(unwrap(weights), np.float64)
        if self.weights.ndim != 1 or not (
            np.isfinite(self.weights).all() and (self.weights >= 0).all() and self.weights.any()
        ):
            raise ValueError(
                f"{where}: expected one axis of finite weights from 0 up, not all 0; got shape "
                f"{self.weights.shape}"
            )
        self.num_samples = as_integer(num_samples, where, "num_samples", least=1)
        self.replacement = bool(replacement)
        most = np.count_nonzero(self.weights)
        if not self.replacement and self.num_samples > most:
            raise ValueError(
                f"{where}: num_samples is {num_samples} without replacement; expected at most "
                f"{most}, the number of weights above 0"
            )
        self._own = as_numpy(generator, where)

    def __iter__(self):
        numbers = self._own or default.numpy
        if self.replacement:
            edges = np.cumsum(self.weights)
            drawn = numbers.random(self.num_samples) * edges[-1]
            return iter(np.searchsorted(edges, drawn, side="right").tolist())
        # The first arrivals of Poisson processes with these rates (Efraimidis & Spirakis 2006).
        with np.errstate(divide="ignore"):
            arrivals = numbers.standard_exponential(len(self.weights)) / self.weights
        return iter(np.argsort(arrivals, kind="stable")[: self.num_samples].tolist())

    def __len__(self):
        return self.num_samples


class BatchSampler(Sampler):
    """Lists of ``batch_size`` indices of a sampler; the last may be shorter, or is left out.

    >>> list(BatchSampler(range(5), 2, drop_last=False))
    [[0, 1], [2, 3], [4]]
    """

    def __init__(self, sampler, batch_size, drop_last):
        self.sampler, self.drop_last = sampler, bool(drop_last)
        self.batch_size = as_integer(batch_size, "BatchSampler", "batch_size", least=1)

    def __iter__(self):
        batch = []
        for index in self.sampler:
            batch.append(index)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch

    def __len__(self):
        whole, rest = divmod(len(self.sampler), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)
