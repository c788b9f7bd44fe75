"""The loops of element-wise kernels, and the one entry that decides between one thread and several.

All loops have NumPy's C signature, ``loop(args, dims, steps, data)``: our own, made from a formula
on scalars, with explicit vectors and a masked tail, and NumPy's, which are borrowed. ``_entry``,
compiled once, is what NumPy calls for every one of them.
"""

import functools

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic, register_jitable

from . import _simd
from ._compile import compile_callback
from ._cpu import target
from ._llvm import call_llvm
from ._pool import ESCAPED, THRESHOLD, emit_run, is_recorded, peek, poke
from ._threads import policy

_INT64 = ir.IntType(64)
_BYTES = ir.IntType(8).as_pointer()
LOOP_SIGNATURE = types.void(
    types.CPointer(types.voidptr),
    types.CPointer(types.intp),
    types.CPointer(types.intp),
    types.voidptr,
)
# The record behind an entry's ``data``: what it must know of a loop.
ADDRESS, COST, OPERANDS, CELLS_AT, PART, DATA, RECORD_WORDS = range(7)
OURS = -1  # as DATA: a loop of ours, whose ``data`` says whether elements must go in order
COST_UNITS = 1024  # COST is nanoseconds per this many elements
GRAIN, CHUNKS = 64, 8  # elements: whole cache lines of any type; most chunks in a share


# ------------------------------------------------------------------ pieces of a loop


@intrinsic
def element(typing_context, pointer, offset, like):
    """The float at ``pointer + offset`` bytes, of the type of ``like``."""

    def codegen(context, builder, sig, args):
        kind = context.get_data_type(sig.return_type)
        place = builder.gep(args[0], [args[1]])
        return builder.load(builder.bitcast(place, kind.as_pointer()))

    return like(types.voidptr, types.intp, like), codegen


@intrinsic
def flag(typing_context, pointer, offset, like):
    """The bool at ``pointer + offset`` bytes, as 1.0 or 0.0 of the type of ``like``."""

    def codegen(context, builder, sig, args):
        byte = builder.load(builder.gep(args[0], [args[1]]))
        return builder.uitofp(byte, context.get_data_type(sig.return_type))

    return like(types.voidptr, types.intp, like), codegen


@intrinsic
def put(typing_context, pointer, offset, value):
    """Store the float ``value`` at ``pointer + offset`` bytes."""

    def codegen(context, builder, sig, args):
        place = builder.gep(args[0], [args[1]])
        builder.store(args[2], builder.bitcast(place, args[2].type.as_pointer()))
        return context.get_dummy_value()

    return types.void(types.voidptr, types.intp, value), codegen


@intrinsic
def address_of(typing_context, pointer):
    """A pointer as an integer."""

    def codegen(context, builder, sig, args):
        return builder.ptrtoint(args[0], _INT64)

    return types.int64(pointer), codegen


@intrinsic
def call_loop(typing_context, loop, operands, args, start, stop, steps, data):
    """Run the loop at an address on the elements from ``start`` to ``stop``."""

    def codegen(context, builder, sig, values):
        loop, operands, args, start, stop, steps, data = values
        args = builder.inttoptr(args, _BYTES.as_pointer())
        steps = builder.inttoptr(steps, _INT64.as_pointer())
        most = 8
        shifted = cgutils.alloca_once(builder, _BYTES, size=_INT64(most))
        size = cgutils.alloca_once_value(builder, builder.sub(stop, start))
        with cgutils.for_range(builder, operands) as each:
            step = builder.load(builder.gep(steps, [each.index]))
            base = builder.load(builder.gep(args, [each.index]))
            moved = builder.gep(base, [builder.mul(start, step)])
            builder.store(moved, builder.gep(shifted, [each.index]))
        kind = ir.FunctionType(ir.VoidType(), [shifted.type, size.type, size.type, _BYTES])
        function = builder.inttoptr(loop, kind.as_pointer())
        builder.call(function, [shifted, size, steps, builder.inttoptr(data, _BYTES)])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 7), codegen


@intrinsic
def share_loop(typing_context, cells, part, job, n, work):
    """Hand a loop over ``n`` elements to the pool; ``job`` is what ``part`` gets."""

    def codegen(context, builder, sig, values):
        cells, part, job, n, work = values
        place = builder.ptrtoint(cgutils.alloca_once_value(builder, job), _INT64)
        size = _INT64(context.get_abi_sizeof(job.type))
        shared = _INT64(GRAIN), _INT64(CHUNKS)
        emit_run(builder, cells, part, place, size, n, *shared, work)
        return context.get_dummy_value()

    integer = types.int64
    return types.void(integer, integer, job, integer, types.float64), codegen


@intrinsic
def stack_words(typing_context):
    """Address of eight words on the stack."""

    def codegen(context, builder, sig, args):
        return builder.ptrtoint(cgutils.alloca_once(builder, _INT64, size=_INT64(8)), _INT64)

    return types.int64(), codegen


@intrinsic
def save_flags(typing_context):
    """The floating-point status register."""

    def codegen(context, builder, sig, args):
        cell = cgutils.alloca_once(builder, _INT64)
        builder.store(_INT64(0), cell)
        if target()[0].startswith("x86_64"):
            place = builder.bitcast(cell, _BYTES)
            call_llvm(builder, "llvm.x86.sse.stmxcsr", ir.VoidType(), place)
            return builder.load(cell)
        if target()[0].startswith(("aarch64", "arm64")):
            return call_llvm(builder, "llvm.aarch64.get.fpsr", _INT64)
        return builder.load(cell)

    return types.int64(), codegen


@intrinsic
def restore_flags(typing_context, flags):
    """Set the floating-point status register to what ``save_flags`` returned."""

    def codegen(context, builder, sig, args):
        if target()[0].startswith("x86_64"):
            place = builder.bitcast(cgutils.alloca_once_value(builder, args[0]), _BYTES)
            call_llvm(builder, "llvm.x86.sse.ldmxcsr", ir.VoidType(), place)
        elif target()[0].startswith(("aarch64", "arm64")):
            call_llvm(builder, "llvm.aarch64.set.fpsr", ir.VoidType(), args[0])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


_LOOP = """
def loop(args, dims, steps, careful):
    n = dims[0]
    if not address_of(careful):
{fast_paths}
    for i in range(n):
        put(args[{out}], i * steps[{out}], formula({scalars}))
"""

_FAST_PATH = """
        if {condition}:
            {arrays}
            width = lanes(y)
            stop = n - width + 1
            for i in range(0, stop, width):
                store(y, i, formula({whole}))
            done = n // width * width
            if done < n:
                store_part(y, done, n - done, formula({part}))
            return
"""


def _mixes(inputs, numbers=0):
    """Which operands are arrays (a) and which numbers (s), in the mixes that have a fast path.

    numbers   how many operands, the last ones, are numbers in all of them
    """
    if numbers:
        return [mix + "s" * numbers for mix in _mixes(inputs - numbers)]
    mixes = ["a" * inputs] + ["a" * k + "s" + "a" * (inputs - k - 1) for k in range(inputs)]
    return mixes + (["ass"] if inputs == 3 else [])


def _loop_source(inputs, flags, numbers):
    """Source of a loop with ``inputs`` inputs: a fast path for each mix of arrays and numbers.

    flags     whether the first input is of bools, which the formula gets as 1.0 and 0.0
    numbers   how many of the last inputs are expected to be numbers
    """
    paths = []
    for mix in _mixes(inputs, numbers):
        if flags and mix[0] == "s":
            continue
        conditions = [f"steps[{inputs}] == itemsize"]
        arrays = [f"y = carray(args[{inputs}], (n,), dtype)"]
        whole, part = [], []
        for k, kind in enumerate(mix):
            if flags and k == 0:
                conditions.append("steps[0] == 1")
                arrays.append("x0 = carray(args[0], (n,), boolean)")
                whole.append("load_flags(x0, i, width, y)")
                part.append("load_flags(x0, done, n - done, y)")
            elif kind == "a":
                conditions.append(f"steps[{k}] == itemsize")
                arrays.append(f"x{k} = carray(args[{k}], (n,), dtype)")
                whole.append(f"load(x{k}, i)")
                part.append(f"load_part(x{k}, done, n - done, 1.0)")
            else:
                conditions.append(f"steps[{k}] == 0")
                arrays.append(f"s{k} = splat(y, element(args[{k}], 0, zero))")
                whole.append(f"s{k}")
                part.append(f"s{k}")
        paths.append(
            _FAST_PATH.format(
                condition=" and ".join(conditions),
                arrays="\n            ".join(arrays),
                whole=", ".join(whole),
                part=", ".join(part),
            )
        )
    scalars = [f"element(args[{k}], i * steps[{k}], zero)" for k in range(inputs)]
    if flags:
        scalars[0] = "flag(args[0], i * steps[0], zero)"
    return _LOOP.format(fast_paths="".join(paths), out=inputs, scalars=", ".join(scalars))


def compile_loop(name, formula, dtype, flags=False, numbers=0):
    """The loop of a formula on scalars, compiled for a float type."""
    inputs = formula.__code__.co_argcount
    scope = {
        name: getattr(_simd, name)
        for name in ("lanes", "load", "load_flags", "load_part", "store", "store_part", "splat")
    }
    scope |= {"carray": carray, "element": element, "put": put, "address_of": address_of}
    scope |= {"flag": flag, "boolean": np.bool_}
    scope |= {"formula": register_jitable(formula), "dtype": dtype.type}
    scope |= {"itemsize": dtype.itemsize, "zero": dtype.type(0), "__name__": __name__}
    exec(compile(_loop_source(inputs, flags, numbers), f"<loop of {name}>", "exec"), scope)
    return compile_callback(scope["loop"], LOOP_SIGNATURE, f"ufunc.{name}-{dtype.name}")


# ------------------------------------------------------------------ the shared entry


@register_jitable
def _sequential(args, steps, operands, n):
    """Whether elements must be done in order: a reduction, or an output that feeds later inputs.

    NumPy leaves these cases to the loop: those of reduce and accumulate, and an input that runs
    ahead of the output in the same memory. The very same elements in and out are no such case.
    """
    out = operands - 1
    step, target = steps[out], address_of(args[out])
    if step == 0:
        return True
    size = abs(step)
    first, last = min(target, target + (n - 1) * step), max(target, target + (n - 1) * step)
    for k in range(out):
        source, stride = address_of(args[k]), steps[k]
        if source == target and stride == step:
            continue
        begin = min(source, source + (n - 1) * stride)
        end = max(source, source + (n - 1) * stride)
        if begin < last + size and first < end + size:
            return True
    return False


def _entry(args, dims, steps, data):
    """The C loop of every ufunc; ``data`` is the record of what it is to run."""
    flags = save_flags()
    record = carray(data, (RECORD_WORDS,), np.int64)
    loop, operands, n = record[ADDRESS], record[OPERANDS], dims[0]
    cells, cost = record[CELLS_AT], record[COST]
    args_at, steps_at = address_of(args), address_of(steps)
    in_order = _sequential(args, steps, operands, n)
    passed = record[DATA]
    if passed == OURS:
        passed = int(in_order)
    if is_recorded(cells):
        poke(cells, ESCAPED, 1)  # a recording makes jobs of its own (see ``record_loop``)
    if in_order or n * cost < peek(cells, THRESHOLD) * COST_UNITS:
        call_loop(loop, operands, args_at, 0, n, steps_at, passed)
    else:
        job = (loop, operands, args_at, steps_at, passed)
        share_loop(cells, record[PART], job, n, n * cost / COST_UNITS)
    restore_flags(flags)


def _part(job, start, stop):
    """Elements ``start`` to ``stop`` of the job that ``_entry`` packed."""
    record = carray(job, (5,), np.int64)
    call_loop(record[0], record[1], record[2], start, stop, record[3], record[4])
    return 0


def _elements(job, start, stop):
    """Elements ``start`` to ``stop`` of a recorded loop over one axis; see ``record``."""
    at = address_of(job)
    loop, data, operands = peek(at, _JOB_LOOP), peek(at, _JOB_DATA), peek(at, _JOB_OPERANDS)
    bases = at + 8 * _JOB_BASES
    call_loop(loop, operands, bases, start, stop, bases + 8 * operands, data)
    return 0


def _rows(job, start, stop):
    """Rows ``start`` to ``stop`` of a recorded loop over several axes; see ``record``."""
    at, moved = address_of(job), stack_words()
    loop, data, operands = peek(at, _JOB_LOOP), peek(at, _JOB_DATA), peek(at, _JOB_OPERANDS)
    n, axes = peek(at, _JOB_INNER), peek(at, _JOB_AXES)
    steps = _JOB_BASES + operands
    sizes = steps + operands
    strides = sizes + axes
    for row in range(start, stop):
        for k in range(operands):
            poke(moved, k, peek(at, _JOB_BASES + k))
        rest = row
        for axis in range(axes - 1, -1, -1):
            size = peek(at, sizes + axis)
            i, rest = rest % size, rest // size
            for k in range(operands):
                step = peek(at, strides + axis * operands + k)
                poke(moved, k, peek(moved, k) + i * step)
        call_loop(loop, operands, moved, 0, n, at + 8 * steps, data)
    return 0


# The context of a recorded loop: these, then a base and an inner step of each operand, the sizes
# of the outer axes, and for each of them a step of each operand
_JOB_LOOP, _JOB_DATA, _JOB_OPERANDS, _JOB_INNER, _JOB_AXES, _JOB_BASES = range(6)

_PART_SIGNATURE = types.int64(types.voidptr, types.int64, types.int64)


@functools.cache
def shared_parts():
    """What all ufuncs share, compiled: the entry, and the job that it hands out."""
    policy.start()
    return (
        compile_callback(_entry, LOOP_SIGNATURE, "ufunc.entry"),
        compile_callback(_part, _PART_SIGNATURE, "ufunc.part"),
    )


@functools.cache
def recorded_jobs():
    """The jobs of recorded loops, compiled: over one axis, and over several."""
    return (
        compile_callback(_elements, _PART_SIGNATURE, "ufunc.elements"),
        compile_callback(_rows, _PART_SIGNATURE, "ufunc.rows"),
    )
