"""Adam and AdamW."""

import math

from ..backend import K
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

    def state_names(self, flags):
        return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")[: 3 if flags[0] else 2]

    def update(self, parameters, grads, steps, means, squares, *columns):
        peaks, hyper, flags = columns if len(columns) == 3 else (None, *columns)
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
