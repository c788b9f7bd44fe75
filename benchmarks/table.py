"""Print fastgrad / reference / ratio for every kernel and the training steps, as Markdown.

    python benchmarks/table.py [part of a name ...]

The two sides are measured alternately in one run; losses stay in the table.
"""

import sys

from measure import PAIRS, calls, pair_name, rates, side_by_side
from training_step import STEPS, make_step

import fastgrad as fg

_BLAS_SPINS = 0.15  # seconds that OpenBLAS's threads take a core after a product


def _step_functions(options):
    functions = {}
    for name, backend in (("fastgrad", "numba"), ("numpy", "numpy")):
        fg.set_backend(backend)
        step = make_step(**options)
        step()

        def run(step=step, backend=backend):
            fg.set_backend(backend)
            return step()

        functions[name] = run
    return functions


def _line(name, times, info):
    ours, theirs = times["fastgrad"] * 1e6, times["numpy"] * 1e6
    rate = ", ".join(f"{value} {unit}" for unit, value in info.items() if unit != "threads")
    print(f"| {name} | {ours:.2f} | {theirs:.2f} | {theirs / ours:.2f} | {rate} |", flush=True)


def main(wanted):
    print(f"{fg.get_num_threads()} threads, float32, medians in µs\n")
    print("| kernel | fastgrad | NumPy | ratio | fastgrad's rate |")
    print("|---|---:|---:|---:|---|")
    for row, size in PAIRS:
        name = pair_name(row, size)
        if all(part in name for part in wanted):
            times = side_by_side(calls(row, size), pause=_BLAS_SPINS if row.flops else 0.0)
            _line(name, times, rates(row, size, times["fastgrad"]))
    for name, options in STEPS.items():
        if all(part in f"step {name}" for part in wanted):
            times = side_by_side(_step_functions(options), seconds=1.0, pause=_BLAS_SPINS)
            _line(f"step {name}", times, {})
    fg.set_backend("numba")


if __name__ == "__main__":
    main(sys.argv[1:])
