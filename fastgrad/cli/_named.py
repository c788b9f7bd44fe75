"""Things that options call by name: ``adam``, ``LeakyReLU(0.2)``, ``OneCycleLR(max_lr=0.1)``.

What there is, and what it takes, is read off the library itself.
"""

import ast
import difflib
import inspect
from typing import NamedTuple

from .. import data, nn, optim
from ..data.augment import Transform
from ._errors import UsageError


class Spec(NamedTuple):
    """A name with arguments."""

    name: str
    args: tuple = ()
    options: dict = {}  # noqa: RUF012 (never changed)

    def __str__(self):
        parts = [*map(repr, self.args), *(f"{k}={v!r}" for k, v in self.options.items())]
        return self.name + (f"({', '.join(parts)})" if parts else "")


def read_spec(text):
    """The ``Spec`` of a text such as ``adam`` or ``adam(lr=0.01)``; ``ValueError`` for others."""
    try:
        node = ast.parse(text.strip().replace("-", "_") if "(" not in text else text, mode="eval")
        call = node.body
        if isinstance(call, ast.Name):
            return Spec(call.id)
        if not isinstance(call, ast.Call) or not isinstance(call.func, ast.Name):
            raise ValueError(text)
        args = tuple(ast.literal_eval(arg) for arg in call.args)
        options = {option.arg: ast.literal_eval(option.value) for option in call.keywords}
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(text) from error
    if None in options:  # **something
        raise ValueError(text)
    return Spec(call.func.id, args, options)


# ------------------------------------------------------------------ what there is


def _public(module, wanted):
    names = getattr(module, "__all__", None) or [n for n in vars(module) if n[0] != "_"]
    found = {name: getattr(module, name) for name in names}
    return {name: value for name, value in found.items() if wanted(value)}


def _required(function, skip=0):
    """Names of the parameters that have no default, without the first ``skip`` of them all."""
    parameters = list(inspect.signature(function).parameters.values())[skip:]
    return [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    ]


def _is_activation(value):
    """Whether it is a layer of a function of one tensor, made of nothing."""
    return (
        inspect.isclass(value)
        and issubclass(value, nn.Module)
        and value.__module__ in _OF_ACTIVATIONS
        and not _required(value)
        and len(_required(value.forward, 1)) == 1
    )


def _is_optimizer(value):
    return (
        inspect.isclass(value)
        and issubclass(value, optim.Optimizer)
        and value is not optim.Optimizer
    )


def _is_schedule(value):
    return inspect.isclass(value) and "optimizer" in inspect.signature(value).parameters


def _is_augmentation(value):
    return inspect.isclass(value) and issubclass(value, Transform) and value is not Transform


_OF_ACTIVATIONS = (nn.activation.__name__, nn.softmax.__name__)


def _networks():
    from . import _networks

    return _networks


# what it is: (where it is, what is one of them, how many arguments we give)
_KINDS = {
    "network": (_networks, callable, 0),
    "activation": (lambda: nn, _is_activation, 0),
    "optimizer": (lambda: optim, _is_optimizer, 1),
    "schedule": (lambda: optim.lr_scheduler, _is_schedule, 1),
    "initialisation": (lambda: nn.init, inspect.isfunction, 1),
    "augmentation": (lambda: data.augment, _is_augmentation, 0),
}


def known(kind):
    """What there is of a kind, by name."""
    where, wanted, _ = _KINDS[kind]
    found = _public(where(), wanted)
    if kind == "initialisation":  # those that fill a tensor
        found = {name: value for name, value in found.items() if name.endswith("_")}
    return found


def find(kind, spec):
    """What a ``Spec`` names, its options checked against what it takes.

    Upper case and underscores do not matter. Raises ``UsageError`` that says what there is.
    """
    there_are = known(kind)
    by_plain = {_plain(name): value for name, value in there_are.items()}
    if _plain(spec.name) not in by_plain:
        text = f"there is no {kind} {spec.name!r}{hint(spec.name, there_are)}"
        raise UsageError(f"{text}; there are {', '.join(sorted(there_are))}")
    found = by_plain[_plain(spec.name)]
    _check_options(found, spec, _KINDS[kind][2])
    return found


def takes(thing, option):
    """Whether something has a parameter of a name."""
    return option in inspect.signature(thing).parameters


def open_ended(thing):
    """Whether something hands options on that its own signature does not name."""
    parameters = inspect.signature(thing).parameters.values()
    return any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters)


def _check_options(thing, spec, given):
    if open_ended(thing):
        return
    names = list(inspect.signature(thing).parameters)[given:]
    for option in spec.options:
        if option not in names:
            has = f"it has {', '.join(names)}" if names else "it has none"
            raise UsageError(
                f"{thing.__name__} has no option {option!r}{hint(option, names)}; {has}"
            )


def _plain(name):
    return name.lower().replace("_", "").replace("-", "")


def hint(name, names):
    """``, did you mean ...?`` where a name is near."""
    plain = {_plain(each): each for each in names}
    near = difflib.get_close_matches(_plain(name), plain, n=1)
    return f", did you mean {plain[near[0]]!r}?" if near else ""


def build(kind, spec, *given, **more):
    """Make what a ``Spec`` names; ``more`` are options that it gets where it does not set them."""
    thing = find(kind, spec)
    try:
        return thing(*given, *spec.args, **{**more, **spec.options})
    except (TypeError, ValueError, AttributeError, NotImplementedError) as error:
        text = str(error) or "it is only the base of others"
        raise UsageError(f"{kind} {spec}: {text}") from error
