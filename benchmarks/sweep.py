"""Is there a cliff? Time of a training step as a network's width, or its batch, grows.

    python benchmarks/sweep.py [--out FOLDER] [--seconds S] [--torch]

Two sweeps: 10-w-w-10 at batch 32, for w = 8 ... 2048 and the sizes around PyTorch's known jump (w =
45, 46), and 784-128-10 at batch 1 ... 1024. For each size: microseconds of an eager and of a
compiled step, and how much more a step takes than at the size before, against how much more there
is to compute. A cliff is a step that takes much longer without having more to do. With ``--torch``,
PyTorch's steps stand beside ours. With ``--out``, writes sweep.json, sweep.md and sweep.png.
"""

import argparse
import json
import os
import statistics
import sys
import time
from itertools import pairwise
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "peers"))

WIDTHS = (8, 16, 24, 32, 45, 46, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048)
BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
_SLICES = 5


def sweeps():
    """(title, what grows, its values, the job of a value)"""

    def wide(w):
        return {"sizes": (10, w, w, 10), "batch": 32, "optimizer": "sgd"}

    def long(batch):
        return {"sizes": (784, 128, 10), "batch": batch, "optimizer": "sgd"}

    yield "10-w-w-10, batch 32, SGD", "width", WIDTHS, wide
    yield "784-128-10, SGD", "batch", BATCHES, long


def multiply_adds(job):
    """Of the products of a step."""
    sizes = job["sizes"]
    layers = [a * b for a, b in pairwise(sizes)]
    return job["batch"] * (3 * sum(layers) - layers[0])


def measure(steps, seconds):
    """Median microseconds of each step, slices in turn."""
    times = {name: [] for name in steps}
    for step in steps.values():
        for number in range(20):
            step(number)
    for _ in range(_SLICES):
        for name, step in steps.items():
            ended, slice_times = time.perf_counter() + seconds / _SLICES, []
            while time.perf_counter() < ended:
                began = time.perf_counter()
                step(len(slice_times))
                slice_times.append(time.perf_counter() - began)
            times[name].append(statistics.median(slice_times))
    return {name: statistics.median(values) * 1e6 for name, values in times.items()}


def table(name, rows):
    """A sweep as Markdown; ``growth`` is time over time at the size before, / that of the work."""
    variants = list(rows[0]["µs"])
    heads = [head for variant in variants for head in (f"{variant}, µs", "growth")]
    lines = [f"| {name} | more work | " + " | ".join(heads) + " |"]
    lines += ["|---:|---:|" + "---:|" * len(heads)]
    for before, row in zip([None, *rows], rows, strict=False):
        more = row["work"] / before["work"] if before else 1.0
        cells = []
        for variant in variants:
            growth = row["µs"][variant] / before["µs"][variant] if before else 1.0
            cells += [f"{row['µs'][variant]:.1f}", f"x {growth:.2f}"]
        lines.append(f"| {row['size']} | x {more:.2f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def plot(results, path):
    """Time against size, both logarithmic."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("no picture: matplotlib is not installed", file=sys.stderr)
        return
    figure, places = plt.subplots(1, len(results), figsize=(6 * len(results), 4.5))
    for axes, (title, (name, rows)) in zip(places, results.items(), strict=True):
        for variant in rows[0]["µs"]:
            axes.loglog(
                [row["size"] for row in rows],
                [row["µs"][variant] for row in rows],
                marker=".",
                label=variant,
            )
        axes.set(title=title, xlabel=name, ylabel="µs per training step")
        axes.legend()
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seconds", type=float, default=0.5, help="for each step and size")
    parser.add_argument("--torch", action="store_true", help="PyTorch's steps, too")
    options = parser.parse_args()
    import with_fastgrad

    libraries = {"": with_fastgrad}
    if options.torch:
        os.environ.setdefault("PEER_THREADS", str(len(os.sched_getaffinity(0))))
        import with_torch

        libraries["torch "] = with_torch
    results = {}
    for title, name, sizes, job_of in sweeps():
        rows = []
        for size in sizes:
            steps = {
                prefix + variant: step
                for prefix, library in libraries.items()
                for variant, step in library.variants(job_of(size)).items()
                if variant in ("eager", "compiled", "plain")
            }
            times = measure(steps, options.seconds)
            rows.append({"size": size, "work": multiply_adds(job_of(size)), "µs": times})
        results[title] = name, rows
        print(f"\n{title}\n\n{table(name, rows)}", flush=True)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        text = "\n\n".join(f"{title}\n\n{table(*result)}" for title, result in results.items())
        (options.out / "sweep.md").write_text(text + "\n")
        (options.out / "sweep.json").write_text(json.dumps(results, indent=1, ensure_ascii=False))
        plot(results, options.out / "sweep.png")


if __name__ == "__main__":
    main()
