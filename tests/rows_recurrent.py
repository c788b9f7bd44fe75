"""Rows of recurrent networks; see ``op_cases``. The reference goes step by step, in plain NumPy."""

import functools

import numpy as np
from op_cases import Case, Sample

import fastgrad as fg

KINDS = {"rnn_tanh": 1, "rnn_relu": 1, "lstm": 4, "gru": 3}


def _draw(scale, rng, shape):
    return scale * rng.standard_normal(shape)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def cell(kind, x, h, c, w, u, b=0.0, d=0.0):
    """The new (h, c)."""
    gx, gh = x @ w.T + b, h @ u.T + d
    if kind == "lstm":
        i, f, g, o = np.split(gx + gh, 4, axis=-1)
        c = _sigmoid(f) * c + _sigmoid(i) * np.tanh(g)
        return _sigmoid(o) * np.tanh(c), c
    if kind == "gru":
        (rx, zx, nx), (rh, zh, nh) = np.split(gx, 3, axis=-1), np.split(gh, 3, axis=-1)
        z = _sigmoid(zx + zh)
        return (1 - z) * np.tanh(nx + _sigmoid(rx + rh) * nh) + z * h, c
    return (np.tanh if kind == "rnn_tanh" else lambda y: np.maximum(y, 0))(gx + gh), c


def sequence(kind, x, h, c, weights, lengths=None, backwards=False):
    """(outputs, last h, last c) of one direction; x (steps, N, inputs), padded with zeros."""
    *weights, projection = (*weights, None) if len(weights) % 2 == 0 else weights
    steps, batch = x.shape[:2]
    lengths = [steps] * batch if lengths is None else lengths
    h, c, out = h.copy(), c.copy(), np.zeros((steps, batch, h.shape[1]))
    for t in reversed(range(steps)) if backwards else range(steps):
        for k in range(batch):
            if t < lengths[k]:
                new, c[k] = cell(kind, x[t, k], h[k], c[k], *weights)
                h[k] = out[t, k] = new if projection is None else projection @ new
    return out, h, c


def stack(kind, x, h, c, params, each, both, lengths=None):
    """(outputs, last h, last c) of layers, in one or both directions."""
    last_h, last_c, directions = [], [], 2 if both else 1
    for layer in range(len(params) // each // directions):
        outs = []
        for way in range(directions):
            k = layer * directions + way
            weights = params[k * each : (k + 1) * each]
            out, a, b = sequence(kind, x, h[k], c[k], weights, lengths, way == 1)
            outs.append(out)
            last_h.append(a)
            last_c.append(b)
        x = np.concatenate(outs, axis=2)
    return x, np.stack(last_h), np.stack(last_c)


# ------------------------------------------------------------------ cells


def _lstm_cell(x, h, c, *weights):
    return fg.cat(list(fg.lstm_cell(x, (h, c), *weights)), -1)


def _lstm_cell_reference(x, h, c, *weights):
    return np.concatenate(cell("lstm", x, h, c, *weights), axis=-1)


def _cell_samples(kind, states, batches):
    rows = KINDS[kind]
    for batch, inputs, units, bias in batches:
        biases = ((rows * units,),) * (2 if bias else 0)
        yield Sample(
            (
                (*batch, inputs), *[(*batch, units)] * states,
                (rows * units, inputs), (rows * units, units), *biases,
            )
        )  # fmt: skip


def _cells():
    wrong = (np.zeros((2, 3)), np.zeros((2, 4)), np.zeros((12, 3)), np.zeros((12, 3)))
    for kind in KINDS:
        lstm, name = kind == "lstm", f"{kind}_cell"
        call, reference = _lstm_cell, _lstm_cell_reference
        if not lstm:
            call = getattr(fg, name)

            def reference(x, h, *weights, kind=kind):
                return cell(kind, x, h, None, *weights)[0]

        draw = functools.partial(_draw, 0.7)
        samples = tuple(_cell_samples(kind, 1 + lstm, (((), 3, 2, True),)))
        # PyTorch's function wants a batch, so it has no part in this row
        yield Case(
            name, lambda *x, call=call: call(*x), reference, samples, draw=draw, special=False
        )
        yield Case(
            name, call, reference,
            tuple(_cell_samples(kind, 1 + lstm, (((4,), 3, 5, False), ((3,), 1, 17, True)))),
            draw=draw,
            errors=()
            if kind != "gru"
            else (
                (wrong, {}, ValueError, r"gru: weight_hh has shape \(12, 3\), expected \(12, 4\)"),
                ((np.zeros((2, 3)), np.zeros(4), *wrong[2:]), {}, ValueError, "as many dimensions"),
                ((np.zeros((2, 3, 1)), *wrong[1:]), {}, ValueError, "gru_cell: expected"),
                ((np.zeros((2, 3), np.float32), *wrong[1:]), {}, TypeError, "gru: expected float"),
            ),
            special=False,
        )  # fmt: skip


# ------------------------------------------------------------------ stacks


def _flat(results):
    return fg.cat([x.reshape(-1) for x in results], 0)


def _stack(kind, x, *tensors, each, both):
    states, params = tensors[: 1 + (kind == "lstm")], list(tensors[1 + (kind == "lstm") :])
    layers = len(params) // each // (1 + both)
    hx = states if kind == "lstm" else states[0]
    bias = each in (4, 5)
    return _flat(getattr(fg, kind)(x, hx, params, bias, layers, 0.0, True, both, False))


def _stack_reference(kind, x, h, *rest, each, both):
    c, params = (rest[0], rest[1:]) if kind == "lstm" else (np.zeros_like(h), rest)
    out, h, c = stack(kind, x, h, c, params, each, both)
    return np.concatenate([y.ravel() for y in ((out, h, c) if kind == "lstm" else (out, h))])


def _stack_samples(kind):
    rows = KINDS[kind]
    cases = [(4, 3, 2, 5, 5, 4, 2, True), (2, 1, 3, 2, 2, 2, 1, False), (3, 2, 2, 9, 9, 4, 1, True)]
    if kind == "lstm":
        cases.append((3, 2, 4, 5, 3, 5, 2, True))  # projected
    for steps, batch, inputs, units, outputs, each, layers, both in cases:
        directions, params = 1 + both, []
        for layer in range(layers):
            below = inputs if layer == 0 else outputs * directions
            one = [(rows * units, below), (rows * units, outputs)]
            one += [(rows * units,)] * 2 if each in (4, 5) else []
            params += (one + ([(outputs, units)] if each in (3, 5) else [])) * directions
        states = [(layers * directions, batch, outputs)]
        states += [(layers * directions, batch, units)] if kind == "lstm" else []
        shapes = ((steps, batch, inputs), *states, *params)
        yield Sample(shapes, {"each": each, "both": both})


ROWS = (
    *_cells(),
    *(
        Case(
            kind,
            lambda *tensors, kind=kind, **options: _stack(kind, *tensors, **options),
            lambda *arrays, kind=kind, **options: _stack_reference(kind, *arrays, **options),
            tuple(_stack_samples(kind)),
            draw=functools.partial(_draw, 0.5),
            special=False,
            rtol=1e-4,
        )
        for kind in KINDS
    ),
)
