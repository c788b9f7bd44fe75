"""LLVM's values with names: vectors, masked loads and stores, floats that add like numbers."""

from llvmlite import ir
from numba.core import cgutils

VECTOR_BYTES = 64
INT1, INT32, INT64 = ir.IntType(1), ir.IntType(32), ir.IntType(64)


def vector_of(dtype):
    """The LLVM type of a vector of Numba's float type ``dtype``."""
    element = ir.FloatType() if dtype.bitwidth == 32 else ir.DoubleType()
    return ir.VectorType(element, VECTOR_BYTES * 8 // dtype.bitwidth)


def call_llvm(builder, name, result, *operands):
    """Call the LLVM intrinsic ``name``; overloaded names carry their suffix already."""
    kind = ir.FunctionType(result, [operand.type for operand in operands])
    return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), operands)


def suffix(kind):
    """The overload suffix of an LLVM type: ``f32``, ``v16f32``, ``f64``, ``v8f64``, ``v8i64``."""
    if isinstance(kind, ir.VectorType):
        return f"v{kind.count}{suffix(kind.element)}"
    if isinstance(kind, ir.IntType):
        return f"i{kind.width}"
    return "f32" if isinstance(kind, ir.FloatType) else "f64"


def constant(kind, number):
    """``number`` as a scalar or splat constant of an LLVM type."""
    if isinstance(kind, ir.VectorType):
        return ir.Constant(kind, [ir.Constant(kind.element, number)] * kind.count)
    return ir.Constant(kind, number)


def splat_value(builder, scalar, kind):
    """A vector of LLVM type ``kind`` whose lanes all hold ``scalar``."""
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, scalar, ir.Constant(INT32, 0))
    lanes_of = ir.Constant(ir.VectorType(INT32, kind.count), None)
    return builder.shuffle_vector(first, undefined, lanes_of)


def lane_mask(builder, count, kind):
    """``lane < count`` for each lane of the LLVM vector type ``kind``."""
    ints = ir.VectorType(INT64, kind.count)
    index = ir.Constant(ints, [ir.Constant(INT64, lane) for lane in range(kind.count)])
    return builder.icmp_signed("<", index, splat_value(builder, count, ints))


def masked_load(builder, pointer, mask, fill):
    kind = fill.type
    pointer = builder.bitcast(pointer, kind.as_pointer())
    align = ir.Constant(INT32, _itemsize(kind))
    return call_llvm(
        builder, f"llvm.masked.load.{suffix(kind)}.p0", kind, pointer, align, mask, fill
    )


def masked_store(builder, value, pointer, mask):
    pointer = builder.bitcast(pointer, value.type.as_pointer())
    align = ir.Constant(INT32, _itemsize(value.type))
    name = f"llvm.masked.store.{suffix(value.type)}.p0"
    call_llvm(builder, name, ir.VoidType(), value, pointer, align, mask)


def gather(builder, data, at, kind, size, mask=None, others=None):
    """Values of the vector type ``kind``, each from ``size · at`` bytes after ``data``.

    Lanes that are not in ``mask``, if given, are not read: they are those of ``others``.
    """
    count = kind.count
    wide = ir.VectorType(INT64, count)
    start = splat_value(builder, builder.ptrtoint(data, INT64), wide)
    offset = builder.mul(builder.sext(at, wide), constant(wide, size))
    places = builder.inttoptr(
        builder.add(start, offset), ir.VectorType(ir.PointerType(ir.IntType(8)), count)
    )
    if mask is None:
        mask, others = constant(ir.VectorType(INT1, count), 1), ir.Constant(kind, ir.Undefined)
    name = f"llvm.masked.gather.{suffix(kind)}.v{count}p0"
    return call_llvm(builder, name, kind, places, INT32(4), mask, others)


def plain_load(builder, pointer, kind):
    return builder.load(builder.bitcast(pointer, kind.as_pointer()), align=_itemsize(kind))


def plain_store(builder, value, pointer):
    pointer = builder.bitcast(pointer, value.type.as_pointer())
    builder.store(value, pointer, align=_itemsize(value.type))


def _itemsize(kind):
    return 4 if suffix(kind).endswith("32") else 8


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

    def floor(self):
        return self._call("llvm.floor")

    def rint(self):
        """The nearest integer; of two, the even one."""
        return self._call("llvm.rint")

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

    def at_most(self, other):
        return self._compare("<=", other)

    def equal(self, other):
        return self._compare("==", other)

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
        element = INT32 if self.single else INT64
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
