"""Rows of the norms over rows, of embedding and of attention; see ``op_cases``."""

import numpy as np
from op_cases import Case, Sample

from fastgrad import functional as F


def _over(x, axes, eps, centred=True):
    x = x - x.mean(axis=axes, keepdims=True) if centred else x
    return x / np.sqrt(np.square(x).mean(axis=axes, keepdims=True) + eps)


def _affine(out, weight, bias, shape):
    out = out if weight is None else out * weight.reshape(shape)
    return out if bias is None else out + bias.reshape(shape)


def _layer_norm(x, weight=None, bias=None, normalized_shape=(), eps=1e-5):
    axes = tuple(range(-len(normalized_shape), 0))
    return _affine(_over(x, axes, eps), weight, bias, normalized_shape)


def _rms_norm(x, weight=None, normalized_shape=(), eps=1e-6):
    axes = tuple(range(-len(normalized_shape), 0))
    return _affine(_over(x, axes, eps, False), weight, None, normalized_shape)


def _group_norm(x, weight=None, bias=None, num_groups=1, eps=1e-5):
    groups = x.reshape(x.shape[0], num_groups, -1)
    out = _over(groups, (2,), eps).reshape(x.shape)
    return _affine(out, weight, bias, (-1, *[1] * (x.ndim - 2)))


def _instance_norm(x, weight=None, bias=None, eps=1e-5):
    return _group_norm(x, weight, bias, x.shape[1], eps)


def _attention(q, k, v, attn_mask=None, is_causal=False, scale=None, enable_gqa=False):
    if enable_gqa:
        k, v = (np.repeat(x, q.shape[-3] // k.shape[-3], axis=-3) for x in (k, v))
    scores = q @ np.swapaxes(k, -1, -2) * (scale or q.shape[-1] ** -0.5)
    if attn_mask is not None:
        scores = np.where(attn_mask, scores, -np.inf) if attn_mask.dtype == bool else (
            scores + attn_mask)  # fmt: skip
    if is_causal:
        scores = np.where(np.tri(*scores.shape[-2:], dtype=bool), scores, -np.inf)
    best = scores.max(axis=-1, keepdims=True)
    e = np.exp(scores - np.where(best == -np.inf, 0, best))
    total = e.sum(axis=-1, keepdims=True)
    return e / np.where(total == 0, 1, total) @ v


def _bilinear(a, b, weight, bias=None):
    out = np.einsum("...i,oij,...j->...o", a, weight, b)
    return out if bias is None else out + bias


_LAYER = (((4, 5), (5,), (5,)), ((2, 3, 4, 5), (4, 5), (4, 5)), ((70, 33), (33,)), ((7,),),
          ((0, 3), (3,), (3,)), ((3, 1), (1,), (1,)))  # fmt: skip
_X = np.zeros((2, 4, 3))
_HEADS = np.zeros((2, 3, 4))
_SEEN = np.array([[True, False, True], [False, False, False]])
_INDEX = np.array([[0, 4, 2], [4, 4, 1]])


def _attends(*shapes, **options):
    return Sample(shapes, options)


ROWS = (
    Case(
        "layer_norm", lambda x, *p, **o: F.layer_norm(x, o.pop("normalized_shape"), *p, **o),
        _layer_norm,
        tuple(
            Sample(shapes, {"normalized_shape": (shapes[1] if len(shapes) > 1 else shapes[0])})
            for shapes in _LAYER
        ),
        errors=(
            ((_X,), {"normalized_shape": (4,)}, ValueError, r"last axes of x .* to be \(4,\)"),
            ((_X, np.zeros(2)), {"normalized_shape": (3,)}, ValueError, "weight has shape"),
            ((_X, np.zeros(3, np.float32)), {"normalized_shape": (3,)}, TypeError, "weight is"),
            ((np.arange(3),), {"normalized_shape": (3,)}, TypeError, "expected a float tensor"),
        ),
        special=False, rtol=1e-4,
    ),
    Case(
        "rms_norm", lambda x, *p, **o: F.rms_norm(x, o.pop("normalized_shape"), *p, **o), _rms_norm,
        tuple(
            Sample(shapes[:2], {"normalized_shape": shapes[-1], "eps": 1e-6}) for shapes in _LAYER
        ),
        errors=(((_X,), {"normalized_shape": (4,)}, ValueError, "rms_norm: expected the last"),),
        special=False, rtol=1e-4,
    ),
    Case(
        "group_norm", lambda x, *p, **o: F.group_norm(x, o.pop("num_groups"), *p, **o), _group_norm,
        tuple(
            Sample(shapes, {"num_groups": 2})
            for shapes in (((3, 4, 5), (4,), (4,)), ((3, 4), (4,), (4,)), ((40, 6, 3, 3), (6,)),
                           ((2, 2, 17),), ((40, 8), (8,), (8,)))
        ),
        errors=(
            ((_X,), {"num_groups": 3}, ValueError, "4 channels do not make 3 equal groups"),
            ((np.zeros(3),), {"num_groups": 1}, ValueError, r"expected x \(N, C, \*\)"),
            ((_X, np.zeros(3)), {"num_groups": 2}, ValueError, "weight has shape"),
        ),
        special=False, rtol=1e-4,
    ),
    Case(
        "instance_norm", lambda x, *p: F.instance_norm(x, None, None, *p), _instance_norm,
        (Sample(((3, 4, 5), (4,), (4,))), Sample(((2, 3, 4, 5), (3,))), Sample(((2, 1, 70),))),
        errors=(
            ((np.zeros((2, 3, 1)),), {}, ValueError, "expected more than one element"),
            ((_X, np.zeros(3)), {}, ValueError, "weight has shape"),
        ),
        special=False, rtol=1e-4,
    ),
    Case(
        "scaled_dot_product_attention", F.scaled_dot_product_attention, _attention,
        (
            _attends((3, 4), (5, 4), (5, 6)), _attends((2, 3, 4), (2, 5, 4), (2, 5, 6)),
            _attends((2, 2, 3, 4), (2, 2, 5, 4), (2, 2, 5, 4), is_causal=True, scale=0.7),
            _attends((2, 1, 2, 3, 4), (2, 1, 2, 5, 4), (2, 1, 2, 5, 4)),
            _attends((3, 4), (2, 5, 4), (2, 5, 6)),
            _attends((2, 2, 2, 4), (2, 2, 3, 4), (2, 2, 3, 4), attn_mask=_SEEN),
            _attends((2, 2, 2, 4), (2, 2, 3, 4), (2, 2, 3, 4), (2, 1, 2, 3)),
            _attends((2, 4, 3, 4), (2, 2, 5, 4), (2, 2, 5, 4), enable_gqa=True),
            _attends((1, 2, 70, 8), (1, 2, 140, 8), (1, 2, 140, 8), is_causal=True),
        ),
        errors=(
            ((_HEADS, _HEADS, _HEADS), {"attn_mask": _SEEN, "is_causal": True}, ValueError,
             "expected a mask or is_causal, got both"),
            ((_HEADS, _HEADS, _HEADS), {"attn_mask": _SEEN}, ValueError, "does not broadcast"),
            ((_HEADS, np.zeros((2, 3, 5)), _HEADS), {}, ValueError, "expected .* length, size"),
            ((_HEADS, _HEADS, _HEADS.astype(np.float32)), {}, TypeError, "tensors of one type"),
            ((_HEADS, _HEADS, _HEADS), {"dropout_p": 2.0}, ValueError, "is not a probability"),
        ),
        special=False, rtol=1e-4,
    ),
    Case(
        "embedding", F.embedding, lambda x, weight, **_: weight[x],
        (
            Sample((_INDEX, (5, 3))), Sample((_INDEX, (5, 40))), Sample((np.array(3), (5, 3))),
            Sample((np.zeros((0, 2), int), (5, 3))),
        ),
        errors=(
            ((np.array([5]), np.zeros((5, 2))), {}, IndexError, "embedding: index 5 at position 0"),
            ((np.zeros(1), np.zeros((5, 2))), {}, TypeError, "expected integer indices"),
            ((np.array([1]), np.zeros(5)), {}, ValueError, r"expected a float weight \(n, m\)"),
            ((np.array([1]), np.zeros((5, 2))), {"padding_idx": 5}, IndexError, "padding_idx 5"),
        ),
    ),
    Case(
        "bilinear", F.bilinear, _bilinear,
        (Sample(((3,), (4,), (2, 3, 4), (2,))), Sample(((5, 6, 3), (5, 6, 4), (2, 3, 4)))),
        errors=(((_X, _X, np.zeros((2, 3, 4))), {}, ValueError, "bilinear: expected"),),
    ),
)  # fmt: skip
