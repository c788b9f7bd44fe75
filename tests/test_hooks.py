"""Hooks of modules, and what else modules have by PyTorch's names."""

import copy
import pickle

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn


def _both(story):
    """What a story notes down with us and with PyTorch."""
    torch = pytest.importorskip("torch")
    return story(fg, nn), story(torch, torch.nn)


def _ones(library, *shape):
    return library.ones(*shape, requires_grad=True)


def _note(x):
    """Tensors as lists, in nested tuples."""
    if isinstance(x, tuple | list):
        return [_note(part) for part in x]
    if isinstance(x, dict):
        return {name: _note(part) for name, part in x.items()}
    return x.detach().tolist() if hasattr(x, "detach") else x


def _doubler(nn):
    class Doubler(nn.Module):
        def forward(self, x, y=None, scale=2.0):
            return x * scale if y is None else (x * scale, y * x)

    return Doubler()


def _forward_hooks(library, nn):
    seen, module, x = [], _doubler(nn), _ones(library, 2)
    handles = [
        module.register_forward_pre_hook(lambda m, args: seen.append(("before", _note(args)))),
        module.register_forward_pre_hook(lambda m, args: args[0] + 1),
        module.register_forward_pre_hook(
            lambda m, args, kwargs: (args, {"scale": 3.0}), with_kwargs=True, prepend=True
        ),
        module.register_forward_hook(lambda m, args, out: seen.append(("after", _note(out)))),
        module.register_forward_hook(lambda m, args, out: out * 10, prepend=True),
        module.register_forward_hook(
            lambda m, args, kwargs, out: seen.append(_note([args, kwargs])), with_kwargs=True
        ),
    ]
    seen.append(_note(module(x)))
    for handle in handles[:2]:
        handle.remove()
    seen.append(_note(module(x)))
    with handles[4]:
        pass
    seen.append(_note(module(x, x)))
    return seen


def _always_called(library, nn):
    seen, module = [], _doubler(nn)
    module.register_forward_hook(lambda m, args, out: seen.append("plain"))
    module.register_forward_hook(lambda m, args, out: seen.append(out), always_call=True)
    try:
        module(None)
    except TypeError:
        seen.append("failed")
    return seen


def _times(factor, grads):
    return tuple(g if g is None else factor * g for g in grads)


def _backward_hooks(library, nn):
    seen, module, x = [], _doubler(nn), _ones(library, 2)
    module.register_full_backward_hook(lambda m, gi, go: seen.append(_note(["a", gi, go])))
    module.register_full_backward_hook(lambda m, gi, go: _times(5, gi))
    module.register_full_backward_hook(
        lambda m, gi, go: seen.append(_note(["first", gi, go])), prepend=True
    )
    module.register_full_backward_pre_hook(lambda m, go: _times(3, go))
    (module(x) * library.tensor([1.0, 2.0])).sum().backward()
    seen.append(_note(x.grad))
    y = _ones(library, 2)
    one, two = module(x, y)
    (one.sum() + 7 * two.sum()).backward()
    seen.append(_note([x.grad, y.grad]))
    module(x, y)[1].sum().backward()
    seen.append(_note([x.grad, y.grad]))
    return seen


def _without_inputs_that_require_grad(library, nn):
    seen, layer = [], nn.Linear(1, 1)
    layer.register_full_backward_hook(lambda m, gi, go: seen.append(_note([gi, go])))
    layer(library.ones(2, 1)).sum().backward()
    return [*seen, _note(layer.bias.grad)]


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")
@pytest.mark.parametrize(
    "story",
    [_forward_hooks, _always_called, _backward_hooks, _without_inputs_that_require_grad],
)
def test_hooks_as_in_torch(story):
    ours, theirs = _both(story)
    assert ours == theirs


def test_a_hook_sees_what_a_container_would_have_fused():
    model, seen = nn.Sequential(nn.Linear(2, 3), nn.ReLU()), []
    x = fg.tensor([[1.0, -2.0]])
    wanted = model(x)
    for part in model:
        part.register_forward_hook(lambda m, args, out: seen.append(type(m).__name__))
    np.testing.assert_allclose(model(x).data, wanted.data, rtol=1e-6)
    assert seen == ["Linear", "ReLU"]


def test_a_module_without_hooks_has_none():
    assert "_hooks" not in nn.Linear(1, 1).__dict__


def test_hooks_are_copied_and_not_shared():
    layer, seen = nn.ReLU(), []
    layer.register_forward_hook(lambda m, args, out: seen.append(m))
    other = copy.deepcopy(layer)
    other.register_forward_hook(lambda m, args, out: seen.append("more"))
    layer(fg.ones(1))
    assert seen == [layer]


def test_a_backward_hook_that_fits_not_is_refused():
    layer = nn.ReLU()
    layer.register_full_backward_hook(lambda m, gi, go: (None, None))
    with pytest.raises(RuntimeError, match="returned 2 gradients, expected 1"):
        layer(fg.ones(1, requires_grad=True)).sum().backward()
    layer = nn.ReLU()
    layer.register_forward_pre_hook(lambda m, args, kwargs: 1, with_kwargs=True)
    with pytest.raises(RuntimeError, match=r"expected None or \(args, kwargs\)"):
        layer(fg.ones(1))


# ------------------------------------------------------------------ names, state, types


def _net(nn, library):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
            self.again = self.layers
            self.register_buffer("kept", library.zeros(2))
            self.register_buffer("passing", library.ones(3), persistent=False)
            self.register_module("last", nn.ReLU())

    return Net()


def _inventory(library, nn):
    net = _net(nn, library)
    found = [
        list(net.state_dict()),
        list(net.state_dict(prefix="net.")),
        list(net.state_dict(destination={"x": 1}, prefix="y.")),
        [name for name, _ in net.named_buffers()],
        [name for name, _ in net.named_buffers("pre", recurse=False)],
        [name for name, _ in net.named_parameters(remove_duplicate=False)],
        [name for name, _ in net.named_modules(remove_duplicate=False)],
        type(net.get_submodule("layers.1")).__name__,
        tuple(net.get_parameter("layers.0.bias").shape),
        tuple(net.get_buffer("layers.1.running_mean").shape),
        net.state_dict(keep_vars=True)["layers.0.bias"] is net.layers[0].bias,
        net.get_submodule("") is net,
    ]
    del net.passing
    net.register_buffer("passing", library.ones(3))
    missing = net.load_state_dict({}, strict=False).missing_keys
    missing = [name for name in missing if "num_batches" not in name]  # PyTorch forgives those
    return [*found, list(net.state_dict()), missing]


def test_names_and_state_as_in_torch():
    ours, theirs = _both(_inventory)
    assert ours == theirs


def test_what_is_not_there_is_said():
    net = _net(nn, fg)
    for call in (
        lambda: net.get_submodule("layers.5"),
        lambda: net.get_submodule("kept"),
        lambda: net.get_parameter("layers.0.kept"),
        lambda: net.get_buffer("layers.0.bias"),
    ):
        with pytest.raises(AttributeError, match="has no"):
            call()


@pytest.mark.parametrize("form", [
    lambda m: m.to(np.float64), lambda m: m.to("float64"), lambda m: m.to("cpu", np.float64),
    lambda m: m.to(device="cpu", dtype=np.float64), lambda m: m.to(fg.zeros(1).double()),
    lambda m: m.to(np.float64, non_blocking=True), lambda m: m.double(),
    lambda m: m.type(np.float64),
])  # fmt: skip
def test_forms_of_to(form):
    net = _net(nn, fg)
    assert form(net) is net
    assert {t.dtype for t in (*net.parameters(), net.kept)} == {np.dtype(np.float64)}
    assert net.layers[1].num_batches_tracked.dtype == np.int64
    assert net.to("cpu").to().cpu() is net
    assert net.kept.dtype == np.float64


def test_types_and_devices_that_are_not_there():
    net = _net(nn, fg)
    for call, error, message in (
        (net.half, TypeError, "float32 or float64, not float16"),
        (net.bfloat16, TypeError, "float32 or float64, not bfloat16"),
        (lambda: net.to(np.int64), TypeError, "float32 or float64, not int64"),
        (lambda: net.to("cuda"), ValueError, "device 'cuda' is not there"),
        (lambda: net.to(dtyp=np.float64), TypeError, "unknown arguments dtyp"),
    ):
        with pytest.raises(error, match=message):
            call()
    assert net.kept.dtype == np.float32


def test_pickled_modules_compute_the_same():
    net = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).eval()
    other, x = pickle.loads(pickle.dumps(net)), fg.tensor([[1.0, 2.0]])
    np.testing.assert_array_equal(net(x).data, other(x).data)
    assert not other.training
