"""The threads: limits, their number, how a launch is shared out, who excludes whom."""

from itertools import pairwise

import numba
import numpy as np
import pytest

import fastgrad
from fastgrad import kernels
from fastgrad.kernels import _threads
from fastgrad.kernels._jit import kernel
from fastgrad.kernels._pool import BUSY, THREADS, THRESHOLD, cut
from fastgrad.kernels._threads import Policy, cells, policy

needs_two = pytest.mark.skipif(
    numba.config.NUMBA_NUM_THREADS < 2, reason="Numba has one thread (NUMBA_NUM_THREADS)"
)


# ------------------------------------------------------------------ limits

_V2 = "0::/a/b\n"
_V1 = "9:name=systemd:/x\n4:cpu,cpuacct:/a/b\n2:cpuset:/c\n"


def _v1(folder, quota, period=100_000):
    base = f"sys/fs/cgroup/cpu{folder}"
    return {f"{base}/cpu.cfs_quota_us": f"{quota}\n", f"{base}/cpu.cfs_period_us": f"{period}\n"}


_TREES = {
    "no proc": (None, {}, None),
    "no groups": ("", {}, None),
    "v2 without limit": (_V2, {"sys/fs/cgroup/a/b/cpu.max": "max 100000\n"}, None),
    "v2 own limit": (_V2, {"sys/fs/cgroup/a/b/cpu.max": "150000 100000\n"}, 1.5),
    "v2 limit of a parent": (
        _V2,
        {"sys/fs/cgroup/a/b/cpu.max": "max 100000", "sys/fs/cgroup/a/cpu.max": "200000 100000"},
        2.0,
    ),
    "v2 least of all": (
        _V2,
        {
            "sys/fs/cgroup/a/b/cpu.max": "300000 100000",
            "sys/fs/cgroup/a/cpu.max": "50000 100000",
            "sys/fs/cgroup/cpu.max": "400000 100000",
        },
        0.5,
    ),
    "v2 in a namespace": ("0::/\n", {"sys/fs/cgroup/cpu.max": "700000 200000"}, 3.5),
    "v2 above a namespace": ("0::/../..\n", {"sys/fs/cgroup/cpu.max": "100000 100000"}, 1.0),
    "v2 group not mounted": (_V2, {"sys/fs/cgroup/cpu.max": "100000 100000"}, 1.0),
    "v2 colon in a name": ("0::/a:b\n", {"sys/fs/cgroup/a:b/cpu.max": "100000 100000"}, 1.0),
    "v2 sibling's limit": (_V2, {"sys/fs/cgroup/a/c/cpu.max": "100000 100000"}, None),
    "v1 without limit": (_V1, _v1("/a/b", -1), None),
    "v1 own limit": (_V1, _v1("/a/b", 50_000), 0.5),
    "v1 limit of a parent": (_V1, _v1("/a/b", -1) | _v1("/a", 250_000), 2.5),
    "v1 group not mounted": (_V1, _v1("", 300_000), 3.0),
    "v1 other controllers": ("2:cpuset:/a\n3:cpuacct:/a\n", _v1("/a", 50_000), None),
    "v1 and v2": (
        _V1 + _V2, _v1("/a", 400_000) | {"sys/fs/cgroup/a/cpu.max": "300000 100000"}, 3.0,
    ),
    "zero quota": (_V2, {"sys/fs/cgroup/a/b/cpu.max": "0 100000"}, None),
    "zero period": (_V2, {"sys/fs/cgroup/a/b/cpu.max": "100000 0"}, None),
    "v1 without period": (_V1, {"sys/fs/cgroup/cpu/a/b/cpu.cfs_quota_us": "100000"}, None),
    "malformed limit": (_V2, {"sys/fs/cgroup/a/b/cpu.max": "much\n"}, None),
    "empty limit": (_V2, {"sys/fs/cgroup/a/b/cpu.max": ""}, None),
    "half a limit": (_V2, {"sys/fs/cgroup/a/b/cpu.max": "100000"}, None),
    "long limit": (_V2, {"sys/fs/cgroup/a/b/cpu.max": "100000 100000 1"}, None),
    "binary limit": (_V2, {"sys/fs/cgroup/a/b/cpu.max": b"\xff\xfe"}, None),
    "limit is a folder": (_V2, {"sys/fs/cgroup/a/b/cpu.max/x": ""}, None),
}  # fmt: skip


def _plant(root, groups, files):
    if groups is not None:
        files = {"proc/self/cgroup": groups} | files
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return root


@pytest.mark.parametrize("tree", _TREES)
def test_cpu_quota(tree, tmp_path):
    groups, files, expected = _TREES[tree]
    assert _threads.cpu_quota(_plant(tmp_path, groups, files)) == expected


@pytest.mark.parametrize("nonsense", [b"nonsense\n\n0:\n", b"\xff\xfe\n", b"\0\n", b":::::\n"])
def test_a_list_of_groups_with_nonsense_in_it_is_no_error(nonsense, tmp_path):
    files = {"sys/fs/cgroup/a/b/cpu.max": "100000 100000"}
    assert _threads.cpu_quota(_plant(tmp_path, nonsense + _V2.encode(), files)) == 1.0


@pytest.mark.parametrize(
    ("quota", "expected"), [(None, 8), (0.1, 1), (1.0, 1), (1.5, 2), (3.0, 3), (100.0, 8)]
)
def test_default_is_the_least_of_the_limits(quota, expected, monkeypatch):
    monkeypatch.setattr(_threads, "cpu_quota", lambda: quota)
    monkeypatch.setattr(_threads.os, "sched_getaffinity", lambda pid: range(9), raising=False)
    monkeypatch.setattr(numba.config, "NUMBA_NUM_THREADS", 8)
    monkeypatch.setattr(_threads, "cells", cells.copy())
    assert Policy().threads == expected


# ------------------------------------------------------------------ the number


@pytest.mark.parametrize(
    ("count", "error", "message"),
    [
        (0, ValueError, "set_num_threads: 0 is out of range; expected 1 to "),
        (-1, ValueError, "set_num_threads: -1 is out of range"),
        (10**6, ValueError, "set_num_threads: 1000000 is out of range"),
        (np.int64(0), ValueError, "set_num_threads: 0 is out of range"),
        (1.0, TypeError, "set_num_threads: expected an integer, got float"),
        ("2", TypeError, "set_num_threads: expected an integer, got str"),
        (None, TypeError, "set_num_threads: expected an integer, got NoneType"),
        (True, TypeError, "set_num_threads: expected an integer, got bool"),
        (np.float64(1), TypeError, "set_num_threads: expected an integer, got float64"),
    ],
    ids=repr,
)
def test_set_num_threads_refuses(count, error, message):
    before, state = fastgrad.get_num_threads(), cells.copy()
    with pytest.raises(error, match=message):
        fastgrad.set_num_threads(count)
    assert fastgrad.get_num_threads() == before
    assert np.array_equal(cells[:8], state[:8])


@needs_two
def test_set_num_threads_is_seen_by_python_and_by_compiled_code():
    policy.start()
    for count in (1, 2, np.int32(1), np.uint8(2)):
        fastgrad.set_num_threads(count)
        assert fastgrad.get_num_threads() == cells[THREADS] == count
        assert type(fastgrad.get_num_threads()) is int
        assert policy.threshold == cells[THRESHOLD]
        assert (policy.threshold < 10**6) == (count > 1)
    # Compiled code multiplies the threshold by 1,024.
    fastgrad.set_num_threads(1)
    assert 10**12 < policy.threshold * 1024 < 2**63


# ------------------------------------------------------------------ sharing


@kernel(grain=4)
def _mark_parts(start, stop, out):
    """out[i] = first item of the part that item i was in."""
    for i in range(start, stop):
        out[i] = start


def _parts(n, work=1e9, launch=_mark_parts):
    out = np.full(n, -1)
    launch(n, work, out)
    return out.tolist()


@needs_two
def test_large_work_is_shared_out_in_grains():
    fastgrad.set_num_threads(2)
    assert _parts(8) == [0] * 4 + [4] * 4
    assert _parts(4) == [0] * 4  # one grain has one part
    assert _parts(0) == []
    assert _parts(21, work=0) == _parts(21, work=policy.threshold - 1) == [0] * 21
    assert _parts(21, work=policy.threshold) == [0] * 12 + [12] * 9
    fastgrad.set_num_threads(1)
    assert _parts(21) == [0] * 21


@needs_two
@pytest.mark.parametrize(("chunks", "work", "parts"), [
    (8, 1e9, 16), (8, float("inf"), 16), (3, 1e9, 6), (1, 1e9, 2), (8, 1e5, 10), (8, 2.5e4, 2),
])  # fmt: skip
def test_a_share_is_cut_into_chunks_worth_a_claim(chunks, work, parts):
    fastgrad.set_num_threads(2)
    launch = kernel(_mark_parts.__wrapped__, chunks=chunks)
    assert len(set(_parts(1000, work, launch))) == parts


@needs_two
def test_of_two_launches_at_once_the_second_stays_on_its_thread():
    fastgrad.set_num_threads(2)
    _parts(1)
    cells[BUSY] = 1
    try:
        assert _parts(21)[-1] == 0
        x = np.ones(100_003, np.float32)
        assert np.array_equal(kernels.add(x, x), 2 * x)
        assert cells[BUSY] == 1  # it is the other launch's to give back
    finally:
        cells[BUSY] = 0
    assert _parts(8)[-1] == 4
    assert cells[BUSY] == 0


# ------------------------------------------------------------------ parts


@pytest.mark.parametrize("n", [0, 1, 3, 16, 17, 100, 1000])
@pytest.mark.parametrize("grain", [1, 3, 16, 64])
@pytest.mark.parametrize("parts", [1, 2, 3, 7, 64])
def test_parts_cover_all_items_in_order(n, grain, parts):
    edges = [cut(n, grain, part, parts) for part in range(parts + 1)]
    assert (edges[0], edges[-1]) == (0, n)
    assert edges == sorted(edges)
    assert all(edge % grain == 0 for edge in edges[1:-1] if edge < n)
    sizes = [b - a for a, b in pairwise(edges)]
    assert max(sizes) - min(sizes) <= 2 * grain


# ------------------------------------------------------------------ bits


def _normal(*shape, dtype=np.float32):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(dtype)


def _sgd():
    param = _normal(100_003)
    hyper, flags = np.array([0.1, 0.01, 0.0, 0.9, 0.1]), np.array([False, False, True])
    buffer = _normal(100_003)
    steps = [np.ones(1, np.int64)]
    kernels.sgd_step([param], [_normal(100_003)], [buffer], steps, hyper, flags)
    return param, buffer


def _losses():
    x, labels = _normal(301, 257), np.arange(301) % 257
    loss, saved = kernels.cross_entropy_forward(x, labels, label_smoothing=0.1)
    return loss, kernels.cross_entropy_backward(loss, x, labels, saved, label_smoothing=0.1)


# Odd sizes, and enough work for two threads.
_LARGE = {
    "matmul": lambda: kernels.matmul(_normal(131, 257), _normal(257, 163)),
    "matmul, one row": lambda: kernels.matmul(_normal(1, 1001), _normal(1001, 1003)),
    "matmul, few columns": lambda: kernels.matmul(_normal(1001, 301), _normal(301, 3)),
    "matmul, packed": lambda: kernels.matmul(_normal(29, 1031), _normal(1031, 517)),
    "matmul_nt": lambda: kernels.matmul_nt(_normal(131, 257), _normal(163, 257)),
    "matmul_nt, packed": lambda: kernels.matmul_nt(_normal(29, 1031), _normal(517, 1031)),
    "matmul_tn": lambda: kernels.matmul_tn(_normal(257, 131), _normal(257, 163)),
    "matmul_tn, packed": lambda: kernels.matmul_tn(_normal(389, 61), _normal(389, 521)),
    "float64": lambda: kernels.matmul(_normal(91, 97, dtype=float), _normal(97, 93, dtype=float)),
    "sum": lambda: kernels.sum(_normal(1_000_003)),
    "sum over rows": lambda: kernels.sum(_normal(3001, 131), (0,)),
    "sum over columns": lambda: kernels.sum(_normal(131, 3001), (1,)),
    "softmax": lambda: kernels.softmax_forward(_normal(301, 257)),
    "log_softmax": lambda: kernels.log_softmax_forward(_normal(301, 257)),
    "cross_entropy": _losses,
    "batch_norm": lambda: kernels.batch_norm_forward(_normal(513, 131)),
    "batch_norm of images": lambda: kernels.batch_norm_forward(_normal(11, 13, 17, 19)),
    "dropout": lambda: kernels.dropout(_normal(100_003), 0.3, np.array([1, 2], np.uint64)),
    "gather_rows": lambda: kernels.gather_rows(_normal(1001, 301), np.arange(1000, 0, -3)),
    "transpose": lambda: kernels.transpose(_normal(301, 257)),
    "sgd_step": _sgd,
    "exp": lambda: kernels.exp(_normal(200_003)),
    "add": lambda: kernels.add(_normal(600_001)[::-2], 1.0),
    "tanh_forward": lambda: kernels.tanh_forward(_normal(100_003, dtype=float)),
}


@needs_two
@pytest.mark.parametrize("name", _LARGE)
def test_one_and_two_threads_give_the_same_bits(name):
    results = []
    for count in (2, 1):
        fastgrad.set_num_threads(count)
        result = _LARGE[name]()
        arrays = result if isinstance(result, tuple) else (result,)
        results.append([np.asarray(array).tobytes() for array in arrays])
    assert results[0] == results[1]
