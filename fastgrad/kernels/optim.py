"""Optimizer updates: one pass over all parameters, gradients and state, in one launch, in place.

Every one is called ``step(params, grads, *state, steps, *scalars, hyper, flags)``: sequences of
arrays of one float type, the counts of steps so far, (1,) int64, which count up, and scalars, (1,)
float64. Hyperparameters arrive in one float64 array and switches in a bool array, so that a
launch's arguments stay the same from step to step:

    hyper = (lr, weight_decay, l1_decay, ...),  flags = (maximize, decoupled, ...)

and then the optimizer's own. In its formulas t is the number of this step, p the parameter, and

    g = ±grad + weight_decay · p + l1_decay · sign(p)

or, decoupled, without weight_decay, but ``p *= 1 - lr · weight_decay`` first.

Running averages below the least normal number become 0. Where gradients have stopped, as behind
a ReLU that is off for good, they would fade through the subnormal numbers, on which the CPU is
many times slower.
"""

import math

from numba.extending import register_jitable

from ._simd import fma, if_greater, maximum, splat, sqrt
from ._stepper import LR, OWN_FLAG, OWN_NUMBER, sign, stepper

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


@register_jitable
def _least(x):
    """The least normal number, in every lane."""
    return splat(x, 2.0**-126 if x.itemsize == 4 else 2.0**-1022)


@register_jitable
def _flush(value, least):
    return if_greater(least, maximum(value, -value), least - least, value)


@register_jitable
def _decayed(like, factor):
    """(factor, 1 - factor, the least normal number) for ``_average``."""
    return splat(like, factor), splat(like, 1.0 - factor), _least(like)


@register_jitable
def _average(average, value, decayed):
    """A running average with a value more: ``factor · average + (1 - factor) · value``."""
    factor, rest, least = decayed
    return _flush(fma(factor, average, rest * value), least)


# ------------------------------------------------------------------ gradient descent


def _sgd_values(like, hyper, flags, used, t, x, y):
    return (
        splat(like, hyper[LR]), splat(like, hyper[OWN_NUMBER]),
        splat(like, 1.0 - hyper[OWN_NUMBER + 1]), _least(like), used > 0, flags[OWN_FLAG], t == 1.0,
    )  # fmt: skip


@stepper(_sgd_values, cost=0.3)
def sgd_step(p, g, a, b, c, values):
    """Stochastic gradient descent (Sutskever et al. 2013 for momentum and Nesterov's variant).

        buffer = momentum · buffer + (1 - dampening) · g        (g itself in the first step)
        p -= lr · (g + momentum · buffer if nesterov else buffer)

    State: buffer, none without momentum. hyper: momentum, dampening; flags: nesterov.
    """
    lr, momentum, keep, least, has_momentum, nesterov, first = values
    if has_momentum:
        a = _flush(g if first else fma(momentum, a, keep * g), least)
        g = fma(momentum, a, g) if nesterov else a
    return fma(-lr, g, p), a, b, c


def _asgd_values(like, hyper, flags, used, t, eta, mu):
    return splat(like, eta), splat(like, 1.0 - hyper[OWN_NUMBER] * eta), splat(like, mu), mu == 1.0


def _asgd_advance(hyper, t, eta, mu):
    """Rates of the next step."""
    lambd, alpha, t0 = hyper[OWN_NUMBER], hyper[OWN_NUMBER + 1], hyper[OWN_NUMBER + 2]
    lr = hyper[LR]
    return lr / (1.0 + lambd * lr * t) ** alpha, 1.0 / max(1.0, t - t0)


@stepper(_asgd_values, cost=0.4, scalars=3, advance=_asgd_advance)
def asgd_step(p, g, a, b, c, values):
    """Averaged stochastic gradient descent (Polyak & Juditsky 1992).

        p = (1 - λ · η) · p - η · g
        average += μ · (p - average),  η = lr / (1 + λ · lr · t)^α,  μ = 1 / max(1, t - t0)

    where η and μ are computed after a step for the next. State: average; scalars: η, μ;
    hyper: λ, α, t0.
    """
    eta, shrink, mu, whole = values
    p = fma(-eta, g, p * shrink)
    return p, p if whole else fma(mu, p - a, a), b, c


def _rprop_values(like, hyper, flags, used, t, x, y):
    return (
        splat(like, hyper[OWN_NUMBER]), splat(like, hyper[OWN_NUMBER + 1]),
        splat(like, hyper[OWN_NUMBER + 2]), splat(like, hyper[OWN_NUMBER + 3]), splat(like, 1.0),
    )  # fmt: skip


@stepper(_rprop_values, cost=0.5, most=2)
def rprop_step(p, g, a, b, c, values):
    """Resilient propagation (Riedmiller & Braun 1993): steps by the signs of gradients alone.

        size *= η⁺ where g · before > 0, η⁻ where it is < 0;  size between least and most
        p -= sign(g) · size, where g · before < 0 not at all;  before = g, there 0

    State: before, size; hyper: η⁻, η⁺, least, most.
    """
    shrink, grow, least, most, one = values
    nothing = one - one
    product = g * a
    size = b * if_greater(product, nothing, grow, if_greater(nothing, product, shrink, one))
    size = if_greater(least, size, least, if_greater(size, most, most, size))
    g = if_greater(nothing, product, nothing, g)
    return p - sign(g, size), g, size, c


# ------------------------------------------------------------------ steps scaled by g²


def _adagrad_values(like, hyper, flags, used, t, x, y):
    rate = hyper[LR] / (1.0 + (t - 1.0) * hyper[OWN_NUMBER])
    return splat(like, rate), splat(like, hyper[OWN_NUMBER + 1])


@stepper(_adagrad_values, cost=0.5)
def adagrad_step(p, g, a, b, c, values):
    """Adagrad (Duchi, Hazan & Singer 2011).

        sum += g²
        p -= lr / (1 + (t - 1) · lr_decay) · g / (√sum + ε)

    State: sum; hyper: lr_decay, ε.
    """
    rate, eps = values
    a = fma(g, g, a)
    return p - rate * g / (sqrt(a) + eps), a, b, c


def _rmsprop_values(like, hyper, flags, used, t, x, y):
    alpha, eps, momentum = hyper[OWN_NUMBER], hyper[OWN_NUMBER + 1], hyper[OWN_NUMBER + 2]
    return (
        _decayed(like, alpha), splat(like, hyper[LR]), splat(like, eps), splat(like, momentum),
        flags[OWN_FLAG], used > 1 + flags[OWN_FLAG],
    )  # fmt: skip


@stepper(_rmsprop_values, cost=0.5, most=3)
def rmsprop_step(p, g, a, b, c, values):
    """RMSprop (Hinton 2012), centered (Graves 2013), with momentum.

        square = α · square + (1 - α) · g²,  mean = α · mean + (1 - α) · g
        d = g / (√(square - mean² if centered else square) + ε)
        p -= lr · (buffer = momentum · buffer + d)

    State: square, then mean if centered, then buffer with momentum; hyper: α, ε, momentum;
    flags: centered.
    """
    decayed, lr, eps, momentum, centered, has_momentum = values
    a = _average(a, g * g, decayed)
    variance = a
    buffer = b
    if centered:
        buffer = c
        b = _average(b, g, decayed)
        variance = maximum(fma(-b, b, a), a - a)  # below 0 by rounding only
    d = g / (sqrt(variance) + eps)
    if has_momentum:
        buffer = _flush(fma(momentum, buffer, d), decayed[2])
        d = buffer
    p = fma(-lr, d, p)
    return (p, a, b, buffer) if centered else (p, a, buffer, c)


def _adadelta_values(like, hyper, flags, used, t, x, y):
    return (
        _decayed(like, hyper[OWN_NUMBER]), splat(like, hyper[LR]),
        splat(like, hyper[OWN_NUMBER + 1]),
    )  # fmt: skip


@stepper(_adadelta_values, cost=0.8, most=2)
def adadelta_step(p, g, a, b, c, values):
    """Adadelta (Zeiler 2012).

        square = ρ · square + (1 - ρ) · g²
        d = √(change + ε) / √(square + ε) · g
        change = ρ · change + (1 - ρ) · d²,  p -= lr · d

    State: square, change; hyper: ρ, ε.
    """
    decayed, lr, eps = values
    a = _average(a, g * g, decayed)
    d = sqrt(b + eps) / sqrt(a + eps) * g
    b = _average(b, d * d, decayed)
    return fma(-lr, d, p), a, b, c


# ------------------------------------------------------------------ Adam's family


def _adam_values(like, hyper, flags, used, t, x, y):
    beta1, beta2, eps = hyper[OWN_NUMBER], hyper[OWN_NUMBER + 1], hyper[OWN_NUMBER + 2]
    return (
        _decayed(like, beta1), _decayed(like, beta2), splat(like, eps),
        splat(like, hyper[LR] / (1.0 - beta1**t)),
        splat(like, 1.0 / math.sqrt(1.0 - beta2**t)),
        used > 2,
    )  # fmt: skip


@stepper(_adam_values, cost=0.5, most=3)
def adam_step(p, g, a, b, c, values):
    """Adam (Kingma & Ba 2015), AdamW where decoupled (Loshchilov & Hutter 2019).

        mean = β₁ · mean + (1 - β₁) · g,  square = β₂ · square + (1 - β₂) · g²
        p -= lr / (1 - β₁ᵗ) · mean / (√square / √(1 - β₂ᵗ) + ε)

    With AMSGrad, square is replaced by its largest value so far, ``peak``. State: mean, square, and
    with AMSGrad peak; hyper: β₁, β₂, ε.
    """
    beta1, beta2, eps, rate, unbias, amsgrad = values
    a = _average(a, g, beta1)
    b = _average(b, g * g, beta2)
    top = b
    if amsgrad:
        c = maximum(c, b)
        top = c
    return p - rate * a / fma(sqrt(top), unbias, eps), a, b, c


def _adamax_values(like, hyper, flags, used, t, x, y):
    beta1, beta2, eps = hyper[OWN_NUMBER], hyper[OWN_NUMBER + 1], hyper[OWN_NUMBER + 2]
    return (
        _decayed(like, beta1), splat(like, beta2), splat(like, eps),
        splat(like, hyper[LR] / (1.0 - beta1**t)),
    )  # fmt: skip


@stepper(_adamax_values, cost=0.5, most=2)
def adamax_step(p, g, a, b, c, values):
    """Adamax, Adam with the largest gradient instead of its square (Kingma & Ba 2015).

        mean = β₁ · mean + (1 - β₁) · g,  largest = max(β₂ · largest, |g| + ε)
        p -= lr / (1 - β₁ᵗ) · mean / largest

    State: mean, largest; hyper: β₁, β₂, ε.
    """
    beta1, beta2, eps, rate = values
    a = _average(a, g, beta1)
    b = maximum(b * beta2, maximum(g, -g) + eps)
    return p - rate * a / b, a, b, c


@register_jitable
def _nadam_momentum(hyper, t):
    """``β₁ · (1 - 0.96^(t · momentum_decay) / 2)``"""
    return hyper[OWN_NUMBER] * (1.0 - 0.5 * 0.96 ** (t * hyper[OWN_NUMBER + 3]))


def _nadam_values(like, hyper, flags, used, t, product, y):
    beta1, beta2, eps = hyper[OWN_NUMBER], hyper[OWN_NUMBER + 1], hyper[OWN_NUMBER + 2]
    now, following = _nadam_momentum(hyper, t), _nadam_momentum(hyper, t + 1.0)
    product *= now
    return (
        _decayed(like, beta1), _decayed(like, beta2), splat(like, eps),
        splat(like, hyper[LR] * (1.0 - now) / (1.0 - product)),
        splat(like, hyper[LR] * following / (1.0 - product * following)),
        splat(like, 1.0 / math.sqrt(1.0 - beta2**t)),
    )  # fmt: skip


def _nadam_advance(hyper, t, product, _):
    product *= _nadam_momentum(hyper, t)
    return product, product


@stepper(_nadam_values, cost=0.6, most=2, scalars=2, advance=_nadam_advance)
def nadam_step(p, g, a, b, c, values):
    """NAdam, Adam with Nesterov's momentum (Dozat 2016).

        mean, square as Adam's;  μₜ = β₁ · (1 - 0.96^(t · momentum_decay) / 2)
        d = √square / √(1 - β₂ᵗ) + ε
        p -= lr · ((1 - μₜ) / (1 - μ₁⋯μₜ) · g + μₜ₊₁ / (1 - μ₁⋯μₜ₊₁) · mean) / d

    State: mean, square; scalars: μ₁⋯μₜ₋₁; hyper: β₁, β₂, ε, momentum_decay.
    """
    beta1, beta2, eps, rate, mean_rate, unbias = values
    a = _average(a, g, beta1)
    b = _average(b, g * g, beta2)
    return p - fma(rate, g, mean_rate * a) / fma(sqrt(b), unbias, eps), a, b, c


def _radam_values(like, hyper, flags, used, t, x, y):
    beta1, beta2, eps = hyper[OWN_NUMBER], hyper[OWN_NUMBER + 1], hyper[OWN_NUMBER + 2]
    rate, unbias = hyper[LR] / (1.0 - beta1**t), 1.0 - beta2**t
    longest = 2.0 / (1.0 - beta2) - 1.0
    length = longest - 2.0 * t * beta2**t / unbias
    rectified = length > 5.0
    if rectified:
        part = (length - 4.0) * (length - 2.0) * longest
        rate *= math.sqrt(unbias * part / ((longest - 4.0) * (longest - 2.0) * length))
    return (
        _decayed(like, beta1),
        _decayed(like, beta2),
        splat(like, eps),
        splat(like, rate),
        rectified,
    )


@stepper(_radam_values, cost=0.5, most=2)
def radam_step(p, g, a, b, c, values):
    """RAdam, Adam rectified (Liu et al. 2020).

        mean, square as Adam's;  ρ∞ = 2 / (1 - β₂) - 1,  ρ = ρ∞ - 2 t β₂ᵗ / (1 - β₂ᵗ)
        r = √((ρ - 4) (ρ - 2) ρ∞ / ((ρ∞ - 4) (ρ∞ - 2) ρ))
        p -= lr / (1 - β₁ᵗ) · mean · (r √(1 - β₂ᵗ) / (√square + ε) if ρ > 5 else 1)

    State: mean, square; hyper: β₁, β₂, ε.
    """
    beta1, beta2, eps, rate, rectified = values
    a = _average(a, g, beta1)
    b = _average(b, g * g, beta2)
    change = rate * a
    return p - (change / (sqrt(b) + eps) if rectified else change), a, b, c


# ------------------------------------------------------------------ averages of parameters


def _average_values(like, hyper, flags, used, t, x, y):
    return splat(like, hyper[0]), splat(like, 1.0 - hyper[0]), hyper[0] < 0.5


@stepper(_average_values, cost=0.2, scalars=0, penalized=False)
def average_step(p, g, a, b, c, values):
    """``p += weight · (g - p)``, from the nearer end, so that a weight of 1 gives g itself.

    No state and no steps; hyper: weight; flags: none.
    """
    weight, rest, near = values
    return fma(weight, g - p, p) if near else fma(rest, p - g, g), a, b, c
