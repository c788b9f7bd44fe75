"""Operations on tensors: one rule each, in files named like the kernels'."""

from .elementwise import add, cast, clone, div, exp, log, mul, neg, relu, sigmoid, sqrt, sub, tanh
from .loss import mse_loss
from .matmul import linear, matmul
from .norm import batch_norm
from .random import dropout
from .reduce import amax, argmax, mean, sum
from .shape import flatten, reshape, transpose
from .softmax import cross_entropy, log_softmax, nll_loss, softmax

__all__ = [
    "add",
    "amax",
    "argmax",
    "batch_norm",
    "cast",
    "clone",
    "cross_entropy",
    "div",
    "dropout",
    "exp",
    "flatten",
    "linear",
    "log",
    "log_softmax",
    "matmul",
    "mean",
    "mse_loss",
    "mul",
    "neg",
    "nll_loss",
    "relu",
    "reshape",
    "sigmoid",
    "softmax",
    "sqrt",
    "sub",
    "sum",
    "tanh",
    "transpose",
]
