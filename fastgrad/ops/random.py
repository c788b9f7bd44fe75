"""Rules of random operations: the dropouts. What each leaves out is drawn anew in every call."""

import math

import numpy as np

from .. import random
from ..backend import K
from ..lifting import op
from ..tensor import Tensor
from ._family import T
from ._inplace import in_place

__all__ = [
    "alpha_dropout",
    "dropout",
    "dropout1d",
    "dropout2d",
    "dropout3d",
    "feature_alpha_dropout",
    "stochastic_depth",
]

_ALPHA = 1.7580993408473766  # minus the value that SELU goes to on its left


@op(linear=True)
def _dropout(x, *, p, ticket, scale=None):
    return K.dropout(x, p, ticket, scale), lambda grad: K.dropout(grad, p, ticket, scale)


@op(name="alpha_dropout")
def _alpha_dropout(x, *, p, ticket, scale, shift, dropped):
    out = K.dropout(x, p, ticket, scale, shift, dropped)
    return out, lambda grad: K.dropout(grad, p, ticket, scale)


_alpha_dropout.differentiable(
    lambda grad, p, ticket, scale: _dropout(grad, p=p, ticket=ticket, scale=scale)
)


def _is_off(name, x, p, training):
    """Whether nothing is to be done; ``p`` and ``x`` are checked."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{name}: p = {p} is not a probability from 0 to 1")
    if not training or p == 0.0:
        return True
    if x.dtype.kind != "f":
        raise TypeError(f"{name}: expected a float tensor, got {x.dtype}")
    return False


def _ticket(size):
    return K.draw(random.default.counter, size)


def dropout(x, p=0.5, training=True, inplace=False):
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
    if _is_off("dropout", x, p, training):
        return x
    if inplace:
        return _dropout_in_place(x, p)
    return _dropout(x, p=p, ticket=_ticket(x.data.size))


_dropout_in_place = in_place(dropout)


# ------------------------------------------------------------------ whole channels, whole samples


def _drawn(shape, dtype, p, ticket, *numbers):
    """``K.dropout`` of ones: what parts of the given shape are multiplied by."""
    return Tensor(K.dropout(np.ones(shape, dtype), p, ticket, *numbers))


def _channels(x, unbatched):
    """The shape of a mask for each channel of x (N, C, \\*), or, without N, (C, \\*)."""
    kept = 1 if x.ndim == unbatched else 2
    return x.shape[:kept] + (1,) * (x.ndim - kept)


def _of_channels(name, axes, unbatched, text):
    """A dropout of whole channels of tensors that have one of two numbers of axes."""

    def function(x, p=0.5, training=True, inplace=False):
        if x.ndim not in axes:
            raise ValueError(f"{name}: expected {axes[0]} or {axes[1]} axes, got shape {x.shape}")
        if _is_off(name, x, p, training):
            return x
        if inplace:
            return changing(x, p)
        shape = _channels(x, unbatched)
        return x * _drawn(shape, x.dtype, p, _ticket(math.prod(shape)))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = text
    changing = in_place(function)
    return function


dropout1d = _of_channels(
    "dropout1d",
    (2, 3),
    2,
    """In training, each channel of (N, C, L), or (C, L), is 0 with probability p.

    The others are ``x / (1 - p)``.

    Tompson et al. 2015. Raises ``ValueError`` for another number of axes.

    >>> import fastgrad as fg
    >>> fg.dropout1d(fg.ones(1, 2, 3), p=1.0)
    tensor([[[0., 0., 0.],
             [0., 0., 0.]]])
    """,
)
dropout2d = _of_channels(
    "dropout2d",
    (3, 4),
    None,
    """In training, each channel of (N, C, H, W) is 0 with probability p, else ``x / (1 - p)``.

    Three axes are (N, C, L), as in PyTorch. Tompson et al. 2015. Raises ``ValueError`` for another
    number of axes.

    >>> import fastgrad as fg
    >>> fg.dropout2d(fg.ones(1, 1, 2, 2), p=1.0)
    tensor([[[[0., 0.],
              [0., 0.]]]])
    """,
)
dropout3d = _of_channels(
    "dropout3d",
    (4, 5),
    4,
    """In training, each channel of (N, C, D, H, W) or (C, D, H, W) is 0 with probability p.

    The others are ``x / (1 - p)``. Tompson et al. 2015. Raises ``ValueError`` for another number of
    axes.

    >>> import fastgrad as fg
    >>> fg.dropout3d(fg.ones(1, 1, 1, 2), p=1.0)
    tensor([[[[0., 0.]]]])
    """,
)


def stochastic_depth(x, p, mode, training=True):
    """In training, whole samples are 0 with probability p, else ``x / (1 - p)``.

    Around a residual block, that leaves the block out for these samples. Huang et al. 2016.

    mode   "row": each sample of (N, \\*) by itself; "batch": all or none

    Raises ``ValueError`` where p is not a probability, for another mode, and for no axes.

    >>> import fastgrad as fg
    >>> fg.stochastic_depth(fg.ones(2, 2), 1.0, "row")
    tensor([[0., 0.],
            [0., 0.]])
    """
    if mode not in ("row", "batch"):
        raise ValueError(f"stochastic_depth: unknown mode {mode!r}; expected 'row' or 'batch'")
    if _is_off("stochastic_depth", x, p, training):
        return x
    if not x.ndim:
        raise ValueError("stochastic_depth: expected samples (N, *), got no axes")
    count = x.shape[0] if mode == "row" else 1
    return x * _drawn((count,) + (1,) * (x.ndim - 1), x.dtype, p, _ticket(count))


# ------------------------------------------------------------------ for SELU


def _alpha_numbers(p):
    """(scale, shift, what is dropped) that keep mean 0 and variance 1; zeros where all is."""
    if p == 1.0:
        return 0.0, 0.0, 0.0
    scale = 1.0 / math.sqrt((_ALPHA**2 * p + 1.0) * (1.0 - p))
    return scale, _ALPHA * scale * p, _ALPHA * scale * (p - 1.0)


def alpha_dropout(x, p=0.5, training=False, inplace=False):
    """In training, each element is SELU's least value with probability p, then all are moved.

    ``x · a + b`` with a and b such that mean 0 and variance 1 stay. Klambauer et al. 2017.

    Raises ``ValueError`` where p is not a probability.

    >>> import fastgrad as fg
    >>> fg.manual_seed(0)
    >>> y = fg.alpha_dropout(fg.randn(10000), 0.3, training=True)
    >>> abs(y.mean().item()) < 0.05, abs(y.std().item() - 1) < 0.05
    (True, True)
    """
    if _is_off("alpha_dropout", x, p, training):
        return x
    if inplace:
        return _alpha_dropout_in_place(x, p, True)
    scale, shift, dropped = _alpha_numbers(p)
    options = {"scale": scale, "shift": shift, "dropped": dropped}
    return _alpha_dropout(x, p=p, ticket=_ticket(x.data.size), **options)


_alpha_dropout_in_place = in_place(alpha_dropout)


def feature_alpha_dropout(x, p=0.5, training=False, inplace=False):
    """``alpha_dropout`` of whole channels of (N, C, \\*).

    Raises ``ValueError`` where p is not a probability, or x has less than two axes.

    >>> import fastgrad as fg
    >>> fg.feature_alpha_dropout(fg.ones(1, 1, 2), p=1.0, training=True)
    tensor([[[0., 0.]]])
    """
    if _is_off("feature_alpha_dropout", x, p, training):
        return x
    if x.ndim < 2:
        raise ValueError(f"feature_alpha_dropout: expected (N, C, *), got shape {x.shape}")
    if inplace:
        return _feature_alpha_dropout_in_place(x, p, True)
    shape = _channels(x, None)
    scale, shift, dropped = _alpha_numbers(p)
    ticket = _ticket(math.prod(shape))
    factor = _drawn(shape, x.dtype, p, ticket, scale)
    return T.add(T.mul(x, factor), _drawn(shape, x.dtype, p, ticket, 0.0, shift, dropped))


_feature_alpha_dropout_in_place = in_place(feature_alpha_dropout)
