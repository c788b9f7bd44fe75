"""Rows of the kernels of convolutions; see ``kernel_cases``. Everything is a volume."""

from math import prod

from kernel_cases import Row

# (batch, channels, out channels, size, kernel, stride, padding, dilation, groups)
_ONES = (1, 1, 1)
_SIZES = (
    (1, 1, 1, _ONES, _ONES, _ONES, (0, 0, 0), _ONES, 1),
    (3, 3, 5, (7, 1, 9), (3, 1, 3), _ONES, (1, 0, 1), _ONES, 1),
    (2, 4, 6, (5, 6, 19), (3, 2, 3), (2, 1, 3), (1, 1, 2), (1, 2, 2), 2),
    (2, 20, 17, (6, 1, 5), (3, 1, 3), (2, 1, 2), (1, 0, 1), _ONES, 1),
    (2, 40, 60, (6, 1, 8), (3, 1, 3), _ONES, (2, 0, 2), (2, 1, 2), 1),  # packed
    (3, 130, 66, (6, 1, 5), (3, 1, 3), _ONES, (1, 0, 1), _ONES, 1),  # Winograd, small tiles
    (7, 40, 36, (13, 1, 11), (3, 1, 3), _ONES, (2, 0, 1), _ONES, 1),  # and large ones
    (2, 48, 64, (14, 1, 30), (3, 1, 3), _ONES, (0, 0, 2), _ONES, 2),
    (2, 5, 5, (9, 1, 37), (3, 1, 3), _ONES, (1, 0, 1), _ONES, 5),  # depthwise
    (2, 3, 3, (5, 6, 18), (3, 2, 5), (2, 3, 1), (1, 1, 3), (1, 2, 2), 3),  # the same in three axes
    (1, 2, 2, (1, 1, 150), (1, 1, 4), _ONES, (0, 0, 3), (1, 1, 2), 2),  # and in one
    (2, 7, 7, (9, 1, 20), (3, 1, 3), (2, 1, 2), (1, 0, 1), _ONES, 7),  # and with a stride
    (2, 30, 20, (6, 1, 6), _ONES, _ONES, (0, 0, 0), _ONES, 1),
    (20, 1, 6, (12, 1, 12), (5, 1, 5), _ONES, (2, 0, 2), _ONES, 1),  # dot products
    (1, 3, 18, (40, 1, 70), (7, 1, 7), (2, 1, 2), (3, 0, 3), _ONES, 1),  # bands
    (3, 3, 60, (23, 1, 19), (7, 1, 7), (3, 1, 2), (2, 0, 3), _ONES, 1),  # windows packed
    (1, 300, 10, (30, 1, 30), (3, 1, 3), _ONES, (1, 0, 1), _ONES, 1),
    (2, 6, 4, (1, 1, 50), (1, 1, 4), (1, 1, 5), (0, 0, 2), (1, 1, 3), 2),
    (0, 2, 3, (4, 1, 4), (3, 1, 3), _ONES, (0, 0, 0), _ONES, 1),
)  # fmt: skip
_FLAT = (1, 0, 1)
_BENCH = (
    (64, 1, 16, (28, 1, 28), (5, 1, 5), _ONES, (2, 0, 2), _ONES, 1),
    (64, 16, 32, (14, 1, 14), (5, 1, 5), _ONES, (2, 0, 2), _ONES, 1),
    (16, 64, 128, (16, 1, 16), (3, 1, 3), _ONES, _FLAT, _ONES, 1),
    (8, 256, 384, (13, 1, 13), (3, 1, 3), _ONES, _FLAT, _ONES, 1),
    (16, 128, 128, (28, 1, 28), (3, 1, 3), _ONES, _FLAT, _ONES, 128),
    (16, 64, 128, (28, 1, 28), _ONES, _ONES, (0, 0, 0), _ONES, 1),
)


def _pixels(size, kernel, stride, padding, dilation):
    return tuple(
        (n + 2 * p - (k - 1) * d - 1) // s + 1
        for n, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    )


def _flops(n, channels, out, size, kernel, stride, padding, dilation, groups):
    pixels = prod(_pixels(size, kernel, stride, padding, dilation))
    return 2 * n * out * pixels * channels // groups * prod(kernel)


def _forward(m, n, channels, out, size, kernel, stride, padding, dilation, groups, relu=False):
    pixels = _pixels(size, kernel, stride, padding, dilation)
    return (
        m.normal(n, channels, *size), m.normal(out, channels // groups, *kernel), m.normal(out),
        stride, padding, dilation, groups, pixels, relu,
    )  # fmt: skip


def _input_grad(m, n, channels, out, size, kernel, stride, padding, dilation, groups):
    pixels = _pixels(size, kernel, stride, padding, dilation)
    return (
        m.normal(n, out, *pixels), m.normal(out, channels // groups, *kernel), m.normal(channels),
        stride, padding, dilation, groups, size,
    )  # fmt: skip


def _weight_grad(m, n, channels, out, size, kernel, stride, padding, dilation, groups):
    pixels = _pixels(size, kernel, stride, padding, dilation)
    return (
        m.normal(n, out, *pixels), m.normal(n, channels, *size), stride, padding, dilation, groups,
        kernel,
    )  # fmt: skip


_CLOSE = {"float32": 3e-4, "float64": 1e-10}
ROWS = (
    Row("conv_forward", _forward, _SIZES, _BENCH, flops=_flops, rtol=_CLOSE),
    Row("conv_forward", lambda m, *size: _forward(m, *size, relu=True), _SIZES[:9], label="relu",
        rtol=_CLOSE),
    Row("conv_input_grad", _input_grad, _SIZES, _BENCH, flops=_flops, rtol=_CLOSE),
    Row("conv_weight_grad", _weight_grad, _SIZES, _BENCH, flops=_flops, rtol=_CLOSE),
)  # fmt: skip
