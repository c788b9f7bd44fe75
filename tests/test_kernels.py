"""Every kernel equals its NumPy twin, in both types, serial and threaded: one row, one kernel."""

import pkgutil
from importlib import import_module

import numpy as np
import pytest
from all_rows import ROWS
from kernel_cases import Maker, arrays_of, copied

import fastgrad
from fastgrad import kernels, reference

_DTYPES = ("float32", "float64")
_TOLERANCE = {"float32": 1e-5, "float64": 1e-11}
_CASES = [
    pytest.param(row, size, dtype, id=f"{row.name}-{'x'.join(map(str, size))}-{dtype}")
    for row in ROWS
    for size in row.sizes
    for dtype in _DTYPES
]


def _run(package, row, args):
    args = copied(args)
    if row.kernel == "cross_entropy_backward" and package is kernels:
        # the kernel keeps log Σ eˣ per row, the twin all log-probabilities
        log_p, divisor = args[3]
        x = args[1]
        args[3] = (np.ascontiguousarray(x[:, 0] - log_p[:, 0]), divisor)
    return arrays_of(getattr(package, row.kernel)(*args), row, args)


def _assert_same(row, dtype, actual, expected):
    assert len(actual) == len(expected)
    tolerance = (row.rtol or {}).get(dtype, _TOLERANCE[dtype])
    for ours, theirs in zip(actual, expected, strict=True):
        assert ours.shape == theirs.shape
        assert ours.dtype == theirs.dtype
        scale = max(1.0, float(np.max(np.abs(theirs), initial=0.0, where=np.isfinite(theirs))))
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance * scale)


@pytest.mark.parametrize(("row", "size", "dtype"), _CASES)
def test_equals_twin(row, size, dtype):
    args = row.make(Maker(dtype), *size)
    _assert_same(row, dtype, _run(kernels, row, args), _run(reference, row, args))


@pytest.mark.usefixtures("always_threaded")
@pytest.mark.parametrize(("row", "size", "dtype"), _CASES)
def test_threads_change_no_bit(row, size, dtype):
    args = row.make(Maker(dtype), *size)
    threaded = _run(kernels, row, args)
    fastgrad.set_num_threads(1)
    for ours, serial in zip(threaded, _run(kernels, row, args), strict=True):
        assert ours.tobytes() == serial.tobytes()


def _public_names(package):
    """file -> names, for every public file of a package."""
    return {
        file.name: sorted(import_module(f"{package.__name__}.{file.name}").__all__)
        for file in pkgutil.iter_modules(package.__path__)
        if not file.name.startswith("_")
    }


def test_every_kernel_has_a_twin_and_a_row():
    names = _public_names(kernels)
    assert names == _public_names(reference)
    assert {name for file in names.values() for name in file} == {row.kernel for row in ROWS}
    assert all(callable(getattr(kernels, row.kernel)) for row in ROWS)


def test_batch_norm_with_a_mean_of_ten_thousand_deviations():
    rng = np.random.default_rng(0)
    for shape in ((64, 5), (16, 5, 33)):
        x = (rng.standard_normal(shape) + 1e4).astype(np.float32)
        axes = (0, *range(2, x.ndim))
        exact = x.astype(np.float64)
        out, mean, var, _ = kernels.batch_norm_forward(x)
        np.testing.assert_allclose(mean, exact.mean(axis=axes), rtol=1e-7)
        np.testing.assert_allclose(var, exact.var(axis=axes), rtol=1e-5)
        expected, *_ = reference.batch_norm_forward(exact)
        np.testing.assert_allclose(out, expected, atol=1e-3)  # x itself has steps of 1e-3


def test_long_sums_keep_their_digits():
    x = np.full(1 << 24, 0.1, np.float32)
    assert abs(float(kernels.sum(x)) / (0.1 * x.size) - 1) < 2e-7
    tall = np.full((1 << 20, 3), 0.1, np.float32)
    np.testing.assert_allclose(kernels.sum(tall, (0,)), 0.1 * (1 << 20), rtol=2e-7)


@pytest.mark.parametrize("package", [kernels, reference])
def test_labels_and_indices_are_checked(package):
    x = np.zeros((3, 4), np.float32)
    for labels, message in (
        ([0, 4, 1], "label 4 at position 1 is out of range; expected 0 <= label < 4"),
        ([0, 1, -1], "label -1 at position 2"),
    ):
        with pytest.raises(IndexError, match=message):
            package.cross_entropy_forward(x, np.array(labels))
        with pytest.raises(IndexError, match=message):
            package.nll_loss_forward(x, np.array(labels))
    with pytest.raises(IndexError, match="gather_rows: index 3 at position 0"):
        package.gather_rows(x, np.array([3]))
    with pytest.raises(IndexError, match="index 4 is out of range; expected 0 <= index < 4"):
        package.gather(x, np.array([[0], [4], [1]]), 1)
    for index in (3, -4):
        with pytest.raises(IndexError, match=f"index {index} is out of range; expected -3 <="):
            package.add_rows(x, np.array([0, index]), np.ones((2, 4), np.float32))
    assert not x.any()


@pytest.mark.parametrize("package", [kernels, reference])
def test_large_bools_are_copied_and_filled(package):
    x = package.zeros((1 << 20,), np.bool_)
    assert not x.any()
    package.fill(x, True)
    assert package.copy(x).all()
    assert package.copy(x).dtype == np.bool_


def test_tables_of_arrays_that_do_not_fit_are_refused():
    x, step = np.zeros(4, np.float32), np.zeros(1, np.int64)
    hyper, flags = np.zeros(5), np.zeros(3, bool)
    for params, grads, error in (
        (x, x, TypeError),  # arrays instead of lists of them
        ([x], [x, x], TypeError),
        ([x], [None], TypeError),
        ([x], [np.zeros(3, np.float32)], ValueError),
        ([x], [np.zeros(8, np.float32)[::2]], ValueError),
        ([x], [np.zeros(4)], ValueError),
        ([], [], TypeError),
    ):
        with pytest.raises(error):
            kernels.sgd_step(params, grads, [step][: len(params)], hyper, flags)
    assert step[0] == 0
