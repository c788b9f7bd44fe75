"""What optimizers of a whole loss share: parameters as one vector, searches along a line."""

import math
from typing import NamedTuple

import numpy as np

from ..backend import K
from ..gradients import change
from ..tape import enable_grad, recording
from .optimizer import Optimizer, check_range


def dot(a, b):
    """The scalar product of two vectors, as a Python number."""
    return K.matmul(a.reshape(1, -1), b.reshape(-1, 1)).item()


class WholeLossOptimizer(Optimizer):
    """Base of the optimizers that call a closure several times in a step; one group only."""

    closure = "gradients"  # what the closure is to compute: ``fit`` makes it

    def __init__(self, params, defaults):
        super().__init__(params, defaults)
        self._params = self.param_groups[0]["params"]

    def __setstate__(self, state):
        super().__setstate__(state)
        self._params = self.param_groups[0]["params"]

    def add_param_group(self, param_group):
        """The one group; a second raises ``ValueError``."""
        if self.param_groups:
            raise ValueError(f"{self._name()}: expected one group of parameters")
        super().add_param_group(param_group)

    def check(self, group):
        names = "lr", "tolerance_grad", "tolerance_change"
        check_range(self._name(), group, **dict.fromkeys(names, (0, math.inf)))
        if group["line_search_fn"] not in self.searches:
            expected = " or ".join(map(repr, self.searches))
            raise ValueError(
                f"{self._name()}: line_search_fn = {group['line_search_fn']!r}; expected {expected}"
            )

    def _step(self, closure=None):
        if recording.active is not None and recording.here():
            recording.active.refuse(
                f"compile: {self._name()} calls its closure as often as the loss demands, which "
                "cannot be recorded; compile the closure's parts instead"
            )
        if closure is None:
            raise TypeError(f"{self._name()}: step wants a closure that computes the loss")
        with enable_grad():
            return self.minimize(closure, self.param_groups[0])

    def minimize(self, closure, group):
        """Take up to ``max_iter`` steps; returns the loss from before."""
        raise NotImplementedError

    def _flat(self, arrays):
        """Arrays of the parameters' shapes as one vector, zeros for None."""
        pairs = zip(arrays, self._params, strict=True)
        return np.concatenate(
            [np.zeros(p.data.size, p.dtype) if x is None else x.reshape(-1) for x, p in pairs]
        )

    def _parts(self, flat):
        """A vector as arrays of the parameters' shapes and types."""
        ends = np.cumsum([p.data.size for p in self._params])
        parts = zip(np.split(flat, ends[:-1]), self._params, strict=True)
        return [part.reshape(p.shape).astype(p.dtype, copy=False) for part, p in parts]

    def _position(self):
        return self._flat([p.data for p in self._params])

    def _move_to(self, flat):
        def assign(arrays):
            for array, part in zip(arrays, self._parts(flat), strict=True):
                array[...] = part

        change(self._params, assign)


class Point(NamedTuple):
    """A place on the line: the step t, the loss, its gradient, and its slope along the line."""

    t: float
    loss: float
    gradient: np.ndarray | None
    slope: float


def backtrack(evaluate, start, t, c1=1e-4, most=25):
    """Halve t until the loss has fallen enough (Armijo's condition).

    evaluate   a function of t that gives a ``Point``; its gradient and slope are not looked at

    Returns (point, evaluations). Nocedal & Wright 2006, algorithm 3.1.
    """
    for evaluations in range(1, most + 1):
        now = evaluate(t)
        if now.loss <= start.loss + c1 * t * start.slope:
            return now, evaluations
        t *= 0.5
    return start, most


def strong_wolfe(evaluate, start, t, size, c1=1e-4, c2=0.9, tolerance=1e-9, most=25):
    """A step with enough descent and a slope that is small enough (the strong Wolfe conditions).

    evaluate    a function of t that gives a ``Point``
    start       the point at t = 0
    size        the direction's largest element: where the bracket is below tolerance / size, the
                search is over

    Steps grow until a minimum is bracketed; the bracket is cut down by cubic interpolation. Returns
    (point, evaluations). Nocedal & Wright 2006, algorithms 3.5 and 3.6, as in PyTorch's LBFGS.
    """
    before, now, rounds = start, evaluate(t), 0
    while rounds < most:
        if _too_high(now, start, c1) or (rounds > 1 and now.loss >= before.loss):
            break
        if abs(now.slope) <= -c2 * start.slope:
            return now, rounds + 1
        if now.slope >= 0:
            break
        t = _cubic_minimum(before, now, now.t + 0.01 * (now.t - before.t), now.t * 10)
        before, now, rounds = now, evaluate(t), rounds + 1
    else:
        before = start
    low, high = _lower_first(before, now)
    stuck = False
    while rounds < most and abs(high.t - low.t) * size >= tolerance:
        left, right = min(low.t, high.t), max(low.t, high.t)
        first, second = (low, high) if low.t <= high.t else (high, low)
        t = _cubic_minimum(first, second, left, right)
        t, stuck = _away_from_the_ends(t, left, right, stuck)
        now, rounds = evaluate(t), rounds + 1
        if _too_high(now, start, c1) or now.loss >= low.loss:
            low, high = _lower_first(low, now)
            continue
        if abs(now.slope) <= -c2 * start.slope:
            return now, rounds + 1
        if now.slope * (high.t - low.t) >= 0:
            high = low
        low = now
    return low, rounds + 1


def _too_high(point, start, c1):
    """Whether the loss has not fallen enough, or is no number."""
    return not point.loss <= start.loss + c1 * point.t * start.slope


def _lower_first(a, b):
    """Two points, the one with the lower loss first; one without a loss is never that."""
    return (b, a) if b.loss < a.loss else (a, b)


def _away_from_the_ends(t, left, right, stuck):
    """(t, whether it is near an end): the second time in a row, or at the end, it is moved in."""
    margin = 0.1 * (right - left)
    if min(right - t, t - left) >= margin:
        return t, False
    if not stuck and left < t < right:
        return t, True
    return (right - margin if abs(t - right) < abs(t - left) else left + margin), False


def _cubic_minimum(a, b, least, most):
    """Where the cubic through two points, with their slopes, is least, within bounds."""
    if b.t < a.t:
        a, b = b, a
    middle = a.slope + b.slope - 3 * (a.loss - b.loss) / (a.t - b.t)
    square = middle * middle - a.slope * b.slope
    bottom = math.nan
    if square >= 0:
        root = math.sqrt(square)
        divisor = b.slope - a.slope + 2 * root
        if divisor != 0:
            bottom = b.t - (b.t - a.t) * ((b.slope + root - middle) / divisor)
    return min(max(bottom, least), most) if math.isfinite(bottom) else (least + most) / 2
