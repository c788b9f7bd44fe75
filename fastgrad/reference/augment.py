"""NumPy twins of ``fastgrad.kernels.augment``: the same random numbers, one image at a time."""

import math

import numpy as np

from .gather import gather_rows
from .random import _philox

__all__ = ["augment"]

# As in the kernels' file, where they are explained.
PLACES, BILINEAR, FILL, GAIN, HALF, STRIDE, CHANNELS, HEIGHT, WIDTH, NEW_HEIGHT, NEW_WIDTH = range(
    11
)
KIND, BLOCK, ARGS = range(3)
FLIP_ACROSS, FLIP_DOWN, CROP, AFFINE, NORMALIZE, JITTER, NOISE, ERASE = range(8)
ATTEMPTS = 10
_CHUNK = 64


class _Numbers:
    """The random numbers of one change of one image, by block."""

    def __init__(self, ticket, first):
        self.ticket = np.array([ticket[0], ticket[1] + np.uint64(first)], np.uint64)

    def at(self, block, count=1):
        ticket = self.ticket + np.array([0, block], np.uint64)
        return _philox(ticket, count).astype(np.float64) * 2.0**-32

    def normals(self, count, block, real):
        parts = []
        for start in range(0, count, _CHUNK):
            a, b, c, d = (self.at(block + start // 4, _CHUNK // 4)).T
            for radius, turn in ((a, b), (c, d)):
                radius = (radius + 2.0**-33).astype(real)
                angle = (turn - 0.5).astype(real) * real.type(2 * math.pi)
                radius = np.sqrt(real.type(-2) * np.log(radius))
                parts += [radius * np.cos(angle), radius * np.sin(angle)]
        return np.concatenate(parts)[:count] if parts else np.empty(0, real)


def _uniform(number, low, high):
    return low + number * (high - low)


def _map_of(row, numbers):
    """The 3x3 matrix from pixels (x, y, 1) of a result to those of its source."""
    a, b, c, d = numbers.at(0)[0]
    args, back = row[ARGS:], np.eye(3)
    if row[KIND] == CROP:
        back[:2, 2] = math.floor(b * args[1]) - args[3], math.floor(a * args[0]) - args[2]
    elif row[KIND] in (FLIP_ACROSS, FLIP_DOWN):
        axis = int(row[KIND] == FLIP_DOWN)
        if a < args[0]:
            back[axis, axis], back[axis, 2] = -1, args[1] - 1
    else:
        e, f, _, _ = numbers.at(1)[0]
        angle = _uniform(a, *args[0:2])
        shift = [math.floor(_uniform(u, -m, m) + 0.5) for u, m in ((b, args[2]), (c, args[3]))]
        x_shear, y_shear = _uniform(e, *args[6:8]), _uniform(f, *args[8:10])
        turn = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
        shear = np.array([[1, 0], [-math.tan(y_shear), 1]]) @ [[1, -math.tan(x_shear)], [0, 1]]
        there = turn @ shear * _uniform(d, *args[4:6])
        centre = args[10:12]
        back[:2, :2] = np.linalg.inv(there)
        back[:2, 2] = centre - back[:2, :2] @ (centre + shift)
    return back


def _read(head, image, where):
    """An image (C, H, W) of floats, with the fill around it, at the places of a map."""
    real, (channels, height, width) = image.dtype.type, image.shape
    framed = np.full((channels, height + 3, width + 3), real(head[FILL]))
    framed[:, 1 : height + 1, 1 : width + 1] = image
    x = np.arange(int(head[NEW_WIDTH])).astype(real)
    y = np.arange(int(head[NEW_HEIGHT])).astype(np.float64)[:, None]
    places = []
    for (along, across, start), size in zip(where[:2], (width, height), strict=True):
        place = real(along) * x + (across * y + start + 1).astype(real)
        places.append(np.clip(place, 0, real(size + 1)))
    xs, ys = places
    if not head[BILINEAR]:
        return framed[:, (ys + real(0.5)).astype(int), (xs + real(0.5)).astype(int)]
    column, row = xs.astype(int), ys.astype(int)
    xs, ys = xs - column.astype(real), ys - row.astype(real)
    above, below = (
        framed[:, row + k, column]
        + xs * (framed[:, row + k, column + 1] - framed[:, row + k, column])
        for k in (0, 1)
    )
    return above + ys * (below - above)


def _grey(image):
    means = image.astype(np.float64).mean(axis=(1, 2))
    return means @ [0.2989, 0.587, 0.114] if len(means) == 3 else means.mean()


def _jitter(args, numbers, image, real, rounded):
    a, b, c, _ = numbers.at(0)[0]
    brightness, contrast = _uniform(a, *args[0:2]), _uniform(b, *args[2:4])

    def blend(image, factor, other):
        value = image.astype(real) * real.type(factor) + real.type(other)
        return rounded(np.clip(value, 0, real.type(args[4])))

    if c < 0.5:
        image = blend(image, brightness, 0)
    image = blend(image, contrast, (1 - contrast) * _grey(image))
    return image if c < 0.5 else blend(image, brightness, 0)


def _erase(args, numbers, image, real, rounded):
    _, height, width = image.shape
    if numbers.at(0)[0][0] >= args[0]:
        return image
    for attempt in range(1, ATTEMPTS + 1):
        a, b, c, d = numbers.at(attempt)[0]
        area = _uniform(a, *args[1:3]) * height * width
        ratio = math.exp(_uniform(b, *args[3:5]))
        tall, broad = (math.floor(math.sqrt(s) + 0.5) for s in (area * ratio, area / ratio))
        if tall < height and broad < width:
            break
    else:
        return image
    top, left = math.floor(c * (height - tall + 1)), math.floor(d * (width - broad + 1))
    box = image[:, top : top + tall, left : left + broad]
    box[...] = rounded(real.type(args[5]))
    if args[6]:
        box[...] = numbers.normals(box.size, 1 + ATTEMPTS, real).reshape(box.shape)
    return image


def augment(x, rows, table, constants, ticket, size, dtype):
    head, images = table[0], gather_rows(x, rows)
    out = np.empty((rows.size, x.shape[1], *size), dtype)
    real = np.dtype(np.float32) if out.dtype.kind != "f" else out.dtype

    def rounded(values):
        return (values + real.type(head[HALF])).astype(out.dtype)

    for i, image in enumerate(images):
        first, where = i * int(head[STRIDE]), np.eye(3)
        changes = [(row, _Numbers(ticket, first + int(row[BLOCK]))) for row in table[1:]]
        for row, numbers in changes[: int(head[PLACES])]:
            where = where @ _map_of(row, numbers)
        image = rounded(_read(head, image.astype(real) * real.type(head[GAIN]), where))
        for row, numbers in changes[int(head[PLACES]) :]:
            args = row[ARGS:]
            if row[KIND] == NORMALIZE:
                at, channels = int(args[0]), len(image)
                mean, std = constants[at : at + 2 * channels].astype(real).reshape(2, -1, 1, 1)
                image = (image - mean) / std
            elif row[KIND] == JITTER:
                image = _jitter(args, numbers, image, real, rounded)
            elif row[KIND] == NOISE:
                normal = numbers.normals(image.size, 0, real).reshape(image.shape)
                value = image + (real.type(args[0]) + real.type(args[1]) * normal)
                image = rounded(np.clip(value, *args[2:4].astype(real)))
            else:
                image = _erase(args, numbers, image, real, rounded)
        out[i] = image
    return out
