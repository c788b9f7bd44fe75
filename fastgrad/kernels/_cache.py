"""The kernel cache: one folder for each state of the kernel sources and of the machine.

A file of compiled code is found by kernel name and argument types inside a folder that is named
by a hash of everything else machine code depends on: all kernel sources, the versions of Python,
NumPy, Numba and llvmlite, and the CPU. A change to any of them starts a new folder, so nothing
in a folder can be stale. A file is written under a temporary name and then renamed, and carries
a checksum, so that several processes can share a folder, and a torn file counts as absent.
"""

import contextlib
import hashlib
import logging
import os
import pickle
import stat
import sys
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path

import llvmlite
import numba
import numpy
from numba.core import config
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from ._cpu import target

counts = Counter()
"""How many functions this process has ``compiled`` and how many it has ``loaded``."""

# As they were when the kernels were imported: a later change is none of the code in memory.
_SOURCES = [(path.name, path.read_bytes()) for path in sorted(Path(__file__).parent.glob("*.py"))]

_DIGEST_BYTES = hashlib.sha256().digest_size


def _candidates():
    """Folders that may hold the cache, best first."""
    if chosen := os.environ.get("FASTGRAD_CACHE_DIR"):
        with contextlib.suppress(RuntimeError):  # "~name" of nobody
            yield Path(chosen).expanduser().absolute()
        return
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    if base:
        with contextlib.suppress(RuntimeError):  # no home folder
            yield Path(base).expanduser().absolute() / "fastgrad"
    user = os.getuid() if hasattr(os, "getuid") else os.environ.get("USERNAME", "user")
    with contextlib.suppress(OSError):  # nothing is writable
        yield Path(tempfile.gettempdir()) / f"fastgrad-{user}"


def _usable(folder):
    """Whether ``folder`` can be written, and only its owner's code would be loaded from it."""
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        state = folder.stat()
        if hasattr(os, "getuid") and state.st_uid != os.getuid():
            return False
        if os.name == "posix" and state.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return False
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def fingerprint():
    """Hash of everything but argument types that compiled kernels depend on."""
    digest = hashlib.sha256()
    for name, source in _SOURCES:
        digest.update(name.encode() + b"\0" + source + b"\0")
    options = [config.OPT, config.LOOP_VECTORIZE, config.SLP_VECTORIZE]
    options += [config.BOUNDSCHECK, config.DEBUGINFO_DEFAULT]
    modules = (numpy, numba, llvmlite)
    digest.update(repr((sys.version, [m.__version__ for m in modules], target(), options)).encode())
    return digest.hexdigest()[:32]


@cache
def folder():
    """The folder in use, or None where nothing can be written."""
    for base in _candidates():
        path = base / fingerprint()
        if _usable(base) and _usable(path):
            return path
    return None


@cache
def _announce():
    """Say once in a process why the first steps take seconds."""
    place = folder() or "no folder: none can be written, see python -m fastgrad doctor"
    logging.getLogger("fastgrad").warning("compiling kernels for this CPU, kept in %s", place)


class KernelCache:
    """What a Numba dispatcher asks of a cache, kept in our folder (see the module's text)."""

    def __init__(self, name):
        self._name = name

    @property
    def cache_path(self):
        return str(folder())

    def enable(self):
        pass

    disable = flush = enable

    def _path(self, sig):
        key = hashlib.sha256(repr(sig).encode()).hexdigest()[:24]
        return folder() / f"{self._name}-{key}.kernel"

    def load_overload(self, sig, target_context):
        payload = self._read(sig)
        if payload is None:
            _announce()
            return None
        target_context.refresh()
        counts["loaded"] += 1
        return CompileResult._rebuild(target_context, *pickle.loads(payload))

    def _read(self, sig):
        """The compiled code in the cache, or None."""
        if folder() is None:
            return None
        try:
            data = self._path(sig).read_bytes()
        except OSError:
            return None
        digest, payload = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        return payload if hashlib.sha256(payload).digest() == digest else None

    def save_overload(self, sig, result):
        counts["compiled"] += 1
        if folder() is None:
            return
        payload = dumps(result._reduce())
        with contextlib.suppress(OSError):  # a full disk costs the next start, not this run
            write_atomically(self._path(sig), hashlib.sha256(payload).digest() + payload)


def write_atomically(path, data):
    """Write ``data`` to ``path`` so that a reader sees the old file or the new one, whole."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
