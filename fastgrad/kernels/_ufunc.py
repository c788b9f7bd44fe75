"""Element-wise kernels as NumPy ufuncs whose inner loops are ours.

A formula on scalars becomes a compiled loop, and the loop a ``numpy.ufunc``:

    @elementwise(cost=0.2)
    def sigmoid(x):
        return _simd.sigmoid(x)

NumPy then does what it does best, in C and in a quarter of a microsecond: broadcasting, strides,
types, the output's allocation, overlap. The loop does ours: explicit vectors with a masked tail,
our polynomials, and threads when the work is large. Unlike NumPy's own, it never warns about
overflow or NaN: it leaves the floating-point flags as it found them.

All loops share one C signature, ``loop(args, dims, steps, data)``, so one ``entry`` compiled
once decides between one thread and several for all of them.
"""

import ctypes
import functools
import math

import numpy as np
from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.core.compiler_lock import global_compiler_lock
from numba.extending import intrinsic, register_jitable

from . import _record, _simd
from ._compile import compile_callback
from ._cpu import target
from ._llvm import call_llvm
from ._pool import ESCAPED, THRESHOLD, emit_run, is_recorded, peek, poke
from ._threads import CELLS, compiled, policy

_INT64 = ir.IntType(64)
_BYTES = ir.IntType(8).as_pointer()
LOOP_SIGNATURE = types.void(
    types.CPointer(types.voidptr),
    types.CPointer(types.intp),
    types.CPointer(types.intp),
    types.voidptr,
)
_DTYPES = (np.dtype(np.float32), np.dtype(np.float64))

# The record behind a loop's ``data``: what the shared entry must know of it.
ADDRESS, COST, OPERANDS, CELLS_AT, PART = range(5)
_COST_UNITS = 1024  # COST is nanoseconds per this many elements
_GRAIN, _CHUNKS = 64, 8  # elements: whole cache lines of any type; most chunks in a share


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
def call_loop(typing_context, loop, operands, args, start, stop, steps, careful):
    """Run the loop at an address on the elements from ``start`` to ``stop``."""

    def codegen(context, builder, sig, values):
        loop, operands, args, start, stop, steps, careful = values
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
        flag = builder.inttoptr(builder.zext(careful, _INT64), _BYTES)
        builder.call(function, [shifted, size, steps, flag])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 6, types.boolean), codegen


@intrinsic
def share_loop(typing_context, cells, part, job, n, work):
    """Hand a loop over ``n`` elements to the pool; ``job`` is what ``part`` gets."""

    def codegen(context, builder, sig, values):
        cells, part, job, n, work = values
        place = builder.ptrtoint(cgutils.alloca_once_value(builder, job), _INT64)
        size = _INT64(context.get_abi_sizeof(job.type))
        shared = _INT64(_GRAIN), _INT64(_CHUNKS)
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


def _loop_source(inputs):
    """Source of a loop with ``inputs`` inputs: a fast path for each mix of arrays and scalars.

    One input may be a scalar (step 0), the others are arrays.
    """
    mixes = ["a" * inputs] + ["a" * k + "s" + "a" * (inputs - k - 1) for k in range(inputs)]
    paths = []
    for mix in mixes:
        conditions = [f"steps[{inputs}] == itemsize"]
        arrays = [f"y = carray(args[{inputs}], (n,), dtype)"]
        whole, part = [], []
        for k, kind in enumerate(mix):
            if kind == "a":
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
    scalars = ", ".join(f"element(args[{k}], i * steps[{k}], zero)" for k in range(inputs))
    return _LOOP.format(fast_paths="".join(paths), out=inputs, scalars=scalars)


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
    record = carray(data, (5,), np.int64)
    loop, operands, n = record[ADDRESS], record[OPERANDS], dims[0]
    cells, cost = record[CELLS_AT], record[COST]
    args_at, steps_at = address_of(args), address_of(steps)
    if is_recorded(cells):
        poke(cells, ESCAPED, 1)  # a recording makes jobs of its own (see ``record_loop``)
    if _sequential(args, steps, operands, n):
        call_loop(loop, operands, args_at, 0, n, steps_at, True)
    elif n * cost < peek(cells, THRESHOLD) * _COST_UNITS:
        call_loop(loop, operands, args_at, 0, n, steps_at, False)
    else:
        job = (loop, operands, args_at, steps_at)
        share_loop(cells, record[PART], job, n, n * cost / _COST_UNITS)
    restore_flags(flags)


def _part(job, start, stop):
    """Elements ``start`` to ``stop`` of the job that ``_entry`` packed."""
    record = carray(job, (4,), np.int64)
    call_loop(record[0], record[1], record[2], start, stop, record[3], False)
    return 0


def _elements(job, start, stop):
    """Elements ``start`` to ``stop`` of a recorded loop over one axis; see ``record``."""
    at = address_of(job)
    loop, operands = peek(at, _JOB_LOOP), peek(at, _JOB_OPERANDS)
    bases = at + 8 * _JOB_BASES
    call_loop(loop, operands, bases, start, stop, bases + 8 * operands, False)
    return 0


def _rows(job, start, stop):
    """Rows ``start`` to ``stop`` of a recorded loop over several axes; see ``record``."""
    at, moved = address_of(job), stack_words()
    loop, operands, n, axes = (
        peek(at, _JOB_LOOP),
        peek(at, _JOB_OPERANDS),
        peek(at, _JOB_INNER),
        peek(at, _JOB_AXES),
    )
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
        call_loop(loop, operands, moved, 0, n, at + 8 * steps, False)
    return 0


# The context of a recorded loop: these, then a base and an inner step of each operand, the sizes
# of the outer axes, and for each of them a step of each operand
_JOB_LOOP, _JOB_OPERANDS, _JOB_INNER, _JOB_AXES, _JOB_BASES = range(5)

_PART_SIGNATURE = types.int64(types.voidptr, types.int64, types.int64)


# ------------------------------------------------------------------ ufuncs

_alive = []  # whatever NumPy's ufuncs point to


@functools.cache
def _shared_parts():
    """What all ufuncs share, compiled: the entry, and the job that it hands out."""
    policy.start()
    return (
        compile_callback(_entry, LOOP_SIGNATURE, "ufunc.entry"),
        compile_callback(_part, _PART_SIGNATURE, "ufunc.part"),
    )


@functools.cache
def _recorded_jobs():
    """The jobs of recorded loops, compiled: over one axis, and over several."""
    return (
        compile_callback(_elements, _PART_SIGNATURE, "ufunc.elements"),
        compile_callback(_rows, _PART_SIGNATURE, "ufunc.rows"),
    )


def _merged_axes(shape, strides):
    """The fewest (size, steps of all operands) axes, inner ones last, that visit the same."""
    axes = []
    for size, *steps in zip(shape, *strides, strict=True):
        if size == 1:
            continue
        if axes and all(a == size * b for a, b in zip(axes[-1][1], steps, strict=True)):
            axes[-1] = (axes[-1][0] * size, steps)
        else:
            axes.append((size, steps))
    return axes or [(1, [0] * len(strides))]


def _capi_make_ufunc():
    """NumPy's C function ``PyUFunc_FromFuncAndData``: slot 1 of its stable ufunc C API."""
    get_pointer = ctypes.pythonapi.PyCapsule_GetPointer
    get_pointer.restype, get_pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    capsule = np._core._multiarray_umath._UFUNC_API
    table = ctypes.cast(get_pointer(capsule, None), ctypes.POINTER(ctypes.c_void_p))
    pointer, number = ctypes.c_void_p, ctypes.c_int
    arguments = [pointer, pointer, pointer, number, number, number, number]
    arguments += [ctypes.c_char_p, ctypes.c_char_p, number]
    return ctypes.PYFUNCTYPE(ctypes.py_object, *arguments)(table[1])


class Elementwise:
    """The declaration of an element-wise kernel; ``ufunc`` is what to call."""

    def __init__(self, formula, cost):
        self.formula = formula
        self.cost = cost
        self.name = formula.__name__
        self.inputs = formula.__code__.co_argcount
        self._ufunc = None

    def _compile(self, dtype):
        scope = {
            name: getattr(_simd, name)
            for name in ("lanes", "load", "load_part", "store", "store_part", "splat")
        }
        scope |= {"carray": carray, "element": element, "put": put, "address_of": address_of}
        scope |= {"formula": register_jitable(self.formula), "dtype": dtype.type}
        scope |= {"itemsize": dtype.itemsize, "zero": dtype.type(0), "__name__": __name__}
        exec(compile(_loop_source(self.inputs), f"<loop of {self.name}>", "exec"), scope)
        return compile_callback(scope["loop"], LOOP_SIGNATURE, f"ufunc.{self.name}-{dtype.name}")

    @property
    def ufunc(self):
        """The ufunc; the first use compiles its loops, or loads them from the cache."""
        if self._ufunc is None:
            with global_compiler_lock:  # also what a fork waits for
                if self._ufunc is None:
                    self._ufunc = self._build()
        return self._ufunc

    def record(self, inputs, out=None):
        """The result on ``inputs``, computed by a job of its own, for a recording."""
        self.ufunc  # noqa: B018 - compiles the loops
        arrays = [x if isinstance(x, np.ndarray) else np.asarray(x) for x in inputs]
        numbers = [x for x, given in zip(arrays, inputs, strict=True) if given is not x]
        dtype = np.result_type(*(x for x in arrays if all(x is not y for y in numbers)))
        if dtype not in self._loops:
            raise TypeError(f"{self.name}: no loop for {dtype}")
        arrays = [x if x.dtype == dtype else x.astype(dtype) for x in arrays]
        if out is None:
            out = _record.empty(np.broadcast_shapes(*(x.shape for x in arrays)), dtype)
        for k, x in enumerate(arrays):
            same = _record.address(x) == _record.address(out) and x.strides == out.strides
            if not same and np.may_share_memory(x, out):
                arrays[k] = x.view(_record.Recorded).copy()
        if out.size:
            self._launch([*arrays, out], dtype)
        return out

    def _launch(self, arrays, dtype):
        shape = arrays[-1].shape
        strides = [np.broadcast_to(x, shape).strides for x in arrays]
        *outer, (n, steps) = _merged_axes(shape, strides)
        context = [self._loops[dtype], len(arrays), n, len(outer)]
        context += [_record.address(x) for x in arrays] + steps
        context += [size for size, _ in outer] + [step for _, row in outer for step in row]
        context = np.array(context, np.int64)
        job = _recorded_jobs()[1 if outer else 0].address
        items, grain = (math.prod(size for size, _ in outer), 1) if outer else (n, _GRAIN)
        work = arrays[-1].size * self.cost * dtype.itemsize / 4
        compiled("run").ctypes(
            CELLS, job, context.ctypes.data, context.nbytes, items, grain, _CHUNKS, work
        )
        _record.recorder.note(self.name, arrays)

    def _build(self):
        entry, part = _shared_parts()
        loops = [self._compile(dtype) for dtype in _DTYPES]
        self._loops = {dtype: loop.address for dtype, loop in zip(_DTYPES, loops, strict=True)}
        operands = self.inputs + 1
        cost = max(1, round(self.cost * _COST_UNITS))
        records = np.array(
            [[loop.address, cost, operands, CELLS, part.address] for loop in loops], np.int64
        )
        count = len(_DTYPES)
        entries = (ctypes.c_void_p * count)(*[entry.address] * count)
        data = (ctypes.c_void_p * count)(*(row.ctypes.data for row in records))
        kinds = (ctypes.c_char * (count * operands))(
            *(dtype.num for dtype in _DTYPES for _ in range(operands))
        )
        name, doc = self.name.encode(), (self.formula.__doc__ or "").encode()
        _alive.append((loops, records, entries, data, kinds, name, doc))
        no_identity = -1
        ufunc = _capi_make_ufunc()(
            ctypes.addressof(entries), ctypes.addressof(data), ctypes.addressof(kinds),
            count, self.inputs, 1, no_identity, name, doc, 0,
        )  # fmt: skip
        _record.ufuncs[ufunc] = self.record
        return ufunc


def elementwise(*, cost):
    """Declare an element-wise kernel by its formula; ``cost`` is nanoseconds per float32."""
    return lambda formula: Elementwise(formula, cost)
