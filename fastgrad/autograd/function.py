"""``Function``: an operation with a backward of the user's own, written on tensors."""

import inspect
import weakref
from functools import wraps

from ..creation import zeros
from ..tape import Node, mode, no_grad
from ..tensor import Tensor
from ..watch import called, look, watch
from ._nodes import Kept, Operation, port, source

__all__ = ["Function", "FunctionCtx", "once_differentiable"]


class FunctionCtx:
    """What ``forward`` leaves for ``backward``; attributes may be set freely.

    needs_input_grad   for each argument of forward, whether it requires grad
    """

    def __init__(self, name, needs):
        self._name, self.needs_input_grad = name, needs
        self._given, self._saved = (), None
        self._dirty = self._constant = ()
        self._materialize = True
        self._node = self._ports = None

    def save_for_backward(self, *tensors):
        """Keep tensors for ``saved_tensors`` in backward: inputs, results, others, or None.

        If one is changed in place before backward, that is an error there.
        """
        for position, tensor in enumerate(tensors):
            if tensor is not None and not isinstance(tensor, Tensor):
                raise TypeError(
                    f"{self._name}: save_for_backward got {type(tensor).__name__} at position "
                    f"{position}; expected tensors or None, and the rest as attributes of ctx"
                )
        self._given = tensors

    def save_for_forward(self, *tensors):
        """Does nothing: there is no forward mode."""

    def mark_dirty(self, *tensors):
        """Say which arguments forward changes in place; they must be among its results."""
        self._dirty = tensors

    def mark_non_differentiable(self, *tensors):
        """Say which results do not require grad. Those of integers never do."""
        self._constant = tensors

    def set_materialize_grads(self, value):
        """Whether backward gets zeros (the default) or None for results that were not used."""
        self._materialize = bool(value)

    @property
    def saved_tensors(self):
        """What was saved, as part of the graph it came from."""
        if self._saved is None:
            return tuple(self._given)
        return tuple([self._unpack(*entry) for entry in enumerate(self._saved)])

    def _unpack(self, position, entry):
        if entry is None:
            return None
        kept, result = entry
        if kept.cell[0] != kept.version:
            node = self._node and self._node()
            raise RuntimeError(
                f"{self._name}: its saved tensor {position} was changed in place after the forward "
                f"pass (version {kept.cell[0]}, expected {kept.version}), so its gradient cannot "
                f"be computed; change a copy instead (x = x + y, or x.clone())"
                f"{called(node) if node is not None else ''}"
            )
        tensor = kept.tensor()
        if result is not None and self._node is not None:
            tensor._node, tensor._requires_grad = self._node_of(result, kept.array), True
        return tensor

    def _node_of(self, result, array):
        """The node of a result: that which its tensor has, or another if the tensor is gone."""
        whole = self._node()
        if self._ports is None:
            return whole
        node = self._ports[result]()
        if node is None:
            node = port(whole, self._name, result, len(self._ports), array)
        return node

    def _seal(self, args, raw, differentiable):
        """Keep what was given, now that forward is done; of results without their tensors."""
        # an argument that is returned as it was counts as the argument
        own = [
            k for k in differentiable if not _is_one(raw[k], args) or _is_one(raw[k], self._dirty)
        ]
        saved = []
        for tensor in self._given:
            if tensor is None:
                saved.append(None)
                continue
            result = next((k for k in own if raw[k] is tensor), None)
            kept = Kept(tensor)
            if result is not None:
                kept.source = None
            saved.append((kept, result))
        self._saved, self._given = saved, ()
        self._dirty = self._constant = ()


class Function:
    """An operation with its own gradient, as in PyTorch: subclass it, and call ``apply``.

    ``forward(ctx, *args)`` computes, unrecorded: a tensor, or a tuple of tensors and of anything
    else. ``backward(ctx, *grads)`` gets a gradient for each result, and returns one for each
    argument, None where there is none. Or ``forward(*args)`` and ``setup_context(ctx, inputs,
    output)`` are apart. If backward is written in operations on tensors, it can be differentiated
    again; else decorate it with ``once_differentiable``.

    Only tensors that are arguments themselves get gradients, not those inside of lists.

    Raises ``RuntimeError`` where backward returns the wrong number of gradients, a saved tensor
    was changed in place, or one marked dirty is a leaf that requires grad, or not returned;
    ``TypeError`` for what is no gradient.

    >>> import fastgrad as fg
    >>> class Cube(fg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.save_for_backward(x)
    ...         return x * x * x
    ...
    ...     @staticmethod
    ...     def backward(ctx, grad):
    ...         (x,) = ctx.saved_tensors
    ...         return grad * 3 * x * x
    >>> x = fg.tensor(2.0, requires_grad=True)
    >>> (slope,) = fg.grad(Cube.apply(x), x, create_graph=True)
    >>> slope.item(), fg.grad(slope, x)[0].item()
    (12.0, 12.0)
    """

    @staticmethod
    def forward(*args, **kwargs):
        """Compute the results."""
        raise NotImplementedError("Function: a subclass must define forward(ctx, *args)")

    @staticmethod
    def setup_context(ctx, inputs, output):
        """Keep what backward will need, where forward does not take ``ctx``."""
        raise NotImplementedError("Function: setup_context is not defined")

    @staticmethod
    def backward(ctx, *grads):
        """From the gradients of the results to those of the arguments."""
        raise NotImplementedError("Function: a subclass must define backward(ctx, *grads)")

    @classmethod
    def apply(cls, *args, **kwargs):
        """Call the function."""
        split = cls.setup_context is not Function.setup_context
        if kwargs:
            args = _bind(cls, split, args, kwargs)
        needs = tuple([isinstance(x, Tensor) and x._requires_grad for x in args])
        ctx = FunctionCtx(cls.__name__, needs)
        versions = [x._version[0] if isinstance(x, Tensor) else 0 for x in args]
        with no_grad():
            output = cls.forward(*args) if split else cls.forward(ctx, *args)
            if split:
                cls.setup_context(ctx, args, output)
        if isinstance(output, list):
            raise TypeError(f"{cls.__name__}: forward returned a list; expected a tensor or tuple")
        raw = output if isinstance(output, tuple) else (output,)
        recorded = mode.grad_enabled and any(needs)
        _check_dirty(ctx, args, raw, versions, recorded)
        results = _record(cls, ctx, args, raw) if recorded else _unrecorded(ctx, raw)
        return tuple(results) if isinstance(output, tuple) else results[0]


def once_differentiable(backward):
    """Say that a ``Function``'s backward is not made of operations on tensors.

    Its results cannot be differentiated again: trying to is an error instead of a wrong gradient.

    >>> import numpy as np
    >>> import fastgrad as fg
    >>> class Exp(fg.autograd.Function):
    ...     @staticmethod
    ...     def forward(ctx, x):
    ...         ctx.out = np.exp(x.detach().numpy())
    ...         return fg.Tensor(ctx.out)
    ...
    ...     @staticmethod
    ...     @fg.autograd.once_differentiable
    ...     def backward(ctx, grad):
    ...         return fg.Tensor(grad.numpy() * ctx.out)
    >>> x = fg.tensor(0.0, requires_grad=True)
    >>> fg.grad(Exp.apply(x), x)
    (tensor(1.),)
    """

    @wraps(backward)
    def wrapper(ctx, *grads):
        with no_grad():
            return backward(ctx, *[None if g is None else g.detach() for g in grads])

    wrapper.once_differentiable = True
    return wrapper


def _bind(cls, split, args, kwargs):
    """Arguments given by keyword, in their places."""
    signature = inspect.signature(cls.forward)
    try:
        bound = signature.bind(*(() if split else (None,)), *args, **kwargs)
    except TypeError as error:
        raise TypeError(f"{cls.__name__}: {error}") from None
    bound.apply_defaults()
    return bound.args if split else bound.args[1:]


def _is_one(tensor, tensors):
    return any(tensor is other for other in tensors)


def _check_dirty(ctx, args, raw, versions, recorded):
    """Arguments that were changed in place: count the change, or say why it cannot be."""
    for tensor in ctx._dirty:
        position = next((k for k, x in enumerate(args) if x is tensor), None)
        if position is None or not _is_one(tensor, raw):
            raise RuntimeError(
                f"{ctx._name}: what is marked dirty must be an argument of forward, and be returned"
            )
        if recorded and tensor._requires_grad and tensor._node is None:
            raise RuntimeError(
                f"{ctx._name}: a leaf that requires grad cannot be changed in place while "
                "operations are recorded; do it in no_grad, or change x.detach()"
            )
        if recorded and tensor._version[1]:
            raise RuntimeError(
                f"{ctx._name}: a tensor that shares its memory with a view or a detached tensor "
                "cannot be changed in place while that is recorded"
            )
        if tensor._version[0] == versions[position]:
            tensor._version[0] += 1


def _unrecorded(ctx, raw):
    dirty = ctx._dirty
    return [
        x.detach() if isinstance(x, Tensor) and x._requires_grad and not _is_one(x, dirty) else x
        for x in raw
    ]


def _record(cls, ctx, args, raw):
    """The results as tensors of the graph."""
    name, dirty, results = cls.__name__, ctx._dirty, []
    differentiable = [
        k
        for k, x in enumerate(raw)
        if isinstance(x, Tensor) and x.dtype.kind == "f" and not _is_one(x, ctx._constant)
    ]
    inputs = [source(x) for x in args]
    for x in raw:
        if isinstance(x, Tensor) and not _is_one(x, dirty):
            before, x = x, Tensor(x.data)
            x._version = before._version
            if before._requires_grad or _is_one(before, args):
                x._version[1] = True
        results.append(x)
    ctx._seal(args, raw, differentiable)
    if not differentiable:
        return results
    call = _Call(cls, ctx, args, raw)
    operation = Operation(name, _again)
    first = raw[differentiable[0]].data
    node = Node(operation, call.pull, inputs, list(ctx.needs_input_grad), (), {}, first)
    ctx._node = weakref.ref(node)
    nodes = {differentiable[0]: node}
    if len(raw) > 1:
        nodes = {k: port(node, name, k, len(raw), raw[k].data) for k in differentiable}
        ctx._ports = {k: weakref.ref(nodes[k]) if k in nodes else None for k in range(len(raw))}
    for k, own in nodes.items():
        results[k]._node, results[k]._requires_grad = own, True
        if watch.on:
            look(operation, args, {}, results[k])
            if watch.anomaly:
                node.place = own.place
    return results


class _Call:
    """One call of a function, as its node keeps it."""

    def __init__(self, cls, ctx, args, raw):
        self.function, self.ctx = cls, ctx
        self.results = [(x.shape, x.dtype) if isinstance(x, Tensor) else None for x in raw]
        self.tensors = [isinstance(x, Tensor) for x in args]

    def pull(self, grads, needs=None):
        """The gradients of the arguments, arrays; of the only one where ``needs`` is left out."""
        grads = grads if type(grads) is list else [grads]
        with no_grad():
            found = self.run([None if g is None else Tensor(g) for g in grads])
        # views: a user may return what was saved, which must not be added to in place
        found = [None if x is None else x.data.view() for x in found]
        return found[0] if needs is None else found

    def run(self, grads):
        """The gradients of the arguments, tensors, from what backward returns."""
        name, count = self.function.__name__, len(self.tensors)
        if self.ctx._materialize:
            grads = [
                zeros(like[0], dtype=like[1]) if g is None and like is not None else g
                for g, like in zip(grads, self.results, strict=True)
            ]
        found = self.function.backward(self.ctx, *grads)
        found = list(found) if isinstance(found, tuple | list) else [found]
        while len(found) > count and found[-1] is None:
            found.pop()
        if len(found) != count:
            raise RuntimeError(
                f"{name}: backward returned {len(found)} gradients, expected {count}: one for each "
                "argument of forward, None where there is none"
            )
        for position, (x, tensor) in enumerate(zip(found, self.tensors, strict=True)):
            if x is not None and not isinstance(x, Tensor):
                raise TypeError(
                    f"{name}: backward returned {type(x).__name__} at position {position}; "
                    "expected a Tensor or None"
                )
            if x is not None and not tensor:
                raise RuntimeError(
                    f"{name}: backward returned a gradient at position {position}, but that "
                    "argument of forward was no tensor; expected None"
                )
        return found


def _again(node, grad, needs):
    """The gradients of a function's arguments as tensors with a graph."""
    call = node.vjp.__self__
    grads = grad if type(grad) is list else [grad]
    found = call.run(grads)
    if getattr(call.function.backward, "once_differentiable", False):
        inputs = [key for key in (*node.inputs, *map(source, grads)) if key is not None]
        found = [None if x is None else _constant(node.name, x, inputs) for x in found]
    return found


def _constant(name, tensor, inputs):
    """A gradient that must not be differentiated again."""

    def refuse(*_):
        raise RuntimeError(
            f"{name}: its gradient cannot be differentiated again: backward is marked "
            "once_differentiable"
        )

    result = Tensor(tensor.data)
    needs = [True] * len(inputs)
    result._node = Node(Operation(name, refuse), refuse, inputs, needs, (), {}, result.data)
    result._requires_grad = True
    return result
