"""The tape: accumulation, ownership, freeing, recording on and off, pull-backs of users."""

import threading

import numpy as np
import pytest
from small_graphs import a_leaf, as_lists, share_memory

import fastgrad as fg
from fastgrad.tape import Node


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")


# ------------------------------------------------------------------ accumulation


def _reused(x):
    a = x * 2
    return a * a + a


def _ladder(x):
    for _ in range(20):
        x = x + x
    return x


def _diamond(x):
    a = x * 2
    b, c = a + 1, a * a
    return b * c


def _outer_sum(x):
    return x.reshape(-1, 1) * x


def _diagonals(x):
    table = x.reshape(-1, 1) * x
    return table.diagonal().sum() + table.diagonal(1).sum()


def _neighbours(x):
    return np.array([x[1], x[0] + x[2], x[1]])


_GRADIENTS = {
    "used twice by one product": (lambda x: x * x, lambda x: 2 * x),
    "used twice by one sum": (lambda x: x + x, lambda x: 2 + 0 * x),
    "used twice by one difference": (lambda x: x - x, lambda x: 0 * x),
    "used twice by one quotient": (lambda x: x / x, lambda x: 0 * x),
    "shared subexpression": (_reused, lambda x: 8 * x + 2),
    "diamond": (_diamond, lambda x: 24 * x**2 + 8 * x),
    "two to the twenty paths": (_ladder, lambda x: 2.0**20 + 0 * x),
    "two lengths of path": (lambda x: x * x * x + x, lambda x: 3 * x**2 + 1),
    "broadcast against itself": (_outer_sum, lambda x: 2 * x.sum() + 0 * x),
    "used by a product of matrices": (lambda x: x @ x, lambda x: 2 * x),
    "a view and itself": (lambda x: x.reshape(3, 1).flatten() * x, lambda x: 2 * x),
    "overlapping parts": (lambda x: x[:-1] * x[1:], _neighbours),
    "parts and the whole": (
        lambda x: x * x + x[0] * x.select(0, 2) + x.narrow(0, 1, 1),
        lambda x: 2 * x + np.array([3 * x[2], 3, 3 * x[0]]),
    ),
    "places named twice, and a part": (
        lambda x: x[[0, 0, 1]] * x[2],
        lambda x: np.array([2 * x[2], x[2], 2 * x[0] + x[1]]),
    ),
    "diagonals": (_diagonals, lambda x: 2 * x + _neighbours(x)),
    "reversed by a number": (lambda x: 1 / x - (2 - x), lambda x: 1 - 1 / x**2),
}


@pytest.mark.parametrize("name", _GRADIENTS)
def test_gradients_add_up(name):
    function, expected = _GRADIENTS[name]
    x = fg.tensor([0.5, -2.0, 3.0], dtype=fg.float64, requires_grad=True)
    function(x).sum().backward()
    np.testing.assert_allclose(x.grad, expected(x.detach().numpy()), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_gradients_of_a_broadcast_number_add_up(backend):
    fg.set_backend(backend)
    x, y = fg.tensor(2.0, requires_grad=True), a_leaf()
    (x * y + x / y + y * x).sum().backward()
    assert x.grad.shape == ()
    assert x.grad.item() == pytest.approx(12 + 1 + 1 / 2 + 1 / 3)


def test_backward_adds_to_what_is_there():
    x = a_leaf()
    (x * x).sum().backward()
    first = x.grad
    (3 * x).sum().backward()
    assert x.grad is first
    assert x.grad.tolist() == [5, 7, 9]
    x.grad = None
    (3 * x).sum().backward()
    assert x.grad.tolist() == [3, 3, 3]


def test_only_what_requires_grad_gets_one():
    x, y = a_leaf(), fg.tensor([1.0, 1.0, 1.0])
    z = x * y
    z.sum().backward()
    assert x.grad is not None
    assert y.grad is None
    assert z.grad is None


def test_gradient_has_the_tensors_type_and_shape():
    x = fg.ones(3, 1, requires_grad=True)
    (x * fg.ones(2, 3, 4, dtype=fg.float64)).sum().backward()
    assert (x.grad.dtype, x.grad.shape) == (fg.float32, (3, 1))
    assert x.grad.tolist() == [[8], [8], [8]]


# ------------------------------------------------------------------ ownership


def test_arrays_of_the_user_are_not_changed():
    values, incoming = np.ones(3, np.float32), np.full(3, 2, np.float32)
    x = fg.Tensor(values, requires_grad=True)
    for _ in range(3):
        y = x + x
        (y + y.reshape(3, 1).flatten()).backward(incoming)
    assert values.tolist() == [1, 1, 1]
    assert incoming.tolist() == [2, 2, 2]
    assert x.grad.tolist() == [24, 24, 24]


_PASSES_GRADIENT_ON = {
    "x + x": lambda x, y: x + x,
    "x + y": lambda x, y: x + y,
    "x - y": lambda x, y: x - y,
    "reshape": lambda x, y: x.reshape(3, 1),
    "transpose": lambda x, y: x.reshape(1, 3).T,
    "flatten": lambda x, y: x.flatten(),
    "clone": lambda x, y: x.clone(),
    "view plus itself": lambda x, y: x.reshape(3) + x,
    "leaf": lambda x, y: x,
}


@pytest.mark.parametrize("name", _PASSES_GRADIENT_ON)
def test_gradients_share_no_memory(name):
    x, y = a_leaf(), a_leaf()
    out = _PASSES_GRADIENT_ON[name](x, y)
    incoming = fg.ones(*out.shape)
    out.backward(incoming, retain_graph=True)
    grads = [t.grad for t in (x, y) if t.grad is not None]
    for k, grad in enumerate(grads):
        assert grad.data.flags.c_contiguous
        for other in (x, y, out, incoming, *grads[:k]):
            assert not share_memory(grad, other)
    before = x.grad.tolist()
    out.backward(incoming)
    assert x.grad.tolist() == [2 * value for value in before]
    assert incoming.flatten().tolist() == [1, 1, 1]


def test_a_pull_back_may_give_one_array_to_two_inputs():
    @fg.op
    def average(a, b):
        def vjp(grad, needs):
            half = grad * 0.5
            return half, half

        return (a + b) * 0.5, vjp

    x, y = a_leaf(), a_leaf()
    average(x, y).sum().backward()
    assert not share_memory(x.grad, y.grad)
    (x * 2).sum().backward()
    assert x.grad.tolist() == [2.5] * 3
    assert y.grad.tolist() == [0.5] * 3
    for first, second in ((x, y), (y, x)):  # one of the two gets more in the same pass
        assert as_lists(fg.grad((x * 2 + average(first, second)).sum(), [x, y])) == [
            [2.5] * 3,
            [0.5] * 3,
        ]


def test_hooks_may_keep_what_they_are_given():
    kept = []
    x = a_leaf()
    y = x * 1
    x.register_hook(lambda grad: kept.append(grad))
    y.register_hook(lambda grad: kept.append(grad))
    (y + x).sum().backward()
    (x * 5).sum().backward()
    x.grad.zero_()
    assert [grad.tolist() for grad in kept] == [[1] * 3, [2] * 3, [5] * 3]


# ------------------------------------------------------------------ freeing, and what is refused


def test_retain_graph():
    x = a_leaf()
    loss = (x * x).sum()
    for count in (1, 2, 3):
        loss.backward(retain_graph=True)
        assert x.grad.tolist() == [2 * count, 4 * count, 6 * count]
    loss.backward()
    with pytest.raises(RuntimeError, match="saved arrays were freed; pass retain_graph=True"):
        loss.backward()
    assert x.grad.tolist() == [8, 16, 24]


def test_backward_through_a_part_that_was_freed():
    x = a_leaf()
    shared = x * x
    shared.sum().backward()
    with pytest.raises(RuntimeError, match=r"^mul: backward a second time"):
        (shared * 2).sum().backward()
    assert x.grad.tolist() == [2, 4, 6]


_REFUSED = {
    "not a single number": (
        lambda x: (x * 2).backward(),
        r"a tensor of shape \(3,\) has no single",
    ),
    "not recorded": (lambda x: x.detach().sum().backward(), "does not require grad and was not"),
    "gradient of another shape": (
        lambda x: (x * 2).backward(fg.ones(2)),
        r"backward: gradient has shape \(2,\), expected \(3,\)",
    ),
    "gradient that would broadcast": (
        lambda x: (x * 2).backward(fg.ones(1)),
        r"backward: gradient has shape \(1,\), expected \(3,\)",
    ),
    "grad's gradient of another shape": (
        lambda x: fg.grad(x * 2, x, fg.ones(3, 1)),
        r"grad: gradient has shape \(3, 1\), expected \(3,\)",
    ),
    "requires_grad of integers": (
        lambda x: fg.tensor([1], requires_grad=True),
        "only float tensors have gradients, this one is int64",
    ),
    "requires_grad off inside the graph": (
        lambda x: (x * 2).requires_grad_(False),
        r"only a leaf can be changed; use x.detach\(\)",
    ),
    "retain_grad outside the graph": (lambda x: fg.ones(2).retain_grad(), "does not require grad"),
    "hook outside the graph": (lambda x: fg.ones(2).register_hook(print), "does not require grad"),
}


@pytest.mark.parametrize("name", _REFUSED)
def test_refused(name):
    call, message = _REFUSED[name]
    x = a_leaf()
    with pytest.raises(RuntimeError, match=message):
        call(x)
    assert x.grad is None


def test_gradients_of_gradients_by_backward():
    x = a_leaf()
    (x**3).sum().backward(create_graph=True)
    first, x.grad = x.grad, None
    assert first.tolist() == [3, 12, 27]
    first.sum().backward()
    assert x.grad.tolist() == [6, 12, 18]


def test_a_gradient_that_cannot_be_differentiated_again_is_named():
    @fg.op
    def doubled(x):
        return 2 * x, lambda grad: 2 * grad

    with pytest.raises(RuntimeError, match=r"^doubled: .* cannot be differentiated again"):
        doubled(a_leaf()).sum().backward(create_graph=True)


@pytest.mark.parametrize("gradient", [fg.ones(2), np.ones(2), [1, 1], np.ones(2, np.float32)])
def test_what_a_gradient_may_be(gradient):
    x = fg.tensor([1.0, 2.0], requires_grad=True)
    (x * 3).backward(gradient)
    assert x.grad.tolist() == [3, 3]
    assert x.grad.dtype == fg.float32


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_one_element_needs_no_gradient(shape):
    x = fg.ones(*shape, requires_grad=True)
    (x * 3).backward()
    assert x.grad.shape == shape
    assert x.grad.item() == 3


# ------------------------------------------------------------------ recording on and off


def test_modes_nest_as_contexts_and_decorators():
    x = a_leaf()
    states = []

    def note():
        states.append((fg.is_grad_enabled(), (x * 2).requires_grad))

    note()
    with fg.no_grad():
        note()
        with fg.enable_grad():
            note()
            fg.no_grad()(note)()
        note()
    fg.no_grad()(fg.enable_grad()(note))()
    note()
    expected = [True, False, True, False, False, True, True]
    assert states == [(on, on) for on in expected]


def test_a_mode_ends_with_an_exception():
    with pytest.raises(KeyError, match="x"), fg.no_grad():
        raise KeyError("x")
    assert fg.is_grad_enabled()


def test_a_decorated_function_stays_itself():
    @fg.no_grad()
    def double(x, times=2):
        """Doubles."""
        return x * times

    assert (double.__name__, double.__doc__) == ("double", "Doubles.")
    assert not double(a_leaf(), times=3).requires_grad
    assert not double(a_leaf()).requires_grad


def test_a_decorator_needs_no_brackets():
    @fg.no_grad
    def double(x):
        return x * 2

    assert not double(a_leaf()).requires_grad


def test_modes_are_per_thread():
    seen = {}

    def work():
        seen["other"] = fg.is_grad_enabled()
        with fg.no_grad():
            inside.set()
            leave.wait(10)

    inside, leave = threading.Event(), threading.Event()
    with fg.no_grad():
        thread = threading.Thread(target=work)
        thread.start()
        assert inside.wait(10)
        with fg.enable_grad():
            seen["here"] = fg.is_grad_enabled()
        leave.set()
        thread.join()
    assert seen == {"other": True, "here": True}
    assert fg.is_grad_enabled()


def test_what_was_computed_unrecorded_is_a_constant():
    x = a_leaf()
    with fg.no_grad():
        y = x * 2
    assert (y.requires_grad, y.is_leaf, y.grad_fn) == (False, True, None)
    (x * y).sum().backward()
    assert x.grad.tolist() == [2, 4, 6]


def test_detach_shares_the_array_and_its_version():
    x = a_leaf()
    y = x * 1
    z = y.detach()
    assert (z.requires_grad, z.is_leaf, z.grad_fn) == (False, True, None)
    assert z.data is y.data
    square = y * y
    z.fill_(7.0)
    assert y.tolist() == [7, 7, 7]
    with pytest.raises(RuntimeError, match=r"mul: its \w was changed in place"):
        square.sum().backward()


# ------------------------------------------------------------------ pull-backs of users


def _op_with_vjp(vjp, name="user_op"):
    def rule(a, b):
        return a * b, vjp

    rule.__name__ = name
    return fg.op(rule)


def _fails(grad, needs):
    raise ZeroDivisionError("in the user's code")


_BAD_PULL_BACKS = {
    "raises": (_fails, ZeroDivisionError),
    "returns too few gradients": (lambda grad, needs: (grad,), (RuntimeError, ValueError)),
    "returns no tuple": (lambda grad, needs: None, (RuntimeError, TypeError)),
    "returns another shape": (
        lambda grad, needs: (np.ones(5, np.float32), grad),
        (RuntimeError, ValueError),
    ),
}


@pytest.mark.parametrize("name", _BAD_PULL_BACKS)
@pytest.mark.parametrize("through_grad", [False, True], ids=["backward", "grad"])
def test_a_bad_pull_back_is_named_and_harms_nothing(name, through_grad):
    vjp, exception = _BAD_PULL_BACKS[name]
    x, y = a_leaf(), a_leaf()
    loss = (_op_with_vjp(vjp)(x * 2, y) + y).sum()
    with pytest.raises(exception) as caught:
        fg.grad(loss, [x, y]) if through_grad else loss.backward()
    text = "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])
    assert "user_op" in text
    assert x.grad is None
    assert y.grad is None
    assert fg.is_grad_enabled()
    (x * y).sum().backward()
    assert x.grad.tolist() == [1, 2, 3]


def test_missing_gradients_of_a_pull_back_are_zero():
    x, y = a_leaf(), a_leaf()
    _op_with_vjp(lambda grad, needs: (grad, None))(x, y).sum().backward()
    assert x.grad.tolist() == [1, 1, 1]
    assert y.grad is None


def test_needs_tells_which_gradients_are_wanted():
    seen = []

    def vjp(grad, needs):
        seen.append(list(needs))
        return grad, grad

    x, y = a_leaf(), a_leaf()
    op = _op_with_vjp(vjp)
    op(x, y).sum().backward()
    op(x, y.detach()).sum().backward()
    op(1.0, y).sum().backward()
    fg.grad(op(x, y).sum(), y)
    assert seen == [[True, True], [True, False], [False, True], [False, True]]


def test_nodes_say_what_they_are():
    x = a_leaf()
    assert repr((x * 2).grad_fn) == "<MulBackward>"
    assert repr(x.log_softmax(dim=0).grad_fn) == "<LogSoftmaxBackward>"
    assert isinstance((x * 2).grad_fn, Node)
