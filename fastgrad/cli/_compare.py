"""How fast the same training is on two backends, measured fairly.

Two backends that share a machine's cores disturb each other: when one has finished, its threads
still look for work for some milliseconds. And a machine is not equally fast all the time. So both
train in short slices of the same number of batches, in turn; each slice begins with a rest and a
few batches that are not timed; and what counts is the median.
"""

import itertools
import time
from dataclasses import dataclass
from statistics import median

from ..backend import get_backend, set_backend
from ..training import fit
from ._job import endless

_ROUNDS = 7
_SLICE = 0.15  # seconds that a slice takes on the slower backend
_REST = 0.03  # seconds; OpenBLAS's threads look for work for up to 2²⁶ cycles
_SETTLE = 5  # batches


@dataclass(frozen=True)
class Comparison:
    """Samples per second of every round on each backend, and the batches in a slice."""

    rates: dict
    batches: int

    @property
    def rounds(self):
        """How often each backend had its turn."""
        return len(next(iter(self.rates.values())))

    def speed(self, backend):
        """Median samples per second."""
        return median(self.rates[backend])

    def ratios(self, fast, slow):
        """How many times as fast ``fast`` was: (ratio of medians, least, greatest of a round)."""
        rounds = [a / b for a, b in zip(self.rates[fast], self.rates[slow], strict=True)]
        return self.speed(fast) / self.speed(slow), min(rounds), max(rounds)


class _Run:
    """A training on one backend that goes on slice by slice."""

    def __init__(self, job, backend):
        self._backend = backend
        set_backend(backend)
        job.warm_up()
        *self._parts, loader = job.build()
        self._batches = endless(loader)

    def slice(self, batches):
        """Train on so many batches; returns samples per second."""
        set_backend(self._backend)
        time.sleep(_REST)
        self._fit(_SETTLE)
        return self._fit(batches)["samples_per_second"]

    def _fit(self, batches):
        taken = itertools.islice(self._batches, batches)
        return fit(*self._parts, taken, progress=False, check_finite=False)[-1]


def compare(job, backends=("numba", "numpy"), rounds=_ROUNDS, seconds=_SLICE):
    """Train ``job`` anew on each backend, slice by slice, and return the ``Comparison``.

    The backend in use is the same afterwards.
    """
    before = get_backend()
    try:
        runs = {backend: _Run(job, backend) for backend in backends}
        slowest = min(run.slice(_SETTLE) for run in runs.values())
        batches = max(1, round(seconds * slowest / job.batch_size))
        rates = {backend: [] for backend in backends}
        for number in range(rounds):
            for backend in backends if number % 2 == 0 else reversed(backends):
                rates[backend].append(runs[backend].slice(batches))
        return Comparison(rates, batches)
    finally:
        set_backend(before)
