"""``Module``: parameters, buffers and sub-modules by name."""

from collections import namedtuple

import numpy as np

from ..gradients import drop_gradients
from ..tape import recording
from ..tensor import Tensor
from . import _hooks
from .parameter import Parameter, is_lazy, new_type


def place(module, device, dtype):
    """Convert a new module to ``dtype``, see ``new_type``."""
    module._convert(new_type(type(module).__name__, device, dtype))


def _target(name, args, kwargs):
    """The type that ``Module.to`` was asked for, or None; its device is checked."""
    device, dtype = kwargs.pop("device", None), kwargs.pop("dtype", None)
    for ignored in ("non_blocking", "memory_format", "tensor"):
        value = kwargs.pop(ignored, None)
        args = (*args, value) if ignored == "tensor" and value is not None else args
    if kwargs:
        raise TypeError(f"{name}: unknown arguments {', '.join(kwargs)}")
    for k, value in enumerate(args):
        if isinstance(value, Tensor):
            dtype = value.dtype
        elif isinstance(value, bool) or value is None:  # non_blocking, no device
            continue
        elif k == 0 and isinstance(value, str) and not hasattr(np, value):
            device = value
        else:
            dtype = value
    if device is not None and str(device) != "cpu":
        raise ValueError(f"{name}: device {device!r} is not there; fastgrad runs on 'cpu'")
    return dtype


IncompatibleKeys = namedtuple("IncompatibleKeys", ["missing_keys", "unexpected_keys"])


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

    _hooks = None
    _transient = frozenset()  # names of buffers that are not saved
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
        if self._hooks is not None:
            return _hooks.call(self, self._hooks, args, kwargs)
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
            registry = registries[isinstance(value, Module)]
            if name not in registry:  # else it keeps its place
                self._forget(name)
            registry[name] = value
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
        if name in self._transient:
            self._transient = self._transient - {name}
        return found

    def register_parameter(self, name, parameter):
        """Register a parameter, or None for one that is left out."""
        self._check_entry(name, parameter, Parameter)
        self._parameters[name] = parameter

    def register_buffer(self, name, tensor, persistent=True):
        """Register a tensor that is not learned; with ``persistent`` it is saved by state dicts."""
        self._check_entry(name, tensor, Tensor)
        self._buffers[name] = tensor
        if not persistent:
            self._transient = self._transient | {name}

    def add_module(self, name, module):
        """Register a sub-module."""
        self._check_entry(name, module, Module)
        self._modules[name] = module

    def register_module(self, name, module):
        """``add_module`` by its other name."""
        self.add_module(name, module)

    # ---------------------------------------------------------------- hooks

    def _add_hook(self, kind, hook, prepend=False, **options):
        if self._hooks is None:
            self._hooks = _hooks.Hooks()
        return self._hooks.add(kind, hook, prepend, **options)

    def register_forward_pre_hook(self, hook, *, prepend=False, with_kwargs=False):
        """Call ``hook(module, args)`` before each ``forward``; a result replaces the arguments.

        prepend       call it before the others
        with_kwargs   call ``hook(module, args, kwargs)``, whose result is None or a pair of these

        Returns a handle whose ``remove()`` takes the hook away, as all of these do. A step of
        ``fastgrad.compile`` calls hooks when it is recorded only.
        """
        return self._add_hook("before", hook, prepend, with_kwargs=with_kwargs)

    def register_forward_hook(self, hook, *, prepend=False, with_kwargs=False, always_call=False):
        """Call ``hook(module, args, output)`` after each ``forward``; a result replaces the output.

        with_kwargs   call ``hook(module, args, kwargs, output)``
        always_call   also where ``forward`` failed, with None for the output

        >>> import fastgrad as fg
        >>> layer = fg.nn.ReLU()
        >>> handle = layer.register_forward_hook(lambda module, args, output: output + 1)
        >>> layer(fg.zeros(1))
        tensor([1.])
        >>> handle.remove()
        >>> layer(fg.zeros(1))
        tensor([0.])
        """
        options = {"with_kwargs": with_kwargs, "always_call": always_call}
        return self._add_hook("after", hook, prepend, **options)

    def register_full_backward_pre_hook(self, hook, prepend=False):
        """Call ``hook(module, grad_output)`` when the outputs' gradients are known, a tuple.

        A result replaces them.
        """
        return self._add_hook("back_before", hook, prepend)

    def register_full_backward_hook(self, hook, prepend=False):
        """Call ``hook(module, grad_input, grad_output)`` when the inputs' gradients are known.

        Both are tuples, of the tensors among the positional arguments and of the results; a result
        replaces ``grad_input``.
        """
        return self._add_hook("back", hook, prepend)

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

    def named_modules(self, memo=None, prefix="", remove_duplicate=True):
        """(dotted name, module) of this module and all below it, each once."""
        memo = set() if memo is None else memo
        if self in memo:
            return
        if remove_duplicate:
            memo.add(self)
        yield prefix, self
        for name, module in self.named_children():
            path = f"{prefix}.{name}" if prefix else name
            yield from module.named_modules(memo, path, remove_duplicate)

    def parameters(self, recurse=True):
        """The parameters, each once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_parameters(self, prefix="", recurse=True, remove_duplicate=True):
        """(dotted name, parameter), each parameter once."""
        return self._named("_parameters", prefix, recurse, remove_duplicate)

    def buffers(self, recurse=True):
        """The buffers, each once."""
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def named_buffers(self, prefix="", recurse=True, remove_duplicate=True):
        """(dotted name, buffer), each buffer once."""
        return self._named("_buffers", prefix, recurse, remove_duplicate)

    def _named(self, registry, prefix, recurse, once):
        seen = set()
        modules = self.named_modules(None, prefix, once) if recurse else [(prefix, self)]
        for path, module in modules:
            for name, tensor in getattr(module, registry).items():
                if tensor is not None and not (once and id(tensor) in seen):
                    seen.add(id(tensor))
                    yield (f"{path}.{name}" if path else name), tensor

    def get_submodule(self, target):
        """The module below this one of a dotted name; this one for "".

        Raises ``AttributeError`` where there is none.

        >>> import fastgrad as fg
        >>> fg.nn.Sequential(fg.nn.Sequential(fg.nn.ReLU())).get_submodule("0.0")
        ReLU()
        """
        module = self
        for name in target.split(".") if target else ():
            part = getattr(module, name, None)
            if not isinstance(part, Module):
                raise AttributeError(f"{type(module).__name__} has no sub-module {name!r}")
            module = part
        return module

    def get_parameter(self, target):
        """The parameter of a dotted name; ``AttributeError`` where there is none."""
        return self._get("_parameters", target, "parameter")

    def get_buffer(self, target):
        """The buffer of a dotted name; ``AttributeError`` where there is none."""
        return self._get("_buffers", target, "buffer")

    def _get(self, registry, target, kind):
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        if getattr(owner, registry).get(name) is None:
            raise AttributeError(f"{type(owner).__name__} has no {kind} {name!r}")
        return getattr(owner, registry)[name]

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

    def to(self, *args, **kwargs):
        """Convert float parameters and buffers to another float type; returns the module.

        ``to(dtype)``, ``to(device)``, ``to(device, dtype)`` or ``to(tensor)``, in whose type they
        come then, as in PyTorch; the only device is "cpu". Raises ``ValueError`` for another one,
        ``TypeError`` for a type other than float32 and float64.

        >>> import fastgrad as fg
        >>> fg.nn.Linear(2, 3).to("cpu", fg.float64).weight.dtype
        dtype('float64')
        """
        dtype = _target("to", args, kwargs)
        if dtype is not None:
            self._convert(new_type(f"{type(self).__name__}.to", None, dtype))
        return self

    def _convert(self, dtype):
        for tensor in (*self.parameters(), *self.buffers()):
            if is_lazy(tensor):
                tensor.retype(dtype)
            elif tensor.dtype.kind == "f" and tensor.dtype != dtype:
                tensor.data = tensor.data.astype(dtype)
                tensor.grad = None if tensor.grad is None else tensor.grad.to(dtype)

    def cpu(self):
        """The module: it is there already."""
        return self

    def double(self):
        """Convert to float64; returns the module."""
        return self.to(np.float64)

    def float(self):
        """Convert to float32; returns the module."""
        return self.to(np.float32)

    def half(self):
        """Not there: kernels compute in float32 and float64."""
        return self.to(np.float16)

    def bfloat16(self):
        """Not there: kernels compute in float32 and float64."""
        raise TypeError(
            f"{type(self).__name__}.bfloat16: parameters are float32 or float64, not bfloat16"
        )

    def type(self, dst_type):
        """Convert float parameters and buffers to another float type; returns the module."""
        return self.to(dst_type)

    def state_dict(self, *, destination=None, prefix="", keep_vars=False):
        """Parameters and persistent buffers by dotted name, detached tensors that share the data.

        destination   a dict to add them to, instead of a new one
        prefix        what all names begin with
        keep_vars     the parameters and buffers themselves
        """
        state = {} if destination is None else destination
        for path, module in self._all_paths(prefix):
            for name, tensor in {**module._parameters, **module._buffers}.items():
                if tensor is not None and name not in module._transient:
                    state[f"{path}{name}"] = tensor if keep_vars else tensor.detach()
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
        before anything is changed. Returns the named tuple (missing_keys, unexpected_keys).
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
            value, lazy = state_dict[name], is_lazy(own[name])
            if is_lazy(value):
                if not lazy:
                    problems.append(f"{name} is uninitialized, expected {own[name].shape}")
                continue
            array = np.asarray(value.data if isinstance(value, Tensor) else value)
            if not lazy and array.shape != own[name].shape:
                problems.append(f"{name} has shape {array.shape}, expected {own[name].shape}")
            elif not np.can_cast(array.dtype, own[name].dtype, "same_kind"):
                problems.append(f"{name} is {array.dtype}, expected {own[name].dtype}")
            values[name] = array
        if problems:
            kind = type(self).__name__
            raise RuntimeError(f"load_state_dict: does not fit {kind}: " + "; ".join(problems))
        for name, array in values.items():
            if is_lazy(own[name]):
                own[name].materialize(array.shape)
            own[name].detach().copy_(array)
        return IncompatibleKeys(missing, unexpected)

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
