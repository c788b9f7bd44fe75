"""Nested state as JSON and arrays, and back: what a checkpoint's file is made of."""

import json
import math
from collections import Counter

import numpy as np

from ..tensor import Tensor

__all__ = ["pack", "unpack"]

_MARK = "$"  # the key of a JSON object that stands for something that JSON does not have


def pack(tree):
    """``(text, arrays by name)`` of nested dicts, lists, tuples, numbers, strings and arrays.

    Raises ``TypeError``, with the place, for anything else.

    >>> text, arrays = pack({"lr": 0.1, "weights": {0: np.zeros(2)}})
    >>> list(arrays)
    ['weights/0']
    >>> unpack(text, arrays)["weights"][0]
    array([0., 0.])
    """
    arrays = {}
    return json.dumps(_packed(tree, "", arrays), allow_nan=False, separators=(",", ":")), arrays


def _packed(value, path, arrays):
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else {_MARK: "float", "value": str(value)}
    if isinstance(value, Tensor | np.ndarray):
        return {_MARK: _kind(value), "name": _store(value, path, arrays)}
    if isinstance(value, list | tuple):
        items = [_packed(item, f"{path}/{at}", arrays) for at, item in enumerate(value)]
        return items if isinstance(value, list) else {_MARK: "tuple", "items": items}
    if isinstance(value, dict):
        items = [(key, _packed(item, f"{path}/{key}", arrays)) for key, item in value.items()]
        if type(value) is not Counter and all(type(k) is str and k != _MARK for k in value):
            return dict(items)
        pairs = [[_packed(key, path, arrays), item] for key, item in items]
        return {_MARK: "counter" if type(value) is Counter else "dict", "items": pairs}
    raise TypeError(f"checkpoint: {path[1:] or 'the state'} is a {type(value).__name__}, not kept")


def _kind(value):
    return "tensor" if isinstance(value, Tensor) else "array"


def _store(value, path, arrays):
    """Put an array among the others; returns its name."""
    array = value.data if isinstance(value, Tensor) else value
    name = path[1:] or "array"
    while name in arrays:  # keys with slashes in them
        name += "'"
    arrays[name] = array
    return name


def unpack(text, arrays):
    """The nested state that ``pack`` was given; every array must occur exactly once.

    Raises ``ValueError`` for text that ``pack`` does not write, and arrays that do not fit it.
    """
    left = dict(arrays)
    try:
        tree = _unpacked(json.loads(text, parse_constant=_refuse), left)
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise ValueError(f"its description is not one of ours: {error}") from error
    if left:
        raise ValueError(f"it has arrays that its description does not name: {', '.join(left)}")
    return tree


def _refuse(constant):
    raise ValueError(f"{constant} is no JSON")


def _unpacked(form, left):
    if isinstance(form, list):
        return [_unpacked(item, left) for item in form]
    if not isinstance(form, dict):
        return form
    if _MARK not in form:
        return {key: _unpacked(item, left) for key, item in form.items()}
    kind = form[_MARK]
    if kind in ("tensor", "array"):
        if form["name"] not in left:
            raise ValueError(f"the array {form['name']!r} is missing")
        array = left.pop(form["name"])
        return Tensor(array) if kind == "tensor" else array
    if kind == "float" and form["value"] in ("nan", "inf", "-inf"):
        return float(form["value"])
    if kind == "tuple":
        return tuple(_unpacked(item, left) for item in form["items"])
    if kind in ("dict", "counter"):
        pairs = {_unpacked(key, left): _unpacked(item, left) for key, item in form["items"]}
        return Counter(pairs) if kind == "counter" else pairs
    raise ValueError(f"the mark {kind!r} is unknown")
