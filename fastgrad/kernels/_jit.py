"""How kernels are launched: a body over a range of items, on one thread or shared out.

    @kernel(grain=16)
    def _scale(start, stop, x, factor, out):
        for i in range(start, stop):
            out[i] = x[i] * factor

    _scale(n, work, x, factor, out)     # n items, about `work` nanoseconds on one thread

What is compiled packs the arguments into a job and hands that to the pool (see ``_pool``), the
one door that all work goes through. The pool runs the body once on the whole range, or on parts
of it on several threads if the work is worth it. A kernel must give the same bits however its
range is cut: a launch that cannot have the threads (another has them) simply runs alone.
"""

import functools
import inspect
import threading

import numba
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, register_jitable

from . import _pool, _record
from ._compile import FLAGS, compile_function
from ._memory import aligned
from ._threads import CELLS, policy

_PACKAGE = __name__.rpartition(".")[0] + "."
_INT64 = ir.IntType(64)


@intrinsic
def share_out(typing_context, body, cells, n, grain, chunks, work, arguments):
    """Hand ``body(start, stop, *arguments)`` over ``n`` items to the pool; returns its error."""
    parameters = (types.int64, types.int64, *arguments.types)
    signature = body.get_call_type(typing_context, parameters, {})

    def codegen(context, builder, sig, values):
        _, cells, n, grain, chunks, work, packed = values
        compiled = body.dispatcher.overloads[signature.args]
        context.add_linking_libs([compiled.library])
        function = context.declare_function(builder.module, compiled.fndesc)
        job = _emit_job(context, builder, function, signature, packed.type)
        place = cgutils.alloca_once_value(builder, _borrowed(context, builder, arguments, packed))
        size = _INT64(context.get_abi_sizeof(packed.type))
        job, place = (builder.ptrtoint(pointer, _INT64) for pointer in (job, place))
        return _pool.emit_run(builder, cells, job, place, size, n, grain, chunks, work)

    integers = [types.int64] * 4
    return types.int64(body, *integers, types.float64, arguments), codegen


def _borrowed(context, builder, kinds, packed):
    """A tuple's arrays without their owners: threads would fight over the reference counts."""
    values = cgutils.unpack_tuple(builder, packed)
    for k, (kind, value) in enumerate(zip(kinds, values, strict=True)):
        if isinstance(kind, types.Array):
            array = context.make_array(kind)(context, builder, value)
            array.meminfo = cgutils.get_null_value(array.meminfo.type)
            array.parent = cgutils.get_null_value(array.parent.type)
            values[k] = array._getvalue()
        elif isinstance(kind, types.BaseTuple):
            values[k] = _borrowed(context, builder, kind, value)
    return context.make_tuple(builder, kinds, values)


def _emit_job(context, builder, function, signature, packed_type):
    """An LLVM function ``job(context, start, stop)`` that unpacks arguments and calls the body."""
    kind = ir.FunctionType(_INT64, [packed_type.as_pointer(), _INT64, _INT64])
    job = ir.Function(builder.module, kind, f"{function.name}.job")
    job.linkage = "internal"
    inner = ir.IRBuilder(job.append_basic_block())
    packed, start, stop = job.args
    values = cgutils.unpack_tuple(inner, inner.load(packed))
    _, code = context.call_conv.call_function(
        inner, function, signature.return_type, signature.args, [start, stop, *values]
    )
    inner.ret(code if isinstance(signature.return_type, types.Integer) else _INT64(0))
    return job


_ENTRY = """
def entry(_cells, {signature}):
{plan}    return share_out(body, _cells, _n, {grain}, {chunks}, _work, ({parameters},))
"""


def _entry_of(function, plan, counted, **numbers):
    """The function to compile for a kernel: it packs its arguments and goes to the pool."""
    parameters = ", ".join(list(inspect.signature(function).parameters)[2:])
    scope = {"share_out": share_out, "__name__": __name__}
    scope["body"] = numba.njit(**FLAGS, _nrt=counted, no_cpython_wrapper=True)(function)
    if plan is None:
        source = _ENTRY.format(
            signature=f"_n, _work, {parameters}", plan="", parameters=parameters, **numbers
        )
    else:
        scope["plan"] = register_jitable(plan)
        line = f"    _n, _work = plan({parameters})\n"
        source = _ENTRY.format(signature=parameters, plan=line, parameters=parameters, **numbers)
    exec(compile(source, f"<entry of {function.__name__}>", "exec"), scope)
    return scope["entry"]


def kernel(
    function=None, *, grain=1, chunks=8, plan=None, serial=False, on_error=None, counted=False
):
    """Compile a body ``f(start, stop, *arguments)`` into a launcher ``f(n, work, *arguments)``.

    grain      items that stay on one thread: 16 float32 are one cache line of output
    chunks     most parts that a thread's share is cut into, so that another can help out
    plan       compiled too, ``plan(*arguments)`` gives (n, work): then ``f(*arguments)`` launches
    serial     never use threads (the work is small, or one pass depends on the one before)
    on_error   called as ``on_error(code, *arguments)`` when a serial body returns a non-zero
               code; it raises. Kernels themselves never raise.
    counted    whether references to arrays are counted in the body, as slices and reshapes want;
               they cost a call each, in inner loops too, where a body calls what is not inlined
    """
    if function is None:
        return functools.partial(
            kernel, grain=grain, chunks=chunks, plan=plan, serial=serial, on_error=on_error,
            counted=counted,
        )  # fmt: skip
    if on_error is not None and not serial:
        raise TypeError(f"kernel {function.__name__}: only a serial kernel can return an error")
    name = f"{function.__module__.rpartition('.')[2]}.{function.__name__.lstrip('_')}"
    function.__qualname__ = function.__name__  # of its own, see ``named``
    entry = None

    def ready():  # made at the first launch: most programs use few kernels
        nonlocal entry
        source = _entry_of(function, plan, counted, grain=grain, chunks=0 if serial else chunks)
        entry = compile_function(source, name, function.__module__.startswith(_PACKAGE))
        return entry

    def launch(n, work, *arguments):
        if not policy.started:
            policy.start()
        code = (entry or ready())(CELLS, n, work + 0.0, *arguments)
        if code:  # what is being recorded hides its values
            plain = (np.asarray(x) if isinstance(x, np.ndarray) else x for x in arguments)
            on_error(code, *plain)
        if _record.recorder is not None:
            note(name, arguments, on_error)

    def launch_planned(*arguments):
        if not policy.started:
            policy.start()
        (entry or ready())(CELLS, *arguments)
        if _record.recorder is not None:
            note(name, arguments)

    return functools.wraps(function)(launch if plan is None else launch_planned)


def note(name, arguments, on_error=None):
    """Tell the recorder of this thread, if there is one, what was launched."""
    active = _record.recording()
    if active:
        active.note(name, arguments, on_error)


_scratch = threading.local()
_PAGE = 4096


def scratch(size, dtype):
    """A buffer of at least ``size`` elements, valid until the calling thread asks again."""
    if _record.recorder is not None and _record.recording():
        return _record.empty(max(size, 1), dtype)
    buffers = _scratch.__dict__
    buffer = buffers.get(dtype)
    if buffer is None or buffer.size < size:
        size = max(size, 4096)
        buffer = buffers[dtype] = aligned(size, dtype, size * np.dtype(dtype).itemsize, _PAGE)
    return buffer
