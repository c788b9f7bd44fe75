"""Freed memory stays with the process, ready for the next array.

A training step frees and allocates the same arrays again and again. By default the C library gives
large ones back to the operating system at once, and gets them anew a page at a time, each page
zeroed and mapped in at its first touch: up to ten times what a kernel takes to fill it (ADR 7).
"""

import ctypes
import os

# glibc's parameters, and what they are set to: blocks of up to 32 MB, the most that it allows,
# come from the heap, which is given back from 256 MB of unused space at its end on.
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_SETTINGS = {_MMAP_THRESHOLD: 32 << 20, _TRIM_THRESHOLD: 256 << 20}
_USERS_OWN = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES")


def keep_freed_memory():
    """Ask the C library to, unless the user has told it something else; whether it does."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # not glibc
        return False
    if any(name in os.environ for name in _USERS_OWN):
        return False
    return all([mallopt(name, value) == 1 for name, value in _SETTINGS.items()])
