"""One network, three questions: which digit, is it odd, how much ink.

The heads share a trunk, whose gradient is the sum of theirs; the weights say how much each task
counts. Compared with a network for each task alone, on few samples. Caruana 1997.

    python examples/multi_task.py
"""

import fastgrad as fg
import fastgrad.functional as F
from fastgrad import nn
from fastgrad.data import datasets

LOSSES = {"digit": F.cross_entropy, "odd": F.cross_entropy, "ink": F.mse_loss}
WEIGHTS = {"digit": 1.0, "odd": 0.5, "ink": 0.5}
OUTPUTS = {"digit": 10, "odd": 2, "ink": 1}


def targets_of(x, y):
    """What each task wants to know of images and labels."""
    ink = x.mean(1, keepdim=True)
    return {"digit": y, "odd": y % 2, "ink": (ink - ink.mean()) / ink.std()}


def train(tasks, samples, steps):
    """Test error of each task: share of wrong answers, or the mean squared error."""
    fg.manual_seed(0)
    x, y, x_test, y_test = (fg.tensor(a) for a in datasets.digits())
    x, targets = x[:samples], targets_of(x[:samples], y[:samples])
    trunk = nn.Sequential(nn.Linear(64, 64), nn.ReLU())
    model = nn.MultiHead(trunk, {task: nn.Linear(64, OUTPUTS[task]) for task in tasks})
    losses = {task: LOSSES[task] for task in tasks}
    criterion = nn.MultiTaskLoss(losses, {task: WEIGHTS[task] for task in tasks})
    optimizer = fg.optim.Adam(model.parameters(), lr=1e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        criterion(model(x), {task: targets[task] for task in tasks}).backward()
        optimizer.step()
    with fg.no_grad():
        outputs, wanted = model(x_test), targets_of(x_test, y_test)
        return {task: error(outputs[task], wanted[task]) for task in tasks}


def error(output, target):
    """Share of wrong classes, or the mean squared error of a number."""
    if output.shape[1] == 1:
        return F.mse_loss(output, target).item()
    return (output.argmax(1) != target).to(fg.float32).mean().item()


def main(samples=200, steps=500):
    """Returns the test errors of the tasks together, and of each alone."""
    together = train(tuple(LOSSES), samples, steps)
    alone = {task: train((task,), samples, steps)[task] for task in LOSSES}
    for task in LOSSES:
        print(f"{task:6} test error {together[task]:.3f} together, {alone[task]:.3f} alone")
    return together, alone


if __name__ == "__main__":
    main()
