"""NumPy twins of ``fastgrad.kernels.ctc``: the same formulas, and the same layout of alpha."""

import numpy as np

from ._quiet import quiet

__all__ = ["ctc_loss_backward", "ctc_loss_forward"]


def _find_places(x, targets, input_lengths, target_lengths):
    steps, samples, classes = x.shape
    padded, first, places = targets.ndim == 2, 0, np.zeros((samples, 3), np.int64)
    labels = targets.reshape(-1)
    for b in range(samples):
        first = b * targets.shape[1] if padded else first
        length, count = int(input_lengths[b]), int(target_lengths[b])
        if not 0 <= length <= steps:
            raise ValueError(
                f"input length {length} of sample {b} is not from 0 to {steps}, the steps"
            )
        if not 0 <= count <= (targets.shape[1] if padded else labels.size - first):
            raise ValueError(
                f"target length {count} of sample {b} is not from 0 to {targets.shape[-1]}, what "
                "targets have"
            )
        for k in range(first, first + count):
            if not 0 <= labels[k] < classes:
                raise IndexError(
                    f"label {labels[k]} at position {k} is out of range; "
                    f"expected 0 <= label < {classes}"
                )
        places[b] = first, count, length
        first += count
    if not padded and first != labels.size:
        raise ValueError(f"target lengths sum to {first}, not to {labels.size} labels")
    return places


def _samples(x, targets, places, alpha, blank):
    """Per sample (its log-probabilities (steps, states), labels of the states, skips, alpha)."""
    steps, labels = x.shape[0], targets.reshape(-1)
    for b, (first, count, length) in enumerate(places):
        states, own = 2 * count + 1, 2 * first + 3 * b
        path = np.full(states, blank)
        path[1::2] = labels[first : first + count]
        skip = np.full(states + 2, -np.inf, x.dtype)
        skip[2:states][(path[2:] != path[:-2]) & (path[2:] != blank)] = 0
        at = steps * own
        rows = alpha[at : at + length * (states + 2)].reshape(length, states + 2)
        yield x[:length, b][:, path], path, skip, rows


def _log_sum(a, b, c):
    return np.logaddexp(np.logaddexp(a, b), c)


def _loss(rows):
    return -np.logaddexp(rows[-1, -1], rows[-1, -2])


@quiet
def ctc_loss_forward(x, targets, input_lengths, target_lengths, blank=0, zero_infinity=False):
    steps, samples, _ = x.shape
    places = _find_places(x, targets, input_lengths, target_lengths)
    alpha = np.full(steps * (2 * targets.size + 3 * samples), -np.inf, x.dtype)
    loss = np.where(places[:, 1] > 0, np.inf, 0).astype(x.dtype)  # of no steps
    for b, (given, _, skip, rows) in enumerate(_samples(x, targets, places, alpha, blank)):
        for t, now in enumerate(given):
            if not t:
                rows[0, 2:4] = now[:2]
                continue
            before = rows[t - 1]
            rows[t, 2:] = now + _log_sum(before[2:], before[1:-1], before[:-2] + skip[:-2])
        if len(given):
            loss[b] = _loss(rows)
    loss = np.where(np.isposinf(loss), 0, loss).astype(x.dtype) if zero_infinity else loss
    return loss, places, alpha, np.maximum(places[:, 1], 1).astype(x.dtype)


@quiet
def ctc_loss_backward(grad, x, targets, places, alpha, blank=0, zero_infinity=False):
    out = np.zeros_like(x)
    grad = np.broadcast_to(grad, x.shape[1:2])
    for b, (given, path, skip, rows) in enumerate(_samples(x, targets, places, alpha, blank)):
        loss = _loss(rows) if len(given) else np.inf
        if not len(given) or (zero_infinity and np.isposinf(loss)):
            continue
        back = np.full(len(path) + 2, -np.inf, x.dtype)
        back[-3] = 0
        for t in range(len(given) - 1, -1, -1):
            total = _log_sum(back[:-2], back[1:-1], back[2:] + skip[2:])
            back[:-2] = given[t] + total
            share = np.full(x.shape[2], loss - loss)
            np.add.at(share, path, np.exp(rows[t, 2:] + total + loss))
            out[t, b] = grad[b] * (np.exp(x[t, b]) - share)
    return out
