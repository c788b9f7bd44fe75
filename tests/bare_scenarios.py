"""Scenarios that decide themselves when to import what; see ``child.run``."""

import sys
import warnings
from importlib import import_module
from pathlib import Path

import numpy as np


def backend_without(module=""):
    """What happens on import, where ``module`` is missing, and whether anything works."""
    if module:
        sys.modules[module] = None
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        import fastgrad
    x = fastgrad.tensor([1.0, 2.0], requires_grad=True)
    (x * x).sum().backward()
    return {
        "backend": fastgrad.get_backend(),
        "warnings": [str(warning.message) for warning in caught],
        "threads": fastgrad.get_num_threads(),
        "grad": x.grad.tolist(),
    }


def draw_from_sources(change=""):
    """A counter after a draw; with ``change``, the kernel's source changes before its first use."""
    from fastgrad.kernels import _cache, random

    if change:
        source = Path(random.__file__)
        assert change in source.read_text()
        source.write_text(source.read_text().replace(change, f"{change} * 10"))
    state = np.zeros(2, np.uint64)
    random.draw(state, 4)
    return {"state": state.tolist(), "folder": str(_cache.folder()), **_cache.counts}


def own_kernel(folder, module):
    """What our ``_tick`` and the ``_tick`` of a user's module in ``folder`` make of a 0."""
    from fastgrad.kernels import _stepper

    sys.path.insert(0, folder)
    ours, theirs = np.zeros(1, np.int64), np.zeros((1, 1), np.int64)
    _stepper._tick(1, 0, np.array([[ours.ctypes.data]]), 0)
    import_module(module)._tick(1, 0, theirs, 0)
    return [*ours.tolist(), *theirs[0].tolist()]


def fingerprint():
    """The cache's folder, and what it was made for."""
    from fastgrad.kernels import _cache, _cpu

    return {"fingerprint": _cache.fingerprint(), "cpu": _cpu.target()[1]}


def on_this_cpu():
    """Errors of the kernels that choose their code by CPU, against NumPy in float64."""
    from fastgrad import kernels, reference
    from fastgrad.kernels import _cache, _cpu

    rng = np.random.default_rng(0)
    worst = {}

    def check(name, actual, expected):
        expected = np.asarray(expected, np.float64)
        assert np.array_equal(np.isnan(actual), np.isnan(expected)), name
        assert np.array_equal(np.isinf(actual), np.isinf(expected)), name
        finite = np.isfinite(expected)
        scale = np.maximum(np.abs(expected[finite]), np.sqrt(np.finfo(actual.dtype).tiny))
        error = np.abs(actual[finite].astype(np.float64) - expected[finite]) / scale
        worst[name] = max(worst.get(name, 0.0), float(error.max() / np.finfo(actual.dtype).eps))

    for rows, depth, columns in ((1, 1, 1), (2, 19, 200), (7, 13, 29), (33, 65, 31)):
        # whole numbers: products are exact in any order
        a, b, c = (
            rng.integers(-9, 10, shape).astype(np.float32)
            for shape in ((rows, depth), (depth, columns), (rows, columns))
        )
        check("matmul", kernels.matmul(a, b), a @ b)
        check("matmul_nt", kernels.matmul_nt(c, b), c @ b.T)
        check("matmul_tn", kernels.matmul_tn(a, c), a.T @ c)
    for dtype in (np.float32, np.float64):
        info = np.finfo(dtype)
        special = [0.0, -0.0, np.inf, -np.inf, np.nan, info.max, info.tiny, info.smallest_subnormal]
        wide = np.exp(rng.uniform(-4, 4, 2000)) * rng.choice([-1, 1], 2000)
        x = np.concatenate([wide, special]).astype(dtype)
        exact = x.astype(np.longdouble)
        with np.errstate(all="ignore"):
            check("exp", kernels.exp(x), np.exp(exact).astype(dtype))
            check("log", kernels.log(np.abs(x)), np.log(np.abs(exact)))
            check("tanh_forward", kernels.tanh_forward(x), np.tanh(exact))
            check("sigmoid_forward", kernels.sigmoid_forward(x), 1 / (1 + np.exp(-exact)))
            check("sqrt", kernels.sqrt(np.abs(x)), np.sqrt(np.abs(exact)))
    x = rng.standard_normal((13, 37)).astype(np.float32)
    check("softmax", kernels.softmax_forward(x), reference.softmax_forward(x.astype(np.float64)))
    for batch in (x, x.reshape(13, 37, 1).repeat(5, axis=2)):
        ours = kernels.batch_norm_forward(batch)
        theirs = reference.batch_norm_forward(batch.astype(np.float64))
        error = max(float(np.max(np.abs(o - t))) for o, t in zip(ours, theirs, strict=True))
        worst["batch_norm"] = max(worst.get("batch_norm", 0.0), error / 2.0**-23)
    return {
        "cpu": _cpu.target()[1],
        "registers": _cpu.vector_registers(),
        "fingerprint": _cache.fingerprint(),
        "errors": worst,
    }


def _requests(function):
    """{kernel that was asked for of the cache: what ``function``, a generator, said last}"""
    from fastgrad.kernels import _cache

    requests, now, load = {}, None, _cache.KernelCache.load_overload

    def noting(self, sig, context):
        requests.setdefault(self._path(sig).name, now)
        return load(self, sig, context)

    _cache.KernelCache.load_overload = noting
    for now in function():  # noqa: B007
        pass
    return requests


def kernels_of_every_row():
    """The compiled kernels that calls on each row's smallest and largest sample want."""
    return _requests(_call_every_kernel)


def kernels_of_the_warmup():
    """The compiled kernels that ``warmup`` wants."""
    from fastgrad.cli import warmup

    def jobs():
        for number, job in enumerate(warmup._jobs()):
            yield number
            job()

    return _requests(jobs)


def _call_every_kernel():
    from all_rows import ROWS
    from kernel_cases import Maker

    from fastgrad import kernels

    for row in ROWS:
        for dtype in (np.float32, np.float64):
            for size in (*row.sizes[:1], *row.sizes[-1:]):
                yield f"{row.name} {size} {dtype.__name__}"
                args = row.make(Maker(dtype), *size)
                if row.kernel == "cross_entropy_backward":
                    _, x, labels, _, *options = args
                    saved = kernels.cross_entropy_forward(x, labels, *options)[1]
                    args = (*args[:3], saved, *options)
                getattr(kernels, row.kernel)(*args)


def warm_up():
    """What the command prints."""
    import contextlib
    import io

    from fastgrad.cli import main

    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert main(["warmup", "--quiet"]) == 0
    return out.getvalue()
