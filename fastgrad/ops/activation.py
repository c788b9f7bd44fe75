"""Rules of activations.

Each is a kernel forward and a kernel backward, and one pass over memory by either. What PyTorch
changes in place with ``inplace=True`` is changed here, too.
"""

import math

import numpy as np

from .. import random
from ..backend import K
from ..lifting import op
from ..tensor import Tensor
from ._family import T, constants, masked
from ._inplace import in_place

__all__ = [
    "celu",
    "elu",
    "gelu",
    "hardshrink",
    "hardsigmoid",
    "hardswish",
    "hardtanh",
    "leaky_relu",
    "logsigmoid",
    "mish",
    "prelu",
    "relu6",
    "rrelu",
    "selu",
    "silu",
    "softplus",
    "softshrink",
    "softsign",
    "tanhshrink",
    "threshold",
]  # fmt: skip

# Klambauer et al. 2017: with these, means and variances go to 0 and 1 from layer to layer.
_SELU_ALPHA, _SELU_SCALE = 1.6732632423543772, 1.0507009873554805


def _activation(
    name, slope=None, *, kernel=None, backward=None, numbers_back=None, integers="refused"
):
    """The operation ``kernel(x, *numbers)``, whose pull-back is ``backward(grad, x, *numbers)``.

    slope             its derivative by operations on tensors, from the same arguments; None where
                      that is constant in pieces
    kernel, backward  the kernels' names, by default ``name`` and that with ``_backward``
    numbers_back      how many of the numbers the pull-back wants, by default all
    integers          "refused", "kept" or made "floats"
    """
    kernel, backward = kernel or name, backward or f"{kernel or name}_backward"

    def rule(x, *, numbers=()):
        if x.dtype.kind != "f":
            x, whole = _of_integers(name, x, integers)
            if whole:
                return getattr(K, kernel)(x, *numbers).astype(x.dtype), None
        numbers = constants(x.dtype, numbers)
        out, numbers = getattr(K, kernel)(x, *numbers), numbers[:numbers_back]
        return out, lambda grad: getattr(K, backward)(grad, x, *numbers)

    def again(grad, x, numbers):
        if slope is None:
            return masked(grad, backward, x, *numbers)
        return grad * slope(x, *(number.item() for number in numbers))

    lifted = op(rule, name=name).differentiable(again)
    lifted.in_place = in_place(lifted)
    return lifted


def _of_integers(name, x, integers):
    """(x, whether it stays of integers) of an activation of what are no floats."""
    if integers == "refused" or x.dtype.kind not in "iub":
        raise TypeError(f"{name}: expected a float tensor, got {x.dtype}")
    return (x, True) if integers == "kept" else (x.astype(np.float32), False)


# ------------------------------------------------------------------ linear in pieces

_hardsigmoid = _activation("hardsigmoid")
_hardshrink = _activation("hardshrink")
_hardtanh = _activation("hardtanh", kernel="clamp", backward="hardtanh_backward", integers="kept")
_relu6 = _activation("relu6", kernel="clamp", backward="hardtanh_backward", integers="kept")
_leaky_relu = _activation("leaky_relu")
_softshrink = _activation("softshrink", backward="hardshrink_backward")
_threshold = _activation("threshold", numbers_back=1, integers="kept")


def relu6(x, inplace=False):
    """``x`` between 0 and 6; the slope at either is 0.

    >>> import fastgrad as fg
    >>> fg.relu6(fg.tensor([-1.0, 3.0, 9.0]))
    tensor([0., 3., 6.])
    """
    run = _relu6.in_place if inplace else _relu6
    return run(x, numbers=(0.0, 6.0))


def hardtanh(x, min_val=-1.0, max_val=1.0, inplace=False):
    """``x`` between two bounds; the slope at either is 0. (That of ``clamp`` is 1.)

    Raises ``ValueError`` where the bounds cross.

    >>> import fastgrad as fg
    >>> fg.hardtanh(fg.tensor([-3.0, 0.5, 3.0]))
    tensor([-1.0000,  0.5000,  1.0000])
    """
    if min_val > max_val:
        raise ValueError(f"hardtanh: min_val {min_val} is above max_val {max_val}")
    run = _hardtanh.in_place if inplace else _hardtanh
    return run(x, numbers=(min_val, max_val))


def leaky_relu(x, negative_slope=0.01, inplace=False):
    """``x`` where ``x > 0``, else ``negative_slope · x``. Maas, Hannun & Ng 2013.

    >>> import fastgrad as fg
    >>> fg.leaky_relu(fg.tensor([-1.0, 2.0]), 0.25)
    tensor([-0.2500,  2.0000])
    """
    run = _leaky_relu.in_place if inplace else _leaky_relu
    return run(x, numbers=(negative_slope,))


@op
def _prelu(x, weight):
    return K.leaky_relu(x, weight), (
        lambda grad: K.leaky_relu_backward(grad, x, weight),
        lambda grad: K.prelu_weight_backward(grad, x),
    )


_prelu.differentiable(
    lambda grad, x, weight: T.where(T.gt(x, 0.0), grad, grad * weight),
    lambda grad, x: T.where(T.gt(x, 0.0), 0.0, grad * x),
)


def prelu(x, weight):
    """``x`` where ``x > 0``, else ``weight · x``, the weight being learned. He et al. 2015.

    x        (N, C, \\*), or anything where weight has one element
    weight   one element, or one for each channel (C,)

    Raises ``ValueError`` where weight fits neither way.

    >>> import fastgrad as fg
    >>> fg.prelu(fg.tensor([[-1.0, -1.0]]), fg.tensor([0.25, 0.5]))
    tensor([[-0.2500, -0.5000]])
    """
    x, weight = (y if isinstance(y, Tensor) else Tensor(y) for y in (x, weight))
    if x.dtype.kind != "f" or weight.dtype != x.dtype:
        raise TypeError(f"prelu: expected floats of one type, got {x.dtype} and {weight.dtype}")
    channels = x.shape[1] if x.ndim > 1 else 1
    if weight.numel() == 1:
        weight = weight.reshape(())
    elif weight.shape == (channels,):
        weight = weight.reshape(channels, *[1] * (x.ndim - 2))
    else:
        raise ValueError(
            f"prelu: weight has shape {weight.shape}, x {x.shape} wants (1,) or ({channels},)"
        )
    return _prelu(x, weight)


def rrelu(x, lower=1 / 8, upper=1 / 3, training=False, inplace=False):
    """``leaky_relu`` with, in training, a slope for each element drawn between two bounds.

    In evaluation the slope is their mean. Xu et al. 2015.

    Raises ``ValueError`` where the bounds cross.

    >>> import fastgrad as fg
    >>> fg.rrelu(fg.tensor([-1.0, 2.0]), 0.2, 0.3)
    tensor([-0.2500,  2.0000])
    """
    if lower > upper:
        raise ValueError(f"rrelu: lower {lower} is above upper {upper}")
    if not training:
        return leaky_relu(x, (lower + upper) / 2, inplace)
    if inplace:
        return _rrelu_in_place(x, lower=lower, upper=upper, training=True)
    x = x if isinstance(x, Tensor) else Tensor(x)
    if x.dtype.kind != "f":
        raise TypeError(f"rrelu: expected a float tensor, got {x.dtype}")
    ticket = K.draw(random.default.counter, x.numel())
    return _prelu(x, K.uniform(x.shape, x.dtype, lower, upper, ticket))


_rrelu_in_place = in_place(rrelu)


def hardsigmoid(x, inplace=False):
    """``x + 3`` between 0 and 6, over 6: three lines instead of ``sigmoid``.

    >>> import fastgrad as fg
    >>> fg.hardsigmoid(fg.tensor([-4.0, 0.0, 4.0]))
    tensor([0.0000, 0.5000, 1.0000])
    """
    run = _hardsigmoid.in_place if inplace else _hardsigmoid
    return run(x)


def hardshrink(x, lambd=0.5):
    """0 where ``|x| <= lambd``, else ``x``.

    >>> import fastgrad as fg
    >>> fg.hardshrink(fg.tensor([-1.0, 0.5, 2.0]))
    tensor([-1.,  0.,  2.])
    """
    return _hardshrink(x, numbers=(lambd,))


def softshrink(x, lambd=0.5):
    """``x``, moved towards 0 by ``lambd``, and not across.

    Raises ``ValueError`` for a negative ``lambd``.

    >>> import fastgrad as fg
    >>> fg.softshrink(fg.tensor([-1.0, 0.25, 2.0]))
    tensor([-0.5000,  0.0000,  1.5000])
    """
    if lambd < 0:
        raise ValueError(f"softshrink: lambd {lambd} is negative")
    return _softshrink(x, numbers=(lambd,))


def threshold(x, threshold, value, inplace=False):
    """``x`` where ``x > threshold``, else ``value``.

    >>> import fastgrad as fg
    >>> fg.threshold(fg.tensor([1.0, 3.0]), 2.0, -1.0)
    tensor([-1.,  3.])
    """
    run = _threshold.in_place if inplace else _threshold
    return run(x, numbers=(threshold, value))


# ------------------------------------------------------------------ smooth


def _elu_slope(x, alpha, scale, steepness):
    below = T.where(T.le(x, 0.0), x, 0.0)
    return T.where(T.le(x, 0.0), T.exp(below * steepness) * (alpha * scale * steepness), scale)


def _gelu_slope(x):
    share = 0.5 * (1.0 + T.erf(x * math.sqrt(0.5)))
    return share + x * T.exp(T.square(x) * -0.5) * (1 / math.sqrt(2 * math.pi))


def _gelu_tanh_slope(x):
    scale, cubic = math.sqrt(2 / math.pi), 0.044715 * T.square(x)
    t = T.tanh(scale * (x + cubic * x))
    return 0.5 * (1.0 + t + x * (1.0 - T.square(t)) * (scale * (1.0 + 3.0 * cubic)))


def _silu_slope(x):
    s = T.sigmoid(x)
    return s * (1.0 + x * (1.0 - s))


def _mish_slope(x):
    t = T.tanh(T.softplus(x))
    return t + x * T.sigmoid(x) * (1.0 - T.square(t))


def _softplus_slope(x, beta, threshold):
    z = x * beta
    return T.where(T.gt(z, threshold), 1.0, T.sigmoid(z))


def _hardswish_slope(x):
    return T.where(T.le(x, -3.0), 0.0, T.where(T.lt(x, 3.0), x / 3.0 + 0.5, 1.0))


_celu = _activation("celu", _elu_slope, kernel="elu")
_elu = _activation("elu", _elu_slope)
_gelu = _activation("gelu", _gelu_slope)
_gelu_tanh = _activation("gelu_tanh", _gelu_tanh_slope)
_hardswish = _activation("hardswish", _hardswish_slope)
_logsigmoid = _activation("logsigmoid", lambda x: T.sigmoid(-x))
_mish = _activation("mish", _mish_slope)
_selu = _activation("selu", _elu_slope, kernel="elu")
_silu = _activation("silu", _silu_slope)
_softplus = _activation("softplus", _softplus_slope)
_softsign = _activation(
    "softsign", lambda x: T.reciprocal(T.square(1.0 + T.abs(x))), integers="floats"
)
_tanhshrink = _activation("tanhshrink", lambda x: T.square(T.tanh(x)), integers="floats")


def elu(x, alpha=1.0, inplace=False):
    """``x`` where ``x > 0``, else ``alpha · (eˣ - 1)``. Clevert, Unterthiner & Hochreiter 2016.

    >>> import fastgrad as fg
    >>> fg.elu(fg.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """
    run = _elu.in_place if inplace else _elu
    return run(x, numbers=(alpha, 1.0, 1.0))


def selu(x, inplace=False):
    """``1.0507 · elu(x, 1.6733)``, which keeps means at 0 and variances at 1.

    Klambauer et al. 2017.

    >>> import fastgrad as fg
    >>> fg.selu(fg.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """
    run = _selu.in_place if inplace else _selu
    return run(x, numbers=(_SELU_ALPHA, _SELU_SCALE, 1.0))


def celu(x, alpha=1.0, inplace=False):
    """``x`` where ``x > 0``, else ``alpha · (e^(x / alpha) - 1)``. Barron 2017.

    Raises ``ZeroDivisionError`` for ``alpha`` 0.

    >>> import fastgrad as fg
    >>> fg.celu(fg.tensor([-1.0, 2.0]), 2.0)
    tensor([-0.7869,  2.0000])
    """
    if alpha == 0:
        raise ZeroDivisionError("celu: alpha is 0; expected another number")
    run = _celu.in_place if inplace else _celu
    return run(x, numbers=(alpha, 1.0, 1.0 / alpha))


def gelu(x, approximate="none"):
    """``x · Φ(x)``, Φ the normal distribution's cumulative function. Hendrycks & Gimpel 2016.

    With ``approximate="tanh"``, ``x / 2 · (1 + tanh(√(2/π) · (x + 0.044715 · x³)))``.

    Raises ``ValueError`` for another ``approximate``.

    >>> import fastgrad as fg
    >>> fg.gelu(fg.tensor([-1.0, 2.0]))
    tensor([-0.1587,  1.9545])
    """
    if approximate == "none":
        return _gelu(x)
    if approximate == "tanh":
        return _gelu_tanh(x)
    raise ValueError(f"gelu: unknown approximate {approximate!r}; expected 'none' or 'tanh'")


def silu(x, inplace=False):
    """``x · sigmoid(x)``, also called swish. Elfwing, Uchibe & Doya 2018.

    >>> import fastgrad as fg
    >>> fg.silu(fg.tensor([-1.0, 2.0]))
    tensor([-0.2689,  1.7616])
    """
    run = _silu.in_place if inplace else _silu
    return run(x)


def mish(x, inplace=False):
    """``x · tanh(softplus(x))``. Misra 2019.

    >>> import fastgrad as fg
    >>> fg.mish(fg.tensor([-1.0, 2.0]))
    tensor([-0.3034,  1.9440])
    """
    run = _mish.in_place if inplace else _mish
    return run(x)


def hardswish(x, inplace=False):
    """``x · hardsigmoid(x)``. Howard et al. 2019.

    >>> import fastgrad as fg
    >>> fg.hardswish(fg.tensor([-4.0, 1.5, 4.0]))
    tensor([-0.0000, 1.1250, 4.0000])
    """
    run = _hardswish.in_place if inplace else _hardswish
    return run(x)


def softplus(x, beta=1.0, threshold=20.0):
    """``log(1 + e^(beta · x)) / beta``, a smooth ReLU; x itself where ``beta · x > threshold``.

    >>> import fastgrad as fg
    >>> fg.softplus(fg.tensor([0.0, 30.0]))
    tensor([ 0.6931, 30.0000])
    """
    return _softplus(x, numbers=(beta, threshold))


def logsigmoid(x):
    """``log sigmoid(x) = -log(1 + e⁻ˣ)``, never -∞ for a finite x.

    >>> import fastgrad as fg
    >>> fg.logsigmoid(fg.tensor([0.0, -100.0]))
    tensor([  -0.6931, -100.0000])
    """
    return _logsigmoid(x)


def softsign(x):
    """``x / (1 + |x|)``

    >>> import fastgrad as fg
    >>> fg.softsign(fg.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """
    return _softsign(x)


def tanhshrink(x):
    """``x - tanh(x)``

    >>> import fastgrad as fg
    >>> fg.tanhshrink(fg.tensor([-1.0, 2.0]))
    tensor([-0.2384,  1.0360])
    """
    return _tanhshrink(x)
