"""Rows of the kernels for batches of matrix products; see ``kernel_cases``."""

from kernel_cases import Row

_SIZES = (
    (3, 1, 1, 1), (2, 1, 5, 1), (3, 5, 7, 1), (3, 1, 7, 5), (4, 7, 1, 9), (2, 4, 0, 3),
    (5, 0, 3, 2), (0, 3, 4, 5), (3, 3, 4, 5), (20, 17, 33, 65), (9, 15, 200, 3), (1, 40, 50, 60),
    (2, 130, 300, 140), (9, 104, 110, 120),
)  # fmt: skip
_BENCH = ((64, 32, 32, 32), (8, 256, 256, 256), (32, 64, 64, 64))


def _flops(n, i, k, j):
    return 2 * n * i * k * j


ROWS = (
    Row("bmm", lambda m, n, i, k, j: (m.normal(n, i, k), m.normal(n, k, j)),
        _SIZES, _BENCH, flops=_flops),
    Row("bmm", lambda m, n, i, k, j: (m.normal(n, 1, i, k), m.normal(2, k, j)),
        ((3, 4, 5, 6), (2, 1, 5, 3), (3, 4, 5, 1)), label="broadcast"),
    Row("bmm", lambda m, n, i, k, j: (
            m.normal(n, k, i).swapaxes(1, 2), m.normal(n, j, k).swapaxes(1, 2)),
        ((3, 4, 5, 6), (20, 17, 33, 40), (2, 130, 300, 140), (4, 5, 6, 1)), label="turned"),
    Row("bmm_nt", lambda m, n, i, k, j: (m.normal(n, i, k), m.normal(n, j, k)),
        _SIZES, _BENCH, flops=_flops),
    Row("bmm_tn", lambda m, n, i, k, j: (m.normal(n, k, i), m.normal(n, k, j)),
        _SIZES, _BENCH, flops=_flops),
    Row("matmul", lambda m, i, k, j: (m.normal(k, i).T, m.normal(j, k).T),
        ((3, 4, 5), (17, 33, 65), (64, 64, 3), (200, 300, 1)), label="turned"),
)  # fmt: skip
