"""Datasets in memory, subsets and splits, standardisation, and the examples in docstrings."""

import doctest
import importlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fastgrad.data import Subset, TensorDataset, datasets, random_split
from fastgrad.tensor import Tensor

quick = settings(max_examples=40, deadline=None)


def arrays_of(batch):
    return [tensor.data for tensor in batch]


def numbered(size, dtype=np.float32):
    """Sample i is a row of (i, -i) and the label i."""
    x = np.stack([np.arange(size), -np.arange(size)], axis=1).astype(dtype)
    return TensorDataset(x, np.arange(size))


@pytest.mark.parametrize(
    "name",
    [
        "augment",
        "dataset",
        "loader",
        "datasets",
        "mix",
        "preprocess",
        "sampler",
        "split",
        "_cifar",
        "_idx",
        "_download",
        "_places",
        "_plan",
        "_random",
        "_standardize",
        "_transform",
        "_checks",
    ],
)
def test_examples_in_docstrings(name):
    module = importlib.import_module(f"fastgrad.data.{name}")
    names = {"np": np, **vars(module)}
    assert doctest.testmod(module, globs=names).failed == 0


# ------------------------------------------------------------------ TensorDataset


@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "i4", "u1", "?"])
def test_tensor_dataset_holds_arrays_without_copying(dtype):
    x, y = np.ones((3, 2), dtype), np.zeros(3, dtype)
    dataset = TensorDataset(x, Tensor(y))
    assert len(dataset) == 3
    assert np.shares_memory(dataset.arrays[0], x)
    assert np.shares_memory(dataset.tensors[1].data, y)
    assert [array.dtype for array in dataset.arrays] == [np.dtype(dtype)] * 2


@pytest.mark.parametrize(
    "array",
    [
        np.arange(12.0).reshape(3, 4)[:, ::2],
        np.asfortranarray(np.arange(12.0).reshape(3, 4)),
        np.arange(12, dtype=">i4").reshape(3, 4),
    ],
    ids=["strided", "fortran", "big-endian"],
)
def test_tensor_dataset_makes_arrays_fit_for_kernels(array):
    (held,) = TensorDataset(array).arrays
    assert held.flags.c_contiguous
    assert held.dtype.isnative
    np.testing.assert_array_equal(held, array)


INDICES = {
    "int": 2,
    "last": -1,
    "NumPy integer": np.int32(3),
    "0-d array": np.array(1),
    "0-d Tensor": Tensor(np.array(1)),
    "slice": slice(1, 4),
    "slice with step": slice(None, None, 2),
    "reversed": slice(None, None, -1),
    "slice past the end": slice(4, 99),
    "nothing": slice(3, 3),
    "list": [4, 0, 0],
    "empty list": [],
    "negative": [-1, -5, 2],
    "uint8": np.array([3, 1], np.uint8),
    "range": range(0, 5, 3),
    "Tensor": Tensor(np.array([2, 1])),
    "mask": np.array([True, False, True, False, False]),
    "mask as list": [False] * 5,
}


@pytest.mark.parametrize("index", INDICES.values(), ids=INDICES)
def test_tensor_dataset_indexes_as_numpy_does(index):
    x = np.arange(30, dtype=np.float32).reshape(5, 2, 3)
    y = np.arange(5)
    rows = index.data if isinstance(index, Tensor) else index
    rows = np.asarray(rows, np.int64) if isinstance(rows, list) and not rows else rows
    for dataset in (TensorDataset(x, y), Subset(TensorDataset(x, y), range(5))):
        batch = dataset[index]
        assert isinstance(batch, tuple)
        assert not any(tensor.requires_grad for tensor in batch)
        for found, array in zip(arrays_of(batch), (x, y), strict=True):
            expected = array[rows]
            assert found.dtype == array.dtype
            assert found.shape == expected.shape
            assert found.flags.c_contiguous
            assert found.flags.writeable
            np.testing.assert_array_equal(found, expected)


def test_tensor_dataset_shares_memory_for_int_and_slice_only():
    x = np.zeros((6, 2))
    dataset = TensorDataset(x)
    for index, shared in [(1, True), (slice(1, 3), True), (slice(0, 6, 2), False), ([1], False)]:
        assert np.shares_memory(dataset[index][0].data, x) == shared
    x.flags.writeable = False
    for index in (1, slice(1, 3), slice(0, 6, 2), [1]):
        assert dataset[index][0].data.flags.writeable


def test_tensor_dataset_can_be_iterated():
    assert [int(y.data) for _, y in numbered(3)] == [0, 1, 2]


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ((), TypeError, "TensorDataset: no arrays"),
        ((np.ones(3), [1, 2, 3]), TypeError, "array 1 is a list; expected a NumPy array"),
        ((np.array([None, 1]),), TypeError, "array 0 has dtype object"),
        ((np.array(["a"]),), TypeError, "array 0 has dtype <U1"),
        ((np.ones(2, complex),), TypeError, "array 0 has dtype complex128"),
        ((np.ones(2), np.array(1.0)), ValueError, r"array 1 is 0-d; expected shape \(n, ...\)"),
        ((np.ones((3, 2)), np.ones(4)), ValueError, r"first sizes differ: shapes \(3, 2\), \(4,\)"),
    ],
)
def test_tensor_dataset_errors(arrays, error, message):
    with pytest.raises(error, match=message):
        TensorDataset(*arrays)


@pytest.mark.parametrize(
    ("index", "error", "message"),
    [
        (5, IndexError, "index 5 is out of range for 5 samples"),
        (-6, IndexError, "index -6 is out of range for 5 samples"),
        ([0, 5], IndexError, "index 5 is out of range for 5 samples"),
        ([-6, 0], IndexError, "index -6 is out of range for 5 samples"),
        (np.array([2**64 - 1], np.uint64), IndexError, "index 18446744073709551615 is out of"),
        ([[0, 1]], IndexError, r"indices have shape \(1, 2\); expected one axis"),
        ((0, 1, 5), IndexError, "index 5 is out of range"),
        ([True, False], IndexError, "a mask of 2 for 5 samples"),
        ([0.5], TypeError, "indices have dtype float64; expected integers"),
        (True, TypeError, "index True; expected an integer"),
        (1.0, TypeError, r"index 1\.0; expected an integer"),
        (None, TypeError, "index None; expected an integer"),
        ("x", TypeError, "index 'x'; expected an integer"),
    ],
)
def test_index_errors(index, error, message):
    for dataset in (numbered(5), Subset(numbered(9), range(5))):
        with pytest.raises(error, match=f"^{type(dataset).__name__}: {message}"):
            dataset[index]


# ------------------------------------------------------------------ Subset, random_split


@pytest.mark.parametrize(
    ("indices", "expected"),
    [
        ([4, 0, 0], [4, 0, 0]),
        ([-1, -5], [4, 0]),
        (np.array([True, False, False, True, False]), [0, 3]),
        (range(1, 4), [1, 2, 3]),
        ((), []),
    ],
)
def test_subset(indices, expected):
    subset = Subset(numbered(5), indices)
    assert len(subset) == len(expected)
    assert subset.indices.dtype == np.int64
    assert subset[:][1].data.tolist() == expected


def test_subset_copies_its_indices():
    indices = np.array([1, 2])
    subset = Subset(numbered(5), indices)
    indices[0] = 4
    assert int(subset[0][1].data) == 1


def test_subset_of_a_subset_and_of_samples():
    inner = Subset(numbered(10), range(5, 10))
    assert Subset(inner, [4, 0])[:][1].data.tolist() == [9, 5]
    samples = [(np.full(2, i), i) for i in range(5)]
    subset = Subset(samples, [3, 1])
    assert subset[0][1] == 3
    assert subset[[1, 0]][1].data.tolist() == [1, 3]


@pytest.mark.parametrize(
    ("indices", "error", "message"),
    [
        ([0, 5], IndexError, "Subset: index 5 is out of range for 5 samples"),
        ([0.0], TypeError, "Subset: indices have dtype float64"),
        (3, TypeError, "Subset: index 3"),
        ([True], IndexError, "Subset: a mask of 1 for 5 samples"),
    ],
)
def test_subset_errors(indices, error, message):
    with pytest.raises(error, match=message):
        Subset(numbered(5), indices)


@pytest.mark.parametrize(
    ("size", "lengths", "expected"),
    [
        (10, [7, 3], [7, 3]),
        (10, [0, 10], [0, 10]),
        (10, np.array([4, 6]), [4, 6]),
        (10, [0.7, 0.3], [7, 3]),
        (10, [1.0], [10]),
        (11, [0.5, 0.5], [6, 5]),
        (10, [1 / 3] * 3, [4, 3, 3]),
        (30, [0.1] * 10, [3] * 10),
        (3, [0.9, 0.1], [3, 0]),
        (0, [0.5, 0.5], [0, 0]),
        (0, [0], [0]),
    ],
)
def test_random_split_lengths(size, lengths, expected):
    parts = random_split(numbered(size), lengths, seed=0)
    assert [len(part) for part in parts] == expected
    assert sorted(np.concatenate([part.indices for part in parts])) == list(range(size))


def test_random_split_seed():
    def order(seed):
        return random_split(numbered(50), [50], seed=seed)[0].indices.tolist()

    assert order(3) == order(3)
    assert order(3) != order(4)
    assert order(None) != order(None)


@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        ([7, 2], ValueError, r"lengths \[7, 2\] add up to 9; expected integers that add up to 10"),
        ([], ValueError, "no lengths"),
        ([11, -1], ValueError, "a length is -1; expected at least 0"),
        ([0.5, 0.4], ValueError, r"or fractions that add up to 1"),
        ([1.5, -0.5], ValueError, r"or fractions that add up to 1"),
        ([float("nan")], ValueError, r"or fractions that add up to 1"),
        ([0.5, 5], TypeError, "of both kinds"),
        (["5", 5], TypeError, "a length is '5'; expected an integer"),
        ([True, 9], TypeError, "a length is True; expected an integer"),
    ],
)
def test_random_split_errors(lengths, error, message):
    with pytest.raises(error, match=f"random_split: .*{message}"):
        random_split(numbered(10), lengths)


def test_random_split_seed_errors():
    with pytest.raises(ValueError, match="random_split: seed is -1; expected at least 0"):
        random_split(numbered(10), [10], seed=-1)


# ------------------------------------------------------------------ standardisation


@quick
@given(
    x=hnp.arrays(
        st.sampled_from([np.float32, np.float64]),
        hnp.array_shapes(min_dims=1, max_dims=4, max_side=6),
        elements=st.floats(-1000, 1000, width=32),
    )
)
def test_standardize_is_its_formula(x):
    before = x.copy()
    train, other = datasets.standardize(x, x[:1], eps=1e-3)
    mean = x.astype(np.float64).mean(axis=0)
    std = x.astype(np.float64).std(axis=0)
    expected = ((x - mean) / np.maximum(std, 1e-3)).astype(x.dtype)
    assert train.dtype == other.dtype == x.dtype
    np.testing.assert_allclose(train, expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(other, train[:1])
    np.testing.assert_array_equal(x, before)


def test_standardize_gives_mean_0_and_deviation_1():
    # 1,000 rows of 300 features: several pieces, whose sums must come out as one.
    x = np.random.default_rng(0).normal(3, 5, (1000, 300)).astype(np.float32)
    (train,) = datasets.standardize(x)
    assert train.dtype == np.float32
    np.testing.assert_allclose(train.mean(axis=0, dtype=np.float64), 0, atol=1e-6)
    np.testing.assert_allclose(train.std(axis=0, dtype=np.float64), 1, atol=1e-6)


def test_standardize_with_a_mean_far_above_the_deviation():
    noise = np.random.default_rng(0).normal(size=(500, 4))
    x = noise + 1e8
    (train,) = datasets.standardize(x)
    expected = (noise - noise.mean(axis=0)) / noise.std(axis=0)
    np.testing.assert_allclose(train, expected, atol=1e-6)


def test_standardize_divides_by_at_least_eps():
    train = np.array([[0.1, 0.0], [0.1, 2.0]], np.float32)
    a, b = datasets.standardize(train, np.array([[0.6, 1.0]], np.float32), eps=0.5)
    np.testing.assert_allclose(a, [[0, -1], [0, 1]], atol=1e-7)
    np.testing.assert_allclose(b, [[1, 0]], atol=1e-6)


def test_standardize_keeps_each_dtype_and_takes_tensors_and_no_rows():
    train = np.random.default_rng(0).normal(size=(5, 2))
    a, b, c = datasets.standardize(Tensor(train), train.astype(np.float32), np.empty((0, 2)))
    assert (a.dtype, b.dtype, c.shape) == (np.float64, np.float32, (0, 2))
    np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_standardizer_inverse_and_state():
    x = np.random.default_rng(0).normal(3, 5, (50, 2, 3))
    standardizer = datasets.Standardizer.fit(x, eps=1e-4)
    np.testing.assert_array_equal(standardizer.transform(x), datasets.standardize(x, eps=1e-4)[0])
    np.testing.assert_allclose(standardizer.inverse(standardizer.transform(x)), x, rtol=1e-12)
    state = standardizer.state_dict()
    again = datasets.Standardizer(**state)
    np.testing.assert_array_equal(again.transform(x), standardizer.transform(x))
    state["mean"][...] = 99  # a copy: neither standardiser changes
    for one in (standardizer, again):
        np.testing.assert_allclose(one.mean, x.mean(axis=0))


FIT_ERRORS = [
    (
        np.ones((3, 2), np.uint8),
        TypeError,
        r"train has dtype uint8; expected floats: train\.astype",
    ),
    ([[1.0]], TypeError, "train is a list; expected a NumPy array or a Tensor"),
    (np.array(1.0), ValueError, "train is 0-d"),
    (np.ones((0, 2)), ValueError, r"train has shape \(0, 2\); expected at least one sample"),
    (np.array([[1, np.nan], [1, 2]]), ValueError, "NaN, infinite or huge values in 1 of 2"),
    (np.array([[np.inf, -np.inf]]), ValueError, "NaN, infinite or huge values in 2 of 2"),
    (np.array([1e308, -1e308]), ValueError, "NaN, infinite or huge values in 1 of 1"),
]


@pytest.mark.parametrize(("train", "error", "message"), FIT_ERRORS)
def test_standardize_errors(train, error, message):
    for fit in (datasets.standardize, datasets.Standardizer.fit):
        with pytest.raises(error, match=f"Standardizer.fit: .*{message}"):
            fit(train)


@pytest.mark.parametrize("eps", [0, -1e-6, float("nan"), float("inf")])
def test_standardize_eps_errors(eps):
    with pytest.raises(ValueError, match=r"eps is .*; expected a number above 0"):
        datasets.standardize(np.ones((2, 2)), eps=eps)


def test_standardize_shape_errors():
    with pytest.raises(ValueError, match=r"x has shape \(4, 3\); expected \(n, 2\)"):
        datasets.standardize(np.ones((4, 2)), np.ones((4, 3)))


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ([0, 0], [1], r"mean has shape \(2,\), std \(1,\); expected one shape"),
        ([0], [-1], r"std goes down to -1.0; expected >= 0"),
        ([np.nan], [1], "mean or std is not finite"),
    ],
)
def test_standardizer_errors(mean, std, message):
    with pytest.raises(ValueError, match=f"Standardizer: {message}"):
        datasets.Standardizer(mean, std)
