"""Rows of the kernels for augmentation; see ``kernel_cases``."""

import numpy as np
from kernel_cases import Row

from fastgrad.data import augment
from fastgrad.data._plan import Plan

_TICKET = np.array([2020, 77], np.uint64)
_SIZES = ((5, 1, 28, 28), (9, 3, 11, 13), (40, 2, 1, 1), (3, 1, 17, 40))
_BENCH = ((64, 1, 28, 28), (64, 3, 32, 32))
_CHAINS = {
    "flip": [augment.RandomHorizontalFlip(), augment.RandomVerticalFlip()],
    "shift": [augment.RandomShift((3, 2), fill=0.5)],
    "nearest": [augment.RandomAffine(40, (0.2, 0.1), (0.7, 1.3), (-20, 20, -9, 9), fill=0.25)],
    "bilinear": [
        augment.RandomHorizontalFlip(),
        augment.RandomAffine(40, (0.2, 0.1), (0.7, 1.3), 20, "bilinear", 0.25, center=(3, 4)),
        augment.Pad((2, 3, 1, 0), fill=0.25),
    ],
    "normalize": [augment.RandomVerticalFlip(), augment.Normalize([0.5], [0.2])],
    "jitter": [augment.ColorJitter(0.5, 0.4)],
    "noise": [augment.GaussianNoise(0.1, 0.3)],
    "free noise": [augment.GaussianNoise(0.0, 1.0, clip=False)],
    "erase": [augment.RandomErasing(0.8, value=0.5)],
    "erase by noise": [augment.RandomErasing(0.8, value="random")],
}
_NOT_OF_BYTES = {"normalize", "erase by noise"}


def _pass(members, shape, *dtypes):
    plan = Plan(shape, dtypes[0])
    for one in members:
        one.plan(plan)
    plan.convert(dtypes[-1])
    (one,) = plan.finish()
    return one


def _augmented(members, given):
    """Arguments for a chain of floats, of bytes, or of bytes that become floats."""

    def make(m, n, *shape):
        start = np.dtype(np.uint8) if given else m.dtype
        one = _pass(members, shape, start, start if given == "bytes" else m.dtype)
        x = m.rng.random((n, *shape)) * (255 if given else 1)
        rows = m.rng.integers(0, n, n + 3)
        return x.astype(start), rows, one.table, one.constants, _TICKET, one.size, one.dtype

    return make


def _images(m, n, *shape):
    return m.normal(n, *shape), m.rng.permutation(n)


ROWS = (
    *(
        Row("augment", _augmented(members, ""), _SIZES, _BENCH, label=name)
        for name, members in _CHAINS.items()
    ),
    *(
        Row("augment", _augmented(members, "bytes"), _SIZES, label=f"{name} of bytes")
        for name, members in _CHAINS.items()
        if name not in _NOT_OF_BYTES
    ),
    *(
        Row("augment", _augmented(_CHAINS[name], "converted"), _SIZES, label=f"converted {name}")
        for name in ("flip", "bilinear")
    ),
    Row("mixup", lambda m, n, *s: (*_images(m, n, *s), 0.3),
        ((4, 3), (1, 1), (0, 5), (33, 2, 7)), ((64, 784),)),
    Row("cutmix", lambda m, *s: (*_images(m, *s), (1, 3, 0, 2)),
        ((4, 1, 3, 2), (33, 3, 7, 5), (0, 1, 3, 3)), ((64, 1, 28, 28),)),
    Row("cutmix", lambda m, *s: (
            m.rng.integers(0, 256, s).astype(np.uint8), m.rng.permutation(s[0]), (0, 0, 1, 1)),
        ((4, 1, 3, 2),), label="bytes"),
)  # fmt: skip
