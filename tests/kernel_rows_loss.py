"""Rows of the kernels of losses; see ``kernel_cases``."""

import numpy as np
from kernel_cases import BENCH, SHAPES, Row, size_of

_ROWS = ((1, 1), (3, 10), (5, 16), (4, 17), (37, 53), (3, 4099))
_BENCH_ROWS = ((64, 10), (256, 1000))
_POINTWISE = {  # kernel: (how x and target are drawn, numbers)
    "bce": ("share share", ()),
    "bce_with_logits": ("normal share", (2.5,)),
    "hinge_embedding": ("normal side", (0.75,)),
    "huber": ("normal normal", (0.75, 1.5)),
    "kl_div": ("normal share", ()),
    "l1": ("normal normal", ()),
    "mse": ("normal normal", ()),
    "poisson_nll": ("normal positive", ()),
    "soft_margin": ("normal side", ()),
}


def _drawn(m, how, shape):
    if how == "share":
        return np.asarray(m.rng.uniform(0.05, 0.95, shape)).astype(m.dtype)
    if how == "side":
        return np.asarray(m.rng.choice([-1.0, 1.0], shape)).astype(m.dtype)
    return getattr(m, how)(*shape)


def _pointwise():
    for name, (hows, numbers) in _POINTWISE.items():

        def forward(m, *s, hows=hows, numbers=numbers):
            return *(_drawn(m, how, s) for how in hows.split()), *numbers

        def backward(m, *s, forward=forward):
            return m.normal(), *forward(m, *s)

        def each(m, *s, forward=forward):
            return m.normal(*s), *forward(m, *s)

        yield Row(name, forward, SHAPES, BENCH, moved=lambda *s: 3 * size_of(*s))
        if name != "kl_div":
            backwards = f"{name}_backward"
            yield Row(backwards, backward, SHAPES, BENCH, moved=lambda *s: 3 * size_of(*s))
            yield Row(backwards, each, SHAPES, label="each")


def _margin(kernel, label, weighted, p):
    def make(m, *s):
        x, labels = 3 * m.normal(*s), m.labels(*s)
        args = x, labels, m.positive(s[1]) if weighted else None, p, 0.75
        return (m.normal(s[0]), *args) if kernel.endswith("backward") else args

    return Row(kernel, make, _ROWS, _BENCH_ROWS if not label else (), label=label,
               moved=lambda *s: 2 * size_of(*s))  # fmt: skip


def _several_labels(m, rows, classes):
    """Up to four labels of each row, all different, then -1."""
    labels = np.full((rows, classes), -1)
    for row in labels:
        count = m.rng.integers(0, min(5, classes + 1))
        row[:count] = m.rng.permutation(classes)[:count]
    return m.normal(rows, classes), labels


def _several_backward(m, rows, classes):
    x, labels = _several_labels(m, rows, classes)
    own = (labels[:, :, None] == np.arange(classes)).any(axis=1).astype(m.dtype)
    return m.normal(), x, labels, own


_LABELLED = ((1, 1), (3, 10), (37, 53))


def _soft(kernel, make):
    """A kernel of cross-entropy with probabilities; with and without weights and smoothing."""
    for label, weighted, smoothing in (("", False, 0.0), ("weighted", True, 0.1)):
        yield Row(
            kernel,
            lambda m, *s, weighted=weighted, smoothing=smoothing: (
                *make(m, *s),
                m.positive(s[1]) if weighted else None,
                smoothing,
            ),
            _ROWS,
            _BENCH_ROWS if not label else (),
            moved=lambda *s: 3 * size_of(*s),
            label=label,
        )


def _scores(m, rows, classes):
    return 3 * m.normal(rows, classes), m.positive(rows, classes)


def _backward(m, rows, classes):
    x, target = _scores(m, rows, classes)
    return m.normal(rows), x, target, np.log(np.exp(x).sum(axis=1))


def _target_backward(m, rows, classes):
    grad, x, _, log_total = _backward(m, rows, classes)
    return grad[0], x, log_total


ROWS = (
    *_soft("soft_cross_entropy_forward", _scores),
    *_soft("soft_cross_entropy_backward", _backward),
    *_soft("soft_cross_entropy_target_backward", _target_backward),
    *_pointwise(),
    *(
        _margin(f"multi_margin_{way}", *options)
        for way in ("forward", "backward")
        for options in (("", False, 1), ("weighted", True, 1), ("squared", True, 2))
    ),
    Row("multilabel_margin_forward", _several_labels, _LABELLED, ((256, 100),)),
    Row("multilabel_margin_backward", _several_backward, _LABELLED, ((256, 100),)),
)
