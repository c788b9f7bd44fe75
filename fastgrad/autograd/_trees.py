"""Nested tuples, lists and dicts of tensors, taken apart and put together."""

from ..tensor import Tensor


def flatten(value):
    """The tensors in ``value``, in order, and a function that puts others in their places."""
    tensors = []
    form = _take_apart(value, tensors)
    return tensors, lambda others: _put_together(form, iter(others))


_TENSOR = object()


def _take_apart(value, tensors):
    """(kind, parts) of a container, ``(_TENSOR,)``, or ``(None, value)`` of anything else."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return (_TENSOR,)
    if isinstance(value, dict):
        return type(value), [(key, _take_apart(part, tensors)) for key, part in value.items()]
    if isinstance(value, tuple | list):
        return type(value), [_take_apart(part, tensors) for part in value]
    return None, value


def _put_together(form, others):
    if form[0] is _TENSOR:
        return next(others)
    kind, parts = form
    if kind is None:
        return parts
    if issubclass(kind, dict):
        return kind((key, _put_together(part, others)) for key, part in parts)
    parts = [_put_together(part, others) for part in parts]
    return kind(*parts) if hasattr(kind, "_fields") else kind(parts)
