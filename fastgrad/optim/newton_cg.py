"""Newton's method with conjugate gradients."""

import math

import numpy as np

from ..differentiate import grad
from ..tape import no_grad
from ..tensor import Tensor
from .line_search import Point, WholeLossOptimizer, backtrack, dot, strong_wolfe
from .optimizer import check_range, number, options_of


class NewtonCG(WholeLossOptimizer):
    """Newton's method, whose equations are solved by conjugate gradients: no Hessian is formed.

        ∇²f · d ≈ -∇f,  param += t · d

    Each iteration of conjugate gradients is one product of the Hessian with a vector, a gradient of
    a gradient. They stop after j iterations where both the residual is at most ``min(1/2, √‖∇f‖) ·
    ‖∇f‖`` and the last has lowered the quadratic model q by at most ``q / 2j`` (Nash & Sofer 1990).
    Where the curvature along a direction is not positive, they stop with what they have, or, if
    that is nothing, with -∇f. Either way the loss falls along d.

    lr               first step that is tried along d
    max_iter         iterations in one ``step``
    max_cg_iter      iterations of conjugate gradients in each, by default the number of elements
    tolerance_grad, tolerance_change   the largest element of the gradient, and the change of loss
                     and parameters, at which a step ends
    line_search_fn   "strong_wolfe" or "backtracking"

    ``step(closure)``: the closure computes the loss and returns it, **without** calling backward.
    Afterwards the parameters' ``grad`` is that at the last point but one. One group of parameters;
    cannot be part of a compiled step. Nocedal & Wright 2006, algorithm 7.1. Not among PyTorch's.
    Raises ``ValueError`` for options out of range, ``RuntimeError`` where the closure calls
    backward.

    >>> import fastgrad as fg
    >>> x = fg.tensor([-1.0, 2.0], dtype=fg.float64, requires_grad=True)
    >>> optimizer = fg.optim.NewtonCG([x], max_iter=50)
    >>> loss = optimizer.step(lambda: (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2)
    >>> x
    tensor([1.0000, 1.0000], dtype=fastgrad.float64, requires_grad=True)
    """

    closure = "loss"
    searches = ("strong_wolfe", "backtracking")

    def __init__(
        self,
        params,
        lr=1,
        max_iter=20,
        max_cg_iter=None,
        tolerance_grad=1e-7,
        tolerance_change=1e-9,
        line_search_fn="strong_wolfe",
    ):
        super().__init__(params, options_of(locals()))

    def check(self, group):
        super().check(group)
        if group["max_cg_iter"] is not None:
            check_range("NewtonCG", group, max_cg_iter=(1, math.inf))

    def minimize(self, closure, group):
        """Take up to ``max_iter`` steps; returns the loss from before."""
        state = self.state[self._params[0]]
        first = None
        for _ in range(group["max_iter"]):
            loss, gradients = self._differentiate(closure, create_graph=True)
            first = loss if first is None else first
            gradient = self._flat([None if g is None else g.data for g in gradients])
            for parameter, part in zip(self._params, self._parts(gradient), strict=True):
                parameter.grad = Tensor(part.copy())
            if np.abs(gradient).max() <= group["tolerance_grad"]:
                break
            direction, products = self._direction(gradients, gradient, group["max_cg_iter"])
            state["n_iter"] = state.get("n_iter", 0) + 1
            state["hessian_products"] = state.get("hessian_products", 0) + products
            start = Point(0.0, float(loss), gradient, dot(gradient, direction))
            point, calls = self._search(closure, start, direction, group)
            state["func_evals"] = state.get("func_evals", 0) + calls + 1
            size = float(np.abs(direction).max()) * point.t
            change = abs(point.loss - start.loss)
            if size <= group["tolerance_change"] or change < group["tolerance_change"]:
                break
        return first.detach()

    def _differentiate(self, closure, create_graph=False):
        """(loss, its gradients by each parameter, None where it has no influence)."""
        loss = closure()
        try:
            return loss, grad(loss, self._params, create_graph=create_graph, allow_unused=True)
        except RuntimeError as error:
            raise RuntimeError(
                f"NewtonCG: the loss cannot be differentiated ({error}); the closure should return "
                "it without calling backward"
            ) from error

    def _product(self, gradients, v):
        """The Hessian times a vector."""
        triples = zip(gradients, self._parts(v), self._params, strict=True)
        pairs = [(g, Tensor(part)) for g, part, _ in triples if g is not None and g.requires_grad]
        if not pairs:
            return np.zeros_like(v)
        outputs, vectors = zip(*pairs, strict=True)
        found = grad(outputs, self._params, vectors, retain_graph=True, allow_unused=True)
        return self._flat([None if x is None else x.data for x in found])

    def _direction(self, gradients, gradient, most):
        """(direction of descent, products with the Hessian that it took)."""
        z, r = np.zeros_like(gradient), gradient.copy()
        d, squared, model = -gradient, dot(gradient, gradient), 0.0
        norm = math.sqrt(squared)
        enough = min(0.5, math.sqrt(norm)) * norm
        scalar = gradient.dtype.type
        most = gradient.size if most is None else most
        for products in range(1, most + 1):
            curved = self._product(gradients, d)
            curvature = dot(d, curved)
            if not curvature > 0:
                return (d if products == 1 else z), products
            length = squared / curvature
            z += scalar(length) * d
            r += scalar(length) * curved
            before, squared = squared, dot(r, r)
            model_before, model = model, 0.5 * dot(z, r + gradient)
            if math.sqrt(squared) <= enough and products * (model - model_before) >= 0.5 * model:
                break
            if squared == 0:
                break
            d = scalar(squared / before) * d - r
        return z, products

    def _search(self, closure, start, direction, group):
        """(the point that is gone to, calls of the closure)."""
        origin, t = self._position(), number(group["lr"])

        def move(t):
            self._move_to(origin + direction.dtype.type(t) * direction)

        def evaluate(t):
            move(t)
            loss, gradients = self._differentiate(closure)
            gradient = self._flat([None if g is None else g.data for g in gradients])
            return Point(t, float(loss), gradient, dot(gradient, direction))

        @no_grad
        def evaluate_loss(t):
            move(t)
            return Point(t, float(closure()), None, math.nan)

        if group["line_search_fn"] == "backtracking":
            point, calls = backtrack(evaluate_loss, start, t)
        else:
            point, calls = strong_wolfe(evaluate, start, t, float(np.abs(direction).max()))
        move(point.t)
        return point, calls

    def _fit_all(self, values, parameter):
        """The state is counts only."""
        return dict(values)
