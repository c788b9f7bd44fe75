"""What transforms of images are: how they are called and chained, and what their arguments are."""

import numpy as np

from ..backend import K
from ..tensor import Tensor
from ._checks import as_array, as_integer
from ._plan import Plan
from ._random import default

_DTYPES = {np.dtype(name) for name in ("float32", "float64", "uint8")}


class Transform:
    """A change of images. Called with a batch, an array or a Tensor; returns a new one.

    ``generator`` is where random numbers come from, by default what ``manual_seed`` sets. Settings
    are read when images of a shape first come; a change after that is not seen.

    A subclass of one's own defines ``__call__(x)`` and needs not be of this class. Raises
    ``TypeError`` for what is no array of float32, float64 or uint8, ``ValueError`` for other
    shapes.
    """

    def __call__(self, x, *, generator=None):
        where = type(self).__name__
        array = as_array(x, where, "x")
        out = self.of_rows(array, np.arange(len(array) if array.ndim else 0), generator)
        return Tensor(out) if isinstance(x, Tensor) else out

    def of_rows(self, x, rows, generator=None):
        """The images ``x[rows]``, changed: as an array, and without gathering them first.

        >>> from fastgrad.data.augment import RandomShift
        >>> RandomShift(0).of_rows(np.eye(3)[None], np.array([0, 0])).shape
        (2, 3, 3)
        """
        if x.dtype not in _DTYPES:
            raise TypeError(
                f"{type(self).__name__}: images are {x.dtype}; expected float32, float64 or uint8"
            )
        if x.ndim not in (3, 4) or 0 in x.shape[1:]:
            raise ValueError(
                f"{type(self).__name__}: images have shape {x.shape}; expected (N, C, H, W) or "
                "(N, H, W)"
            )
        counter = (generator or default).counter
        flat = x.ndim == 3
        x = x[:, None] if flat else x
        first, *others = self._passes(x.shape[1:], x.dtype)
        x = first.run(x, rows, counter)
        for one in others:
            x = one.run(x, np.arange(len(x)), counter)
        return x[:, 0] if flat else x

    def _passes(self, shape, dtype):
        plans = self.__dict__.setdefault("_plans", {})
        passes = plans.get((shape, dtype))
        if passes is None:
            plan = Plan(shape, dtype)
            self.plan(plan)
            passes = plans[shape, dtype] = plan.finish()
        return passes

    def plan(self, plan):
        """Add what is to be done to ``plan``."""
        raise NotImplementedError(f"{type(self).__name__} defines neither plan nor __call__")

    def __repr__(self):
        settings = (f"{k}={v}" for k, v in vars(self).items() if not k.startswith("_"))
        return f"{type(self).__name__}({', '.join(settings)})"


class Compose(Transform):
    """Transforms one after the other, in as few passes as their order allows.

    Other functions of a batch may stand among them: they get and return a Tensor.

    >>> from fastgrad.data.augment import GaussianNoise, RandomHorizontalFlip, RandomRotation
    >>> change = Compose([RandomHorizontalFlip(), RandomRotation(10), GaussianNoise()])
    >>> change(np.zeros((2, 1, 8, 8), np.float32)).shape
    (2, 1, 8, 8)
    """

    def __init__(self, transforms):
        self.transforms = list(transforms)
        self._runs = []  # transforms that can be planned together, as _Run, and other functions
        for one in self.transforms:
            if not callable(one):
                raise TypeError(f"Compose: {one!r} is not callable")
            parts = one._runs if isinstance(one, Compose) else [one]
            for part in parts:
                members = part.members if isinstance(part, _Run) else [part]
                if not isinstance(members[0], Transform):
                    self._runs.append(part)
                elif self._runs and isinstance(self._runs[-1], _Run):
                    self._runs[-1] = _Run([*self._runs[-1].members, *members])
                else:
                    self._runs.append(_Run(members))

    def of_rows(self, x, rows, generator=None):
        for number, run in enumerate(self._runs):
            rows = rows if number == 0 else np.arange(len(x))
            if isinstance(run, Transform):
                x = run.of_rows(x, rows, generator)
            else:
                x = as_array(run(Tensor(K.gather_rows(x, rows))), "Compose", "a function's result")
        return x if self._runs else K.gather_rows(x, rows)

    def __repr__(self):
        lines = "".join(f"\n    {one}" for one in self.transforms)
        return f"Compose({lines}\n)"


class _Run(Transform):
    """Transforms that are planned together."""

    def __init__(self, members):
        self.members = members

    def plan(self, plan):
        for one in self.members:
            one.plan(plan)


# ------------------------------------------------------------------ arguments


def as_probability(p, where):
    """``p`` as a float, if it is a probability."""
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"{where}: p = {p} is not a probability from 0 to 1")
    return float(p)


def as_range(value, where, name, around=None):
    """(least, most) of a pair; of a number v, ``around ± v``."""
    if around is not None and isinstance(value, int | float):
        if value < 0:
            raise ValueError(f"{where}: {name} is {value}; expected a number from 0 up, or a pair")
        return float(around - value), float(around + value)
    try:
        low, high = map(float, value)
    except (TypeError, ValueError):
        raise ValueError(f"{where}: {name} is {value!r}; expected a pair of numbers") from None
    if not low <= high:
        raise ValueError(f"{where}: {name} is {value}; expected the smaller number first")
    return low, high


def as_pair(size, where):
    """(height, width) of one number, or of these."""
    values = (size, size) if isinstance(size, int) else tuple(size)
    if len(values) != 2:
        raise ValueError(f"{where}: size is {size}; expected a number or (height, width)")
    return tuple(as_integer(value, where, "size", least=1) for value in values)


def as_sides(padding, where):
    """(left, top, right, bottom)."""
    values = (padding,) if isinstance(padding, int) else tuple(padding)
    if len(values) not in (1, 2, 4):
        raise ValueError(f"{where}: padding is {padding}; expected 1, 2 or 4 numbers")
    values = (values * 4)[:4]
    return tuple(as_integer(value, where, "padding") for value in values)


def as_interpolation(value, where):
    """The name of an interpolation, of itself or of torchvision's enumeration."""
    name = getattr(value, "value", value)
    if name not in ("nearest", "bilinear"):
        raise ValueError(f"{where}: interpolation is {name!r}; expected 'nearest' or 'bilinear'")
    return name
