"""Recurrent modules and packed sequences: against a plain step-by-step reference, and PyTorch."""

import copy
import math
import pickle

import numpy as np
import pytest
from rows_recurrent import cell, stack

import fastgrad as fg
from fastgrad import nn
from fastgrad.nn.utils import rnn
from fastgrad.testing import gradcheck

_MODULES = {"rnn_tanh": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}
_OPTIONS = (
    {},
    {"num_layers": 2, "bidirectional": True},
    {"bias": False, "batch_first": True},
    {"num_layers": 2, "proj_size": 2},
)
_CALLS = [
    (kind, options)
    for kind in _MODULES
    for options in _OPTIONS
    if kind == "lstm" or "proj_size" not in options
]


def _make(kind, options, dtype=np.float64):
    fg.manual_seed(1)
    return _MODULES[kind](3, 4, dtype=dtype, **options)


def _states(kind, module, batch, rng):
    count = module.num_layers * (1 + module.bidirectional)
    h = rng.standard_normal((count, batch, module.proj_size or module.hidden_size))
    c = rng.standard_normal((count, batch, module.hidden_size))
    return (fg.Tensor(h), fg.Tensor(c)) if kind == "lstm" else (fg.Tensor(h), None)


def _reference(kind, module, x, h, c, lengths=None):
    params = [p.data for p in module.parameters()]
    each = len(module.all_weights[0])
    c = np.zeros(h.shape) if c is None else c.data
    return stack(kind, x, h.data, c, params, each, module.bidirectional, lengths)


def _given(kind, h, c):
    return (h, c) if kind == "lstm" else h


def _parts(kind, result):
    out, last = result
    return (out, *last) if kind == "lstm" else (out, last)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize(("kind", "options"), _CALLS)
def test_equals_steps_in_numpy(kind, options, backend):
    fg.set_backend(backend)
    module, rng = _make(kind, options), np.random.default_rng(0)
    x, (h, c) = rng.standard_normal((5, 2, 3)), _states(kind, module, 2, rng)
    wanted = _reference(kind, module, x, h, c)
    given = x.swapaxes(0, 1) if module.batch_first else x
    parts = _parts(kind, module(fg.Tensor(given), _given(kind, h, c)))
    out = parts[0].data.swapaxes(0, 1) if module.batch_first else parts[0].data
    for ours, theirs in zip((out, *(p.data for p in parts[1:])), wanted, strict=False):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("kind", "options"), _CALLS)
def test_one_sequence_is_a_batch_of_one(kind, options):
    module, rng = _make(kind, options), np.random.default_rng(0)
    x, (h, c) = fg.Tensor(rng.standard_normal((5, 3))), _states(kind, module, 1, rng)
    axis = 0 if module.batch_first else 1
    wanted = _parts(kind, module(x.unsqueeze(axis), _given(kind, h, c)))
    h, c = h.squeeze(1), None if c is None else c.squeeze(1)
    for k, (a, b) in enumerate(
        zip(_parts(kind, module(x, _given(kind, h, c))), wanted, strict=True)
    ):
        np.testing.assert_array_equal(a.data, b.squeeze(axis if k == 0 else 1).data)


@pytest.mark.parametrize("sort", [True, False])
@pytest.mark.parametrize(("kind", "options"), _CALLS)
def test_packed_equals_each_sequence_alone(kind, options, sort):
    module, rng = _make(kind, {**options, "batch_first": False}), np.random.default_rng(0)
    lengths = [4, 3, 3, 1] if sort else [3, 1, 4, 3]
    x, (h, c) = rng.standard_normal((4, 4, 3)), _states(kind, module, 4, rng)
    wanted = _reference(kind, module, x, h, c, lengths)
    packed = rnn.pack_padded_sequence(fg.Tensor(x), lengths, enforce_sorted=sort)
    out, *last = _parts(kind, module(packed, _given(kind, h, c)))
    padded, found = rnn.pad_packed_sequence(out)
    assert found.tolist() == lengths
    for ours, theirs in zip((padded, *last), wanted, strict=False):
        np.testing.assert_allclose(ours.data, theirs, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", _MODULES)
def test_gradients_through_packed_sequences(kind):
    module = _make(kind, {"bidirectional": True})
    x = fg.Tensor(np.random.default_rng(0).standard_normal((3, 3, 3)), requires_grad=True)

    def run(x, *_):
        packed = rnn.pack_padded_sequence(x, [2, 3, 1], enforce_sorted=False)
        out, *last = _parts(kind, module(packed))
        return fg.cat([rnn.pad_packed_sequence(out)[0].reshape(-1), last[0].reshape(-1)], 0)

    assert gradcheck(run, [x, *module.parameters()])


@pytest.mark.parametrize("kind", ["rnn_tanh", "rnn_relu", "lstm", "gru"])
def test_cells(kind):
    modules = {"lstm": nn.LSTMCell, "gru": nn.GRUCell}
    more = {} if kind in modules else {"nonlinearity": kind[4:]}
    module = modules.get(kind, nn.RNNCell)(3, 4, dtype=np.float64, **more)
    rng = np.random.default_rng(0)
    x, h, c = rng.standard_normal((2, 3)), rng.standard_normal((2, 4)), rng.standard_normal((2, 4))
    wanted = cell(kind, x, h, c, *(p.data for p in module.parameters()))
    hx = (fg.Tensor(h), fg.Tensor(c)) if kind == "lstm" else fg.Tensor(h)
    found = module(fg.Tensor(x), hx)
    for ours, theirs in zip(found if kind == "lstm" else [found], wanted, strict=False):
        np.testing.assert_allclose(ours.data, theirs, rtol=1e-10, atol=1e-12)
    start, zero = module(fg.Tensor(x)), fg.Tensor(np.zeros((2, 4)))
    same = module(fg.Tensor(x), (zero, zero) if kind == "lstm" else zero)
    for a, b in zip(start, same, strict=True) if kind == "lstm" else [(start, same)]:
        np.testing.assert_array_equal(a.data, b.data)


@pytest.mark.parametrize("kind", _MODULES)
def test_compiled_step_equals_eager_and_takes_other_lengths(kind):
    models = [_make(kind, {"num_layers": 2, "dropout": 0.25}, np.float32) for _ in range(2)]
    steps = []
    for model in models:
        optimizer = fg.optim.SGD(model.parameters(), lr=0.1)

        def step(x, model=model, optimizer=optimizer):
            optimizer.zero_grad()
            loss = (model(x)[0][-1] ** 2).sum()
            loss.backward()
            optimizer.step()
            return loss

        steps.append(step)
    compiled, rng = fg.compile(steps[1]), np.random.default_rng(0)
    for length in (5, 5, 7, 5, 7):
        x = fg.Tensor(rng.standard_normal((length, 20, 3)).astype(np.float32))
        losses = []
        for run in (steps[0], compiled):
            fg.manual_seed(3)
            losses.append(run(x).item())
        assert losses[0] == losses[1]
    for a, b in zip(models[0].parameters(), models[1].parameters(), strict=True):
        np.testing.assert_array_equal(a.data, b.data)


def test_lengths_from_an_argument_are_refused_in_a_compiled_step():
    @fg.compile
    def step(x, lengths):
        return rnn.pack_padded_sequence(x, lengths).data

    with pytest.raises(fg.Unrecordable, match="lengths are part of what is recorded"):
        step(fg.ones(2, 2), fg.tensor([2, 1]))


@pytest.mark.usefixtures("always_threaded")
@pytest.mark.parametrize("kind", _MODULES)
def test_threads_change_no_bit(kind):
    runs = []
    for threads in (2, 1):
        fg.set_num_threads(threads)
        module = _make(kind, {"num_layers": 2, "bidirectional": True}, np.float32)
        x = np.random.default_rng(0).standard_normal((6, 37, 3)).astype(np.float32)
        x = fg.Tensor(x, requires_grad=True)
        out = module(x)[0]
        (out**3).sum().backward()
        runs.append([out.data, x.grad.data, *(p.grad.data for p in module.parameters())])
    for a, b in zip(*runs, strict=True):
        assert a.tobytes() == b.tobytes()


def test_parameters_start_within_their_bound():
    module = nn.LSTM(50, 64, 2, proj_size=8)
    values = np.concatenate([p.data.ravel() for p in module.parameters()])
    bound = 1 / math.sqrt(64)
    assert np.abs(values).max() <= bound
    assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.02)


def test_only_what_is_used_sends_gradients():
    module = _make("lstm", {})
    x = fg.Tensor(np.ones((2, 1, 3)), requires_grad=True)
    found = []
    for part in range(3):
        (grad,) = fg.grad((_parts("lstm", module(x))[part] ** 2).sum(), x)
        found.append(grad.data)
    total = sum((p**2).sum() for p in _parts("lstm", module(x)))
    np.testing.assert_allclose(fg.grad(total, x)[0].data, sum(found), rtol=1e-12)


def test_a_changed_output_is_noticed():
    h = fg.ones(2, 4, requires_grad=True)
    weights = fg.ones(4, 3), fg.ones(4, 4)
    out = fg.rnn_tanh_cell(fg.ones(2, 3), h, *weights)
    out_of_step = fg.rnn_tanh(
        fg.ones(1, 2, 3), h.unsqueeze(0), weights, False, 1, 0.0, True, False, False
    )[0]
    for result in (out, out_of_step):
        with fg.no_grad():
            result.mul_(2.0)
        with pytest.raises(RuntimeError, match="was changed in place"):
            result.sum().backward()


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies(duplicate):
    module, x = _make("gru", {"num_layers": 2}), fg.Tensor(np.ones((3, 2, 3)))
    other = duplicate(module)
    np.testing.assert_array_equal(module(x)[0].data, other(x)[0].data)
    other.weight_ih_l0.data[...] = 0
    assert np.abs(module.weight_ih_l0.data).min() > 0


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.LSTM(3, 0), ValueError, "LSTM: hidden_size must be positive"),
        (lambda: nn.LSTM(3, 4.0), TypeError, "LSTM: hidden_size should be an int, got float"),
        (lambda: nn.LSTM(3, 4, bias=1), TypeError, "LSTM: bias should be a bool, got int"),
        (lambda: nn.GRU(3, 4, batch_first="False"), TypeError, "batch_first should be a bool"),
        (lambda: nn.GRU(3, 4, proj_size=2), ValueError, "proj_size is for LSTM only"),
        (lambda: nn.LSTM(3, 4, proj_size=4), ValueError, "proj_size = 4 is not from 0 to"),
        (lambda: nn.RNN(3, 4, nonlinearity="sin"), ValueError, "unknown nonlinearity 'sin'"),
        (lambda: nn.RNN(3, 4, dropout=2), ValueError, "dropout = 2 is not a probability"),
        (lambda: nn.RNN(3, 4, device="cuda"), ValueError, "device 'cuda' is not there"),
        (lambda: nn.RNN(3, 4, dtype=np.float16), TypeError, "float32 or float64, not float16"),
        (lambda: nn.GRU(3, 4)(fg.ones(2, 2, 5)), ValueError,
         r"gru: the input has shape \(4, 5\), expected \(4, 3\)"),
        (lambda: nn.GRU(3, 4)(fg.ones(2)), ValueError, "GRU: expected .steps, N, inputs."),
        (lambda: nn.GRU(3, 4)(fg.ones(0, 2, 3)), ValueError, "none 0"),
        (lambda: nn.GRU(3, 4)(fg.ones(2, 2, 3), fg.ones(1, 3, 4)), ValueError,
         r"a state has shape \(1, 3, 4\), expected \(1, 2, size\)"),
        (lambda: nn.LSTM(3, 4)(fg.ones(2, 2, 3), fg.ones(1, 2, 4)), TypeError, "a pair"),
        (lambda: nn.GRU(3, 4)(fg.ones(2, 2, 3).double()), TypeError, "gru: expected float tensors"),
        (lambda: rnn.pack_padded_sequence(fg.ones(3, 2), [1, 2]), ValueError, "must fall"),
        (lambda: rnn.pack_padded_sequence(fg.ones(3, 2), [4, 2]), ValueError, "from 1 to 3"),
        (lambda: rnn.pad_sequence([fg.ones(2, 3), fg.ones(2, 4)]), ValueError, "in length only"),
    ],
)  # fmt: skip
def test_errors(call, error, message):
    with pytest.raises(error, match=message):
        call()


# ------------------------------------------------------------------ PyTorch


@pytest.mark.parametrize(("kind", "options"), _CALLS)
def test_equals_torch(kind, options):
    torch = pytest.importorskip("torch")
    ours, rng = _make(kind, options), np.random.default_rng(0)
    theirs = {"rnn_tanh": torch.nn.RNN, "lstm": torch.nn.LSTM, "gru": torch.nn.GRU}[kind]
    theirs = theirs(3, 4, **options).double()
    assert repr(ours) == repr(theirs)
    state = {name: torch.from_numpy(p.numpy()) for name, p in ours.state_dict().items()}
    assert list(state) == list(theirs.state_dict())
    theirs.load_state_dict(state)
    x, states = (
        rng.standard_normal((5, 2, 3)),
        _states(kind, ours, 5 if ours.batch_first else 2, rng),
    )
    a, b = fg.Tensor(x, requires_grad=True), torch.from_numpy(x).requires_grad_()
    given = [s if s is None else torch.from_numpy(s.data) for s in states]
    mine = _parts(kind, ours(a, _given(kind, *states)))
    wanted = _parts(kind, theirs(b, _given(kind, *given)))
    for p, q in zip(mine, wanted, strict=True):
        np.testing.assert_allclose(p.data, q.detach().numpy(), rtol=1e-9, atol=1e-11)
    sum((p**3).sum() for p in mine).backward()
    sum((q**3).sum() for q in wanted).backward()
    for p, q in zip((a, *ours.parameters()), (b, *theirs.parameters()), strict=True):
        np.testing.assert_allclose(p.grad.data, q.grad.numpy(), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("sort", [True, False])
def test_packing_equals_torch(sort):
    torch = pytest.importorskip("torch")
    theirs, lengths = torch.nn.utils.rnn, [4, 2, 2] if sort else [2, 4, 1]
    x = np.random.default_rng(0).standard_normal((3, 4, 2))
    for k, length in enumerate(lengths):
        x[k, length:] = 0
    a = rnn.pack_padded_sequence(fg.Tensor(x), fg.Tensor(lengths), True, sort)
    b = theirs.pack_padded_sequence(torch.from_numpy(x), torch.tensor(lengths), True, sort)
    for p, q in zip(a, b, strict=True):
        assert (p is None) == (q is None)
        if p is not None:
            np.testing.assert_array_equal(p.data, q.numpy())
    for total in (None, 6):
        options = {"batch_first": True, "padding_value": 0.5, "total_length": total}
        for p, q in zip(
            rnn.pad_packed_sequence(a, **options),
            theirs.pad_packed_sequence(b, **options),
            strict=True,
        ):
            np.testing.assert_array_equal(p.data, q.numpy())
    for p, q in zip(rnn.unpack_sequence(a), theirs.unpack_sequence(b), strict=True):
        np.testing.assert_array_equal(p.data, q.numpy())
    for side in ("left", "right"):
        p = rnn.pad_sequence([fg.ones(2, 2), fg.ones(3, 2)], padding_side=side)
        q = theirs.pad_sequence([torch.ones(2, 2), torch.ones(3, 2)], padding_side=side)
        np.testing.assert_array_equal(p.data, q.numpy())
