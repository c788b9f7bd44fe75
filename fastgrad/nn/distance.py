"""Distances of vectors as modules."""

from .. import ops
from .module import Module


class CosineSimilarity(Module):
    """The cosine of the angle of vectors along ``dim``; see ``functional.cosine_similarity``.

    >>> import fastgrad as fg
    >>> fg.nn.CosineSimilarity()(fg.tensor([[1.0, 1.0]]), fg.tensor([[2.0, 0.0]]))
    tensor([0.7071])
    """

    def __init__(self, dim=1, eps=1e-8):
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1, x2):
        return ops.cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """``‖x1 - x2 + eps‖ₚ`` along the last axis; see ``functional.pairwise_distance``.

    >>> import fastgrad as fg
    >>> fg.nn.PairwiseDistance()(fg.tensor([[0.0, 0.0]]), fg.tensor([[3.0, 4.0]]))
    tensor([5.0000])
    """

    def __init__(self, p=2.0, eps=1e-6, keepdim=False):
        super().__init__()
        self.norm, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1, x2):
        return ops.pairwise_distance(x1, x2, self.norm, self.eps, self.keepdim)
