"""The linear layer: its product, and its three gradients; of a small layer in one launch."""

import numpy as np
from numba.extending import register_jitable

from . import functions
from ._jit import kernel, scratch
from ._panels import pack_turned
from ._record import empty
from ._simd import if_greater, lanes, load_part, store_part, zeros
from ._tile import (
    TILE_ROWS,
    TILE_VECTORS,
    TILE_WIDTH_BYTES,
    multiply_tile,
    tile_address,
    tile_lanes,
)
from .matmul import _cut_directly, _direct, _narrow, matmul, matmul_nt, matmul_tn
from .reduce import sum

__all__ = ["linear_backward", "linear_forward"]

_SMALL_STEPS = 1 << 19  # multiply-adds of a layer whose gradients are computed in one launch
_NOTHING = {np.dtype(kind): np.zeros((1, 1), kind) for kind in (np.float32, np.float64)}

_one_narrow, _one_direct = (register_jitable(f.__wrapped__) for f in (_narrow, _direct))


@kernel(serial=True)
def _backward(
    start, stop, tile, grad, out, relu, masked, x, weight, grad_x, grad_weight, grad_bias,
    needs_x, needs_weight, needs_bias, space,
):  # fmt: skip
    """The gradients of a small linear layer in one launch; see ``linear_backward``."""
    rows, columns = grad.shape
    lane, width = lanes(grad), TILE_VECTORS * tile_lanes(grad)
    if relu:
        for i in range(0, grad.size, lane):
            n = min(lane, grad.size - i)
            y, g = load_part(out, i, n, 0.0), load_part(grad, i, n, 0.0)
            store_part(masked, i, n, if_greater(y, zeros(grad), g, zeros(grad)))
        grad = masked
    if needs_x:
        inputs = x.shape[1]
        panels, strips = (inputs + width - 1) // width, (rows + TILE_ROWS - 1) // TILE_ROWS
        height = (rows + strips - 1) // strips
        pack_turned(weight, space, 0, 0, columns, 0, panels)
        for top in range(0, rows, height):
            for panel in range(panels):
                left = panel * width
                multiply_tile(
                    tile, grad, top * columns, columns, 1,
                    space, left * columns, width, space, 0, 0, columns,
                    False, grad_bias, 0, 0, False, grad_x, top * inputs + left, inputs,
                    min(height, rows - top), min(width, inputs - left),
                )  # fmt: skip
    if needs_weight:
        inputs = x.shape[1]
        if columns < lane and columns < inputs:
            panels = (inputs + width - 1) // width
            _one_narrow(0, panels, tile, x, grad, grad_weight, space)
        else:
            _, strips, panels = _cut_directly(grad_weight)
            _one_direct(
                0, strips * panels, tile, x, grad, grad_bias, grad_weight, True, False, False
            )
    if needs_bias:
        for j in range(0, columns, lane):
            n = min(lane, columns - j)
            total = zeros(grad)
            for i in range(rows):
                total += load_part(grad, i * columns + j, n, 0.0)
            store_part(grad_bias, j, n, total)


def linear_forward(x, weight, bias=None, out=None, relu=False):
    """``Y (n, out) = X (n, in) · W (in, out) + b (out,)``, the bias added in the product.

    With ``relu``, ``max(Y, 0)``.
    """
    return matmul(x, weight, bias, out, relu)


def linear_backward(grad, x, weight, needs=(True, True, True), out=None):
    """``dX = dY · Wᵀ``, ``dW = Xᵀ · dY``, ``db = Σ dY`` over the batch; None where not needed.

    out is the layer's result, if it went through a ReLU, else None.
    """
    needs_x, needs_weight, needs_bias = needs
    (rows, columns), depth = grad.shape, x.shape[1]
    relu = out is not None
    if not 0 < rows * depth * columns <= _SMALL_STEPS:
        if relu:
            grad = functions.relu_backward.ufunc(grad, out, out=empty(grad.shape, grad.dtype))
        return (
            matmul_nt(grad, weight) if needs_x else None,
            matmul_tn(x, grad) if needs_weight else None,
            sum(grad, (0,)) if needs_bias else None,
        )
    nothing = _NOTHING[grad.dtype]
    grad_x = empty(x.shape, x.dtype) if needs_x else nothing
    grad_weight = empty(weight.shape, x.dtype) if needs_weight else nothing
    grad_bias = empty(columns, x.dtype) if needs_bias else nothing.ravel()
    panels = -(-depth * x.itemsize // TILE_WIDTH_BYTES)
    packed = panels * columns * (TILE_WIDTH_BYTES // x.itemsize)
    space = scratch(max(packed, grad_weight.size), x.dtype)
    _backward(
        1, 0,
        tile_address(x.dtype), grad, out if relu else grad, relu,
        empty(grad.shape, grad.dtype) if relu else grad, x, weight, grad_x, grad_weight, grad_bias,
        needs_x, needs_weight, needs_bias, space,
    )  # fmt: skip
    return (
        grad_x if needs_x else None,
        grad_weight if needs_weight else None,
        grad_bias if needs_bias else None,
    )
