"""Datasets: whole arrays, samples picked from them, several in one, random splits."""

import bisect
import math

import numpy as np

from ..backend import K
from ..tensor import Tensor
from ._checks import as_array, as_integer, as_position, as_rows, check_dtype, unwrap


class Dataset:
    """Samples by index: a subclass defines ``__getitem__(index)`` and ``__len__()``.

    A sample is an array, a Tensor, a number, or a tuple (or list) of them. A batch is fetched by
    ``gather``, which here asks for the samples one by one and stacks them. That is the slow path:
    it costs microseconds of Python for each sample. A subclass that can fetch many samples at
    once defines ``gather`` too.

    >>> class Squares(Dataset):
    ...     def __getitem__(self, index):
    ...         return index, float(index * index)
    ...
    ...     def __len__(self):
    ...         return 10
    >>> number, square = Squares().gather(np.array([3, 5]))
    >>> square.data
    array([ 9., 25.], dtype=float32)
    """

    def __init_subclass__(cls, **arguments):
        """A subclass that redefines ``__getitem__`` alone must not be bypassed by ``gather``."""
        super().__init_subclass__(**arguments)
        if _depth(cls, "__getitem__") < _depth(cls, "gather"):
            cls.gather = Dataset.gather

    def __getitem__(self, index):
        """The sample at ``index``, an int from 0 up to the length."""
        raise NotImplementedError(f"{type(self).__name__} does not define __getitem__")

    def gather(self, rows):
        """The samples at ``rows``, an int64 array of rank 1 or a slice, stacked field by field.

        Returns what one sample is, with a Tensor of shape ``(len(rows), *field)`` for each field.
        Raises TypeError or ValueError for samples that do not stack.
        """
        return _gather_samples(self, rows)


def _depth(cls, name):
    """How far up from ``cls`` the class stands that defines ``name``."""
    return next(depth for depth, base in enumerate(cls.__mro__) if name in vars(base))


class TensorDataset(Dataset):
    """Samples held in whole arrays: sample i is row i of each array.

    Parameters
    ----------
    *arrays
        NumPy arrays or Tensors of booleans, integers or floats, shapes ``(n, ...)`` with one
        ``n``. They are held, not copied, unless they are strided or in foreign byte order.

    Indexing gives a tuple of Tensors, one for each array, that ask for no gradient: ``(...)``
    for an int, ``(k, ...)`` for a slice, a sequence or array of integers, or a boolean mask of
    length ``n``. An int and a slice of step 1 share memory with the dataset (unless that is
    read-only); the others are gathered into new arrays by a kernel.

    Raises TypeError for no arrays, something that is no array and a dtype that is no number's,
    ValueError for a 0-d array and for first sizes that differ, IndexError for an index out of
    range.

    >>> dataset = TensorDataset(np.eye(3, dtype=np.float32), np.array([5, 6, 7]))
    >>> x, y = dataset[[2, 0]]
    >>> x.shape, y.data
    ((2, 3), array([7, 5]))
    >>> len(dataset), dataset.arrays[1]
    (3, array([5, 6, 7]))
    """

    def __init__(self, *arrays):
        if not arrays:
            raise TypeError("TensorDataset: no arrays; expected at least one")
        self.arrays = tuple(
            as_array(array, "TensorDataset", f"array {i}") for i, array in enumerate(arrays)
        )
        shapes = [array.shape for array in self.arrays]
        if () in shapes:
            raise ValueError(
                f"TensorDataset: array {shapes.index(())} is 0-d; expected shape (n, ...)"
            )
        if len({shape[0] for shape in shapes}) > 1:
            raise ValueError(
                "TensorDataset: first sizes differ: shapes "
                f"{', '.join(map(str, shapes))}; expected one number of samples"
            )

    @property
    def tensors(self):
        """The arrays as a tuple of Tensors, each ``(n, ...)``.

        >>> [tensor.shape for tensor in TensorDataset(np.zeros((4, 2)), np.zeros(4)).tensors]
        [(4, 2), (4,)]
        """
        return tuple(Tensor(array) for array in self.arrays)

    def __len__(self):
        return len(self.arrays[0])

    def __getitem__(self, index):
        position = as_position(index, len(self), "TensorDataset")
        if position is not None:
            # With an ellipsis a label is a 0-d view; without it, a NumPy scalar.
            return self._view((position, ...))
        if isinstance(index, slice):
            return self._rows(index)
        return self._rows(as_rows(index, len(self), "TensorDataset"))

    def gather(self, rows):
        """The samples at ``rows``, a slice or an int64 array, by one kernel for each array.

        A slice of step 1 gives views.

        >>> x, = TensorDataset(np.arange(10.0)).gather(np.array([1, 8]))
        >>> x.data
        array([1., 8.])
        """
        return self._rows(rows)

    def _rows(self, rows):
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                return self._view(slice(start, stop))
            rows = np.arange(start, stop, step, dtype=np.int64)
        return tuple(Tensor(K.gather_rows(array, rows)) for array in self.arrays)

    def _view(self, rows):
        views = (array[rows] for array in self.arrays)
        # Kernels take writable arrays: a read-only one (a file mapped into memory) is copied.
        return tuple(Tensor(view if view.flags.writeable else view.copy()) for view in views)


class Subset(Dataset):
    """The samples of ``dataset`` at ``indices``.

    Parameters
    ----------
    dataset
        Anything with ``__getitem__`` and ``__len__``.
    indices
        ``(k,)`` integers, negative ones counted from the end, or a boolean mask of the dataset's
        length. Kept as int64 in ``indices``, all from 0 up.

    An int gives one sample; a slice, integers or a mask give a batch, as ``gather`` does. Batches
    are gathered as fast as from ``dataset`` itself. Raises IndexError for an index out of range,
    TypeError for indices that are no integers.

    >>> odd = Subset(TensorDataset(np.arange(10)), range(1, 10, 2))
    >>> len(odd), odd[1][0].data, odd[2:][0].data
    (5, array(3), array([5, 7, 9]))
    """

    def __init__(self, dataset, indices):
        self.dataset = dataset
        self.indices = as_rows(indices, len(dataset), "Subset")

    def __len__(self):
        return len(self.indices)

    def __getitem__(self, index):
        position = as_position(index, len(self), "Subset")
        if position is not None:
            return self.dataset[int(self.indices[position])]
        return self._rows(
            index if isinstance(index, slice) else as_rows(index, len(self), "Subset")
        )

    def gather(self, rows):
        """The samples at ``rows`` of the subset, a slice or an int64 array.

        >>> Subset(TensorDataset(np.arange(10)), [9, 7, 5]).gather(np.array([2, 0]))[0].data
        array([5, 9])
        """
        return self._rows(rows)

    def _rows(self, rows):
        # A slice with a step is strided, which kernels do not take.
        return gather(self.dataset, np.ascontiguousarray(self.indices[rows]))


class ConcatDataset(Dataset):
    """The samples of several datasets, one dataset after the other.

    An int gives one sample; a slice, integers or a mask give a batch, gathered from each dataset
    at once. Raises ValueError for no datasets, IndexError for an index out of range.

    >>> both = ConcatDataset([TensorDataset(np.arange(3)), TensorDataset(np.arange(10, 12))])
    >>> len(both), both[-1][0].data, both[[4, 0]][0].data
    (5, array(11), array([11,  0]))
    """

    def __init__(self, datasets):
        self.datasets = list(datasets)
        if not self.datasets:
            raise ValueError("ConcatDataset: no datasets; expected at least one")
        self.cumulative_sizes = np.cumsum([len(one) for one in self.datasets]).tolist()

    def __len__(self):
        return self.cumulative_sizes[-1]

    def __getitem__(self, index):
        position = as_position(index, len(self), "ConcatDataset")
        if position is None:
            slices = isinstance(index, slice)
            return self.gather(index if slices else as_rows(index, len(self), "ConcatDataset"))
        number = bisect.bisect_right(self.cumulative_sizes, position)
        return self.datasets[number][position - self._start(number)]

    def _start(self, number):
        return self.cumulative_sizes[number] - len(self.datasets[number])

    def gather(self, rows):
        """The samples at ``rows``, a slice or an int64 array, from whichever datasets they are in.

        Raises ValueError or TypeError where the datasets' samples do not go together.
        """
        if isinstance(rows, slice):
            rows = np.arange(*rows.indices(len(self)), dtype=np.int64)
        numbers = np.searchsorted(self.cumulative_sizes, rows, side="right")
        parts, places = [], []
        for number in np.unique(numbers):
            places.append(np.flatnonzero(numbers == number))
            parts.append(gather(self.datasets[number], rows[places[-1]] - self._start(number)))
        if len(parts) == 1:
            return parts[0]
        if not parts:
            return gather(self.datasets[0], rows)
        if not isinstance(parts[0], tuple):
            return _merge(parts, places, len(rows), 0)
        widths = {len(part) if isinstance(part, tuple) else 0 for part in parts}
        if len(widths) > 1:
            raise ValueError("ConcatDataset: samples differ in their number of fields")
        fields = zip(*parts, strict=True)
        return tuple(_merge(field, places, len(rows), i) for i, field in enumerate(fields))


def _merge(parts, places, size, field):
    """One field of a batch from its parts, which belong at ``places``."""
    kinds = {(part.data.shape[1:], part.data.dtype) for part in parts}
    if len(kinds) > 1:
        kinds = ", ".join(sorted(f"{dtype} {shape}" for shape, dtype in kinds))
        raise ValueError(f"ConcatDataset: field {field} is {kinds}; expected one shape and dtype")
    out = np.empty((size, *parts[0].data.shape[1:]), parts[0].data.dtype)
    for part, place in zip(parts, places, strict=True):
        out[place] = part.data
    return Tensor(out)


def random_split(dataset, lengths, *, seed=None):
    """Split a dataset at random into subsets that do not overlap.

    Parameters
    ----------
    dataset
        Anything with ``__getitem__`` and ``__len__``.
    lengths
        Integers that add up to ``len(dataset)``, or fractions that add up to 1. Fractions are
        rounded down, and the samples left over go one each to the first subsets.
    seed
        An integer from 0 up: the same seed gives the same split. None: a different one each time.

    Returns a list of ``Subset``. Raises TypeError or ValueError for lengths that are neither.

    >>> parts = random_split(TensorDataset(np.arange(10)), [0.7, 0.3], seed=0)
    >>> [len(part) for part in parts]
    [7, 3]
    """
    size = len(dataset)
    counts = split_counts(list(lengths), size, "random_split")
    seed = fresh_seed() if seed is None else as_integer(seed, "random_split", "seed")
    order = np.random.Generator(np.random.PCG64(seed)).permutation(size)
    cuts = np.cumsum(counts)[:-1]
    return [Subset(dataset, rows) for rows in np.split(order, cuts)]


def split_counts(lengths, size, where):
    """How many samples each part has: ``lengths`` themselves, or shares of ``size``."""
    expected = f"expected integers that add up to {size}, or fractions that add up to 1"
    if not lengths:
        raise ValueError(f"{where}: no lengths; {expected}")
    if all(isinstance(length, (float, np.floating)) for length in lengths):
        if min(lengths) < 0 or not math.isclose(sum(lengths), 1):
            raise ValueError(f"{where}: lengths are {lengths}; {expected}")
        counts = [math.floor(length * size) for length in lengths]
        for i in range(size - sum(counts)):
            counts[i % len(counts)] += 1
        return counts
    if any(isinstance(length, (float, np.floating)) for length in lengths):
        raise TypeError(f"{where}: lengths are {lengths}, of both kinds; {expected}")
    counts = [as_integer(length, where, "a length") for length in lengths]
    if sum(counts) != size:
        raise ValueError(f"{where}: lengths {counts} add up to {sum(counts)}; {expected}")
    return counts


def fresh_seed():
    """A seed from the operating system's entropy, below 2⁶³ so that an int64 can keep it."""
    return np.random.SeedSequence().entropy % 2**63


# ------------------------------------------------------------------ batches of samples


def gather(dataset, rows):
    """A batch from any dataset: by its own ``gather``, or sample by sample.

    rows   slice, or int64 array of rank 1, within ``len(dataset)``
    """
    if isinstance(dataset, Dataset):
        return dataset.gather(rows)
    return _gather_samples(dataset, rows)


def source(dataset, rows):
    """(whole arrays, int64 rows in them) of a batch, or None where there are no such arrays."""
    if type(dataset) is Subset:
        return source(dataset.dataset, np.ascontiguousarray(dataset.indices[rows]))
    if type(dataset) is not TensorDataset:
        return None
    if isinstance(rows, slice):
        rows = np.arange(*rows.indices(len(dataset)), dtype=np.int64)
    return dataset.arrays, rows


def _gather_samples(dataset, rows):
    positions = range(len(dataset))[rows] if isinstance(rows, slice) else np.asarray(rows).tolist()
    return _stack([dataset[position] for position in positions], f"{type(dataset).__name__} batch")


def _stack(samples, where):
    """Samples as a Tensor ``(len(samples), *sample)``, or field by field as a tuple of them."""
    if not samples:
        raise ValueError(f"{where}: no samples; the fields of an empty batch are unknown")
    if isinstance(samples[0], (tuple, list)):
        widths = {len(sample) if isinstance(sample, (tuple, list)) else 0 for sample in samples}
        if len(widths) > 1:
            raise ValueError(f"{where}: samples differ in their number of fields")
        fields = zip(*samples, strict=True)
        return tuple(_stack(field, f"{where}, field {i}") for i, field in enumerate(fields))
    arrays = [_field_array(sample, where) for sample in samples]
    shapes, dtypes = {array.shape for array in arrays}, {array.dtype for array in arrays}
    if len(shapes) > 1:
        raise ValueError(
            f"{where}: samples have shapes {', '.join(map(str, sorted(shapes)))}; expected one"
            " shape. Arrays that hold one sample per row go into a TensorDataset"
        )
    if len(dtypes) > 1:
        raise TypeError(
            f"{where}: samples have dtypes {', '.join(sorted(map(str, dtypes)))}; expected one"
        )
    # Into an array of ours: without it, NumPy keeps the memory order of Fortran-ordered samples.
    batch = np.empty((len(arrays), *arrays[0].shape), arrays[0].dtype.newbyteorder("="))
    return Tensor(np.stack(arrays, out=batch))


def _field_array(value, where):
    if type(value) is float:  # as everywhere in this package, a plain number is float32
        return np.asarray(value, np.float32)
    array = np.asarray(unwrap(value)) if isinstance(value, (int, np.generic)) else unwrap(value)
    if not isinstance(array, np.ndarray):
        raise TypeError(
            f"{where}: a sample is a {type(value).__name__}; expected an array, a Tensor, a number"
            " or a tuple of them"
        )
    check_dtype(array, where, "a sample")
    return array
