"""Penalties on parameters, as terms of a loss."""

from ...creation import zeros
from ...tensor import Tensor

__all__ = ["elastic_net_penalty", "l1_penalty", "l2_penalty"]


def _total(parameters, term):
    parameters = [parameters] if isinstance(parameters, Tensor) else parameters
    return sum((term(x) for x in parameters), start=zeros(()))


def l1_penalty(parameters, weight=1.0):
    """``weight · Σ |x|`` over the elements of all parameters, to be added to a loss.

    Its gradient is ``weight · sign(x)``, as that of an optimizer's ``l1_decay=weight``. Tibshirani
    1996 (the lasso).

    >>> import fastgrad as fg
    >>> w = fg.tensor([3.0, -4.0], requires_grad=True)
    >>> fg.nn.utils.l1_penalty([w], 0.1).backward()
    >>> w.grad
    tensor([ 0.1000, -0.1000])
    """
    return weight * _total(parameters, lambda x: x.abs().sum())


def l2_penalty(parameters, weight=1.0):
    """``weight / 2 · Σ x²`` over the elements of all parameters, to be added to a loss.

    Its gradient is ``weight · x``, as that of SGD's ``weight_decay=weight``. Hoerl & Kennard 1970
    (ridge regression).

    >>> import fastgrad as fg
    >>> w = fg.tensor([3.0, -4.0], requires_grad=True)
    >>> fg.nn.utils.l2_penalty([w], 0.1).backward()
    >>> w.grad
    tensor([ 0.3000, -0.4000])
    """
    return weight / 2 * _total(parameters, lambda x: (x * x).sum())


def elastic_net_penalty(parameters, l1=1.0, l2=1.0):
    """``Σ (l1 · |x| + l2 / 2 · x²)`` over the elements of all parameters.

    The sum of ``l1_penalty`` and ``l2_penalty``. Zou & Hastie 2005.

    >>> import fastgrad as fg
    >>> w = fg.tensor([3.0, -4.0], requires_grad=True)
    >>> fg.nn.utils.elastic_net_penalty([w], 0.1, 0.1).backward()
    >>> w.grad
    tensor([ 0.4000, -0.5000])
    """
    parameters = [parameters] if isinstance(parameters, Tensor) else list(parameters)
    return l1_penalty(parameters, l1) + l2_penalty(parameters, l2)
