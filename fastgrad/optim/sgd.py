"""Stochastic gradient descent."""

import math

import numpy as np

from ..backend import K, zeros
from .optimizer import Optimizer, check_range


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, dampening, Nesterov's variant and weight decay.

        d = grad + weight_decay · param
        buffer = momentum · buffer + (1 - dampening) · d        (d itself in the first step)
        param -= lr · (d + momentum · buffer if nesterov else buffer)

    Sutskever, Martens, Dahl & Hinton 2013. Raises ``ValueError`` for options out of range.

    >>> import fastgrad as fg
    >>> w = fg.tensor([1.0], requires_grad=True)
    >>> optimizer = fg.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8000], requires_grad=True)
    """

    def __init__(
        self,
        params,
        lr=1e-3,
        momentum=0,
        dampening=0,
        weight_decay=0,
        nesterov=False,
        *,
        maximize=False,
    ):
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group):
        infinity = (0, math.inf)
        check_range("SGD", group, lr=infinity, momentum=infinity, weight_decay=infinity)
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("SGD: nesterov wants a momentum above 0 and no dampening")

    def hyper(self, group):
        return group["lr"], group["momentum"], group["dampening"], group["weight_decay"]

    def flags(self, group):
        return group["momentum"] != 0, group["nesterov"], group["maximize"]

    def update(self, parameters, grads, states, hyper, flags):
        momentum = flags[0]
        for parameter, state in zip(parameters, states, strict=True):
            if "step" not in state:
                state["step"] = np.zeros(1, np.int64)
            if momentum and "momentum_buffer" not in state:
                state["momentum_buffer"] = zeros(parameter.shape, parameter.dtype)
                state["step"][0] = 0
        buffers = [state["momentum_buffer"] for state in states] if momentum else None
        K.sgd_step(parameters, grads, buffers, [state["step"] for state in states], hyper, flags)
