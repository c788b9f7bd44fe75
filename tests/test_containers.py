"""Lists and dicts of modules and parameters: every step compared with PyTorch's."""

import copy
import pickle
from collections import OrderedDict

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn


def _names(module):
    return [name for name, _ in module.named_modules()], list(module.state_dict())


def _lines(module):
    return "\n".join(line.rstrip() for line in repr(module).split("\n"))


def _sequential(nn):
    model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
    yield model, len(model)
    model.append(nn.Tanh())
    yield model, type(model[-1]).__name__
    model.insert(1, nn.Sigmoid())
    model.insert(-1, nn.Flatten())
    yield model, [type(part).__name__ for part in model]
    model.extend([nn.Linear(2, 3), nn.Linear(3, 2)])
    yield model, type(model[1:4]).__name__
    yield model[1:4], len(model[::2])
    del model[0]
    del model[1:3]
    yield model, list(model._modules)
    model[0] = nn.Softmax(dim=-1)
    yield model, type(model.pop(1)).__name__
    yield model, len(model)
    yield model + nn.Sequential(nn.ReLU()), 0
    model += nn.Sequential(nn.Tanh())
    yield model, 0
    yield model * 2, 2 * len(model)
    model *= 2
    yield model, len(model)
    model.append(nn.Sequential(OrderedDict(first=nn.Linear(1, 2), last=nn.ReLU())))
    yield model, type(model[-1].first).__name__


def _module_list(nn):
    modules = nn.ModuleList()
    yield modules, len(modules)
    modules.extend([nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False), nn.ReLU()])
    yield modules, len(modules)
    modules.insert(1, nn.Tanh())
    modules += [nn.Sequential(nn.ReLU(), nn.ReLU())] * 2
    yield modules, type(modules[-1]).__name__
    yield modules[1:], len(modules[-2:])
    del modules[1]
    del modules[-1:]
    yield modules, [type(part).__name__ for part in modules]
    yield modules + nn.ModuleList([nn.Tanh()]), type(modules.pop(0)).__name__
    modules[0] = nn.Sigmoid()
    yield modules, len(modules)


def _module_dict(nn):
    modules = nn.ModuleDict({"b": nn.ReLU(), "a": nn.Linear(2, 2)})
    yield modules, list(modules)
    modules["c"] = nn.Tanh()
    modules["b"] = nn.Sigmoid()
    modules.update([["d", nn.ReLU()]])
    modules.update(nn.ModuleDict({"e": nn.Flatten()}))
    yield modules, list(modules.keys())
    del modules["d"]
    yield modules, type(modules.pop("c")).__name__
    yield modules, ("c" in modules, "a" in modules, len(modules))
    modules.clear()
    yield modules, list(modules.items())


def _parameter_list(library):
    nn, zeros = library.nn, library.zeros
    values = nn.ParameterList([nn.Parameter(zeros(2)), zeros(3)])
    yield values, [type(value).__name__ for value in values]
    values.append(zeros(4, 1))
    values.extend([zeros(1), "text"])
    yield values, len(values)
    values[1] = zeros(7)
    yield values, tuple(values[1].shape)
    yield values[1:3], len(values[::2])
    values += [zeros(5)]
    yield values, tuple(values[-1].shape)


def _parameter_dict(library):
    nn, zeros = library.nn, library.zeros
    values = nn.ParameterDict({"b": nn.Parameter(zeros(2)), "a": zeros(3)})
    yield values, [type(value).__name__ for value in values.values()]
    values["c"] = zeros(1, 2)
    values.update({"d": zeros(4)})
    yield values, list(values.keys())
    yield values | nn.ParameterDict({"e": zeros(1)}), list(reversed(values))
    values |= {"f": zeros(2)}
    del values["b"]
    yield values, values.popitem()[0]
    yield values, tuple(values.pop("d").shape)
    yield values.copy(), (values.get("x", 5), "a" in values, len(values))
    yield values.fromkeys(["p", "q"], 1), tuple(values.setdefault("g", zeros(6)).shape)
    values.clear()
    yield values, len(values)


@pytest.mark.parametrize("story", [_sequential, _module_list, _module_dict])
def test_modules_as_in_torch(story):
    torch = pytest.importorskip("torch")
    for (ours, a), (theirs, b) in zip(story(nn), story(torch.nn), strict=True):
        assert a == b
        assert _names(ours) == _names(theirs)
        assert _lines(ours) == _lines(theirs)


@pytest.mark.parametrize("story", [_parameter_list, _parameter_dict])
def test_parameters_as_in_torch(story):
    torch = pytest.importorskip("torch")
    for (ours, a), (theirs, b) in zip(story(fg), story(torch), strict=True):
        assert a == b
        mine = {name: p.shape for name, p in ours.named_parameters()}
        assert mine == {name: tuple(p.shape) for name, p in theirs.named_parameters()}


@pytest.mark.parametrize("story", [_sequential, _module_list, _module_dict])
def test_containers_are_copied_and_pickled(story):
    for module, _ in story(nn):
        for other in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
            assert repr(other) == repr(module)
            for p, q in zip(other.parameters(), module.parameters(), strict=True):
                assert p is not q
                np.testing.assert_array_equal(p.data, q.data)


def test_the_parts_learn():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList([nn.Linear(2, 2), nn.Linear(2, 2)])
            self.scale = nn.ParameterDict({"a": fg.ones(2)})

        def forward(self, x):
            for layer in self.layers:
                x = layer(x) * self.scale["a"]
            return x

    net = Net()
    net(fg.ones(3, 2)).sum().backward()
    assert len(list(net.parameters())) == 5
    assert all(p.grad is not None for p in net.parameters())


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.ModuleList([1]), TypeError, "ModuleList: expected a Module, got int"),
        (lambda: nn.ModuleList()[0], IndexError, "ModuleList: index 0 is out of range"),
        (lambda: nn.Sequential().insert(0, 3), TypeError, "expected a Module"),
        (lambda: nn.Sequential() * 0, ValueError, "cannot repeat it 0 times"),
        (lambda: nn.Sequential().__add__([nn.ReLU()]), TypeError, "cannot add list"),
        (lambda: nn.ModuleDict({"training": nn.ReLU()}), KeyError, "is an attribute already"),
        (lambda: nn.ModuleDict([1]), ValueError, "expected a dict, or pairs"),
        (lambda: nn.ParameterDict()["x"], KeyError, "x"),
        (lambda: nn.ParameterList(fg.zeros(2)), TypeError, "expected a list of values"),
        (lambda: nn.ModuleList()(1), NotImplementedError, "ModuleList defines no forward"),
    ],
)
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()
