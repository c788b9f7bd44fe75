"""Three ways to find weights: guess, guess nearby, follow the gradient.

A linear classifier of handwritten digits. Random search draws weights anew and keeps the best;
random local search keeps a random small change if it helps; gradient descent computes in which
direction the loss falls. Each may look at the loss equally often.

    python examples/random_search.py
"""

import _figure

import fastgrad as fg
import fastgrad.functional as F
from fastgrad.data import datasets


def random_search(loss_of, shape, tries):
    """Loss of the best weights after each try."""
    best, losses = float("inf"), []
    for _ in range(tries):
        best = min(best, loss_of(fg.randn(shape) * 0.1).item())
        losses.append(best)
    return losses


def local_search(loss_of, shape, tries):
    """Loss after each try to change the weights a little."""
    weight = fg.randn(shape) * 0.001
    best, losses = float("inf"), []
    for _ in range(tries):
        changed = weight + fg.randn(shape) * 0.01
        loss = loss_of(changed).item()
        if loss < best:
            weight, best = changed, loss
        losses.append(best)
    return losses


def gradient_descent(loss_of, shape, tries):
    """Loss before each step along the gradient."""
    weight = (fg.randn(shape) * 0.001).requires_grad_()
    losses = []
    for _ in range(tries):
        loss = loss_of(weight)
        (slope,) = fg.grad(loss, weight)
        weight = (weight - 0.5 * slope).detach().requires_grad_()
        losses.append(loss.item())
    return losses


def main(tries=1000, figure="random_search.png"):
    """Returns the losses of each way."""
    x, y, _, _ = datasets.digits()
    x, y = fg.tensor(x), fg.tensor(y)

    def loss_of(weight):
        return F.cross_entropy(x @ weight, y)

    results = {}
    for search in (random_search, local_search, gradient_descent):
        fg.manual_seed(0)
        name = search.__name__.replace("_", " ")
        results[name] = losses = search(loss_of, (x.shape[1], 10), tries)
        print(f"{name:16}  loss {losses[0]:.3f} at first, {losses[-1]:.3f} after {tries} looks")
    if figure:
        _figure.curves(figure, results, "looks at the loss", "training loss")
    return results


if __name__ == "__main__":
    main()
