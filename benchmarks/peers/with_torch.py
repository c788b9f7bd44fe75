"""The steps in PyTorch: eager with each implementation of the optimizer, and torch.compile."""

import os
from itertools import pairwise

import torch
from jobs import ADAM, SGD, data, weights

VERSION = torch.__version__
torch.set_num_threads(int(os.environ["PEER_THREADS"]))


def _make(job, options, wrap=lambda step: step):
    layers, linears = [], []
    for k, (a, b) in enumerate(pairwise(job["sizes"])):
        linears.append(torch.nn.Linear(a, b))
        layers.append(linears[-1])
        if k < len(job["sizes"]) - 2:
            layers += [torch.nn.BatchNorm1d(b)] if job.get("batch_norm") else []
            layers.append(torch.nn.ReLU())
    with torch.no_grad():
        for layer, (weight, bias) in zip(linears, weights(job), strict=True):
            layer.weight.copy_(torch.from_numpy(weight.T))
            layer.bias.copy_(torch.from_numpy(bias))
    model, loss_function = torch.nn.Sequential(*layers), torch.nn.CrossEntropyLoss()
    parameters = model.parameters()
    if job["optimizer"] == "sgd":
        optimizer = torch.optim.SGD(parameters, **SGD, **options)
    else:
        optimizer = torch.optim.Adam(parameters, **ADAM, **options)
    batches = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in data(job)]

    def forward(x, y):
        return loss_function(model(x), y)

    forward = wrap(forward)

    def train(number):
        optimizer.zero_grad()
        loss = forward(*batches[number % len(batches)])
        loss.backward()
        optimizer.step()
        return loss.item()

    return train


def variants(job):
    """{name: step} of the library."""
    steps = {
        "plain": _make(job, {}),
        "foreach": _make(job, {"foreach": True}),
        "fused": _make(job, {"fused": True}),
    }
    if os.environ.get("PEER_TORCH_COMPILE"):  # needs a C++ compiler
        steps["torch.compile"] = _make(job, {"fused": True}, torch.compile)
    return steps
