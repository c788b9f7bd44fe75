"""``Parameter``, and tensors whose shape is not known yet."""

import numpy as np

from ..tensor import Tensor

__all__ = ["Parameter", "UninitializedBuffer", "UninitializedParameter", "is_lazy", "new_type"]


class Parameter(Tensor):
    """A tensor that a module learns. Assigned to a module's attribute, it registers itself.

    >>> import fastgrad as fg
    >>> fg.nn.Parameter(fg.zeros(2))
    Parameter containing:
    tensor([0., 0.], requires_grad=True)
    """

    __slots__ = ()

    def __init__(self, data, requires_grad=True):
        super().__init__(data.data if isinstance(data, Tensor) else data, requires_grad)

    def __repr__(self):
        return f"Parameter containing:\n{super().__repr__()}"


def new_type(name, device, dtype):
    """The type of a module's new parameters, float32 by default; the device must be the CPU."""
    if device is not None and str(device) != "cpu":
        raise ValueError(f"{name}: device {device!r} is not there; fastgrad runs on 'cpu'")
    dtype = np.dtype(np.float32 if dtype is None else dtype)
    if dtype not in (np.float32, np.float64):
        raise TypeError(f"{name}: parameters are float32 or float64, not {dtype}")
    return dtype


class _Uninitialized:
    """A tensor without shape and values: only its type is known, in the slot of its array."""

    __slots__ = ()
    cls_to_become = None

    def __init__(self, requires_grad=False, device=None, dtype=None):
        Tensor.__init__(self, np.empty(0, new_type(type(self).__name__, device, dtype)))
        self._requires_grad = bool(requires_grad)

    @property
    def data(self):
        """There is none: raises ``ValueError``."""
        raise ValueError(
            f"{type(self).__name__}: has no shape and no values before its module's first forward; "
            "call the module once"
        )

    @data.setter
    def data(self, array):
        Tensor.data.__set__(self, array)

    @property
    def dtype(self):
        """NumPy type of the elements to come."""
        return Tensor.data.__get__(self).dtype

    @property
    def requires_grad(self):
        """Whether operations on the tensor will be recorded."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value):
        self._requires_grad = bool(value)

    def retype(self, dtype):
        """Change the type of the elements to come."""
        self.data = np.empty(0, dtype)

    def materialize(self, shape, device=None, dtype=None):
        """Give the tensor a shape, and make it an ordinary one. Its values are to be set."""
        dtype = self.dtype if dtype is None else dtype
        self.data = np.empty(shape, new_type(type(self).__name__, device, dtype))
        self.__class__ = self.cls_to_become

    def detach(self):
        """The tensor itself: there is nothing yet to share."""
        return self

    def __repr__(self):
        return f"<{type(self).__name__}>"

    def __deepcopy__(self, memo):
        memo[id(self)] = twin = type(self)(self._requires_grad, None, self.dtype)
        return twin

    def __reduce__(self):
        return type(self), (self._requires_grad, None, self.dtype)


class UninitializedParameter(_Uninitialized, Parameter):
    """A parameter whose shape the first forward of its module will tell; see ``LazyLinear``.

    Its values cannot be asked for, and no operation takes it: ``ValueError``. What it can do is
    change its type, be saved in state dicts and loaded from them, and ``materialize(shape)``.

    >>> import fastgrad as fg
    >>> weight = fg.nn.UninitializedParameter()
    >>> weight
    <UninitializedParameter>
    >>> weight.materialize((2, 3))
    >>> type(weight).__name__, weight.shape
    ('Parameter', (2, 3))
    """

    __slots__ = ()
    cls_to_become = Parameter

    def __init__(self, requires_grad=True, device=None, dtype=None):
        super().__init__(requires_grad, device, dtype)


class UninitializedBuffer(_Uninitialized, Tensor):
    """A buffer whose shape the first forward of its module will tell.

    >>> import fastgrad as fg
    >>> fg.nn.UninitializedBuffer()
    <UninitializedBuffer>
    """

    __slots__ = ()
    cls_to_become = Tensor


def is_lazy(tensor):
    """Whether a tensor has no shape yet.

    >>> is_lazy(UninitializedParameter())
    True
    """
    return isinstance(tensor, _Uninitialized)
