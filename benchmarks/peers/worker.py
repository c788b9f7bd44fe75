"""A library in a process of its own, that measures steps when it is told to.

    python worker.py MODULE

``MODULE`` has ``variants(job)``, a dict of functions ``step(number)`` that each train on one batch
and return the loss, or that run an operation and return its gradient. Lines of JSON arrive: a job
to prepare, then how many seconds to measure which variant; each is answered by a line.
"""

import importlib
import json
import sys
import time

import numpy as np


def measure(step, seconds):
    """Median-ready seconds per step of one slice."""
    began, count = time.perf_counter(), 0
    while time.perf_counter() - began < 0.02:  # threads wake up, caches fill
        step(count)
        count += 1
    each = (time.perf_counter() - began) / count
    repeats = max(1, int(seconds / each))
    began = time.perf_counter()
    for number in range(repeats):
        step(number)
    return (time.perf_counter() - began) / repeats


def _number(result):
    """A loss, or what is characteristic of an array."""
    return result if isinstance(result, float) else float(np.abs(np.asarray(result)).mean())


def main(module):
    answers = sys.stdout
    sys.stdout = sys.stderr  # what libraries print is no answer
    library = importlib.import_module(module)
    steps = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "job" in request:
            steps = library.variants(request["job"])
            losses = {name: [_number(step(k)) for k in range(20)] for name, step in steps.items()}
            answer = {"losses": losses, "version": library.VERSION}
        else:
            answer = {"seconds": measure(steps[request["variant"]], request["seconds"])}
        print(json.dumps(answer), file=answers, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
