"""Rules of random operations."""

from .. import random
from ..backend import K
from ..lifting import op

__all__ = ["dropout"]


@op(linear=True)
def _dropout(x, *, p, ticket):
    return K.dropout(x, p, ticket), lambda grad: K.dropout(grad, p, ticket)


def dropout(x, p=0.5, training=True):
    """In training, each element is 0 with probability p, else ``x / (1 - p)``.

    The mask comes from a counter and is drawn again in the backward pass, not stored; it does not
    depend on the number of threads. Srivastava et al. 2014.

    Raises ``ValueError`` where p is not a probability.

    >>> import fastgrad as fg
    >>> fg.manual_seed(0)
    >>> y = fg.dropout(fg.tensor([1.0] * 1000), p=0.25)
    >>> sorted(set(y.tolist()))
    [0.0, 1.3333333730697632]
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"dropout: p = {p} is not a probability from 0 to 1")
    if not training or p == 0.0:
        return x
    if x.dtype.kind != "f":
        raise TypeError(f"dropout: expected a float tensor, got {x.dtype}")
    return _dropout(x, p=p, ticket=K.draw(random.default.counter, x.data.size))
