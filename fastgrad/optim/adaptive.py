"""Steps scaled by running sums or averages of squared gradients: Adagrad, RMSprop, Adadelta."""

import math

from .optimizer import Optimizer, check_positive, check_range, options_of


class Adagrad(Optimizer):
    """Adagrad: each element's rate falls with the squares of all its gradients so far.

        g = grad + weight_decay · param + l1_decay · sign(param)
        sum += g²
        param -= lr / (1 + (t - 1) · lr_decay) · g / (√sum + ε)

    sum begins with initial_accumulator_value. Duchi, Hazan & Singer 2011. Raises ``ValueError`` for
    options out of range.

    >>> import fastgrad as fg
    >>> w = fg.tensor([1.0], requires_grad=True)
    >>> optimizer = fg.optim.Adagrad([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.9000], requires_grad=True)
    """

    kernel = "adagrad_step"

    def __init__(
        self,
        params,
        lr=1e-2,
        lr_decay=0,
        weight_decay=0,
        initial_accumulator_value=0,
        eps=1e-10,
        foreach=None,
        *,
        maximize=False,
        differentiable=False,
        fused=None,
        l1_decay=0,
    ):
        super().__init__(params, options_of(locals()))

    def check(self, group):
        check_positive("Adagrad", group, "lr", "lr_decay", "weight_decay", "eps")
        check_positive("Adagrad", group, "initial_accumulator_value")

    def add_param_group(self, param_group):
        """Add ``{"params": ..., option: value}``; as in PyTorch, with its state at once."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        for parameter in group["params"]:
            self.begin(self.state[parameter], parameter, group)

    def hyper(self, group):
        return group["lr_decay"], group["eps"]

    def state_names(self, group):
        return ("sum",)

    def first_value(self, name, group):
        return group["initial_accumulator_value"]


class RMSprop(Optimizer):
    """RMSprop: gradients over the root of a running average of their squares.

        g = grad + weight_decay · param + l1_decay · sign(param)
        square = α · square + (1 - α) · g²,  mean = α · mean + (1 - α) · g
        d = g / (√(square - mean² if centered else square) + ε)
        param -= lr · (buffer = momentum · buffer + d)

    Hinton 2012 (lecture 6e of his course); centered: Graves 2013. Raises ``ValueError`` for options
    out of range.

    >>> import fastgrad as fg
    >>> w = fg.tensor([1.0], requires_grad=True)
    >>> optimizer = fg.optim.RMSprop([w], lr=0.1, alpha=0.75)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8000], requires_grad=True)
    """

    kernel = "rmsprop_step"

    def __init__(
        self,
        params,
        lr=1e-2,
        alpha=0.99,
        eps=1e-8,
        weight_decay=0,
        momentum=0,
        centered=False,
        capturable=False,
        foreach=None,
        maximize=False,
        differentiable=False,
        *,
        l1_decay=0,
    ):
        super().__init__(params, options_of(locals()))

    def check(self, group):
        check_positive("RMSprop", group, "lr", "alpha", "eps", "weight_decay", "momentum")

    def hyper(self, group):
        return group["alpha"], group["eps"], group["momentum"]

    def flags(self, group):
        return (group["centered"],)

    def state_names(self, group):
        names = ("square_avg",)
        names += ("grad_avg",) if group["centered"] else ()
        return names + (("momentum_buffer",) if group["momentum"] > 0 else ())


class Adadelta(Optimizer):
    """Adadelta: steps in the units of the parameters, by running averages of g² and of steps².

        g = grad + weight_decay · param + l1_decay · sign(param)
        square = ρ · square + (1 - ρ) · g²
        d = √(delta + ε) / √(square + ε) · g
        delta = ρ · delta + (1 - ρ) · d²,  param -= lr · d

    Zeiler 2012. Raises ``ValueError`` for options out of range.

    >>> import fastgrad as fg
    >>> w = fg.tensor([1.0], requires_grad=True)
    >>> optimizer = fg.optim.Adadelta([w], eps=0.01)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.6877], requires_grad=True)
    """

    kernel = "adadelta_step"

    def __init__(
        self,
        params,
        lr=1.0,
        rho=0.9,
        eps=1e-6,
        weight_decay=0,
        foreach=None,
        *,
        capturable=False,
        maximize=False,
        differentiable=False,
        l1_decay=0,
    ):
        super().__init__(params, options_of(locals()))

    def check(self, group):
        check_positive("Adadelta", group, "lr", "eps", "weight_decay")
        check_range("Adadelta", group, rho=(0, math.nextafter(1, 2)))  # 1 is allowed

    def hyper(self, group):
        return group["rho"], group["eps"]

    def state_names(self, group):
        return "square_avg", "acc_delta"
