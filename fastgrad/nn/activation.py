"""Activations as modules."""

import math

from .. import functional as F
from .. import ops
from ..creation import empty, full
from . import init
from .module import Module, Parameter, place


class _Activation(Module):
    """A function of x and of attributes of the module, in this order."""

    _function = None
    _options = ()

    def forward(self, x):
        return self._function(x, *[getattr(self, name) for name in self._options])

    def extra_repr(self):
        given = {name: getattr(self, name) for name in self._options}
        shown = [f"{name}={value!r}" for name, value in given.items() if name != "inplace"]
        return ", ".join([*shown, *(["inplace=True"] if given.get("inplace") else [])])


class _InPlace(_Activation):
    """An activation whose only option is whether x is changed."""

    _options = ("inplace",)

    def __init__(self, inplace=False):
        super().__init__()
        self.inplace = inplace


class _Shrink(_Activation):
    _options = ("lambd",)

    def __init__(self, lambd=0.5):
        super().__init__()
        self.lambd = lambd

    def extra_repr(self):
        return str(self.lambd)


class ReLU(_InPlace):
    """``max(x, 0)``

    >>> import fastgrad as fg
    >>> fg.nn.ReLU()(fg.tensor([-1.0, 2.0]))
    tensor([0., 2.])
    """

    _function = staticmethod(F.relu)


class ReLU6(_InPlace):
    """``x`` between 0 and 6.

    >>> import fastgrad as fg
    >>> fg.nn.ReLU6()(fg.tensor([-1.0, 9.0]))
    tensor([0., 6.])
    """

    _function = staticmethod(ops.relu6)


class SELU(_InPlace):
    """``functional.selu``, which keeps means at 0 and variances at 1.

    >>> import fastgrad as fg
    >>> fg.nn.SELU()(fg.tensor([-1.0, 2.0]))
    tensor([-1.1113,  2.1014])
    """

    _function = staticmethod(ops.selu)


class SiLU(_InPlace):
    """``x · sigmoid(x)``

    >>> import fastgrad as fg
    >>> fg.nn.SiLU()(fg.tensor([-1.0, 2.0]))
    tensor([-0.2689,  1.7616])
    """

    _function = staticmethod(ops.silu)


class Mish(_InPlace):
    """``x · tanh(softplus(x))``

    >>> import fastgrad as fg
    >>> fg.nn.Mish()(fg.tensor([-1.0, 2.0]))
    tensor([-0.3034,  1.9440])
    """

    _function = staticmethod(ops.mish)


class Hardsigmoid(_InPlace):
    """``x + 3`` between 0 and 6, over 6.

    >>> import fastgrad as fg
    >>> fg.nn.Hardsigmoid()(fg.tensor([-4.0, 0.0]))
    tensor([0.0000, 0.5000])
    """

    _function = staticmethod(ops.hardsigmoid)


class Hardswish(_InPlace):
    """``x · hardsigmoid(x)``

    >>> import fastgrad as fg
    >>> fg.nn.Hardswish()(fg.tensor([1.5, 4.0]))
    tensor([1.1250, 4.0000])
    """

    _function = staticmethod(ops.hardswish)


class LeakyReLU(_Activation):
    """``x`` where ``x > 0``, else ``negative_slope · x``.

    >>> import fastgrad as fg
    >>> fg.nn.LeakyReLU(0.25)(fg.tensor([-1.0, 2.0]))
    tensor([-0.2500,  2.0000])
    """

    _function = staticmethod(ops.leaky_relu)
    _options = ("negative_slope", "inplace")

    def __init__(self, negative_slope=0.01, inplace=False):
        super().__init__()
        self.negative_slope, self.inplace = negative_slope, inplace


class ELU(_Activation):
    """``x`` where ``x > 0``, else ``alpha · (eˣ - 1)``.

    >>> import fastgrad as fg
    >>> fg.nn.ELU()(fg.tensor([-1.0, 2.0]))
    tensor([-0.6321,  2.0000])
    """

    _function = staticmethod(ops.elu)
    _options = ("alpha", "inplace")

    def __init__(self, alpha=1.0, inplace=False):
        super().__init__()
        self.alpha, self.inplace = alpha, inplace


class CELU(_Activation):
    """``x`` where ``x > 0``, else ``alpha · (e^(x / alpha) - 1)``.

    >>> import fastgrad as fg
    >>> fg.nn.CELU(2.0)(fg.tensor([-1.0, 2.0]))
    tensor([-0.7869,  2.0000])
    """

    _function = staticmethod(ops.celu)
    _options = ("alpha", "inplace")

    def __init__(self, alpha=1.0, inplace=False):
        super().__init__()
        self.alpha, self.inplace = alpha, inplace


class GELU(_Activation):
    """``x · Φ(x)``; see ``functional.gelu``.

    >>> import fastgrad as fg
    >>> fg.nn.GELU()(fg.tensor([-1.0, 2.0]))
    tensor([-0.1587,  1.9545])
    """

    _function = staticmethod(ops.gelu)
    _options = ("approximate",)

    def __init__(self, approximate="none"):
        super().__init__()
        self.approximate = approximate


class Softplus(_Activation):
    """``log(1 + e^(beta · x)) / beta``; x itself where ``beta · x > threshold``.

    >>> import fastgrad as fg
    >>> fg.nn.Softplus()(fg.tensor([0.0, 30.0]))
    tensor([ 0.6931, 30.0000])
    """

    _function = staticmethod(ops.softplus)
    _options = ("beta", "threshold")

    def __init__(self, beta=1.0, threshold=20.0):
        super().__init__()
        self.beta, self.threshold = beta, threshold


class Threshold(_Activation):
    """``x`` where ``x > threshold``, else ``value``.

    >>> import fastgrad as fg
    >>> fg.nn.Threshold(2.0, -1.0)(fg.tensor([1.0, 3.0]))
    tensor([-1.,  3.])
    """

    _function = staticmethod(ops.threshold)
    _options = ("threshold", "value", "inplace")

    def __init__(self, threshold, value, inplace=False):
        super().__init__()
        self.threshold, self.value, self.inplace = threshold, value, inplace


class Hardshrink(_Shrink):
    """0 where ``|x| <= lambd``, else ``x``.

    >>> import fastgrad as fg
    >>> fg.nn.Hardshrink()(fg.tensor([0.5, 2.0]))
    tensor([0., 2.])
    """

    _function = staticmethod(ops.hardshrink)


class Softshrink(_Shrink):
    """``x``, moved towards 0 by ``lambd``, and not across.

    >>> import fastgrad as fg
    >>> fg.nn.Softshrink()(fg.tensor([0.25, 2.0]))
    tensor([0.0000, 1.5000])
    """

    _function = staticmethod(ops.softshrink)


class Softsign(_Activation):
    """``x / (1 + |x|)``

    >>> import fastgrad as fg
    >>> fg.nn.Softsign()(fg.tensor([-1.0, 3.0]))
    tensor([-0.5000,  0.7500])
    """

    _function = staticmethod(ops.softsign)


class Tanhshrink(_Activation):
    """``x - tanh(x)``

    >>> import fastgrad as fg
    >>> fg.nn.Tanhshrink()(fg.tensor([-1.0, 2.0]))
    tensor([-0.2384,  1.0360])
    """

    _function = staticmethod(ops.tanhshrink)


class LogSigmoid(_Activation):
    """``log sigmoid(x)``

    >>> import fastgrad as fg
    >>> fg.nn.LogSigmoid()(fg.tensor([0.0]))
    tensor([-0.6931])
    """

    _function = staticmethod(ops.logsigmoid)


class Sigmoid(_Activation):
    """``1 / (1 + e⁻ˣ)``

    >>> import fastgrad as fg
    >>> fg.nn.Sigmoid()(fg.tensor([0.0]))
    tensor([0.5000])
    """

    _function = staticmethod(ops.sigmoid)


class Tanh(_Activation):
    """Hyperbolic tangent.

    >>> import fastgrad as fg
    >>> fg.nn.Tanh()(fg.tensor([0.0]))
    tensor([0.])
    """

    _function = staticmethod(ops.tanh)


class GLU(_Activation):
    """``a · sigmoid(b)``, a and b being the halves of x along ``dim``.

    >>> import fastgrad as fg
    >>> fg.nn.GLU()(fg.tensor([1.0, 2.0, 0.0, 1.0]))
    tensor([0.5000, 1.4621])
    """

    _function = staticmethod(ops.glu)
    _options = ("dim",)

    def __init__(self, dim=-1):
        super().__init__()
        self.dim = dim


class Hardtanh(_Activation):
    """``x`` between two bounds.

    min_value, max_value   PyTorch's former names of these

    >>> import fastgrad as fg
    >>> fg.nn.Hardtanh()(fg.tensor([-3.0, 0.5]))
    tensor([-1.0000,  0.5000])
    """

    _function = staticmethod(ops.hardtanh)
    _options = ("min_val", "max_val", "inplace")

    def __init__(self, min_val=-1.0, max_val=1.0, inplace=False, min_value=None, max_value=None):
        super().__init__()
        self.min_val = min_val if min_value is None else min_value
        self.max_val = max_val if max_value is None else max_value
        self.inplace = inplace
        if self.max_val <= self.min_val:
            raise ValueError(f"Hardtanh: min_val {self.min_val} is not below {self.max_val}")


class RReLU(_Activation):
    """``leaky_relu`` with slopes drawn between two bounds in training; see ``functional.rrelu``.

    >>> import fastgrad as fg
    >>> fg.nn.RReLU(0.2, 0.3).eval()(fg.tensor([-1.0, 2.0]))
    tensor([-0.2500,  2.0000])
    """

    _options = ("lower", "upper", "inplace")

    def __init__(self, lower=1 / 8, upper=1 / 3, inplace=False):
        super().__init__()
        self.lower, self.upper, self.inplace = lower, upper, inplace

    def forward(self, x):
        return ops.rrelu(x, self.lower, self.upper, self.training, self.inplace)


class PReLU(Module):
    """``x`` where ``x > 0``, else ``weight · x``, the weight being learned.

    num_parameters   1, or the number of channels of x (N, C, \\*)

    >>> import fastgrad as fg
    >>> fg.nn.PReLU()(fg.tensor([-1.0, 2.0])).detach()
    tensor([-0.2500,  2.0000])
    """

    def __init__(self, num_parameters=1, init=0.25, device=None, dtype=None):
        super().__init__()
        self.num_parameters, self.init = num_parameters, init
        self.weight = Parameter(full((num_parameters,), init))
        place(self, device, dtype)

    def forward(self, x):
        return ops.prelu(x, self.weight)

    def reset_parameters(self):
        """Set the weight to where it began."""
        init.constant_(self.weight, self.init)

    def extra_repr(self):
        return f"num_parameters={self.num_parameters}"


class Maxout(Module):
    """The largest of ``pool_size`` linear maps, for each output. Goodfellow et al. 2013.

    weight (in_features, out_features · pool_size) and bias (out_features · pool_size,): the maps
    of an output lie side by side, so that all are one product. They start as ``Linear``'s do.

    Raises ``ValueError`` for sizes that are not positive.

    >>> import fastgrad as fg
    >>> fg.nn.Maxout(3, 2, 4)(fg.zeros(5, 3)).shape
    (5, 2)
    """

    def __init__(self, in_features, out_features, pool_size, bias=True, device=None, dtype=None):
        super().__init__()
        if min(in_features, out_features, pool_size) < 1:
            raise ValueError(
                f"Maxout: sizes must be positive, got {in_features}, {out_features}, {pool_size}"
            )
        self.in_features, self.out_features = in_features, out_features
        self.pool_size = pool_size
        maps = out_features * pool_size
        self.weight = Parameter(empty(in_features, maps))
        self.register_parameter("bias", Parameter(empty(maps)) if bias else None)
        self.reset_parameters()
        place(self, device, dtype)

    def reset_parameters(self):
        """Draw the parameters anew."""
        bound = 1.0 / math.sqrt(self.in_features)
        for parameter in self.parameters():
            init.uniform_(parameter, -bound, bound)

    def forward(self, x):
        return ops.maxout(ops.linear(x, self.weight, self.bias), self.pool_size)

    def extra_repr(self):
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"pool_size={self.pool_size}, bias={self.bias is not None}"
        )


def is_relu(module):
    """Whether the module does what ``ReLU`` does, and nothing else."""
    own = module.__dict__
    return type(module) is ReLU and "forward" not in own and "_hooks" not in own
