"""Samplers, splits, concatenation, preprocessing, CIFAR-10 from files."""

import pickle

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    RandomSampler,
    SequentialSampler,
    Subset,
    SubsetRandomSampler,
    TensorDataset,
    WeightedRandomSampler,
    datasets,
    k_fold,
    stratified_split,
)
from fastgrad.data.preprocess import MinMaxScaler, Standardizer, Whitener


def numbered(size, start=0):
    """Sample i is a row of two and the label i."""
    labels = np.arange(start, start + size)
    return TensorDataset(np.stack([labels, -labels], axis=1).astype(np.float32), labels)


# ------------------------------------------------------------------ samplers


def test_random_sampler():
    assert sorted(RandomSampler(range(10))) == list(range(10))
    sampler = RandomSampler(range(10), num_samples=25)
    drawn = list(sampler)
    assert len(drawn) == len(sampler) == 25
    assert sorted(drawn[:10]) == sorted(drawn[10:20]) == list(range(10))
    again = list(RandomSampler(range(5), replacement=True, num_samples=5000))
    assert np.bincount(again).min() > 850
    assert list(RandomSampler(range(0))) == []


def test_weighted_sampler():
    weights = np.array([0.0, 1.0, 2.0, 5.0])
    drawn = np.bincount(list(WeightedRandomSampler(weights, 8000)), minlength=4)
    np.testing.assert_allclose(drawn, 1000 * weights, atol=200)
    firsts = [next(iter(WeightedRandomSampler(weights, 1, False))) for _ in range(4000)]
    np.testing.assert_allclose(np.bincount(firsts, minlength=4), 500 * weights, atol=150)
    assert sorted(WeightedRandomSampler(weights, 3, replacement=False)) == [1, 2, 3]


def test_seeds_of_samplers():
    for make in (
        lambda g: RandomSampler(range(50), generator=g),
        lambda g: SubsetRandomSampler(range(50), generator=g),
        lambda g: WeightedRandomSampler(np.ones(50), 50, generator=g),
    ):
        one, other = make(3), make(3)
        assert [list(one), list(one)] == [list(other), list(other)]
        assert list(one) != list(make(4))
        assert list(make(np.random.default_rng(1))) == list(make(np.random.default_rng(1)))
        sampler = make(None)
        fg.manual_seed(8)
        first = list(sampler)
        assert list(sampler) != first
        fg.manual_seed(8)
        assert list(sampler) == first


def test_loaders_with_samplers():
    dataset = numbered(10)

    def labels(**options):
        return [y.tolist() for _, y in DataLoader(dataset, **options)]

    assert labels(batch_size=2, sampler=[5, 5, -1]) == [[5, 5], [9]]
    assert labels(batch_size=2, sampler=[5, 5, -1], drop_last=True) == [[5, 5]]
    batches = BatchSampler(SequentialSampler(dataset), 4, drop_last=True)
    assert len(DataLoader(dataset, batch_sampler=batches)) == len(batches) == 2
    assert labels(batch_sampler=batches) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    assert len(DataLoader(dataset, 4, sampler=range(9))) == 3
    with pytest.raises(ValueError, match="one of shuffle, sampler and batch_sampler"):
        DataLoader(dataset, shuffle=True, sampler=[1])
    with pytest.raises(IndexError, match="DataLoader: index 10 is out of range"):
        labels(sampler=[10])


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: RandomSampler([1], generator="x"), TypeError, "generator is 'x'; expected None"),
        (lambda: WeightedRandomSampler([], 1), ValueError, "weights from 0 up, not all 0"),
        (lambda: WeightedRandomSampler([1, -1], 1), ValueError, "finite weights from 0 up"),
        (lambda: WeightedRandomSampler([1, 0], 2, False), ValueError, "expected at most 1"),
        (lambda: BatchSampler([1], 0, False), ValueError, "batch_size is 0; expected at least 1"),
    ],
)
def test_samplers_that_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


# ------------------------------------------------------------------ several datasets in one


def test_concatenation_is_one_dataset():
    whole = ConcatDataset([numbered(4), Subset(numbered(9), range(4, 7)), numbered(3, 7)])
    assert len(whole) == 10
    assert whole.cumulative_sizes == [4, 7, 10]
    assert [int(whole[k][1].data) for k in range(-10, 10)] == [*range(10), *range(10)]
    for index in (
        slice(None), slice(8, 1, -3), [9, 0, 5, 5, -1], np.arange(10) % 3 == 0, [2],
        np.empty(0, int),
    ):  # fmt: skip
        x, y = whole[index]
        expected = np.arange(10)[index]
        np.testing.assert_array_equal(y.data, expected)
        np.testing.assert_array_equal(x.data, np.stack([expected, -expected], axis=1))
    loader = DataLoader(whole, 4, shuffle=True, seed=0)
    assert sorted(label for _, y in loader for label in y.tolist()) == list(range(10))


def test_concatenations_that_are_refused():
    with pytest.raises(ValueError, match="ConcatDataset: no datasets"):
        ConcatDataset([])
    with pytest.raises(IndexError, match="ConcatDataset: index 8 is out of range for 8 samples"):
        ConcatDataset([numbered(4), numbered(4)])[8]
    mixed = ConcatDataset([numbered(4), TensorDataset(np.ones((4, 3)), np.arange(4))])
    with pytest.raises(ValueError, match=r"field 0 is float32 .*, float64 .*; expected one shape"):
        mixed[[0, 5]]
    with pytest.raises(ValueError, match="differ in their number of fields"):
        ConcatDataset([numbered(4), TensorDataset(np.ones(4))])[:]


# ------------------------------------------------------------------ splits


@pytest.mark.parametrize("lengths", [[0.8, 0.2], [70, 30], [50, 25, 25], [100], [1, 99]])
def test_stratified_splits(lengths):
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2, 7], [60, 25, 10, 5]))
    dataset = TensorDataset(np.arange(100), labels)
    parts = stratified_split(dataset, lengths, seed=1)
    assert [len(part) for part in parts] == [int(n * 100) if n < 1 else n for n in lengths]
    assert sorted(np.concatenate([part.indices for part in parts])) == list(range(100))
    for part in parts:
        share = np.bincount(labels) * len(part) / 100
        found = np.bincount(labels[part.indices], minlength=8)
        assert np.abs(found - share).max() <= (1 if len(parts) < 3 else 2)
    again = stratified_split(dataset, lengths, labels, seed=1)
    assert all((a.indices == b.indices).all() for a, b in zip(parts, again, strict=True))
    other = stratified_split(dataset, lengths, seed=2)
    assert len(parts) == 1 or (parts[0].indices != other[0].indices).any()


@pytest.mark.parametrize("size", [10, 11, 23])
@pytest.mark.parametrize("k", [2, 3, 10])
def test_k_fold(size, k):
    dataset, labels = numbered(size), np.arange(size) % 2
    for options in ({"shuffle": False}, {"seed": 0}, {"seed": 0, "labels": labels}):
        folds = k_fold(dataset, k, **options)
        assert len(folds) == k
        tests = [test.indices for _, test in folds]
        assert sorted(np.concatenate(tests)) == list(range(size))
        assert {len(test) for test in tests} <= {size // k, -(-size // k)}
        for train, test in folds:
            assert sorted([*train.indices, *test.indices]) == list(range(size))
            if "labels" in options:
                assert abs(labels[test.indices].sum() - len(test) * labels.mean()) <= 1


def test_splits_that_are_refused():
    with pytest.raises(ValueError, match=r"k_fold: k is 5 for 4 samples"):
        k_fold(numbered(4))
    with pytest.raises(ValueError, match=r"stratified_split: labels have shape \(3,\); expected"):
        stratified_split(numbered(4), [0.5, 0.5], np.zeros(3))
    with pytest.raises(TypeError, match="stratified_split: labels are needed for a list"):
        stratified_split([1, 2], [0.5, 0.5])
    with pytest.raises(ValueError, match=r"stratified_split: .*add up to 4"):
        stratified_split(numbered(4), [1, 2])


# ------------------------------------------------------------------ preprocessing


def data(*shape, dtype=np.float64):
    rng = np.random.default_rng(0)
    flat = rng.normal(size=(shape[0], int(np.prod(shape[1:]))))
    flat = flat @ rng.normal(size=(flat.shape[1],) * 2) + rng.normal(size=flat.shape[1])
    return flat.reshape(shape).astype(dtype)


def test_standardizing_channels():
    x = data(50, 3, 4, 5) + np.reshape([0, 10, 100], (3, 1, 1))
    scaler = Standardizer.fit(x, per_channel=True)
    assert scaler.mean.shape == (3, 1, 1)
    np.testing.assert_allclose(scaler.mean.ravel(), x.mean(axis=(0, 2, 3)))
    np.testing.assert_allclose(scaler.std.ravel(), x.std(axis=(0, 2, 3)))
    y = scaler.transform(x)
    np.testing.assert_allclose(y.mean(axis=(0, 2, 3)), 0, atol=1e-12)
    np.testing.assert_allclose(scaler.inverse(y), x)
    np.testing.assert_allclose(Standardizer(**scaler.state_dict()).transform(x[:, :, :2]),
                               y[:, :, :2])  # fmt: skip
    flat = Standardizer.fit(x.reshape(50, -1), per_channel=True)
    np.testing.assert_allclose(flat.mean, x.reshape(50, -1).mean(axis=0))
    with pytest.raises(ValueError, match=r"expected \(n, 3, 1, 1\)"):
        scaler.transform(np.ones((2, 4, 5, 5)))
    with pytest.raises(ValueError, match=r"expected \(n, C, ...\)"):
        Standardizer.fit(np.ones(3), per_channel=True)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_min_max_scaling_against_sklearn(dtype):
    sklearn = pytest.importorskip("sklearn.preprocessing")
    x, new = data(40, 6, dtype=dtype), data(9, 6, dtype=dtype) * 3
    x[:, 2] = new[0, 2] = 4.0
    ours, theirs = MinMaxScaler.fit(x, -1, 2), sklearn.MinMaxScaler((-1, 2)).fit(x)
    for part in (x, new):
        np.testing.assert_allclose(ours.transform(part), theirs.transform(part), atol=1e-5)
        np.testing.assert_allclose(ours.inverse(ours.transform(part)), part, atol=1e-5)
    assert ours.transform(x).dtype == dtype
    np.testing.assert_array_equal(MinMaxScaler(**ours.state_dict()).transform(x), ours.transform(x))


@pytest.mark.parametrize("count", [None, 3])
def test_pca_whitening_against_sklearn(count):
    decomposition = pytest.importorskip("sklearn.decomposition")
    x, new = data(60, 7), data(5, 7)
    ours = Whitener.fit(x, count, eps=0)
    theirs = decomposition.PCA(count, whiten=True, svd_solver="full").fit(x)
    scale = np.sqrt(60 / 59)  # theirs divides by n - 1
    for part in (x, new):
        y, expected = ours.transform(part), theirs.transform(part) * scale
        np.testing.assert_allclose(np.abs(y), np.abs(expected), rtol=1e-8, atol=1e-8)
        np.testing.assert_allclose(
            ours.inverse(y), theirs.inverse_transform(theirs.transform(part)), atol=1e-8
        )
    np.testing.assert_allclose(ours.variances, theirs.explained_variance_ / scale**2)


def test_zca_whitens_and_is_the_nearest_whitening():
    x = data(80, 2, 3)
    zca, pca = (Whitener.fit(x, zca=zca, eps=0) for zca in (True, False))
    y = zca.transform(x)
    assert y.shape == x.shape
    flat, start = y.reshape(80, -1), (x - x.mean(axis=0)).reshape(80, -1)
    np.testing.assert_allclose(flat.T @ flat / 80, np.eye(6), atol=1e-9)
    cross = start.T @ flat
    np.testing.assert_allclose(cross, cross.T, atol=1e-8)  # what sets ZCA apart
    assert np.square(flat - start).sum() < np.square(pca.transform(x) - start).sum()
    np.testing.assert_allclose(zca.inverse(y), x, atol=1e-9)
    again = Whitener(**zca.state_dict())
    np.testing.assert_array_equal(again.transform(x), y)


def test_whitening_what_does_not_vary():
    x = data(30, 3)
    x[:, 1] = 5.0
    with pytest.raises(ValueError, match="a variance is 0"):
        Whitener(np.zeros(2), np.eye(2), [1.0, 0.0], eps=0)
    y = Whitener.fit(x, zca=True).transform(x)
    np.testing.assert_allclose(y[:, 1], 0, atol=1e-6)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: MinMaxScaler.fit(np.ones((0, 2))), ValueError, "expected at least one sample"),
        (lambda: MinMaxScaler.fit(np.array([np.nan])), ValueError, "NaN or infinite"),
        (lambda: MinMaxScaler(0, 1, 2, 1), ValueError, "expected low < high"),
        (lambda: MinMaxScaler(1, 0), ValueError, "least <= greatest"),
        (lambda: Whitener.fit(np.ones((3, 2), int)), TypeError, "train has dtype int64"),
        (lambda: Whitener.fit(np.ones((3, 2)), 3), ValueError, "n_components is 3; expected 1 to"),
        (lambda: Whitener.fit(np.array([[np.inf]])), ValueError, "NaN, infinite or huge"),
        (lambda: Whitener([0], np.eye(2), [1, 1]), ValueError, r"expected \(1, 2\), features"),
        (lambda: Whitener([0], [[1]], [1], eps=-1), ValueError, "eps is -1"),
    ],
)
def test_preprocessing_that_is_refused(make, error, message):
    with np.errstate(invalid="ignore"), pytest.raises(error, match=message):
        make()


# ------------------------------------------------------------------ CIFAR-10

_NAMES = [*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"]


def _batch(seed):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 256, (3, 3072)).astype(np.uint8), rng.integers(0, 10, 3)


def _write(folder, kind):
    folder.mkdir(exist_ok=True)
    for seed, name in enumerate(_NAMES):
        images, labels = _batch(seed)
        if kind == "binary":
            records = np.concatenate([labels[:, None].astype(np.uint8), images], axis=1)
            (folder / f"{name}.bin").write_bytes(records.tobytes())
        else:  # the published files: made by Python 2, keys and array's bytes as its strings
            batch = {b"data": images, b"labels": labels.tolist(), b"batch_label": b"x"}
            (folder / name).write_bytes(pickle.dumps(batch, protocol=2))


@pytest.mark.parametrize("kind", ["binary", "python"])
@pytest.mark.parametrize("below", [False, True])
def test_cifar10(tmp_path, kind, below):
    name = {"binary": "cifar-10-batches-bin", "python": "cifar-10-batches-py"}[kind]
    _write(tmp_path / name if below else tmp_path, kind)
    x_train, y_train, x_test, y_test = datasets.cifar10(tmp_path, scale=False)
    assert (x_train.shape, x_test.shape, x_train.dtype) == ((15, 3, 32, 32), (3, 3, 32, 32), "u1")
    for seed in range(6):
        images, labels = _batch(seed)
        x, y = (x_test, y_test) if seed == 5 else (x_train[3 * seed :], y_train[3 * seed :])
        np.testing.assert_array_equal(x[:3].reshape(3, -1), images)
        np.testing.assert_array_equal(y[:3], labels)
    scaled, labels, *_ = datasets.cifar10(tmp_path, flatten=True)
    assert (scaled.shape, scaled.dtype, labels.dtype) == ((15, 3072), np.float32, np.int64)
    np.testing.assert_array_equal(scaled, x_train.reshape(15, -1) / np.float32(255))


def test_cifar10_files_that_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"cifar10: not in .*data_batch_1 to data_batch_5"):
        datasets.cifar10(tmp_path)
    _write(tmp_path, "binary")
    (tmp_path / "data_batch_3.bin").unlink()
    with pytest.raises(FileNotFoundError, match=r"data_batch_3\.bin$"):
        datasets.cifar10(tmp_path)
    _write(tmp_path, "binary")
    whole = (tmp_path / "test_batch.bin").read_bytes()
    for content, message in (
        (whole[:-1], "has 9,218 bytes; expected a multiple of 3,073"),
        (b"\x0a" + whole[1:], "labels .* to 10; expected 0 to 9"),
        (b"", "has 0 bytes"),
    ):
        (tmp_path / "test_batch.bin").write_bytes(content)
        with pytest.raises(ValueError, match=message):
            datasets.cifar10(tmp_path)


class _Evil:
    def __reduce__(self):
        return (exec, ("raise SystemExit",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (pickle.dumps(_Evil()), "it names builtins.exec"),
        (b"garbage", "is not a batch of CIFAR-10"),
        (pickle.dumps({"data": 3}), "is not a batch of CIFAR-10: 'labels'"),
        (pickle.dumps({"data": np.zeros((2, 3), np.uint8), "labels": [0, 1]}), r"images \(2, 3\)"),
        (pickle.dumps([1]), "is not a batch"),
    ],
)
def test_pickles_that_are_refused(tmp_path, content, message):
    _write(tmp_path, "python")
    (tmp_path / "data_batch_2").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        datasets.cifar10(tmp_path)
