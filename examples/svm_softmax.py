"""The two linear classifiers of the course: multi-class SVM and softmax.

The SVM loss is satisfied once the right class wins by a margin of 1; the softmax loss always
wants the right class to be likelier still. So the SVM stops caring about most samples, while all
of them keep pulling at the softmax classifier. Weston & Watkins 1999.

    python examples/svm_softmax.py
"""

import _figure

import fastgrad as fg
import fastgrad.functional as F
from fastgrad import nn
from fastgrad.data import datasets

LOSSES = {"SVM (hinge)": F.multi_margin_loss, "softmax": F.cross_entropy}


def train(loss_function, steps):
    """(classifier, loss of each step)"""
    fg.manual_seed(0)
    x, y, _, _ = datasets.digits()
    x, y = fg.tensor(x), fg.tensor(y)
    model = nn.Linear(x.shape[1], 10)
    optimizer = fg.optim.SGD(model.parameters(), lr=0.5, momentum=0.9, weight_decay=1e-4)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = loss_function(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return model, losses


def pulling(loss_function, model):
    """Share of training samples whose gradient is not (nearly) zero."""
    x, y, _, _ = datasets.digits()
    scores = model(fg.tensor(x)).detach().requires_grad_()
    loss_function(scores, fg.tensor(y), reduction="sum").backward()
    return (scores.grad.abs().sum(1) > 1e-4).to(fg.float32).mean().item()


def main(steps=300, figure="svm_softmax.png"):
    """Returns (test accuracy, share of samples that still pull) by classifier."""
    _, _, x_test, y_test = datasets.digits()
    results, models = {}, {}
    for name, loss_function in LOSSES.items():
        models[name], losses = train(loss_function, steps)
        with fg.no_grad():
            right = models[name](fg.tensor(x_test)).argmax(1) == fg.tensor(y_test)
        accuracy, share = right.to(fg.float32).mean().item(), pulling(loss_function, models[name])
        results[name] = accuracy, share
        print(
            f"{name:12} loss {losses[0]:.3f} -> {losses[-1]:.4f}  "
            f"test accuracy {accuracy:.1%}  samples that still pull {share:.0%}"
        )
    if figure:
        plot(models, figure)
    return results


def plot(models, path):
    """The template of each class: its weights as an image."""
    figure, subplots = _figure.axes(len(models), width=8, height=2)
    for subplot, (name, model) in zip(subplots or (), models.items(), strict=False):
        images = model.weight.detach().reshape(8, 8, 10).permute(0, 2, 1).reshape(8, 80)
        subplot.imshow(images.numpy(), cmap="RdBu")
        subplot.set(title=f"{name}: templates of 0 to 9", xticks=[], yticks=[])
    _figure.save(figure, path)


if __name__ == "__main__":
    main()
