"""What is compared: training steps, with the same network, data and optimizer for every library,
and single operations.
"""

from itertools import pairwise

import numpy as np

# Layers of ConvNets: ("conv", channels, kernel size, more arguments), ("pool", size, stride), ...
_MNIST = (
    ("conv", 16, 5, {"padding": 2}), ("norm",), ("relu",), ("pool", 2, 2),
    ("conv", 32, 5, {"padding": 2}), ("norm",), ("relu",), ("pool", 2, 2), ("linear", 10),
)  # fmt: skip
_THREE = (
    ("conv", 32, 3, {"padding": 1}), ("relu",), ("conv", 64, 3, {"padding": 1}), ("relu",),
    ("conv", 128, 3, {"padding": 1}), ("relu",), ("mean",), ("linear", 10),
)  # fmt: skip
_ALEXNET = (
    ("conv", 96, 11, {"stride": 4}), ("relu",), ("response",), ("pool", 3, 2),
    ("conv", 256, 5, {"padding": 2, "groups": 2}), ("relu",), ("response",), ("pool", 3, 2),
    ("conv", 384, 3, {"padding": 1}), ("relu",),
    ("conv", 384, 3, {"padding": 1, "groups": 2}), ("relu",),
    ("conv", 256, 3, {"padding": 1, "groups": 2}), ("relu",), ("pool", 3, 2),
    ("linear", 4096), ("relu",), ("linear", 4096), ("relu",), ("linear", 1000),
)  # fmt: skip
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
    "transformer layer 128, 4 heads, 64 x 32, Adam": {
        "transformer": {"width": 128, "heads": 4, "hidden": 512}, "batch": 64, "length": 32,
        "optimizer": "adam",
    },
    "transformer layer 128, 4 heads, 64 x 32, SGD": {
        "transformer": {"width": 128, "heads": 4, "hidden": 512}, "batch": 64, "length": 32,
        "optimizer": "sgd",
    },
    "LSTM 128-128-128-10, length 50, batch 32, Adam": {
        "sizes": (128, 128, 10), "layers": 2, "steps": 50, "batch": 32, "optimizer": "adam",
    },
    "MNIST ConvNet, batch 64, SGD": {
        "image": (1, 28, 28), "layers": _MNIST, "batch": 64, "optimizer": "sgd", "rate": 1e-4,
    },
    "MNIST ConvNet, batch 256, SGD": {
        "image": (1, 28, 28), "layers": _MNIST, "batch": 256, "optimizer": "sgd", "rate": 1e-4,
    },
    "three 3x3 convolutions on 3 x 32 x 32, batch 64, SGD": {
        "image": (3, 32, 32), "layers": _THREE, "batch": 64, "optimizer": "sgd", "rate": 1e-4,
    },
    "AlexNet, batch 8, SGD": {
        "image": (3, 227, 227), "layers": _ALEXNET, "batch": 8, "optimizer": "sgd", "rate": 1e-4,
    },
}  # fmt: skip
OPS = {
    "max pool 2 x 2 (64, 16, 28, 28)": {"op": "max_pool", "shape": (64, 16, 28, 28)},
    "max pool 2 x 2 (256, 32, 14, 14)": {"op": "max_pool", "shape": (256, 32, 14, 14)},
    "batch norm and ReLU (64, 64, 16, 16)": {"op": "batch_norm_relu", "shape": (64, 64, 16, 16)},
    "cross-entropy (256, 1000)": {"op": "cross_entropy", "shape": (256, 1000)},
    "cross-entropy (512, 32000)": {"op": "cross_entropy", "shape": (512, 32000)},
    "batch norm (256, 512)": {"op": "batch_norm", "shape": (256, 512)},
    "batch norm (64, 32, 28, 28)": {"op": "batch_norm", "shape": (64, 32, 28, 28)},
    "layer norm (2048, 128)": {"op": "layer_norm", "shape": (2048, 128)},
    "layer norm (2048, 512)": {"op": "layer_norm", "shape": (2048, 512)},
    "layer norm (32, 64)": {"op": "layer_norm", "shape": (32, 64)},
    "attention 64 x 4 x 32 x 32": {"op": "attention", "shape": (64, 4, 32, 32)},
    "attention 2 x 8 x 512 x 64": {"op": "attention", "shape": (2, 8, 512, 64)},
    "ReLU (1000000,)": {"op": "relu", "shape": (1_000_000,)},
    "Adam (1000000,)": {"op": "adam", "shape": (1_000_000,)},
    "product 64 x 784 x 128": {"op": "matmul", "shape": (64, 784, 128)},
    "product 64 x 1024 x 1024": {"op": "matmul", "shape": (64, 1024, 1024)},
    "product 1024 x 1024 x 1024": {"op": "matmul", "shape": (1024, 1024, 1024)},
    "product 2048 x 2048 x 2048": {"op": "matmul", "shape": (2048, 2048, 2048)},
    "linear 64 x 784 x 128": {"op": "linear", "shape": (64, 784, 128)},
    "linear 1024 x 784 x 128": {"op": "linear", "shape": (1024, 784, 128)},
}
"""Forward and backward through the graph; of products, only the product."""
for _job in OPS.values():
    _job["formats"] = len(_job["shape"]) == 4 and _job["op"] != "attention"
"""Where PyTorch is tried with channels last in memory, too."""
SGD = {"lr": 0.01, "momentum": 0.9}
"""A job's ``rate`` replaces the learning rate, where other numbers would drive apart."""
ADAM = {"lr": 0.001}
BATCHES = 16  # different ones, in turn


def operands(job):
    """(arrays of an operation, gradient of its result)"""
    rng, shape = np.random.default_rng(0), job["shape"]

    def normal(*shape):
        return rng.standard_normal(shape, dtype=np.float32)

    if job["op"] == "cross_entropy":
        return (normal(*shape), rng.integers(0, shape[1], shape[0])), None
    if job["op"] == "attention":
        return tuple(normal(*shape) for _ in range(3)), normal(*shape)
    if job["op"] in ("batch_norm", "batch_norm_relu", "layer_norm"):
        return (normal(*shape), normal(shape[1]), normal(shape[1])), normal(*shape)
    if job["op"] == "max_pool":
        return (normal(*shape),), normal(*shape[:2], shape[2] // 2, shape[3] // 2)
    if job["op"] in ("matmul", "linear"):
        m, k, n = shape
        return (normal(m, k), normal(k, n), normal(n)), normal(m, n)
    return (normal(*shape),), normal(*shape)


def data(job):
    """(inputs, labels) of each batch; of a transformer, (inputs, results to learn)."""
    rng = np.random.default_rng(0)
    if "transformer" in job:
        shape = job["batch"], job["length"], job["transformer"]["width"]
        return [
            [rng.standard_normal(shape, dtype=np.float32) for _ in "xy"] for _ in range(BATCHES)
        ]
    size = job["batch"]
    if "image" in job:
        shape, classes = (size, *job["image"]), job["layers"][-1][1]
    else:
        features, classes = job["sizes"][0], job["sizes"][-1]
        shape = (job["steps"], size, features) if "steps" in job else (size, features)
    return [
        (
            rng.standard_normal(shape, dtype=np.float32),
            rng.integers(0, classes, size),
        )
        for _ in range(BATCHES)
    ]


def convnet(nn, job):
    """The ConvNet of a job, of the layers in ``nn``: PyTorch's, or ours."""
    layers, (channels, *sides) = [], job["image"]
    for kind, *numbers in job["layers"]:
        if kind == "conv":
            out, size, options = numbers
            layers.append(nn.Conv2d(channels, out, size, **options))
            channels, padding, stride = out, options.get("padding", 0), options.get("stride", 1)
            sides = [(side + 2 * padding - size) // stride + 1 for side in sides]
        elif kind == "pool":
            layers.append(nn.MaxPool2d(*numbers))
            sides = [(side - numbers[0]) // numbers[1] + 1 for side in sides]
        elif kind == "linear":
            if sides:
                layers.append(nn.Flatten())
                channels, sides = channels * sides[0] * sides[1], []
            layers.append(nn.Linear(channels, numbers[0]))
            channels = numbers[0]
        else:
            layers.append(
                {
                    "norm": lambda channels=channels: nn.BatchNorm2d(channels),
                    "relu": nn.ReLU,
                    "response": lambda: nn.LocalResponseNorm(5, 1e-4, 0.75, 2.0),
                    "mean": lambda: nn.AdaptiveAvgPool2d(1),
                }[kind]()
            )
            sides = [1, 1] if kind == "mean" else sides
    return nn.Sequential(*layers)


def filled(state):
    """A ConvNet's state dict, PyTorch's, with weights of our own, from shapes and names."""
    rng = np.random.default_rng(1)
    return {
        name: (
            rng.uniform(-1, 1, x.shape) * np.sqrt(6 / np.prod(x.shape[1:]))
            if name.endswith("weight") and x.ndim > 1
            else np.full(x.shape, float(name.endswith("weight")))
        ).astype(np.float32)
        for name, x in state.items()
        if name.endswith(("weight", "bias"))
    }


def layer(job):
    """{name: array} of a transformer layer's parameters, weights (out, in)."""
    rng, sizes = np.random.default_rng(1), job["transformer"]
    width, hidden = sizes["width"], sizes["hidden"]
    shapes = {
        "self_attn.in_proj_weight": (3 * width, width), "self_attn.in_proj_bias": (3 * width,),
        "self_attn.out_proj.weight": (width, width), "self_attn.out_proj.bias": (width,),
        "linear1.weight": (hidden, width), "linear1.bias": (hidden,),
        "linear2.weight": (width, hidden), "linear2.bias": (width,),
        "norm1.weight": (width,), "norm1.bias": (width,),
        "norm2.weight": (width,), "norm2.bias": (width,),
    }  # fmt: skip
    return {
        name: (
            rng.uniform(-1, 1, shape) / np.sqrt(shape[1])
            if len(shape) > 1
            else np.full(shape, float("norm" in name and "weight" in name))
        ).astype(np.float32)
        for name, shape in shapes.items()
    }


def lstm_weights(job):
    """(w_ih (4 · hidden, in), w_hh, b_ih, b_hh) of each layer of LSTMs."""
    rng = np.random.default_rng(2)
    inputs, hidden, _ = job["sizes"]
    return [
        [
            rng.uniform(-1, 1, shape).astype(np.float32) / np.float32(np.sqrt(hidden))
            for shape in ((4 * hidden, below), (4 * hidden, hidden), 4 * hidden, 4 * hidden)
        ]
        for below in [inputs, *[hidden] * (job["layers"] - 1)]
    ]


def weights(job):
    """(weight (in, out), bias) of each layer; of a network of LSTMs the last one's only."""
    rng = np.random.default_rng(1)
    sizes = job["sizes"][-2:] if "steps" in job else job["sizes"]
    return [
        (
            rng.uniform(-1, 1, (a, b)).astype(np.float32) / np.float32(np.sqrt(a)),
            np.zeros(b, np.float32),
        )
        for a, b in pairwise(sizes)
    ]
