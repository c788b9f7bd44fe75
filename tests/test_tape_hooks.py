"""Hooks of tensors, retained gradients, and ``fg.grad``."""

import numpy as np
import pytest
from small_graphs import a_leaf, as_lists, share_memory

import fastgrad as fg


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")


# ------------------------------------------------------------------ hooks and retained gradients


def test_hooks_run_once_in_order_and_may_replace():
    log = []

    def hook(name, factor=None):
        def run(grad):
            log.append((name, grad.tolist()))
            return None if factor is None else grad * factor

        return run

    x = fg.tensor([1.0], requires_grad=True)
    y = x * 2
    for name, factor in (("y1", 10), ("y2", None)):
        y.register_hook(hook(name, factor))
    for name, factor in (("x1", None), ("x2", 0.5), ("x3", None)):
        x.register_hook(hook(name, factor))
    (y + y + x).sum().backward()
    assert log == [("y1", [2]), ("y2", [20]), ("x1", [41]), ("x2", [41]), ("x3", [20.5])]
    assert x.grad.tolist() == [20.5]


@pytest.mark.parametrize("inner", [False, True], ids=["leaf", "result"])
def test_removed_hooks_stay_silent(inner):
    calls = []
    x = a_leaf()
    y = x * 2
    tensor = y if inner else x
    first = tensor.register_hook(lambda grad: calls.append("first"))
    with tensor.register_hook(lambda grad: calls.append("second")):
        y.sum().backward(retain_graph=True)
    first.remove()
    first.remove()
    y.sum().backward()
    assert calls == ["first", "second"]


@pytest.mark.parametrize("inner", [False, True], ids=["leaf", "result"])
def test_hook_results_are_checked(inner):
    x = a_leaf()
    y = x * 2
    handle = (y if inner else x).register_hook(lambda grad: np.ones(2))
    with pytest.raises(RuntimeError, match=r"hook: returned a gradient of shape \(2,\), .* \(3,\)"):
        y.sum().backward(retain_graph=True)
    assert x.grad is None
    handle.remove()
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2, 2, 2]


def test_a_hooks_result_takes_the_gradients_type():
    x = a_leaf()
    x.register_hook(lambda grad: np.array([1.5, 2.5, 3.5]))
    (x * 2).sum().backward()
    assert x.grad.dtype == fg.float32
    assert x.grad.tolist() == [1.5, 2.5, 3.5]


def test_retained_gradients():
    x = a_leaf()
    y = x * 2
    y.retain_grad()
    x.retain_grad()  # a leaf keeps its gradient anyway
    y.register_hook(lambda grad: grad * 10)
    loss = (y * 3).sum()
    loss.backward(retain_graph=True)
    assert (y.grad.tolist(), x.grad.tolist()) == ([30] * 3, [60] * 3)
    loss.backward()
    assert (y.grad.tolist(), x.grad.tolist()) == ([60] * 3, [120] * 3)
    assert not share_memory(x.grad, y.grad)


def test_retained_gradients_of_what_is_gone():
    x = a_leaf()
    y = x * 2
    y.retain_grad()
    loss = (y * 3).sum()
    del y
    loss.backward()
    assert x.grad.tolist() == [6] * 3


def test_hooks_and_retained_gradients_as_in_pytorch(torch):
    results = {}
    for name, engine in (("ours", fg), ("theirs", torch)):
        x = engine.tensor([1.0, 2.0], requires_grad=True)
        y = x * 2
        y.retain_grad()
        y.register_hook(lambda grad: grad + 1)
        x.register_hook(lambda grad: grad * 2)
        y += 1
        y *= 3
        z = y * y
        z.register_hook(lambda grad: grad * 5)
        (z + y).sum().backward()
        results[name] = [y.tolist(), y.grad.tolist(), x.grad.tolist()]
    assert results["ours"] == results["theirs"]


# ------------------------------------------------------------------ fg.grad


def test_grad_of_leaves_and_results_touches_no_grad():
    x, w = a_leaf(), a_leaf((4.0, 5.0, 6.0))
    y = x * w
    y.retain_grad()
    loss = (y * y).sum()
    grads = fg.grad(loss, [y, x, w], retain_graph=True)
    assert as_lists(grads) == [[8, 20, 36], [32, 100, 216], [8, 40, 108]]
    assert x.grad is w.grad is y.grad is None
    loss.backward()
    assert x.grad.tolist() == [32, 100, 216]
    for grad in grads:
        assert not grad.requires_grad
        assert not any(share_memory(grad, t.grad) for t in (x, w, y))


def test_grad_of_several_outputs():
    x = a_leaf()
    assert as_lists(fg.grad([x.sum(), (x * x).sum()], x)) == [[3, 5, 7]]
    outputs = [x * 2, x * x]
    grads = fg.grad(outputs, [x], [fg.tensor([1.0, 0.0, 1.0]), fg.tensor([0.0, 1.0, 0.0])])
    assert as_lists(grads) == [[2, 4, 2]]
    assert as_lists(fg.grad(x * x, x, fg.tensor([1.0, 10.0, 100.0]))) == [[2, 40, 600]]


def test_grad_of_a_tensor_by_itself():
    x = a_leaf()
    y = x * 2
    assert as_lists(fg.grad(y, [y, x, y], fg.ones(3))) == [[1] * 3, [2] * 3, [1] * 3]
    x = fg.tensor(2.0, requires_grad=True)
    assert as_lists(fg.grad(x, x)) == [1]


def test_grad_of_what_was_not_used():
    x, other = a_leaf(), a_leaf()
    inner = other * 2
    with pytest.raises(RuntimeError, match="no output depends on input 1; pass allow_unused=True"):
        fg.grad((x * 2).sum(), [x, other])
    grads = fg.grad((x * 2).sum(), [other, x, inner], allow_unused=True)
    assert as_lists(grads) == [None, [2] * 3, None]
    with pytest.raises(RuntimeError, match="input 0 does not require grad"):
        fg.grad((x * 2).sum(), x.detach())


def test_grad_frees_the_graph_unless_told_not_to():
    x = a_leaf()
    loss = (x * x).sum()
    assert as_lists(fg.grad(loss, x, retain_graph=True)) == [[2, 4, 6]]
    assert as_lists(fg.grad(loss, x)) == [[2, 4, 6]]
    with pytest.raises(RuntimeError, match="saved arrays were freed"):
        fg.grad(loss, x)


def test_grad_walks_no_further_than_asked():
    calls = []

    @fg.op
    def noted(x):
        return x * 1.0, lambda grad: calls.append(1) or grad

    x, w = a_leaf(), a_leaf()
    deep = noted(noted(x))
    loss = (deep * w).sum()
    assert as_lists(fg.grad(loss, w, retain_graph=True)) == [[1, 2, 3]]
    assert as_lists(fg.grad(loss, deep)) == [[1, 2, 3]]
    assert not calls
    x.register_hook(lambda grad: grad * 10)
    assert as_lists(fg.grad(noted(x).sum(), x)) == [[10] * 3]
    assert len(calls) == 1
