"""The house rules: layers, where JIT flags and prints may stand, what an import costs."""

import ast
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
from functools import cache
from importlib import metadata
from pathlib import Path

import pytest

import fastgrad

_ROOT = Path(fastgrad.__file__).parent
_FILES = sorted(path.relative_to(_ROOT) for path in _ROOT.rglob("*.py"))
_IDS = [str(path) for path in _FILES]

# Lowest first. A file imports from its own layer and from those below. The first layer is what
# knows nothing of the engine.
_LAYERS = (
    ("_version", "_repr", "_files", "random", "reference", "watch"),
    ("kernels",),
    ("backend",),
    ("tape",),
    ("tensor",),
    ("lifting", "differentiate", "trees"),
    ("ops",),
    ("inplace", "inplace_random", "methods"),
    ("functional", "creation", "dtypes", "gradients", "serialization", "testing"),
    ("autograd",),
    ("func",),
    ("compile",),
    ("nn", "data"),
    ("optim", "metrics"),
    ("ensemble", "training", "interchange", "models"),
    ("frontends", "cli"),
    ("__main__",),
    ("__init__",),
)
_RANKS = {name: rank for rank, layer in enumerate(_LAYERS) for name in layer}
_FREE_OF_EACH_OTHER = {"kernels", "reference", "nn", "data"}
_KERNELS_MAY_IMPORT = {"numpy", "numba", "llvmlite", "fastgrad", *sys.stdlib_module_names}
_HEAVY = {"torch", "argparse", "tqdm", "safetensors", "matplotlib", "scipy", "sklearn"}


@cache
def _tree(path):
    return ast.parse((_ROOT / path).read_text(encoding="utf-8"), str(path))


def _module_exists(parts):
    return (_ROOT / Path(*parts[1:])).is_dir() or (_ROOT / Path(*parts[1:])).with_suffix(
        ".py"
    ).is_file()


def _imports(path):
    """Dotted names that a file imports, ours in full: ``fastgrad.ops.reduce``."""
    package = ("fastgrad", *path.parent.parts)
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) + 1 - node.level] if node.level else ()
            base = (*base, *(node.module.split(".") if node.module else ()))
            if base[0] != "fastgrad":
                yield ".".join(base)
                continue
            for alias in node.names:  # a name is a module of its own, or an attribute of one
                name = (*base, alias.name)
                yield ".".join(name if alias.name != "*" and _module_exists(name) else base)


def _part(dotted):
    """``fastgrad.ops.reduce`` → ``ops``, ``fastgrad`` → ``__init__``."""
    parts = dotted.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def _own_part(path):
    return path.parts[0].removesuffix(".py")


# ------------------------------------------------------------------ layers


@pytest.mark.parametrize("path", _FILES, ids=_IDS)
def test_imports_point_down(path):
    own = _own_part(path)
    assert own in _RANKS, f"{own} has no place in the layers: add it to _LAYERS"
    for name in _imports(path):
        if name.split(".")[0] != "fastgrad":
            continue
        other = _part(name)
        if other == own:
            continue
        assert other in _RANKS, f"{path} imports {name}, which has no place in the layers"
        assert _RANKS[other] <= _RANKS[own], f"{path} imports {name} from a layer above"
        if own in _FREE_OF_EACH_OTHER:
            assert other not in _FREE_OF_EACH_OTHER, f"{path} imports its neighbour {name}"


@pytest.mark.parametrize("folder", ["kernels", "reference"])
def test_kernels_and_twins_stand_alone(folder):
    for path in _FILES:
        if path.parts[0] != folder:
            continue
        names = set(_imports(path))
        ours = {_part(name) for name in names if name.split(".")[0] == "fastgrad"}
        assert ours <= {folder}, f"{path} imports {ours - {folder}}"
        others = {name.split(".")[0] for name in names} - _KERNELS_MAY_IMPORT
        assert not others, f"{path} imports {others}"


def test_only_kernels_know_numba():
    for path in _FILES:
        if path.parts[0] == "kernels":
            continue
        known = {name for name in _imports(path) if name.split(".")[0] in ("numba", "llvmlite")}
        # doctor, which reports on Numba itself, and nothing else
        assert not known or path.parts[0] == "cli", f"{path} imports {known}"


# ------------------------------------------------------------------ one place for each thing

_COMPILERS = {"njit", "jit", "cfunc", "CFunc", "vectorize", "guvectorize", "generated_jit"}


def _names(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, ast.alias):
            yield node.name.split(".")[-1], node.lineno


@pytest.mark.parametrize("path", _FILES, ids=_IDS)
def test_only_the_launcher_compiles(path):
    if path in (Path("kernels/_compile.py"), Path("kernels/_jit.py")):
        return
    found = [f"{name} in line {line}" for name, line in _names(_tree(path)) if name in _COMPILERS]
    assert not found, f"{path}: {found}; use @kernel of kernels/_jit.py"


@pytest.mark.parametrize("path", _FILES, ids=_IDS)
def test_only_the_command_line_prints(path):
    if path.parts[0] in ("cli", "__main__.py"):
        return
    calls = [
        node.lineno
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("print", "breakpoint", "input")
    ]
    assert not calls, f"{path} prints in lines {calls}"


def test_fast_math_is_nowhere():
    for path in _FILES:
        for node in ast.walk(_tree(path)):
            assert not (isinstance(node, ast.keyword) and node.arg == "fastmath"), path


def test_the_version_stands_in_one_place():
    pattern = re.compile(r"^\s*(__version__|version)\s*=\s*[\"']\d", re.MULTILINE)
    sources = [*(_ROOT / path for path in _FILES), *_ROOT.parent.glob("*.toml")]
    found = [path.name for path in sources if pattern.search(path.read_text(encoding="utf-8"))]
    assert found == ["_version.py"]
    assert re.fullmatch(r"\d+\.\d+\.\d+([ab]|rc|\.dev)?\d*", fastgrad.__version__)


def test_the_installed_version_is_this_one():
    try:
        installed = metadata.version("fastgrad")
    except metadata.PackageNotFoundError:
        pytest.skip("fastgrad is not installed, only importable")
    assert installed == fastgrad.__version__


# ------------------------------------------------------------------ what an import does

_IMPORT = """
import sys, threading
import numba
before = set(sys.modules)
import fastgrad
from fastgrad.kernels import _cache, _threads
print(sorted({name.split(".")[0] for name in set(sys.modules) - before}))
print(dict(_cache.counts), _threads.policy.started, threading.active_count())
"""


@pytest.fixture(scope="module")
def imported():
    """What ``import fastgrad`` loads in a process of its own, and what it compiles."""
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", _IMPORT],
        capture_output=True, text=True, timeout=120, check=True, cwd=_ROOT.parent,
    )  # fmt: skip
    return run.stdout.splitlines()


def test_import_loads_nothing_heavy(imported):
    loaded = set(ast.literal_eval(imported[0]))
    assert "fastgrad" in loaded
    assert not loaded & _HEAVY
    assert loaded <= {"fastgrad", "numba", "numpy", "llvmlite", *sys.stdlib_module_names}


def test_import_compiles_nothing_and_starts_no_threads(imported):
    assert imported[1] == "{} False 1"


# ------------------------------------------------------------------ documentation


def _modules():
    """Public modules; a twin's functions are described by the kernels they are twins of."""
    names = [module.name for module in pkgutil.walk_packages(fastgrad.__path__, "fastgrad.")]
    public = [name for name in names if not any(part[0] == "_" for part in name.split("."))]
    return ["fastgrad", *(name for name in public if not name.startswith("fastgrad.reference"))]


def _members(module):
    """(name, object) of the public functions and classes that a module defines, and of methods."""
    for name, value in vars(module).items():
        value = getattr(value, "formula", value)  # of an element-wise kernel
        if name[0] == "_" or getattr(value, "__module__", None) != module.__name__:
            continue
        yield name, value
        for attribute, member in vars(value).items() if inspect.isclass(value) else ():
            if attribute[0] != "_" and (callable(member) or isinstance(member, property)):
                yield f"{name}.{attribute}", getattr(value, attribute)


@pytest.mark.parametrize("name", _modules())
def test_every_public_name_has_a_docstring(name):
    module = importlib.import_module(name)
    assert inspect.getdoc(module), f"{name} has no docstring"
    silent = [
        member
        for member, value in _members(module)
        if (callable(value) or isinstance(value, property)) and not inspect.getdoc(value)
    ]
    assert not silent, f"{name}: no docstring for {silent}"


@pytest.mark.parametrize("path", _FILES, ids=_IDS)
def test_every_file_says_what_it_is_for(path):
    assert ast.get_docstring(_tree(path)), f"{path} has no docstring"


def test_what_is_listed_exists():
    for name in _modules():
        module = importlib.import_module(name)
        listed = getattr(module, "__all__", [])
        assert len(set(listed)) == len(listed), f"{name}.__all__ names something twice"
        missing = [entry for entry in listed if not hasattr(module, entry)]
        assert not missing, f"{name}.__all__ lists {missing}"
