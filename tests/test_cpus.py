"""Older processors, compiled for on this one, and Numba without its compiler."""

import platform

import bare_scenarios
import pytest
from child import run

from fastgrad.kernels import _cache, _cpu

# Numba takes the features of a named processor from NUMBA_CPU_FEATURES alone.
_AVX = "+cx16,+popcnt,+sse3,+ssse3,+sse4.1,+sse4.2,+avx"
_AVX2 = f"{_AVX},+avx2,+fma,+bmi,+bmi2,+f16c,+lzcnt,+movbe"
_X86 = platform.machine().lower() in ("x86_64", "amd64")


def needs(*features):
    missing = [feature for feature in features if not _X86 or feature not in _cpu.features()]
    return pytest.mark.skipif(bool(missing), reason=f"this processor lacks {missing}")


# units in the last place of the larger of result and rounding, as measured, and some more
_MOST = {
    "matmul": 0, "matmul_nt": 0, "matmul_tn": 0, "exp": 2, "log": 2, "tanh_forward": 4,
    "sigmoid_forward": 4, "sqrt": 1, "softmax": 8, "batch_norm": 8,
}  # fmt: skip


@pytest.mark.parametrize(
    ("name", "features", "registers"),
    [
        pytest.param("generic", "", [16, 16], id="SSE2", marks=needs("sse2")),
        pytest.param("sandybridge", _AVX, [16, 32], id="AVX", marks=needs("avx")),
        pytest.param("haswell", _AVX2, [16, 32], id="AVX2", marks=needs("avx2", "fma")),
    ],
)
def test_kernels_are_right_on(name, features, registers):
    result = run(
        bare_scenarios.on_this_cpu,
        NUMBA_CPU_NAME=name, NUMBA_CPU_FEATURES=features, NUMBA_NUM_THREADS=1,
    )  # fmt: skip
    assert (result["cpu"], result["registers"]) == (name, registers)
    assert result["fingerprint"] != _cache.fingerprint()
    assert set(result["errors"]) == set(_MOST)
    for kernel, error in result["errors"].items():
        assert error <= _MOST[kernel], kernel


@pytest.mark.parametrize(
    ("missing", "variables", "reason"),
    [("", {"NUMBA_DISABLE_JIT": 1}, "NUMBA_DISABLE_JIT"), ("numba", {}, "numba")],
    ids=["NUMBA_DISABLE_JIT", "no Numba"],
)
def test_without_a_compiler_the_numpy_backend_is_used(missing, variables, reason):
    result = run(bare_scenarios.backend_without, missing, **variables)
    assert result["backend"] == "numpy"
    assert result["grad"] == [2.0, 4.0]
    assert result["threads"] == 1
    (warning,) = result["warnings"]
    assert reason in warning
