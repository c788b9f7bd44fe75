"""Linear classifiers on raw pixels, on a colour histogram, and on HOG features.

A linear classifier of pixels has one template for each class, and fails where shifts and colours
vary. Histograms of oriented gradients (Dalal & Triggs 2005) see edges, a histogram of hues sees
colours, and both together see most. The images: CIFAR-10 from a folder, or handwritten digits
made harder, shifted on a dark coloured ground (cool colours are a little likelier for odd digits).

    pip install scikit-image
    python examples/image_features.py [FOLDER OF CIFAR-10]
"""

import sys

import numpy as np
from skimage.color import hsv2rgb, rgb2hsv
from skimage.feature import hog

import fastgrad as fg
from fastgrad import nn
from fastgrad.data import datasets


def coloured_digits(images, labels, rng):
    """Images (n, 32, 32, 3): each digit enlarged, shifted and coloured at random."""
    canvas = np.zeros((len(images), 32, 32, 3), np.float32)
    cool = rng.random(len(images)) < np.where(labels % 2, 0.7, 0.3)
    hues = (rng.random(len(images)) + cool) / 2
    for k, image in enumerate(images.reshape(-1, 8, 8)):
        top, left = rng.integers(0, 9, 2)
        hsv = np.zeros((32, 32, 3), np.float32)
        hsv[..., 0], hsv[..., 1] = hues[k], 0.7
        hsv[..., 2] = 0.3 * rng.random()
        hsv[top : top + 24, left : left + 24, 2] += 0.7 * image.repeat(3, 0).repeat(3, 1)
        canvas[k] = hsv2rgb(hsv)
    return canvas


def load(folder, samples):
    """(training images, labels, test images, labels)"""
    if folder:
        x, y, x_test, y_test = datasets.cifar10(folder)
        parts = x[:samples], y[:samples], x_test[:samples], y_test[:samples]
        return tuple(a.transpose(0, 2, 3, 1) / 255 if a.ndim == 4 else a for a in parts)
    rng = np.random.default_rng(0)
    x, y, x_test, y_test = datasets.digits()
    x, x_test = ((a - a.min()) / (a.max() - a.min()) for a in (x, x_test))
    x, x_test = coloured_digits(x, y, rng), coloured_digits(x_test, y_test, rng)
    return x[:samples], y[:samples], x_test[:samples], y_test[:samples]


def oriented_gradients(images):
    """Histogram of the directions of edges, in each 8 x 8 cell."""
    return np.stack([hog(image.mean(-1), pixels_per_cell=(8, 8)) for image in images])


def hues(images, bins=10):
    """Histogram of the hues of an image, weighted by how bright a pixel is."""
    rows = [
        np.histogram(hsv[..., 0], bins, (0, 1), weights=hsv[..., 2])[0]
        for hsv in map(rgb2hsv, images)
    ]
    return np.stack(rows) / images[0].size


def accuracy(x, y, x_test, y_test, epochs):
    """Of a linear softmax classifier on standardised features."""
    fg.manual_seed(0)
    mean, std = x.mean(0), x.std(0) + 1e-6
    x, x_test = (fg.tensor(((a - mean) / std).astype(np.float32)) for a in (x, x_test))
    y = fg.tensor(y)
    model = nn.Linear(x.shape[1], 10)
    optimizer = fg.optim.Adam(model.parameters(), lr=0.01, weight_decay=1e-3)
    for _ in range(epochs):
        optimizer.zero_grad()
        fg.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    with fg.no_grad():
        return float((model(x_test).argmax(1).numpy() == y_test).mean())


def main(folder=None, samples=5000, epochs=100):
    """Returns the test accuracy of each kind of features."""
    x, y, x_test, y_test = load(folder, samples)
    features = {
        "raw pixels": lambda images: images.reshape(len(images), -1),
        "hue histogram": hues,
        "HOG": oriented_gradients,
        "HOG and hues": lambda images: np.hstack((oriented_gradients(images), hues(images))),
    }
    results = {}
    for name, extract in features.items():
        results[name] = accuracy(extract(x), y, extract(x_test), y_test, epochs)
        print(f"{name:14} test accuracy {results[name]:.1%}")
    return results


if __name__ == "__main__":
    main(*sys.argv[1:2])
