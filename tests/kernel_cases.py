"""One row per kernel: how to call it at a size. Drives the kernel tests and the benchmarks."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


class Maker:
    """Draws a row's arguments in one float type, always the same ones for a seed."""

    def __init__(self, dtype, seed=0):
        self.dtype = np.dtype(dtype)
        self.rng = np.random.default_rng(seed)

    def normal(self, *shape, mean=0.0):
        return np.asarray(self.rng.standard_normal(shape) + mean).astype(self.dtype)

    def positive(self, *shape):
        return np.asarray(self.rng.uniform(0.1, 3.0, shape)).astype(self.dtype)

    def fraction(self, *shape):
        return np.asarray(self.rng.uniform(-0.99, 0.99, shape)).astype(self.dtype)

    def labels(self, count, classes, ignored=None):
        labels = self.rng.integers(0, classes, count)
        if ignored is not None and count > 2:
            labels[count // 2] = ignored
        return labels


@dataclass(frozen=True)
class Row:
    """A kernel at given sizes.

    make     (Maker, *size) -> positional arguments
    sizes    sizes for tests: odd, small, empty where allowed
    bench    sizes for benchmarks
    flops, moved   floating-point operations, or numbers read and written, at a size
    changes  positions of arguments that the kernel changes in place
    """

    kernel: str
    make: Callable
    sizes: tuple
    bench: tuple = ()
    flops: Callable | None = None
    moved: Callable | None = None
    changes: tuple = ()
    label: str = ""
    rtol: dict | None = None

    @property
    def name(self):
        return f"{self.kernel}{'-' if self.label else ''}{self.label}"


SHAPES = ((), (0,), (1,), (7,), (16,), (33,), (5, 17), (3, 4, 5), (70_001,))
BENCH = ((100,), (1000,), (10_000,), (100_000,), (1_000_000,))
_MATRICES = (
    (1, 1, 1), (1, 5, 1), (1, 7, 40), (2, 33, 300), (7, 13, 29), (5, 1, 3), (14, 16, 32),
    (15, 17, 33), (33, 65, 2), (64, 10, 128), (40, 400, 70), (3, 0, 4), (0, 3, 4), (4, 3, 0),
    (29, 1100, 260),
)  # fmt: skip
_BENCH_MATRICES = (
    (64, 784, 128), (64, 128, 10), (256, 784, 128), (1024, 784, 128), (64, 1024, 1024),
    (1000, 1000, 10), (100, 100, 100), (512, 512, 512), (1024, 1024, 1024), (1, 784, 128),
)  # fmt: skip
_ROWS = ((1, 1), (3, 10), (5, 16), (4, 17), (2, 100), (37, 53), (3, 4099))
_BENCH_ROWS = ((64, 10), (256, 100), (256, 1000), (512, 10_000))
_BATCHES = ((2, 1), (33, 5), (300, 21), (64, 128), (6, 4, 9), (3, 5, 4, 16), (2, 3, 1))
_BENCH_BATCHES = ((64, 128), (256, 512), (64, 32, 28, 28))
_PARAMETERS = ((1,), (7,), (64,), (1001,), (100_003,))
_BENCH_PARAMETERS = ((1000,), (100_000,), (1_000_000,))


def size_of(*shape):
    return math.prod(shape)


def _unary(kernel, moved=2, maker="normal", **options):
    return Row(
        kernel,
        lambda m, *s: (getattr(m, maker)(*s),),
        SHAPES,
        BENCH,
        moved=lambda *s: moved * size_of(*s),
        **options,
    )


def _binary(kernel, maker="normal"):
    return Row(
        kernel,
        lambda m, *s: (m.normal(*s), getattr(m, maker)(*s)),
        SHAPES,
        BENCH,
        moved=lambda *s: 3 * size_of(*s),
    )


_COSTLY = {"float32": 2e-5, "float64": 1e-11}


def _functions():
    """Element-wise kernels of one or two operands, by how these are drawn."""
    for name in ("abs", "sign", "square", "floor", "ceil", "round", "trunc", "sin", "cos", "tan",
                 "atan", "sinh", "cosh", "expm1", "erf", "isnan", "isinf", "isfinite",
                 "logical_not"):  # fmt: skip
        yield _unary(name)
    for name in ("reciprocal", "rsqrt", "log1p", "log2", "log10"):
        yield _unary(name, maker="positive")
    for name in ("asin", "acos", "atanh"):
        yield _unary(name, maker="fraction")
    for name in ("asinh", "exp2"):
        yield _unary(name)
    yield Row("acosh", lambda m, *s: (m.positive(*s) + 1,), SHAPES, BENCH)
    for name in ("hypot", "logaddexp"):
        yield _binary(name)
    for name in ("maximum", "minimum", "atan2", "eq", "ne", "lt", "le", "gt", "ge", "logical_and",
                 "logical_or", "logical_xor"):  # fmt: skip
        yield _binary(name)
    for name in ("fmod", "remainder", "floor_divide"):
        yield _binary(name, "positive")
    yield Row(
        "pow",
        lambda m, *s: (m.positive(*s), m.normal(*s)),
        SHAPES,
        BENCH,
        moved=lambda *s: 3 * size_of(*s),
        rtol=_COSTLY,
    )
    for name in ("bitwise_and", "bitwise_or", "bitwise_xor"):
        yield Row(name, lambda m, *s: (m.labels(s, 99), m.labels(s, 99)), SHAPES, BENCH)
    yield Row("bitwise_not", lambda m, *s: (m.labels(s, 99),), SHAPES, BENCH)
    yield Row(
        "where",
        lambda m, *s: (m.normal(*s) > 0, m.normal(*s), m.normal(*s)),
        SHAPES,
        BENCH,
        moved=lambda *s: 3 * size_of(*s),
    )
    yield Row(
        "where",
        lambda m, *s: (m.normal(*s) > 0, m.normal(*s), 0.0),
        SHAPES,
        BENCH,
        moved=lambda *s: 2 * size_of(*s),
        label="number",
    )
    yield Row("lerp", lambda m, *s: [m.normal(*s) for _ in range(3)], SHAPES, BENCH)
    yield Row(
        "clamp",
        lambda m, *s: (m.normal(*s), -0.5, 0.75),
        SHAPES,
        BENCH,
        moved=lambda *s: 2 * size_of(*s),
    )
    yield Row(
        "clamp_backward",
        lambda m, *s: (m.normal(*s), m.normal(*s), -0.5, 0.75),
        SHAPES,
        BENCH,
        moved=lambda *s: 3 * size_of(*s),
    )
    yield Row(
        "maximum_backward",
        lambda m, *s: [np.round(m.normal(*s)) for _ in range(3)],
        SHAPES,
        BENCH,
        moved=lambda *s: 4 * size_of(*s),
    )


def _rows_of(index):
    return (index,)


def _index_rows():
    """Indexing the first axis, and along an axis."""
    sizes, bench = ((5, 3), (7, 1), (3, 70)), ((1000, 64),)

    def draw(m, rows, columns):
        return m.normal(rows, columns), m.labels(rows, max(rows, 1))

    def take(m, *s):
        x, index = draw(m, *s)
        return x, _rows_of, index

    def put(m, *s):
        x, index = draw(m, *s)
        return x, _rows_of, m.normal(1, s[1]), index

    def each(m, *s):
        x, index = draw(m, *s)
        return x, _rows_of, m.normal(*s), index - s[0] // 2

    def rows(m, *s):
        x, _, values, index = each(m, *s)
        return x, index, values

    def along(m, *s):
        return m.normal(*s), m.labels(s, s[1]), 1

    def scattered(m, *s):
        x, index, axis = along(m, *s)
        return x, index, m.normal(*s), axis

    yield Row("take", take, sizes, bench, moved=lambda *s: 2 * size_of(*s))
    yield Row("put", put, sizes, bench, changes=(0,))
    yield Row("add_at", put, sizes, bench, changes=(0,))
    yield Row("add_at", each, sizes, bench, changes=(0,), label="each")
    yield Row(
        "add_rows", rows, (*sizes, (40, 1), (9, 16), (100, 1000), (2, 0), (0, 3)),
        (*bench, (10_000, 64), (1000, 1000)), changes=(0,), moved=lambda *s: 3 * size_of(*s),
    )  # fmt: skip
    yield Row("gather", along, sizes, bench)
    yield Row(
        "gather_backward",
        lambda m, *s: (m.normal(*s), m.labels(s, s[1]), s, 1),
        sizes,
        bench,
    )
    yield Row("scatter", scattered, sizes, bench)
    yield Row("scatter_add", scattered, sizes, bench)


def _broadcast(kernel, label, other):
    return Row(
        kernel,
        lambda m, *s: (m.normal(*s), m.positive(*other(s))),
        ((4, 7), (3, 16), (2, 0), (5, 33)),
        ((64, 128), (1000, 1000)),
        moved=lambda *s: 2 * size_of(*s),
        label=label,
    )


def _reduction(kernel, label, axes, sizes, bench):
    return Row(
        kernel,
        lambda m, *s: (m.normal(*s), axes),
        sizes,
        bench,
        moved=size_of,
        label=label,
        rtol={"float32": 3e-5},
    )


_ALL = ((1,), (5,), (4099,), (20_000,), (3, 7), (40, 70), (2, 3, 4))
_MATRIX = ((1, 1), (3, 7), (64, 10), (300, 21), (7, 4099), (600, 130))
_BENCH_MATRIX = ((64, 10), (64, 128), (1000, 1000))
_CUBE = ((2, 3, 4), (5, 70, 9), (1, 300, 65))
_BENCH_CUBE = ((64, 32, 784),)


def reductions(kernel):
    yield _reduction(kernel, "all", None, _ALL, BENCH)
    yield _reduction(kernel, "rows", (1,), _MATRIX, _BENCH_MATRIX)
    yield _reduction(kernel, "columns", (0,), _MATRIX, _BENCH_MATRIX)
    yield _reduction(kernel, "middle", (1,), _CUBE, _BENCH_CUBE)
    yield _reduction(kernel, "outer", (0, 2), _CUBE, _BENCH_CUBE)


def _cross_entropy(m, rows, classes, weighted, reduction, smoothing):
    weight = m.positive(classes) if weighted else None
    labels = m.labels(rows, classes, -100 if weighted else None)
    return 3 * m.normal(rows, classes), labels, weight, -100, reduction, smoothing


def _cross_entropy_backward(m, *args):
    from fastgrad import reference

    x, labels, *options = _cross_entropy(m, *args)
    reduction = options[2]
    _, (log_p, divisor) = reference.cross_entropy_forward(x, labels, *options)
    grad = m.normal(*(x.shape[:1] if reduction == "none" else ()))
    return grad, x, labels, (log_p, divisor), *options


def _nll(m, rows, classes, weighted, reduction):
    x, labels, weight, ignore, reduction, _ = _cross_entropy(
        m, rows, classes, weighted, reduction, 0.0
    )
    return x, labels, weight, ignore, reduction


def _nll_backward(m, *args):
    from fastgrad import reference

    x, labels, weight, ignore, reduction = _nll(m, *args)
    _, divisor = reference.nll_loss_forward(x, labels, weight, ignore, reduction)
    grad = m.normal(*(x.shape[:1] if reduction == "none" else ()))
    return grad, x.shape, labels, divisor, weight, ignore, reduction


_LOSSES = tuple(
    (*rows, weighted, reduction, smoothing)
    for rows in ((3, 10), (37, 17))
    for weighted in (False, True)
    for reduction in ("mean", "sum", "none")
    for smoothing in (0.0, 0.1)
)
_BENCH_LOSSES = tuple((*rows, False, "mean", 0.0) for rows in _BENCH_ROWS)
_NLL = tuple(size[:-1] for size in _LOSSES if not size[-1])


def _norm_stats(m, *shape):
    """x, gradient, mean, variance, reciprocal deviation, weight, bias."""
    axes = (0, *range(2, len(shape)))
    x, channels = m.normal(*shape, mean=3.0), shape[1]
    var = x.var(axis=axes)
    rstd = (1 / np.sqrt(var + 1e-5)).astype(m.dtype)
    return x, m.normal(*shape), x.mean(axis=axes), var, rstd, m.normal(channels), m.normal(channels)


def several(draw, n):
    """Arrays of n elements, of a few more, and of one."""
    return [draw(n), draw(5), draw()]


_TICKET = np.array([12345, 678], np.uint64)

ROWS = (
    _binary("add"),
    _binary("add_relu"),
    _binary("sub"),
    _binary("mul"),
    _binary("div", "positive"),
    _broadcast("add", "row", lambda s: s[1:]),
    _broadcast("mul", "column", lambda s: (s[0], 1)),
    _broadcast("div", "number", lambda s: ()),
    _unary("neg"),
    _unary("exp"),
    _unary("log", maker="positive"),
    _unary("sqrt", maker="positive"),
    _binary("sqrt_backward", "positive"),
    _unary("tanh_forward"),
    _binary("tanh_backward"),
    _unary("sigmoid_forward"),
    _binary("sigmoid_backward"),
    _unary("relu_forward"),
    _binary("relu_backward"),
    *_functions(),
    _unary("copy"),
    *_index_rows(),
    Row("zeros", lambda m, *s: (s, m.dtype), SHAPES, BENCH, moved=size_of),
    Row("zeros_like", lambda m, *s: (m.normal(*s),), SHAPES, BENCH, moved=size_of),
    Row("empty", lambda m, *s: ((0, *s), m.dtype), ((3,),)),
    Row("strided", lambda m, *s: (m.normal(*s), (2, 2), (4, 8)), ((4, 4),)),
    Row("fill", lambda m, *s: (m.normal(*s), 3.0), SHAPES, BENCH, moved=size_of, changes=(0,)),
    *reductions("sum"),
    *reductions("mean"),
    *reductions("amax"),
    Row(
        "amax_backward",
        lambda m, *s: (m.normal(s[0]), x := np.round(m.normal(*s)), x.max(axis=1), (1,)),
        ((1, 1), (3, 7), (37, 53)),
        ((64, 128), (1000, 1000)),
        moved=lambda *s: 2 * size_of(*s),
    ),
    Row("argmax", lambda m, *s: (np.round(m.normal(*s)), -1), ((3, 7), (64, 10)), ((1000, 10),)),
    Row(
        "expand",
        lambda m, *s: (m.normal(s[0], 1), s),
        ((3, 7), (64, 10), (600, 130)),
        ((64, 128), (1000, 1000)),
        moved=size_of,
    ),
    Row(
        "unbroadcast",
        lambda m, *s: (m.normal(*s), s[1:]),
        ((3, 7), (64, 10), (600, 130)),
        ((64, 128), (1000, 1000)),
        moved=size_of,
        rtol={"float32": 3e-5},
    ),
    Row(
        "matmul",
        lambda m, i, k, j: (m.normal(i, k), m.normal(k, j)),
        _MATRICES,
        _BENCH_MATRICES,
        flops=lambda i, k, j: 2 * i * k * j,
    ),
    Row(
        "matmul_nt",
        lambda m, i, k, j: (m.normal(i, j), m.normal(k, j)),
        _MATRICES,
        _BENCH_MATRICES,
        flops=lambda i, k, j: 2 * i * k * j,
    ),
    Row(
        "matmul_tn",
        lambda m, i, k, j: (m.normal(i, k), m.normal(i, j)),
        _MATRICES,
        _BENCH_MATRICES,
        flops=lambda i, k, j: 2 * i * k * j,
    ),
    Row(
        "transpose",
        lambda m, i, j: (m.normal(i, j),),
        ((1, 1), (1, 9), (9, 1), (7, 13), (16, 16), (33, 70)),
        ((64, 128), (1000, 1000)),
        moved=lambda i, j: 2 * i * j,
    ),
    Row(
        "linear_forward",
        lambda m, i, k, j: (m.normal(i, k), m.normal(k, j), m.normal(j)),
        _MATRICES,
        _BENCH_MATRICES[:4],
        flops=lambda i, k, j: 2 * i * k * j,
    ),
    Row(
        "linear_backward",
        lambda m, i, k, j: (m.normal(i, j), m.normal(i, k), m.normal(k, j)),
        _MATRICES,
        _BENCH_MATRICES[:4],
        flops=lambda i, k, j: 4 * i * k * j,
    ),
    Row(
        "linear_forward",
        lambda m, i, k, j: (m.normal(i, k), m.normal(k, j), m.normal(j), None, True),
        _MATRICES, _BENCH_MATRICES[:4], flops=lambda i, k, j: 2 * i * k * j, label="relu",
    ),
    Row(
        "linear_backward",
        lambda m, i, k, j: (
            m.normal(i, j), m.normal(i, k), m.normal(k, j), (True, True, True), m.normal(i, j),
        ),
        _MATRICES, _BENCH_MATRICES[:4], flops=lambda i, k, j: 4 * i * k * j, label="relu",
    ),
    Row(
        "softmax_forward", lambda m, *s: (3 * m.normal(*s),), _ROWS, _BENCH_ROWS,
        moved=lambda *s: 2 * size_of(*s),
    ),
    Row(
        "softmax_backward", lambda m, *s: (m.normal(*s), m.positive(*s)), _ROWS, _BENCH_ROWS,
        moved=lambda *s: 3 * size_of(*s),
    ),
    Row(
        "log_softmax_forward", lambda m, *s: (3 * m.normal(*s),), _ROWS, _BENCH_ROWS,
        moved=lambda *s: 2 * size_of(*s),
    ),
    Row(
        "log_softmax_backward", lambda m, *s: (m.normal(*s), -m.positive(*s)), _ROWS, _BENCH_ROWS,
        moved=lambda *s: 3 * size_of(*s),
    ),
    Row("check_labels", lambda m, n: (m.labels(n, 10), 10, -100), ((0,), (7,)), ((1000,),)),
    Row(
        "cross_entropy_forward", _cross_entropy, _LOSSES, _BENCH_LOSSES,
        moved=lambda *s: size_of(*s[:2]),
    ),
    Row(
        "cross_entropy_backward", _cross_entropy_backward, _LOSSES, _BENCH_LOSSES,
        moved=lambda *s: 2 * size_of(*s[:2]),
    ),
    Row("nll_loss_forward", _nll, _NLL, tuple(size[:-1] for size in _BENCH_LOSSES)),
    Row(
        "nll_loss_backward", _nll_backward, _NLL, tuple(size[:-1] for size in _BENCH_LOSSES),
        moved=lambda *s: size_of(*s[:2]),
    ),
    *(
        Row(
            "batch_norm_forward",
            lambda m, *s, relu=relu: (
                m.normal(*s, mean=3.0), m.normal(s[1]), m.normal(s[1]), 1e-5,
                m.normal(s[1]), m.positive(s[1]), 0.1, relu, np.full(1, 7),
            ),
            _BATCHES, _BENCH_BATCHES, moved=lambda *s: 2 * size_of(*s), changes=(4, 5, 8),
            rtol={"float32": 1e-4}, label="relu" if relu else "",
        )
        for relu in (False, True)
    ),
    *(
        Row(
            "batch_norm_apply",
            lambda m, *s, relu=relu: (
                m.normal(*s), m.normal(s[1]), m.positive(s[1]), m.normal(s[1]), None, 1e-5, relu
            ),
            _BATCHES, _BENCH_BATCHES if not relu else (), moved=lambda *s: 2 * size_of(*s),
            label="relu" if relu else "",
        )
        for relu in (False, True)
    ),
    *(
        Row(
            "batch_norm_backward",
            lambda m, *s, training=training, relu=relu: [
                *(_norm_stats(m, *s)[k] for k in (1, 0, 2, 4, 5)), training,
                m.normal(*s) if relu else None,
            ],
            _BATCHES, _BENCH_BATCHES if training else (), moved=lambda *s: 3 * size_of(*s),
            rtol={"float32": 1e-4}, label=label,
        )
        for label, training, relu in (
            ("", True, False), ("relu", True, True), ("eval", False, False),
        )
    ),
    Row("draw", lambda m, n: (_TICKET.copy(), n), ((1,), (7,)), ((100,),), changes=(0,)),
    Row(
        "dropout", lambda m, *s: (m.normal(*s), 0.3, _TICKET), SHAPES, BENCH,
        moved=lambda *s: 2 * size_of(*s),
    ),
    *(
        Row(
            "total_norm",
            lambda m, n, power=power: (several(m.normal, n), power),
            _PARAMETERS, _BENCH_PARAMETERS if power == 2 else (), moved=size_of, label=str(power),
            rtol={"float32": 3e-5},
        )
        for power in (2.0, 1.0, math.inf, 3.0)
    ),
    *(
        Row(
            "clip_norm",
            lambda m, n, limit=limit: (several(m.normal, n), m.positive(), limit),
            _PARAMETERS, _BENCH_PARAMETERS if limit < 1 else (), moved=lambda n: 2 * n,
            changes=(0,), label=str(limit),
        )
        for limit in (0.05, 10.0)
    ),
    Row(
        "clip_value", lambda m, n: (several(m.normal, n), 0.5),
        _PARAMETERS, _BENCH_PARAMETERS, moved=lambda n: 2 * n, changes=(0,),
    ),
    Row(
        "zero", lambda m, n: (several(m.normal, n),),
        _PARAMETERS, _BENCH_PARAMETERS, moved=size_of, changes=(0,),
    ),
    Row(
        "zero", lambda m, n: ([m.normal(n) for _ in range(20)],), ((1,), (1001,)), ((1000,),),
        moved=lambda n: 20 * n, changes=(0,), label="many",
    ),
    Row(
        "gather_rows",
        lambda m, n, *s: (m.normal(n, *s), m.rng.integers(0, n, n // 2)),
        ((4, 3), (100, 7), (50, 2, 3), (600, 77)),
        ((1000, 10), (2000, 784)),
        moved=lambda n, *s: n * size_of(*s),
    ),
)  # fmt: skip


def copied(args):
    """The arguments with arrays copied, for kernels that change them."""

    def copy(x):
        if isinstance(x, list):
            return [copy(part) for part in x]
        return x.copy() if isinstance(x, np.ndarray) else x

    return [copy(x) for x in args]


def arrays_of(result, row, args):
    """Everything a call produced: results and changed arguments, as a flat list of arrays."""
    found = []

    def collect(value):
        if isinstance(value, tuple | list):
            for part in value:
                collect(part)
        elif value is not None:
            found.append(np.asarray(value))

    # What a loss, or a pool, keeps for its backward is the implementation's own.
    keeps = row.kernel.endswith(("loss_forward", "entropy_forward", "pool_forward"))
    collect(result[0] if keeps else result)
    collect(tuple(args[k] for k in row.changes))
    return found
