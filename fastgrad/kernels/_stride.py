"""Vectors cut at both ends, or of scattered elements; every second element; lanes as bytes.

What windows over rows want beyond ``_simd``: only lanes from ``low`` to ``high`` exist, the others
are neither read nor written. An index may be outside the array where its lane does not exist.
"""

from llvmlite import ir
from numba.core import types
from numba.extending import intrinsic, register_jitable

from ._llvm import (
    INT32,
    INT64,
    gather,
    masked_load,
    masked_store,
    plain_load,
    splat_value,
    vector_of,
)
from ._simd import Vector, _pointer, lanes, prefetch, write, zeros

_BYTE = ir.IntType(8)
AHEAD = 1024  # elements: what will be read or written is asked for so much earlier


@register_jitable
def bits(low, high):
    """The bits ``low`` to ``high - 1`` of those from 0 to 32; none where there are none."""
    low, high = max(low, 0), max(min(high, 32), 0)
    return ((1 << high) - 1) & ~((1 << low) - 1)


def _mask(builder, chosen, count):
    """The lowest bits of an integer as lanes."""
    return builder.bitcast(
        builder.trunc(chosen, ir.IntType(count)), ir.VectorType(ir.IntType(1), count)
    )


@intrinsic
def load_bits(typing_context, x, index, chosen, others):
    """``x[index : index + lanes]`` in the lanes whose bits are set, ``others`` in the rest."""

    def codegen(context, builder, sig, args):
        array, index, chosen, others = args
        pointer = _pointer(context, builder, sig.args[0], array, index)
        return masked_load(builder, pointer, _mask(builder, chosen, others.type.count), others)

    return others(x, types.int64, types.int64, others), codegen


@intrinsic
def load_each(typing_context, x, base, table, at, chosen, others):
    """``x[base + table[at + lane]]`` in the lanes whose bits are set, ``others`` in the rest.

    ``table`` is of int32, and has all lanes.
    """

    def codegen(context, builder, sig, args):
        array, base, table, at, chosen, others = args
        kind = others.type
        index = _pointer(context, builder, sig.args[2], table, at)
        index = plain_load(builder, index, ir.VectorType(INT32, kind.count))
        data = _pointer(context, builder, sig.args[0], array, base)
        mask = _mask(builder, chosen, kind.count)
        return gather(builder, data, index, kind, x.dtype.bitwidth // 8, mask, others)

    return others(x, types.int64, table, types.int64, types.int64, others), codegen


@intrinsic
def larger_bits(typing_context, table, at, number, like):
    """The lanes of ``table[at : at + lanes]``, int32, that are larger than a number, as bits.

    There are as many lanes as of the array ``like``.
    """
    count = vector_of(like.dtype).count

    def codegen(context, builder, sig, args):
        table, at, number, _ = args
        place = _pointer(context, builder, sig.args[0], table, at)
        values = plain_load(builder, place, ir.VectorType(INT32, count))
        number = splat_value(builder, builder.trunc(number, INT32), values.type)
        hits = builder.icmp_signed(">", values, number)
        return builder.zext(builder.bitcast(hits, ir.IntType(count)), INT64)

    return types.int64(table, types.int64, types.int64, like), codegen


@intrinsic
def store_sums(typing_context, out, index, chosen, table, at, value):
    """``out[index + lane] = table[at + lane] + value[lane]`` where the bits are set.

    ``out`` is of int64, ``table`` of int32; ``value`` has whole numbers.
    """

    def codegen(context, builder, sig, args):
        array, index, chosen, table, at, value = args
        count = value.type.count
        whole = ir.VectorType(INT32, count)
        place = _pointer(context, builder, sig.args[3], table, at)
        total = builder.add(plain_load(builder, place, whole), builder.fptosi(value, whole))
        total = builder.sext(total, ir.VectorType(INT64, count))
        place = _pointer(context, builder, sig.args[0], array, index)
        masked_store(builder, total, place, _mask(builder, chosen, count))
        return context.get_dummy_value()

    return types.void(out, types.int64, types.int64, table, types.int64, value), codegen


@intrinsic
def store_bits(typing_context, x, index, chosen, value):
    """``x[index : index + lanes] = value`` in the lanes whose bits are set."""

    def codegen(context, builder, sig, args):
        array, index, chosen, value = args
        pointer = _pointer(context, builder, sig.args[0], array, index)
        masked_store(builder, value, pointer, _mask(builder, chosen, value.type.count))
        return context.get_dummy_value()

    return types.void(x, types.int64, types.int64, value), codegen


@register_jitable
def load_range(x, index, low, high, others):
    """``x[index : index + lanes]`` in lanes ``low`` to ``high``, ``others`` in the rest."""
    return load_bits(x, index, bits(low, high), others)


@register_jitable
def clear(x, at, count):
    """``x[at : at + count] = 0``, floats; what comes after them is asked for."""
    nothing = zeros(x)
    for i in range(at, at + count, lanes(x)):
        prefetch(x, i + AHEAD)
        write(x, i, min(lanes(x), at + count - i), nothing)


def _shuffle(pattern, name, text):
    """An intrinsic of two vectors: the lanes of both that ``pattern(lanes)`` names."""

    def declare(typing_context, a, b):
        def codegen(context, builder, sig, args):
            index = pattern(args[0].type.count)
            index = ir.Constant(ir.VectorType(INT32, len(index)), index)
            return builder.shuffle_vector(*args, index)

        return a(a, a), codegen

    declare.__name__ = declare.__qualname__ = name
    declare.__doc__ = text
    return intrinsic(declare)


evens = _shuffle(lambda n: [*range(0, 2 * n, 2)], "evens", "Lanes 0, 2, 4, ... of a, then of b.")
odds = _shuffle(lambda n: [*range(1, 2 * n, 2)], "odds", "Lanes 1, 3, 5, ... of a, then of b.")
first_pairs = _shuffle(
    lambda n: [k // 2 + k % 2 * n for k in range(n)], "first_pairs", "a0 b0 a1 b1 ..., one vector."
)
last_pairs = _shuffle(
    lambda n: [(k + n) // 2 + k % 2 * n for k in range(n)], "last_pairs", "What is left of both."
)


@intrinsic
def load_bytes(typing_context, x, index, like):
    """``x[index : index + lanes]``, bytes, as numbers of the type of the array ``like``."""
    kind = vector_of(like.dtype)

    def codegen(context, builder, sig, args):
        whole = ir.VectorType(_BYTE, kind.count)
        place = _pointer(context, builder, sig.args[0], *args[:2])
        place = builder.bitcast(place, whole.as_pointer())
        wide = builder.zext(builder.load(place, align=1), ir.VectorType(INT32, kind.count))
        return builder.sitofp(wide, kind)

    return Vector(like.dtype)(x, types.int64, like), codegen


@intrinsic
def store_bytes(typing_context, x, index, value):
    """``x[index : index + lanes] = value``, whole numbers from 0 to 255, as bytes."""

    def codegen(context, builder, sig, args):
        array, index, vector = args
        count = vector.type.count
        whole = builder.fptosi(vector, ir.VectorType(INT32, count))
        whole = builder.trunc(whole, ir.VectorType(_BYTE, count))
        place = _pointer(context, builder, sig.args[0], array, index)
        builder.store(whole, builder.bitcast(place, whole.type.as_pointer()), align=1)
        return context.get_dummy_value()

    return types.void(x, types.int64, value), codegen


@intrinsic
def if_larger(typing_context, a, b, yes, no):
    """``yes`` where ``a > b`` or a is NaN, else ``no``, for vectors."""

    def codegen(context, builder, sig, args):
        x, y, chosen, other = args
        nan = builder.fcmp_unordered("uno", x, x)
        larger = builder.or_(builder.fcmp_ordered(">", x, y), nan)
        return builder.select(larger, chosen, other)

    return a(a, a, a, a), codegen


@register_jitable(forceinline=True)
def larger_of(best, place, value, number):
    """(best, place) with ``value``, of place ``number``, where that is larger."""
    return if_larger(value, best, value, best), if_larger(value, best, number, place)


@intrinsic
def equal_bits(typing_context, value, number):
    """The lanes of ``value`` that equal a number, as bits."""

    def codegen(context, builder, sig, args):
        vector, number = args
        number = context.cast(builder, number, sig.args[1], value.dtype)
        hits = builder.fcmp_ordered("==", vector, splat_value(builder, number, vector.type))
        return builder.zext(builder.bitcast(hits, ir.IntType(vector.type.count)), INT64)

    return types.int64(value, number), codegen
