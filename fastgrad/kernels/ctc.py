"""Connectionist temporal classification (Graves et al. 2006): the loss of sequences unaligned.

A target of n labels is read as 2n + 1 states: its labels, with a blank before, between and after
them. ``alpha[t, s]`` is the log-probability of all ways to be in state s after step t. Rows of
states are computed as vectors; a row has two impossible states before its first, so that no state
is a special case. The sum over all ways back from a state needs one row only.

Each sample is done by one thread. Its states begin at ``2 · first + 3 · sample`` where its labels
begin at ``first``: so nothing depends on the lengths, which a compiled step may change.
"""

import math

import numpy as np
from numba.extending import register_jitable

from ._jit import kernel
from ._record import empty
from ._simd import exp, if_at_most, if_equal, lanes, log, maximum, read, splat, write, zeros

__all__ = ["ctc_loss_backward", "ctc_loss_forward"]

_NS = 1.5  # nanoseconds per state and step
_INPUT, _TARGET, _LABEL, _TOTAL = range(4)  # what may be wrong


def _refuse(code, targets, width, input_lengths, target_lengths, steps, classes, places):
    at, what = divmod(code - 1, 4)
    if what == _INPUT:
        raise ValueError(
            f"input length {input_lengths[at]} of sample {at} is not from 0 to {steps}, the steps"
        )
    if what == _LABEL:
        raise IndexError(
            f"label {targets[at]} at position {at} is out of range; expected 0 <= label < {classes}"
        )
    if what == _TARGET:
        most = targets.size if width < 0 else width
        raise ValueError(
            f"target length {target_lengths[at]} of sample {at} is not from 0 to {most}, what "
            "targets have"
        )
    raise ValueError(f"target lengths sum to {target_lengths.sum()}, not to {targets.size} labels")


@kernel(serial=True, on_error=_refuse)
def _find_places(
    start, stop, targets, width, input_lengths, target_lengths, steps, classes, places
):
    """places (samples, 3): where a sample's labels begin, how many, how many steps it has.

    width   labels from one sample to the next; -1: they lie one after the other
    """
    first = 0
    for b in range(start, stop):
        if width >= 0:
            first = b * width
        length, count = input_lengths[b], target_lengths[b]
        if length < 0 or length > steps:
            return 4 * b + _INPUT + 1
        if count < 0 or count > (width if width >= 0 else targets.size - first):
            return 4 * b + _TARGET + 1
        for k in range(first, first + count):
            if targets[k] < 0 or targets[k] >= classes:
                return 4 * k + _LABEL + 1
        places[3 * b], places[3 * b + 1], places[3 * b + 2] = first, count, length
        first += count
    if width < 0 and first != targets.size:
        return _TOTAL + 1
    return 0


@register_jitable
def _least(x):
    """The least exponent whose exponential is no subnormal number: these take very long."""
    return splat(x, -87.0 if x.itemsize == 4 else -708.0)


@register_jitable
def _exp(x, value):
    """``eᵛ`` of a vector, 0 where that is next to nothing."""
    least = _least(x)
    return if_at_most(value, least, zeros(x), exp(maximum(value, least)))


@register_jitable
def _log_sum(x, a, b, c):
    """``log(eᵃ + eᵇ + eᶜ)`` of vectors."""
    top, least = maximum(maximum(a, b), c), _least(x)
    one = if_equal(top, splat(x, -math.inf), zeros(x), top)  # what becomes 1 of the three
    total = exp(maximum(a - one, least)) + exp(maximum(b - one, least))
    return top + log(total + exp(maximum(c - one, least)))


@register_jitable
def _find_skips(targets, first, count, skip, at):
    """skip[s] = 0 where state s may come right after s - 2: a label unlike the one before."""
    never = skip.dtype.type(-math.inf)
    for s in range(at, at + 2 * count + 3):
        skip[s] = never
    for k in range(1, count):
        if targets[first + k] != targets[first + k - 1]:
            skip[at + 2 * k + 1] = skip.dtype.type(0)


@register_jitable
def _emit(x, base, targets, first, count, blank, row, at):
    """row[s] = what the step at ``base`` of x gives to the label of state s."""
    none = x[base + blank]
    row[at] = none
    for k in range(count):
        row[at + 2 * k + 1] = x[base + targets[first + k]]
        row[at + 2 * k + 2] = none


@register_jitable
def _loss(x, alpha, last):
    """``-log(e^alpha[last] + e^alpha[last - 1])``: the last two states are the ends."""
    a, b = alpha[last], alpha[last - 1]
    top = maximum(a, b)
    if top == -math.inf:
        return x.dtype.type(math.inf)
    return -(top + log(exp(a - top) + exp(b - top)))


@kernel
def _forward(
    start, stop, x, targets, places, blank, alpha, skip, row, loss, counted, steps, classes,
    zero_infinity,
):  # fmt: skip
    """alpha, the losses (samples,), and how many labels each counts for in the mean."""
    samples, lane = loss.size, lanes(x)
    never = x.dtype.type(-math.inf)
    for b in range(start, stop):
        first, count, length = places[3 * b], places[3 * b + 1], places[3 * b + 2]
        states, own = 2 * count + 1, 2 * first + 3 * b
        counted[b] = max(count, 1)
        value = x.dtype.type(math.inf if count else 0.0)
        _find_skips(targets, first, count, skip, own)
        for t in range(length):
            at = steps * own + t * (states + 2) + 2
            alpha[at - 2] = alpha[at - 1] = never
            _emit(x, (t * samples + b) * classes, targets, first, count, blank, row, own)
            if t == 0:
                for s in range(states):
                    alpha[at + s] = row[own + s] if s < 2 else never
                continue
            before = at - states - 2
            for s in range(0, states, lane):
                n = min(lane, states - s)
                total = _log_sum(
                    x,
                    read(alpha, before + s, n),
                    read(alpha, before + s - 1, n),
                    read(alpha, before + s - 2, n) + read(skip, own + s, n),
                )
                write(alpha, at + s, n, total + read(row, own + s, n))
        if length:
            value = _loss(x, alpha, steps * own + length * (states + 2) - 1)
        loss[b] = x.dtype.type(0) if zero_infinity and value == math.inf else value


@kernel
def _backward(
    start, stop, grad, grad_step, x, targets, places, blank, alpha, skip, row, back, grad_x, steps,
    classes, zero_infinity,
):  # fmt: skip
    """grad_x = grad · (eˣ - the share of all ways that go through a label at a step).

    ``back[s]``: log-probability of all ways from state s on, its own step included.
    """
    samples, lane = places.size // 3, lanes(x)
    for b in range(start, stop):
        first, count, length = places[3 * b], places[3 * b + 1], places[3 * b + 2]
        states, own = 2 * count + 1, 2 * first + 3 * b
        value = x.dtype.type(0)
        if length:
            value = _loss(x, alpha, steps * own + length * (states + 2) - 1)
            if zero_infinity and value == math.inf:
                length = 0
        for t in range(length, steps):
            base = (t * samples + b) * classes
            grad_x[base : base + classes] = 0
        _find_skips(targets, first, count, skip, own)
        back[own : own + states + 2] = -math.inf
        back[own + states - 1] = 0
        nothing, share = value - value, grad[b * grad_step]  # of no way at all, NaN
        for t in range(length - 1, -1, -1):
            at, base = steps * own + t * (states + 2) + 2, (t * samples + b) * classes
            _emit(x, base, targets, first, count, blank, row, own)
            for s in range(0, states, lane):
                n = min(lane, states - s)
                total = _log_sum(
                    x,
                    read(back, own + s, n),
                    read(back, own + s + 1, n),
                    read(back, own + s + 2, n) + read(skip, own + s + 2, n),
                )
                write(back, own + s, n, total + read(row, own + s, n))
                write(row, own + s, n, _exp(x, read(alpha, at + s, n) + total + splat(x, value)))
            out = grad_x[base : base + classes]
            out[:] = nothing
            blanks = nothing + row[own]
            for k in range(count):
                out[targets[first + k]] += row[own + 2 * k + 1]
                blanks += row[own + 2 * k + 2]
            out[blank] += blanks
            for c in range(0, classes, lane):
                n = min(lane, classes - c)
                slope = _exp(x, read(x, base + c, n)) - read(out, c, n)
                write(out, c, n, splat(x, share) * slope)


def ctc_loss_forward(x, targets, input_lengths, target_lengths, blank=0, zero_infinity=False):
    """Losses (samples,) of log-probabilities x (steps, samples, classes), and what is kept.

    targets   labels (samples, most), or (n,), those of all samples one after the other
    lengths   (samples,); all of them int64

    Kept are where each sample's labels are, ``alpha``, and the divisors of the mean.
    Raises ``ValueError`` for lengths that do not fit, ``IndexError`` for labels.
    """
    steps, samples, classes = x.shape
    places = empty((samples, 3), np.int64)
    width = targets.shape[1] if targets.ndim == 2 else -1
    lengths = input_lengths, target_lengths
    _find_places(
        samples, 0, targets.reshape(-1), width, *lengths, steps, classes, places.reshape(-1)
    )
    states = 2 * targets.size + 3 * samples
    alpha, skip, row = (empty(n, x.dtype) for n in (steps * states, states, states))
    loss, counted = empty(samples, x.dtype), empty(samples, x.dtype)
    _forward(
        samples, steps * states * _NS, x.reshape(-1), targets.reshape(-1), places.reshape(-1),
        blank, alpha, skip, row, loss, counted, steps, classes, bool(zero_infinity),
    )  # fmt: skip
    return loss, places, alpha, counted


def ctc_loss_backward(grad, x, targets, places, alpha, blank=0, zero_infinity=False):
    """The gradient of scores whose log-softmax is x; grad is one number, or one of each sample."""
    steps, samples, classes = x.shape
    states, out = 2 * targets.size + 3 * samples, empty(x.shape, x.dtype)
    skip, row, back = (empty(states, x.dtype) for _ in range(3))
    _backward(
        samples, steps * (1.5 * states + classes) * _NS, grad.reshape(-1), int(grad.size > 1),
        x.reshape(-1), targets.reshape(-1), places.reshape(-1), blank, alpha, skip, row, back,
        out.reshape(-1), steps, classes, bool(zero_infinity),
    )  # fmt: skip
    return out
