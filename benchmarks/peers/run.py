"""Compare training steps, and operations, with other libraries on this machine.

    python benchmarks/peers/run.py [--out FOLDER] [--seconds S] [--rounds N] [part of a name ...]

Each library runs in a process of its own, and one at a time: slices alternate, with a rest
between them in which threads stop spinning. A library that is not installed is skipped, and said
to be. Prints a Markdown table of medians in microseconds and of ratios to the best peer, with the
range of the ratios over rounds; with ``--out`` also writes peers.json, peers.md and peers.png
(the picture needs matplotlib).
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

from jobs import JOBS, OPS

_LIBRARIES = {"fastgrad": "fastgrad", "torch": "torch", "jax": "jax", "sklearn": "sklearn"}
_REST = 0.15  # seconds


class Peer:
    """A library's process."""

    def __init__(self, name, threads):
        environment = dict(os.environ, PEER_THREADS=str(threads))
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            environment[variable] = str(threads)
        self.name = name
        self.process = subprocess.Popen(
            [sys.executable, "worker.py", f"with_{name}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
            cwd=Path(__file__).parent,
        )  # fmt: skip

    def ask(self, **request):
        """The answer to a request."""
        print(json.dumps(request), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} ended; see its messages above")
        return json.loads(line)

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def _check(losses):
    """Every library must have trained: the same losses, as far as float32 goes."""
    first = losses["fastgrad eager"]
    for name, values in losses.items():
        if name.startswith("sklearn"):  # draws its own weights
            continue
        if any(abs(a - b) > 0.02 * abs(a) + 0.02 for a, b in zip(first, values, strict=True)):
            raise RuntimeError(f"{name} does not train as fastgrad does: {values} and {first}")


def compare(job, peers, rounds, seconds):
    """{variant: seconds per step in each round}"""
    variants, losses = [], {}
    for peer in peers:
        answer = peer.ask(job=job)
        for variant, values in answer["losses"].items():
            variants.append((peer, variant))
            losses[f"{peer.name} {variant}"] = values
    _check(losses)
    times = {f"{peer.name} {variant}": [] for peer, variant in variants}
    for _ in range(rounds):
        for peer, variant in variants:
            time.sleep(_REST)
            answer = peer.ask(variant=variant, seconds=seconds)
            times[f"{peer.name} {variant}"].append(answer["seconds"])
    return times


def summary(times):
    """The best peer, and ratios (median, least, most) of its time to ours."""
    medians = {name: statistics.median(values) for name, values in times.items()}
    others = {name: value for name, value in medians.items() if not name.startswith("fastgrad")}
    best = min(others, key=others.get) if others else None
    result = {"µs": {name: round(value * 1e6, 1) for name, value in medians.items()}, "best": best}
    for ours in ("eager", "compiled"):
        if best and f"fastgrad {ours}" in times:
            pairs = zip(times[best], times[f"fastgrad {ours}"], strict=True)
            ratios = [a / b for a, b in pairs]
            middle = medians[best] / medians[f"fastgrad {ours}"]
            result[ours] = [round(value, 2) for value in (middle, min(ratios), max(ratios))]
    return result


def table(results, ours=("eager", "compiled")):
    """The results as Markdown."""
    lines = ["| | " + " | ".join(ours) + " | best peer | its time | " + " | ".join(ours) + " |"]
    lines += ["|---|" + "---:|" * len(ours) + "---|---:|" + "---:|" * len(ours)]
    for name, result in results.items():
        us, best = result["µs"], result["best"]
        times = " | ".join(str(us[f"fastgrad {variant}"]) for variant in ours)
        if best:
            ratios = " | ".join("{} ({} to {})".format(*result[variant]) for variant in ours)
            lines.append(f"| {name} | {times} | {best} | {us[best]} | {ratios} |")
        else:
            lines.append(f"| {name} | {times} | none installed | {' | ' * len(ours)} |")
    return "\n".join(lines)


def plot(results, path):
    """Time of each variant relative to fastgrad, compiled."""
    try:
        import matplotlib.pyplot as plt
    except ImportError:
        print("no picture: matplotlib is not installed", file=sys.stderr)
        return
    names = sorted({variant for result in results.values() for variant in result["µs"]})
    figure, axes = plt.subplots(figsize=(9, 1 + 0.9 * len(results)))
    for k, variant in enumerate(names):
        places, values = [], []
        for row, result in enumerate(results.values()):
            if variant in result["µs"]:
                places.append(row + 0.8 * k / len(names))
                values.append(result["µs"][variant] / result["µs"]["fastgrad compiled"])
        axes.barh(places, values, 0.8 / len(names), label=variant)
    axes.set_yticks([row + 0.4 for row in range(len(results))], list(results))
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("time of a training step, fastgrad compiled = 1")
    axes.legend(fontsize="small")
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", metavar="part of a name")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seconds", type=float, default=0.3, help="of a slice")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    installed = [name for name, module in _LIBRARIES.items() if importlib.util.find_spec(module)]
    missing = sorted(set(_LIBRARIES) - set(installed))
    print(f"{options.threads} threads; not installed: {', '.join(missing) or 'none'}\n")
    peers = [Peer(name, options.threads) for name in installed]
    results = {}
    for name, job in (JOBS | OPS).items():
        if any(part in name for part in options.parts or [""]):
            results[name] = summary(compare(job, peers, options.rounds, options.seconds))
            print(name, results[name], file=sys.stderr, flush=True)
    for peer in peers:
        peer.end()
    steps = {name: result for name, result in results.items() if name in JOBS}
    tables = [table(steps)] if steps else []
    if ops := {name: result for name, result in results.items() if name in OPS}:
        tables.append(table(ops, ["eager"]))
    print(text := "\n\n".join(tables))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "peers.json").write_text(json.dumps(results, indent=1, ensure_ascii=False))
        (options.out / "peers.md").write_text(text + "\n")
        if steps:
            plot(steps, options.out / "peers.png")


if __name__ == "__main__":
    main()
