"""Shared fixtures."""

import numpy as np
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


@pytest.fixture
def settings_are_restored():
    """Backend and threads are as they were, without anybody's help."""
    before = fastgrad.get_backend(), fastgrad.get_num_threads()
    yield
    assert (fastgrad.get_backend(), fastgrad.get_num_threads()) == before


@pytest.fixture
def folder(tmp_path):
    """40 + 10 images in the form of MNIST; the label is where the bright column is."""
    generator = np.random.Generator(np.random.PCG64(0))
    for part, size in (("train", 40), ("t10k", 10)):
        labels = np.arange(size, dtype=np.uint8) % 10
        images = generator.integers(0, 50, (size, 28, 28)).astype(np.uint8)
        images[np.arange(size), :, labels] = 255
        header = bytes([0, 0, 8, 3]) + np.array(images.shape, ">u4").tobytes()
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        header = bytes([0, 0, 8, 1]) + np.array([size], ">u4").tobytes()
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())
    return tmp_path
