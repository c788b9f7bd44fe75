"""``Tensor``: a NumPy array that can remember how it was computed."""

import itertools
import weakref

import numpy as np

from ._repr import describe
from .backend import K
from .tape import as_array, recording

float32, float64 = np.float32, np.float64
int32, int64, uint8, bool_ = np.int32, np.int64, np.uint8, np.bool_

_hook_ids = itertools.count()


class Tensor:
    """An n-dimensional array with an optional gradient.

    ``Tensor(data)`` takes an array as it is, without a copy; ``fastgrad.tensor`` makes one from
    anything array-like. ``data`` is the array, ``grad`` the accumulated gradient (a Tensor or
    None), ``requires_grad`` whether operations on it are recorded.

    >>> import fastgrad as fg
    >>> x = fg.tensor([1.0, -2.0], requires_grad=True)
    >>> (x * x).sum().backward()
    >>> x.grad
    tensor([ 2., -4.])
    """

    __slots__ = ("__weakref__", "_grad", "_hooks", "_node", "_requires_grad", "_version", "data")
    __array_priority__ = 1000
    __hash__ = object.__hash__  # == compares elements

    def __init__(self, data, requires_grad=False):
        if type(data) is not np.ndarray and not (recording.here() and isinstance(data, np.ndarray)):
            data = np.asarray(data)
        self.data = data
        self._grad = None
        self._node = None
        self._requires_grad = False
        self._version = [0, False]  # changes so far; whether other tensors share the array
        self._hooks = None
        if requires_grad:
            self.requires_grad = True

    @property
    def grad(self):
        """The accumulated gradient, a Tensor, or None."""
        if recording.active is not None and recording.here():
            recording.active.gradient_read(self)
        return self._grad

    @grad.setter
    def grad(self, value):
        if value is not None:
            self._check_grad(value)
        if recording.active is not None and recording.here():
            recording.active.gradient_set(self)
        self._grad = value

    # ---------------------------------------------------------------- as an array

    @property
    def shape(self):
        """Sizes of the axes, a tuple."""
        return self.data.shape

    @property
    def dtype(self):
        """NumPy type of the elements."""
        return self.data.dtype

    @property
    def ndim(self):
        """Number of axes."""
        return self.data.ndim

    def dim(self):
        """Number of axes."""
        return self.data.ndim

    def size(self, dim=None):
        """The shape, or the size of one axis."""
        return self.data.shape if dim is None else self.data.shape[dim]

    def numel(self):
        """Number of elements."""
        return self.data.size

    def __len__(self):
        if not self.data.ndim:
            raise TypeError("len: a 0-d tensor has no length")
        return len(self.data)

    def item(self):
        """The only element, as a Python number.

        Raises ``ValueError`` where there is not exactly one.
        """
        if self.data.size != 1:
            raise ValueError(f"item: expected a tensor of one element, got shape {self.shape}")
        return self._values().item()

    def tolist(self):
        """The elements as nested lists of Python numbers."""
        return self._values().tolist()

    def numpy(self):
        """The array itself, not a copy. A tensor that requires grad must be detached first."""
        if self._requires_grad:
            raise RuntimeError(
                "numpy: the tensor requires grad, and NumPy would not record what is done to the "
                "array; use x.detach().numpy()"
            )
        return self._values()

    def __array__(self, dtype=None, copy=None):
        return np.array(self.numpy(), dtype=dtype, copy=copy)

    def __array_ufunc__(self, ufunc, method, *inputs, **kwargs):
        # ndarray + Tensor comes here: answer with the tensor's own operator.
        reflected = _REFLECTED.get(ufunc)
        if method == "__call__" and not kwargs and len(inputs) == 2 and reflected:
            return getattr(self, reflected)(inputs[0])
        if method != "__call__":
            return NotImplemented
        arrays = [x.numpy() if isinstance(x, Tensor) else x for x in inputs]
        return ufunc(*arrays, **kwargs)

    def __array_function__(self, function, types, args, kwargs):
        # np.sum(tensor), np.stack([tensor, ...]): NumPy's functions work on the arrays
        def unwrap(x):
            if isinstance(x, Tensor):
                return x.numpy()
            return type(x)(map(unwrap, x)) if isinstance(x, list | tuple) else x

        return function(*unwrap(args), **{name: unwrap(x) for name, x in kwargs.items()})

    def __float__(self):
        return float(self.item())

    def __int__(self):
        return int(self.item())

    def __bool__(self):
        if self.data.size != 1:
            raise ValueError(
                f"the truth of a tensor of shape {self.shape} is ambiguous; use any() or all()"
            )
        return bool(self._values().item())

    def _values(self):
        """The array, for Python to look at; refused while a step is recorded."""
        if recording.active is not None and recording.here():
            recording.active.refuse_values()
        return self.data

    def __repr__(self):
        return describe(self)

    def __deepcopy__(self, memo):
        if self._node is not None:
            raise RuntimeError("deepcopy: only leaf tensors can be copied; use detach().clone()")
        twin = type(self)(self.data.copy(), requires_grad=self._requires_grad)
        if self.grad is not None:
            twin.grad = Tensor(self.grad.data.copy())
        memo[id(self)] = twin
        return twin

    def __reduce__(self):
        if self._node is not None:
            raise RuntimeError("pickle: only leaf tensors can be pickled; use x.detach()")
        return type(self), (self.data, self._requires_grad)

    # ---------------------------------------------------------------- in the graph

    @property
    def requires_grad(self):
        """Whether operations on this tensor are recorded."""
        return self._requires_grad

    @requires_grad.setter
    def requires_grad(self, value):
        if value and self.data.dtype.kind != "f":
            raise RuntimeError(
                f"requires_grad: only float tensors have gradients, this one is {self.dtype}"
            )
        if self._node is not None and not value:
            raise RuntimeError("requires_grad: only a leaf can be changed; use x.detach()")
        self._requires_grad = bool(value)

    def requires_grad_(self, requires_grad=True):
        """Set ``requires_grad``; returns the tensor."""
        self.requires_grad = requires_grad
        return self

    @property
    def is_leaf(self):
        """Whether this tensor was made by the user, and not by a recorded operation."""
        return self._node is None

    @property
    def grad_fn(self):
        """The node that stands for this tensor in the graph; None for a leaf."""
        return self._node

    def detach(self):
        """The same array outside the graph. In-place changes of either show in both."""
        out = Tensor(self.data)
        out._version = self._version
        out._version[1] = True
        return out

    def retain_grad(self):
        """Keep the gradient of this non-leaf tensor in ``grad`` in later backward passes."""
        if not self._requires_grad:
            raise RuntimeError("retain_grad: the tensor does not require grad")
        if self._node is not None:
            self._node.retained = weakref.ref(self)

    def register_hook(self, hook):
        """Call ``hook(grad)`` when this tensor's gradient is known; a result replaces it.

        Returns a handle whose ``remove()`` takes the hook away.
        """
        if not self._requires_grad:
            raise RuntimeError("register_hook: the tensor does not require grad")
        owner = self if self._node is None else self._node
        attribute = "_hooks" if self._node is None else "hooks"
        hooks = getattr(owner, attribute)
        if hooks is None:
            hooks = {}
            setattr(owner, attribute, hooks)

        def on_gradient(grad):
            """``grad`` is an array, or, where a graph of it is made, a tensor."""
            result = hook(grad if isinstance(grad, Tensor) else Tensor(grad))
            if result is None:
                return grad
            result = result if isinstance(result, Tensor) else Tensor(as_array(result))
            if result.shape != grad.shape:
                raise RuntimeError(
                    f"hook: returned a gradient of shape {result.shape}, expected {grad.shape}"
                )
            if isinstance(grad, Tensor):
                return result
            return result.data.astype(grad.dtype, copy=False)

        key = next(_hook_ids)
        hooks[key] = on_gradient
        return RemovableHandle(hooks, key)

    def _check_grad(self, value):
        if not isinstance(value, Tensor):
            raise TypeError(f"grad: expected a Tensor or None, got {type(value).__name__}")
        if value.data.shape != self.data.shape or value.data.dtype != self.data.dtype:
            raise RuntimeError(
                f"grad: the tensor is {self.dtype} {self.shape}, the assigned gradient "
                f"{value.dtype} {value.shape}"
            )

    def _accumulate(self, array, owned):
        """Add to ``grad``; an array that is not owned is copied. A tensor keeps its graph."""
        if recording.active is not None and recording.here():
            recording.active.gradient_read(self)
            recording.active.gradient_set(self)
        if isinstance(array, Tensor):
            self._grad = array if self._grad is None else self._grad + array
        elif self._grad is None:
            self._grad = Tensor(array if owned else K.copy(array))
        else:
            K.add(self._grad.data, array, out=self._grad.data)
            self._grad._version[0] += 1


_REFLECTED = {
    np.add: "__radd__",
    np.subtract: "__rsub__",
    np.multiply: "__rmul__",
    np.true_divide: "__rtruediv__",
    np.matmul: "__rmatmul__",
}


class RemovableHandle:
    """What ``register_hook`` returns."""

    def __init__(self, hooks, key):
        self._hooks, self._key = hooks, key

    def remove(self):
        """Take the hook away; harmless when done twice."""
        self._hooks.pop(self._key, None)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.remove()
