"""The default random state: what ``manual_seed`` sets.

Kernels draw from a counter (see ``kernels.random``). Initialisation, which happens once, draws
from a NumPy generator of the same seed.
"""

import secrets
import threading
from collections import Counter

import numpy as np


class _State:
    def __init__(self):
        self.counter = np.zeros(2, np.uint64)  # (seed, offset), what kernels draw from
        self.seedings = Counter()  # so far, by thread
        self.seed(secrets.randbits(63))

    def seed(self, seed):
        self.seedings[threading.get_ident()] += 1
        self.counter[0], self.counter[1] = seed, 0
        self.numpy = np.random.Generator(np.random.PCG64(seed))

    def state_dict(self):
        """All that decides the numbers to come, in plain Python values."""
        return {"counter": self.counter.tolist(), "numpy": self.numpy.bit_generator.state}

    def load_state_dict(self, state):
        """Draw what would have been drawn when ``state`` was taken; unchanged where it is wrong."""
        counter = np.array(state["counter"], np.uint64)
        if counter.shape != self.counter.shape:
            raise ValueError(f"random: a counter of shape {counter.shape}; expected (2,)")
        self.numpy.bit_generator.state = state["numpy"]
        self.counter[...] = counter


default = _State()


def manual_seed(seed):
    """Seed everything random: dropout masks and initial weights.

    Raises ``ValueError`` for a seed outside 0 to 2⁶³ - 1.

    >>> import fastgrad as fg
    >>> fg.manual_seed(0)
    >>> a = fg.nn.Linear(2, 2).weight.tolist()
    >>> fg.manual_seed(0)
    >>> a == fg.nn.Linear(2, 2).weight.tolist()
    True
    """
    if not 0 <= int(seed) < 2**63:
        raise ValueError(f"manual_seed: {seed} is out of range; expected 0 to 2**63 - 1")
    default.seed(int(seed))
