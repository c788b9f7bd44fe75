"""Rates that fall, or rise, from step to step by a formula."""

import math
from bisect import bisect_right
from collections import Counter

from .base import LRScheduler, check_between, check_count, rates_of


class StepLR(LRScheduler):
    """Times gamma after every ``step_size`` epochs.

    >>> import fastgrad as fg
    >>> optimizer = fg.optim.SGD([fg.ones(1)], lr=1.0)
    >>> schedule = fg.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> optimizer.step()
    >>> for _ in range(4):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer, step_size, gamma=0.1, last_epoch=-1):
        self.step_size, self.gamma = step_size, gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self.last_epoch == 0 or self.last_epoch % self.step_size != 0:
            return rates_of(self.optimizer)
        return self.scaled(self.gamma)

    def closed_form(self):
        return self.scaled_base(self.gamma ** (self.last_epoch // self.step_size))


class MultiStepLR(LRScheduler):
    """Times gamma at each epoch of ``milestones``; twice at one that is listed twice.

    >>> import fastgrad as fg
    >>> optimizer = fg.optim.SGD([fg.ones(1)], lr=1.0)
    >>> schedule = fg.optim.lr_scheduler.MultiStepLR(optimizer, [1, 3], gamma=0.5)
    >>> optimizer.step()
    >>> for _ in range(4):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.25]
    """

    def __init__(self, optimizer, milestones, gamma=0.1, last_epoch=-1):
        self.milestones, self.gamma = Counter(milestones), gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self.last_epoch not in self.milestones:
            return rates_of(self.optimizer)
        return self.scaled(self.gamma ** self.milestones[self.last_epoch])

    def closed_form(self):
        passed = bisect_right(sorted(self.milestones.elements()), self.last_epoch)
        return self.scaled_base(self.gamma**passed)


class ConstantLR(LRScheduler):
    """Times ``factor`` for the first ``total_iters`` epochs.

    Raises ``ValueError`` for a factor outside 0 to 1.

    >>> import fastgrad as fg
    >>> optimizer = fg.optim.SGD([fg.ones(1)], lr=1.0)
    >>> schedule = fg.optim.lr_scheduler.ConstantLR(optimizer, factor=0.5, total_iters=1)
    >>> before = schedule.get_last_lr()
    >>> optimizer.step()
    >>> schedule.step()
    >>> before, schedule.get_last_lr()
    ([0.5], [1.0])
    """

    def __init__(self, optimizer, factor=1.0 / 3, total_iters=5, last_epoch=-1):
        check_between("ConstantLR", "factor", factor, 0, 1)
        self.factor, self.total_iters = factor, total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self.last_epoch == 0:
            return self.scaled(self.factor)
        if self.last_epoch != self.total_iters:
            return rates_of(self.optimizer)
        return self.scaled(1.0 / self.factor)

    def closed_form(self):
        over = self.last_epoch >= self.total_iters
        return self.scaled_base(self.factor + over * (1 - self.factor))


class LinearLR(LRScheduler):
    """A factor that goes in a line from start_factor to end_factor in total_iters epochs.

    The usual warm-up; see ``SequentialLR``. Raises ``ValueError`` for factors outside 0 to 1, and
    for a start_factor of 0.

    >>> import fastgrad as fg
    >>> optimizer = fg.optim.SGD([fg.ones(1)], lr=1.0)
    >>> schedule = fg.optim.lr_scheduler.LinearLR(optimizer, start_factor=0.5, total_iters=2)
    >>> optimizer.step()
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.75]
    """

    def __init__(
        self, optimizer, start_factor=1.0 / 3, end_factor=1.0, total_iters=5, last_epoch=-1
    ):
        check_between("LinearLR", "start_factor", start_factor, math.ulp(0), 1)
        check_between("LinearLR", "end_factor", end_factor, 0, 1)
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = total_iters
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self.last_epoch == 0:
            return self.scaled(self.start_factor)
        if self._is_initial or self.last_epoch > self.total_iters:
            return rates_of(self.optimizer)
        rise = self.end_factor - self.start_factor
        before = self.total_iters * self.start_factor + (self.last_epoch - 1) * rise
        return self.scaled(1.0 + rise / before)

    def closed_form(self):
        rise = self.end_factor - self.start_factor
        steps = min(self.total_iters, self.last_epoch)
        return self.scaled_base(self.start_factor + rise * steps / self.total_iters)


class ExponentialLR(LRScheduler):
    """Times gamma in every epoch.

    >>> import fastgrad as fg
    >>> optimizer = fg.optim.SGD([fg.ones(1)], lr=1.0)
    >>> schedule = fg.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)
    >>> optimizer.step()
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer, gamma, last_epoch=-1):
        self.gamma = gamma
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        return rates_of(self.optimizer) if self._is_initial else self.scaled(self.gamma)

    def closed_form(self):
        return self.scaled_base(self.gamma**self.last_epoch)


class InverseTimeLR(LRScheduler):
    """``lr = base_lr / (1 + decay · epoch)``: steps that fall like 1/t, as Robbins & Monro (1951)
    ask for. Not among PyTorch's. Raises ``ValueError`` for a decay below 0.

    >>> import fastgrad as fg
    >>> optimizer = fg.optim.SGD([fg.ones(1)], lr=1.0)
    >>> schedule = fg.optim.lr_scheduler.InverseTimeLR(optimizer, decay=0.5)
    >>> optimizer.step()
    >>> for _ in range(2):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer, decay, last_epoch=-1):
        check_between("InverseTimeLR", "decay", decay, 0, math.inf)
        self.decay = decay
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self._is_initial:
            return rates_of(self.optimizer)
        t = self.last_epoch
        return self.scaled((1.0 + self.decay * (t - 1)) / (1.0 + self.decay * t))

    def closed_form(self):
        return [lr / (1.0 + self.decay * self.last_epoch) for lr in self.base_lrs]


class PolynomialLR(LRScheduler):
    """``lr = base_lr · (1 - epoch / total_iters)^power``, 0 afterwards.

    >>> import fastgrad as fg
    >>> optimizer = fg.optim.SGD([fg.ones(1)], lr=1.0)
    >>> schedule = fg.optim.lr_scheduler.PolynomialLR(optimizer, total_iters=4)
    >>> optimizer.step()
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.75]
    """

    def __init__(self, optimizer, total_iters=5, power=1.0, last_epoch=-1):
        self.total_iters, self.power = total_iters, power
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        if self._is_initial or self.last_epoch > self.total_iters:
            return rates_of(self.optimizer)
        left, before = (1.0 - t / self.total_iters for t in (self.last_epoch, self.last_epoch - 1))
        return self.scaled((left / before) ** self.power)

    def closed_form(self):
        done = min(self.total_iters, self.last_epoch) / self.total_iters
        return self.scaled_base((1.0 - done) ** self.power)


class CosineAnnealingLR(LRScheduler):
    """``lr = eta_min + (base_lr - eta_min) · (1 + cos(π · epoch / T_max)) / 2``

    Loshchilov & Hutter 2017, without the restarts.

    >>> import fastgrad as fg
    >>> optimizer = fg.optim.SGD([fg.ones(1)], lr=1.0)
    >>> schedule = fg.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=2)
    >>> optimizer.step()
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.5]
    """

    def __init__(self, optimizer, T_max, eta_min=0.0, last_epoch=-1):
        self.T_max, self.eta_min = T_max, eta_min
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        t, length, least = self.last_epoch, self.T_max, self.eta_min
        if self._is_initial:
            return rates_of(self.optimizer)
        if self._step_count == 1 and t > 0:
            return self.closed_form()
        if (t - 1 - length) % (2 * length) == 0:  # from the very bottom up
            rise = 1 - math.cos(math.pi / length)
            pairs = zip(self.base_lrs, self.optimizer.param_groups, strict=True)
            return [group["lr"] + (lr - least) * rise / 2 for lr, group in pairs]
        height, before = (1 + math.cos(math.pi * k / length) for k in (t, t - 1))
        groups = self.optimizer.param_groups
        return [height / before * (group["lr"] - least) + least for group in groups]

    def closed_form(self):
        height = 1 + math.cos(math.pi * self.last_epoch / self.T_max)
        return [self.eta_min + (lr - self.eta_min) * height / 2 for lr in self.base_lrs]


class CosineAnnealingWarmRestarts(LRScheduler):
    """Cosine annealing that starts anew after T_0 epochs, then T_0 · T_mult, and so on.

        lr = eta_min + (base_lr - eta_min) · (1 + cos(π · T_cur / T_i)) / 2

    ``step(epoch)`` takes fractions of epochs. Loshchilov & Hutter 2017. Raises ``ValueError`` for a
    T_0 or T_mult that is no integer of at least 1, and for an epoch below 0.

    >>> import fastgrad as fg
    >>> optimizer = fg.optim.SGD([fg.ones(1)], lr=1.0)
    >>> schedule = fg.optim.lr_scheduler.CosineAnnealingWarmRestarts(optimizer, T_0=2)
    >>> optimizer.step()
    >>> for _ in range(2):
    ...     schedule.step()
    >>> schedule.get_last_lr()
    [1.0]
    """

    def __init__(self, optimizer, T_0, T_mult=1, eta_min=0.0, last_epoch=-1):
        check_count("CosineAnnealingWarmRestarts", "T_0", T_0, 1)
        check_count("CosineAnnealingWarmRestarts", "T_mult", T_mult, 1)
        if not isinstance(eta_min, float | int):
            raise ValueError(
                f"CosineAnnealingWarmRestarts: eta_min = {eta_min!r}; expected a number"
            )
        self.T_0, self.T_i, self.T_mult = T_0, T_0, T_mult
        self.eta_min, self.T_cur = eta_min, last_epoch
        super().__init__(optimizer, last_epoch)

    def get_lr(self):
        height = 1 + math.cos(math.pi * self.T_cur / self.T_i)
        return [self.eta_min + (lr - self.eta_min) * height / 2 for lr in self.base_lrs]

    def step(self, epoch=None):
        """Go on to the next epoch, or to the one given, which may be a fraction."""
        if epoch is None and self.last_epoch >= 0:
            epoch = self.last_epoch + 1
            self.T_cur += 1
            if self.T_cur >= self.T_i:
                self.T_cur %= self.T_i
                self.T_i *= self.T_mult
        else:
            epoch = 0 if epoch is None else epoch
            if epoch < 0:
                raise ValueError(
                    f"CosineAnnealingWarmRestarts: epoch = {epoch}; expected at least 0"
                )
            self._find(epoch)
        self.last_epoch = math.floor(epoch)
        self.set_rates(self.get_lr())

    def update(self, epoch=None):
        """As ``step``."""
        self.step(epoch)

    def _find(self, epoch):
        """Where in which period an epoch is."""
        ratio, periods = self.T_mult, 0
        if epoch < self.T_0:
            self.T_cur = epoch
        elif ratio == 1:
            self.T_cur = epoch % self.T_0
        else:
            periods = int(math.log(epoch / self.T_0 * (ratio - 1) + 1, ratio))
            self.T_cur = epoch - self.T_0 * (ratio**periods - 1) / (ratio - 1)
        if ratio != 1 or epoch < self.T_0:
            self.T_i = self.T_0 * ratio**periods
