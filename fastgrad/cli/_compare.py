"""How fast the same training is on two backends, measured fairly.

Two backends that share a machine's cores disturb each other: when one has finished, its threads
still look for work for some milliseconds. Other processes disturb both. So each backend trains in
many short slices of the same number of batches, in turn with the other; a slice begins with a rest
and a few batches that are not timed. What counts is each backend's fastest slice, as in ``timeit``:
on an idle machine it is within some 5 % of the median. On a busy one medians compare the two
schedulings, not the two backends: NumPy's BLAS then waits a tenfold for its own threads.
"""

import itertools
import time
from dataclasses import dataclass
from statistics import median

from ..backend import get_backend, set_backend
from ..training import fit
from ._job import endless

_ROUNDS = 15
_SLICE = 0.06  # seconds that a slice takes on the slower backend
_REST = 0.03  # seconds; OpenBLAS's threads look for work for up to 2²⁶ cycles
_SETTLE = 5  # batches
_UNSTEADY = 1.3  # the fastest slice and the median, as a ratio: up to 1.1 on an idle machine


@dataclass(frozen=True)
class Comparison:
    """Samples per second of every slice on each backend, and the batches in a slice."""

    rates: dict
    batches: int

    @property
    def slices(self):
        """How often each backend had its turn."""
        return len(next(iter(self.rates.values())))

    def speed(self, backend, statistic=max):
        """Samples per second, by default in the fastest slice."""
        return statistic(self.rates[backend])

    def ratio(self, fast, slow, statistic=max):
        """How many times as fast ``fast`` was."""
        return self.speed(fast, statistic) / self.speed(slow, statistic)

    @property
    def steady(self):
        """Whether each backend was about as fast in one slice as in another."""
        return all(max(rates) < _UNSTEADY * median(rates) for rates in self.rates.values())


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
        slowest = min(max(run.slice(_SETTLE) for _ in range(3)) for run in runs.values())
        batches = max(_SETTLE, round(seconds * slowest / job.batch_size))
        rates = {backend: [] for backend in backends}
        for number in range(rounds):
            for backend in backends if number % 2 == 0 else reversed(backends):
                rates[backend].append(runs[backend].slice(batches))
        return Comparison(rates, batches)
    finally:
        set_backend(before)
