"""L-BFGS."""

import numpy as np

from .line_search import Point, WholeLossOptimizer, dot, strong_wolfe
from .optimizer import number, options_of


class LBFGS(WholeLossOptimizer):
    """L-BFGS: a quasi-Newton method that keeps the last changes of parameters and gradient.

        sₖ = xₖ₊₁ - xₖ,  yₖ = ∇ₖ₊₁ - ∇ₖ,  direction = -H ∇  by the two-loop recursion over them

    lr               first step along a direction; without line search the only one
    max_iter         iterations in one ``step``; at most max_eval calls of the closure, by default
                     5/4 of that
    tolerance_grad, tolerance_change   the largest element of the gradient, and the change of loss
                     and parameters, at which a step ends
    history_size     pairs that are kept
    line_search_fn   None or "strong_wolfe"

    ``step(closure)``: the closure clears the gradients, computes the loss, calls backward and
    returns the loss. For losses of the whole data set. One group of parameters; cannot be part of a
    compiled step. Liu & Nocedal 1989; Nocedal & Wright 2006, algorithm 7.4. Raises ``ValueError``
    for options out of range.

    >>> import fastgrad as fg
    >>> x = fg.tensor([-1.0, 2.0], dtype=fg.float64, requires_grad=True)
    >>> optimizer = fg.optim.LBFGS([x], line_search_fn="strong_wolfe", max_iter=50)
    >>> def closure():
    ...     optimizer.zero_grad()
    ...     loss = (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2
    ...     loss.backward()
    ...     return loss
    >>> loss = optimizer.step(closure)
    >>> x
    tensor([1.0000, 1.0000], dtype=fastgrad.float64, requires_grad=True)
    """

    searches = (None, "strong_wolfe")

    def __init__(
        self,
        params,
        lr=1,
        max_iter=20,
        max_eval=None,
        tolerance_grad=1e-7,
        tolerance_change=1e-9,
        history_size=100,
        line_search_fn=None,
    ):
        max_eval = max_iter * 5 // 4 if max_eval is None else max_eval
        super().__init__(params, options_of(locals()))

    def minimize(self, closure, group):
        """Take up to ``max_iter`` steps; returns the loss from before."""
        state = self.state[self._params[0]]
        state.setdefault("func_evals", 0)
        state.setdefault("n_iter", 0)
        first = closure()
        loss, gradient, evaluations = float(first), self._gradient(), 1
        state["func_evals"] += 1
        for iteration in range(1, group["max_iter"] + 1):
            if np.abs(gradient).max() <= group["tolerance_grad"]:
                break
            state["n_iter"] += 1
            direction = self._direction(state, gradient, group["history_size"])
            slope = dot(gradient, direction)
            t = number(group["lr"])
            if state["n_iter"] == 1:
                t *= min(1.0, 1.0 / float(np.abs(gradient).sum()))
            before = loss
            state |= {"d": direction, "t": t, "prev_flat_grad": gradient, "prev_loss": before}
            if slope > -group["tolerance_change"]:
                break
            start = Point(0.0, loss, gradient, slope)
            last = iteration == group["max_iter"]
            (t, loss, gradient, _), calls = self._search(
                closure, start, t, direction, group, group["max_eval"] - evaluations, last
            )
            state["t"] = t
            evaluations += calls
            state["func_evals"] += calls
            if evaluations >= group["max_eval"]:
                break
            if float(np.abs(direction * t).max()) <= group["tolerance_change"]:
                break
            if abs(loss - before) < group["tolerance_change"]:
                break
        return first

    def _gradient(self):
        return self._flat([None if p.grad is None else p.grad.data for p in self._params])

    def _search(self, closure, start, t, direction, group, most, last):
        """(the point that is gone to, calls of the closure)."""
        origin = self._position()

        def evaluate(t):
            self._move_to(origin + direction.dtype.type(t) * direction)
            loss, gradient = float(closure()), self._gradient()
            return Point(t, loss, gradient, dot(gradient, direction))

        if group["line_search_fn"] is None:
            if last:  # nobody will look at the loss and gradient there
                self._move_to(origin + direction.dtype.type(t) * direction)
                return start._replace(t=t), 0
            return evaluate(t), 1
        size = float(np.abs(direction).max())
        point, calls = strong_wolfe(evaluate, start, t, size, most=most)
        self._move_to(origin + direction.dtype.type(point.t) * direction)
        return point, calls

    def _direction(self, state, gradient, history_size):
        """``-H · gradient``, H the inverse Hessian as far as the history tells."""
        if state["n_iter"] == 1:
            state |= {"old_dirs": [], "old_stps": [], "ro": [], "H_diag": 1.0}
            return -gradient
        changes, steps, factors = state["old_dirs"], state["old_stps"], state["ro"]
        y, s = gradient - state["prev_flat_grad"], state["d"] * state["d"].dtype.type(state["t"])
        curvature = dot(y, s)
        if curvature > 1e-10:
            if len(changes) == history_size:
                del changes[0], steps[0], factors[0]
            changes.append(y)
            steps.append(s)
            factors.append(1.0 / curvature)
            state["H_diag"] = curvature / dot(y, y)
        direction, weights = -gradient, []
        scalar = direction.dtype.type
        for y, s, factor in zip(reversed(changes), reversed(steps), reversed(factors), strict=True):
            weights.append(dot(s, direction) * factor)
            direction -= scalar(weights[-1]) * y
        direction *= scalar(state["H_diag"])
        for y, s, factor in zip(changes, steps, factors, strict=True):
            direction += scalar(weights.pop() - dot(y, direction) * factor) * s
        return direction

    def _fit_all(self, values, parameter):
        """The state is that of all parameters together: vectors, lists of them, and numbers."""
        size = sum(p.data.size for p in self._params)

        def fit(name, value):
            if isinstance(value, list):
                return [fit(name, part) for part in value if part is not None]
            if value is None or isinstance(value, int | float):
                return value
            array = np.array(value)
            if array.ndim == 0:
                return array.item()
            if array.shape != (size,):
                raise ValueError(
                    f"LBFGS: state {name!r} has shape {array.shape}, expected ({size},)"
                )
            return array.astype(self._position().dtype)

        # al is what PyTorch keeps of a loop's scratch memory
        return {name: fit(name, value) for name, value in values.items() if name != "al"}
