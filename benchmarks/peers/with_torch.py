"""The steps in PyTorch: eager with each implementation of the optimizer, and torch.compile."""

import os
import shutil
from itertools import pairwise

import torch
from jobs import ADAM, SGD, convnet, data, filled, layer, lstm_weights, operands, weights

VERSION = torch.__version__
torch.set_num_threads(int(os.environ["PEER_THREADS"]))


def _transformer(job):
    sizes = job["transformer"]
    model = torch.nn.TransformerEncoderLayer(
        sizes["width"], sizes["heads"], sizes["hidden"], 0.0, batch_first=True
    )
    model.load_state_dict({name: torch.from_numpy(x) for name, x in layer(job).items()})
    return model


class _Lstm(torch.nn.Module):
    """Layers of LSTMs, and a linear one on what the last step gives."""

    def __init__(self, job):
        super().__init__()
        inputs, hidden, classes = job["sizes"]
        self.lstm = torch.nn.LSTM(inputs, hidden, job["layers"])
        self.head = torch.nn.Linear(hidden, classes)
        weight, bias = weights(job)[0]
        given = [x for layer in lstm_weights(job) for x in layer] + [weight.T, bias]
        with torch.no_grad():
            for parameter, value in zip(self.parameters(), given, strict=True):
                parameter.copy_(torch.from_numpy(value))

    def forward(self, x):
        return self.head(self.lstm(x)[0][-1])


def _dense(job):
    layers, linears = [], []
    for k, (a, b) in enumerate(pairwise(job["sizes"])):
        linears.append(torch.nn.Linear(a, b))
        layers.append(linears[-1])
        if k < len(job["sizes"]) - 2:
            layers += [torch.nn.BatchNorm1d(b)] if job.get("batch_norm") else []
            layers.append(torch.nn.ReLU())
    with torch.no_grad():
        for linear, (weight, bias) in zip(linears, weights(job), strict=True):
            linear.weight.copy_(torch.from_numpy(weight.T))
            linear.bias.copy_(torch.from_numpy(bias))
    return torch.nn.Sequential(*layers)


def _convnet(job):
    model = convnet(torch.nn, job)
    state = {name: torch.from_numpy(x) for name, x in filled(model.state_dict()).items()}
    model.load_state_dict(model.state_dict() | state)
    return model


def _make(job, options, wrap=lambda step: step, layout=torch.contiguous_format):
    if "transformer" in job:
        model, loss_function = _transformer(job), torch.nn.MSELoss()
    else:
        make = _Lstm if "steps" in job else _convnet if "image" in job else _dense
        model, loss_function = make(job), torch.nn.CrossEntropyLoss()
    parameters = model.parameters()
    if job["optimizer"] == "sgd":
        rate = job.get("rate", SGD["lr"])
        optimizer = torch.optim.SGD(parameters, rate, SGD["momentum"], **options)
    else:
        optimizer = torch.optim.Adam(parameters, **ADAM, **options)
    batches = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in data(job)]
    if layout is not torch.contiguous_format:
        model = model.to(memory_format=layout)
        batches = [(x.to(memory_format=layout), y) for x, y in batches]

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


def _make_op(job, options, layout=torch.contiguous_format):
    """A function that runs the operation forward and backward, and returns a gradient."""
    arrays, gradient = operands(job)
    x, *others = (torch.from_numpy(array) for array in arrays)
    name = job["op"]
    if name == "matmul":
        return lambda number: x @ others[0]
    if layout is not torch.contiguous_format:
        x = x.to(memory_format=layout)
        gradient = torch.from_numpy(gradient).to(memory_format=layout).numpy()
    if name == "linear":
        others[0] = others[0].T.contiguous()
    for tensor in (x, *others):
        tensor.requires_grad_(tensor.is_floating_point())
    if name == "adam":
        optimizer = torch.optim.Adam([x], **ADAM, **options)
        x.grad = torch.from_numpy(gradient)

        def run(number):
            optimizer.step()
            return x.detach()

        return run
    functional = torch.nn.functional
    functions = {
        "cross_entropy": lambda: functional.cross_entropy(x, *others),
        "batch_norm": lambda: functional.batch_norm(x, None, None, *others, training=True),
        "batch_norm_relu": lambda: functional.batch_norm(
            x, None, None, *others, training=True
        ).relu_(),
        "max_pool": lambda: functional.max_pool2d(x, 2),
        "layer_norm": lambda: functional.layer_norm(x, x.shape[1:], *others),
        "attention": lambda: functional.scaled_dot_product_attention(x, *others),
        "relu": lambda: functional.relu(x),
        "linear": lambda: functional.linear(x, *others),
    }
    function, gradient = functions[name], None if gradient is None else torch.from_numpy(gradient)

    def run(number):
        for tensor in (x, *others):
            tensor.grad = None
        function().backward(gradient)
        return x.grad

    return run


def variants(job):
    """{name: step} of the library."""
    if "op" in job:
        options = {"default": {}} | ({"fused": {"fused": True}} if job["op"] == "adam" else {})
        made = {name: _make_op(job, chosen) for name, chosen in options.items()}
        if job["formats"]:
            made["channels last"] = _make_op(job, {}, torch.channels_last)
        return made
    steps = {
        "plain": _make(job, {}),
        "foreach": _make(job, {"foreach": True}),
        "fused": _make(job, {"fused": True}),
    }
    if "image" in job:
        steps["channels last"] = _make(job, {"fused": True}, layout=torch.channels_last)
    if shutil.which("g++"):  # torch.compile wants a C++ compiler
        steps["torch.compile"] = _make(job, {"fused": True}, torch.compile)
    return steps
