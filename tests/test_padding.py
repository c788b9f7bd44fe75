"""Layers that pad, against PyTorch's."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn
from fastgrad.ops._places import grid_axis, identity_axis

torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")


@pytest.mark.parametrize("axes", [1, 2, 3])
@pytest.mark.parametrize("batched", [True, False])
@pytest.mark.parametrize("kind", ["Constant", "Zero", "Reflection", "Replication", "Circular"])
def test_as_in_torch(kind, axes, batched):
    name, more = f"{kind}Pad{axes}d", (1.5,) if kind == "Constant" else ()
    shape = (2, 3, *(5, 4, 6)[-axes:])[0 if batched else 1 :]
    x = np.random.default_rng(0).standard_normal(shape)
    for pads in (2, (2, 1, 0, 3, 1, 1)[: 2 * axes]):
        ours, theirs = (getattr(m, name)(pads, *more) for m in (nn, torch.nn))
        assert repr(ours) == repr(theirs)
        a, b = fg.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
        out, wanted = ours(a), theirs(b)
        np.testing.assert_array_equal(out.data, wanted.detach())
        weights = np.cos(np.arange(out.numel())).reshape(out.shape)
        out.backward(fg.Tensor(weights))
        wanted.backward(torch.from_numpy(weights))
        np.testing.assert_allclose(a.grad.data, b.grad, rtol=1e-12)


def test_errors_name_the_numbers():
    with pytest.raises(ValueError, match=r"ReflectionPad2d: padding is \(1, 2\); .* 4 ints"):
        nn.ReflectionPad2d((1, 2))
    with pytest.raises(ValueError, match=r"CircularPad1d: expected 2 or 3 .* \(5,\)"):
        nn.CircularPad1d(1)(fg.zeros(5))
    with pytest.raises(TypeError, match=r"ZeroPad1d: padding is 0.5; expected an int or 2 ints"):
        nn.ZeroPad1d(0.5)


@pytest.mark.parametrize("places", [[2, 0, 1], [0, 1, 2], [1, 2], [-1, 0, 2, -1], [0, 0, 1], []])
def test_the_axis_that_takes_back(places):
    axis, wanted = grid_axis(np.array(places, int), 3), np.full(3, -1)
    if places == [0, 0, 1]:
        assert axis.back() is None
        return
    for k, place in enumerate(places):
        if place >= 0:
            wanted[place] = k
    np.testing.assert_array_equal(axis.back().places, wanted)
    np.testing.assert_array_equal(identity_axis(3).back().places, range(3))
