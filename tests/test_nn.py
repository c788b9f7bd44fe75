"""Modules: registration, walking, ``Sequential``, text, initial values."""

import copy
import math
import pickle
import re

import numpy as np
import pytest
from small_modules import Block

import fastgrad as fg
from fastgrad import nn


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")


_PARAMETERS = [
    "scale", "inner.0.weight", "inner.0.bias", "inner.1.weight", "inner.1.bias",
    "inner.2.weight", "inner.2.bias",
]  # fmt: skip

_BUFFERS = ["offset", *(f"inner.1.{name}" for name in ("running_mean", "running_var"))]
_BUFFERS += ["inner.1.num_batches_tracked"]


# ------------------------------------------------------------------ registration


def test_names_in_order_of_assignment():
    block = Block()
    assert [name for name, _ in block.named_parameters()] == _PARAMETERS
    assert [name for name, _ in block.named_buffers()] == _BUFFERS
    assert [name for name, _ in block.named_modules()] == [
        "", "inner", "inner.0", "inner.1", "inner.2",
    ]  # fmt: skip
    assert [name for name, _ in block.named_children()] == ["inner"]
    assert [name for name, _ in block.named_parameters(recurse=False)] == ["scale"]
    assert [name for name, _ in block.named_parameters(prefix="net")][:2] == [
        "net.scale", "net.inner.0.weight",
    ]  # fmt: skip
    assert list(block.parameters()) == [tensor for _, tensor in block.named_parameters()]
    assert set(block.state_dict()) == {*_PARAMETERS, *_BUFFERS}


def test_shared_modules_and_parameters_count_once():
    block, layer = nn.Module(), nn.Linear(2, 2)
    block.first, block.second = layer, layer
    block.tied = layer.weight
    assert [name for name, _ in block.named_parameters()] == ["tied", "first.bias"]
    assert [name for name, _ in block.named_modules()] == ["", "first"]
    assert list(block.state_dict()) == [
        "tied", "first.weight", "first.bias", "second.weight", "second.bias",
    ]  # fmt: skip
    optimizer = fg.optim.SGD(block.parameters(), lr=1.0)
    block.second(fg.ones(1, 2)).sum().backward()
    before = layer.weight.detach().clone()
    optimizer.step()
    np.testing.assert_allclose(block.tied.detach(), before - 1)
    block.load_state_dict(block.state_dict())


def test_attributes_can_be_replaced_and_deleted():
    block = Block()
    new = nn.Parameter(fg.zeros(2))
    block.scale = new
    assert block.scale is new
    block.scale = None
    assert block.scale is None
    assert "scale" not in dict(block.named_parameters())
    block.scale = nn.Linear(1, 1)
    assert [name for name, _ in block.named_children()] == ["inner", "scale"]
    block.offset = fg.ones(2)
    assert dict(block.named_buffers())["offset"].tolist() == [1, 1]
    del block.inner
    del block.number
    assert not hasattr(block, "inner")
    assert not hasattr(block, "number")
    assert list(block.state_dict()) == ["offset", "scale.weight", "scale.bias"]


class _Forgetful(nn.Module):
    def __init__(self):
        self.layer = nn.Linear(1, 1)


_MISUSE = {
    "no super().__init__": (_Forgetful, AttributeError, r"super\(\).__init__\(\)"),
    "tensor for a parameter": (
        lambda: setattr(nn.Linear(1, 1), "weight", fg.ones(1, 1)),
        TypeError,
        "cannot assign Tensor",
    ),
    "number for a module": (
        lambda: setattr(Block(), "inner", 3),
        TypeError,
        "cannot assign int",
    ),
    "array for a buffer": (
        lambda: setattr(Block(), "offset", np.ones(2)),
        TypeError,
        "cannot assign ndarray",
    ),
    "unknown attribute": (lambda: Block().nothing, AttributeError, "Block.*'nothing'"),
    "no forward": (lambda: nn.Module()(1), NotImplementedError, "Module defines no forward"),
    "registering a number as module": (
        lambda: nn.Module().add_module("a", 3),
        TypeError,
        "int",
    ),
    "registering an array as buffer": (
        lambda: nn.Module().register_buffer("a", np.ones(2)),
        TypeError,
        "ndarray",
    ),
    "registering a tensor as parameter": (
        lambda: nn.Module().register_parameter("a", fg.ones(2)),
        TypeError,
        "Tensor",
    ),
    "a name with a dot": (
        lambda: nn.Module().add_module("a.b", nn.ReLU()),
        (KeyError, ValueError),
        r"a\.b",
    ),
    "number in Sequential": (lambda: nn.Sequential(nn.ReLU(), 3), TypeError, "'1' is int"),
    "Linear without inputs": (lambda: nn.Linear(0, 2), ValueError, "sizes must be positive, got 0"),
    "Linear without outputs": (lambda: nn.Linear(2, -1), ValueError, "got 2, -1"),
    "Dropout of no probability": (lambda: nn.Dropout(1.5), ValueError, "p = 1.5 is not a prob"),
    "Dropout of NaN": (lambda: nn.Dropout(math.nan), ValueError, "p = nan is not a prob"),
    "BatchNorm1d of a vector": (
        lambda: nn.BatchNorm1d(2)(fg.ones(2)),
        ValueError,
        r"expected \(N, C\) or \(N, C, L\), got \(2,\)",
    ),
    "BatchNorm1d of images": (
        lambda: nn.BatchNorm1d(2)(fg.ones(1, 2, 3, 4)),
        ValueError,
        r"got \(1, 2, 3, 4\)",
    ),
    "unknown reduction": (
        lambda: nn.MSELoss(reduction="average")(fg.ones(2), fg.ones(2)),
        ValueError,
        "unknown reduction 'average'",
    ),
}


@pytest.mark.parametrize("name", _MISUSE)
def test_misuse(name):
    call, exception, message = _MISUSE[name]
    with pytest.raises(exception, match=message):
        call()


def test_parameters():
    source = fg.ones(2)
    parameter = nn.Parameter(source)
    assert parameter.requires_grad
    assert parameter.data is source.data
    assert not nn.Parameter(source, requires_grad=False).requires_grad
    assert nn.Parameter(np.zeros(3, np.float32)).shape == (3,)
    assert type(parameter * 2) is fg.Tensor


# ------------------------------------------------------------------ walking


def test_train_and_eval_reach_everything():
    block = Block()
    assert all(module.training for module in block.modules())
    assert block.eval() is block
    assert not any(module.training for module in block.modules())
    block.inner.train()
    assert [module.training for module in block.modules()] == [False, True, True, True, True]
    assert block.train() is block
    assert all(module.training for module in block.modules())


def test_apply_visits_children_first():
    seen = []
    block = Block()
    assert block.apply(lambda module: seen.append(type(module).__name__)) is block
    assert seen == ["Linear", "BatchNorm1d", "Linear", "Sequential", "Block"]


def test_zero_grad_both_ways():
    layer = nn.Linear(2, 1)
    layer(fg.ones(1, 2)).sum().backward()
    gradient = layer.weight.grad
    layer.zero_grad(set_to_none=False)
    assert layer.weight.grad is gradient
    assert gradient.tolist() == [[0], [0]]
    layer.zero_grad()
    assert layer.weight.grad is None


def test_frozen_parameters_get_no_gradient():
    model = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    assert model[0].requires_grad_(False) is model[0]
    model(fg.ones(1, 2)).sum().backward()
    assert [p.grad is None for p in model.parameters()] == [True, True, False, False]


def test_conversion_of_a_whole_module():
    block = Block()
    parameters = list(block.parameters())
    block(fg.ones(4, 2)).sum().backward()
    assert block.double() is block
    assert all(a is b for a, b in zip(block.parameters(), parameters, strict=True))
    assert (
        {p.dtype.name for p in parameters} == {p.grad.dtype.name for p in parameters} == {"float64"}
    )
    assert {b.dtype.name for b in block.buffers()} == {"float64", "int64"}
    out = block(fg.ones(4, 2, dtype=fg.float64))
    assert out.dtype == fg.float64
    out.sum().backward()
    assert block.float()(fg.ones(4, 2)).dtype == fg.float32


def test_copies_of_modules_are_apart():
    block = Block()
    block(fg.ones(4, 2)).sum().backward()
    for twin in (copy.deepcopy(block), pickle.loads(pickle.dumps(block))):
        assert [name for name, _ in twin.named_parameters()] == _PARAMETERS
        for (name, ours), theirs in zip(
            block.state_dict().items(), twin.state_dict().values(), strict=True
        ):
            assert np.array_equal(ours.numpy(), theirs.numpy()), name
            assert not np.shares_memory(ours.data, theirs.data)
        assert isinstance(twin.scale, nn.Parameter)


# ------------------------------------------------------------------ Sequential


def test_sequential_is_a_list_of_modules():
    a, b, c = nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)
    model = nn.Sequential(a, b)
    assert model.append(c) is model
    assert list(model) == [a, b, c]
    assert (len(model), model[0], model[-1]) == (3, a, c)
    assert list(model[1:]) == [b, c]
    assert isinstance(model[:2], nn.Sequential)
    assert [name for name, _ in model[1:].named_parameters()] == ["2.weight", "2.bias"]
    x = fg.ones(4, 2)
    assert model(x).tolist() == c(b(a(x))).tolist()
    with pytest.raises(IndexError):
        model[3]
    named = nn.Sequential({"first": a, "second": c})
    assert list(named.state_dict()) == [
        "first.weight", "first.bias", "second.weight", "second.bias",
    ]  # fmt: skip
    assert named.second is c
    empty = nn.Sequential()
    assert len(empty) == 0
    assert empty(x) is x


# ------------------------------------------------------------------ text


class _Described(nn.Module):
    def __init__(self, nn, extra):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU()))
        self.last = nn.Tanh()
        self._extra = extra

    def extra_repr(self):
        return self._extra


def _everything(nn):
    return nn.Sequential(
        nn.Flatten(), nn.Linear(2, 3, bias=False), nn.BatchNorm1d(3), nn.ReLU(), nn.Sigmoid(),
        nn.BatchNorm1d(3, affine=False), nn.Tanh(), nn.Softmax(dim=1), nn.LogSoftmax(dim=0),
        nn.CrossEntropyLoss(), nn.NLLLoss(), nn.MSELoss(), nn.Sequential(),
    )  # fmt: skip


def test_text():
    assert repr(nn.Dropout(0.25)) == "Dropout(p=0.25, inplace=False)"
    assert repr(nn.Sequential()) == "Sequential()"
    assert repr(nn.Sequential(nn.Linear(2, 3), nn.Sequential(nn.ReLU(), nn.Tanh()))) == (
        "Sequential(\n"
        "  (0): Linear(in_features=2, out_features=3, bias=True)\n"
        "  (1): Sequential(\n"
        "    (0): ReLU()\n"
        "    (1): Tanh()\n"
        "  )\n"
        ")"
    )


def test_text_as_in_pytorch(torch):
    ours, theirs = (  # PyTorch names the bias since 2.13
        re.sub(r"(affine=\w+), bias=\w+", r"\1", repr(_everything(library)))
        for library in (nn, torch.nn)
    )
    assert ours == theirs

    class Described(torch.nn.Module):
        __init__ = _Described.__init__
        extra_repr = _Described.extra_repr

    Described.__name__ = "_Described"
    for extra in ("", "size=3", "size=3\ndepth=4"):
        theirs = torch.nn.Module.__new__(Described)
        torch.nn.Module.__init__(theirs)
        theirs.inner = torch.nn.Sequential(
            torch.nn.Linear(2, 3), torch.nn.Sequential(torch.nn.ReLU())
        )
        theirs.last = torch.nn.Tanh()
        theirs._extra = extra
        assert repr(_Described(nn, extra)) == repr(theirs)


# ------------------------------------------------------------------ initial values

_SHAPES = {(300, 200): (300, 200), (40, 30, 5, 3): (450, 600), (50, 40, 20): (800, 1000)}
_INITS = {
    "xavier_uniform_": lambda i, o: math.sqrt(6 / (i + o)),
    "xavier_normal_": lambda i, o: math.sqrt(2 / (i + o)),
    "kaiming_uniform_": lambda i, o: math.sqrt(6 / i),
    "kaiming_normal_": lambda i, o: math.sqrt(2 / i),
}


def _assert_distribution(values, uniform, size):
    """Uniform within ± size, or normal with deviation size; 5 standard errors of leeway."""
    n = values.size
    std = size / math.sqrt(3) if uniform else size
    assert abs(values.mean()) < 5 * std / math.sqrt(n)
    kurtosis = 1.8 if uniform else 3.0
    assert abs(values.std() / std - 1) < 5 * math.sqrt((kurtosis - 1) / (4 * n))
    if uniform:
        assert np.abs(values).max() <= size * (1 + 1e-6)
        assert np.abs(values).max() > 0.999 * size
    else:
        assert np.abs(values).max() > 3 * std


@pytest.mark.parametrize("shape", _SHAPES, ids=str)
@pytest.mark.parametrize("name", _INITS)
def test_xavier_and_kaiming(name, shape):
    fill, size = getattr(nn.init, name), _INITS[name](*_SHAPES[shape])
    tensor = fg.zeros(*shape)
    assert fill(tensor) is tensor
    _assert_distribution(tensor.numpy(), "uniform" in name, size)
    if "xavier" in name:
        fill(tensor, gain=3.0)
        _assert_distribution(tensor.numpy(), "uniform" in name, 3 * size)
    else:
        fill(tensor, mode="fan_out", nonlinearity="tanh")
        gain = (5 / 3) / math.sqrt(2)
        _assert_distribution(
            tensor.numpy(), "uniform" in name, gain * _INITS[name](*_SHAPES[shape][::-1])
        )
        fill(tensor, a=math.sqrt(5))
        _assert_distribution(tensor.numpy(), "uniform" in name, size / math.sqrt(6))


def test_plain_fills():
    tensor = fg.zeros(500, 100)
    assert nn.init.uniform_(tensor, -3, 5) is tensor
    _assert_distribution(tensor.numpy() - 1, True, 4)
    nn.init.normal_(tensor, mean=2, std=0.5)
    _assert_distribution(tensor.numpy() - 2, False, 0.5)
    for fill, value in ((nn.init.zeros_, 0), (nn.init.ones_, 1)):
        assert np.all(fill(tensor).numpy() == value)
    assert np.all(nn.init.constant_(tensor, 2.5).numpy() == 2.5)


def test_fills_are_noticed_by_the_tape():
    weight = fg.ones(2, 2, requires_grad=True)
    loss = (weight * weight).sum()
    nn.init.xavier_uniform_(weight)
    assert weight.is_leaf
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


@pytest.mark.parametrize(
    ("name", "param"),
    [("linear", None), ("sigmoid", None), ("tanh", None), ("relu", None), ("selu", None),
     ("leaky_relu", None), ("leaky_relu", 0.3), ("leaky_relu", 0)],
)  # fmt: skip
def test_gains_as_in_pytorch(torch, name, param):
    assert nn.init.calculate_gain(name, param) == torch.nn.init.calculate_gain(name, param)


def test_fills_that_are_refused():
    weight = fg.ones(2, 3)
    with pytest.raises(ValueError, match=r"xavier_uniform_: a weight of shape \(3,\) has no fans"):
        nn.init.xavier_uniform_(fg.zeros(3))
    with pytest.raises(ValueError, match="kaiming_normal_: unknown mode 'fan'; expected 'fan_in'"):
        nn.init.kaiming_normal_(weight, mode="fan")
    with pytest.raises(ValueError, match="unknown nonlinearity 'cubic'; known: linear"):
        nn.init.kaiming_uniform_(weight, nonlinearity="cubic")
    assert weight.tolist() == [[1] * 3] * 2


def test_a_linear_layer_starts_as_in_pytorch():
    """Weight and bias uniform within ± 1 / √in_features."""
    layer = nn.Linear(400, 500)
    assert (layer.weight.shape, layer.bias.shape) == ((400, 500), (500,))
    _assert_distribution(layer.weight.detach().numpy(), True, 0.05)
    assert np.abs(layer.bias.detach().numpy()).max() <= 0.05
    assert layer.bias.detach().numpy().std() > 0.02
    before = layer.weight.tolist()
    layer.reset_parameters()
    assert layer.weight.tolist() != before
    assert nn.Linear(2, 3, bias=False).bias is None
