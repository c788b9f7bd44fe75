"""NumPy twins of ``fastgrad.kernels.attention``."""

import numpy as np

from ._quiet import quiet

__all__ = ["attention_backward", "attention_forward"]


def _scores(q, k, mask, scale, causal):
    scores = np.matmul(q, np.repeat(k, q.shape[1] // k.shape[1], axis=1).swapaxes(2, 3)) * scale
    if mask is not None:
        scores = scores + mask
    if causal:
        seen = np.tri(q.shape[2], k.shape[2], dtype=bool)
        scores = np.where(seen, scores, -np.inf)
    return scores.astype(q.dtype)


@quiet
def attention_forward(q, k, v, mask=None, drop=None, scale=1.0, causal=False):
    scores = _scores(q, k, mask, scale, causal)
    peak = scores.max(axis=3)
    peak[peak == -np.inf] = 0
    weights = np.exp(scores - peak[..., None])
    total = weights.sum(axis=3)
    share = np.where(total == 0, 0, 1 / total).astype(q.dtype)
    weights = weights * share[..., None]
    if drop is not None:
        weights = weights * drop
    out = np.matmul(weights, np.repeat(v, q.shape[1] // v.shape[1], axis=1))
    return out, np.stack([peak, share])


@quiet
def attention_backward(
    grad, q, k, v, out, stats, mask=None, drop=None, scale=1.0, causal=False, into=None
):
    each = q.shape[1] // k.shape[1]
    scores = _scores(q, k, mask, scale, causal)
    weights = np.exp(scores - stats[0][..., None]) * stats[1][..., None]
    slopes = np.matmul(grad, np.repeat(v, each, axis=1).swapaxes(2, 3))
    kept = weights
    if drop is not None:
        kept, slopes = weights * drop, slopes * drop
    delta = (grad * out).sum(axis=3, keepdims=True)
    slopes = (weights * (slopes - delta) * scale).astype(q.dtype)

    def of_keys(x):
        return x.reshape(*k.shape[:2], each, *x.shape[2:]).sum(axis=2)

    grad_q = np.matmul(slopes, np.repeat(k, each, axis=1))
    grad_k = of_keys(np.matmul(slopes.swapaxes(2, 3), q))
    grad_v = of_keys(np.matmul(kept.swapaxes(2, 3), grad))
    if into is None:
        return grad_q, grad_k, grad_v
    for target, value in zip(into, (grad_q, grad_k, grad_v), strict=True):
        target[...] = value
    return into
