"""The loader: batches, orders, resuming, and datasets that give one sample at a time."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastgrad.data import DataLoader, Dataset, Subset, TensorDataset
from fastgrad.data import dataset as dataset_module
from fastgrad.tensor import Tensor

quick = settings(max_examples=40, deadline=None)


def arrays_of(batch):
    return [tensor.data for tensor in batch]


def numbered(size, dtype=np.float32):
    """Sample i is a row of (i, -i) and the label i."""
    x = np.stack([np.arange(size), -np.arange(size)], axis=1).astype(dtype)
    return TensorDataset(x, np.arange(size))


def labels_of(loader):
    """The labels of every batch of one epoch."""
    return [y.data.tolist() for _, y in loader]


class Listed(Dataset):
    """Samples from a list, one by one; also without the base class, as ``Bare``."""

    def __init__(self, samples):
        self.samples = list(samples)

    def __getitem__(self, index):
        assert type(index) is int
        return self.samples[index]

    def __len__(self):
        return len(self.samples)


class Bare:
    __init__ = Listed.__init__
    __getitem__ = Listed.__getitem__
    __len__ = Listed.__len__


@quick
@given(
    size=st.integers(0, 40),
    batch_size=st.integers(1, 45),
    shuffle=st.booleans(),
    drop_last=st.booleans(),
    seed=st.integers(0, 2**70),
)
def test_an_epoch_has_every_sample_once(size, batch_size, shuffle, drop_last, seed):
    loader = DataLoader(numbered(size), batch_size, shuffle, drop_last=drop_last, seed=seed)
    batches = [arrays_of(batch) for batch in loader]
    assert len(batches) == len(loader)
    assert all(len(y) == batch_size for _, y in batches[:-1])
    labels = [label for _, y in batches for label in y.tolist()]
    kept = size - size % batch_size if drop_last else size
    assert len(labels) == kept
    if shuffle:
        assert len(set(labels)) == kept
    else:
        assert labels == list(range(kept))
    for x, y in batches:
        assert x.dtype == np.float32
        assert x.flags.c_contiguous
        assert x.flags.writeable
        np.testing.assert_array_equal(x, np.stack([y, -y], axis=1))


def test_batches_are_tuples_of_tensors_without_gradient():
    arrays = (np.zeros((4, 1, 2, 2), np.float32), np.zeros(4, np.int32), np.zeros((4, 3), bool))
    for shuffle in (False, True):
        (batch,) = DataLoader(TensorDataset(*arrays), 4, shuffle)
        assert isinstance(batch, tuple)
        for tensor, array in zip(batch, arrays, strict=True):
            assert type(tensor) is Tensor
            assert not tensor.requires_grad
            assert tensor.data.dtype == array.dtype
            assert tensor.shape == array.shape


def test_whole_batches_are_gathered_by_the_kernel(monkeypatch):
    calls = []

    def gather_rows(array, rows):
        calls.append((array.shape, rows.dtype, rows.shape))
        return array[rows]

    monkeypatch.setattr(dataset_module, "K", SimpleNamespace(gather_rows=gather_rows))
    subset = Subset(Subset(numbered(100), range(50, 90)), range(30))
    list(DataLoader(numbered(100), 64, shuffle=True))
    assert calls == [
        (shape, np.int64, (size,)) for size in (64, 36) for shape in ((100, 2), (100,))
    ]
    calls.clear()
    list(DataLoader(subset, 30))
    assert calls == [((100, 2), np.int64, (30,)), ((100,), np.int64, (30,))]
    calls.clear()
    list(DataLoader(numbered(100), 64))
    assert calls == []


def test_unshuffled_batches_are_views():
    dataset = numbered(10)
    for x, _ in DataLoader(dataset, 4):
        assert np.shares_memory(x.data, dataset.arrays[0])
    for x, _ in DataLoader(dataset, 4, shuffle=True):
        assert not np.shares_memory(x.data, dataset.arrays[0])


def test_orders_depend_on_seed_and_epoch_alone():
    def epochs(loader, count=3):
        return [labels_of(loader) for _ in range(count)]

    first = epochs(DataLoader(numbered(20), 3, shuffle=True, seed=1))
    assert first == epochs(DataLoader(numbered(20), 3, shuffle=True, seed=1))
    assert first[0] != first[1] != first[2] != first[0]
    assert first[0] != labels_of(DataLoader(numbered(20), 3, shuffle=True, seed=2))
    # The batch size cuts the order and does not change it.
    whole = labels_of(DataLoader(numbered(20), 20, shuffle=True, seed=1))
    assert [label for batch in first[0] for label in batch] == whole[0]
    # Neither does what else draws random numbers.
    np.random.seed(0)
    assert labels_of(DataLoader(numbered(20), 3, shuffle=True, seed=1)) == first[0]


def test_large_seeds_share_no_orders_with_small_ones():
    def order(seed, epoch):
        loader = DataLoader(numbered(20), 20, shuffle=True)
        loader.load_state_dict({"seed": seed, "epoch": epoch})
        return tuple(labels_of(loader)[0])

    seeds = [1, 1 + (5 << 32), 1 + (1 << 64), 1 + (5 << 128)]
    orders = {order(seed, epoch) for seed in seeds for epoch in (0, 1, 5, 1 << 32)}
    assert len(orders) == 16


def test_no_seed_draws_one_that_can_be_read():
    loaders = [DataLoader(numbered(20), 20, shuffle=True) for _ in range(2)]
    assert loaders[0].seed != loaders[1].seed
    assert all(0 <= loader.seed < 2**63 for loader in loaders)
    again = DataLoader(numbered(20), 20, shuffle=True, seed=loaders[0].seed)
    assert labels_of(again) == labels_of(loaders[0])


def test_a_resumed_loader_sees_the_same_orders():
    def loader(**arguments):
        return DataLoader(numbered(20), 6, shuffle=True, **arguments)

    straight = loader(seed=5)
    expected = [labels_of(straight) for _ in range(4)]
    stopped = loader(seed=5)
    assert [labels_of(stopped) for _ in range(2)] == expected[:2]
    state = stopped.state_dict()
    assert state == {"seed": 5, "epoch": 2}
    assert all(type(value) is int for value in state.values())
    resumed = loader()
    resumed.load_state_dict(state)
    assert [labels_of(resumed) for _ in range(2)] == expected[2:]
    assert resumed.state_dict() == {"seed": 5, "epoch": 4}


def test_an_epoch_begins_at_iter_and_keeps_its_order():
    reference = DataLoader(numbered(20), 4, shuffle=True, seed=0)
    expected = [labels_of(reference) for _ in range(3)]
    loader = DataLoader(numbered(20), 4, shuffle=True, seed=0)
    first, second = iter(loader), iter(loader)
    assert loader.epoch == 2
    loader.load_state_dict({"seed": 9, "epoch": 7})
    pairs = [(a[1].data.tolist(), b[1].data.tolist()) for a, b in zip(first, second, strict=True)]
    assert pairs == list(zip(expected[0], expected[1], strict=True))
    # An epoch left early is over.
    loader.load_state_dict({"seed": 0, "epoch": 1})
    assert next(iter(loader))[1].data.tolist() == expected[1][0]
    assert labels_of(loader) == expected[2]


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        ({"seed": 1}, ValueError, r"entries \['seed'\]; expected \['epoch', 'seed'\]"),
        ({"seed": 1, "epoch": 0, "x": 2}, ValueError, "entries"),
        ({"seed": 1, "epoch": -1}, ValueError, "epoch is -1; expected at least 0"),
        ({"seed": "1", "epoch": 0}, TypeError, "seed is '1'; expected an integer"),
        ({"seed": 1, "epoch": 0.5}, TypeError, "epoch is 0.5; expected an integer"),
    ],
)
def test_state_dict_errors_change_nothing(state, error, message):
    loader = DataLoader(numbered(3), seed=4)
    with pytest.raises(error, match=f"DataLoader.load_state_dict: {message}"):
        loader.load_state_dict(state)
    assert loader.state_dict() == {"seed": 4, "epoch": 0}


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"batch_size": 0}, ValueError, "batch_size is 0; expected at least 1"),
        ({"batch_size": -3}, ValueError, "batch_size is -3; expected at least 1"),
        ({"batch_size": 2.0}, TypeError, "batch_size is 2.0; expected an integer"),
        ({"batch_size": True}, TypeError, "batch_size is True; expected an integer"),
        ({"batch_size": None}, TypeError, "batch_size is None; expected an integer"),
        ({"batch_size": np.arange(3)}, TypeError, "batch_size is array"),
        ({"seed": -1}, ValueError, "seed is -1; expected at least 0"),
        ({"seed": "a"}, TypeError, "seed is 'a'; expected an integer"),
        ({"dataset": iter([])}, TypeError, "dataset is a list_iterator without __len__"),
        ({"dataset": {1}}, TypeError, "dataset is a set without __getitem__"),
    ],
)
def test_loader_errors(arguments, error, message):
    with pytest.raises(error, match=f"DataLoader: {message}"):
        DataLoader(**{"dataset": numbered(3), **arguments})


def test_loader_takes_numpy_integers():
    loader = DataLoader(numbered(5), np.int64(2), seed=np.uint32(7))
    assert type(loader.batch_size) is type(loader.seed) is int
    assert len(loader) == 3


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("cls", [Listed, Bare])
def test_samples_one_by_one_give_the_same_batches(cls, shuffle):
    arrays = numbered(10).arrays
    samples = cls(zip(*arrays, strict=True))
    fast = DataLoader(TensorDataset(*arrays), 4, shuffle, seed=0)
    slow = DataLoader(samples, 4, shuffle, seed=0)
    for left, right in zip(fast, slow, strict=True):
        for a, b in zip(arrays_of(left), arrays_of(right), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize(
    ("samples", "expected"),
    [
        ([1, 2], np.array([1, 2])),
        ([1.5, 2.0], np.array([1.5, 2], np.float32)),
        ([True, False], np.array([True, False])),
        ([np.float64(1), np.float64(2)], np.array([1.0, 2])),
        ([np.ones(2, ">f4"), np.zeros(2, ">f4")], np.array([[1, 1], [0, 0]], np.float32)),
        ([Tensor(np.ones(2)), Tensor(np.zeros(2))], np.array([[1.0, 1], [0, 0]])),
        ([np.arange(6).reshape(2, 3).T] * 2, np.array([[[0, 3], [1, 4], [2, 5]]] * 2)),
    ],
)
def test_samples_that_are_bare_values_give_bare_tensors(samples, expected):
    (batch,) = DataLoader(Listed(samples), 2)
    assert isinstance(batch, Tensor)
    assert batch.data.dtype == expected.dtype
    assert batch.data.flags.c_contiguous
    np.testing.assert_array_equal(batch.data, expected)


def test_samples_with_nested_fields():
    ((x, (y, z)),) = DataLoader(Listed([(1, [2.0, 3]), [4, (5.0, 6)]]), 2)
    assert [t.data.tolist() for t in (x, y, z)] == [[1, 4], [2, 5], [3, 6]]


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        ([np.ones(2), np.ones(3)], ValueError, r"samples have shapes \(2,\), \(3,\)"),
        ([(1, np.ones(2)), (2, np.ones(3))], ValueError, r"field 1: samples have shapes"),
        ([(1, 2), (1,)], ValueError, "samples differ in their number of fields"),
        ([(1, 2), 3], ValueError, "samples differ in their number of fields"),
        ([1, 2.5], TypeError, "samples have dtypes float32, int64; expected one"),
        ([1, (2, 3)], TypeError, "a sample is a tuple"),
        (["a", "b"], TypeError, "a sample is a str; expected an array"),
        ([None, None], TypeError, "a sample is a NoneType"),
        ([{"x": 1}] * 2, TypeError, "a sample is a dict"),
        ([np.array([None])] * 2, TypeError, "a sample has dtype object"),
    ],
)
def test_samples_that_do_not_stack(samples, error, message):
    with pytest.raises(error, match=f"Listed batch.*{message}"):
        next(iter(DataLoader(Listed(samples), 2)))


def test_a_tuple_of_arrays_is_no_dataset_and_the_error_says_what_is():
    with pytest.raises(ValueError, match="go into a TensorDataset"):
        next(iter(DataLoader((np.zeros((5, 2)), np.zeros(5)), 2)))


def test_no_samples():
    assert list(DataLoader(Listed([]), 3, shuffle=True)) == []
    with pytest.raises(ValueError, match="Listed batch: no samples"):
        Listed([1]).gather(np.array([], np.int64))


def test_a_subclass_that_redefines_getitem_is_not_bypassed():
    class Doubled(TensorDataset):
        def __getitem__(self, index):
            x, y = super().__getitem__(index)
            return x.data * 2, y

    class Mixin:
        def __getitem__(self, index):
            x, y = super().__getitem__(index)
            return x.data * 2, y

    class Mixed(Mixin, TensorDataset):
        pass

    class Fast(Doubled):
        def gather(self, rows):
            x, y = TensorDataset.gather(self, rows)
            return Tensor(x.data * 2), y

    class Renamed(TensorDataset):
        """Redefines neither, and stays fast."""

    x, y = np.arange(4.0), np.arange(4)
    for cls in (Doubled, Mixed, Fast):
        batches = list(DataLoader(cls(x, y), 3))
        np.testing.assert_array_equal(np.concatenate([b.data for b, _ in batches]), 2 * x)
        # A slice must not be doubled on its way through both.
        np.testing.assert_array_equal(cls(x, y)[1:3][0], 2 * x[1:3])
    assert Doubled.gather is Mixed.gather is Dataset.gather
    assert Fast.gather is not Dataset.gather
    assert Renamed.gather is TensorDataset.gather


def test_dataset_says_what_a_subclass_must_define():
    class Empty(Dataset):
        pass

    with pytest.raises(NotImplementedError, match="Empty does not define __getitem__"):
        Empty()[0]
    with pytest.raises(TypeError, match="DataLoader: dataset is a Empty without __len__"):
        DataLoader(Empty())
