"""Recording: the jobs of one step, over arrays that stay where they are, to be run again.

While a ``Recorder`` is active in a thread, every job that goes through the pool's door is noted
with a copy of its context (see ``_pool``), and new arrays come from the recorder's arena. Their
type is ``Recorded``: what NumPy itself does to such an array is either a view, or noted too, or
refused with an ``Unrecordable``, so that nothing can go past the recording unseen.

The arena hands freed memory out again, as ``malloc`` would: an array of the recording lives as
long as it lived in the step that was recorded.
"""

import os
import threading

import numpy as np

from . import _memory, _pool
from ._threads import CELLS, cells, compiled, policy

_SLAB = 64 << 20  # bytes reserved at a time; pages that are not touched cost nothing
_SPACE = 8 << 20  # words for the records of a step, likewise

recorder = None
"""The active recorder, of whichever thread."""
_lock = threading.Lock()


def _forget():
    """In a forked child, no other thread records, whatever the parent's did."""
    global recorder, _lock
    recorder, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)

ufuncs = {}
"""What records a call ``(inputs, out)`` of each ufunc of our own."""


class Unrecordable(RuntimeError):
    """Something in a step that cannot be recorded."""


def recording():
    """The recorder of the calling thread, or None."""
    if recorder is not None and recorder.thread == threading.get_ident():
        return recorder
    return None


def empty(shape, dtype):
    """An array for a result; in a recording one of its arena."""
    if recorder is not None and recorder.thread == threading.get_ident():
        return recorder.arena.empty(shape, dtype)
    return _memory.empty(shape, dtype)


def contiguous(x):
    """``x`` in C order: itself, or a copy. (NumPy's own function would go past a recording.)"""
    return x if x.flags.c_contiguous else x.copy()


# ------------------------------------------------------------------ memory


class _Block:
    """A piece of an arena, free again when the last array on it is gone."""

    def __init__(self, arena, start, size):
        self.arena, self.start, self.size = arena, start, size
        self.__array_interface__ = {
            "data": (start, False), "shape": (size,), "typestr": "|u1", "version": 3,
        }  # fmt: skip

    def __del__(self):
        self.arena.release(self.start, self.size)


class Arena:
    """Memory for the arrays of a recording."""

    def __init__(self):
        self.slabs = []
        self.free = []  # (address, size), by address
        self.peak = self.used = 0

    def empty(self, shape, dtype):
        dtype = np.dtype(dtype)
        shape = (shape,) if isinstance(shape, int | np.integer) else tuple(shape)
        count = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
        size = max(1, -(-count // _memory.ALIGNMENT)) * _memory.ALIGNMENT
        block = np.asarray(_Block(self, self._take(size), size))
        return block[:count].view(dtype).reshape(shape).view(Recorded)

    def _take(self, size):
        self.used += size
        self.peak = max(self.peak, self.used)
        fits = [place for place in self.free if place[1] >= size]
        if not fits:
            slab = np.empty(max(_SLAB, size) + _memory.ALIGNMENT, np.uint8)
            self.slabs.append(slab)
            start = -(-slab.ctypes.data // _memory.ALIGNMENT) * _memory.ALIGNMENT
            fits = [(start, slab.ctypes.data + slab.size - start)]
            self.free = sorted([*self.free, *fits])
        start, room = min(fits, key=lambda place: place[1])
        self.free.remove((start, room))
        if room > size:
            self.free = sorted([*self.free, (start + size, room - size)])
        return start

    def release(self, start, size):
        self.used -= size
        merged = []
        for place in sorted([*self.free, (start, size)]):
            if merged and merged[-1][0] + merged[-1][1] == place[0]:
                merged[-1] = (merged[-1][0], merged[-1][1] + place[1])
            else:
                merged.append(place)
        self.free = merged

    def plain(self, array):
        """``array`` as an ordinary one; of an array of the arena, one that keeps no block."""
        if not isinstance(array, np.ndarray):
            return array
        place = address(array)
        for slab in self.slabs:
            offset = place - slab.ctypes.data
            if 0 <= offset < slab.size:
                return np.ndarray(array.shape, array.dtype, slab, offset, array.strides)
        return array.view(np.ndarray)


# ------------------------------------------------------------------ arrays


# What NumPy's functions of these names return is a view of the array, or a fact about it.
_VIEWS = {
    "broadcast_to", "expand_dims", "moveaxis", "ndim", "reshape", "shape", "size", "squeeze",
    "swapaxes", "transpose", "may_share_memory", "shares_memory", "result_type", "can_cast",
}  # fmt: skip


class Recorded(np.ndarray):
    """An array of a recording."""

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        record = ufuncs.get(ufunc)
        out = out[0] if isinstance(out, tuple) and len(out) == 1 else out
        if record is not None and method == "__call__" and not options:
            return record(inputs, out)
        if isinstance(out, tuple) or method == "at":
            raise Unrecordable(f"{ufunc.__name__}.{method} cannot be recorded")
        call = getattr(ufunc, method)
        return by_numpy(lambda *arrays, out: call(*arrays, out=out, **options), inputs, out)

    def __array_function__(self, function, types, args, kwargs):
        if function.__name__ not in _VIEWS:
            raise Unrecordable(
                f"numpy.{function.__name__} on a tensor's array cannot be recorded; use an "
                "operation of fastgrad"
            )
        return super().__array_function__(function, types, args, kwargs)

    def __getitem__(self, key):
        result = super().__getitem__(key)
        if not isinstance(result, np.ndarray):
            self._refused()
        if result.size and not np.may_share_memory(result, self):
            return by_numpy(
                lambda x, out: np.copyto(out, x[key]), [self], empty(result.shape, result.dtype)
            )
        return result

    def copy(self, order="C"):
        return by_numpy(_assign, [self], None)

    def astype(self, dtype, order="K", casting="unsafe", subok=True, copy=True):
        if not copy and self.dtype == dtype:
            return self
        return by_numpy(_assign, [self], empty(self.shape, dtype))

    def ravel(self, order="C"):
        return self.reshape(-1)

    def flatten(self, order="C"):
        return self.copy().reshape(-1)

    def reshape(self, *shape, order="C", copy=None):
        result = super().reshape(*shape)
        if self.size and not np.may_share_memory(result, self):
            return np.ndarray.reshape(self.copy(), *shape)
        return result

    def fill(self, value):
        self[...] = value

    def __setitem__(self, key, value):
        target = self[key] if not isinstance(key, np.ndarray | list) else None
        if not isinstance(target, np.ndarray):
            raise Unrecordable("assignment by an array of indices cannot be recorded")
        source = value if isinstance(value, np.ndarray) else np.asarray(value, target.dtype)
        by_numpy(_assign, [source], target)

    def _refused(self, *args, **kwargs):
        raise Unrecordable(
            "the value of a tensor is asked for (item, bool, float, numpy, ...): it differs from "
            "call to call, and what Python does with it cannot be recorded"
        )

    def _uncovered(self, *args, **kwargs):
        raise Unrecordable(
            "a method of NumPy's arrays that cannot be recorded is called on a tensor's array; "
            "use an operation of fastgrad"
        )

    item = tolist = tobytes = dump = tofile = _refused
    take = repeat = compress = choose = nonzero = dot = trace = round = cumsum = cumprod = (
        _uncovered
    )
    argmax = argmin = argsort = argpartition = searchsorted = sort = partition = _uncovered
    put = resize = byteswap = itemset = setfield = _uncovered
    __float__ = __int__ = __bool__ = __index__ = __complex__ = __iter__ = _refused


def _assign(source, *, out):
    np.copyto(out, source, casting="unsafe")


def by_numpy(function, inputs, out):
    """``function(*inputs, out=out)`` by NumPy, now and in every replay."""
    active = recording()
    if active is None:
        raise Unrecordable("an array of a recording is used outside of it")
    plain = [active.arena.plain(x) for x in inputs]
    if out is None:
        sample = plain[0] if function is _assign else function(*plain, out=None)
        out = empty(np.shape(sample), sample.dtype)
    target = active.arena.plain(out)
    function(*plain, out=target)
    sources = [active.source(x) for x in plain]
    active.add_step(lambda inputs: function(*(source(inputs) for source in sources), out=target))
    return out


def call_numpy(function, *arrays, **options):
    """``function(*arrays, **options)`` of NumPy, noted where a recording is on."""
    if recorder is None or recording() is None:
        return function(*arrays, **options)

    def run(*arrays, out):
        result = function(*arrays, **options)
        return result if out is None else np.copyto(out, result)

    return by_numpy(run, arrays, None)


def address(array):
    """Of an array's first element."""
    return array.__array_interface__["data"][0]


# ------------------------------------------------------------------ recorder and program


class Recorder:
    """A context in which this thread's jobs are recorded.

    inputs   arrays that will be others in a replay, of the same shapes and types
    """

    def __init__(self, inputs):
        self.inputs = inputs
        self.thread = threading.get_ident()
        self.arena = Arena()
        self.steps = []  # (byte range of records, number of the first), and functions
        self.launches = []  # (name, arguments, on_error) of each job
        self.tables = {}  # id of a table of addresses: the arrays
        self.space = np.empty(_SPACE, np.int64)
        self.began = self.counted = 0  # bytes and jobs before the present range

    def __enter__(self):
        global recorder
        _lock.acquire()
        if recorder is not None:
            _lock.release()
            raise RuntimeError("a recording is under way")
        recorder = self
        policy.start()
        start = self.space.ctypes.data
        cells[_pool.RECORD], cells[_pool.RECORD_END] = start, start + self.space.nbytes
        cells[_pool.FULL] = cells[_pool.ESCAPED] = 0
        cells[_pool.RECORDER] = compiled("thread").ctypes(CELLS)
        return self

    def __exit__(self, *exception):
        global recorder
        cells[_pool.RECORDER] = 0
        recorder = None
        self._end_range()
        full, escaped = cells[_pool.FULL], cells[_pool.ESCAPED]
        _lock.release()
        if exception[0] is None and full:
            raise Unrecordable("the step launches more kernels than a recording has space for")
        if exception[0] is None and escaped:
            raise Unrecordable("an operation on arrays went past the recording")

    def note(self, name, arguments, on_error=None):
        """What the job just recorded was."""
        arguments = [part for x in arguments for part in (x, *self.tables.get(id(x), ()))]
        sources = [self.source(self.arena.plain(x)) for x in arguments]
        self.launches.append((name, sources, on_error))

    def source(self, array):
        """A function from a replay's inputs to what ``array`` is in that replay."""
        if not isinstance(array, np.ndarray):
            return lambda inputs: array
        for number, whole in enumerate(self.inputs):
            offset = address(array) - address(whole)
            if 0 <= offset < max(1, whole.nbytes):
                shape, dtype, strides = array.shape, array.dtype, array.strides
                return lambda inputs: np.ndarray(shape, dtype, inputs[number], offset, strides)
        return lambda inputs: array

    def add_step(self, function):
        """A step ``function(inputs)`` that is not a job; called in its turn in every replay."""
        self._end_range()
        self.steps.append(function)

    def _end_range(self):
        now = int(cells[_pool.RECORD]) - self.space.ctypes.data
        if now > self.began:
            self.steps.append((self.began, now, self.counted))
            self.began, self.counted = now, len(self.launches)


class Program:
    """What a recorder recorded, ready to run on other inputs."""

    def __init__(self, recorder):
        self._words = recorder.space[: recorder.began // 8].copy()
        recorder.space = None
        self.launches, self.arena = recorder.launches, recorder.arena
        start = self._words.ctypes.data
        self._steps = [
            (start + step[0], start + step[1], step[2]) if isinstance(step, tuple) else step
            for step in recorder.steps
        ]
        self._moves = self._find_moves(recorder.inputs)
        self._addresses = np.zeros(max(1, len(recorder.inputs)), np.int64)
        self._run, self._move = compiled("replay").ctypes, compiled("move").ctypes
        self._moving = (self._moves.ctypes.data, len(self._moves), self._addresses.ctypes.data)

    def _find_moves(self, inputs):
        """(address of a word, input, offset) of every pointer into an input."""
        moves = []
        for number, array in enumerate(inputs):
            first = address(array)
            inside = (self._words >= first) & (self._words < first + max(1, array.nbytes))
            for word in np.flatnonzero(inside):
                place = self._words.ctypes.data + 8 * int(word)
                moves.append((place, number, int(self._words[word]) - first))
        return np.array(moves, np.int64).reshape(-1, 3)

    def __call__(self, inputs, watch=None):
        """Run on ``inputs``, plain arrays of the shapes and types of the recording's.

        watch   called as ``watch(name, arguments, run)`` for each job, if not None; runs it
        """
        for number, array in enumerate(inputs):
            self._addresses[number] = address(array)
        self._move(*self._moving)
        for step in self._steps:
            if type(step) is not tuple:
                step(inputs)
            elif watch is None:
                self._run_jobs(*step, inputs)
            else:
                self._watch_jobs(*step, inputs, watch)

    def _run_jobs(self, start, stop, number, inputs):
        code = self._run(CELLS, start, stop)
        if code:
            _, sources, on_error = self.launches[number + int(cells[_pool.FAILED])]
            on_error(code, *(source(inputs) for source in sources))

    def _watch_jobs(self, start, stop, number, inputs, watch):
        while start < stop:
            after = start + 8 * int(self._words[(start - self._words.ctypes.data) // 8])
            name, sources, _ = self.launches[number]
            arguments = [source(inputs) for source in sources]
            watch(name, arguments, lambda at=(start, after, number): self._run_jobs(*at, inputs))
            start, number = after, number + 1
