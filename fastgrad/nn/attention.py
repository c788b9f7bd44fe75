"""Attention with several heads."""

import math

from .. import ops
from ..creation import zeros
from ..ops.attention import addend, attend, attend_to_itself, causal_mask, linear_turned
from ..tensor import Tensor
from . import init
from .layers import Linear
from .module import Module, Parameter, place


class MultiheadAttention(Module):
    """Attention of several heads side by side, between projections that are learned.

    ``head_i = softmax(QWᵢ · (KWᵢ)ᵀ / √d + mask) · VWᵢ``, with d = embed_dim / num_heads, and the
    heads together go through ``out_proj``. Vaswani et al. 2017.

    embed_dim       width of queries and results; of keys and values too, unless ``kdim``, ``vdim``
    dropout         probability with which a weight becomes 0 in training
    bias            whether the projections have a bias
    add_bias_kv     learn one more key and value for every sequence
    add_zero_attn   one more key and value of zeros
    batch_first     sequences are (batch, length, width) instead of (length, batch, width)

    ``in_proj_weight`` (3 · embed_dim, embed_dim) has PyTorch's shape; ``out_proj`` is a ``Linear``
    with a weight (in, out). With ``need_weights=False`` the weights are never stored.

    >>> import fastgrad as fg
    >>> attention = fg.nn.MultiheadAttention(8, 2, batch_first=True)
    >>> x = fg.ones(5, 3, 8)
    >>> out, weights = attention(x, x, x)
    >>> out.shape, weights.shape
    ((5, 3, 8), (5, 3, 3))
    """

    def __init__(
        self,
        embed_dim,
        num_heads,
        dropout=0.0,
        bias=True,
        add_bias_kv=False,
        add_zero_attn=False,
        kdim=None,
        vdim=None,
        batch_first=False,
        device=None,
        dtype=None,
    ):
        super().__init__()
        if embed_dim < 1 or num_heads < 1 or embed_dim % num_heads:
            raise ValueError(
                f"MultiheadAttention: embed_dim {embed_dim} is no multiple of {num_heads} heads"
            )
        self.embed_dim, self.num_heads = embed_dim, num_heads
        self.kdim = embed_dim if kdim is None else kdim
        self.vdim = embed_dim if vdim is None else vdim
        self.head_dim, self.dropout = embed_dim // num_heads, dropout
        self.batch_first, self.add_zero_attn = batch_first, add_zero_attn
        same = self.kdim == self.vdim == embed_dim
        shapes = {
            "in_proj_weight": (3 * embed_dim, embed_dim) if same else None,
            "q_proj_weight": None if same else (embed_dim, embed_dim),
            "k_proj_weight": None if same else (embed_dim, self.kdim),
            "v_proj_weight": None if same else (embed_dim, self.vdim),
            "in_proj_bias": (3 * embed_dim,) if bias else None,
            "bias_k": (1, 1, embed_dim) if add_bias_kv else None,
            "bias_v": (1, 1, embed_dim) if add_bias_kv else None,
        }
        for name, shape in shapes.items():
            self.register_parameter(name, None if shape is None else Parameter(zeros(shape)))
        self.out_proj = Linear(embed_dim, embed_dim, bias)
        self._reset_parameters()
        place(self, device, dtype)

    def _reset_parameters(self):
        for name in ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight"):
            if getattr(self, name) is not None:
                init.xavier_uniform_(getattr(self, name))
        if self.in_proj_bias is not None:
            init.zeros_(self.in_proj_bias)
            init.zeros_(self.out_proj.bias)
        if self.bias_k is not None:
            init.xavier_normal_(self.bias_k)
            init.xavier_normal_(self.bias_v)

    def forward(
        self,
        query,
        key,
        value,
        key_padding_mask=None,
        need_weights=True,
        attn_mask=None,
        average_attn_weights=True,
        is_causal=False,
    ):
        """(result, weights), the weights None unless ``need_weights``.

        query             (L, N, embed_dim), with batch_first (N, L, embed_dim), or (L, embed_dim)
        key, value        the same with their own length S and widths
        key_padding_mask  (N, S) or (S,): True, or -∞, for a key that nobody sees
        attn_mask         (L, S) or (N · heads, L, S): True, or -∞, for what is not seen, or floats
                          to add to the scores
        is_causal         promises that attn_mask, which must be given, is the causal one

        The weights are (N, L, S), the mean over the heads, or without ``average_attn_weights``
        (N, heads, L, S).
        """
        batched = self._check(query, key, value)
        same = query is key is value
        if not batched:
            axis = 0 if self.batch_first else 1
            query, key, value = (x.unsqueeze(axis) for x in (query, key, value))
            if key_padding_mask is not None:
                key_padding_mask = key_padding_mask.unsqueeze(0)
        if is_causal and attn_mask is None:
            raise ValueError("MultiheadAttention: is_causal wants the causal attn_mask as well")
        causal = is_causal and key_padding_mask is None and not need_weights
        mask = None
        if not causal:
            mask = self._mask(query, key, attn_mask, key_padding_mask)
        p = self.dropout if self.training else 0.0
        plain = self.bias_k is None and not self.add_zero_attn and self.in_proj_weight is not None
        weights = None
        if same and plain and not need_weights:
            x = linear_turned(query, self.in_proj_weight, self.in_proj_bias)
            out = attend_to_itself(x, mask, self.num_heads, self.batch_first, p, causal)
        else:
            q, k, v, mask = self._heads(query, key, value, mask)
            scale = 1.0 / math.sqrt(self.head_dim)
            if need_weights:
                out, weights = self._weighed(q, k, v, mask, p, scale)
            else:
                out = attend(q, k, v, mask, p, causal, scale)
            out = out.permute((0, 2, 1, 3) if self.batch_first else (2, 0, 1, 3))
            out = out.reshape(*query.shape[:2], self.embed_dim)
        out = self.out_proj(out)
        if weights is not None and average_attn_weights:
            weights = weights.mean(dim=1)
        if batched:
            return out, weights
        return out.squeeze(axis), None if weights is None else weights.squeeze(0)

    def _check(self, query, key, value):
        """Whether there is a batch; raises for shapes that do not fit."""
        widths = query.shape[-1:], key.shape[-1:], value.shape[-1:]
        expected = (self.embed_dim,), (self.kdim,), (self.vdim,)
        if (
            not query.ndim == key.ndim == value.ndim
            or query.ndim not in (2, 3)
            or widths != expected
            or key.shape[:-1] != value.shape[:-1]
            or (query.ndim == 3 and self._batch(query) != self._batch(key))
        ):
            raise ValueError(
                f"MultiheadAttention: expected query, key and value of widths {self.embed_dim}, "
                f"{self.kdim} and {self.vdim}, with 2 or 3 axes, got {query.shape}, {key.shape} "
                f"and {value.shape}"
            )
        return query.ndim == 3

    def _batch(self, x):
        return x.shape[0 if self.batch_first else 1]

    def _length(self, x):
        return x.shape[1 if self.batch_first else 0]

    def _mask(self, query, key, attn_mask, key_padding_mask):
        """Both masks as one of floats (N or 1, heads or 1, L or 1, S), or None."""
        name, dtype = "MultiheadAttention", query.dtype
        batch, length, count = self._batch(query), self._length(query), self._length(key)
        mask = None
        if attn_mask is not None:
            mask = addend(name, attn_mask, dtype, True)
            whole = batch * self.num_heads, length, count
            if mask.shape not in (whole, whole[1:]):
                raise ValueError(
                    f"{name}: expected attn_mask {whole[1:]} or {whole}, got {mask.shape}"
                )
            lead = (1, 1) if mask.ndim == 2 else (batch, self.num_heads)
            mask = mask.reshape(*lead, length, count)
        if key_padding_mask is not None:
            padding = addend(name, key_padding_mask, dtype, True)
            if padding.shape != (batch, count):
                raise ValueError(
                    f"{name}: expected key_padding_mask {(batch, count)}, got {padding.shape}"
                )
            padding = padding.reshape(batch, 1, 1, count)
            mask = padding if mask is None else mask + padding
        return mask

    def _heads(self, query, key, value, mask):
        """Projected queries, keys and values (N, heads, length, size), and their mask."""
        width = self.embed_dim
        weights = self.q_proj_weight, self.k_proj_weight, self.v_proj_weight
        if self.in_proj_weight is not None:
            weights = self.in_proj_weight.split(width)
        biases = (None,) * 3 if self.in_proj_bias is None else self.in_proj_bias.split(width)
        q, k, v = map(linear_turned, (query, key, value), weights, biases)
        extra = 0
        if self.bias_k is not None:
            k, v, extra = self._longer(k, self.bias_k), self._longer(v, self.bias_v), 1
        if self.add_zero_attn:
            nothing = zeros(1, 1, width, dtype=k.dtype)
            k, v, extra = self._longer(k, nothing), self._longer(v, nothing), extra + 1
        if mask is not None and extra:
            mask = ops.pad(mask, (0, extra))
        order = (0, 2, 1, 3) if self.batch_first else (1, 2, 0, 3)
        q, k, v = (
            x.reshape(*x.shape[:2], self.num_heads, self.head_dim).permute(order) for x in (q, k, v)
        )
        return q, k, v, mask

    def _longer(self, x, row):
        """x with one more row (1, 1, width) at the end of every sequence."""
        batch = self._batch(x)
        shape = (batch, 1, self.embed_dim) if self.batch_first else (1, batch, self.embed_dim)
        return ops.cat([x, ops.broadcast_to(row, shape)], 1 if self.batch_first else 0)

    def _weighed(self, q, k, v, mask, p, scale):
        """(result, weights) of heads, where the weights are asked for."""
        scores = ops.matmul(q * scale, k.transpose(-1, -2))
        weights = ops.softmax(scores if mask is None else scores + mask, dim=-1)
        weights = ops.dropout(weights, p)
        return ops.matmul(weights, v), weights


def square_subsequent_mask(size, dtype=None):
    """-∞ above the diagonal, else 0, (size, size): a position sees itself and those before it."""
    return Tensor(causal_mask(size, size, zeros(0, dtype=dtype or "float32").dtype))
