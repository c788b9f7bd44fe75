"""The register tile of the matrix product, chosen from the CPU's vector registers.

A tile computes ``C[i, j] = start[i, j] + Σₖ A[i, k] · B[k, j]`` for up to ``TILE_ROWS`` rows and
``TILE_VECTORS`` vectors of columns. All of C's tile stays in registers while k runs; each step
loads one row of B and multiplies it by one broadcast element of A per row. A's two strides are
free, so that the same tile serves ``X·W``, ``Xᵀ·dY`` and packed panels alike.

Each element is one chain of fused multiply-adds in ascending k, whatever the tile's shape: how a
product is cut into tiles, or shared between threads, cannot change a bit of it.
"""

import functools
from itertools import product

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic

from ._compile import compile_callback
from ._cpu import vector_registers
from ._llvm import (
    constant,
    lane_mask,
    masked_load,
    masked_store,
    plain_load,
    plain_store,
    splat_value,
    suffix,
)

_INT64 = ir.IntType(64)

_REGISTERS, _REGISTER_BYTES = vector_registers()
# Accumulators take all registers but those for the row of B and one broadcast of A. A tile is
# a whole number of 64-byte vectors wide.
TILE_ROWS, TILE_VECTORS = {
    (32, 64): (14, 2),  # AVX-512
    (16, 32): (6, 2),  # AVX2
    (32, 16): (6, 4),  # NEON
    (16, 16): (3, 4),  # SSE
}[_REGISTERS, _REGISTER_BYTES]
TILE_WIDTH_BYTES = TILE_VECTORS * _REGISTER_BYTES
# With one or two rows a wider tile keeps as many accumulators busy, and reads longer rows of B.
WIDE_ROWS, WIDE_VECTORS = 2, 8 if _REGISTERS == 32 else 6
_TABLE_ROW = WIDE_VECTORS + 1
_TABLE_SIZE = (TILE_ROWS + 1) * _TABLE_ROW
_PLAIN, _FETCHES, _TAPS, _LINES = range(4)  # kinds of tiles
_WHOLE = 4  # added to these where all lanes of the last vector are in use
_KINDS = 2 * _WHOLE
_TO_L2, _TO_WRITE = (0, 2), (1, 3)  # hints of a prefetch: whether to write, how near
_NEAR = 5  # rows of A that are reached from one pointer


def _index(value):
    return ir.Constant(_INT64, value)


def _kind_of(element):
    """LLVM type of a tile's function."""
    pointer = element.as_pointer()
    # a, a_row, a_step, b, b_step, fetch, fetch_step, depth, resume, start, start_row, relu, c,
    # c_row, last, b_apart, c_apart
    arguments = [pointer, _INT64, _INT64, pointer, _INT64, pointer, _INT64, _INT64, ir.IntType(1)]
    arguments += [pointer, _INT64, ir.IntType(1), pointer, _INT64, _INT64, _INT64, _INT64]
    return ir.FunctionType(ir.VoidType(), arguments)


class _Tile:
    """Emits one LLVM function: the tile of ``rows`` rows and ``vectors`` vectors.

    ``fetches``: meanwhile it asks for lines of memory, for later. ``taps``: B's step is the address
    of a table that says where each of its rows begins. ``whole``: all lanes of the last vector are
    in use, and no load waits for a mask. ``lines``: vectors lie apart, as far in B and in C as is
    said, and of each of them the same lanes are in use.
    """

    def __init__(
        self, module, rows, vectors, element, fetches=False, taps=False, whole=False, lines=False
    ):
        self.rows, self.vectors = rows, vectors
        self.fetches, self.taps, self.whole, self.lines = fetches, taps, whole, lines
        self.lanes = _REGISTER_BYTES // (4 if suffix(element) == "f32" else 8)
        self.kind = ir.VectorType(element, self.lanes)
        name = f"fastgrad_tile_{rows}x{vectors}_{suffix(self.kind)}"
        name += "_ahead" * fetches + "_taps" * taps + "_whole" * whole + "_lines" * lines
        self.function = module.globals.get(name)
        if self.function is None:
            self.function = ir.Function(module, _kind_of(element), name)
            self.function.linkage = "internal"
            self.function.attributes.add("noinline")
            self._emit()

    def _emit(self):
        function = self.function
        a, a_row, a_step, b, b_step, fetch, fetch_step, depth, *rest = function.args
        resume, start, start_row, relu, c, c_row, last, b_apart, c_apart = rest
        entry, fresh, resumed, ready, loop, done, clamp, write = (
            function.append_basic_block(label)
            for label in ("entry", "fresh", "resumed", "ready", "loop", "done", "clamp", "write")
        )
        builder = self.builder = ir.IRBuilder(entry)
        self.mask = lane_mask(builder, last, self.kind)  # lanes in use in the last vector
        zero = constant(self.kind, 0.0)
        builder.cbranch(resume, resumed, fresh)
        builder.position_at_end(fresh)
        builder.branch(ready)
        builder.position_at_end(resumed)
        first = [self._load_row(self._row(start, start_row, i), c_apart) for i in range(self.rows)]
        builder.branch(ready)

        builder.position_at_end(ready)
        initial = self._phis()
        self._incoming(initial, [[zero] * self.vectors] * self.rows, fresh)
        self._incoming(initial, first, resumed)
        bases = [self._opaque(self._row(a, a_row, i)) for i in range(0, self.rows, _NEAR)]
        offsets = [self._opaque(builder.mul(a_row, _index(i))) for i in range(_NEAR)]
        for i in range(self.rows):
            self._prefetch(self._row(c, c_row, i), _TO_WRITE)
        builder.cbranch(builder.icmp_signed(">", depth, _index(0)), loop, done)

        builder.position_at_end(loop)
        k, a_now = builder.phi(_INT64), [builder.phi(a.type) for _ in bases]
        b_now = None if self.taps else builder.phi(b.type)
        totals = self._phis()
        if self.taps:
            b_now = self._of_table(b, b_step, k)
        b_row = self._load_row(b_now, b_apart)
        if self.fetches:
            self._prefetch(builder.gep(fetch, [builder.mul(k, fetch_step)]), _TO_L2)
        updated = []
        for i in range(self.rows):
            base, offset = a_now[i // _NEAR], offsets[i % _NEAR]
            factor = splat_value(builder, builder.load(builder.gep(base, [offset])), self.kind)
            updated.append(
                [self._multiply_add(factor, b_row[j], totals[i][j]) for j in range(self.vectors)]
            )
        k_next = builder.add(k, _index(1))
        a_next = [self._opaque(builder.gep(pointer, [a_step])) for pointer in a_now]
        for phi, origin, following in (
            (k, _index(0), k_next),
            *(() if self.taps else ((b_now, b, builder.gep(b_now, [b_step])),)),
            *((a_now[j], bases[j], following) for j, following in enumerate(a_next)),
        ):
            phi.add_incoming(origin, ready)
            phi.add_incoming(following, loop)
        self._incoming(totals, initial, ready)
        self._incoming(totals, updated, loop)
        builder.cbranch(builder.icmp_signed("<", k_next, depth), loop, done)

        builder.position_at_end(done)
        final = self._phis()
        self._incoming(final, initial, ready)
        self._incoming(final, updated, loop)
        builder.cbranch(relu, clamp, write)

        builder.position_at_end(clamp)
        positive = [[self._clamp(value, zero) for value in row] for row in final]
        builder.branch(write)

        builder.position_at_end(write)
        result = self._phis()
        self._incoming(result, final, done)
        self._incoming(result, positive, clamp)
        for i in range(self.rows):
            self._store_row(result[i], self._row(c, c_row, i), c_apart)
        builder.ret_void()

    def _of_table(self, b, table, k):
        """Row k of B, where a table of distances says."""
        place = self.builder.gep(self.builder.inttoptr(table, _INT64.as_pointer()), [k])
        return self.builder.gep(b, [self.builder.load(place)])

    def _opaque(self, value):
        """The same value, of which the compiler knows nothing.

        It would reach the rows of A by adding one stride after the other, a chain as long as the
        multiplications take, or by a pointer for each row, for which registers are too few.
        """
        kind = ir.FunctionType(value.type, [value.type])
        return self.builder.asm(kind, "", "=r,0", [value], False)

    def _multiply_add(self, factor, vector, total):
        # fmuladd fuses where the CPU has the instruction, and does not call a library where not.
        name, kind = f"llvm.fmuladd.{suffix(self.kind)}", self.kind
        module = self.builder.module
        fused = module.declare_intrinsic(name, (), ir.FunctionType(kind, [kind, kind, kind]))
        return self.builder.call(fused, [factor, vector, total])

    def _prefetch(self, pointer, hint):
        """Ask for the cache lines of a row; they need not exist."""
        place = self.builder.bitcast(pointer, ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [place.type, *[ir.IntType(32)] * 3])
        module = self.builder.module
        function = cgutils.get_or_insert_function(module, kind, "llvm.prefetch.p0")
        for line in range(0, self.vectors * _REGISTER_BYTES, 64):
            at = self.builder.gep(place, [_index(line)])
            self.builder.call(function, [at, *(ir.IntType(32)(x) for x in hint), ir.IntType(32)(1)])

    def _clamp(self, value, zero):
        """``max(value, 0)``; NaN stays NaN."""
        return self.builder.select(self.builder.fcmp_ordered(">=", zero, value), zero, value)

    def _row(self, pointer, stride, i):
        return self.builder.gep(pointer, [self.builder.mul(stride, _index(i))])

    def _columns(self, pointer, apart):
        """(pointer, whether only some lanes are in use) of each vector of a row."""
        for j in range(self.vectors):
            step = self.builder.mul(apart, _index(j)) if self.lines else _index(j * self.lanes)
            partly = self.lines or j == self.vectors - 1
            yield self.builder.gep(pointer, [step]), partly and not self.whole

    def _load_row(self, pointer, apart):
        zero = constant(self.kind, 0.0)
        return [
            masked_load(self.builder, column, self.mask, zero)
            if partly
            else plain_load(self.builder, column, self.kind)
            for column, partly in self._columns(pointer, apart)
        ]

    def _store_row(self, values, pointer, apart):
        for value, (column, partly) in zip(values, self._columns(pointer, apart), strict=True):
            if partly:
                masked_store(self.builder, value, column, self.mask)
            else:
                plain_store(self.builder, value, column)

    def _phis(self):
        return [
            [self.builder.phi(self.kind) for _ in range(self.vectors)] for _ in range(self.rows)
        ]

    def _incoming(self, phis, values, block):
        for phi_row, value_row in zip(phis, values, strict=True):
            for phi, value in zip(phi_row, value_row, strict=True):
                phi.add_incoming(value, block)


@intrinsic
def tile_lanes(typing_context, x):
    """Elements of ``x``'s type in one register of the tile: a compile-time constant."""

    def codegen(context, builder, sig, args):
        return _index(_REGISTER_BYTES * 8 // x.dtype.bitwidth)

    return types.int64(x), codegen


def _table(element):
    """An intrinsic that gives the address of a table of tiles by (rows, vectors of columns)."""

    @intrinsic
    def table(typing_context):
        def codegen(context, builder, sig, args):
            tiles = [_index(0)] * (_KINDS * _TABLE_SIZE)
            for i in range(1, TILE_ROWS + 1):
                most = WIDE_VECTORS if i <= WIDE_ROWS else TILE_VECTORS
                for j, kind in product(range(1, most + 1), range(_KINDS)):
                    # only where there is much to compute in the meantime
                    ahead = kind % _WHOLE == _FETCHES and 2 * i > TILE_ROWS and j == TILE_VECTORS
                    taps = kind % _WHOLE in (_TAPS, _LINES)
                    lines = kind % _WHOLE == _LINES and 1 < j <= TILE_VECTORS
                    whole = kind >= _WHOLE and j == (TILE_VECTORS if lines else most)
                    options = ahead, taps, whole, lines
                    tile = _Tile(builder.module, i, j, element, *options).function
                    tiles[kind * _TABLE_SIZE + i * _TABLE_ROW + j] = tile.ptrtoint(_INT64)
            constant_type = ir.ArrayType(_INT64, len(tiles))
            place = ir.GlobalVariable(builder.module, constant_type, "fastgrad_tiles")
            place.initializer = ir.Constant(constant_type, tiles)
            place.global_constant, place.linkage = True, "internal"
            return builder.ptrtoint(place, _INT64)

        return types.int64(), codegen

    return table


@functools.cache
def tile_address(dtype):
    """Address of a type's compiled tiles; kernels are given it, and share them."""
    dtype = np.dtype(dtype)
    element = ir.FloatType() if dtype.itemsize == 4 else ir.DoubleType()
    scope = {"table": _table(element), "__name__": __name__}
    exec("def tiles():\n    return table()", scope)
    compiled = compile_callback(scope["tiles"], types.int64(), f"tile.{dtype.name}")
    _compiled.append(compiled)
    return compiled.ctypes()


_compiled = []  # code lives as long as these


@intrinsic
def multiply_tile(
    typing_context,
    tile,
    a, a_at, a_row, a_step,
    b, b_at, b_step,
    fetch, fetch_at, fetch_step,
    depth,
    resume, start, start_at, start_row,
    relu, c, c_at, c_row,
    rows, columns,
):  # fmt: skip
    """``C = start + A · B`` on one tile; ``start`` is read only if ``resume``, else it is 0.

    With ``relu``, what is below 0 becomes 0.

    tile               address of the compiled tiles, ``tile_address(dtype)``
    a, b, start, c     1-d arrays; ``x_at`` is the index of the tile's first element
    a_row, a_step      distance between rows, and between successive k, of A
    b_step             distance between successive k of B, whose columns are contiguous
    fetch, fetch_step  what is asked for, to be read later, a row for every k; nothing if step 0
    start_row, c_row   distance between rows; ``start_row = 0`` repeats one row, as for a bias
    rows, columns      size of the tile: up to TILE_ROWS and TILE_VECTORS · lanes, or the WIDE ones
    """
    index = types.int64
    sig = types.void(
        index, a, index, index, index, b, index, index, fetch, index, index, index,
        types.boolean, start, index, index, types.boolean, c, index, index, index, index,
    )  # fmt: skip

    def codegen(context, builder, sig, args):
        def address(position):
            data = context.make_array(sig.args[position])(context, builder, args[position]).data
            return builder.gep(data, [args[position + 1]])

        fetches = builder.icmp_signed("!=", args[10], _index(0))
        kind = builder.select(fetches, _index(_FETCHES), _index(_PLAIN))
        operands = [address(1), args[3], args[4], address(5), args[7], address(8), args[10]]
        operands += [args[11], args[12], address(13), args[15], args[16], address(17), args[19]]
        vectors, last = _vectors_of(builder, a.dtype, args[21])
        _call_tile(context, builder, a.dtype, args[0], kind, operands, args[20], vectors, last)
        return context.get_dummy_value()

    return sig, codegen


@intrinsic
def multiply_taps(
    typing_context,
    tile,
    a, a_at, a_row, a_step,
    b, b_at, taps, taps_at,
    depth,
    resume, start, start_at, start_row,
    relu, c, c_at, c_row,
    rows, columns,
):  # fmt: skip
    """``multiply_tile`` where row k of B begins ``taps[taps_at + k]`` after ``b_at``."""
    index = types.int64
    sig = types.void(
        index, a, index, index, index, b, index, taps, index, index,
        types.boolean, start, index, index, types.boolean, c, index, index, index, index,
    )  # fmt: skip

    def codegen(context, builder, sig, args):
        def address(position):
            data = context.make_array(sig.args[position])(context, builder, args[position]).data
            return builder.gep(data, [args[position + 1]])

        b = address(5)
        table = builder.ptrtoint(address(7), _INT64)
        operands = [address(1), args[3], args[4], b, table, b, _index(0), args[9]]
        operands += [args[10], address(11), args[13], args[14], address(15), args[17]]
        kind, rows = _index(_TAPS), args[18]
        vectors, last = _vectors_of(builder, a.dtype, args[19])
        _call_tile(context, builder, a.dtype, args[0], kind, operands, rows, vectors, last)
        return context.get_dummy_value()

    return sig, codegen


@intrinsic
def multiply_lines(
    typing_context,
    tile,
    a, a_at, a_row, a_step,
    b, b_at, b_apart, taps, taps_at,
    depth,
    resume, relu, c, c_at, c_row, c_apart,
    rows, lines, columns,
):  # fmt: skip
    """``multiply_taps`` for a few ``lines`` of pixels at once, each of at most a vector.

    b_apart, c_apart   distances between lines in B and in C; ``C += A · B`` with ``resume``
    lines              up to TILE_VECTORS
    """
    index = types.int64
    sig = types.void(
        index, a, index, index, index, b, index, index, taps, index, index,
        types.boolean, types.boolean, c, index, index, index, index, index, index,
    )  # fmt: skip

    def codegen(context, builder, sig, args):
        def address(position):
            data = context.make_array(sig.args[position])(context, builder, args[position]).data
            return builder.gep(data, [args[position + 1]])

        b, c = address(5), address(13)
        table = builder.ptrtoint(address(8), _INT64)
        operands = [address(1), args[3], args[4], b, table, b, _index(0), args[10]]
        operands += [args[11], c, args[15], args[12], c, args[15]]
        kind, apart = _index(_LINES), (args[7], args[16])
        _call_tile(
            context, builder, a.dtype, args[0], kind, operands, args[17], args[18], args[19], apart
        )
        return context.get_dummy_value()

    return sig, codegen


def _vectors_of(builder, dtype, columns):
    """(vectors of so many columns, lanes in use in the last one)"""
    lanes = _REGISTER_BYTES * 8 // dtype.bitwidth
    vectors = builder.sdiv(builder.add(columns, _index(lanes - 1)), _index(lanes))
    last = builder.sub(columns, builder.mul(builder.sub(vectors, _index(1)), _index(lanes)))
    return vectors, last


_ADJACENT = _index(0), _index(0)  # how far vectors lie apart, which tiles of lines ask


def _call_tile(context, builder, dtype, tile, kind, operands, rows, vectors, last, apart=_ADJACENT):
    """Call the tile of a kind and size; the last vector has 1 to all lanes in use."""
    lanes = _REGISTER_BYTES * 8 // dtype.bitwidth
    whole = builder.icmp_signed("==", last, _index(lanes))
    kind = builder.add(kind, builder.select(whole, _index(_WHOLE), _index(0)))
    entry = builder.add(builder.mul(rows, _index(_TABLE_ROW)), vectors)
    entry = builder.add(entry, builder.mul(kind, _index(_TABLE_SIZE)))
    table = builder.inttoptr(tile, _INT64.as_pointer())
    function = _kind_of(context.get_data_type(dtype))
    run = builder.inttoptr(builder.load(builder.gep(table, [entry])), function.as_pointer())
    operands = [
        builder.trunc(value, wanted) if wanted == ir.IntType(1) != value.type else value
        for value, wanted in zip(operands, function.args, strict=False)
    ]
    builder.call(run, [*operands, last, *apart])
