"""What all optimizers share: parameter groups, state, and both as a state dict."""

import copy
import math
from collections import defaultdict

import numpy as np

from ..backend import K, zeros
from ..gradients import by_type, change, drop_gradients, plain, with_gradient
from ..tape import enable_grad, recording
from ..tensor import Tensor


def options_of(arguments):
    """The options among the ``locals()`` of an optimizer's constructor."""
    return {k: v for k, v in arguments.items() if k not in ("self", "params", "__class__")}


class Optimizer:
    """Base of the optimizers.

    params     parameters, (name, parameter) pairs, or dicts ``{"params": ..., option: value}``,
               one for each group
    defaults   options of groups that do not set them

    A subclass names its ``kernel`` and the ``scalars`` that it keeps for each parameter, checks a
    group's options in ``check``, gives those that are its kernel's in ``hyper`` and ``flags``, says
    what arrays it keeps in ``state_names``, and what state begins with in ``first_value``. The
    options lr, weight_decay, l1_decay, maximize and decoupled_weight_decay are seen to here.

    As in PyTorch, foreach, fused and capturable choose between implementations; there is one here,
    so that they change nothing. differentiable would, and is refused.
    """

    kernel = None
    scalars = ()

    def __init__(self, params, defaults):
        self.defaults = defaults
        self.param_groups = []
        self.state = defaultdict(dict)
        self._begin()
        groups = [params] if isinstance(params, Tensor) else list(params)
        if not groups:
            raise ValueError(f"{self._name()}: got no parameters")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _begin(self):
        """What is not saved with an optimizer."""
        self._arrays = {}  # by group
        self._pre_hooks, self._post_hooks = {}, {}
        self.stepped = False  # ever; schedulers ask
        self._decays = "weight_decay" in self.defaults

    def __getstate__(self):
        return {name: getattr(self, name) for name in ("defaults", "param_groups", "state")}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._begin()

    def _name(self):
        return type(self).__name__

    def check(self, group):
        """Raise ``ValueError`` where the options of a group make no sense."""

    def hyper(self, group):
        """A group's own hyperparameters as the kernel wants them, a tuple of numbers."""
        raise NotImplementedError

    def flags(self, group):
        """A group's own switches as the kernel wants them, a tuple of bools."""
        return ()

    def state_names(self, group):
        """Names of the arrays, each of the parameter's shape, that are kept between steps."""
        raise NotImplementedError

    def first_value(self, name, group):
        """What an array of state, or a scalar, is filled with before the first step."""
        return 0.0

    def add_param_group(self, param_group):
        """Add ``{"params": ..., option: value}``; missing options are the defaults'."""
        if not isinstance(param_group, dict):
            raise TypeError(
                f"{self._name()}: expected a group as a dict, got {type(param_group).__name__}"
            )
        group = {**self.defaults, **param_group}
        group["params"] = self._parameters(group)
        for name in group.keys() - {"params", "lr"}:  # a rate may be a tensor, which may change
            value = group[name]
            several = isinstance(value, list | tuple)
            group[name] = type(value)(map(number, value)) if several else number(value)
        names = {"param_names" in other for other in (*self.param_groups, group)}
        if len(names) > 1:
            raise ValueError(f"{self._name()}: expected names in all groups of parameters or none")
        if group.get("differentiable"):
            raise ValueError(
                f"{self._name()}: differentiable=True: a step is not recorded for gradients here"
            )
        self.check(group)
        self.param_groups.append(group)

    def _parameters(self, group):
        """The parameters of a new group; names, where there are any, become an option."""
        params = group["params"]
        if isinstance(params, set):
            raise TypeError(f"{self._name()}: a set has no order; expected a list of parameters")
        params = [params] if isinstance(params, Tensor) else list(params)
        pairs = [isinstance(p, tuple) and len(p) == 2 and isinstance(p[0], str) for p in params]
        if any(pairs):
            if not all(pairs):
                raise ValueError(f"{self._name()}: expected names for all parameters or for none")
            group["param_names"] = [name for name, _ in params]
            params = [parameter for _, parameter in params]
        known = {id(p) for other in self.param_groups for p in other["params"]}
        for parameter in params:
            if not isinstance(parameter, Tensor):
                raise TypeError(f"{self._name()}: expected tensors, got {type(parameter).__name__}")
            if not parameter.is_leaf:
                raise ValueError(f"{self._name()}: can only optimize leaf tensors")
            if id(parameter) in known:
                raise ValueError(f"{self._name()}: a parameter is given twice")
            known.add(id(parameter))
        return params

    def zero_grad(self, set_to_none=True):
        """Drop all gradients, or set them to zero."""
        for group in self.param_groups:
            drop_gradients(group["params"], set_to_none)

    # ---------------------------------------------------------------- a step

    def register_step_pre_hook(self, hook):
        """Call ``hook(optimizer, args, kwargs)`` before every step.

        It may return (args, kwargs) to be used instead. Returns a handle with ``remove()``. In a
        compiled step, hooks run when it is recorded.
        """
        return _Handle(self._pre_hooks, hook)

    def register_step_post_hook(self, hook):
        """Call ``hook(optimizer, args, kwargs)`` after every step; otherwise as before one."""
        return _Handle(self._post_hooks, hook)

    def step(self, *args, **kwargs):
        """``step(closure=None)``: update every parameter that has a gradient.

        One launch does it for all of a group. closure, if given, computes the loss and its
        gradients anew; its result is returned.
        """
        self.stepped = True
        if not self._pre_hooks and not self._post_hooks:
            return self._step(*args, **kwargs)
        args = self, *args
        for hook in list(self._pre_hooks.values()):
            changed = hook(self, args, kwargs)
            if changed is not None:
                if not isinstance(changed, tuple) or len(changed) != 2:
                    raise RuntimeError(
                        f"{self._name()}: expected a hook before a step to return None or (args, "
                        f"kwargs), got {changed!r}"
                    )
                args, kwargs = changed
        result = self._step(*args[1:], **kwargs)
        for hook in list(self._post_hooks.values()):
            hook(self, args, kwargs)
        return result

    def _step(self, closure=None):
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        if recording.active is not None and recording.here():
            states = self.state  # others after load_state_dict
            recording.active.expect(lambda: (self.state is states, len(self.param_groups)))
        for group in self.param_groups:
            for similar in by_type(with_gradient(group["params"])):
                self._update(similar, group)
        return loss

    def _update(self, parameters, group):
        """Update parameters of one type that have gradients."""
        if recording.active is not None and recording.here():
            for parameter in parameters:
                recording.active.parameter(parameter)
        hyper, flags = self._options(group)
        grads = plain([parameter._grad.data for parameter in parameters])
        columns = self._columns(parameters, group)
        kernel = getattr(K, self.kernel)
        change(parameters, lambda arrays: kernel(arrays, grads, *columns, hyper, flags))

    def _columns(self, parameters, group):
        """The parameters' arrays of state, their steps and scalars, a list for each name."""
        states = [self.state[p] for p in parameters]
        names = (*self.state_names(group), "step", *self.scalars)
        try:
            return [[state[name] for state in states] for name in names]
        except KeyError:
            for parameter, state in zip(parameters, states, strict=True):
                self.begin(state, parameter, group)
            return self._columns(parameters, group)

    def begin(self, state, parameter, group):
        """Add to a parameter's state what it lacks."""
        state.setdefault("step", np.zeros(1, np.int64))
        for name in self.scalars:
            state.setdefault(name, np.full(1, self.first_value(name, group), np.float64))
        for name in self.state_names(group):
            if name not in state:
                state[name] = zeros(parameter.shape, parameter.dtype)
                state[name].fill(self.first_value(name, group))

    def _numbers(self, group):
        """All hyperparameters as the kernel wants them."""
        lr = group["lr"]
        if isinstance(lr, Tensor):
            lr = number(lr)
        decay = group["weight_decay"] if self._decays else 0
        return lr, decay, group["l1_decay"], *self.hyper(group)

    def _switches(self, group):
        """All switches as the kernel wants them."""
        return group["maximize"], group.get("decoupled_weight_decay", False), *self.flags(group)

    def _options(self, group):
        """A group's (hyperparameters float64, flags bool), in arrays that stay the same."""
        values, flags = self._numbers(group), self._switches(group)
        arrays = self._arrays.get(id(group))
        if arrays is None:
            arrays = self._arrays[id(group)] = np.empty(len(values)), np.empty(len(flags), bool)
        arrays[0][:], arrays[1][:] = values, flags
        if recording.active is not None and recording.here():
            recording.active.keep_up_to_date(arrays[0], lambda: self._numbers(group))
            recording.active.expect(lambda: (self._switches(group), self.state_names(group)))
        return arrays

    # ---------------------------------------------------------------- state

    def state_dict(self):
        """State and options, with parameters replaced by their numbers."""
        numbers = {}
        groups = []
        for group in self.param_groups:
            for parameter in group["params"]:
                numbers[parameter] = len(numbers)
            options = {name: value for name, value in group.items() if name != "params"}
            groups.append({**options, "params": [numbers[p] for p in group["params"]]})
        state = {
            numbers[parameter]: {name: copy.deepcopy(value) for name, value in values.items()}
            for parameter, values in self.state.items()
        }
        return {"state": state, "param_groups": groups}

    def load_state_dict(self, state_dict):
        """Take over state and options; groups and shapes must match.

        Raises ``ValueError`` before anything is changed.
        """
        missing = [key for key in ("state", "param_groups") if key not in state_dict]
        if missing:
            raise ValueError(f"{self._name()}: the state dict has no {' and no '.join(missing)}")
        saved, own = state_dict["param_groups"], self.param_groups
        if [len(group["params"]) for group in saved] != [len(group["params"]) for group in own]:
            raise ValueError(
                f"{self._name()}: the state dict has groups of "
                f"{[len(group['params']) for group in saved]} parameters, expected "
                f"{[len(group['params']) for group in own]}"
            )
        state = defaultdict(dict)
        for saved_group, group in zip(saved, own, strict=True):
            self.check({**group, **saved_group})
            for number, parameter in zip(saved_group["params"], group["params"], strict=True):
                values = state_dict["state"].get(number)
                if values:
                    state[parameter] = self._fit_all(values, parameter)
        for saved_group, group in zip(saved, own, strict=True):
            group.update((k, v) for k, v in saved_group.items() if k != "params")
        self.state = state

    def _fit_all(self, values, parameter):
        """A parameter's saved state as it is kept here."""
        state = {k: self._fit(k, v, parameter) for k, v in values.items() if v is not None}
        if state:  # PyTorch's SGD does not count its steps
            state.setdefault("step", np.ones(1, np.int64))
        return state

    def _fit(self, name, value, parameter):
        array = np.array(value.data if isinstance(value, Tensor) else value)
        if name == "step" or name in self.scalars:
            if array.size != 1:
                raise ValueError(f"{self._name()}: state {name!r} has {array.size} values, not 1")
            return array.astype(np.int64 if name == "step" else np.float64).reshape(1)
        if array.shape != parameter.shape:
            raise ValueError(
                f"{self._name()}: state {name!r} has shape {array.shape}, its parameter "
                f"{parameter.shape}"
            )
        return array.astype(parameter.dtype)

    def __repr__(self):
        lines = [f"{self._name()} ("]
        for number, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {number}")
            options = sorted((name, value) for name, value in group.items() if name != "params")
            lines.extend(f"    {name}: {value}" for name, value in options)
        return "\n".join([*lines, ")"])


class _Handle:
    """Removes a hook."""

    def __init__(self, hooks, hook):
        self._hooks = hooks
        hooks[self] = hook

    def remove(self):
        self._hooks.pop(self, None)


def number(x):
    """An option that may be a tensor of one element, as a number."""
    if not isinstance(x, Tensor):
        return x
    if x.data.size != 1:
        raise ValueError(
            f"optimizer: an option is a tensor of shape {x.shape}; expected one element"
        )
    return x.data.item()


def check_range(name, group, **bounds):
    """Raise ``ValueError`` where an option is outside its (least, bound), the bound excluded."""
    for option, (least, bound) in bounds.items():
        if not least <= number(group[option]) < bound:
            limit = f"at least {least}" + (f" and below {bound}" if bound != math.inf else "")
            raise ValueError(
                f"{name}: {option} = {group[option]} is out of range; expected {limit}"
            )


def check_positive(name, group, *options):
    """Raise ``ValueError`` where one of the options, or l1_decay, is below 0 or not finite."""
    check_range(name, group, **dict.fromkeys((*options, "l1_decay"), (0, math.inf)))


def check_betas(name, group):
    """Raise ``ValueError`` where a group's betas are not two numbers from 0 to below 1."""
    beta1, beta2 = group["betas"]
    flat = {"betas[0]": beta1, "betas[1]": beta2}
    check_range(name, flat, **dict.fromkeys(flat, (0, 1)))
