"""Vector building blocks for kernels: one 64-byte vector type and its arithmetic.

Numba leaves vectorisation to LLVM, which does not vectorise calls to ``exp`` or ordered float
reductions. A kernel that uses these blocks says what it wants instead:

    width = lanes(x)                        # 16 float32 or 8 float64, known at compile time
    total = zeros(x)
    for i in range(start, stop - width + 1, width):
        total += exp(load(x, i))

A vector has 64 bytes on every CPU: LLVM splits it where registers are narrower. Because lane
counts and the order of every reduction are written down here, and nothing is compiled with
``reassoc`` or ``contract``, a kernel gives the same bits however its range is cut into parts.

Indices are in elements, unchecked, and never negative.
"""

import operator

from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import PrimitiveModel, register_default
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin, register_jitable

from . import _math
from ._llvm import (
    INT1,
    INT32,
    INT64,
    VECTOR_BYTES,
    Expr,
    call_llvm,
    constant,
    lane_mask,
    masked_load,
    masked_store,
    plain_load,
    plain_store,
    splat_value,
    vector_of,
)


class Vector(types.Type):
    """Numba type of a 64-byte vector of float32 or float64."""

    def __init__(self, dtype):
        self.dtype = dtype
        self.lanes = VECTOR_BYTES * 8 // dtype.bitwidth
        super().__init__(name=f"Vector({dtype} x {self.lanes})")


@register_default(Vector)
class _VectorModel(PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, vector_of(fe_type.dtype))


# ------------------------------------------------------------------ on floats and vectors


def _unary(formula, name):
    """An intrinsic of one float or vector."""

    def declare(typing_context, x):
        if not isinstance(x, types.Float | Vector):
            return None

        def codegen(context, builder, sig, args):
            return formula(Expr(builder, args[0])).value

        return x(x), codegen

    declare.__name__ = declare.__qualname__ = name
    return intrinsic(declare)


absolute = _unary(Expr.abs, "absolute")
floor = _unary(Expr.floor, "floor")
rint = _unary(Expr.rint, "rint")
exp = _unary(_math.exp, "exp")
expm1 = _unary(_math.expm1, "expm1")
log = _unary(_math.log, "log")
softplus = _unary(_math.softplus, "softplus")
tanh = _unary(_math.tanh, "tanh")
sigmoid = _unary(_math.sigmoid, "sigmoid")
sqrt = _unary(_math.sqrt, "sqrt")
erf = _unary(_math.erf, "erf")
gelu_slope = _unary(_math.gelu_slope, "gelu_slope")


@intrinsic
def literal(typing_context, x, number):
    """``number`` in the type of ``x``, a float or vector.

    In Numba, as opposed to NumPy, ``x + 1.0`` would turn a float32 into a float64.
    """

    def codegen(context, builder, sig, args):
        element = x.dtype if isinstance(x, Vector) else x
        scalar = context.cast(builder, args[1], sig.args[1], element)
        return splat_value(builder, scalar, vector_of(element)) if x != element else scalar

    return x(x, number), codegen


@intrinsic
def maximum(typing_context, a, b):
    """The larger of two floats or vectors; NaN if either is NaN."""

    def codegen(context, builder, sig, args):
        return Expr(builder, args[0]).maximum(Expr(builder, args[1])).value

    return a(a, a), codegen


@intrinsic
def if_greater(typing_context, a, b, yes, no):
    """``yes`` where ``a > b``, else ``no`` (also where either is NaN), for floats or vectors."""

    def codegen(context, builder, sig, args):
        x, y, chosen, other = (Expr(builder, arg) for arg in args)
        return x.greater(y).select(chosen, other).value

    return a(a, a, a, a), codegen


@intrinsic
def if_at_most(typing_context, a, b, yes, no):
    """``yes`` where ``a <= b``, else ``no`` (also where either is NaN), for floats or vectors."""

    def codegen(context, builder, sig, args):
        x, y, chosen, other = (Expr(builder, arg) for arg in args)
        return x.at_most(y).select(chosen, other).value

    return a(a, a, a, a), codegen


@intrinsic
def if_equal(typing_context, a, b, yes, no):
    """``yes`` where ``a == b``, else ``no`` (also where either is NaN), for floats or vectors."""

    def codegen(context, builder, sig, args):
        x, y, chosen, other = (Expr(builder, arg) for arg in args)
        return x.equal(y).select(chosen, other).value

    return a(a, a, a, a), codegen


@intrinsic
def fma(typing_context, a, b, c):
    """``a * b + c`` rounded once, for floats or vectors."""

    def codegen(context, builder, sig, args):
        x, y, z = (Expr(builder, arg) for arg in args)
        return x.fma(y, z).value

    return a(a, a, a), codegen


# ------------------------------------------------------------------ vectors in kernels


def _pointer(context, builder, array_type, array, index):
    """Address of ``array[index]`` of a 1-d contiguous array, unchecked."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.gep(data, [index])


@intrinsic
def lanes(typing_context, x):
    """Number of elements of ``x``'s type in a vector: a compile-time constant."""

    def codegen(context, builder, sig, args):
        return ir.Constant(INT64, VECTOR_BYTES * 8 // x.dtype.bitwidth)

    return types.int64(x), codegen


@intrinsic
def load(typing_context, x, index):
    """``x[index : index + lanes]``."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1])
        return plain_load(builder, pointer, vector_of(x.dtype))

    return Vector(x.dtype)(x, types.int64), codegen


@intrinsic
def prefetch(typing_context, x, index):
    """Ask for the cache line of an element that will be read soon; it need not exist."""

    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        place = builder.bitcast(builder.gep(data, [args[1]]), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [place.type, INT32, INT32, INT32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [place, INT32(0), INT32(3), INT32(1)])
        return context.get_dummy_value()

    return types.void(x, types.int64), codegen


@intrinsic
def load_part(typing_context, x, index, count, fill):
    """``x[index : index + count]`` in the first lanes, ``fill`` in the others."""

    def codegen(context, builder, sig, args):
        array, index, count, fill = args
        kind = vector_of(x.dtype)
        fill = context.cast(builder, fill, sig.args[3], x.dtype)
        pointer = _pointer(context, builder, sig.args[0], array, index)
        mask = lane_mask(builder, count, kind)
        return masked_load(builder, pointer, mask, splat_value(builder, fill, kind))

    return Vector(x.dtype)(x, types.int64, types.int64, fill), codegen


@intrinsic
def load_splat(typing_context, x, index):
    """A vector with every lane ``x[index]``."""

    def codegen(context, builder, sig, args):
        number = builder.load(_pointer(context, builder, sig.args[0], args[0], args[1]))
        return splat_value(builder, number, vector_of(x.dtype))

    return Vector(x.dtype)(x, types.int64), codegen


@intrinsic
def element(typing_context, x, index):
    """``x[index]``; unlike indexing, it does not ask whether the index counts from the end."""

    def codegen(context, builder, sig, args):
        return builder.load(_pointer(context, builder, sig.args[0], args[0], args[1]))

    return x.dtype(x, types.int64), codegen


@intrinsic
def load_flags(typing_context, flags, index, count, like):
    """``count`` bools from ``index`` on as 1.0 and 0.0, in the element type of the array ``like``.

    Lanes from ``count`` on are zero.
    """
    kind = vector_of(like.dtype)

    def codegen(context, builder, sig, args):
        whole = ir.VectorType(ir.IntType(8), kind.count)
        place = _pointer(context, builder, sig.args[0], args[0], args[1])
        place = builder.bitcast(place, whole.as_pointer())
        mask, name = lane_mask(builder, args[2], kind), f"llvm.masked.load.v{kind.count}i8.p0"
        bits = call_llvm(builder, name, whole, place, INT32(1), mask, ir.Constant(whole, None))
        return builder.uitofp(bits, kind)

    return Vector(like.dtype)(flags, types.int64, types.int64, like), codegen


@intrinsic
def store(typing_context, x, index, value):
    """``x[index : index + lanes] = value``."""

    def codegen(context, builder, sig, args):
        plain_store(builder, args[2], _pointer(context, builder, sig.args[0], args[0], args[1]))
        return context.get_dummy_value()

    return types.void(x, types.int64, value), codegen


@intrinsic
def store_part(typing_context, x, index, count, value):
    """``x[index : index + count] =`` the first lanes of ``value``."""

    def codegen(context, builder, sig, args):
        array, index, count, vector = args
        pointer = _pointer(context, builder, sig.args[0], array, index)
        masked_store(builder, vector, pointer, lane_mask(builder, count, vector.type))
        return context.get_dummy_value()

    return types.void(x, types.int64, types.int64, value), codegen


@register_jitable
def read(x, at, count):
    """The vector of the ``count`` elements from ``at`` on, then zeros."""
    return load(x, at) if count == lanes(x) else load_part(x, at, count, 0.0)


@register_jitable
def write(x, at, count, value):
    """``x[at : at + count] =`` the first lanes of ``value``."""
    if count == lanes(x):
        store(x, at, value)
    else:
        store_part(x, at, count, value)


@intrinsic
def splat(typing_context, x, number):
    """A vector of ``x``'s element type with every lane ``number``."""

    def codegen(context, builder, sig, args):
        scalar = context.cast(builder, args[1], sig.args[1], x.dtype)
        return splat_value(builder, scalar, vector_of(x.dtype))

    return Vector(x.dtype)(x, number), codegen


@intrinsic
def zeros(typing_context, x):
    """A vector of zeros of ``x``'s element type."""

    def codegen(context, builder, sig, args):
        return constant(vector_of(x.dtype), 0.0)

    return Vector(x.dtype)(x), codegen


@intrinsic
def keep_first(typing_context, value, count):
    """``value`` with the lanes from ``count`` on set to zero."""

    def codegen(context, builder, sig, args):
        vector, count = args
        zero = constant(vector.type, 0.0)
        return builder.select(lane_mask(builder, count, vector.type), vector, zero)

    return value(value, types.int64), codegen


@intrinsic
def first_lane(typing_context, value, wanted):
    """The first lane of ``value`` that equals that of ``wanted``, or is NaN; else their number."""

    def codegen(context, builder, sig, args):
        vector, wanted = args
        equal = builder.fcmp_ordered("==", vector, wanted)
        hits = builder.or_(equal, builder.fcmp_unordered("uno", vector, vector))
        count = vector.type.count
        bits = builder.bitcast(hits, ir.IntType(count))
        wide = builder.or_(builder.zext(bits, INT64), INT64(1 << count))
        return call_llvm(builder, "llvm.cttz.i64", INT64, wide, INT1(0))

    return types.int64(value, value), codegen


@intrinsic
def turn_block(typing_context, x, x_at, x_row, y, y_at, y_row, height, width):
    """``y = xᵀ`` for a block of x with up to ``lanes`` rows and columns, in registers.

    ``x_at, y_at`` are the indices of the blocks' first elements, ``x_row, y_row`` the distances
    between their rows, ``height, width`` the size of the block in x.
    """

    def codegen(context, builder, sig, args):
        x_array, x_at, x_row, y_array, y_at, y_row, height, width = args
        kind = vector_of(x.dtype)
        source = _pointer(context, builder, sig.args[0], x_array, x_at)
        target = _pointer(context, builder, sig.args[3], y_array, y_at)
        zero, nothing = constant(kind, 0.0), INT64(0)

        def row_mask(i, rows, columns):
            used = builder.icmp_signed(">", rows, INT64(i))
            return lane_mask(builder, builder.select(used, columns, nothing), kind)

        rows = []
        for i in range(kind.count):
            place = builder.gep(source, [builder.mul(x_row, INT64(i))])
            rows.append(masked_load(builder, place, row_mask(i, height, width), zero))
        # Swap the off-diagonal quarters of ever larger squares.
        distance = 1
        while distance < kind.count:
            upper = [j + kind.count - distance if j & distance else j for j in range(kind.count)]
            lower = [j + kind.count if j & distance else j + distance for j in range(kind.count)]
            for i in range(kind.count):
                if not i & distance:
                    pair = rows[i], rows[i + distance]
                    for k, pattern in ((i, upper), (i + distance, lower)):
                        index = ir.Constant(ir.VectorType(INT32, kind.count), pattern)
                        rows[k] = builder.shuffle_vector(*pair, index)
            distance *= 2
        for i in range(kind.count):
            place = builder.gep(target, [builder.mul(y_row, INT64(i))])
            masked_store(builder, rows[i], place, row_mask(i, width, height))
        return context.get_dummy_value()

    index = types.int64
    return types.void(x, index, index, y, index, index, index, index), codegen


def _horizontal(combine, name):
    """An intrinsic that folds a vector's halves onto each other until one lane is left."""

    def declare(typing_context, value):
        def codegen(context, builder, sig, args):
            vector = args[0]
            count = vector.type.count
            while count > 1:
                half = count // 2
                undefined = ir.Constant(vector.type, ir.Undefined)

                def pick(first, half=half, vector=vector, undefined=undefined):
                    index = [ir.Constant(INT32, first + lane) for lane in range(half)]
                    pattern = ir.Constant(ir.VectorType(INT32, half), index)
                    return Expr(builder, builder.shuffle_vector(vector, undefined, pattern))

                vector = combine(pick(0), pick(half)).value
                count = half
            return builder.extract_element(vector, ir.Constant(INT32, 0))

        return value.dtype(value), codegen

    declare.__name__ = declare.__qualname__ = name
    return intrinsic(declare)


lane_sum = _horizontal(lambda a, b: a + b, "lane_sum")
lane_prod = _horizontal(lambda a, b: a * b, "lane_prod")
lane_max = _horizontal(lambda a, b: a.maximum(b), "lane_max")
lane_min = _horizontal(lambda a, b: -(-a).maximum(-b), "lane_min")


class _VectorOperator(AbstractTemplate):
    def generic(self, args, kws):
        if all(isinstance(arg, Vector) and arg == args[0] for arg in args):
            return signature(args[0], *args)
        return None


def _bind_operator(symbol, formula, arity):
    infer_global(symbol)(type(f"Vector_{symbol.__name__}", (_VectorOperator,), {}))

    @lower_builtin(symbol, *[Vector] * arity)
    def lower(context, builder, sig, args):
        return formula(*(Expr(builder, arg) for arg in args)).value


for _symbol in (operator.add, operator.sub, operator.mul, operator.truediv):
    _bind_operator(_symbol, _symbol, 2)
for _symbol, _formula in (
    (operator.iadd, operator.add),
    (operator.isub, operator.sub),
    (operator.imul, operator.mul),
):
    _bind_operator(_symbol, _formula, 2)
_bind_operator(operator.neg, operator.neg, 1)
