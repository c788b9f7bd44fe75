"""One training step of an MLP through the tape: what a user's loop does for each batch."""

from itertools import pairwise

import numpy as np

import fastgrad as fg

STEPS = {
    "784-128-10 batch 64 sgd": {},
    "784-128-10 batch 256 sgd": {"batch": 256},
    "784-256-128-10 batch 64 adam batch norm": {
        "sizes": (784, 256, 128, 10), "optimizer": "adam", "batch_norm": True,
    },
    "64-32-10 batch 32 adam": {"sizes": (64, 32, 10), "batch": 32, "optimizer": "adam"},
}  # fmt: skip


def make_step(sizes=(784, 128, 10), batch=64, optimizer="sgd", batch_norm=False, seed=0):
    """A function that trains on the next of several batches, and returns the loss."""
    fg.manual_seed(seed)
    rng = np.random.default_rng(seed)
    layers = []
    for i, (a, b) in enumerate(pairwise(sizes)):
        layers.append(fg.nn.Linear(a, b))
        if i < len(sizes) - 2:
            layers += [fg.nn.BatchNorm1d(b)] if batch_norm else []
            layers.append(fg.nn.ReLU())
    model, loss = fg.nn.Sequential(*layers), fg.nn.CrossEntropyLoss()
    if optimizer == "sgd":
        update = fg.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    else:
        update = fg.optim.Adam(model.parameters())
    batches = [
        (
            fg.Tensor(rng.standard_normal((batch, sizes[0]), dtype=np.float32)),
            fg.Tensor(rng.integers(0, sizes[-1], batch)),
        )
        for _ in range(8)
    ]
    turn = 0

    def step():
        nonlocal turn
        x, target = batches[turn % len(batches)]
        turn += 1
        update.zero_grad()
        value = loss(model(x), target)
        value.backward()
        update.step()
        return value

    return step
