"""How fast the same training is on two backends, measured fairly.

Two backends that share a machine's cores disturb each other: when one has finished, its threads
still look for work for some milliseconds. So each trains in short slices of the same number of
batches, in turn with the other, and a slice begins with a rest and a few batches that are not
timed.

Other processes disturb both, but not alike: where they take a core away, a BLAS library may wait
for its own threads fifty times as long as it computes. The operating system counts how often that
happens. Slices in which it did are left out, more are taken instead, and what counts is the median
of the others.
"""

import itertools
import time
from dataclasses import dataclass
from statistics import median

from ..backend import get_backend, set_backend
from ._job import endless

try:
    import resource
except ImportError:  # Windows does not count
    resource = None

_SLICE = 0.04  # seconds that a slice takes on the slower backend
_REST = 0.03  # seconds; OpenBLAS's threads look for work for up to 2²⁶ cycles
_SETTLE = 5  # batches, or as few as fill a slice
_WANTED = 9  # undisturbed slices of each backend,
_PATIENCE = 8.0  # seconds to wait for them,
_ENOUGH = 3  # and how many will do then
# Switches to another process per second of a slice: up to 100 where cores are free, 250 and more
# where they are not (the scheduler's slice is 4 ms).
_CALM = 100


@dataclass(frozen=True)
class Slice:
    """Samples per second, and whether no other process disturbed."""

    rate: float
    calm: bool


@dataclass(frozen=True)
class Comparison:
    """The slices of each backend, in order, and the number of batches in each."""

    slices: dict
    batches: int

    def calm(self, backend):
        """How many slices were undisturbed."""
        return sum(piece.calm for piece in self.slices[backend])

    @property
    def fair(self):
        """Whether each backend had undisturbed slices enough."""
        return all(self.calm(backend) >= _ENOUGH for backend in self.slices)

    def speed(self, backend):
        """Samples per second: the median of the undisturbed slices; if unfair, the fastest."""
        if self.fair:
            return median(piece.rate for piece in self.slices[backend] if piece.calm)
        return max(piece.rate for piece in self.slices[backend])

    def ratio(self, fast, slow):
        """How many times as fast ``fast`` was."""
        return self.speed(fast) / self.speed(slow)


class _Run:
    """A training on one backend that goes on slice by slice."""

    def __init__(self, job, backend):
        self._backend = backend
        set_backend(backend)
        job.warm_up(evaluate=False)
        *parts, loader = job.build()
        self._step = job.step(*parts)
        self._batches = endless(loader)
        _, seconds = self._train(1)
        self.settle = min(_SETTLE, max(1, round(_SLICE / seconds)))

    def slice(self, batches):
        """Train on so many batches, after a rest; returns a ``Slice``."""
        set_backend(self._backend)
        time.sleep(_REST)
        self._train(self.settle)
        before = _switches()
        samples, seconds = self._train(batches)
        allowed = max(2, _CALM * seconds)
        return Slice(samples / seconds, _switches() - before <= allowed)

    def _train(self, batches):
        """``(samples, seconds)`` of so many batches."""
        began, samples = time.perf_counter(), 0
        for batch in itertools.islice(self._batches, batches):
            samples += self._step(batch)
        return samples, time.perf_counter() - began


def _switches():
    """How often a thread of this process had to make room for another so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_nivcsw if resource else 0


def compare(
    job, backends=("numba", "numpy"), *, wanted=_WANTED, patience=_PATIENCE, seconds=_SLICE
):
    """Train ``job`` anew on each backend, slice by slice, and return the ``Comparison``.

    wanted     undisturbed slices of each backend
    patience   seconds after which it ends without them
    seconds    length of a slice on the slower backend

    The backend in use is the same afterwards.
    """
    before = get_backend()
    try:
        runs = {backend: _Run(job, backend) for backend in backends}
        slowest = min(max(run.slice(run.settle).rate for _ in range(3)) for run in runs.values())
        least = min(run.settle for run in runs.values())
        batches = max(least, round(seconds * slowest / job.batch_size))
        comparison = Comparison({backend: [] for backend in backends}, batches)
        end = time.perf_counter() + patience
        for turn in itertools.count():
            for backend in backends if turn % 2 == 0 else reversed(backends):
                comparison.slices[backend].append(runs[backend].slice(batches))
            found = min(comparison.calm(backend) for backend in backends)
            if found >= wanted or time.perf_counter() > end:
                return comparison
    finally:
        set_backend(before)
