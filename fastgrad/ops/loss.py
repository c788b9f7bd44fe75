"""Rules of losses on equal shapes."""

from ..backend import K
from ..tape import as_array
from ..tensor import op


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
    difference = K.sub(x, target)
    out = K.mul(difference, difference)
    factor = 2.0
    if reduction == "mean":
        out, factor = K.mean(out), 2.0 / x.size
    elif reduction == "sum":
        out = K.sum(out)

    return as_array(out), (
        lambda grad: K.mul(difference, K.mul(grad, factor)),
        lambda grad: K.mul(difference, K.mul(grad, -factor)),
    )
