"""Rows of the kernels of unfold and fold; see ``kernel_cases``."""

from kernel_cases import Row

# (N, C, H, W), then (kernel, dilation, padding, stride) of height and width
_SIZES = (
    (2, 3, 5, 6, (3, 1, 1, 1), (3, 1, 1, 1)), (1, 2, 9, 40, (2, 3, 0, 2), (3, 2, 4, 1)),
    (3, 1, 4, 7, (1, 1, 0, 1), (2, 1, 1, 3)), (1, 1, 1, 1, (3, 1, 1, 1), (1, 1, 0, 1)),
    (2, 5, 33, 20, (3, 1, 2, 2), (3, 1, 2, 2)), (0, 2, 4, 4, (2, 1, 0, 1), (2, 1, 0, 1)),
)  # fmt: skip
_BENCH = ((32, 16, 28, 28, (3, 1, 1, 1), (3, 1, 1, 1)),)


def _blocks(size, geometry):
    axes = zip(size, geometry, strict=True)
    return tuple((n + 2 * p - d * (k - 1) - 1) // s + 1 for n, (k, d, p, s) in axes)


def _unfold(m, n, c, h, w, *geometry):
    return m.normal(n, c, h, w), _blocks((h, w), geometry), geometry


def _fold(m, n, c, h, w, *geometry):
    blocks = _blocks((h, w), geometry)
    columns = m.normal(n, c * geometry[0][0] * geometry[1][0], blocks[0] * blocks[1])
    return columns, (n, c, h, w), blocks, geometry


ROWS = (Row("unfold", _unfold, _SIZES, _BENCH), Row("fold", _fold, _SIZES, _BENCH))
