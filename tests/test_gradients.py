"""Norms, clipping and zeroing of all gradients at once, against PyTorch; inside a compiled step."""

import math

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn
from fastgrad.nn import utils

_SHAPES = ((7,), (3, 5), (), (40, 33), (5000,))


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")


def _arrays(scale, dtypes=("float32",)):
    rng = np.random.default_rng(0)
    return [
        np.asarray(scale * rng.standard_normal(shape)).astype(dtypes[k % len(dtypes)])
        for k, shape in enumerate(_SHAPES)
    ]


def _ours(arrays):
    parameters = [fg.Tensor(np.zeros_like(x), requires_grad=True) for x in arrays]
    for parameter, array in zip(parameters, arrays, strict=True):
        parameter.grad = fg.Tensor(array.copy())
    # one more without a gradient
    return [*parameters, fg.tensor([1.0], requires_grad=True)]


def _theirs(torch, arrays):
    parameters = [torch.zeros(x.shape, dtype=torch.from_numpy(x).dtype) for x in arrays]
    for parameter, array in zip(parameters, arrays, strict=True):
        parameter.requires_grad_().grad = torch.from_numpy(array.copy())
    return [*parameters, torch.ones(1, requires_grad=True)]


def _assert_same_gradients(ours, theirs):
    for a, b in zip(ours, theirs, strict=True):
        if b.grad is None:
            assert a.grad is None
        else:
            assert a.grad.dtype.name == str(b.grad.dtype).removeprefix("torch.")
            np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=1e-5)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("dtypes", [("float32",), ("float64",), ("float32", "float64")])
@pytest.mark.parametrize("scale", [1e-3, 1.0])
@pytest.mark.parametrize("power", [2.0, 1.0, 3, 0.5, math.inf, "inf"])
def test_clipping_by_norm_as_in_pytorch(torch, power, scale, dtypes, backend):
    fg.set_backend(backend)
    arrays = _arrays(scale, dtypes)
    ours, theirs = _ours(arrays), _theirs(torch, arrays)
    norm = utils.clip_grad_norm_(ours, 1.5, power)
    expected = torch.nn.utils.clip_grad_norm_(theirs, 1.5, float(power))
    assert norm.shape == ()
    np.testing.assert_allclose(norm.item(), expected.item(), rtol=1e-5)
    _assert_same_gradients(ours, theirs)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_clipping_by_value_as_in_pytorch(torch, backend):
    fg.set_backend(backend)
    arrays = _arrays(1.0)
    arrays[0][:3] = np.nan, np.inf, -np.inf
    ours, theirs = _ours(arrays), _theirs(torch, arrays)
    assert utils.clip_grad_value_(iter(ours), 0.3) is None
    torch.nn.utils.clip_grad_value_(theirs, 0.3)
    _assert_same_gradients(ours, theirs)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_norms_that_are_not_finite(torch, bad, backend):
    fg.set_backend(backend)
    arrays = _arrays(1.0)
    arrays[3][5, 5] = bad
    ours, theirs = _ours(arrays), _theirs(torch, arrays)
    before = [None if p.grad is None else p.grad.data.copy() for p in ours]
    with pytest.raises(RuntimeError, match="error_if_nonfinite"):
        utils.clip_grad_norm_(ours, 1.0, error_if_nonfinite=True)
    for parameter, array in zip(ours, before, strict=True):
        assert array is None or np.array_equal(parameter.grad.data, array, equal_nan=True)
    utils.clip_grad_norm_(ours, 1.0)
    torch.nn.utils.clip_grad_norm_(theirs, 1.0)
    _assert_same_gradients(ours, theirs)


def test_edges():
    assert utils.get_total_norm([]).item() == 0.0
    assert utils.clip_grad_norm_([], 1.0).item() == 0.0
    with pytest.raises(ValueError, match="norm_type = 0"):
        utils.get_total_norm([fg.ones(2)], 0)
    single = fg.tensor([3.0, 4.0], requires_grad=True)
    single.grad = fg.tensor([3.0, 4.0])
    assert utils.clip_grad_norm_(single, 1.0).item() == 5.0


@pytest.mark.parametrize("layout", ["strided", "turned"])
def test_gradients_of_any_layout_change_in_place(layout):
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    view = array[:, ::2] if layout == "strided" else array.T
    parameter = fg.Tensor(np.zeros(view.shape, np.float32), requires_grad=True)
    parameter.grad = fg.Tensor(view)
    expected = np.clip(view, -2, 2)
    utils.clip_grad_value_(parameter, 2.0)
    np.testing.assert_array_equal(parameter.grad.data, expected)
    np.testing.assert_array_equal(view, expected)  # the array it came in
    parameter.grad.zero_()
    assert not view.any()


def test_zeroing_keeps_the_arrays():
    parameters = _ours(_arrays(1.0, ("float32", "float64")))
    arrays = [None if p.grad is None else p.grad.data for p in parameters]
    fg.optim.SGD(parameters).zero_grad(set_to_none=False)
    for parameter, array in zip(parameters, arrays, strict=True):
        assert array is None or (parameter.grad.data is array and not array.any())


# ------------------------------------------------------------------ in a compiled step


def _training(wrap, clip):
    fg.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 9), nn.ReLU(), nn.Linear(9, 3))
    optimizer = fg.optim.Adam(model.parameters(), lr=0.01)

    @wrap
    def step(x, y):
        optimizer.zero_grad()
        loss = fg.cross_entropy(model(x), y)
        loss.backward()
        result = clip(model)
        optimizer.step()
        return loss, result

    rng = np.random.default_rng(0)
    bits = []
    for _ in range(20):
        x, y = rng.standard_normal((8, 6), dtype=np.float32), rng.integers(0, 3, 8)
        loss, result = step(fg.Tensor(x), fg.Tensor(y))
        bits.append(loss.data.tobytes())
        bits.append(b"" if result is None else result.data.tobytes())
        bits += [p.data.tobytes() + p.grad.data.tobytes() for p in model.parameters()]
    return bits


@pytest.mark.parametrize(
    "clip",
    [
        lambda model: utils.clip_grad_norm_(model.parameters(), 0.1),
        lambda model: utils.clip_grad_norm_(model.parameters(), 0.1, math.inf),
        lambda model: utils.clip_grad_value_(model.parameters(), 0.01),
    ],
    ids=["norm", "inf", "value"],
)
def test_clipping_in_a_compiled_step(clip):
    assert _training(fg.compile, clip) == _training(lambda step: step, clip)


def test_gradients_from_outside_of_a_compiled_step():
    """A step that only clips and updates: another gradient array is another recording."""
    weight = fg.tensor([1.0, 2.0], requires_grad=True)
    optimizer = fg.optim.SGD([weight], lr=1.0)

    @fg.compile
    def update():
        utils.clip_grad_value_([weight], 1.0)
        optimizer.step()

    for value in (0.5, 3.0, -0.25):
        before = weight.data.copy()
        weight.grad = fg.Tensor(np.full(2, value, np.float32))
        update()
        np.testing.assert_array_equal(weight.data, before - min(value, 1.0))
