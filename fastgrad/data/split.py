"""Splits that keep the shares of classes, and cross-validation."""

import numpy as np

from ._checks import as_integer, unwrap
from .dataset import Subset, fresh_seed, source, split_counts

__all__ = ["k_fold", "stratified_split"]


def stratified_split(dataset, lengths, labels=None, *, seed=None):
    """Split a dataset at random so that every part has the classes in the same shares.

    Parameters
    ----------
    dataset
        Anything with ``__getitem__`` and ``__len__``.
    lengths
        Integers that add up to ``len(dataset)``, or fractions that add up to 1.
    labels
        The class of each sample, (n,) integers; by default the last array of a ``TensorDataset``.
    seed
        An integer from 0 up: the same seed gives the same split. None: a different one each time.

    Parts have the lengths asked for; of every class, a part has its share, rounded up or down.
    Returns a list of ``Subset``. Raises TypeError or ValueError for lengths and labels that are
    none.

    >>> from fastgrad.data import TensorDataset
    >>> dataset = TensorDataset(np.zeros((10, 2)), np.repeat([0, 1], [6, 4]))
    >>> train, test = stratified_split(dataset, [0.5, 0.5], seed=0)
    >>> np.bincount(test[:][1].data)
    array([3, 2])
    """
    labels = _labels(dataset, labels, "stratified_split")
    counts = split_counts(list(lengths), len(dataset), "stratified_split")
    order = _interleaved(labels, _numbers(seed, "stratified_split"))
    # Along ``order`` classes are mixed evenly; so are parts, where positions are dealt out so.
    parts = [order[rows] for rows in _evenly(counts)]
    return [Subset(dataset, np.sort(rows)) for rows in parts]


def k_fold(dataset, k=5, labels=None, *, shuffle=True, seed=None):
    """k pairs (to train on, to test on): every sample is in one of the k test parts.

    With ``labels`` (n,) each part has the classes in the same shares. ``shuffle=False`` takes the
    samples in order. Raises ValueError for k that is not from 2 to the number of samples.

    >>> from fastgrad.data import TensorDataset
    >>> folds = k_fold(TensorDataset(np.arange(6)), 3, shuffle=False)
    >>> [test[:][0].tolist() for train, test in folds]
    [[0, 1], [2, 3], [4, 5]]
    """
    size, k = len(dataset), as_integer(k, "k_fold", "k", least=2)
    if k > size:
        raise ValueError(f"k_fold: k is {k} for {size} samples; expected at most as many")
    numbers = _numbers(seed, "k_fold") if shuffle else None
    if labels is not None:
        order = _interleaved(_labels(dataset, labels, "k_fold"), numbers)
        tests = [np.sort(order[first::k]) for first in range(k)]
    else:
        order = numbers.permutation(size) if shuffle else np.arange(size)
        tests = np.array_split(order, k)
    folds = []
    for test in tests:
        rest = np.ones(size, bool)
        rest[test] = False
        folds.append((Subset(dataset, np.flatnonzero(rest)), Subset(dataset, test)))
    return folds


def _numbers(seed, where):
    seed = fresh_seed() if seed is None else as_integer(seed, where, "seed")
    return np.random.Generator(np.random.PCG64(seed))


def _labels(dataset, labels, where):
    if labels is None:
        whole = source(dataset, slice(None))
        if whole is None:
            raise TypeError(f"{where}: labels are needed for a {type(dataset).__name__}")
        arrays, rows = whole
        labels = arrays[-1][rows]
    labels = np.asarray(unwrap(labels))
    if labels.shape != (len(dataset),):
        raise ValueError(
            f"{where}: labels have shape {labels.shape}; expected ({len(dataset)},), one for each "
            "sample"
        )
    return labels


def _interleaved(labels, numbers):
    """All positions, class by class, each class shuffled."""
    order = np.arange(len(labels)) if numbers is None else numbers.permutation(len(labels))
    return order[np.argsort(labels[order], kind="stable")]


def _evenly(counts):
    """Positions 0 to Σ counts - 1 dealt out so that every stretch of them has each part's share.

    Position by position, the part is chosen that is furthest behind its share; a stretch, such as
    a class, then has a share rounded up or down, two parts, or nearly so, several.
    """
    counts = np.asarray(counts)
    wanted = np.concatenate([(np.arange(c) + 0.5) / c for c in counts if c] or [np.empty(0)])
    part = np.repeat(np.arange(len(counts)), counts)
    dealt = part[np.argsort(wanted, kind="stable")]
    return [np.flatnonzero(dealt == number) for number in range(len(counts))]
