"""Initial values of parameters, drawn from the default generator (``fastgrad.manual_seed``).

A weight's fans are read off its shape. ``fan_in`` is how many inputs a unit sees, ``fan_out`` how
many units see an input. Which axis is which is the weight's ``layout``:

    "in_out"   (in, out): the weight of ``nn.Linear``
    "out_in"   (out, in, *kernel): of convolutions, and PyTorch's shapes of two axes, such as an
               RNN's ``weight_ih``, attention's ``in_proj_weight`` and ``Embedding``'s weight

Both fans count the elements of the kernel as well. By default two axes are (in, out), and more
are (out, in, *kernel); for PyTorch's weights of two axes say ``layout="out_in"``. ``initialize``
knows it from the module. As in PyTorch, a transposed convolution's (in, out, *kernel) is read as
(out, in, *kernel), and groups count for ``fan_out`` as if there were one.
"""

import math

import numpy as np

from .. import random
from ..tape import no_grad
from .module import Module

__all__ = [
    "calculate_gain",
    "constant_",
    "dirac_",
    "eye_",
    "initialize",
    "kaiming_normal_",
    "kaiming_uniform_",
    "lecun_normal_",
    "lecun_uniform_",
    "normal_",
    "ones_",
    "orthogonal_",
    "sparse_",
    "trunc_normal_",
    "uniform_",
    "xavier_normal_",
    "xavier_uniform_",
    "zeros_",
]

_GAINS = {"linear": 1.0, "sigmoid": 1.0, "tanh": 5.0 / 3.0, "relu": math.sqrt(2.0), "selu": 0.75}
_GAINS.update({f"conv{rank}d": 1.0 for rank in (1, 2, 3)})
_GAINS.update({f"conv_transpose{rank}d": 1.0 for rank in (1, 2, 3)})
_LAYOUTS = ("in_out", "out_in")


def calculate_gain(nonlinearity, param=None):
    """Factor by which an activation's input should be scaled up to keep the variance.

    1 for linear, the convolutions and sigmoid, 5/3 for tanh, √2 for ReLU, 3/4 for SELU,
    √(2 / (1 + slope²)) for leaky_relu, whose slope is ``param``, 0.01 by default. Raises
    ``ValueError`` for another name and a slope that is no number.

    >>> calculate_gain("tanh")
    1.6666666666666667
    """
    if nonlinearity == "leaky_relu":
        slope = 0.01 if param is None else param
        if isinstance(slope, bool) or not isinstance(slope, int | float):
            raise ValueError(f"calculate_gain: the slope is {slope!r}; expected a number")
        return math.sqrt(2.0 / (1.0 + slope**2))
    if nonlinearity not in _GAINS:
        known = ", ".join([*_GAINS, "leaky_relu"])
        raise ValueError(f"calculate_gain: unknown nonlinearity {nonlinearity!r}; known: {known}")
    return _GAINS[nonlinearity]


def _layout(tensor, layout, name):
    if layout is None:
        return "in_out" if len(tensor.shape) == 2 else "out_in"
    if layout not in _LAYOUTS:
        raise ValueError(f"{name}: layout is {layout!r}; expected 'in_out', 'out_in' or None")
    return layout


def _fans(tensor, name, layout):
    """(fan in, fan out) of a weight."""
    shape = tensor.shape
    if len(shape) < 2:
        raise ValueError(f"{name}: a weight of shape {shape} has no fans; expected 2 axes or more")
    window = math.prod(shape[2:])
    first, second = shape[0] * window, shape[1] * window
    return (first, second) if _layout(tensor, layout, name) == "in_out" else (second, first)


def _fill(tensor, values):
    tensor.data[...] = values
    tensor._version[0] += 1
    return tensor


def _numbers(generator):
    return random.default.numpy if generator is None else generator


# ------------------------------------------------------------------ whatever the shape


def uniform_(tensor, a=0.0, b=1.0, generator=None):
    """Uniform from a to b; returns the tensor, as all of these do.

    ``generator`` is a NumPy generator, by default what ``manual_seed`` sets.

    >>> import fastgrad as fg
    >>> bool((uniform_(fg.zeros(9), 2, 3) >= 2).all())
    True
    """
    return _fill(tensor, _numbers(generator).uniform(a, b, tensor.shape))


def normal_(tensor, mean=0.0, std=1.0, generator=None):
    """Normal with the given mean and standard deviation."""
    return _fill(tensor, _numbers(generator).normal(mean, std, tensor.shape))


def trunc_normal_(tensor, mean=0.0, std=1.0, a=-2.0, b=2.0, generator=None):
    """Normal, numbers outside of a to b drawn again.

    ``a`` and ``b`` are bounds, not multiples of ``std``. Raises ``ValueError`` where next to
    nothing of the distribution is between them.

    >>> import fastgrad as fg
    >>> bool((trunc_normal_(fg.zeros(100)).abs() <= 2).all())
    True
    """
    if not a < b or std <= 0:
        raise ValueError(f"trunc_normal_: a is {a}, b {b}, std {std}; expected a < b and std > 0")
    low, high = (0.5 * math.erfc((mean - bound) / (std * math.sqrt(2.0))) for bound in (a, b))
    if high - low < 1e-4:
        raise ValueError(
            f"trunc_normal_: {high - low:.1e} of the normal numbers of mean {mean} and deviation "
            f"{std} are from {a} to {b}; expected 1e-4 or more"
        )
    numbers = _numbers(generator)
    values = numbers.normal(mean, std, math.prod(tensor.shape))
    wrong = np.flatnonzero((values < a) | (values > b))
    while wrong.size:
        values[wrong] = again = numbers.normal(mean, std, wrong.size)
        wrong = wrong[(again < a) | (again > b)]
    _fill(tensor, values.reshape(tensor.shape))
    return _fill(tensor, np.clip(tensor.data, a, b))  # float32 may have rounded beyond


def constant_(tensor, val):
    """All elements ``val``."""
    return _fill(tensor, val)


def zeros_(tensor):
    """All elements 0."""
    return _fill(tensor, 0)


def ones_(tensor):
    """All elements 1."""
    return _fill(tensor, 1)


# ------------------------------------------------------------------ by the fans


def xavier_uniform_(tensor, gain=1.0, generator=None, *, layout=None):
    """Uniform within ``± gain · √(6 / (fan_in + fan_out))``. Glorot & Bengio 2010.

    >>> import fastgrad as fg
    >>> bool(abs(xavier_uniform_(fg.zeros(3, 3)).numpy()).max() <= 1.0)
    True
    """
    fan_in, fan_out = _fans(tensor, "xavier_uniform_", layout)
    bound = gain * math.sqrt(6.0 / max(1, fan_in + fan_out))
    return uniform_(tensor, -bound, bound, generator)


def xavier_normal_(tensor, gain=1.0, generator=None, *, layout=None):
    """Normal with deviation ``gain · √(2 / (fan_in + fan_out))``. Glorot & Bengio 2010."""
    fan_in, fan_out = _fans(tensor, "xavier_normal_", layout)
    return normal_(tensor, 0.0, gain * math.sqrt(2.0 / max(1, fan_in + fan_out)), generator)


def _kaiming_std(tensor, a, mode, nonlinearity, layout, name):
    fans = dict(zip(("fan_in", "fan_out"), _fans(tensor, name, layout), strict=True))
    if mode not in fans:
        raise ValueError(f"{name}: unknown mode {mode!r}; expected 'fan_in' or 'fan_out'")
    return calculate_gain(nonlinearity, a) / math.sqrt(max(1, fans[mode]))


def kaiming_uniform_(
    tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None, *, layout=None
):
    """Uniform within ``± gain · √(3 / fan)``. He et al. 2015.

    a is the negative slope of a leaky ReLU; ``mode`` chooses the fan.
    """
    std = _kaiming_std(tensor, a, mode, nonlinearity, layout, "kaiming_uniform_")
    return uniform_(tensor, -math.sqrt(3.0) * std, math.sqrt(3.0) * std, generator)


def kaiming_normal_(
    tensor, a=0, mode="fan_in", nonlinearity="leaky_relu", generator=None, *, layout=None
):
    """Normal with deviation ``gain / √fan``. He et al. 2015."""
    std = _kaiming_std(tensor, a, mode, nonlinearity, layout, "kaiming_normal_")
    return normal_(tensor, 0.0, std, generator)


def lecun_uniform_(tensor, generator=None, *, layout=None):
    """Uniform within ``± √(3 / fan_in)``: variance 1 / fan_in. LeCun et al. 1998."""
    bound = math.sqrt(3.0 / max(1, _fans(tensor, "lecun_uniform_", layout)[0]))
    return uniform_(tensor, -bound, bound, generator)


def lecun_normal_(tensor, generator=None, *, layout=None):
    """Normal with deviation ``√(1 / fan_in)``, as SELU wants it.

    LeCun et al. 1998, Klambauer et al. 2017.
    """
    fan_in, _ = _fans(tensor, "lecun_normal_", layout)
    return normal_(tensor, 0.0, math.sqrt(1.0 / max(1, fan_in)), generator)


# ------------------------------------------------------------------ matrices


def eye_(tensor):
    """Ones on the diagonal of a matrix: inputs are kept.

    >>> import fastgrad as fg
    >>> eye_(fg.zeros(2, 3))
    tensor([[1., 0., 0.],
            [0., 1., 0.]])
    """
    if len(tensor.shape) != 2:
        raise ValueError(f"eye_: a tensor of shape {tensor.shape}; expected 2 axes")
    return _fill(tensor, np.eye(*tensor.shape))


def dirac_(tensor, groups=1):
    """A convolution (out, in, *kernel) that keeps its input channels, group by group.

    Element ``(g · out/groups + c, c, middle)`` is 1 for every c that both have. Raises
    ``ValueError`` for other than 3 to 5 axes and for groups that do not divide the outputs.

    >>> import fastgrad as fg
    >>> dirac_(fg.zeros(2, 2, 3))[0]
    tensor([[0., 1., 0.],
            [0., 0., 0.]])
    """
    shape = tensor.shape
    if len(shape) not in (3, 4, 5):
        raise ValueError(f"dirac_: a tensor of shape {shape}; expected 3 to 5 axes")
    if shape[0] % groups:
        raise ValueError(f"dirac_: {groups} groups do not divide {shape[0]} output channels")
    values, each = np.zeros(shape), shape[0] // groups
    middle = tuple(size // 2 for size in shape[2:])
    for group in range(groups):
        for channel in range(min(each, shape[1])):
            values[(group * each + channel, channel, *middle)] = 1
    return _fill(tensor, values)


def orthogonal_(tensor, gain=1, generator=None):
    """``gain`` times a random matrix with orthonormal rows or columns. Saxe et al. 2014.

    Axes from the second on count as one. Of rows and columns, the fewer are orthonormal; the
    matrix is uniformly distributed, by the QR decomposition of a normal one (Mezzadri 2007).

    >>> import fastgrad as fg
    >>> w = orthogonal_(fg.zeros(3, 5))
    >>> bool(((w @ w.T - fg.eye(3)).abs() < 1e-6).all())
    True
    """
    shape = tensor.shape
    if len(shape) < 2:
        raise ValueError(f"orthogonal_: a tensor of shape {shape}; expected 2 axes or more")
    if 0 in shape:
        return tensor
    rows, columns = shape[0], math.prod(shape[1:])
    q, r = np.linalg.qr(_numbers(generator).normal(size=(max(rows, columns), min(rows, columns))))
    q = q * np.where(np.diag(r) < 0, -1.0, 1.0)
    return _fill(tensor, gain * (q if rows >= columns else q.T).reshape(shape))


def sparse_(tensor, sparsity, std=0.01, generator=None):
    """Normal with deviation ``std``, a share ``sparsity`` of every column 0. Martens 2010.

    Raises ``ValueError`` for other than 2 axes and a share that is none.

    >>> import fastgrad as fg
    >>> (sparse_(fg.zeros(10, 3), 0.25) == 0).sum(0)
    tensor([3, 3, 3])
    """
    if len(tensor.shape) != 2:
        raise ValueError(f"sparse_: a tensor of shape {tensor.shape}; expected 2 axes")
    if not 0 <= sparsity <= 1:
        raise ValueError(f"sparse_: sparsity is {sparsity}; expected a share from 0 to 1")
    numbers, (rows, columns) = _numbers(generator), tensor.shape
    values = numbers.normal(0.0, std, (rows, columns))
    order = np.argsort(numbers.random((rows, columns)), axis=0)
    np.put_along_axis(values, order[: math.ceil(sparsity * rows)], 0.0, axis=0)
    return _fill(tensor, values)


# ------------------------------------------------------------------ whole models


def initialize(module, weights="xavier_uniform", bias="zeros", **options):
    """Fill all weights of a model in one way, and all biases in another.

    Parameters
    ----------
    module
        A Module, with all that is in it.
    weights
        The name of a function of this file, without its last underscore, or a function of a
        tensor. It is for parameters of two axes or more; ``None`` leaves them.
    bias
        The same for those of one axis whose name ends in ``bias`` or begins with ``bias_``.
    options
        Go to the function of the weights: ``gain``, ``mode``, ``nonlinearity``, ...

    The weights of ``nn.Linear`` are read as (in, out), others as PyTorch's (out, in, *kernel).
    Other parameters of one axis, such as the weights of normalisations, stay as they are. Returns
    the module. Raises ``ValueError`` for an unknown name, before anything is changed.

    >>> import fastgrad as fg
    >>> model = fg.nn.Sequential(fg.nn.Linear(3, 4), fg.nn.ReLU(), fg.nn.Linear(4, 2))
    >>> _ = initialize(model, "kaiming_normal", nonlinearity="relu")
    >>> model[0].bias.detach()
    tensor([0., 0., 0., 0.])
    """
    if not isinstance(module, Module):
        raise TypeError(f"initialize: {type(module).__name__} is not a Module")
    fill_weight, fill_bias = (_function(choice) for choice in (weights, bias))
    done = set()
    with no_grad():
        for owner in module.modules():
            for name, parameter in owner._parameters.items():
                if parameter is None or id(parameter) in done:
                    continue
                done.add(id(parameter))
                if len(parameter.shape) >= 2 and fill_weight is not None:
                    fill_weight(parameter, **options, **_layout_of(owner, name, fill_weight))
                elif len(parameter.shape) == 1 and fill_bias is not None and _is_bias(name):
                    fill_bias(parameter)
    return module


def _function(choice):
    if choice is None or callable(choice):
        return choice
    if f"{choice}_" not in __all__:
        known = ", ".join(name[:-1] for name in __all__ if name[-1] == "_")
        raise ValueError(f"initialize: unknown {choice!r}; known: {known}")
    return globals()[f"{choice}_"]


def _is_bias(name):
    return name.endswith("bias") or name.startswith("bias_")


def _layout_of(owner, name, fill):
    """The keyword argument that tells ``fill`` how to read a weight of ``owner``."""
    if fill not in _BY_FANS:
        return {}
    return {"layout": "in_out" if name in owner.transposed_in_torch else "out_in"}


_BY_FANS = {
    xavier_uniform_, xavier_normal_, kaiming_uniform_, kaiming_normal_, lecun_uniform_,
    lecun_normal_,
}  # fmt: skip
