"""``Module``: parameters, buffers and sub-modules by name; ``Parameter``."""

import numpy as np

from ..gradients import drop_gradients
from ..tape import recording
from ..tensor import Tensor


class Parameter(Tensor):
    """A tensor that a module learns. Assigned to a module's attribute, it registers itself.

    >>> import fastgrad as fg
    >>> fg.nn.Parameter(fg.zeros(2))
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data, requires_grad=True):
        super().__init__(data.data if isinstance(data, Tensor) else data, requires_grad)

    def __repr__(self):
        return f"Parameter containing:\n{super().__repr__()}"


class Module:
    """Base of all layers and networks.

    Parameters, buffers (tensors that are saved but not learned) and modules assigned to
    attributes are registered under the attribute's name, in the order of assignment.

    >>> import fastgrad as fg
    >>> class Doubler(fg.nn.Module):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.layer = fg.nn.Linear(2, 2, bias=False)
    ...     def forward(self, x):
    ...         return self.layer(x) * 2
    >>> [name for name, _ in Doubler().named_parameters()]
    ['layer.weight']
    """

    transposed_in_torch = ()
    """Names of this class's own parameters whose PyTorch counterparts are transposed."""

    def __init__(self):
        self.__dict__.update(training=True, _parameters={}, _buffers={}, _modules={})

    def forward(self, *args, **kwargs):
        """What the module computes; a subclass defines it."""
        raise NotImplementedError(f"{type(self).__name__} defines no forward")

    def __call__(self, *args, **kwargs):
        if recording.active is not None:
            self.note_mode()
        return self.forward(*args, **kwargs)

    def note_mode(self):
        """Tell a recording that it holds for this mode only."""
        if recording.here():
            recording.active.expect(lambda: self.training)

    # ---------------------------------------------------------------- registration

    def __setattr__(self, name, value):
        registries = self.__dict__.get("_parameters"), self.__dict__.get("_modules")
        if isinstance(value, Parameter | Module):
            if registries[0] is None:
                raise AttributeError(
                    f"{type(self).__name__}: call super().__init__() before assigning {name!r}"
                )
            self._forget(name)
            registries[isinstance(value, Module)][name] = value
            return
        for registry in (*registries, self.__dict__.get("_buffers")):
            if registry is not None and name in registry:
                if value is not None and not (
                    registry is self._buffers and isinstance(value, Tensor)
                ):
                    raise TypeError(
                        f"{type(self).__name__}.{name}: cannot assign {type(value).__name__} to a "
                        "registered name; expected the same kind or None"
                    )
                registry[name] = value
                return
        object.__setattr__(self, name, value)

    def __getattr__(self, name):
        own = self.__dict__
        for registry in ("_parameters", "_buffers", "_modules"):
            if registry in own and name in own[registry]:
                return own[registry][name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __delattr__(self, name):
        if not self._forget(name):
            object.__delattr__(self, name)

    def __dir__(self):
        return sorted({*super().__dir__(), *self._parameters, *self._buffers, *self._modules})

    def _check_entry(self, name, value, kind):
        """Raise for a name or value that cannot be registered; else make room for it."""
        if not isinstance(name, str) or not name or "." in name:
            raise ValueError(f"{type(self).__name__}: {name!r} cannot name a part; dots separate")
        if value is not None and not isinstance(value, kind):
            raise TypeError(
                f"{type(self).__name__}.{name}: expected {kind.__name__} or None, got "
                f"{type(value).__name__}"
            )
        self._forget(name)

    def _forget(self, name):
        """Remove ``name`` wherever it is registered; whether it was anywhere."""
        found = False
        for registry in (self._parameters, self._buffers, self._modules, self.__dict__):
            found |= registry.pop(name, self) is not self
        return found

    def register_parameter(self, name, parameter):
        """Register a parameter, or None for one that is left out."""
        self._check_entry(name, parameter, Parameter)
        self._parameters[name] = parameter

    def register_buffer(self, name, tensor):
        """Register a tensor that is saved with the module but not learned."""
        self._check_entry(name, tensor, Tensor)
        self._buffers[name] = tensor

    def add_module(self, name, module):
        """Register a sub-module."""
        self._check_entry(name, module, Module)
        self._modules[name] = module

    # ---------------------------------------------------------------- walking

    def children(self):
        """The direct sub-modules."""
        return (module for _, module in self.named_children())

    def named_children(self):
        """(name, module) of the direct sub-modules."""
        return ((name, module) for name, module in self._modules.items() if module is not None)

    def modules(self):
        """This module and all below it, each once."""
        return (module for _, module in self.named_modules())

    def named_modules(self, memo=None, prefix=""):
        """(dotted name, module) of this module and all below it, each once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        memo.add(self)
        yield prefix, self
        for name, module in self.named_children():
            yield from module.named_modules(memo, f"{prefix}.{name}" if prefix else name)

    def parameters(self, recurse=True):
        """The parameters, each once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_parameters(self, prefix="", recurse=True):
        """(dotted name, parameter), each parameter once."""
        return self._named("_parameters", prefix, recurse)

    def buffers(self, recurse=True):
        """The buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def named_buffers(self, prefix="", recurse=True):
        """(dotted name, buffer), each buffer once."""
        return self._named("_buffers", prefix, recurse)

    def _named(self, registry, prefix, recurse):
        seen = set()
        modules = self.named_modules(prefix=prefix) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, tensor in getattr(module, registry).items():
                if tensor is not None and id(tensor) not in seen:
                    seen.add(id(tensor))
                    yield (f"{path}.{name}" if path else name), tensor

    def apply(self, function):
        """Call ``function`` on every sub-module, then on this one; returns the module."""
        for module in self.children():
            module.apply(function)
        function(self)
        return self

    # ---------------------------------------------------------------- state

    def train(self, mode=True):
        """Set training mode (or, with False, evaluation) here and below; returns the module."""
        for module in self.modules():
            module.training = mode
        return self

    def eval(self):
        """Set evaluation mode here and below; returns the module."""
        return self.train(False)

    def requires_grad_(self, requires_grad=True):
        """Set ``requires_grad`` of all parameters; returns the module."""
        for parameter in self.parameters():
            parameter.requires_grad = requires_grad
        return self

    def zero_grad(self, set_to_none=True):
        """Drop all gradients, or set them to zero."""
        drop_gradients(self.parameters(), set_to_none)

    def to(self, dtype):
        """Convert float parameters and buffers to another float type; returns the module."""
        for tensor in (*self.parameters(), *self.buffers()):
            if tensor.dtype.kind == "f":
                tensor.data = tensor.data.astype(dtype)
                tensor.grad = None if tensor.grad is None else tensor.grad.to(dtype)
        return self

    def double(self):
        """Convert to float64; returns the module."""
        return self.to(np.float64)

    def float(self):
        """Convert to float32; returns the module."""
        return self.to(np.float32)

    def state_dict(self):
        """Parameters and buffers by dotted name, as detached tensors that share the data."""
        state = {}
        for path, module in self._all_paths():
            for name, tensor in {**module._parameters, **module._buffers}.items():
                if tensor is not None:
                    state[f"{path}{name}"] = tensor.detach()
        return state

    def _all_paths(self, prefix=""):
        """(dotted prefix, module) for every path, a shared module under each of its names."""
        yield prefix, self
        for name, module in self.named_children():
            yield from module._all_paths(f"{prefix}{name}.")

    def load_state_dict(self, state_dict, strict=True):
        """Copy a state dict's values into parameters and buffers.

        With ``strict`` the names must be exactly this module's; without, only common names are
        loaded. Raises ``RuntimeError`` that lists every missing, unexpected and misshapen entry,
        before anything is changed. Returns (missing names, unexpected names).
        """
        own = self.state_dict()
        missing = [name for name in own if name not in state_dict]
        unexpected = [name for name in state_dict if name not in own]
        problems, values = [], {}
        if strict and missing:
            problems.append(f"missing: {', '.join(missing)}")
        if strict and unexpected:
            problems.append(f"unexpected: {', '.join(unexpected)}")
        for name in own:
            if name not in state_dict:
                continue
            value = state_dict[name]
            array = np.asarray(value.data if isinstance(value, Tensor) else value)
            if array.shape != own[name].shape:
                problems.append(f"{name} has shape {array.shape}, expected {own[name].shape}")
            elif not np.can_cast(array.dtype, own[name].dtype, "same_kind"):
                problems.append(f"{name} is {array.dtype}, expected {own[name].dtype}")
            values[name] = array
        if problems:
            kind = type(self).__name__
            raise RuntimeError(f"load_state_dict: does not fit {kind}: " + "; ".join(problems))
        for name, array in values.items():
            own[name].copy_(array)
        return missing, unexpected

    # ---------------------------------------------------------------- text

    def extra_repr(self):
        """What ``repr`` shows between this module's brackets."""
        return ""

    def __repr__(self):
        lines = []
        for name, module in self._modules.items():
            text = repr(module).replace("\n", "\n  ")
            lines.append(f"  ({name}): {text}")
        name, extra = type(self).__name__, self.extra_repr()
        if not lines:
            return f"{name}({extra})"
        if extra:
            lines = [*(f"  {line}" for line in extra.split("\n")), *lines]
        return "\n".join([f"{name}(", *lines, ")"])
