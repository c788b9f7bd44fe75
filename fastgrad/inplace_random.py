"""What fills a tensor in place with random numbers; see ``ops.distributions``."""

import numpy as np

from .ops import distributions
from .ops._inplace import check_in_place, write
from .tape import mode

_FLOATS = {np.dtype(np.float32): 1 << 24, np.dtype(np.float64): 1 << 53}


def _check_target(name, x, integers=False):
    """Refuse what cannot be overwritten, or not with floats."""
    check_in_place(x, name)
    if x._node is not None and mode.grad_enabled:
        raise RuntimeError(f"{name}_: expected a tensor outside the graph; use no_grad or detach")
    if not integers and x.dtype.kind != "f":
        raise TypeError(f"{name}_: expected a float tensor, got {x.dtype}")


def _overwrite(x, array):
    write(array, x.data)
    x._version[0] += 1
    return x


def _check(name, holds, what, value):
    if not holds:
        raise ValueError(f"{name}_: expected {what}, got {value}")


def uniform_(self, from_=0.0, to=1.0):
    """Fill with numbers uniform between ``from_`` and ``to``; returns the tensor, as all do.

    >>> import fastgrad as fg
    >>> bool((fg.zeros(9).uniform_(2.0, 3.0) > 2.0).all())
    True
    """
    _check("uniform", from_ <= to, "from_ <= to", (from_, to))
    _check_target("uniform", self)
    return _overwrite(self, distributions.values("uniform", self, from_, to))


def normal_(self, mean=0.0, std=1.0):
    """Fill with normal numbers."""
    _check("normal", std >= 0, "std >= 0", std)
    _check_target("normal", self)
    return _overwrite(self, distributions.values("normal", self, mean, std))


def log_normal_(self, mean=1.0, std=2.0):
    """Fill with numbers whose logarithms are normal, of this mean and standard deviation."""
    _check("log_normal", std > 0, "std > 0", std)
    _check_target("log_normal", self)
    return _overwrite(self, distributions.values("log_normal", self, mean, std))


def exponential_(self, lambd=1.0):
    """Fill with numbers of the density ``lambd · e^(-lambd · x)``, x > 0."""
    _check("exponential", lambd > 0, "lambd > 0", lambd)
    _check_target("exponential", self)
    return _overwrite(self, distributions.values("exponential", self, lambd, 0.0))


def cauchy_(self, median=0.0, sigma=1.0):
    """Fill with numbers of the density ``sigma / (π ((x - median)² + sigma²))``."""
    _check("cauchy", sigma > 0, "sigma > 0", sigma)
    _check_target("cauchy", self)
    return _overwrite(self, distributions.values("cauchy", self, median, sigma))


def geometric_(self, p):
    """Fill with how many trials there are up to the first success, of probability p: 1, 2, ..."""
    _check("geometric", 0 < p < 1, "0 < p < 1", p)
    _check_target("geometric", self, integers=True)
    return _overwrite(self, distributions.values("geometric", self, p, 0.0))


def bernoulli_(self, p=0.5):
    """Fill with 1 with probability p, a number or a tensor that broadcasts, else with 0."""
    _check_target("bernoulli", self, integers=True)
    return _overwrite(self, distributions.chosen_values(self, p))


def random_(self, from_=None, to=None):
    """Fill with integers from ``from_`` up to ``to``, without it; ``random_(n)``: from 0 up to n.

    Without bounds: all that the type has from 0 on; of floats, all whole numbers that are exact.

    >>> import fastgrad as fg
    >>> fg.manual_seed(0)
    >>> fg.zeros(100, dtype=fg.int64).random_(2, 4).unique()
    tensor([2, 3])
    """
    if to is None:
        from_, to = None, from_
    kind = self.dtype.kind
    most = 1 if kind == "b" else _FLOATS.get(self.dtype) or int(np.iinfo(self.dtype).max)
    from_, to = 0 if from_ is None else from_, most + 1 if to is None else to
    _check("random", from_ < to, "from_ < to", (from_, to))
    least = -most if kind == "f" else 0 if kind in "bu" else -most - 1
    fits = least <= from_ and to - 1 <= most
    _check("random", fits, f"bounds that {self.dtype} has", (from_, to))
    _check_target("random", self, integers=True)
    return _overwrite(self, distributions.whole_values(self, from_, to))
