"""What the benchmarks share: kernels on both backends, and timing two things side by side."""

import statistics
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from all_rows import ROWS
from kernel_cases import Maker, arrays_of, copied

import fastgrad
from fastgrad import kernels, reference

PACKAGES = {"fastgrad": kernels, "numpy": reference}
PAIRS = [(row, size) for row in ROWS for size in row.bench]


def pair_name(row, size):
    return f"{row.name} {'x'.join(str(part) for part in size)}"


def calls(row, size, dtype="float32"):
    """{package name: function without arguments}, after checking that their results agree."""
    args = row.make(Maker(dtype), *size)
    if row.kernel == "cross_entropy_backward":
        log_p, divisor = args[3]
        ours = [*args]
        ours[3] = (np.ascontiguousarray(args[1][:, 0] - log_p[:, 0]), divisor)
        args = {"fastgrad": ours, "numpy": args}
    else:
        args = dict.fromkeys(PACKAGES, args)
    results, functions = {}, {}
    for name, package in PACKAGES.items():
        kernel = getattr(package, row.kernel)
        own = copied(args[name])
        results[name] = arrays_of(kernel(*own), row, own)
        functions[name] = _bind(kernel, copied(args[name]))
    for a, b in zip(results["fastgrad"], results["numpy"], strict=True):
        scale = float(np.max(np.abs(b), initial=1.0, where=np.isfinite(b)))
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4 * scale)
    return functions


def _bind(kernel, args):
    return lambda: kernel(*args)


def rates(row, size, seconds, itemsize=4):
    """{"GFLOP/s": ..., "GB/s": ...}, whichever the row can tell, and the number of threads."""
    info = {"threads": fastgrad.get_num_threads()}
    if row.flops:
        info["GFLOP/s"] = round(row.flops(*size) / seconds / 1e9, 1)
    if row.moved:
        info["GB/s"] = round(row.moved(*size) * itemsize / seconds / 1e9, 2)
    return info


def side_by_side(functions, seconds=0.2, rounds=7, pause=0.0):
    """{name: median seconds per call}, measured in alternating slices.

    ``pause`` lets one library's idle threads stop spinning before the other is timed. Each slice
    begins with calls that are not counted, which wake threads up and fill caches.
    """
    slice_time = seconds / rounds / len(functions)
    times = {name: [] for name in functions}
    for _ in range(rounds):
        for name, function in functions.items():
            time.sleep(pause)
            once = _warm_up(function)
            count = max(1, min(10_000, int(slice_time / once)))
            started = time.perf_counter()
            for _ in range(count):
                function()
            times[name].append((time.perf_counter() - started) / count)
    return {name: statistics.median(values) for name, values in times.items()}


def _warm_up(function, seconds=0.01):
    """Seconds of the fastest of the calls that fit into a while.

    That long a scheduler may take until threads that were woken up have a core each.
    """
    fastest = float("inf")
    began = started = time.perf_counter()
    while started - began < seconds:
        function()
        ended = time.perf_counter()
        fastest = min(fastest, ended - started)
        started = ended
    return max(fastest, 1e-7)
