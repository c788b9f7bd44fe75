"""Ensembles, snapshots along a run, several heads and their losses."""

import math

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import nn, optim
from fastgrad.data import DataLoader, TensorDataset, datasets
from fastgrad.ensemble import Ensemble, Snapshots, train_ensemble
from fastgrad.nn import MultiHead, MultiTaskLoss
from fastgrad.training import evaluate, fit


def _network():
    return nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 10))


def _softmax(x):
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


# ------------------------------------------------------------------ ensembles


def test_averages():
    members = [nn.Linear(3, 4) for _ in range(5)]
    x = np.random.default_rng(0).normal(size=(7, 3)).astype(np.float32)
    outputs = np.array([member(fg.tensor(x)).detach().numpy() for member in members])
    mean = np.mean([_softmax(scores) for scores in outputs], axis=0)
    by_probability, by_output = Ensemble(members), Ensemble(members, average="outputs")
    np.testing.assert_allclose(by_probability.predict_proba(x), mean, rtol=1e-5)
    np.testing.assert_allclose(by_probability(fg.tensor(x)).detach().numpy(), np.log(mean),
                               rtol=1e-4, atol=1e-6)  # fmt: skip
    np.testing.assert_array_equal(by_probability.predict(x), mean.argmax(axis=1))
    np.testing.assert_allclose(by_output.predict(x), outputs.mean(axis=0), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(by_output.predict_proba(x), _softmax(outputs.mean(axis=0)), 1e-5)
    np.testing.assert_array_equal(by_probability.predict(x, batch_size=2), mean.argmax(axis=1))
    assert by_probability.predict(x[:0]).shape == (0,)


def test_prediction_is_in_evaluation_mode_and_leaves_modes():
    ensemble = Ensemble([nn.Sequential(nn.Dropout(0.9), nn.Linear(3, 2)) for _ in range(2)])
    ensemble.members[1].eval()
    x = np.ones((4, 3), np.float32)
    first = ensemble.predict_proba(x)
    np.testing.assert_array_equal(ensemble.predict_proba(x), first)
    assert [member.training for member in ensemble.members] == [True, False]
    assert ensemble.training


def test_gradients_reach_the_members():
    ensemble = Ensemble([nn.Linear(3, 2) for _ in range(3)])
    nn.CrossEntropyLoss()(ensemble(fg.ones(4, 3)), fg.tensor([0, 1, 1, 0])).backward()
    assert all(member.weight.grad is not None for member in ensemble.members)


def test_members_from_seeds_and_their_file(tmp_path):
    x_train, y_train, x_test, y_test = datasets.digits()
    seen = []

    def train(member, seed):
        seen.append((seed, member[0].weight.tolist()))
        loader = DataLoader(TensorDataset(x_train, y_train), 64, shuffle=True, seed=seed)
        optimizer = optim.Adam(member.parameters(), lr=0.003)
        fit(member, nn.CrossEntropyLoss(), optimizer, loader, epochs=3, progress=False)

    fg.manual_seed(11)
    before = fg.rand(3).tolist()
    fg.manual_seed(11)
    ensemble = train_ensemble(_network, train, seeds=[1, 2, 3])
    assert fg.rand(3).tolist() == before
    fg.manual_seed(2)
    assert seen[1] == (2, _network()[0].weight.tolist())
    scores = [Ensemble([member]).score(x_test, y_test) for member in ensemble.members]
    assert ensemble.score(x_test, y_test) >= np.mean(scores)
    loader = DataLoader(TensorDataset(x_test, y_test), 100)
    measured = evaluate(ensemble, nn.CrossEntropyLoss(), loader)
    assert math.isclose(measured.accuracy, ensemble.score(x_test, y_test))
    proba = ensemble.predict_proba(x_test)
    expected = -np.log(proba[np.arange(len(y_test)), y_test]).mean()
    assert math.isclose(measured.loss, expected, rel_tol=1e-4)
    ensemble.save(tmp_path / "three.safetensors")
    again = Ensemble.load(tmp_path / "three.safetensors", _network)
    assert len(again) == 3
    np.testing.assert_array_equal(again.predict_proba(x_test), proba)


def test_ensembles_that_are_refused(tmp_path):
    with pytest.raises(ValueError, match="Ensemble: no members"):
        Ensemble([])
    with pytest.raises(ValueError, match="average is 'median'"):
        Ensemble([nn.ReLU()], "median")
    with pytest.raises(TypeError, match="member 0 is int"):
        Ensemble([3])
    with pytest.raises(ValueError, match=r"seeds are \[1, 1\]; expected different ones"):
        train_ensemble(_network, print, [1, 1])
    fg.save({"weight": fg.ones(2)}, tmp_path / "one")
    with pytest.raises(ValueError, match="has no members"):
        Ensemble.load(tmp_path / "one", _network)
    state = fg.random.default.counter.copy()
    with pytest.raises(ZeroDivisionError):
        train_ensemble(_network, lambda member, seed: 1 / 0, [1])
    np.testing.assert_array_equal(fg.random.default.counter, state)


# ------------------------------------------------------------------ snapshots


def test_snapshots_follow_the_papers_schedule():
    model = nn.Linear(2, 2)
    groups = [{"params": [model.weight]}, {"params": [model.bias], "lr": 1.0}]
    optimizer = optim.SGD(groups, lr=0.1)
    snapshots, rates, values = Snapshots(model, optimizer, steps=10, cycles=3), [], []
    for step in range(10):
        rates.append([group["lr"] for group in optimizer.param_groups])
        nn.init.constant_(model.weight, float(step))
        snapshots.step()
    length = math.ceil(10 / 3)
    expected = [(math.cos(math.pi * (t % length) / length) + 1) / 2 for t in range(10)]
    np.testing.assert_allclose(np.array(rates), np.outer(expected, [0.1, 1.0]))
    values = [member.weight[0, 0].item() for member in snapshots.ensemble().members]
    assert values == [3, 7, 9]
    last = snapshots.ensemble(last=2, average="outputs")
    assert [member.weight[0, 0].item() for member in last.members] == [7, 9]
    with pytest.raises(ValueError, match="last is 4; expected 1 to 3"):
        snapshots.ensemble(last=4)
    with pytest.raises(ValueError, match="cycles is 3, steps 2"):
        Snapshots(model, optimizer, steps=2, cycles=3)


def test_snapshots_in_fit():
    x, y, *_ = datasets.digits()
    loader = DataLoader(TensorDataset(x, y), 64, shuffle=True, seed=0)
    model = _network()
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    snapshots = Snapshots(model, optimizer, steps=4, cycles=2)
    fit(model, nn.CrossEntropyLoss(), optimizer, loader, epochs=4, on_epoch=snapshots)
    first, second = snapshots.ensemble().members
    assert (first[0].weight != second[0].weight).any()
    assert (second[0].weight == model[0].weight).all()
    assert snapshots.ensemble().score(x, y) > 0.9


# ------------------------------------------------------------------ several tasks


def test_heads_by_name_and_by_position():
    trunk, a, b = nn.Linear(3, 4), nn.Linear(4, 2), nn.Linear(4, 5)
    x = fg.ones(6, 3)
    named, listed = MultiHead(trunk, {"a": a, "b": b}), MultiHead(trunk, [a, b])
    outputs = named(x)
    assert list(outputs) == ["a", "b"]
    for output, other, head in zip(outputs.values(), listed(x), (a, b), strict=True):
        np.testing.assert_array_equal(output.detach(), head(trunk(x)).detach())
        np.testing.assert_array_equal(output.detach(), other.detach())
    np.testing.assert_array_equal(named(x, "b").detach(), listed(x, 1).detach())
    assert [name for name, _ in named.named_parameters()] == [
        "trunk.weight", "trunk.bias", "heads.a.weight", "heads.a.bias", "heads.b.weight",
        "heads.b.bias",
    ]  # fmt: skip
    with pytest.raises(KeyError, match="no head 'c'; there are a, b"):
        named(x, "c")
    with pytest.raises(ValueError, match="MultiHead: no heads"):
        MultiHead(trunk, {})
    with pytest.raises(TypeError, match="'a' is int, not a Module"):
        MultiHead(trunk, {"a": 3})


@pytest.mark.parametrize("named", [True, False])
def test_multi_task_loss(named):
    rng = np.random.default_rng(0)
    scores, labels = fg.tensor(rng.normal(size=(5, 3))), fg.tensor(rng.integers(0, 3, 5))
    values, targets = (fg.tensor(rng.normal(size=(5, 1))) for _ in "ab")

    def form(first, second):
        return {"x": first, "y": second} if named else (first, second)

    cross, square = nn.CrossEntropyLoss(), nn.MSELoss()
    loss = MultiTaskLoss(form(cross, square), form(2.0, 0.5))
    parts = cross(scores, labels).item(), square(values, targets).item()
    total = loss(form(scores, values), form(labels, targets))
    np.testing.assert_allclose(total.item(), 2 * parts[0] + 0.5 * parts[1])
    found = loss.parts.values() if named else loss.parts
    np.testing.assert_allclose([part.item() for part in found], parts)
    alone = loss(form(scores, values), form(None, targets))
    np.testing.assert_allclose(alone.item(), 0.5 * parts[1])
    equal = MultiTaskLoss(form(cross, square))
    np.testing.assert_allclose(equal(form(scores, values), form(labels, targets)).item(),
                               sum(parts))  # fmt: skip
    with pytest.raises(ValueError, match="no target of a task with a weight"):
        loss(form(scores, values), form(None, None))


def test_learning_two_tasks_eagerly_and_compiled():
    x, y, *_ = datasets.digits()
    parity = (y % 2).astype(np.int64)
    results = []
    for wrap in (lambda step: step, fg.compile):
        fg.manual_seed(0)
        trunk = nn.Sequential(nn.Linear(64, 32), nn.ReLU())
        model = MultiHead(trunk, {"digit": nn.Linear(32, 10), "parity": nn.Linear(32, 2)})
        loss = MultiTaskLoss({"digit": nn.CrossEntropyLoss(), "parity": nn.CrossEntropyLoss()})
        optimizer = optim.SGD(model.parameters(), lr=0.3)

        def step(x, digit, parity, model=model, loss=loss, optimizer=optimizer):
            optimizer.zero_grad()
            value = loss(model(x), {"digit": digit, "parity": parity})
            value.backward()
            optimizer.step()
            return value

        step, values = wrap(step), []
        for _ in range(6):
            for batch in DataLoader(TensorDataset(x, y, parity), 128, drop_last=True):
                values.append(step(*batch).item())
        results.append(values)
    assert results[0] == results[1]
    assert results[0][-1] < results[0][0] / 2


def test_multi_task_losses_that_are_refused():
    cross = nn.CrossEntropyLoss()
    with pytest.raises(ValueError, match=r"losses \['a'\] and weights \['b'\]"):
        MultiTaskLoss({"a": cross}, {"b": 1})
    with pytest.raises(ValueError, match="expected finite numbers"):
        MultiTaskLoss([cross], [math.nan])
    with pytest.raises(ValueError, match="expected an output for each loss"):
        MultiTaskLoss({"a": cross})({"b": fg.ones(2, 2)}, {"a": fg.tensor([0, 1])})
