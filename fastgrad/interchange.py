"""State dicts of modules and optimizers, to PyTorch's and back.

The weights of ``nn.Linear`` are transposed, also inside larger modules, and with them what an
optimizer keeps for them; everything else is the same on both sides. PyTorch itself is not needed:
what goes in may be its tensors, arrays, or anything like an array; what comes out is tensors of
fastgrad, or what ``wrap`` makes of the arrays.

    theirs.load_state_dict(fg.interchange.to_torch_state_dict(ours, wrap=torch.from_numpy))
    fg.interchange.load_torch_state_dict(ours, theirs.state_dict())
"""

import numpy as np

from .optim import LBFGS, SGD, NewtonCG
from .tensor import Tensor

__all__ = [
    "load_torch_optimizer_state_dict",
    "load_torch_state_dict",
    "to_torch_optimizer_state_dict",
    "to_torch_state_dict",
]


def _array(value):
    """An array, a tensor of either side, or anything like an array, as an array."""
    if isinstance(value, Tensor):
        return value.data
    if hasattr(value, "detach"):
        return value.detach().cpu().numpy()
    return np.asarray(value)


def _turned(array):
    """A copy of a transposed matrix."""
    return np.array(array.T, order="C")


# ------------------------------------------------------------------ modules


def _transposed_names(module):
    """Names in a module's state dict of what PyTorch has transposed."""
    return {
        f"{prefix}{name}"
        for prefix, part in module._all_paths()
        for name in part.transposed_in_torch
    }


def to_torch_state_dict(module, wrap=Tensor):
    """A module's parameters and buffers under PyTorch's names and in its shapes, as copies.

    wrap   what to make of each array, as ``torch.from_numpy``

    >>> import fastgrad as fg
    >>> state = fg.interchange.to_torch_state_dict(fg.nn.Linear(3, 2))
    >>> state["weight"].shape
    (2, 3)
    """
    transposed, state = _transposed_names(module), module.state_dict()
    return {
        name: wrap(_turned(value.data) if name in transposed else value.data.copy())
        for name, value in state.items()
    }


def load_torch_state_dict(module, state_dict, strict=True):
    """Copy the values of PyTorch's state dict into a module; see ``Module.load_state_dict``.

    Raises ``RuntimeError`` that lists what does not fit, before anything is changed. Returns
    (missing names, unexpected names).

    >>> import numpy as np
    >>> import fastgrad as fg
    >>> layer = fg.nn.Linear(3, 2, bias=False)
    >>> fg.interchange.load_torch_state_dict(layer, {"weight": np.ones((2, 3), np.float32)})
    IncompatibleKeys(missing_keys=[], unexpected_keys=[])
    """
    transposed = _transposed_names(module)
    arrays = {name: _array(value) for name, value in state_dict.items()}
    for name in transposed & arrays.keys():
        arrays[name] = arrays[name].T
    return module.load_state_dict(arrays, strict)


# ------------------------------------------------------------------ optimizers


def _transposed_parameters(module):
    """The ids of a module's parameters that PyTorch has transposed."""
    parts = [(part, name) for part in module.modules() for name in part.transposed_in_torch]
    return {id(part._parameters[name]) for part, name in parts}


def _turn_vector(flat, parameters, transposed, there):
    """A vector of all parameters' elements with the transposed ones in the other order."""
    parts, at = [], 0
    for parameter in parameters:
        part = flat[at : at + parameter.data.size]
        at += parameter.data.size
        if id(parameter) in transposed:
            part = part.reshape(parameter.shape if there else parameter.shape[::-1]).T.reshape(-1)
        parts.append(part)
    return np.concatenate(parts)


def _convert(optimizer, module, state, wrap, there):
    """A state dict's state with arrays turned; numbers and lists of arrays are LBFGS's."""
    transposed = _transposed_parameters(module)
    parameters = [p for group in optimizer.param_groups for p in group["params"]]

    def turn(value, parameter):
        if isinstance(value, list | tuple):
            return [turn(part, parameter) for part in value]
        if value is None or isinstance(value, int | float):
            return value
        array = np.array(_array(value))
        if isinstance(optimizer, LBFGS):
            if array.ndim == 1:
                array = _turn_vector(array, parameters, transposed, there)
        elif array.ndim == 2 and id(parameter) in transposed:
            array = _turned(array)
        return wrap(array)

    return {
        number: {name: turn(value, parameters[number]) for name, value in values.items()}
        for number, values in state.items()
    }


def to_torch_optimizer_state_dict(optimizer, module, wrap=Tensor):
    """An optimizer's state dict as PyTorch's optimizer of the same name would give it.

    module   what the parameters belong to: it knows which of them PyTorch has transposed
    wrap     what to make of each array, as ``torch.from_numpy``

    Raises ``ValueError`` for what PyTorch does not have: ``NewtonCG``, and an l1_decay.

    >>> import fastgrad as fg
    >>> model = fg.nn.Linear(3, 2)
    >>> optimizer = fg.optim.Adam(model.parameters())
    >>> model(fg.ones(1, 3)).sum().backward()
    >>> optimizer.step()
    >>> state = fg.interchange.to_torch_optimizer_state_dict(optimizer, model)
    >>> state["state"][0]["exp_avg"].shape, state["state"][0]["step"]
    ((2, 3), tensor(1.))
    """
    if isinstance(optimizer, NewtonCG):
        raise ValueError("to_torch_optimizer_state_dict: PyTorch has no NewtonCG")
    saved, groups = optimizer.state_dict(), []
    for group in saved["param_groups"]:
        if group.get("l1_decay"):
            raise ValueError(
                f"to_torch_optimizer_state_dict: l1_decay = {group['l1_decay']}, which PyTorch's "
                "optimizers do not have; put nn.utils.l1_penalty into the loss"
            )
        options = {name: value for name, value in group.items() if name != "l1_decay"}
        for name, value in options.items():
            if isinstance(value, Tensor):
                options[name] = wrap(value.data.copy())
        groups.append(options)
    for values in saved["state"].values():
        if isinstance(optimizer, SGD):
            del values["step"]
        for name in ("step", *optimizer.scalars):
            if name in values:
                kind = np.float32 if name == "step" else np.float64
                values[name] = values[name].astype(kind).reshape(())
    state = {number: values for number, values in saved["state"].items() if values}
    return {"state": _convert(optimizer, module, state, wrap, True), "param_groups": groups}


def load_torch_optimizer_state_dict(optimizer, module, state_dict):
    """Take over the state dict of PyTorch's optimizer of the same name.

    module   what the parameters belong to: it knows which of them PyTorch has transposed

    Raises ``ValueError`` where groups or shapes do not match, before anything is changed.

    >>> import fastgrad as fg
    >>> model = fg.nn.Linear(3, 2)
    >>> optimizer, other = (fg.optim.SGD(model.parameters(), lr=lr) for lr in (0.1, 0.2))
    >>> state = fg.interchange.to_torch_optimizer_state_dict(optimizer, model)
    >>> fg.interchange.load_torch_optimizer_state_dict(other, model, state)
    >>> other.param_groups[0]["lr"]
    0.1
    """
    groups = [
        {k: Tensor(_array(v)) if hasattr(v, "detach") else v for k, v in group.items()}
        for group in state_dict["param_groups"]
    ]
    known = range(sum(len(group["params"]) for group in optimizer.param_groups))
    state = {number: values for number, values in state_dict["state"].items() if number in known}
    state = _convert(optimizer, module, state, np.asarray, False)
    optimizer.load_state_dict({"state": state, "param_groups": groups})
