"""Every example runs, on small settings, and shows what it should."""

import importlib.util
from pathlib import Path

_EXAMPLES = Path(__file__).parent.parent / "examples"


def _load(name):
    spec = importlib.util.spec_from_file_location(name, _EXAMPLES / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_digits(capsys):
    assert _load("digits").main(epochs=6) > 0.93
    assert "epoch  6" in capsys.readouterr().out


def test_every_example_has_a_test():
    names = {path.stem for path in _EXAMPLES.glob("*.py")}
    assert names == {
        name.removeprefix("test_") for name in globals() if name.startswith("test_")
    } - {"every_example_has_a_test"}
