"""The launcher: any array will do, nothing compiles in mid-training, errors come as errors."""

import signal
import threading
from itertools import product

import numpy as np
import pytest
from all_rows import ROWS
from kernel_cases import Maker, arrays_of

from fastgrad import kernels
from fastgrad.kernels import _cache
from fastgrad.kernels._compile import FLAGS, compile_function
from fastgrad.kernels._jit import kernel, scratch
from fastgrad.kernels._memory import aligned
from fastgrad.kernels._ufunc import Elementwise

# ------------------------------------------------------------------ arrays


def _strided(x):
    whole = np.zeros((*x.shape[:-1], 2 * x.shape[-1] + 1), x.dtype) if x.ndim else x.copy()
    view = whole[..., 1::2] if x.ndim else whole
    view[...] = x
    return view


def _backwards(x):
    return np.ascontiguousarray(x[::-1])[::-1] if x.ndim else x.copy()


def _fortran(x):
    return np.asfortranarray(x)


def _read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def _unaligned(x):
    raw = np.zeros(x.nbytes + 1, np.uint8)[1:]
    view = raw.view(x.dtype).reshape(x.shape)
    view[...] = x
    return view


_VIEWS = (_strided, _backwards, _fortran, _read_only, _unaligned)
# one row for each kernel
_FIRST = {row.kernel: row for row in reversed(ROWS) if row.kernel != "strided"}.values()
_NUMPYS = {kernel.name for kernel in Elementwise.all if not kernel.compiles}


def _with(view, args, positions):
    """The arguments with the arrays at ``positions`` replaced by views of the same values."""

    def change(value):
        if isinstance(value, tuple):
            return tuple(change(part) for part in value)
        return view(value) if isinstance(value, np.ndarray) else value

    return [change(arg) if k in positions else arg for k, arg in enumerate(args)]


def _result(row, args):
    return getattr(kernels, row.kernel)(*args)


def _call(row, args):
    return [array.tobytes() for array in arrays_of(_result(row, args), row, args)]


def _arguments(row):
    size = row.sizes[min(3, len(row.sizes) - 1)]
    args = row.make(Maker(np.float32), *size)
    if row.kernel == "cross_entropy_backward":  # what a loss saves is the backend's own
        _, x, labels, _, *options = args
        args = (*args[:3], kernels.cross_entropy_forward(x, labels, *options)[1], *options)
    return args


@pytest.fixture(scope="module")
def _every_orientation():
    """A product of turned operands has kernels of its own, for large and for small ones."""
    for n in (8, 300):
        x = np.ones((n, n), np.float32)
        for a, b in product((x, x.T), repeat=2):
            kernels.matmul(a, b)


@pytest.mark.usefixtures("_every_orientation")
@pytest.mark.parametrize("view", _VIEWS, ids=lambda view: view.__name__.strip("_"))
@pytest.mark.parametrize("row", _FIRST, ids=lambda row: row.kernel)
def test_inputs_of_any_layout_are_right_and_compile_nothing(row, view):
    expected = _call(row, _arguments(row))
    before = _cache.counts["compiled"]
    inputs = {k for k in range(len(_arguments(row))) if k not in row.changes}
    args = _with(view, _arguments(row), inputs)
    if row.kernel in _NUMPYS:  # NumPy's loops may differ in the last bit where strides do
        results = [np.asarray(_result(row, x), float) for x in (args, _arguments(row))]
        np.testing.assert_allclose(*results, rtol=5e-7)
    else:
        assert _call(row, args) == expected
    assert _cache.counts["compiled"] == before
    for k in inputs:
        if isinstance(args[k], np.ndarray):  # and is not changed
            assert args[k].tobytes() == _arguments(row)[k].tobytes()


@pytest.mark.parametrize("view", _VIEWS[:3] + _VIEWS[4:], ids=lambda view: view.__name__.strip("_"))
@pytest.mark.parametrize("row", [row for row in _FIRST if row.changes], ids=lambda row: row.kernel)
def test_what_a_kernel_changes_in_place_may_have_any_layout(row, view):
    expected = _call(row, _arguments(row))
    before = dict(_cache.counts)
    assert _call(row, _with(view, _arguments(row), row.changes)) == expected
    assert dict(_cache.counts) == before


@pytest.mark.parametrize("view", [_strided, _backwards, _fortran, _unaligned])
def test_out_may_have_any_layout(view):
    m = Maker(np.float32)
    x, y, z = m.normal(7, 13), m.normal(13, 29), m.normal(7, 29)
    for call, inputs in (
        (kernels.matmul, (x, y)),
        (kernels.matmul_nt, (z, y)),
        (kernels.matmul_tn, (x, z)),
        (kernels.matmul, (x, y[:, :3])),
        (kernels.transpose, (x,)),
        (kernels.transpose, (x[:1],)),
    ):
        expected = call(*inputs)
        out = view(np.zeros_like(expected))
        result = call(*inputs, out=out)
        assert np.array_equal(result, expected)
        assert np.array_equal(out, expected)


def test_a_subclass_of_ndarray_is_an_array(tmp_path):
    x = Maker(np.float32).normal(7, 13)
    mapped = np.memmap(tmp_path / "x", np.float32, "w+", shape=x.shape)
    mapped[...] = x
    assert np.array_equal(kernels.softmax_forward(mapped), kernels.softmax_forward(x))
    read_only = np.memmap(tmp_path / "x", np.float32, "r", shape=x.shape)
    assert np.array_equal(kernels.softmax_forward(read_only), kernels.softmax_forward(x))


# ------------------------------------------------------------------ errors


def _refuse(code, x, limit):
    raise LookupError(f"element {code - 1} of {x.tolist()} is above {limit}")


@kernel(serial=True, on_error=_refuse)
def _check(start, stop, x, limit):
    for i in range(start, stop):
        if x[i] > limit:
            return i + 1
    return 0


def test_an_error_code_becomes_an_exception():
    x = np.array([1, 2, 3, 9, 10])
    for work in (0, 10**12):  # serial is serial
        _check(3, work, x, 5)
        with pytest.raises(LookupError, match=r"element 3 of \[1, 2, 3, 9, 10\] is above 5"):
            _check(5, work, x, 5)
    with pytest.raises(LookupError, match="element 3"):
        _check(5, 0, _read_only(x), 5)
    with pytest.raises(LookupError, match="element 1"):
        _check(3, 0, x[1::2], 5)


def test_only_serial_kernels_may_return_errors():
    """The parts of a threaded launch have nowhere to return a code to."""

    def body(start, stop, x):
        return 1

    with pytest.raises(TypeError, match="serial"):
        kernel(body, on_error=_refuse)


_EXTREMES = (-(2**63), -1, 5, 2**31, 2**62, 2**63 - 1)


@pytest.mark.parametrize("view", [np.array, _strided, _read_only])
@pytest.mark.parametrize("bad", _EXTREMES)
@pytest.mark.parametrize("position", [0, 6, 16])
def test_bad_labels_and_indices_are_refused_before_anything_happens(bad, position, view):
    x = Maker(np.float32).normal(17, 5)
    labels = np.arange(17) % 5
    labels[position] = bad
    labels = view(labels)
    message = rf"label {bad} at position {position} is out of range; expected 0 <= label < 5"
    for call in (
        lambda: kernels.check_labels(labels, 5, -100),
        lambda: kernels.cross_entropy_forward(x, labels),
        lambda: kernels.nll_loss_forward(x, labels),
    ):
        with pytest.raises(IndexError, match=message):
            call()
    kernels.check_labels(labels, 5, bad)  # unless ignored
    message = rf"gather_rows: index {bad} at position {position} is out of range"
    with pytest.raises(IndexError, match=message):
        kernels.gather_rows(x[:5], labels)


# ------------------------------------------------------------------ compilation


def test_flags_leave_every_bit_to_the_kernel():
    assert "fastmath" not in FLAGS
    assert FLAGS["error_model"] == "numpy"  # division by zero is no exception
    assert FLAGS["nogil"]


@pytest.mark.parametrize("dtype", ["float16", "complex64", "longdouble"])
def test_types_that_no_kernel_has_are_refused_by_name(dtype):
    x = np.ones((2, 3), dtype)
    for run in (kernels.softmax_forward, lambda x: kernels.sum(x, (0,))):
        with pytest.raises(TypeError, match=f"there is no kernel for {x.dtype}; convert with"):
            run(x)


def test_a_wrong_call_says_so_and_spoils_nothing():
    x = np.zeros(3)
    with pytest.raises(Exception, match="annot determine Numba type"):
        _check(3, 0, x, object())
    with pytest.raises(TypeError):
        _check(3, 0, x)
    assert _check(3, 0, x, 5) is None


def test_ctrl_c_waits_for_the_compiler(monkeypatch):
    """Inside, it can leave the compiler broken, or end the process."""
    finished = []

    def save(cache, sig, result):
        signal.raise_signal(signal.SIGINT)
        finished.append(sig)

    monkeypatch.setattr(_cache.KernelCache, "load_overload", lambda *args: None)
    monkeypatch.setattr(_cache.KernelCache, "save_overload", save)
    run = compile_function(lambda x: x + 1, "test_jit.interrupted")
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        run(1)
    assert len(finished) == 1
    assert signal.getsignal(signal.SIGINT) is handler
    assert run(1) == 2
    assert len(finished) == 1


def test_ctrl_c_is_not_lost_where_the_compilation_fails(monkeypatch):
    def load(*args):
        signal.raise_signal(signal.SIGINT)
        raise LookupError

    monkeypatch.setattr(_cache.KernelCache, "load_overload", load)
    run = compile_function(lambda x: x + 1, "test_jit.failing")
    with pytest.raises(KeyboardInterrupt):
        run(1)


@pytest.mark.parametrize("handler", [signal.SIG_DFL, signal.SIG_IGN], ids=str)
def test_signals_that_end_the_process_or_nothing_stay_as_they_are(handler, monkeypatch):
    seen = []
    monkeypatch.setattr(
        _cache.KernelCache, "load_overload", lambda *args: seen.append(signal.getsignal(2))
    )
    monkeypatch.setattr(_cache.KernelCache, "save_overload", lambda *args: None)
    before = signal.signal(signal.SIGINT, handler)
    try:
        assert compile_function(lambda x: x + 1, "test_jit.default")(1) == 2
        assert signal.getsignal(signal.SIGINT) == handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert seen == [handler]


# ------------------------------------------------------------------ scratch


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
@pytest.mark.parametrize("size", [0, 1, 1023, 100_001])
def test_aligned_arrays_start_on_a_page(size, dtype):
    for _ in range(5):
        x = aligned((size,), dtype, size * np.dtype(dtype).itemsize, 4096)
        assert (x.shape, x.dtype) == ((size,), np.dtype(dtype))
        assert x.flags.carray
        if size:
            assert x.ctypes.data % 4096 == 0
            x[:] = 1


def test_scratch_is_each_threads_own():
    first = scratch(10, np.dtype(np.float32))
    assert scratch(10, np.dtype(np.float32)) is first
    assert scratch(first.size + 1, np.dtype(np.float32)).size > first.size
    assert scratch(10, np.dtype(np.float64)).dtype == np.float64
    seen = []
    thread = threading.Thread(target=lambda: seen.append(scratch(10, np.dtype(np.float32))))
    thread.start()
    thread.join()
    assert not np.shares_memory(seen[0], scratch(10, np.dtype(np.float32)))
