"""The steps in fastgrad: eager and compiled."""

from itertools import pairwise

from jobs import ADAM, SGD, data, weights

import fastgrad as fg
from fastgrad import nn

VERSION = fg.__version__


def _make(job, wrap):
    layers, linears = [], []
    for k, (a, b) in enumerate(pairwise(job["sizes"])):
        linears.append(nn.Linear(a, b))
        layers.append(linears[-1])
        if k < len(job["sizes"]) - 2:
            layers += [nn.BatchNorm1d(b)] if job.get("batch_norm") else []
            layers.append(nn.ReLU())
    for layer, (weight, bias) in zip(linears, weights(job), strict=True):
        layer.weight.data[...], layer.bias.data[...] = weight, bias
    model, loss_function = nn.Sequential(*layers), nn.CrossEntropyLoss()
    parameters = model.parameters()
    sgd = job["optimizer"] == "sgd"
    optimizer = fg.optim.SGD(parameters, **SGD) if sgd else fg.optim.Adam(parameters, **ADAM)
    batches = [(fg.Tensor(x), fg.Tensor(y)) for x, y in data(job)]

    def train(x, y):
        optimizer.zero_grad()
        loss = loss_function(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    train = wrap(train)
    return lambda number: train(*batches[number % len(batches)]).item()


def variants(job):
    """{name: step} of the library."""
    return {"eager": _make(job, lambda step: step), "compiled": _make(job, fg.compile)}
