"""Data: datasets of whole arrays, a loader that gathers batches, and sets to train on.

The three together:

    x_train, y_train, x_test, y_test = datasets.digits()
    loader = DataLoader(TensorDataset(x_train, y_train), batch_size=64, shuffle=True, seed=0)
    for x, y in loader:
        ...

``augment`` has random changes of images, ``mix`` mixtures of samples, ``preprocess`` what is
fitted to training data. Importing this package needs NumPy and the engine's kernels; what a
download needs is loaded when there is one.
"""

from . import augment, datasets, mix, preprocess, sampler
from .dataset import ConcatDataset, Dataset, Subset, TensorDataset, random_split
from .loader import DataLoader
from .mix import CutMix, MixUp, cutmix, mixed_loss, mixup
from .sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from .split import k_fold, stratified_split

__all__ = [
    "BatchSampler",
    "ConcatDataset",
    "CutMix",
    "DataLoader",
    "Dataset",
    "MixUp",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "augment",
    "cutmix",
    "datasets",
    "k_fold",
    "mix",
    "mixed_loss",
    "mixup",
    "preprocess",
    "random_split",
    "sampler",
    "stratified_split",
]
