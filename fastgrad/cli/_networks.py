"""Networks that ``--model`` calls by name: those of ``fastgrad.models``, ``mlp`` and ``cnn``."""

from functools import partial
from math import prod

from .. import models, nn
from ..creation import zeros
from ..tape import no_grad
from ._errors import UsageError
from ._named import build, find, open_ended, takes

# Parts of networks, and classes that functions of the same module build with parts.
_PARTS = ("BasicBlock", "Bottleneck", "CifarResNet", "ResNet", "VGG")


def mlp(
    num_classes, in_features, hidden=(256, 128), *, batch_norm=True, dropout=0.2, activation=nn.ReLU
):
    """A multi-layer perceptron of images or of rows of numbers."""
    layers, features = [], in_features
    for size in hidden:
        # Batch normalization subtracts the mean: a bias before it would be without effect.
        layers.append(nn.Linear(features, size, bias=not batch_norm))
        if batch_norm:
            layers.append(nn.BatchNorm1d(size))
        layers.append(activation())
        if dropout:
            layers.append(nn.Dropout(dropout))
        features = size
    return nn.Sequential(*layers, nn.Linear(features, num_classes))


cnn = models.ConvNet
__all__ = ["cnn", "mlp", *(name for name in models.__all__ if name not in _PARTS)]


def __getattr__(name):
    return getattr(models, name)


def is_mlp(spec):
    """Whether it takes rows of numbers, not images."""
    return find("network", spec) is mlp


def make_network(spec, options, shape, classes):
    """The network that a ``Spec`` names, for inputs of a shape.

    options   of the network, given outside of its ``Spec``, which wins

    Raises ``UsageError`` for options that it does not have, for images that it cannot take, and
    where it gives fewer scores than there are classes.
    """
    kind = find("network", spec)
    for name in options:
        if not takes(kind, name) and not open_ended(kind):
            option = name.replace("_", "-")
            raise UsageError(f"--{option}: the network {spec.name} has no option {name!r}")
    options = {"num_classes": classes, **options}
    if "activation" in options:
        options["activation"] = partial(build, "activation", options["activation"])
    if kind is mlp:
        network = build("network", spec, in_features=prod(shape), **options)
        return network if len(shape) == 1 else nn.Sequential(nn.Flatten(), *network)
    if takes(kind, "image_size"):
        options["image_size"] = shape[1:]
    network = build("network", spec, in_channels=shape[0], **options)
    try:
        with no_grad():
            scores = network.eval()(zeros(1, *shape)).shape[1]
    except (ValueError, RuntimeError) as error:
        size = "x".join(map(str, shape))
        raise UsageError(f"network {spec} does not take images of {size}: {error}") from error
    if scores < classes:
        raise UsageError(f"network {spec} gives {scores} scores; the images are of {classes} kinds")
    return network.train()
