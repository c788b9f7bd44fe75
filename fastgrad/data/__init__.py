"""Data: datasets of whole arrays, a loader that gathers batches, and sets to train on.

The three together:

    x_train, y_train, x_test, y_test = datasets.digits()
    loader = DataLoader(TensorDataset(x_train, y_train), batch_size=64, shuffle=True, seed=0)
    for x, y in loader:
        ...

Importing this package needs NumPy and the engine's kernels; what a download needs is loaded when
there is one.
"""

from . import datasets
from .dataset import Dataset, Subset, TensorDataset, random_split
from .loader import DataLoader

__all__ = ["DataLoader", "Dataset", "Subset", "TensorDataset", "datasets", "random_split"]
