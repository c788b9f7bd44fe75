"""Rows of the kernels on grids of places; see ``kernel_cases``."""

from kernel_cases import Row

# items, channels, size, pixels of the grid, width, padding, aligned
_CASES = (
    *((2, 3, (5, 7), (4, 3), width, padding, bool(padding)) for width in (1, 2, 4)
      for padding in range(3)),
    *((2, 2, (3, 4, 5), (2, 3, 2), width, padding, padding != 1) for width in (1, 2)
      for padding in range(3)),
    (1, 17, (9, 8), (31, 12), 2, 0, False), (1, 2, (1, 1), (3, 2), 4, 2, True),
    (2, 1, (1, 1), (3, 2), 2, 2, False), (0, 2, (3, 3), (2, 2), 2, 0, True),
    (1, 2, (3, 3), (0, 2), 2, 0, True),
)  # fmt: skip
_LARGE = ((16, 16, (64, 64), (64, 64), 2, 0, False),)


def _grid(m, n, out, dims):
    """Places within the image and around it."""
    return m.normal(n, *out, dims)


def _forward(m, n, channels, size, out, *options):
    return m.normal(n, channels, *size), _grid(m, n, out, len(size)), *options


def _input_grad(m, n, channels, size, out, *options):
    return m.normal(n, channels, *out), _grid(m, n, out, len(size)), size, *options


def _grid_grad(m, n, channels, size, out, *options):
    x = m.normal(n, channels, *size)
    return m.normal(n, channels, *out), x, _grid(m, n, out, len(size)), *options


def _taps(m, n, channels, size, out, *options):
    return _grid(m, n, out, len(size)), size, *options


ROWS = (
    Row("grid_sample_forward", _forward, _CASES, _LARGE),
    Row("grid_sample_input_grad", _input_grad, _CASES, _LARGE),
    Row("grid_sample_grid_grad", _grid_grad, _CASES, _LARGE),
    Row("grid_taps", _taps, _CASES, _LARGE),
)
