"""The training steps that are compared: the same network, data and optimizer for every library."""

from itertools import pairwise

import numpy as np

JOBS = {
    "784-128-10, batch 64, SGD": {"sizes": (784, 128, 10), "batch": 64, "optimizer": "sgd"},
    "784-128-10, batch 256, SGD": {"sizes": (784, 128, 10), "batch": 256, "optimizer": "sgd"},
    "784-128-10, batch 1024, SGD": {"sizes": (784, 128, 10), "batch": 1024, "optimizer": "sgd"},
    "784-256-128-10, batch norm, batch 64, Adam": {
        "sizes": (784, 256, 128, 10), "batch": 64, "optimizer": "adam", "batch_norm": True,
    },
    "784-1024-1024-10, batch 64, Adam": {
        "sizes": (784, 1024, 1024, 10), "batch": 64, "optimizer": "adam",
    },
    "784-1024-1024-10, batch 256, Adam": {
        "sizes": (784, 1024, 1024, 10), "batch": 256, "optimizer": "adam",
    },
    "64-32-10, batch 32, Adam": {"sizes": (64, 32, 10), "batch": 32, "optimizer": "adam"},
    "784-128-10, batch 200, Adam": {"sizes": (784, 128, 10), "batch": 200, "optimizer": "adam"},
}  # fmt: skip
SGD = {"lr": 0.01, "momentum": 0.9}
ADAM = {"lr": 0.001}
BATCHES = 16  # different ones, in turn


def data(job):
    """(inputs, labels) of each batch."""
    rng = np.random.default_rng(0)
    size, features, classes = job["batch"], job["sizes"][0], job["sizes"][-1]
    return [
        (
            rng.standard_normal((size, features), dtype=np.float32),
            rng.integers(0, classes, size),
        )
        for _ in range(BATCHES)
    ]


def weights(job):
    """(weight (in, out), bias) of each layer."""
    rng = np.random.default_rng(1)
    return [
        (
            rng.uniform(-1, 1, (a, b)).astype(np.float32) / np.float32(np.sqrt(a)),
            np.zeros(b, np.float32),
        )
        for a, b in pairwise(job["sizes"])
    ]
