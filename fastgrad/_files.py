"""Files that appear whole, or not at all."""

import contextlib
import os
import secrets
import stat
from pathlib import Path


def write_atomically(path, data, *, sync=True):
    """Write the bytes ``data`` to ``path``: whoever reads it finds the old file or the new, whole.

    The bytes go to a hidden file in the same folder, which a rename puts in place; where that
    fails, the old file is as it was, and nothing is left behind. A symbolic link is followed. The
    file keeps the permissions that it had; a new one has those that the process gives new files.

    sync   wait until the disk has the bytes, some milliseconds: then this holds across a power
           cut too

    Raises ``OSError``.
    """
    path = Path(os.path.realpath(path))
    part = path.with_name(f".{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            file.write(data)
            if sync:
                file.flush()
                os.fsync(file.fileno())
        with contextlib.suppress(FileNotFoundError):
            part.chmod(stat.S_IMODE(path.stat().st_mode))
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)  # gone after the rename
    if sync and os.name == "posix":
        _sync_folder(path.parent)


def _sync_folder(folder):
    """Wait until the disk has the names in ``folder``; some file systems cannot say."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def why_unwritable(path):
    """Why ``write_atomically(path, ...)`` cannot work, in words, or None where nothing is seen."""
    path = Path(os.path.realpath(path))
    if path.is_dir():
        return "it is a folder"
    if path.exists() and not path.is_file():
        return "it is not an ordinary file"
    if not path.parent.is_dir():
        return f"there is no folder {path.parent}"
    if not os.access(path.parent, os.W_OK):
        return f"the folder {path.parent} cannot be written"
    return None
