"""``fastgrad.functional`` by PyTorch's name: ``import fastgrad.nn.functional as F``."""

import sys

from .. import functional

sys.modules[__name__] = functional  # one module, whichever way it is imported
