"""Contractions of several axes at once: einsum, tensordot, kron. All products are ``matmul``'s."""

import math
import operator
import string
from functools import lru_cache

import numpy as np

from ..backend import K, empty
from ..lifting import op
from ._family import T
from .reduce import check_dims

__all__ = ["einsum", "kron", "tensordot"]


# ------------------------------------------------------------------ views


@op(linear=True)
def _permute(x, *, axes):
    back = tuple(axes.index(axis) for axis in range(len(axes)))
    return x.transpose(axes), lambda grad: grad.transpose(back)


def _permuted(x, axes):
    return x if axes == tuple(range(len(axes))) else _permute(x, axes=axes)


def _reshaped(x, shape):
    return x if x.shape == shape else T.reshape(x, shape=shape)


@op(linear=True)
def _last_diagonal(x):
    """The diagonal of the last two axes, which have one size."""
    shape, n = x.shape, x.shape[-1]
    outer = shape[:-2]

    def vjp(grad):
        out = empty(shape, grad.dtype)
        K.fill(out, 0)
        out.reshape(*outer, n * n)[..., :: n + 1] = grad
        return out

    return x.reshape(*outer, n * n)[..., :: n + 1], vjp


# ------------------------------------------------------------------ two operands


def _contract(a, b, left, right, result):
    """The product of two tensors whose axes are named by ``left`` and ``right``.

    A name that is not in ``result`` is summed over. Each name stands for one axis of an operand,
    and every name of only one operand is in ``result``.
    """
    shared = [name for name in left if name in right]
    batch = [name for name in shared if name in result]
    inner = [name for name in shared if name not in result]
    rows = [name for name in left if name not in right]
    columns = [name for name in right if name not in left]
    sizes = {**dict(zip(left, a.shape, strict=True)), **dict(zip(right, b.shape, strict=True))}
    if not inner or (batch and not rows and not columns):  # nothing to add up, or only that
        out = T.mul(
            _grouped(a, left, (*batch, *rows, *inner), sizes, len(columns), len(batch + rows)),
            _grouped(b, right, (*batch, *columns, *inner), sizes, len(rows), len(batch)),
        )
        if inner:
            out = out.sum(dim=tuple(range(len(batch), len(batch) + len(inner))))
    else:
        a = _matrices(a, left, (batch, rows, inner), sizes)
        b = _matrices(b, right, (batch, inner, columns), sizes)
        out = T.matmul(a, b)
        out = _reshaped(out, tuple(sizes[name] for name in (*batch, *rows, *columns)))
    order = (*batch, *rows, *columns)
    return _permuted(out, tuple(order.index(name) for name in result))


def _grouped(x, names, order, sizes, more, at):
    """``x`` with its axes in an order, and ``more`` axes of size 1 before axis ``at``."""
    x = _permuted(x, tuple(names.index(name) for name in order))
    shape = [sizes[name] for name in order]
    shape[at:at] = [1] * more
    return _reshaped(x, tuple(shape))


def _matrices(x, names, groups, sizes):
    """``x`` as (batch, rows, columns), or (rows, columns) without a batch.

    Where it is stored the other way round, as a view of that.
    """
    batch, first, second = groups
    turned = tuple(names) == (*batch, *second, *first) and second and first
    order = (*batch, *second, *first) if turned else (*batch, *first, *second)
    x = _permuted(x, tuple(names.index(name) for name in order))
    merged = (batch, second, first) if turned else groups
    shape = tuple(math.prod(sizes[name] for name in group) for group in merged)
    x = _reshaped(x, shape if batch else shape[1:])
    return T.transpose(x, dim0=-1, dim1=-2) if turned else x


def tensordot(a, b, dims=2):
    """Sum of products over several axes of both.

    dims   how many: the last of a and the first of b; or their numbers in a and in b, two lists

    >>> import fastgrad as fg
    >>> fg.tensordot(fg.ones(2, 3, 4), fg.ones(3, 4, 5), dims=2).shape
    (2, 5)
    >>> fg.tensordot(fg.ones(2, 3), fg.ones(4, 2), dims=([0], [1])).shape
    (3, 4)
    """
    if isinstance(dims, tuple | list):
        if len(dims) != 2:
            raise ValueError(f"tensordot: expected dims of a and dims of b, got {dims}")
        of_a, of_b = ([d] if isinstance(d, int) else list(d) for d in dims)
    else:
        count = operator.index(dims)
        if not 0 <= count <= min(a.ndim, b.ndim):
            raise ValueError(f"tensordot: {a.shape} and {b.shape} have no {count} axes to sum over")
        of_a, of_b = range(a.ndim - count, a.ndim), range(count)
    for x, axes in ((a, of_a), (b, of_b)):
        check_dims("tensordot", tuple(axes), x.ndim)
    of_a, of_b = [d % a.ndim for d in of_a], [d % b.ndim for d in of_b]
    for d, e in zip(of_a, of_b, strict=False):  # an axis of size 1 goes with any
        if a.shape[d] != b.shape[e] == 1:
            a = T.sum(a, dim=d, keepdim=True)
        elif b.shape[e] != a.shape[d] == 1:
            b = T.sum(b, dim=e, keepdim=True)
    if [a.shape[d] for d in of_a] != [b.shape[d] for d in of_b]:
        raise ValueError(
            f"tensordot: dims {of_a} of {a.shape} and {of_b} of {b.shape} differ in size or number"
        )
    left = list(range(a.ndim))
    right = list(range(a.ndim, a.ndim + b.ndim))
    for d, e in zip(of_a, of_b, strict=True):
        right[e] = d
    result = [name for name in (*left, *right) if (name in left) != (name in right)]
    return _contract(a, b, left, right, result)


def kron(a, b):
    """Kronecker product: every element of a, times the whole of b.

    >>> import fastgrad as fg
    >>> fg.kron(fg.tensor([1.0, 10.0]), fg.tensor([1.0, 2.0]))
    tensor([ 1.,  2., 10., 20.])
    """
    ndim = max(a.ndim, b.ndim)
    p, q = ((1,) * (ndim - x.ndim) + tuple(x.shape) for x in (a, b))
    left = T.reshape(a, shape=tuple(n for size in p for n in (size, 1)))
    right = T.reshape(b, shape=tuple(n for size in q for n in (1, size)))
    return T.mul(left, right).reshape(tuple(m * n for m, n in zip(p, q, strict=True)))


# ------------------------------------------------------------------ einsum


def einsum(equation, *operands):
    """Sums of products by Einstein's convention, as in ``einsum("bij,bjk->bik", a, b)``.

    Every letter names an axis, and axes of one letter go together. A letter that is not in the
    result is summed over; a letter twice in an operand takes a diagonal; an ellipsis stands for
    any number of axes, which broadcast. Without ``->`` the result has the ellipsis and then, in
    order, the letters that occur once. Also called as ``einsum(a, [0, 1], b, [1, 2], [0, 2])``.

    More than two operands are multiplied in the order that takes the least work.

    Raises ``ValueError`` for an equation that cannot be read, or does not fit the shapes.

    >>> import fastgrad as fg
    >>> a, b = fg.tensor([[1.0, 2.0], [3.0, 4.0]]), fg.tensor([1.0, 10.0])
    >>> fg.einsum("ij,j->i", a, b)
    tensor([21., 43.])
    >>> fg.einsum("ii", a)
    tensor(5.)
    """
    if not isinstance(equation, str):
        equation, operands = _from_sublists((equation, *operands))
    elif len(operands) == 1 and isinstance(operands[0], tuple | list):
        operands = operands[0]
    names, result, path = _plan(equation, tuple([tuple(x.shape) for x in operands]))
    terms = [_prepared(x, *name) for x, name in zip(operands, names, strict=True)]
    for chosen in path:
        several = [terms.pop(k) for k in sorted(chosen, reverse=True)][::-1]
        while len(several) > 1:
            (a, left), (b, right) = several[:2]
            needed = {*result, *(name for _, rest in (*terms, *several[2:]) for name in rest)}
            a, left = _summed(a, left, {*needed, *right})
            b, right = _summed(b, right, {*needed, *left})
            either = [*left, *(name for name in right if name not in left)]
            kept = [name for name in either if name in needed]
            last = not terms and len(several) == 2
            kept = result if last and len(kept) == len(result) else kept
            several[:2] = [(_contract(a, b, left, right, kept), kept)]
        terms.append(several[0])
    ((out, names),) = terms
    out, names = _summed(out, names, set(result))
    return _permuted(out, tuple(names.index(name) for name in result))


def _summed(x, names, needed):
    """``x`` summed over the axes whose names nobody needs."""
    dims = tuple(k for k, name in enumerate(names) if name not in needed)
    if not dims:
        return x, names
    return T.sum(x, dim=dims), [name for name in names if name in needed]


def _prepared(x, names, dropped):
    """(tensor, names of its axes): each name once, without the ``dropped`` axes of size 1."""
    if dropped:
        x = T.reshape(x, shape=tuple(n for k, n in enumerate(x.shape) if k not in dropped))
    names = list(names)
    for name in [name for name in set(names) if names.count(name) > 1]:
        while names.count(name) > 1:
            first = names.index(name)
            second = names.index(name, first + 1)
            others = [k for k in range(len(names)) if k not in (first, second)]
            x = _last_diagonal(_permuted(x, (*others, first, second)))
            names = [*(names[k] for k in others), name]
    return x, names


def _from_sublists(operands):
    """The equation, and the tensors, of ``einsum(a, [0, 1], b, [1, 2], [0, 2])``."""
    tensors, lists = operands[0::2], list(operands[1::2])
    result = None
    if len(tensors) > len(lists):
        tensors, result = tensors[:-1], tensors[-1]

    def letters(numbers):
        if not isinstance(numbers, tuple | list):
            raise TypeError(f"einsum: expected a list of axes' numbers, got {numbers!r}")
        for k in numbers:
            if k is not Ellipsis and not 0 <= k < 52:
                raise ValueError(f"einsum: axis number {k} is not from 0 to 51")
        return "".join("..." if k is Ellipsis else string.ascii_letters[k] for k in numbers)

    equation = ",".join(letters(numbers) for numbers in lists)
    if result is None:  # in the order of the numbers, which is not that of letters
        plain = equation.replace(".", "").replace(",", "")
        once = sorted({c for c in plain if plain.count(c) == 1}, key=string.ascii_letters.index)
        return f"{equation}->{'...' * ('.' in equation)}{''.join(once)}", tensors
    return f"{equation}->{letters(result)}", tensors


@lru_cache(maxsize=1024)
def _plan(equation, shapes):
    """(names and dropped axes of each operand, names of the result, order of contractions)."""
    terms, result = _parsed(equation, [len(shape) for shape in shapes])
    sizes = {}
    for term, shape in zip(terms, shapes, strict=True):
        for name, size in zip(term, shape, strict=True):
            before = sizes.setdefault(name, size)
            if before == 1:
                sizes[name] = size
            elif size not in (1, before):
                raise ValueError(
                    f"einsum: {equation!r} does not fit shapes {' and '.join(map(str, shapes))}: "
                    f"one axis has sizes {before} and {size}"
                )
    names = []
    for term, shape in zip(terms, shapes, strict=True):
        # an axis of size 1 that broadcasts against another operand's is left out here
        pairs = enumerate(zip(term, shape, strict=True))
        dropped = tuple(k for k, (name, size) in pairs if size == 1 != sizes[name])
        names.append((tuple(name for k, name in enumerate(term) if k not in dropped), dropped))
    return names, result, _order([term for term, _ in names], result, sizes)


def _order(terms, result, sizes):
    """Which operands to contract, step by step: positions among those that are left."""
    if len(terms) < 3:
        return [tuple(range(len(terms)))]
    letters = dict(zip(sizes, string.ascii_letters, strict=False))
    if len(letters) < len(sizes):
        return [tuple(range(len(terms)))]
    words = ["".join(dict.fromkeys(letters[name] for name in term)) for term in terms]
    dummies = [
        np.broadcast_to(0.0, [sizes[name] for name in dict.fromkeys(term)]) for term in terms
    ]
    equation = f"{','.join(words)}->{''.join(letters[name] for name in result)}"
    path, _ = np.einsum_path(equation, *dummies, optimize="optimal" if len(terms) < 6 else "greedy")
    return path[1:]


def _parsed(equation, ndims):
    """Names of the axes of each operand and of the result; those of an ellipsis are numbers."""

    def wrong(what):
        return ValueError(f"einsum: {equation!r} {what}")

    given, arrow, output = equation.replace(" ", "").partition("->")
    words = given.split(",")
    if len(words) != len(ndims):
        raise wrong(f"names {len(words)} operands, got {len(ndims)}")
    most, terms = 0, []
    for position, (word, ndim) in enumerate(zip(words, ndims, strict=True)):
        before, dots, after = word.partition("...")
        for c in before + after:
            if c not in string.ascii_letters:
                raise wrong(f"has the character {c!r}; expected letters, commas, '...' and '->'")
        rest = ndim - len(before) - len(after)
        if rest < 0 or (rest and not dots):
            raise wrong(
                f"names {len(before) + len(after)} axes of operand {position}, which has {ndim}"
            )
        most = max(most, rest)
        # numbered from the last, as they broadcast
        terms.append((*before, *range(rest - 1, -1, -1), *after))
    counts = "".join(words)
    if not arrow:
        once = sorted({c for c in counts if c != "." and counts.count(c) == 1})
        return terms, (*range(most - 1, -1, -1), *once)
    before, dots, after = output.partition("...")
    result = (*before, *(range(most - 1, -1, -1) if dots else ()), *after)
    for c in (*before, *after):
        if c not in string.ascii_letters or c not in counts:
            raise wrong(f"has {c!r} in its result, which no operand has")
        if result.count(c) > 1:
            raise wrong(f"has {c!r} twice in its result")
    return terms, result
