"""Augmentation: random changes of whole batches of images, by torchvision's names.

    change = Compose([
        RandomCrop(28, padding=2),
        RandomRotation(10, interpolation="bilinear"),
        RandomErasing(),
    ])
    loader = DataLoader(dataset, batch_size=64, shuffle=True, transform=change)

Images are (N, C, H, W) or (N, H, W), float32 or float64 with white at 1, or uint8 with white at
255. Every image of a batch gets random numbers of its own, from a counter (``manual_seed``): the
same bits for any number of threads.

A chain is run in few passes. Changes of place that follow one another become one map, so that
images are interpolated once; and what one of them moves out of the image, the next can bring back.
Changes of values that follow are made in the same pass.
"""

import math

import numpy as np

from . import _plan
from ._places import (
    CenterCrop,
    Pad,
    RandomAffine,
    RandomCrop,
    RandomHorizontalFlip,
    RandomRotation,
    RandomShift,
    RandomVerticalFlip,
)
from ._transform import Compose, Transform, as_probability, as_range

__all__ = [
    "CenterCrop",
    "ColorJitter",
    "Compose",
    "ConvertImageDtype",
    "GaussianNoise",
    "Normalize",
    "Pad",
    "RandomAffine",
    "RandomCrop",
    "RandomErasing",
    "RandomHorizontalFlip",
    "RandomRotation",
    "RandomShift",
    "RandomVerticalFlip",
    "Transform",
]

_ERASE_BLOCKS = 1 + 10  # one, and one for each attempt


class ConvertImageDtype(Transform):
    """Bytes from 0 to 255 as floats from 0 to 1; float images must be of ``dtype`` already.

    >>> ConvertImageDtype(np.float32)(np.array([[[0, 255]]], np.uint8))
    array([[[0., 1.]]], dtype=float32)
    """

    def __init__(self, dtype=np.float32):
        self.dtype = np.dtype(dtype)
        if self.dtype.name not in ("float32", "float64"):
            raise TypeError(f"ConvertImageDtype: dtype is {self.dtype}; expected float32, float64")

    def plan(self, plan):
        if plan.dtype not in (self.dtype, np.uint8):
            raise TypeError(
                f"ConvertImageDtype: images are {plan.dtype}; expected uint8 or {self.dtype}"
            )
        plan.convert(self.dtype)


class Normalize(Transform):
    """``(x - mean) / std``, numbers for each channel, or one for all.

    Raises ``TypeError`` for bytes (``ConvertImageDtype`` comes before), ``ValueError`` for a
    deviation of 0 and for numbers that do not fit the channels.

    >>> Normalize([0.5], [0.25])(np.ones((1, 1, 1), np.float32))
    array([[[2.]]], dtype=float32)
    """

    def __init__(self, mean, std):
        self.mean, self.std = (np.atleast_1d(np.asarray(v, np.float64)) for v in (mean, std))
        if not (self.std > 0).all():
            raise ValueError(f"Normalize: std is {std}; expected numbers above 0")

    def plan(self, plan):
        if plan.dtype == np.uint8:
            raise TypeError("Normalize: images are uint8; put ConvertImageDtype() before")
        sizes = self.mean.shape, self.std.shape
        if any(size not in ((1,), (plan.channels,)) for size in sizes):
            raise ValueError(
                f"Normalize: mean and std have shapes {sizes[0]} and {sizes[1]}; expected one "
                f"number, or one for each of {plan.channels} channels"
            )
        constants = np.concatenate(
            [np.broadcast_to(v, plan.channels) for v in (self.mean, self.std)]
        )
        plan.value(_plan.NORMALIZE, (), blocks=0, constants=constants)


class ColorJitter(Transform):
    """Brightness and contrast times random factors, in either order, within black and white.

    A number v stands for factors from ``max(0, 1 - v)`` to ``1 + v``, a pair for itself. Contrast
    is about the mean of an image's grey. Floats are clamped to 0 and 1, as in torchvision: this
    comes before ``Normalize``.

    >>> ColorJitter(brightness=(0.5, 0.5))(np.ones((1, 1, 1)))
    array([[[0.5]]])
    """

    def __init__(self, brightness=0, contrast=0):
        self.brightness = self._factors(brightness, "brightness")
        self.contrast = self._factors(contrast, "contrast")

    @staticmethod
    def _factors(value, name):
        factors = as_range(value, "ColorJitter", name, around=1)
        if isinstance(value, tuple | list):
            if factors[0] < 0:
                raise ValueError(f"ColorJitter: {name} is {value}; expected numbers from 0 up")
            return factors
        return max(0.0, factors[0]), factors[1]

    def plan(self, plan):
        if self.brightness != (1.0, 1.0) or self.contrast != (1.0, 1.0):
            plan.value(_plan.JITTER, (*self.brightness, *self.contrast, plan.top))


class GaussianNoise(Transform):
    """Normal numbers added to every pixel; with ``clip`` results stay within black and white.

    ``mean`` and ``sigma`` are shares of white, for bytes too.

    >>> GaussianNoise(mean=0.25, sigma=0)(np.zeros((1, 1, 1)))
    array([[[0.25]]])
    """

    def __init__(self, mean=0.0, sigma=0.1, clip=True):
        self.mean, self.sigma, self.clip = float(mean), float(sigma), bool(clip)
        if not 0 <= self.sigma < math.inf:
            raise ValueError(f"GaussianNoise: sigma is {sigma}; expected a number from 0 up")

    def plan(self, plan):
        bytes_ = plan.dtype == np.uint8
        limits = (0.0, plan.top) if self.clip or bytes_ else (-math.inf, math.inf)
        args = (self.mean * plan.top, self.sigma * plan.top, *limits)
        plan.value(_plan.NOISE, args, blocks=_normal_blocks(plan))


class RandomErasing(Transform):
    """A rectangle of random place, size and shape filled, with probability p. Zhong et al. 2020.

    scale   (least, most) share of the image's area
    ratio   (least, most) of height to width
    value   what to fill it with: a number, or "random" for normal numbers

    An image in which no rectangle fits in ten attempts stays as it is.

    >>> bool((RandomErasing(p=1)(np.ones((1, 8, 8))) == 0).any())
    True
    """

    def __init__(self, p=0.5, scale=(0.02, 0.33), ratio=(0.3, 3.3), value=0, inplace=False):
        self.p = as_probability(p, "RandomErasing")
        self.scale = as_range(scale, "RandomErasing", "scale")
        self.ratio = as_range(ratio, "RandomErasing", "ratio")
        if self.scale[0] < 0 or self.scale[1] > 1:
            raise ValueError(f"RandomErasing: scale is {scale}; expected shares from 0 to 1")
        if self.ratio[0] <= 0:
            raise ValueError(f"RandomErasing: ratio is {ratio}; expected numbers above 0")
        if inplace:
            raise ValueError("RandomErasing: inplace is True; a new batch is returned")
        if isinstance(value, str) and value != "random":
            raise ValueError(f"RandomErasing: value is {value!r}; expected a number or 'random'")
        self.value = value if isinstance(value, str) else float(value)

    def plan(self, plan):
        noisy = self.value == "random"
        if noisy and plan.dtype == np.uint8:
            raise TypeError("RandomErasing: normal numbers are no bytes; ConvertImageDtype() first")
        plan.check_colour(0.0 if noisy else self.value, "RandomErasing: value")
        ratio = [math.log(bound) for bound in self.ratio]
        args = (self.p, *self.scale, *ratio, 0.0 if noisy else self.value, noisy)
        blocks = _ERASE_BLOCKS + (_normal_blocks(plan) if noisy else 0)
        plan.value(_plan.ERASE, args, blocks=blocks)


def _normal_blocks(plan):
    """Blocks of a normal number for each element, 64 at a time."""
    return -(-plan.channels * plan.height * plan.width // 64) * 16
