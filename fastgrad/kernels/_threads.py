"""How many threads to use, and whether it is safe to use more than one.

Compiled code reads the answer from ``STATE``, a few int64 cells; Python reads ``policy``.
"""

import math
import os
from pathlib import Path

import numba
import numba.np.ufunc.parallel
import numpy as np
from numba.core.compiler_lock import global_compiler_lock

THREADS, THRESHOLD, GUARDED, BUSY, RESUME = range(5)
STATE = np.zeros(5, np.int64)
"""Threads, threshold (ns of serial work), whether launches exclude each other, whether one is
running, and the time (ns) until which launches stay serial after one that stalled."""

# A launch is over when its slowest thread is. Where another program has one of our cores, that
# takes until the scheduler's next slice, milliseconds instead of microseconds. A launch that
# took so much longer than its work sends the following ones to one thread for a while: the cost
# of a busy machine is then a factor of the number of threads, not of a hundred.
STALL = 1_000_000  # ns beyond ten times the serial work
STALL_REST = 10  # serial time after a stall, in stalls
LONGEST_REST = 1_000_000_000  # ns

# Serial work, in nanoseconds, from which a second thread pays, by Numba's threading layer. On two
# cores a launch costs 1.6 µs on omp and 80-130 µs on workqueue, and two threads are faster than
# one from about five times that; tbb's figure is an estimate in between.
THRESHOLDS = {"omp": 8_000, "tbb": 25_000, "workqueue": 400_000}
_NEVER = 2**50  # far from overflow when scaled


class Policy:
    """The launch decision: ``work >= policy.threshold`` goes to the threads."""

    def __init__(self):
        self.layer = None  # Numba's threading layer, once started
        self.forked = False
        self.limits = thread_limits()
        self.set_threads(min(self.limits.values()))

    def set_threads(self, count):
        self.threads = count
        self._publish()

    def _publish(self, layer=None):
        layer = layer or self.layer
        threshold = THRESHOLDS[layer or "omp"]
        self.threshold = threshold if self.threads > 1 and not self.forked else _NEVER
        STATE[THREADS] = self.threads
        STATE[THRESHOLD] = self.threshold
        # Until the layer is known it may turn out to be one that aborts on two launches at once.
        STATE[GUARDED] = layer is None or layer == "workqueue"

    def start(self):
        """Start Numba's threads, and take the threshold of the layer that it chose."""
        if self.layer is None:
            with global_compiler_lock:
                if self.layer is None:
                    layer = _start_numba_threads()
                    self._publish(layer)
                    self.layer = layer  # last: who sees it sees the rules that go with it

    def after_fork(self):
        """In a forked child, threads that the parent had started do not exist: stay serial."""
        STATE[BUSY] = STATE[RESUME] = 0
        if self.layer is not None or numba.np.ufunc.parallel._is_initialized:
            self.forked = True
            self.set_threads(1)


def _start_numba_threads():
    """Start Numba's threads; returns the name of its threading layer."""
    import multiprocessing  # Numba is about to import it anyway

    method = multiprocessing.get_start_method(allow_none=True)
    numba.get_num_threads()
    if method is None:  # Numba asked for it, which fixes it; leave the choice to the user
        multiprocessing.set_start_method(None, force=True)
    return numba.threading_layer()


def thread_limits():
    """Every bound on the number of threads, by what sets it."""
    limits = {"NUMBA_NUM_THREADS": numba.config.NUMBA_NUM_THREADS}
    if hasattr(os, "sched_getaffinity"):
        limits["CPU affinity"] = len(os.sched_getaffinity(0))
    else:
        limits["CPU count"] = os.cpu_count() or 1
    quota = cpu_quota()
    if quota is not None:
        limits["container CPU quota"] = max(1, math.ceil(quota))
    return limits


def cpu_quota(root="/"):
    """CPUs that the process's control group may use, or None where there is no limit.

    Reads ``cpu.max`` (cgroup v2) or ``cpu.cfs_quota_us`` (v1) of the group and its ancestors.
    """
    quotas = []
    try:
        text = Path(root, "proc/self/cgroup").read_text(errors="replace")
    except OSError:
        return None
    for line in text.splitlines():
        _, *rest = line.split(":", 2)
        if len(rest) < 2:
            continue
        controllers, path = rest
        if controllers and "cpu" not in controllers.split(","):
            continue
        base = Path(root, "sys/fs/cgroup", "" if not controllers else "cpu")
        group = base / path.lstrip("/")
        for place in (group, *group.parents):
            if not place.is_relative_to(base):
                break
            quotas.append(_read_quota(place))
    return min((quota for quota in quotas if quota is not None), default=None)


def _read_quota(group):
    try:
        if (group / "cpu.max").exists():
            quota, period = (group / "cpu.max").read_text().split()
        else:
            quota = (group / "cpu.cfs_quota_us").read_text()
            period = (group / "cpu.cfs_period_us").read_text()
        quota, period = int(quota), int(period)  # "max" is not a number: no limit
    except (OSError, ValueError):
        return None
    return quota / period if quota > 0 and period > 0 else None


policy = Policy()
if hasattr(os, "register_at_fork"):
    # A fork waits for another thread that compiles, or starts threads: its child would inherit
    # the lock, held for ever.
    os.register_at_fork(
        before=global_compiler_lock.acquire,
        after_in_parent=global_compiler_lock.release,
        after_in_child=global_compiler_lock.release,
    )
    os.register_at_fork(after_in_child=policy.after_fork)


def get_num_threads():
    """Number of threads that kernels run on.

    The default is the least of the CPU affinity, the container's CPU quota and
    ``NUMBA_NUM_THREADS``. A process forked after threads were started stays at 1.

    >>> import fastgrad
    >>> fastgrad.get_num_threads() >= 1
    True
    """
    return policy.threads


def set_num_threads(count):
    """Set the number of threads that kernels run on. Results do not depend on it, to the bit.

    Raises ``TypeError`` for anything but an integer, ``ValueError`` for one below 1 or above
    ``NUMBA_NUM_THREADS``. In a process forked after threads were started the number stays 1.

    >>> import fastgrad
    >>> before = fastgrad.get_num_threads()
    >>> fastgrad.set_num_threads(1)
    >>> fastgrad.get_num_threads()
    1
    >>> fastgrad.set_num_threads(before)
    """
    if isinstance(count, bool) or not isinstance(count, int | np.integer):
        raise TypeError(f"set_num_threads: expected an integer, got {type(count).__name__}")
    most = numba.config.NUMBA_NUM_THREADS
    if not 1 <= count <= most:
        raise ValueError(f"set_num_threads: {count} is out of range; expected 1 to {most}")
    policy.set_threads(1 if policy.forked else int(count))
