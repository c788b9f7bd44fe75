"""What tests of the tape share: leaves, and what of two things is the same."""

import numpy as np

import fastgrad as fg


def a_leaf(values=(1.0, 2.0, 3.0)):
    return fg.tensor(list(values), requires_grad=True)


def _memory(x):
    return x.data if isinstance(x, fg.Tensor) else x


def share_memory(a, b):
    return np.shares_memory(_memory(a), _memory(b))


def as_lists(grads):
    return [None if grad is None else grad.tolist() for grad in grads]
