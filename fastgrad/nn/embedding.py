"""Tables of vectors, looked up by index."""

from .. import ops
from ..creation import zeros
from . import init
from .module import Module, Parameter, place


class Embedding(Module):
    """A vector for each index from 0 to num_embeddings - 1; see ``functional.embedding``.

    The weight (num_embeddings, embedding_dim) starts standard normal, its row ``padding_idx`` 0.

    >>> import fastgrad as fg
    >>> fg.nn.Embedding(10, 3)(fg.tensor([[1, 2, 4, 5], [4, 3, 2, 9]])).shape
    (2, 4, 3)
    """

    def __init__(
        self,
        num_embeddings,
        embedding_dim,
        padding_idx=None,
        max_norm=None,
        norm_type=2.0,
        scale_grad_by_freq=False,
        sparse=False,
        _weight=None,
        _freeze=False,
        device=None,
        dtype=None,
    ):
        super().__init__()
        if padding_idx is not None:
            if not -num_embeddings <= padding_idx < num_embeddings:
                raise ValueError(
                    f"Embedding: padding_idx {padding_idx} is out of range; expected "
                    f"{-num_embeddings} to {num_embeddings - 1}"
                )
            padding_idx %= num_embeddings
        if sparse:
            raise ValueError("Embedding: sparse gradients are not supported")
        self.num_embeddings, self.embedding_dim = num_embeddings, embedding_dim
        self.padding_idx, self.max_norm, self.norm_type = padding_idx, max_norm, norm_type
        self.scale_grad_by_freq, self.sparse = scale_grad_by_freq, sparse
        shape = num_embeddings, embedding_dim
        if _weight is not None and tuple(_weight.shape) != shape:
            raise ValueError(f"Embedding: expected a weight {shape}, got {tuple(_weight.shape)}")
        self.weight = Parameter(zeros(shape) if _weight is None else _weight, not _freeze)
        if _weight is None:
            self.reset_parameters()
        place(self, device, dtype)

    def reset_parameters(self):
        """Draw the weight anew."""
        init.normal_(self.weight)
        if self.padding_idx is not None:
            self.weight.data[self.padding_idx] = 0.0

    @classmethod
    def from_pretrained(
        cls,
        embeddings,
        freeze=True,
        padding_idx=None,
        max_norm=None,
        norm_type=2.0,
        scale_grad_by_freq=False,
        sparse=False,
    ):
        """A layer whose weight is given, and not learned unless ``freeze`` is False.

        >>> import fastgrad as fg
        >>> weight = fg.tensor([[1.0, 2.0], [3.0, 4.0]])
        >>> fg.nn.Embedding.from_pretrained(weight)(fg.tensor([1]))
        tensor([[3., 4.]])
        """
        if len(embeddings.shape) != 2:
            raise ValueError(f"from_pretrained: expected a weight (n, m), got {embeddings.shape}")
        return cls(
            *embeddings.shape,
            padding_idx=padding_idx,
            max_norm=max_norm,
            norm_type=norm_type,
            scale_grad_by_freq=scale_grad_by_freq,
            sparse=sparse,
            _weight=embeddings,
            _freeze=freeze,
        )

    def forward(self, x):
        return ops.embedding(
            x,
            self.weight,
            self.padding_idx,
            self.max_norm,
            self.norm_type,
            self.scale_grad_by_freq,
        )

    def extra_repr(self):
        parts = [f"{self.num_embeddings}, {self.embedding_dim}"]
        for name, usual in (("padding_idx", None), ("max_norm", None), ("norm_type", 2)):
            value = getattr(self, name)
            parts += [] if value == usual else [f"{name}={value}"]
        parts += ["scale_grad_by_freq=True"] if self.scale_grad_by_freq else []
        return ", ".join(parts)
