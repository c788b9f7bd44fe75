"""Images in vectors: elements of any type as floats, and pixels between pixels.

For these, a vector of places goes in, and one of values comes out.

The image stands in a frame of fill pixels, one before and two after in each direction, so that
every place, once clamped to the frame, can be read without a question. Places are in pixels of the
framed image, from 0 to its size less 2.
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic

from ._llvm import (
    INT32,
    INT64,
    Expr,
    call_llvm,
    constant,
    gather,
    lane_mask,
    masked_load,
    masked_store,
    splat_value,
    suffix,
    vector_of,
)
from ._simd import Vector

FRAME = 3  # pixels that a frame adds to a side's length


@intrinsic
def ramp(typing_context, x):
    """The vector (0, 1, 2, ...) of ``x``'s element type."""

    def codegen(context, builder, sig, args):
        kind = vector_of(x.dtype)
        return ir.Constant(kind, [float(lane) for lane in range(kind.count)])

    return Vector(x.dtype)(x), codegen


@intrinsic
def between(typing_context, framed, width, x, y):
    """Bilinear: each place's four neighbours, weighted by how near they are."""

    def codegen(context, builder, sig, args):
        data = _data(context, builder, sig, args)
        x, y = (Expr(builder, value) for value in args[2:])
        column, row = (_truncated(builder, value) for value in (x, y))
        at = _index(builder, row, column, args[1])
        x, y = x - _as_float(builder, column, x), y - _as_float(builder, row, y)
        a, b = _pairs(builder, data, at, x.value.type)
        c, d = _pairs(builder, builder.gep(data, [args[1]]), at, x.value.type)
        above, below = a + x * (b - a), c + x * (d - c)
        return (above + y * (below - above)).value

    return x(framed, types.int64, x, x), codegen


@intrinsic
def nearest(typing_context, framed, width, x, y):
    """The pixel that is nearest to each place; of two, the later one."""

    def codegen(context, builder, sig, args):
        data = _data(context, builder, sig, args)
        x, y = (Expr(builder, value) + 0.5 for value in args[2:])
        at = _index(builder, _truncated(builder, y), _truncated(builder, x), args[1])
        return _gather(builder, data, at, x.value.type)

    return x(framed, types.int64, x, x), codegen


@intrinsic
def load_as(typing_context, x, index, count, like):
    """``x[index : index + count]`` in the first lanes, in the float type of the array ``like``."""

    def codegen(context, builder, sig, args):
        place = builder.gep(_data(context, builder, sig, args), [args[1]])
        kind = vector_of(like.dtype)
        return _load(builder, x.dtype, place, lane_mask(builder, args[2], kind), kind)

    return Vector(like.dtype)(x, types.int64, types.int64, like), codegen


@intrinsic
def load_back(typing_context, x, index, count, like):
    """``x[index], x[index - 1], ...`` in the first ``count`` lanes, as ``load_as``."""

    def codegen(context, builder, sig, args):
        kind = vector_of(like.dtype)
        first = builder.sub(args[1], INT64(kind.count - 1))
        place = builder.gep(_data(context, builder, sig, args), [first])
        unused = lane_mask(builder, builder.sub(INT64(kind.count), args[2]), kind)
        vector = _load(builder, x.dtype, place, builder.not_(unused), kind)
        return builder.shuffle_vector(vector, vector, _lanes(range(kind.count - 1, -1, -1)))

    return Vector(like.dtype)(x, types.int64, types.int64, like), codegen


@intrinsic
def store_rounded(typing_context, x, index, count, value):
    """``x[index : index + count] =`` the first lanes of ``value``, rounded where x has bytes."""

    def codegen(context, builder, sig, args):
        place = builder.gep(_data(context, builder, sig, args), [args[1]])
        mask = lane_mask(builder, args[2], args[3].type)
        if isinstance(x.dtype, types.Float):
            masked_store(builder, args[3], place, mask)
        else:
            count = args[3].type.count
            whole = _truncated(builder, Expr(builder, args[3]) + 0.5)
            whole = builder.trunc(whole, ir.VectorType(ir.IntType(8), count))
            name = f"llvm.masked.store.v{count}i8.p0"
            call_llvm(builder, name, ir.VoidType(), whole, place, INT32(1), mask)
        return context.get_dummy_value()

    return types.void(x, types.int64, types.int64, value), codegen


@intrinsic
def gather_inside(typing_context, x, start, places, index):
    """``x[start + places[index + lane]]`` in every lane, 0 where that place is negative."""

    def codegen(context, builder, sig, args):
        kind = vector_of(x.dtype)
        data = builder.gep(_data(context, builder, sig, args), [args[1]])
        table = context.make_array(sig.args[2])(context, builder, args[2]).data
        wide = ir.VectorType(INT64, kind.count)
        first = builder.gep(table, [args[3]])
        at = builder.load(builder.bitcast(first, wide.as_pointer()), align=8)
        inside = builder.icmp_signed(">=", at, constant(wide, 0))
        size = 4 if suffix(kind.element) == "f32" else 8
        return gather(builder, data, at, kind, size, inside, constant(kind, 0.0))

    return Vector(x.dtype)(x, types.int64, places, types.int64), codegen


@intrinsic
def store_integers(typing_context, integers, index, value):
    """``integers[index : index + lanes] = value``, a vector of whole numbers."""

    def codegen(context, builder, sig, args):
        wide = ir.VectorType(INT64, args[2].type.count)
        place = builder.gep(_data(context, builder, sig, args), [args[1]])
        whole = builder.fptosi(args[2], wide)
        builder.store(whole, builder.bitcast(place, wide.as_pointer()), align=8)
        return context.get_dummy_value()

    return types.void(integers, types.int64, value), codegen


# ------------------------------------------------------------------ pieces


def _data(context, builder, sig, args):
    return context.make_array(sig.args[0])(context, builder, args[0]).data


def _load(builder, dtype, place, mask, kind):
    """The floats or bytes at ``place`` as floats, 0 where the mask is not set."""
    if isinstance(dtype, types.Float):
        return masked_load(builder, place, mask, constant(kind, 0.0))
    whole = ir.VectorType(ir.IntType(8), kind.count)
    name, nothing = f"llvm.masked.load.v{kind.count}i8.p0", ir.Constant(whole, None)
    return builder.uitofp(call_llvm(builder, name, whole, place, INT32(1), mask, nothing), kind)


def _truncated(builder, value):
    return builder.fptosi(value.value, ir.VectorType(INT32, value.value.type.count))


def _as_float(builder, integers, like):
    return Expr(builder, builder.sitofp(integers, like.value.type))


def _index(builder, row, column, width):
    width = splat_value(builder, builder.trunc(width, INT32), row.type)
    return builder.add(builder.mul(row, width), column)


def _gather(builder, data, at, kind):
    """``data[at]`` of elements of the vector type ``kind``."""
    size = 4 if suffix(kind.element) == "f32" else 8
    return gather(builder, data, at, kind, size)


def _pairs(builder, data, at, kind):
    """(``data[at]``, ``data[at + 1]``). Two floats are read as one word: half the reads."""
    if suffix(kind.element) != "f32":
        after = builder.gep(data, [INT64(1)])
        return tuple(Expr(builder, _gather(builder, place, at, kind)) for place in (data, after))
    half, halves = kind.count // 2, []
    words = ir.VectorType(INT64, half)
    for first in (0, half):
        part = builder.shuffle_vector(at, at, _lanes(range(first, first + half)))
        word = gather(builder, data, part, words, 4)
        halves.append(builder.bitcast(word, kind))
    picks = (_lanes(range(first, 2 * kind.count, 2)) for first in (0, 1))
    return tuple(Expr(builder, builder.shuffle_vector(*halves, pick)) for pick in picks)


def _lanes(positions):
    positions = list(positions)
    return ir.Constant(ir.VectorType(INT32, len(positions)), [INT32(lane) for lane in positions])
