"""``op``: lifts a rule on arrays to tensors.

A rule is a function on arrays that returns its result and its pull-back:

    @op
    def relu(x):
        out = K.relu_forward(x)
        return out, lambda grad: K.relu_backward(grad, out)

Arrays are positional, attributes keyword-only. The pull-back closes over arrays, never tensors,
so that no reference cycle can arise. With one array it is ``vjp(grad)``. With several it is a tuple
of functions, one for each (None or left out where there is no gradient), or, where gradients share
work, one function ``vjp(grad, needs)`` that returns a gradient for each, None where ``needs`` is
False. A rule with a tuple of results gets a list of their gradients, None where nothing came back.

What a pull-back closes over under the name of a parameter, or as ``out``, counts as saved: if
that tensor is changed in place later, backward says so instead of computing a wrong gradient.
"""

import inspect
import sys
from functools import partial, wraps

import numpy as np

from .differentiate import grad as gradients
from .tape import Node, Parcel, mode, recording
from .tensor import Tensor
from .watch import look, watch


def _saved_arrays(vjp, parameters):
    """(positions of the inputs, whether the result) that a pull-back closes over."""
    functions = vjp if type(vjp) is tuple else (vjp,)
    names = {name for f in functions if f is not None for name in f.__code__.co_freevars}
    return tuple(k for k, name in enumerate(parameters) if name in names), "out" in names


def op(rule=None, *, name=None, linear=False, adds=False):
    """Lift a rule on arrays to tensors (see the module's text).

    The result is a function of tensors, arrays or numbers; ``.rule`` is the rule itself. ``name``
    is what errors and the graph call it, by default the rule's. ``linear`` says that the result is
    a linear function of the only array: then its gradient can be differentiated again without
    more ado. ``adds`` says that its pull-back can be called as ``vjp(grad, whole)`` too, and then
    adds to a gradient of the array that there is already: what a part of a large array wants.

    >>> import numpy as np
    >>> import fastgrad as fg
    >>> @fg.op
    ... def cube(x):
    ...     return x**3, lambda grad: 3 * x**2 * grad
    >>> x = fg.tensor(2.0, requires_grad=True)
    >>> cube(x).backward()
    >>> x.grad
    tensor(12.)

    ``.differentiable`` states the gradient once more, by operations on tensors, for gradients of
    gradients: one function for each array, of the gradient and of what the pull-back closes over.

    >>> cube = cube.differentiable(lambda grad, x: 3 * x * x * grad)
    >>> (slope,) = fg.grad(cube(x), x, create_graph=True)
    >>> fg.grad(slope, x)
    (tensor(12.),)

    ``.composed_of``, instead, names a function of tensors that computes the same by simpler
    operations, from the same arguments.
    """
    if rule is None:
        return partial(op, name=name, linear=linear, adds=adds)
    name = name or rule.__name__.strip("_")
    signature = inspect.signature(rule).parameters.values()
    parameters = tuple(p.name for p in signature if p.kind is p.POSITIONAL_OR_KEYWORD)
    options = tuple(p.name for p in signature if p.kind is p.KEYWORD_ONLY)
    names, most = frozenset(parameters), len(parameters)
    if any(p.kind is p.VAR_POSITIONAL for p in signature):
        most = sys.maxsize
    plans = {}  # what is saved, by pull-back and needed gradients

    @wraps(rule)
    def lifted(*operands, **attributes):
        if len(operands) > most or (attributes and not names.isdisjoint(attributes)):
            operands, attributes = _bind(name, parameters, options, operands, attributes)
        arrays, inputs, record = [], [], 0
        for x in operands:
            if isinstance(x, Tensor):
                arrays.append(x.data)
                if x._requires_grad:
                    inputs.append(x._node or x)
                    record += 1
                    continue
            else:
                arrays.append(x.item() if isinstance(x, np.generic) else x)
            inputs.append(None)
        if recording.active is not None and recording.here():
            arrays = recording.active.operands(operands, arrays)
        try:
            out, vjp = rule(*arrays, **attributes)
        except AttributeError as error:
            raise _no_tensor(name, operands, error) from None
        several = type(out) is tuple
        result = Tensor(out[0] if several else out)
        base = result.data.base
        if base is not None:
            for x in operands:
                if isinstance(x, Tensor) and (x.data is base or x.data.base is base):
                    result._version = x._version  # a view: a change of one is one of both
                    x._version[1] = True
        if record and vjp is not None and mode.grad_enabled:
            if record == len(operands):
                needs = (True,) * record
            else:
                needs = [source is not None for source in inputs]
                if type(vjp) is tuple:  # what only an unneeded gradient wants is not kept
                    vjp = tuple([f if need else None for f, need in zip(vjp, needs)])  # noqa: B905
            if type(vjp) is tuple:
                plan = plans.get(code := tuple([f and f.__code__ for f in vjp]))
            else:
                plan = plans.get(code := vjp.__code__)
            if plan is None:
                plan = plans[code] = _saved_arrays(vjp, parameters)
            positions, saves_result = plan
            saved = []
            for k in positions:
                if k < len(operands) and isinstance(operands[k], Tensor):
                    version = operands[k]._version
                    saved.append((version, version[0], parameters[k]))
            if saves_result:
                saved.append((result._version, result._version[0], "result"))
            result._requires_grad = True
            result._node = Node(lifted, vjp, inputs, needs, saved, attributes, result.data)
        if watch.on:
            look(lifted, operands, attributes, result)
        return _results(result, out) if several else result

    def differentiable(*formulas):
        lifted.again = partial(_by_formulas, parameters, formulas)
        return lifted

    def composed_of(function):
        lifted.again = partial(_by_composition, parameters, function)
        return lifted

    lifted.rule, lifted.differentiable, lifted.composed_of = rule, differentiable, composed_of
    lifted.again, lifted.adds = _by_adjoint if linear else None, adds
    lifted.__name__ = lifted.__qualname__ = name
    return lifted


def _no_tensor(name, operands, error):
    """The error of an operand that is neither a tensor nor an array; any other as it is."""
    for k, x in enumerate(operands):
        if isinstance(x, Tensor | np.ndarray | np.generic | int | float) or (x is None and k):
            continue
        return TypeError(f"{name}: expected a tensor, got {type(x).__name__}")
    return error


class Operation:
    """What stands in a node for its operation: a name, and the pull-back on tensors."""

    __slots__ = ("__name__", "again")

    def __init__(self, name, again):
        self.__name__, self.again = name, again


def port(whole, name, index, count, array):
    """A node for one of several results, which sends what arrives to ``whole``, that of all."""
    operation = Operation(name, lambda node, grad, needs: (Parcel(grad, index, count),))
    return Node(operation, lambda grad: Parcel(grad, index, count), [whole], [True], (), {}, array)


def _results(whole, arrays):
    """The results of an operation that has several; ``whole`` has the node that stands for all.

    They share their count of changes: what changes one in place has changed a result.
    """
    node, results = whole._node, tuple(Tensor(array) for array in arrays)
    for k, result in enumerate(results):
        result._version = whole._version
        if node is not None:
            result._node = port(node, node.name, k, len(arrays), result.data)
            result._requires_grad = True
    return results


def _bind(name, parameters, options, operands, attributes):
    """Arrays given by keyword move to their positions, attributes given by position to keywords."""
    operands, attributes = list(operands), dict(attributes)
    for option, value in zip(options, operands[len(parameters) :], strict=False):
        if option in attributes:
            raise TypeError(f"{name}: got several values for {option!r}")
        attributes[option] = value
    if len(operands) > len(parameters) + len(options):
        most = len(parameters) + len(options)
        raise TypeError(f"{name}: takes at most {most} arguments, got {len(operands)}")
    operands = operands[: len(parameters)]
    for position, parameter in enumerate(parameters):
        if parameter in attributes:
            if position < len(operands):
                raise TypeError(f"{name}: got several values for {parameter!r}")
            operands += [None] * (position - len(operands)) + [attributes.pop(parameter)]
    return operands, attributes


# ------------------------------------------------------------------ pull-backs on tensors


def _by_adjoint(node, grad, needs):
    """The gradient of a linear operation's input, as a tensor: the adjoint of the adjoint is it."""
    rule, attributes = node.op.rule, node.attributes
    return (_adjoint(grad, there=node.vjp, back=lambda x: rule(x, **attributes)[0]),)


@op(name="adjoint", linear=True)
def _adjoint(x, *, there, back):
    return there(x), back


def _by_formulas(parameters, formulas, node, grad, needs):
    """The gradients of a node's inputs as tensors, by formulas on what its pull-back holds."""
    held = _held(parameters, node)
    held["needs"] = needs
    if len(formulas) == 1 < len(needs):
        return _call(formulas[0], grad, held)
    pairs = zip(formulas, needs, strict=False)
    return [_call(f, grad, held) if f is not None and need else None for f, need in pairs]


def _call(formula, grad, held):
    names = formula.__code__.co_varnames[1 : formula.__code__.co_argcount]
    return formula(grad, **{name: held[name] for name in names if name in held})


def _by_composition(parameters, function, node, grad, needs):
    """The gradients of a node's inputs as tensors: those of a function that computes the same.

    An input that the pull-back does not hold has no influence on the gradients but by its shape.
    """
    held, inputs = _held(parameters, node), []
    for name, source in zip(parameters, node.inputs, strict=False):
        value = held.get(name)
        if source is not None:  # by another name, so that ways around the operation do not count
            value = alias(
                as_input(np.zeros(source.shape, source.dtype), source, None)
                if value is None
                else value
            )
        inputs.append(value)
    out = function(*inputs, **node.attributes)
    wanted = [x for x, need in zip(inputs, needs, strict=True) if need]
    if type(grad) is list:  # of several results
        arrived = [k for k, part in enumerate(grad) if part is not None]
        out, grad = [out[k] for k in arrived], [grad[k] for k in arrived]
    found = iter(gradients(out, wanted, grad, create_graph=True, allow_unused=True))
    return [next(found) if need else None for need in needs]


@op(name="alias", linear=True)
def alias(x):
    """The same tensor by another name, so that gradients can be asked for from here on."""
    return x.view(), lambda grad: grad


def _held(parameters, node):
    """What a node's pull-back closes over, by name; arrays that were operands as tensors."""
    held = {}
    for function in node.vjp if type(node.vjp) is tuple else (node.vjp,):
        if function is not None and function.__closure__:
            cells = [cell.cell_contents for cell in function.__closure__]
            held.update(zip(function.__code__.co_freevars, cells, strict=True))
    versions = {name: cell for cell, _, name in node.saved}
    for name, value in held.items():
        if isinstance(value, np.ndarray | np.generic):  # ufuncs give numbers for no axes
            if name in parameters:
                source = node.inputs[parameters.index(name)]
                if source is not None or isinstance(value, np.ndarray):
                    held[name] = as_input(np.asanyarray(value), source, versions.get(name))
            elif name == "out":
                held[name] = as_input(np.asanyarray(value), node, versions.get("result"))
    return held


def as_input(array, source, version):
    """A saved array as the tensor that it was: its node's, a leaf, or a constant."""
    if isinstance(source, Tensor):
        return source
    tensor = Tensor(array if source is None else array.reshape(source.shape))
    if version is not None:
        tensor._version = version
    if source is not None:
        tensor._node, tensor._requires_grad = source, True
    return tensor
