"""The course's two-layer network, by hand in NumPy and in fastgrad, side by side.

The NumPy half derives every gradient with the chain rule, as on the blackboard. Both halves start
from the same weights and see the same data, so that the losses agree to the last digits shown.

    python examples/two_layers.py
"""

import time

import numpy as np

import fastgrad as fg
import fastgrad.functional as F

SAMPLES, INPUTS, HIDDEN, OUTPUTS = 64, 1000, 100, 10


def by_hand(x, y, w1, w2, rate, steps):
    """Losses of gradient descent on softmax(relu(x·W1)·W2), with our own backward pass."""
    w1, w2 = w1.copy(), w2.copy()
    rows, losses = np.arange(len(x)), []
    for _ in range(steps):
        # forward
        hidden = np.maximum(x @ w1, 0)
        scores = hidden @ w2
        scores -= scores.max(axis=1, keepdims=True)
        log_p = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        losses.append(float(-log_p[rows, y].mean()))
        # backward: each line is a local gradient times what came from above
        grad_scores = np.exp(log_p)
        grad_scores[rows, y] -= 1
        grad_scores /= len(x)
        grad_w2 = hidden.T @ grad_scores
        grad_hidden = grad_scores @ w2.T
        grad_hidden[hidden == 0] = 0
        grad_w1 = x.T @ grad_hidden
        # a step downhill
        w1 -= rate * grad_w1
        w2 -= rate * grad_w2
    return losses


def by_fastgrad(x, y, w1, w2, rate, steps):
    """The same with gradients found by the tape."""
    x, y = fg.tensor(x), fg.tensor(y)
    w1, w2 = (fg.tensor(w, requires_grad=True) for w in (w1, w2))
    optimizer, losses = fg.optim.SGD([w1, w2], lr=rate), []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = F.cross_entropy(F.relu(x @ w1) @ w2, y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


def main(steps=300):
    """Returns the losses of both."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((SAMPLES, INPUTS), np.float32)
    y = rng.integers(0, OUTPUTS, SAMPLES)
    w1 = rng.standard_normal((INPUTS, HIDDEN), np.float32) * np.float32(INPUTS**-0.5)
    w2 = rng.standard_normal((HIDDEN, OUTPUTS), np.float32) * np.float32(HIDDEN**-0.5)
    results = {}
    for name, train in (("NumPy", by_hand), ("fastgrad", by_fastgrad)):
        train(x, y, w1, w2, 0.1, 2)  # compiles, or loads what was compiled
        started = time.perf_counter()
        results[name] = losses = train(x, y, w1, w2, 0.1, steps)
        seconds = time.perf_counter() - started
        shown = ", ".join(f"{loss:.5f}" for loss in losses[:: max(1, steps // 5)])
        print(f"{name:9} {seconds / steps * 1e6:6.0f} µs a step, losses {shown}")
    return results


if __name__ == "__main__":
    main()
