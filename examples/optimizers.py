"""Optimizers on the same network, data and order: MNIST from a folder, or the small digits.

python examples/optimizers.py [FOLDER OF MNIST]
"""

import sys

import _figure
import numpy as np

import fastgrad as fg
import fastgrad.functional as F
from fastgrad import nn
from fastgrad.data import DataLoader, TensorDataset, datasets

OPTIMIZERS = {
    "SGD": lambda p: fg.optim.SGD(p, lr=0.1),
    "momentum": lambda p: fg.optim.SGD(p, lr=0.02, momentum=0.9),
    "Nesterov": lambda p: fg.optim.SGD(p, lr=0.02, momentum=0.9, nesterov=True),
    "AdaGrad": lambda p: fg.optim.Adagrad(p, lr=0.02),
    "RMSProp": lambda p: fg.optim.RMSprop(p, lr=0.001),
    "Adam": lambda p: fg.optim.Adam(p, lr=0.001),
    "AdamW": lambda p: fg.optim.AdamW(p, lr=0.001, weight_decay=0.01),
    "Adadelta": lambda p: fg.optim.Adadelta(p, lr=1.0),
}


def load(folder):
    """(x, y, x_test, y_test), pixels with mean 0 and standard deviation 1"""
    x, y, x_test, y_test = datasets.mnist(folder) if folder else datasets.digits()
    x, x_test = (a.reshape(len(a), -1).astype(np.float32) for a in (x, x_test))
    mean, deviation = x.mean(), x.std()
    return (x - mean) / deviation, y, (x_test - mean) / deviation, y_test


def train(make, data, epochs):
    """(mean training loss of each epoch, test accuracy)"""
    fg.manual_seed(0)
    x, y, x_test, y_test = data
    loader = DataLoader(TensorDataset(x, y), 64, shuffle=True, seed=0)
    model = nn.Sequential(nn.Linear(x.shape[1], 128), nn.ReLU(), nn.Linear(128, 10))
    optimizer = make(model.parameters())

    @fg.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    losses = []
    for _ in range(epochs):
        epoch = [step(x, y).item() for x, y in loader]
        losses.append(sum(epoch) / len(epoch))
    with fg.no_grad():
        right = model(fg.tensor(x_test)).argmax(1) == fg.tensor(y_test)
    return losses, right.to(fg.float32).mean().item()


def main(folder=None, epochs=10, figure="optimizers.png"):
    """Returns (losses, test accuracy) by optimizer."""
    data, results = load(folder), {}
    for name, make in OPTIMIZERS.items():
        losses, accuracy = results[name] = train(make, data, epochs)
        print(f"{name:9} loss {losses[0]:.4f} -> {losses[-1]:.4f}  test accuracy {accuracy:.2%}")
    if figure:
        lines = {name: losses for name, (losses, _) in results.items()}
        _figure.curves(figure, lines, "epoch", "training loss", log=True)
    return results


if __name__ == "__main__":
    main(*sys.argv[1:2])
