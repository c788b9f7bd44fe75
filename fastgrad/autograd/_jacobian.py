"""What ``functional`` and ``func`` share: inputs of a level of their own, rows of Jacobians."""

import numpy as np

from ..differentiate import grad
from ..lifting import alias
from ..ops import stack
from ..ops.copy import zeros_like
from ..tape import Node, mark
from ..tensor import Tensor


class Own(Tensor):
    """A leaf that a level of differentiation made for itself."""

    __slots__ = ("number",)

    def __init__(self, tensor):
        super().__init__(tensor.data, requires_grad=True)
        self._version, self.number = tensor._version, mark()
        self._version[1] = True  # the array is shared


def fresh(tensor):
    """A tensor to differentiate by: linked to ``tensor`` where that requires grad, else a leaf."""
    return alias(tensor) if tensor._requires_grad else Own(tensor)


def jacobian_rows(output, inputs, create_graph):
    """For each input the Jacobian of ``output``, of shape (\\*output, \\*input).

    Where the output does not depend on an input, None.
    """
    rows = []
    for index in range(output.data.size):
        seed = np.zeros(output.data.size, output.dtype)
        seed[index] = 1
        seed = Tensor(seed.reshape(output.shape))
        rows.append(
            grad(
                output, inputs, seed, retain_graph=True, create_graph=create_graph,
                allow_unused=True,
            )
        )  # fmt: skip
    return [_joined([row[k] for row in rows], output.shape, x) for k, x in enumerate(inputs)]


def _joined(rows, shape, x):
    if all(row is None for row in rows):
        return None
    rows = [zeros_like(x) if row is None else row for row in rows]
    return stack(rows).reshape((*shape, *x.shape))


def depends_on_others(outputs, since):
    """Whether outputs depend on a leaf other than those that levels made since a number.

    What lies behind a node that was freed counts as another.
    """
    seen, stack = set(), [x if x._node is None else x._node for x in outputs if x._requires_grad]
    while stack:
        key = stack.pop()
        if type(key) is Own:
            if key.number < since:
                return True
        elif type(key) is not Node or key.vjp is None:
            return True
        elif key.number not in seen:
            seen.add(key.number)
            stack.extend(source for source in key.inputs if source is not None)
    return False
