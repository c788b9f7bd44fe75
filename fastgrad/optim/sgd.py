"""Stochastic gradient descent."""

import math

from ..backend import K
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

    def state_names(self, flags):
        return ("momentum_buffer",) if flags[0] else ()

    def begin(self, state, name, parameter):
        super().begin(state, name, parameter)
        state["step"][0] = 0  # the buffer's first step is another

    def update(self, parameters, grads, steps, *columns):
        buffers, hyper, flags = columns if len(columns) == 3 else (None, *columns)
        K.sgd_step(parameters, grads, buffers, steps, hyper, flags)
