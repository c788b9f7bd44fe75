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
from functools import partial, wraps

import numpy as np

from .backend import K, is_own
from .watch import called, pull_watched, watch

_numbers = itertools.count()


def mark():
    """A number between those of the nodes that were made so far and those still to come."""
    return next(_numbers)


class _Mode(threading.local):
    grad_enabled = True


mode = _mode = _Mode()


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


class set_grad_enabled:
    """Record or not, from now on; as a context manager or decorator, only inside.

    >>> import fastgrad as fg
    >>> x = fg.tensor([1.0], requires_grad=True)
    >>> with fg.autograd.set_grad_enabled(False):
    ...     y = x * 2
    >>> y.requires_grad
    False
    """

    def __init__(self, mode):
        self._value, self._before = bool(mode), _mode.grad_enabled
        _mode.grad_enabled = self._value

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        mode.grad_enabled = self._before

    def __call__(self, function):
        mode.grad_enabled = self._before
        return (enable_grad if self._value else no_grad)(function)


def is_grad_enabled():
    """Whether operations of this thread are recorded."""
    return mode.grad_enabled


class Node:
    """The result of one recorded operation.

    op       the operation: a function with a name
    vjp      its pull-back: the gradient of the result to those of the inputs, one function for
             all or a tuple of one for each; None when freed
    inputs   per input a Node, a leaf tensor, or None where no gradient is needed
    needs    per input whether it needs a gradient
    saved    (version cell, version, name) of each array that the pull-back holds
    attributes   what the operation was given by keyword
    place    file and line of the user's that called the operation; only set in anomaly mode

    An operation with several results has a node that stands for all of them, and one for each that
    leads to it: what arrives at the first is the list of their gradients, sent as ``Parcel``s.
    """

    __slots__ = (
        "__weakref__",
        "attributes",
        "dtype",
        "hooks",
        "inputs",
        "needs",
        "number",
        "op",
        "place",
        "retained",
        "saved",
        "shape",
        "vjp",
    )

    def __init__(self, op, vjp, inputs, needs, saved, attributes, out):
        self.number = next(_numbers)
        self.op = op
        self.attributes = attributes
        self.vjp = vjp
        self.inputs = inputs
        self.needs = needs
        self.saved = saved
        self.shape = out.shape
        self.dtype = out.dtype
        self.hooks = None
        self.retained = None

    def __repr__(self):
        return f"<{self.name.title().replace('_', '')}Backward>"

    @property
    def name(self):
        """Of the operation."""
        return self.op.__name__


class Parcel:
    """The gradient of one of several results, on its way to the node that stands for all."""

    __slots__ = ("count", "grad", "index")

    def __init__(self, grad, index, count):
        self.grad, self.index, self.count = grad, index, count


class Splice(list):
    """What a pull-back returns to be continued in a part of the graph that it made just now.

    (key, gradient) pairs: where the walk goes on. ``since``: older nodes are not of the new part.
    """

    __slots__ = ("since",)

    def join(self, arrivals, wanted):
        """Add what goes on to ``arrivals``; returns ``wanted`` with what is so in the new part."""
        for key, grad in self:
            arrivals.add(key, grad, False)
        if wanted is None:
            return None
        return _leading_to(wanted, [key for key, _ in self], self.since)


def _changed(node, cell, name, version):
    return RuntimeError(
        f"{node.name}: its {name} was changed in place after the forward pass (version {cell[0]}, "
        f"expected {version}), so its gradient cannot be computed; change a copy instead "
        f"(x = x + y, or x.clone()){called(node)}"
    )


def as_array(x):
    """``x`` as an array; ufuncs give numbers for arrays without axes."""
    return x if isinstance(x, np.ndarray) else np.asarray(x)


def _fit(array, shape, dtype):
    """A gradient in its tensor's shape and type: sum over what broadcasting stretched."""
    if array.shape != shape:
        if not broadcasts(shape, array.shape):
            raise RuntimeError(f"its pull-back gave shape {array.shape} for an input of {shape}")
        array = as_array(K.unbroadcast(array, shape))
    if array.dtype != dtype:
        array = array.astype(dtype)
    return array


def broadcasts(shape, to):
    """Whether an array of ``shape`` can be broadcast to shape ``to``."""
    if len(shape) > len(to):
        return False
    return all(a in (1, b) for a, b in zip(reversed(shape), reversed(to), strict=False))


def _pull_back(node, grad, needs):
    """The gradients of a node's inputs, by one function for all; None where not needed."""
    results = node.vjp(grad, needs)
    if type(results) is Splice:
        return results
    if not isinstance(results, tuple | list) or len(results) < len(needs):
        count = len(results) if isinstance(results, tuple | list) else type(results).__name__
        raise RuntimeError(f"its pull-back gave {count} gradients for {len(needs)} inputs")
    return results


def _freed(node):
    return RuntimeError(
        f"{node.name}: backward a second time through a graph whose saved arrays were freed; "
        f"pass retain_graph=True to the first backward{called(node)}"
    )


def _run_hooks(hooks, array):
    for hook in list(hooks.values()):
        array = hook(array)
    return array


class Arrivals:
    """Gradients on their way, arrays: what has come so far for each node and leaf."""

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
            array = self.fit(array, like.shape, like.dtype)
        before = self.arrays.get(key)
        if before is None:
            self.arrays[key] = array
            if fresh:
                self.owned.add(key)
            if node:
                heapq.heappush(self.heap, (-key.number, key))
            else:
                self.leaves.append(key)
        else:
            self.combine(key, before, array)

    def collect(self, node, parcel):
        """The gradient of one of the results that ``node`` stands for."""
        if node not in self.arrays:
            self.arrays[node] = [None] * parcel.count
            heapq.heappush(self.heap, (-node.number, node))
        self.arrays[node][parcel.index] = parcel.grad

    type = np.ndarray
    fit = staticmethod(_fit)

    def combine(self, key, before, array):
        """Add a second or later contribution to what came before."""
        if key in self.owned:
            K.add(before, array, out=before)
        else:
            self.arrays[key] = as_array(K.add(before, array))
            self.owned.add(key)

    def pull_back(self, node, grad, needs):
        """The gradients of a node's inputs, in order, None where not needed; whether all differ."""
        vjp = node.vjp
        if type(vjp) is tuple:
            return [f(grad) if f and need else None for f, need in zip(vjp, needs)], True  # noqa: B905
        if len(needs) == 1:
            if getattr(node.op, "adds", False):
                source = node.inputs[0]
                if source in self.owned:
                    vjp(grad, self.arrays[source])
                    return (None,), True
            return (vjp(grad),), True
        results = _pull_back(node, grad, needs)
        arrived = [id(x) for x in results if x is not None]
        return results, len(set(arrived)) == len(arrived)


def walk(roots, retain_graph=False, targets=None, kind=Arrivals):
    """Carry gradients from ``roots`` back to the leaves.

    roots     (node or leaf, gradient) pairs
    targets   None: add to the ``grad`` of every leaf reached. Otherwise nodes and leaves: return
              a dict of the gradients that reached these, and touch no ``grad``.
    kind      what gradients are, and how they are added: arrays, or tensors with a graph
    """
    wanted = None if targets is None else _leading_to(targets, [key for key, _ in roots])
    arrivals, captured = kind(), {}
    for key, array in roots:
        arrivals.add(key, array, False)
    arrays, heap, pull_back = arrivals.arrays, arrivals.heap, arrivals.pull_back
    if watch.anomaly:
        pull_back = partial(pull_watched, pull_back)
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
            results, different = pull_back(node, grad, needs)
            if type(results) is Splice:
                wanted, results = results.join(arrivals, wanted), ()
            for key, need, array in zip(inputs, needs, results):  # noqa: B905, which takes longer
                if need and array is not None:
                    if not isinstance(array, kind.type):
                        if type(array) is Parcel:
                            arrivals.collect(key, array)
                            continue
                        array = np.asarray(array)
                    # The contract of pull-backs: they return new arrays, the gradient, or views.
                    fresh = different and array is not grad and is_own(array)
                    arrivals.add(key, array, fresh)
        except Exception as error:
            _blame(node, error)
            raise
        if not retain_graph:
            node.vjp = None
            node.saved = node.inputs = node.needs = ()
    _deliver(arrivals, targets, captured)
    return captured


def _blame(node, error):
    """Say in an error in whose backward pass it came up."""
    text = str(error)
    if isinstance(error, RuntimeError) and text.startswith("its pull-back"):
        raise RuntimeError(f"{node.name}: {text}{called(node)}") from None
    error.add_note(f"in the backward pass of {node.name}{called(node)}")


def _deliver(arrivals, targets, captured):
    """Gradients of leaves, when all have come: to their ``grad``, or to ``captured``."""
    for leaf in arrivals.leaves:
        grad, own = arrivals.arrays[leaf], leaf in arrivals.owned
        if leaf._hooks:
            grad, own = _run_hooks(leaf._hooks, grad), False
        if targets is None:
            leaf._accumulate(grad, own)
        elif leaf in targets:
            captured[leaf] = grad


def _leading_to(targets, roots, since=0):
    """All nodes and leaves on a path from ``roots`` back to one of ``targets``, ends included.

    Raises ``RuntimeError`` where a target may lie behind a node that was freed. Nodes older than
    the number ``since`` are not looked at: the targets tell which of them lead further.
    """
    reachable, seen, freed = {}, set(roots), None
    stack = [key for key in roots if type(key) is Node]
    while stack:
        node = stack.pop()
        if node.number not in reachable and node.number >= since:
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
