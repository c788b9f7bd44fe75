"""LBFGS and NewtonCG: against PyTorch, and on functions whose minimum is known."""

import copy
import math
import pickle

import numpy as np
import pytest

import fastgrad as fg
from fastgrad.optim import LBFGS, NewtonCG
from fastgrad.optim.line_search import Point, backtrack, strong_wolfe


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")


def _rosenbrock(x):
    left, right = x[:-1], x[1:]
    return (100 * (right - left * left) ** 2 + (1 - left) ** 2).sum()


def _closure(optimizer, loss):
    """What LBFGS wants: it calls backward."""

    def closure():
        optimizer.zero_grad()
        value = loss()
        value.backward()
        return value

    return closure


def _run(optimizer, loss, steps=1):
    newton = isinstance(optimizer, NewtonCG)
    closure = loss if newton else _closure(optimizer, loss)
    return [optimizer.step(closure).item() for _ in range(steps)]


# ------------------------------------------------------------------ LBFGS against PyTorch

_RNG = np.random.default_rng(0)
_X, _Y = _RNG.standard_normal((40, 6)), _RNG.standard_normal((40, 3))
_WEIGHTS = [_RNG.standard_normal(shape) / 2 for shape in ((6, 5), (5,), (5, 3), (3,))]


def _network(module, dtype):
    """(parameters, loss) of a small network, of either library."""
    x, y = (module.tensor(a.astype(dtype)) for a in (_X, _Y))
    ws = [module.tensor(w.astype(dtype), requires_grad=True) for w in _WEIGHTS]

    def loss():
        hidden = (x @ ws[0] + ws[1]).tanh()
        return ((hidden @ ws[2] + ws[3] - y) ** 2).mean()

    return ws, loss


_OPTIONS = [
    {"lr": 0.3},
    {"lr": 0.3, "max_iter": 4, "history_size": 3},
    {"line_search_fn": "strong_wolfe"},
    {"line_search_fn": "strong_wolfe", "max_iter": 5, "history_size": 4, "lr": 0.7},
    {"line_search_fn": "strong_wolfe", "max_eval": 7, "lr": 20.0},
    {"line_search_fn": "strong_wolfe", "tolerance_change": 1e-2},
    {"tolerance_grad": 1e-2, "lr": 0.5},
]


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("options", _OPTIONS)
def test_lbfgs_goes_pytorchs_way(torch, options, dtype):
    ours, our_loss = _network(fg, dtype)
    theirs, their_loss = _network(torch, dtype)
    optimizer, other = LBFGS(ours, **options), torch.optim.LBFGS(theirs, **options)
    tolerance = 1e-7 if dtype == "float64" else 2e-2
    for _ in range(3):
        loss, theirs_loss = _run(optimizer, our_loss), _run(other, their_loss)
        assert loss == pytest.approx(theirs_loss, rel=tolerance)
    state, their_state = optimizer.state[ours[0]], other.state[theirs[0]]
    if dtype == "float64":
        for w, v in zip(ours, theirs, strict=True):
            np.testing.assert_allclose(w.detach(), v.detach(), rtol=tolerance, atol=tolerance)
        assert state["n_iter"] == their_state["n_iter"]
        assert state["func_evals"] == their_state["func_evals"]


def test_lbfgs_defaults_are_pytorchs(torch):
    assert LBFGS([fg.ones(1)]).defaults == torch.optim.LBFGS([torch.ones(1)]).defaults


# ------------------------------------------------------------------ minima

_TIGHT = {"max_iter": 300, "tolerance_change": 0, "tolerance_grad": 1e-10}
_METHODS = {
    "lbfgs": lambda x: LBFGS(x, line_search_fn="strong_wolfe", **_TIGHT),
    "newton": lambda x: NewtonCG(x, **_TIGHT),
    "newton, backtracking": lambda x: NewtonCG(x, line_search_fn="backtracking", **_TIGHT),
}


@pytest.mark.parametrize("n", [2, 10])
@pytest.mark.parametrize("method", _METHODS)
def test_rosenbrock(method, n):
    start = [-1.2, 1.0] if n == 2 else np.linspace(0, 3, n)  # -1.2, 1, ... leads elsewhere
    x = fg.tensor(start, dtype=fg.float64, requires_grad=True)
    optimizer = _METHODS[method]([x])
    for _ in range(3):
        _run(optimizer, lambda: _rosenbrock(x))
    np.testing.assert_allclose(x.detach(), np.ones(n), atol=1e-8)


def _quadratic(dtype=np.float64):
    rng = np.random.default_rng(1)
    a = rng.standard_normal((12, 12))
    a, b = a @ a.T + np.eye(12), rng.standard_normal(12)
    solution = np.linalg.solve(a, b)
    return fg.tensor(a.astype(dtype)), fg.tensor(b.astype(dtype)), solution


@pytest.mark.parametrize("method", _METHODS)
def test_a_quadratic_in_several_parameters(method):
    a, b, solution = _quadratic()
    x, y = (fg.zeros(n, dtype=fg.float64, requires_grad=True) for n in (5, 7))

    def loss():
        z = fg.cat([x, y])
        return (z @ (a @ z)) / 2 - b @ z

    optimizer = _METHODS[method]([x, y])
    for _ in range(3):
        _run(optimizer, loss)
    np.testing.assert_allclose(fg.cat([x, y]).detach(), solution, atol=1e-6)


def test_newton_takes_few_steps_for_a_quadratic_in_float32():
    a, b, solution = _quadratic(np.float32)
    x = fg.zeros(12, requires_grad=True)
    optimizer = NewtonCG([x], tolerance_grad=1e-4)
    _run(optimizer, lambda: (x @ (a @ x)) / 2 - b @ x)
    np.testing.assert_allclose(x.detach(), solution, atol=1e-3)
    assert optimizer.state[x]["n_iter"] <= 8


@pytest.mark.parametrize("search", NewtonCG.searches)
def test_newton_leaves_a_region_of_negative_curvature(search):
    """x⁴ / 4 - x² / 2 + y² curves down around 0; its minima are at x = ±1."""
    z = fg.tensor([0.1, 0.7], dtype=fg.float64, requires_grad=True)
    optimizer = NewtonCG([z], max_iter=50, line_search_fn=search)
    _run(optimizer, lambda: z[0] ** 4 / 4 - z[0] ** 2 / 2 + z[1] ** 2)
    np.testing.assert_allclose(z.detach(), [1, 0], atol=1e-6)


@pytest.mark.parametrize("search", NewtonCG.searches)
def test_newton_trains_a_network_to_a_minimum(search):
    ws, loss = _network(fg, "float64")
    optimizer = NewtonCG(ws, max_iter=300, line_search_fn=search, tolerance_change=0)
    before = _run(optimizer, loss)[0]
    assert loss().item() < before / 5
    assert max(np.abs(w.grad).max() for w in ws) < 1e-3


def test_a_parameter_without_influence_stays():
    x, idle = fg.zeros(2, requires_grad=True), fg.ones(3, requires_grad=True)
    for method in _METHODS.values():
        optimizer = method([x, idle])
        _run(optimizer, lambda: ((x - 3) ** 2).sum())
        assert x.tolist() == pytest.approx([3, 3])
        assert idle.tolist() == [1, 1, 1]
        x.data[...] = 0


def test_a_linear_loss_has_no_curvature():
    x = fg.zeros(1, dtype=fg.float64, requires_grad=True)
    _run(NewtonCG([x], max_iter=1, line_search_fn="backtracking"), lambda: (2 * x).sum())
    assert x.item() == -2


@pytest.mark.parametrize("method", _METHODS)
def test_at_the_minimum_nothing_moves(method):
    x = fg.zeros(3, requires_grad=True)
    assert _run(_METHODS[method]([x]), lambda: (x * x).sum()) == [0]
    assert x.tolist() == [0, 0, 0]


# ------------------------------------------------------------------ line searches


def _line(f, slope):
    return lambda t: Point(t, f(t), None, slope(t))


_LINES = {
    "parabola": (lambda t: (t - 3) ** 2, lambda t: 2 * (t - 3)),
    "far away": (lambda t: (t / 1000 - 3) ** 2, lambda t: (t / 1000 - 3) / 500),
    "wall": (lambda t: math.exp(5 * t) - 20 * t, lambda t: 5 * math.exp(5 * t) - 20),
    "wave": (lambda t: math.cos(t) - 0.01 * t - 0.1 * t, lambda t: -math.sin(t) - 0.11),
    "no number": (
        lambda t: -math.sqrt(1 - t) - t if t <= 1 else math.nan,
        lambda t: 0.5 / math.sqrt(1 - t) - 1 if t < 1 else math.nan,
    ),
}


@pytest.mark.parametrize("first", [1e-3, 0.5, 2.0, 40.0])
@pytest.mark.parametrize("name", _LINES)
def test_strong_wolfe_conditions(name, first):
    evaluate = _line(*_LINES[name])
    start = evaluate(0.0)
    point, evaluations = strong_wolfe(evaluate, start, first, 1.0)
    assert point.loss <= start.loss + 1e-4 * point.t * start.slope
    assert abs(point.slope) <= 0.9 * abs(start.slope)
    assert evaluations <= 25


def test_backtracking():
    evaluate = _line(*_LINES["wall"])
    point, evaluations = backtrack(evaluate, evaluate(0.0), 8.0)
    assert (point.t, evaluations) == (0.25, 6)
    uphill = _line(lambda t: t, lambda t: -1.0)  # a slope that is not the function's
    assert backtrack(uphill, uphill(0.0), 1.0)[0].t == 0


# ------------------------------------------------------------------ state and errors


def test_state_goes_on_to_the_same_bits():
    ws, loss = _network(fg, "float64")
    optimizer = LBFGS(ws, line_search_fn="strong_wolfe", max_iter=4)
    _run(optimizer, loss, 2)
    vs, other_loss = _network(fg, "float64")
    for v, w in zip(vs, ws, strict=True):
        v.data[...] = w.data
    other = LBFGS(vs)
    other.load_state_dict(pickle.loads(pickle.dumps(optimizer.state_dict())))
    assert _run(other, other_loss, 2) == _run(optimizer, loss, 2)
    state = optimizer.state_dict()
    state["state"][0]["d"] = np.zeros(3)
    with pytest.raises(ValueError, match=r"LBFGS: state 'd' has shape \(3,\), expected \(53,\)"):
        other.load_state_dict(state)


def test_newton_s_counts_are_state():
    ws, loss = _network(fg, "float64")
    optimizer = copy.deepcopy(NewtonCG(ws, max_iter=2))
    assert optimizer._params[0] is optimizer.param_groups[0]["params"][0]
    optimizer = NewtonCG(ws, max_iter=2)
    _run(optimizer, loss)
    other = NewtonCG(ws)
    other.load_state_dict(optimizer.state_dict())
    assert other.state[ws[0]] == optimizer.state[ws[0]]
    assert other.state[ws[0]]["n_iter"] == 2


_WRONG = {
    "groups": (
        lambda w: LBFGS([{"params": w}, {"params": fg.ones(1)}]),
        ValueError,
        "LBFGS: expected one group of parameters",
    ),
    "search": (
        lambda w: NewtonCG(w, line_search_fn="none"),
        ValueError,
        "NewtonCG: line_search_fn = 'none'; expected 'strong_wolfe' or 'backtracking'",
    ),
    "rate": (lambda w: LBFGS(w, lr=-1), ValueError, "LBFGS: lr = -1"),
    "iterations": (lambda w: NewtonCG(w, max_cg_iter=0), ValueError, "max_cg_iter = 0"),
    "no closure": (lambda w: LBFGS(w).step(), TypeError, "LBFGS: step wants a closure"),
    "backward": (
        lambda w: (lambda o: o.step(_closure(o, lambda: (w * w).sum())))(NewtonCG(w)),
        RuntimeError,
        "NewtonCG: the loss cannot be differentiated .* without calling backward",
    ),
}


@pytest.mark.parametrize("name", _WRONG)
def test_what_is_refused(name):
    call, exception, message = _WRONG[name]
    with pytest.raises(exception, match=message):
        call(fg.ones(2, requires_grad=True))


@pytest.mark.parametrize("kind", [LBFGS, NewtonCG])
def test_not_in_a_compiled_step(kind):
    w = fg.ones(2, requires_grad=True)
    optimizer = kind([w])

    @fg.compile
    def step(x):
        optimizer.step(lambda: (w * x).sum())

    if fg.get_backend() != "numba":
        pytest.skip("nothing is recorded")
    with pytest.raises(fg.Unrecordable, match=f"{kind.__name__} calls its closure as often"):
        step(fg.ones(2))
