"""A chain of changes to images as passes over a batch: what the kernel ``augment`` is told.

A pass makes changes of place first (flips, crops, rotations), as one map, and changes of values
(noise, contrast, erasing) after them, so a chain is cut where a place follows a value, and where
two changes of place disagree about what is outside of the image or between its pixels.
"""

import numpy as np

from ..backend import K

# The layout of a table, see ``kernels/augment.py``.
FLIP_ACROSS, FLIP_DOWN, CROP, AFFINE, NORMALIZE, JITTER, NOISE, ERASE = range(8)
_COLUMNS, _ARGS = 16, 2


class Plan:
    """Passes for images (channels, height, width) of a type; changes add themselves in order."""

    def __init__(self, shape, dtype):
        self.channels, self.height, self.width = shape
        self.dtype = np.dtype(dtype)
        self.passes = [_Pass(self)]

    @property
    def top(self):
        """What white is: 1 in floats, 255 in bytes."""
        return 255.0 if self.dtype == np.uint8 else 1.0

    def place(self, kind, args, *, blocks=1, size=None, fill=None, bilinear=None):
        """Add a change of place that gives images of ``size`` (height, width).

        ``fill`` and ``bilinear`` are None where the change asks for neither.
        """
        self.check_colour(fill or 0.0, "fill")
        now = self.passes[-1]
        if now.values or not (_agree(now.fill, fill) and _agree(now.bilinear, bilinear)):
            now = self._next()
        now.fill = fill if now.fill is None else now.fill
        now.bilinear = bilinear if now.bilinear is None else now.bilinear
        now.add(now.places, kind, args, blocks)
        self.height, self.width = size or (self.height, self.width)
        now.end(self)

    def check_colour(self, value, name):
        """ValueError where ``value`` is no byte and images are bytes."""
        if self.dtype == np.uint8 and not 0 <= value <= 255:
            raise ValueError(f"{name} is {value} for images of bytes; expected 0 to 255")

    def value(self, kind, args, *, blocks=1, constants=()):
        """Add a change of values; ``constants`` go to the pass's, and their place before args."""
        now = self.passes[-1]
        if len(constants):
            args = (len(now.constants), *args)
            now.constants.extend(constants)
        now.add(now.values, kind, args, blocks)

    def convert(self, dtype):
        """From here on images are of ``dtype``; bytes become floats from 0 to 1."""
        if self.dtype == dtype:
            return
        now = self.passes[-1]
        if now.values:
            now = self._next()
        now.gain = 1.0 / 255.0
        now.fill = None if now.fill is None else now.fill * now.gain
        self.dtype = np.dtype(dtype)
        now.end(self)

    def _next(self):
        self.passes.append(_Pass(self))
        return self.passes[-1]

    def finish(self):
        """The passes, ready to run."""
        for one in self.passes:
            one.finish()
        return self.passes


def _agree(one, other):
    return one is None or other is None or one == other


class _Pass:
    """One launch of the kernel."""

    def __init__(self, plan):
        self.places, self.values, self.constants = [], [], []
        self.fill = self.bilinear = None
        self.gain, self.blocks = 1.0, 0
        self.start = plan.channels, plan.height, plan.width
        self.end(plan)

    def end(self, plan):
        """Results are as the plan's images are now."""
        self.size, self.dtype = (plan.height, plan.width), plan.dtype

    def add(self, rows, kind, args, blocks):
        """A row of the table, with so many blocks of random numbers."""
        rows.append((kind, self.blocks, *args))
        self.blocks += blocks

    def finish(self):
        """Lay out the table."""
        rows = [*self.places, *self.values]
        self.table = np.zeros((1 + len(rows), _COLUMNS))
        half = 0.5 if self.dtype == np.uint8 else 0.0
        head = (
            len(self.places), bool(self.bilinear), self.fill or 0.0, self.gain, half, self.blocks,
            *self.start, *self.size,
        )  # fmt: skip
        for row, numbers in zip(self.table, (head, *rows), strict=True):
            row[: len(numbers)] = numbers
        self.constants = np.array(self.constants, np.float64)
        del self.places, self.values

    def run(self, x, rows, counter):
        """Images ``rows`` of x (N, C, H, W), changed."""
        ticket = K.draw(counter, 4 * self.blocks * len(rows))
        return K.augment(x, rows, self.table, self.constants, ticket, self.size, self.dtype)
