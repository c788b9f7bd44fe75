"""The steps in fastgrad: eager and compiled."""

from itertools import pairwise

from jobs import ADAM, SGD, convnet, data, filled, layer, lstm_weights, operands, weights

import fastgrad as fg
from fastgrad import nn

VERSION = fg.__version__


def _transformer(job):
    sizes = job["transformer"]
    model = nn.TransformerEncoderLayer(
        sizes["width"], sizes["heads"], sizes["hidden"], 0.0, batch_first=True
    )
    state = layer(job)
    for name in ("self_attn.out_proj.weight", "linear1.weight", "linear2.weight"):
        state[name] = state[name].T
    model.load_state_dict(state)
    return model


class _Lstm(nn.Module):
    """Layers of LSTMs, and a linear one on what the last step gives."""

    def __init__(self, job):
        super().__init__()
        inputs, hidden, classes = job["sizes"]
        self.lstm = nn.LSTM(inputs, hidden, job["layers"])
        self.head = nn.Linear(hidden, classes)
        given = [x for layer in lstm_weights(job) for x in layer] + list(weights(job)[0])
        for parameter, value in zip(self.parameters(), given, strict=True):
            parameter.data[...] = value

    def forward(self, x):
        return self.head(self.lstm(x)[0][-1])


def _dense(job):
    layers, linears = [], []
    for k, (a, b) in enumerate(pairwise(job["sizes"])):
        linears.append(nn.Linear(a, b))
        layers.append(linears[-1])
        if k < len(job["sizes"]) - 2:
            layers += [nn.BatchNorm1d(b)] if job.get("batch_norm") else []
            layers.append(nn.ReLU())
    for linear, (weight, bias) in zip(linears, weights(job), strict=True):
        linear.weight.data[...], linear.bias.data[...] = weight, bias
    return nn.Sequential(*layers)


def _convnet(job):
    model = convnet(nn, job)
    state = fg.interchange.to_torch_state_dict(model)
    fg.interchange.load_torch_state_dict(model, state | filled(state))
    return model


def _make(job, wrap):
    if "transformer" in job:
        model, loss_function = _transformer(job), nn.MSELoss()
    else:
        make = _Lstm if "steps" in job else _convnet if "image" in job else _dense
        model, loss_function = make(job), nn.CrossEntropyLoss()
    parameters = model.parameters()
    if job["optimizer"] == "sgd":
        optimizer = fg.optim.SGD(parameters, job.get("rate", SGD["lr"]), SGD["momentum"])
    else:
        optimizer = fg.optim.Adam(parameters, **ADAM)
    batches = [(fg.Tensor(x), fg.Tensor(y)) for x, y in data(job)]

    def train(x, y):
        optimizer.zero_grad()
        loss = loss_function(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    train = wrap(train)
    return lambda number: train(*batches[number % len(batches)]).item()


def _make_op(job):
    """A function that runs the operation forward and backward, and returns a gradient."""
    arrays, gradient = operands(job)
    x, *others = (fg.Tensor(array) for array in arrays)
    name = job["op"]
    if name == "matmul":
        return lambda number: fg.matmul(x, others[0]).data
    for tensor in (x, *others):
        tensor.requires_grad = tensor.dtype.kind == "f"
    if name == "adam":
        optimizer = fg.optim.Adam([x], **ADAM)
        x.grad = fg.Tensor(gradient)

        def run(number):
            optimizer.step()
            return x.data

        return run
    if name == "batch_norm_relu":  # only layers can do both in one pass
        pair = nn.Sequential(nn.BatchNorm2d(x.shape[1]), nn.ReLU())
        pair[0].weight, pair[0].bias = (nn.Parameter(tensor) for tensor in others)
        others = list(pair.parameters())
    functions = {
        "cross_entropy": lambda: fg.cross_entropy(x, *others),
        "batch_norm": lambda: fg.batch_norm(x, None, None, *others, training=True),
        "batch_norm_relu": lambda: pair(x),
        "max_pool": lambda: fg.functional.max_pool2d(x, 2),
        "layer_norm": lambda: fg.layer_norm(x, x.shape[1], *others),
        "attention": lambda: fg.scaled_dot_product_attention(x, *others),
        "relu": lambda: fg.relu(x),
        "linear": lambda: fg.linear(x, *others),
    }
    function, gradient = functions[name], None if gradient is None else fg.Tensor(gradient)

    def run(number):
        for tensor in (x, *others):
            tensor.grad = None
        function().backward(gradient)
        return x.grad.data

    return run


def variants(job):
    """{name: step} of the library."""
    if "op" in job:
        return {"eager": _make_op(job)}
    return {"eager": _make(job, lambda step: step), "compiled": _make(job, fg.compile)}
