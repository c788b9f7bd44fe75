"""Rows of the kernels of activations; see ``kernel_cases``."""

from kernel_cases import BENCH, SHAPES, Row, size_of

_FORWARD = {  # kernel: numbers that it takes
    "elu": ((1.6, 1.05, 1.0), (1.5, 1.0, -0.7)),
    "gelu": ((),),
    "gelu_tanh": ((),),
    "hardshrink": ((0.5,),),
    "hardsigmoid": ((),),
    "hardswish": ((),),
    "leaky_relu": ((0.01,),),
    "logsigmoid": ((),),
    "mish": ((),),
    "silu": ((),),
    "softplus": ((1.0, 20.0), (2.0, 0.5)),
    "softshrink": ((0.5,),),
    "softsign": ((),),
    "tanhshrink": ((),),
    "threshold": ((0.25, -1.0),),
}
_BACKWARD = {
    **{name: numbers for name, numbers in _FORWARD.items() if name != "softshrink"},
    "hardtanh": ((-0.5, 0.75),),
    "prelu_weight": ((),),
    "threshold": ((0.25,),),
}


def _rows(kernels, suffix, arrays):
    for name, choices in kernels.items():
        for k, numbers in enumerate(choices):
            yield Row(
                name + suffix,
                lambda m, *s, numbers=numbers: (
                    *(m.normal(*s) * 3 for _ in range(arrays)),
                    *numbers,
                ),
                SHAPES,
                BENCH if not k else (),
                moved=lambda *s: (arrays + 1) * size_of(*s),
                label=str(k or ""),
            )


_POOLS = ((3, 2, 1), (7, 5, 1), (1, 1, 1), (4, 3, 7), (33, 2, 20), (0, 2, 3))
_BENCH_POOLS = ((100_000, 2, 1), (100, 5, 1000))


def _pools(m, *s):
    x = m.normal(*s).round(0)  # ties
    return m.normal(s[0], s[2]), x, x.max(axis=1, initial=-9)


ROWS = (
    *_rows(_FORWARD, "", 1),
    *_rows(_BACKWARD, "_backward", 2),
    Row("leaky_relu", lambda m, *s: (m.normal(*s), m.positive(s[0], 1)), ((3, 5), (4, 33)),
        label="channels"),
    Row("glu", lambda m, *s: (m.normal(*s), m.normal(*s)), SHAPES, BENCH,
        moved=lambda *s: 3 * size_of(*s)),
    Row("glu_backward", lambda m, *s: [m.normal(*s) for _ in range(3)], SHAPES, BENCH,
        moved=lambda *s: 4 * size_of(*s)),
    Row("maxout_forward", lambda m, *s: (m.normal(*s),), _POOLS, _BENCH_POOLS, moved=size_of),
    Row("maxout_backward", _pools, _POOLS, _BENCH_POOLS, moved=lambda *s: 2 * size_of(*s)),
)  # fmt: skip
