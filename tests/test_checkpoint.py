"""``checkpoint``: the same bits, fewer arrays."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn

_W = np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32)


def _leaf(array):
    return fg.tensor(array, requires_grad=True)


def _plain(function, *args, **kwargs):
    return function(*args, **kwargs)


# Functions of (how to call a part, x, w) that give a loss. Sums of several terms show the order
# that gradients are added up in.


def _one_part(part, x, w):
    return (part(lambda x: (x @ w).tanh() * x, x) * w).sum()


def _closure_only(part, x, w):
    return (part(lambda: (w.exp() * w + w).sum()) * x).sum()


def _used_inside_and_outside(part, x, w):
    h = x * w
    y = part(lambda x: (x @ w) * w + w * h + x, x) * w + w.sin()
    return (y * h + x).sum()


def _chain(part, x, w):
    for _ in range(4):
        x = part(lambda x: (x @ w).tanh() + x * 0.1, x)
    return (x * x).sum()


def _nested(part, x, w):
    def inner(x):
        return (x @ w).tanh() * x

    def outer(x):
        return part(inner, part(inner, x) + w) * w

    return (part(outer, x) + x).sum()


def _several_results(part, x, w):
    found = part(lambda x: {"a": x * w, "b": [x.exp(), (x + w, "text", 3)], "same": x}, x)
    assert found["b"][1][1:] == ("text", 3)
    return (found["a"] * found["b"][1][0] + found["same"]).sum()


def _keywords_and_nesting(part, x, w):
    def function(pair, *, scale):
        return (pair[0] * pair[1]["w"]).sum() * scale

    return part(function, (x, {"w": w}), scale=3)


def _dropout(part, x, w):
    for _ in range(3):
        x = part(lambda x: fg.dropout((x @ w).tanh(), 0.4), x)
        x = fg.dropout(x, 0.2)
    return (x * x).sum()


def _no_grad_inside(part, x, w):
    def function(x):
        with fg.no_grad():
            scale = (x * x).sum() + 1
        return (x @ w) / scale

    return part(function, x).sum()


def _in_place_inside(part, x, w):
    def function(x):
        y = x @ w
        y *= w
        y.add_(x)
        return y.tanh()

    return (part(function, x) * w).sum()


def _gradient_inside(part, x, w):
    def function(x):
        (slope,) = fg.grad(((x @ w).tanh() * x).sum(), x, create_graph=True)
        return (slope * slope).sum()

    return part(function, x) + (x * w).sum()


def _same_result_twice(part, x, w):
    def function(x):
        y = x * w
        return y, y

    a, b = part(function, x)
    return (a.sin() + b).sum()


_LOSSES = (
    _one_part, _closure_only, _used_inside_and_outside, _chain, _nested, _several_results,
    _keywords_and_nesting, _dropout, _no_grad_inside, _in_place_inside, _gradient_inside,
    _same_result_twice,
)  # fmt: skip


def _run(loss, part, differentiate):
    fg.manual_seed(7)
    x, w = _leaf(_W.T * 0.5), _leaf(_W)
    value = loss(part, x, w)
    return [value.data.tobytes(), *differentiate(value, x, w), fg.random.default.counter.tobytes()]


def _by_backward(value, x, w):
    value.backward()
    return x.grad.data.tobytes(), w.grad.data.tobytes()


def _by_backward_twice(value, x, w):
    value.backward(retain_graph=True)
    return _by_backward(value, x, w)


def _by_grad(value, x, w):
    return [g.data.tobytes() for g in fg.grad(value, [x, w])]


def _by_grad_of_one(value, x, w):
    return [fg.grad(value, w)[0].data.tobytes()]


def _by_grad_with_a_graph(value, x, w):
    return [g.data.tobytes() for g in fg.grad(value, [x, w], create_graph=True)]


_WAYS = (_by_backward, _by_backward_twice, _by_grad, _by_grad_of_one, _by_grad_with_a_graph)


@pytest.mark.parametrize("differentiate", _WAYS)
@pytest.mark.parametrize("loss", _LOSSES)
def test_the_same_bits(loss, differentiate):
    assert _run(loss, fg.checkpoint, differentiate) == _run(loss, _plain, differentiate)


@pytest.mark.parametrize("loss", _LOSSES)
def test_second_derivatives(loss):
    """Equal but for rounding: a part's second call is other nodes, whose terms add up apart."""

    def second(part):
        fg.manual_seed(7)
        x, w = (fg.tensor(a, dtype=fg.float64, requires_grad=True) for a in (_W.T * 0.5, _W))
        slopes = fg.grad(loss(part, x, w), [x, w], create_graph=True)
        sum((s * s).sum() for s in slopes).backward()
        return [s.detach().numpy() for s in (*slopes, x.grad, w.grad)]

    for a, b in zip(second(fg.checkpoint), second(_plain), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-10 * np.abs(b).max())


@pytest.mark.parametrize("loss", [_chain, _dropout, _used_inside_and_outside])
def test_in_a_compiled_step(loss):
    found = []
    for wrap, part in ((_plain, _plain), (fg.compile, fg.checkpoint)):
        fg.manual_seed(3)
        w = _leaf(_W)

        def step(x, part=part, w=w):
            w.grad = None
            value = loss(part, x, w)
            value.backward()
            return value

        run = fg.compile(step) if wrap is fg.compile else step
        bits = []
        for scale in (0.5, 0.25, 0.125):
            bits.append(run(fg.tensor(_W * np.float32(scale))).data.tobytes())
            bits.append(w.grad.data.tobytes())
        found.append(bits)
    assert found[0] == found[1]


def test_modules():
    def run(part):
        fg.manual_seed(0)
        blocks = [nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Dropout(0.5)) for _ in range(3)]
        x = fg.tensor(_W)  # does not require grad, only the parameters do
        for block in blocks:
            x = part(block, x)
        x.sum().backward()
        return [p.grad.data.tobytes() for block in blocks for p in block.parameters()]

    assert run(fg.checkpoint) == run(_plain)


def test_unrecorded():
    x = _leaf(_W)
    with fg.no_grad():
        assert not fg.checkpoint(lambda x: x * 2, x).requires_grad
    assert not fg.checkpoint(lambda x: x * 2, x.detach()).requires_grad
    assert fg.checkpoint(lambda x: x, x) is x
    y = fg.checkpoint(lambda x: x * 2, x)
    loss = y.sum()
    with fg.no_grad():  # backward may be called where nothing is recorded
        loss.backward()
    assert x.grad.data.tolist() == np.full((8, 8), 2.0).tolist()


def test_arrays_inside_are_not_kept():
    inside = []

    def function(x):
        y = x.exp()
        inside.append(weakref.ref(y.data))
        return (y * y).sum()

    gc.disable()
    try:
        x = _leaf(_W)
        loss = fg.checkpoint(function, x)
        assert inside[0]() is None
        loss.backward()
        assert [array() for array in inside] == [None, None]
        node = weakref.ref(loss.grad_fn)
        del loss
        assert node() is None
    finally:
        gc.enable()


def test_memory():
    """Sixteen layers: the peak is that of one part, and what lies between parts."""
    array = np.full((256, 256), 0.01, np.float32)

    def peak(part):
        w = _leaf(array)

        def block(x):
            for _ in range(4):
                x = (x @ w).tanh().sin()
            return x

        def step():
            x = fg.tensor(array)
            for _ in range(4):
                x = part(block, x)
            x.sum().backward()

        step()
        gc.collect()
        tracemalloc.start()
        try:
            step()
            return tracemalloc.get_traced_memory()[1] / array.nbytes
        finally:
            tracemalloc.stop()

    fg.set_backend("numpy")  # whose arrays are traced
    assert peak(fg.checkpoint) < 0.6 * peak(_plain)


def _changed_argument(x, w):
    h = x * 1
    y = fg.checkpoint(lambda h: h * w, h)
    with fg.no_grad():
        h.add_(1)
    return y


def _changed_parameter(x, w):
    y = fg.checkpoint(lambda x: x + w, x)
    with fg.no_grad():
        w.add_(1)
    return y


def _changed_constant_argument(x, w):
    constant = fg.tensor(_W)
    y = fg.checkpoint(lambda x, c: x + c, x, constant)
    constant.add_(1)
    return y


def _other_shape(x, w):
    sizes = iter([2, 4])
    return fg.checkpoint(lambda x: x.reshape(next(sizes), -1), x)


def _fewer_results(x, w):
    counts = iter([2, 1])
    return fg.checkpoint(lambda x: [x * k for k in range(next(counts))], x)[1]


@pytest.mark.parametrize("create_graph", [False, True])
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (_changed_argument, "checkpoint: its argument was changed in place"),
        (_changed_parameter, "checkpoint: its input was changed in place"),
        (_changed_constant_argument, "checkpoint: its argument was changed in place"),
        (_other_shape, r"computed something else the second time: result 0 is \(4, 16\)"),
        (_fewer_results, "computed something else the second time: result 1 is missing"),
    ],
)
def test_refused(call, message, create_graph):
    y = call(_leaf(_W), _leaf(_W))
    with pytest.raises(RuntimeError, match=message):
        y.sum().backward(create_graph=create_graph)


def test_an_error_the_second_time_leaves_things_as_they_were():
    calls = iter([1, 0])

    def function(x):
        return fg.dropout(x, 0.5) * (1 // next(calls))

    x = _leaf(_W)
    y = fg.checkpoint(function, x).sum()
    before = fg.random.default.counter.tobytes()
    with fg.no_grad():
        with pytest.raises(ZeroDivisionError):
            y.backward()
        assert not fg.is_grad_enabled()
    assert fg.random.default.counter.tobytes() == before
    assert x.grad is None


def test_other_random_numbers_where_they_are_not_kept():
    x = _leaf(np.ones(1000, np.float32))
    y = fg.checkpoint(fg.dropout, x, 0.5, preserve_rng_state=False, use_reentrant=False)
    y.sum().backward()
    assert ((x.grad.data == 0) != (y.data == 0)).any()
