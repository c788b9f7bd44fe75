"""The one place with JIT policy: how kernels are compiled, cached and launched.

A kernel's body is one function over a range of items:

    @kernel(grain=16)
    def _scale(start, stop, x, factor, out):
        for i in range(start, stop):
            out[i] = x[i] * factor

    _scale(n, work, x, factor, out)     # n items, about `work` nanoseconds on one thread

It compiles, when first needed, into a serial twin (one call with the whole range) and a parallel
twin (``prange`` over as many parts as threads). Work below the layer's threshold runs serial.
A kernel must give the same bits however its range is cut: both twins are then interchangeable,
and a launch that cannot have the threads (busy, forked, one thread) simply runs serial.

No ``fastmath``: a body that wants a reordered sum or a fused multiply-add writes it out with
``_simd``, so that neither the compiler nor the number of threads decides about bits.
"""

import contextlib
import inspect
import os
import signal
import threading
import time

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.ccallback import CFunc
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import intrinsic

from ._cache import KernelCache
from ._threads import BUSY, GUARDED, LONGEST_REST, RESUME, STALL, STALL_REST, STATE, policy

if numba.config.DISABLE_JIT:
    raise ImportError("NUMBA_DISABLE_JIT is set, and kernels exist in compiled form only")

_PACKAGE = __name__.rpartition(".")[0] + "."
FLAGS = {"nogil": True, "error_model": "numpy"}
_INT64 = ir.IntType(64)


def compile_function(function, name, cached=True, **flags):
    """Numba's dispatcher for ``function``, with our flags and our cache.

    ``name`` is the function's in the cache, whose other key is our own sources: code from
    elsewhere must not be cached.

    To Numba, a read-only or strided array has a type of its own. Instead of compiling for that,
    in the middle of somebody's training, the call is made again with a plain copy.
    """
    dispatcher = numba.njit(**FLAGS, **flags)(function)
    if cached:
        dispatcher._cache = KernelCache(name)
    compile_for = dispatcher._compile_for_args

    def compile_for_plain(*args, **kwargs):
        if all(_is_plain(arg) for arg in args):
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


def compile_callback(function, sig, name):
    """``function`` compiled to a C callback: an object with an ``address``, to be kept alive."""
    parts = (sig.args, sig.return_type)
    callback = CFunc(function, parts, locals={}, options={**FLAGS, "nopython": True})
    callback._cache = KernelCache(name)
    with _uninterrupted():
        callback.compile()
    return callback


# ------------------------------------------------------------------ pieces of a parallel launch


@intrinsic
def _enter_guard(typing_context, state):
    """Take the right to launch threads; False if another launch has it and must not be joined."""

    def codegen(context, builder, sig, args):
        cells = context.make_array(sig.args[0])(context, builder, args[0]).data
        guarded = builder.load(builder.gep(cells, [_INT64(GUARDED)]))
        busy = builder.gep(cells, [_INT64(BUSY)])
        with builder.if_else(builder.icmp_signed("==", guarded, _INT64(0))) as (free, exclusive):
            with free:
                free_block = builder.block
            with exclusive:
                swap = builder.cmpxchg(busy, _INT64(0), _INT64(1), "acq_rel", "acquire")
                won = builder.extract_value(swap, 1)
                exclusive_block = builder.block
        entered = builder.phi(ir.IntType(1))
        entered.add_incoming(ir.IntType(1)(1), free_block)
        entered.add_incoming(won, exclusive_block)
        return context.cast(builder, entered, types.boolean, sig.return_type)

    return types.boolean(state), codegen


@intrinsic
def _leave_guard(typing_context, state):
    """Give back what ``_enter_guard`` took."""

    def codegen(context, builder, sig, args):
        cells = context.make_array(sig.args[0])(context, builder, args[0]).data
        builder.store_atomic(_INT64(0), builder.gep(cells, [_INT64(BUSY)]), "release", 8)
        return context.get_dummy_value()

    return types.void(state), codegen


@intrinsic
def _now(typing_context):
    """A monotonic time in nanoseconds; always 1 where the C library has no clock_gettime."""

    def codegen(context, builder, sig, args):
        if os.name != "posix":
            return _INT64(1)
        int32 = ir.IntType(32)
        pair = cgutils.alloca_once(builder, _INT64, size=_INT64(2))
        kind = ir.FunctionType(int32, [int32, pair.type])
        clock = cgutils.get_or_insert_function(builder.module, kind, "clock_gettime")
        builder.call(clock, [int32(time.CLOCK_MONOTONIC), pair])
        seconds, rest = (builder.load(builder.gep(pair, [_INT64(k)])) for k in range(2))
        return builder.add(builder.mul(seconds, _INT64(1_000_000_000)), rest)

    return types.int64(), codegen


@numba.extending.register_jitable
def try_enter(state):
    """Time at which a launch of threads starts, or 0 if the work should stay on this one."""
    now = _now()
    if now < state[RESUME] or not _enter_guard(state):
        return 0
    return now


@numba.extending.register_jitable
def leave(state, began, work):
    """End a launch of ``work`` nanoseconds; after a stall the next ones stay on one thread."""
    now = _now()
    _leave_guard(state)
    if now - began > 10 * work + STALL:
        state[RESUME] = now + min(STALL_REST * (now - began), LONGEST_REST)


@intrinsic
def swap_thread_count(typing_context, count):
    """Set how many of Numba's threads the calling thread uses; returns the number before."""

    def codegen(context, builder, sig, args):
        int32, void, module = ir.IntType(32), ir.VoidType(), builder.module
        # Declared with 64 bits, as Numba's own lowering of prange declares it.
        getter = cgutils.get_or_insert_function(
            module, ir.FunctionType(_INT64, []), "get_num_threads"
        )
        setter = cgutils.get_or_insert_function(
            module, ir.FunctionType(void, [int32]), "set_num_threads"
        )
        before = builder.call(getter, [])
        builder.call(setter, [builder.trunc(args[0], int32)])
        return builder.sext(builder.trunc(before, int32), _INT64)

    return types.int64(types.int64), codegen


@numba.extending.register_jitable
def cut(n, grain, part, parts):
    """First item of ``part`` when ``n`` items are shared out in multiples of ``grain``."""
    part = np.int64(part)  # prange counts in uint64, which would turn the division into floats
    blocks = (n + grain - 1) // grain
    return min(n, blocks * part // parts * grain)


_PARALLEL_TWIN = """
def {name}(_parts, _grain, _items, _work, _state, {parameters}):
    began = try_enter(_state)
    if began:
        before = swap_thread_count(_parts)
        for _part in prange(_parts):
            _start = cut(_items, _grain, _part, _parts)
            _stop = cut(_items, _grain, _part + 1, _parts)
            body(_start, _stop, {parameters})
        swap_thread_count(before)
        leave(_state, began, _work)
    else:
        body(0, _items, {parameters})
"""


def _parallel_twin(body, name, parameters, cached):
    source = _PARALLEL_TWIN.format(name=name, parameters=", ".join(parameters))
    scope = {"try_enter": try_enter, "leave": leave, "swap_thread_count": swap_thread_count}
    scope |= {"prange": numba.prange, "cut": cut, "body": body, "__name__": __name__}
    exec(compile(source, f"<parallel twin of {name}>", "exec"), scope)
    return compile_function(scope[name], name, cached, parallel=True)


# ------------------------------------------------------------------ kernels


def kernel(function=None, *, grain=1, serial=False, on_error=None):
    """Compile a body ``f(start, stop, *arguments)`` into a launcher ``f(n, work, *arguments)``.

    grain      items that stay on one thread: 16 float32 are one cache line of output
    serial     never use threads (the work is small, or one pass depends on the one before)
    on_error   called as ``on_error(code, *arguments)`` when a serial body returns a non-zero
               code; it raises. Kernels themselves never raise.
    """
    if function is None:
        return lambda f: kernel(f, grain=grain, serial=serial, on_error=on_error)
    if on_error is not None and not serial:
        raise TypeError(f"kernel {function.__name__}: only a serial kernel can return an error")
    name = f"{function.__module__.rpartition('.')[2]}.{function.__name__.lstrip('_')}"
    parameters = list(inspect.signature(function).parameters)[2:]
    ours = function.__module__.startswith(_PACKAGE)
    run_serial = compile_function(function, name, cached=ours)
    run_parallel = None

    def launch(n, work, *arguments):
        if work < policy.threshold or serial:
            code = run_serial(0, n, *arguments)
            if code:
                on_error(code, *arguments)
            return
        launch_parallel(n, work, arguments)

    def launch_parallel(n, work, arguments):
        nonlocal run_parallel
        policy.start()
        parts = min(policy.threads, -(-n // grain))
        if work < policy.threshold or parts < 2:
            run_serial(0, n, *arguments)
            return
        if run_parallel is None:
            twin = f"{name.replace('.', '_')}_parallel"
            run_parallel = _parallel_twin(run_serial, twin, parameters, ours)
        run_parallel(parts, grain, n, float(work), STATE, *arguments)

    launch.__name__ = launch.__qualname__ = function.__name__
    launch.__doc__, launch.__module__ = function.__doc__, function.__module__
    launch.body = run_serial
    return launch


_scratch = threading.local()


def scratch(size, dtype):
    """A buffer of at least ``size`` elements, valid until the calling thread asks again."""
    buffers = _scratch.__dict__
    buffer = buffers.get(dtype)
    if buffer is None or buffer.size < size:
        buffer = buffers[dtype] = empty_aligned(max(size, 4096), dtype)
    return buffer


def empty_aligned(size, dtype, alignment=4096):
    """An uninitialised 1-d array that starts on a page: no vector straddles two cache lines."""
    dtype = np.dtype(dtype)
    raw = np.empty(size * dtype.itemsize + alignment, np.uint8)
    offset = -raw.ctypes.data % alignment
    return raw[offset : offset + size * dtype.itemsize].view(dtype)
