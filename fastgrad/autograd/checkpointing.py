"""``checkpoint``: keep a function's arguments instead of what its gradients need."""

from .. import random
from ..tape import Node, Splice, enable_grad, mark, mode, recording
from ..tensor import Tensor
from ..trees import flatten
from ..watch import here, look, watch
from ._nodes import Kept, Operation, port, source


def checkpoint(function, *args, use_reentrant=None, preserve_rng_state=True, **kwargs):
    """``function(*args, **kwargs)``, computed once more in backward instead of being kept.

    What the operations inside save for their gradients is dropped as soon as the function is done;
    only its arguments stay. Backward calls it again, with the same random numbers, and goes on
    through what that recorded. Gradients arrive at the arguments and at whatever else the function
    used, such as parameters, and have the same bits as without a checkpoint. Checkpoints nest.

    The function must compute the same both times: what else it does, it does twice (running
    statistics of batch norm move twice).

    preserve_rng_state   draw the same random numbers again
    use_reentrant        is taken for PyTorch's sake, and has no effect

    Raises ``RuntimeError`` in backward where an argument, or another tensor that the function used
    and that requires grad, was changed in place since, or the results have other shapes.

    >>> import fastgrad as fg
    >>> x = fg.tensor([1.0, 2.0], requires_grad=True)
    >>> fg.checkpoint(lambda x: (x.exp() * x).sum(), x).backward()
    >>> x.grad
    tensor([ 5.4366, 22.1672])
    """
    if not mode.grad_enabled:
        return function(*args, **kwargs)
    given, rebuild = flatten((args, kwargs))
    call = _Call(function, [Kept(x) for x in given], rebuild, preserve_rng_state)
    segment = _Segment()
    with segment:
        result = function(*args, **kwargs)
    tensors, _ = flatten(result)
    places, outputs = [], []
    for place, tensor in enumerate(tensors):
        made = tensor._node is not None and tensor._node.number >= segment.first
        if made and not any(tensor is other for other in outputs):
            places.append(place)
            outputs.append(tensor)
    if outputs:
        call.places = places
        _record(call, segment, outputs)
    return result


def _record(call, segment, outputs):
    """Put one node in the place of all that led to the outputs."""
    saved = [(kept.cell, kept.version, "argument") for kept in call.kept]
    saved += [(cell, version, "input") for cell, version in segment.sources.values()]
    # the last input is none, so that the pull-back is called as that of several
    inputs = [*segment.sources, None]
    needs = [key is not None for key in inputs]
    operation = Operation("checkpoint", call.again)
    node = Node(operation, call.pull, inputs, needs, saved, {}, outputs[0].data)
    call.outputs = [(x.shape, x.dtype) for x in outputs]
    for index, tensor in enumerate(outputs):
        own = port(node, "checkpoint", index, len(outputs), tensor.data)
        own.retained = tensor._node.retained
        tensor._node = own
        if watch.anomaly:
            look(operation, (tensor,), {}, tensor)
            node.place = own.place


class _Segment:
    """While a function runs: which tensors from before it uses, and at which versions."""

    def __init__(self):
        self.first = mark()
        self.sources = {}  # (version cell, version) by node or leaf

    def __enter__(self):
        self.outer, here.segment = here.segment, self
        watch.change(segments=1)

    def __exit__(self, *exception):
        here.segment = self.outer
        watch.change(segments=-1)

    def uses(self, operands):
        """Note the operands of an operation."""
        for x in operands:
            if isinstance(x, Tensor) and x._requires_grad:
                node = x._node
                if node is None or node.number < self.first:
                    self.sources.setdefault(source(x), (x._version, x._version[0]))
        if self.outer is not None:
            self.outer.uses(operands)


class _Call:
    """A call of a function that can be made again."""

    def __init__(self, function, kept, rebuild, preserve_random):
        self.function, self.kept, self.rebuild = function, kept, rebuild
        self.random = _random_state() if preserve_random else None
        self.places = self.outputs = ()

    def pull(self, grads, needs=None):
        """Call the function again: the walk goes on through what it records."""
        part = Splice()
        part.since = mark()
        args, kwargs = self.rebuild([kept.tensor() for kept in self.kept])
        before = self.random and _random_state()
        pulling, here.pulling = here.pulling, None
        try:
            with enable_grad():
                if self.random:
                    _set_random_state(self.random)
                tensors, _ = flatten(self.function(*args, **kwargs))
        finally:
            here.pulling = pulling
            if before:
                _set_random_state(before)
        for place, like, grad in zip(self.places, self.outputs, grads, strict=True):
            tensor = tensors[place] if place < len(tensors) else None
            if tensor is None or (tensor.shape, tensor.dtype) != like or source(tensor) is None:
                raise RuntimeError(
                    f"checkpoint: the function computed something else the second time: result "
                    f"{place} is {'missing' if tensor is None else tensor.shape}, expected "
                    f"{like[0]} {like[1]} that requires grad"
                )
            if grad is not None:
                part.append((source(tensor), grad))
        return part

    def again(self, node, grads, needs):
        """The same for gradients that are tensors."""
        return self.pull(grads)


def _random_state():
    """Of the default state: what kernels draw from, and NumPy's generator."""
    counter = random.default.counter
    copy = recording.active.copy(counter) if recording.here() else counter.copy()
    return copy, random.default.numpy.bit_generator.state


def _set_random_state(state):
    if recording.here():
        recording.active.assign(random.default.counter, state[0])
    else:
        random.default.counter[:] = state[0]
    random.default.numpy.bit_generator.state = state[1]
