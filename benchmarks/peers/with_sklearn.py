"""The steps in scikit-learn's MLPClassifier, by ``partial_fit``; it knows ReLU, SGD and Adam."""

import warnings

import sklearn
from jobs import ADAM, SGD, data
from sklearn.neural_network import MLPClassifier

VERSION = sklearn.__version__


def variants(job):
    """{name: step} of the library."""
    if {"op", "transformer", "steps", "image"} & set(job) or job.get("batch_norm"):
        return {}
    warnings.simplefilter("ignore")
    rates = SGD if job["optimizer"] == "sgd" else ADAM
    model = MLPClassifier(
        job["sizes"][1:-1],
        solver=job["optimizer"],
        alpha=0.0,
        batch_size=job["batch"],
        learning_rate_init=rates["lr"],
        momentum=SGD["momentum"],
        nesterovs_momentum=False,
    )
    batches, classes = data(job), list(range(job["sizes"][-1]))

    def train(number):
        x, y = batches[number % len(batches)]
        model.partial_fit(x, y, classes=classes)
        return model.loss_

    return {"partial_fit": train}
