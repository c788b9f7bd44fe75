"""Rules of attention, and of the linear layer before it, whose weight is stored turned."""

import math

import numpy as np

from .. import random
from ..backend import K
from ..lifting import op
from ..tape import as_array
from ..tensor import Tensor
from ._family import T
from .random import _dropout

__all__ = ["scaled_dot_product_attention"]

_ALL = (True, True, True)


# ------------------------------------------------------------------ masks


@op(name="attention mask")
def _addend(mask, *, dtype, hides):
    if mask.dtype.kind == "b":
        seen, unseen = dtype.type(0), dtype.type(-math.inf)
        return as_array(K.where(mask, *((unseen, seen) if hides else (seen, unseen)))), None
    return mask.astype(dtype), (lambda grad: grad.astype(mask.dtype),)


_addend.differentiable(lambda grad: grad)


def addend(name, mask, dtype, hides):
    """A mask as floats to add to scores: bools become 0 and -∞; what hides is ``hides``."""
    if mask.dtype == dtype:
        return mask
    if mask.dtype.kind not in "bf":
        raise TypeError(f"{name}: expected a mask of bools or floats, got {mask.dtype}")
    return _addend(mask, dtype=dtype, hides=hides)


# ------------------------------------------------------------------ attention of heads


def _drawn(q, k, p, ticket):
    """What weights are multiplied by in dropout, or None."""
    if ticket is None:
        return None
    ones = K.empty((*q.shape[:3], k.shape[2]), q.dtype)
    K.fill(ones, 1.0)
    return K.dropout(ones, p, ticket)


@op(name="scaled_dot_product_attention")
def _attention(q, k, v, mask, *, scale, causal, p, ticket):
    """Of q (batch, heads, length, size); see ``scaled_dot_product_attention``."""
    out, stats = K.attention_forward(q, k, v, mask, _drawn(q, k, p, ticket), scale, causal)

    def vjp(grad, needs=_ALL):
        drop = _drawn(q, k, p, ticket)
        return (*K.attention_backward(grad, q, k, v, out, stats, mask, drop, scale, causal), None)

    return out, vjp


def _composed(q, k, v, mask, *, scale, causal, p, ticket):
    """The same by simpler operations, with a gradient for the mask too."""
    each = q.shape[1] // k.shape[1] if k.shape[1] else 1
    if each > 1:
        k, v = (T.repeat_interleave(x, each, 1) for x in (k, v))
    weights, seen = _weights(q, k, mask, scale, causal)
    weights = T.where(seen, weights, 0.0)
    if ticket is not None:
        weights = _dropout(weights, p=p, ticket=ticket)
    return T.matmul(weights, v)


def _weights(q, k, mask, scale, causal):
    """(softmax of scores, whether a query sees any key)"""
    scores = T.mul(T.matmul(q, k.transpose(-1, -2)), scale)
    if mask is not None:
        scores = T.add(scores, mask)
    if causal:
        scores = T.add(scores, Tensor(causal_mask(*scores.shape[-2:], scores.dtype)))
    if not scores.shape[-1]:
        return scores, Tensor(K.zeros((1,), "bool"))
    seen = T.ne(T.amax(scores.detach(), dim=-1, keepdim=True), -math.inf)
    return T.softmax(T.where(seen, scores, 0.0), dim=-1), seen


def causal_mask(length, count, dtype):
    """-∞ where a key is after the query, else 0, (length, count)."""
    mask = K.zeros((length, count), dtype)
    for query in range(min(length, count)):
        K.fill(mask[query, query + 1 :], -math.inf)
    return mask


_attention.composed_of(_composed)


def attend(q, k, v, mask, p, causal, scale):
    """Attention of tensors (batch, heads, length, size), in the way that suits."""
    ticket = None
    if p > 0.0:
        numbers = math.prod(q.shape[:3]) * k.shape[2]
        ticket = K.draw(random.default.counter, numbers)
    options = {"scale": scale, "causal": causal, "p": p, "ticket": ticket}
    learned = isinstance(mask, Tensor) and mask.requires_grad
    if learned or not (q.numel() and k.numel() and v.numel()):
        return _composed(q, k, v, mask, **options)
    return _attention(q, k, v, mask, **options)


def _in_heads(x, parts, heads, batch_first):
    """x (batch, length, parts · heads · size) as views (batch, heads, length, size)."""
    first, second, width = x.shape
    x = x.reshape(first, second, parts, heads, width // (parts * heads))
    order = (0, 2, 1, 3) if batch_first else (1, 2, 0, 3)
    return [x[:, :, part].transpose(order) for part in range(parts)]


@op(name="self_attention")
def _self_attention(x, mask, *, heads, batch_first, scale, causal, p, ticket):
    """Attention of queries, keys and values that stand side by side in rows."""
    q, k, v = _in_heads(x, 3, heads, batch_first)
    drop = _drawn(q, k, p, ticket)
    out, stats = K.attention_forward(q, k, v, mask, drop, scale, causal)
    order = (0, 2, 1, 3) if batch_first else (2, 0, 1, 3)
    shape = *x.shape[:2], x.shape[2] // 3

    def vjp(grad, needs=_ALL):
        (grad,) = _in_heads(grad, 1, heads, batch_first)
        grad_x = K.empty(x.shape, x.dtype)
        into = _in_heads(grad_x, 3, heads, batch_first)
        drop = _drawn(q, k, p, ticket)
        K.attention_backward(grad, q, k, v, out, stats, mask, drop, scale, causal, into)
        return grad_x, None

    return out.transpose(order).reshape(shape), vjp


def _self_composed(x, mask, *, heads, batch_first, **options):
    first, second, width = x.shape
    x = x.reshape(first, second, 3, heads, width // (3 * heads))
    q, k, v = x.permute((2, 0, 3, 1, 4) if batch_first else (2, 1, 3, 0, 4))
    out = _composed(q, k, v, mask, **options)
    out = out.permute((0, 2, 1, 3) if batch_first else (2, 0, 1, 3))
    return out.reshape(first, second, width // 3)


_self_attention.composed_of(_self_composed)


def attend_to_itself(x, mask, heads, batch_first, p, causal):
    """Attention within sequences: x (batch, length, 3 · width), or (length, batch, ...)."""
    batch, length = x.shape[:2] if batch_first else (x.shape[1], x.shape[0])
    ticket = None
    if p > 0.0:
        ticket = K.draw(random.default.counter, batch * heads * length * length)
    options = {
        "heads": heads, "batch_first": batch_first, "causal": causal, "p": p, "ticket": ticket,
        "scale": 1.0 / math.sqrt(x.shape[2] // (3 * heads)),
    }  # fmt: skip
    learned = isinstance(mask, Tensor) and mask.requires_grad
    run = _self_composed if learned or not x.numel() else _self_attention
    return run(x, mask, **options)


def scaled_dot_product_attention(
    query,
    key,
    value,
    attn_mask=None,
    dropout_p=0.0,
    is_causal=False,
    scale=None,
    enable_gqa=False,
):
    """``softmax(Q · Kᵀ · scale + mask) · V``, with dropout of the weights.

    query       (\\*, length, size)
    key         (\\*, keys, size)
    value       (\\*, keys, value size)
    attn_mask   broadcasts to (\\*, length, keys): floats to add, or bools, True for what is seen
    dropout_p   probability with which a weight becomes 0 (there is no evaluation mode)
    is_causal   query i sees keys 0 to i; not together with a mask
    scale       None for ``1 / √size``
    enable_gqa  queries (\\*, heads, length, size) may have several times as many heads as keys

    Leading axes broadcast. The weights are not stored, so memory grows with the length, not with
    its square. A query that sees no key gets 0. Vaswani et al. 2017; Dao et al. 2022.

    Raises ``ValueError`` for shapes that do not fit, ``TypeError`` for mixed types.

    >>> import fastgrad as fg
    >>> x = fg.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> fg.scaled_dot_product_attention(x, x, x, is_causal=True)
    tensor([[1.0000, 0.0000],
            [0.3302, 0.6698]])
    """
    name = "scaled_dot_product_attention"
    query, key, value = (x if isinstance(x, Tensor) else Tensor(x) for x in (query, key, value))
    if not enable_gqa:
        query, key, value = _of_one_lead(query, key, value)
    lead = _check(name, query, key, value, enable_gqa)
    if not 0.0 <= dropout_p <= 1.0:
        raise ValueError(f"{name}: dropout_p = {dropout_p} is not a probability from 0 to 1")
    if attn_mask is not None and is_causal:
        raise ValueError(f"{name}: expected a mask or is_causal, got both")
    size = query.shape[-1]
    scale = (1.0 / math.sqrt(size) if size else 1.0) if scale is None else scale
    length, count = query.shape[-2], key.shape[-2]
    if attn_mask is not None:
        attn_mask = attn_mask if isinstance(attn_mask, Tensor) else Tensor(attn_mask)
        attn_mask = addend(name, attn_mask, query.dtype, False)
        attn_mask = _of_four(name, attn_mask, lead, length, count)
    heads = [x.reshape(*_four(x.shape[:-2]), *x.shape[-2:]) for x in (query, key, value)]
    out = attend(*heads, attn_mask, dropout_p, bool(is_causal), scale)
    return out.reshape(*lead, length, value.shape[-1])


def _of_one_lead(*tensors):
    """Tensors whose axes before the last two are broadcast, where that can be done."""
    leads = {x.shape[:-2] for x in tensors}
    if len(leads) == 1:
        return tensors
    try:
        lead = np.broadcast_shapes(*leads)
    except ValueError:
        return tensors  # to be refused
    return [
        x if x.shape[:-2] == lead else T.broadcast_to(x, (*lead, *x.shape[-2:])) for x in tensors
    ]


def _check(name, query, key, value, grouped):
    """The leading axes of a result, or an error that says what does not fit."""
    shapes = f"{query.shape}, {key.shape} and {value.shape}"
    dtypes = {x.dtype for x in (query, key, value)}
    if len(dtypes) > 1 or query.dtype.kind != "f":
        kinds = ", ".join(str(x.dtype) for x in (query, key, value))
        raise TypeError(f"{name}: expected float tensors of one type, got {kinds}")
    if not len(query.shape) == len(key.shape) == len(value.shape) >= 2:
        raise ValueError(f"{name}: expected (*, length, size) with as many axes, got {shapes}")
    fits = query.shape[-1] == key.shape[-1] and key.shape[:-1] == value.shape[:-1]
    if grouped and query.ndim > 2:
        heads, others = query.shape[-3], key.shape[-3]
        fits = fits and query.shape[:-3] == key.shape[:-3] and others and heads % others == 0
    else:
        fits = fits and query.shape[:-2] == key.shape[:-2]
    if not fits:
        raise ValueError(
            f"{name}: expected (*, length, size), (*, keys, size) and (*, keys, value size), got "
            f"{shapes}"
        )
    return query.shape[:-2]


def _four(lead):
    """Leading axes as two: of items, and of heads."""
    return (math.prod(lead[:-1]), lead[-1]) if lead else (1, 1)


def _of_four(name, mask, lead, length, count):
    """A mask as one with the axes of heads that go to a kernel, some of them of size 1."""
    whole = *lead, length, count
    shape = (1,) * (len(whole) - mask.ndim) + mask.shape
    if len(shape) > len(whole) or any(n not in (1, m) for n, m in zip(shape, whole, strict=True)):
        raise ValueError(f"{name}: a mask {mask.shape} does not broadcast to {whole}")
    if len(lead) > 2 and any(n > 1 for n in shape[:-3]):
        shape = *lead[:-1], *shape[-3:]
        mask = T.broadcast_to(mask, shape)
    return mask.reshape(*_four(shape[:-2]), *shape[-2:])


# ------------------------------------------------------------------ projections


@op(name="linear")
def _linear_turned(x, weight, bias):
    shape, (outputs, inputs) = x.shape, weight.shape
    x = x.reshape(math.prod(shape[:-1]), inputs)
    out = K.matmul_nt(x, weight, None, bias)
    has_bias = bias is not None

    def vjp(grad, needs=_ALL):
        grad = grad.reshape(-1, outputs) if grad.ndim != 2 else grad
        return (
            K.matmul(grad, weight).reshape(shape) if needs[0] else None,
            K.matmul_tn(grad, x) if needs[1] else None,
            K.sum(grad, (0,)) if has_bias and needs[2] else None,
        )

    return out.reshape(*shape[:-1], outputs), vjp


def _linear_composed(x, weight, bias):
    return T.linear(x, weight.t(), bias)


_linear_turned.composed_of(_linear_composed)


def linear_turned(x, weight, bias=None):
    """``x · Wᵀ + b`` with a weight (out, in), as attention's projections have it in PyTorch."""
    if x.dtype != weight.dtype or x.shape[-1] != weight.shape[1]:
        raise ValueError(
            f"linear: x {x.dtype} {x.shape} does not fit a weight {weight.dtype} {weight.shape}; "
            "expected x (*, in) and a weight (out, in)"
        )
    return _linear_turned(x, weight, bias)
