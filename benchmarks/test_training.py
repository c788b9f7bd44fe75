"""Training steps through the tape, on the Numba kernels and on the NumPy reference."""

import numpy as np
import pytest
from training_step import make_step

import fastgrad as fg

_STEPS = {
    "784-128-10 batch 64 sgd": {},
    "784-128-10 batch 256 sgd": {"batch": 256},
    "784-256-128-10 batch 64 adam batch norm": {
        "sizes": (784, 256, 128, 10), "optimizer": "adam", "batch_norm": True,
    },
    "64-32-10 batch 32 adam": {"sizes": (64, 32, 10), "batch": 32, "optimizer": "adam"},
}  # fmt: skip


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("name", _STEPS)
def test_training_step(benchmark, name, backend):
    benchmark.group = f"step {name}"
    losses = {}
    for each in ("numpy", "numba"):
        fg.set_backend(each)
        step = make_step(**_STEPS[name])
        losses[each] = [step().item() for _ in range(5)]
    np.testing.assert_allclose(losses["numba"], losses["numpy"], rtol=1e-3)
    fg.set_backend(backend)
    step = make_step(**_STEPS[name])
    step()
    benchmark(step)
    benchmark.extra_info["threads"] = fg.get_num_threads()
