"""NumPy twins of ``fastgrad.kernels.optim``."""

import functools
import math

import numpy as np

from ._quiet import quiet

__all__ = [
    "adadelta_step",
    "adagrad_step",
    "adam_step",
    "adamax_step",
    "asgd_step",
    "average_step",
    "nadam_step",
    "radam_step",
    "rmsprop_step",
    "rprop_step",
    "sgd_step",
]


def _average(average, value, factor):
    """``average = factor · average + (1 - factor) · value``, without subnormal numbers."""
    average *= factor
    average += (1 - factor) * value
    _flush(average)


def _flush(average):
    average[np.abs(average) < np.finfo(average.dtype).tiny] = 0


def _for_each(scalars=0):
    """Call a function ``(param, g, state, (t, *scalars), lr, own hyper, own flags)`` for each."""

    def decorate(update):
        @functools.wraps(update)
        @quiet
        def step(*arguments):
            *columns, hyper, flags = arguments
            lr, weight_decay, l1_decay, *hyper = hyper.tolist()
            maximize, decoupled, *flags = flags.tolist()
            alike = len(columns) - 1 - scalars
            for row in zip(*columns, strict=True):
                param, grad, state, kept = row[0], row[1], row[2:alike], row[alike:]
                kept[0][0] += 1
                g = -grad if maximize else grad
                if l1_decay:
                    g = g + l1_decay * np.sign(param)
                if decoupled:
                    param *= 1 - lr * weight_decay
                elif weight_decay:
                    g = g + weight_decay * param
                update(param, g, state, (int(kept[0][0]), *kept[1:]), lr, hyper, flags)

        del step.__wrapped__
        return step

    return decorate


@_for_each()
def sgd_step(param, g, state, kept, lr, hyper, flags):
    momentum, dampening = hyper
    (nesterov,) = flags
    for buffer in state:
        if kept[0] == 1:
            buffer[...] = g
            _flush(buffer)
        else:
            buffer *= momentum
            buffer += (1 - dampening) * g
            _flush(buffer)
        g = g + momentum * buffer if nesterov else buffer
    param -= lr * g


@_for_each(scalars=2)
def asgd_step(param, g, state, kept, lr, hyper, flags):
    lambd, alpha, t0 = hyper
    t, eta, mu = kept
    (average,) = state
    param *= 1 - lambd * eta[0]
    param -= eta[0] * g
    average += mu[0] * (param - average)
    if mu[0] == 1:
        average[...] = param
    eta[0] = lr / (1 + lambd * lr * t) ** alpha
    mu[0] = 1 / max(1, t - t0)


@_for_each()
def rprop_step(param, g, state, kept, lr, hyper, flags):
    shrink, grow, least, most = hyper
    before, size = state
    turn = np.sign(g * before)
    size *= np.where(turn > 0, grow, np.where(turn < 0, shrink, 1))
    np.clip(size, least, most, out=size)
    g = np.where(turn < 0, 0, g)
    param -= np.sign(g) * size
    before[...] = g


@_for_each()
def adagrad_step(param, g, state, kept, lr, hyper, flags):
    lr_decay, eps = hyper
    (total,) = state
    total += g * g
    param -= lr / (1 + (kept[0] - 1) * lr_decay) * g / (np.sqrt(total) + eps)


@_for_each()
def rmsprop_step(param, g, state, kept, lr, hyper, flags):
    alpha, eps, momentum = hyper
    (centered,) = flags
    square, *state = state
    _average(square, g * g, alpha)
    variance = square
    if centered:
        mean, *state = state
        _average(mean, g, alpha)
        variance = np.maximum(square - mean * mean, 0)
    d = g / (np.sqrt(variance) + eps)
    for buffer in state:
        buffer *= momentum
        buffer += d
        _flush(buffer)
        d = buffer
    param -= lr * d


@_for_each()
def adadelta_step(param, g, state, kept, lr, hyper, flags):
    rho, eps = hyper
    square, change = state
    _average(square, g * g, rho)
    d = np.sqrt(change + eps) / np.sqrt(square + eps) * g
    _average(change, d * d, rho)
    param -= lr * d


@_for_each()
def adam_step(param, g, state, kept, lr, hyper, flags):
    beta1, beta2, eps = hyper
    t, (mean, square, *peaks) = kept[0], state
    _average(mean, g, beta1)
    _average(square, g * g, beta2)
    for peak in peaks:
        np.maximum(peak, square, out=peak)
        square = peak
    root = np.sqrt(square) / math.sqrt(1 - beta2**t) + eps
    param -= (lr / (1 - beta1**t)) * mean / root


@_for_each()
def adamax_step(param, g, state, kept, lr, hyper, flags):
    beta1, beta2, eps = hyper
    t, (mean, largest) = kept[0], state
    _average(mean, g, beta1)
    largest *= beta2
    np.maximum(largest, np.abs(g) + eps, out=largest)
    param -= lr / (1 - beta1**t) * mean / largest


@_for_each(scalars=1)
def nadam_step(param, g, state, kept, lr, hyper, flags):
    beta1, beta2, eps, momentum_decay = hyper
    (t, product), (mean, square) = kept, state
    now, following = (beta1 * (1 - 0.5 * 0.96 ** (k * momentum_decay)) for k in (t, t + 1))
    product *= now
    _average(mean, g, beta1)
    _average(square, g * g, beta2)
    root = np.sqrt(square) / math.sqrt(1 - beta2**t) + eps
    first = lr * (1 - now) / (1 - product[0])
    param -= (first * g + lr * following / (1 - product[0] * following) * mean) / root


@_for_each()
def radam_step(param, g, state, kept, lr, hyper, flags):
    beta1, beta2, eps = hyper
    t, (mean, square) = kept[0], state
    _average(mean, g, beta1)
    _average(square, g * g, beta2)
    rate, unbias, longest = lr / (1 - beta1**t), 1 - beta2**t, 2 / (1 - beta2) - 1
    length = longest - 2 * t * beta2**t / unbias
    change = rate * mean
    if length > 5:
        part = (length - 4) * (length - 2) * longest
        part /= (longest - 4) * (longest - 2) * length
        change = change * math.sqrt(part * unbias) / (np.sqrt(square) + eps)
    param -= change


@quiet
def average_step(averages, currents, hyper, flags):
    weight = float(hyper[0])
    for average, current in zip(averages, currents, strict=True):
        step = current - average
        average[...] = average + weight * step if weight < 0.5 else current - (1 - weight) * step
