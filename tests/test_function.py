"""``autograd.Function``: the same classes with PyTorch's base and with ours."""

import gc
import weakref

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.autograd import Function, once_differentiable


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")


# ------------------------------------------------------------------ as in PyTorch


def _cube(base):
    class Cube(base):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x * x

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return grad * 3 * x * x

    return Cube.apply


def _exp_by_result(base):
    class Exp(base):
        @staticmethod
        def forward(ctx, x):
            out = x.exp()
            ctx.save_for_backward(out)
            return out

        @staticmethod
        def backward(ctx, grad):
            (out,) = ctx.saved_tensors
            return grad * out

    return Exp.apply


def _split_form(base):
    class Scaled(base):
        @staticmethod
        def forward(x, y, factor):
            return x * y * factor

        @staticmethod
        def setup_context(ctx, inputs, output):
            x, y, ctx.factor = inputs
            ctx.save_for_backward(x, y)

        @staticmethod
        def backward(ctx, grad):
            x, y = ctx.saved_tensors
            assert ctx.needs_input_grad == (True, True, False)
            return grad * y * ctx.factor, grad * x * ctx.factor, None

    return lambda x: Scaled.apply(x, x * 2, 1.5)


def _two_results(base):
    class ProductAndSum(base):
        @staticmethod
        def forward(ctx, x, y):
            product = x * y
            ctx.save_for_backward(x, y, product)
            return product, x + y

        @staticmethod
        def backward(ctx, product_grad, sum_grad):
            x, y, product = ctx.saved_tensors
            assert product.shape == x.shape
            return product_grad * y + sum_grad, product_grad * x + sum_grad

    def call(x):
        product, total = ProductAndSum.apply(x, x.exp())
        return product * total + product.sin()

    return call


def _one_of_two_results(base):
    class Both(base):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x, x * 3

        @staticmethod
        def backward(ctx, a, b):
            (x,) = ctx.saved_tensors
            assert b.shape == x.shape  # zeros
            return a * 2 * x + b * 3

    return lambda x: Both.apply(x)[0].exp()


def _unmaterialized(base):
    class Both(base):
        @staticmethod
        def forward(ctx, x):
            ctx.set_materialize_grads(False)
            ctx.save_for_backward(x)
            return x * x, x * 3

        @staticmethod
        def backward(ctx, a, b):
            (x,) = ctx.saved_tensors
            assert a is None
            return b * 3 + x * 0

    return lambda x: Both.apply(x)[1].exp()


def _constant_result(base):
    class WithSign(base):
        @staticmethod
        def forward(ctx, x):
            sign = x.sign()
            ctx.mark_non_differentiable(sign)
            ctx.save_for_backward(sign, None)
            return x.abs(), sign, "text"

        @staticmethod
        def backward(ctx, grad, *others):
            assert len(others) == 2
            assert others[1] is None
            sign, nothing = ctx.saved_tensors
            assert nothing is None
            return grad * sign

    def call(x):
        size, sign, text = WithSign.apply(x)
        assert size.requires_grad
        assert not sign.requires_grad
        assert text == "text"
        return size * sign * x

    return call


def _straight_through(base):
    class Round(base):
        @staticmethod
        def forward(ctx, x):
            return x.round()

        @staticmethod
        def backward(ctx, grad):
            return grad

    return lambda x: Round.apply(x) * x


def _input_returned(base):
    class Reversed(base):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x

        @staticmethod
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return -grad * x

    return lambda x: Reversed.apply(x) * 2


def _in_place(base):
    class Doubled(base):
        @staticmethod
        def forward(ctx, x):
            x.mul_(2)
            ctx.mark_dirty(x)
            return x

        @staticmethod
        def backward(ctx, grad):
            return grad * 2

    def call(x):
        y = x * x
        z = Doubled.apply(y)
        assert z is y
        return y.exp()

    return call


_FUNCTIONS = (
    _cube, _exp_by_result, _split_form, _two_results, _one_of_two_results, _unmaterialized,
    _constant_result, _straight_through, _input_returned, _in_place,
)  # fmt: skip
_VALUES = np.array([[0.3, -1.2, 0.7], [1.1, 0.4, -0.6]])


def _derivatives(call, x, grad):
    """The result, and derivatives up to the third; those of a constant are left out."""
    values = [call(x)]
    while len(values) < 4 and values[-1].requires_grad:
        (slope,) = grad(values[-1].sum(), x, create_graph=True, allow_unused=True)
        if slope is None:
            break
        values.append(slope)
    return [x.detach().numpy() for x in values]


@pytest.mark.parametrize("function", _FUNCTIONS)
def test_as_in_pytorch(torch, function):
    theirs = torch.from_numpy(_VALUES.copy()).requires_grad_()
    expected = _derivatives(function(torch.autograd.Function), theirs, torch.autograd.grad)
    ours = fg.tensor(_VALUES, requires_grad=True)
    found = _derivatives(function(Function), ours, fg.grad)
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("function", _FUNCTIONS)
def test_backward_equals_the_operations_own(function):
    """Without a graph of the gradients, in arrays: the same numbers."""
    call = function(Function)
    x = fg.tensor(_VALUES, requires_grad=True)
    call(x).sum().backward()
    (expected,) = fg.grad(call(x).sum(), x, create_graph=True)
    np.testing.assert_array_equal(x.grad.data, expected.data)


@pytest.mark.parametrize("function", _FUNCTIONS)
def test_in_a_compiled_step(function):
    call = function(Function)

    def step(w):
        loss = (call(w * 1.0) + w).sum()
        loss.backward()
        return loss

    found = []
    for wrap in (lambda f: f, fg.compile):
        w = fg.tensor(_VALUES, requires_grad=True)
        run = wrap(lambda w=w: step(w))
        for _ in range(3):
            w.grad = None
            loss = run()
            found.append((loss.data.tobytes(), w.grad.data.tobytes()))
    assert len(set(found)) == 1


def test_unrecorded():
    cube = _cube(Function)
    x = fg.tensor(2.0, requires_grad=True)
    with fg.no_grad():
        assert not cube(x).requires_grad
    assert not cube(x.detach()).requires_grad
    same = _input_returned(Function)
    with fg.no_grad():
        assert not same(x).requires_grad


# ------------------------------------------------------------------ errors


def _returns(result, arguments=2):
    class Bad(Function):
        @staticmethod
        def forward(ctx, *args):
            return args[0] * 2

        @staticmethod
        def backward(ctx, grad):
            return result(grad)

    x = fg.tensor([1.0, 2.0], requires_grad=True)
    return lambda: Bad.apply(x, *[3.0, x][: arguments - 1])


_BAD = {
    "too few": (_returns(lambda g: g), RuntimeError, "Bad: .* 1 gradients, expected 2"),
    "too many": (_returns(lambda g: (g, None, g)), RuntimeError, "3 gradients, expected 2"),
    "of a number": (_returns(lambda g: (g, g)), RuntimeError, "gradient at position 1, but that"),
    "no tensor": (_returns(lambda g: (1.0, None)), TypeError, "returned float at position 0"),
    "shape": (
        _returns(lambda g: fg.ones(3), 1),
        RuntimeError, r"Bad: its pull-back gave shape \(3,\) for an input of \(2,\)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize("name", _BAD)
def test_bad_gradients_are_named(name, create_graph):
    call, exception, message = _BAD[name]
    with pytest.raises(exception, match=message):
        call().sum().backward(create_graph=create_graph)


def test_more_gradients_that_are_none_are_fine():
    _returns(lambda g: (g, None, None))().sum().backward()


def test_what_a_function_must_define():
    class Empty(Function):
        pass

    class Half(Function):
        @staticmethod
        def forward(ctx, x):
            return x * 2

    class Listing(Function):
        @staticmethod
        def forward(ctx, x):
            return [x]

    x = fg.tensor(1.0, requires_grad=True)
    with pytest.raises(NotImplementedError, match="must define forward"):
        Empty.apply(x)
    with pytest.raises(NotImplementedError, match="must define backward"):
        Half.apply(x).backward()
    with pytest.raises(TypeError, match="Listing: forward returned a list"):
        Listing.apply(x)
    with pytest.raises(TypeError, match="save_for_backward got int at position 1"):
        fg.autograd.FunctionCtx("F", ()).save_for_backward(x, 3)


@pytest.mark.parametrize("function", [_cube, _exp_by_result])
def test_change_of_a_saved_tensor_is_noticed(function):
    x = fg.tensor([1.0, 2.0], requires_grad=True)
    y = function(Function)(x)
    with fg.no_grad():
        (x if function is _cube else y).add_(1)
    with pytest.raises(RuntimeError, match="saved tensor 0 was changed in place"):
        y.sum().backward()


def test_saved_arrays_are_not_added_to():
    class Linear(Function):
        @staticmethod
        def forward(ctx, w, x):
            ctx.save_for_backward(x)
            return (w * x).sum()

        @staticmethod
        def backward(ctx, grad):
            return ctx.saved_tensors[0], None  # the array itself

    w = fg.tensor([1.0, 2.0], requires_grad=True)
    x = fg.tensor([3.0, 4.0])
    (Linear.apply(w, x) + Linear.apply(w, x) + Linear.apply(w, x)).backward()
    assert w.grad.tolist() == [9, 12]
    assert x.tolist() == [3, 4]


def test_once_differentiable():
    class Square(Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        @once_differentiable
        def backward(ctx, grad):
            (x,) = ctx.saved_tensors
            return fg.Tensor(2 * x.detach().numpy() * grad.numpy())

    x = fg.tensor(3.0, requires_grad=True)
    assert fg.grad(Square.apply(x), x)[0].item() == 6
    (slope,) = fg.grad(Square.apply(x), x, create_graph=True)
    assert slope.item() == 6
    with pytest.raises(RuntimeError, match=r"Square: .* marked once_differentiable"):
        fg.grad(slope, x)


def test_what_is_dirty():
    def function(returned):
        class Doubled(Function):
            @staticmethod
            def forward(ctx, x):
                ctx.mark_dirty(x)
                x.mul_(2)
                return x if returned else x + 1

            @staticmethod
            def backward(ctx, grad):
                return grad * 2

        return Doubled.apply

    leaf = fg.tensor(1.0, requires_grad=True)
    with pytest.raises(RuntimeError, match="must be an argument of forward, and be returned"):
        function(False)(leaf * 1)
    with pytest.raises(RuntimeError, match="a leaf that requires grad cannot be changed"):
        function(True)(leaf)
    y = leaf * 1
    _view = y.reshape(1)
    with pytest.raises(RuntimeError, match="shares its memory"):
        function(True)(y)
    y = leaf * 3
    z = y * y  # saves y
    function(True)(y)
    with pytest.raises(RuntimeError, match="changed in place"):
        z.backward()


def test_by_keyword():
    class Scaled(Function):
        @staticmethod
        def forward(ctx, x, factor=2.0):
            ctx.factor = factor
            return x * factor

        @staticmethod
        def backward(ctx, grad):
            return grad * ctx.factor, None

    x = fg.tensor(1.0, requires_grad=True)
    Scaled.apply(x, factor=5.0).backward()
    assert x.grad.item() == 5
    with pytest.raises(TypeError, match=r"Scaled: .*unexpected keyword"):
        Scaled.apply(x, other=1)


# ------------------------------------------------------------------ hooks and memory


def test_hooks_and_retained_gradients_of_results():
    seen = []
    x = fg.tensor(2.0, requires_grad=True)
    product, total = _pair(x, x * 2)
    total.register_hook(lambda grad: seen.append(grad.item()))
    product.retain_grad()
    (product * total).backward()
    assert seen == [8.0]
    assert product.grad.item() == 6
    assert fg.grad(sum(_pair(x, x)), x)[0].item() == 6


def _pair(x, y):
    class ProductAndSum(Function):
        @staticmethod
        def forward(ctx, x, y):
            out = x * y
            ctx.save_for_backward(x, y, out)
            return out, x + y

        @staticmethod
        def backward(ctx, a, b):
            x, y, _ = ctx.saved_tensors
            return a * y + b, a * x + b

    return ProductAndSum.apply(x, y)


def test_gradient_by_a_result_among_several():
    x = fg.tensor(2.0, requires_grad=True)
    product, total = _pair(x, x)
    loss = product * total
    assert [g.item() for g in fg.grad(loss, [product, total, x])] == [4, 4, 24]


def test_results_of_several_types():
    class Split(Function):
        @staticmethod
        def forward(ctx, x):
            return x.float(), x.double(), x.long()

        @staticmethod
        def backward(ctx, a, b, c):
            assert (a.dtype, b.dtype, c.dtype) == (np.float32, np.float64, np.int64)
            return a.double() + b

    x = fg.tensor([1.0, 2.0], dtype=fg.float64, requires_grad=True)
    single, double, whole = Split.apply(x)
    assert not whole.requires_grad
    (single.sum() * 2).backward(retain_graph=True)
    assert x.grad.tolist() == [2, 2]
    (single.double() * double).sum().backward()
    assert x.grad.tolist() == [4, 6]


@pytest.mark.parametrize("function", _FUNCTIONS)
def test_no_cycles(function):
    call = function(Function)
    x = fg.tensor(_VALUES, requires_grad=True)
    gc.collect()
    gc.disable()
    try:
        y = call(x)
        nodes = [weakref.ref(y.grad_fn), weakref.ref(y)]
        (slope,) = fg.grad(y.sum(), x, create_graph=True)
        del y
        if slope.requires_grad:
            nodes.append(weakref.ref(slope.grad_fn))
            fg.grad(slope.sum(), x, create_graph=True, allow_unused=True)
        del slope
        assert [node() for node in nodes] == [None] * len(nodes)
    finally:
        gc.enable()
    dropped = call(x)
    node = weakref.ref(dropped.grad_fn)
    del dropped
    assert node() is None


def test_a_result_whose_tensor_is_gone_is_still_saved():
    x = fg.tensor(2.0, requires_grad=True)

    class Both(Function):
        @staticmethod
        def forward(ctx, x):
            a = x * x
            ctx.save_for_backward(a)
            return a, a * 1.0

        @staticmethod
        def backward(ctx, a_grad, b_grad):
            (a,) = ctx.saved_tensors
            # d(x²)/dx written by means of the result: 2 √a
            return (a_grad + b_grad) * 2 * a.sqrt()

    b = Both.apply(x)[1]
    (slope,) = fg.grad(b, x, create_graph=True)
    assert slope.item() == 4
    assert fg.grad(slope, x)[0].item() == pytest.approx(2)
