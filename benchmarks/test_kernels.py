"""Every kernel against its NumPy twin: one group per (kernel, size)."""

import pytest
from measure import PACKAGES, PAIRS, calls, pair_name, rates

_CASES = [
    pytest.param(row, size, package, id=f"{pair_name(row, size)} {package}")
    for row, size in PAIRS
    for package in PACKAGES
]


@pytest.mark.parametrize(("row", "size", "package"), _CASES)
def test_kernel(benchmark, row, size, package):
    benchmark.group = pair_name(row, size)
    function = calls(row, size)[package]
    benchmark(function)
    benchmark.extra_info.update(rates(row, size, benchmark.stats.stats.median))
