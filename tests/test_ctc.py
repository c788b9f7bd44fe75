"""Connectionist temporal classification beyond its rows: PyTorch, infinities, what may change."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn

_NOT_THERE = "compares with PyTorch, which is not installed"


def _arguments(steps, samples, classes, most, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((steps, samples, classes)) * 2
    targets = rng.integers(1, classes, (samples, most))
    lengths = rng.integers(steps // 2, steps + 1, samples)
    return x, targets, lengths, rng.integers(0, most + 1, samples)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("zero_infinity", [False, True])
@pytest.mark.parametrize("size", [(20, 4, 6, 5), (7, 3, 20, 5), (50, 5, 9, 20)])
def test_equals_torch(size, zero_infinity, reduction, backend):
    """Also where the loss is infinite: then the gradient is NaN, or 0."""
    torch = pytest.importorskip("torch", reason=_NOT_THERE)
    fg.set_backend(backend)
    options = {"reduction": reduction, "zero_infinity": zero_infinity}
    x, *others = _arguments(*size)
    for dtype, tolerance in ((np.float32, 1e-4), (np.float64, 1e-10)):
        ours = fg.log_softmax(fg.Tensor(x.astype(dtype)), dim=-1).detach()
        theirs = torch.tensor(ours.numpy(), requires_grad=True)
        ours.requires_grad = True
        out = nn.CTCLoss(**options)(ours, *map(fg.Tensor, others))
        expected = torch.nn.CTCLoss(**options)(theirs, *map(torch.tensor, others))
        np.testing.assert_allclose(out.data, expected.detach().numpy(), rtol=tolerance)
        weights = np.random.default_rng(1).uniform(0.5, 1.5, out.shape).astype(dtype)
        out.backward(fg.Tensor(weights))
        expected.backward(torch.tensor(weights))
        np.testing.assert_allclose(
            ours.grad.data, theirs.grad.numpy(), rtol=tolerance, atol=tolerance
        )


def test_labels_in_one_row_and_lengths_as_numbers_change_nothing():
    x, targets, lengths, counts = _arguments(12, 4, 5, 4)
    log_probs = fg.log_softmax(fg.Tensor(x), dim=-1)
    row = np.concatenate([labels[:n] for labels, n in zip(targets, counts, strict=True)])
    expected = fg.ctc_loss(log_probs, *map(fg.Tensor, (targets, lengths, counts)))
    given = tuple(lengths.tolist()), counts.tolist()
    for labels in (targets, row):
        assert fg.ctc_loss(log_probs, fg.Tensor(labels), *given).item() == expected.item()


def test_a_class_of_probability_zero_has_no_part_in_the_gradient():
    """Where PyTorch's is NaN, an infinity less another."""
    with np.errstate(divide="ignore"):
        x = np.log([[[0.5, 0.5, 0.0]], [[0.5, 0.5, 0.0]]])
    log_probs = fg.Tensor(x, requires_grad=True)
    fg.ctc_loss(log_probs, fg.tensor([[1]]), (2,), (1,)).backward()
    np.testing.assert_allclose(log_probs.grad.data[:, 0], [[1 / 6, -1 / 6, 0]] * 2, atol=1e-12)


def test_a_nan_reaches_the_loss_and_its_sample_alone():
    x, targets, lengths, counts = _arguments(6, 2, 4, 2)
    x[0, 1, 0] = np.nan
    log_probs = fg.Tensor(x, requires_grad=True)
    out = fg.ctc_loss(
        log_probs, fg.Tensor(targets), fg.Tensor(lengths), fg.Tensor(counts), reduction="none"
    )
    assert np.isnan(out.data).tolist() == [False, True]
    out.sum().backward()
    assert np.isfinite(log_probs.grad.data[:, 0]).all()


def test_a_compiled_step_sees_other_lengths():
    x, targets, _, _ = _arguments(10, 3, 5, 4)
    weight = fg.ones(5, requires_grad=True)

    def step(x, targets, lengths, counts):
        weight.grad = None
        loss = fg.ctc_loss(fg.log_softmax(x * weight, dim=2), targets, lengths, counts)
        loss.backward()
        return loss, weight.grad

    compiled = fg.compile(step)
    for lengths, counts in (([10, 9, 8], [1, 2, 3]), ([4, 10, 8], [0, 4, 1]), ([8] * 3, [4] * 3)):
        arguments = [fg.Tensor(y) for y in (x.astype(np.float32), targets)]
        arguments += [fg.tensor(lengths), fg.tensor(counts)]
        for a, b in zip(compiled(*arguments), step(*arguments), strict=True):
            np.testing.assert_array_equal(a.data, b.data)
    with pytest.raises(ValueError, match="input length 11 of sample 0"):
        compiled(*arguments[:2], fg.tensor([11, 8, 8]), arguments[3])


def test_a_short_training_finds_the_labels():
    """The scores of one sequence, learned themselves, come to spell its target."""
    scores = nn.Parameter(fg.zeros(8, 1, 4))
    optimizer = fg.optim.Adam([scores], lr=0.2)
    for _ in range(60):
        optimizer.zero_grad()
        loss = nn.CTCLoss()(fg.log_softmax(scores, dim=2), fg.tensor([[2, 2, 3]]), (8,), (3,))
        loss.backward()
        optimizer.step()
    best = scores.data[:, 0].argmax(axis=1)
    spelled = [int(a) for k, a in enumerate(best) if a and (not k or best[k - 1] != a)]
    assert spelled == [2, 2, 3]
    assert loss.item() < 0.1
