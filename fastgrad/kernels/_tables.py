"""Many arrays in one launch: a table of where they are.

Row by row: the number of an array's first block, its size, and for each column of arrays the
address of the first element. A job's items are blocks of ``BLOCK`` elements, array after array:

    at, block = 0, start
    while block < stop:
        at, first, last, block = piece(table, at, block, stop)
        x = array_at(table[ADDRESS, at], table[SIZE, at], like)
        ...                                      # elements first to last of x
"""

import ctypes
from itertools import chain

import numpy as np
from numba.core import types
from numba.extending import intrinsic, register_jitable
from numba.np.arrayobj import populate_array

from . import _record
from ._compile import compile_function
from ._pool import peek

FIRST, SIZE, ADDRESS = range(3)
BLOCK = 1024  # elements

# Where a NumPy array keeps what it is, in words of its C struct (``PyArrayObject_fields``): asking
# for an address in Python takes ten times as long as all the rest of a small update.
_HEAD = object.__basicsize__ // 8
_DATA, _NDIM, _SHAPE, _TYPE, _FLAGS = (_HEAD + k for k in (0, 1, 2, 5, 6))
_PLAIN = 0x1 | 0x100 | 0x400  # C-contiguous, aligned, writable


def _check_layout():
    sample = np.zeros((2, 3))
    words = (ctypes.c_int64 * (_FLAGS + 1)).from_address(id(sample))
    seen = words[_DATA], words[_NDIM] & 0xFFFFFFFF, words[_TYPE], words[_FLAGS] & _PLAIN
    if seen != (sample.ctypes.data, 2, id(sample.dtype), _PLAIN):
        raise ImportError("NumPy's arrays are laid out in an unknown way")


_check_layout()


def _resolve(table, alike):
    """Replace a table's ids by addresses, and fill in the rest of it.

    Returns (blocks, elements), or (-1, number of the array) for one that is not plain, or that is
    in one of the first ``alike`` columns and has not the type of the very first array, or not the
    size of that in the first column.
    """
    columns, count = table.shape[0] - ADDRESS, table.shape[1]
    blocks = elements = 0
    dtype = peek(table[ADDRESS, 0], _TYPE)
    for at in range(count):
        for column in range(columns):
            array = table[ADDRESS + column, at]
            shape, size = peek(array, _SHAPE), 1
            for axis in range(peek(array, _NDIM) & 0xFFFFFFFF):
                size *= peek(shape, axis)
            if column == 0:
                table[FIRST, at], table[SIZE, at] = blocks, size
                blocks += (size + BLOCK - 1) // BLOCK
                elements += size
            same = peek(array, _TYPE) == dtype and size == table[SIZE, at]
            if not (same or column >= alike) or peek(array, _FLAGS) & _PLAIN != _PLAIN:
                return -1, column * count + at
            table[ADDRESS + column, at] = peek(array, _DATA)
    return blocks, elements


_resolve = compile_function(_resolve, "tables.resolve")
_ARRAYS = {np.ndarray, _record.Recorded}


def table_of(*columns, others=0):
    """(table, number of blocks, number of elements) of columns of arrays.

    Arrays with the same place in their column have the same type and size, but for the last
    ``others`` columns: those are of arrays (1,). All must be contiguous and writable.
    """
    alike = len(columns) - others
    arrays = list(chain.from_iterable(columns))
    if (
        not arrays
        or not _ARRAYS.issuperset(map(type, arrays))
        or len(arrays) != len(columns) * len(columns[0])
    ):
        raise TypeError("expected sequences of arrays, equally many in each, and at least one")
    table = np.empty((ADDRESS + len(columns), len(columns[0])), np.int64)
    table[ADDRESS:].flat = np.fromiter(map(id, arrays), np.int64, len(arrays))
    blocks, elements = _resolve(table, alike)
    if blocks < 0:
        usual = [[_of_usual_type(x) for x in column] for column in columns[:alike]]
        if any(a is not b for a, b in zip(chain.from_iterable(usual), arrays, strict=False)):
            return table_of(*usual, *columns[alike:], others=others)
        raise _misfit(arrays[elements], columns[0][elements % len(columns[0])])
    active = _record.recording()
    if active:
        active.tables[id(table)] = arrays
    return table, blocks, elements


def _of_usual_type(array):
    """``array`` with its type as the one object that NumPy has for it; unpickled ones differ."""
    usual = np.dtype(array.dtype.char)
    return array.view(usual) if array.dtype == usual and array.dtype is not usual else array


def _misfit(array, of):
    return ValueError(
        f"an array {array.dtype} {array.shape}, which goes with one {of.dtype} {of.shape}: it has "
        "another type or size, is strided, or cannot be written"
    )


@register_jitable
def piece(table, at, block, stop):
    """The array that holds ``block``, its elements from there to block ``stop``, the next block.

    ``at`` is the number of that array or of one before it.
    """
    while at + 1 < table.shape[1] and table[FIRST, at + 1] <= block:
        at += 1
    first = table[FIRST, at]
    last = min(table[SIZE, at], (stop - first) * BLOCK)
    return at, (block - first) * BLOCK, last, first + (last + BLOCK - 1) // BLOCK


@intrinsic
def array_at(typing_context, address, size, like):
    """The 1-d array of ``size`` elements at an address, of the type of the array ``like``."""
    kind = types.Array(like.dtype, 1, "C")

    def codegen(context, builder, sig, args):
        array = context.make_array(kind)(context, builder)
        itemsize = context.get_constant(types.intp, like.dtype.bitwidth // 8)
        data = builder.inttoptr(args[0], context.get_data_type(like.dtype).as_pointer())
        populate_array(array, data, [args[1]], [itemsize], itemsize, None)
        return array._getvalue()

    return kind(types.int64, types.int64, like), codegen


LIKE = {np.dtype(kind): np.zeros(1, kind) for kind in (np.float32, np.float64)}
"""An array of each type, to pass as ``like``."""
