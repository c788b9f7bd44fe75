"""What reductions, scans and sorting do beyond their rows: types, ties, NaN, second gradients."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.testing import gradcheck

_INF, _NAN = float("inf"), float("nan")


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")


@pytest.fixture(params=["numba", "numpy"], autouse=True)
def _backend(request):
    fg.set_backend(request.param)


def _parts(result):
    return list(result) if isinstance(result, tuple | list) else [result]


# One axis each; rows with NaN, infinities, zeros and ties.
_CALLS = {
    "sum": {}, "mean": {}, "prod": {}, "amax": {}, "amin": {}, "argmax": {}, "argmin": {},
    "max": {}, "min": {}, "nansum": {}, "var": {"correction": 0}, "std": {}, "logsumexp": {},
    "all": {}, "any": {}, "count_nonzero": {}, "cumsum": {}, "cumprod": {}, "cummax": {},
    "cummin": {}, "sort": {"stable": True}, "argsort": {"stable": True}, "median": {},
}  # fmt: skip
_FLOATS = (
    (1, 2, 3), (0, 0, 0), (0, 2, 0), (0, 2, 3), (5, 5, 1), (_NAN, 1, 2), (1, _NAN, _NAN),
    (_INF, 1, 2), (-_INF, -_INF, -_INF), (-_INF, 1, -_INF), (_INF, -_INF, 0), (-0.0, 0.0, 1),
)  # fmt: skip
_INTEGERS = ((1, 2, 3), (0, 0, 0), (3, 1, 2), (-5, 5, 0))


@pytest.mark.parametrize("name", _CALLS)
@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "bool"])
def test_values_types_and_indices_are_pytorchs(torch, name, dtype):
    if (name, dtype) == ("median", "bool") or (name[:3] == "arg" != "sort" and dtype == "bool"):
        return  # PyTorch has none
    rows = _FLOATS if dtype[0] == "f" else _INTEGERS
    for row in rows:
        x = np.array(row).astype(dtype)
        try:
            expected = getattr(torch, name)(torch.tensor(x), dim=0, **_CALLS[name])
        except (RuntimeError, NotImplementedError):
            with pytest.raises(TypeError):
                getattr(fg, name)(fg.Tensor(x), dim=0, **_CALLS[name])
            continue
        actual = getattr(fg, name)(fg.Tensor(x), dim=0, **_CALLS[name])
        for ours, theirs in zip(_parts(actual), _parts(expected), strict=True):
            assert ours.dtype.name == str(theirs.dtype).removeprefix("torch."), row
            np.testing.assert_allclose(ours.data, theirs.numpy(), rtol=1e-5, err_msg=str(row))


_GRADIENTS = {
    "sum": {}, "prod": {}, "amax": {}, "max": {}, "min": {}, "median": {}, "var": {}, "std": {},
    "norm": {},
}  # fmt: skip


@pytest.mark.parametrize("name", _GRADIENTS)
def test_gradients_at_zeros_and_ties_are_pytorchs(torch, name):
    for row in (
        (0.0, 2.0, 0.0),
        (0.0, 2.0, 3.0),
        (0.0, 0.0, 0.0),
        (5.0, 5.0, 1.0),
        (1.0, 3.0, 3.0),
    ):
        theirs = torch.tensor(row, requires_grad=True)
        getattr(torch, name)(theirs).backward()
        ours = fg.tensor(row, requires_grad=True)
        getattr(fg, name)(ours).backward()
        np.testing.assert_allclose(ours.grad.data, theirs.grad.numpy(), atol=1e-6, err_msg=str(row))


def _gradient_of(call):
    def gradient(x):
        weights = fg.Tensor(np.cos(np.arange(call(x).numel()) + 1.0).reshape(call(x).shape))
        return fg.grad(call(x), x, weights, create_graph=True)[0]

    return gradient


_TWICE = {
    "prod": lambda x: fg.prod(x),
    "prod of rows": lambda x: fg.prod(x, 1),
    "prod of columns": lambda x: fg.prod(x, 0, True),
    "var": lambda x: fg.var(x, 0),
    "std": lambda x: fg.std(x, (0, 1)),
    "logsumexp": lambda x: fg.logsumexp(x, 1, True),
    "norm": lambda x: fg.norm(x),
    "norm 3": lambda x: fg.norm(x, 3, 1),
    "norm 0.5": lambda x: fg.norm(x, 0.5, 0),
    "norm inf": lambda x: fg.square(fg.norm(x, _INF, 0)),
    "cumsum": lambda x: fg.square(fg.cumsum(x, 1)),
    "cumprod": lambda x: fg.cumprod(x, 1),
    "cumprod of columns": lambda x: fg.cumprod(x, 0),
    "logcumsumexp": lambda x: fg.logcumsumexp(x, 1),
    "cummax": lambda x: fg.square(fg.cummax(x, 1).values),
    "sort": lambda x: fg.square(fg.sort(x, 0, True).values),
    "topk": lambda x: fg.square(fg.topk(x, 2).values),
    "max": lambda x: fg.square(fg.max(x, 1).values),
    "amin": lambda x: fg.square(fg.amin(x, 0)),
    "median": lambda x: fg.square(fg.median(x)),
    "kthvalue": lambda x: fg.square(fg.kthvalue(x, 2, 0, True).values),
}


@pytest.mark.parametrize("zeros", [0, 1, 2], ids=["no zero", "one zero", "two zeros"])
@pytest.mark.parametrize("call", _TWICE.values(), ids=_TWICE)
def test_second_gradients(call, zeros):
    x = np.array([[0.7, -1.2, 1.9], [-0.4, 1.1, 0.3]])
    if zeros and call in [_TWICE[name] for name in _TWICE if "prod" in name]:
        x[0, [1, 2][:zeros]] = 0.0
    x = fg.Tensor(x, requires_grad=True)
    assert gradcheck(_gradient_of(call), x)
    (by_graph,) = fg.grad(call(x).sum(), x, create_graph=True)
    (plain,) = fg.grad(call(x).sum(), x)
    np.testing.assert_allclose(by_graph.data, plain.data, rtol=1e-12)


def test_named_results():
    x = fg.tensor([[2.0, 9.0], [4.0, 3.0]])
    for result in (
        fg.max(x, 0), fg.min(x, 0), fg.sort(x), fg.topk(x, 1), fg.median(x, 0), fg.kthvalue(x, 1),
        fg.cummax(x, 0), fg.cummin(x, 0),
    ):  # fmt: skip
        assert result._fields == ("values", "indices")
        assert result.indices.dtype == np.int64
    assert fg.max(x, 0).indices.tolist() == [1, 0]
    assert fg.max(x, fg.tensor(3.5)).tolist() == [[3.5, 9.0], [4.0, 3.5]]


def test_a_change_of_the_indices_is_noticed():
    x = fg.tensor([2.0, 1.0], requires_grad=True)
    values, indices = fg.sort(x)
    indices.zero_()
    with pytest.raises(RuntimeError, match="its index was changed in place"):
        values.sum().backward()


def test_types_that_are_asked_for():
    x = fg.tensor([1.5, 2.5], requires_grad=True)
    for function in (fg.sum, fg.mean, fg.prod, lambda x, dtype: fg.cumsum(x, 0, dtype)):
        out = function(x, dtype=np.float64)
        assert out.dtype == np.float64
        (grad,) = fg.grad(out.sum(), x)
        assert grad.dtype == np.float32
    assert fg.sum(fg.tensor([1, 2]), dtype=np.float32).dtype == np.float32
    assert fg.sum(fg.tensor([1, 2]), dtype=np.int32).dtype == np.int32
    with pytest.raises(TypeError, match="mean: expected a float tensor, got int64"):
        fg.mean(fg.tensor([1, 2]))


def test_a_variance_keeps_its_digits():
    rng = np.random.default_rng(0)
    for shape, axes in (((20_000,), 0), ((5000, 3), 0), ((3, 9000), 1), ((2, 300, 4), (0, 1))):
        x = (rng.standard_normal(shape) + 1e4).astype(np.float32)
        exact = x.astype(np.float64).var(axis=axes, ddof=1)
        np.testing.assert_allclose(fg.var(fg.Tensor(x), axes).data, exact, rtol=1e-5)


def test_sums_that_run_keep_their_digits():
    x = np.full(1 << 20, 0.1, np.float32)
    exact = 0.1 * np.arange(1, x.size + 1)
    np.testing.assert_allclose(fg.cumsum(fg.Tensor(x), 0).data, exact, rtol=2e-7)


def test_compiled_steps_refuse_results_of_unknown_shape():
    step = fg.compile(lambda x: fg.unique(x))
    if fg.get_backend() == "numba":
        with pytest.raises(fg.Unrecordable, match="compile: unique: the shape of its result"):
            step(fg.tensor([1.0, 2.0]))


@pytest.mark.parametrize("call", _TWICE.values(), ids=_TWICE)
def test_compiled(call):
    weight = fg.Tensor(np.random.default_rng(0).uniform(0.5, 1.5, (3, 70)), requires_grad=True)

    def step(x):
        weight.grad = None
        loss = (call(weight * x) * 0.1).sum()
        loss.backward()
        return loss

    compiled, rng = fg.compile(step), np.random.default_rng(1)
    for _ in range(3):
        x = fg.Tensor(rng.uniform(0.5, 1.5, (3, 70)))
        loss, grad = compiled(x), weight.grad.data.copy()
        np.testing.assert_array_equal(loss.data, step(x).data)
        np.testing.assert_array_equal(grad, weight.grad.data)
        weight.grad = None


def test_compiled_steps_return_named_results():
    step, rng = fg.compile(lambda x: fg.max(x, 1)), np.random.default_rng(0)
    for _ in range(3):
        x = rng.standard_normal((3, 5))
        result = step(fg.Tensor(x))
        assert result._fields == ("values", "indices")
        np.testing.assert_array_equal(result.values.data, x.max(axis=1))
        np.testing.assert_array_equal(result.indices.data, x.argmax(axis=1))
