"""How losses become one number."""

import warnings

from ..backend import K
from ._family import T

REDUCTIONS = ("mean", "sum", "none")


def checked(name, reduction, size_average=None, reduce=None):
    """The reduction, or what PyTorch's former arguments say; ``ValueError`` for another name."""
    if size_average is not None or reduce is not None:
        warnings.warn(
            f"{name}: size_average and reduce are deprecated; use reduction", stacklevel=3
        )
        if reduce is not None and not reduce:
            return "none"
        return "mean" if size_average or size_average is None else "sum"
    if reduction not in REDUCTIONS:
        raise ValueError(f"{name}: unknown reduction {reduction!r}; expected one of {REDUCTIONS}")
    return reduction


def reduced_array(name, loss, reduction):
    """(the result, by how much each loss counts in it) of an array of losses."""
    if reduction == "none":
        return loss, 1.0
    if reduction == "sum":
        return K.sum(loss), 1.0
    if not loss.size:
        raise ValueError(f"{name}: the batch is empty, losses have shape {loss.shape}: no mean")
    return K.mean(loss), 1.0 / loss.size


def reduced(loss, reduction):
    """The mean or sum of a tensor of losses, or itself."""
    return loss if reduction == "none" else getattr(T, reduction)(loss)
