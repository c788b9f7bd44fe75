"""What tests of modules share: one module with everything, and states to compare."""

import numpy as np

import fastgrad as fg
from fastgrad import nn


class Block(nn.Module):
    """One of everything a module can hold."""

    def __init__(self, size=2):
        super().__init__()
        self.scale = nn.Parameter(fg.ones(size))
        self.inner = nn.Sequential(nn.Linear(size, 3), nn.BatchNorm1d(3), nn.Linear(3, size))
        self.register_buffer("offset", fg.zeros(size))
        self.register_parameter("absent", None)
        self.loose = fg.ones(size)
        self.number = 7

    def forward(self, x):
        return self.inner(x) * self.scale + self.offset


def state_of(module):
    return {name: tensor.numpy().copy() for name, tensor in module.state_dict().items()}


def assert_state(module, expected):
    for name, tensor in module.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), expected[name])
