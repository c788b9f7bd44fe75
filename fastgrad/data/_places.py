"""Transforms that move pixels: flips, crops, shifts, rotations, affine maps."""

import math

from . import _plan
from ._checks import as_integer
from ._transform import Transform, as_interpolation, as_pair, as_probability, as_range, as_sides


class RandomHorizontalFlip(Transform):
    """Left and right exchanged, with probability p.

    >>> import numpy as np
    >>> RandomHorizontalFlip(p=1)(np.array([[[1.0, 2.0]]]))
    array([[[2., 1.]]])
    """

    def __init__(self, p=0.5):
        self.p = as_probability(p, "RandomHorizontalFlip")

    def plan(self, plan):
        plan.place(_plan.FLIP_ACROSS, (self.p, plan.width))


class RandomVerticalFlip(Transform):
    """Top and bottom exchanged, with probability p."""

    def __init__(self, p=0.5):
        self.p = as_probability(p, "RandomVerticalFlip")

    def plan(self, plan):
        plan.place(_plan.FLIP_DOWN, (self.p, plan.height))


class Pad(Transform):
    """``fill`` around images: padding is one number, (sides, top and bottom), or all four.

    Four are left, top, right, bottom.

    >>> import numpy as np
    >>> Pad((1, 0))(np.ones((1, 1, 1)))
    array([[[0., 1., 0.]]])
    """

    def __init__(self, padding, fill=0):
        self.padding, self.fill = as_sides(padding, "Pad"), float(fill)

    def plan(self, plan):
        left, top, right, bottom = self.padding
        size = plan.height + top + bottom, plan.width + left + right
        plan.place(_plan.CROP, (1, 1, top, left), size=size, fill=self.fill)


class CenterCrop(Transform):
    """The middle of images, (height, width) or a square; what is missing there is 0.

    >>> import numpy as np
    >>> CenterCrop(1)(np.arange(9.0).reshape(1, 3, 3))
    array([[[4.]]])
    """

    def __init__(self, size):
        self.size = as_pair(size, "CenterCrop")

    def plan(self, plan):
        height, width = self.size
        top, left = (round((a - b) / 2) for a, b in ((plan.height, height), (plan.width, width)))
        plan.place(_plan.CROP, (1, 1, -top, -left), size=self.size, fill=0.0)


class RandomCrop(Transform):
    """A part of ``size`` at random, a square or (height, width), of images with padding around.

    ``padding`` is as in ``Pad``; with ``pad_if_needed`` smaller images are padded to fit. Raises
    ``ValueError`` for images that are smaller than ``size``.

    >>> import numpy as np
    >>> RandomCrop(2)(np.zeros((5, 3, 8, 8), np.uint8)).shape
    (5, 3, 2, 2)
    """

    def __init__(self, size, padding=None, pad_if_needed=False, fill=0, padding_mode="constant"):
        self.size = as_pair(size, "RandomCrop")
        self.padding = as_sides(0 if padding is None else padding, "RandomCrop")
        self.pad_if_needed, self.fill = bool(pad_if_needed), float(fill)
        if padding_mode != "constant":
            raise ValueError(f"RandomCrop: padding_mode is {padding_mode!r}; expected 'constant'")

    def plan(self, plan):
        left, top, right, bottom = self.padding
        height, width = plan.height + top + bottom, plan.width + left + right
        if self.pad_if_needed and width < self.size[1]:
            more = self.size[1] - width
            left, width = left + more, width + 2 * more
        if self.pad_if_needed and height < self.size[0]:
            more = self.size[0] - height
            top, height = top + more, height + 2 * more
        if height < self.size[0] or width < self.size[1]:
            raise ValueError(
                f"RandomCrop: size {self.size} of images that are {(height, width)} with padding"
            )
        starts = height - self.size[0] + 1, width - self.size[1] + 1
        padded = (height, width) != (plan.height, plan.width)
        plan.place(
            _plan.CROP, (*starts, top, left), size=self.size, fill=self.fill if padded else None
        )


class RandomShift(Transform):
    """Moved by up to ``pixels`` each way, whole pixels, ``fill`` where nothing is left.

    ``pixels`` is one number, or (across, down).

    >>> import numpy as np
    >>> RandomShift(2)(np.ones((1, 4, 4))).shape
    (1, 4, 4)
    """

    def __init__(self, pixels, fill=0):
        across, down = pixels if isinstance(pixels, tuple | list) else (pixels, pixels)
        self.pixels = (
            as_integer(across, "RandomShift", "pixels"),
            as_integer(down, "RandomShift", "pixels"),
        )
        self.fill = float(fill)

    def plan(self, plan):
        across, down = self.pixels
        plan.place(_plan.CROP, (2 * down + 1, 2 * across + 1, down, across), fill=self.fill)


class RandomAffine(Transform):
    """Turned, moved, scaled and sheared about the centre, each at random.

    degrees    (least, most) that images are turned by clockwise, or a number for ± it
    translate  most that they are moved by, as shares (of the width, of the height)
    scale      (least, most)
    shear      degrees as ``degrees``, along x; or four numbers, for x and for y
    interpolation   "nearest" or "bilinear"
    fill       what is outside of images
    center     (x, y) from the upper left corner; None for the middle

    Moves are by whole pixels. Raises ``ValueError`` for ranges that are none.

    >>> import numpy as np
    >>> RandomAffine(10, translate=(0.1, 0.1), scale=(0.9, 1.1))(np.ones((1, 8, 8))).shape
    (1, 8, 8)
    """

    def __init__(
        self,
        degrees,
        translate=None,
        scale=None,
        shear=None,
        interpolation="nearest",
        fill=0,
        center=None,
    ):
        where = type(self).__name__
        self.degrees = as_range(degrees, where, "degrees", around=0)
        self.translate = (0.0, 0.0) if translate is None else tuple(translate)
        if len(self.translate) != 2 or not all(0 <= share <= 1 for share in self.translate):
            raise ValueError(f"{where}: translate is {translate}; expected two shares from 0 to 1")
        self.scale = (1.0, 1.0) if scale is None else as_range(scale, where, "scale")
        if self.scale[0] <= 0:
            raise ValueError(f"{where}: scale is {scale}; expected numbers above 0")
        shear = 0 if shear is None else shear
        if isinstance(shear, tuple | list) and len(shear) == 4:
            self.shear = (
                *as_range(shear[:2], where, "shear"),
                *as_range(shear[2:], where, "shear"),
            )
        else:
            self.shear = (*as_range(shear, where, "shear", around=0), 0.0, 0.0)
        if max(map(abs, self.shear)) >= 90:
            raise ValueError(f"{where}: shear is {shear}; expected less than 90 degrees")
        self.interpolation = as_interpolation(interpolation, where)
        self.fill, self.center = float(fill), center

    def plan(self, plan):
        x, y = (plan.width / 2, plan.height / 2) if self.center is None else self.center
        angles = [math.radians(angle) for angle in (*self.degrees, *self.shear)]
        reach = self.translate[0] * plan.width, self.translate[1] * plan.height
        plan.place(
            _plan.AFFINE, (*angles[:2], *reach, *self.scale, *angles[2:], x - 0.5, y - 0.5),
            blocks=2, fill=self.fill, bilinear=self.interpolation == "bilinear",
        )  # fmt: skip


class RandomRotation(Transform):
    """Turned about the centre by (least, most) degrees counter-clockwise, or by ± one number.

    ``interpolation``, ``center`` and ``fill`` are ``RandomAffine``'s. Images keep their size:
    ``expand`` must be False.

    >>> import numpy as np
    >>> RandomRotation((90, 90))(np.array([[[1.0, 2.0], [3.0, 4.0]]]))
    array([[[2., 4.],
            [1., 3.]]])
    """

    def __init__(self, degrees, interpolation="nearest", expand=False, center=None, fill=0):
        if expand:
            raise ValueError("RandomRotation: images of a batch keep their size; expand is True")
        self.degrees = as_range(degrees, "RandomRotation", "degrees", around=0)
        self.interpolation = as_interpolation(interpolation, "RandomRotation")
        self.center, self.fill = center, float(fill)

    def plan(self, plan):
        clockwise = -self.degrees[1], -self.degrees[0]
        RandomAffine(
            clockwise, interpolation=self.interpolation, fill=self.fill, center=self.center
        ).plan(plan)
