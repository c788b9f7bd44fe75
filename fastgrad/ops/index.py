"""Rules of indexing."""

import numpy as np

from ..backend import K
from ..lifting import op
from ..tape import as_array, recording
from ..tensor import Tensor
from ._family import T, add_to_part, refuse_recording
from .reduce import check_dim

__all__ = [
    "argwhere", "index_add", "index_copy", "index_fill", "index_select", "masked_select",
    "nonzero", "one_hot", "take",
]  # fmt: skip


# ------------------------------------------------------------------ x[key]


class Key:
    """What stands between brackets: a function of the index arrays among it.

    Integers beside arrays count as slices of one element, whose axis goes first: PyTorch's
    meaning, not NumPy's. ``x[key.first]`` is a view without them, and ``x[key.first][key(...)]``
    what is meant.
    """

    def __init__(self, parts, places):
        self.first = ()
        numbers = [k for k, part in enumerate(parts) if isinstance(part, int | np.integer)]
        if places and numbers:
            for k, part in enumerate(parts):  # a mask takes as many axes as it has
                axes = part.ndim if k in places and part.dtype.kind == "b" else 1
                self.first += (slice(None),) * axes if k in places else (part,)
            parts = [
                part if k in places or part is Ellipsis else slice(None)
                for k, part in enumerate(parts)
                if k not in numbers
            ]
            places = [place - sum(k < place for k in numbers) for place in places]
        self._parts, self._places = parts, places

    def __call__(self, *indices):
        parts = list(self._parts)
        for at, index in zip(self._places, indices, strict=True):
            parts[at] = index
        return tuple(parts)


def parse_key(name, key):
    """(``Key``, index arrays) of what stands between brackets.

    Raises ``TypeError`` for what is no index.
    """
    parts, tensors, places = [], [], []
    for part in key if isinstance(key, tuple) else (key,):
        if isinstance(part, list | np.ndarray):
            part = Tensor(np.asarray(part) if len(part) else np.zeros(0, np.int64))
        if isinstance(part, Tensor):
            if part.dtype.kind not in "iub":
                raise TypeError(f"{name}: expected an index of integers or bools, got {part.dtype}")
            if part.dtype.kind == "b":
                refuse_recording(f"{name} by a mask")
            places.append(len(parts))
            tensors.append(part)
            parts.append(part)
        elif part is None or part is Ellipsis or isinstance(part, slice | int | np.integer):
            parts.append(_plain_slice(part) if isinstance(part, slice) else part)
        else:
            raise TypeError(f"{name}: {type(part).__name__} is no index")
    if not any(part is Ellipsis for part in parts):
        parts.append(Ellipsis)
    return Key(parts, places), arrays_of(tensors)


def _plain_slice(part):
    """A slice whose ends are Python numbers, where tensors were."""
    ends = (part.start, part.stop, part.step)
    return slice(*(int(end) if isinstance(end, Tensor) else end for end in ends))


def arrays_of(tensors):
    """The arrays of tensors that are used as indices, known to a recording."""
    arrays = [x.data for x in tensors]
    return recording.active.operands(tensors, arrays) if recording.here() else arrays


@op(name="getitem", linear=True, adds=True)
def item(x, *, key, indices):
    """``x[key]`` for a parsed key."""
    shape = x.shape

    def part(x):
        x = x[key.first] if key.first else x
        return x if indices else x[key()]

    try:
        out = K.take(part(x), key, *indices) if indices else part(x)
    except IndexError as error:
        raise IndexError(f"getitem: shape {shape}: {error}") from None

    def vjp(grad, whole=None):
        if not indices:
            return add_to_part(whole, shape, grad, part)
        whole = K.zeros(shape, grad.dtype) if whole is None else whole
        K.add_at(part(whole), key, grad, *indices)
        return whole

    return out, vjp


def getitem(x, key):
    """``x[key]``: a view for slices, integers, None and ``...``, a copy for arrays of indices."""
    key, indices = parse_key("getitem", key)
    return item(x, key=key, indices=indices)


@op(name="setitem")
def put(x, value, *, key, indices):
    """A copy of ``x`` with ``value`` at a key."""
    out = K.copy(x)
    assign(out, key, value, indices)

    def without(grad):
        grad = K.copy(grad)
        assign(grad, key, 0, indices)
        return grad

    def of_value(grad):
        grad = grad[key.first] if key.first else grad
        return K.take(grad, key, *indices) if indices else grad[key()]

    return out, (without, of_value)


def assign(array, key, value, indices):
    """``x[key] = value`` on an array, in place."""
    try:
        K.put(array[key.first] if key.first else array, key, value, *indices)
    except (IndexError, ValueError) as error:
        raise type(error)(f"setitem: shape {array.shape}: {error}") from None


put.differentiable(
    lambda grad, key, indices: put(grad, 0.0, key=key, indices=indices),
    lambda grad, key, indices: item(grad, key=key, indices=indices),
)


# ------------------------------------------------------------------ along an axis


def index_array(name, index):
    """An index tensor's array."""
    index = index if isinstance(index, Tensor) else Tensor(as_array(index))
    if index.dtype.kind not in "iu":
        raise TypeError(f"{name}: expected an index of integers, got {index.dtype}")
    return arrays_of([index])[0]


def run_indexed(name, kernel, *arguments):
    """``kernel(*arguments)``, whose ``IndexError`` names the operation."""
    try:
        return kernel(*arguments)
    except IndexError as error:
        raise IndexError(f"{name}: {error}") from None


def _along(name, x, dim, index):
    """(key, index array) of elements ``index`` along ``dim``."""
    axis, index = check_dim(name, dim, x.ndim), index_array(name, index)
    if index.ndim > 1:
        raise ValueError(f"{name}: expected a vector of indices, got shape {index.shape}")
    size = x.shape[axis] if x.ndim else 1
    if not recording.here() and index.size and not 0 <= index.min() <= index.max() < size:
        raise IndexError(f"{name}: an index is out of range; expected 0 <= index < {size}")
    return Key([slice(None)] * axis + [None], [axis]), index.reshape(-1)


def index_select(x, dim, index):
    """The elements ``index``, a vector, along ``dim``: a copy.

    >>> import fastgrad as fg
    >>> fg.index_select(fg.tensor([1.0, 2.0, 3.0]), 0, fg.tensor([2, 0]))
    tensor([3., 1.])
    """
    shape = x.shape
    key, index = _along("index_select", x, dim, index)
    x = x if shape else T.reshape(x, (1,))
    out = item(x, key=key, indices=[index])
    return out if shape else T.reshape(out, ())


@op(name="index_add")
def _index_add(x, source, *, key, index, alpha):
    values = source if alpha == 1 else K.mul(source, alpha)
    out = K.copy(x)
    K.add_at(out, key, values, index)
    return out, (
        lambda grad: grad,
        lambda grad: K.mul(K.take(grad, key, index), alpha),
    )


_index_add.differentiable(
    lambda grad: grad,
    lambda grad, key, index, alpha: item(grad, key=key, indices=[index]) * alpha,
)


def index_add(x, dim, index, source, *, alpha=1):
    """A copy of x with ``alpha · source`` added to the elements ``index`` along ``dim``.

    >>> import fastgrad as fg
    >>> fg.index_add(fg.zeros(3), 0, fg.tensor([1, 1]), fg.tensor([2.0, 3.0]))
    tensor([0., 5., 0.])
    """
    shape = x.shape
    key, index = _along("index_add", x, dim, index)
    if not shape:
        x, source = T.reshape(x, (1,)), T.reshape(source, (-1,))
    out = _index_add(x, source, key=key, index=index, alpha=alpha)
    return out if shape else T.reshape(out, ())


def index_copy(x, dim, index, source):
    """A copy of x with the elements ``index`` along ``dim`` replaced by those of ``source``.

    >>> import fastgrad as fg
    >>> fg.index_copy(fg.zeros(3), 0, fg.tensor([2, 0]), fg.tensor([1.0, 2.0]))
    tensor([2., 0., 1.])
    """
    shape = x.shape
    key, index = _along("index_copy", x, dim, index)
    if not shape:
        x, source = T.reshape(x, (1,)), T.reshape(source, (-1,))
    out = put(x, source, key=key, indices=[index])
    return out if shape else T.reshape(out, ())


def index_fill(x, dim, index, value):
    """A copy of x with the elements ``index`` along ``dim`` set to a number.

    >>> import fastgrad as fg
    >>> fg.index_fill(fg.zeros(3), 0, fg.tensor([2, 0]), 7.0)
    tensor([7., 0., 7.])
    """
    shape = x.shape
    key, index = _along("index_fill", x, dim, index)
    mask = K.zeros(shape or (1,), np.bool_)
    K.put(mask, key, True, index)
    return T.masked_fill(x, Tensor(mask.reshape(shape)), value)


def take(x, index):
    """Elements of the flattened tensor at an index of any shape; negative ones count from the end.

    >>> import fastgrad as fg
    >>> fg.take(fg.tensor([[1.0, 2.0], [3.0, 4.0]]), fg.tensor([3, 0]))
    tensor([4., 1.])
    """
    index = index if isinstance(index, Tensor) else Tensor(np.asarray(index))
    return getitem(T.ravel(x), index)


# ------------------------------------------------------------------ where something holds


def masked_select(x, mask):
    """The elements where the bools ``mask`` hold, a vector; x and mask broadcast.

    >>> import fastgrad as fg
    >>> x = fg.tensor([1.0, -2.0, 3.0])
    >>> fg.masked_select(x, x > 0)
    tensor([1., 3.])
    """
    refuse_recording("masked_select")
    if mask.dtype != np.bool_:
        raise TypeError(f"masked_select: expected a mask of bools, got {mask.dtype}")
    x, mask = T.broadcast_tensors(x, mask)
    return getitem(x, mask) if x.ndim else getitem(T.reshape(x, (1,)), T.reshape(mask, (1,)))


def nonzero(x, *, as_tuple=False):
    """Indices of the elements that are not 0, a row each; as_tuple: a vector for each axis.

    >>> import fastgrad as fg
    >>> fg.nonzero(fg.tensor([[0.0, 1.0], [2.0, 0.0]]))
    tensor([[0, 1],
            [1, 0]])
    """
    refuse_recording("nonzero")
    places = np.argwhere(x.data)
    if not as_tuple:
        return Tensor(places)
    return (
        tuple(Tensor(np.ascontiguousarray(row)) for row in places.T)
        if x.ndim
        else (Tensor(np.zeros(len(places), np.int64)),)
    )


def argwhere(x):
    """Indices of the elements that are not 0, a row each.

    >>> import fastgrad as fg
    >>> fg.argwhere(fg.tensor([0.0, 2.0]))
    tensor([[1]])
    """
    return nonzero(x)


def one_hot(x, num_classes=-1):
    """Int64 vectors (\\*, num_classes) with a 1 at each label; -1: as many classes as needed.

    Raises ``IndexError`` for a label that is negative or no class.

    >>> import fastgrad as fg
    >>> fg.one_hot(fg.tensor([2, 0]))
    tensor([[0, 0, 1],
            [1, 0, 0]])
    """
    if x.dtype.kind not in "iu":
        raise TypeError(f"one_hot: expected integer labels, got {x.dtype}")
    if num_classes == -1:
        refuse_recording("one_hot without num_classes")
        if not x.numel():
            raise ValueError("one_hot: the labels are empty; say num_classes")
        num_classes = int(x.data.max()) + 1
    shape = (*x.shape, num_classes)
    index = arrays_of([x])[0].astype(np.int64).reshape(*x.shape, 1)
    one = np.ones((), np.int64)
    out = run_indexed("one_hot", K.scatter, K.zeros(shape, np.int64), index, one, x.ndim)
    return Tensor(out)
