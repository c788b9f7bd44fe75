"""Benchmarks run only where they are asked for: ``pytest --benchmark-only``."""


def pytest_ignore_collect(collection_path, config):
    return None if config.getoption("benchmark_only") else True
