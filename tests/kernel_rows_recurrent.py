"""Rows of the kernels of recurrent networks; see ``kernel_cases``."""

from kernel_cases import Row

from fastgrad import reference

_GATES = {"tanh": 1, "relu": 1, "lstm": 4, "gru": 3}
# batch sizes of the steps, inputs, units, size of the output
_SIZES = (
    ((1,), 1, 1, 1), ((3, 3, 3), 4, 5, 5), ((32,) * 4, 17, 40, 40), ((20, 19, 3, 1), 8, 33, 33),
    ((5, 5), 3, 300, 300),
)  # fmt: skip
_BENCH = (((32,) * 50, 128, 128, 128),)


def _inputs(m, kind, sizes, inputs, units, outputs, biased):
    """Positional arguments of ``recurrent_forward`` up to the projection."""

    def small(*shape):
        return (0.15 * m.normal(*shape)).astype(m.dtype)

    rows, batch = _GATES[kind] * units, sizes[0]
    return (
        small(sum(sizes), inputs), small(batch, outputs),
        small(batch, units) if kind == "lstm" else None,
        small(rows, inputs), small(rows, outputs),
        small(rows) if biased else None, small(rows) if biased else None,
        small(outputs, units) if outputs != units else None,
    )  # fmt: skip


def _forward(kind, backwards=False, biased=True):
    def make(m, *size):
        return *_inputs(m, kind, *size, biased), kind, size[0], backwards

    return make


def _backward(kind, backwards=False, biased=True):
    def make(m, *size):
        given = _inputs(m, kind, *size, biased)
        out, h, c, saved = reference.recurrent_forward(*given, kind, size[0], backwards)
        grads = tuple(x if x is None else m.normal(*x.shape) for x in (out, h, c))
        x, _, _, w_ih, w_hh, _, _, w_hr = given
        return grads, x, out, saved, w_ih, w_hh, w_hr, kind, size[0], backwards, biased

    return make


def _flops(sizes, inputs, units, outputs):
    return 8 * sum(sizes) * units * (inputs + outputs)


_TOLERANCE = {"float32": 1e-4, "float64": 1e-10}
ROWS = tuple(
    Row(name, make(kind, *how), sizes, bench, flops=_flops if bench else None,
        label=f"{kind}{label}", rtol=_TOLERANCE)
    for name, make in (("recurrent_forward", _forward), ("recurrent_backward", _backward))
    for kind, how, label, sizes, bench in (
        *((kind, (), "", _SIZES, _BENCH if kind == "lstm" else ()) for kind in _GATES),
        *((kind, (True, False), "-backwards", _SIZES[1:4], ()) for kind in _GATES),
        ("lstm", (), "-projected", (((3, 3, 3), 4, 5, 2), ((20, 19, 3, 1), 8, 70, 33)), ()),
    )
)  # fmt: skip
