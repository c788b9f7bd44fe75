"""The whole user story in a few seconds: if this fails, nothing else needs looking at."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn
from fastgrad.data import DataLoader, TensorDataset

pytestmark = pytest.mark.parametrize("backend", ["numba", "numpy"])


@pytest.fixture(autouse=True)
def _on_backend(backend):
    fg.set_backend(backend)


def _spirals(count=120):
    """Three arms of a spiral: classes that no straight line separates."""
    rng = np.random.default_rng(0)
    labels = np.arange(count) % 3
    radius = rng.uniform(0.1, 1.0, count)
    angle = 4 * radius + labels * (2 * np.pi / 3) + rng.normal(0, 0.05, count)
    points = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    return points.astype(np.float32), labels


def test_arithmetic_and_backward():
    x = fg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = ((x @ x.T + 1) * 0.5).mean()
    assert y.item() == pytest.approx(((x.tolist() @ np.transpose(x.tolist()) + 1) / 2).mean())
    y.backward()
    np.testing.assert_allclose(x.grad, [[1.0, 1.5], [1.0, 1.5]])


def test_a_line_is_found_by_hand_written_steps():
    x = fg.tensor(np.linspace(-1, 1, 20, dtype=np.float32))
    target = 3 * x - 0.5
    slope, offset = fg.tensor(0.0, requires_grad=True), fg.tensor(0.0, requires_grad=True)
    for _ in range(200):
        loss = fg.mse_loss(slope * x + offset, target)
        loss.backward()
        with fg.no_grad():
            for parameter in (slope, offset):
                parameter -= 0.3 * parameter.grad
                parameter.grad = None
    assert slope.item() == pytest.approx(3.0, abs=1e-3)
    assert offset.item() == pytest.approx(-0.5, abs=1e-3)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: fg.optim.SGD(p, lr=0.3, momentum=0.9),
        lambda p: fg.optim.Adam(p, lr=0.02),
        lambda p: fg.optim.AdamW(p, lr=0.02),
    ],
    ids=["SGD", "Adam", "AdamW"],
)
def test_a_network_learns(optimizer):
    points, labels = _spirals()
    loader = DataLoader(TensorDataset(points, labels), batch_size=30, shuffle=True, seed=0)
    model = nn.Sequential(nn.Linear(2, 32), nn.Tanh(), nn.Linear(32, 3))
    criterion, optimizer = nn.CrossEntropyLoss(), optimizer(model.parameters())
    losses = []
    for _ in range(80):
        for x, y in loader:
            optimizer.zero_grad()
            loss = criterion(model(x), y)
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[0] > 0.9
    assert np.mean(losses[-4:]) < 0.3
    with fg.no_grad():
        guesses = model(fg.tensor(points)).argmax(dim=1)
    assert (guesses.numpy() == labels).mean() > 0.93


def test_every_layer_trains_saves_and_evaluates(tmp_path):
    points, labels = _spirals()

    def build():
        return nn.Sequential(
            nn.Flatten(), nn.Linear(2, 16), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1),
            nn.Linear(16, 8), nn.Sigmoid(), nn.Linear(8, 3), nn.LogSoftmax(dim=1),
        )  # fmt: skip

    model, x, y = build(), fg.tensor(points), fg.tensor(labels)
    optimizer = fg.optim.Adam(model.parameters(), lr=0.02)
    first = last = None
    for _ in range(60):
        loss = nn.NLLLoss()(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        first, last = first or loss.item(), loss.item()
    assert last < 0.6 * first

    np.savez(tmp_path / "model.npz", **{k: v.numpy() for k, v in model.state_dict().items()})
    twin = build().eval()
    with np.load(tmp_path / "model.npz") as saved:
        twin.load_state_dict(saved)
    expected = model.eval()(x)
    assert np.array_equal(twin(x).detach().numpy(), expected.detach().numpy())
    assert not np.array_equal(model.train()(x).detach().numpy(), expected.detach().numpy())


def test_what_users_get_wrong_is_said_clearly():
    with pytest.raises(ValueError, match=r"matmul: inner sizes differ: \(2, 3\) @ \(2, 3\)"):
        fg.ones(2, 3) @ fg.ones(2, 3)
    with pytest.raises(RuntimeError, match=r"backward: a tensor of shape \(2,\) has no single"):
        fg.ones(2, requires_grad=True).backward()
    with pytest.raises(IndexError, match="label 3 at position 0 is out of range"):
        nn.CrossEntropyLoss()(fg.ones(1, 3), fg.tensor([3]))
