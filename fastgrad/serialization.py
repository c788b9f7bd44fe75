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
    from safetensors import SafetensorError
    from safetensors.numpy import save as serialize

    arrays = {name: _storable(name, value) for name, value in state_dict.items()}
    reason = why_unwritable(path)
    if reason:
        raise OSError(f"save: cannot write {path}: {reason}")
    try:
        data = serialize(arrays)
    except SafetensorError as error:
        raise TypeError(f"save: {error}") from error
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
    from safetensors import SafetensorError, safe_open

    if not os.path.isfile(path):
        raise FileNotFoundError(f"load: there is no file {path}")
    state = {}
    try:
        with safe_open(path, framework="np") as file:
            for name in file.keys():  # noqa: SIM118 (it is no dict)
                try:
                    array = file.get_tensor(name)
                except (TypeError, AttributeError):
                    dtype = file.get_slice(name).get_dtype()
                    raise ValueError(
                        f"load: {name!r} in {path} is {dtype}, which NumPy does not have"
                    ) from None
                state[name] = Tensor(np.require(array, requirements=["C", "W"]))
    except SafetensorError as error:
        raise ValueError(f"load: {path} is no safetensors file, or not whole: {error}") from error
    return state
