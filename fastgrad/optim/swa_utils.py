"""Averages of weights over training: of many steps (SWA), or exponential (EMA)."""

import copy
import itertools
import math

import numpy as np

from ..backend import K
from ..gradients import by_type, change, plain
from ..nn.module import Module
from ..tape import no_grad, recording
from ..tensor import Tensor
from .lr_scheduler.base import LRScheduler, check_between, check_count, for_groups
from .lr_scheduler.cycles import check_strategy

__all__ = [
    "SWALR",
    "AveragedModel",
    "get_ema_avg_fn",
    "get_ema_multi_avg_fn",
    "get_swa_avg_fn",
    "get_swa_multi_avg_fn",
    "update_bn",
]


def _move(averages, currents, weight):
    """``average += weight · (current - average)`` for lists of tensors: a launch for each type."""
    pairs = {id(a): c for a, c in zip(averages, currents, strict=True)}
    floats = [a for a in averages if a.data.dtype.kind == "f"]
    hyper, flags = np.array([weight]), np.zeros(0, bool)
    for similar in by_type(floats):
        sources = plain([pairs[id(a)].data.astype(a.data.dtype, copy=False) for a in similar])
        change(similar, lambda arrays, s=sources: K.average_step(arrays, s, hyper, flags))
    for average in averages:
        if average.data.dtype.kind != "f":
            mixed = (1 - weight) * average.data + weight * pairs[id(average)].data
            average.data[...] = mixed.astype(average.data.dtype)


def get_ema_multi_avg_fn(decay=0.999):
    """``average = decay · average + (1 - decay) · current``, for lists of tensors, in one pass.

    Raises ``ValueError`` for a decay outside 0 to 1.
    """
    check_between("get_ema_multi_avg_fn", "decay", decay, 0, 1)
    return lambda averages, currents, n: _move(averages, currents, 1 - decay)


def get_swa_multi_avg_fn():
    """``average += (current - average) / (n + 1)``, for lists of tensors, in one pass."""
    return lambda averages, currents, n: _move(averages, currents, 1 / (int(n) + 1))


def get_ema_avg_fn(decay=0.999):
    """``decay · average + (1 - decay) · current`` of two tensors.

    Raises ``ValueError`` for a decay outside 0 to 1.
    """
    check_between("get_ema_avg_fn", "decay", decay, 0, 1)
    return lambda average, current, n: decay * average + (1 - decay) * current


def get_swa_avg_fn():
    """``average + (current - average) / (n + 1)`` of two tensors."""
    return lambda average, current, n: average + (current - average) / (n + 1)


class AveragedModel(Module):
    """A copy of a module whose parameters are averages of the module's over training.

    avg_fn        ``(average, current, number averaged)`` to the new average, for one parameter
    multi_avg_fn  the same for lists of parameters, in place; the faster way
    use_buffers   average the buffers too, instead of copying them

    By default the mean of all: stochastic weight averaging (Izmailov et al. 2018), after Polyak &
    Juditsky 1992. ``device`` must be None or "cpu". Raises ``ValueError`` where both functions are
    given.

    >>> import fastgrad as fg
    >>> from fastgrad.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
    >>> model = fg.nn.Linear(1, 1)
    >>> average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.5))
    >>> for weight in (1.0, 3.0):
    ...     _ = fg.nn.init.constant_(model.weight, weight)
    ...     average.update_parameters(model)
    >>> average.module.weight.item(), average.n_averaged.item()
    (2.0, 2)
    """

    def __init__(self, model, device=None, avg_fn=None, multi_avg_fn=None, use_buffers=False):
        super().__init__()
        if device not in (None, "cpu"):
            raise ValueError(f"AveragedModel: device = {device!r}; expected None or 'cpu'")
        if avg_fn is not None and multi_avg_fn is not None:
            raise ValueError("AveragedModel: expected avg_fn or multi_avg_fn, not both")
        self.module = copy.deepcopy(model)
        self.register_buffer("n_averaged", Tensor(np.zeros((), np.int64)))
        self.avg_fn, self.multi_avg_fn, self.use_buffers = avg_fn, multi_avg_fn, use_buffers

    def forward(self, *args, **kwargs):
        """What the copy computes."""
        return self.module(*args, **kwargs)

    @no_grad
    def update_parameters(self, model):
        """Take the parameters of ``model`` into the average; the first time, copy them."""
        if recording.here():
            recording.active.refuse(
                "compile: AveragedModel.update_parameters counts in Python; call it after the step"
            )
        averages, currents = self._averaged(self.module), self._averaged(model)
        if self.n_averaged.item() == 0:
            _copy(averages, currents)
        elif self.avg_fn is None:
            move = self.multi_avg_fn or get_swa_multi_avg_fn()
            move(averages, currents, self.n_averaged)
        else:
            pairs = zip(averages, currents, strict=True)
            _copy(averages, [self.avg_fn(a, c, self.n_averaged) for a, c in pairs])
        if not self.use_buffers:
            _copy(list(self.module.buffers()), list(model.buffers()))
        self.n_averaged.data[...] += 1

    def _averaged(self, module):
        tensors = module.parameters()
        if self.use_buffers:
            tensors = itertools.chain(tensors, module.buffers())
        return [x.detach() for x in tensors]


def _copy(targets, sources):
    for target, source in zip(targets, sources, strict=True):
        target.copy_(source)


@no_grad
def update_bn(loader, model, device=None):
    """Compute the running statistics of a model's batch norms anew, as means over a loader.

    What the loader gives is an input, or a tuple or list that begins with one. ``device`` must be
    None or "cpu".

    >>> import fastgrad as fg
    >>> model = fg.nn.BatchNorm1d(1)
    >>> fg.optim.swa_utils.update_bn([fg.tensor([[1.0], [3.0]]), fg.tensor([[5.0], [7.0]])], model)
    >>> model.running_mean
    tensor([4.])
    """
    if device not in (None, "cpu"):
        raise ValueError(f"update_bn: device = {device!r}; expected None or 'cpu'")
    norms = [module for module in model.modules() if _has_running_statistics(module)]
    if not norms:
        return
    momenta, was_training = [module.momentum for module in norms], model.training
    for module in norms:
        module.running_mean.data[...], module.running_var.data[...] = 0, 1
        module.num_batches_tracked.data[...] = 0
        module.momentum = None
    model.train()
    try:
        for batch in loader:
            model(batch[0] if isinstance(batch, list | tuple) else batch)
    finally:
        for module, momentum in zip(norms, momenta, strict=True):
            module.momentum = momentum
        model.train(was_training)


def _has_running_statistics(module):
    is_batch_norm = any("BatchNorm" in kind.__name__ for kind in type(module).__mro__)
    return is_batch_norm and module.running_mean is not None


class SWALR(LRScheduler):
    """Goes from the present rates to ``swa_lr`` in ``anneal_epochs``, and stays there.

    anneal_strategy   "cos" or "linear"

    Izmailov et al. 2018. Raises ``ValueError`` for another strategy, or epochs that are no count.

    >>> import fastgrad as fg
    >>> optimizer = fg.optim.SGD([fg.ones(1)], lr=1.0)
    >>> schedule = fg.optim.swa_utils.SWALR(optimizer, swa_lr=0.5, anneal_epochs=2)
    >>> optimizer.step()
    >>> schedule.step()
    >>> schedule.get_last_lr()
    [0.75]
    """

    def __init__(self, optimizer, swa_lr, anneal_epochs=10, anneal_strategy="cos", last_epoch=-1):
        self.anneal_strategy = check_strategy("SWALR", anneal_strategy)
        check_count("SWALR", "anneal_epochs", anneal_epochs, 0)
        rates = for_groups("SWALR", "swa_lr", optimizer, swa_lr)
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["swa_lr"] = rate
        self.anneal_epochs = anneal_epochs
        super().__init__(optimizer, last_epoch)

    def _part(self, step):
        """How far the way to swa_lr is gone at a step."""
        t = max(0, min(1, step / max(1, self.anneal_epochs)))
        return t if self.anneal_strategy == "linear" else (1 - math.cos(math.pi * t)) / 2

    def get_lr(self):
        step = self._step_count - 1
        if self.anneal_epochs == 0:
            step = max(1, step)
        before, now = self._part(step - 1), self._part(step)
        rates = []
        for group in self.optimizer.param_groups:
            lr, end = group["lr"], group["swa_lr"]
            start = end if before == 1 else (lr - before * end) / (1 - before)
            rates.append(end * now + start * (1 - now))
        return rates
