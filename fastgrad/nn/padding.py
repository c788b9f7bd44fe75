"""Layers that put elements around their input."""

from .. import ops
from ..ops._family import ints
from .module import Module


class _Pad(Module):
    """Padding of the last axes of (N, C, \\*) or (C, \\*); subclasses say of how many, and how."""

    _axes, _mode = 1, "constant"

    def __init__(self, padding):
        super().__init__()
        name = type(self).__name__
        self.padding = ints(name, "padding", padding, 2 * self._axes, None, False)

    def forward(self, x):
        axes = self._axes
        if x.ndim not in (axes + 1, axes + 2):
            raise ValueError(
                f"{type(self).__name__}: expected {axes + 1} or {axes + 2} dimensions, "
                f"got shape {x.shape}"
            )
        return ops.pad(x, self.padding, self._mode)

    def extra_repr(self):
        return f"{self.padding}"


class _ConstantPad(_Pad):
    def __init__(self, padding, value):
        super().__init__(padding)
        self.value = value

    def forward(self, x):
        return ops.pad(x, self.padding, "constant", self.value)

    def extra_repr(self):
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPad):
    """``value`` around (N, C, L) or (C, L); see ``functional.pad``.

    padding   one size for all sides, or 2: (before, after) of the last axis

    >>> import fastgrad as fg
    >>> fg.nn.ConstantPad1d((1, 1), 9.0)(fg.tensor([[1.0, 2.0, 3.0]]))
    tensor([[9., 1., 2., 3., 9.]])
    """

    _axes = 1


class ConstantPad2d(_ConstantPad):
    """``value`` around (N, C, H, W) or (C, H, W); see ``functional.pad``.

    padding   one size for all sides, or 4: (before, after) of the last 2 axes, the last first

    >>> import fastgrad as fg
    >>> fg.nn.ConstantPad2d((1, 1, 0, 2), 9.0)(fg.zeros(2, 3, 4, 4)).shape
    (2, 3, 6, 6)
    """

    _axes = 2


class ConstantPad3d(_ConstantPad):
    """``value`` around (N, C, D, H, W); see ``functional.pad``.

    padding   one size for all sides, or 6: (before, after) of the last 3 axes, the last first

    >>> import fastgrad as fg
    >>> fg.nn.ConstantPad3d(1, 9.0)(fg.zeros(2, 3, 4, 4, 4)).shape
    (2, 3, 6, 6, 6)
    """

    _axes = 3


class ZeroPad1d(ConstantPad1d):
    """Zeros around (N, C, L) or (C, L); see ``functional.pad``.

    padding   one size for all sides, or 2: (before, after) of the last axis

    >>> import fastgrad as fg
    >>> fg.nn.ZeroPad1d((1, 1))(fg.tensor([[1.0, 2.0, 3.0]]))
    tensor([[0., 1., 2., 3., 0.]])
    """

    def __init__(self, padding):
        super().__init__(padding, 0.0)

    def extra_repr(self):
        return f"{self.padding}"


class ZeroPad2d(ConstantPad2d):
    """Zeros around (N, C, H, W) or (C, H, W); see ``functional.pad``.

    padding   one size for all sides, or 4: (before, after) of the last 2 axes, the last first

    >>> import fastgrad as fg
    >>> fg.nn.ZeroPad2d((1, 1, 0, 2))(fg.zeros(2, 3, 4, 4)).shape
    (2, 3, 6, 6)
    """

    def __init__(self, padding):
        super().__init__(padding, 0.0)

    def extra_repr(self):
        return f"{self.padding}"


class ZeroPad3d(ConstantPad3d):
    """Zeros around (N, C, D, H, W); see ``functional.pad``.

    padding   one size for all sides, or 6: (before, after) of the last 3 axes, the last first

    >>> import fastgrad as fg
    >>> fg.nn.ZeroPad3d(1)(fg.zeros(2, 3, 4, 4, 4)).shape
    (2, 3, 6, 6, 6)
    """

    def __init__(self, padding):
        super().__init__(padding, 0.0)

    def extra_repr(self):
        return f"{self.padding}"


class ReflectionPad1d(_Pad):
    """The mirror image, without the edge, around (N, C, L) or (C, L); see ``functional.pad``.

    padding   one size for all sides, or 2: (before, after) of the last axis

    >>> import fastgrad as fg
    >>> fg.nn.ReflectionPad1d((1, 1))(fg.tensor([[1.0, 2.0, 3.0]]))
    tensor([[2., 1., 2., 3., 2.]])
    """

    _axes, _mode = 1, "reflect"


class ReflectionPad2d(_Pad):
    """The mirror image, without the edge, around (N, C, H, W) or (C, H, W); see ``functional.pad``.

    padding   one size for all sides, or 4: (before, after) of the last 2 axes, the last first

    >>> import fastgrad as fg
    >>> fg.nn.ReflectionPad2d((1, 1, 0, 2))(fg.zeros(2, 3, 4, 4)).shape
    (2, 3, 6, 6)
    """

    _axes, _mode = 2, "reflect"


class ReflectionPad3d(_Pad):
    """The mirror image, without the edge, around (N, C, D, H, W); see ``functional.pad``.

    padding   one size for all sides, or 6: (before, after) of the last 3 axes, the last first

    >>> import fastgrad as fg
    >>> fg.nn.ReflectionPad3d(1)(fg.zeros(2, 3, 4, 4, 4)).shape
    (2, 3, 6, 6, 6)
    """

    _axes, _mode = 3, "reflect"


class ReplicationPad1d(_Pad):
    """The edge again around (N, C, L) or (C, L); see ``functional.pad``.

    padding   one size for all sides, or 2: (before, after) of the last axis

    >>> import fastgrad as fg
    >>> fg.nn.ReplicationPad1d((1, 1))(fg.tensor([[1.0, 2.0, 3.0]]))
    tensor([[1., 1., 2., 3., 3.]])
    """

    _axes, _mode = 1, "replicate"


class ReplicationPad2d(_Pad):
    """The edge again around (N, C, H, W) or (C, H, W); see ``functional.pad``.

    padding   one size for all sides, or 4: (before, after) of the last 2 axes, the last first

    >>> import fastgrad as fg
    >>> fg.nn.ReplicationPad2d((1, 1, 0, 2))(fg.zeros(2, 3, 4, 4)).shape
    (2, 3, 6, 6)
    """

    _axes, _mode = 2, "replicate"


class ReplicationPad3d(_Pad):
    """The edge again around (N, C, D, H, W); see ``functional.pad``.

    padding   one size for all sides, or 6: (before, after) of the last 3 axes, the last first

    >>> import fastgrad as fg
    >>> fg.nn.ReplicationPad3d(1)(fg.zeros(2, 3, 4, 4, 4)).shape
    (2, 3, 6, 6, 6)
    """

    _axes, _mode = 3, "replicate"


class CircularPad1d(_Pad):
    """The elements from the other end around (N, C, L) or (C, L); see ``functional.pad``.

    padding   one size for all sides, or 2: (before, after) of the last axis

    >>> import fastgrad as fg
    >>> fg.nn.CircularPad1d((1, 1))(fg.tensor([[1.0, 2.0, 3.0]]))
    tensor([[3., 1., 2., 3., 1.]])
    """

    _axes, _mode = 1, "circular"


class CircularPad2d(_Pad):
    """The elements from the other end around (N, C, H, W) or (C, H, W); see ``functional.pad``.

    padding   one size for all sides, or 4: (before, after) of the last 2 axes, the last first

    >>> import fastgrad as fg
    >>> fg.nn.CircularPad2d((1, 1, 0, 2))(fg.zeros(2, 3, 4, 4)).shape
    (2, 3, 6, 6)
    """

    _axes, _mode = 2, "circular"


class CircularPad3d(_Pad):
    """The elements from the other end around (N, C, D, H, W); see ``functional.pad``.

    padding   one size for all sides, or 6: (before, after) of the last 3 axes, the last first

    >>> import fastgrad as fg
    >>> fg.nn.CircularPad3d(1)(fg.zeros(2, 3, 4, 4, 4)).shape
    (2, 3, 6, 6, 6)
    """

    _axes, _mode = 3, "circular"
