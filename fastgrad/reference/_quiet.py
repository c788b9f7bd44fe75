"""NumPy without its warnings: like kernels, twins never warn."""

import numpy as np

quiet = np.errstate(all="ignore")
"""A decorator of functions."""
