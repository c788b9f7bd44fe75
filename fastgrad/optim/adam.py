"""Adam and AdamW."""

import math

import numpy as np

from ..backend import K, zeros
from .optimizer import Optimizer, check_range


class Adam(Optimizer):
    """Adam: steps scaled by running estimates of the gradient's first two moments.

        g = grad + weight_decay · param
        mean = β₁ · mean + (1 - β₁) · g,  square = β₂ · square + (1 - β₂) · g²
        param -= lr / (1 - β₁ᵗ) · mean / (√square / √(1 - β₂ᵗ) + ε)

    With ``amsgrad`` the largest square so far replaces square. Kingma & Ba 2015; Reddi, Kale &
    Kumar 2018. Raises ``ValueError`` for options out of range.

    >>> import fastgrad as fg
    >>> w = fg.tensor([1.0], requires_grad=True)
    >>> optimizer = fg.optim.Adam([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    _decoupled = False

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=0,
        amsgrad=False,
        *,
        maximize=False,
    ):
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def check(self, group):
        beta1, beta2 = group["betas"]
        flat = {**group, "betas[0]": beta1, "betas[1]": beta2}
        bounds = {"lr": (0, math.inf), "eps": (0, math.inf), "weight_decay": (0, math.inf)}
        bounds |= {"betas[0]": (0, 1), "betas[1]": (0, 1)}
        check_range(self._name(), flat, **bounds)

    def hyper(self, group):
        return group["lr"], *group["betas"], group["eps"], group["weight_decay"]

    def flags(self, group):
        return group["amsgrad"], group["maximize"], self._decoupled

    def update(self, parameters, grads, states, hyper, flags):
        amsgrad = flags[0]
        for parameter, state in zip(parameters, states, strict=True):
            if "step" not in state:
                state["step"] = np.zeros(1, np.int64)
                state["exp_avg"] = zeros(parameter.shape, parameter.dtype)
                state["exp_avg_sq"] = zeros(parameter.shape, parameter.dtype)
            if amsgrad and "max_exp_avg_sq" not in state:
                state["max_exp_avg_sq"] = zeros(parameter.shape, parameter.dtype)
        means = [state["exp_avg"] for state in states]
        squares = [state["exp_avg_sq"] for state in states]
        peaks = [state["max_exp_avg_sq"] for state in states] if amsgrad else None
        steps = [state["step"] for state in states]
        K.adam_step(parameters, grads, means, squares, peaks, steps, hyper, flags)


class AdamW(Adam):
    """Adam with decoupled weight decay: ``param *= 1 - lr · weight_decay`` before each step.

    Loshchilov & Hutter 2019.

    >>> import fastgrad as fg
    >>> w = fg.tensor([1.0], requires_grad=True)
    >>> optimizer = fg.optim.AdamW([w], lr=0.1, weight_decay=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8900], requires_grad=True)
    """

    _decoupled = True

    def __init__(
        self,
        params,
        lr=1e-3,
        betas=(0.9, 0.999),
        eps=1e-8,
        weight_decay=1e-2,
        amsgrad=False,
        *,
        maximize=False,
    ):
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
