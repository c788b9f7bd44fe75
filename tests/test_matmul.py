"""What rows cannot say of the matrix products: integers, layouts, calling forms, compiled steps."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import kernels
from fastgrad.ops.einsum import _plan

_rng = np.random.default_rng(0)


def _turned(x):
    """The same values, stored with the last two axes exchanged."""
    return np.ascontiguousarray(x.swapaxes(-1, -2)).swapaxes(-1, -2)


@pytest.mark.parametrize("name", ["bmm", "bmm_nt", "bmm_tn"])
@pytest.mark.parametrize("size", [(4, 1, 5, 6), (4, 6, 5, 1), (4, 6, 1, 5), (9, 20, 17, 33)])
def test_layout_changes_no_bit(name, size):
    """Neither which of a batch's axes is contiguous, nor how often a broadcast matrix is stored."""
    items, rows, depth, columns = size
    left = (items, depth, rows) if name == "bmm_tn" else (items, rows, depth)
    right = (1, columns, depth) if name == "bmm_nt" else (1, depth, columns)
    a, b = (_rng.standard_normal(shape).astype(np.float32) for shape in (left, right))
    product = getattr(kernels, name)
    expected = product(a, b)
    for x in (a, _turned(a), np.repeat(a, 2, axis=-1)[..., ::2]):
        for y in (b, _turned(b), np.broadcast_to(b, (items, *b.shape[1:])), b[0]):
            assert product(x, y).tobytes() == expected.tobytes()


def _addmm(a, b, **options):
    return fg.addmm(fg.tensor(2).to(a.dtype), a, b, **options)


_INTEGER_PRODUCTS = {
    "matrices": (fg.matmul, (2, 3), (3, 4)),
    "batch and vector": (fg.matmul, (5, 2, 3), (3,)),
    "vector and batch": (fg.matmul, (3,), (5, 3, 4)),
    "dot": (fg.dot, (3,), (3,)),
    "einsum": (lambda a, b: fg.einsum("ij,jk->ki", a, b), (2, 3), (3, 4)),
    "addmm": (
        lambda a, b: _addmm(a, b, beta=3, alpha=-1),
        (2, 3),
        (3, 4),
    ),
    "addmm, beta 0": (
        lambda a, b: _addmm(a, b, beta=0),
        (2, 3),
        (3, 4),
    ),
}


@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("name", _INTEGER_PRODUCTS)
def test_integers(name, dtype):
    """Products of integers are exact, and of their own type."""
    call, *shapes = _INTEGER_PRODUCTS[name]
    arrays = [_rng.integers(0, 4, shape) for shape in shapes]
    out, exact = (
        call(*(fg.Tensor(x.astype(kind)) for x in arrays)) for kind in (dtype, np.float64)
    )
    assert out.dtype == dtype
    np.testing.assert_array_equal(out.data, exact.data)


def test_types_and_numbers_that_do_not_fit_are_refused():
    floats, integers = fg.ones(2, 2), fg.Tensor(np.ones((2, 2), np.int64))
    for call in (fg.matmul, fg.mm, lambda a, b: fg.addmm(a, a, b)):
        with pytest.raises(TypeError, match="expected float tensors of one type"):
            call(floats, integers)
    with pytest.raises(TypeError, match="matmul: expected float tensors"):
        fg.matmul(fg.Tensor(np.ones((2, 2), bool)), fg.Tensor(np.ones((2, 2), bool)))


def test_factors_of_integers_are_cut_off():
    x = fg.tensor([[10, 20]])
    out = fg.addmm(x, fg.tensor([[1]]), fg.tensor([[3, 4]]), beta=1.6, alpha=2.9)
    assert out.tolist() == [[16, 28]]


def test_bools_make_outer_products_by_and_and_or():
    a, x = fg.tensor([True, False]), fg.tensor([False, True])
    assert fg.addr(x, a, a).tolist() == [[True, True], [False, True]]
    assert fg.addr(x, a, a, beta=0).tolist() == [[True, False], [False, False]]


@pytest.mark.parametrize("shape", [(4, 3), (3,), ()])
def test_beta_0_looks_at_nothing(shape):
    a, b = fg.ones(4, 2), fg.ones(2, 3)
    x = fg.Tensor(np.full(shape, np.nan, np.float32), requires_grad=True)
    out = fg.addmm(x, a, b, beta=0)
    np.testing.assert_array_equal(out.data, np.full((4, 3), 2.0))
    out.sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.zeros(shape))


@pytest.mark.parametrize(
    ("axes", "equation"),
    [
        (([0, 1], [0, 1], [1]), "ij,ij->j"),
        (([0, 1], [2, 1]), "ij,kj->ik"),
        (([1, 0], [2, 0]), "ji,ki->jk"),
        (([..., 1], [..., 1], [...]), "...j,...j->..."),
        (([30, 3], [4, 3]), "Ai,ji->jA"),
    ],
)
def test_einsum_by_lists_of_axes(axes, equation):
    a, b = _rng.standard_normal((3, 4)), _rng.standard_normal((3, 4))
    out = fg.einsum(fg.Tensor(a), axes[0], fg.Tensor(b), *axes[1:])
    np.testing.assert_allclose(out.data, np.einsum(equation, a, b), rtol=1e-12)


def test_einsum_refuses_axes_that_are_none():
    with pytest.raises(ValueError, match="axis number 52 is not from 0 to 51"):
        fg.einsum(fg.ones(2), [52])
    with pytest.raises(TypeError, match="expected a list of axes' numbers"):
        fg.einsum(fg.ones(2), fg.ones(2))


def test_einsum_multiplies_in_the_order_of_least_work():
    shapes = (1000, 1), (1, 1000), (1000, 1)
    assert _plan("ab,bc,cd->ad", shapes)[2][0] == (1, 2)
    assert _plan("ab,bc,cd->ad", ((1, 9), (9, 1), (1, 9)))[2][0] == (0, 1)
    out = fg.einsum("ab,bc,cd->ad", *(fg.ones(shape) for shape in shapes))
    np.testing.assert_array_equal(out.data, np.full((1000, 1), 1000.0))


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_size_1_broadcasts_in_einsum(backend):
    fg.set_backend(backend)
    a, b = _rng.standard_normal((3, 1)), _rng.standard_normal((4, 5))
    out = fg.einsum("ij,jk->ik", fg.Tensor(a), fg.Tensor(b))
    np.testing.assert_allclose(out.data, a * b.sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize(
    "forward",
    [
        lambda w, x: fg.matmul(x, w),
        lambda w, x: fg.matmul(w.t(), x),
        lambda w, x: fg.einsum("bij,jk,bkl->il", x, w, x),
        lambda w, x: fg.einsum("bii,jj->bj", x, w),
        lambda w, x: fg.baddbmm(w, x, x, beta=0.5, alpha=2.0),
        lambda w, x: fg.addbmm(w, x, x),
        lambda w, x: fg.tensordot(x, w, dims=([1], [0])),
        lambda w, x: fg.kron(w, x),
        lambda w, x: fg.matmul(x, w).reshape(12, 4) @ w.reshape(4, 4).t(),
    ],
)
def test_a_compiled_step_computes_the_same(forward):
    w = fg.Tensor(_rng.standard_normal((4, 4)).astype(np.float32), requires_grad=True)

    def step(x):
        w.grad = None
        out = forward(w, x)
        (out * out).sum().backward()
        return out

    compiled = fg.compile(step)
    for seed in range(3):
        x = np.random.default_rng(seed).standard_normal((3, 4, 4)).astype(np.float32)
        out, grad = compiled(fg.Tensor(x)).data, w.grad.data.copy()
        assert step(fg.Tensor(x)).data.tobytes() == out.tobytes()
        assert w.grad.data.tobytes() == grad.tobytes()


def test_a_compiled_step_computes_the_same_second_gradients():
    """A penalty on the slope of a classifier's loss."""
    layers = fg.nn.Linear(4, 6), fg.nn.BatchNorm1d(6), fg.nn.Linear(6, 3)
    model = fg.nn.Sequential(layers[0], fg.nn.ReLU(), layers[1], fg.nn.ReLU(), layers[2])
    parameters = list(model.parameters())
    labels = fg.Tensor(np.array([0, 2, 1, 1, 0]))

    def step(x):
        for p in parameters:
            p.grad = None
        loss = fg.cross_entropy(model(x), labels, label_smoothing=0.1)
        slopes = fg.grad(loss, parameters, create_graph=True)
        penalty = loss + fg.mse_loss(slopes[0], fg.zeros(4, 6))
        penalty.backward()
        return penalty

    compiled = fg.compile(step)
    for seed in range(3):
        x = fg.Tensor(np.random.default_rng(seed).standard_normal((5, 4)).astype(np.float32))
        loss, grads = compiled(x).data, [p.grad.data.copy() for p in parameters]
        assert step(x).data.tobytes() == loss.tobytes()
        for p, grad in zip(parameters, grads, strict=True):
            assert p.grad.data.tobytes() == grad.tobytes()
