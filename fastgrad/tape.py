"""The tape: what was computed from what, and the walk back.

A ``Node`` stands for the result of one operation. It holds the operation's pull-back and, for
each input, where that input came from: another node, a leaf tensor, or nothing that needs a
gradient. Nodes carry creation numbers. An operation's inputs are older than its result, so
visiting the reachable nodes in descending order meets every node after all its users: no
recursion, no topological sort, and a chain 100,000 operations deep is as good as a short one.

Broadcast reduction, gradient accumulation and ownership live here and nowhere else.
"""

import heapq
import itertools
import threading
from functools import wraps

import numpy as np

from .backend import K, is_own

_numbers = itertools.count()


class _Mode(threading.local):
    grad_enabled = True


mode = _Mode()


class Recording:
    """Whether ``fastgrad.compile`` records a step at this moment, and in which thread."""

    active = None  # the trace, whichever thread's

    def here(self):
        """The trace of the calling thread, or None."""
        active = self.active
        return active if active is not None and active.thread == threading.get_ident() else None


recording = Recording()


class _SetGrad:
    """A context manager, and a decorator, that switches recording on or off."""

    _value = None

    def __new__(cls, function=None):
        self = super().__new__(cls)
        return self if function is None else self(function)  # @no_grad without brackets

    def __enter__(self):
        self._before = mode.grad_enabled
        mode.grad_enabled = self._value
        return self

    def __exit__(self, *exception):
        mode.grad_enabled = self._before

    def __call__(self, function):
        @wraps(function)
        def wrapper(*args, **kwargs):
            with type(self)():
                return function(*args, **kwargs)

        return wrapper


class no_grad(_SetGrad):
    """Record nothing inside: results do not require gradients.

    >>> import fastgrad as fg
    >>> x = fg.tensor([1.0], requires_grad=True)
    >>> with fg.no_grad():
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    _value = False


class enable_grad(_SetGrad):
    """Record inside, also where a surrounding ``no_grad`` has switched recording off."""

    _value = True


def is_grad_enabled():
    """Whether operations of this thread are recorded."""
    return mode.grad_enabled


class Node:
    """The result of one recorded operation.

    op       name of the operation
    vjp      its pull-back: the gradient of the result to those of the inputs, one function for
             all or a tuple of one for each; None when freed
    inputs   per input a Node, a leaf tensor, or None where no gradient is needed
    needs    per input whether it needs a gradient
    saved    (version cell, version, name) of each array that the pull-back holds
    """

    __slots__ = (
        "__weakref__",
        "dtype",
        "hooks",
        "inputs",
        "needs",
        "number",
        "op",
        "retained",
        "saved",
        "shape",
        "vjp",
    )

    def __init__(self, op, vjp, inputs, needs, saved, out):
        self.number = next(_numbers)
        self.op = op
        self.vjp = vjp
        self.inputs = inputs
        self.needs = needs
        self.saved = saved
        self.shape = out.shape
        self.dtype = out.dtype
        self.hooks = None
        self.retained = None

    def __repr__(self):
        return f"<{self.op.title().replace('_', '')}Backward>"


def _changed(node, cell, name, version):
    return RuntimeError(
        f"{node.op}: its {name} was changed in place after the forward pass (version {cell[0]}, "
        f"expected {version}), so its gradient cannot be computed; change a copy instead "
        "(x = x + y, or x.clone())"
    )


def as_array(x):
    """``x`` as an array; ufuncs give numbers for arrays without axes."""
    return x if isinstance(x, np.ndarray) else np.asarray(x)


def _fit(array, shape, dtype):
    """A gradient in its tensor's shape and type: sum over what broadcasting stretched."""
    if array.shape != shape:
        if not _broadcasts(shape, array.shape):
            raise RuntimeError(f"its pull-back gave shape {array.shape} for an input of {shape}")
        array = K.unbroadcast(array, shape)
    if array.dtype != dtype:
        array = array.astype(dtype)
    return array


def _broadcasts(shape, to):
    """Whether an array of ``shape`` can be broadcast to shape ``to``."""
    if len(shape) > len(to):
        return False
    return all(a in (1, b) for a, b in zip(reversed(shape), reversed(to), strict=False))


def _pull_back(node, grad, needs):
    """The gradients of a node's inputs, None where not needed."""
    vjp = node.vjp
    if type(vjp) is tuple:
        return [f(grad) if f and need else None for f, need in zip(vjp, needs, strict=False)]
    results = vjp(grad, needs)
    if not isinstance(results, tuple | list) or len(results) < len(needs):
        count = len(results) if isinstance(results, tuple | list) else type(results).__name__
        raise RuntimeError(f"its pull-back gave {count} gradients for {len(needs)} inputs")
    return results


def _freed(node):
    return RuntimeError(
        f"{node.op}: backward a second time through a graph whose saved arrays were freed; "
        "pass retain_graph=True to the first backward"
    )


def _run_hooks(hooks, array):
    for hook in list(hooks.values()):
        array = hook(array)
    return array


class _Arrivals:
    """Gradients on their way: what has come so far for each node and leaf."""

    def __init__(self):
        self.arrays = {}  # by node or leaf
        self.owned = set()  # those whose array may be changed: nobody else holds it
        self.heap = []  # nodes that were reached, the newest first
        self.leaves = []

    def add(self, key, array, fresh):
        """A contribution. ``fresh``: nobody else holds the array, it may be changed."""
        node = type(key) is Node
        like = key if node else key.data
        if array.shape != like.shape or array.dtype is not like.dtype:
            array = _fit(array, like.shape, like.dtype)
        before = self.arrays.get(key)
        if before is None:
            self.arrays[key] = array
            if fresh:
                self.owned.add(key)
            if node:
                heapq.heappush(self.heap, (-key.number, key))
            else:
                self.leaves.append(key)
        elif key in self.owned:
            K.add(before, array, out=before)
        else:
            self.arrays[key] = as_array(K.add(before, array))
            self.owned.add(key)


def walk(roots, retain_graph=False, targets=None):
    """Carry gradients from ``roots`` back to the leaves.

    roots     (node or leaf, gradient array) pairs
    targets   None: add to the ``grad`` of every leaf reached. Otherwise nodes and leaves: return
              a dict of the gradients that reached these, and touch no ``grad``.
    """
    wanted = None if targets is None else _leading_to(targets, [key for key, _ in roots])
    arrivals, captured = _Arrivals(), {}
    for key, array in roots:
        arrivals.add(key, array, False)
    arrays, heap, ndarray = arrivals.arrays, arrivals.heap, np.ndarray
    while heap:
        node = heapq.heappop(heap)[1]
        grad = arrays.pop(node)
        if node.hooks:
            grad = _run_hooks(node.hooks, grad)
        if node.retained is not None and targets is None:
            tensor = node.retained()
            if tensor is not None:
                tensor._accumulate(grad, False)
        inputs, needs = node.inputs, node.needs
        if targets is not None:
            if node in targets:
                captured[node] = grad
            needs = [key in wanted for key in inputs]
            if True not in needs:
                continue
        if node.vjp is None:
            raise _freed(node)
        for cell, version, name in node.saved:
            if cell[0] != version:
                raise _changed(node, cell, name, version)
        try:
            if len(inputs) == 1 and type(node.vjp) is not tuple:
                results, different = (node.vjp(grad),), True
            else:
                results = _pull_back(node, grad, needs)
                arrived = [id(x) for x in results if x is not None]
                different = len(set(arrived)) == len(arrived)
            for key, need, array in zip(inputs, needs, results, strict=False):
                if need and array is not None:
                    if not isinstance(array, ndarray):
                        array = np.asarray(array)
                    # The contract of pull-backs: they return new arrays, the gradient, or views.
                    fresh = different and array is not grad
                    arrivals.add(key, array, fresh and is_own(array))
        except Exception as error:
            if isinstance(error, RuntimeError) and str(error).startswith("its pull-back"):
                raise RuntimeError(f"{node.op}: {error}") from None
            error.add_note(f"in the backward pass of {node.op}")
            raise
        if not retain_graph:
            node.vjp = None
            node.saved = node.inputs = node.needs = ()
    for leaf in arrivals.leaves:
        grad, own = arrays[leaf], leaf in arrivals.owned
        if leaf._hooks:
            grad, own = _run_hooks(leaf._hooks, grad), False
        if targets is None:
            leaf._accumulate(grad, own)
        elif leaf in targets:
            captured[leaf] = grad
    return captured


def _leading_to(targets, roots):
    """All nodes and leaves on a path from ``roots`` back to one of ``targets``, ends included.

    Raises ``RuntimeError`` where a target may lie behind a node that was freed.
    """
    reachable, seen, freed = {}, set(roots), None
    stack = [key for key in roots if type(key) is Node]
    while stack:
        node = stack.pop()
        if node.number not in reachable:
            reachable[node.number] = node
            seen.update(node.inputs)
            stack.extend(key for key in node.inputs if type(key) is Node)
            if node.vjp is None:
                freed = node
    if freed is not None and not seen.issuperset(targets):
        raise _freed(freed)
    wanted = set(targets)
    for _, node in sorted(reachable.items()):
        if any(key in wanted for key in node.inputs if key is not None):
            wanted.add(node)
    return wanted
