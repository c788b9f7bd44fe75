"""Modules made of modules, and lists and dicts of modules and of parameters."""

import operator
from itertools import chain

from ..tensor import Tensor
from .activation import is_relu
from .layers import can_apply_relu
from .module import Module, Parameter

__all__ = ["ModuleDict", "ModuleList", "ParameterDict", "ParameterList", "Sequential"]


def _position(owner, index, size):
    """A number from 0 to size - 1; ``IndexError`` where there is none."""
    index = operator.index(index)
    if not -size <= index < size:
        raise IndexError(
            f"{type(owner).__name__}: index {index} is out of range for {size} entries"
        )
    return index % size


def in_order(modules, x):
    """Apply modules one after the other; a ReLU is applied by the layer before it, if that can."""
    modules, at = list(modules), 0
    while at < len(modules):
        module = modules[at]
        if can_apply_relu(module) and at + 1 < len(modules) and is_relu(modules[at + 1]):
            x = module.forward_relu(x)
            at += 2
        else:
            x = module(x)
            at += 1
    return x


class _ModuleSequence(Module):
    """What ``Sequential`` and ``ModuleList`` share: modules in order, as in a list."""

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def _name(self, index):
        """The name of the module at an index."""
        return list(self._modules)[_position(self, index, len(self))]

    def _like(self, modules):
        """A container of the same kind with other modules, {name: module}."""
        return type(self)(modules)

    def __getitem__(self, index):
        if isinstance(index, slice):
            return self._like(dict(list(self._modules.items())[index]))
        return self._modules[self._name(index)]

    def __setitem__(self, index, module):
        setattr(self, self._name(index), module)

    def __delitem__(self, index):
        if isinstance(index, slice):
            gone = list(self._modules)[index]
        else:
            gone = [self._name(index)]
        self._rename([module for name, module in self._modules.items() if name not in gone])

    def _rename(self, modules):
        """Hold these modules, under the names "0", "1" ..."""
        for module in modules:
            self._check_module(module)
        self._modules.clear()
        self._modules.update((str(k), module) for k, module in enumerate(modules))

    def _check_module(self, module):
        if not isinstance(module, Module):
            raise TypeError(
                f"{type(self).__name__}: expected a Module, got {type(module).__name__}"
            )

    def append(self, module):
        """Add a module at the end; returns the container."""
        self._check_module(module)
        self.add_module(str(len(self)), module)
        return self

    def insert(self, index, module):
        """Add a module before the one at ``index``; returns the container."""
        modules = list(self)
        modules.insert(index, module)
        self._rename(modules)
        return self

    def extend(self, modules):
        """Add modules at the end; returns the container."""
        modules = list(modules)
        for module in modules:
            self._check_module(module)
        for module in modules:
            self.append(module)
        return self

    def pop(self, key):
        """Remove and return the module at an index."""
        module = self[key]
        del self[key]
        return module

    def __add__(self, other):
        both = chain(self, other)
        return self._like({str(k): module for k, module in enumerate(both)})

    def __iadd__(self, other):
        return self.extend(other)

    def __dir__(self):
        return [name for name in super().__dir__() if not name.isdigit()]


class Sequential(_ModuleSequence):
    """Modules one after the other: ``Sequential(a, b)(x) == b(a(x))``.

    Also takes one dict of names to modules. It works like a list: ``len``, indexing, slicing,
    ``del``, iteration, ``append``, ``insert``, ``extend``, ``pop``, ``+`` and ``*``.

    >>> import fastgrad as fg
    >>> fg.nn.Sequential(fg.nn.Linear(2, 3), fg.nn.ReLU())
    Sequential(
      (0): Linear(in_features=2, out_features=3, bias=True)
      (1): ReLU()
    )
    """

    def __init__(self, *modules):
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], dict):
            named = modules[0]
        else:
            named = {str(position): module for position, module in enumerate(modules)}
        for name, module in named.items():
            if not isinstance(module, Module):
                raise TypeError(f"Sequential: {name!r} is {type(module).__name__}, not a Module")
            self.add_module(name, module)

    def forward(self, x):
        return in_order(self._modules.values(), x)

    def _like(self, modules):
        return Sequential(modules)

    def __add__(self, other):
        if not isinstance(other, Sequential):
            raise TypeError(f"Sequential: cannot add {type(other).__name__} to it")
        return super().__add__(other)

    def __iadd__(self, other):
        if not isinstance(other, Sequential):
            raise TypeError(f"Sequential: cannot add {type(other).__name__} to it")
        return super().__iadd__(other)

    def __mul__(self, other):
        if not isinstance(other, int):
            raise TypeError(f"Sequential: cannot repeat it {type(other).__name__} times")
        if other <= 0:
            raise ValueError(f"Sequential: cannot repeat it {other} times; expected at least once")
        return Sequential(*list(self) * other)

    __rmul__ = __mul__

    def __imul__(self, other):
        self._rename(list(self * other))
        return self


class ModuleList(_ModuleSequence):
    """A list of modules, which are parts of the module that has it.

    Works like a list: ``len``, indexing, slicing, ``del``, iteration, ``append``, ``insert``,
    ``extend``, ``pop``, ``+``. It cannot be called.

    >>> import fastgrad as fg
    >>> layers = fg.nn.ModuleList([fg.nn.Linear(2, 2), fg.nn.ReLU()])
    >>> layers.insert(1, fg.nn.Tanh())[1:]
    ModuleList(
      (0): Tanh()
      (1): ReLU()
    )
    """

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def _like(self, modules):
        return type(self)(modules.values())

    def __repr__(self):
        """Equal neighbours are shown once, with their number."""
        groups = []  # [first, last, text]
        for k, module in enumerate(self):
            text = repr(module)
            if groups and groups[-1][2] == text:
                groups[-1][1] = k
            else:
                groups.append([k, k, text])
        if not groups:
            return f"{type(self).__name__}()"
        lines = []
        for first, last, text in groups:
            many = "" if first == last else f"{last - first + 1} x "
            label = f"{first}" if first == last else f"{first}-{last}"
            body = f"({label}): {many}{text}".replace("\n", "\n  ")
            lines.append(f"  {body}")
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])


class ModuleDict(Module):
    """A dict of modules, which are parts of the module that has it. It cannot be called.

    >>> import fastgrad as fg
    >>> kinds = fg.nn.ModuleDict({"relu": fg.nn.ReLU(), "tanh": fg.nn.Tanh()})
    >>> "relu" in kinds, list(kinds)
    (True, ['relu', 'tanh'])
    """

    def __init__(self, modules=None):
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key):
        return self._modules[key]

    def __setitem__(self, key, module):
        if key in self._modules:
            self._modules[key] = module  # at its place
            return
        if hasattr(self, key):
            raise KeyError(f"ModuleDict: {key!r} is an attribute already")
        self.add_module(key, module)

    def __delitem__(self, key):
        del self._modules[key]

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules)

    def __contains__(self, key):
        return key in self._modules

    def clear(self):
        """Remove all modules."""
        self._modules.clear()

    def pop(self, key):
        """Remove and return the module of a name."""
        return self._modules.pop(key)

    def keys(self):
        """The names."""
        return self._modules.keys()

    def values(self):
        """The modules."""
        return self._modules.values()

    def items(self):
        """(name, module) pairs."""
        return self._modules.items()

    def update(self, modules):
        """Add or replace modules: those of a dict, or (name, module) pairs."""
        for key, module in _pairs("ModuleDict", modules):
            self[key] = module


def _pairs(name, entries):
    """(key, value) pairs of a dict or of pairs."""
    if not hasattr(entries, "__iter__"):
        raise TypeError(f"{name}: expected a dict or pairs, got {type(entries).__name__}")
    pairs = list(entries.items() if hasattr(entries, "items") else entries)
    for pair in pairs:
        if not isinstance(pair, tuple | list) or len(pair) != 2:
            raise ValueError(f"{name}: expected a dict, or pairs of a name and a value")
    return pairs


def _as_parameter(value):
    """A tensor as a parameter; anything else as it is."""
    if isinstance(value, Tensor) and not isinstance(value, Parameter):
        return Parameter(value)
    return value


def _describe(value):
    """One line about an entry of a list or dict of parameters."""
    if isinstance(value, Tensor):
        kind = "Parameter" if isinstance(value, Parameter) else "Tensor"
        sizes = "x".join(map(str, value.shape))
        return f"{kind} containing: [{value.dtype} of size {sizes}]"
    return f"Object of type: {type(value).__name__}"


class ParameterList(Module):
    """A list of parameters, which belong to the module that has it. Tensors become parameters.

    >>> import fastgrad as fg
    >>> weights = fg.nn.ParameterList([fg.zeros(2), fg.zeros(3)])
    >>> len(weights), weights[1].shape
    (2, (3,))
    """

    def __init__(self, values=None):
        super().__init__()
        self.__dict__["_size"] = 0
        if values is not None:
            self.extend(values)

    def __len__(self):
        return self._size

    def __iter__(self):
        return iter([self[k] for k in range(len(self))])

    def __getitem__(self, index):
        if isinstance(index, slice):
            return type(self)([self[k] for k in range(*index.indices(len(self)))])
        return getattr(self, str(_position(self, index, len(self))))

    def __setitem__(self, index, value):
        name = str(_position(self, index, len(self)))
        value = _as_parameter(value)
        if name in self._parameters and not isinstance(value, Parameter):
            del self._parameters[name]
        setattr(self, name, value)

    def append(self, value):
        """Add a value at the end; returns the list."""
        self.__dict__["_size"] += 1
        self[-1] = value
        return self

    def extend(self, values):
        """Add values at the end; returns the list."""
        if isinstance(values, Tensor) or not hasattr(values, "__iter__"):
            raise TypeError(
                f"ParameterList: expected a list of values, got {type(values).__name__}"
            )
        for value in list(values):
            self.append(value)
        return self

    def pop(self, key):
        """Remove and return the value at an index; those after it move up."""
        value = self[key]
        rest = list(self)
        del rest[key]
        for k in range(len(self)):
            delattr(self, str(k))
        self.__dict__["_size"] = 0
        self.extend(rest)
        return value

    def __iadd__(self, values):
        return self.extend(values)

    def __dir__(self):
        return [name for name in super().__dir__() if not name.isdigit()]

    def extra_repr(self):
        return "\n".join(f"  ({k}): {_describe(value)}" for k, value in enumerate(self))


class ParameterDict(Module):
    """A dict of parameters, which belong to the module that has it. Tensors become parameters.

    >>> import fastgrad as fg
    >>> weights = fg.nn.ParameterDict({"left": fg.zeros(2)})
    >>> weights["right"] = fg.zeros(3)
    >>> [name for name, _ in weights.named_parameters()]
    ['left', 'right']
    """

    def __init__(self, parameters=None):
        super().__init__()
        self.__dict__["_keys"] = {}
        if parameters is not None:
            self.update(parameters)

    def __getitem__(self, key):
        if key not in self._keys:
            raise KeyError(key)
        return getattr(self, str(key))

    def __setitem__(self, key, value):
        name, value = str(key), _as_parameter(value)
        if key not in self._keys and hasattr(self, name):
            raise KeyError(f"ParameterDict: {key!r} is an attribute already")
        if name in self._parameters and not isinstance(value, Parameter):
            del self._parameters[name]
        self._keys[key] = None
        setattr(self, name, value)

    def __delitem__(self, key):
        del self._keys[key]
        delattr(self, str(key))

    def __len__(self):
        return len(self._keys)

    def __iter__(self):
        return iter(self._keys)

    def __reversed__(self):
        return reversed(list(self._keys))

    def __contains__(self, key):
        return key in self._keys

    def copy(self):
        """Another dict of the same parameters."""
        return ParameterDict(self)

    def setdefault(self, key, default=None):
        """The value of a name, which is set to ``default`` if there is none."""
        if key not in self:
            self[key] = default
        return self[key]

    def clear(self):
        """Remove all values."""
        for key in list(self._keys):
            del self[key]

    def pop(self, key):
        """Remove and return the value of a name."""
        value = self[key]
        del self[key]
        return value

    def popitem(self):
        """Remove and return the last (name, value)."""
        key = next(reversed(self))
        return key, self.pop(key)

    def get(self, key, default=None):
        """The value of a name, or ``default``."""
        return self[key] if key in self else default  # noqa: SIM401

    def fromkeys(self, keys, default=None):
        """Another dict that has ``default`` for each of the names."""
        return ParameterDict(dict.fromkeys(keys, default))

    def keys(self):
        """The names."""
        return self._keys.keys()

    def values(self):
        """The values."""
        return [self[key] for key in self._keys]

    def items(self):
        """(name, value) pairs."""
        return [(key, self[key]) for key in self._keys]

    def update(self, parameters):
        """Add or replace values: those of a dict, or (name, value) pairs.

        Those of a plain dict are taken in the order of their names, as in PyTorch.
        """
        pairs = _pairs("ParameterDict", parameters)
        for key, value in (
            sorted(pairs, key=operator.itemgetter(0)) if type(parameters) is dict else pairs
        ):
            self[key] = value

    def __or__(self, other):
        both = self.copy()
        both.update(other)
        return both

    def __ror__(self, other):
        both = ParameterDict(other)
        both.update(self)
        return both

    def __ior__(self, other):
        self.update(other)
        return self

    def extra_repr(self):
        return "\n".join(f"  ({key}): {_describe(value)}" for key, value in self.items())
