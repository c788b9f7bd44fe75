"""Modules made of modules."""

from .activation import is_relu
from .layers import can_apply_relu
from .module import Module


class Sequential(Module):
    """Modules one after the other: ``Sequential(a, b)(x) == b(a(x))``.

    Also takes one dict of names to modules. ``len``, indexing, slicing, iteration and
    ``append`` work as on a list.

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
        """Apply the modules in order; a ReLU is applied by the layer before it, if that can."""
        modules, at = list(self._modules.values()), 0
        while at < len(modules):
            module = modules[at]
            if can_apply_relu(module) and at + 1 < len(modules) and is_relu(modules[at + 1]):
                x = module.forward_relu(x)
                at += 2
            else:
                x = module(x)
                at += 1
        return x

    def append(self, module):
        """Add a module at the end; returns the container."""
        self.add_module(str(len(self)), module)
        return self

    def __len__(self):
        return len(self._modules)

    def __iter__(self):
        return iter(self._modules.values())

    def __getitem__(self, index):
        if isinstance(index, slice):
            return Sequential(dict(list(self._modules.items())[index]))
        return list(self._modules.values())[index]
