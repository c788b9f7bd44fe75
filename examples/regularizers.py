"""What keeps a large network from learning wrong labels by heart.

A third of the 400 training labels is wrong. Without help the network learns every one of them, and
answers worse. Every regularizer meets the same network, samples and steps.

    python examples/regularizers.py
"""

import fastgrad as fg
import fastgrad.functional as F
from fastgrad import nn
from fastgrad.data import datasets, mixed_loss, mixup

SAMPLES, WRONG, WIDTH = 400, 133, 256
REGULARIZERS = {
    "none": {},
    "L2": {"weight_decay": 3e-2},
    "L1": {"l1_decay": 1e-3},
    "elastic net": {"weight_decay": 1e-2, "l1_decay": 1e-3},
    "dropout": {"dropout": 0.5},
    "label smoothing": {"smoothing": 0.1},
    "mix-up": {"mixing": 0.4},
    "early stopping": {"patience": 50},
}


def accuracy(model, x, y):
    """Share of samples that are recognised."""
    model.eval()
    with fg.no_grad():
        share = (model(x).argmax(1) == y).to(fg.float32).mean().item()
    model.train()
    return share


def train(steps, dropout=0.0, smoothing=0.0, mixing=0.0, patience=None, **decay):
    """(training accuracy, test accuracy, largest weight)"""
    fg.manual_seed(0)
    x, y, x_test, y_test = (fg.tensor(a) for a in datasets.digits())
    x_valid, y_valid, x, y = x[-300:], y[-300:], x[:SAMPLES], y[:SAMPLES].clone()
    y[:WRONG] = (y[:WRONG] + fg.randint(1, 10, (WRONG,))) % 10
    model = nn.Sequential(
        nn.Linear(64, WIDTH), nn.ReLU(), nn.Dropout(dropout),
        nn.Linear(WIDTH, WIDTH), nn.ReLU(), nn.Dropout(dropout), nn.Linear(WIDTH, 10),
    )  # fmt: skip
    optimizer = fg.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, **decay)
    best, best_step, kept = 0.0, 0, None
    for step in range(steps):
        optimizer.zero_grad()
        if mixing:
            mixed, targets = mixup(x, y, alpha=mixing)
            loss = mixed_loss(F.cross_entropy, model(mixed), targets)
        else:
            loss = F.cross_entropy(model(x), y, label_smoothing=smoothing)
        loss.backward()
        optimizer.step()
        if patience:
            reached = accuracy(model, x_valid, y_valid)
            if reached > best:
                best, best_step = reached, step
                kept = {name: value.clone() for name, value in model.state_dict().items()}
            elif step - best_step > patience:
                break
    if kept:
        model.load_state_dict(kept)
    largest = max(p.abs().max().item() for p in model.parameters())
    return accuracy(model, x, y), accuracy(model, x_test, y_test), largest


def main(steps=400):
    """Returns (training accuracy, test accuracy, largest weight) by regularizer."""
    results = {}
    for name, options in REGULARIZERS.items():
        fitted, general, largest = results[name] = train(steps, **options)
        print(f"{name:16} training {fitted:.1%}  test {general:.1%}  largest weight {largest:.2f}")
    return results


if __name__ == "__main__":
    main()
