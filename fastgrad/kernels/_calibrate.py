"""What it costs to share work among threads on this machine: measured once, kept with the kernels.

    share   nanoseconds from which a job's work goes to the threads
    wake    nanoseconds of work that a sleeping thread may miss before it is woken up

``FASTGRAD_SHARE_NS`` and ``FASTGRAD_WAKE_NS`` set them by hand.
"""

import contextlib
import json
import os
import time
from statistics import median

from . import _cache, _pool

# What sharing a job costs is little beside what it costs to get half of the job's data from the
# other core's cache: over training steps of many sizes, 24 times as much is the best threshold
# (see benchmarks/sweep.py). A sleeper may miss as much as it would cost to wake it up.
_SHARE_FACTOR, _WAKE_FACTOR = 24, 1
# Whatever is measured, on however busy a machine: not below, not above
_SHARE_BOUNDS, _WAKE_BOUNDS = (6_000, 20_000), (10_000, 300_000)
_LAUNCHES, _NAPS = 400, 12
_WORK = 200_000  # ns of a job that wakes threads up


def thresholds(run, idle, cells, idle_time):
    """(share, wake) of this machine, from the environment, from the cache, or measured.

    run        the pool's function of that name
    idle       address of a job of as many pauses as it has items
    idle_time  nanoseconds after which workers sleep
    """
    kept = _read()
    if kept is None:
        kept = _measure(run, idle, cells, idle_time)
        _keep(kept)
    return tuple(
        _from_environment(f"FASTGRAD_{name.upper()}_NS", kept[name]) for name in ("share", "wake")
    )


def _from_environment(name, default):
    text = os.environ.get(name)
    if text is None:
        return default
    if not text.isdecimal() or not 0 < int(text) < 10**12:
        raise ValueError(f"{name}={text!r}: expected nanoseconds, a whole number above 0")
    return int(text)


def _path():
    return _cache.folder() and _cache.folder() / "thresholds.json"


def _read():
    try:
        kept = json.loads(_path().read_bytes())
        return {name: int(kept[name]) for name in ("share", "wake")}
    except (AttributeError, OSError, ValueError, KeyError, TypeError):  # none, or a torn one
        return None


def _keep(kept):
    if _path():
        with contextlib.suppress(OSError):
            _cache.write_atomically(_path(), json.dumps(kept).encode())


def _measure(run, idle, cells, idle_time):
    """Takes about a tenth of a second."""
    address, threads = cells.ctypes.data, int(cells[_pool.THREADS])
    before = cells[_pool.THRESHOLD]
    cells[_pool.THRESHOLD] = 0

    def launch(items, shares):
        """Nanoseconds of a job on one thread (shares 0), or on all."""
        began = time.perf_counter_ns()
        run(address, idle, 0, 0, items, 1, shares, 1e9)
        return time.perf_counter_ns() - began

    try:
        # Medians: launches to which no other thread came are cheap, interrupted ones dear.
        share = -median(launch(threads, 0) for _ in range(_LAUNCHES))
        share += median(launch(threads, 1) for _ in range(_LAUNCHES))
        pauses = max(threads, int(cells[_pool.SPINS]) * _WORK // idle_time)
        work = median(launch(pauses, 0) for _ in range(5))
        naps = []
        for _ in range(_NAPS):
            time.sleep(3e-9 * idle_time)
            took = launch(pauses, 64)
            naps.append(took - (work - took) / (threads - 1))
        wake = median(naps)
    finally:
        cells[_pool.THRESHOLD] = before
    return {
        "share": _within(share * _SHARE_FACTOR, *_SHARE_BOUNDS),
        "wake": _within(wake * _WAKE_FACTOR, *_WAKE_BOUNDS),
    }


def _within(value, least, most):
    return int(min(max(value, least), most))
