"""Memory of arrays: large ones start on a cache line, and freed memory stays with the process.

Where an array starts in the middle of a line, every vector straddles two: a product of its rows
takes up to 15 % longer. ``np.empty`` aligns to 16 bytes.

A training step frees and allocates the same arrays again and again. By default the C library gives
large ones back to the operating system at once, and gets them anew a page at a time, each page
zeroed and mapped in at its first touch: up to ten times what a kernel takes to fill it (ADR 7).
"""

import ctypes
import os

import numpy as np

ALIGNMENT = 64  # bytes: a cache line, and a vector
LARGE = 1 << 17  # bytes from which aligning, which takes 1.5 µs, pays

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
    answers = [mallopt(name, value) for name, value in _SETTINGS.items()]
    return all(answer == 1 for answer in answers)


class Memory(np.ndarray):
    """The bytes behind one large array: an array on it is a fresh one, and no view of another."""


def empty(shape, dtype):
    """``np.empty``, aligned if large."""
    array = np.empty(shape, dtype)
    size = array.nbytes
    if size < LARGE:
        return array
    shape, dtype = array.shape, array.dtype
    del array  # its memory is in the cache: the next one is to get it
    return aligned(shape, dtype, size)


def aligned(shape, dtype, size, alignment=ALIGNMENT):
    """An uninitialised array of ``size`` bytes that starts at a multiple of ``alignment``."""
    memory = np.ndarray.__new__(Memory, (size + alignment,), np.uint8)
    offset = -memory.__array_interface__["data"][0] % alignment
    return np.ndarray(shape, dtype, memory, offset)
