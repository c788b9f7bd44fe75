"""What all schedules share, and those that are given as a function."""

import types
import warnings

from ...tensor import Tensor
from ..optimizer import Optimizer, number


def check_optimizer(name, optimizer):
    """Raise ``TypeError`` for what is no optimizer."""
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"{name}: expected an Optimizer, got {type(optimizer).__name__}")


def for_groups(name, option, optimizer, value):
    """A list with a value of an option for each group, given as one value or as such a list."""
    groups = len(optimizer.param_groups)
    if not isinstance(value, list | tuple):
        return [value] * groups
    if len(value) != groups:
        raise ValueError(
            f"{name}: {option} has {len(value)} values, expected one for each of {groups} groups"
        )
    return list(value)


def set_option(group, option, value):
    """Set an option of a group; a tensor there is filled and stays the same tensor."""
    if isinstance(group[option], Tensor):
        group[option].data[...] = number(value)
    else:
        group[option] = value


def rates_of(optimizer, option="lr"):
    """The groups' rates now; tensors as copies."""
    rates = [group[option] for group in optimizer.param_groups]
    return [Tensor(rate.data.copy()) if isinstance(rate, Tensor) else rate for rate in rates]


def check_between(name, option, value, least, most):
    """Raise ``ValueError`` unless ``least <= value <= most``."""
    if not least <= value <= most:
        raise ValueError(f"{name}: {option} = {value}; expected a number from {least} to {most}")


def check_count(name, option, value, least):
    """Raise ``ValueError`` unless the value is an integer and at least ``least``."""
    if not isinstance(value, int) or value < least:
        raise ValueError(f"{name}: {option} = {value!r}; expected an integer of at least {least}")


class Schedule:
    """A schedule's state: all its attributes but the optimizer and functions."""

    def state_dict(self):
        """The schedule's state; of functions given by the user, what objects of a class hold."""
        return {
            name: _frozen(value) for name, value in self.__dict__.items() if name != "optimizer"
        }

    def load_state_dict(self, state_dict):
        """Take over a state."""
        for name, value in state_dict.items():
            self.__dict__[name] = _thawed(value, self.__dict__.get(name))

    def get_last_lr(self):
        """The rates that were set last, one for each group."""
        return self._last_lr


def _frozen(value):
    """What a state dict keeps of an attribute: of schedules their state, of functions nothing."""
    if isinstance(value, Schedule):
        return value.state_dict()
    if isinstance(value, list):
        return [_frozen(part) for part in value]
    if isinstance(value, types.FunctionType):
        return None
    return dict(vars(value)) if callable(value) and hasattr(value, "__dict__") else value


def _thawed(value, own):
    """The attribute that a state dict's entry makes of the present one."""
    if isinstance(own, Schedule):
        own.load_state_dict(value)
        return own
    if isinstance(own, list) and isinstance(value, list) and len(own) == len(value):
        return [_thawed(a, b) for a, b in zip(value, own, strict=True)]
    if callable(own):
        if value is not None:
            vars(own).update(value)
        return own
    return value


class LRScheduler(Schedule):
    """Base of the schedules: sets the rates of an optimizer's groups, anew after each ``step()``.

    last_epoch   the number of steps so far, -1 for a fresh start; to go on from there, each group
                 needs an "initial_lr"

    A subclass gives the rates in ``get_lr``, mostly from the present ones and ``self.last_epoch``,
    so that schedules can be chained; and where it can, in ``closed_form``, from ``self.base_lrs``.
    A compiled step sees the new rates without being recorded anew.

    Raises ``TypeError`` for another optimizer and ``KeyError`` for a missing "initial_lr".
    """

    _is_initial = False

    def __init__(self, optimizer, last_epoch=-1):
        check_optimizer(self._name(), optimizer)
        self.optimizer = optimizer
        for position, group in enumerate(optimizer.param_groups):
            if last_epoch == -1:
                lr = group["lr"]
                group.setdefault("initial_lr", Tensor(lr.data.copy()) if _is_tensor(lr) else lr)
            elif "initial_lr" not in group:
                raise KeyError(
                    f"{self._name()}: group {position} has no 'initial_lr', which last_epoch = "
                    f"{last_epoch} needs; load the optimizer's state first"
                )
        self.base_lrs = rates_of(optimizer, "initial_lr")
        self.last_epoch = last_epoch
        self.start()

    def _name(self):
        return type(self).__name__

    def start(self):
        """Take the first step, that of the construction."""
        self._step_count = 0
        self._is_initial = True
        self.step()
        self._is_initial = False

    def get_lr(self):
        """The rates at ``last_epoch``, one for each group."""
        raise NotImplementedError

    def step(self, epoch=None):
        """Go on to the next rates; with ``epoch``, to those of that epoch."""
        if self._step_count == 1 and not self.optimizer.stepped:
            warnings.warn(
                f"{self._name()}.step() is called before optimizer.step(): the first rate is "
                "never used",
                stacklevel=2,
            )
        self._step_count += 1
        self.update(epoch)

    def update(self, epoch=None):
        """Set the rates of the next epoch, or of the one given."""
        if epoch is None:
            self.last_epoch += 1
            rates = self.get_lr()
        else:
            self.last_epoch = epoch
            rates = self.closed_form()
        self.set_rates(rates)

    def closed_form(self):
        """The rates at ``last_epoch`` from the base rates alone, where there is a formula."""
        return self.get_lr()

    def set_rates(self, rates):
        """Set the groups' rates."""
        for group, lr in zip(self.optimizer.param_groups, rates, strict=True):
            set_option(group, "lr", lr)
        self._last_lr = rates_of(self.optimizer)

    def scaled(self, factor):
        """The present rates times a factor."""
        return [group["lr"] * factor for group in self.optimizer.param_groups]

    def scaled_base(self, factor):
        """The base rates times a factor."""
        return [lr * factor for lr in self.base_lrs]


def _is_tensor(x):
    return isinstance(x, Tensor)


class LambdaLR(LRScheduler):
    """``lr = base_lr · lr_lambda(epoch)``; one function, or a list of one for each group.

    Raises ``ValueError`` for a list of another length.

    >>> import fastgrad as fg
    >>> optimizer = fg.optim.SGD([fg.ones(1)], lr=1.0)
    >>> schedule = fg.optim.lr_scheduler.LambdaLR(optimizer, lambda epoch: 0.5**epoch)
    >>> optimizer.step()
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer, lr_lambda, last_epoch=-1):
        check_optimizer(self._name(), optimizer)
        self.lr_lambdas = for_groups(self._name(), "lr_lambda", optimizer, lr_lambda)
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(
                    f"{self._name()}: expected lr_lambda as a function, got "
                    f"{type(function).__name__}"
                )
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        pairs = zip(self.base_lrs, self.lr_lambdas, strict=True)
        return [lr * function(self.last_epoch) for lr, function in pairs]


class MultiplicativeLR(LambdaLR):
    """``lr *= lr_lambda(epoch)`` in each step; one function, or a list of one for each group.

    Raises ``ValueError`` for a list of another length.

    >>> import fastgrad as fg
    >>> optimizer = fg.optim.SGD([fg.ones(1)], lr=1.0)
    >>> schedule = fg.optim.lr_scheduler.MultiplicativeLR(optimizer, lambda epoch: 0.9)
    >>> optimizer.step()
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.9]
    """

    def get_lr(self):
        if self._is_initial:
            return rates_of(self.optimizer)
        pairs = zip(self.optimizer.param_groups, self.lr_lambdas, strict=True)
        return [group["lr"] * function(self.last_epoch) for group, function in pairs]
