"""What is fitted to training data and then applied to all: standardising, scaling, whitening.

    scaler = Whitener.fit(x_train)
    x_train, x_test = scaler.transform(x_train), scaler.transform(x_test)

Each has ``fit``, ``transform``, ``inverse`` and ``state_dict``, whose entries make it again:
``Whitener(**state)``.
"""

import math

import numpy as np

from ._standardize import Standardizer, float_array, in_chunks, row_chunks, standardize

__all__ = ["MinMaxScaler", "Standardizer", "Whitener", "standardize"]


class MinMaxScaler:
    """Every feature from its least value to its greatest, moved and stretched to ``(low, high)``.

    ``low + (x - least) / (greatest - least) · (high - low)``. A feature that does not vary in the
    training set becomes ``low`` there; new samples that differ in it keep the difference, as in
    scikit-learn. Raises ValueError for shapes that differ and for a range that is none.

    >>> scaler = MinMaxScaler.fit(np.array([[0.0], [4.0]]))
    >>> scaler.transform(np.array([[1.0], [8.0]])).ravel()
    array([0.25, 2.  ])
    """

    def __init__(self, least, greatest, low=0.0, high=1.0):
        self.least, self.greatest = np.array(least, np.float64), np.array(greatest, np.float64)
        self.low, self.high = float(low), float(high)
        if self.least.shape != self.greatest.shape:
            raise ValueError(
                f"MinMaxScaler: least has shape {self.least.shape}, greatest "
                f"{self.greatest.shape}; expected one shape"
            )
        if not np.isfinite(self.greatest - self.least).all() or (self.greatest < self.least).any():
            raise ValueError("MinMaxScaler: expected finite numbers, least <= greatest")
        if not self.low < self.high < math.inf:
            raise ValueError(f"MinMaxScaler: low is {low}, high {high}; expected low < high")

    @classmethod
    def fit(cls, train, low=0.0, high=1.0):
        """The scaler for ``train``, floats ``(n, ...)``.

        Raises TypeError for other dtypes, ValueError for no samples and values that are not finite.

        >>> MinMaxScaler.fit(np.array([3.0, 1.0])).greatest
        array(3.)
        """
        train = _some_rows(train, "MinMaxScaler.fit")
        least, greatest = train.min(axis=0), train.max(axis=0)
        if not (np.isfinite(least).all() and np.isfinite(greatest).all()):
            raise ValueError("MinMaxScaler.fit: train has NaN or infinite values")
        return cls(least, greatest, low, high)

    @property
    def _scale(self):
        span = self.greatest - self.least
        return (self.high - self.low) / np.where(span > 0, span, 1.0)

    def transform(self, x):
        """Floats ``(n, ...)`` scaled, in their dtype; new ones may go beyond the range.

        >>> MinMaxScaler([0.0], [2.0], low=-1).transform(np.array([[1.0]]))
        array([[0.]])
        """
        scale = self._scale
        return in_chunks(
            x, self.least.shape, "MinMaxScaler.transform",
            lambda x: (x - self.least) * scale + self.low,
        )  # fmt: skip

    def inverse(self, x):
        """Undo ``transform``.

        >>> MinMaxScaler([0.0], [2.0]).inverse(np.array([[0.5]]))
        array([[1.]])
        """
        scale = self._scale
        return in_chunks(
            x, self.least.shape, "MinMaxScaler.inverse",
            lambda x: (x - self.low) / scale + self.least,
        )  # fmt: skip

    def state_dict(self):
        """What the scaler is made of, copies.

        >>> MinMaxScaler(0.0, 1.0).state_dict()
        {'least': array(0.), 'greatest': array(1.), 'low': 0.0, 'high': 1.0}
        """
        return {
            "least": self.least.copy(), "greatest": self.greatest.copy(),
            "low": self.low, "high": self.high,
        }  # fmt: skip


class Whitener:
    """Features without correlation, each with deviation 1: PCA whitening, or ZCA.

    With the covariance ``XᵀX / n = V · diag(λ) · Vᵀ`` of centred samples, ``(x - mean) · V /
    √(λ + eps)``, the greatest λ first; ZCA turns the result back by ``Vᵀ``, so that images still
    look like images, and is of all whitenings the one that changes samples least (Kessy, Lewin &
    Strimmer 2018).

    Parameters
    ----------
    mean, directions, variances
        The sample's shape, (features, k) and (k,); ``fit`` computes them.
    zca
        Whether to turn back.
    eps
        Added to variances: what hardly varies, such as pixels at the edge, is not blown up.

    Each direction's largest entry is positive. Raises ValueError for shapes that do not fit.

    >>> x = np.random.default_rng(0).normal(size=(1000, 2)) @ np.array([[2.0, 1.0], [0.0, 0.5]])
    >>> y = Whitener.fit(x, eps=0).transform(x)
    >>> np.allclose(y.T @ y / 1000, np.eye(2))
    True
    """

    def __init__(self, mean, directions, variances, zca=False, eps=1e-5):
        self.mean, self.directions, self.variances = (
            np.array(part, np.float64) for part in (mean, directions, variances)
        )
        self.zca, self.eps = bool(zca), float(eps)
        if self.directions.shape != (self.mean.size, self.variances.size):
            raise ValueError(
                f"Whitener: directions have shape {self.directions.shape}; expected "
                f"{(self.mean.size, self.variances.size)}, features and variances"
            )
        if not 0 <= self.eps < math.inf:
            raise ValueError(f"Whitener: eps is {eps}; expected a number from 0 up")
        if (self.variances + self.eps <= 0).any():
            raise ValueError("Whitener: a variance is 0; expected eps above 0, or fewer directions")

    @classmethod
    def fit(cls, train, n_components=None, *, zca=False, eps=1e-5):
        """The whitener for ``train``, floats ``(n, ...)``, with its ``n_components`` largest λ.

        Statistics are float64. Raises TypeError for other dtypes, ValueError for no samples, for
        values that are not finite and for a number of components that is out of range.

        >>> Whitener.fit(np.array([[0.0, 0.0], [2.0, 0.0]]), 1).variances
        array([1.])
        """
        train = _some_rows(train, "Whitener.fit")
        flat = train.reshape(len(train), -1)
        mean = flat.mean(axis=0, dtype=np.float64)
        covariance = np.zeros((flat.shape[1],) * 2)
        for rows in row_chunks(flat):
            centred = flat[rows] - mean
            covariance += centred.T @ centred
        if not np.isfinite(covariance).all():
            raise ValueError("Whitener.fit: train has NaN, infinite or huge values")
        most = flat.shape[1]
        count = most if n_components is None else n_components
        if not 1 <= count <= most:
            raise ValueError(f"Whitener.fit: n_components is {count}; expected 1 to {most}")
        variances, directions = np.linalg.eigh(covariance / len(train))
        variances, directions = (
            np.maximum(variances[::-1], 0)[:count],
            directions[:, ::-1][:, :count],
        )
        largest = np.abs(directions).argmax(axis=0)
        directions = directions * np.where(directions[largest, np.arange(count)] < 0, -1.0, 1.0)
        return cls(mean.reshape(train.shape[1:]), directions, variances, zca, eps)

    def transform(self, x):
        """Floats ``(n, ...)`` whitened: ``(n, k)``, or with ZCA as they came; in their dtype.

        >>> Whitener([1.0], [[1.0]], [4.0], eps=0).transform(np.array([[3.0]]))
        array([[1.]])
        """
        matrix = self.directions / np.sqrt(self.variances + self.eps)
        matrix = matrix @ self.directions.T if self.zca else matrix

        def whiten(x):
            flat = (x - self.mean).reshape(len(x), self.mean.size) @ matrix
            return flat.reshape(x.shape) if self.zca else flat

        return in_chunks(x, self.mean.shape, "Whitener.transform", whiten)

    def inverse(self, x):
        """Undo ``transform``, but for what directions that were left out held.

        >>> Whitener([1.0], [[1.0]], [4.0], eps=0).inverse(np.array([[1.0]]))
        array([[3.]])
        """
        matrix = self.directions * np.sqrt(self.variances + self.eps)
        matrix = self.directions @ matrix.T if self.zca else matrix.T
        shape = self.mean.shape if self.zca else self.variances.shape

        def colour(x):
            flat = x.reshape(len(x), len(matrix)) @ matrix
            return flat.reshape(len(x), *self.mean.shape) + self.mean

        return in_chunks(x, shape, "Whitener.inverse", colour)

    def state_dict(self):
        """What the whitener is made of, copies.

        >>> sorted(Whitener([1.0], [[1.0]], [4.0]).state_dict())
        ['directions', 'eps', 'mean', 'variances', 'zca']
        """
        return {
            "mean": self.mean.copy(), "directions": self.directions.copy(),
            "variances": self.variances.copy(), "zca": self.zca, "eps": self.eps,
        }  # fmt: skip


def _some_rows(train, where):
    train = float_array(train, where, "train")
    if not len(train):
        raise ValueError(f"{where}: train has shape {train.shape}; expected at least one sample")
    return train
