"""Rules of losses on equal shapes."""

from ..backend import K
from ..lifting import op
from ..tape import as_array
from ._family import same_type

__all__ = ["mse_loss"]


@op
def mse_loss(x, target, *, reduction="mean"):
    """Squared error ``(x - target)²``, its mean, sum or neither.

    Raises ``ValueError`` where the shapes differ or the reduction is unknown.

    >>> import fastgrad as fg
    >>> fg.mse_loss(fg.tensor([1.0, 2.0]), fg.tensor([1.0, 4.0]))
    tensor(2.)
    """
    if x.shape != target.shape:
        raise ValueError(f"mse_loss: x has shape {x.shape}, target {target.shape}; expected equal")
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"mse_loss: unknown reduction {reduction!r}; expected mean, sum or none")
    if reduction == "mean" and not x.size:
        raise ValueError(f"mse_loss: the batch is empty, x has shape {x.shape}: no mean")
    if x.dtype is not target.dtype or x.dtype.kind != "f":
        x, target = _as_floats(x, target)
    out, factor = K.squared_difference(x, target), 2.0
    if reduction == "mean":
        out, factor = K.mean(out), 2.0 / x.size
    elif reduction == "sum":
        out = K.sum(out)
    return as_array(out), (
        lambda grad: K.scaled_difference(x, target, K.mul(grad, factor)),
        lambda grad: K.scaled_difference(target, x, K.mul(grad, factor)),
    )


mse_loss.differentiable(
    lambda grad, x, target, factor: (x - target) * (grad * factor),
    lambda grad, x, target, factor: (target - x) * (grad * factor),
)


def _as_floats(x, target):
    x, target = same_type(x, target)
    if x.dtype.kind != "f":
        raise TypeError(f"mse_loss: expected float tensors, got {x.dtype}")
    return x, target
