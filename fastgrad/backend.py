"""The backend in use: ``K.relu_forward`` is a compiled kernel, or its NumPy twin.

``numba`` is the default; ``numpy`` is chosen by ``FASTGRAD_BACKEND=numpy``, by
``set_backend("numpy")``, or, with a warning, because Numba cannot be imported.
"""

import os
import warnings
from importlib import import_module

import numpy as np

try:
    from .kernels import _memory
    from .kernels._memory import Memory
    from .kernels._record import Recorded, contiguous, empty
    from .kernels._threads import get_num_threads, set_num_threads
except ImportError:  # no Numba: nothing is recorded, and NumPy's own threads are not ours to count
    from numpy import ascontiguousarray as contiguous
    from numpy import empty

    _memory, Memory, Recorded = np, None, None

    def get_num_threads():
        """Number of threads that kernels run on: 1 without Numba."""
        return 1

    def set_num_threads(count):
        """Without Numba the number of threads is 1; this changes nothing."""


__all__ = [
    "K",
    "contiguous",
    "empty",
    "get_backend",
    "get_num_threads",
    "is_own",
    "set_backend",
    "set_num_threads",
    "zeros",
]

_PACKAGES = {"numba": "fastgrad.kernels", "numpy": "fastgrad.reference"}


def zeros(shape, dtype):
    """Zeros to keep: a large array starts on a cache line, and a recording does not own it."""
    array = _memory.empty(shape, dtype)
    array.fill(0)
    return array


def is_own(array):
    """Whether an array is no view of another."""
    base = array.base
    if base is None or type(base) is Memory:
        return True
    return type(array) is Recorded and type(base) is not Recorded  # an arena's memory


class Kernels:
    """The kernels of the backend as attributes, each looked up once."""

    def __init__(self):
        self._use("numpy")

    def _use(self, name):
        package = import_module(_PACKAGES[name])
        self.__dict__.clear()
        self.__dict__.update(_name=name, _package=package)

    def __getattr__(self, name):
        value = getattr(self._package, name)
        self.__dict__[name] = value
        return value


K = Kernels()


def set_backend(name):
    """Run everything from now on with ``"numba"`` kernels or their ``"numpy"`` twins.

    Raises ``ValueError`` for another name, ``ImportError`` where Numba is missing.

    >>> import fastgrad
    >>> before = fastgrad.get_backend()
    >>> fastgrad.set_backend("numpy")
    >>> fastgrad.get_backend()
    'numpy'
    >>> fastgrad.set_backend(before)
    """
    if name not in _PACKAGES:
        raise ValueError(f"set_backend: unknown backend {name!r}; expected 'numba' or 'numpy'")
    K._use(name)


def get_backend():
    """Name of the backend in use, ``"numba"`` or ``"numpy"``."""
    return K._name


def _choose_default():
    name = os.environ.get("FASTGRAD_BACKEND", "numba")
    if name not in _PACKAGES:
        raise ValueError(f"FASTGRAD_BACKEND={name!r} is unknown; expected 'numba' or 'numpy'")
    try:
        set_backend(name)
    except ImportError as error:
        warnings.warn(f"Numba cannot be used ({error}); running on NumPy, slowly", stacklevel=3)


_choose_default()
