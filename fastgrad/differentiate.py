"""From outputs back to gradients: ``backward`` and ``grad``, and gradients of gradients.

With ``create_graph=True`` the walk carries tensors instead of arrays, and an operation's pull-back
is applied by operations on tensors, so that what it computes can be differentiated again.
"""

import numpy as np

from .backend import K
from .tape import Arrivals, as_array, broadcasts, enable_grad, recording, walk
from .tensor import Tensor
from .watch import called


class TensorArrivals(Arrivals):
    """Gradients on their way, tensors."""

    type = Tensor

    @staticmethod
    def fit(grad, shape, dtype):
        """Sum over what broadcasting stretched, in the type of the gradient's tensor."""
        if grad.shape != shape:
            if not broadcasts(shape, grad.shape):
                raise RuntimeError(f"its pull-back gave shape {grad.shape} for an input of {shape}")
            added = grad.ndim - len(shape)
            stretched = [k for k, n in enumerate(shape, added) if n == 1 != grad.shape[k]]
            grad = grad.sum(dim=(*range(added), *stretched)).reshape(shape)
        return grad.to(dtype)

    def combine(self, key, before, grad):
        """Add a second or later contribution to what came before."""
        self.arrays[key] = before + grad

    def pull_back(self, node, grad, needs):
        """The gradients of a node's inputs as tensors; False: none may be changed in place."""
        again = getattr(node.op, "again", None)
        if again is None:
            raise RuntimeError(
                f"{node.name}: its gradient cannot be differentiated again; state it by operations "
                f"on tensors: {node.name}.differentiable(...){called(node)}"
            )
        return again(node, grad, needs), False  # or a Splice


def _seed(tensor, gradient, name):
    """The array that the walk starts with."""
    if not tensor._requires_grad:
        raise RuntimeError(
            f"{name}: the tensor does not require grad and was not recorded; set requires_grad "
            "on what it is computed from, outside no_grad"
        )
    if gradient is None:
        if tensor.data.size != 1:
            raise RuntimeError(
                f"{name}: a tensor of shape {tensor.shape} has no single gradient; reduce it to "
                f"one number first, or pass gradient= of shape {tensor.shape}"
            )
        return np.ones(tensor.shape, tensor.dtype)
    array = as_array(gradient.data if isinstance(gradient, Tensor) else gradient)
    if array.shape != tensor.shape:
        raise RuntimeError(f"{name}: gradient has shape {array.shape}, expected {tensor.shape}")
    return array.astype(tensor.dtype, copy=False)


def _key(tensor):
    """What stands for a tensor in the graph: its node, or a leaf itself."""
    return tensor if tensor._node is None else tensor._node


def _walk_from(outputs, gradients, retain_graph, create_graph, name, targets=None):
    keys = [_key(tensor) for tensor in outputs]
    seeds = [_seed(*pair, name) for pair in zip(outputs, gradients, strict=True)]
    if recording.active is not None and recording.here():
        seeds = recording.active.operands([], seeds)
    retain_graph = create_graph if retain_graph is None else retain_graph
    if not create_graph:
        return walk(list(zip(keys, seeds, strict=True)), retain_graph, targets)
    seeds = [
        gradient if isinstance(gradient, Tensor) else Tensor(seed)
        for seed, gradient in zip(seeds, gradients, strict=True)
    ]
    with enable_grad():
        return walk(list(zip(keys, seeds, strict=True)), retain_graph, targets, TensorArrivals)


def grad(
    outputs,
    inputs,
    grad_outputs=None,
    retain_graph=None,
    create_graph=False,
    only_inputs=True,
    allow_unused=None,
    is_grads_batched=False,
    materialize_grads=False,
):
    """Gradients of ``outputs`` with respect to ``inputs``, as a tuple; no ``grad`` is touched.

    outputs, inputs   a tensor, or several
    grad_outputs      gradient of each output, like ``backward``'s ``gradient``
    retain_graph, create_graph   see ``Tensor.backward``
    allow_unused      give None for an input that no output depends on, instead of an error
    materialize_grads   give zeros instead of None
    only_inputs, is_grads_batched   as in PyTorch; only their defaults are supported

    >>> import fastgrad as fg
    >>> x = fg.tensor(3.0, requires_grad=True)
    >>> fg.grad(x * x, x)
    (tensor(6.),)
    """
    if not only_inputs or is_grads_batched:
        raise ValueError("grad: only_inputs=False and is_grads_batched=True are not supported")
    if materialize_grads and allow_unused is False:
        raise ValueError("grad: materialize_grads wants allow_unused; leave that out")
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    grad_outputs = _for_each(outputs, grad_outputs)
    for position, tensor in enumerate(inputs):
        if not tensor._requires_grad:
            raise RuntimeError(f"grad: input {position} does not require grad")
    keys = [_key(tensor) for tensor in inputs]
    captured = _walk_from(
        outputs, grad_outputs, retain_graph, create_graph, "grad", frozenset(keys)
    )
    results = []
    for position, key in enumerate(keys):
        array = captured.get(key)
        if array is None and materialize_grads:
            array = Tensor(K.zeros_like(inputs[position].data))
        elif array is None and not allow_unused:
            raise RuntimeError(
                f"grad: no output depends on input {position}; pass allow_unused=True for None"
            )
        elif array is not None and not create_graph:
            array = Tensor(K.copy(array))
        results.append(array)
    return tuple(results)


def _for_each(outputs, gradients):
    """A gradient, or None, for each output."""
    if gradients is None:
        return [None] * len(outputs)
    return [gradients] if isinstance(gradients, Tensor) else list(gradients)


def backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None):
    """Add the gradients of this tensor to the ``grad`` of every leaf that it depends on.

    gradient      gradient of the final result with respect to this tensor, of its shape;
                  1 where this tensor is a single number
    retain_graph  keep what the pull-backs saved, for another backward; by default only with
                  create_graph
    create_graph  record how the gradients are computed, so that they can be differentiated
                  again
    inputs        add to the ``grad`` of these tensors only

    Raises ``RuntimeError`` where nothing was recorded, the graph was freed, a saved array was
    changed in place, or ``gradient`` is missing for more than one element.
    """
    if inputs is None:
        _walk_from([self], [gradient], retain_graph, create_graph, "backward")
    else:
        backward_from([self], [gradient], retain_graph, create_graph, inputs=inputs)


def backward_from(
    tensors,
    grad_tensors=None,
    retain_graph=None,
    create_graph=False,
    grad_variables=None,
    inputs=None,
):
    """``Tensor.backward`` of several tensors at once; see there.

    tensors        a tensor, or several
    grad_tensors   the gradient of each, or None
    grad_variables   is not supported any more: use grad_tensors

    >>> import fastgrad as fg
    >>> x = fg.tensor([1.0, 2.0], requires_grad=True)
    >>> fg.autograd.backward([x.sum(), (x * x).sum()])
    >>> x.grad
    tensor([3., 5.])
    """
    if grad_variables is not None:
        raise ValueError("backward: grad_variables is called grad_tensors")
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    gradients = _for_each(tensors, grad_tensors)
    if inputs is None:
        _walk_from(tensors, gradients, retain_graph, create_graph, "backward")
        return
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if not inputs:
        raise RuntimeError("backward: inputs is empty; leave it out for all leaves")
    for position, tensor in enumerate(inputs):
        if not tensor._requires_grad:
            raise RuntimeError(f"backward: input {position} does not require grad")
    keys = [_key(tensor) for tensor in inputs]
    captured = _walk_from(
        tensors, gradients, retain_graph, create_graph, "backward", frozenset(keys)
    )
    for key, tensor in dict(zip(keys, inputs, strict=True)).items():
        if key in captured:
            tensor._accumulate(captured[key], False)
