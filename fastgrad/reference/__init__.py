"""The kernels in plain NumPy, name for name: the oracle of the tests, the baseline of the
benchmarks, and the backend where Numba is missing (``FASTGRAD_BACKEND=numpy``).
"""

from .clip import *
from .elementwise import *
from .gather import *
from .matmul import *
from .norm import *
from .optim import *
from .random import *
from .reduce import *
from .softmax import *
