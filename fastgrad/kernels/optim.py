"""Optimizer updates: one pass over all parameters, gradients and state, in one launch, in place.

Parameters, gradients and state are sequences of arrays of one float type. Hyperparameters arrive
in one float64 array and step counts in int64 arrays, so that a launch's arguments stay the same
from step to step.

Running averages below the least normal number become 0. Where gradients have stopped, as behind
a ReLU that is off for good, they would fade through the subnormal numbers, on which the CPU is
many times slower.
"""

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel
from ._pool import peek, poke
from ._simd import fma, if_greater, lanes, maximum, read, splat, sqrt, write
from ._tables import ADDRESS, LIKE, SIZE, array_at, piece, table_of

__all__ = ["adam_step", "sgd_step"]


@kernel(serial=True)
def _tick(start, stop, table, row):
    for at in range(start, stop):
        poke(table[row, at], 0, peek(table[row, at], 0) + 1)


@register_jitable
def _least(x):
    """The least normal number, in every lane."""
    return splat(x, 2.0**-126 if x.itemsize == 4 else 2.0**-1022)


@register_jitable
def _flush(value, least):
    return if_greater(least, maximum(value, -value), least - least, value)


@register_jitable
def _sgd_vector(param, grad, buffer, hyper, flags, first):
    """(new parameter, new buffer) of a vector."""
    lr, momentum, keep, decay, least = hyper
    has_momentum, nesterov, maximize = flags
    d = -grad if maximize else grad
    d = fma(decay, param, d)
    if has_momentum:
        buffer = _flush(d if first else fma(momentum, buffer, keep * d), least)
        d = fma(momentum, buffer, d) if nesterov else buffer
    return fma(-lr, d, param), buffer


@kernel
def _sgd(start, stop, table, like, hyper, flags):
    """Blocks ``start`` to ``stop``; columns: parameter, gradient, buffer, step."""
    lane = lanes(like)
    values = (
        splat(like, hyper[0]), splat(like, hyper[1]),
        splat(like, 1.0 - hyper[2]), splat(like, hyper[3]), _least(like),
    )  # fmt: skip
    switches = flags[0], flags[1], flags[2]
    has_momentum = flags[0]
    at, block = 0, start
    while block < stop:
        at, begin, end, block = piece(table, at, block, stop)
        size = table[SIZE, at]
        param = array_at(table[ADDRESS, at], size, like)
        grad = array_at(table[ADDRESS + 1, at], size, like)
        buffer = array_at(table[ADDRESS + 2, at], size, like)
        first = peek(table[ADDRESS + 3, at], 0) == 1
        for i in range(begin, end, lane):
            n = min(lane, end - i)
            old = read(buffer, i, n) if has_momentum else values[0]
            p, b = _sgd_vector(read(param, i, n), read(grad, i, n), old, values, switches, first)
            write(param, i, n, p)
            if has_momentum:
                write(buffer, i, n, b)


def sgd_step(params, grads, buffers, steps, hyper, flags):
    """Stochastic gradient descent (Sutskever et al. 2013 for momentum and Nesterov's variant).

        d = grad + weight_decay · param
        buffer = momentum · buffer + (1 - dampening) · d        (d itself in the first step)
        param -= lr · (d + momentum · buffer if nesterov else buffer)

    buffers is None without momentum. Each of steps, (1,) int64, counts up first.
    hyper = (lr, momentum, dampening, weight_decay) float64; flags = (has momentum, nesterov,
    maximize) bool.
    """
    buffers = params if buffers is None else buffers
    table, blocks, elements = table_of(params, grads, buffers, steps=steps)
    _tick(len(params), 0, table, ADDRESS + 3)
    _sgd(blocks, elements * 0.3, table, LIKE[params[0].dtype], hyper, flags)


@register_jitable
def _adam_vector(param, grad, mean, square, peak, hyper, rates, flags):
    """(new parameter, mean, square, peak) of a vector."""
    beta1, beta2, keep1, keep2, eps, decay, shrink, least = hyper
    rate, unbias = rates
    amsgrad, maximize, decoupled = flags
    g = -grad if maximize else grad
    if decoupled:
        param = param * shrink
    else:
        g = fma(decay, param, g)
    mean = _flush(fma(beta1, mean, keep1 * g), least)
    square = _flush(fma(beta2, square, keep2 * g * g), least)
    peak = maximum(peak, square) if amsgrad else square
    return param - rate * mean / fma(sqrt(peak), unbias, eps), mean, square, peak


@kernel
def _adam(start, stop, table, like, hyper, flags):
    """Blocks ``start`` to ``stop``; columns: parameter, gradient, mean, square, peak, step."""
    lane = lanes(like)
    lr, beta1, beta2, eps, decay = hyper[0], hyper[1], hyper[2], hyper[3], hyper[4]
    values = (
        splat(like, beta1), splat(like, beta2), splat(like, 1.0 - beta1), splat(like, 1.0 - beta2),
        splat(like, eps), splat(like, decay), splat(like, 1.0 - lr * decay), _least(like),
    )  # fmt: skip
    switches = flags[0], flags[1], flags[2]
    amsgrad = flags[0]
    at, block = 0, start
    while block < stop:
        at, begin, end, block = piece(table, at, block, stop)
        size = table[SIZE, at]
        param = array_at(table[ADDRESS, at], size, like)
        grad = array_at(table[ADDRESS + 1, at], size, like)
        mean = array_at(table[ADDRESS + 2, at], size, like)
        square = array_at(table[ADDRESS + 3, at], size, like)
        peak = array_at(table[ADDRESS + 4, at], size, like)
        t = float(peek(table[ADDRESS + 5, at], 0))
        rate = splat(like, lr / (1.0 - beta1**t))
        rates = rate, splat(like, 1.0 / np.sqrt(1.0 - beta2**t))
        for i in range(begin, end, lane):
            n = min(lane, end - i)
            old = read(peak, i, n) if amsgrad else rate
            p, m, v, top = _adam_vector(
                read(param, i, n), read(grad, i, n), read(mean, i, n), read(square, i, n), old,
                values, rates, switches,
            )  # fmt: skip
            write(param, i, n, p)
            write(mean, i, n, m)
            write(square, i, n, v)
            if amsgrad:
                write(peak, i, n, top)


def adam_step(params, grads, means, squares, peaks, steps, hyper, flags):
    """Adam (Kingma & Ba 2015), AdamW where decoupled (Loshchilov & Hutter 2019).

        mean = β₁ · mean + (1 - β₁) · g,  square = β₂ · square + (1 - β₂) · g²
        param -= lr / (1 - β₁ᵗ) · mean / (√square / √(1 - β₂ᵗ) + ε)

    with ``g = grad + weight_decay · param``, or, decoupled, ``param *= 1 - lr · weight_decay``
    first. With AMSGrad, square is replaced by its largest value so far, ``peak``; without, peaks
    is None.

    Each of steps, (1,) int64, counts up first. hyper = (lr, β₁, β₂, ε, weight_decay) float64;
    flags = (amsgrad, maximize, decoupled) bool.
    """
    peaks = params if peaks is None else peaks
    table, blocks, elements = table_of(params, grads, means, squares, peaks, steps=steps)
    _tick(len(params), 0, table, ADDRESS + 5)
    _adam(blocks, elements * 0.5, table, LIKE[params[0].dtype], hyper, flags)
