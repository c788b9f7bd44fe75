"""The kernels in plain NumPy, name for name: the oracle of the tests, the baseline of the
benchmarks, and the backend where Numba is missing (``FASTGRAD_BACKEND=numpy``).
"""

from .activation import *
from .arithmetic import *
from .attention import *
from .augment import *
from .bmm import *
from .clip import *
from .comparison import *
from .conv import *
from .conv_weight import *
from .copy import *
from .counts import *
from .embedding import *
from .functions import *
from .gather import *
from .grid import *
from .index import *
from .loss import *
from .margin import *
from .matmul import *
from .max_pool import *
from .maxout import *
from .mix import *
from .norm import *
from .optim import *
from .random import *
from .recurrent import *
from .reduce import *
from .resample import *
from .response_norm import *
from .row_norm import *
from .scan import *
from .shuffle import *
from .soft_labels import *
from .softmax import *
from .sort import *
from .special import *
from .statistics import *
from .svd import *
from .tally import *
from .unfold import *
from .window_sum import *
from .windows import *
