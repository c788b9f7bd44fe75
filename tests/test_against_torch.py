"""Random calls of every operation that PyTorch has by the same name: values, types, gradients."""

import warnings

import numpy as np
import pytest
from all_rows import CASES

import fastgrad as fg
from fastgrad import functional as F

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")

# other weights, other arguments, other numbers; 1/6 as a float32 in gradients of float64
_OTHERWISE = {"linear", "batch_norm", "embedding", "dropout", "hardsigmoid"}
_THEIRS_WANT_ROWS = {
    "bucketize",
    "kron",
    "max_unpool2d",
    "max_unpool3d",
    "searchsorted",
}  # PyTorch fails, or warns, for strided operands
_DTYPES = {np.dtype(np.float32): torch.float32, np.dtype(np.float64): torch.float64}


def _theirs(name):
    """PyTorch's function of a name, or None."""
    for place in (torch.nn.functional, torch, torch.Tensor):
        if hasattr(place, name):
            return getattr(place, name)
    return None


_CALLS = [
    pytest.param(case, sample, seed, id=f"{case.name}-{number}-{seed}")
    for case in CASES
    if case.name not in _OTHERWISE
    and _theirs(case.name)
    and case.call in (getattr(fg, case.name, None), getattr(F, case.name, None))
    for number, sample in enumerate(case.samples)
    for seed in range(3)
]


def _draw(case, sample, seed, dtype):
    rng = np.random.default_rng(1000 + seed)
    arrays = [
        np.asarray(case.draw(rng, x)).astype(dtype) if isinstance(x, tuple) else np.asarray(x)
        for x in sample.inputs
    ]
    if seed == 1 and case.name not in _THEIRS_WANT_ROWS:  # the last axis first in memory
        arrays = [np.asfortranarray(x) if x.ndim > 1 else x for x in arrays]
    return arrays


def _options(sample, dtype, convert):
    for name, value in sample.options.items():
        if isinstance(value, np.ndarray):
            yield name, convert(value.astype(dtype) if value.dtype.kind == "f" else value)
        elif isinstance(value, type) and issubclass(value, np.generic):
            yield name, value if convert is fg.Tensor else _DTYPES[np.dtype(value)]
        else:
            yield name, value


def _backward(out, weights, inputs, ones):
    """The gradients of the inputs, None where there is none."""
    out.backward(ones(weights))
    return [None if x.grad is None else np.asarray(x.grad.tolist()) for x in inputs]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("case", "sample", "seed"), _CALLS)
def test_equals_torch(case, sample, seed, dtype):
    arrays = _draw(case, sample, seed, dtype)
    floats = [x.dtype.kind == "f" for x in arrays]
    ours = [fg.Tensor(x.copy("K"), requires_grad=f) for x, f in zip(arrays, floats, strict=True)]
    theirs = [
        torch.from_numpy(
            x.copy("K") if x.dtype.kind in "fb" else x.astype(np.int64)
        ).requires_grad_(f)
        for x, f in zip(arrays, floats, strict=True)
    ]
    try:
        with warnings.catch_warnings(action="ignore"):  # of what PyTorch would rather have
            options = dict(_options(sample, dtype, torch.from_numpy))
            expected = _theirs(case.name)(*theirs, **options)
    except TypeError:
        pytest.skip("PyTorch does not take these arguments by these names")
    out = case.call(*ours, **dict(_options(sample, dtype, fg.Tensor)))
    if not isinstance(out, fg.Tensor):
        assert out == expected
        return
    wanted = expected.detach().numpy()
    assert out.shape == wanted.shape
    assert out.dtype == wanted.dtype
    tolerance = 20 * case.rtol if dtype == np.float32 else 1e-9
    np.testing.assert_allclose(out.data, wanted, rtol=tolerance, atol=tolerance)
    if case.gradient:
        assert out.requires_grad == expected.requires_grad
    if out.requires_grad:
        weights = np.random.default_rng(seed).uniform(0.5, 1.5, out.shape).astype(dtype)
        a = _backward(out, weights, ours, fg.Tensor)
        b = _backward(expected, np.asarray(weights), theirs, torch.from_numpy)
        for x, y in zip(a, b, strict=True):
            assert (x is None) == (y is None)
            if x is not None:
                np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


def test_hundreds_of_calls_are_compared():
    assert len(_CALLS) > 500
