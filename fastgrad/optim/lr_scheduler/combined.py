"""Schedules made of schedules, and the one that looks at a metric."""

import math
from bisect import bisect_right

from .base import (
    LRScheduler,
    Schedule,
    check_optimizer,
    for_groups,
    rates_of,
    set_option,
)


def _check_parts(name, optimizer, schedulers):
    """Raise where schedules cannot be combined: none, without ``step()``, or of two optimizers."""
    if not schedulers:
        raise ValueError(f"{name}: expected at least one schedule")
    for position, part in enumerate(schedulers):
        if not isinstance(part, Schedule):
            raise TypeError(
                f"{name}: expected schedules, got {type(part).__name__} at position {position}"
            )
        if isinstance(part, ReduceLROnPlateau):
            raise ValueError(
                f"{name}: ReduceLROnPlateau at position {position} wants a metric in each step"
            )
        if part.optimizer is not optimizer:
            raise ValueError(f"{name}: the schedule at position {position} has another optimizer")


class SequentialLR(LRScheduler):
    """One schedule after the other: ``schedulers[k + 1]`` takes over at epoch ``milestones[k]``.

    Raises ``ValueError`` for other numbers of them, and for schedules of another optimizer.

    >>> import fastgrad as fg
    >>> from fastgrad.optim.lr_scheduler import ExponentialLR, LinearLR, SequentialLR
    >>> optimizer = fg.optim.SGD([fg.ones(1)], lr=1.0)
    >>> warm_up = LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> schedule = SequentialLR(optimizer, [warm_up, ExponentialLR(optimizer, 0.5)], [2])
    >>> optimizer.step()
    >>> rates = schedule.get_last_lr()
    >>> for _ in range(4):
    ...     schedule.step()
    ...     rates += schedule.get_last_lr()
    >>> rates
    [0.5, 0.75, 1.0, 0.5, 0.25]
    """

    def __init__(self, optimizer, schedulers, milestones, last_epoch=-1):
        _check_parts("SequentialLR", optimizer, schedulers)
        if len(milestones) != len(schedulers) - 1:
            raise ValueError(
                f"SequentialLR: got {len(schedulers)} schedules and {len(milestones)} milestones; "
                "expected one milestone between each two"
            )
        self._schedulers, self._milestones = schedulers, milestones
        self.last_epoch, self.optimizer = last_epoch + 1, optimizer
        for group in optimizer.param_groups:
            set_option(group, "lr", group["initial_lr"])
        for part in schedulers:
            _undo(part)
        first = schedulers[bisect_right(milestones, 0)]
        first.start()
        self._last_lr = first.get_last_lr()

    def step(self):
        """Let the schedule whose turn it is go on."""
        self.last_epoch += 1
        turn = bisect_right(self._milestones, self.last_epoch)
        now = self._schedulers[turn]
        if turn > 0 and self._milestones[turn - 1] == self.last_epoch:
            now.update(0)
        else:
            now.step()
        self._last_lr = now.get_last_lr()


def _undo(part):
    """Take back the step that a schedule, or those it is made of, took when it was made."""
    if isinstance(part, SequentialLR | ChainedScheduler):
        for inner in part._schedulers:
            _undo(inner)
    else:
        part.last_epoch -= 1


class ChainedScheduler(LRScheduler):
    """Several schedules at once: each changes the rates that the one before has set.

    Raises ``ValueError`` for schedules of another optimizer, and for none.

    >>> import fastgrad as fg
    >>> from fastgrad.optim.lr_scheduler import ChainedScheduler, ConstantLR, ExponentialLR
    >>> optimizer = fg.optim.SGD([fg.ones(1)], lr=1.0)
    >>> parts = ConstantLR(optimizer, 0.5, total_iters=2), ExponentialLR(optimizer, 0.5)
    >>> schedule = ChainedScheduler(parts)
    >>> optimizer.step()
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(self, schedulers, optimizer=None):
        schedulers = list(schedulers)
        if schedulers and optimizer is None:
            optimizer = getattr(schedulers[0], "optimizer", None)
        _check_parts("ChainedScheduler", optimizer, schedulers)
        self._schedulers, self.optimizer = schedulers, optimizer
        self._last_lr = rates_of(optimizer)

    def step(self):
        """Let every schedule go on."""
        for part in self._schedulers:
            part.step()
        self._last_lr = rates_of(self.optimizer)


class ReduceLROnPlateau(LRScheduler):
    """Times ``factor`` where a metric, given to ``step``, has not improved for ``patience`` epochs.

    mode             whether the metric should fall ("min") or rise ("max")
    threshold        what counts as better: by this part of the best ("rel"), or by this ("abs"),
                     by threshold_mode
    cooldown         epochs after a reduction in which nothing is counted
    min_lr           least rate, or a list of one for each group
    eps              a reduction by less is not made

    Raises ``ValueError`` for options that make no sense.

    >>> import fastgrad as fg
    >>> optimizer = fg.optim.SGD([fg.ones(1)], lr=1.0)
    >>> schedule = fg.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=0.5, patience=1)
    >>> for loss in (3.0, 2.0, 2.0, 2.0):
    ...     schedule.step(loss)
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(
        self,
        optimizer,
        mode="min",
        factor=0.1,
        patience=10,
        threshold=1e-4,
        threshold_mode="rel",
        cooldown=0,
        min_lr=0,
        eps=1e-8,
    ):
        check_optimizer("ReduceLROnPlateau", optimizer)
        if factor >= 1.0:
            raise ValueError(f"ReduceLROnPlateau: factor = {factor}; expected a number below 1")
        if mode not in ("min", "max"):
            raise ValueError(f"ReduceLROnPlateau: mode = {mode!r}; expected 'min' or 'max'")
        if threshold_mode not in ("rel", "abs"):
            raise ValueError(
                f"ReduceLROnPlateau: threshold_mode = {threshold_mode!r}; expected 'rel' or 'abs'"
            )
        self.optimizer, self.mode, self.factor, self.patience = optimizer, mode, factor, patience
        self.threshold, self.threshold_mode = threshold, threshold_mode
        self.cooldown, self.eps = cooldown, eps
        self.default_min_lr = None if isinstance(min_lr, list | tuple) else min_lr
        self.min_lrs = for_groups("ReduceLROnPlateau", "min_lr", optimizer, min_lr)
        self.best = math.inf if mode == "min" else -math.inf
        self.cooldown_counter = self.num_bad_epochs = self.last_epoch = 0
        self._last_lr = rates_of(optimizer)

    def step(self, metrics, epoch=None):
        """Look at a metric, a number or tensor of one element; reduce the rates if need be."""
        metric = float(metrics)
        self.last_epoch = self.last_epoch + 1 if epoch is None else epoch
        if self._is_better(metric):
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        if self.in_cooldown:
            self.cooldown_counter -= 1
            self.num_bad_epochs = 0
        if self.num_bad_epochs > self.patience:
            self._reduce()
            self.cooldown_counter, self.num_bad_epochs = self.cooldown, 0
        self._last_lr = rates_of(self.optimizer)

    @property
    def in_cooldown(self):
        """Whether epochs are not counted for the moment."""
        return self.cooldown_counter > 0

    def _is_better(self, metric):
        sign = -1 if self.mode == "min" else 1
        if self.threshold_mode == "rel":
            bar = self.best * (1.0 + sign * self.threshold)
        else:
            bar = self.best + sign * self.threshold
        return sign * metric > sign * bar

    def _reduce(self):
        groups = self.optimizer.param_groups
        if len(self.min_lrs) != len(groups):
            if self.default_min_lr is None:
                raise RuntimeError(
                    f"ReduceLROnPlateau: the optimizer has {len(groups)} groups now, and min_lr "
                    f"{len(self.min_lrs)} values; set min_lrs"
                )
            self.min_lrs = [self.default_min_lr] * len(groups)
        for group, least in zip(groups, self.min_lrs, strict=True):
            before = float(group["lr"])
            lr = max(before * self.factor, least)
            if before - lr > self.eps:
                set_option(group, "lr", lr)
