"""Rules of embedding, and of the bilinear layer."""

import math

import numpy as np

from ..backend import K, contiguous
from ..lifting import op
from ..tape import as_array
from ..tensor import Tensor
from ._family import T

__all__ = ["bilinear", "embedding"]


def _rows(weight, index):
    """The rows of a table at an index of any shape, one after the other."""
    try:
        return K.gather_rows(contiguous(weight), index)
    except IndexError as error:
        text = str(error).removeprefix("gather_rows: ")
        raise IndexError(f"embedding: {text}") from None


@op(name="embedding")
def _embedding(index, weight, *, padding, by_frequency):
    shape, (rows, width) = index.shape, weight.shape
    index = contiguous(as_array(index).astype(np.int64, copy=False)).reshape(-1)
    out = _rows(weight, index).reshape(*shape, width)
    dtype = weight.dtype

    def vjp(grad):
        shares = K.embedding_shares(index, rows, padding, by_frequency, dtype)
        return K.embedding_backward(grad.reshape(index.size, width), index, shares, rows)

    return out, (None, vjp)


@op(name="add rows", linear=True)
def _add_rows(x, *, index, shares, rows):
    """``out[index[i]] += shares[i] · x[i]``"""
    column = shares.reshape(-1, 1)
    return K.embedding_backward(x, index, shares, rows), lambda grad: K.mul(
        K.gather_rows(contiguous(grad), index), column
    )


@_embedding.differentiable
def _(grad, index, rows, width, padding, by_frequency, dtype, needs):
    index = index.data if isinstance(index, Tensor) else index
    shares = K.embedding_shares(index, rows, padding, by_frequency, dtype)
    x = grad.reshape(index.size, width)
    return None, _add_rows(x, index=index, shares=shares, rows=rows)


def embedding(
    x,
    weight,
    padding_idx=None,
    max_norm=None,
    norm_type=2.0,
    scale_grad_by_freq=False,
    sparse=False,
):
    """The rows of ``weight`` (n, m) at the indices x: (\\*) gives (\\*, m).

    padding_idx         index whose row gets no gradient
    max_norm            rows that are used are scaled down to this norm first, in place
    norm_type           p of that norm
    scale_grad_by_freq  gradients are divided by how often their index occurs in x

    Gradients of a row are added in the order of its indices. There are no sparse gradients:
    ``sparse`` must be False.

    Raises ``IndexError`` for an index outside 0 to n - 1, ``TypeError`` for one that is no integer.

    >>> import fastgrad as fg
    >>> weight = fg.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    >>> fg.embedding(fg.tensor([2, 0]), weight)
    tensor([[5., 6.],
            [1., 2.]])
    """
    if sparse:
        raise ValueError("embedding: sparse gradients are not supported; expected sparse=False")
    x = x if isinstance(x, Tensor) else Tensor(np.asarray(x))
    if x.dtype.kind not in "iu":
        raise TypeError(f"embedding: expected integer indices, got {x.dtype}")
    if weight.ndim != 2 or weight.dtype.kind != "f":
        raise ValueError(f"embedding: expected a float weight (n, m), got {weight.shape}")
    rows, padding = weight.shape[0], -1
    if padding_idx is not None:
        if not -rows <= padding_idx < rows:
            raise IndexError(
                f"embedding: padding_idx {padding_idx} is out of range; expected {-rows} to "
                f"{rows - 1}"
            )
        padding = padding_idx % rows
    if max_norm is not None:
        _shrink(x, weight, max_norm, norm_type)
    return _embedding(x, weight, padding=padding, by_frequency=bool(scale_grad_by_freq))


def _shrink(x, weight, max_norm, norm_type):
    """Scale the rows in use down to a norm, in place."""
    index = contiguous(x.data.astype(np.int64, copy=False)).reshape(-1)
    _rows(weight.data, index)  # an index that is out of range is found before anything changes
    K.embedding_renorm(weight.data, index, max_norm, norm_type)
    weight._version[0] += 1


def bilinear(input1, input2, weight, bias=None):
    """``yₒ = Σᵢⱼ aᵢ · Wₒᵢⱼ · bⱼ + biasₒ``: (\\*, n), (\\*, m) and weight (k, n, m) give (\\*, k).

    Raises ``ValueError`` where the shapes do not fit.

    >>> import fastgrad as fg
    >>> fg.bilinear(fg.tensor([1.0, 2.0]), fg.tensor([3.0]), fg.ones(1, 2, 1))
    tensor([9.])
    """
    lead = input1.shape[:-1]
    if (
        weight.ndim != 3
        or input1.shape[-1:] != weight.shape[1:2]
        or input2.shape != (*lead, weight.shape[2])
    ):
        raise ValueError(
            f"bilinear: expected (*, n), (*, m) and a weight (k, n, m), got {input1.shape}, "
            f"{input2.shape} and {weight.shape}"
        )
    rows, (outputs, n, m) = math.prod(lead), weight.shape
    left = T.matmul(
        input1.reshape(rows, n), weight.permute(1, 0, 2).reshape(n, outputs * m)
    ).reshape(rows, outputs, m)
    out = T.matmul(left, input2.reshape(rows, m, 1)).reshape(*lead, outputs)
    return out if bias is None else T.add(out, bias)
