"""Thresholds of sharing work: from the environment, from the cache, or measured."""

import json

import numpy as np
import pytest

from fastgrad.kernels import _cache, _calibrate, _pool, _threads


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty cache folder; thresholds are not set by the environment."""
    monkeypatch.setattr(_cache, "folder", lambda: tmp_path)
    for name in ("FASTGRAD_SHARE_NS", "FASTGRAD_WAKE_NS"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def _thresholds(run=None):
    _threads.policy.start()
    run = run or _threads.compiled("run").ctypes
    idle = _threads.compiled("idle").address
    return _calibrate.thresholds(run, idle, _threads.cells, _threads.IDLE)


@pytest.mark.skipif(_threads.policy.threads < 2, reason="one thread: nothing to share")
def test_measured_once_and_kept(folder):
    _threads.policy.start()
    before = int(_threads.cells[_pool.THRESHOLD])
    share, wake = _thresholds()
    assert 6_000 <= share <= 20_000
    assert 10_000 <= wake <= 300_000
    assert json.loads((folder / "thresholds.json").read_text()) == {"share": share, "wake": wake}
    assert _thresholds(run=np.nan) == (share, wake)  # measures no more
    assert _threads.cells[_pool.THRESHOLD] == before


@pytest.mark.parametrize("text", ["", "{", "[]", '{"share": 1}', '{"share": "x", "wake": 2}'])
@pytest.mark.skipif(_threads.policy.threads < 2, reason="one thread: nothing to share")
def test_a_torn_file_counts_as_absent(folder, text):
    (folder / "thresholds.json").write_text(text)
    assert _thresholds()[0] >= 6_000


def test_the_environment_decides(folder, monkeypatch):
    (folder / "thresholds.json").write_text('{"share": 5000, "wake": 60000}')
    assert _thresholds() == (5000, 60000)
    monkeypatch.setenv("FASTGRAD_SHARE_NS", "123")
    assert _thresholds() == (123, 60000)
    monkeypatch.setenv("FASTGRAD_WAKE_NS", "many")
    with pytest.raises(ValueError, match="FASTGRAD_WAKE_NS='many'"):
        _thresholds()
