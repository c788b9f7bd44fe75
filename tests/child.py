"""Run a function in a Python process of its own, and get its result back through JSON.

    run(scenarios.train, 3, env={"NUMBA_THREADING_LAYER": "workqueue"})

Warnings are errors there too, and nothing may be printed. A process that hangs says where.
"""

import faulthandler
import importlib.util
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

TESTS = Path(__file__).parent


def environment(path=None, **changes):
    """The variables of a child: Numba's defaults, two threads, and ``changes``."""
    path = path or Path(importlib.util.find_spec("fastgrad").origin).parents[1]
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("NUMBA_", "OMP_", "GOMP_"))}
    kept.pop("FASTGRAD_BACKEND", None)
    # Threads that wait sleep: where cores are shared, spinning ones hold each other up.
    kept |= {"NUMBA_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"}
    kept |= {"PYTHONPATH": os.pathsep.join([str(path), str(TESTS)])}
    return kept | {name: str(value) for name, value in changes.items()}


def start(function, *args, path=None, timeout=600, cwd=None, **env):
    """A process that runs ``function``, which must be in a module that can be imported.

    path   where to find fastgrad, if not where this process found it
    env    environment variables
    """
    name = f"{Path(function.__code__.co_filename).stem}.{function.__name__}"
    command = [sys.executable, "-X", "faulthandler", "-W", "error", str(Path(__file__))]
    command += [name, str(timeout), json.dumps(args)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, env=environment(path, **env), cwd=cwd, stdin=subprocess.DEVNULL,
        stdout=pipe, stderr=pipe, text=True,
    )  # fmt: skip


# What a process says when it finds kernels that are not compiled yet.
_NOTES = ("compiling kernels for this CPU",)


def _without_notes(text):
    return "".join(line for line in text.splitlines(True) if not line.startswith(_NOTES)).strip()


def finish(process, timeout=620):
    """What the function returned; the test fails if it raised, printed, hung or was killed."""
    try:
        out, errors = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        out, errors = process.communicate()
    out, errors = _without_notes(out), _without_notes(errors)
    if process.returncode or errors or not out:
        import pytest

        pytest.fail(f"a child ended with code {process.returncode}\n{out}\n{errors}", pytrace=False)
    return json.loads(out)


def run(function, *args, **options):
    """``function(*args)``, run in a process of its own; ``options`` as of ``start``."""
    return finish(start(function, *args, **options))


def main(name, timeout, args):
    faulthandler.dump_traceback_later(float(timeout), exit=True)
    # Python 3.12 and later warn of what these tests are about.
    warnings.filterwarnings("ignore", ".* use of fork", DeprecationWarning)
    module, _, function = name.partition(".")
    result = getattr(importlib.import_module(module), function)(*json.loads(args))
    print(json.dumps(result))


if __name__ == "__main__":
    main(*sys.argv[1:])
