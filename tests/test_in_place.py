"""Changes in place: versions, what is saved, and what is refused, as in PyTorch."""

import numpy as np
import pytest
from small_graphs import a_leaf

import fastgrad as fg
from fastgrad import nn


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")


def _change(tensor):
    with fg.no_grad():
        tensor.mul_(2.0)


_VIEWS = {
    "itself": lambda x: x,
    "detach": lambda x: x.detach(),
    "reshape": lambda x: x.reshape(3, 2),
    "view": lambda x: x.view(-1),
    "transpose": lambda x: x.transpose(0, 1),
    "T": lambda x: x.T,
    "flatten": lambda x: x.flatten(),
    "view of a view": lambda x: x.T.T.reshape(6).detach().reshape(2, 3),
}


@pytest.mark.parametrize("saved_through", _VIEWS)
@pytest.mark.parametrize("changed_through", _VIEWS)
@pytest.mark.parametrize("leaf", [True, False], ids=["leaf", "result"])
def test_change_of_a_saved_array_is_noticed(saved_through, changed_through, leaf):
    w = fg.ones(2, 3, requires_grad=True)
    x = w if leaf else w * 1.0
    alias = _VIEWS[changed_through](x)
    saved = _VIEWS[saved_through](x)
    out = (saved * fg.Tensor(saved.data * 3.0, requires_grad=True)).sum()
    _change(alias)
    with pytest.raises(RuntimeError, match="mul: its a was changed in place after the forward"):
        out.backward()


def _after_change_of_labels(x):
    labels = fg.tensor([0, 2])
    return fg.cross_entropy(x, labels), labels, lambda: labels.zero_()


def _after_change_of_nll_labels(x):
    labels = fg.tensor([0, 2])
    return fg.nll_loss(x, labels), labels, lambda: labels.zero_()


def _after_change_of_class_weights(x):
    weight = fg.tensor([1.0, 2.0, 3.0])
    loss = fg.cross_entropy(x, fg.tensor([0, 2]), weight)
    return loss, weight, lambda: weight.zero_()


def _after_change_of_batch_norm_weight(x):
    weight, bias = fg.ones(3, requires_grad=True), fg.ones(3, requires_grad=True)
    out = fg.batch_norm(x, None, None, weight, bias, training=True)
    return (out * out).sum(), weight, lambda: _change(weight)


def _after_change_of_running_statistics(x):
    layer = nn.BatchNorm1d(3)
    out = layer.eval()(x)
    return (out * out).sum(), layer.weight, lambda: layer.train()(fg.tensor([[9.0] * 3, [7.0] * 3]))


def _after_change_of_softmax(x):
    column = x.reshape(6, 1)
    out = column.softmax(dim=0)
    loss = (out * fg.tensor([[float(k)] for k in range(6)])).sum()
    return loss, out, lambda: _change(out)


def _after_change_of_linear_weight(x):
    layer = nn.Linear(3, 2)
    return layer(x).sum(), layer.weight, lambda: _change(layer.weight)


_SAVED = {
    function.__name__.removeprefix("_after_change_of_"): function
    for function in (
        _after_change_of_labels,
        _after_change_of_nll_labels,
        _after_change_of_class_weights,
        _after_change_of_batch_norm_weight,
        _after_change_of_running_statistics,
        _after_change_of_softmax,
        _after_change_of_linear_weight,
    )
}


@pytest.mark.parametrize("name", _SAVED)
def test_after_a_change_gradients_are_right_or_refused(name):
    """What a pull-back reads must not change unnoticed, whatever it is called in the rule."""

    def gradients(change):
        x = fg.tensor([[1.0, 2.0, 4.0], [3.0, 1.0, 0.5]], requires_grad=True)
        fg.manual_seed(0)
        loss, tensor, act = _SAVED[name](x)
        if change:
            act()
        loss.backward()
        return [t.grad.tolist() for t in (x, tensor) if t.grad is not None]

    expected = gradients(change=False)
    try:
        actual = gradients(change=True)
    except RuntimeError as error:
        assert "was changed in place" in str(error)  # noqa: PT017
    else:
        assert actual == expected


def test_what_is_saved_is_each_operations_own():
    """Two rules whose pull-backs are the same code, under other names and positions."""

    def times(x):
        return lambda grad: grad * x

    @fg.op
    def left(x, w):
        return x * w, (None, times(x))

    @fg.op
    def right(w, x):
        return x * w, (times(x), None)

    w, x = a_leaf(), a_leaf()
    outs = left(x, w), right(w, x)
    _change(x)
    for out in outs:
        with pytest.raises(RuntimeError, match="its x was changed in place"):
            out.sum().backward()


def test_optimizer_step_between_two_backwards_is_noticed():
    layer = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    optimizer = fg.optim.SGD(layer.parameters(), lr=0.1)
    loss = layer(fg.ones(4, 3)).sum()
    loss.backward(retain_graph=True)
    optimizer.step()
    with pytest.raises(RuntimeError, match="linear: its weight was changed in place"):
        loss.backward()


def test_saved_results_are_watched():
    for function in (fg.exp, fg.sqrt, fg.tanh, fg.sigmoid, fg.relu):
        y = function(a_leaf())
        _change(y)
        with pytest.raises(RuntimeError, match=f"{function.__name__}: its result was changed"):
            y.sum().backward()


_HARMLESS = {
    "operand of a sum": lambda x, c: (x + c, x),
    "operand of a product with a number": lambda x, c: (x * 3.0, x),
    "operand of a product with a constant": lambda x, c: (x * c, x),
    "operand of a quotient by a constant": lambda x, c: (x / c, x),
    "operand of a product of matrices with a constant": lambda x, c: (x @ c, x),
    "operand of softmax": lambda x, c: (x.softmax(dim=0), x),
    "operand of relu": lambda x, c: (x.relu(), x),
    "operand of a mean": lambda x, c: (x.mean(), x),
    "result of a sum": lambda x, c: [x + c] * 2,
    "result of a product": lambda x, c: [x * x] * 2,
    "result of a quotient by a number": lambda x, c: [x / 2.0] * 2,
    "result of a quotient by a constant": lambda x, c: [x / c] * 2,
}


@pytest.mark.parametrize("name", _HARMLESS)
def test_changes_of_what_was_not_saved_are_fine(name):
    constant = fg.tensor([2.0, 4.0, 8.0])
    weights = fg.tensor([1.0, 3.0, 2.0])
    grads = []
    for change in (False, True):
        leaf = a_leaf()
        out, changed = _HARMLESS[name](leaf * 1.0, constant)
        if change:
            _change(changed)
        out.backward(weights if out.ndim else None)
        grads.append(leaf.grad.tolist())
    assert grads[0] == grads[1]


def _in_place_chain(x, c):
    y = x * 2
    y += c
    y *= 3.0
    y -= x
    y /= 4.0
    y += y
    return y


def _in_place_on_what_needs_no_grad(x, c):
    y = c * 1
    y += x
    y *= 2
    return y


def _in_place_by_methods(x, c):
    y = x * 1
    return y.add_(c).sub_(1.0).mul_(2.0).div_(8.0)


def _in_place_broadcast(x, c):
    y = x.reshape(3, 1) * c
    y += x
    y *= c
    return y


def _in_place_after_division(x, c):
    y = x / 2.0
    y += 10.0 / x
    return y


def _in_place_by_constants(x, c):
    y = x * x
    y *= c
    y /= c * 2
    y += 1
    return y


def _in_place_by_a_leaf(x, c):
    y = c * 1
    y *= x
    y += 1
    return y


def _base_then_view(x, c):
    y = x * 2
    v = y.reshape(3, 1)
    y *= c
    return v


def _view_then_base(x, c):
    y = x * 2
    v = y.reshape(3, 1)
    v *= 3.0
    return y


def _detached_then_base(x, c):
    y = x * 2
    y.detach().mul_(3.0)
    return y


def _copied_in(x, c):
    y = c * 1
    y.copy_(x * 5)
    return y + x


def _copied_over(x, c):
    y = x * 2
    y.copy_(x * 5)
    return y


def _zeroed(x, c):
    y = x * 2
    y.zero_()
    return y + x


def _by_itself(x, c):
    y = x * 2
    y *= y
    return y


def _saved_then_changed(x, c):
    y = x * 2
    z = y * y
    y += 1
    return z


def _result_saved_then_changed(x, c):
    y = x.exp()
    y += 1
    return y


_MUST_WORK = (
    _in_place_chain, _in_place_on_what_needs_no_grad, _in_place_by_methods, _in_place_broadcast,
    _in_place_after_division, _in_place_by_constants, _detached_then_base,
)  # fmt: skip
_MAY_BE_REFUSED = (
    _in_place_by_a_leaf, _base_then_view, _view_then_base, _copied_in, _copied_over, _zeroed,
    _by_itself, _saved_then_changed, _result_saved_then_changed,
)  # fmt: skip


def _run_in_place(engine, function):
    x = engine.tensor([1.0, 2.0, 4.0], requires_grad=True)
    out = function(x, engine.tensor([2.0, 8.0, 0.5]))
    values = out.tolist()
    weights = engine.tensor([float(k + 1) for k in range(out.numel())]).reshape(out.shape)
    out.backward(weights)
    return values, x.grad.tolist()


@pytest.mark.parametrize("function", _MUST_WORK, ids=lambda f: f.__name__.strip("_"))
def test_in_place_as_in_pytorch(torch, function):
    ours, theirs = _run_in_place(fg, function), _run_in_place(torch, function)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("function", _MAY_BE_REFUSED, ids=lambda f: f.__name__.strip("_"))
def test_in_place_as_in_pytorch_or_refused(torch, function):
    try:
        ours = _run_in_place(fg, function)
    except RuntimeError as error:
        words = ("changed in place", "outside the graph", "shares its memory", "source requires")
        assert any(word in str(error) for word in words)  # noqa: PT017
        return
    for a, b in zip(ours, _run_in_place(torch, function), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


@pytest.mark.parametrize("name", ["add_", "sub_", "mul_", "div_", "fill_", "copy_", "zero_"])
def test_a_leaf_is_not_changed_while_recording(name):
    x = a_leaf()
    arguments = () if name == "zero_" else (fg.ones(3) if name == "copy_" else 2.0,)
    with pytest.raises(RuntimeError, match="a leaf that requires grad cannot be changed in place"):
        getattr(x, name)(*arguments)
    assert x.tolist() == [1, 2, 3]
    with fg.no_grad():
        assert getattr(x, name)(*arguments) is x
    assert x.is_leaf
    assert x.requires_grad
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2, 2, 2]


def test_in_place_results_must_fit():
    x = fg.ones(3)
    with pytest.raises(ValueError, match=r"add_: .* \(2, 3\), which does not fit into \(3,\)"):
        x.add_(fg.ones(2, 3))
    with pytest.raises(ValueError, match=r"copy_: \(2,\) does not broadcast to \(3,\)"):
        x.copy_(fg.ones(2))
    assert x.tolist() == [1, 1, 1]
