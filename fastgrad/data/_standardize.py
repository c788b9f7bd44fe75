"""Standardisation: mean 0 and deviation 1 for every feature, or every channel."""

import math

import numpy as np

from ._checks import as_array

_CHUNK = 1 << 17  # elements: 1 MiB of float64, which stays in the second-level cache


class Standardizer:
    """``(x - mean) / max(std, eps)`` and its inverse, feature by feature.

    Parameters
    ----------
    mean, std
        Arrays ``(...)``, the shape of one sample, or what broadcasts to it, such as ``(C, 1, 1)``;
        ``fit`` computes them from training data.
    eps
        The least number to divide by. A feature that does not vary in the training set becomes
        0 there; where a new sample differs in it, the difference is divided by ``eps``. An
        ``eps`` of the size of a deviation that would matter, such as 0.1 for pixels in [0, 1],
        keeps such a difference small.

    Statistics are float64, kept as ``mean``, ``std`` and ``eps``; ``state_dict`` gives all three,
    and ``Standardizer(**state)`` is the same standardiser again. Raises ValueError for shapes
    that differ, deviations below zero and an eps that is not above zero.

    >>> train = np.array([[1, 0], [3, 0]], np.float32)
    >>> standardizer = Standardizer.fit(train)
    >>> standardizer.transform(train)
    array([[-1.,  0.],
           [ 1.,  0.]], dtype=float32)
    """

    def __init__(self, mean, std, eps=1e-6):
        self.mean, self.std = np.array(mean, np.float64), np.array(std, np.float64)
        self.eps = float(eps)
        if self.mean.shape != self.std.shape:
            raise ValueError(
                f"Standardizer: mean has shape {self.mean.shape}, std {self.std.shape};"
                " expected one shape"
            )
        if not (np.isfinite(self.mean).all() and np.isfinite(self.std).all()):
            raise ValueError("Standardizer: mean or std is not finite")
        if (self.std < 0).any():
            raise ValueError(f"Standardizer: std goes down to {self.std.min()}; expected >= 0")
        if not 0 < self.eps < math.inf:
            raise ValueError(f"Standardizer: eps is {eps}; expected a number above 0")

    @classmethod
    def fit(cls, train, *, eps=1e-6, per_channel=False):
        """The standardiser for ``train``, a floating-point array ``(n, ...)``.

        Mean and deviation (that of the population, divided by n) are taken in float64, the
        deviation in a second pass around the mean. With ``per_channel``, for images
        ``(n, C, ...)``, there is one of each for a channel. Raises TypeError for other dtypes,
        ValueError for no samples, for values that are not finite and for channels of no axis.

        >>> Standardizer.fit(np.array([1.0, 2.0, 3.0])).mean
        array(2.)
        """
        train = float_array(train, "Standardizer.fit", "train")
        if not len(train):
            raise ValueError(
                f"Standardizer.fit: train has shape {train.shape}; expected at least one sample"
            )
        if per_channel and train.ndim < 2:
            raise ValueError(
                f"Standardizer.fit: train has shape {train.shape}; expected (n, C, ...)"
            )
        pooled = tuple(range(1, train.ndim - 1)) if per_channel else ()  # axes of a sample

        def average(total):
            mean = total / len(train)
            return mean.mean(axis=pooled, keepdims=True) if pooled else mean

        with np.errstate(all="ignore"):  # NaN and infinity are reported below
            total = np.zeros(train.shape[1:])
            for rows in row_chunks(train):
                total += train[rows].sum(axis=0, dtype=np.float64)
            mean = average(total)
            total[...] = 0
            for rows in row_chunks(train):
                total += np.square(train[rows] - mean).sum(axis=0)
            std = np.sqrt(average(total))
        if not np.isfinite(std).all():
            raise ValueError(
                "Standardizer.fit: train has NaN, infinite or huge values in"
                f" {np.count_nonzero(~np.isfinite(std))} of {std.size} features"
            )
        return cls(mean, std, eps)

    def transform(self, x):
        """``(x - mean) / max(std, eps)`` for a floating-point array ``(n, ...)``, in its dtype.

        Computed in float64, so that a mean far larger than the deviation does no harm. Raises
        TypeError for other dtypes, ValueError for another shape of sample.

        >>> Standardizer(mean=[1.0], std=[2.0]).transform(np.array([[5.0]]))
        array([[2.]])
        """
        return self._apply(x, "Standardizer.transform", lambda x, scale: (x - self.mean) / scale)

    def inverse(self, x):
        """``x · max(std, eps) + mean``: undo ``transform``; arguments and errors are the same.

        >>> Standardizer(mean=[1.0], std=[2.0]).inverse(np.array([[2.0]]))
        array([[5.]])
        """
        return self._apply(x, "Standardizer.inverse", lambda x, scale: x * scale + self.mean)

    def _apply(self, x, where, formula):
        scale = np.maximum(self.std, self.eps)
        return in_chunks(x, self.mean.shape, where, lambda x: formula(x, scale))

    def state_dict(self):
        """``{"mean": array, "std": array, "eps": float}``, copies.

        >>> Standardizer(mean=[0.0], std=[1.0]).state_dict()
        {'mean': array([0.]), 'std': array([1.]), 'eps': 1e-06}
        """
        return {"mean": self.mean.copy(), "std": self.std.copy(), "eps": self.eps}


def standardize(train, *others, eps=1e-6):
    """Give every feature mean 0 and deviation 1 over ``train``, and ``others`` the same treatment.

    Parameters
    ----------
    train
        Floating-point array ``(n, ...)``: the statistics are its own, one for each feature.
    *others
        Floating-point arrays ``(m, ...)``, such as the test set; no statistics are taken of them.
    eps
        The least number to divide by, see ``Standardizer``, which also keeps the statistics.

    Returns a tuple of new arrays ``(x - mean) / max(std, eps)``, each in its own dtype. Raises
    what ``Standardizer.fit`` and ``Standardizer.transform`` raise.

    >>> train, test = standardize(np.array([[0.0], [4.0]]), np.array([[3.0]]))
    >>> train.ravel(), test.ravel()
    (array([-1.,  1.]), array([0.5]))
    """
    standardizer = Standardizer.fit(train, eps=eps)
    return tuple(standardizer.transform(x) for x in (train, *others))


def in_chunks(x, shape, where, formula):
    """``formula`` of float samples x, some rows at a time, in the dtype of x.

    ``shape`` is that of a sample, with 1 where any size goes.
    """
    x = float_array(x, where, "x")
    sizes = x.shape[1:]
    if len(sizes) != len(shape) or any(b not in (1, a) for a, b in zip(sizes, shape, strict=True)):
        raise ValueError(
            f"{where}: x has shape {x.shape}; expected (n{''.join(f', {size}' for size in shape)})"
        )
    out = np.empty((len(x), *formula(x[:0]).shape[1:]), x.dtype)
    for rows in row_chunks(x):
        out[rows] = formula(x[rows])
    return out


def float_array(value, where, name):
    """``value`` as an array of floats (n, ...)."""
    array = as_array(value, where, name)
    if array.dtype.kind != "f":
        raise TypeError(
            f"{where}: {name} has dtype {array.dtype}; expected floats: {name}.astype(np.float32)"
        )
    if array.ndim == 0:
        raise ValueError(f"{where}: {name} is 0-d; expected shape (n, ...)")
    return array


def row_chunks(array):
    """Slices of rows, each of about ``_CHUNK`` elements: float64 copies of a piece are small."""
    step = max(1, _CHUNK // max(1, math.prod(array.shape[1:])))
    return [slice(start, start + step) for start in range(0, len(array), step)]
