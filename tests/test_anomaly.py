"""Anomaly mode: who makes the first NaN or infinity, and where it was called."""

import sys
import threading

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.watch import watch


def _leaf(*values):
    return fg.tensor(list(values), requires_grad=True)


def _line():
    """Of the caller's next line."""
    frame = sys._getframe(1)
    return rf"test_anomaly\.py:{frame.f_lineno + 1}"


@pytest.fixture(autouse=True)
def _off_in_the_end():
    yield
    assert not watch.on
    assert not fg.is_anomaly_enabled()


# ------------------------------------------------------------------ forward

_FORWARD = {
    "log of 0": ("log", "an infinity", lambda: fg.log(_leaf(0.0, 1.0))),
    "log below 0": ("log", "a NaN", lambda: fg.log(_leaf(-1.0, 1.0))),
    "0 / 0": ("div", "a NaN", lambda: _leaf(0.0) / _leaf(0.0)),
    "by a number": ("div", "an infinity", lambda: _leaf(1.0) / 0.0),
    "inf - inf": ("sub", "a NaN", lambda: _leaf(np.inf) - np.inf),
    "overflow": ("exp", "an infinity", lambda: _leaf(1000.0).exp()),
    "a sum": ("sum", "an infinity", lambda: fg.sum(_leaf(3e38, 3e38))),
    "no graph": ("sqrt", "a NaN", lambda: fg.sqrt(fg.tensor([-1.0]))),
    "a product": ("matmul", "an infinity", lambda: fg.ones(2, 2) * 3e38 @ fg.ones(2, 2)),
}


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("name", _FORWARD)
def test_forward(name, backend):
    fg.set_backend(backend)
    op, what, call = _FORWARD[name]
    call()  # fine outside
    with (
        fg.detect_anomaly(),
        pytest.raises(RuntimeError, match=rf"^{op}: the result has {what}, .*test_anomaly\.py:\d+"),
    ):
        call()


def test_what_came_in_is_nobodys_fault():
    with fg.detect_anomaly():
        x = _leaf(np.nan, np.inf, 1.0)
        ((x * 2).exp() + fg.tensor([np.inf, 0.0, 0.0])).sum()
        fg.masked_fill(fg.ones(2), fg.tensor([True, False]), -np.inf)
        fg.ones(2) * float("nan")
        fg.clamp(fg.ones(2), max=np.inf)


def test_the_line_is_the_users():
    model = fg.nn.Sequential(fg.nn.ReLU(), _Inverse())
    line = _Inverse.forward.__code__.co_firstlineno + 1
    with (
        fg.detect_anomaly(),
        pytest.raises(RuntimeError, match=rf"^div: .*test_anomaly\.py:{line}$"),
    ):
        model(_leaf(0.0))


class _Inverse(fg.nn.Module):
    def forward(self, x):
        return 1 / x


# ------------------------------------------------------------------ backward


@pytest.mark.parametrize("create_graph", [False, True])
def test_backward(create_graph):
    x = _leaf(0.0, 1.0)
    with fg.detect_anomaly():
        line = _line()
        y = fg.sqrt(x)
        loss = (y * 2).sum()
        message = rf"^sqrt: its gradient has an infinity, .*, called at .*{line}"
        with pytest.raises(RuntimeError, match=message):
            loss.backward(create_graph=create_graph)
    assert x.grad is None
    fg.sqrt(x).sum().backward()
    assert x.grad.tolist() == [np.inf, 0.5]


def test_backward_of_one_of_two():
    x, y = _leaf(0.0), _leaf(0.0)
    with (
        fg.detect_anomaly(),
        pytest.raises(RuntimeError, match=r"^sqrt: its gradient has a NaN"),
    ):
        (fg.sqrt(x) * fg.square(y) + x).sum().backward()  # 0 / 0


def test_backward_of_a_function_of_the_users():
    class Bad(fg.autograd.Function):
        @staticmethod
        def forward(ctx, x, y):
            return x * 1, y * 1

        @staticmethod
        def backward(ctx, a, b):
            return a, b / 0

    x = _leaf(1.0)
    with fg.detect_anomaly():
        line = _line()
        loss = sum(Bad.apply(x, x))
        with pytest.raises(RuntimeError, match=rf"^Bad: its gradient has an inf.*{line}"):
            loss.backward()


def test_backward_of_gradients():
    x = _leaf(0.0)
    with fg.detect_anomaly():
        (slope,) = fg.grad(fg.pow(x, 1.5).sum(), x, create_graph=True)
        with pytest.raises(RuntimeError, match=r"^pow: .* in the backward pass of pow, called at"):
            slope.backward()


def test_a_gradient_that_comes_in_is_nobodys_fault():
    x = _leaf(1.0, 2.0)
    with fg.detect_anomaly():
        (x * 2).backward(fg.tensor([np.nan, np.inf]))
    assert np.isnan(x.grad.data[0])


def test_inside_a_checkpoint():
    x = _leaf(0.0)
    with fg.detect_anomaly():

        def function(x):
            return fg.sqrt(x) * 2  # here

        loss = fg.checkpoint(function, x).sum()
        with pytest.raises(RuntimeError, match=r"^sqrt: its gradient has an infinity"):
            loss.backward()


# ------------------------------------------------------------------ errors of other kinds


def _changed(x):
    y = x.exp()
    z = y * y
    with fg.no_grad():
        y.add_(1)
    return z


def _twice(x):
    z = (x * x).sum()
    z.backward()
    return z


def _wrong_shape(x):
    return fg.op(lambda x: (x * 2, lambda grad: np.ones(7)), name="odd")(x)


def _fails(x):
    def vjp(grad):
        raise ZeroDivisionError("in the user's code")

    return fg.op(lambda x: (x * 2, vjp), name="odd")(x)


@pytest.mark.parametrize(
    ("call", "op"), [(_changed, "mul"), (_twice, "sum"), (_wrong_shape, "odd"), (_fails, "odd")]
)
def test_errors_in_backward_name_the_forward_call(call, op):
    def text():
        with pytest.raises((RuntimeError, ZeroDivisionError, ValueError)) as caught:
            call(_leaf(1.0, 2.0)).sum().backward(retain_graph=True)
        return "\n".join([str(caught.value), *getattr(caught.value, "__notes__", [])])

    plain = text()
    assert op in plain
    assert "fg.detect_anomaly() would tell the line" in plain
    with fg.detect_anomaly():
        found = text()
    assert op in found
    assert "would tell" not in found
    assert f"{__file__}:" in found


# ------------------------------------------------------------------ switching


def test_only_lines():
    x = _leaf(0.0)
    with fg.detect_anomaly(check_nan=False):
        y = x / 0
        y.sum().backward()
    assert "test_anomaly.py" in y.grad_fn.place
    assert not hasattr((x * 1).grad_fn, "place")


def test_switches_nest_and_end_with_exceptions():
    @fg.detect_anomaly()
    def fails():
        raise ZeroDivisionError

    with fg.detect_anomaly():
        assert fg.is_anomaly_enabled()
        with fg.set_detect_anomaly(False):
            assert not fg.is_anomaly_enabled()
            _leaf(0.0).log()
        with fg.detect_anomaly(check_nan=False):
            assert not fg.autograd.is_anomaly_check_nan_enabled()
        assert fg.is_anomaly_enabled()
        assert fg.autograd.is_anomaly_check_nan_enabled()
    with pytest.raises(ZeroDivisionError):
        fails()
    assert not fg.is_anomaly_enabled()
    fg.autograd.set_detect_anomaly(True)
    assert fg.is_anomaly_enabled()
    fg.autograd.set_detect_anomaly(False)


@pytest.mark.parametrize("decorator", [fg.detect_anomaly, fg.detect_anomaly()])
def test_as_a_decorator(decorator):
    @decorator
    def named(x):
        return fg.log(x)

    assert named.__name__ == "named"
    with pytest.raises(RuntimeError, match="log: the result has an infinity"):
        named(fg.tensor(0.0))


def test_other_threads_are_watched():
    errors = []

    def work():
        try:
            fg.log(fg.tensor(0.0))
        except RuntimeError as error:
            errors.append(str(error))

    with fg.detect_anomaly():
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
    assert len(errors) == 1


def test_a_compiled_step_runs_as_written():
    step = fg.compile(lambda x: fg.log(x))
    step(fg.tensor([1.0]))
    assert step(fg.tensor([0.0])).item() == -np.inf
    with fg.detect_anomaly(), pytest.raises(RuntimeError, match="log: the result has an infinity"):
        step(fg.tensor([0.0]))
