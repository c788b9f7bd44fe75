"""Nodes that are made by hand: for functions of users, and for checkpoints."""

from ..lifting import as_input
from ..tape import Node, Parcel
from ..tensor import Tensor


class Operation:
    """What stands in a node for its operation: a name, and the pull-back on tensors."""

    __slots__ = ("__name__", "again")

    def __init__(self, name, again):
        self.__name__, self.again = name, again


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


def port(whole, name, index, count, array):
    """A node for one of several results, which sends what arrives to ``whole``, that of all."""
    operation = Operation(name, lambda node, grad, needs: (Parcel(grad, index, count),))
    return Node(operation, lambda grad: Parcel(grad, index, count), [whole], [True], (), {}, array)
