"""Dropouts as modules: in evaluation they do nothing."""

from .. import ops
from .module import Module


class _Dropout(Module):
    _function = None

    def __init__(self, p=0.5, inplace=False):
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"{type(self).__name__}: p = {p} is not a probability from 0 to 1")
        self.p, self.inplace = p, inplace

    def forward(self, x):
        return self._function(x, self.p, self.training, self.inplace)

    def extra_repr(self):
        return f"p={self.p}, inplace={self.inplace}"


class Dropout(_Dropout):
    """In training, sets elements to 0 with probability p and scales the others by 1 / (1 - p).

    >>> import fastgrad as fg
    >>> fg.nn.Dropout(0.5).eval()(fg.ones(2))
    tensor([1., 1.])
    """

    _function = staticmethod(ops.dropout)


class Dropout1d(_Dropout):
    """In training, sets channels of (N, C, L) to 0; see ``functional.dropout1d``.

    >>> import fastgrad as fg
    >>> fg.nn.Dropout1d(0.5).eval()(fg.ones(1, 2))
    tensor([[1., 1.]])
    """

    _function = staticmethod(ops.dropout1d)


class Dropout2d(_Dropout):
    """In training, sets channels of (N, C, H, W) to 0; see ``functional.dropout2d``.

    >>> import fastgrad as fg
    >>> fg.nn.Dropout2d(0.5).eval()(fg.ones(1, 1, 1, 2))
    tensor([[[[1., 1.]]]])
    """

    _function = staticmethod(ops.dropout2d)


class Dropout3d(_Dropout):
    """In training, sets channels of (N, C, D, H, W) to 0; see ``functional.dropout3d``.

    >>> import fastgrad as fg
    >>> fg.nn.Dropout3d(0.5).eval()(fg.ones(1, 1, 1, 2))
    tensor([[[[1., 1.]]]])
    """

    _function = staticmethod(ops.dropout3d)


class AlphaDropout(_Dropout):
    """Dropout that keeps mean 0 and variance 1, for SELU; see ``functional.alpha_dropout``.

    >>> import fastgrad as fg
    >>> fg.nn.AlphaDropout(0.5).eval()(fg.ones(2))
    tensor([1., 1.])
    """

    _function = staticmethod(ops.alpha_dropout)


class FeatureAlphaDropout(_Dropout):
    """``AlphaDropout`` of whole channels; see ``functional.feature_alpha_dropout``.

    >>> import fastgrad as fg
    >>> fg.nn.FeatureAlphaDropout(0.5).eval()(fg.ones(2))
    tensor([1., 1.])
    """

    _function = staticmethod(ops.feature_alpha_dropout)


class StochasticDepth(Module):
    """In training, leaves whole samples out; see ``functional.stochastic_depth``.

    mode   "row": each sample by itself; "batch": all or none

    >>> import fastgrad as fg
    >>> fg.nn.StochasticDepth(1.0, "row")(fg.ones(2, 1))
    tensor([[0.],
            [0.]])
    """

    def __init__(self, p, mode):
        super().__init__()
        self.p, self.mode = p, mode

    def forward(self, x):
        return ops.stochastic_depth(x, self.p, self.mode, self.training)

    def extra_repr(self):
        return f"p={self.p}, mode={self.mode}"
