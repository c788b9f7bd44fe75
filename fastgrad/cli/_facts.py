"""What ``doctor`` finds out about this process and this machine."""

import os
import platform
import time
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

from .._version import __version__
from ..backend import get_backend

# The features that kernels, or the compiler on their behalf, make use of.
_FEATURES = ("sse4.2", "avx", "avx2", "fma", "avx512f", "avx512bw", "avx512dq", "avx512vl", "neon")
_LAUNCHES = 1000
_FORCED = 2**40  # ns of work: above any threshold


@dataclass
class Facts:
    """One process on one machine; without Numba, only what is above ``numba_error``."""

    versions: dict
    backend: str
    cpu_name: str
    environment: dict
    numba_error: str | None = None
    target: str = "unknown"
    features: tuple = ()
    registers: int = 0
    vector_bytes: int = 0
    threads: int = 1
    limits: dict = field(default_factory=dict)
    launch_us: float | None = None
    launch_error: str | None = None
    shared_from_us: float | None = None
    cache_folder: str | None = None
    cache_candidates: tuple = ()
    cached_kernels: int = 0
    cached_bytes: int = 0


def gather():
    """The ``Facts`` of this process. Starts the pool, to measure what sharing a job costs."""
    facts = Facts(_versions(), get_backend(), _cpu_name(), dict(os.environ))
    try:
        from ..kernels import _cache, _cpu, _threads
        from ..kernels.gather import _gather_rows
    except Exception as error:  # Numba broken in whichever way: that is what doctor is asked
        facts.numba_error = _in_words(error)
        return facts
    facts.target = _cpu.target()[1]
    facts.features = tuple(name for name in _FEATURES if name in _cpu.features())
    facts.registers, facts.vector_bytes = _cpu.vector_registers()
    facts.threads, facts.limits = _threads.policy.threads, _threads.policy.limits
    try:
        facts.launch_us = _launch_cost(_threads.policy, _gather_rows)
        if facts.launch_us is not None:
            facts.shared_from_us = _threads.policy.threshold / 1e3
    except Exception as error:  # a system without semaphores, for instance
        facts.launch_error = _in_words(error)
    _look_at_cache(facts, _cache)
    return facts


def _in_words(error):
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _versions():
    versions = {"fastgrad": __version__, "Python": platform.python_version()}
    for name in ("numpy", "numba", "llvmlite"):
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            versions[name] = "missing"
    return versions


def _cpu_name():
    try:
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine() or "unknown"


def _launch_cost(policy, kernel):
    """Microseconds that threads add to a call, or None where there is one thread only.

    kernel   of four arguments (n, work, x, indices, out): copies a row of one byte per thread
    """
    import numpy as np

    policy.start()
    threads = policy.threads
    if threads < 2:
        return None
    x, indices = np.zeros((1, 1), np.uint8), np.zeros(threads, np.int64)
    out = np.zeros((threads, 1), np.uint8)

    def cost(work):
        times = []
        for _ in range(_LAUNCHES):
            start = time.perf_counter_ns()
            kernel(threads, work, x, indices, out)
            times.append(time.perf_counter_ns() - start)
        return median(times[_LAUNCHES // 10 :]) / 1e3

    return max(0.0, cost(_FORCED) - cost(0))


def _look_at_cache(facts, cache):
    """The folder of compiled kernels and what is in it."""
    facts.cache_candidates = tuple(str(path) for path in cache._candidates())
    folder = cache.folder()
    if folder is not None:
        sizes = [path.stat().st_size for path in folder.glob("*.kernel")]
        facts.cache_folder = str(folder)
        facts.cached_kernels, facts.cached_bytes = len(sizes), sum(sizes)
