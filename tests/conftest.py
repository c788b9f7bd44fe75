"""Shared fixtures."""

import pytest

import fastgrad
from fastgrad.kernels import _pool, _threads


def pytest_ignore_collect(collection_path, config):
    """Of ``pytest --benchmark-only``, tests are no part."""
    return True if config.getoption("benchmark_only") else None


@pytest.fixture(autouse=True)
def _same_start():
    """Every test starts from the same seed, and leaves backend and threads as it found them."""
    fastgrad.manual_seed(0)
    backend, threads = fastgrad.get_backend(), fastgrad.get_num_threads()
    yield
    fastgrad.set_backend(backend)
    fastgrad.set_num_threads(threads)


@pytest.fixture
def always_threaded():
    """Send even the smallest work to the threads."""
    _threads.policy.start()
    before = _threads.cells[_pool.THRESHOLD]
    _threads.cells[_pool.THRESHOLD] = 0
    yield
    _threads.cells[_pool.THRESHOLD] = before
