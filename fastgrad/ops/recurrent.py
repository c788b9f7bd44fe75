"""Rules of recurrent networks: a cell, a layer over sequences, stacks of layers."""

import itertools

import numpy as np

from ..backend import K
from ..lifting import op
from ..tape import recording
from ..tensor import Tensor
from ._family import T

__all__ = [
    "gru", "gru_cell", "lstm", "lstm_cell", "rnn_relu", "rnn_relu_cell", "rnn_tanh",
    "rnn_tanh_cell",
]  # fmt: skip

GATES = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}
_ALL = (True,) * 8


# ------------------------------------------------------------------ one layer


def _rule(x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, *, kind, sizes, backwards):
    """One direction of a layer over sequences; see ``kernels/recurrent.py``."""
    short = kind.removeprefix("rnn_")
    how = {"kind": short, "sizes": sizes, "backwards": backwards}
    out, last_h, last_c, saved = K.recurrent_forward(x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, **how)

    def pull_back(grads, needs, out, x, w_ih, w_hh, w_hr, b_ih, *_):
        return K.recurrent_backward(
            grads, x, out, saved, w_ih, w_hh, w_hr, biased=b_ih is not None, needs=needs, **how
        )

    # Pull-backs hold the states and biases too, for gradients of gradients.
    if short in ("tanh", "relu"):
        return (out, last_h), lambda grads, needs=_ALL: pull_back(
            grads, needs, out, x, w_ih, w_hh, w_hr, b_ih, h, c, b_hh
        )
    return (out, last_h, last_c) if short == "lstm" else (out, last_h), (
        lambda grads, needs=_ALL: pull_back(
            grads, needs, None, x, w_ih, w_hh, w_hr, b_ih, h, c, b_hh
        )
    )


def _composed(x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, *, kind, sizes, backwards):
    """The same by simpler operations on tensors."""
    units, lstm = w_hh.shape[0] // GATES[kind], kind == "lstm"
    of_x = T.linear(x, w_ih.transpose(0, 1), b_ih)
    turned = w_hh.transpose(0, 1)
    h = Tensor(np.zeros((sizes[0], w_hh.shape[1]), x.dtype)) if h is None else h
    if lstm:
        c = Tensor(np.zeros((sizes[0], units), x.dtype)) if c is None else c
    ends = list(itertools.accumulate(sizes))
    outputs = [None] * len(sizes)
    steps = range(len(sizes))
    for step in reversed(steps) if backwards else steps:
        rows = sizes[step]
        gates, of_h = of_x[ends[step] - rows : ends[step]], T.linear(h[:rows], turned, b_hh)
        if lstm:
            i, f, g, o = T.split(gates + of_h, units, 1)
            state = T.sigmoid(f) * c[:rows] + T.sigmoid(i) * T.tanh(g)
            c = T.cat([state, c[rows:]], 0)
            out = T.sigmoid(o) * T.tanh(state)
            out = out if w_hr is None else T.linear(out, w_hr.transpose(0, 1))
        elif kind == "gru":
            (r, z, n), (hr, hz, hn) = T.split(gates, units, 1), T.split(of_h, units, 1)
            r, z = T.sigmoid(r + hr), T.sigmoid(z + hz)
            n = T.tanh(n + r * hn)
            out = (h[:rows] - n) * z + n
        else:
            out = (T.tanh if kind == "rnn_tanh" else T.relu)(gates + of_h)
        outputs[step] = out
        h = T.cat([out, h[rows:]], 0)
    results = T.cat(outputs, 0), h
    return (*results, c) if lstm else results


_layers = {kind: op(_rule, name=kind).composed_of(_composed) for kind in GATES}


def layer(kind, x, h, c, weights, sizes, backwards=False):
    """(out, last h), or of an LSTM (out, last h, last c), of one direction of a layer.

    x (rows, inputs), of which step t has ``sizes[t]``; h and c (batch, ...) or None for zeros;
    weights (w_ih, w_hh, b_ih, b_hh, w_hr), the last three or None
    """
    w_ih, w_hh, *rest = weights
    b_ih, b_hh, w_hr = (*rest, None, None, None)[:3]
    _check(kind, x, h, c, (w_ih, w_hh, b_ih, b_hh, w_hr), sizes[0])
    return _layers[kind](
        x, h, c, w_ih, w_hh, b_ih, b_hh, w_hr, kind=kind, sizes=sizes, backwards=backwards
    )


def _check(kind, x, h, c, weights, batch):
    """Raise an error that says what does not fit, if anything does not."""
    w_ih, w_hh, b_ih, b_hh, w_hr = weights
    dtypes = {t.dtype for t in (x, h, c, *weights) if t is not None}
    if len(dtypes) > 1 or next(iter(dtypes)).kind != "f":
        names = " and ".join(sorted(dtype.name for dtype in dtypes))
        raise TypeError(f"{kind}: expected float tensors of one type, got {names}")
    many = GATES[kind]
    if w_ih.ndim != 2 or w_hh.ndim != 2 or w_hh.shape[0] % many:
        raise ValueError(
            f"{kind}: weights have shapes {w_ih.shape} and {w_hh.shape}; expected ({many} · hidden,"
            f" inputs) and ({many} · hidden, hidden)"
        )
    units, outputs = w_hh.shape[0] // many, w_hh.shape[1]
    expected = (
        ("the input", x, (x.shape[0], w_ih.shape[1])),
        ("weight_ih", w_ih, (many * units, w_ih.shape[1])),
        ("weight_hh", w_hh, (many * units, outputs if w_hr is not None else units)),
        ("bias_ih", b_ih, (many * units,)),
        ("bias_hh", b_hh, (many * units,)),
        ("weight_hr", w_hr, (outputs, units)),
        ("the hidden state", h, (batch, outputs)),
        ("the cell state", c, (batch, units)),
    )
    for name, tensor, shape in expected:
        if tensor is not None and tensor.shape != shape:
            raise ValueError(f"{kind}: {name} has shape {tensor.shape}, expected {shape}")
    if (b_ih is None) != (b_hh is None):
        raise ValueError(f"{kind}: bias_ih and bias_hh come together")


# ------------------------------------------------------------------ one step


def _step(kind, x, h, c, weights):
    """The new states of a cell, for a batch (N, inputs) or a single (inputs,)."""
    x, h, c, *weights = (
        t if t is None or isinstance(t, Tensor) else Tensor(t) for t in (x, h, c, *weights)
    )
    if x.ndim not in (1, 2):
        raise ValueError(f"{kind}_cell: expected (N, inputs) or (inputs,), got {x.shape}")
    for state in (h, c):
        if state is not None and state.ndim != x.ndim:
            raise ValueError(
                f"{kind}_cell: the input has shape {x.shape}, a state {state.shape}; expected as "
                "many dimensions"
            )
    if x.ndim == 1:
        x, h, c = (None if t is None else t.unsqueeze(0) for t in (x, h, c))
        return [state.squeeze(0) for state in _step(kind, x, h, c, weights)]
    if not x.shape[0]:
        raise ValueError(f"{kind}_cell: the batch is empty")
    return layer(kind, x, h, c, weights, (x.shape[0],))[1:]


def lstm_cell(x, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of a long short-term memory: the new (h, c). Hochreiter & Schmidhuber 1997.

    ``i, f, g, o = W x + b + U h + d``; ``c' = σ(f) · c + σ(i) · tanh(g)``; ``h' = σ(o) · tanh(c')``

    x (N, inputs) or (inputs,), hx = (h, c) of (N, hidden) or (hidden,), w_ih (4 · hidden, inputs),
    w_hh (4 · hidden, hidden), biases (4 · hidden,). Raises ``ValueError`` for shapes that do not
    fit, ``TypeError`` for mixed types.

    >>> import fastgrad as fg
    >>> h, c = fg.lstm_cell(fg.ones(1), (fg.zeros(1), fg.ones(1)), fg.zeros(4, 1), fg.zeros(4, 1))
    >>> c
    tensor([0.5000])
    """
    h, c = (None, None) if hx is None else hx
    return tuple(_step("lstm", x, h, c, (w_ih, w_hh, b_ih, b_hh)))


def gru_cell(x, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of a gated recurrent unit: the new h. Cho et al. 2014.

    ``r, z = σ(W x + b + U h + d)``; ``n = tanh(W x + b + r · (U h + d))``;
    ``h' = (1 - z) · n + z · h``. The gates lie in the order r, z, n; shapes and errors as of
    ``lstm_cell``, with 3 for 4.

    >>> import fastgrad as fg
    >>> fg.gru_cell(fg.ones(1), fg.ones(1), fg.zeros(3, 1), fg.zeros(3, 1))
    tensor([0.5000])
    """
    return _step("gru", x, hx, None, (w_ih, w_hh, b_ih, b_hh))[0]


def rnn_tanh_cell(x, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """One step of a plain recurrent network: ``tanh(W x + b + U h + d)``. Elman 1990.

    Shapes and errors as of ``lstm_cell``, with 1 for 4.

    >>> import fastgrad as fg
    >>> fg.rnn_tanh_cell(fg.ones(1), fg.ones(1), fg.ones(1, 1), fg.zeros(1, 1))
    tensor([0.7616])
    """
    return _step("rnn_tanh", x, hx, None, (w_ih, w_hh, b_ih, b_hh))[0]


def rnn_relu_cell(x, hx, w_ih, w_hh, b_ih=None, b_hh=None):
    """``rnn_tanh_cell`` with a ReLU.

    >>> import fastgrad as fg
    >>> fg.rnn_relu_cell(fg.ones(1), fg.ones(1), fg.ones(1, 1), fg.ones(1, 1))
    tensor([2.])
    """
    return _step("rnn_relu", x, hx, None, (w_ih, w_hh, b_ih, b_hh))[0]


# ------------------------------------------------------------------ stacks of layers


def _sizes(name, batch_sizes):
    """The batch sizes of a packed sequence, as a tuple of numbers."""
    array = batch_sizes.data if isinstance(batch_sizes, Tensor) else np.asarray(batch_sizes)
    if type(array) is not np.ndarray and recording.here():
        recording.active.refuse(
            f"compile: {name}: the lengths of packed sequences are part of what is recorded, they "
            "cannot be an argument's values; pack inside the step, by lengths that are numbers"
        )
    sizes = tuple(array.tolist())
    falling = all(a >= b > 0 for a, b in itertools.pairwise((*sizes[:1], *sizes)))
    if not sizes or not falling:
        raise ValueError(f"{name}: batch sizes {sizes} are not positive and falling")
    return sizes


def _run_stack(kind, x, sizes, hx, params, has_biases, layers, dropout, train, bidirectional):
    """(rows of the output, last h, of an LSTM last c) of layers on top of each other."""
    directions = 2 if bidirectional else 1
    count = layers * directions
    each = len(params) // count
    if each * count != len(params) or each not in ((4, 5) if has_biases else (2, 3)):
        raise ValueError(f"{kind}: got {len(params)} parameters for {count} layers and directions")
    states = [None, None] if hx is None else [*hx] if kind == "lstm" else [hx, None]
    lasts = []
    for number in range(layers):
        if number and dropout and train:
            x = T.dropout(x, dropout, True)
        results = []
        for direction in range(directions):
            k = number * directions + direction
            weights = list(params[k * each : (k + 1) * each])
            weights[2:2] = [] if has_biases else [None, None]
            h, c = (None if state is None else T.select(state, 0, k) for state in states)
            results.append(layer(kind, x, h, c, weights, sizes, direction == 1))
        x = T.cat([result[0] for result in results], 1) if bidirectional else results[0][0]
        lasts += [result[1:] for result in results]
    return x, *(T.stack(list(part), 0) for part in zip(*lasts, strict=True))


def _check_states(kind, hx, count, batch):
    """The states given for a stack: (layers · directions, batch, size) each."""
    for state in () if hx is None else hx if kind == "lstm" else (hx,):
        if state.ndim != 3 or state.shape[:2] != (count, batch):
            raise ValueError(
                f"{kind}: a state has shape {state.shape}, expected ({count}, {batch}, size)"
            )


def _stack(kind, first, second, third, *rest):
    """``lstm`` and its kin, on padded or on packed sequences."""
    if not isinstance(rest[0], bool):
        hx, (params, has_biases, layers, dropout, train, bidirectional) = third, rest
        sizes = _sizes(kind, second)
        _check_states(kind, hx, layers * (1 + bool(bidirectional)), sizes[0])
        return _run_stack(
            kind, first, sizes, hx, params, has_biases, layers, dropout, train, bidirectional
        )
    has_biases, layers, dropout, train, bidirectional, batch_first = rest
    x = first.transpose(0, 1) if batch_first else first
    if x.ndim != 3 or 0 in x.shape[:2]:
        raise ValueError(f"{kind}: expected an input (steps, N, inputs), none 0, got {x.shape}")
    steps, batch = x.shape[:2]
    _check_states(kind, second, layers * (1 + bool(bidirectional)), batch)
    out, *last = _run_stack(
        kind, x.reshape(steps * batch, x.shape[2]), (batch,) * steps, second, third, has_biases,
        layers, dropout, train, bidirectional,
    )  # fmt: skip
    out = out.reshape(steps, batch, out.shape[1])
    out = out.transpose(0, 1) if batch_first else out
    return out, *last


def lstm(first, second, third, *rest):
    """Layers of long short-term memories over sequences: (output, h, c).

    As in PyTorch, one of

        lstm(x, hx, params, has_biases, num_layers, dropout, train, bidirectional, batch_first)
        lstm(data, batch_sizes, hx, params, has_biases, num_layers, dropout, train, bidirectional)

    x (steps, N, inputs), or (N, steps, inputs) where ``batch_first``; hx = (h, c), each
    (num_layers · directions, N, size), or None for zeros; params a list of w_ih, w_hh, b_ih, b_hh,
    w_hr of each layer and direction, those that there are. ``nn.LSTM`` calls this.

    Raises ``ValueError`` for shapes that do not fit, ``TypeError`` for mixed types.

    >>> import fastgrad as fg
    >>> params = [fg.zeros(4, 2), fg.zeros(4, 1)]
    >>> x, state = fg.ones(3, 1, 2), fg.zeros(1, 1, 1)
    >>> out, h, c = fg.lstm(x, (state, state), params, False, 1, 0.0, False, False, False)
    >>> out.shape
    (3, 1, 1)
    """
    return _stack("lstm", first, second, third, *rest)


def gru(first, second, third, *rest):
    """Layers of gated recurrent units over sequences: (output, h). Arguments as of ``lstm``.

    >>> import fastgrad as fg
    >>> params = [fg.zeros(3, 2), fg.zeros(3, 1)]
    >>> out, h = fg.gru(fg.ones(3, 1, 2), None, params, False, 1, 0.0, False, False, False)
    >>> h
    tensor([[[0.]]])
    """
    return _stack("gru", first, second, third, *rest)


def rnn_tanh(first, second, third, *rest):
    """Layers of plain recurrent networks over sequences: (output, h). Arguments as of ``lstm``.

    >>> import fastgrad as fg
    >>> params = [fg.ones(1, 1), fg.ones(1, 1)]
    >>> fg.rnn_tanh(fg.zeros(3, 1, 1), None, params, False, 1, 0.0, False, False, False)[1]
    tensor([[[0.]]])
    """
    return _stack("rnn_tanh", first, second, third, *rest)


def rnn_relu(first, second, third, *rest):
    """``rnn_tanh`` with a ReLU.

    >>> import fastgrad as fg
    >>> params = [fg.ones(1, 1), fg.ones(1, 1)]
    >>> fg.rnn_relu(fg.ones(3, 1, 1), None, params, False, 1, 0.0, False, False, False)[1]
    tensor([[[3.]]])
    """
    return _stack("rnn_relu", first, second, third, *rest)
