"""MNIST to 98 %: wall time here and in PyTorch, for the same network, batches and epochs.

    python benchmarks/mnist.py FOLDER [--epochs N] [--batch N] [--library NAME ...]

FOLDER has the four IDX files of MNIST. The data is in memory on both sides, shuffled alike;
784-128-10 with ReLU, SGD with momentum. A library that is not installed is skipped, and said to be.
Also prints how much memory the process has after each epoch: it should not grow.
"""

import argparse
import importlib.util
import json
import os
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np

SIZES, LEARNING_RATE, MOMENTUM = (784, 128, 10), 0.02, 0.9


def memory():
    """Megabytes that the process has in memory now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def weights():
    """(weight (in, out), bias) of each layer."""
    rng = np.random.default_rng(0)
    for a, b in pairwise(SIZES):
        bound = 1 / np.sqrt(a)
        weight, bias = rng.uniform(-bound, bound, (a, b)), rng.uniform(-bound, bound, b)
        yield weight.astype(np.float32), bias.astype(np.float32)


def with_fastgrad(x, y):
    """(train on the samples of some numbers, predict)"""
    import fastgrad as fg
    from fastgrad import kernels, nn

    model = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 10))
    for layer, (weight, bias) in zip((model[0], model[2]), weights(), strict=True):
        layer.weight.data[...], layer.bias.data[...] = weight, bias
    optimizer = fg.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM)

    @fg.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = fg.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    def predict(x):
        with fg.no_grad():
            return model(fg.Tensor(x)).data.argmax(axis=1)

    def train_on(numbers):
        batch = (kernels.gather_rows(array, numbers) for array in (x, y))
        step(*(fg.Tensor(array) for array in batch))

    return train_on, predict


def with_torch(x, y):
    """The same in PyTorch, with its fused optimizer."""
    import torch

    x, y = torch.from_numpy(x), torch.from_numpy(y)

    torch.set_num_threads(len(os.sched_getaffinity(0)))
    model = torch.nn.Sequential(
        torch.nn.Linear(784, 128), torch.nn.ReLU(), torch.nn.Linear(128, 10)
    )
    with torch.no_grad():
        for layer, (weight, bias) in zip((model[0], model[2]), weights(), strict=True):
            layer.weight.copy_(torch.from_numpy(weight.T))
            layer.bias.copy_(torch.from_numpy(bias))
    optimizer = torch.optim.SGD(model.parameters(), lr=LEARNING_RATE, momentum=MOMENTUM, fused=True)

    def train_on(numbers):
        numbers = torch.from_numpy(numbers)
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(model(x[numbers]), y[numbers])
        loss.backward()
        optimizer.step()

    def predict(x):
        with torch.no_grad():
            return model(torch.from_numpy(x)).argmax(dim=1).numpy()

    return train_on, predict


def train(library, folder, epochs, batch):
    """What happened, in this process."""
    from fastgrad.data import datasets

    x, y, x_test, y_test = datasets.mnist(folder)
    x, x_test = (np.ascontiguousarray(a.reshape(len(a), -1), np.float32) for a in (x, x_test))
    y, y_test = y.astype(np.int64), y_test.astype(np.int64)
    mean, deviation = x.mean(), x.std()
    x, x_test = (x - mean) / deviation, (x_test - mean) / deviation
    train_on, predict = {"fastgrad": with_fastgrad, "torch": with_torch}[library](x, y)
    rng = np.random.default_rng(1)
    train_on(np.arange(batch)), predict(x_test)  # both compile, or warm up
    reached, in_memory, accuracies, seconds = None, [], [], 0.0
    for _ in range(epochs):
        began = time.perf_counter()
        order = rng.permutation(len(x))
        for first in range(0, len(x) - batch + 1, batch):
            train_on(order[first : first + batch])
        seconds += time.perf_counter() - began
        accuracies.append(round(float((predict(x_test) == y_test).mean()), 4))
        in_memory.append(round(memory(), 1))
        if reached is None and accuracies[-1] >= 0.98:
            reached = seconds
    return {
        "library": library, "seconds": seconds, "seconds to 98 %": reached,
        "accuracy": accuracies, "steps": epochs * (len(x) // batch), "megabytes": in_memory,
    }  # fmt: skip


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--library", nargs="+", default=["fastgrad", "torch"])
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here:
        result = train(options.library[0], options.folder, options.epochs, options.batch)
        print(json.dumps(result, ensure_ascii=False))
        return
    for library in options.library:
        if importlib.util.find_spec(library) is None:
            print(f"{library} is not installed")
            continue
        rest = [str(options.folder), "--epochs", str(options.epochs), "--batch", str(options.batch)]
        command = [sys.executable, __file__, *rest, "--here", "--library", library]
        subprocess.run(command, check=True)


if __name__ == "__main__":
    main()
