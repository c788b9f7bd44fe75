"""Gradients of many parameters at once: dropping them, their norm, clipping.

Public as ``fastgrad.nn.utils``.
"""

import math

import numpy as np

from .backend import K
from .tape import recording
from .tensor import Tensor

__all__ = ["clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


def by_type(tensors):
    """The tensors in lists of one type each."""
    if not tensors:
        return []
    dtype = tensors[0].data.dtype
    if not [x for x in tensors if x.data.dtype is not dtype]:
        return [tensors]
    lists = {}
    for x in tensors:
        lists.setdefault(x.data.dtype, []).append(x)
    return list(lists.values())


def with_gradient(parameters):
    """The parameters that have a gradient."""
    if recording.active is not None and recording.here():
        return [p for p in parameters if p.grad is not None]
    return [p for p in parameters if p._grad is not None]


def plain(arrays):
    """The arrays, or copies where kernels could not go through them from end to end, and write."""
    return [x if x.flags.carray else x.copy() for x in arrays]


def change(tensors, function):
    """Call ``function`` on the list of the tensors' arrays, made plain, to change them in place."""
    arrays = [x.data for x in tensors]
    changed = plain(arrays)
    function(changed)
    for tensor, before, after in zip(tensors, arrays, changed, strict=True):
        if after is not before:
            if before.flags.writeable:
                before[...] = after
            else:
                tensor.data = after
        tensor._version[0] += 1


def drop_gradients(parameters, set_to_none=True):
    """Drop gradients, or set them to zero."""
    if set_to_none:
        for parameter in parameters:
            parameter.grad = None
    else:
        for grads in by_type(_gradients_of(parameters)):
            change(grads, K.zero)


def _gradients_of(parameters):
    """The gradients of those parameters that have one."""
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    return [p.grad for p in with_gradient(parameters)]


def get_total_norm(tensors, norm_type=2.0, error_if_nonfinite=False):
    """``(Σ |x|ᵖ)^(1/p)`` over the elements of all tensors, as if they were one vector.

    norm_type            p > 0; inf for the largest magnitude
    error_if_nonfinite   raise ``RuntimeError`` where the norm is NaN or infinite

    Raises ``ValueError`` for another p. Not recorded: the result has no gradient.

    >>> import fastgrad as fg
    >>> fg.nn.utils.get_total_norm([fg.tensor([3.0]), fg.tensor([[0.0, 4.0]])])
    tensor(5.)
    """
    power = float(norm_type)
    if not power > 0:
        raise ValueError(f"get_total_norm: norm_type = {norm_type}; expected a number above 0")
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    norms = [K.total_norm(plain([x.data for x in group]), power) for group in by_type(tensors)]
    if len(norms) > 1:
        norms = [K.total_norm([norm.astype("float64") for norm in norms], power)]
    total = Tensor(norms[0] if norms else np.zeros((), np.float32))
    if error_if_nonfinite and not math.isfinite(total.item()):
        raise RuntimeError(
            f"get_total_norm: the norm of order {power} is {total.item()}; pass "
            "error_if_nonfinite=False to go on all the same"
        )
    return total


def clip_grads_with_norm_(parameters, max_norm, total_norm):
    """Scale gradients by ``min(1, max_norm / (total_norm + 10⁻⁶))``, in place.

    total_norm is a tensor, as ``get_total_norm`` gives it.

    >>> import fastgrad as fg
    >>> x = fg.tensor([3.0, 4.0], requires_grad=True)
    >>> x.grad = fg.tensor([3.0, 4.0])
    >>> fg.nn.utils.clip_grads_with_norm_(x, 1.0, fg.tensor(5.0))
    >>> x.grad
    tensor([0.6000, 0.8000])
    """
    for grads in by_type(_gradients_of(parameters)):
        change(grads, lambda arrays: K.clip_norm(arrays, total_norm.data, float(max_norm)))


def clip_grad_norm_(parameters, max_norm, norm_type=2.0, error_if_nonfinite=False):
    """Scale all gradients together, in place, where their norm is above ``max_norm``.

    Returns their norm from before, a tensor; see ``get_total_norm`` for norm_type and
    error_if_nonfinite. Pascanu, Mikolov & Bengio 2013.

    >>> import fastgrad as fg
    >>> x = fg.tensor([3.0, 4.0], requires_grad=True)
    >>> x.grad = fg.tensor([3.0, 4.0])
    >>> fg.nn.utils.clip_grad_norm_(x, max_norm=1.0)
    tensor(5.)
    >>> x.grad
    tensor([0.6000, 0.8000])
    """
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    norm = get_total_norm(_gradients_of(parameters), norm_type, error_if_nonfinite)
    clip_grads_with_norm_(parameters, max_norm, norm)
    return norm


def clip_grad_value_(parameters, clip_value):
    """Put every element of the gradients between ``-clip_value`` and ``clip_value``, in place.

    >>> import fastgrad as fg
    >>> x = fg.tensor([3.0, 4.0], requires_grad=True)
    >>> x.grad = fg.tensor([-3.0, 0.5])
    >>> fg.nn.utils.clip_grad_value_(x, 1.0)
    >>> x.grad
    tensor([-1.0000,  0.5000])
    """
    for grads in by_type(_gradients_of(parameters)):
        change(grads, lambda arrays: K.clip_value(arrays, float(clip_value)))
