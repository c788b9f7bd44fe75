"""``Tensor``: a NumPy array that can remember how it was computed; ``op``, which lifts a rule.

A rule is a function on arrays that returns its result and its pull-back:

    @op
    def relu(x):
        out = K.relu_forward(x)
        return out, lambda grad: K.relu_backward(grad, out)

Arrays are positional, attributes keyword-only. The pull-back closes over arrays, never tensors,
so that no reference cycle can arise. With one array it is ``vjp(grad)``. With several it is a tuple
of functions, one for each (None or left out where there is no gradient), or, where gradients share
work, one function ``vjp(grad, needs)`` that returns a gradient for each, None where ``needs`` is
False.

What a pull-back closes over under the name of a parameter, or as ``out``, counts as saved: if
that tensor is changed in place later, backward says so instead of computing a wrong gradient.
"""

import inspect
import itertools
import weakref
from functools import wraps

import numpy as np

from ._repr import describe
from .backend import K
from .tape import Node, as_array, mode, recording, walk

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

    def backward(self, gradient=None, retain_graph=False, create_graph=False):
        """Add the gradients of this tensor to the ``grad`` of every leaf that it depends on.

        gradient      gradient of the final result with respect to this tensor, of its shape;
                      1 where this tensor is a single number
        retain_graph  keep what the pull-backs saved, for another backward

        Raises ``RuntimeError`` where nothing was recorded, the graph was freed, a saved array was
        changed in place, or ``gradient`` is missing for more than one element.
        """
        _walk_from([self], [gradient], retain_graph, create_graph, "backward")

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

        def on_array(array):
            result = hook(Tensor(array))
            if result is None:
                return array
            result = as_array(result.data if isinstance(result, Tensor) else result)
            if result.shape != array.shape:
                raise RuntimeError(
                    f"hook: returned a gradient of shape {result.shape}, expected {array.shape}"
                )
            return result.astype(array.dtype, copy=False)

        key = next(_hook_ids)
        hooks[key] = on_array
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
        """Add to ``grad``; an array that is not owned is copied."""
        if recording.active is not None and recording.here():
            recording.active.gradient_read(self)
            recording.active.gradient_set(self)
        if self._grad is None:
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


# ------------------------------------------------------------------ backward


def _seed(tensor, gradient, name):
    """The array that the walk starts with."""
    if not tensor._requires_grad:
        raise RuntimeError(
            f"{name}: the tensor does not require grad and was not recorded; set requires_grad "
            "on what it is computed from, outside no_grad"
        )
    if gradient is None:
        if tensor.data.size != 1:
            raise RuntimeError(
                f"{name}: a tensor of shape {tensor.shape} has no single gradient; reduce it to "
                f"one number first, or pass gradient= of shape {tensor.shape}"
            )
        return np.ones(tensor.shape, tensor.dtype)
    array = as_array(gradient.data if isinstance(gradient, Tensor) else gradient)
    if array.shape != tensor.shape:
        raise RuntimeError(f"{name}: gradient has shape {array.shape}, expected {tensor.shape}")
    return array.astype(tensor.dtype, copy=False)


def _key(tensor):
    """What stands for a tensor in the graph: its node, or a leaf itself."""
    return tensor if tensor._node is None else tensor._node


def _walk_from(outputs, gradients, retain_graph, create_graph, name, targets=None):
    if create_graph:
        raise NotImplementedError(f"{name}: create_graph=True is not supported yet")
    roots = [
        (_key(tensor), _seed(tensor, gradient, name))
        for tensor, gradient in zip(outputs, gradients, strict=True)
    ]
    if recording.active is not None and recording.here():
        arrays = recording.active.operands([], [array for _, array in roots])
        roots = [(key, array) for (key, _), array in zip(roots, arrays, strict=True)]
    return walk(roots, retain_graph, targets)


def grad(
    outputs, inputs, grad_outputs=None, retain_graph=None, create_graph=False, allow_unused=False
):
    """Gradients of ``outputs`` with respect to ``inputs``, as a tuple; no ``grad`` is touched.

    outputs, inputs   a tensor, or several
    grad_outputs      gradient of each output, like ``backward``'s ``gradient``
    allow_unused      give None for an input that no output depends on, instead of an error

    >>> import fastgrad as fg
    >>> x = fg.tensor(3.0, requires_grad=True)
    >>> fg.grad(x * x, x)
    (tensor(6.),)
    """
    outputs = [outputs] if isinstance(outputs, Tensor) else list(outputs)
    inputs = [inputs] if isinstance(inputs, Tensor) else list(inputs)
    if grad_outputs is None or isinstance(grad_outputs, Tensor):
        grad_outputs = [grad_outputs] * (1 if grad_outputs is not None else len(outputs))
    for position, tensor in enumerate(inputs):
        if not tensor._requires_grad:
            raise RuntimeError(f"grad: input {position} does not require grad")
    keys = [_key(tensor) for tensor in inputs]
    captured = _walk_from(
        outputs, grad_outputs, bool(retain_graph), create_graph, "grad", frozenset(keys)
    )
    results = []
    for position, key in enumerate(keys):
        array = captured.get(key)
        if array is None and not allow_unused:
            raise RuntimeError(
                f"grad: no output depends on input {position}; pass allow_unused=True for None"
            )
        results.append(None if array is None else Tensor(K.copy(array)))
    return tuple(results)


# ------------------------------------------------------------------ operations


def _saved_arrays(vjp, parameters):
    """(positions of the inputs, whether the result) that a pull-back closes over."""
    functions = vjp if type(vjp) is tuple else (vjp,)
    names = {name for f in functions if f is not None for name in f.__code__.co_freevars}
    return tuple(k for k, name in enumerate(parameters) if name in names), "out" in names


def op(rule, name=None):
    """Lift a rule on arrays to tensors (see the module's text).

    The result is a function of tensors, arrays or numbers; ``.rule`` is the rule itself. ``name``
    is what errors and the graph call it, by default the rule's.

    >>> import numpy as np
    >>> import fastgrad as fg
    >>> @fg.op
    ... def cube(x):
    ...     return x**3, lambda grad: 3 * x**2 * grad
    >>> x = fg.tensor(2.0, requires_grad=True)
    >>> cube(x).backward()
    >>> x.grad
    tensor(12.)
    """
    name = name or rule.__name__.rstrip("_")
    signature = inspect.signature(rule).parameters.values()
    parameters = tuple(p.name for p in signature if p.kind is not p.KEYWORD_ONLY)
    options = tuple(p.name for p in signature if p.kind is p.KEYWORD_ONLY)
    names, most = frozenset(parameters), len(parameters)
    plans = {}  # what is saved, by pull-back and needed gradients

    @wraps(rule)
    def lifted(*operands, **attributes):
        if len(operands) > most or (attributes and not names.isdisjoint(attributes)):
            operands, attributes = _bind(name, parameters, options, operands, attributes)
        arrays, record = [], False
        for x in operands:
            if isinstance(x, Tensor):
                arrays.append(x.data)
                if x._requires_grad:
                    record = True
            else:
                arrays.append(x.item() if isinstance(x, np.generic) else x)
        if recording.active is not None and recording.here():
            arrays = recording.active.operands(operands, arrays)
        out, vjp = rule(*arrays, **attributes)
        result = Tensor(out)
        base = result.data.base
        if base is not None:
            for x in operands:
                if isinstance(x, Tensor) and (x.data is base or x.data.base is base):
                    result._version = x._version  # a view: a change of one is one of both
                    x._version[1] = True
        if record and vjp is not None and mode.grad_enabled:
            inputs = [
                (x if x._node is None else x._node)
                if isinstance(x, Tensor) and x._requires_grad
                else None
                for x in operands
            ]
            needs = [source is not None for source in inputs]
            if type(vjp) is tuple:  # what only an unneeded gradient wants is not kept
                vjp = tuple([f if need else None for f, need in zip(vjp, needs, strict=False)])
                plan = plans.get(code := tuple([f and f.__code__ for f in vjp]))
            else:
                plan = plans.get(code := vjp.__code__)
            if plan is None:
                plan = plans[code] = _saved_arrays(vjp, parameters)
            positions, saves_result = plan
            saved = []
            for k in positions:
                if k < len(operands) and isinstance(operands[k], Tensor):
                    version = operands[k]._version
                    saved.append((version, version[0], parameters[k]))
            if saves_result:
                saved.append((result._version, result._version[0], "result"))
            result._requires_grad = True
            result._node = Node(name, vjp, inputs, needs, saved, result.data)
        return result

    lifted.rule = rule
    lifted.__name__ = lifted.__qualname__ = name
    return lifted


def _bind(name, parameters, options, operands, attributes):
    """Arrays given by keyword move to their positions, attributes given by position to keywords."""
    operands, attributes = list(operands), dict(attributes)
    for option, value in zip(options, operands[len(parameters) :], strict=False):
        if option in attributes:
            raise TypeError(f"{name}: got several values for {option!r}")
        attributes[option] = value
    if len(operands) > len(parameters) + len(options):
        most = len(parameters) + len(options)
        raise TypeError(f"{name}: takes at most {most} arguments, got {len(operands)}")
    operands = operands[: len(parameters)]
    for position, parameter in enumerate(parameters):
        if parameter in attributes:
            if position < len(operands):
                raise TypeError(f"{name}: got several values for {parameter!r}")
            operands += [None] * (position - len(operands)) + [attributes.pop(parameter)]
    return operands, attributes
