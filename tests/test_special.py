"""The incomplete gamma functions beyond their rows: closed forms, limits, what is refused."""

import math

import numpy as np
import pytest

import fastgrad as fg

_ENDS = [(0.0, 0.0), (0.0, 1.0), (1.0, 0.0), (math.inf, 1.0), (1.0, math.inf),
         (math.inf, math.inf), (-1.0, 1.0), (1.0, -1.0), (math.nan, 1.0)]  # fmt: skip


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_of_whole_numbers_they_are_sums(backend):
    """``Q(n, x) = e⁻ˣ Σ xᵏ / k!`` over k < n, on both sides of where the method changes."""
    fg.set_backend(backend)
    x = np.array([0.01, 0.5, 2.0, 7.9, 8.0, 9.1, 20.0, 60.0])
    for n in (1, 2, 8, 30):
        terms = np.array([np.exp(k * np.log(x) - x - math.lgamma(k + 1)) for k in range(300)])
        a = fg.Tensor(np.full(x.shape, float(n)))
        lower, upper = fg.igamma(a, fg.Tensor(x)).data, fg.igammac(a, fg.Tensor(x)).data
        np.testing.assert_allclose(upper, terms[:n].sum(axis=0), rtol=1e-12)
        np.testing.assert_allclose(lower, terms[n:].sum(axis=0), rtol=1e-12, atol=1e-13)


def test_limits_and_large_numbers_are_as_in_torch():
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    a, x = np.array([*_ENDS, (0.3, 0.2), (1e3, 990.0), (1e5, 1e5), (5.5, 30.0)]).T.copy()
    for name in ("igamma", "igammac"):
        b = torch.tensor(x, requires_grad=True)
        y = fg.Tensor(x.copy(), requires_grad=True)
        out, expected = getattr(fg, name)(fg.Tensor(a), y), getattr(torch, name)(torch.tensor(a), b)
        np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=1e-9, atol=1e-11)
        out[9:].sum().backward()
        expected[9:].sum().backward()
        np.testing.assert_allclose(y.grad.data[9:], b.grad.numpy()[9:], rtol=1e-9)


def test_there_is_no_derivative_for_the_first_operand():
    a = fg.tensor([1.5], requires_grad=True)
    with pytest.raises(NotImplementedError, match="igamma: the derivative for its first operand"):
        fg.igamma(a, fg.tensor([2.0])).sum().backward()
