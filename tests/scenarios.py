"""What the tests of processes and threads run: see ``child.run``. Each returns plain data."""

import hashlib
import json
import multiprocessing
import os
import select
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np

import fastgrad
from fastgrad import functional, kernels, nn, optim
from fastgrad.kernels import _cache, _pool, _threads
from fastgrad.kernels._threads import policy


def digest(*arrays):
    """A hash of the bits of arrays."""
    return hashlib.sha256(b"".join(np.asarray(x).tobytes() for x in arrays)).hexdigest()[:16]


def _draw(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def use_threads(count):
    """Use ``count`` threads, for the smallest work too."""
    _threads.THRESHOLD, _threads.WAKE = 1, 30_000
    fastgrad.set_num_threads(count)


def train(seed=0, steps=3):
    """Digest of a small network's parameters and gradients after a few steps."""
    x, y = fastgrad.tensor(_draw(seed, 67, 33)), fastgrad.tensor(np.arange(67) % 10)
    model = nn.Sequential(
        nn.Linear(33, 41), nn.BatchNorm1d(41), nn.ReLU(), nn.Linear(41, 37), nn.Tanh(),
        nn.Linear(37, 10),
    )  # fmt: skip
    for k, parameter in enumerate(model.parameters()):
        parameter.data[...] = 0.3 * _draw(100 * seed + k, *parameter.shape)
    optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
    return digest(loss.data, *(a.data for p in model.parameters() for a in (p, p.grad)))


def launch_many(seed=0):
    """Digest of kernels of every kind, each with enough items for several threads."""
    a, b, c = _draw(seed, 61, 67), _draw(seed, 67, 71), _draw(seed, 61, 71)
    row, flat = np.ones(67, np.float32), _draw(seed, 5003)
    return digest(
        kernels.matmul(a, b),
        kernels.matmul_nt(c, b),
        kernels.matmul_tn(a, c),
        kernels.sum(a, (0,)),
        kernels.sum(flat[:, None] + flat[:3], (1,)),
        kernels.softmax_forward(a),
        *kernels.batch_norm_forward(a, row, row),
        kernels.exp(flat),
        kernels.tanh_forward(flat[::-1]),
        kernels.add(a, a[::-1]),
        kernels.mul(a.T, row[:, None]),
        kernels.dropout(flat, 0.3, np.array([seed, 0], np.uint64)),
        kernels.gather_rows(a, np.arange(60, -1, -2)),
    )


def facts():
    """What a process used."""
    return {
        "threads": fastgrad.get_num_threads(),
        "compiled": _cache.counts["compiled"],
        "loaded": _cache.counts["loaded"],
    }


def work(threads=2):
    """Everything once: digests, and what was used."""
    use_threads(threads)
    return {"train": train(), "launch": launch_many(), **facts()}


# ------------------------------------------------------------------ threads


def from_many_threads():
    """Two Python threads train at once; then eight threads of a pool launch and train."""
    use_threads(2)
    barrier = threading.Barrier(2)

    def train_together(seed):
        barrier.wait()
        return [train(seed) for _ in range(4)]

    with ThreadPoolExecutor(2) as pool:
        pair = list(pool.map(train_together, (0, 1)))
    with ThreadPoolExecutor(8) as pool:
        launched = list(pool.map(launch_many, [0, 1] * 12))
        trained = list(pool.map(train, [0, 1] * 8))
    use_threads(1)
    return {
        "two at once": [sorted(set(results)) for results in pair],
        "pool": [sorted(set(results[k::2])) for results in (launched, trained) for k in (0, 1)],
        "serial": [train(0), train(1), launch_many(0), launch_many(1)],
        **facts(),
    }


def cold_from_many_threads():
    """Eight threads ask for the same kernels at once, none of which is compiled or loaded."""
    use_threads(2)
    barrier = threading.Barrier(8)
    x = _draw(0, 61, 67)

    def call(_):
        barrier.wait()
        return digest(kernels.sum(x, (1,)), kernels.neg(x))

    with ThreadPoolExecutor(8) as pool:
        results = set(pool.map(call, range(8)))
    use_threads(1)
    barrier = threading.Barrier(1)
    return {"results": sorted(results), "serial": call(0), **facts()}


def beside_numba():
    """Digest of training while other threads run the user's own parallel Numba code."""
    import numba

    @numba.njit(parallel=True)
    def total(x):
        result = 0.0
        for i in numba.prange(x.size):
            result += x[i]
        return result

    use_threads(2)
    x, results, stop = np.ones(10_000), set(), threading.Event()

    def keep_summing():
        while not stop.is_set():
            results.add(total(x))

    thread = threading.Thread(target=keep_summing)
    thread.start()
    trained = [train(), launch_many(), train()]
    stop.set()
    thread.join()
    return [*trained, sorted(results), numba.get_num_threads()]


def exit_while_training():
    """Leave with daemon threads inside kernels."""
    use_threads(2)
    result = train()

    def endless():
        while True:
            train()

    for _ in range(3):
        threading.Thread(target=endless, daemon=True).start()
    time.sleep(0.2)
    return result


# ------------------------------------------------------------------ forks


def in_fork(function, seconds=90):
    """What ``function`` returns in a forked child, or how the child ended instead."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            os.write(writer, json.dumps(function()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    text = b""
    while select.select([reader], [], [], seconds)[0]:
        part = os.read(reader, 1 << 16)
        text += part
        if not part:
            break
    else:
        os.kill(child, signal.SIGKILL)
        text = b'"hangs"'
    os.close(reader)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return json.loads(text) if text else f"ended with code {code}"


def _again():
    use_threads(2)
    return [train(), launch_many(), fastgrad.get_num_threads(), int(_threads.cells[_pool.BUSY])]


def fork_after_training():
    """Children of a process that has used threads: forked at rest, in a fork, and in a launch."""
    use_threads(2)
    expected = [train(), launch_many(), fastgrad.get_num_threads(), 0]
    at_rest = in_fork(_again)
    in_a_fork = in_fork(lambda: in_fork(_again))
    _threads.cells[_pool.BUSY] = 1  # as while another thread launches
    busy = in_fork(_again)
    _threads.cells[_pool.BUSY] = 0
    stop = threading.Event()

    def keep_launching():
        while not stop.is_set():
            launch_many()

    thread = threading.Thread(target=keep_launching)
    thread.start()
    meanwhile = [in_fork(_again) for _ in range(3)]
    stop.set()
    thread.join()
    with multiprocessing.get_context("fork").Pool(2) as pool:
        pooled = pool.map(train, [0, 0, 0])
    return {
        "parent": expected,
        "children": [at_rest, in_a_fork, busy, *meanwhile],
        "pool": pooled,
        "parent after": [train(), launch_many(), fastgrad.get_num_threads(), 0],
        **facts(),
    }


def fork_before_training():
    """A child of a process that has not used threads uses them; so does its parent afterwards."""
    child = in_fork(work)
    return {"child": child, "parent": work()}


def fork_after_compiling():
    """Bits of a compiled step's calls in children: recorded before the fork, and recorded there."""
    use_threads(2)
    w = fastgrad.Tensor(_draw(1, 61, 67), requires_grad=True)
    optimizer = optim.SGD([w], lr=0.1)

    def step(x):
        optimizer.zero_grad()
        loss = (x @ w).tanh().mean()
        loss.backward()
        optimizer.step()
        return loss

    old, new = fastgrad.compile(step), fastgrad.compile(step)
    x = fastgrad.Tensor(_draw(2, 71, 61))
    for _ in range(3):
        old(x)

    def further(compiled):
        return digest(*(compiled(x).data for _ in range(4)), w.data, w.grad.data)

    children = [in_fork(lambda: further(old)), in_fork(lambda: further(new))]
    return [*children, further(step)]


def fork_while_recording():
    """A child of a process in which another thread records may record, too."""
    busy = threading.Event()

    def slow(x):
        busy.set()
        time.sleep(0.3)
        return x * 2

    def record(function):
        return fastgrad.compile(function)(fastgrad.tensor([3.0])).item()

    thread = threading.Thread(target=record, args=(slow,))
    thread.start()
    busy.wait()
    child = in_fork(lambda: record(lambda x: x * 5), seconds=20)
    thread.join()
    return [child, record(lambda x: x * 7)]


def _fork_during(function, busy):
    """What launches give in a child that is forked while a thread is busy in ``function``."""
    thread = threading.Thread(target=function)
    thread.start()
    busy.wait()
    x = np.ones(5003, np.float32)
    child = in_fork(lambda: [float(kernels.sum(x)), float(kernels.exp(x - 1)[-1])], seconds=20)
    thread.join()
    return child


def fork_while_compiling():
    """A child does not wait forever for what another thread of its parent was compiling."""
    from numba.core.compiler_lock import global_compiler_lock

    busy = threading.Event()

    def compile_something():
        with global_compiler_lock:
            busy.set()
            time.sleep(0.3)

    return _fork_during(compile_something, busy)


def fork_while_making_a_ufunc():
    """The same between two compilations that belong together."""
    from fastgrad.kernels import _loop

    busy, compile_callback = threading.Event(), _loop.compile_callback

    def compile_slowly(*args):
        busy.set()
        time.sleep(0.1)
        return compile_callback(*args)

    _loop.compile_callback = compile_slowly
    return _fork_during(lambda: kernels.neg(1.0), busy)


def fork_while_starting_threads():
    """The same for a thread that starts the workers."""
    busy, start_worker = threading.Event(), _threads._start_worker

    def start_slowly(number):
        busy.set()
        time.sleep(0.3)
        return start_worker(number)

    _threads._start_worker = start_slowly
    use_threads(2)
    return _fork_during(policy.start, busy)


def fork_while_main_waits_to_compile():
    """Whether Ctrl-C still reaches a child that a thread forks while the main one compiles."""
    from numba.core.compiler_lock import global_compiler_lock

    busy, results = threading.Event(), []

    def fork_it():
        with global_compiler_lock:
            busy.set()
            time.sleep(0.3)  # meanwhile the main thread gets as far as this lock
            results.append(
                in_fork(lambda: signal.getsignal(signal.SIGINT) is signal.default_int_handler)
            )

    thread = threading.Thread(target=fork_it)
    thread.start()
    busy.wait()
    kernels.sum(np.ones(5, np.float32))
    thread.join()
    return results[0]


def start_method():
    """Whether a process that has used threads may still choose how others are started."""
    use_threads(2)
    train(steps=1)
    multiprocessing.set_start_method("spawn")
    return multiprocessing.get_start_method()


def late_worker():
    """Launches while the only worker is stuck: they end without it, and it comes back."""
    use_threads(2)
    expected = launch_many()
    ticket = _pool.worker_cell(1, _pool.TICKET)
    released = threading.Event()
    threading.Thread(target=lambda: (time.sleep(0.5), released.set())).start()
    results = set()
    while not released.is_set():
        _threads.cells[ticket] = 0  # takes away what the worker was to see
        results.add(launch_many())
    results.update(launch_many() for _ in range(20))
    return results == {expected}


def spawned():
    """A worker started anew imports everything itself; kernels travel there by name."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        trained = pool.apply(train)
        total = pool.apply(kernels.sum, (np.ones((3, 5), np.float32),))
        power = pool.apply(kernels.exp, (0.0,))
    return {"worker": trained, "here": train(), "sum": float(total), "exp": float(power)}
