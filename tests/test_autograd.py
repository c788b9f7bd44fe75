"""Gradients of gradients as users take them: ``autograd``, ``func``, and what is built of them."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import func
from fastgrad.autograd import functional


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")


_A = np.random.default_rng(0).standard_normal((3, 2))
_B = np.random.default_rng(1).standard_normal((3, 2))
_V = np.random.default_rng(2).standard_normal((3, 2))
_S = np.array(0.7)


def _map(function, value):
    if isinstance(value, tuple | list):
        return type(value)(_map(function, part) for part in value)
    if isinstance(value, dict):
        return {key: _map(function, part) for key, part in value.items()}
    return function(value)


def _ours(value, requires_grad=False):
    return _map(lambda x: fg.tensor(x, requires_grad=requires_grad), value)


def _theirs(torch, value, requires_grad=False):
    return _map(lambda x: torch.tensor(x, requires_grad=requires_grad), value)


def _assert_same(ours, theirs, strict):
    """Same nesting, same values, same need of gradients."""
    if isinstance(theirs, tuple | list):
        assert isinstance(ours, tuple | list)
        assert len(ours) == len(theirs)
        for pair in zip(ours, theirs, strict=True):
            _assert_same(*pair, strict)
    elif isinstance(theirs, dict):
        assert ours.keys() == theirs.keys()
        for key in theirs:
            _assert_same(ours[key], theirs[key], strict)
    elif isinstance(theirs, str):
        assert ours == theirs
    else:
        assert ours.shape == tuple(theirs.shape)
        assert not strict or ours.requires_grad == theirs.requires_grad
        np.testing.assert_allclose(
            ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-9, atol=1e-12
        )


# ------------------------------------------------------------------ autograd.functional

_ONE_TO_MANY = lambda x: (x.sin() * x.sum(), (x * x).sum(0))  # noqa: E731
_NUMBER = lambda x: (x**3).sum() * x.exp().sum()  # noqa: E731
_OF_TWO = lambda x, y: (x * y).sin().sum() + (x * x).sum()  # noqa: E731
_PARTLY = lambda x, y: (x * x * 2, x.sum() * 3)  # noqa: E731
_LINEAR = lambda x: (x * 3).sum()  # noqa: E731

_FUNCTIONAL = {
    "vjp": ("vjp", lambda x: x * x.exp(), _A, _V),
    "vjp of a number": ("vjp", _NUMBER, _A, None),
    "vjp of a tuple": ("vjp", _ONE_TO_MANY, _A, (_V, _V[0])),
    "vjp by a tuple": ("vjp", _OF_TWO, (_A, _B), None),
    "vjp by what has no influence": ("vjp", _PARTLY, (_A, _B), (_V, _S)),
    "jvp": ("jvp", lambda x: x * x.exp(), _A, _V),
    "jvp of a tuple": ("jvp", _ONE_TO_MANY, (_A,), (_V,)),
    "jvp by a tuple": ("jvp", _OF_TWO, (_A, _B), (_V, _V * 2)),
    "jvp by a number": ("jvp", lambda x: (x * x, x.exp()), _S, None),
    "jvp of a linear function": ("jvp", _LINEAR, _A, _V),
    "jacobian": ("jacobian", lambda x: x.sum(0).exp(), _A),
    "jacobian of a number": ("jacobian", _NUMBER, _A),
    "jacobian of a tuple": ("jacobian", _ONE_TO_MANY, _A),
    "jacobian by a tuple": ("jacobian", lambda x, y: (x * y).sum(1), (_A, _B)),
    "jacobian of a tuple by a tuple": ("jacobian", _PARTLY, (_A, _B)),
    "hessian": ("hessian", _NUMBER, _A),
    "hessian by a tuple": ("hessian", _OF_TWO, (_A, _B)),
    "hessian of a linear function": ("hessian", _LINEAR, _A),
    "vhp": ("vhp", _NUMBER, _A, _V),
    "vhp by a tuple": ("vhp", _OF_TWO, (_A, _B), (_V, _V * 2)),
    "hvp": ("hvp", _NUMBER, _A, _V),
    "hvp by a tuple": ("hvp", _OF_TWO, (_A, _B), (_V, _V * 2)),
    "hvp of a linear function": ("hvp", _LINEAR, _A, _V),
}


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("name", _FUNCTIONAL)
def test_functional_as_in_pytorch(torch, name, create_graph):
    function, call, *arguments = _FUNCTIONAL[name]
    options = {"create_graph": create_graph}

    def run(module, convert, grad):
        inputs = convert(arguments[0], True)
        rest = [None if x is None else convert(x) for x in arguments[1:]]
        found = getattr(module, function)(call, inputs, *rest, **options)
        leaves = [x for x in _flat(found) if x.requires_grad]
        if not create_graph:
            assert not leaves
            return [found]
        if not leaves:
            return [found]
        wanted = inputs if isinstance(inputs, tuple) else (inputs,)
        further = grad(sum(x.sum() for x in leaves), wanted, allow_unused=True)
        return [found, [x for x in further if x is not None]]

    expected = run(torch.autograd.functional, lambda *x: _theirs(torch, *x), torch.autograd.grad)
    found = run(functional, _ours, fg.grad)
    assert len(found) == len(expected)
    # by an input without influence, PyTorch may give None or zeros
    if len(expected) == 2 and len(expected[1]) != len(found[1]):
        expected[1] = [x for x in expected[1] if x.abs().sum() > 0]
        found[1] = [x for x in found[1] if x.abs().sum().item() > 0]
    for ours, theirs in zip(_flat(found), _flat(expected), strict=True):
        np.testing.assert_allclose(
            ours.detach().numpy(), theirs.detach().numpy(), rtol=1e-9, atol=1e-12
        )
        assert ours.shape == tuple(theirs.shape)
    _same_nesting(found[0], expected[0])


def _flat(value):
    if isinstance(value, tuple | list):
        return [x for part in value for x in _flat(part)]
    return [value]


def _same_nesting(a, b):
    assert isinstance(a, tuple) == isinstance(b, tuple)
    if isinstance(a, tuple):
        for pair in zip(a, b, strict=True):
            _same_nesting(*pair)


_CONSTANT = lambda x: fg.ones(2)  # noqa: E731
_STRICT = {
    "constant": (lambda x: functional.jacobian(_CONSTANT, x, strict=True), "does not depend"),
    "constant vjp": (lambda x: functional.vjp(_CONSTANT, x, fg.ones(2), strict=True), "depend"),
    "linear hessian": (lambda x: functional.hessian(_LINEAR, x, strict=True), "does not depend"),
    "linear hvp": (lambda x: functional.hvp(_LINEAR, x, x, strict=True), "does not depend"),
    "unused": (
        lambda x: functional.jacobian(lambda x, y: x * 2, (x, x * 1), strict=True),
        "output 0 does not depend on input 1",
    ),
    "no number": (lambda x: functional.hessian(lambda x: x * 2, x), "returns one number"),
    "no v": (lambda x: functional.vjp(lambda x: x * 2, x), "v is missing"),
    "v of another shape": (
        lambda x: functional.vjp(lambda x: x * 2, x, fg.ones(7)), r"v has shapes \[\(7,\)\]",
    ),
    "forward mode": (
        lambda x: functional.jacobian(_LINEAR, x, strategy="forward-mode"), "strategy",
    ),
    "no tensor": (lambda x: functional.jacobian(_LINEAR, [1.0]), "input 0 is float"),
    "no result": (lambda x: functional.jacobian(lambda x: 3, x), "output 0 is int"),
}  # fmt: skip


@pytest.mark.parametrize("name", _STRICT)
def test_functional_refuses(name):
    call, message = _STRICT[name]
    with pytest.raises((RuntimeError, TypeError, ValueError), match=message):
        call(fg.tensor(_A))


def test_functional_leaves_its_inputs_alone():
    x = fg.tensor(_A, requires_grad=True)
    functional.hessian(_NUMBER, x)
    func.hessian(_NUMBER)(x)
    assert x.grad is None
    assert x.is_leaf
    np.testing.assert_array_equal(x.data, _A)


# ------------------------------------------------------------------ func

_FUNC = {
    "grad": lambda f: (f.grad(_NUMBER), (_A,)),
    "grad of grad": lambda f: (f.grad(f.grad(lambda x: x**4)), (_S,)),
    "third derivative": lambda f: (f.grad(f.grad(f.grad(lambda x: x**4 + x.sin()))), (_S,)),
    "argnums": lambda f: (f.grad(_OF_TWO, argnums=1), (_A, _B)),
    "argnums of several": lambda f: (f.grad(_OF_TWO, argnums=(1, 0)), (_A, _B)),
    "has_aux": lambda f: (f.grad(lambda x: (_NUMBER(x), {"y": x * 2}), has_aux=True), (_A,)),
    "and value": lambda f: (f.grad_and_value(_NUMBER), (_A,)),
    "and value and aux": lambda f: (
        f.grad_and_value(lambda x: (_NUMBER(x), x + 1), has_aux=True), (_A,),
    ),
    "parameters in a dict": lambda f: (
        f.grad(lambda p, x: ((x @ p["w"]) + p["b"][0]).sin().sum()),
        ({"w": _A.T.copy(), "b": [_S]}, _A),
    ),
    "jacrev": lambda f: (f.jacrev(lambda x: x.sum(0).exp()), (_A,)),
    "jacrev of a tree": lambda f: (
        f.jacrev(lambda x, y: {"a": (x * y).sum(0), "b": (x.sum(), y.sum())}, argnums=(0, 1)),
        (_A, _B),
    ),
    "jacrev with aux": lambda f: (f.jacrev(lambda x: (x * x, x + 1), has_aux=True), (_A,)),
    "hessian": lambda f: (f.hessian(_NUMBER), (_A,)),
    "hessian by several": lambda f: (f.hessian(_OF_TWO, argnums=(0, 1)), (_A, _B)),
    "vjp": lambda f: (lambda x, v: f.vjp(lambda x: x * x.exp(), x)[1](v), (_A, _V)),
    "vjp of a tuple": lambda f: (
        lambda x, v: f.vjp(lambda x, y: (x * y, y.sum()), x, x)[1]((v, v.sum())), (_A, _V),
    ),
    "vjp with aux": lambda f: (
        lambda x: (lambda o, p, a: (o, p(o), a))(
            *f.vjp(lambda x: (x * x, x + 1), x, has_aux=True)
        ), (_A,),
    ),
    "jvp": lambda f: (lambda x, v: f.jvp(lambda x: x * x.exp(), (x,), (v,)), (_A, _V)),
    "jvp of a tree": lambda f: (
        lambda x, v: f.jvp(lambda x, y: {"a": x * y, "b": y.sum()}, (x, v), (v, x)), (_A, _V),
    ),
    "jvp with aux": lambda f: (
        lambda x, v: f.jvp(lambda x: (x * x, x + 1), (x,), (v,), has_aux=True), (_A, _V),
    ),
    "jvp of grad": lambda f: (lambda x, v: f.jvp(f.grad(_NUMBER), (x,), (v,)), (_A, _V)),
    "grad of jvp": lambda f: (
        f.grad(lambda x, v: f.jvp(lambda x: x.exp(), (x,), (v,))[1].sum()), (_A, _V),
    ),
    "grad inside of grad by another": lambda f: (
        f.grad(lambda x: x * f.grad(lambda y: x * y * y)(x * 2)), (_S,),
    ),
    "no influence": lambda f: (f.grad(lambda x, y: (x * x).sum(), argnums=(0, 1)), (_A, _B)),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:.*torch.jit.script:DeprecationWarning")
@pytest.mark.parametrize("requires_grad", [False, True])
@pytest.mark.parametrize("name", _FUNC)
def test_func_as_in_pytorch(torch, name, requires_grad):
    make = _FUNC[name]
    function, arguments = make(torch.func)
    expected = function(*_theirs(torch, arguments, requires_grad))
    function, arguments = make(func)
    found = function(*_ours(arguments, requires_grad))
    # whether constants and aux require grad is left open
    free = ("no influence", "vjp with aux", "jvp with aux", "has_aux", "jacrev of a tree")
    _assert_same(found, expected, name not in free)


def test_func_by_a_tensor_that_is_used_inside():
    """A gradient penalty: by what the function refers to, ordinary backward goes on."""
    w = fg.tensor(_A, requires_grad=True)
    slope = func.grad(lambda x: ((x * w) ** 3).sum())(fg.tensor(_B))
    assert slope.requires_grad
    (slope * slope).sum().backward()
    expected = 2 * (3 * _B**2 * _A**3) * 9 * _B**2 * _A**2
    np.testing.assert_allclose(w.grad.data, expected)
    with fg.no_grad():
        assert not func.grad(lambda x: ((x * w) ** 3).sum())(fg.tensor(_B)).requires_grad


def test_value_and_grad_and_hvp():
    x, v = fg.tensor(_A), fg.tensor(_V)
    value, slope = func.value_and_grad(_NUMBER)(x)
    other, (same,) = value, func.vjp(_NUMBER, x)[1](fg.tensor(1.0, dtype=fg.float64))
    np.testing.assert_allclose(slope.data, same.data)
    assert other.item() == _NUMBER(x).item()
    (value, aux), _ = func.value_and_grad(lambda x: (_NUMBER(x), "aux"), has_aux=True)(x)
    assert aux == "aux"
    product = func.hvp(_NUMBER, (x,), (v,))
    full = func.jacobian(func.grad(_NUMBER))(x).data
    np.testing.assert_allclose(product.data, np.einsum("ijkl,kl->ij", full, _V))
    both = func.hvp(_OF_TWO, (x, fg.tensor(_B)), (v, v))
    assert isinstance(both, tuple)
    assert func.hvp(lambda x: (_NUMBER(x), 3), (x,), (v,), has_aux=True)[1] == 3


_REFUSED = {
    "no number": (lambda x: func.grad(lambda x: x * 2)(x), "returns one number, got shape"),
    "no tensor": (lambda x: func.grad(lambda x: x * 2)(2.0), "expected a tensor"),
    "argnums": (lambda x: func.grad(_NUMBER, argnums=1)(x), "argnums 1 is out of range for 1"),
    "no aux": (lambda x: func.grad(_NUMBER, has_aux=True)(x), r"must return \(output, aux\)"),
    "cotangent": (lambda x: func.vjp(_NUMBER, x)[1](x), r"expected \[\(\)\] of the output"),
    "tangents": (lambda x: func.jvp(_NUMBER, (x,), (x, x)), "of the primals"),
    "primals": (lambda x: func.jvp(_NUMBER, x, (x,)), "expected primals as a tuple"),
    "strict": (lambda x: func.jvp(_CONSTANT, (x,), (x,), strict=True), "does not depend"),
}


@pytest.mark.parametrize("name", _REFUSED)
def test_func_refuses(name):
    call, message = _REFUSED[name]
    with pytest.raises((RuntimeError, TypeError, IndexError), match=message):
        call(fg.tensor(_A))


# ------------------------------------------------------------------ grad and backward


def test_backward_from_several_to_some():
    x, y = (fg.tensor(a, requires_grad=True) for a in (_A, _B))
    h = x * y
    fg.autograd.backward([h.sum(), (h * h).sum()], inputs=[x, h], retain_graph=True)
    np.testing.assert_allclose(x.grad.data, _B + 2 * _A * _B**2)
    np.testing.assert_allclose(h.grad.data, 1 + 2 * _A * _B)
    assert y.grad is None
    h.backward(fg.tensor(_V), inputs=y)
    np.testing.assert_allclose(y.grad.data, _A * _V)
    fg.autograd.backward((x * 2,), (fg.tensor(_V),))
    with pytest.raises(RuntimeError, match="inputs is empty"):
        fg.autograd.backward(x.sum(), inputs=[])
    with pytest.raises(RuntimeError, match="input 0 does not require grad"):
        fg.autograd.backward(x.sum(), inputs=[x.detach()])


def test_grad_gives_zeros_for_none():
    x, y = (fg.tensor(a, requires_grad=True) for a in (_A, _B))
    found = fg.grad(x.sum(), [x, y], materialize_grads=True)
    assert found[1].tolist() == np.zeros((3, 2)).tolist()
    assert found[1].dtype == np.float64
    with pytest.raises(ValueError, match="not supported"):
        fg.grad(x.sum(), x, is_grads_batched=True)


def test_set_grad_enabled():
    x = fg.tensor(_A, requires_grad=True)
    with fg.set_grad_enabled(False):
        assert not (x * 2).requires_grad
        with fg.set_grad_enabled(True):
            assert (x * 2).requires_grad
    fg.set_grad_enabled(False)
    assert not fg.is_grad_enabled()
    fg.set_grad_enabled(True)
    assert fg.is_grad_enabled()

    @fg.set_grad_enabled(False)
    def double(x):
        return x * 2

    assert fg.is_grad_enabled()
    assert not double(x).requires_grad
    assert double.__name__ == "double"


@pytest.mark.parametrize("shape", [(), (1,), (2, 2)])
def test_second_derivatives_through_a_result(shape):
    """Of operations whose gradient is written by their result, also where that has no axes."""
    x = fg.tensor(np.full(shape, 0.7), requires_grad=True)
    for call, second in (
        (fg.exp, np.exp(0.7)),
        (fg.sqrt, -0.25 * 0.7**-1.5),
        (fg.tanh, -2 * np.tanh(0.7) * (1 - np.tanh(0.7) ** 2)),
    ):
        (slope,) = fg.grad(call(x).sum(), x, create_graph=True)
        (curve,) = fg.grad(slope.sum(), x)
        np.testing.assert_allclose(curve.data, np.full(shape, second))


# ------------------------------------------------------------------ what is built of them


def test_third_derivatives_of_a_polynomial():
    coefficients = [2.0, -1.0, 0.5, 3.0, -2.0, 1.5]
    x = fg.tensor([-1.5, 0.0, 0.7, 2.0], dtype=fg.float64, requires_grad=True)
    y, expected = (
        sum(c * x**k for k, c in enumerate(coefficients)),
        np.polynomial.Polynomial(coefficients),
    )
    for _ in range(3):
        (y,) = fg.grad(y.sum(), x, create_graph=True)
        expected = expected.deriv()
        np.testing.assert_allclose(y.data, expected(x.data), rtol=1e-12)


def test_newton_cg_minimises_rosenbrock():
    """Newton's method whose equations are solved by conjugate gradients, from products H · v."""

    def pick(x, start, stop):  # a slice, by a product
        return x @ fg.tensor(np.eye(x.numel())[:, start:stop])

    def rosenbrock(x):
        a, b = pick(x, 0, 5), pick(x, 1, 6)
        return (100 * (b - a * a) ** 2 + (1 - a) ** 2).sum()

    def direction(x, slope):
        """An approximate solution of H d = -g, stopped where H is not positive."""
        d, r = np.zeros_like(slope), -slope
        p = r.copy()
        for _ in range(2 * len(slope)):
            hp = func.hvp(rosenbrock, (x,), (fg.tensor(p),)).numpy()
            if p @ hp <= 0:
                return d if d.any() else r
            alpha = (r @ r) / (p @ hp)
            d, before = d + alpha * p, r
            r = r - alpha * hp
            if np.linalg.norm(r) < 1e-12:
                break
            p = r + (r @ r) / (before @ before) * p
        return d

    x = fg.tensor(np.full(6, -1.0))
    for _ in range(100):
        value, slope = func.value_and_grad(rosenbrock)(x)
        if value.item() < 1e-16:
            break
        d, size = direction(x, slope.numpy()), 1.0
        while rosenbrock(x + d * size).item() > value.item() + 1e-4 * size * (slope.numpy() @ d):
            size /= 2
        x = x + d * size
    np.testing.assert_allclose(x.numpy(), 1.0, atol=1e-8)


# ------------------------------------------------------------------ memory


def _penalty(w, x):
    (slope,) = fg.grad(((x @ w).tanh() ** 2).sum(), x, create_graph=True)
    return (slope * slope).sum()


def test_graphs_of_gradients_die_with_their_names():
    w, x = (fg.tensor(np.eye(4) + k, requires_grad=True) for k in (0.0, 1.0))
    gc.collect()
    gc.disable()
    try:
        loss = _penalty(w, x)
        references = [weakref.ref(loss.grad_fn), weakref.ref(loss)]
        loss.backward()
        del loss
        assert [reference() for reference in references] == [None, None]
        dropped = _penalty(w, x)  # without backward
        node = weakref.ref(dropped.grad_fn)
        del dropped
        assert node() is None
        for call in (
            lambda: functional.hessian(_NUMBER, x),
            lambda: functional.jacobian(_ONE_TO_MANY, x, create_graph=True),
            lambda: func.hvp(_NUMBER, (x,), (x,)),
            lambda: func.jvp(_NUMBER, (x,), (x,)),
            lambda: func.vjp(_NUMBER, x)[1](fg.tensor(1.0, dtype=fg.float64)),
            lambda: fg.checkpoint(_penalty, w, x).backward(),
        ):
            call()
            gc.collect()
            call()
            assert gc.collect() == 0
    finally:
        gc.enable()


def test_a_thousand_graphs_of_gradients_do_not_grow():
    w, x = (fg.tensor(np.eye(4) + k, requires_grad=True) for k in (0.0, 1.0))

    def steps(count):
        for number in range(count):
            w.grad = x.grad = None
            _penalty(w, x).backward()
            if number % 10 == 0:
                fg.checkpoint(_penalty, w, x).backward()

    steps(20)
    gc.collect()
    tracemalloc.start()
    try:
        steps(20)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        steps(1000)
        gc.collect()
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    # addresses that kernels remember grow for a while; one tensor for each step would be 300,000
    assert grown < 65536
