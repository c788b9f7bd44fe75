"""NumPy twins of ``fastgrad.kernels.recurrent``."""

import numpy as np

from ._quiet import quiet

__all__ = ["recurrent_backward", "recurrent_forward"]


def _sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def _steps(sizes, backwards):
    """The rows of each step as slices, in the order in which they are gone through."""
    ends = np.cumsum(sizes)
    steps = [slice(int(end - size), int(end)) for size, end in zip(sizes, ends, strict=True)]
    return steps[::-1] if backwards else steps


@quiet
def recurrent_forward(
    x, h, c, w_ih, w_hh, b_ih=None, b_hh=None, w_hr=None, kind="lstm", sizes=(), backwards=False
):
    lstm, gru = kind == "lstm", kind == "gru"
    many = {"lstm": 4, "gru": 3}.get(kind, 1)
    rows, units, outputs = len(x), w_hh.shape[0] // many, w_hh.shape[1]
    b_hh = np.zeros(len(w_hh), x.dtype) if b_hh is None else b_hh
    gates = x @ w_ih.T + (0 if b_ih is None else b_ih)
    h = np.zeros((sizes[0], outputs), x.dtype) if h is None else h.copy()
    c = np.zeros((sizes[0], units), x.dtype) if c is None else c.copy()
    before, out = np.empty((rows, outputs), x.dtype), np.empty((rows, outputs), x.dtype)
    inner, c_before, cells = (np.empty((rows, units), x.dtype) for _ in range(3))
    for step in _steps(sizes, backwards):
        n = step.stop - step.start
        before[step], c_before[step] = h[:n], c[:n]
        recurrent = h[:n] @ w_hh.T + b_hh
        if gru:
            inner[step] = recurrent[:, 2 * units :]
            gates[step, : 2 * units] += recurrent[:, : 2 * units]
            r, z = np.split(_sigmoid(gates[step, : 2 * units]), 2, axis=1)
            new = np.tanh(gates[step, 2 * units :] + r * inner[step])
            gates[step] = np.concatenate([r, z, new], axis=1)
            out[step] = (h[:n] - new) * z + new
        else:
            gates[step] += recurrent
            if lstm:
                i, f, g, o = np.split(gates[step], 4, axis=1)
                i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
                gates[step] = np.concatenate([i, f, g, o], axis=1)
                c[:n] = f * c[:n] + i * g
                cells[step] = o * np.tanh(c[:n])
                out[step] = cells[step] if w_hr is None else cells[step] @ w_hr.T
            else:
                out[step] = np.tanh(gates[step]) if kind == "tanh" else np.maximum(gates[step], 0)
        h[:n] = out[step]
    saved = (
        gates if lstm or gru else None,
        inner if gru else None,
        before,
        c_before if lstm else None,
        None if w_hr is None else cells,
    )
    return out, h, c if lstm else None, saved


@quiet
def recurrent_backward(
    grads, x, out, saved, w_ih, w_hh, w_hr=None, kind="lstm", sizes=(), backwards=False,
    biased=True, needs=(True,) * 8,
):  # fmt: skip
    gates, inner, before, c_before, cells = saved
    many = {"lstm": 4, "gru": 3}.get(kind, 1)
    rows, units, outputs, batch = len(x), w_hh.shape[0] // many, w_hh.shape[1], sizes[0]
    dh = np.zeros((batch, outputs), x.dtype) if grads[1] is None else grads[1].copy()
    dc = None
    if kind == "lstm":
        dc = np.zeros((batch, units), x.dtype) if grads[2] is None else grads[2].copy()
    dgates, dout = np.empty((rows, many * units), x.dtype), np.empty((rows, outputs), x.dtype)
    dinner = np.empty_like(dgates) if kind == "gru" else dgates
    for step in reversed(_steps(sizes, backwards)):
        n = step.stop - step.start
        d = dh[:n] if grads[0] is None else dh[:n] + grads[0][step]
        dout[step] = d
        if kind == "lstm":
            d = d if w_hr is None else d @ w_hr
            i, f, g, o = np.split(gates[step], 4, axis=1)
            t = np.tanh(f * c_before[step] + i * g)
            state = dc[:n] + d * o * (1 - t * t)
            di, df = state * g * i * (1 - i), state * c_before[step] * f * (1 - f)
            dg, do = state * i * (1 - g * g), d * t * o * (1 - o)
            dgates[step] = np.concatenate([di, df, dg, do], axis=1)
            dc[:n] = state * f
            dh[:n] = dgates[step] @ w_hh
        elif kind == "gru":
            r, z, new = np.split(gates[step], 3, axis=1)
            dnew = d * (1 - z) * (1 - new * new)
            dr, dz = dnew * inner[step] * r * (1 - r), d * (before[step] - new) * z * (1 - z)
            dgates[step] = np.concatenate([dr, dz, dnew], axis=1)
            dinner[step] = np.concatenate([dr, dz, dnew * r], axis=1)
            dh[:n] = d * z + dinner[step] @ w_hh
        else:
            y = out[step]
            dgates[step] = d * (1 - y * y) if kind == "tanh" else np.where(y > 0, d, 0)
            dh[:n] = dgates[step] @ w_hh
    found = (
        dgates @ w_ih, dh, dc, dgates.T @ x, dinner.T @ before,
        dgates.sum(axis=0) if biased else None, dinner.sum(axis=0) if biased else None,
        None if w_hr is None else dout.T @ cells,
    )  # fmt: skip
    return tuple(x if need else None for x, need in zip(found, needs, strict=True))
