"""Random numbers: moments and quantiles, within bounds that a wrong formula does not keep."""

import math

import numpy as np
import pytest

import fastgrad as fg

_COUNT = 200_000
_Z = 4.5  # standard errors; of a right formula one run in 150,000 is outside, and seeds are fixed


def _filled(name, *arguments, dtype=np.float64, count=_COUNT):
    fg.manual_seed(11)
    x = fg.zeros(count, dtype=dtype)
    assert getattr(x, f"{name}_")(*arguments) is x
    return x.numpy()


def _assert_share(x, bound, share):
    """About the right share of numbers is at most ``bound``."""
    error = math.sqrt(share * (1 - share) / x.size)
    assert abs((x <= bound).mean() - share) < _Z * error


def _normal(x):
    return 0.5 * math.erfc(-x / math.sqrt(2))


_CONTINUOUS = {  # (arguments, distribution function)
    "uniform": ((-1.0, 3.0), lambda x: (x + 1) / 4),
    "normal": ((1.0, 2.0), lambda x: _normal((x - 1) / 2)),
    "log_normal": ((0.5, 0.75), lambda x: _normal((math.log(x) - 0.5) / 0.75)),
    "exponential": ((2.5,), lambda x: 1 - math.exp(-2.5 * x)),
    "cauchy": ((1.0, 2.0), lambda x: 0.5 + math.atan((x - 1) / 2) / math.pi),
}
_POINTS = {"uniform": (-0.9, 0.0, 2.0, 2.99), "normal": (-5.0, -1.0, 1.0, 2.5, 7.0),
           "log_normal": (0.3, 1.0, 2.0, 10.0), "exponential": (0.001, 0.1, 0.5, 2.0),
           "cauchy": (-100.0, -1.0, 1.0, 2.0, 50.0)}  # fmt: skip
_MOMENTS = {"uniform": (1.0, 16 / 12), "normal": (1.0, 4.0), "exponential": (0.4, 0.16),
            "log_normal": (math.exp(0.5 + 0.75**2 / 2),
                           (math.exp(0.75**2) - 1) * math.exp(1 + 0.75**2))}  # fmt: skip


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", _CONTINUOUS)
def test_shares_below_points(name, dtype):
    arguments, below = _CONTINUOUS[name]
    x = _filled(name, *arguments, dtype=dtype)
    assert x.dtype == dtype
    assert np.isfinite(x).all()
    for point in _POINTS[name]:
        _assert_share(x, point, below(point))
    if name in _MOMENTS:
        mean, variance = _MOMENTS[name]
        assert abs(x.mean(dtype=np.float64) - mean) < _Z * math.sqrt(variance / _COUNT)
        if name != "log_normal":
            assert x.var(dtype=np.float64) == pytest.approx(variance, rel=0.03)
    # neighbours know nothing of each other: of ranks, so that it holds of Cauchy's, too
    ranks = np.argsort(np.argsort(x)) / _COUNT - 0.5
    for gap in (1, 2, 3):
        assert abs((ranks[gap:] * ranks[:-gap]).mean() * 12) < _Z / math.sqrt(_COUNT)


def test_geometric_and_bernoulli():
    for dtype in (np.float32, np.int64):
        x = _filled("geometric", 0.3, dtype=dtype)
        assert x.min() == 1
        for k in (1, 2, 5, 10):
            _assert_share(x, k, 1 - 0.7**k)
    for p in (0.0, 0.3, 1.0):
        x = _filled("bernoulli", p, dtype=np.int64)
        assert set(x.tolist()) <= {0, 1}
        assert abs(x.mean() - p) <= _Z * math.sqrt(p * (1 - p) / _COUNT)
    each = np.linspace(0.1, 0.9, 5)
    x = fg.zeros(_COUNT // 5, 5).bernoulli_(fg.Tensor(each)).numpy()
    error = np.sqrt(each * (1 - each) * 5 / _COUNT)
    assert (abs(x.mean(axis=0) - each) < _Z * error).all()


@pytest.mark.parametrize("rate", [0.0, 0.01, 0.7, 9.9, 10.1, 40.0, 5000.0])
def test_poisson(rate):
    fg.manual_seed(11)
    x = fg.poisson(fg.full((_COUNT,), rate, dtype=np.float64)).numpy()
    assert (x == np.floor(x)).all()
    error = math.sqrt(rate / _COUNT)
    assert abs(x.mean() - rate) <= _Z * error
    assert x.var() == pytest.approx(rate, rel=0.02 if rate > 0.1 else 0.1)
    if 0 < rate < 100:
        below = 0.0
        for k in range(int(rate + 4 * math.sqrt(rate)) + 1):
            below += math.exp(k * math.log(rate) - rate - math.lgamma(k + 1))
            if 0.001 < below < 0.999:
                _assert_share(x, k, below)


def test_random_integers():
    x = _filled("random", 2, 7, dtype=np.int32)
    values, counts = np.unique(x, return_counts=True)
    assert values.tolist() == [2, 3, 4, 5, 6]
    assert (abs(counts - _COUNT / 5) < _Z * math.sqrt(_COUNT * 0.16)).all()
    assert set(_filled("random", 3, count=100).tolist()) == {0.0, 1.0, 2.0}
    for dtype, most in ((np.uint8, 255), (np.int32, 2**31 - 1), (np.int64, 2**63 - 1),
                        (np.float32, 2**24), (np.float64, 2**53), (np.bool_, 1)):  # fmt: skip
        x = _filled("random", dtype=dtype)
        assert x.min() >= 0
        assert 0.9 * most < x.max() <= most
        _assert_share(x, most // 2, 0.5)


@pytest.mark.parametrize("replacement", [False, True])
def test_multinomial(replacement):
    weights = np.array([3.0, 0.0, 1.0, 4.0, 2.0])
    fg.manual_seed(11)
    rows = fg.Tensor(np.tile(weights, (_COUNT // 4, 1)))
    x = fg.multinomial(rows, 3, replacement).numpy()
    p = weights / weights.sum()
    first = np.bincount(x[:, 0], minlength=5) / len(x)
    assert (abs(first - p) <= _Z * np.sqrt(p * (1 - p) / len(x))).all()
    assert (np.bincount(x.ravel(), minlength=5) > 0).tolist() == (weights > 0).tolist()
    again = (x[:, 0] == x[:, 1]).mean()
    expected = (p**2).sum() if replacement else 0.0
    assert abs(again - expected) <= _Z * math.sqrt(expected * (1 - expected) / len(x))
    after = x[x[:, 0] == 3, 1]  # of those left, in proportion
    share = p[0] if replacement else p[0] / (1 - p[3])
    assert abs((after == 0).mean() - share) < _Z * math.sqrt(share * (1 - share) / after.size)


def _all_kinds(x, p):
    return [
        fg.bernoulli(p), fg.poisson(p * 20), fg.normal(p, 0.5), fg.multinomial(p + 0.1, 2),
        *(getattr(fg.zeros_like(x), f"{name}_")(*arguments)
          for name, (arguments, _) in _CONTINUOUS.items()),
        fg.zeros_like(x).geometric_(0.5), fg.zeros_like(x).random_(100),
        fg.zeros_like(x).bernoulli_(0.5),
    ]  # fmt: skip


def test_a_compiled_step_draws_anew_and_the_same_as_an_eager_one():
    x, p = fg.zeros(300), fg.Tensor(np.linspace(0, 1, 300).astype(np.float32))
    step = fg.compile(_all_kinds)
    fg.manual_seed(5)
    replays = [[y.numpy() for y in step(x, p)] for _ in range(3)]
    fg.manual_seed(5)
    for drawn in replays:
        for a, b in zip(drawn, _all_kinds(x, p), strict=True):
            np.testing.assert_array_equal(a, b.numpy())
    for first, second in zip(*replays[1:], strict=True):
        assert (first != second).any()


@pytest.mark.usefixtures("always_threaded")
def test_threads_change_no_bit():
    p = fg.Tensor(np.linspace(0, 1, 3001))
    runs = []
    for threads in (2, 1):
        fg.set_num_threads(threads)
        fg.manual_seed(5)
        runs.append([y.numpy().tobytes() for y in _all_kinds(p, p)])
    assert runs[0] == runs[1]


def test_gradients_are_zero_and_the_graph_is_left_alone():
    p = fg.Tensor(np.linspace(0.1, 0.9, 5), requires_grad=True)
    for out in (fg.bernoulli(p), fg.poisson(p), fg.normal(p, p)):
        (grad,) = fg.grad(out.sum(), p)
        assert grad.tolist() == [0.0] * 5
    with pytest.raises(RuntimeError, match="normal_: a leaf that requires grad"):
        p.normal_()
    with pytest.raises(RuntimeError, match="exponential_: expected a tensor outside the graph"):
        (p * 2).exponential_()
    with fg.no_grad():
        before = p._version[0]
        p.uniform_()
    assert p._version[0] == before + 1


@pytest.mark.parametrize(
    ("draw", "error", "message"),
    [
        (lambda x: x.uniform_(1.0, 0.0), ValueError, "uniform_: expected from_ <= to"),
        (lambda x: x.normal_(0.0, -1.0), ValueError, "normal_: expected std >= 0, got -1.0"),
        (lambda x: x.log_normal_(0.0, 0.0), ValueError, "log_normal_: expected std > 0"),
        (lambda x: x.exponential_(0.0), ValueError, "exponential_: expected lambd > 0"),
        (lambda x: x.cauchy_(0.0, 0.0), ValueError, "cauchy_: expected sigma > 0"),
        (lambda x: x.geometric_(1.0), ValueError, "geometric_: expected 0 < p < 1, got 1.0"),
        (lambda x: x.bernoulli_(1.5), ValueError, "bernoulli: 1.5 at position 0"),
        (lambda x: x.bernoulli_(fg.zeros(4)), ValueError, r"\(4,\) do not broadcast to \(3,\)"),
        (lambda x: x.random_(3, 3), ValueError, "random_: expected from_ < to"),
        (lambda x: x.byte().random_(0, 300), ValueError, "bounds that uint8 has"),
        (lambda x: x.long().normal_(), TypeError, "normal_: expected a float tensor, got int64"),
        (lambda x: fg.normal(0.0, 1.0), TypeError, "expected a tensor, or numbers and a size"),
        (lambda x: fg.normal(x, -1.0), ValueError, "normal: expected std >= 0"),
        (lambda x: fg.normal(x, x - 1.0), ValueError, "normal: -1.0 at position 0 is not from 0"),
    ],
)
def test_what_is_no_distribution_is_refused_and_changes_nothing(draw, error, message):
    x = fg.zeros(3)
    fg.manual_seed(1)
    before = fg.random.default.counter.copy()
    with pytest.raises(error, match=message):
        draw(x)
    assert x.tolist() == [0.0] * 3
    np.testing.assert_array_equal(fg.random.default.counter, before)
