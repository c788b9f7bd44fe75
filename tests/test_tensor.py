"""Tensors as arrays: creation, types, text, NumPy, copies, views."""

import copy
import itertools
import operator
import pickle
import re

import numpy as np
import pytest

import fastgrad as fg


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="PyTorch, the oracle, is not installed")


# ------------------------------------------------------------------ creation

_CREATED = {
    "float": (1.5, (), "float32"),
    "int": (3, (), "int64"),
    "bool": (True, (), "bool"),
    "list of floats": ([1.0, 2.0], (2,), "float32"),
    "list of ints": ([[1], [2]], (2, 1), "int64"),
    "list of bools": ([True, False], (2,), "bool"),
    "ints and floats": ([1, 2.5], (2,), "float32"),
    "bools and ints": ([True, 2], (2,), "int64"),
    "nothing": ([], (0,), "float32"),
    "nothing in rows": ([[], []], (2, 0), "float32"),
    "tuples": (((1.0, 2.0), (3.0, 4.0)), (2, 2), "float32"),
    "float64 array": (np.zeros((2, 3)), (2, 3), "float64"),
    "float32 array": (np.zeros(2, np.float32), (2,), "float32"),
    "uint8 array": (np.zeros(2, np.uint8), (2,), "uint8"),
    "int32 array": (np.zeros(2, np.int32), (2,), "int32"),
    "bool array": (np.zeros(2, bool), (2,), "bool"),
    "0-d array": (np.array(1.5), (), "float64"),
    "float64 scalar": (np.float64(1.5), (), "float64"),
    "float32 scalar": (np.float32(1.5), (), "float32"),
    "int32 scalar": (np.int32(3), (), "int32"),
    "list of float64 scalars": ([np.float64(1.5)], (1,), "float64"),
    "list of float32 scalars": ([np.float32(1.5)], (1,), "float32"),
}


@pytest.mark.parametrize("name", _CREATED)
def test_creation(name):
    data, shape, dtype = _CREATED[name]
    x = fg.tensor(data)
    assert (x.shape, x.dtype, x.ndim, x.dim()) == (shape, np.dtype(dtype), len(shape), len(shape))
    assert x.numel() == np.prod(shape)
    assert np.array_equal(x.numpy(), np.asarray(data))


@pytest.mark.parametrize("name", _CREATED)
def test_creation_as_in_pytorch(torch, name):
    data = _CREATED[name][0]
    theirs = torch.tensor(data)
    ours = fg.tensor(data)
    assert ours.dtype == theirs.numpy().dtype
    assert ours.shape == tuple(theirs.shape)


def test_creation_copies_and_from_numpy_shares():
    array = np.ones((2, 3), np.float32)
    copied, strided, shared = fg.tensor(array), fg.tensor(array.T), fg.from_numpy(array)
    array[0, 0] = 7
    assert copied.numpy()[0, 0] == strided.numpy()[0, 0] == 1
    assert strided.data.flags.c_contiguous
    assert shared.numpy() is array
    again = fg.tensor(copied)
    copied.fill_(0.0)
    assert again.tolist() == [[1, 1, 1], [1, 1, 1]]


@pytest.mark.parametrize("dtype", [fg.float32, fg.float64, fg.int32, fg.int64, fg.uint8, fg.bool_])
def test_creation_in_a_given_type(dtype):
    for x in (
        fg.tensor([1, 0], dtype=dtype), fg.ones(2, dtype=dtype), fg.zeros(2, 3, dtype=dtype),
        fg.zeros((2, 3), dtype=dtype), fg.ones([4], dtype=dtype),
    ):  # fmt: skip
        assert x.dtype == dtype
        assert x.data.flags.c_contiguous
    assert fg.zeros().shape == ()
    assert fg.ones(()).tolist() == 1


_NOT_CREATED = {
    "text": (lambda: fg.tensor("abc"), TypeError, "expected numbers, got <U3"),
    "objects": (lambda: fg.tensor([None]), TypeError, "expected numbers, got object"),
    "complex": (lambda: fg.tensor([1j]), TypeError, "expected numbers, got complex128"),
    "ragged": (lambda: fg.tensor([[1.0], [1.0, 2.0]]), ValueError, "tensor: .*inhomogeneous"),
    "list to from_numpy": (
        lambda: fg.from_numpy([1.0]),
        TypeError,
        "expected an ndarray, got list",
    ),
}


@pytest.mark.parametrize("name", _NOT_CREATED)
def test_what_is_no_tensor(name):
    call, exception, message = _NOT_CREATED[name]
    with pytest.raises(exception, match=message):
        call()


# ------------------------------------------------------------------ text

_TEXTS = [
    (fg.tensor(2.5), "tensor(2.5000)"),
    (fg.tensor(3.0), "tensor(3.)"),
    (fg.tensor(7), "tensor(7)"),
    (fg.tensor(True), "tensor(True)"),
    (fg.tensor([1.0, -2.0]), "tensor([ 1., -2.])"),
    (fg.tensor([1.0, 2.5]), "tensor([1.0000, 2.5000])"),
    (fg.tensor([1, -20, 3]), "tensor([  1, -20,   3])"),
    (fg.tensor([True, False]), "tensor([ True, False])"),
    (fg.tensor([float("nan"), 1.0, float("-inf")]), "tensor([nan, 1., -inf])"),
    (fg.tensor([float("inf"), -1.5]), "tensor([    inf, -1.5000])"),
    (fg.tensor([-0.0, 1.0]), "tensor([-0., 1.])"),
    (fg.tensor([1e-5, 1.0]), "tensor([1.0000e-05, 1.0000e+00])"),
    (fg.tensor([1e9]), "tensor([1.0000e+09])"),
    (fg.tensor([0.001, 1000.0]), "tensor([1.0000e-03, 1.0000e+03])"),
    (fg.tensor([0.0, 0.0]), "tensor([0., 0.])"),
    (fg.tensor([]), "tensor([])"),
    (fg.zeros(0, 3), "tensor([], size=(0, 3))"),
    (fg.zeros(0, dtype=fg.int64), "tensor([], dtype=fastgrad.int64)"),
    (fg.tensor([1.0], requires_grad=True), "tensor([1.], requires_grad=True)"),
    (fg.tensor([1.5], dtype=fg.float64), "tensor([1.5000], dtype=fastgrad.float64)"),
    (fg.tensor([1], dtype=fg.int32), "tensor([1], dtype=fastgrad.int32)"),
    (
        fg.tensor([1.0], dtype=fg.float64, requires_grad=True),
        "tensor([1.], dtype=fastgrad.float64, requires_grad=True)",
    ),
    (fg.tensor([1.0], requires_grad=True) * 2, "tensor([2.], grad_fn=<MulBackward>)"),
    (fg.tensor([[1.0, 2.0], [3.0, 4.5]]), "tensor([[1.0000, 2.0000],\n        [3.0000, 4.5000]])"),
    (fg.tensor([[[1], [2]], [[3], [4]]]),
     "tensor([[[1],\n         [2]],\n\n        [[3],\n         [4]]])"),
    (
        fg.tensor([0.125 * k for k in range(11)]),
        "tensor([0.0000, 0.1250, 0.2500, 0.3750, 0.5000, 0.6250, 0.7500, 0.8750, 1.0000,\n"
        "        1.1250, 1.2500])",
    ),
    (
        fg.tensor([12345.678 * k for k in range(1, 6)], requires_grad=True),
        "tensor([12345.6777, 24691.3555, 37037.0352, 49382.7109, 61728.3906],\n"
        "       requires_grad=True)",
    ),
    (fg.zeros(1001), "tensor([0., 0., 0.,  ..., 0., 0., 0.])"),
    (
        fg.tensor(np.arange(1200).reshape(300, 4)),
        "tensor([[   0,    1,    2,    3],\n        [   4,    5,    6,    7],\n"
        "        [   8,    9,   10,   11],\n        ...,\n        [1188, 1189, 1190, 1191],\n"
        "        [1192, 1193, 1194, 1195],\n        [1196, 1197, 1198, 1199]])",
    ),
    (fg.nn.Parameter(fg.ones(1)), "Parameter containing:\ntensor([1.], requires_grad=True)"),
]  # fmt: skip


@pytest.mark.parametrize(("x", "text"), _TEXTS, ids=range(len(_TEXTS)))
def test_text(x, text):
    assert repr(x) == str(x) == text


@pytest.mark.parametrize(("x", "text"), _TEXTS, ids=range(len(_TEXTS)))
def test_expected_texts_are_pytorchs(torch, x, text):
    if x.grad_fn is None:
        theirs = torch.tensor(x.data, requires_grad=x.requires_grad)
        theirs = torch.nn.Parameter(theirs) if isinstance(x, fg.nn.Parameter) else theirs
        assert repr(theirs).replace("torch.", "fastgrad.") == text


_SHAPES = (
    (), (1,), (5,), (17,), (1000,), (1001,), (0,), (2, 0, 3), (2, 3), (4, 30), (2, 3, 4),
    (40, 40), (3, 1001), (1100, 1), (10, 11, 12), (2, 2, 2, 300), (6, 6, 6, 6), (1, 1, 1),
)  # fmt: skip
_SPECIAL = np.array(
    [0.0, -0.0, 1.0, -1.0, 0.5, 1e-4, 9e-5, 1e8, 1.1e8, 12345.678, 0.99999, 999.9999, 1e38, 1e-38,
     1e-45, 3.4e38, np.nan, np.inf, -np.inf, 2.5]
)  # fmt: skip
_DRAWN = {
    "normal": lambda rng, shape: rng.standard_normal(shape).astype(np.float32),
    "float64": lambda rng, shape: rng.standard_normal(shape) * 50,
    "whole": lambda rng, shape: np.round(100 * rng.standard_normal(shape)).astype(np.float32),
    "wide": lambda rng, shape: 10 ** rng.uniform(-6, 6, shape),
    "special": lambda rng, shape: rng.choice(_SPECIAL, shape).astype(np.float32),
    "int64": lambda rng, shape: rng.integers(-1000, 1000, shape),
    "uint8": lambda rng, shape: rng.integers(0, 256, shape).astype(np.uint8),
    "bool": lambda rng, shape: rng.integers(0, 2, shape).astype(bool),
}


@pytest.mark.parametrize("kind", _DRAWN)
def test_text_as_in_pytorch(torch, kind):
    rng = np.random.default_rng(0)
    shapes = _SHAPES + ((1,), (2,), (3,), (4,), (5,)) * (40 if kind == "special" else 1)
    for shape in shapes:
        array = np.asarray(_DRAWN[kind](rng, shape))
        for requires_grad in (False, True) if array.dtype.kind == "f" else (False,):
            ours = repr(fg.Tensor(array, requires_grad=requires_grad))
            theirs = repr(torch.tensor(array, requires_grad=requires_grad))
            if "torch." in theirs:  # our name is longer, and the line may end before it
                ours, theirs = (re.sub(r",\s+([dr]\w+=)", r", \1", text) for text in (ours, theirs))
            assert ours == theirs.replace("torch.", "fastgrad.")


# ------------------------------------------------------------------ NumPy

_OPERATORS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "@": operator.matmul,
}


@pytest.mark.parametrize("symbol", _OPERATORS)
def test_arrays_and_tensors_in_either_order(symbol):
    function = _OPERATORS[symbol]
    a = np.array([[1.0, 2.0], [3.0, 5.0]], np.float32)
    b = np.array([[2.0, 4.0], [0.5, -1.0]], np.float32)
    for left, right in ((fg.tensor(a), b), (a, fg.tensor(b)), (fg.tensor(a), fg.tensor(b))):
        out = function(left, right)
        assert type(out) is fg.Tensor
        assert out.dtype == fg.float32
        np.testing.assert_allclose(out.numpy(), function(a, b), rtol=1e-6)


@pytest.mark.parametrize("symbol", _OPERATORS)
def test_gradients_flow_past_arrays(symbol):
    function = _OPERATORS[symbol]
    a = np.array([[1.0, 2.0], [3.0, 5.0]], np.float32)
    for swap in (False, True):
        x, y = fg.tensor(a, requires_grad=True), fg.tensor(a + 1)
        z = fg.tensor(a, requires_grad=True)
        pairs = ((x, y.numpy()), (z, y))
        for left, right in pairs:
            out = function(right, left) if swap else function(left, right)
            assert out.requires_grad
            out.sum().backward()
        assert x.grad.tolist() == z.grad.tolist()


_SCALARS = (np.float64(2.0), np.float32(2.0), np.int64(2), np.uint8(2), np.array(2.0, np.float32))


@pytest.mark.parametrize("scalar", _SCALARS, ids=lambda s: f"{type(s).__name__}-{s.dtype}")
@pytest.mark.parametrize("symbol", ["+", "-", "*", "/"])
def test_numpy_scalars_count_as_numbers(symbol, scalar):
    function = _OPERATORS[symbol]
    x = fg.tensor([1.0, 4.0])
    for out, expected in ((function(x, scalar), function(x, 2.0)),
                          (function(scalar, x), function(2.0, x))):  # fmt: skip
        assert type(out) is fg.Tensor
        assert out.dtype == fg.float32
        assert out.tolist() == expected.tolist()


def test_arrays_take_tensors_in_place():
    array = np.ones(2, np.float32)
    array += fg.tensor([1.0, 2.0])
    array *= fg.tensor([2.0, 2.0])
    assert type(array) is np.ndarray
    assert array.tolist() == [4, 6]


_NUMPY_FUNCTIONS = {
    "exp": lambda x: np.exp(x),
    "maximum": lambda x: np.maximum(x, 2.0),
    "sum": lambda x: np.sum(x),
    "sum of an axis": lambda x: np.sum(x, axis=0),
    "mean": lambda x: np.mean(x),
    "max": lambda x: np.max(x),
    "argmax": lambda x: np.argmax(x),
    "concatenate": lambda x: np.concatenate([x, x]),
    "stack": lambda x: np.stack([x, x]),
    "dot": lambda x: np.dot(x, np.ones((2, 1), np.float32)),
    "transpose": lambda x: np.transpose(x),
    "reshape": lambda x: np.reshape(x, (4,)),
    "allclose": lambda x: np.allclose(x, x),
    "isnan": lambda x: np.isnan(x),
    "linalg.norm": lambda x: np.linalg.norm(x),
}


@pytest.mark.parametrize("name", _NUMPY_FUNCTIONS)
def test_numpy_functions_take_tensors(name):
    function = _NUMPY_FUNCTIONS[name]
    array = np.array([[1.0, 2.0], [3.0, 5.0]], np.float32)
    result = function(fg.tensor(array))
    np.testing.assert_allclose(np.asarray(result), function(array), rtol=1e-6)


def test_conversion_to_arrays():
    x = fg.tensor([[1.0, 2.0]])
    assert np.asarray(x) is x.numpy() is x.data
    assert not np.shares_memory(np.array(x), x.data)
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    assert np.array([x, x]).shape == (2, 1, 2)
    with pytest.raises(ValueError, match="copy"):
        np.asarray(x, dtype=np.float64, copy=False)
    assert fg.Tensor.__array_priority__ > 0


@pytest.mark.parametrize("convert", [np.asarray, np.array, fg.Tensor.numpy, np.exp])
def test_recorded_tensors_do_not_leave_unnoticed(convert):
    x = fg.tensor([1.0], requires_grad=True)
    for tensor in (x, x * 2):
        with pytest.raises(RuntimeError, match=r"requires grad.*x\.detach\(\)\.numpy\(\)"):
            convert(tensor)
    assert np.asarray(x.detach()) == 1


# ------------------------------------------------------------------ types of results

_FLOATS, _INTS = ("float32", "float64"), ("uint8", "int32", "int64", "bool")
_TYPES = _FLOATS + _INTS
_NUMBERS = (2, 2.0, True)


def _torch_type(torch, name):
    return getattr(torch, name)


def _same(ours, theirs):
    theirs = theirs.detach().numpy()
    assert ours.dtype == theirs.dtype
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours.data, theirs, rtol=1e-6)


def _without_differences_of_bools(*tables):
    """All combinations but those that PyTorch refuses."""
    rows = itertools.product(*tables)
    return [row for row in rows if row[-1] != "-" or not ("bool" in row or row[1] is True)]


@pytest.mark.parametrize(
    ("left", "right", "symbol"), _without_differences_of_bools(_TYPES, _TYPES, "+-*/")
)
def test_mixed_types_as_in_pytorch(torch, left, right, symbol):
    values = ([3, 1, 4], [1, 1, 2])
    ours = [fg.tensor(v, dtype=t) for v, t in zip(values, (left, right), strict=True)]
    theirs = [
        torch.tensor(v, dtype=_torch_type(torch, t))
        for v, t in zip(values, (left, right), strict=True)
    ]
    _same(_OPERATORS[symbol](*ours), _OPERATORS[symbol](*theirs))


@pytest.mark.parametrize(
    ("dtype", "number", "symbol"), _without_differences_of_bools(_TYPES, _NUMBERS, "+-*/")
)
def test_numbers_as_in_pytorch(torch, dtype, number, symbol):
    function = _OPERATORS[symbol]
    ours = fg.tensor([3, 1, 4], dtype=dtype)
    theirs = torch.tensor([3, 1, 4], dtype=_torch_type(torch, dtype))
    _same(function(ours, number), function(theirs, number))
    _same(function(number, ours), function(number, theirs))


@pytest.mark.parametrize("right", _TYPES)
@pytest.mark.parametrize("left", _TYPES)
def test_0d_tensors_as_in_pytorch(torch, left, right):
    ours = fg.tensor(3, dtype=left) * fg.tensor([1, 2], dtype=right)
    theirs = torch.tensor(3, dtype=_torch_type(torch, left)) * torch.tensor(
        [1, 2], dtype=_torch_type(torch, right)
    )
    _same(ours, theirs)


_UNARY = ("exp", "log", "sqrt", "tanh", "sigmoid", "relu", "neg", "clone", "sum", "amax", "argmax")


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32", "int64", "uint8"])
@pytest.mark.parametrize("name", _UNARY)
def test_types_of_functions_as_in_pytorch(torch, name, dtype):
    ours = getattr(fg.tensor([1, 2, 3], dtype=dtype), name)()
    theirs = getattr(torch.tensor([1, 2, 3], dtype=_torch_type(torch, dtype)), name)()
    _same(ours, theirs)


def test_large_integers_stay_exact():
    x = fg.tensor([2**60 + 1, 3])
    assert (x + 1).tolist() == [2**60 + 2, 4]
    assert (x * 2 - x).tolist() == x.tolist()
    assert x.sum().tolist() == 2**60 + 4
    assert x.clone().tolist() == x.tolist()


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint8", "bool", "float32", "float64"])
@pytest.mark.parametrize("count", [2, 20_000])
def test_in_place_for_every_type(dtype, count):
    x = fg.ones(count, dtype=dtype)
    assert x.zero_() is x
    assert not x.numpy().any()
    x.fill_(1)
    assert x.numpy().all()
    x.copy_(fg.zeros(count))
    assert not x.numpy().any()
    if dtype != "bool":
        x += 3
        x *= 2
        x -= 1
        assert x.numpy().tolist() == [5] * count
    assert x.dtype == dtype


@pytest.mark.parametrize("name", ["add_", "sub_", "mul_", "div_"])
def test_in_place_results_are_not_truncated(name):
    """As in PyTorch: a float result does not fit into integers."""
    x = fg.tensor([1, 2])
    with pytest.raises((RuntimeError, TypeError), match=r"float32.*int64"):
        getattr(x, name)(1.5)
    assert x.tolist() == [1, 2]


def test_conversions():
    x = fg.tensor([1.7, -2.7], requires_grad=True)
    assert x.to(fg.float32) is x
    assert x.float() is x
    assert x.double().dtype == fg.float64
    assert x.detach().long().tolist() == [1, -2]
    assert fg.tensor([1]).float().dtype == fg.float32
    (x.double() * 3).sum().backward()
    assert x.grad.tolist() == [3, 3]
    assert x.grad.dtype == fg.float32


# ------------------------------------------------------------------ numbers and sizes


def test_single_elements_are_numbers():
    for x in (fg.tensor(2.5), fg.tensor([2.5]), fg.tensor([[2.5]], requires_grad=True)):
        assert (x.item(), float(x), int(x), bool(x)) == (2.5, 2.5, 2, True)
        assert type(x.item()) is float
    assert type(fg.tensor(3).item()) is int
    assert type(fg.tensor(True).item()) is bool
    assert not fg.tensor(0.0)
    assert fg.tensor([[1, 2], [3, 4]]).tolist() == [[1, 2], [3, 4]]
    assert fg.tensor(1.5).tolist() == 1.5


@pytest.mark.parametrize("shape", [(0,), (2,), (1, 2)])
@pytest.mark.parametrize("convert", [fg.Tensor.item, float, int, bool])
def test_several_elements_are_no_number(convert, shape):
    with pytest.raises((ValueError, RuntimeError), match="shape"):
        convert(fg.zeros(*shape))


def test_sizes():
    x = fg.zeros(2, 3, 4)
    assert (len(x), x.size(), x.size(1), x.size(-1)) == (2, (2, 3, 4), 3, 4)
    assert (x.numel(), x.ndim, x.dim()) == (24, 3, 3)
    with pytest.raises(TypeError, match="0-d tensor has no length"):
        len(fg.tensor(1.0))
    with pytest.raises(IndexError):
        x.size(3)
    with pytest.raises(TypeError):
        iter(fg.tensor(1.0))


# ------------------------------------------------------------------ copies


def _pickled(x):
    return pickle.loads(pickle.dumps(x))


@pytest.mark.parametrize("duplicate", [copy.deepcopy, _pickled])
@pytest.mark.parametrize("cls", [fg.Tensor, fg.nn.Parameter])
def test_duplicates(cls, duplicate):
    x = cls(np.arange(6, dtype=np.float32).reshape(2, 3).T, requires_grad=True)
    twin = duplicate(x)
    assert type(twin) is cls
    assert twin.requires_grad
    assert twin.is_leaf
    assert twin.tolist() == x.tolist()
    assert not np.shares_memory(twin.data, x.data)
    (twin * 2).sum().backward()
    assert x.grad is None
    with fg.no_grad():
        twin.zero_()
    assert x.tolist() == [[0, 3], [1, 4], [2, 5]]


def test_deepcopy_keeps_gradients_and_identity():
    x = fg.ones(2, requires_grad=True)
    (x * 3).sum().backward()
    first, second = copy.deepcopy([x, x])
    assert first is second
    assert first.grad.tolist() == [3, 3]
    assert not np.shares_memory(first.grad.data, x.grad.data)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, _pickled])
def test_results_are_not_duplicated(duplicate):
    y = fg.ones(2, requires_grad=True) * 2
    with pytest.raises(RuntimeError, match="only leaf tensors"):
        duplicate(y)
    duplicate(y.detach())


def test_tensors_are_compared_by_identity_in_sets():
    x, y = fg.ones(2), fg.ones(2)
    assert len({x, y, x}) == 2
    assert {x: 1}[x] == 1


# ------------------------------------------------------------------ views

_VIEWS = {
    "reshape": (lambda x: x.reshape(3, 2), (3, 2)),
    "reshape of a tuple": (lambda x: x.reshape((6, -1)), (6, 1)),
    "view": (lambda x: x.view(-1), (6,)),
    "T": (lambda x: x.T, (3, 2)),
    "t": (lambda x: x.t(), (3, 2)),
    "transpose": (lambda x: x.transpose(-1, 0), (3, 2)),
    "flatten": (lambda x: x.flatten(), (6,)),
    "detach": (lambda x: x.detach(), (2, 3)),
}


@pytest.mark.parametrize("name", _VIEWS)
def test_views_share_memory(name):
    function, shape = _VIEWS[name]
    x = fg.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    view = function(x)
    assert view.shape == shape
    assert np.shares_memory(view.data, x.data)
    view.mul_(2.0)
    assert x.tolist() == [[2, 4, 6], [8, 10, 12]]
    x.add_(1.0)
    assert sorted(view.numpy().ravel().tolist()) == [3, 5, 7, 9, 11, 13]


def test_transposes_of_vectors_are_themselves():
    x = fg.tensor([1.0, 2.0])
    assert x.T is x
    assert x.t() is x
    assert x.reshape(1, 2).T.T.tolist() == [[1, 2]]


def test_reshape_of_a_transpose_is_a_copy():
    x = fg.tensor([[1.0, 2.0], [3.0, 4.0]], requires_grad=True)
    y = x.T.flatten()
    assert not np.shares_memory(y.data, x.data)
    assert y.tolist() == [1, 3, 2, 4]
    (y * fg.tensor([1.0, 2.0, 3.0, 4.0])).sum().backward()
    assert x.grad.tolist() == [[1, 3], [2, 4]]


def test_a_gradient_must_fit_its_tensor():
    x = fg.zeros(2, 3)
    for value, error in (
        (fg.zeros(3, 2), RuntimeError),
        (fg.zeros(2, 3, dtype="float64"), RuntimeError),
        (np.zeros((2, 3), np.float32), TypeError),
    ):
        with pytest.raises(error, match="grad: "):
            x.grad = value
    assert x.grad is None
