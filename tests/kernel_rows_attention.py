"""Rows of the kernels of attention, of norms of rows, and of embedding; see ``kernel_cases``."""

import numpy as np
from kernel_cases import Row

from fastgrad import reference

# (rows, n, groups, inner)
_NORMS = (
    (1, 1, 1, 1), (3, 5, 1, 1), (37, 53, 1, 1), (70, 16, 1, 1), (9, 2100, 1, 1), (6, 98, 3, 49),
    (24, 5, 6, 5), (12, 36, 2, 3), (10, 6, 2, 1), (2, 4500, 1, 2250), (0, 5, 1, 1),
)  # fmt: skip
_BENCH_NORMS = ((2048, 128, 1, 1), (2048, 512, 1, 1), (64 * 8, 4 * 784, 8, 784))


def _norm(m, rows, n, groups, inner, centred):
    channels = groups * n // inner
    return (
        m.normal(rows, n, mean=3.0), m.normal(channels), m.normal(channels), 1e-5, rows, n, groups,
        inner, centred,
    )  # fmt: skip


def _norm_backward(m, rows, n, groups, inner, centred):
    x, weight, bias, eps, *kind = _norm(m, rows, n, groups, inner, centred)
    _, stats = reference.row_norm_forward(x, weight, bias, eps, *kind)
    return m.normal(rows, n), x, weight, stats, *kind


# (batch, heads, heads of keys, length, keys, size, size of a value)
_HEADS = (
    (1, 1, 1, 1, 1, 1, 1), (2, 3, 3, 5, 7, 4, 6), (2, 4, 2, 33, 17, 8, 40),
    (1, 2, 1, 70, 150, 9, 5), (1, 2, 2, 130, 40, 33, 32),
)  # fmt: skip
_BENCH_HEADS = ((64, 4, 4, 32, 32, 32, 32), (2, 8, 8, 512, 512, 64, 64))


def _heads(m, batch, heads, key_heads, length, count, size, width, masked, dropped, causal):
    """Queries as views of rows with all heads, keys and values in C order, and options."""
    q = m.normal(batch, length, heads, size).swapaxes(1, 2)
    k, v = m.normal(batch, key_heads, count, size), m.normal(batch, key_heads, count, width)
    mask = drop = None
    if masked:
        mask = m.normal(1, heads, length, 1 if masked == "rows" else count)
        mask[m.normal(*mask.shape) > 0.8] = -np.inf
    if dropped:
        drop = (m.normal(batch, heads, length, count) > -0.5).astype(m.dtype) * m.dtype.type(1.5)
    return q, k, v, mask, drop, 0.4, causal


def _heads_backward(m, *size):
    q, k, v, *options = _heads(m, *size)
    out, stats = reference.attention_forward(q, k, v, *options)
    return m.normal(*out.shape), q, k, v, out, stats, *options


def _attention(kernel, make, passes):
    for label, masked, dropped, causal in (
        ("", False, False, False), ("causal", False, False, True), ("mask", "all", False, False),
        ("mask of queries, causal", "rows", False, True), ("dropout", False, True, True),
    ):  # fmt: skip
        yield Row(
            kernel,
            lambda m, *s, kind=(masked, dropped, causal): make(m, *s, *kind),
            _HEADS, () if label else _BENCH_HEADS, label=label,
            flops=lambda b, h, g, n, k, d, e: passes * b * h * n * k * (d + e),
            rtol={"float32": 1e-4, "float64": 1e-11},
        )  # fmt: skip


# (indices, rows, width)
_TABLES = ((1, 1, 1), (7, 3, 5), (50, 20, 33), (300, 7, 64))


def _index(m, n, rows):
    return m.rng.integers(0, rows, n)


ROWS = (
    *(
        Row(kernel, lambda m, *s, make=make, c=centred: make(m, *s, c), _NORMS,
            _BENCH_NORMS if centred else (), moved=lambda r, n, *_, each=each: each * r * n,
            rtol={"float32": 1e-4}, label="" if centred else "rms")
        for kernel, make, each in (
            ("row_norm_forward", _norm, 2), ("row_norm_backward", _norm_backward, 3)
        )
        for centred in (True, False)
    ),
    *_attention("attention_forward", _heads, 2),
    *_attention("attention_backward", _heads_backward, 5),
    *(
        Row("embedding_shares",
            lambda m, n, rows, _, f=frequency: (_index(m, n, rows), rows, 0, f, m.dtype),
            _TABLES, label="by frequency" if frequency else "")
        for frequency in (False, True)
    ),
    Row("embedding_backward",
        lambda m, n, rows, width: (m.normal(n, width), _index(m, n, rows),
                                   m.labels(n, 3).astype(m.dtype), rows),
        (*_TABLES, (0, 3, 4)), ((2048, 10_000, 128),), moved=lambda n, rows, width: 3 * n * width),
    *(
        Row("embedding_renorm",
            lambda m, n, rows, width, p=p: (m.normal(rows, width), _index(m, n, rows), 1.5, p),
            _TABLES, changes=(0,), label=f"p {p}")
        for p in (2.0, 1.0, np.inf)
    ),
)  # fmt: skip
