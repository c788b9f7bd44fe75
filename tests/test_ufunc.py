"""Element-wise kernels as ufuncs: what NumPy promises of its own must hold for ours."""

import itertools
import operator

import numpy as np
import pytest

from fastgrad import kernels, reference
from fastgrad.kernels._ufunc import Elementwise

_KERNELS = {kernel.name.lstrip("_"): kernel for kernel in Elementwise.all}
_FORMULAS = {  # those whose loops for floats are ours
    name: kernel for name, kernel in _KERNELS.items() if kernel.compiles and not kernel.flags
}
_BORROWED = {name: kernel for name, kernel in _KERNELS.items() if kernel.numpy}
_BINARY = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}
_DTYPES = (np.float32, np.float64)

every_ufunc = pytest.mark.parametrize("name", sorted(_FORMULAS))
both_types = pytest.mark.parametrize("dtype", _DTYPES, ids=lambda dtype: dtype.__name__)
binary_ufunc = pytest.mark.parametrize("name", sorted(_BINARY))


@pytest.fixture(params=["serial", "threaded"])
def either_way(request):
    """Run a test with one thread, and with threads for the smallest work."""
    if request.param == "threaded":
        request.getfixturevalue("always_threaded")


def _ufunc(name):
    return _FORMULAS[name].ufunc


def _draw(count, *shape, dtype=np.float32):
    """``count`` positive arrays."""
    rng = np.random.default_rng(count)
    return [rng.uniform(0.1, 2.0, shape).astype(dtype) for _ in range(count)]


def _same(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


# ------------------------------------------------------------------ what they are


@every_ufunc
def test_a_kernel_is_a_ufunc_that_documents_itself(name):
    ufunc, formula = _ufunc(name), _FORMULAS[name]
    assert isinstance(ufunc, np.ufunc)
    assert ufunc.__name__ == formula.name
    assert (ufunc.nin, ufunc.nout) == (formula.inputs, 1)
    own = [f"{kind * ufunc.nin}->{kind}" for kind in "fd"]
    assert set(own) <= set(ufunc.types) if formula.numpy else ufunc.types == own
    assert formula.formula.__doc__ in ufunc.__doc__
    if formula.name == name:  # and not a detail of a function
        assert getattr(kernels, name) is ufunc


def test_names_that_are_no_kernels_are_refused():
    for name in ("Elementwise", "nonsense", "literal", "elementwise_"):
        with pytest.raises(AttributeError, match=f"has no kernel '{name}'"):
            kernels.__getattr__(name)
    assert {formula.name for formula in _FORMULAS.values() if formula.name[0] != "_"} <= set(
        dir(kernels)
    )


# ------------------------------------------------------------------ types


@every_ufunc
def test_types_follow_numpys_rules(name):
    ufunc = _ufunc(name)
    (half,) = _draw(1, 5, dtype=np.float16)
    singles = _draw(ufunc.nin, 5)
    doubles = [x.astype(np.float64) for x in singles]
    assert ufunc(*singles).dtype == np.float32
    assert ufunc(*doubles).dtype == np.float64
    assert ufunc(*[half] * ufunc.nin).dtype == np.float32
    if not _FORMULAS[name].numpy:
        assert ufunc(*[np.arange(1, 4)] * ufunc.nin).dtype == np.float64
        assert ufunc(*[np.array([True])] * ufunc.nin).dtype == np.float32
    assert ufunc(*[2.0] * ufunc.nin).dtype == np.float64
    for k in range(1, ufunc.nin):
        mixed = [*doubles[:k], *singles[k:]]
        assert _same(ufunc(*mixed), ufunc(*doubles)) or np.allclose(ufunc(*mixed), ufunc(*doubles))
        weak = [*singles[:k], *[2.0] * (ufunc.nin - k)]  # a Python number takes the array's type
        full = [np.full(5, x, np.float32) if isinstance(x, float) else x for x in weak]
        assert _same(ufunc(*weak), ufunc(*full))
    for refused in (np.zeros(3, complex), np.zeros(3, "U1"), np.zeros(3, "M8[s]"), [object()]):
        with pytest.raises(TypeError):
            ufunc(*[refused] * ufunc.nin)


@every_ufunc
@both_types
def test_numbers_and_arrays_without_axes_give_numpy_scalars(name, dtype):
    ufunc = _ufunc(name)
    vectors = _draw(ufunc.nin, 1, dtype=dtype)
    expected = ufunc(*vectors)
    for shape in (lambda x: x.reshape(()), lambda x: x[0]):
        result = ufunc(*map(shape, vectors))
        assert type(result) is dtype
        assert _same(result, expected[0])
    out = np.empty((), dtype)
    assert ufunc(*vectors, out=out.reshape(1)).base is not None
    assert _same(out, expected.reshape(()))


# ------------------------------------------------------------------ borrowed from NumPy

_INTEGERS = (np.bool_, np.uint8, np.int8, np.int32, np.int64)


def _loops(dtypes):
    """(name, dtype) of each type that a kernel borrows NumPy's loop for."""
    for name, kernel in sorted(_BORROWED.items()):
        for dtype in dtypes:
            char = np.dtype(dtype).char
            ours = kernel.compiles and dtype in _DTYPES
            known = any(
                types.startswith(char * kernel.inputs + "->") for types in kernel.numpy.types
            )
            if known and not ours:
                yield pytest.param(name, dtype, id=f"{name}-{np.dtype(dtype).name}")


@pytest.mark.parametrize(("name", "dtype"), [*_loops((*_DTYPES, *_INTEGERS))])
@pytest.mark.usefixtures("either_way")
def test_a_borrowed_loop_gives_numpys_bits(name, dtype):
    kernel, rng = _BORROWED[name], np.random.default_rng(0)
    ufunc, numpys = kernel.ufunc, kernel.numpy
    for shape in ((), (1,), (7,), (1000,), (7, 83), (100_003,)):
        least, most = (0.01, 0.99) if dtype in _DTYPES else (0, 3)
        if name == "acosh":
            least, most = 1.01, 3
        inputs = [
            np.asarray(rng.uniform(least, most, shape)).astype(dtype) for _ in range(ufunc.nin)
        ]
        with np.errstate(all="ignore"):
            expected = numpys(*inputs)
        with np.errstate(all="raise"):  # nothing is said about overflow or division by zero
            assert _same(np.asarray(ufunc(*inputs)), np.asarray(expected))
        if shape == (7, 83):
            turned = [np.asfortranarray(x)[::-1] for x in inputs]
            assert np.array_equal(ufunc(*turned), expected[::-1], equal_nan=dtype in _DTYPES)
            assert np.array_equal(
                ufunc(inputs[0], *[x[:1] for x in inputs[1:]]),
                ufunc(*np.broadcast_arrays(inputs[0], *[x[:1] for x in inputs[1:]])),
                equal_nan=False,
            )


@pytest.mark.parametrize("dtype", _DTYPES)
@pytest.mark.usefixtures("either_way")
def test_a_choice_is_numpys(dtype):
    rng = np.random.default_rng(0)
    for n in (0, 1, 7, 16, 17, 100_003):
        flags, (a, b) = rng.random(n) < 0.5, _draw(2, n, dtype=dtype)
        for x, y in ((a, b), (a[::-1], b), (a, 2.0), (2.0, b), (dtype(1), b[:1])):
            assert _same(kernels.where(flags, x, y), np.where(flags, x, y).astype(dtype))
        wide = np.repeat(flags, 2)[::2]
        assert _same(kernels.where(wide, a, b), np.where(flags, a, b))
    with pytest.raises(TypeError):
        kernels.where(np.zeros(3), np.zeros(3), np.zeros(3))


# ------------------------------------------------------------------ floating-point errors


def _specials(dtype):
    info = np.finfo(dtype)
    values = [0.0, 1.0, 0.5, 100.0, info.max, info.tiny, info.smallest_subnormal, np.inf]
    return np.array([*values, *(-x for x in values), np.nan], dtype)


def _one_nan(x):
    """``x`` with one kind of NaN: its sign depends on which of two operands the CPU takes."""
    return np.where(np.isnan(x), x.dtype.type(np.nan), x)


# Small differences of numbers that are right to a few units in the last place, and large
# multiples of numbers so small that these are few
_CANCELLING = {"bce_with_logits", "bce_with_logits_backward", "mish_backward", "tanhshrink"}


@every_ufunc
@both_types
@pytest.mark.usefixtures("either_way")
def test_nothing_is_said_about_overflow_or_nan(name, dtype):
    """Warnings are errors here, and NumPy is told to raise, which it does for its own."""
    ufunc, values = _ufunc(name), _specials(dtype)
    inputs = [np.array(x) for x in zip(*itertools.product(values, repeat=ufunc.nin), strict=True)]
    with np.errstate(all="ignore"):
        expected = getattr(reference, name)(*inputs)
    with np.errstate(all="raise"):
        result = ufunc(*inputs)
        some = slice(None, None, 1 + len(inputs[0]) // 50)
        scalars = [ufunc(*numbers) for numbers in zip(*(x[some] for x in inputs), strict=True)]
        strided = ufunc(*[np.repeat(x, 2)[::2] for x in inputs])
        reversed_ = ufunc(*[x[::-1] for x in inputs])[::-1]
        # Nothing is left behind for NumPy's own next operation to find ...
        np.multiply(values[:4], 2), np.float32(1) / np.float32(3), np.sqrt(values[:4])
        # ... which still finds what it does itself.
        with pytest.raises(FloatingPointError):
            np.divide(dtype(1), dtype(0))
    assert _same(_one_nan(result), _one_nan(strided))
    assert _same(_one_nan(result), _one_nan(reversed_))
    np.testing.assert_array_equal(result[some], np.array(scalars, dtype))
    info = np.finfo(dtype)
    near = {"rtol": 4 * info.eps, "atol": info.smallest_subnormal}
    if name in _CANCELLING:
        near = {"rtol": 0.05, "atol": info.tiny}
    np.testing.assert_allclose(result, expected, **near)


def test_other_kernels_leave_nothing_behind_either():
    x = np.array([[np.inf, -np.inf, np.nan, 3e38]], np.float32).repeat(3, 0)
    with np.errstate(all="raise"):
        kernels.softmax_forward(x), kernels.sum(x * 1), kernels.amax(x)
        kernels.matmul(x, x.T.copy()), kernels.batch_norm_forward(x)
        kernels.cross_entropy_forward(x, np.zeros(3, np.int64))
        np.multiply(np.float32([1, 2]), 2), np.float32(1) / np.float32(3)


def test_pending_errors_of_numpy_survive():
    """A kernel in the middle of somebody's own bookkeeping of errors changes nothing."""
    seen = []
    with np.errstate(all="call"), pytest.MonkeyPatch.context():
        before = np.seterrcall(lambda kind, flag: seen.append(kind))
        try:
            np.float32(3e38) * np.float32(10)
            kernels.div(1.0, 0.0)
            np.float32(1) / np.float32(0)
        finally:
            np.seterrcall(before)
    assert seen == ["overflow", "divide by zero"]


# ------------------------------------------------------------------ layouts


def _unaligned(x):
    raw = np.zeros(x.nbytes + 3, np.uint8)[3:].view(x.dtype).reshape(x.shape)
    raw[...] = x
    return raw


def _read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def _in_rows(x, step):
    whole = np.zeros((*x.shape[:-1], x.shape[-1] * abs(step)), x.dtype)
    view = whole[..., ::step]
    view[...] = x
    return view


_LAYOUTS = {
    "every second": lambda x: _in_rows(x, 2),
    "backwards": lambda x: _in_rows(x, -1),
    "backwards, every third": lambda x: _in_rows(x, -3),
    "columns first": np.asfortranarray,
    "rows backwards": lambda x: np.ascontiguousarray(x[::-1])[::-1],
    "part of rows": lambda x: np.concatenate([x, x], axis=1)[:, : x.shape[1]],
    "unaligned": _unaligned,
    "read-only": _read_only,
    "other byte order": lambda x: x.astype(x.dtype.newbyteorder()),
    "field": lambda x: np.stack([x, x], axis=-1)[..., 1],
}


@pytest.mark.usefixtures("either_way")
@every_ufunc
@pytest.mark.parametrize("layout", _LAYOUTS)
def test_any_layout_gives_the_same_bits(name, layout):
    ufunc, change = _ufunc(name), _LAYOUTS[layout]
    for dtype in _DTYPES:
        inputs = _draw(ufunc.nin, 7, 83, dtype=dtype)
        expected = ufunc(*inputs)
        assert _same(np.ascontiguousarray(ufunc(*map(change, inputs))), expected)
        assert _same(np.ascontiguousarray(ufunc(change(inputs[0]), *inputs[1:])), expected)
        if layout != "read-only":
            out = change(np.zeros_like(expected))
            assert ufunc(*inputs, out=out) is out
            assert np.array_equal(out, expected, equal_nan=True)


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("n", [0, 1, 2, 7, 8, 9, 15, 16, 17, 31, 63, 64, 65, 127, 129, 1000])
@every_ufunc
def test_any_length_gives_the_same_bits(name, n):
    """Vectors, their masked tail, scalars and threads agree element by element."""
    ufunc = _ufunc(name)
    for dtype in _DTYPES:
        whole = _draw(ufunc.nin, 1000, dtype=dtype)
        expected = ufunc(*[np.repeat(x, 2)[::2] for x in whole])  # one by one
        assert _same(ufunc(*[x[:n] for x in whole]), expected[:n])
        guarded = np.full(n + 2, 7, dtype)
        ufunc(*[x[:n] for x in whole], out=guarded[1:-1])
        assert _same(guarded[1:-1].copy(), expected[:n])
        assert guarded[0] == guarded[-1] == 7  # nothing is written outside


_SHAPES = (
    ((), (5,)), ((5,), ()), ((7, 83), (83,)), ((7, 1), (1, 83)), ((1,), (83,)), ((7, 83), (1, 1)),
    ((3, 1, 5), (4, 1)), ((0,), (1,)), ((4, 0), (4, 1)), ((0, 3), (3,)), ((2, 1, 65), (2, 3, 1)),
)  # fmt: skip


@pytest.mark.usefixtures("either_way")
@both_types
@binary_ufunc
def test_broadcasting_is_numpys(name, dtype):
    ours, theirs = _ufunc(name), _BINARY[name]
    rng = np.random.default_rng(0)
    for shapes in _SHAPES:
        a, b = (rng.uniform(1, 2, shape).astype(dtype) for shape in shapes)
        assert _same(np.asarray(ours(a, b)), np.asarray(theirs(a, b)))
    with pytest.raises(ValueError, match="could not be broadcast together"):
        ours(np.ones(3, dtype), np.ones(4, dtype))


@pytest.mark.usefixtures("either_way")
@every_ufunc
def test_one_number_among_arrays_gives_the_same_bits(name):
    ufunc = _ufunc(name)
    for dtype, k in itertools.product(_DTYPES, range(ufunc.nin)):
        inputs = _draw(ufunc.nin, 333, dtype=dtype)
        number = inputs[k][5]
        expected = ufunc(*[np.full(333, number) if i == k else x for i, x in enumerate(inputs)])
        for single in (number, np.full(1, number), np.broadcast_to(number, 333)):
            assert _same(
                ufunc(*[single if i == k else x for i, x in enumerate(inputs)]),
                expected if ufunc.nin > 1 or np.shape(single) == (333,) else
                expected[: np.size(single)].reshape(np.shape(single)),
            )  # fmt: skip


# ------------------------------------------------------------------ out, where, overlap


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("name", ["exp", "add"])
def test_where_leaves_the_other_elements_alone(name):
    ufunc = _ufunc(name)
    inputs = _draw(ufunc.nin, 13, 37)
    full = ufunc(*inputs)
    rng = np.random.default_rng(1)
    for mask in (
        np.zeros((13, 37), bool), np.ones((13, 37), bool), rng.random((13, 37)) < 0.5,
        rng.random(37) < 0.9, np.arange(13)[:, None] % 2 == 0,
    ):  # fmt: skip
        out = np.full((13, 37), -5, np.float32)
        ufunc(*inputs, out=out, where=mask)
        assert _same(out, np.where(mask, full, np.float32(-5)))


@every_ufunc
def test_out_is_checked_as_numpys_own(name):
    ufunc = _ufunc(name)
    inputs = _draw(ufunc.nin, 13)
    wide = np.empty(13)
    assert ufunc(*inputs, out=wide) is wide
    assert np.array_equal(wide, ufunc(*inputs), equal_nan=True)
    with pytest.raises(ValueError, match="could not be broadcast"):
        ufunc(*inputs, out=np.empty(12, np.float32))
    with pytest.raises(ValueError, match="read-only"):
        ufunc(*inputs, out=_read_only(inputs[0]))
    with pytest.raises(TypeError, match="same_kind"):
        ufunc(*inputs, out=np.empty(13, int))
    with pytest.raises(TypeError):
        ufunc(*inputs, *inputs, *inputs)
    out = np.empty(13, np.float32)  # doubles do fit into singles, if told to
    ufunc(*[x.astype(float) for x in inputs], out=out)
    assert np.allclose(out, ufunc(*inputs), equal_nan=True)


# pairs of views of one array: (output, input)
_OVERLAPS = {
    "the same": (np.s_[:-20], np.s_[:-20]),
    "one ahead": (np.s_[1:-19], np.s_[:-20]),
    "one behind": (np.s_[:-20], np.s_[1:-19]),
    "a vector ahead": (np.s_[16:-4], np.s_[:-20]),
    "less than a vector behind": (np.s_[:-20], np.s_[7:-13]),
    "backwards": (np.s_[::-1], np.s_[:]),
    "both backwards, one apart": (np.s_[-2::-1], np.s_[:0:-1]),
    "into every second": (np.s_[::2], np.s_[: 100_000]),
    "from every second": (np.s_[:100_000], np.s_[::2]),
    "even to odd": (np.s_[1::2], np.s_[::2]),
}  # fmt: skip


@pytest.mark.usefixtures("either_way")
@pytest.mark.parametrize("case", _OVERLAPS)
@pytest.mark.parametrize("name", ["neg", "exp", "add", "tanh_backward"])
def test_an_output_may_overlap_inputs(name, case):
    ufunc, (target, source) = _ufunc(name), _OVERLAPS[case]
    (data,) = _draw(1, 200_000)
    others = [x[source].copy() for x in _draw(ufunc.nin, 200_000)]
    for k in range(ufunc.nin):
        memory = data.copy()
        inputs = [memory[source] if i == k else x for i, x in enumerate(others)]
        expected = ufunc(*[x.copy() for x in inputs])
        ufunc(*inputs, out=memory[target])
        assert _same(memory[target].copy(), expected)
    memory = data.copy()
    expected = ufunc(*[memory[source].copy()] * ufunc.nin)
    ufunc(*[memory[source]] * ufunc.nin, out=memory[target])
    assert _same(memory[target].copy(), expected)


# ------------------------------------------------------------------ methods


@pytest.mark.usefixtures("either_way")
@both_types
@binary_ufunc
@pytest.mark.parametrize("n", [1, 2, 3, 17, 1000, 100_003])
def test_accumulate_and_reduce_go_in_order(name, n, dtype):
    """One after the other, in however many parts an element-wise loop would be cut."""
    ours, theirs = _ufunc(name), _BINARY[name]
    x = np.exp(np.random.default_rng(0).uniform(-0.1, 0.1, n)).astype(dtype)
    expected = theirs.accumulate(x)
    assert _same(ours.accumulate(x), expected)
    assert _same(np.asarray(ours.reduce(x)), expected[-1:].reshape(()))
    assert _same(ours.accumulate(x[::-1]), theirs.accumulate(x[::-1]))
    changed = x.copy()
    ours.accumulate(changed, out=changed)
    assert _same(changed, expected)
    assert _same(ours.accumulate(np.stack([x, x], axis=1), axis=0)[:, 1].copy(), expected)
    assert _same(ours.accumulate(np.stack([x, x]), axis=1)[1], expected)


@pytest.mark.usefixtures("either_way")
@both_types
@binary_ufunc
def test_reduce_over_axes(name, dtype):
    ours, theirs = _ufunc(name), _BINARY[name]
    x = np.random.default_rng(0).uniform(0.9, 1.1, (7, 33, 65)).astype(dtype)
    for axis in (0, 1, 2, -1):
        for options in ({}, {"keepdims": True}, {"initial": 2.0}):
            np.testing.assert_allclose(
                ours.reduce(x, axis=axis, **options), theirs.reduce(x, axis=axis, **options),
                rtol=1e-5 if dtype == np.float32 else 1e-13,
            )  # fmt: skip
    turned = x.transpose(2, 0, 1)
    np.testing.assert_allclose(ours.reduce(turned), theirs.reduce(turned), rtol=1e-5)
    if name in ("add", "mul"):
        np.testing.assert_allclose(
            ours.reduce(x, axis=1, where=x > 1, initial=1.0),
            theirs.reduce(x, axis=1, where=x > 1, initial=1.0), rtol=1e-5,
        )  # fmt: skip


@binary_ufunc
def test_there_is_nothing_to_reduce_nothing_to(name):
    with pytest.raises(ValueError, match="no identity"):
        _ufunc(name).reduce(np.empty(0, np.float32))
    assert _ufunc(name).reduce(np.empty(0, np.float32), initial=3.0) == 3
    assert _ufunc(name).reduce(np.empty((0, 3), np.float32), axis=1).shape == (0,)


@pytest.mark.usefixtures("either_way")
@binary_ufunc
def test_outer_at_and_reduceat(name):
    ours, theirs = _ufunc(name), _BINARY[name]
    a, b = _draw(2, 83)
    assert _same(ours.outer(a, b[:7]), theirs.outer(a, b[:7]))
    places = np.array([3, 5, 3, 3, 80])
    ones, twos = a.copy(), a.copy()
    ours.at(ones, places, b[:5])
    theirs.at(twos, places, b[:5])
    assert _same(ones, twos)
    starts = [0, 4, 5, 60]
    np.testing.assert_allclose(ours.reduceat(a, starts), theirs.reduceat(a, starts), rtol=1e-5)


def test_arithmetic_is_numpys_to_the_bit():
    a, b = _draw(2, 100_003)
    for name, operation in (
        ("add", operator.add), ("sub", operator.sub), ("mul", operator.mul),
        ("div", operator.truediv),
    ):  # fmt: skip
        assert _same(_ufunc(name)(a, b), operation(a, b))
    assert _same(kernels.neg(a), -a)
    assert _same(kernels.sqrt(a), np.sqrt(a))
