"""The one place with compiler policy: flags, the cache, what is compiled for.

No ``fastmath``: a body that wants a reordered sum or a fused multiply-add writes it out with
``_simd``, so that neither the compiler nor the number of threads decides about bits.
"""

import contextlib
import signal
import threading

import numba
import numpy as np
from numba.core.ccallback import CFunc
from numba.core.compiler_lock import global_compiler_lock

from ._cache import KernelCache

if numba.config.DISABLE_JIT:
    raise ImportError("NUMBA_DISABLE_JIT is set, and kernels exist in compiled form only")

FLAGS = {"nogil": True, "error_model": "numpy"}


def compile_function(function, name, cached=True):
    """Numba's dispatcher for ``function``, with our flags and our cache.

    ``name`` is the function's in the cache, whose other key is our own sources: code from
    elsewhere must not be cached.

    To Numba, a read-only or strided array has a type of its own. Instead of compiling for that,
    in the middle of somebody's training, the call is made again with a plain copy. Types of numbers
    that kernels do not compute with, such as float16, are refused with ``TypeError``.
    """
    dispatcher = numba.njit(**FLAGS)(named(function, name))
    if cached:
        dispatcher._cache = KernelCache(name)
    compile_for = dispatcher._compile_for_args

    def compile_for_plain(*args, **kwargs):
        if all(_is_plain(arg) for arg in args):
            _check_types(name, args)
            with _uninterrupted():
                return compile_for(*args, **kwargs)
        return call_with_copies

    def call_with_copies(*args):
        strided = {id(a): a for a in args if not _is_plain(a)}
        copies = {key: a.copy() for key, a in strided.items()}
        result = dispatcher(*(copies.get(id(a), a) for a in args))
        for key, original in strided.items():
            if original.flags.writeable:
                original[...] = copies[key]  # it may have been an output
        return result

    dispatcher._compile_for_args = compile_for_plain
    return dispatcher


def named(function, name):
    """``function`` under a name that no other has.

    Numba makes the name of a symbol of a function's name and of a number that is counted up in each
    process. Code from the cache was compiled in many processes: of two kernels whose names and
    numbers are the same, the one loaded first would run for both.
    """
    function.__qualname__ = name.replace(".", "_")
    return function


@contextlib.contextmanager
def _uninterrupted():
    """Hold Ctrl-C back: inside the compiler it could leave something half done for good."""
    # The lock first: a fork waits for it, so that no child inherits our handler.
    with global_compiler_lock:
        in_main = threading.current_thread() is threading.main_thread()
        handler = signal.getsignal(signal.SIGINT) if in_main else None
        if not callable(handler):  # no exception can come
            yield
            return
        held = []
        signal.signal(signal.SIGINT, lambda *event: held.append(event))
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, handler)
            if held:
                handler(*held[0])


def _is_plain(x):
    return not isinstance(x, np.ndarray) or x.flags.carray


def _check_types(name, args):
    for x in args:
        if isinstance(x, tuple):
            _check_types(name, x)
        elif isinstance(x, np.ndarray) and x.dtype.char in "eFDgGOSUMm":
            raise TypeError(
                f"{name.rpartition('.')[2].strip('_')}: there is no kernel for {x.dtype}; convert "
                "with x.float() or x.double()"
            )


def compile_callback(function, sig, name):
    """``function`` compiled to a C callback: an object with an ``address``, to be kept alive."""
    parts = (sig.args, sig.return_type)
    function = named(function, name)
    callback = CFunc(function, parts, locals={}, options={**FLAGS, "nopython": True})
    callback._cache = KernelCache(name)
    with _uninterrupted():
        callback.compile()
    return callback
