"""Training steps through the tape, on the Numba kernels and on the NumPy reference."""

import numpy as np
import pytest
from training_step import STEPS, make_step

import fastgrad as fg


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("name", STEPS)
def test_training_step(benchmark, name, backend):
    benchmark.group = f"step {name}"
    losses = {}
    for each in ("numpy", "numba"):
        fg.set_backend(each)
        step = make_step(**STEPS[name])
        losses[each] = [step().item() for _ in range(5)]
    np.testing.assert_allclose(losses["numba"], losses["numpy"], rtol=1e-3)
    fg.set_backend(backend)
    step = make_step(**STEPS[name])
    step()
    benchmark(step)
    benchmark.extra_info["threads"] = fg.get_num_threads()
