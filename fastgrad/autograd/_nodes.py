"""Nodes that are made by hand: for functions of users, and for checkpoints."""

from ..lifting import Operation, as_input, port
from ..tensor import Tensor

__all__ = ["Kept", "Operation", "port", "source"]


def source(tensor):
    """Where a tensor comes from, as nodes hold it: a node, a leaf, or None for a constant."""
    if not isinstance(tensor, Tensor) or not tensor._requires_grad:
        return None
    return tensor if tensor._node is None else tensor._node


class Kept:
    """A tensor as a node may keep it: without the tensor object, which may come to hold the node.

    version   the count of changes that it was kept at
    """

    __slots__ = ("array", "cell", "source", "version")

    def __init__(self, tensor):
        self.array, self.source = tensor.data, source(tensor)
        self.cell = tensor._version
        self.version = self.cell[0]

    def tensor(self):
        """The tensor that was kept."""
        return as_input(self.array, self.source, self.cell)
