"""Optimizer updates: one pass over parameters, gradients and state, all in place.

Hyperparameters arrive in one float64 array and the step count in an int64 array, so that a
launch's arguments stay the same from step to step.

Running averages below the least normal number become 0. Where gradients have stopped, as behind
a ReLU that is off for good, they would fade through the subnormal numbers, on which the CPU is
many times slower.
"""

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel
from ._simd import fma, if_greater, lanes, load, load_part, maximum, splat, sqrt, store, store_part

__all__ = ["adam_step", "sgd_step", "tick"]


@kernel(serial=True)
def _tick(start, stop, step):
    step[0] += 1


def tick(counter):
    """Add 1 to a counter (1,) int64."""
    _tick(1, 0, counter)


@register_jitable
def _least(x):
    """The least normal number, in every lane."""
    return splat(x, 2.0**-126 if x.itemsize == 4 else 2.0**-1022)


@register_jitable
def _flush(value, least):
    return if_greater(least, maximum(value, -value), least - least, value)


@register_jitable
def _sgd_block(param, grad, buffer, hyper, flags, first):
    """(new parameter, new buffer) of a vector."""
    lr, momentum, keep, decay, least = hyper
    has_momentum, nesterov, maximize = flags
    d = -grad if maximize else grad
    d = fma(decay, param, d)
    if has_momentum:
        buffer = _flush(d if first else fma(momentum, buffer, keep * d), least)
        d = fma(momentum, buffer, d) if nesterov else buffer
    return fma(-lr, d, param), buffer


@kernel(grain=64)
def _sgd(start, stop, param, grad, buffer, hyper, flags, step):
    lane = lanes(param)
    values = (
        splat(param, hyper[0]), splat(param, hyper[1]),
        splat(param, 1.0 - hyper[2]), splat(param, hyper[3]), _least(param),
    )  # fmt: skip
    switches = flags[0], flags[1], flags[2]
    first = step[0] == 1
    has_momentum = flags[0]
    whole = start + (stop - start) // lane * lane
    for i in range(start, whole, lane):
        old = load(buffer, i) if has_momentum else values[0]
        p, b = _sgd_block(load(param, i), load(grad, i), old, values, switches, first)
        store(param, i, p)
        if has_momentum:
            store(buffer, i, b)
    if whole < stop:
        n = stop - whole
        old = load_part(buffer, whole, n, 0.0) if has_momentum else values[0]
        p, g = load_part(param, whole, n, 0.0), load_part(grad, whole, n, 0.0)
        p, b = _sgd_block(p, g, old, values, switches, first)
        store_part(param, whole, n, p)
        if has_momentum:
            store_part(buffer, whole, n, b)


def sgd_step(param, grad, buffer, step, hyper, flags):
    """Stochastic gradient descent (Sutskever et al. 2013 for momentum and Nesterov's variant).

        d = grad + weight_decay · param
        buffer = momentum · buffer + (1 - dampening) · d        (d itself in the first step)
        param -= lr · (d + momentum · buffer if nesterov else buffer)

    All flat and of one size; buffer is None without momentum. step (1,) int64 counts up first.
    hyper = (lr, momentum, dampening, weight_decay) float64; flags = (has momentum, nesterov,
    maximize) bool.
    """
    tick(step)
    buffer = param if buffer is None else buffer
    _sgd(param.size, param.size * 0.3, param, grad, buffer, hyper, flags, step)


@register_jitable
def _adam_block(param, grad, mean, square, peak, hyper, flags):
    """(new parameter, mean, square, peak) of a vector."""
    rate, beta1, beta2, keep1, keep2, eps, decay, shrink, root, least = hyper
    amsgrad, maximize, decoupled = flags
    g = -grad if maximize else grad
    if decoupled:
        param = param * shrink
    else:
        g = fma(decay, param, g)
    mean = _flush(fma(beta1, mean, keep1 * g), least)
    square = _flush(fma(beta2, square, keep2 * g * g), least)
    peak = maximum(peak, square) if amsgrad else square
    return param - rate * mean / (sqrt(peak) / root + eps), mean, square, peak


@kernel(grain=64)
def _adam(start, stop, param, grad, mean, square, peak, hyper, flags, step):
    lane = lanes(param)
    lr, beta1, beta2, eps, decay = hyper[0], hyper[1], hyper[2], hyper[3], hyper[4]
    t = float(step[0])
    rate = lr / (1.0 - beta1**t)
    root = np.sqrt(1.0 - beta2**t)
    values = (
        splat(param, rate), splat(param, beta1), splat(param, beta2),
        splat(param, 1.0 - beta1), splat(param, 1.0 - beta2), splat(param, eps),
        splat(param, decay), splat(param, 1.0 - lr * decay), splat(param, root), _least(param),
    )  # fmt: skip
    switches = flags[0], flags[1], flags[2]
    amsgrad = flags[0]
    whole = start + (stop - start) // lane * lane
    for i in range(start, whole, lane):
        old = load(peak, i) if amsgrad else values[0]
        p, m, v, top = _adam_block(
            load(param, i), load(grad, i), load(mean, i), load(square, i), old, values, switches
        )
        store(param, i, p)
        store(mean, i, m)
        store(square, i, v)
        if amsgrad:
            store(peak, i, top)
    if whole < stop:
        n = stop - whole
        old = load_part(peak, whole, n, 0.0) if amsgrad else values[0]
        p, m, v, top = _adam_block(
            load_part(param, whole, n, 0.0), load_part(grad, whole, n, 0.0),
            load_part(mean, whole, n, 0.0), load_part(square, whole, n, 0.0),
            old, values, switches,
        )  # fmt: skip
        store_part(param, whole, n, p)
        store_part(mean, whole, n, m)
        store_part(square, whole, n, v)
        if amsgrad:
            store_part(peak, whole, n, top)


def adam_step(param, grad, mean, square, peak, step, hyper, flags):
    """Adam (Kingma & Ba 2015), AdamW where decoupled (Loshchilov & Hutter 2019).

        mean = β₁ · mean + (1 - β₁) · g,  square = β₂ · square + (1 - β₂) · g²
        param -= lr / (1 - β₁ᵗ) · mean / (√square / √(1 - β₂ᵗ) + ε)

    with ``g = grad + weight_decay · param``, or, decoupled, ``param *= 1 - lr · weight_decay``
    first. With AMSGrad, square is replaced by its largest value so far, ``peak``, else None.

    All flat and of one size. step (1,) int64 counts up first. hyper = (lr, β₁, β₂, ε,
    weight_decay) float64; flags = (amsgrad, maximize, decoupled) bool.
    """
    tick(step)
    peak = param if peak is None else peak
    _adam(param.size, param.size * 0.6, param, grad, mean, square, peak, hyper, flags, step)
