"""``python -m fastgrad warmup``: compile every kernel ahead, for a container image or CI."""

import functools
import time
from collections import Counter

from ._errors import Failure

SUMMARY = "Compile all kernels ahead, so that no later process has to"


def add_options(parser):
    """The two options."""
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument(
        "--jobs", type=int, metavar="N", help="processes that compile (default: one for each CPU)"
    )


def run(options):
    """Call everything once on small inputs, in both float types."""
    from ..backend import get_backend, get_num_threads

    if get_backend() != "numba":
        raise Failure("warmup: the NumPy backend has nothing to compile")
    from tqdm import tqdm

    from ..kernels import _cache

    processes = get_num_threads() if options.jobs is None else options.jobs
    if processes < 1:
        raise Failure(f"warmup: --jobs {processes}: expected at least 1")
    if _cache.folder() is None:
        processes = 1  # what another process compiles would be lost
    began, counts, total = time.perf_counter(), Counter(), len(_list_of_jobs())
    with tqdm(total=total, desc="kernels", disable=options.quiet, unit="") as bar:
        for more in _done(processes, total):
            counts.update(more)
            bar.update()
    seconds = time.perf_counter() - began
    where = _cache.folder() or "nowhere: no folder can be written"
    print(f"{counts['compiled']} compiled, {counts['loaded']} loaded in {seconds:.1f} s; {where}")


def _done(processes, total):
    """How many kernels each job compiled and loaded, as the jobs are done."""
    if processes == 1:
        yield from map(_do, range(total))
        return
    from multiprocessing import get_context

    with get_context("spawn").Pool(processes) as pool:
        yield from pool.imap_unordered(_do, range(total))


def _do(number):
    """Do a job; returns how many kernels it compiled and loaded."""
    from ..kernels import _cache

    before = _cache.counts.copy()
    _list_of_jobs()[number]()
    return _cache.counts - before


@functools.cache
def _list_of_jobs():
    return list(_jobs())


def _jobs():
    """Functions without arguments that between them use every kernel."""
    import numpy as np

    from .. import kernels
    from ..kernels._ufunc import Elementwise

    for kernel in Elementwise.all:
        yield lambda kernel=kernel: kernel.ufunc
    for dtype in (np.float32, np.float64):
        yield from _products(kernels, np, dtype)
        yield from _reductions(kernels, np, dtype)
        yield from _scans(kernels, np, dtype)
        yield from _special(kernels, np, dtype)
        yield from _convolutions(kernels, np, dtype)
        yield from _losses(kernels, np, dtype)
        yield from _sequences(kernels, np, dtype)
        yield from _training(dtype)
        yield from _updates(kernels, np, dtype)
        yield lambda dtype=dtype: kernels.zero([np.ones(4, dtype) for _ in range(20)])
        yield from _images(kernels, np, np.dtype(dtype))
        yield from _pools(kernels, np, dtype)
    yield lambda: kernels.gather_rows(np.ones((512, 64), np.float32), np.arange(512))


def _products(kernels, np, dtype):
    def zeros(*shape):
        return np.zeros(shape, dtype)

    yield lambda: kernels.matmul(zeros(16, 16), zeros(16, 16))
    yield lambda: kernels.matmul(zeros(16, 2048), zeros(2048, 512))  # packed
    yield lambda: kernels.matmul(zeros(16, 1024), zeros(1024, 64))  # by halves
    yield lambda: kernels.matmul(zeros(16, 16), zeros(16, 1))  # dot products
    yield lambda: kernels.matmul_tn(zeros(16, 32), zeros(16, 2))  # narrow
    yield lambda: kernels.matmul_tn(zeros(16, 32), zeros(16, 64))  # tall
    yield lambda: kernels.linear_backward(zeros(16, 16), zeros(16, 16), zeros(16, 16))
    yield lambda: kernels.transpose(zeros(16, 17))
    yield lambda: kernels.bmm(zeros(3, 16, 16), zeros(3, 16, 16))
    yield lambda: kernels.bmm(zeros(3, 16, 16), zeros(3, 16, 1))  # dot products

    def recurrent():
        given = zeros(16, 8), None, None, zeros(32, 8), zeros(32, 8)
        out, _, _, saved = kernels.recurrent_forward(*given, sizes=(16,))
        kernels.recurrent_backward((out, None, None), given[0], out, saved, *given[3:], sizes=(16,))

    yield recurrent


def _convolutions(kernels, np, dtype):
    def convolve(channels, out):
        x, weight = (
            np.zeros((1, channels, 8, 1, 8), dtype),
            np.zeros((out, channels, 3, 1, 3), dtype),
        )
        options = (1, 1, 1), (1, 0, 1), (1, 1, 1), 1
        y = kernels.conv_forward(x, weight, np.zeros(out, dtype), *options, (8, 1, 8))
        kernels.conv_input_grad(y, weight, None, *options, (8, 1, 8))
        kernels.conv_weight_grad(y, x, *options, (3, 1, 3))

    yield lambda: convolve(16, 16)
    yield lambda: convolve(64, 64)  # Winograd
    yield lambda: convolve(1, 4)  # dot products
    yield lambda: convolve(1, 1)  # depthwise


def _reductions(kernels, np, dtype):
    x = np.ones((8, 1000), dtype)
    names = ("sum", "mean", "amax", "amin", "prod", "sum_squares", "sum_abs", "var", "logsumexp")
    for name in names:
        for axes in ((0,), (1,), (0, 1)):
            yield lambda name=name, axes=axes: getattr(kernels, name)(x, axes)
    yield lambda: kernels.amax_backward(np.ones(8, dtype), x, np.ones(8, dtype), (1,))
    many = np.ones((2, 1 << 17), dtype)  # of fewer elements NumPy finds the place
    yield lambda: kernels.argmax(many)
    yield lambda: kernels.argmin(many)
    yield lambda: kernels.expand(x[:1], x.shape)
    yield lambda: kernels.expand(x[:, :1], x.shape)


def _scans(kernels, np, dtype):
    x, index = np.ones((8, 4), dtype), np.zeros((8, 2), np.int64)
    for name in ("cumsum", "cumprod", "logcumsumexp", "cummax", "cummin"):
        yield lambda name=name: getattr(kernels, name)(x, 1)
    yield lambda: kernels.cumsum(x, 1, True)
    yield lambda: kernels.cumprod_backward(x, x, x, 1)
    yield lambda: kernels.prod_backward(x[:, 0], x, 1)
    yield lambda: kernels.logcumsumexp_backward(x, x, x, 1)
    yield lambda: kernels.order(x, 1)
    yield lambda: kernels.top(x, 1, 1)
    yield lambda: kernels.kth(x, 1, 1)
    yield lambda: kernels.add_rows(np.ones((8, 4), dtype), index[:, 0], x)
    yield lambda: kernels.gather_backward(kernels.gather(x, index, 1), index, x.shape, 1)


def _special(kernels, np, dtype):
    x = np.full(8, 0.5, dtype)
    for name in ("digamma", "erfc", "erfinv", "lgamma"):
        yield lambda name=name: getattr(kernels, name)(x)
    yield lambda: kernels.zeta(x, 2)
    yield lambda: kernels.igamma(x, x)


def _losses(kernels, np, dtype):
    x, labels, one = np.zeros((8, 5), dtype), np.zeros(8, np.int64), np.ones((), dtype)
    many, most = np.zeros((1024, 8), dtype), np.zeros(1024, np.int64)
    wide, classes = np.zeros((1024, 2, 8), dtype), np.zeros((8, 5), np.int64)
    for name in ("softmax", "log_softmax"):
        yield lambda name=name: getattr(kernels, f"{name}_forward")(x)
        yield lambda name=name: getattr(kernels, f"{name}_backward")(x, x)

    def cross_entropy(x, labels):
        _, saved = kernels.cross_entropy_forward(x, labels)
        kernels.cross_entropy_backward(one, x, labels, saved)

    def nll_loss():
        _, divisor = kernels.nll_loss_forward(x, labels)
        kernels.nll_loss_backward(one, x.shape, labels, divisor)

    def soft_cross_entropy():
        _, log_total = kernels.soft_cross_entropy_forward(x, x)
        kernels.soft_cross_entropy_backward(one, x, x, log_total)
        kernels.soft_cross_entropy_target_backward(one, x, log_total)

    def margins():
        kernels.multi_margin_forward(x, labels)
        kernels.multi_margin_backward(one, x, labels)
        _, own = kernels.multilabel_margin_forward(x, classes)
        kernels.multilabel_margin_backward(one, x, classes, own)

    def ctc_loss():
        steps, count = np.zeros((2, 1, 5), dtype), np.ones(1, np.int64)
        _, *saved, _ = kernels.ctc_loss_forward(steps, labels[:1], count, count)
        kernels.ctc_loss_backward(one, steps, labels[:1], *saved)

    def maxout():
        kernels.maxout_backward(many, wide, kernels.maxout_forward(wide))

    yield soft_cross_entropy
    yield margins
    yield ctc_loss
    yield maxout
    ticket, share = np.zeros(2, np.uint64), np.full((1, 8), 0.5, dtype)

    def distributions():
        for kind in ("normal", "exponential"):
            kernels.random_numbers(kind, (8,), dtype, 0.5, 1.0, ticket)
        kernels.random_integers((8,), 0, 9, ticket)
        kernels.check_range(share, 1.0)
        kernels.bernoulli(share, ticket)
        kernels.poisson(share, ticket)
        for replacement in (True, False):
            kernels.multinomial(share, 2, replacement, ticket)

    yield distributions
    yield lambda: kernels.uniform(8, dtype, 0.0, 1.0, ticket)
    yield lambda: kernels.tally(one.reshape(1), x, labels, -100, 8, True, np.zeros(4))
    yield lambda: cross_entropy(x, labels)
    yield lambda: cross_entropy(many, most)
    yield nll_loss


def _sequences(kernels, np, dtype):
    """Norms of rows, tables of vectors, and attention."""
    x, one, index = np.ones((8, 12), dtype), np.ones(12, dtype), np.zeros(8, np.int64)
    heads, groups = x.reshape(1, 2, 12, 4), {"groups": 2, "inner": 2}

    def norm(kind, weight):
        _, stats = kernels.row_norm_forward(x, weight, weight, 1e-5, 8, 12, **kind)
        kernels.row_norm_backward(x, x, weight, stats, 8, 12, **kind)

    def table():
        shares = kernels.embedding_shares(index, 3, -1, True, dtype)
        table = kernels.embedding_backward(x, index, shares, 3)
        kernels.embedding_renorm(table, index, 1.0, 2.0)

    def attention():
        out, stats = kernels.attention_forward(heads, heads, heads)
        kernels.attention_backward(heads, heads, heads, heads, out, stats)

    yield lambda: norm({}, one)
    yield lambda: norm(groups, one)
    yield table
    yield attention


def _images(kernels, np, dtype):
    """Augmentation to a type: of floats, of bytes that become floats, of bytes that stay."""
    from ..data.augment import Compose, ConvertImageDtype, GaussianNoise, RandomRotation

    turn = Compose([RandomRotation(10), GaussianNoise()])
    yield lambda: turn(np.zeros((2, 1, 4, 4), dtype))
    yield lambda: turn(np.zeros((2, 1, 4, 4), np.uint8))
    scaled = Compose([RandomRotation(10), ConvertImageDtype(dtype)])
    yield lambda: scaled(np.zeros((2, 1, 4, 4), np.uint8))
    axis = np.arange(4), 0, 4, np.arange(5), np.arange(4)
    yield lambda: kernels.pick_grid(np.zeros((2, 4), dtype), (axis,))
    yield lambda: kernels.pick_grid_backward(np.zeros((2, 4), dtype), (axis,), (2, 4))
    geometry = ((1, 1, 0, 1), (1, 1, 0, 1))
    yield lambda: kernels.unfold(np.zeros((1, 1, 2, 2), dtype), (2, 2), geometry)
    yield lambda: kernels.fold(np.zeros((1, 1, 4), dtype), (1, 1, 2, 2), (2, 2), geometry)
    image, one = np.ones((1, 4, 2, 2), dtype), np.ones(2, dtype)
    taps = np.arange(3), np.arange(2), one
    yield lambda: kernels.resample(image, 3, taps)
    yield lambda: kernels.resample(image, 2, taps)
    yield lambda: kernels.pixel_unshuffle(kernels.pixel_shuffle(image, 2), 2)
    options = 3, 1e-4, 0.75, 1.0
    yield lambda: kernels.local_response_norm_forward(image, *options)
    yield lambda: kernels.local_response_norm_backward(image, image, *options)
    for pixels in (np.zeros((1, 2, 2, 2), dtype), np.zeros((1, 1, 2, 2, 3), dtype)):
        given = image.reshape(1, 4, *pixels.shape[1:-1]), pixels, 2, 0, False
        yield lambda given=given: kernels.grid_sample_forward(*given)
        yield lambda given=given: kernels.grid_sample_grid_grad(given[0], *given)
        size = given[0].shape[2:]
        yield lambda given=given, size=size: kernels.grid_sample_input_grad(
            *given[:2], size, *given[2:]
        )
        yield lambda given=given, size=size: kernels.grid_taps(given[1], size, *given[2:])
    others = np.arange(2)
    yield lambda: kernels.mixup(np.zeros((2, 3), dtype), others, 0.5)
    yield lambda: kernels.cutmix(np.zeros((2, 1, 4, 4), dtype), others, (0, 1, 0, 1))
    yield lambda: kernels.cutmix(np.zeros((2, 1, 4, 4), np.uint8), others, (0, 1, 0, 1))


def _pools(kernels, np, dtype):
    """Largest elements and sums of windows."""
    x, one = np.zeros((1, 1, 4, 4), dtype), np.ones(1, np.int64)
    starts, whole = np.zeros((1, 1), np.int64), (one, 4 * one, 4 * one)

    def grid(window, stride):
        geometry = (1, 4, 4), (1, 2, 2), window, stride, (0, 0, 0), (1, 1, 1)
        out, position = kernels.max_pool_forward(x, geometry)
        kernels.max_pool_backward(out, position, geometry)
        kernels.max_pool_index(position, geometry, 1, dtype)

    yield lambda: grid((1, 2, 2), (1, 2, 2))
    yield lambda: grid((1, 1, 2), (1, 2, 2))
    yield lambda: grid((1, 3, 3), (1, 1, 1))
    yield lambda: kernels.window_index(x, (starts,) * 3, whole, (1, 1, 1))
    image, table = np.zeros((1, 1, 16, 16), dtype), np.zeros((5, 24), np.int32)
    for window in (1, 2, 2), (1, 16, 16):
        windows = table, 1, (1, 1, 1), window, (1, 1, 1), True
        yield lambda windows=windows: kernels.window_max(image, *windows)
    flat, index = x.reshape(1, 16), np.zeros((1, 16), np.int64)
    windows = table, 1, (1, 2, 2), (1, 2, 2), (1, 1, 1), True, np.ones(32, dtype)
    yield lambda windows=windows: kernels.window_mean(x, *windows, True)
    yield lambda: kernels.window_max_backward(flat, index, x.shape)
    yield lambda: kernels.window_sum(x, (0 * one,) * 3, whole, (np.ones(1, dtype),) * 3)
    yield lambda: kernels.unpool(flat, index, 16)


def _training(dtype):
    """Training of small networks, eager and compiled, in a type."""
    import numpy as np

    from .. import nn, optim
    from ..compile import compile
    from ..tensor import Tensor

    def train(optimizer, shape, compiled):
        model = nn.Sequential(nn.BatchNorm1d(4), nn.Flatten(), nn.Dropout(0.5)).to(dtype)
        update = getattr(optim, optimizer)(model.parameters(), lr=0.1)

        def step(x):
            update.zero_grad()
            (model(x) * x.reshape(shape[0], -1)).sum().backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            nn.utils.clip_grad_value_(model.parameters(), 1.0)
            update.step()
            update.zero_grad(set_to_none=False)

        step = compile(step) if compiled else step
        for _ in range(2):
            step(Tensor(np.ones(shape, dtype)))
        model.eval()(Tensor(np.ones(shape, dtype)))

    for shape in ((8, 4), (8, 4, 3)):
        yield lambda shape=shape: train("SGD", shape, compiled=False)
    yield lambda: train("Adam", (8, 4), compiled=True)


def _updates(kernels, np, dtype):
    """A step of every optimizer."""
    from .. import optim
    from ..tensor import Tensor

    def step(kind):
        parameter = Tensor(np.ones(8, dtype), requires_grad=True)
        parameter.grad = Tensor(np.ones(8, dtype))
        kind([parameter]).step()

    for name in optim.__all__:
        kind = getattr(optim, name)
        if getattr(kind, "kernel", None):
            yield lambda kind=kind: step(kind)
    ones, weight = [np.ones(8, dtype)], np.ones(1)
    yield lambda: kernels.average_step(ones, ones, weight, np.zeros(0, bool))
