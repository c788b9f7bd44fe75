"""Rules of convolutions and transposed convolutions along one, two or three axes.

A convolution, the adjoint in its input and the adjoint in its weight are linear in two arrays each,
and the gradients of each are the other two. A transposed convolution is the adjoint in the input.
"""

from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

from ..backend import K
from ..lifting import op
from ..tensor import Tensor
from ._family import T, ints

__all__ = [
    "conv1d",
    "conv2d",
    "conv3d",
    "conv_transpose1d",
    "conv_transpose2d",
    "conv_transpose3d",
]

_ALL = (True, True, True)


# ------------------------------------------------------------------ where everything lies


class Geometry(NamedTuple):
    """Shapes of a convolution from ``x`` to ``out``, and the same as volumes for the kernels.

    Two axes (H, W) are a volume (H, 1, W), and one is (1, 1, W).
    """

    x: tuple
    weight: tuple
    out: tuple
    x_volume: tuple
    weight_volume: tuple
    out_volume: tuple
    stride: tuple
    low: tuple
    dilation: tuple
    groups: int

    @property
    def options(self):
        """What kernels are given."""
        return self.stride, self.low, self.dilation, self.groups


_AXES = {1: lambda w, one: (one, one, w), 2: lambda h, w, one: (h, one, w), 3: lambda *x: x[:3]}


def _geometry(x, weight, out, stride, low, dilation, groups):
    """The ``Geometry`` of shapes that fit; a shape without a batch is one of a batch of one."""
    rank = len(stride)
    whole = [shape if len(shape) == rank + 2 else (1, *shape) for shape in (x, weight, out)]
    volumes = [(*shape[:2], *_AXES[rank](*shape[2:], 1)) for shape in whole]
    steps = [_AXES[rank](*stride, 1), _AXES[rank](*low, 0), _AXES[rank](*dilation, 1)]
    return Geometry(x, weight, out, *volumes, *steps, groups)


def _check(name, x, weight, rank, groups, transposed):
    """The number of groups; shapes of x and weight that do not fit are refused."""
    axes = "LHWDHW"[rank * (rank - 1) // 2 :][:rank]
    pixels = ", ".join(axes)
    if len(x) not in (rank + 1, rank + 2):
        raise ValueError(f"{name}: expected x (N, C, {pixels}) or (C, {pixels}), got {x}")
    if len(weight) != rank + 2 or not prod(weight[2:]):
        wanted = "(in, out / groups" if transposed else "(out, in / groups"
        raise ValueError(f"{name}: expected a weight {wanted}, {pixels} ≥ 1), got {weight}")
    (groups,) = ints(name, "groups", groups, 1, 1)
    channels, wanted = x[-rank - 1], weight[0] if transposed else weight[1] * groups
    if channels != wanted:
        raise ValueError(
            f"{name}: x {x} has {channels} channels; a weight {weight} in {groups} groups expects "
            f"{wanted}"
        )
    if weight[0] % groups:
        raise ValueError(f"{name}: {groups} groups do not divide the weight's {weight[0]} channels")
    return groups


def _paddings(name, padding, rank, stride, reach):
    """Zeros (before, after) along each axis."""
    if not isinstance(padding, str):
        before = ints(name, "padding", padding, rank, 0)
        return before, before
    if padding not in ("same", "valid"):
        raise ValueError(f"{name}: padding is {padding!r}; expected 'same', 'valid' or numbers")
    if padding == "valid":
        return (0,) * rank, (0,) * rank
    if max(stride) > 1:
        raise ValueError(f"{name}: padding 'same' is for stride 1, not {stride}")
    return tuple((n - 1) // 2 for n in reach), tuple(n // 2 for n in reach)


@lru_cache(maxsize=4096, typed=True)
def _of_conv(name, rank, x, weight, stride, padding, dilation, groups):
    """The ``Geometry`` of a convolution."""
    groups = _check(name, x, weight, rank, groups, False)
    stride = ints(name, "stride", stride, rank, 1)
    dilation = ints(name, "dilation", dilation, rank, 1)
    reach = [(k - 1) * d + 1 for k, d in zip(weight[2:], dilation, strict=True)]
    low, high = _paddings(name, padding, rank, stride, reach)
    pixels = []
    for n, r, s, a, b in zip(x[-rank:], reach, stride, low, high, strict=True):
        if n + a + b < r:
            padded = tuple(n + a + b for n, a, b in zip(x[-rank:], low, high, strict=True))
            raise ValueError(
                f"{name}: the padded input {padded} is smaller than the kernel {tuple(reach)}"
            )
        pixels.append((n + a + b - r) // s + 1)
    out = (*x[: -rank - 1], weight[0], *pixels)
    return _geometry(x, weight, out, stride, low, dilation, groups)


@lru_cache(maxsize=4096, typed=True)
def _of_transposed(name, rank, x, weight, stride, padding, output_padding, groups, dilation):
    """The ``Geometry`` of the convolution that a transposed one is the adjoint of."""
    groups = _check(name, x, weight, rank, groups, True)
    stride = ints(name, "stride", stride, rank, 1)
    dilation = ints(name, "dilation", dilation, rank, 1)
    padding = ints(name, "padding", padding, rank, 0)
    more = ints(name, "output_padding", output_padding, rank, 0)
    if any(m >= max(s, d) for m, s, d in zip(more, stride, dilation, strict=True)):
        raise ValueError(
            f"{name}: output_padding {more} must be less than stride {stride} or dilation "
            f"{dilation}"
        )
    size = tuple(
        (n - 1) * s - 2 * p + (k - 1) * d + m + 1
        for n, s, p, k, d, m in zip(
            x[-rank:], stride, padding, weight[2:], dilation, more, strict=True
        )
    )
    if min(size) < 1:
        raise ValueError(f"{name}: x {x} gives a result of size {size}; expected 1 or more")
    out = (*x[: -rank - 1], weight[1] * groups, *size)
    return _geometry(out, weight, x, stride, padding, dilation, groups)


# ------------------------------------------------------------------ on arrays


def _product(x, weight, bias, g, relu=False):
    x, weight = x.reshape(g.x_volume), weight.reshape(g.weight_volume)
    out = K.conv_forward(x, weight, bias, *g.options, g.out_volume[2:], relu)
    return out.reshape(g.out)


def _to_input(y, weight, bias, g):
    y, weight = y.reshape(g.out_volume), weight.reshape(g.weight_volume)
    return K.conv_input_grad(y, weight, bias, *g.options, g.x_volume[2:]).reshape(g.x)


def _to_weight(y, x, g):
    y, x = y.reshape(g.out_volume), x.reshape(g.x_volume)
    return K.conv_weight_grad(y, x, *g.options, g.weight_volume[2:]).reshape(g.weight)


def _to_bias(grad, volume):
    return K.sum(grad.reshape(*volume[:2], prod(volume[2:])), (0, 2))


# ------------------------------------------------------------------ the three, on tensors


@op(name="conv")
def _conv(x, weight, *, geometry):
    return _product(x, weight, None, geometry), (
        lambda grad: _to_input(grad, weight, None, geometry),
        lambda grad: _to_weight(grad, x, geometry),
    )


@op(name="conv_transpose")
def _conv_input(y, weight, *, geometry):
    return _to_input(y, weight, None, geometry), (
        lambda grad: _product(grad, weight, None, geometry),
        lambda grad: _to_weight(y, grad, geometry),
    )


@op(name="conv_weight")
def _conv_weight(y, x, *, geometry):
    return _to_weight(y, x, geometry), (
        lambda grad: _product(x, grad, None, geometry),
        lambda grad: _to_input(y, grad, None, geometry),
    )


_conv.differentiable(
    lambda grad, weight, geometry: _conv_input(grad, weight, geometry=geometry),
    lambda grad, x, geometry: _conv_weight(grad, x, geometry=geometry),
)
_conv_input.differentiable(
    lambda grad, weight, geometry: _conv(grad, weight, geometry=geometry),
    lambda grad, y, geometry: _conv_weight(y, grad, geometry=geometry),
)
_conv_weight.differentiable(
    lambda grad, x, geometry: _conv(x, grad, geometry=geometry),
    lambda grad, y, geometry: _conv_input(y, grad, geometry=geometry),
)


# ------------------------------------------------------------------ with a bias, and a ReLU


def _layer(relu):
    """The rule of a convolution. The pull-back closes over ``out`` only where it needs it."""

    def rule(x, weight, bias, *, geometry):
        has_bias = bias is not None
        out = _product(x, weight, bias, geometry, relu)
        if relu:
            return out, lambda grad, needs=_ALL: _pull_back(
                grad, needs, x, weight, has_bias, geometry, out
            )
        return out, lambda grad, needs=_ALL: _pull_back(grad, needs, x, weight, has_bias, geometry)

    return rule


def _pull_back(grad, needs, x, weight, has_bias, geometry, out=None):
    grad = grad if out is None else K.relu_backward(grad, out)
    return (
        _to_input(grad, weight, None, geometry) if needs[0] else None,
        _to_weight(grad, x, geometry) if needs[1] else None,
        _to_bias(grad, geometry.out_volume) if has_bias and needs[2] else None,
    )


def _again(grad, x, weight, needs, has_bias, geometry, out=None):
    """``_pull_back`` on tensors."""
    grad = grad if out is None else T.relu_backward(grad, out)
    return (
        _conv_input(grad, weight, geometry=geometry) if needs[0] else None,
        _conv_weight(grad, x, geometry=geometry) if needs[1] else None,
        _sum_pixels(grad, geometry.out_volume) if has_bias and needs[2] else None,
    )


def _transposed_rule(x, weight, bias, *, geometry):
    has_bias = bias is not None

    def vjp(grad, needs=_ALL):
        return (
            _product(grad, weight, None, geometry) if needs[0] else None,
            _to_weight(x, grad, geometry) if needs[1] else None,
            _to_bias(grad, geometry.x_volume) if has_bias and needs[2] else None,
        )

    return _to_input(x, weight, bias, geometry), vjp


def _transposed_again(grad, x, weight, needs, has_bias, geometry):
    return (
        _conv(grad, weight, geometry=geometry) if needs[0] else None,
        _conv_weight(x, grad, geometry=geometry) if needs[1] else None,
        _sum_pixels(grad, geometry.x_volume) if has_bias and needs[2] else None,
    )


def _sum_pixels(grad, volume):
    return grad.reshape(*volume[:2], prod(volume[2:])).sum(dim=(0, 2))


_RANKS = (1, 2, 3)
_layers = {n: op(_layer(False), name=f"conv{n}d").differentiable(_again) for n in _RANKS}
_relu_layers = {n: op(_layer(True), name="relu").differentiable(_again) for n in _RANKS}
_transposed = {
    n: op(_transposed_rule, name=f"conv_transpose{n}d").differentiable(_transposed_again)
    for n in _RANKS
}


# ------------------------------------------------------------------ functions


def _tensor(name, what, x):
    """A tensor as it is; arrays and numbers as tensors."""
    if isinstance(x, Tensor):
        return x
    array = x if isinstance(x, np.ndarray) else np.asarray(x)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name}: {what} is of type {type(x).__name__}; expected a tensor")
    return Tensor(array)


def _run(name, rank, rules, find, x, weight, bias, *options):
    """Call a rule on tensors of one type, with the geometry that ``find`` makes of the options."""
    x, weight = _tensor(name, "input", x), _tensor(name, "weight", weight)
    bias = bias if bias is None else _tensor(name, "bias", bias)
    options = [tuple(value) if isinstance(value, list) else value for value in options]
    geometry = find(name, rank, x.shape, weight.shape, *options)
    dtype = x.dtype
    if dtype.kind != "f" or weight.dtype != dtype or (bias is not None and bias.dtype != dtype):
        return _of_whole_numbers(name, rules[rank], x, weight, bias, geometry)
    channels = geometry.weight[1] * geometry.groups if find is _of_transposed else weight.shape[0]
    if bias is not None and bias.shape != (channels,):
        raise ValueError(f"{name}: bias has shape {bias.shape}, expected ({channels},)")
    return rules[rank](x, weight, bias, geometry=geometry)


def _of_whole_numbers(name, rule, x, weight, bias, geometry):
    """In float64, which holds them exactly up to 2⁵³; or an error about types."""
    dtypes = [t.dtype for t in (x, weight, bias) if t is not None]
    if len(set(dtypes)) > 1 or dtypes[0].kind not in "iu":
        raise TypeError(
            f"{name}: expected tensors of one type of numbers, got "
            f"{' and '.join(dtype.name for dtype in dtypes)}; convert with x.to(dtype)"
        )
    floats = [t if t is None else t.to("float64") for t in (x, weight, bias)]
    return rule(*floats, geometry=geometry).to(dtypes[0])


def convolve(rank, input, weight, bias, stride, padding, dilation, groups, relu=False):
    """A convolution along ``rank`` axes, with a ReLU after it where ``relu``."""
    options = stride, padding, dilation, groups
    rules = _relu_layers if relu else _layers
    return _run(f"conv{rank}d", rank, rules, _of_conv, input, weight, bias, *options)


def conv1d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolution along one axis: input (N, C, L) or (C, L), weight (out, C / groups, K).

    See ``conv2d``.

    >>> import fastgrad as fg
    >>> fg.conv1d(fg.tensor([[1.0, 2.0, 4.0]]), fg.tensor([[[1.0, -1.0]]]))
    tensor([[-1., -2.]])
    """
    return convolve(1, input, weight, bias, stride, padding, dilation, groups)


def conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """``out[n, o, i, j] = bias[o] + Σ weight[o, c, k, l] · input[n, c, i·s + k·d, j·s + l·d]``

    input     (N, C, H, W), or (C, H, W) for one image
    weight    (out, C / groups, KH, KW), bias (out,)
    stride    s, the step from window to window; a number, or one for each axis
    padding   zeros at both ends of each axis; "valid" is none, "same" as many as keep the size
              (with stride 1; the larger half comes after)
    dilation  d, the step from element to element within a window
    groups    the channels are cut into so many groups, each with output channels of its own

    The result has ``⌊(H + 2 · padding - d · (KH - 1) - 1) / s⌋ + 1`` rows, and columns likewise.
    A cross-correlation, as everywhere in deep learning. LeCun et al. 1989; Goodfellow, Bengio &
    Courville 2016, chapter 9. Some windows are computed a few pixels together (Lavin & Gray 2016):
    an infinity or a NaN in ``input`` may make NaN of up to three pixels around what it reaches.

    Raises ``ValueError`` for shapes and options that do not fit, ``TypeError`` for mixed types.

    >>> import fastgrad as fg
    >>> x = fg.tensor([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]]])
    >>> fg.conv2d(x, fg.tensor([[[[1.0, 0.0], [0.0, -1.0]]]]))
    tensor([[[-4., -4.],
             [-4., -4.]]])
    """
    return convolve(2, input, weight, bias, stride, padding, dilation, groups)


def conv3d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    """Convolution along three axes: input (N, C, D, H, W), weight (out, C / groups, KD, KH, KW).

    See ``conv2d``.

    >>> import fastgrad as fg
    >>> fg.conv3d(fg.ones(1, 2, 4, 4, 4), fg.ones(3, 2, 2, 2, 2), stride=2).shape
    (1, 3, 2, 2, 2)
    """
    return convolve(3, input, weight, bias, stride, padding, dilation, groups)


def _transpose(rank, input, weight, bias, *options):
    """A transposed convolution along ``rank`` axes."""
    name = f"conv_transpose{rank}d"
    return _run(name, rank, _transposed, _of_transposed, input, weight, bias, *options)


def conv_transpose1d(
    input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1
):
    """Transposed convolution along one axis: input (N, C, L), weight (C, out / groups, K).

    See ``conv_transpose2d``.

    >>> import fastgrad as fg
    >>> fg.conv_transpose1d(fg.tensor([[1.0, 2.0]]), fg.tensor([[[1.0, 10.0]]]), stride=2)
    tensor([[ 1., 10.,  2., 20.]])
    """
    return _transpose(1, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose2d(
    input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1
):
    """What a convolution does to a gradient: every pixel adds its multiple of the kernel.

    input           (N, C, H, W) or (C, H, W)
    weight          (C, out / groups, KH, KW), bias (out,)
    padding         pixels cut off at both ends of each axis
    output_padding  pixels more at the end, less than the stride or the dilation: as a convolution
                    with a stride gives one size for several, this says which is meant

    The result has ``(H - 1) · stride - 2 · padding + dilation · (KH - 1) + output_padding + 1``
    rows, and columns likewise. Zeiler et al. 2010; Dumoulin & Visin 2016.

    Raises ``ValueError`` for shapes and options that do not fit, ``TypeError`` for mixed types.

    >>> import fastgrad as fg
    >>> fg.conv_transpose2d(fg.tensor([[[1.0, 2.0]]]), fg.ones(1, 1, 2, 2))
    tensor([[[1., 3., 2.],
             [1., 3., 2.]]])
    """
    return _transpose(2, input, weight, bias, stride, padding, output_padding, groups, dilation)


def conv_transpose3d(
    input, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1
):
    """Transposed convolution along three axes: weight (C, out / groups, KD, KH, KW).

    See ``conv_transpose2d``.

    >>> import fastgrad as fg
    >>> fg.conv_transpose3d(fg.ones(1, 2, 2, 2, 2), fg.ones(2, 3, 2, 2, 2), stride=2).shape
    (1, 3, 4, 4, 4)
    """
    return _transpose(3, input, weight, bias, stride, padding, output_padding, groups, dilation)
