"""What all optimizers share: parameter groups, state, and both as a state dict."""

from collections import defaultdict

import numpy as np

from ..backend import zeros
from ..gradients import by_type, change, drop_gradients, plain, with_gradient
from ..tape import enable_grad, recording
from ..tensor import Tensor


class Optimizer:
    """Base of the optimizers.

    params     parameters, or dicts ``{"params": ..., option: value}``, one for each group
    defaults   options of groups that do not set them

    A subclass checks a group's options in ``check``, gives those that are numbers in ``hyper`` and
    those that are switches in ``flags``, says what it keeps in ``state_names``, and updates
    parameters in ``update``.
    """

    def __init__(self, params, defaults):
        self.defaults = defaults
        self.param_groups = []
        self.state = defaultdict(dict)
        self._arrays = {}  # by group
        groups = [params] if isinstance(params, Tensor) else list(params)
        if not groups:
            raise ValueError(f"{self._name()}: got no parameters")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups}]
        for group in groups:
            self.add_param_group(group)

    def _name(self):
        return type(self).__name__

    def check(self, group):
        """Raise ``ValueError`` where the options of a group make no sense."""

    def hyper(self, group):
        """A group's hyperparameters as its kernel wants them, a tuple of floats."""
        raise NotImplementedError

    def flags(self, group):
        """A group's switches as its kernel wants them, a tuple of bools."""
        raise NotImplementedError

    def state_names(self, flags):
        """Names of the arrays, each of the parameter's shape, that are kept between steps."""
        raise NotImplementedError

    def update(self, parameters, grads, steps, *columns):
        """Update parameter arrays of one type in place.

        columns   lists of arrays, one for each of ``state_names``; then the hyperparameters and
                  the switches as arrays
        """
        raise NotImplementedError

    def add_param_group(self, group):
        """Add ``{"params": ..., option: value}``; missing options are the defaults'."""
        group = {**self.defaults, **group}
        params = group["params"]
        group["params"] = [params] if isinstance(params, Tensor) else list(params)
        known = {id(p) for other in self.param_groups for p in other["params"]}
        for parameter in group["params"]:
            if not isinstance(parameter, Tensor):
                raise TypeError(f"{self._name()}: expected tensors, got {type(parameter).__name__}")
            if not parameter.is_leaf:
                raise ValueError(f"{self._name()}: can only optimize leaf tensors")
            if id(parameter) in known:
                raise ValueError(f"{self._name()}: a parameter is given twice")
            known.add(id(parameter))
        self.check(group)
        self.param_groups.append(group)

    def zero_grad(self, set_to_none=True):
        """Drop all gradients, or set them to zero."""
        for group in self.param_groups:
            drop_gradients(group["params"], set_to_none)

    def step(self, closure=None):
        """Update every parameter that has a gradient: one launch for all of a group.

        closure, if given, computes the loss and its gradients anew; its result is returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        if recording.active is not None and recording.here():
            states = self.state  # others after load_state_dict
            recording.active.expect(lambda: (self.state is states, len(self.param_groups)))
        for group in self.param_groups:
            for similar in by_type(with_gradient(group["params"])):
                self._update(similar, *self._options(group))
        return loss

    def _update(self, parameters, hyper, flags):
        """Update parameters of one type that have gradients."""
        if recording.active is not None and recording.here():
            for parameter in parameters:
                recording.active.parameter(parameter)
        states = [self.state[p] for p in parameters]
        grads = plain([parameter._grad.data for parameter in parameters])
        columns = self._columns(parameters, states, self.state_names(flags))
        change(parameters, lambda arrays: self.update(arrays, grads, *columns, hyper, flags))

    def _columns(self, parameters, states, names):
        """The steps of the parameters, and their arrays of each name."""
        try:
            return [[state[name] for state in states] for name in ("step", *names)]
        except KeyError:
            for parameter, state in zip(parameters, states, strict=True):
                state.setdefault("step", np.zeros(1, np.int64))
                for name in names:
                    if name not in state:
                        self.begin(state, name, parameter)
            return self._columns(parameters, states, names)

    def begin(self, state, name, parameter):
        """Add an array of state that a parameter lacks."""
        state[name] = zeros(parameter.shape, parameter.dtype)

    def _options(self, group):
        """A group's (hyperparameters float64, flags bool), in arrays that stay the same."""
        values, flags = self.hyper(group), self.flags(group)
        arrays = self._arrays.get(id(group))
        if arrays is None:
            arrays = self._arrays[id(group)] = np.empty(len(values)), np.empty(len(flags), bool)
        arrays[0][:], arrays[1][:] = values, flags
        if recording.active is not None and recording.here():
            recording.active.keep_up_to_date(arrays[0], lambda: self.hyper(group))
            recording.active.expect(lambda: self.flags(group))
        return arrays

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
            numbers[parameter]: {
                name: value.copy() for name, value in values.items() if name[0] != "_"
            }
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
                if values is not None:
                    state[parameter] = {
                        name: self._fit(name, value, parameter) for name, value in values.items()
                    }
        for saved_group, group in zip(saved, own, strict=True):
            group.update((k, v) for k, v in saved_group.items() if k != "params")
        self.state = state

    def _fit(self, name, value, parameter):
        array = np.array(value.data if isinstance(value, Tensor) else value)
        if name == "step":
            if array.size != 1:
                raise ValueError(f"{self._name()}: state 'step' has {array.size} values, not 1")
            return array.astype(np.int64).reshape(1)
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


def check_range(name, group, **bounds):
    """Raise ``ValueError`` where an option is outside its (least, bound), the bound excluded."""
    for option, (least, bound) in bounds.items():
        if not least <= group[option] < bound:
            limit = f"at least {least}" + (f" and below {bound}" if bound != float("inf") else "")
            raise ValueError(
                f"{name}: {option} = {group[option]} is out of range; expected {limit}"
            )
