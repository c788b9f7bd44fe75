"""Five networks vote: their average errs less than they do. And five out of one run.

Members that start elsewhere make other mistakes. A snapshot ensemble takes its members from a
single run whose learning rate falls to zero and starts again, five times. Huang et al. 2017.

    python examples/ensemble.py
"""

import numpy as np

import fastgrad as fg
import fastgrad.functional as F
from fastgrad import nn
from fastgrad.data import DataLoader, TensorDataset, datasets
from fastgrad.ensemble import Ensemble, Snapshots, train_ensemble

MEMBERS, SAMPLES = 5, 400


def make():
    """A member that has learnt nothing yet."""
    return nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 10))


def train(model, seed, epochs, data, cycles=1):
    """Train while the rate falls to zero ``cycles`` times; returns what was kept at each end."""
    x, y, _, _ = data
    loader = DataLoader(TensorDataset(x, y), 32, shuffle=True, drop_last=True, seed=seed)
    optimizer = fg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    snapshots = Snapshots(model, optimizer, epochs * len(loader), cycles)

    @fg.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    for _ in range(epochs):
        for x, y in loader:
            step(x, y)
            snapshots.step()
    return snapshots


def report(name, ensemble, data):
    """(mean accuracy of the members, accuracy of the ensemble) on the test digits"""
    _, _, x_test, y_test = data
    alone = [Ensemble([member]).score(x_test, y_test) for member in ensemble.members]
    together = ensemble.score(x_test, y_test)
    print(
        f"{name:20} members {min(alone):.1%} to {max(alone):.1%}, mean {np.mean(alone):.1%}; "
        f"ensemble {together:.1%}"
    )
    return np.mean(alone), together


def main(epochs=30):
    """Returns (mean member, ensemble) for seeds and for snapshots."""
    x, y, x_test, y_test = datasets.digits()
    data = x[:SAMPLES], y[:SAMPLES], x_test, y_test
    voters = train_ensemble(make, lambda m, seed: train(m, seed, epochs, data), range(MEMBERS))
    fg.manual_seed(0)
    snapshots = train(make(), 0, epochs * MEMBERS, data, cycles=MEMBERS)
    return report("five seeds", voters, data), report("five of one run", snapshots.ensemble(), data)


if __name__ == "__main__":
    main()
