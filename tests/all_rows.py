"""The tables of operations and of kernels, whole: those of all families."""

from importlib import import_module
from pathlib import Path

import kernel_cases
import op_cases

_HERE = Path(__file__).parent


def _rows(pattern):
    return [row for path in sorted(_HERE.glob(pattern)) for row in import_module(path.stem).ROWS]


CASES = (*op_cases.CASES, *_rows("rows_*.py"))
ROWS = (*kernel_cases.ROWS, *_rows("kernel_rows_*.py"))
