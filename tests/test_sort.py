"""Orders of every type and length: stable, NaN last, as NumPy has them."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import kernels

# by insertion, by merging, by digits of 8 bits and of 11
_LENGTHS = (1, 2, 12, 13, 100, 128, 129, 1000, 70_000)
_TYPES = ("float32", "float64", "int64", "int32", "uint8", "bool")


def _rows(rng, n, dtype):
    x = rng.standard_normal((2, n)) * 10 ** rng.integers(-3, 4, (2, n)).astype(float)
    if dtype[0] == "f":
        x = np.where(rng.random((2, n)) < 0.2, np.round(x), x)
        for value in (np.nan, -np.nan, np.inf, -np.inf, 0.0, -0.0):
            x[rng.random((2, n)) < 0.05] = value
    elif dtype == "uint8":
        x = rng.integers(0, 256, (2, n))
    return x.astype(dtype)


@pytest.mark.parametrize("dtype", _TYPES)
@pytest.mark.parametrize("n", _LENGTHS)
def test_order_is_stable_and_numpys(n, dtype):
    x = _rows(np.random.default_rng(n), n, dtype)
    order = kernels.order(x, 1)
    np.testing.assert_array_equal(order, np.argsort(x, axis=1, kind="stable"))
    # the opposite order, in which equal elements stay as they are
    backwards = n - 1 - np.flip(np.argsort(np.flip(x, 1), axis=1, kind="stable"), 1)
    np.testing.assert_array_equal(kernels.order(x, 1, True), backwards)
    for k in {1, min(5, n), n // 2}:
        np.testing.assert_array_equal(kernels.top(x, k, 1, False), order[:, :k])
    middle = (n - 1) // 2
    has_nan = np.isnan(x).any(axis=1)
    first_nan = np.isnan(x).argmax(axis=1)
    expected = np.where(has_nan, first_nan, order[:, middle])
    np.testing.assert_array_equal(kernels.kth(x, None, 1), expected)


def test_extremes_of_integers():
    limits = np.iinfo(np.int64)
    x = np.array([0, limits.max, -1, limits.min, 1])
    assert fg.sort(fg.Tensor(x)).values.tolist() == sorted(x.tolist())
    assert fg.median(fg.Tensor(x)).item() == 0


@pytest.mark.parametrize("shape", [(0,), (0, 3), (3, 0)])
def test_orders_of_nothing(shape):
    x = fg.Tensor(np.zeros(shape), requires_grad=True)
    values, indices = fg.sort(x, 0)
    assert values.shape == indices.shape == shape
    values.sum().backward()
    assert x.grad.shape == shape
    assert fg.topk(x, 0, 0).values.shape == (0, *shape[1:])


def test_what_is_taken_twice_gets_both_gradients():
    x = np.array([[1.0, 2.0], [3.0, 4.0]])
    index = np.array([[0, 1], [0, 1], [1, 1]])
    np.testing.assert_array_equal(kernels.take_along(x, index, 0), [[1, 4], [1, 4], [3, 4]])
    grad = kernels.put_along(np.ones((3, 2)), index, (2, 2), 0)
    np.testing.assert_array_equal(grad, [[2, 0], [1, 3]])


def test_counting():
    x = fg.tensor([3, 1, 3, 3])
    found, inverse, counts = fg.unique(x, return_inverse=True, return_counts=True)
    assert (found.tolist(), inverse.tolist(), counts.tolist()) == ([1, 3], [1, 0, 1, 1], [1, 3])
    found, inverse, counts = fg.unique_consecutive(x, True, True)
    assert (found.tolist(), inverse.tolist(), counts.tolist()) == (
        [3, 1, 3], [0, 1, 2, 2], [1, 1, 2],
    )  # fmt: skip
    rows = fg.tensor([[1, 2], [0, 2], [1, 2]])
    found, inverse = fg.unique(rows, return_inverse=True, dim=0)
    assert (found.tolist(), inverse.tolist()) == ([[0, 2], [1, 2]], [1, 0, 1])
    assert fg.unique(fg.tensor([float("nan")] * 2)).shape == (2,)
    weights = fg.tensor([0.5, 1.0, 2.0, 4.0])
    assert fg.bincount(x, weights).tolist() == [0.0, 1.0, 0.0, 6.5]
    assert fg.bincount(x, weights).dtype == np.float32
    sequence, sorter = fg.tensor([3.0, 1.0, 2.0]), fg.tensor([1, 2, 0])
    assert fg.searchsorted(sequence, fg.tensor([2.5]), sorter=sorter).tolist() == [2]
    assert fg.searchsorted(fg.tensor([1, 2]), 1.5).item() == 1
    assert fg.searchsorted(fg.tensor([1, 2]), fg.tensor([1]), out_int32=True).dtype == np.int32
