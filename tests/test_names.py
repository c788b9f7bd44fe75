"""Names of PyTorch that are no rows' business: facts about types, views in place."""

import numpy as np
import pytest

import fastgrad as fg

_TYPES = (fg.bool_, fg.uint8, fg.int32, fg.int64, fg.float32, fg.float64)


@pytest.mark.parametrize(
    ("change", "view"),
    [
        (lambda x: x.unsqueeze_(0), lambda x: x.unsqueeze(0)),
        (lambda x: x.squeeze_(), lambda x: x.squeeze()),
        (lambda x: x.transpose_(0, 2), lambda x: x.transpose(0, 2)),
        (lambda x: x.swapaxes_(0, 1), lambda x: x.transpose(0, 1)),
        (lambda x: x.squeeze_().t_(), lambda x: x.squeeze().t()),
    ],
)
def test_a_view_in_place_is_the_view_and_passes_gradients_on(change, view):
    leaf = fg.Tensor(np.arange(6.0).reshape(2, 1, 3), requires_grad=True)
    x = leaf * 2.0
    assert change(x) is x
    expected = view(leaf * 2.0)
    assert x.shape == expected.shape
    np.testing.assert_array_equal(x.data, expected.data)
    weights = fg.Tensor(np.arange(6.0).reshape(x.shape))
    (found,) = fg.grad((x * x * weights).sum(), leaf)
    (wanted,) = fg.grad((expected * expected * weights).sum(), leaf)
    np.testing.assert_array_equal(found.data, wanted.data)


def test_a_view_in_place_of_a_leaf_that_requires_grad_is_refused():
    with pytest.raises(RuntimeError, match="unsqueeze_: a leaf that requires grad"):
        fg.ones(2, requires_grad=True).unsqueeze_(0)


def test_a_tensor_can_be_changed_in_place_after_a_view_in_place():
    x = fg.ones(2, 3, requires_grad=True) * 1.0
    x.t_().mul_(2.0)
    assert x.shape == (3, 2)
    x.sum().backward()


def test_fill_diagonal():
    assert fg.zeros(2, 3).fill_diagonal_(5).tolist() == [[5, 0, 0], [0, 5, 0]]
    with pytest.raises(ValueError, match="fill_diagonal_: expected a matrix"):
        fg.zeros(3).fill_diagonal_(1)


def test_probabilities_as_targets_of_cross_entropy():
    x = fg.Tensor(np.arange(6.0).reshape(2, 3) / 4, requires_grad=True)
    labels = fg.tensor([2, 0])
    shares = fg.one_hot(labels, 3).to(fg.float64)
    for options in ({}, {"label_smoothing": 0.2}, {"reduction": "none"}):
        a = fg.functional.cross_entropy(x, labels, **options)
        b = fg.functional.cross_entropy(x, shares, **options)
        np.testing.assert_allclose(b.data, a.data, rtol=1e-12)
    shares.requires_grad = True
    out = fg.functional.cross_entropy(x, shares)
    assert all(g is not None for g in fg.grad(out, [x, shares]))
    with pytest.raises(TypeError, match="float32, got float64"):
        fg.functional.cross_entropy(x.detach().float(), shares)
    with pytest.raises(ValueError, match="ignore_index is for labels"):
        fg.functional.cross_entropy(x, shares, ignore_index=1)


def test_types_are_promoted_and_cast_as_in_pytorch():
    torch = pytest.importorskip("torch", reason="compares with PyTorch, which is not installed")
    theirs = [torch.bool, torch.uint8, torch.int32, torch.int64, torch.float32, torch.float64]
    names = [np.dtype(kind).name for kind in _TYPES]
    for a, at in zip(_TYPES, theirs, strict=True):
        for b, bt in zip(_TYPES, theirs, strict=True):
            common = theirs[names.index(fg.promote_types(a, b).name)]
            assert common == torch.promote_types(at, bt)
            assert fg.can_cast(a, b) == torch.can_cast(at, bt)
        for number in (True, 2, 2.5):
            found = fg.result_type(fg.ones(1, dtype=a), number)
            wanted = torch.result_type(torch.ones(1, dtype=at), number)
            assert theirs[names.index(found.name)] == wanted


def test_facts():
    x = fg.zeros(2, 3)
    assert (fg.numel(x), fg.is_tensor(x), fg.is_floating_point(x)) == (6, True, True)
    assert (x.nbytes, x.itemsize, x.type(), x.is_signed()) == (24, 4, "float32", True)
    assert x.type(fg.float64).dtype == fg.float64
    assert x.new_tensor([1, 2]).dtype == fg.float32
    assert x.new_empty(4, 5).shape == (4, 5)
    assert fg.broadcast_shapes((2, 1), 3) == (2, 3)
    with pytest.raises(ValueError, match=r"broadcast_shapes: .* do not broadcast"):
        fg.broadcast_shapes((2,), (3,))


def test_indices_of_triangles_and_logspace():
    np.testing.assert_array_equal(fg.tril_indices(3, 4, 1).data, np.tril_indices(3, 1, 4))
    np.testing.assert_array_equal(fg.triu_indices(3, 4, -1).data, np.triu_indices(3, -1, 4))
    np.testing.assert_allclose(fg.logspace(0, 1, 5, 2).data, np.logspace(0, 1, 5, base=2), 1e-6)
