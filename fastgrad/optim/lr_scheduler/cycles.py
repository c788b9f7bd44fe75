"""Rates that rise and fall, with the momentum the other way."""

import math
from functools import partial

from .base import LRScheduler, check_between, check_count, check_optimizer, for_groups, set_option


class _MomentumCycle(LRScheduler):
    """What schedules of both rate and momentum (Adam's β₁) share."""

    def begin_momentum(self, optimizer, base, largest, last_epoch):
        """Note how the momentum is called, and set it to its largest at a fresh start."""
        if "momentum" not in optimizer.defaults and "betas" not in optimizer.defaults:
            raise ValueError(
                f"{self._name()}: {type(optimizer).__name__} has neither momentum nor betas; pass "
                "cycle_momentum=False"
            )
        self.use_beta1 = "betas" in optimizer.defaults
        self.base_momentums = for_groups(self._name(), "base_momentum", optimizer, base)
        self.max_momentums = for_groups(self._name(), "max_momentum", optimizer, largest)
        if last_epoch == -1:
            rows = zip(optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True)
            for group, base, largest in rows:
                self.set_momentum(group, largest)
                group["max_momentum"], group["base_momentum"] = largest, base

    def set_momentum(self, group, momentum):
        """Set a group's momentum, or its first beta."""
        if self.use_beta1:
            group["betas"] = (momentum, *group["betas"][1:])
        else:
            group["momentum"] = momentum


class CyclicLR(_MomentumCycle):
    """From base_lr up to max_lr in step_size_up steps, down again in step_size_down, and so on.

    mode         "triangular", "triangular2" (each cycle half as high), "exp_range" (height times
                 gamma^step); or the height by scale_fn of the cycle (from 1 on) or, with
                 ``scale_mode="iterations"``, of the step
    momentum     from max_momentum down to base_momentum and up again, with ``cycle_momentum``

    Smith 2017. Raises ``ValueError`` for another mode, and for an optimizer without momentum.

    >>> import fastgrad as fg
    >>> optimizer = fg.optim.SGD([fg.ones(1)], lr=1.0, momentum=0.9)
    >>> schedule = fg.optim.lr_scheduler.CyclicLR(optimizer, 0.1, 0.5, step_size_up=2)
    >>> optimizer.step()
    >>> for _ in range(2):
    ...     schedule.step()
    >>> schedule.get_last_lr(), optimizer.param_groups[0]["momentum"]
    ([0.5], 0.8)
    """

    def __init__(
        self,
        optimizer,
        base_lr,
        max_lr,
        step_size_up=2000,
        step_size_down=None,
        mode="triangular",
        gamma=1.0,
        scale_fn=None,
        scale_mode="cycle",
        cycle_momentum=True,
        base_momentum=0.8,
        max_momentum=0.9,
        last_epoch=-1,
    ):
        check_optimizer("CyclicLR", optimizer)
        if scale_fn is None and mode not in ("triangular", "triangular2", "exp_range"):
            raise ValueError(
                f"CyclicLR: mode = {mode!r}; expected 'triangular', 'triangular2' or 'exp_range', "
                "or a scale_fn"
            )
        base_lrs = for_groups("CyclicLR", "base_lr", optimizer, base_lr)
        self.max_lrs = for_groups("CyclicLR", "max_lr", optimizer, max_lr)
        down = step_size_up if step_size_down is None else step_size_down
        self.total_size = float(step_size_up) + float(down)
        self.step_ratio = float(step_size_up) / self.total_size
        self.mode, self.gamma, self.scale_mode = mode, gamma, scale_mode
        self._scale_fn = scale_fn
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.begin_momentum(optimizer, base_momentum, max_momentum, last_epoch)
        if last_epoch == -1:
            for group, lr in zip(optimizer.param_groups, base_lrs, strict=True):
                set_option(group, "lr", lr)
        super().__init__(optimizer, last_epoch)
        self.base_lrs = base_lrs

    def _height(self, cycle):
        """The height of the present cycle, from 0 to 1."""
        if self._scale_fn is not None:
            return self._scale_fn(cycle if self.scale_mode == "cycle" else self.last_epoch)
        if self.mode == "exp_range":
            return self.gamma**self.last_epoch
        return 1.0 if self.mode == "triangular" else 1 / (2.0 ** (cycle - 1))

    def get_lr(self):
        cycle = math.floor(1 + self.last_epoch / self.total_size)
        x = 1.0 + self.last_epoch / self.total_size - cycle
        rising = x <= self.step_ratio
        part = x / self.step_ratio if rising else (x - 1) / (self.step_ratio - 1)
        height = self._height(cycle)
        if self.cycle_momentum:
            rows = zip(
                self.optimizer.param_groups, self.base_momentums, self.max_momentums, strict=True
            )
            for group, base, most in rows:
                self.set_momentum(group, most - (most - base) * part * height)
        rates = zip(self.base_lrs, self.max_lrs, strict=True)
        return [base + (most - base) * part * height for base, most in rates]


class OneCycleLR(_MomentumCycle):
    """One cycle of ``total_steps``: from max_lr / div_factor up to max_lr, then far down.

    total_steps        or epochs · steps_per_epoch
    pct_start          the part of the steps in which the rate rises
    anneal_strategy    "cos" or "linear"
    final_div_factor   the last rate is that of the beginning over this
    three_phase        fall to the rate of the beginning as steeply as before, and then to the last

    The momentum goes from max_momentum to base_momentum and back, with ``cycle_momentum``. Smith &
    Topin 2018. Raises ``ValueError`` for options that make no sense, and for more steps than there
    are.

    >>> import fastgrad as fg
    >>> optimizer = fg.optim.SGD([fg.ones(1)], lr=1.0, momentum=0.9)
    >>> schedule = fg.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=0.5, total_steps=10)
    >>> optimizer.step()
    >>> for _ in range(2):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(
        self,
        optimizer,
        max_lr,
        total_steps=None,
        epochs=None,
        steps_per_epoch=None,
        pct_start=0.3,
        anneal_strategy="cos",
        cycle_momentum=True,
        base_momentum=0.85,
        max_momentum=0.95,
        div_factor=25.0,
        final_div_factor=1e4,
        three_phase=False,
        last_epoch=-1,
    ):
        check_optimizer("OneCycleLR", optimizer)
        self.total_steps = _total_steps(total_steps, epochs, steps_per_epoch)
        check_between("OneCycleLR", "pct_start", pct_start, 0, 1)
        self.anneal_strategy = check_strategy("OneCycleLR", anneal_strategy)
        self.phases = _phases(self.total_steps, pct_start, three_phase)
        max_lrs = for_groups("OneCycleLR", "max_lr", optimizer, max_lr)
        self.cycle_momentum = cycle_momentum
        if cycle_momentum:
            self.begin_momentum(optimizer, base_momentum, max_momentum, last_epoch)
        if last_epoch == -1:
            for group, most in zip(optimizer.param_groups, max_lrs, strict=True):
                group["initial_lr"], group["max_lr"] = most / div_factor, most
                group["min_lr"] = group["initial_lr"] / final_div_factor
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        now = self.last_epoch
        if now > self.total_steps:
            raise ValueError(f"OneCycleLR: step {now} of {self.total_steps}: the cycle is over")
        at, start = 0, 0.0
        while at < len(self.phases) - 1 and now > self.phases[at][0]:
            start, at = self.phases[at][0], at + 1
        end, (first, last), (first_momentum, last_momentum) = self.phases[at]
        blend = partial(_blend, self.anneal_strategy, (now - start) / (end - start))
        groups = self.optimizer.param_groups
        if self.cycle_momentum:
            for group in groups:
                self.set_momentum(group, blend(group[first_momentum], group[last_momentum]))
        return [blend(group[first], group[last]) for group in groups]


def check_strategy(name, strategy):
    """A way to go from one rate to another: "cos" or "linear"."""
    if strategy not in ("cos", "linear"):
        raise ValueError(f"{name}: anneal_strategy = {strategy!r}; expected 'cos' or 'linear'")
    return strategy


def _blend(strategy, part, start, end):
    if strategy == "linear":
        return (end - start) * part + start
    return end + (start - end) / 2.0 * (math.cos(math.pi * part) + 1)


def _total_steps(total_steps, epochs, steps_per_epoch):
    if total_steps is not None:
        check_count("OneCycleLR", "total_steps", total_steps, 1)
        return total_steps
    if epochs is None or steps_per_epoch is None:
        raise ValueError("OneCycleLR: expected total_steps, or epochs and steps_per_epoch")
    check_count("OneCycleLR", "epochs", epochs, 1)
    check_count("OneCycleLR", "steps_per_epoch", steps_per_epoch, 1)
    return epochs * steps_per_epoch


def _phases(total, pct_start, three_phase):
    """(last step, (first rate, last rate), (first momentum, last)) of each phase, by name."""
    top = float(pct_start * total) - 1
    up = ("initial_lr", "max_lr"), ("max_momentum", "base_momentum")
    back = ("base_momentum", "max_momentum")
    if not three_phase:
        return [(top, *up), (total - 1, ("max_lr", "min_lr"), back)]
    return [
        (top, *up),
        (float(2 * pct_start * total) - 2, ("max_lr", "initial_lr"), back),
        (total - 1, ("initial_lr", "min_lr"), ("max_momentum", "max_momentum")),
    ]
