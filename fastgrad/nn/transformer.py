"""The transformer: encoder and decoder layers, and stacks of them. Vaswani et al. 2017."""

import copy

from .. import ops
from . import init
from .attention import MultiheadAttention, square_subsequent_mask
from .dropout import Dropout
from .layers import Linear
from .module import Module, place
from .norm import LayerNorm


def _activation(activation):
    """The function of an activation given by name, or as a function."""
    if activation not in ("relu", "gelu"):
        if isinstance(activation, str):
            raise ValueError(f"activation should be 'relu' or 'gelu', not {activation!r}")
        return activation
    return getattr(ops, activation)


class _Layer(Module):
    """What encoder and decoder layers share: attention, a network of two layers, and norms.

    d_model          width of the sequences
    nhead            heads of the attention
    dim_feedforward  width between the two linear layers
    dropout          probability in training, wherever there is dropout
    activation       between the linear layers: "relu", "gelu" or a function
    norm_first       normalize what goes into each part, instead of what comes out of it
    """

    _attentions = ("self_attn",)

    def __init__(
        self,
        d_model,
        nhead,
        dim_feedforward=2048,
        dropout=0.1,
        activation=ops.relu,
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        device=None,
        dtype=None,
    ):
        super().__init__()
        for name in self._attentions:
            attention = MultiheadAttention(
                d_model, nhead, dropout=dropout, bias=bias, batch_first=batch_first
            )
            setattr(self, name, attention)
        self.linear1 = Linear(d_model, dim_feedforward, bias)
        self.dropout = Dropout(dropout)
        self.linear2 = Linear(dim_feedforward, d_model, bias)
        self.norm_first, self.activation = norm_first, _activation(activation)
        count = len(self._attentions) + 1
        for number in range(1, count + 1):
            setattr(self, f"norm{number}", LayerNorm(d_model, eps=layer_norm_eps, bias=bias))
        for number in range(1, count + 1):
            setattr(self, f"dropout{number}", Dropout(dropout))
        place(self, device, dtype)

    def _residual(self, x, number, part):
        """``x + part(x)`` with dropout of the part, and the norm of that ``number``."""
        norm, dropout = getattr(self, f"norm{number}"), getattr(self, f"dropout{number}")
        if self.norm_first:
            return x + dropout(part(norm(x)))
        return norm(x + dropout(part(x)))

    def _feed_forward(self, x):
        if self.activation is ops.relu:
            hidden = self.linear1.forward_relu(x)
        else:
            hidden = self.activation(self.linear1(x))
        return self.linear2(self.dropout(hidden))


class TransformerEncoderLayer(_Layer):
    """Self-attention, then a network of two layers, each with a residual connection and a norm.

    See ``_Layer`` for the arguments, which are PyTorch's; the weights of the linear layers are
    (in, out).

    >>> import fastgrad as fg
    >>> layer = fg.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    >>> layer(fg.ones(5, 3, 8)).shape
    (5, 3, 8)
    """

    def forward(self, src, src_mask=None, src_key_padding_mask=None, is_causal=False):
        """A sequence like ``src``; see ``MultiheadAttention.forward`` for the masks."""

        def attend(x):
            return self.self_attn(
                x,
                x,
                x,
                key_padding_mask=src_key_padding_mask,
                need_weights=False,
                attn_mask=src_mask,
                is_causal=is_causal,
            )[0]

        x = self._residual(src, 1, attend)
        return self._residual(x, 2, self._feed_forward)


class TransformerDecoderLayer(_Layer):
    """Self-attention, attention to an encoder's result, then a network of two layers.

    >>> import fastgrad as fg
    >>> layer = fg.nn.TransformerDecoderLayer(8, 2, 16, batch_first=True)
    >>> layer(fg.ones(5, 3, 8), fg.ones(5, 4, 8)).shape
    (5, 3, 8)
    """

    _attentions = ("self_attn", "multihead_attn")

    def forward(
        self,
        tgt,
        memory,
        tgt_mask=None,
        memory_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        tgt_is_causal=False,
        memory_is_causal=False,
    ):
        """A sequence like ``tgt``; see ``MultiheadAttention.forward`` for the masks."""

        def attend(x):
            return self.self_attn(
                x,
                x,
                x,
                key_padding_mask=tgt_key_padding_mask,
                need_weights=False,
                attn_mask=tgt_mask,
                is_causal=tgt_is_causal,
            )[0]

        def attend_to_memory(x):
            return self.multihead_attn(
                x,
                memory,
                memory,
                key_padding_mask=memory_key_padding_mask,
                need_weights=False,
                attn_mask=memory_mask,
                is_causal=memory_is_causal,
            )[0]

        x = self._residual(tgt, 1, attend)
        x = self._residual(x, 2, attend_to_memory)
        return self._residual(x, 3, self._feed_forward)


class _Stack(Module):
    def __init__(self, layer, num_layers, norm):
        super().__init__()
        self.layers = _Layers(copy.deepcopy(layer) for _ in range(num_layers))
        self.num_layers, self.norm = num_layers, norm

    def _through(self, x, *args, **kwargs):
        for layer in self.layers.children():
            x = layer(x, *args, **kwargs)
        return x if self.norm is None else self.norm(x)


class _Layers(Module):
    """Modules in order, by number."""

    def __init__(self, modules):
        super().__init__()
        for number, module in enumerate(modules):
            self.add_module(str(number), module)

    def __len__(self):
        return len(self._modules)

    def __getitem__(self, index):
        return list(self._modules.values())[index]


class TransformerEncoder(_Stack):
    """``num_layers`` copies of an encoder layer, one after the other, and a norm, if not None.

    ``enable_nested_tensor`` and ``mask_check`` are PyTorch's, and change nothing.

    >>> import fastgrad as fg
    >>> layer = fg.nn.TransformerEncoderLayer(8, 2, 16)
    >>> fg.nn.TransformerEncoder(layer, 3)(fg.ones(4, 5, 8)).shape
    (4, 5, 8)
    """

    def __init__(
        self, encoder_layer, num_layers, norm=None, enable_nested_tensor=True, mask_check=True
    ):
        super().__init__(encoder_layer, num_layers, norm)

    def forward(self, src, mask=None, src_key_padding_mask=None, is_causal=None):
        """A sequence like ``src``; is_causal None says nothing about the mask."""
        return self._through(
            src,
            src_mask=mask,
            src_key_padding_mask=src_key_padding_mask,
            is_causal=bool(is_causal),
        )


class TransformerDecoder(_Stack):
    """``num_layers`` copies of a decoder layer, one after the other, and a norm, if not None.

    >>> import fastgrad as fg
    >>> layer = fg.nn.TransformerDecoderLayer(8, 2, 16)
    >>> fg.nn.TransformerDecoder(layer, 3)(fg.ones(4, 5, 8), fg.ones(6, 5, 8)).shape
    (4, 5, 8)
    """

    def __init__(self, decoder_layer, num_layers, norm=None):
        super().__init__(decoder_layer, num_layers, norm)

    def forward(
        self,
        tgt,
        memory,
        tgt_mask=None,
        memory_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        tgt_is_causal=None,
        memory_is_causal=False,
    ):
        """A sequence like ``tgt``; is_causal None says nothing about the mask."""
        return self._through(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=bool(tgt_is_causal),
            memory_is_causal=memory_is_causal,
        )


class Transformer(Module):
    """An encoder and a decoder that looks at its result.

    >>> import fastgrad as fg
    >>> model = fg.nn.Transformer(8, 2, 1, 1, 16)
    >>> model(fg.ones(4, 5, 8), fg.ones(3, 5, 8)).shape
    (3, 5, 8)
    """

    def __init__(
        self,
        d_model=512,
        nhead=8,
        num_encoder_layers=6,
        num_decoder_layers=6,
        dim_feedforward=2048,
        dropout=0.1,
        activation=ops.relu,
        custom_encoder=None,
        custom_decoder=None,
        layer_norm_eps=1e-5,
        batch_first=False,
        norm_first=False,
        bias=True,
        device=None,
        dtype=None,
    ):
        super().__init__()
        options = (
            d_model, nhead, dim_feedforward, dropout, activation, layer_norm_eps, batch_first,
            norm_first, bias,
        )  # fmt: skip
        self.encoder, self.decoder = custom_encoder, custom_decoder
        if custom_encoder is None:
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias)
            layer = TransformerEncoderLayer(*options)
            self.encoder = TransformerEncoder(layer, num_encoder_layers, norm)
        if custom_decoder is None:
            norm = LayerNorm(d_model, eps=layer_norm_eps, bias=bias)
            layer = TransformerDecoderLayer(*options)
            self.decoder = TransformerDecoder(layer, num_decoder_layers, norm)
        self.d_model, self.nhead, self.batch_first = d_model, nhead, batch_first
        self._reset_parameters()
        place(self, device, dtype)

    def _reset_parameters(self):
        for parameter in self.parameters():
            if parameter.ndim > 1:
                init.xavier_uniform_(parameter)

    def forward(
        self,
        src,
        tgt,
        src_mask=None,
        tgt_mask=None,
        memory_mask=None,
        src_key_padding_mask=None,
        tgt_key_padding_mask=None,
        memory_key_padding_mask=None,
        src_is_causal=None,
        tgt_is_causal=None,
        memory_is_causal=False,
    ):
        """A sequence like ``tgt``; see ``MultiheadAttention.forward`` for the masks."""
        if src.shape[-1] != self.d_model or tgt.shape[-1] != self.d_model:
            raise ValueError(
                f"Transformer: expected sequences of width {self.d_model}, got {src.shape} and "
                f"{tgt.shape}"
            )
        memory = self.encoder(
            src,
            mask=src_mask,
            src_key_padding_mask=src_key_padding_mask,
            is_causal=src_is_causal,
        )
        return self.decoder(
            tgt,
            memory,
            tgt_mask=tgt_mask,
            memory_mask=memory_mask,
            tgt_key_padding_mask=tgt_key_padding_mask,
            memory_key_padding_mask=memory_key_padding_mask,
            tgt_is_causal=tgt_is_causal,
            memory_is_causal=memory_is_causal,
        )

    @staticmethod
    def generate_square_subsequent_mask(sz, device=None, dtype=None):
        """-∞ above the diagonal, else 0, (sz, sz): a position sees itself and those before it.

        >>> import fastgrad as fg
        >>> fg.nn.Transformer.generate_square_subsequent_mask(2)
        tensor([[0., -inf],
                [0., 0.]])
        """
        return square_subsequent_mask(sz, dtype)
