"""Nested tuples, lists and dicts of tensors, taken apart and put together."""

import numpy as np

from .tensor import Tensor


def flatten(value):
    """The tensors in ``value``, in order, and a function that puts others in their places."""
    tensors = []
    form = take_apart(value, tensors)
    return tensors, lambda others: put_together(form, list(others))


class _Place:
    """Where a tensor stood."""

    def __init__(self, number):
        self.number = number

    def __eq__(self, other):
        return type(other) is _Place and other.number == self.number

    def __hash__(self):
        return hash((_Place, self.number))


_PLACES = [_Place(number) for number in range(64)]


def take_apart(value, tensors, arrays=False):
    """The form of ``value``, whose tensors go to ``tensors``; with ``arrays``, arrays are tensors.

    A form can be compared, and is hashable where what stands between the tensors is.
    """
    kind = type(value)
    if isinstance(value, Tensor):
        tensors.append(value)
        number = len(tensors) - 1
        return _PLACES[number] if number < len(_PLACES) else _Place(number)
    if arrays and kind is np.ndarray:
        return take_apart(Tensor(value), tensors)
    if kind is tuple or kind is list or issubclass(kind, tuple | list):
        return kind, tuple([take_apart(part, tensors, arrays) for part in value])
    if issubclass(kind, dict):
        parts = [(name, take_apart(part, tensors, arrays)) for name, part in value.items()]
        return kind, tuple(parts)
    return None, kind, value


def put_together(form, tensors):
    """The inverse of ``take_apart``."""
    if type(form) is _Place:
        return tensors[form.number]
    kind, *rest = form
    if kind is None:
        return rest[1]
    if issubclass(kind, dict):
        return kind((name, put_together(part, tensors)) for name, part in rest[0])
    parts = [put_together(part, tensors) for part in rest[0]]
    return kind(*parts) if hasattr(kind, "_fields") else kind(parts)
