"""Features made by hand against features that are learned, from few images and from many.

A linear classifier on pixels, the same on a colour histogram and HOG (see image_features.py), and a
convolutional network, which finds its features itself. What is known about images is built into the
features, so that few images are enough; from more of them the network learns what nobody built in.

    pip install scikit-image
    python examples/convnet_features.py [FOLDER OF CIFAR-10]
"""

import sys

import _figure
import image_features
import numpy as np

import fastgrad as fg
from fastgrad import models
from fastgrad.data import DataLoader, TensorDataset


def as_rows(images):
    """Pixels, image by image."""
    return images.reshape(len(images), -1)


def by_hand(images):
    """HOG and a histogram of hues."""
    return np.hstack((image_features.oriented_gradients(images), image_features.hues(images)))


def convnet(x, y, x_test, y_test, epochs, batch=32):
    """The test accuracy of a network of three convolutions."""
    fg.manual_seed(0)
    x, x_test = (a.transpose(0, 3, 1, 2).astype(np.float32) for a in (x, x_test))
    model = models.ConvNet(10, 3, 32, channels=(16, 32, 64), dropout=0.2)
    loader = DataLoader(TensorDataset(x, y), batch, shuffle=True, drop_last=True, seed=0)
    optimizer = fg.optim.AdamW(model.parameters(), lr=0.003, weight_decay=0.01)
    steps = epochs * len(loader)
    schedule = fg.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)

    @fg.compile
    def step(x, y):
        optimizer.zero_grad()
        fg.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    for _ in range(epochs):
        for images, labels in loader:
            step(images, labels)
            schedule.step()
    model.eval()
    with fg.no_grad():
        tests = DataLoader(TensorDataset(x_test), 500)
        found = [model(part).argmax(1).numpy() for (part,) in tests]
    return float((np.concatenate(found) == y_test).mean())


def main(folder=None, sizes=(100, 300, 1000, 5000), epochs=30, figure="convnet_features.png"):
    """Returns the test accuracies of each kind, by the number of images learned from."""
    x, y, x_test, y_test = image_features.load(folder, max(sizes))
    sizes = sorted({min(size, len(x)) for size in sizes})
    designed = {"pixels": as_rows, "HOG and hues": by_hand}
    whole = {name: (extract(x), extract(x_test)) for name, extract in designed.items()}
    results = {name: [] for name in (*designed, "ConvNet")}
    for size in sizes:
        for name, (rows, tests) in whole.items():
            results[name].append(
                image_features.accuracy(rows[:size], y[:size], tests, y_test, epochs=100)
            )
        results["ConvNet"].append(convnet(x[:size], y[:size], x_test, y_test, epochs))
        shown = ", ".join(f"{name} {found[-1]:.1%}" for name, found in results.items())
        print(f"{size:5} images: {shown}")
    chart, subplots = _figure.axes()
    if figure:
        if chart is not None:
            for name, found in results.items():
                subplots[0].plot(sizes, found, marker="o", label=name)
            subplots[0].set(xlabel="images", ylabel="test accuracy", xscale="log")
            subplots[0].legend()
        _figure.save(chart, figure)
    return results


if __name__ == "__main__":
    main(*sys.argv[1:2])
