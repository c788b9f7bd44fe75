"""Rules of matrix products."""

import math

import numpy as np

from ..backend import K
from ..lifting import op
from ..tape import as_array, broadcasts
from ._family import T, combine

__all__ = [
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "dot", "inner", "matmul", "mm", "mv",
    "outer", "vdot",
]  # fmt: skip


@op
def matmul(a, b):
    """Matrix product ``a · b``.

    (m, k)·(k, n) gives (m, n). Leading axes are a batch and broadcast: (\\*, m, k)·(\\*, k, n)
    gives (\\*, m, n). A vector counts as a row on the left, as a column on the right, and leaves
    no axis in the result. Integers have no gradient.

    Raises ``ValueError`` where the shapes do not fit, ``TypeError`` where the types differ.

    >>> import fastgrad as fg
    >>> fg.matmul(fg.tensor([[1.0, 2.0]]), fg.tensor([[3.0], [4.0]]))
    tensor([[11.]])
    >>> fg.matmul(fg.ones(5, 1, 2, 3), fg.ones(4, 3, 6)).shape
    (5, 4, 2, 6)
    """
    dtype = a.dtype
    if not (a.ndim == b.ndim == 2 and dtype is b.dtype and dtype.kind == "f"):
        return _matmul_any(a, b)
    if a.shape[1] != b.shape[0]:
        raise _inner_sizes_differ("matmul", a, b)
    return K.matmul(a, b), (lambda grad: K.matmul_nt(grad, b), lambda grad: K.matmul_tn(a, grad))


def _matmul_any(a, b):
    """``matmul`` where an operand is not a matrix, or not of floats."""
    out = _product("matmul", a, b)
    if out.dtype.kind != "f":
        return out, None
    a_shape, b_shape = a.shape, b.shape
    return out, (
        lambda grad: _of_left(K, grad, b, a_shape),
        lambda grad: _of_right(K, grad, a, b_shape),
    )


def _product(name, a, b):
    """``a · b`` of arrays of any number of axes."""
    _check_types(name, a, b)
    if not a.ndim or not b.ndim:
        raise ValueError(f"{name}: expected one axis or more, got {a.shape} @ {b.shape}")
    if a.shape[-1] != b.shape[max(b.ndim - 2, 0)]:
        raise _inner_sizes_differ(name, a, b)
    left, right = _as_matrices(a, b)
    columns = b.shape[-1:] if b.ndim > 1 else ()
    if b.ndim <= 2:
        return _shaped(_multiply(left, right), (*a.shape[:-1], *columns))
    try:
        batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError:
        raise ValueError(
            f"{name}: batches differ: {a.shape} @ {b.shape}; expected leading axes that broadcast"
        ) from None
    return _shaped(_multiply(left, right), (*batch, *a.shape[-2:-1], *columns))


def _multiply(left, right):
    one = left.ndim == right.ndim == 2 and left.dtype.kind == "f"
    return K.matmul(left, right) if one else K.bmm(left, right)


def _as_matrices(a, b):
    """Operands with a row on the left and a column on the right; one right matrix is one left."""
    right = b if b.ndim > 1 else b.reshape(b.shape[0], 1)
    if b.ndim <= 2:
        return a.reshape(math.prod(a.shape[:-1]), a.shape[-1]), right
    return a if a.ndim > 1 else a.reshape(1, a.shape[0]), right


def _shaped(x, shape):
    """``x`` in a shape; itself if it has that, as no other array may then be behind it."""
    return x if x.shape == shape else x.reshape(shape)


def _of_left(m, grad, b, a_shape):
    """Gradient of a in ``a · b``, up to a sum over the batch; of arrays (m = K) or tensors (T)."""
    if len(b.shape) > 2:
        vector = len(a_shape) == 1
        grad = grad.reshape(*grad.shape[:-1], 1, grad.shape[-1]) if vector else grad
        grad = m.bmm_nt(grad, b)
        return grad.reshape(*grad.shape[:-2], grad.shape[-1]) if vector else grad
    columns = b.shape[1] if len(b.shape) > 1 else 1
    grad = _shaped(grad, (math.prod(a_shape[:-1]), columns))
    b = _shaped(b, (b.shape[0], columns))
    return _shaped(m.bmm_nt(grad, b), a_shape)


def _of_right(m, grad, a, b_shape):
    """Gradient of b in ``a · b``; see ``_of_left``."""
    if len(b_shape) > 2:
        if len(a.shape) == 1:
            grad, a = grad.reshape(*grad.shape[:-1], 1, grad.shape[-1]), a.reshape(1, *a.shape)
        return m.bmm_tn(a, grad)
    rows, columns = math.prod(a.shape[:-1]), b_shape[1] if len(b_shape) > 1 else 1
    a, grad = _shaped(a, (rows, a.shape[-1])), _shaped(grad, (rows, columns))
    return _shaped(m.bmm_tn(a, grad), b_shape)


matmul.differentiable(
    lambda grad, b, a_shape=None: _of_left(T, grad, b, a_shape) if a_shape else bmm_nt(grad, b),
    lambda grad, a, b_shape=None: _of_right(T, grad, a, b_shape) if b_shape else bmm_tn(a, grad),
)


def bmm_nt(a, b):
    """``a · bᵀ``, of matrices or batches, for gradients' formulas."""
    return matmul(a, b.transpose(-1, -2))


def bmm_tn(a, b):
    """``aᵀ · b``, of matrices or batches, for gradients' formulas."""
    return matmul(a.transpose(-1, -2), b)


def _inner_sizes_differ(name, a, b):
    return ValueError(
        f"{name}: inner sizes differ: {a.shape} @ {b.shape}; expected ({a.shape[-1]}, n) on the "
        "right"
    )


def _check_types(name, *arrays, integers=True):
    """Arrays of one type, of floats or integers, or a TypeError that names them."""
    dtypes = [x.dtype for x in arrays]
    if len(set(dtypes)) > 1 or dtypes[0].kind not in ("fiu" if integers else "f"):
        raise TypeError(
            f"{name}: expected float tensors of one type, got "
            f"{' and '.join(dtype.name for dtype in dtypes)}; convert with x.to(dtype)"
        )


# ------------------------------------------------------------------ of given numbers of axes


def _check_shapes(name, expected, ndims, *operands):
    """Raise a ValueError unless operands have so many axes, and the inner sizes agree."""
    shapes = [x.shape for x in operands]
    a, b = shapes[-2:]
    if [len(shape) for shape in shapes[-2:]] != list(ndims) or a[-1] != b[max(len(b) - 2, 0)]:
        got = " and ".join(str(shape) for shape in shapes)
        raise ValueError(f"{name}: expected {expected}, got {got}")


def mm(a, b):
    """Product of two matrices, (m, k)·(k, n).

    >>> import fastgrad as fg
    >>> fg.mm(fg.tensor([[1.0, 2.0]]), fg.tensor([[3.0], [4.0]]))
    tensor([[11.]])
    """
    _check_shapes("mm", "(m, k) and (k, n)", (2, 2), a, b)
    return matmul(a, b)


def bmm(a, b):
    """Products of two batches of matrices, (b, m, k)·(b, k, n); nothing broadcasts.

    >>> import fastgrad as fg
    >>> fg.bmm(fg.ones(5, 2, 3), fg.ones(5, 3, 4)).shape
    (5, 2, 4)
    """
    _check_batch("bmm", "(b, m, k) and (b, k, n)", a, b)
    return matmul(a, b)


def _check_batch(name, expected, *operands):
    _check_shapes(name, expected, (3, 3), *operands)
    a, b = operands[-2:]
    if a.shape[0] != b.shape[0]:
        raise ValueError(f"{name}: expected {expected}, got {a.shape} and {b.shape}")


def mv(a, b):
    """Product of a matrix and a vector, (m, k)·(k,).

    >>> import fastgrad as fg
    >>> fg.mv(fg.tensor([[1.0, 2.0], [3.0, 4.0]]), fg.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    _check_shapes("mv", "(m, k) and (k,)", (2, 1), a, b)
    return matmul(a, b)


def dot(a, b):
    """``Σ aᵢ · bᵢ`` of two vectors.

    >>> import fastgrad as fg
    >>> fg.dot(fg.tensor([1.0, 2.0]), fg.tensor([3.0, 4.0]))
    tensor(11.)
    """
    _check_shapes("dot", "(k,) and (k,)", (1, 1), a, b)
    return matmul(a, b)


def vdot(a, b):
    """``Σ aᵢ · bᵢ`` of two vectors, like ``dot``.

    >>> import fastgrad as fg
    >>> fg.vdot(fg.tensor([1.0, 2.0]), fg.tensor([3.0, 4.0]))
    tensor(11.)
    """
    _check_shapes("vdot", "(k,) and (k,)", (1, 1), a, b)
    return matmul(a, b)


def inner(a, b):
    """Dot products along the last axes, (\\*p, k)·(\\*q, k) gives (\\*p, \\*q); a number scales.

    >>> import fastgrad as fg
    >>> fg.inner(fg.tensor([[1.0, 2.0], [3.0, 4.0]]), fg.tensor([1.0, 1.0]))
    tensor([3., 7.])
    """
    if not a.ndim or not b.ndim:
        return T.mul(a, b)
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(f"inner: expected last axes of one size, got {a.shape} and {b.shape}")
    k = a.shape[-1]
    rows, columns = math.prod(a.shape[:-1]), math.prod(b.shape[:-1])
    out = bmm_nt(T.reshape(a, shape=(rows, k)), T.reshape(b, shape=(columns, k)))
    return out.reshape(*a.shape[:-1], *b.shape[:-1])


def outer(a, b):
    """``aᵢ · bⱼ`` of two vectors, (m, n).

    >>> import fastgrad as fg
    >>> fg.outer(fg.tensor([1.0, 2.0]), fg.tensor([3.0, 4.0]))
    tensor([[3., 4.],
            [6., 8.]])
    """
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError(f"outer: expected (m,) and (n,), got {a.shape} and {b.shape}")
    return T.mul(T.reshape(a, shape=(a.shape[0], 1)), b)


# ------------------------------------------------------------------ added to something


def _add_product(name):
    """The operation ``beta · x + alpha · a · b``, x broadcast to the product's shape."""

    def rule(x, a, b, *, beta=1, alpha=1):
        a_shape, b_shape = a.shape, b.shape
        _check_types(name, x, a, b)
        floats = x.dtype.kind == "f"
        fits = len(a_shape) == len(b_shape) == 2 and a_shape[1] == b_shape[0]
        if floats and fits and beta == alpha == 1 and x.shape == b_shape[1:]:
            out = K.matmul(a, b, x)  # as in a linear layer
        else:
            out = _product(name, a, b)
            if not broadcasts(x.shape, out.shape):
                raise ValueError(f"{name}: x of shape {x.shape} does not broadcast to {out.shape}")
            if not floats:
                return _add_integers(x, out, int(beta), int(alpha)), None  # cut off, as in PyTorch
            if alpha != 1:
                K.mul(out, alpha, out=out)
            if beta != 0:  # else not even a NaN of x counts
                K.add(out, _scaled(K, x, beta), out=out)
        return out, (
            lambda grad: _scaled(K, grad, beta),
            lambda grad: _of_left(K, _scaled(K, grad, alpha), b, a_shape),
            lambda grad: _of_right(K, _scaled(K, grad, alpha), a, b_shape),
        )

    return op(rule, name=name).differentiable(
        lambda grad, beta: _scaled(T, grad, beta),
        lambda grad, b, a_shape, alpha: _of_left(T, _scaled(T, grad, alpha), b, a_shape),
        lambda grad, a, b_shape, alpha: _of_right(T, _scaled(T, grad, alpha), a, b_shape),
    )


def _scaled(m, x, factor):
    return x if factor == 1 else m.mul(x, factor)


def _add_integers(x, product, beta, alpha):
    product = combine("mul", product, alpha)
    return combine("add", product, as_array(combine("mul", x, beta))) if beta else product


_addmm, _addmv, _baddbmm, _addbmm, _addr = (
    _add_product(name) for name in ("addmm", "addmv", "baddbmm", "addbmm", "addr")
)


def addmm(x, a, b, *, beta=1, alpha=1):
    """``beta · x + alpha · a · b`` with a (m, k), b (k, n), and x broadcast to (m, n).

    With beta 0, x does not count at all, whatever it holds.

    >>> import fastgrad as fg
    >>> fg.addmm(fg.tensor([1.0]), fg.tensor([[1.0, 2.0]]), fg.tensor([[3.0], [4.0]]), alpha=2)
    tensor([[23.]])
    """
    _check_shapes("addmm", "x, (m, k) and (k, n)", (2, 2), x, a, b)
    return _addmm(x, a, b, beta=beta, alpha=alpha)


def addmv(x, a, b, *, beta=1, alpha=1):
    """``beta · x + alpha · a · b`` with a (m, k), b (k,), and x broadcast to (m,); see ``addmm``.

    >>> import fastgrad as fg
    >>> fg.addmv(fg.tensor([1.0]), fg.tensor([[1.0, 2.0]]), fg.tensor([3.0, 4.0]))
    tensor([12.])
    """
    _check_shapes("addmv", "x, (m, k) and (k,)", (2, 1), x, a, b)
    return _addmv(x, a, b, beta=beta, alpha=alpha)


def baddbmm(x, a, b, *, beta=1, alpha=1):
    """``beta · x + alpha · a · b`` with a (b, m, k), b (b, k, n), x broadcast; see ``addmm``.

    >>> import fastgrad as fg
    >>> fg.baddbmm(fg.zeros(1), fg.ones(5, 2, 3), fg.ones(5, 3, 4)).shape
    (5, 2, 4)
    """
    _check_batch("baddbmm", "x, (b, m, k) and (b, k, n)", x, a, b)
    return _baddbmm(x, a, b, beta=beta, alpha=alpha)


def addbmm(x, a, b, *, beta=1, alpha=1):
    """``beta · x + alpha · Σᵢ a[i] · b[i]`` with a (b, m, k), b (b, k, n), x broadcast to (m, n).

    >>> import fastgrad as fg
    >>> fg.addbmm(fg.tensor([1.0]), fg.ones(5, 1, 3), fg.ones(5, 3, 1))
    tensor([[16.]])
    """
    _check_batch("addbmm", "x, (b, m, k) and (b, k, n)", x, a, b)
    items, rows, depth = a.shape
    # one product: the sum over the batch is part of the sum over the inner axis
    left = T.transpose(a, dim0=0, dim1=1).reshape(rows, items * depth)
    right = T.reshape(b, shape=(items * depth, b.shape[2]))
    return _addbmm(x, left, right, beta=beta, alpha=alpha)


def addr(x, a, b, *, beta=1, alpha=1):
    """``beta · x + alpha · aᵢ · bⱼ`` with a (m,), b (n,), and x broadcast to (m, n); see ``addmm``.

    >>> import fastgrad as fg
    >>> fg.addr(fg.tensor([1.0]), fg.tensor([1.0, 2.0]), fg.tensor([3.0, 4.0]))
    tensor([[4., 5.],
            [7., 9.]])
    """
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError(f"addr: expected x, (m,) and (n,), got {x.shape}, {a.shape}, {b.shape}")
    column, row = T.reshape(a, shape=(a.shape[0], 1)), T.reshape(b, shape=(1, b.shape[0]))
    if x.dtype == a.dtype == b.dtype == np.bool_:  # "or" for the sum, "and" for the products
        return T.add(T.mul(x, bool(beta)), T.mul(T.mul(column, row), bool(alpha)))
    return _addr(x, column, row, beta=beta, alpha=alpha)
