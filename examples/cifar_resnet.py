"""A residual network on CIFAR-10, with and without stochastic depth.

He et al. 2016: images padded by 4, cropped and flipped at random, SGD with momentum 0.9 and a
weight decay of 1e-4. The rate is 0.1 and follows half a cosine. With stochastic depth (Huang et
al. 2016) each image passes through some of the blocks only, in training: the deeper the block, the
likelier it is left out.

    python examples/cifar_resnet.py FOLDER [LAYERS] [EPOCHS]

FOLDER has the files of CIFAR-10, data_batch_1.bin to data_batch_5.bin and test_batch.bin, or those
of the Python version. Without one it shows itself on digits in colour.
"""

import sys
import time

import _figure
import numpy as np

import fastgrad as fg
from fastgrad import models
from fastgrad.data import DataLoader, TensorDataset, augment, datasets

MEAN, STD = (0.491, 0.482, 0.447), (0.247, 0.243, 0.262)  # of CIFAR-10's colours


def load(folder):
    """Bytes: training images (n, 3, size, size) and labels, and the same to test."""
    if folder:
        return datasets.cifar10(folder, scale=False)
    x, y, x_test, y_test = datasets.digits(flatten=False)
    tints = np.float32([[1, 0.5, 0], [0, 1, 0.5], [0.5, 0, 1]])
    x, x_test = (
        (255 * a * tints[np.arange(len(a)) % 3, :, None, None]).astype(np.uint8)
        for a in (x, x_test)
    )
    return x, y, x_test, y_test


def accuracy(model, loader):
    """The share of images that are recognised."""
    model.eval()
    with fg.no_grad():
        right = [(model(x).argmax(1) == y).to(fg.float32).mean().item() * len(x) for x, y in loader]
    model.train()
    return sum(right) / len(loader.dataset)


def train(data, layers, epochs, stochastic_depth, batch):
    """The test accuracy after each epoch."""
    fg.manual_seed(0)
    x, y, x_test, y_test = data
    size = x.shape[-1]
    seen = [augment.ConvertImageDtype(), augment.Normalize(MEAN, STD)]
    changes = [augment.RandomCrop(size, padding=size // 8)]
    changes += [augment.RandomHorizontalFlip()] if size == 32 else []  # a digit has no mirror image
    loader = DataLoader(
        TensorDataset(x, y), batch, shuffle=True, drop_last=True, seed=0,
        transform=augment.Compose([*changes, *seen]),
    )  # fmt: skip
    tests = DataLoader(TensorDataset(x_test, y_test), 500, transform=augment.Compose(seen))
    model = models.CifarResNet(layers, stochastic_depth=stochastic_depth)
    optimizer = fg.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    schedule = fg.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * len(loader))

    @fg.compile
    def step(x, y):
        optimizer.zero_grad()
        loss = fg.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    results = []
    for epoch in range(epochs):
        started, losses = time.perf_counter(), []
        for images, labels in loader:
            losses.append(step(images, labels).item())
            schedule.step()
        seconds = time.perf_counter() - started
        results.append(accuracy(model, tests))
        print(f"  epoch {epoch + 1:3}  loss {np.mean(losses):.4f}  "
              f"test accuracy {results[-1]:.2%}  {seconds:.1f} s")  # fmt: skip
    return results


def main(folder=None, layers=20, epochs=10, drops=(0.0, 0.2), batch=128, figure="cifar_resnet.png"):
    """Returns the test accuracies of each probability of leaving out the last block."""
    data, results = load(folder), {}
    for drop in drops:
        print(f"{layers} layers, the last block left out with probability {drop}")
        results[f"stochastic depth {drop}"] = train(data, int(layers), int(epochs), drop, batch)
    if figure:
        _figure.curves(figure, results, "epoch", "test accuracy")
    return results


if __name__ == "__main__":
    main(*sys.argv[1:4])
