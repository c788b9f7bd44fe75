"""Hooks of modules: functions called before and after ``forward``, and in the backward pass.

A module without hooks has none of this: ``Module.__call__`` looks at one attribute.
"""

import itertools
import warnings

from ..autograd import Function
from ..tensor import RemovableHandle, Tensor

_numbers = itertools.count()


class Hooks:
    """The hooks of one module: {number: (function, options)} by kind, in the order of calls."""

    def __init__(self):
        self.before, self.after, self.back_before, self.back = {}, {}, {}, {}

    def add(self, kind, hook, prepend, **options):
        """Register a hook; returns its handle."""
        hooks, number = getattr(self, kind), next(_numbers)
        others = dict(hooks)
        if prepend:
            hooks.clear()
        hooks[number] = hook, options
        if prepend:
            hooks.update(others)
        return RemovableHandle(hooks, number)


def call(module, hooks, args, kwargs):
    """``module.forward(*args, **kwargs)`` with the hooks' calls around it."""
    called = set()
    result = None
    try:
        args, kwargs = _run_before(module, hooks, args, kwargs)
        watch = _Backward(module, hooks) if hooks.back or hooks.back_before else None
        if watch is not None:
            args = watch.take_inputs(args)
        result = module.forward(*args, **kwargs)
        for number, (hook, options) in list(hooks.after.items()):
            called.add(number)
            changed = _call_after(module, hook, options, args, kwargs, result)
            result = result if changed is None else changed
        return result if watch is None else watch.take_outputs(result)
    except Exception:
        for number, (hook, options) in list(hooks.after.items()):
            if options["always_call"] and number not in called:
                try:
                    _call_after(module, hook, options, args, kwargs, result)
                except Exception as error:
                    warnings.warn(
                        f"{type(module).__name__}: a forward hook with always_call=True failed "
                        f"after another error: {error}",
                        stacklevel=3,
                    )
        raise


def _run_before(module, hooks, args, kwargs):
    for hook, options in list(hooks.before.values()):
        if options["with_kwargs"]:
            changed = hook(module, args, kwargs)
            if changed is not None:
                if not isinstance(changed, tuple) or len(changed) != 2:
                    raise RuntimeError(
                        f"{type(module).__name__}: a forward pre-hook with_kwargs returned "
                        f"{type(changed).__name__}; expected None or (args, kwargs)"
                    )
                args, kwargs = changed
        else:
            changed = hook(module, args)
            if changed is not None:
                args = changed if isinstance(changed, tuple) else (changed,)
    return args, kwargs


def _call_after(module, hook, options, args, kwargs, result):
    if options["with_kwargs"]:
        return hook(module, args, kwargs, result)
    return hook(module, args, result)


# ------------------------------------------------------------------ backward


class _Gate(Function):
    """Tensors as they are; in the backward pass ``ctx.pass_on`` sees their gradients together."""

    @staticmethod
    def forward(ctx, pass_on, *tensors):
        ctx.pass_on = pass_on
        ctx.set_materialize_grads(False)
        return tensors if len(tensors) > 1 else tensors[0]

    @staticmethod
    def backward(ctx, *grads):
        return None, *ctx.pass_on(grads)


class _Backward:
    """The backward hooks of one call: they see the gradients of its inputs and its outputs."""

    def __init__(self, module, hooks):
        self.module, self.hooks = module, hooks
        self.outputs = None  # gradients, once known
        self.through_inputs = False  # whether an argument requires grad

    def take_inputs(self, args):
        """The arguments, through a gate where the gradients of the tensors among them pass."""
        self.through_inputs, passed = _through_gate(args, self._run)
        return passed

    def take_outputs(self, result):
        """The result, likewise."""
        several = isinstance(result, tuple)
        _, passed = _through_gate(result if several else (result,), self._on_outputs)
        return passed if several else passed[0]

    def _on_outputs(self, grads):
        for hook, _ in list(self.hooks.back_before.values()):
            changed = hook(self.module, grads)
            grads = grads if changed is None else _same_number(self.module, changed, grads)
        self.outputs = grads
        if not self.through_inputs:
            self._run(())
        return grads

    def _run(self, grads):
        seen = grads or (None,)
        for hook, _ in list(self.hooks.back.values()):
            changed = hook(self.module, seen, self.outputs)
            if changed is not None:
                if not grads:
                    raise RuntimeError(
                        f"{type(self.module).__name__}: a backward hook returned a gradient, but "
                        "no input requires one"
                    )
                seen = grads = _same_number(self.module, changed, grads)
        self.outputs = None
        return grads


def _same_number(module, changed, grads):
    changed = changed if isinstance(changed, tuple) else (changed,)
    if len(changed) != len(grads):
        raise RuntimeError(
            f"{type(module).__name__}: a backward hook returned {len(changed)} gradients, expected "
            f"{len(grads)}"
        )
    return changed


def _through_gate(values, on_gradients):
    """(whether a tensor requires grad, the values with all tensors passed through one gate)"""
    places = [k for k, x in enumerate(values) if isinstance(x, Tensor)]
    if not any(values[k].requires_grad for k in places):
        return False, values
    passed = _Gate.apply(on_gradients, *[values[k] for k in places])
    passed, values = passed if isinstance(passed, tuple) else (passed,), list(values)
    for k, tensor in zip(places, passed, strict=True):
        values[k] = tensor
    return True, tuple(values)
