"""Lazy modules: sizes from the first input, what is refused before, state dicts."""

import copy
import pickle

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn
from fastgrad.nn.parameter import is_lazy

_INPUTS = {"LazyLinear": (5, 3), "LazyBatchNorm1d": (5, 3), "LazyBatchNorm2d": (5, 3, 2, 2),
           "LazyBatchNorm3d": (5, 3, 2, 2, 2)}  # fmt: skip


def _layer(name, **options):
    return getattr(nn, name)(*((4,) if name == "LazyLinear" else ()), **options)


def _eager(name, **options):
    return getattr(nn, name.removeprefix("Lazy"))(
        3, *((4,) if name == "LazyLinear" else ()), **options
    )


@pytest.mark.parametrize("name", _INPUTS)
def test_the_first_forward_makes_an_eager_layer(name):
    layer, x = _layer(name), fg.randn(*_INPUTS[name])
    weight = layer.weight
    assert all(map(is_lazy, layer.parameters()))
    fg.manual_seed(1)
    out = layer(x)
    fg.manual_seed(1)
    expected = _eager(name)
    assert type(layer) is type(expected)
    assert repr(layer) == repr(expected)
    assert layer.weight is weight  # an optimizer that has it keeps it
    np.testing.assert_array_equal(out.data, expected(x).data)
    a, b = layer.state_dict(), expected.state_dict()
    assert list(a) == list(b)
    for key in a:
        np.testing.assert_array_equal(a[key].data, b[key].data)
    out.sum().backward()
    assert all(p.grad is not None for p in layer.parameters())


@pytest.mark.parametrize("name", _INPUTS)
def test_options_and_types_are_those_of_the_eager_layer(name):
    options = {"bias": False} if name == "LazyLinear" else {"affine": False, "momentum": None}
    layer = _layer(name, dtype=fg.float64, **options)
    layer(fg.randn(*_INPUTS[name], dtype=np.float64))
    assert repr(layer) == repr(_eager(name, **options))
    assert {x.dtype for x in layer.state_dict().values()} <= {np.dtype("f8"), np.dtype("i8")}
    later = _layer(name).double()
    assert later.weight.dtype == np.float64
    later(fg.randn(*_INPUTS[name], dtype=np.float64))
    assert later.weight.dtype == np.float64


def test_nothing_can_be_done_with_what_has_no_shape():
    layer = nn.LazyLinear(2)
    for use in (
        lambda x: x.shape,
        lambda x: x + 1,
        lambda x: x.tolist(),
        lambda x: fg.optim.SGD([x], lr=0.1).step() or len(x),
        lambda x: layer.forward(fg.ones(2, 3)),
    ):
        with pytest.raises(ValueError, match="UninitializedParameter: has no shape and no values"):
            use(layer.weight)
    assert repr(layer.weight) == "<UninitializedParameter>"
    assert is_lazy(layer.weight)


def test_bad_inputs_change_nothing():
    for layer, shape in ((nn.LazyLinear(2), ()), (nn.LazyBatchNorm2d(), (2, 3, 4))):
        with pytest.raises(ValueError, match=f"{type(layer).__name__}: expected .* axes, got"):
            layer(fg.zeros(*shape) if shape else fg.tensor(1.0))
        assert layer.has_uninitialized_params()


def test_state_dicts_of_either_kind_are_loaded_by_either():
    eager, lazy, other = nn.Linear(3, 2), nn.LazyLinear(2), nn.LazyLinear(2)
    assert all(map(is_lazy, lazy.state_dict().values()))
    lazy.load_state_dict(other.state_dict())
    assert lazy.has_uninitialized_params()
    with pytest.raises(RuntimeError, match=r"weight is uninitialized, expected \(3, 2\)"):
        eager.load_state_dict(lazy.state_dict())
    lazy.load_state_dict(eager.state_dict())
    assert not lazy.has_uninitialized_params()
    with pytest.raises(ValueError, match=r"weight has shape \(3, 2\); an input \(1, 4\) wants"):
        lazy(fg.ones(1, 4))
    x = fg.randn(4, 3)
    np.testing.assert_array_equal(lazy(x).data, eager(x).data)
    assert lazy.in_features == 3
    turned = fg.interchange.to_torch_state_dict(eager)
    fg.interchange.load_torch_state_dict(other, turned)
    np.testing.assert_array_equal(other(x).data, eager(x).data)


def test_copies_freezing_and_files(tmp_path):
    model = nn.Sequential(nn.LazyLinear(4), nn.LazyBatchNorm1d(), nn.ReLU(), nn.LazyLinear(2))
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        twin[0].requires_grad_(False)
        assert twin(fg.randn(5, 3)).shape == (5, 2)
        assert not twin[0].weight.requires_grad
        assert twin[3].weight.requires_grad
    assert all(map(is_lazy, model.parameters()))
    with pytest.raises(ValueError, match="has no shape and no values"):
        fg.save(model.state_dict(), tmp_path / "lazy.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_step_is_compiled_after_the_first_forward_only():
    model = nn.Sequential(nn.LazyLinear(2))
    step = fg.compile(lambda x: model(x).sum())
    with pytest.raises(fg.Unrecordable, match="LazyLinear: its first forward decides"):
        step(fg.ones(2, 3))
    assert model(fg.ones(2, 3)).sum().item() == pytest.approx(step(fg.ones(2, 3)).item())


def test_an_incomplete_initialization_is_noticed():
    class Half(nn.LazyModuleMixin, nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.UninitializedParameter()

        def initialize_parameters(self, x):
            pass

    with pytest.raises(RuntimeError, match="Half: initialize_parameters left some uninitialized"):
        Half()(fg.ones(2))
