"""The same deep network with and without batch normalisation, at three learning rates.

Eight layers of tanh, weights drawn a little too small. Batch normalisation puts every layer's
input back to mean 0 and variance 1, so that the network trains at rates and from starts that
stop the plain one. Ioffe & Szegedy 2015.

    python examples/batch_norm.py
"""

import _figure

import fastgrad as fg
import fastgrad.functional as F
from fastgrad import nn
from fastgrad.data import DataLoader, TensorDataset, datasets

DEPTH, WIDTH = 8, 64
RATES = (0.01, 0.1, 1.0)


def network(normalised):
    """A chain of linear layers, batch norm if wanted, and tanh."""
    layers, inputs = [], 64
    for _ in range(DEPTH):
        layers.append(nn.Linear(inputs, WIDTH, bias=not normalised))
        nn.init.normal_(layers[-1].weight, std=0.05)
        layers += [nn.BatchNorm1d(WIDTH), nn.Tanh()] if normalised else [nn.Tanh()]
        inputs = WIDTH
    return nn.Sequential(*layers, nn.Linear(WIDTH, 10))


def train(normalised, rate, epochs):
    """(mean training loss of each epoch, test accuracy)"""
    fg.manual_seed(0)
    x, y, x_test, y_test = datasets.digits()
    loader = DataLoader(TensorDataset(x, y), 64, shuffle=True, drop_last=True, seed=0)
    model = network(normalised)
    optimizer = fg.optim.SGD(model.parameters(), lr=rate)

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
    model.eval()
    with fg.no_grad():
        right = model(fg.tensor(x_test)).argmax(1) == fg.tensor(y_test)
    return losses, right.to(fg.float32).mean().item()


def main(epochs=20, figure="batch_norm.png"):
    """Returns the test accuracy by (normalised, rate)."""
    lines, results = {}, {}
    for rate in RATES:
        for normalised in (False, True):
            losses, accuracy = train(normalised, rate, epochs)
            name = f"{'batch norm' if normalised else 'plain'}, rate {rate}"
            lines[name], results[normalised, rate] = losses, accuracy
            print(f"{name:22} loss {losses[-1]:.4f}  test accuracy {accuracy:.1%}")
    if figure:
        _figure.curves(figure, lines, "epoch", "training loss", log=True)
    return results


if __name__ == "__main__":
    main()
