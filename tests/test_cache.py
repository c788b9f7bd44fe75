"""The kernel cache: nothing compiled twice, nothing stale, nothing needed, nobody else's."""

import importlib.util
import os
import re
import shutil
import stat
import sys
from collections import Counter
from pathlib import Path

import bare_scenarios
import numpy as np
import pytest
import scenarios
from child import finish, run, start

import fastgrad
from fastgrad.kernels import _cache
from fastgrad.kernels._compile import compile_function

PACKAGE = Path(fastgrad.__file__).parent
posix = pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")


@pytest.fixture
def counts(monkeypatch):
    """Counters of this test alone."""
    counts = Counter()
    monkeypatch.setattr(_cache, "counts", counts)
    return counts


@pytest.fixture
def use(monkeypatch):
    """Makes a folder the cache; returns the folder in use below it, or None."""

    def use(folder):
        monkeypatch.setenv("FASTGRAD_CACHE_DIR", "" if folder is None else str(folder))
        _cache.folder.cache_clear()
        return _cache.folder()

    yield use
    monkeypatch.undo()
    _cache.folder.cache_clear()


def _add_one(x):
    for i in range(x.size):
        x[i] += 1.0


def call_anew():
    """Call a function through a new dispatcher, as a new process would."""
    x = np.zeros(3)
    compile_function(_add_one, "test.add_one")(x)
    assert x.tolist() == [1.0, 1.0, 1.0]


# ------------------------------------------------------------------ hits


def test_a_second_process_compiles_nothing():
    first, second = (run(scenarios.work) for _ in range(2))
    assert (second["compiled"], second["loaded"] > 10) == (0, True)
    assert (second["train"], second["launch"]) == (first["train"], first["launch"])


def test_after_warmup_nothing_is_left_to_compile():
    """In the cache of all tests: what it has is not compiled again."""
    said = run(bare_scenarios.warm_up)
    assert re.match(r"\d+ compiled, \d+ loaded in ", said)
    warm = run(bare_scenarios.kernels_of_the_warmup)
    wanted = run(bare_scenarios.kernels_of_every_row)
    assert len(warm) > 100
    assert {name: row for name, row in wanted.items() if name not in warm} == {}
    assert run(scenarios.work)["compiled"] == 0


def test_a_call_is_compiled_once_and_then_loaded(use, counts, tmp_path):
    folder = use(tmp_path / "cache")
    call_anew()
    assert counts == {"compiled": 1}
    call_anew()
    assert counts == {"compiled": 1, "loaded": 1}
    (file,) = folder.iterdir()
    assert file.suffix == ".kernel"


def test_two_processes_may_start_cold_together(tmp_path):
    pair = [start(scenarios.cold_from_many_threads, FASTGRAD_CACHE_DIR=tmp_path) for _ in range(2)]
    results = [finish(process) for process in pair]
    assert [result["results"] for result in results] == [[results[0]["serial"]]] * 2
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert files
    assert {file.suffix for file in files} == {".kernel"}  # and nothing temporary
    for file in files:
        data = file.read_bytes()
        assert _cache.hashlib.sha256(data[32:]).digest() == data[:32]


def test_one_function_may_be_loaded_twice_in_a_process(use, counts, tmp_path):
    """As when a module is reloaded."""
    use(tmp_path / "cache")
    functions = [compile_function(_add_one, "test.add_one") for _ in range(3)]
    x = np.zeros(3)
    for function in functions + functions:
        function(x)
    assert x.tolist() == [6.0] * 3
    assert counts == {"compiled": 1, "loaded": 2}


# ------------------------------------------------------------------ damage


def _flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda path: path.write_bytes(b""), id="empty"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:20]), id="short"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes()[:-1]), id="torn"),
        pytest.param(lambda path: path.write_bytes(path.read_bytes() + b"x"), id="long"),
        pytest.param(lambda path: path.write_bytes(b"x" * 5000), id="garbage"),
        pytest.param(_flip, id="one bit"),
        pytest.param(Path.unlink, id="deleted"),
        pytest.param(lambda path: shutil.rmtree(path.parent), id="folder deleted"),
    ],
)
def test_a_damaged_file_counts_as_absent_and_is_replaced(damage, use, counts, tmp_path):
    folder = use(tmp_path / "cache")
    call_anew()
    (file,) = folder.iterdir()
    damage(file)
    call_anew()
    assert counts == {"compiled": 2}
    if folder.exists():
        call_anew()
        assert counts == {"compiled": 2, "loaded": 1}
        assert [path.name for path in folder.iterdir()] == [file.name]


def test_a_folder_in_place_of_a_file_costs_the_file_only(use, counts, tmp_path):
    folder = use(tmp_path / "cache")
    call_anew()
    (file,) = folder.iterdir()
    file.unlink()
    file.mkdir()
    call_anew()
    assert counts == {"compiled": 2}
    assert [path.name for path in folder.iterdir()] == [file.name]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_nothing_behind(error, tmp_path, monkeypatch):
    target = tmp_path / "file"
    target.write_bytes(b"old")

    def fail(*args):
        raise error

    monkeypatch.setattr(_cache.os, "replace", fail)
    with pytest.raises(type(error)):
        _cache.write_atomically(target, b"new")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"file": b"old"}


def test_a_full_disk_is_no_error(use, counts, tmp_path, monkeypatch):
    folder = use(tmp_path / "cache")

    def fail(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_cache.os, "replace", fail)
    call_anew()
    assert counts == {"compiled": 1}
    assert not list(folder.iterdir())


# ------------------------------------------------------------------ where


def test_kernels_compile_where_nothing_can_be_written(use, counts, tmp_path):
    (tmp_path / "file").touch()
    assert use(tmp_path / "file" / "below") is None
    assert use(tmp_path / "file") is None
    call_anew()
    assert counts == {"compiled": 1}


def test_a_process_needs_no_cache(tmp_path):
    (tmp_path / "file").touch()
    result = run(bare_scenarios.draw_from_sources, FASTGRAD_CACHE_DIR=tmp_path / "file")
    assert result.pop("compiled") > 0
    assert result == {"state": [0, 1], "folder": "None"}


@posix
def test_the_folder_is_the_users_alone(use, tmp_path):
    folder = use(tmp_path / "new" / "cache")
    assert folder.parent == tmp_path / "new" / "cache"
    for path in (folder, folder.parent):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0


@posix
@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_a_folder_that_others_may_write_is_refused(mode, use, tmp_path):
    base = tmp_path / "cache"
    base.mkdir()
    base.chmod(mode)
    assert use(base) is None
    base.chmod(0o755)
    folder = use(base)
    assert folder is not None
    folder.chmod(mode)
    assert use(base) is None


@posix
def test_a_folder_of_somebody_else_is_refused(use, tmp_path, monkeypatch):
    base = tmp_path / "cache"
    assert use(base) is not None
    monkeypatch.setattr(_cache.os, "getuid", lambda: base.stat().st_uid + 1)
    assert use(base) is None


def test_default_places_are_tried_in_turn(tmp_path, monkeypatch):
    monkeypatch.delenv("FASTGRAD_CACHE_DIR", raising=False)
    (tmp_path / "file").touch()
    monkeypatch.setattr(_cache.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(_cache.tempfile, "gettempdir", lambda: str(tmp_path / "temporary"))
    first, second = _cache._candidates()
    assert first == tmp_path / "file" / "fastgrad"
    assert second.parent == tmp_path / "temporary"
    assert _cache.folder.__wrapped__().parent == second


def _raise(error):
    raise error


@pytest.mark.parametrize("chosen", ["~nobody-of-this-name/cache", None], ids=["no home", "no temp"])
def test_there_may_be_no_place_at_all(chosen, use, counts, tmp_path, monkeypatch):
    """No such user; a file system that is read-only everywhere."""
    (tmp_path / "file").touch()
    monkeypatch.setattr(_cache.tempfile, "gettempdir", lambda: _raise(FileNotFoundError("none")))
    for variable in ("XDG_CACHE_HOME", "LOCALAPPDATA", "HOME"):
        monkeypatch.setenv(variable, str(tmp_path / "file"))
    assert use(chosen) is None
    call_anew()
    assert counts == {"compiled": 1}


@pytest.mark.parametrize(
    "variable",
    [
        "FASTGRAD_CACHE_DIR",
        "XDG_CACHE_HOME",
    ],
)
def test_a_relative_folder_stays_where_it_was(variable, use, counts, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_cache.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", "cache")
    folder = use("cache" if variable == "FASTGRAD_CACHE_DIR" else None)
    assert folder.is_absolute()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    call_anew()
    assert len(list((tmp_path / "cache").rglob("*.kernel"))) == 1


# ------------------------------------------------------------------ staleness


def _fingerprint_of(package):
    """The fingerprint that the sources in ``package`` have."""
    path = package / "kernels" / "_cache.py"
    name = "fastgrad.kernels._cache_copy"
    spec = importlib.util.spec_from_file_location(name, path)
    module = sys.modules[name] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        return module.fingerprint()
    finally:
        del sys.modules[name]


@pytest.fixture
def copy(tmp_path):
    """A copy of the package."""
    return shutil.copytree(
        PACKAGE, tmp_path / "copy" / "fastgrad", ignore=shutil.ignore_patterns("__pycache__")
    )


def test_every_kernel_source_is_in_the_fingerprint(copy):
    seen = {_fingerprint_of(copy)}
    assert seen == {_cache.fingerprint()}  # the place does not matter
    sources = sorted((copy / "kernels").glob("*.py"))
    assert len(sources) > 10
    for source in sources:
        source.write_bytes(source.read_bytes() + b"\n")
        seen.add(_fingerprint_of(copy))
    assert len(seen) == len(sources) + 1
    (copy / "kernels" / "new.py").touch()
    seen.add(_fingerprint_of(copy))
    sources[-1].rename(sources[-1].with_name("renamed.py"))
    seen.add(_fingerprint_of(copy))
    assert len(seen) == len(sources) + 3


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("numba.__version__", "0.0"),
        ("llvmlite.__version__", "0.0"),
        ("numpy.__version__", "0.0"),
        ("sys.version", "0.0"),
        ("target", lambda: ("x86_64", "another", "+avx")),
        ("config.OPT", 0),
        ("config.BOUNDSCHECK", 1),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_compiled_code_depends_on_is_in_the_fingerprint(name, value, monkeypatch):
    before = _cache.fingerprint()
    owner, _, attribute = name.rpartition(".")
    monkeypatch.setattr(getattr(_cache, owner) if owner else _cache, attribute, value)
    assert _cache.fingerprint() != before


@pytest.mark.parametrize(
    "cpu", [{"NUMBA_CPU_NAME": "nehalem"}, {"NUMBA_CPU_FEATURES": "+sse2"}], ids=str
)
def test_another_cpu_has_another_folder(cpu):
    assert run(bare_scenarios.fingerprint, **cpu)["fingerprint"] != _cache.fingerprint()


def test_a_source_changed_after_import_does_not_spoil_the_cache(copy, tmp_path):
    """The code in memory is the old one; it must not be kept as that of the new source."""
    options = {"path": copy.parent, "FASTGRAD_CACHE_DIR": tmp_path / "cache"}
    old = run(bare_scenarios.draw_from_sources, "1, blocks", **options)
    assert old["state"] == [0, 1]
    new = run(bare_scenarios.draw_from_sources, **options)
    assert new["state"] == [0, 10]
    assert new["folder"] != old["folder"]


_OWN = """
from fastgrad.kernels._jit import kernel

@kernel
def _tick(start, stop, table, row):
    for at in range(start, stop):
        table[row, at] = {value}
"""


@pytest.mark.parametrize("module", ["mine", "_stepper"])
def test_a_kernel_outside_the_package_is_never_stale(module, tmp_path):
    """Nor taken for one of ours, as ``_stepper._tick`` might be."""
    for value in (20, 30):
        (tmp_path / f"{module}.py").write_text(_OWN.format(value=value))
        result = run(
            bare_scenarios.own_kernel, str(tmp_path), module,
            FASTGRAD_CACHE_DIR=tmp_path / "cache", PYTHONDONTWRITEBYTECODE=1,
        )  # fmt: skip
        assert result == [1, value]
