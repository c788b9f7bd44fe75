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
from numba.extending import intrinsic, lower_builtin

VECTOR_BYTES = 64
_INT1, _INT32, _INT64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)


class Vector(types.Type):
    """Numba type of a 64-byte vector of float32 or float64."""

    def __init__(self, dtype):
        self.dtype = dtype
        self.lanes = VECTOR_BYTES * 8 // dtype.bitwidth
        super().__init__(name=f"Vector({dtype} x {self.lanes})")


@register_default(Vector)
class _VectorModel(PrimitiveModel):
    def __init__(self, manager, fe_type):
        super().__init__(manager, fe_type, _llvm_vector(fe_type.dtype))


def _llvm_vector(dtype):
    element = ir.FloatType() if dtype == types.float32 else ir.DoubleType()
    return ir.VectorType(element, VECTOR_BYTES * 8 // dtype.bitwidth)


# ------------------------------------------------------------------ LLVM helpers


def call_llvm(builder, name, result, *operands):
    """Call the LLVM intrinsic ``name``; overloaded names carry their suffix already."""
    kind = ir.FunctionType(result, [operand.type for operand in operands])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), operands)


def suffix(kind):
    """The overload suffix of an LLVM type: ``f32``, ``v16f32``, ``f64``, ``v8f64``."""
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}{suffix(kind.element)}"
    return "f32" if isinstance(kind, ir.FloatType) else "f64"


def constant(kind, number):
    """``number`` as a scalar or splat constant of an LLVM type."""
    if isinstance(kind, ir.VectorType):
        return ir.Constant(kind, [ir.Constant(kind.element, number)] * kind.count)
    return ir.Constant(kind, number)


def splat_value(builder, scalar, kind):
    """A vector of LLVM type ``kind`` whose lanes all hold ``scalar``."""
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(_INT32, 0))
    lanes_of = ir.Constant(ir.VectorType(_INT32, kind.count), None)
    return builder.shuffle_vector(first, undefined, lanes_of)


def lane_mask(builder, count, kind):
    """``lane < count`` for each lane of the LLVM vector type ``kind``."""
    ints = ir.VectorType(_INT64, kind.count)
    index = ir.Constant(ints, [ir.Constant(_INT64, lane) for lane in range(kind.count)])
    return builder.icmp_signed("<", index, splat_value(builder, count, ints))


def masked_load(builder, pointer, mask, fill):
    kind = fill.type
    pointer = builder.bitcast(pointer, kind.as_pointer())
    align = ir.Constant(_INT32, _itemsize(kind))
    return call_llvm(
        builder, f"llvm.masked.load.{suffix(kind)}.p0", kind, pointer, align, mask, fill
    )


def masked_store(builder, value, pointer, mask):
    pointer = builder.bitcast(pointer, value.type.as_pointer())
    align = ir.Constant(_INT32, _itemsize(value.type))
    name = f"llvm.masked.store.{suffix(value.type)}.p0"
    call_llvm(builder, name, ir.VoidType(), value, pointer, align, mask)


def plain_load(builder, pointer, kind):
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=_itemsize(kind))


def plain_store(builder, value, pointer):
    pointer = builder.bitcast(pointer, value.type.as_pointer())
    builder.store(value, pointer, align=_itemsize(value.type))


def _itemsize(kind):
    return 4 if suffix(kind).endswith("f32") else 8


class Expr:
    """An LLVM float, scalar or vector, with Python's operators: formulas read as formulas."""

    __slots__ = ("builder", "value")

    def __init__(self, builder, value):
        self.builder, self.value = builder, value

    @property
    def single(self):
        return _itemsize(self.value.type) == 4

    def like(self, number):
        return Expr(self.builder, constant(self.value.type, number))

    def _lift(self, other):
        return other if isinstance(other, Expr) else self.like(other)

    def __add__(self, other):
        return Expr(self.builder, self.builder.fadd(self.value, self._lift(other).value))

    def __sub__(self, other):
        return Expr(self.builder, self.builder.fsub(self.value, self._lift(other).value))

    def __mul__(self, other):
        return Expr(self.builder, self.builder.fmul(self.value, self._lift(other).value))

    def __truediv__(self, other):
        return Expr(self.builder, self.builder.fdiv(self.value, self._lift(other).value))

    def __neg__(self):
        return Expr(self.builder, self.builder.fneg(self.value))

    def fma(self, factor, addend):
        """``self * factor + addend``, rounded once."""
        return self._call("llvm.fma", self._lift(factor), self._lift(addend))

    def abs(self):
        return self._call("llvm.fabs")

    def copysign(self, sign):
        return self._call("llvm.copysign", sign)

    def maximum(self, other):
        """The larger; NaN if either is NaN."""
        other = self._lift(other)
        larger = self.greater(other).select(self, other)  # one instruction; NaN other wins
        return self.ordered().select(larger, self)

    def ordered(self):
        return self._compare("ord", self)

    def greater(self, other):
        return self._compare(">", other)

    def less(self, other):
        return self._compare("<", other)

    def _compare(self, sign, other):
        return _Condition(
            self.builder, self.builder.fcmp_ordered(sign, self.value, self._lift(other).value)
        )

    def _call(self, name, *others):
        kind = self.value.type
        operands = [self.value, *(other.value for other in others)]
        return Expr(
            self.builder, call_llvm(self.builder, f"{name}.{suffix(kind)}", kind, *operands)
        )

    def bits(self):
        """The same bits as integers."""
        return self.builder.bitcast(self.value, self._int_type())

    def from_bits(self, integers):
        return Expr(self.builder, self.builder.bitcast(integers, self.value.type))

    def int_constant(self, number):
        return constant(self._int_type(), number)

    def _int_type(self):
        kind = self.value.type
        element = _INT32 if self.single else _INT64
        return ir.VectorType(element, kind.count) if isinstance(kind, ir.VectorType) else element

    def polynomial(self, *coefficients):
        """Horner's rule; coefficients from the constant term up."""
        result = self.like(coefficients[-1])
        for coefficient in reversed(coefficients[:-1]):
            result = result.fma(self, coefficient)
        return result


class _Condition:
    __slots__ = ("builder", "value")

    def __init__(self, builder, value):
        self.builder, self.value = builder, value

    def select(self, yes, no):
        no = yes._lift(no)
        return Expr(self.builder, self.builder.select(self.value, yes.value, no.value))


# ------------------------------------------------------------------ elementary functions
#
# Coefficients are minimax fits of the named remainder on the reduced interval.
# tests/test_math.py measures the error of each function over its whole range.

_LOG2E = 1.4426950408889634
_EXP = {  # (exp(r) - 1 - r) / r² on |r| <= ln(2) / 2
    True: (0.5, 0.166665769896987757, 0.0416665546172045742, 0.00836317905272257737,
           0.00139261835877134945),
    False: (0.5, 0.16666666666666671, 0.0416666666666666698, 0.00833333333332613513,
            0.00138888888888837483, 0.000198412698748206253, 0.0000248015873255477412,
            2.75572554002064244e-6, 2.75572736431102953e-7, 2.51052170047207452e-8,
            2.09146869680868772e-9),
}  # fmt: skip
_LOG = (  # (log((1+s)/(1-s)) / s - 2) / s², as a polynomial in s², on s² <= 0.02945, float64
    0.66666666666666697, 0.39999999999899239, 0.285714286260958915, 0.222222111151441615,
    0.181828905566956035, 0.153316740301678619, 0.146170375487916501,
)  # fmt: skip
_LOG1P = (  # (log1p(f) - f + f²/2) / f³ on √½ - 1 <= f <= √2 - 1, float32
    0.333333126, -0.250000096, 0.200021192, -0.1666799618, 0.1421954128, -0.1240557464,
    0.1188823156, -0.1167577669, 0.06746642088,
)  # fmt: skip
_TANH_ABOVE, _TANH_BELOW = (  # tanh(x) / x as a ratio of polynomials in x² on |x| <= 9, float32
    (0.99999997835664123, 0.13377764968105318, 0.0034917149565033617, 2.0545290645177614e-05,
     1.3266074584043211e-08),
    (1.0, 0.46711079684333057, 0.025862249020671586, 0.00032792987502829995,
     7.7403476565195663e-07),
)  # fmt: skip
_TANH = (  # (tanh(x) / x - 1) / x², as a polynomial in x², on x² <= 0.3907, float64
    -0.333333333333333333, 0.133333333333333207, -0.0539682539682358663,
    0.0218694885351314377, -0.00886323549975519073, 0.00359212750687750155,
    -0.00145582839279676828, 0.000589981770846714141, -0.000238889254867531067,
    0.0000960405544531561618, -0.0000370801158559385797, 0.0000122089515626290787,
    -2.43840039938876906e-6,
)  # fmt: skip
# ln(2) in two pieces: the high one has trailing zeros, so that n * high is exact.
_LN2 = {
    True: (0.693145751953125, 1.42860682030941723e-6),
    False: (0.6931471803691238, 1.9082149292705877e-10),
}
_MANTISSA = {True: (23, 127), False: (52, 1023)}  # bits, exponent bias


def _exp(x):
    """e^x = 2^n · e^r with n = round(x / ln 2); 2^n in two factors reaches 0, subnormals and ∞."""
    single, builder = x.single, x.builder
    low, high = (-104.0, 89.0) if single else (-746.0, 710.0)
    # Clamped by selects that keep NaN: every comparison with NaN is false.
    x = x.less(low).select(x.like(low), x)
    x = x.greater(high).select(x.like(high), x)
    bits, bias = _MANTISSA[single]
    magic = 1.5 * 2.0**bits  # adding it rounds to an integer, left in the low bits
    shifted = x.fma(_LOG2E, magic)
    n = shifted - magic
    ln2_high, ln2_low = _LN2[single]
    r = n.fma(-ln2_low, n.fma(-ln2_high, x))
    p = (r * r).fma(r.polynomial(*_EXP[single]), r) + 1.0
    count = builder.sub(shifted.bits(), x.like(magic).bits())
    half = builder.ashr(count, x.int_constant(1))

    def power_of_two(k):
        biased = builder.add(k, x.int_constant(bias))
        return x.from_bits(builder.shl(biased, x.int_constant(bits)))

    return p * power_of_two(half) * power_of_two(builder.sub(count, half))


def _log(x):
    """log x = e · ln 2 + log1p(f), 1 + f in [√½, √2); fdlibm's arrangement of the terms."""
    single, builder = x.single, x.builder
    bits, bias = _MANTISSA[single]
    tiny = 2.0 ** (1 - bias)
    scale = 2.0 ** (bits + 2)
    subnormal = x.less(tiny)
    scaled = subnormal.select(x * scale, x)
    # Subtracting the bits of √½ puts the exponent where the significand crosses √½, not 1.
    offset = builder.sub(scaled.bits(), x.like(0.7071067811865476).bits())
    exponent = builder.ashr(offset, x.int_constant(bits))
    mantissa = builder.sub(scaled.bits(), builder.shl(exponent, x.int_constant(bits)))
    e = Expr(builder, builder.sitofp(exponent, x.value.type))
    e = e - subnormal.select(x.like(float(bits + 2)), 0.0)
    f = x.from_bits(mantissa) - 1.0
    ln2_high, ln2_low = _LN2[single]
    half_square = f * f * 0.5
    if single:
        tail = (f * f * f).fma(f.polynomial(*_LOG1P), e * ln2_low)
    else:
        s = f / (f + 2.0)
        z = s * s
        tail = s.fma(half_square + z * z.polynomial(*_LOG), e * ln2_low)
    result = e.fma(ln2_high, f - (half_square - tail))
    infinity = x.like(float("inf"))
    result = x.less(infinity).select(result, x)  # +∞ and NaN pass through
    result = x.greater(0.0).select(result, x.like(float("nan")))
    result = x._compare("==", 0.0).select(x.like(float("-inf")), result)
    return x.ordered().select(result, x)


def _tanh(x):
    """float32: a ratio of polynomials. float64: 1 - 2 / (e^{2|x|} + 1), and near 0 a polynomial."""
    size, z, one = x.abs(), x * x, x.like(1.0)
    if x.single:
        bound = x.like(9.0)
        z = size.greater(bound).select(bound * bound, z)
        ratio = z.polynomial(*_TANH_ABOVE) / z.polynomial(*_TANH_BELOW)
        result = size.greater(bound).select(bound, size) * ratio
        return result.greater(one).select(one, result).copysign(x)
    near = (size * z).fma(z.polynomial(*_TANH), size)
    far = one - x.like(2.0) / (_exp(size * 2.0) + 1.0)
    return size.less(0.625).select(near, far).copysign(x)


def _sigmoid(x):
    """1 / (1 + e^-|x|), or its complement: e never overflows, small results keep their digits."""
    e = _exp(-x.abs())
    top = x.less(0.0).select(e, e.like(1.0))
    return top / (e + 1.0)


def _sqrt(x):
    return x._call("llvm.sqrt")


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


exp = _unary(_exp, "exp")
log = _unary(_log, "log")
tanh = _unary(_tanh, "tanh")
sigmoid = _unary(_sigmoid, "sigmoid")
sqrt = _unary(_sqrt, "sqrt")


@intrinsic
def literal(typing_context, x, number):
    """``number`` in the type of ``x``, a float or vector.

    In Numba, as opposed to NumPy, ``x + 1.0`` would turn a float32 into a float64.
    """

    def codegen(context, builder, sig, args):
        element = x.dtype if isinstance(x, Vector) else x
        scalar = context.cast(builder, args[1], sig.args[1], element)
        return splat_value(builder, scalar, _llvm_vector(element)) if x != element else scalar

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
        return ir.Constant(_INT64, VECTOR_BYTES * 8 // x.dtype.bitwidth)

    return types.int64(x), codegen


@intrinsic
def load(typing_context, x, index):
    """``x[index : index + lanes]``."""

    def codegen(context, builder, sig, args):
        pointer = _pointer(context, builder, sig.args[0], args[0], args[1])
        return plain_load(builder, pointer, _llvm_vector(x.dtype))

    return Vector(x.dtype)(x, types.int64), codegen


@intrinsic
def prefetch(typing_context, x, index):
    """Ask for the cache line of an element that will be read soon; it need not exist."""

    def codegen(context, builder, sig, args):
        data = context.make_array(sig.args[0])(context, builder, args[0]).data
        place = builder.bitcast(builder.gep(data, [args[1]]), ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [place.type, _INT32, _INT32, _INT32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [place, _INT32(0), _INT32(3), _INT32(1)])
        return context.get_dummy_value()

    return types.void(x, types.int64), codegen


@intrinsic
def load_part(typing_context, x, index, count, fill):
    """``x[index : index + count]`` in the first lanes, ``fill`` in the others."""

    def codegen(context, builder, sig, args):
        array, index, count, fill = args
        kind = _llvm_vector(x.dtype)
        fill = context.cast(builder, fill, sig.args[3], x.dtype)
        pointer = _pointer(context, builder, sig.args[0], array, index)
        mask = lane_mask(builder, count, kind)
        return masked_load(builder, pointer, mask, splat_value(builder, fill, kind))

    return Vector(x.dtype)(x, types.int64, types.int64, fill), codegen


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


@intrinsic
def splat(typing_context, x, number):
    """A vector of ``x``'s element type with every lane ``number``."""

    def codegen(context, builder, sig, args):
        scalar = context.cast(builder, args[1], sig.args[1], x.dtype)
        return splat_value(builder, scalar, _llvm_vector(x.dtype))

    return Vector(x.dtype)(x, number), codegen


@intrinsic
def zeros(typing_context, x):
    """A vector of zeros of ``x``'s element type."""

    def codegen(context, builder, sig, args):
        return constant(_llvm_vector(x.dtype), 0.0)

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
def turn_block(typing_context, x, x_at, x_row, y, y_at, y_row, height, width):
    """``y = xᵀ`` for a block of x with up to ``lanes`` rows and columns, in registers.

    ``x_at, y_at`` are the indices of the blocks' first elements, ``x_row, y_row`` the distances
    between their rows, ``height, width`` the size of the block in x.
    """

    def codegen(context, builder, sig, args):
        x_array, x_at, x_row, y_array, y_at, y_row, height, width = args
        kind = _llvm_vector(x.dtype)
        source = _pointer(context, builder, sig.args[0], x_array, x_at)
        target = _pointer(context, builder, sig.args[3], y_array, y_at)
        zero, nothing = constant(kind, 0.0), _INT64(0)

        def row_mask(i, rows, columns):
            used = builder.icmp_signed(">", rows, _INT64(i))
            return lane_mask(builder, builder.select(used, columns, nothing), kind)

        rows = []
        for i in range(kind.count):
            place = builder.gep(source, [builder.mul(x_row, _INT64(i))])
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
                        index = ir.Constant(ir.VectorType(_INT32, kind.count), pattern)
                        rows[k] = builder.shuffle_vector(*pair, index)
            distance *= 2
        for i in range(kind.count):
            place = builder.gep(target, [builder.mul(y_row, _INT64(i))])
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
                    index = [ir.Constant(_INT32, first + lane) for lane in range(half)]
                    pattern = ir.Constant(ir.VectorType(_INT32, half), index)
                    return Expr(builder, builder.shuffle_vector(vector, undefined, pattern))

                vector = combine(pick(0), pick(half)).value
                count = half
            return builder.extract_element(vector, ir.Constant(_INT32, 0))

        return value.dtype(value), codegen

    declare.__name__ = declare.__qualname__ = name
    return intrinsic(declare)


lane_sum = _horizontal(lambda a, b: a + b, "lane_sum")
lane_max = _horizontal(lambda a, b: a.maximum(b), "lane_max")


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
