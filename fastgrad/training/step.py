"""One training step, in pieces that ``compile`` can record."""

import inspect

from ..compile import compile as compile_step
from .batches import apply
from .evaluation import check_loss

__all__ = ["make_step"]


def make_step(context, hooks, *, compiled, check_finite):
    """A function of a batch that trains on it: (x, target) to its loss.

    What is counted goes to the context's totals. ``hooks`` are called with the context when the
    gradients are there.

    compiled       record it, and replay it
    check_finite   ``FloatingPointError`` for a loss that is NaN or infinite, before the parameters
                   change
    """
    wrap = compile_step if compiled else lambda step: step
    gradients = _gradients(context, hooks)
    closure = _closure_of(context.optimizer)
    if closure == "gradients":
        return _by_closure(context, wrap(gradients), check_finite)
    if closure == "loss":
        if hooks:
            raise ValueError(
                f"fit: {type(context.optimizer).__name__} computes the gradients itself, and no "
                "callback can change them"
            )
        return _by_closure(context, lambda x, target: _forward(context, x, target), check_finite)
    optimizer, totals = context.optimizer, context.totals

    def step(x, target):
        value, outputs = gradients(x, target)
        totals.add(value, outputs, target, check_finite)
        optimizer.step()
        return value

    return wrap(step)


def _closure_of(optimizer):
    """What an optimizer's ``step`` wants a function for: "gradients", the "loss", or None."""
    if getattr(optimizer, "closure", None) is not None:
        return optimizer.closure
    parameter = inspect.signature(optimizer.step).parameters.get("closure")
    needed = parameter is not None and parameter.default is inspect.Parameter.empty
    return "gradients" if needed else None


def _forward(context, x, target):
    outputs = apply(context.model, x)
    value = context.loss(outputs, target)
    check_loss(value, "fit")
    return value, outputs


def _gradients(context, hooks):
    """A function of a batch that sets the gradients: (x, target) to (loss, outputs)."""

    def gradients(x, target):
        context.optimizer.zero_grad()
        value, outputs = _forward(context, x, target)
        value.backward()
        for hook in hooks:
            hook(context)
        return value, outputs

    return gradients


def _by_closure(context, compute, check_finite):
    """The step of an optimizer that asks for losses itself; the first one is what counts."""

    def step(x, target):
        values = []

        def closure():
            value, outputs = compute(x, target)
            if not values:
                context.totals.add(value, outputs, target, check_finite)
            values.append(value)
            return value

        context.optimizer.step(closure)
        return values[0]

    return step
