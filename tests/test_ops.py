"""Tests of every operation, generated from ``op_cases.CASES``."""

import numpy as np
import pytest
from all_rows import CASES

import fastgrad as fg
from fastgrad import ops
from fastgrad.testing import gradcheck

_CALLS = [
    pytest.param(case, sample, id=f"{case.name}-{number}")
    for case in CASES
    for number, sample in enumerate(case.samples)
]
_WITH_GRADIENT = [call for call in _CALLS if call.values[0].gradient]


def _arrays(case, sample, dtype=np.float64):
    """Positional arrays and options of a call; class weights come in the inputs' type."""
    rng = np.random.default_rng(0)
    arrays = [
        case.draw(rng, x).astype(dtype) if isinstance(x, tuple) else np.asarray(x)
        for x in sample.inputs
    ]
    options = {
        name: value.astype(dtype) if isinstance(value, np.ndarray) else value
        for name, value in sample.options.items()
    }
    return [np.asarray(x) for x in arrays], options


def _tensors(arrays, requires_grad=False):
    return [fg.Tensor(x, requires_grad=requires_grad and x.dtype.kind == "f") for x in arrays]


def _call(case, arrays, options, requires_grad=False):
    options = {
        name: fg.Tensor(value) if isinstance(value, np.ndarray) else value
        for name, value in options.items()
    }
    tensors = _tensors(arrays, requires_grad)
    return case.call(*tensors, **options), tensors


def _reference(case, arrays, options):
    with np.errstate(all="ignore"):
        return np.asarray(
            case.reference(
                *(x.astype(np.float64) if x.dtype.kind == "f" else x for x in arrays),
                **options,
            )
        )


def _backward(case, arrays, options):
    """(result, gradients) of a call, with a fixed incoming gradient."""
    out, tensors = _call(case, arrays, options, requires_grad=True)
    weights = np.random.default_rng(1).uniform(0.5, 1.5, out.shape).astype(out.dtype)
    out.backward(weights)
    return out.data, [x.grad.data for x in tensors if x.grad is not None]


def test_every_operation_has_a_row():
    assert all(getattr(fg, a) is getattr(fg, b) for a, b in ops.ALIASES.items())
    assert {case.name for case in CASES} == set(ops.__all__) - set(ops.ALIASES)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("case", "sample"), _CALLS)
def test_forward_equals_reference(case, sample, dtype, backend):
    fg.set_backend(backend)
    arrays, options = _arrays(case, sample, dtype)
    out, _ = _call(case, arrays, options)
    expected = _reference(case, arrays, options)
    assert out.shape == expected.shape
    if case.gradient:
        assert out.dtype == options.get("dtype", dtype)
    tolerance = case.rtol if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(out.data, expected, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize(("case", "sample"), _WITH_GRADIENT)
def test_gradient(case, sample, backend):
    fg.set_backend(backend)
    arrays, options = _arrays(case, sample)
    options = {k: fg.Tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    assert gradcheck(lambda *inputs: case.call(*inputs, **options), _tensors(arrays, True))


@pytest.mark.parametrize(("case", "sample"), _WITH_GRADIENT)
def test_float32_gradient_equals_float64(case, sample):
    single, options = _arrays(case, sample, np.float32)
    _, ours = _backward(case, single, options)
    double = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in single]
    options = {
        k: v.astype(np.float64) if isinstance(v, np.ndarray) else v for k, v in options.items()
    }
    _, expected = _backward(case, double, options)
    for a, b in zip(ours, expected, strict=True):
        assert a.dtype == np.float32
        scale = max(1.0, float(np.abs(b).max(initial=0)))
        np.testing.assert_allclose(a, b, rtol=10 * case.rtol, atol=case.rtol * scale)


@pytest.mark.parametrize(("case", "sample"), _WITH_GRADIENT)
def test_strided_and_read_only_inputs(case, sample):
    arrays, options = _arrays(case, sample, np.float32)

    def spread(x):
        if not x.ndim or x.dtype.kind != "f":
            frozen = x.copy()
            frozen.flags.writeable = False
            return frozen
        wide = np.zeros((*x.shape[:-1], 2 * x.shape[-1]), x.dtype)
        wide[..., ::2] = x
        return wide[..., ::2]

    def fortran(x):
        return np.asfortranarray(x) if x.ndim else x

    expected = _backward(case, arrays, options)
    for layout in (spread, fortran):
        out, grads = _backward(case, [layout(x) for x in arrays], options)
        np.testing.assert_array_equal(out, expected[0])
        for a, b in zip(grads, expected[1], strict=True):
            np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("case", "sample"), [call for call in _CALLS if call.values[0].special])
def test_special_values(case, sample, value, dtype):
    arrays, options = _arrays(case, sample, dtype)
    for x in arrays:
        if x.dtype.kind == "f" and x.size:
            x.reshape(-1)[0] = value
    out, _ = _call(case, arrays, options)
    tolerance = case.rtol if dtype == np.float32 else 1e-10
    np.testing.assert_allclose(
        out.data, _reference(case, arrays, options), rtol=tolerance, atol=tolerance
    )


@pytest.mark.parametrize(("case", "sample"), _WITH_GRADIENT)
def test_inputs_and_gradients_stay_apart(case, sample):
    """Inputs are not changed, and no gradient shares memory with another array of the user's."""
    arrays, options = _arrays(case, sample, np.float32)
    before = [x.copy() for x in arrays]
    out, tensors = _call(case, arrays, options, requires_grad=True)
    incoming = np.ones(out.shape, out.dtype)
    out.backward(incoming)
    for x, y in zip(arrays, before, strict=True):
        np.testing.assert_array_equal(x, y)
    grads = [x.grad.data for x in tensors if x.grad is not None]
    for k, grad in enumerate(grads):
        for other in (*arrays, out.data, incoming, *grads[:k]):
            assert not np.shares_memory(grad, other)


@pytest.mark.usefixtures("always_threaded")
@pytest.mark.parametrize(("case", "sample"), _WITH_GRADIENT)
def test_same_bits_for_any_thread_count(case, sample):
    arrays, options = _arrays(case, sample, np.float32)
    runs = [_backward(case, arrays, options) for _ in range(2)]
    fg.set_num_threads(1)
    runs.append(_backward(case, arrays, options))
    for out, grads in runs[1:]:
        assert out.tobytes() == runs[0][0].tobytes()
        for a, b in zip(grads, runs[0][1], strict=True):
            assert a.tobytes() == b.tobytes()


@pytest.mark.parametrize(("case", "sample"), _WITH_GRADIENT)
def test_change_of_a_saved_input_is_noticed(case, sample):
    """After an input was changed in place, backward raises, or does not need that input."""
    arrays, options = _arrays(case, sample)
    _, expected = _backward(case, arrays, options)
    for k, array in enumerate(arrays):
        if array.dtype.kind != "f" or not array.size:
            continue
        out, tensors = _call(case, [x.copy() for x in arrays], options, requires_grad=True)
        weights = np.random.default_rng(1).uniform(0.5, 1.5, out.shape).astype(out.dtype)
        with fg.no_grad():
            tensors[k].mul_(1.75)
        try:
            out.backward(weights)
        except RuntimeError as error:
            assert "was changed in place" in str(error)  # noqa: PT017
        else:
            grads = [x.grad.data for x in tensors if x.grad is not None]
            for a, b in zip(grads, expected, strict=True):
                np.testing.assert_allclose(a, b, rtol=1e-12)


_UNRECORDABLE = {
    "allclose", "argwhere", "bincount", "equal", "masked_select", "nonzero", "one_hot", "unique",
    "unique_consecutive",
}  # fmt: skip


_SEEDED = {  # set the seed; see tests/test_activation.py and tests/test_distributions.py
    "alpha_dropout", "bernoulli", "dropout", "dropout1d", "dropout2d", "dropout3d",
    "feature_alpha_dropout", "gumbel_softmax", "multinomial", "normal", "poisson", "rrelu",
    "stochastic_depth",
}  # fmt: skip


@pytest.mark.parametrize(
    ("case", "sample"), [call for call in _CALLS if call.values[0].name not in _SEEDED]
)
def test_compiled_equals_eager(case, sample):
    """The first call records, the others replay on other values; or the recording is refused."""
    rng = np.random.default_rng(0)
    arrays, options = _arrays(case, sample, np.float32)
    options = {k: fg.Tensor(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
    leaves = [
        fg.ones(*x.shape, requires_grad=True) if x.dtype.kind == "f" else None for x in arrays
    ]

    def step(*tensors):
        inputs = [x if leaf is None else leaf * x for x, leaf in zip(tensors, leaves, strict=True)]
        for leaf in leaves:
            if leaf is not None:
                leaf.grad = None
        out = case.call(*inputs, **options)
        if out.requires_grad:
            out.backward(fg.ones_like(out))
        return [out, *(x.grad for x in leaves if x is not None and x.grad is not None)]

    compiled = fg.compile(step)
    for _ in range(3):
        fresh = [
            case.draw(rng, x.shape).astype(np.float32) if x.dtype.kind == "f" else x for x in arrays
        ]
        tensors = [fg.Tensor(np.asarray(x)) for x in fresh]
        try:
            results = compiled(*tensors)
        except fg.Unrecordable:
            assert case.name in _UNRECORDABLE
            return
        for a, b in zip(results, step(*tensors), strict=True):
            assert a.dtype == b.dtype
            np.testing.assert_array_equal(a.data, b.data)


@pytest.mark.parametrize(
    ("case", "error"),
    [
        pytest.param(case, error, id=f"{case.name}-{number}")
        for case in CASES
        for number, error in enumerate(case.errors)
    ],
)
def test_errors(case, error):
    """The same ones where a step is being compiled."""
    arrays, options, exception, message = error

    def step(*tensors):
        return case.call(*tensors, **options)

    alone = case.name in _UNRECORDABLE | {"index_select", "view"}  # recorded: copies, by getitem
    for call in (step,) if alone else (step, fg.compile(step)):
        with pytest.raises(exception, match=message):
            call(*_tensors(arrays))


@pytest.mark.parametrize("what", [[1.0, 2.0], "x", None])
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("relu", fg.relu),
        ("sum", fg.sum),
        ("softmax", lambda x: fg.softmax(x, 0)),
        ("pad", lambda x: fg.pad(x, (1, 1))),
        ("unfold", lambda x: fg.unfold(x, 2)),
        ("interpolate", lambda x: fg.interpolate(x, 2)),
        ("max_pool2d", lambda x: fg.max_pool2d(x, 2)),
        ("lp_pool2d", lambda x: fg.functional.lp_pool2d(x, 2, 2)),
        ("adaptive_avg_pool2d", lambda x: fg.functional.adaptive_avg_pool2d(x, 2)),
        ("channel_shuffle", lambda x: fg.channel_shuffle(x, 2)),
    ],
)
def test_what_is_no_tensor_is_named(name, call, what):
    with pytest.raises(TypeError, match=f"{name}: expected a tensor.*{type(what).__name__}"):
        call(what)
