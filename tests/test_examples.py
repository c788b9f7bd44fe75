"""Every example runs, on small settings, and shows what it should."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

_EXAMPLES = Path(__file__).parent.parent / "examples"


def _reduced(losses, least):
    return losses[-1] < least < losses[0]


def _activation_statistics(results):
    saturated = results["tanh", "normal 1"][-1][1]
    spread = {rule: results["relu", rule][-1][0] for rule in ("normal 0.01", "He")}
    return saturated > 0.8 and spread["normal 0.01"] < 1e-6 < 0.3 < spread["He"] < 3


def _photographs(folder):
    """Write small files in the form of CIFAR-10, a class for each of 4 colours; the folder."""
    rng = np.random.default_rng(0)
    for name in (*(f"data_batch_{k}" for k in range(1, 6)), "test_batch"):
        labels = np.arange(16, dtype=np.uint8) % 4
        images = rng.integers(0, 100, (16, 3, 1024), np.uint8)
        for colour in range(3):
            images[labels == colour, colour] += 150
        records = np.hstack([labels[:, None], images.reshape(16, -1)])
        (folder / f"{name}.bin").write_bytes(records.tobytes())
    return str(folder)


_RUNS = {
    "activation_statistics": ({}, _activation_statistics),
    "alexnet": (
        {"batch": 2, "size": 67, "classes": 10, "steps": 1},
        lambda found: all(milliseconds > 0 for milliseconds in found.values()),
    ),
    "batch_norm": ({"epochs": 3}, lambda found: found[True, 0.1] > 0.8 > 0.3 > found[False, 0.1]),
    "character_lstm": (
        {"steps": 60, "hidden": 32, "batch": 8, "length": 20},
        lambda losses: losses[1] < 3.6 < losses[0],
    ),
    "cifar_resnet": (
        {"folder": _photographs, "layers": 8, "epochs": 6, "batch": 8, "drops": (0.0, 0.3)},
        lambda found: all(accuracies[-1] > 0.7 for accuracies in found.values()),
    ),
    "convnet_features": (
        {"sizes": (80, 600), "epochs": 12},
        lambda found: (
            found["ConvNet"][1] > found["ConvNet"][0]
            and found["pixels"][1] < found["ConvNet"][1]
            and found["HOG and hues"][0] > found["pixels"][0]
        ),
    ),
    "digits": ({"epochs": 6}, lambda accuracy: accuracy > 0.93),
    "ensemble": ({"epochs": 6}, lambda pairs: all(whole >= mean for mean, whole in pairs)),
    "image_features": (
        {"samples": 400, "epochs": 60},
        lambda found: found["HOG"] > found["raw pixels"] > found["hue histogram"],
    ),
    "mnist_convnet": ({"epochs": 5}, lambda accuracies: accuracies[-1] > 0.9),
    "multi_task": (
        {"steps": 300},
        lambda errors: errors[0]["digit"] < 0.2 and errors[0]["ink"] < errors[1]["ink"],
    ),
    "neural_turing_machine": ({"steps": 60}, lambda wrong: wrong[5] < 0.42 and wrong[20] < 0.5),
    "optimizers": (
        {"epochs": 2},
        lambda found: all(losses[1] < losses[0] for losses, _ in found.values()),
    ),
    "random_search": (
        {"tries": 50},
        lambda losses: (
            losses["gradient descent"][-1] < losses["local search"][-1] < 2.3
            and losses["gradient descent"][-1] < losses["random search"][-1]
        ),
    ),
    "regularizers": (
        {"steps": 150},
        lambda found: all(found[name][1] > found["none"][1] for name in ("L2", "early stopping")),
    ),
    "svm_softmax": (
        {"steps": 60},
        lambda found: found["SVM (hinge)"][1] < 0.5 < 0.9 < found["softmax"][1],
    ),
    "transformer": ({"steps": 40, "batch": 16}, lambda found: found[0] < 2.25),
    "two_layers": (
        {"steps": 20},
        lambda losses: (
            losses["fastgrad"] == pytest.approx(losses["NumPy"], rel=1e-4)
            and _reduced(losses["NumPy"], 1.0)
        ),
    ),
}


_NEEDS = {"convnet_features": "skimage", "image_features": "skimage"}


@pytest.mark.parametrize("name", _RUNS)
def test_example(name, monkeypatch, tmp_path, capsys):
    options, holds = _RUNS[name]
    options = {k: value(tmp_path) if callable(value) else value for k, value in options.items()}
    if name in _NEEDS:
        pytest.importorskip(_NEEDS[name])
    monkeypatch.chdir(tmp_path)  # figures are saved here
    monkeypatch.syspath_prepend(str(_EXAMPLES))
    spec = importlib.util.spec_from_file_location(name, _EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    assert holds(module.main(**options))
    assert capsys.readouterr().out
    lines = (_EXAMPLES / f"{name}.py").read_text().splitlines()
    assert len(lines) < 100


def test_every_example_has_a_run():
    assert {path.stem for path in _EXAMPLES.glob("[!_]*.py")} == set(_RUNS)
