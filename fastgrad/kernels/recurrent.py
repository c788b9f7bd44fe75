"""Recurrent networks: a layer over a whole sequence, forward and backward, each one operation.

    RNN     h' = tanh(W x + b + U h + d), or relu
    LSTM    i, f, g, o = W x + b + U h + d;  c' = σ(f) · c + σ(i) · tanh(g);  h' = σ(o) · tanh(c')
    GRU     r, z, n = W x + b, each with its part of U h + d:
            n = tanh(nx + σ(r) · nh);  h' = (1 - σ(z)) · n + σ(z) · h

What does not wait for the step before is one product over all steps: W x forward (or a part of
each step, where W and U stay in the cache), and in the gradients those of W, U and x. The rest is
one launch: the rows of a batch know nothing of each other, so each thread takes some of them
through all steps, and nobody waits for anybody. Of its rows, a step is the product U h, tile by
tile from a packed U, and then the cell on what is still in the cache.

Rows of all steps lie one after the other. Step t has ``sizes[t]`` rows, never more than the step
before: the sequences are sorted by length, as PyTorch's packed sequences are.
"""

from functools import lru_cache

import numpy as np
from numba.extending import register_jitable

from . import arithmetic
from ._jit import kernel, scratch
from ._panels import pack_panels, pack_turned
from ._record import contiguous, empty
from ._runs import add_run, copy_run
from ._simd import if_greater, lanes, maximum, prefetch, read, sigmoid, splat, tanh, write, zeros
from ._tile import (
    TILE_ROWS,
    TILE_VECTORS,
    TILE_WIDTH_BYTES,
    multiply_tile,
    tile_address,
    tile_lanes,
)
from .copy import copy
from .copy import zeros as zero_array
from .matmul import (
    _FEW,
    _multiply,
    _multiply_dots,
    matmul,
    matmul_tn,
)
from .reduce import sum

__all__ = ["recurrent_backward", "recurrent_forward"]

_TANH, _RELU, _LSTM, _GRU = range(4)
_KINDS = {"tanh": _TANH, "relu": _RELU, "lstm": _LSTM, "gru": _GRU}
_GATES = (1, 1, 4, 3)
_DEPTH = 256  # k-block of a product: half of the L1 cache
_FUSED_ROWS = 16  # of a batch, from which on W x is computed step by step
_FUSED_BYTES = 1 << 20  # of W and U together, up to which they stay in the L2 cache meanwhile
_NANOSECONDS_PER_STEP = 1 / 80  # per multiply-add, on one thread
_NANOSECONDS_PER_GATE = 0.4
_NOTHING = {np.dtype(kind): np.zeros(1, kind) for kind in (np.float32, np.float64)}


# ------------------------------------------------------------------ products of a step


@kernel
def _pack(start, stop, weight, gates, turned, packed):
    """Panels ``start`` to ``stop`` of a weight, each as wide as a tile, copied one by one.

    turned   weight (gates · units, depth) is the transpose of what is multiplied by; its panels
             are those of the first gate, of the second ..., for the first units, then the next
    """
    wide = TILE_VECTORS * tile_lanes(weight)
    units, depth = weight.shape[0] // gates, weight.shape[1]
    for number in range(start, stop):
        if turned:
            block, gate = number // gates, number % gates
            part = weight[gate * units : (gate + 1) * units]
            pack_turned(part, packed, number * depth * wide, 0, depth, block, block + 1)
        else:
            at = number * weight.shape[0] * wide
            pack_panels(weight, packed, at, 0, weight.shape[0], number, number + 1)


@register_jitable
def _product(
    tile, a, a_at, depth, panels, at, begin, begin_at, begin_row, resume, out, out_at, out_row,
    rows, columns,
):  # fmt: skip
    """One panel of ``out = begin + A · B`` for some rows of A, which lie ``depth`` apart.

    A block of k at a time, so that of the panel it stays in the L1 cache for all strips of rows.
    """
    wide = TILE_VECTORS * tile_lanes(out)
    strips = (rows + TILE_ROWS - 1) // TILE_ROWS
    height = (rows + strips - 1) // strips
    for k in range(0, depth, _DEPTH):
        steps = min(_DEPTH, depth - k)
        for top in range(0, rows, height):
            there, n = out_at + top * out_row, min(height, rows - top)
            if k == 0:
                multiply_tile(
                    tile, a, a_at + top * depth, depth, 1, panels, at, wide, panels, 0, 0, steps,
                    resume, begin, begin_at + top * begin_row, begin_row,
                    False, out, there, out_row, n, columns,
                )  # fmt: skip
            else:
                multiply_tile(
                    tile, a, a_at + top * depth + k, depth, 1, panels, at + k * wide, wide,
                    panels, 0, 0, steps, True, out, there, out_row,
                    False, out, there, out_row, n, columns,
                )  # fmt: skip


@register_jitable
def _ask_for(gates, at, units, many):
    """Ask for what the next step will read of a row's gates."""
    for gate in range(many):
        prefetch(gates, at + gate * units)


# ------------------------------------------------------------------ cells, one row


@register_jitable
def _rnn_cell(kind, gates, at, n, out, out_at):
    x = read(gates, at, n)
    write(out, out_at, n, tanh(x) if kind == _TANH else maximum(x, zeros(gates)))


@register_jitable
def _lstm_cell(gates, at, units, n, c, c_at, out, out_at):
    """Gates become what they let through; c is updated."""
    i, f = sigmoid(read(gates, at, n)), sigmoid(read(gates, at + units, n))
    g, o = tanh(read(gates, at + 2 * units, n)), sigmoid(read(gates, at + 3 * units, n))
    state = f * read(c, c_at, n) + i * g
    write(c, c_at, n, state)
    write(out, out_at, n, o * tanh(state))
    write(gates, at, n, i)
    write(gates, at + units, n, f)
    write(gates, at + 2 * units, n, g)
    write(gates, at + 3 * units, n, o)


@register_jitable
def _gru_cell(gates, at, units, n, inner, inner_at, before, before_at, out, out_at):
    """Gates become what they let through; ``inner`` is the recurrent part of n."""
    r, z = sigmoid(read(gates, at, n)), sigmoid(read(gates, at + units, n))
    new = tanh(read(gates, at + 2 * units, n) + r * read(inner, inner_at, n))
    write(out, out_at, n, (read(before, before_at, n) - new) * z + new)
    write(gates, at, n, r)
    write(gates, at + units, n, z)
    write(gates, at + 2 * units, n, new)


@register_jitable
def _rnn_back(kind, grad, at, n, out, out_at, dgates):
    y, d = read(out, out_at, n), read(grad, at, n)
    if kind == _TANH:
        write(dgates, out_at, n, d * (splat(out, 1.0) - y * y))
    else:
        none = zeros(out)
        write(dgates, out_at, n, if_greater(y, none, d, none))


@register_jitable
def _lstm_back(grad, grad_at, gates, at, units, n, c_before, c_at, dc, dc_at, dgates):
    i, f = read(gates, at, n), read(gates, at + units, n)
    g, o = read(gates, at + 2 * units, n), read(gates, at + 3 * units, n)
    c, d, one = read(c_before, c_at, n), read(grad, grad_at, n), splat(gates, 1.0)
    t = tanh(f * c + i * g)
    dstate = read(dc, dc_at, n) + d * o * (one - t * t)
    write(dc, dc_at, n, dstate * f)
    write(dgates, at, n, dstate * g * i * (one - i))
    write(dgates, at + units, n, dstate * c * f * (one - f))
    write(dgates, at + 2 * units, n, dstate * i * (one - g * g))
    write(dgates, at + 3 * units, n, d * t * o * (one - o))


@register_jitable
def _gru_back(dh, dh_at, gates, at, units, n, inner, before, row_at, dgates, dinner):
    r, z = read(gates, at, n), read(gates, at + units, n)
    new, d, one = read(gates, at + 2 * units, n), read(dh, dh_at, n), splat(gates, 1.0)
    dnew = d * (one - z) * (one - new * new)
    dr = dnew * read(inner, row_at, n) * r * (one - r)
    dz = d * (read(before, row_at, n) - new) * z * (one - z)
    for target in (dgates, dinner):
        write(target, at, n, dr)
        write(target, at + units, n, dz)
    write(dgates, at + 2 * units, n, dnew)
    write(dinner, at + 2 * units, n, dnew * r)
    write(dh, dh_at, n, d * z)


# ------------------------------------------------------------------ all steps


@kernel(chunks=1)
def _forward(
    start, stop, tile, kind, many, active, first, units, outputs, x, inputs, fused, packed_x, bias,
    gates, packed, inner, inner_bias, biased, h, c, before, c_before, projected, projection, cells,
    out,
):  # fmt: skip
    """Rows ``start`` to ``stop`` of the batch through all steps.

    active, first   of each step, the number of rows and where the first one lies
    x, packed_x     where ``fused``, W x is computed here, from panels of W, while it is in cache
    gates           (rows, many · units), W x; becomes what the gates let through
    packed          panels of U; inner, inner_bias: U h + d of a GRU's n
    h, c            the states, (batch, outputs) and (batch, units); before, c_before: what they
                    were before each step
    projection      panels of what an LSTM's ``cells`` are multiplied by to give ``out``; these are
                    the same array where it is not ``projected``
    """
    wide, lane = TILE_VECTORS * tile_lanes(gates), lanes(gates)
    for step in range(active.size):
        rows, row = min(stop, active[step]) - start, first[step] + start
        if rows <= 0:
            continue
        copy_run(h, start * outputs, before, row * outputs, rows * outputs)
        if kind == _LSTM:
            copy_run(c, start * units, c_before, row * units, rows * units)
        for left in range(0, units, wide):
            columns = min(wide, units - left)
            for gate in range(many):
                at = left * many + gate * wide
                there = (row * many + gate) * units + left
                if fused:
                    _product(
                        tile, x, row * inputs, inputs, packed_x, at * inputs,
                        bias, gate * units + left, 0, biased,
                        gates, there, many * units, rows, columns,
                    )  # fmt: skip
                at *= outputs
                if kind == _GRU and gate == 2:
                    _product(
                        tile, before, row * outputs, outputs, packed, at, inner_bias, left, 0,
                        biased, inner, row * units + left, units, rows, columns,
                    )  # fmt: skip
                else:
                    _product(
                        tile, before, row * outputs, outputs, packed, at, gates, there,
                        many * units, True, gates, there, many * units, rows, columns,
                    )  # fmt: skip
            for i in range(rows):
                for j in range(left, left + columns, lane):
                    n, at = min(lane, left + columns - j), (row + i) * many * units + j
                    here = (row + i) * units + j
                    if kind == _LSTM:
                        state = (start + i) * units + j
                        _lstm_cell(gates, at, units, n, c, state, cells, here)
                    elif kind == _GRU:
                        _gru_cell(gates, at, units, n, inner, here, before, here, out, here)
                    else:
                        _rnn_cell(kind, gates, at, n, out, here)
        if projected:
            for left in range(0, outputs, wide):
                _product(
                    tile, cells, row * units, units, projection, left * units, out, 0, 0, False,
                    out, row * outputs + left, outputs, rows, min(wide, outputs - left),
                )  # fmt: skip
        copy_run(out, row * outputs, h, start * outputs, rows * outputs)


@kernel(chunks=1)
def _backward(
    start, stop, tile, kind, many, active, first, units, outputs, grad, graded, gates, inner,
    before, c_before, out, packed, projected, projection, dout, dcells, dh, dc, dgates, dinner,
):  # fmt: skip
    """Rows ``start`` to ``stop`` of the batch back through all steps; see ``_forward``.

    grad        of ``out``, if ``graded``
    dh, dc      gradients of the states, from those of the last ones to those of the first
    dout        of ``out`` in all, kept where it is ``projected``; then dcells are the cells', else
                the same array as dh
    dinner      gradients of U h, a GRU's; for others the same array as dgates
    """
    wide, lane = TILE_VECTORS * tile_lanes(gates), lanes(gates)
    for step in range(active.size - 1, -1, -1):
        rows, row = min(stop, active[step]) - start, first[step] + start
        if rows <= 0:
            continue
        back = first[max(step - 1, 0)] - first[step]
        if graded:
            add_run(grad, row * outputs, dh, start * outputs, rows * outputs)
        if projected:
            copy_run(dh, start * outputs, dout, row * outputs, rows * outputs)
            for left in range(0, units, wide):
                _product(
                    tile, dout, row * outputs, outputs, projection, left * outputs, dcells, 0, 0,
                    False, dcells, start * units + left, units, rows, min(wide, units - left),
                )  # fmt: skip
        for i in range(rows):
            for j in range(0, units, lane):
                n, at = min(lane, units - j), (row + i) * many * units + j
                here, state = (row + i) * units + j, (start + i) * units + j
                _ask_for(gates, at + back * many * units, units, many)
                if kind == _LSTM:
                    _lstm_back(
                        dcells, state, gates, at, units, n, c_before, here, dc, state, dgates
                    )
                elif kind == _GRU:
                    _gru_back(dh, state, gates, at, units, n, inner, before, here, dgates, dinner)
                else:
                    _rnn_back(kind, dh, state, n, out, here, dgates)
        for left in range(0, outputs, wide):
            there = start * outputs + left
            _product(
                tile, dinner, row * many * units, many * units, packed, left * many * units,
                dh, there, outputs, kind == _GRU, dh, there, outputs,
                rows, min(wide, outputs - left),
            )  # fmt: skip


# ------------------------------------------------------------------ the operation


@lru_cache(maxsize=256)
def _steps(sizes, backwards):
    """(rows, first row) of each step, in the order in which they are gone through."""
    rows = np.array(sizes, np.int64)
    first = np.cumsum(rows) - rows
    return (rows[::-1].copy(), first[::-1].copy()) if backwards else (rows, first)


def _packed_panels(weight, gates, turned):
    """A weight in panels as wide as a tile; see ``_pack``."""
    depth, columns = weight.shape[::-1] if turned else weight.shape
    units = columns // gates
    panels = gates * -(-units * weight.itemsize // TILE_WIDTH_BYTES)
    packed = empty(panels * depth * (TILE_WIDTH_BYTES // weight.itemsize), weight.dtype)
    _pack(panels, 0.3 * weight.size, weight, gates, turned, packed)
    return packed


def _of_inputs(x, weight, bias):
    """``x · Wᵀ + b`` for all steps."""
    out = empty((x.shape[0], weight.shape[0]), x.dtype)
    if min(out.shape) <= _FEW:
        _multiply_dots(x, weight, bias, out)
    else:
        _multiply(x, weight, bias, out, False, True)
    return out


def _bias_of_inputs(kind, b_ih, b_hh, units):
    """The biases as far as they belong to W x: all of b_hh but what a GRU multiplies by r."""
    if b_ih is None:
        return None
    bias = copy(b_hh)
    if kind == _GRU:
        bias[2 * units :].fill(0)
    return arithmetic.add.ufunc(b_ih, bias, out=bias)


def _state(given, shape, dtype):
    """A state that may be changed: a copy of what was given, or zeros."""
    return zero_array(shape, dtype) if given is None else copy(given)


def recurrent_forward(
    x, h, c, w_ih, w_hh, b_ih=None, b_hh=None, w_hr=None, kind="lstm", sizes=(), backwards=False
):
    """A layer over sequences: (out, last h, last c or None), and what its backward wants.

    x (rows, inputs), steps after each other, of ``sizes[t]`` rows; h (batch, outputs), c (batch,
    units) or None for zeros; weights in PyTorch's shapes; kind "tanh", "relu", "lstm" or "gru";
    ``backwards``: from the last step to the first.
    """
    kind = _KINDS[kind]
    many, dtype, batch = _GATES[kind], x.dtype, sizes[0]
    units, outputs, rows = w_hh.shape[0] // many, w_hh.shape[1], x.shape[0]
    x, w_ih, w_hh = contiguous(x), contiguous(w_ih), contiguous(w_hh)
    nothing = _NOTHING[dtype]
    lstm, gru, projected = kind == _LSTM, kind == _GRU, w_hr is not None
    bias = _bias_of_inputs(kind, b_ih, b_hh, units)
    fused = batch >= _FUSED_ROWS and w_ih.nbytes + w_hh.nbytes <= _FUSED_BYTES
    gates = empty((rows, many * units), dtype) if fused else _of_inputs(x, w_ih, bias)
    h = _state(h, (batch, outputs), dtype)
    c = _state(c, (batch, units), dtype) if lstm else None
    before = empty((rows, outputs), dtype)
    c_before = empty((rows, units), dtype) if lstm else None
    inner = empty((rows, units), dtype) if gru else None
    out = empty((rows, outputs), dtype) if lstm or gru else gates
    cells = empty((rows, units), dtype) if projected else None
    active, first = _steps(sizes, backwards)
    depth = outputs + x.shape[1] * fused
    work = many * units * (depth * _NANOSECONDS_PER_STEP + _NANOSECONDS_PER_GATE)
    _forward(
        batch, rows * work,
        tile_address(dtype), kind, many, active, first, units, outputs,
        x.ravel(), x.shape[1], fused, _packed_panels(w_ih, many, True) if fused else nothing,
        nothing if bias is None else bias, gates.ravel(),
        _packed_panels(w_hh, many, True), inner.ravel() if gru else nothing,
        contiguous(b_hh[2 * units :]) if gru and b_hh is not None else nothing, b_hh is not None,
        h.ravel(), c.ravel() if lstm else nothing,
        before.ravel(), c_before.ravel() if lstm else nothing,
        projected, _packed_panels(contiguous(w_hr), 1, True) if projected else nothing,
        cells.ravel() if projected else out.ravel(), out.ravel(),
    )  # fmt: skip
    return out, h, c, (gates if lstm or gru else None, inner, before, c_before, cells)


def recurrent_backward(
    grads, x, out, saved, w_ih, w_hh, w_hr=None, kind="lstm", sizes=(), backwards=False,
    biased=True, needs=(True,) * 8,
):  # fmt: skip
    """Gradients of what ``recurrent_forward`` was given, from those of its results, or None.

    out is used of kinds "tanh" and "relu" only, whose gates are their output.
    """
    kind = _KINDS[kind]
    many, dtype, batch = _GATES[kind], x.dtype, sizes[0]
    units, outputs, rows = w_hh.shape[0] // many, w_hh.shape[1], x.shape[0]
    x, w_ih, w_hh = contiguous(x), contiguous(w_ih), contiguous(w_hh)
    nothing = _NOTHING[dtype]
    lstm, gru, projected = kind == _LSTM, kind == _GRU, w_hr is not None
    gates, inner, before, c_before, cells = saved
    grad = None if grads[0] is None else contiguous(grads[0])
    dh = _state(grads[1], (batch, outputs), dtype)
    dc = _state(grads[2], (batch, units), dtype) if lstm else None
    dgates = empty((rows, many * units), dtype)
    dinner = empty(dgates.shape, dtype) if gru else dgates
    dout = empty((rows, outputs), dtype) if projected else None
    dcells = scratch(batch * units, dtype) if projected else dh.ravel()
    active, first = _steps(sizes, backwards)
    work = many * units * (outputs * _NANOSECONDS_PER_STEP + _NANOSECONDS_PER_GATE)
    _backward(
        batch, rows * work,
        tile_address(dtype), kind, many, active, first, units, outputs,
        nothing if grad is None else grad.ravel(), grad is not None,
        gates.ravel() if lstm or gru else nothing, inner.ravel() if gru else nothing,
        before.ravel(), c_before.ravel() if lstm else nothing,
        nothing if lstm or gru else out.ravel(), _packed_panels(w_hh, 1, False),
        projected, _packed_panels(contiguous(w_hr), 1, False) if projected else nothing,
        dout.ravel() if projected else nothing, dcells, dh.ravel(),
        dc.ravel() if lstm else nothing, dgates.ravel(), dinner.ravel(),
    )  # fmt: skip
    b_ih = sum(dgates, (0,)) if biased and needs[5] else None
    b_hh = None
    if biased and needs[6]:
        b_hh = sum(dinner, (0,)) if gru or b_ih is None else copy(b_ih)
    return (
        matmul(dgates, w_ih) if needs[0] else None,
        dh if needs[1] else None,
        dc if needs[2] else None,
        matmul_tn(dgates, x) if needs[3] else None,
        matmul_tn(dinner, before) if needs[4] else None,
        b_ih,
        b_hh,
        matmul_tn(dout, cells) if projected and needs[7] else None,
    )
