"""Gradients of gradients of every operation that has them, generated from the rows."""

import numpy as np
import pytest
from all_rows import CASES
from op_cases import Case, Sample

import fastgrad as fg
from fastgrad import functional as F
from fastgrad.nn import BatchNorm1d, Linear, ReLU, Sequential

# Operations with a gradient that cannot be differentiated again. Shorten this, if you can.
_NOT_AGAIN = {"ctc_loss"}


def _rows():
    """Each operation's last row."""
    return [case for case in {case.name: case for case in CASES}.values() if case.gradient]


def _evaluated(x, w, b):
    mean, var = np.linspace(-1.0, 1.0, w.numel()), np.linspace(0.5, 2.0, w.numel())
    return F.batch_norm(x, fg.Tensor(mean), fg.Tensor(var), w, b)


def _fused(make, training=True):
    """A layer with a ReLU that it applies itself, of given parameters."""

    def call(x, *parameters):
        layer = make(x.shape[1]).double()
        for name, value in zip(("weight", "bias"), parameters, strict=True):
            layer._parameters[name] = value
        return Sequential(layer, ReLU()).train(training)(x)

    return call


# Cases that the rows do not have: what a layer does in other modes, and fused with a ReLU.
_MORE = (
    Case("batch_norm in evaluation", _evaluated, None,
         (Sample(((4, 3), (3,), (3,))), Sample(((2, 3, 4), (3,), (3,))))),
    Case("batch_norm, nothing learned", lambda x: F.batch_norm(x, None, None, training=True), None,
         (Sample(((4, 3),)), Sample(((3, 2, 4),)))),
    Case("batch_norm without weight",
         lambda x, b: F.batch_norm(x, None, None, None, b, training=True), None,
         (Sample(((4, 3), (3,))),)),
    Case("batch_norm and relu", _fused(BatchNorm1d), None, (Sample(((5, 3), (3,), (3,))),)),
    Case("batch_norm and relu in evaluation", _fused(BatchNorm1d, False), None,
         (Sample(((5, 3), (3,), (3,))),)),
    Case("linear and relu", _fused(lambda size: Linear(size, 2)), None,
         (Sample(((5, 3), (3, 2), (2,))),)),
)  # fmt: skip
_ROWS = (*_rows(), *_MORE)
_CALLS = [
    pytest.param(case, sample, id=f"{case.name}-{number}")
    for case in _ROWS
    if case.name not in _NOT_AGAIN
    for number, sample in enumerate(case.samples)
]


def _inputs(case, sample):
    """(positional arguments, options, those that are differentiated), in float64."""
    rng = np.random.default_rng(0)
    arrays = [case.draw(rng, x) if isinstance(x, tuple) else x for x in sample.inputs]
    arrays = [np.asarray(x) for x in arrays]
    tensors = [fg.Tensor(x.copy(), requires_grad=x.dtype.kind == "f") for x in arrays]
    options = {
        name: fg.Tensor(value) if isinstance(value, np.ndarray) else value
        for name, value in sample.options.items()
    }
    return tensors, options, [x for x in tensors if x.requires_grad]


def _first(case, tensors, options, inputs, seed, create_graph):
    out = case.call(*tensors, **options)
    return fg.grad(out, [*inputs], seed, create_graph=create_graph, allow_unused=True)


def _seed(case, tensors, options):
    """An incoming gradient for the result, itself to be differentiated."""
    out = case.call(*tensors, **options)
    weights = np.random.default_rng(1).uniform(0.5, 1.5, out.shape)
    return fg.Tensor(weights.astype(out.dtype), requires_grad=True)


def _projected(gradients):
    """The sum of all gradients' elements, each times a random number."""
    rng, total = np.random.default_rng(2), None
    for gradient in gradients:
        if gradient is not None:
            part = (gradient * fg.Tensor(rng.standard_normal(gradient.shape))).sum()
            total = part if total is None else total + part
    return total


@pytest.mark.parametrize(("case", "sample"), _CALLS)
def test_first_gradient_with_a_graph_is_the_one_without(case, sample):
    tensors, options, inputs = _inputs(case, sample)
    seed = _seed(case, tensors, options)
    plain = _first(case, tensors, options, inputs, seed, False)
    recorded = _first(case, tensors, options, inputs, seed, True)
    for a, b in zip(recorded, plain, strict=True):
        assert (a is None) == (b is None)
        if a is not None:
            assert a.dtype == b.dtype
            scale = np.max(np.abs(b.data), initial=0.0)
            np.testing.assert_allclose(a.data, b.data, rtol=1e-10, atol=1e-12 * scale)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize(("case", "sample"), _CALLS)
def test_second_gradient_equals_differences(case, sample, backend):
    """Every second derivative along a random direction, and those of the incoming gradient."""
    fg.set_backend(backend)
    tensors, options, inputs = _inputs(case, sample)
    seed = _seed(case, tensors, options)
    moved = [*inputs, seed]
    total = _projected(_first(case, tensors, options, inputs, seed, True))
    assert total is not None
    second = (
        fg.grad(total, moved, allow_unused=True) if total.requires_grad else [None] * len(moved)
    )
    rng, eps = np.random.default_rng(3), 1e-5
    for x, gradient in zip(moved, second, strict=True):
        direction, values = rng.standard_normal(x.shape), x.data
        ends = []
        for step in (eps, -eps):
            x.data = np.asarray(values + step * direction)
            ends.append(_projected(_first(case, tensors, options, inputs, seed, False)).item())
        x.data = values
        expected = (ends[0] - ends[1]) / (2 * eps)
        actual = 0.0 if gradient is None else float((gradient.data * direction).sum())
        scale = max(1.0, abs(ends[0]))
        assert actual == pytest.approx(expected, rel=2e-5, abs=2e-7 * scale)


@pytest.mark.parametrize("case", [case for case in _ROWS if case.name in _NOT_AGAIN])
def test_what_has_none_says_so(case):
    tensors, options, inputs = _inputs(case, case.samples[0])
    seed = _seed(case, tensors, options)
    with pytest.raises(RuntimeError, match=f"{case.name}: its gradient cannot be differentiated"):
        _first(case, tensors, options, inputs, seed, True)


def test_every_operation_is_differentiated_again_or_listed():
    assert {case.name for case in _ROWS} >= _NOT_AGAIN
