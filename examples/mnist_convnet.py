"""A small convolutional network that reads handwritten digits.

Two convolutions of 5x5 with batch normalisation, ReLU and pooling, and a linear layer: 29 thousand
weights. Every image is shifted at random, so that the network never sees one twice, and the rate
rises and falls once (Smith & Topin 2018). On MNIST that reads 99.4 % of the test images. The figure
shows what the first convolution has learned to look for.

    python examples/mnist_convnet.py [FOLDER OF MNIST] [SEED]
"""

import sys
import time

import _figure

import fastgrad as fg
from fastgrad import nn
from fastgrad.data import DataLoader, TensorDataset, augment, datasets


def network(size):
    """For images of size x size."""
    return nn.Sequential(
        nn.Conv2d(1, 16, 5, padding=2, bias=False),  # the normalisation adds a bias of its own
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 5, padding=2, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * (size // 4) ** 2, 10),
    )


def accuracy(model, x, y, batch=1000):
    """The share of images that are recognised."""
    model.eval()
    with fg.no_grad():
        right = [
            (model(images).argmax(1) == labels).sum().item()
            for images, labels in DataLoader(TensorDataset(x, y), batch)
        ]
    model.train()
    return sum(right) / len(x)


def draw(kernels, path):
    """Each kernel as a picture, from black for the least weight to white for the greatest."""
    figure, subplots = _figure.axes(len(kernels), 0.6, 0.7)
    if figure is not None:
        for axes, kernel in zip(subplots, kernels, strict=True):
            axes.imshow(kernel[0], cmap="gray")
            axes.axis("off")
    _figure.save(figure, path)


def main(folder=None, seed=0, epochs=None, batch=128, rate=0.1, figure="mnist_convnet.png"):
    """Returns the test accuracy after each epoch."""
    seed = int(seed)
    fg.manual_seed(seed)
    if folder:
        x, y, x_test, y_test = datasets.mnist(folder, flatten=False)
    else:
        x, y, x_test, y_test = datasets.digits(flatten=False)
    size, epochs = x.shape[-1], epochs or (10 if folder else 30)
    loader = DataLoader(
        TensorDataset(x, y), batch, shuffle=True, drop_last=True, seed=seed,
        transform=augment.RandomShift(2 if folder else 1),
    )  # fmt: skip
    model = network(size)
    optimizer = fg.optim.SGD(model.parameters(), lr=rate, momentum=0.9, weight_decay=5e-4)
    schedule = fg.optim.lr_scheduler.OneCycleLR(optimizer, rate, epochs * len(loader))

    @fg.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = fg.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    results, started = [], time.perf_counter()
    for epoch in range(epochs):
        for images, labels in loader:
            loss = step(images, labels)
            schedule.step()
        results.append(accuracy(model, x_test, y_test))
        seconds = time.perf_counter() - started
        print(f"epoch {epoch + 1:2}  loss {loss.item():.4f}  test accuracy {results[-1]:.2%}"
              f"  {seconds:5.1f} s")  # fmt: skip
    if figure:
        draw(model[0].weight.detach().numpy(), figure)
    return results


if __name__ == "__main__":
    main(*sys.argv[1:3])
