"""NumPy twins of ``fastgrad.kernels.comparison``."""

import numpy as np

from ._quiet import quiet

__all__ = [
    "bitwise_and", "bitwise_not", "bitwise_or", "bitwise_xor", "eq", "ge", "gt", "isfinite",
    "isinf", "isnan", "le", "logical_and", "logical_not", "logical_or", "logical_xor", "lt", "ne",
    "where",
]  # fmt: skip

eq = quiet(np.equal)
ne = quiet(np.not_equal)
lt = quiet(np.less)
le = quiet(np.less_equal)
gt = quiet(np.greater)
ge = quiet(np.greater_equal)
logical_and = np.logical_and
logical_or = np.logical_or
logical_xor = np.logical_xor
logical_not = np.logical_not
bitwise_and = np.bitwise_and
bitwise_or = np.bitwise_or
bitwise_xor = np.bitwise_xor
bitwise_not = np.invert
isnan = np.isnan
isinf = np.isinf
isfinite = np.isfinite
where = np.where
