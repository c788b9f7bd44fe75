"""State dicts in files, in the safetensors format: a header in JSON, then the arrays' bytes.

Reading such a file runs no code from it, unlike reading a pickle; PyTorch's and other libraries
read and write it too.
"""

import os

import numpy as np

from ._files import why_unwritable, write_atomically
from .tensor import Tensor

__all__ = ["load", "save"]


def save(state_dict, path):
    """Write a state dict to a file in the safetensors format.

    Parameters
    ----------
    state_dict
        Tensors, arrays or numbers by name, such as ``model.state_dict()``: booleans, integers or
        floats of up to 64 bits, any shape.
    path
        The file; one that exists is replaced. It is the old one or the new one, whole, whatever
        happens meanwhile. ``save(path, state_dict)`` does the same.

    Raises ``TypeError`` for names that are not strings and values that are no numbers, a nested
    dict for instance; ``OSError`` where the file cannot be written. Nothing is written then.

    >>> import tempfile
    >>> import fastgrad as fg
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save({"weight": fg.ones(2), "steps": fg.tensor(7)}, f"{folder}/model.safetensors")
    ...     state = load(f"{folder}/model.safetensors")
    >>> state["weight"], state["steps"]
    (tensor([1., 1.]), tensor(7))
    """
    if isinstance(state_dict, str | os.PathLike):
        state_dict, path = path, state_dict
    arrays = {name: _storable(name, value) for name, value in state_dict.items()}
    write_file(arrays, path, "save")


def write_file(arrays, path, where, metadata=None):
    """Write arrays by name, and strings by name, in the safetensors format, or raise."""
    from safetensors import SafetensorError
    from safetensors.numpy import save as serialize

    reason = why_unwritable(path)
    if reason:
        raise OSError(f"{where}: cannot write {path}: {reason}")
    arrays = {name: np.require(array, requirements="C") for name, array in arrays.items()}
    try:
        data = serialize(arrays, metadata)
    except SafetensorError as error:
        raise TypeError(f"{where}: {error}") from error
    write_atomically(path, data)


def _storable(name, value):
    """The C-contiguous array that is written for ``value``."""
    if not isinstance(name, str):
        raise TypeError(f"save: the name {name!r} is a {type(name).__name__}; expected a string")
    if not isinstance(value, Tensor | np.ndarray | np.generic | int | float):
        raise TypeError(
            f"save: {name!r} is a {type(value).__name__}; expected a Tensor, an array or a number"
        )
    array = np.require(value.data if isinstance(value, Tensor) else value, requirements="C")
    if array.dtype.kind not in "fiub":
        raise TypeError(f"save: {name!r} has dtype {array.dtype}; expected numbers")
    return array


def load(path):
    """The state dict in a safetensors file: Tensors by name.

    Raises ``FileNotFoundError`` where there is no such file, ``ValueError`` for one that is not
    safetensors, is not whole, or has a type that NumPy does not have, such as bfloat16.

    ``model.load_state_dict(load(path))`` continues where ``save`` left off; see there.
    """
    return {name: Tensor(array) for name, array in read_file(path, "load")[0].items()}


def read_file(path, where):
    """``(arrays by name, metadata)`` of a safetensors file, or an error that begins ``where``."""
    from safetensors import SafetensorError, safe_open

    if not os.path.isfile(path):
        raise FileNotFoundError(f"{where}: there is no file {path}")
    arrays = {}
    try:
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118 (it is no dict)
                try:
                    array = file.get_tensor(name)
                except (TypeError, AttributeError):
                    dtype = file.get_slice(name).get_dtype()
                    raise ValueError(
                        f"{where}: {name!r} in {path} is {dtype}, which NumPy does not have"
                    ) from None
                arrays[name] = np.require(array, requirements=["C", "W"])
            return arrays, file.metadata() or {}
    except SafetensorError as error:
        problem = f"{where}: {path} is no safetensors file, or not whole"
        raise ValueError(f"{problem}: {error}") from error
