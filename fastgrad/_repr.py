"""Tensors as text, laid out as PyTorch lays them out."""

import math

import numpy as np

_DEFAULT_DTYPES = ("float32", "int64", "bool")


def _float_format(array):
    """A format for all elements: integral, fixed with 4 digits, or scientific."""
    values = np.abs(array[np.isfinite(array) & (array != 0)]).astype(np.float64)
    if not values.size:
        return "{:.0f}.".format
    top, bottom = values.max(), values.min()
    if (values == np.ceil(values)).all():
        if top / bottom > 1000.0 or top > 1e8:
            return "{:.4e}".format
        return "{:.0f}.".format
    if top / bottom > 1000.0 or top > 1e8 or bottom < 1e-4:
        return "{:.4e}".format
    return "{:.4f}".format


def format_array(array, indent=0):
    """The elements as nested brackets, columns aligned, long axes abridged."""
    formatter = str
    if array.dtype.kind == "f":
        number = _float_format(array)

        def formatter(x):
            return number(x) if math.isfinite(x) else str(x)

    abridged = array
    if array.size > 1000:
        for axis, size in enumerate(array.shape):
            if size > 6:
                abridged = np.take(abridged, [0, 1, 2, -3, -2, -1], axis=axis)
    width = max((len(formatter(x)) for x in abridged.ravel().tolist()), default=0)
    if not array.ndim:
        return formatter(array.item())
    return np.array2string(
        array,
        separator=", ",
        prefix=" " * indent,
        max_line_width=80,
        threshold=1000,
        edgeitems=3,
        formatter={"all": lambda x: formatter(x.item()).rjust(width)},
    )


def describe(tensor, name="tensor"):
    """``tensor(...)`` with what is unusual about it."""
    text = f"{name}({format_array(tensor.data, len(name) + 1)}"
    if not tensor.data.size and tensor.data.ndim != 1:
        text += f", size={tensor.shape}"
    if tensor.dtype.name not in _DEFAULT_DTYPES:
        text += f", dtype=fastgrad.{tensor.dtype.name}"
    if tensor.grad_fn is not None:
        text += f", grad_fn={tensor.grad_fn!r}"
    elif tensor.requires_grad:
        text += ", requires_grad=True"
    return text + ")"
