"""One training step of AlexNet, part by part: forward, backward, optimizer.

The network of Krizhevsky, Sutskever & Hinton 2012 with its 61 million weights, on a batch of random
images. The first step compiles kernels, or loads them, and takes memory; those after it are timed.

    python examples/alexnet.py [BATCH] [SIZE OF THE IMAGES]
"""

import sys
import time

import fastgrad as fg
from fastgrad import models

try:
    import resource
except ImportError:  # Windows does not tell
    resource = None


def layers(model, size):
    """Print the shape that each part gives, and its number of parameters."""
    with fg.no_grad():
        model.eval()
        x = fg.zeros(1, 3, size, size)
        for part in (*model.features, model.avgpool, fg.nn.Flatten(), *model.classifier):
            x = part(x)
            count = sum(parameter.numel() for parameter in part.parameters())
            shape = " x ".join(map(str, x.shape[1:]))
            print(f"  {type(part).__name__:18} {shape:>14} {f'{count:,}' if count else '':>12}")
    model.train()


def main(batch=8, size=227, classes=1000, steps=3):
    """Returns the milliseconds of each part, the best of the steps."""
    batch, size = int(batch), int(size)
    fg.manual_seed(0)
    model = models.AlexNet(classes)
    layers(model, size)
    optimizer = fg.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    x, y = fg.randn(batch, 3, size, size), fg.randint(0, classes, (batch,))
    parts = {"forward": [], "backward": [], "optimizer": []}
    for _ in range(1 + steps):
        optimizer.zero_grad()
        times = [time.perf_counter()]
        loss = fg.functional.cross_entropy(model(x), y)
        times.append(time.perf_counter())
        loss.backward()
        times.append(time.perf_counter())
        optimizer.step()
        times.append(time.perf_counter())
        for name, before, after in zip(parts, times, times[1:], strict=False):
            parts[name].append(1e3 * (after - before))
    best = {name: min(milliseconds[1:]) for name, milliseconds in parts.items()}
    print(f"batch of {batch}: " + ", ".join(f"{name} {ms:.0f} ms" for name, ms in best.items()))
    print(f"{batch / sum(best.values()) * 1e3:.1f} images a second")
    if resource is not None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peak *= 1 if sys.platform == "darwin" else 1024  # macOS counts bytes
        print(f"peak memory {peak / 2**20:,.0f} MiB")
    return best


if __name__ == "__main__":
    main(*sys.argv[1:3])
