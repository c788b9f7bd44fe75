"""Lengths, angles and distances of vectors, and the losses of them: compositions."""

from ..tensor import Tensor
from ._family import T
from ._reduction import checked, reduced

__all__ = [
    "cosine_embedding_loss",
    "cosine_similarity",
    "normalize",
    "pairwise_distance",
    "triplet_margin_loss",
    "triplet_margin_with_distance_loss",
]


def _tensors(*operands):
    return [y if isinstance(y, Tensor) else Tensor(y) for y in operands]


def normalize(x, p=2.0, dim=1, eps=1e-12):
    """``x / max(‖x‖ₚ, eps)``, vectors along ``dim`` of length 1.

    >>> import fastgrad as fg
    >>> fg.normalize(fg.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """
    return x / T.clamp_min(T.norm(x, p, dim, keepdim=True), eps)


def cosine_similarity(x1, x2, dim=1, eps=1e-8):
    """``x1 · x2 / (max(‖x1‖, eps) · max(‖x2‖, eps))`` along ``dim``; the shapes broadcast.

    As in PyTorch, eps has no part in the gradient: a length below it still has its slope.

    >>> import fastgrad as fg
    >>> fg.cosine_similarity(fg.tensor([[1.0, 1.0]]), fg.tensor([[2.0, 0.0]]))
    tensor([0.7071])
    """
    x1, x2 = _tensors(x1, x2)
    x1, x2 = T.broadcast_tensors(x1, x2)
    return (x1 * x2).sum(dim=dim) / (_length(x1, dim, eps) * _length(x2, dim, eps))


def _length(x, dim, eps):
    """At least eps, with the gradient of the length itself."""
    length = T.norm(x, 2.0, dim)
    known = length.detach()
    return length + (T.clamp_min(known, eps) - known)


def pairwise_distance(x1, x2, p=2.0, eps=1e-6, keepdim=False):
    """``‖x1 - x2 + eps‖ₚ`` along the last axis, (N, D) and (N, D) to (N,); the shapes broadcast.

    >>> import fastgrad as fg
    >>> fg.pairwise_distance(fg.tensor([[0.0, 0.0]]), fg.tensor([[3.0, 4.0]]))
    tensor([5.0000])
    """
    return T.norm(x1 - x2 + eps, p, -1, keepdim=keepdim)


def cosine_embedding_loss(
    x1, x2, target, margin=0.0, size_average=None, reduce=None, reduction="mean"
):
    """``1 - cos(x1, x2)`` for pairs that belong together (1), else ``max(0, cos - margin)`` (-1).

    x1, x2   (N, D) or (D,)
    target   (N,) or ()

    Raises ``ValueError`` for shapes that do not fit or an unknown reduction.

    >>> import fastgrad as fg
    >>> a, b = fg.tensor([[1.0, 0.0]]), fg.tensor([[0.0, 1.0]])
    >>> fg.cosine_embedding_loss(a, b, fg.tensor([1.0]))
    tensor(1.)
    """
    reduction = checked("cosine_embedding_loss", reduction, size_average, reduce)
    x1, x2, target = _tensors(x1, x2, target)
    if x1.ndim not in (1, 2) or x1.ndim != x2.ndim or target.ndim != x1.ndim - 1:
        raise ValueError(
            "cosine_embedding_loss: expected vectors (N, D) and targets (N,), got "
            f"{x1.shape}, {x2.shape} and {target.shape}"
        )
    epsilon = 1e-12  # under the root of the squared lengths, as in PyTorch
    lengths = T.sqrt((T.square(x1).sum(dim=-1) + epsilon) * (T.square(x2).sum(dim=-1) + epsilon))
    cosine = (x1 * x2).sum(dim=-1) / lengths
    together = T.where(T.eq(target, 1), 1.0 - cosine, 0.0)
    apart = T.where(T.eq(target, -1), T.clamp_min(cosine - margin, 0.0), 0.0)
    return reduced(together + apart, reduction)


def triplet_margin_with_distance_loss(
    anchor, positive, negative, distance_function=None, margin=1.0, swap=False, reduction="mean"
):
    """``max(0, d(anchor, positive) - d(anchor, negative) + margin)``, reduced.

    distance_function   of two tensors; by default ``pairwise_distance``
    swap                whether the negative's distance is the less of those from anchor and
                        positive. Balntas et al. 2016

    Raises ``ValueError`` for a margin that is not positive or an unknown reduction.

    >>> import fastgrad as fg
    >>> a, b, c = fg.zeros(1, 2), fg.tensor([[3.0, 4.0]]), fg.tensor([[0.0, 2.0]])
    >>> fg.triplet_margin_with_distance_loss(a, b, c)
    tensor(4.0000)
    """
    reduction = checked("triplet_margin_with_distance_loss", reduction)
    if margin <= 0:
        raise ValueError(
            f"triplet_margin_with_distance_loss: expected a positive margin, got {margin}"
        )
    return _triplet(anchor, positive, negative, distance_function, margin, swap, reduction)


def _triplet(anchor, positive, negative, distance, margin, swap, reduction):
    anchor, positive, negative = _tensors(anchor, positive, negative)
    distance = pairwise_distance if distance is None else distance
    if not anchor.ndim == positive.ndim == negative.ndim:
        raise ValueError(
            "triplet_margin_loss: expected equal numbers of axes, got shapes "
            f"{anchor.shape}, {positive.shape} and {negative.shape}"
        )
    far = distance(anchor, negative)
    if swap:
        far = T.minimum(far, distance(positive, negative))
    return reduced(T.clamp_min(distance(anchor, positive) - far + margin, 0.0), reduction)


def triplet_margin_loss(
    anchor, positive, negative, margin=1.0, p=2, eps=1e-6, swap=False, size_average=None,
    reduce=None, reduction="mean",
):  # fmt: skip
    """``triplet_margin_with_distance_loss`` with ``pairwise_distance`` of norm p and eps.

    Raises ``ValueError`` for a margin that is not positive or an unknown reduction.

    >>> import fastgrad as fg
    >>> a, b, c = fg.zeros(1, 2), fg.tensor([[3.0, 4.0]]), fg.tensor([[0.0, 2.0]])
    >>> fg.triplet_margin_loss(a, b, c)
    tensor(4.0000)
    """
    reduction = checked("triplet_margin_loss", reduction, size_average, reduce)
    if margin <= 0:
        raise ValueError(f"triplet_margin_loss: expected a positive margin, got {margin}")

    def distance(x1, x2):
        return pairwise_distance(x1, x2, p, eps)

    return _triplet(anchor, positive, negative, distance, margin, swap, reduction)
