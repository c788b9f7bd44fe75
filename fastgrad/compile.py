"""``compile``: record one training step, then replay it.

The first call with arguments of given shapes and types runs the step as usual, and records what
the kernels do over which arrays (see ``kernels/_record.py``). Later calls run just that: no tape,
no rules, no new arrays. What Python decided stays decided, so what it looked at is noted too, and
checked before each replay: parameters' arrays, ``requires_grad``, train or eval mode, options of
the optimizer. A difference leads to a new recording. Learning rates and the like are read anew.
"""

import threading
import time
from functools import update_wrapper

import numpy as np

from . import random
from .backend import get_backend
from .tape import recording
from .tensor import Tensor
from .trees import put_together, take_apart
from .watch import watch as watching

try:
    from .kernels._record import Program, Recorded, Recorder, Unrecordable
except ImportError:  # no Numba: nothing is recorded

    class Unrecordable(RuntimeError):
        """Something in a step that cannot be recorded."""


__all__ = ["Unrecordable", "compile"]

_MOST_RECORDINGS = 16  # of one step


class _Trace:
    """What the upper layers tell a recording about."""

    def __init__(self, recorder):
        self.recorder = recorder
        self.thread = recorder.thread
        self.leaves = {}  # id: (tensor, its array, requires_grad, changes so far)
        self.before = {}  # id: (tensor, the gradient that was added to, or None)
        self.set = {}  # id: tensor whose gradient was set
        self.checks = []  # (function, what it must give)
        self.updates = []  # (array, function that gives its values)

    def operands(self, operands, arrays):
        """Arrays of an operation's operands as the recording wants them."""
        for x in operands:
            if isinstance(x, Tensor) and type(x.data) is np.ndarray and id(x) not in self.leaves:
                self.leaves[id(x)] = x, x.data, x._requires_grad, x._version[0]
        return [x.view(Recorded) if type(x) is np.ndarray else x for x in arrays]

    def parameter(self, tensor):
        """A parameter that is about to be updated."""
        self.operands([tensor], [tensor.data])
        if not tensor.data.flags.carray:
            raise Unrecordable(
                "compile: a parameter's array is strided or cannot be written; make it a plain "
                "one (p.data = p.data.copy()) first"
            )

    def copy(self, array):
        """A copy of a constant, made anew in every replay."""
        return array.view(Recorded).copy()

    def assign(self, out, array):
        """``out[...] = array``, in every replay."""
        out.view(Recorded)[...] = array

    def gradient_read(self, tensor):
        if type(tensor.data) is Recorded:  # made in the step
            return
        if id(tensor) not in self.set and id(tensor) not in self.before:
            grad = tensor._grad
            self.before[id(tensor)] = tensor, None if grad is None else grad.data

    def gradient_set(self, tensor):
        if type(tensor.data) is not Recorded:
            self.set[id(tensor)] = tensor

    def expect(self, function):
        """``function()`` must give the same in a replay."""
        self.checks.append((function, function()))

    def keep_up_to_date(self, array, function):
        """Before a replay, ``array`` gets the values that ``function()`` gives then."""
        self.updates.append((array, function))

    def refuse(self, message):
        """An operation cannot be recorded."""
        raise Unrecordable(message)

    def refuse_values(self):
        raise Unrecordable(
            "compile: the step looks at a tensor's value (item, numpy, float, bool, print): it "
            "differs from call to call, and what Python does with it is not recorded; return the "
            "tensor and look at it outside"
        )


class _Recording:
    """A step for one kind of arguments: its program, and what must hold for it."""

    def __init__(self, trace, result):
        plain, source = trace.recorder.arena.plain, trace.recorder.source
        outputs = []
        self.form = take_apart(result, outputs, arrays=True)
        self.outputs = [source(plain(tensor.data)) for tensor in outputs]
        self.leaves = [leaf[:3] for leaf in trace.leaves.values()]
        self.before = list(trace.before.values())
        self.gradients = []
        for tensor in trace.set.values():
            if tensor._grad is not None:
                tensor._grad = Tensor(plain(tensor._grad.data))
            self.gradients.append((tensor, tensor._grad))
        self.checks, self.updates = trace.checks, trace.updates
        self.changes = [
            (tensor._version, tensor._version[0] - before)
            for tensor, _, _, before in trace.leaves.values()
            if tensor._version[0] != before
        ]
        self.program = Program(trace.recorder)

    def holds(self):
        """Whether everything that Python looked at is as it was."""
        for tensor, array, requires_grad in self.leaves:
            if tensor.data is not array or tensor._requires_grad is not requires_grad:
                return False
        for tensor, array in self.before:
            grad = tensor._grad
            if (None if grad is None else grad.data) is not array:
                return False
        return all(function() == value for function, value in self.checks)

    def replay(self, inputs, watch=None):
        for array, values in self.updates:
            array[:] = values()
        self.program(inputs, watch)
        for version, more in self.changes:
            version[0] += more
        for tensor, grad in self.gradients:
            tensor._grad = grad
        return self.results(inputs)

    def results(self, inputs):
        tensors = [Tensor(source(inputs).copy()) for source in self.outputs]
        return put_together(self.form, tensors)


class CompiledStep:
    """A step that is recorded when first called, and replayed afterwards; see ``compile``."""

    def __init__(self, step):
        update_wrapper(self, step)
        self._step = step
        self._recordings = {}  # by the arguments' form
        self._lock = threading.RLock()  # a recording's arrays serve one call at a time

    def __call__(self, *args, **kwargs):
        return self._call(args, kwargs, None)

    def _call(self, args, kwargs, watch):
        if get_backend() != "numba" or watching.anomaly or recording.here():
            return self._step(*args, **kwargs)
        if not kwargs and all(type(x) is Tensor for x in args):
            tensors, form = args, len(args)
        else:
            tensors = []
            form = take_apart((args, kwargs), tensors, arrays=True)
        kinds = tuple([(x.data.shape, x.data.dtype, x._requires_grad) for x in tensors])
        inputs = [x.data if x.data.flags.carray else np.array(x.data, order="C") for x in tensors]
        key = form, kinds
        with self._lock:
            known = self._recordings.get(key, [])
            for candidate in known:
                if candidate.holds():
                    return candidate.replay(inputs, watch)
            fresh = self._record(form, tensors, inputs)
            self._recordings[key] = [fresh, *known][:_MOST_RECORDINGS]
            while len(self._recordings) > _MOST_RECORDINGS:
                del self._recordings[next(iter(self._recordings))]
            return fresh.results(inputs)

    def _record(self, form, tensors, inputs):
        if any(x._requires_grad for x in tensors):
            raise Unrecordable(
                "compile: an argument requires grad; let the step refer to parameters by name, "
                "and take its data as arguments"
            )
        seedings = random.default.seedings[threading.get_ident()]
        with Recorder(inputs) as recorder:
            trace = recording.active = _Trace(recorder)
            try:
                stand_ins = [Tensor(x.view(Recorded)) for x in inputs]
                if type(form) is int:
                    args, kwargs = stand_ins, {}
                else:
                    args, kwargs = put_together(form, stand_ins)
                result = self._step(*args, **kwargs)
            finally:
                recording.active = None
        if random.default.seedings[threading.get_ident()] != seedings:
            raise Unrecordable("compile: the step calls manual_seed, which is not recorded")
        return _Recording(trace, result)

    def explain(self, *args, **kwargs):
        """Make one call, and return a table of what it launched: time and memory of each kernel.

        The first call with new arguments records; explain a later one.
        """
        lines = []

        def watch(name, arguments, run):
            began = time.perf_counter()
            run()
            took = time.perf_counter() - began
            arrays = [x for x in arguments if isinstance(x, np.ndarray)]
            shapes = " ".join("x".join(map(str, x.shape)) or "()" for x in arrays)
            lines.append((name, took * 1e6, sum(x.nbytes for x in arrays), shapes))

        self._call(args, kwargs, watch)
        if not lines:
            return "recorded; call explain again"
        table = [f"{'kernel':32} {'µs':>9} {'bytes':>12}  arrays"]
        table += [f"{name:32} {us:9.2f} {size:12,}  {shapes}" for name, us, size, shapes in lines]
        total = sum(line[1] for line in lines)
        return "\n".join([*table, f"{len(lines)} launches, {total:.1f} µs"])


def compile(step):
    """Record ``step`` when it is first called, and replay it afterwards: the same bits, faster.

    ``step`` is a function of tensors (and of anything hashable, which must be the same for a
    replay) that does whatever a training step does: ``zero_grad``, forward, loss, ``backward``,
    ``optimizer.step()``. Returned tensors are new in every call; ``grad`` of the parameters is
    right after each call, in the same arrays.

    Recorded anew for other shapes, types, train or eval mode, parameters or options; learning
    rates and other numbers of the optimizer may change freely. Python code of the step runs when
    it is recorded only. Raises ``Unrecordable`` where the step looks at a tensor's value.

    >>> import fastgrad as fg
    >>> w = fg.tensor([1.0, 2.0], requires_grad=True)
    >>> optimizer = fg.optim.SGD([w], lr=0.1)
    >>> @fg.compile
    ... def step(x):
    ...     optimizer.zero_grad()
    ...     loss = (w * x).sum()
    ...     loss.backward()
    ...     optimizer.step()
    ...     return loss
    >>> [step(fg.tensor([1.0, 1.0])).item() for _ in range(3)]  # doctest: +ELLIPSIS
    [3.0, 2.79..., 2.59...]
    """
    return CompiledStep(step)
