"""What a loader gives, and what goes through a model: batches of one tensor or of several."""

from ..tensor import Tensor
from ..trees import flatten

__all__ = ["apply", "samples", "unpack"]


def unpack(batch, where):
    """``(x, target)`` of a batch, arrays made Tensors.

    ``(x, target)`` is itself; of ``(x, a, b, ...)`` the target is the tuple ``(a, b, ...)``.
    Either may be a tuple or a dict of tensors. Raises ``TypeError`` for anything else.
    """
    if type(batch) is tuple and len(batch) == 2:
        x, target = batch
        if type(x) is Tensor and type(target) is Tensor:
            return batch
    elif not isinstance(batch, tuple | list) or len(batch) < 2:
        size = f" of {len(batch)}" if isinstance(batch, tuple | list) else ""
        raise TypeError(
            f"{where}: the loader gave a {type(batch).__name__}{size}; expected pairs "
            "(x, target), or (x, target, target, ...) for a loss of several"
        )
    x, *targets = batch
    return _tensors(x), _tensors(targets[0] if len(targets) == 1 else tuple(targets))


def _tensors(value):
    if isinstance(value, Tensor):
        return value
    if isinstance(value, tuple):
        return tuple(_tensors(part) for part in value)
    if isinstance(value, dict):
        return {name: _tensors(part) for name, part in value.items()}
    return Tensor(value)


def apply(model, x):
    """``model(x)``; of several inputs ``model(*x)``, of named ones ``model(**x)``."""
    if type(x) is tuple:
        return model(*x)
    if type(x) is dict:
        return model(**x)
    return model(x)


def samples(target):
    """How many samples a batch has: the first size of its first tensor that has one."""
    if type(target) is not Tensor:
        target = next((tensor for tensor in flatten(target)[0] if tensor.data.ndim), None)
        if target is None:
            return 1
    return target.data.shape[0] if target.data.ndim else 1
