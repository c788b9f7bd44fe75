"""Operations on tensors: one rule each, in files named like the kernels'."""

from importlib import import_module

from .activation import *
from .arithmetic import *
from .assemble import *
from .attention import *
from .avg_pool import *
from .bounds import *
from .comparison import *
from .conv import *
from .copy import *
from .copy import zeros_like  # for formulas of gradients (see _family), as are the next
from .ctc import *
from .diagonal import *
from .differences import *
from .distance import *
from .distributions import *
from .einsum import *
from .embedding import *
from .functions import *
from .functions import relu_backward, sigmoid_backward, tanh_backward
from .gather import *
from .gating import *
from .grid_sample import *
from .image import *
from .index import *
from .interpolate import *
from .join import *
from .linear import *
from .loss import *
from .margin import *
from .matmul import *
from .matmul import bmm_nt, bmm_tn
from .max_pool import *
from .norm import *
from .pad import *
from .place import *
from .powers import *
from .quantiles import *
from .random import *
from .rearrange import *
from .recurrent import *
from .reduce import *
from .rounding import *
from .row_norm import *
from .scan import *
from .shape import *
from .similarity import *
from .softmax import *
from .sort import *
from .special import *
from .statistics import *
from .unfold import *

_FILES = (
    "activation", "arithmetic", "assemble", "attention", "avg_pool", "bounds", "comparison", "conv",
    "copy", "ctc", "diagonal", "differences", "distance", "distributions", "einsum", "embedding",
    "functions", "gather", "gating", "grid_sample", "image", "index", "interpolate", "join",
    "linear", "loss", "margin", "matmul", "max_pool", "norm", "pad", "place", "powers", "quantiles",
    "random", "rearrange", "recurrent", "reduce", "rounding", "row_norm", "scan", "shape",
    "similarity", "softmax", "sort", "special", "statistics", "unfold",
)  # fmt: skip
ALIASES = {
    "absolute": "abs", "arccos": "acos", "arccosh": "acosh", "arcsin": "asin", "arcsinh": "asinh",
    "arctan": "atan", "arctan2": "atan2", "arctanh": "atanh", "clip": "clamp", "concat": "cat",
    "concatenate": "cat", "divide": "div", "fix": "trunc", "ger": "outer", "greater": "gt",
    "greater_equal": "ge", "less": "lt", "less_equal": "le", "moveaxis": "movedim",
    "multiply": "mul", "negative": "neg", "not_equal": "ne", "row_stack": "vstack", "sgn": "sign",
    "subtract": "sub", "swapaxes": "transpose", "swapdims": "transpose", "trapz": "trapezoid",
    "true_divide": "div",
}  # fmt: skip
"""PyTorch's other names of operations."""
globals().update({alias: globals()[name] for alias, name in ALIASES.items()})
_NAMES = [name for file in _FILES for name in import_module(f".{file}", __name__).__all__]
__all__ = sorted({*_NAMES, *ALIASES})
