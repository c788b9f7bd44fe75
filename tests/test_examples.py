"""Every example runs, on small settings, and shows what it should."""

import importlib.util
import sys
from pathlib import Path

import pytest

_EXAMPLES = Path(__file__).parent.parent / "examples"


def _reduced(losses, least):
    return losses[-1] < least < losses[0]


def _activation_statistics(results):
    saturated = results["tanh", "normal 1"][-1][1]
    spread = {rule: results["relu", rule][-1][0] for rule in ("normal 0.01", "He")}
    return saturated > 0.8 and spread["normal 0.01"] < 1e-6 < 0.3 < spread["He"] < 3


_RUNS = {
    "activation_statistics": ({}, _activation_statistics),
    "batch_norm": ({"epochs": 3}, lambda found: found[True, 0.1] > 0.8 > 0.3 > found[False, 0.1]),
    "digits": ({"epochs": 6}, lambda accuracy: accuracy > 0.93),
    "random_search": (
        {"tries": 50},
        lambda losses: (
            losses["gradient descent"][-1] < losses["local search"][-1] < 2.3
            and losses["gradient descent"][-1] < losses["random search"][-1]
        ),
    ),
    "two_layers": (
        {"steps": 20},
        lambda losses: (
            losses["fastgrad"] == pytest.approx(losses["NumPy"], rel=1e-4)
            and _reduced(losses["NumPy"], 1.0)
        ),
    ),
}


@pytest.mark.parametrize("name", _RUNS)
def test_example(name, monkeypatch, tmp_path, capsys):
    options, holds = _RUNS[name]
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
