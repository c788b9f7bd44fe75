"""Mixtures of samples with others of their batch, and of their targets: mixup and CutMix."""

import numpy as np

from ..backend import K
from ..tensor import Tensor
from ._checks import as_array, as_integer
from ._random import default

__all__ = ["CutMix", "MixUp", "Mixture", "cutmix", "mixed_loss", "mixup"]


def mixup(x, y, alpha=1.0, *, num_classes=None, generator=None):
    """``λ · x + (1 - λ) · x[others]`` with λ from Beta(alpha, alpha). Zhang et al. 2018.

    Parameters
    ----------
    x
        Floats (N, ...), a Tensor or an array.
    y
        Targets (N, ...): integer labels, or floats such as one-hot rows.
    alpha
        Above 0; the smaller, the nearer λ is to 0 or 1. One λ is drawn for a batch.
    num_classes
        With it, labels become the rows (N, num_classes) that a loss of soft targets takes.
    generator
        Where random numbers come from, by default what ``manual_seed`` sets.

    Returns (mixed x, mixed y) where targets are floats or ``num_classes`` is given. Otherwise
    (mixed x, (y, y[others], λ)), which ``mixed_loss`` takes.

    Raises ``TypeError`` for x that is no floats, ``ValueError`` for alpha that is not above 0 and
    for labels out of range.

    >>> import fastgrad as fg
    >>> x, (a, b, share) = mixup(fg.zeros(4, 2), fg.tensor([0, 1, 2, 3]))
    >>> x.shape, sorted(b.tolist()), 0 <= share <= 1
    ((4, 2), [0, 1, 2, 3], True)
    """
    return MixUp(alpha=alpha, num_classes=num_classes)(x, y, generator=generator)


def cutmix(x, y, alpha=1.0, *, num_classes=None, generator=None):
    """A rectangle of each image replaced by that of another. Yun et al. 2019.

    x is (N, C, H, W) or (N, H, W), of floats or bytes. The rectangle is the same for a batch, in
    a random place, and has the share 1 - λ of the image, less what is beyond its edge; λ, from
    Beta(alpha, alpha), is then put right. All else is as in ``mixup``.

    >>> import fastgrad as fg
    >>> x, y = cutmix(fg.zeros(4, 8, 8), fg.tensor([0, 1, 1, 0]), num_classes=2)
    >>> x.shape, y.sum(1)
    ((4, 8, 8), tensor([1., 1., 1., 1.]))
    """
    return CutMix(alpha=alpha, num_classes=num_classes)(x, y, generator=generator)


def mixed_loss(loss, scores, targets):
    """``λ · loss(scores, a) + (1 - λ) · loss(scores, b)`` for targets (a, b, λ).

    >>> import fastgrad as fg
    >>> targets = fg.tensor([0.0]), fg.tensor([2.0]), 0.5
    >>> mixed_loss(fg.nn.MSELoss(), fg.tensor([0.0]), targets)
    tensor(2.)
    """
    a, b, share = targets
    return share * loss(scores, a) + (1.0 - share) * loss(scores, b)


class Mixture:
    """What ``MixUp`` and ``CutMix`` share; called with (x, y), as a loader's ``batch_transform``.

    >>> MixUp(alpha=0.2, num_classes=10)
    MixUp(alpha=0.2, num_classes=10)
    """

    def __init__(self, *, alpha=1.0, num_classes=None):
        where = type(self).__name__
        self.alpha = float(alpha)
        if not 0 < self.alpha < np.inf:
            raise ValueError(f"{where}: alpha is {alpha}; expected a number above 0")
        self.num_classes = num_classes
        if num_classes is not None:
            self.num_classes = as_integer(num_classes, where, "num_classes", least=1)

    def __call__(self, x, y, *, generator=None):
        where = type(self).__name__
        x, y = as_array(x, where, "x"), as_array(y, where, "y")
        if not x.ndim or not y.ndim or len(x) != len(y):
            raise ValueError(
                f"{where}: x has shape {x.shape}, y {y.shape}; expected one target for each sample"
            )
        soft = self._soft(y, x.dtype if x.dtype.kind == "f" else np.dtype(np.float32))
        numbers = (generator or default).numpy
        others = numbers.permutation(len(x)).astype(np.int64, copy=False)
        x, share = self.mix(x, others, float(numbers.beta(self.alpha, self.alpha)), numbers)
        if soft is None:
            return Tensor(x), (Tensor(y), Tensor(K.gather_rows(y, others)), share)
        return Tensor(x), Tensor(K.mixup(soft, others, share))

    def _soft(self, y, dtype):
        """Targets that can be mixed, or None."""
        if y.dtype.kind == "f" or self.num_classes is None:
            return y if y.dtype.kind == "f" else None
        if y.ndim != 1 or y.min(initial=0) < 0 or y.max(initial=0) >= self.num_classes:
            raise ValueError(
                f"{type(self).__name__}: labels have shape {y.shape} and go from "
                f"{y.min(initial=0)} to {y.max(initial=0)}; expected (N,), 0 to "
                f"{self.num_classes - 1}"
            )
        rows = np.zeros((len(y), self.num_classes), dtype)
        rows[np.arange(len(y)), y.astype(np.int64)] = 1
        return rows

    def mix(self, x, others, share, numbers):
        """(mixed x, the share that is left of its own)."""
        raise NotImplementedError(f"{type(self).__name__} does not define mix")

    def __repr__(self):
        return f"{type(self).__name__}(alpha={self.alpha}, num_classes={self.num_classes})"


class MixUp(Mixture):
    """``mixup`` with its options held."""

    def mix(self, x, others, share, numbers):
        if x.dtype not in (np.float32, np.float64):
            raise TypeError(f"MixUp: x has dtype {x.dtype}; expected float32 or float64")
        return K.mixup(x, others, share), share


class CutMix(Mixture):
    """``cutmix`` with its options held."""

    def mix(self, x, others, share, numbers):
        if x.ndim not in (3, 4):
            raise ValueError(f"CutMix: x has shape {x.shape}; expected (N, C, H, W) or (N, H, W)")
        height, width = x.shape[-2:]
        side = (1.0 - share) ** 0.5
        box = []
        for size in (height, width):
            middle, half = int(numbers.integers(size)), int(size * side) // 2
            box += [max(0, middle - half), min(size, middle + half)]
        planes = x if x.ndim == 4 else x[:, None]
        out = K.cutmix(planes, others, tuple(box)).reshape(x.shape)
        return out, 1.0 - (box[1] - box[0]) * (box[3] - box[2]) / (height * width)
