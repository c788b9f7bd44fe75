"""Code that several processes compiled, in one: each kernel runs its own."""

import os
import subprocess
import sys
from pathlib import Path

_CALL = """
import sys
import numpy as np
from fastgrad import kernels
x = np.array([[1.0, 5.0], [3.0, 4.0]], np.float32)
print([getattr(kernels, name)(x, (0,)).tolist() for name in sys.argv[1:]])
"""


def _run(folder, *names):
    return subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _CALL, *names],
        env={**os.environ, "FASTGRAD_CACHE_DIR": str(folder)},
        cwd=Path(__file__).parents[1], capture_output=True, text=True, timeout=120, check=True,
    ).stdout  # fmt: skip


def test_kernels_compiled_apart_do_not_answer_for_each_other(tmp_path):
    """Made by one factory, the first that each process compiled: Numba would name them alike."""
    _run(tmp_path, "sum")
    _run(tmp_path, "amax")
    _run(tmp_path, "amin")
    assert _run(tmp_path, "sum", "amax", "amin").strip() == "[[4.0, 9.0], [3.0, 5.0], [1.0, 4.0]]"
