"""Where data's random numbers come from: the default generator, or one of a seed."""

from types import SimpleNamespace

import numpy as np

from ..random import default

__all__ = ["as_numpy", "default", "new_generator"]


def new_generator(sequence):
    """A counter that kernels draw from and a NumPy generator, as the default one has them."""
    key, *entropy = sequence.generate_state(3, np.uint64).tolist()
    return SimpleNamespace(
        counter=np.array([key >> 1, 0], np.uint64),
        numpy=np.random.Generator(np.random.PCG64(entropy)),
    )


def as_numpy(generator, where):
    """The NumPy generator meant by a seed or by a NumPy generator; None stands for the default."""
    if generator is None or isinstance(generator, np.random.Generator):
        return generator
    if isinstance(generator, int | np.integer) and generator >= 0:
        return np.random.Generator(np.random.PCG64(generator))
    raise TypeError(
        f"{where}: generator is {generator!r}; expected None, a seed or a NumPy generator"
    )
