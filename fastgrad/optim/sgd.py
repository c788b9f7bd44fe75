"""Gradient descent: stochastic, averaged, and by the signs of gradients alone."""

from .optimizer import Optimizer, check_positive, check_range, number, options_of


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, dampening, Nesterov's variant and weight decay.

        d = grad + weight_decay · param + l1_decay · sign(param)
        buffer = momentum · buffer + (1 - dampening) · d        (d itself in the first step)
        param -= lr · (d + momentum · buffer if nesterov else buffer)

    maximize takes -grad. Sutskever, Martens, Dahl & Hinton 2013. Raises ``ValueError`` for options
    out of range.

    >>> import fastgrad as fg
    >>> w = fg.tensor([1.0], requires_grad=True)
    >>> optimizer = fg.optim.SGD([w], lr=0.1)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8000], requires_grad=True)
    """

    kernel = "sgd_step"

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
        foreach=None,
        differentiable=False,
        fused=None,
        l1_decay=0,
    ):
        super().__init__(params, options_of(locals()))

    def check(self, group):
        check_positive("SGD", group, "lr", "momentum", "weight_decay")
        if group["nesterov"] and (group["momentum"] <= 0 or group["dampening"] != 0):
            raise ValueError("SGD: nesterov wants a momentum above 0 and no dampening")

    def hyper(self, group):
        return group["momentum"], group["dampening"]

    def flags(self, group):
        return (group["nesterov"],)

    def state_names(self, group):
        return ("momentum_buffer",) if group["momentum"] != 0 else ()

    def begin(self, state, parameter, group):
        if any(name not in state for name in self.state_names(group)) and "step" in state:
            state["step"][0] = 0  # the buffer's first step is another
        super().begin(state, parameter, group)


class ASGD(Optimizer):
    """Averaged stochastic gradient descent: the mean of the parameters is kept in ``state``.

        g = grad + weight_decay · param + l1_decay · sign(param)
        param = (1 - lambd · η) · param - η · g
        ax += μ · (param - ax)
        η = lr / (1 + lambd · lr · t)^alpha,  μ = 1 / max(1, t - t0)       (for the next step)

    ``optimizer.state[param]["ax"]`` is the average. Polyak & Juditsky 1992. Raises ``ValueError``
    for options out of range.

    >>> import fastgrad as fg
    >>> w = fg.tensor([1.0], requires_grad=True)
    >>> optimizer = fg.optim.ASGD([w], lr=0.1, lambd=0.0)
    >>> (w * w).sum().backward()
    >>> optimizer.step()
    >>> w
    tensor([0.8000], requires_grad=True)
    """

    kernel = "asgd_step"
    scalars = ("eta", "mu")

    def __init__(
        self,
        params,
        lr=1e-2,
        lambd=1e-4,
        alpha=0.75,
        t0=1e6,
        weight_decay=0,
        foreach=None,
        maximize=False,
        differentiable=False,
        capturable=False,
        *,
        l1_decay=0,
    ):
        super().__init__(params, options_of(locals()))

    def check(self, group):
        check_positive("ASGD", group, "lr", "weight_decay")

    def hyper(self, group):
        return group["lambd"], group["alpha"], group["t0"]

    def state_names(self, group):
        return ("ax",)

    def first_value(self, name, group):
        return {"eta": number(group["lr"]), "mu": 1.0, "ax": 0.0}[name]


class Rprop(Optimizer):
    """Resilient propagation: each element has a step size, and only the gradient's sign counts.

        size *= η⁺ where grad · prev > 0, η⁻ where it is < 0, clamped to step_sizes
        param -= sign(grad) · size, where grad · prev < 0 not at all;  prev = grad, there 0

    Sizes begin with lr; etas = (η⁻, η⁺). For gradients of the whole data set, not of batches.
    Riedmiller & Braun 1993. Raises ``ValueError`` for options out of range.

    >>> import fastgrad as fg
    >>> w = fg.tensor([1.0], requires_grad=True)
    >>> optimizer = fg.optim.Rprop([w], lr=0.1)
    >>> for _ in range(2):
    ...     optimizer.zero_grad()
    ...     (w * w).sum().backward()
    ...     optimizer.step()
    >>> w
    tensor([0.7800], requires_grad=True)
    """

    kernel = "rprop_step"

    def __init__(
        self,
        params,
        lr=1e-2,
        etas=(0.5, 1.2),
        step_sizes=(1e-6, 50),
        *,
        capturable=False,
        foreach=None,
        maximize=False,
        differentiable=False,
        l1_decay=0,
    ):
        super().__init__(params, options_of(locals()))

    def check(self, group):
        check_positive("Rprop", group, "lr")
        shrink, grow = group["etas"]
        if not 0 < shrink < 1 < grow:
            raise ValueError(
                f"Rprop: etas = {group['etas']} is out of range; expected 0 < etas[0] < 1 < etas[1]"
            )
        least, most = group["step_sizes"]
        check_range("Rprop", {"step_sizes[1]": most}, **{"step_sizes[1]": (least, float("inf"))})

    def hyper(self, group):
        return *group["etas"], *group["step_sizes"]

    def state_names(self, group):
        return "prev", "step_size"

    def first_value(self, name, group):
        return number(group["lr"]) if name == "step_size" else 0.0
