"""``gradcheck`` and ``gradgradcheck``: what passes, and that what is wrong does not."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.autograd import gradcheck, gradgradcheck
from fastgrad.testing import GradcheckError


def _x(*shape, seed=0):
    array = np.random.default_rng(seed).uniform(0.3, 1.5, shape)
    return fg.tensor(array, requires_grad=True)


def _op(vjp, rule=lambda x: x * x):
    """An operation x², or another, with a gradient of its own."""
    return fg.op(lambda x: (rule(x), lambda grad: vjp(x, grad)), name="user_op")


_RIGHT = {
    "one": (lambda x: x * x.exp(), (_x(3, 2),)),
    "broadcast": (lambda x, y: (x * y).sin(), (_x(3, 2), _x(2))),
    "several results": (lambda x, y: (x * y, (x + y).sum(), 3), (_x(3), _x(3, seed=1))),
    "numbers and constants": (lambda x, n, c: x**n * c, (_x(3), 3, fg.tensor([1.0, 2.0, 3.0]))),
    "no axes": (lambda x: x.exp(), (_x(),)),
    "empty": (lambda x: x * x, (_x(0, 3),)),
    "itself": (lambda x: x, (_x(3),)),
    "in place": (lambda x: (x * 1).mul_(x), (_x(3),)),
    "linear": (lambda x: x.sum() * 3, (_x(2, 2),)),
    "a gradient": (
        lambda x: fg.grad((x**3).sum(), x, create_graph=True), (_x(3),),
    ),
    "a checkpoint": (lambda x: fg.checkpoint(lambda x: x.tanh() * x, x), (_x(3),)),
}  # fmt: skip


@pytest.mark.parametrize("fast", [False, True])
@pytest.mark.parametrize("name", _RIGHT)
def test_right(name, fast):
    function, inputs = _RIGHT[name]
    before = [x.data.copy() if isinstance(x, fg.Tensor) else x for x in inputs]
    assert gradcheck(function, inputs, fast_mode=fast)
    assert gradgradcheck(function, inputs, fast_mode=fast)
    for x, values in zip(inputs, before, strict=True):
        np.testing.assert_array_equal(x.data if isinstance(x, fg.Tensor) else x, values)


_SQUARE = _op(lambda x, grad: 2 * x * grad)
_WRONG = {
    "factor": (_op(lambda x, grad: 3 * x * grad), "output 0, element .0,., input 0, element .0,.:"),
    "one element": (
        _op(lambda x, grad: 2 * x * grad * np.array([1, 1, 1.01])),
        r"output 0, element \(2,\), input 0, element \(2,\): .* \(1 of 9 differ\)",
    ),
    "terms that cancel": (
        lambda x: (_op(lambda x, grad: 2 * x * grad + 1e-2)(x), (x * 0).sum()), "input 0",
    ),
    "missing gradient": (lambda x: x * x.detach(), "gradient .* central difference"),
    "constant that is none": (lambda x: (x * x).detach(), r"gradient 0, central difference"),
}  # fmt: skip


@pytest.mark.parametrize("name", _WRONG)
def test_wrong(name):
    function, message = _WRONG[name]
    for exception in (GradcheckError, RuntimeError, AssertionError):
        with pytest.raises(exception, match=message):
            gradcheck(function, _x(3))
    assert gradcheck(function, _x(3), raise_exception=False) is False
    assert gradcheck(function, _x(3), raise_exception=False, fast_mode=True) is False
    assert gradcheck(function, _x(3), atol=10)


def test_wrong_gradient_of_a_gradient():
    wrong = _op(lambda x, grad: 2 * x * grad).differentiable(lambda grad, x: grad * x.detach() * 2)
    assert gradcheck(wrong, _x(3))
    with pytest.raises(GradcheckError, match=r"input 0, element \(0,\)"):
        gradgradcheck(wrong, _x(3))
    assert gradgradcheck(wrong, _x(3), raise_exception=False) is False
    with pytest.raises(RuntimeError, match="user_op: its gradient cannot be differentiated again"):
        gradgradcheck(_SQUARE, _x(3))


def test_random_gradients():
    rng = np.random.default_rng(0)
    noisy = _op(lambda x, grad: 2 * x * grad + 1e-7 * rng.standard_normal(3))
    with pytest.raises(GradcheckError, match="two backward passes differ by"):
        gradcheck(noisy, _x(3))
    assert gradcheck(noisy, _x(3), nondet_tol=1e-5)


def test_gradients_that_come_in():
    seen = []

    def function(x):
        y = x * x
        y.register_hook(lambda grad: seen.append(grad.data.strides))
        return y

    x = _x(2, 3)
    assert gradgradcheck(function, x, fg.tensor(np.ones((2, 3)), requires_grad=True))
    seen.clear()
    assert gradgradcheck(function, x, gen_non_contig_grad_outputs=True)
    assert (48, 16) in seen
    with pytest.raises(ValueError, match="got 2 grad_outputs, expected 1"):
        gradgradcheck(function, x, (x, x))


_REFUSED = {
    "nothing to check": (lambda: gradcheck(fg.exp, fg.ones(2)), "no input requires grad"),
    "float32": (lambda: gradcheck(fg.exp, fg.ones(2, requires_grad=True)), "must be float64"),
    "shared elements": (
        lambda: gradcheck(
            fg.exp, fg.Tensor(np.broadcast_to(np.ones(1), (3,)), requires_grad=True)
        ),
        "elements of input 0 share memory",
    ),
    "forward mode": (lambda: gradcheck(fg.exp, _x(2), check_forward_ad=True), "no forward mode"),
    "batched": (lambda: gradcheck(fg.exp, _x(2), check_batched_grad=True), "no batched"),
    "nothing": (lambda: gradcheck(fg.exp, _x(2), check_backward_ad=False), "nothing to check"),
    "forward over reverse": (
        lambda: gradgradcheck(fg.exp, _x(2), check_fwd_over_rev=True), "check_rev_over_rev",
    ),
    "constant": (lambda: gradgradcheck(lambda x: fg.ones(2), _x(2)), "no output depends"),
}  # fmt: skip


@pytest.mark.parametrize("name", _REFUSED)
def test_refused(name):
    call, message = _REFUSED[name]
    with pytest.raises(ValueError, match=message):
        call()


def test_inputs_are_put_back_after_an_error():
    x = _x(3)
    before, calls = x.data.copy(), iter(range(100))

    def fails(x):
        if next(calls) == 3:
            raise ZeroDivisionError
        return x * x

    with pytest.raises(ZeroDivisionError):
        gradcheck(fails, x)
    np.testing.assert_array_equal(x.data, before)
