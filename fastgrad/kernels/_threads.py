"""How many threads to use, and the pool's workers: when they start, when they end.

Python reads ``policy``; compiled code reads the cells of ``_pool``, at ``CELLS``.
"""

import atexit
import ctypes
import functools
import math
import os
import sys
import threading
import time
from pathlib import Path

import numba
import numpy as np
from numba import types
from numba.core.compiler_lock import global_compiler_lock

from . import _calibrate, _pool
from ._compile import compile_callback
from ._memory import keep_freed_memory

# Sharing a job with a worker that spins costs about 0.5 µs, and with two threads saves half the
# work. Waking a sleeping one up costs about 15 µs: that much it may miss, and up to there it goes
# on spinning for the next job, so that in a training loop nobody sleeps.
THRESHOLD = WAKE = None  # ns of work on one thread, once measured (see _calibrate)
IDLE = 1_000_000  # ns
_NEVER = 2**50  # far from overflow when scaled

cells = _pool.new_cells(numba.config.NUMBA_NUM_THREADS)
CELLS = cells.ctypes.data


class Policy:
    """The launch decision: ``work >= policy.threshold`` goes to the threads."""

    def __init__(self):
        self.started = False
        self.workers = []
        self.limits = thread_limits()
        self.set_threads(min(self.limits.values()))

    def set_threads(self, count):
        self.threads = count
        self.threshold = cells[_pool.THRESHOLD] = _NEVER
        if self.started:
            self.start()

    def start(self):
        """Start the workers that are missing, and let compiled code share its work."""
        with global_compiler_lock:
            if not self.started:
                keep_freed_memory()
                _prepare_cells()
                self.started = True
            while len(self.workers) < self.threads - 1:
                self.workers.append(_start_worker(len(self.workers) + 1))
            cells[_pool.THREADS] = self.threads
            if self.threads > 1:
                _calibrate_thresholds()
                self.threshold, cells[_pool.WAKE] = THRESHOLD, WAKE
            cells[_pool.THRESHOLD] = self.threshold

    def after_fork(self):
        """A child has no workers; its first large launch starts its own."""
        cells[:] = 0
        cells[_pool.THRESHOLD] = _NEVER
        self.started = False
        self.workers = []

    def end(self):
        """End the workers, before Python takes away what they run on."""
        self.threshold = cells[_pool.THRESHOLD] = _NEVER
        cells[_pool.ENDING] = 1
        for number, worker in enumerate(self.workers, 1):
            compiled("wake").ctypes(CELLS, number)
            worker.join(timeout=1.0)


# ------------------------------------------------------------------ workers

_INT = types.int64
_SIGNATURES = {
    "run": _INT(*[_INT] * 7, types.float64),
    "replay": _INT(_INT, _INT, _INT),
    "move": types.void(_INT, _INT, _INT),
    "thread": _INT(_INT),
    "serve": types.void(_INT, _INT),
    "wake": types.void(_INT, _INT),
    "idle": _INT(_INT, _INT, _INT),
}


@functools.cache
def compiled(name):
    """One of the pool's functions, compiled."""
    return compile_callback(getattr(_pool, name), _SIGNATURES[name], f"pool.{name}")


def _prepare_cells():
    cells[_pool.SLEEP : _pool.WHO + 1] = _system()[:4]
    cells[_pool.RUN] = compiled("run").address
    compiled("serve"), compiled("wake")
    spins, idle = 2_000, compiled("idle").ctypes
    started = time.perf_counter_ns()
    idle(0, 0, spins)
    cells[_pool.SPINS] = IDLE * spins // max(1, time.perf_counter_ns() - started)


def _calibrate_thresholds():
    global THRESHOLD, WAKE
    if THRESHOLD is None:
        run, idle = compiled("run").ctypes, compiled("idle").address
        THRESHOLD, WAKE = _calibrate.thresholds(run, idle, cells, IDLE)


def _start_worker(number):
    cells[_pool.worker_cell(number, _pool.SEMAPHORE)] = _system()[4]()
    serve = compiled("serve").ctypes
    worker = threading.Thread(
        target=serve, args=(CELLS, number), name=f"fastgrad-{number}", daemon=True
    )
    worker.start()
    return worker


@functools.cache
def _system():
    """Addresses of what sleeps on a semaphore, what rouses a sleeper, what gives way to another
    thread, and what tells threads apart; and a function that makes a semaphore.
    """
    if sys.platform == "win32":
        library = ctypes.WinDLL("kernel32")
        names = ("WaitForSingleObject", "ReleaseSemaphore", "SwitchToThread", "GetCurrentThreadId")
        create = library.CreateSemaphoreW
        create.restype = ctypes.c_void_p
        make = functools.partial(create, None, 0, 2**30, None)
    elif sys.platform == "darwin":
        library = ctypes.CDLL(None)
        names = ("dispatch_semaphore_wait", "dispatch_semaphore_signal", "sched_yield")
        names += ("pthread_self",)
        create = library.dispatch_semaphore_create
        create.restype = ctypes.c_void_p
        make = functools.partial(create, ctypes.c_ssize_t(0))
    else:
        library = ctypes.CDLL(None)
        names = ("sem_wait", "sem_post", "sched_yield", "pthread_self")

        def make():
            semaphore = np.zeros(16, np.int64)  # more than any system's sem_t
            _kept.append(semaphore)
            library.sem_init(ctypes.c_void_p(semaphore.ctypes.data), 0, 0)
            return semaphore.ctypes.data

    addresses = (ctypes.cast(getattr(library, name), ctypes.c_void_p).value for name in names)
    return *addresses, make


_kept = []


# ------------------------------------------------------------------ limits


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
atexit.register(policy.end)
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
    ``NUMBA_NUM_THREADS``.

    >>> import fastgrad
    >>> fastgrad.get_num_threads() >= 1
    True
    """
    return policy.threads


def set_num_threads(count):
    """Set the number of threads that kernels run on. Results do not depend on it, to the bit.

    Raises ``TypeError`` for anything but an integer, ``ValueError`` for one below 1 or above
    ``NUMBA_NUM_THREADS``.

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
    policy.set_threads(int(count))
