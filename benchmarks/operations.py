"""Operations forward and backward, at 10, 1,000 and 1,000,000 elements, here and in PyTorch.

    python benchmarks/operations.py [--out FOLDER] [part of a name ...]

Each library runs in a process of its own, in alternating slices with rests in between, on float32
and as many threads. Prints microseconds (medians) and ratios as Markdown, losses included, and the
geometric mean of the ratios; with ``--out`` also writes operations.md.
"""

import argparse
import importlib
import json
import math
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

SIZES = (10, 1000, 1_000_000)
_REST, _ROUNDS, _SECONDS = 0.02, 5, 0.03

# What is measured, as it is written in either library: f is the library, x, y, z are tensors that
# require gradients, i an index, m a mask, s the root of the number of elements. A "vector" has so
# many elements, a "matrix" is (s, s), a "row" (1, s).
_VECTOR = "vector"
OPERATIONS = {
    **{f"{name}(x)": (f"f.{name}(x)", (_VECTOR,)) for name in (
        "exp", "log", "sin", "tanh", "sigmoid", "sqrt", "rsqrt", "abs", "square", "reciprocal",
        "relu", "log1p", "erf", "neg", "clone",
    )},
    "x + y": ("x + y", (_VECTOR, _VECTOR)),
    "x - y": ("x - y", (_VECTOR, _VECTOR)),
    "x * y": ("x * y", (_VECTOR, _VECTOR)),
    "x / y": ("x / y", (_VECTOR, _VECTOR)),
    "x * 2": ("x * 2.0", (_VECTOR,)),
    "x ** 2": ("x ** 2", (_VECTOR,)),
    "x ** y": ("x ** y", (_VECTOR, _VECTOR)),
    "maximum": ("f.maximum(x, y)", (_VECTOR, _VECTOR)),
    "where": ("f.where(m, x, y)", (_VECTOR, _VECTOR)),
    "clamp": ("x.clamp(0.5, 1.5)", (_VECTOR,)),
    "lerp": ("f.lerp(x, y, 0.3)", (_VECTOR, _VECTOR)),
    "masked_fill": ("x.masked_fill(m, 0.0)", (_VECTOR,)),
    "matrix + row": ("x + y", ("matrix", "row")),
    "sum": ("x.sum()", (_VECTOR,)),
    "sum, rows": ("x.sum(1)", ("matrix",)),
    "sum, columns": ("x.sum(0)", ("matrix",)),
    "mean": ("x.mean()", (_VECTOR,)),
    "var": ("x.var()", (_VECTOR,)),
    "amax, rows": ("x.amax(1)", ("matrix",)),
    "prod": ("(x * 0.0 + 1.0).prod()", (_VECTOR,)),
    "logsumexp": ("x.logsumexp(1)", ("matrix",)),
    "norm": ("x.norm()", (_VECTOR,)),
    "softmax": ("x.softmax(1)", ("matrix",)),
    "cumsum": ("x.cumsum(0)", (_VECTOR,)),
    "sort": ("x.sort()[0]", (_VECTOR,)),
    "reshape": ("x.reshape(-1)", ("matrix",)),
    "transpose, copied": ("x.t().contiguous()", ("matrix",)),
    "slice": ("x[1:, ::2]", ("matrix",)),
    "index": ("x[i]", ("matrix",)),
    "gather": ("x.gather(1, g)", ("matrix",)),
    "cat": ("f.cat([x, y])", (_VECTOR, _VECTOR)),
    "stack": ("f.stack([x, y], 1)", (_VECTOR, _VECTOR)),
    "split, one part": ("f.split(x, s)[0]", (_VECTOR,)),
    "expand": ("(x.expand(s, s) * 1.0)", ("row",)),
    "flip": ("x.flip(0)", (_VECTOR,)),
    "tril": ("x.tril()", ("matrix",)),
    "pad": ("f.nn.functional.pad(x, (1, 1))", (_VECTOR,)),
    "matmul": ("x @ y", ("matrix", "matrix")),
    "einsum": ('f.einsum("ij,kj->ik", x, y)', ("matrix", "matrix")),
}  # fmt: skip


# ------------------------------------------------------------------ one library


def _prepare(library, code, kinds, n):
    """A function that runs an operation forward and backward, and returns the last gradient."""
    rng, s = np.random.default_rng(0), math.isqrt(n)
    shapes = {_VECTOR: (n,), "matrix": (s, s), "row": (1, s)}
    operands = [
        library.from_numpy(rng.uniform(0.5, 2.0, shapes[kind]).astype(np.float32)) for kind in kinds
    ]
    for x in operands:
        x.requires_grad_(True)
    names = dict(zip("xyz", operands, strict=False), f=library, s=s)
    names["m"] = library.from_numpy(rng.random(shapes[kinds[0]]) < 0.5)
    names["i"] = library.from_numpy(rng.integers(0, s, s))
    names["g"] = library.from_numpy(rng.integers(0, s, (s, s)))
    function = eval(f"lambda: {code}", names)
    out = function()
    gradient = library.from_numpy(rng.uniform(0.5, 1.5, tuple(out.shape)).astype(np.float32))

    def run():
        for x in operands:
            x.grad = None
        function().backward(gradient)
        return operands[-1].grad

    return run


def _worker(name):
    """Answer requests, lines of JSON, by a line each."""
    library = importlib.import_module(name)
    if name == "fastgrad":
        library.nn.functional = library.functional
    library.set_num_threads(int(os.environ["PEER_THREADS"]))
    answers, sys.stdout, run = sys.stdout, sys.stderr, None
    for line in sys.stdin:
        request = json.loads(line)
        if "code" in request:
            run = _prepare(library, **request)
            answer = float(np.abs(np.asarray(run().detach().numpy(), np.float64)).mean())
        else:
            answer = _measure(run)
        print(json.dumps(answer), file=answers, flush=True)


def _measure(run):
    """Seconds per call, after calls that wake threads up."""
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < 0.01:
        run()
        count += 1
    repeats = max(1, int(_SECONDS * count / (time.perf_counter() - began)))
    began = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - began) / repeats


# ------------------------------------------------------------------ side by side


def _start(name, threads):
    environment = dict(os.environ, PEER_THREADS=str(threads), OMP_NUM_THREADS=str(threads))
    return subprocess.Popen(
        [sys.executable, __file__, "--worker", name],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


def _ask(process, **request):
    print(json.dumps(request), file=process.stdin, flush=True)
    return json.loads(process.stdout.readline())


def _compare(peers, code, kinds, n):
    """Median seconds of fastgrad and PyTorch."""
    values = [_ask(peer, code=code, kinds=kinds, n=n) for peer in peers]
    if abs(values[0] - values[1]) > 1e-3 * abs(values[1]) + 1e-5:
        raise RuntimeError(f"{code}: the gradients differ: {values}")
    times = [[], []]
    for _ in range(_ROUNDS):
        for peer, measured in zip(peers, times, strict=True):
            time.sleep(_REST)
            measured.append(_ask(peer))
    return [statistics.median(measured) for measured in times]


def main():
    """Compare all operations, or those that are named."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--worker")
    options = parser.parse_args()
    if options.worker:
        _worker(options.worker)
        return
    peers = [_start(name, os.cpu_count()) for name in ("fastgrad", "torch")]
    titles = [f"{n:,}" for n in SIZES]
    lines = ["| operation | " + " | ".join(f"{t}: µs | PyTorch | ratio" for t in titles) + " |"]
    lines += ["|---" + "|---:" * 3 * len(SIZES) + "|"]
    print(*lines, sep="\n")
    ratios = {n: [] for n in SIZES}
    for name, (code, kinds) in OPERATIONS.items():
        if options.names and not any(part in name for part in options.names):
            continue
        cells = []
        for n in SIZES:
            ours, theirs = _compare(peers, code, kinds, n)
            ratios[n].append(theirs / ours)
            cells += [f"{ours * 1e6:.1f}", f"{theirs * 1e6:.1f}", f"{theirs / ours:.2f}"]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
        print(lines[-1], flush=True)
    means = [statistics.geometric_mean(values) for values in ratios.values()]
    cells = [f" | | **{mean:.2f}**" for mean in means]
    lines.append("| geometric mean |" + " |".join(cells) + " |")
    whole = statistics.geometric_mean([value for values in ratios.values() for value in values])
    lines.append(f"\nGeometric mean of all: {whole:.2f}")
    print(*lines[-2:], sep="\n")
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "operations.md").write_text("\n".join(lines) + "\n")
    for peer in peers:
        peer.stdin.close()
        peer.wait()


if __name__ == "__main__":
    main()
