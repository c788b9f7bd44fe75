"""save and load; files that appear whole, or not at all."""

import math
import os

import numpy as np
import pytest

import fastgrad as fg
from fastgrad._files import why_unwritable, write_atomically
from fastgrad.serialization import load, save


@pytest.mark.parametrize(
    "array",
    [
        np.array(1.5, np.float32),
        np.array(7),
        np.arange(6.0).reshape(2, 3).T,
        np.arange(5, dtype=">i2"),
        np.zeros((0, 3), np.float32),
        np.array([True, False]),
        np.array([math.nan, -0.0, math.inf], np.float16),
        np.array([0, 255], np.uint8),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays_come_back_as_they_were(tmp_path, array):
    path = tmp_path / "state.safetensors"
    for value in (array, fg.Tensor(array)):
        save({"x": value}, path)
        loaded = load(path)["x"].data
        np.testing.assert_array_equal(loaded, array)
        assert loaded.shape == array.shape
        assert loaded.dtype == array.dtype.newbyteorder("=")
        assert loaded.flags.writeable
        assert loaded.flags.c_contiguous


def test_numbers_come_back_as_arrays(tmp_path):
    path = tmp_path / "state.safetensors"
    save({"a": 3, "b": 0.5, "c": True, "d": np.float32(2)}, path)
    state = load(path)
    assert {name: value.item() for name, value in state.items()} == {
        "a": 3, "b": 0.5, "c": True, "d": 2.0,
    }  # fmt: skip
    save({}, path)
    assert load(path) == {}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({1: np.zeros(1)}, "save: the name 1 is a int; expected a string"),
        ({"state": {"a": 1}}, "save: 'state' is a dict; expected a Tensor"),
        ({"text": "abc"}, "save: 'text' is a str"),
        ({"z": np.zeros(1, complex)}, "save: 'z' has dtype complex128; expected numbers"),
        ({"l": np.zeros(1, np.longdouble)}, "save: "),
    ],
)
def test_what_cannot_be_saved(tmp_path, state, message):
    if np.dtype(np.longdouble) == np.float64 and "l" in state:
        pytest.skip("long doubles are doubles here")
    with pytest.raises(TypeError, match=message):
        save(state, tmp_path / "x")
    assert os.listdir(tmp_path) == []


WHOLE = bytes.fromhex("08 00 00 00 00 00 00 00") + b"{}      "
BFLOAT16 = b'{"x":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no safetensors file, or not whole"),
        (WHOLE[:-1], "no safetensors file, or not whole"),
        (b"\x80\x04K\x01." + b"x" * 100, "no safetensors file, or not whole"),
        (WHOLE + b"1234", "no safetensors file, or not whole"),
        (len(BFLOAT16).to_bytes(8, "little") + BFLOAT16 + b"\0\0", "'x' in .* is BF16"),
    ],
)
def test_damaged_and_foreign_files(tmp_path, content, message):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        load(path)


def test_a_truncated_file(tmp_path):
    path = tmp_path / "x.safetensors"
    save({"x": np.arange(100)}, path)
    data = path.read_bytes()
    for size in (len(data) - 1, len(data) // 2, 9):
        path.write_bytes(data[:size])
        with pytest.raises(ValueError, match=f"load: {path} is no safetensors file"):
            load(path)


def test_files_that_are_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"load: there is no file .*none"):
        load(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="load: there is no file"):
        load(tmp_path)
    with pytest.raises(OSError, match=r"save: cannot write .*: there is no folder"):
        save({}, tmp_path / "none" / "x")
    with pytest.raises(OSError, match=r"save: cannot write .*: it is a folder"):
        save({}, tmp_path)
    with pytest.raises(OSError, match="not an ordinary file"):
        save({}, os.devnull)


# ------------------------------------------------------------------ files


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(*_):
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="disk full"):
            write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    write_atomically(path, b"newer", sync=False)
    assert path.read_bytes() == b"newer"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")
def test_permissions_and_links_are_kept(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    before = os.umask(0o027)
    try:
        write_atomically(path, b"1")
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640
    path.chmod(0o600)
    link.symlink_to(path)
    write_atomically(link, b"2")
    assert link.is_symlink()
    assert path.read_bytes() == b"2"
    assert path.stat().st_mode & 0o777 == 0o600
    assert why_unwritable(link) is None
