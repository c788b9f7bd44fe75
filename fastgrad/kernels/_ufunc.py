"""Element-wise kernels as NumPy ufuncs on our threads.

A formula on scalars becomes a compiled loop, and the loop a ``numpy.ufunc``:

    @elementwise(cost=0.2)
    def sigmoid(x):
        return _simd.sigmoid(x)

NumPy then does what it does best, in C and in a quarter of a microsecond: broadcasting, strides,
types, the output's allocation, overlap. The loop does ours: explicit vectors with a masked tail,
our polynomials, and threads when the work is large. Unlike NumPy's own, it never warns about
overflow or NaN: it leaves the floating-point flags as it found them.

Where NumPy has vectorised a function itself, its own loop is borrowed, and gains the threads:

    @borrowed(np.sin, cost=0.6)
    def sin(x):
        "Sine."
"""

import ctypes
import functools
import math
from typing import ClassVar, NamedTuple

import numpy as np
from numba.core.compiler_lock import global_compiler_lock

from . import _loop, _record
from ._loop import compile_loop, recorded_jobs, shared_parts
from ._threads import CELLS, compiled

_FLOATS = (np.dtype(np.float32), np.dtype(np.float64))
_BOOL = np.dtype(np.bool_)
_KINDS = {np.dtype(char).num: np.dtype(char) for char in "?bBhHiIlLqQfd"}  # by NumPy's number

_alive = []  # whatever NumPy's ufuncs point to


class _Loop(NamedTuple):
    """A loop for one combination of types, inputs and output."""

    types: tuple
    address: int
    data: int = _loop.OURS


class Elementwise:
    """The declaration of an element-wise kernel; ``ufunc`` is what to call.

    formula   a function on scalars; of it, only the name, the number of arguments and the
              docstring count, where NumPy has loops for all types
    cost      nanoseconds per float32, or per element of a type that is borrowed
    numpy     the ufunc whose loops are borrowed for other types than the formula's, if any
    flags     whether the first argument is bool, 1.0 or 0.0 to the formula
    numbers   how many of the last arguments are expected to be numbers: arrays work, but slowly
    """

    all: ClassVar = []

    def __init__(self, formula, cost, numpy=None, flags=False, numbers=0, compiles=True):
        self.formula = formula
        self.cost = cost
        self.name = formula.__name__
        self.inputs = formula.__code__.co_argcount
        self.numpy, self.flags, self.numbers, self.compiles = numpy, flags, numbers, compiles
        self._ufunc = None
        self.all.append(self)

    @property
    def ufunc(self):
        """The ufunc; the first use compiles its loops, or loads them from the cache."""
        if self._ufunc is None:
            with global_compiler_lock:  # also what a fork waits for
                if self._ufunc is None:
                    self._ufunc = self._build()
        return self._ufunc

    def _find_loops(self):
        count = self.inputs + 1
        borrowed = _numpys_loops(self.numpy) if self.numpy else []
        if not self.compiles:
            return borrowed
        own = []
        for dtype in _FLOATS:
            loop = compile_loop(self.name, self.formula, dtype, self.flags, self.numbers)
            _alive.append(loop)
            types = (dtype,) * count
            own.append(_Loop((_BOOL, *types[1:]) if self.flags else types, loop.address))
        known = {loop.types for loop in own}
        return [*(loop for loop in borrowed if loop.types not in known), *own]

    def _build(self):
        entry, part = shared_parts()
        loops = self._find_loops()
        self._loops = {loop.types: loop for loop in loops}
        count, operands = len(loops), self.inputs + 1
        cost = max(1, round(self.cost * _loop.COST_UNITS))
        records = np.array(
            [[loop.address, cost, operands, CELLS, part.address, loop.data] for loop in loops],
            np.int64,
        )
        entries = (ctypes.c_void_p * count)(*[entry.address] * count)
        data = (ctypes.c_void_p * count)(*(row.ctypes.data for row in records))
        kinds = (ctypes.c_char * (count * operands))(
            *(dtype.num for loop in loops for dtype in loop.types)
        )
        name, doc = self.name.encode(), (self.formula.__doc__ or "").encode()
        _alive.append((records, entries, data, kinds, name, doc))
        no_identity = -1
        ufunc = _capi_make_ufunc()(
            ctypes.addressof(entries), ctypes.addressof(data), ctypes.addressof(kinds),
            count, self.inputs, 1, no_identity, name, doc, 0,
        )  # fmt: skip
        _record.ufuncs[ufunc] = self.record
        return ufunc

    # ---------------------------------------------------------------- in a recording

    def record(self, inputs, out=None):
        """The result on ``inputs``, computed by a job of its own, for a recording."""
        weak = [x if not isinstance(x, bool) else np.bool_(x) for x in inputs]
        given = [type(x) if type(x) in (int, float) else np.asarray(x).dtype for x in weak]
        types = self.ufunc.resolve_dtypes((*given, None))
        arrays = [x if isinstance(x, np.ndarray) else np.asarray(x) for x in inputs]
        arrays = [
            x if x.dtype == dtype else x.astype(dtype)
            for x, dtype in zip(arrays, types, strict=False)
        ]
        if out is not None and out.dtype != types[-1]:
            out[...] = self.record(arrays)
            return out
        if out is None:
            out = _record.empty(np.broadcast_shapes(*(x.shape for x in arrays)), types[-1])
        for k, x in enumerate(arrays):
            same = _record.address(x) == _record.address(out) and x.strides == out.strides
            if not same and np.may_share_memory(x, out):
                arrays[k] = x.view(_record.Recorded).copy()
        if out.size:
            self._launch([*arrays, out], self._loops[types])
        return out

    def _launch(self, arrays, loop):
        shape = arrays[-1].shape
        strides = [np.broadcast_to(x, shape).strides for x in arrays]
        *outer, (n, steps) = _merged_axes(shape, strides)
        context = [loop.address, max(loop.data, 0), len(arrays), n, len(outer)]
        context += [_record.address(x) for x in arrays] + steps
        context += [size for size, _ in outer] + [step for _, row in outer for step in row]
        context = np.array(context, np.int64)
        job = recorded_jobs()[1 if outer else 0].address
        items, grain = (math.prod(size for size, _ in outer), 1) if outer else (n, _loop.GRAIN)
        work = arrays[-1].size * self.cost * arrays[-1].itemsize / 4
        compiled("run").ctypes(
            CELLS, job, context.ctypes.data, context.nbytes, items, grain, _loop.CHUNKS, work
        )
        _record.recorder.note(self.name, arrays)


def elementwise(*, cost, numpy=None, flags=False, numbers=0):
    """Declare an element-wise kernel by its formula; see ``Elementwise``."""
    return lambda formula: Elementwise(formula, cost, numpy, flags, numbers)


def borrowed(numpy, *, cost):
    """Declare an element-wise kernel that runs the loops of a ufunc of NumPy."""
    return lambda named: Elementwise(named, cost, numpy, compiles=False)


# ------------------------------------------------------------------ NumPy's own objects


@functools.cache
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


class _UfuncHead(ctypes.Structure):
    """The beginning of NumPy's C struct ``PyUFuncObject``, as its public header gives it."""

    _fields_ = (
        ("object", ctypes.c_byte * object.__basicsize__),
        ("nin", ctypes.c_int),
        ("nout", ctypes.c_int),
        ("nargs", ctypes.c_int),
        ("identity", ctypes.c_int),
        ("functions", ctypes.POINTER(ctypes.c_void_p)),
        ("data", ctypes.POINTER(ctypes.c_void_p)),
        ("ntypes", ctypes.c_int),
        ("reserved", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("types", ctypes.POINTER(ctypes.c_ubyte)),
    )


def _numpys_loops(ufunc):
    """The loops of one of NumPy's ufuncs for the types that tensors have, in NumPy's order."""
    head = _UfuncHead.from_address(id(ufunc))
    seen = head.nin, head.nout, head.ntypes, head.name
    if seen != (ufunc.nin, 1, ufunc.ntypes, ufunc.__name__.encode()):
        raise ImportError("NumPy's ufuncs are laid out in an unknown way")
    loops = {}
    for k in range(head.ntypes):
        numbers = [head.types[k * head.nargs + i] for i in range(head.nargs)]
        if _KINDS.keys() >= set(numbers):
            types = tuple(_KINDS[number] for number in numbers)
            data = head.data[k] if head.data else None
            # of several loops for the same types, NumPy takes the first
            loops.setdefault(types, _Loop(types, head.functions[k], data or 0))
    return list(loops.values())


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
