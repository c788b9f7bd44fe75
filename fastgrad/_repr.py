"""Tensors as text, laid out as PyTorch lays them out."""

import math

import numpy as np

_LINE, _EDGE, _ABRIDGED_FROM = 80, 3, 1000


def _edges(array):
    """The elements that an abridged tensor shows, which decide about its format."""
    for axis, size in enumerate(array.shape):
        if size > 2 * _EDGE:
            shown = [*range(_EDGE), *range(size - _EDGE, size)]
            array = np.take(array, shown, axis=axis)
    return array


def _formatter(array):
    """A function that writes one element, padded to the width of the others.

    Floats are whole (``1.``), fixed with four digits, or scientific. Zeros, NaN and infinities
    have no say in the width.
    """
    if array.dtype.kind != "f":
        width = max((len(str(x)) for x in array.ravel().tolist()), default=0)
        return lambda x: str(x).rjust(width), width
    values = array[np.isfinite(array) & (array != 0)].astype(np.float64)
    number = "{:.0f}."
    if values.size:
        top, bottom = np.abs(values).max(), np.abs(values).min()
        whole = bool((values == np.ceil(values)).all())
        if top / bottom > 1000.0 or top > 1e8 or (not whole and bottom < 1e-4):
            number = "{:.4e}"
        elif not whole:
            number = "{:.4f}"
    width = max((len(number.format(x)) for x in values.tolist()), default=1)
    return lambda x: (number.format(x) if math.isfinite(x) else str(x)).rjust(width), width


def format_array(array, indent=0):
    """The elements as nested brackets, in lines of at most 80 characters, long axes abridged."""
    abridge = array.size > _ABRIDGED_FROM
    write, width = _formatter(_edges(array) if abridge else array)

    def row(values, indent):
        if abridge and len(values) > 2 * _EDGE:
            words = [*map(write, values[:_EDGE]), " ...", *map(write, values[-_EDGE:])]
        else:
            words = [write(x) for x in values]
        count = max(1, (_LINE - indent) // (width + 2))
        lines = [", ".join(words[k : k + count]) for k in range(0, len(words), count)]
        return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"

    def block(part, indent):
        if part.ndim == 0:
            return write(part.item())
        if part.ndim == 1:
            return row(part.tolist(), indent)
        if abridge and len(part) > 2 * _EDGE:
            inner = [block(p, indent + 1) for p in part[:_EDGE]]
            inner += ["...", *(block(p, indent + 1) for p in part[-_EDGE:])]
        else:
            inner = [block(p, indent + 1) for p in part]
        return "[" + ("," + "\n" * (part.ndim - 1) + " " * (indent + 1)).join(inner) + "]"

    return block(array, indent) if array.size else "[]"


def describe(tensor, name="tensor"):
    """``tensor(...)`` with what is unusual about it."""
    indent = len(name) + 1
    text = f"{name}({format_array(tensor.data, indent)}"
    facts = []
    empty = not tensor.data.size
    if empty and tensor.data.ndim != 1:
        facts.append(f"size={tensor.shape}")
    usual = ("float32",) if empty else ("float32", "int64", "bool")
    if tensor.dtype.name not in usual:
        facts.append(f"dtype=fastgrad.{tensor.dtype.name}")
    if tensor.grad_fn is not None:
        facts.append(f"grad_fn={tensor.grad_fn!r}")
    elif tensor.requires_grad:
        facts.append("requires_grad=True")
    used = len(text) - text.rfind("\n") + 1
    for fact in facts:
        if used + len(fact) + 2 > _LINE:
            text += ",\n" + " " * indent + fact
            used = indent + len(fact)
        else:
            text += ", " + fact
            used += len(fact) + 2
    return text + ")"
