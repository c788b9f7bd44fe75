"""The threads that kernels share: one job at a time, cut into chunks that are claimed.

A job is a function ``job(context, start, stop)`` over ``n`` items, given by the addresses of its
code and of its context. ``run`` cuts the items into equal shares, one for each thread, and each
share into a few chunks. Every thread, the launching one included, claims the chunks of its own
share first, and then those that others have not got to. The launch is over when every claimed
chunk is done: it never waits for a thread that has not come, because its work is done by then.
(Numba's own threading layers wait for every thread at the end of every launch: for milliseconds,
where another program has the core. See ADR 5.)

A worker that has nothing to do spins for a while, as the next launch is mostly microseconds away,
and then sleeps on a semaphore. All of it is compiled and works without Python and its lock.

What threads share are int64 cells, each written by one side at a time, and on cache lines of
their own where they are written often. The first line is settings; see the names below.
"""

import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, register_jitable

from ._cpu import target

_LINE = 8  # cells in a cache line
# Settings: number of threads; nanoseconds of work from which they share it, and that a sleeping
# one may miss before it is woken up; spins before a worker sleeps; whether workers should end;
# addresses of functions: ``run``, and what the operating system offers
THREADS, THRESHOLD, WAKE, SPINS, ENDING, RUN, SLEEP, ROUSE, YIELD, WHO = range(10)
# What is recorded: the thread whose jobs are (0: none), the address of the next record and of the
# end of the space, whether space was missing, whether something went past; the job that failed
RECORDER, RECORD, RECORD_END, FULL, ESCAPED, FAILED = range(10, 16)
BUSY, MISSED = 2 * _LINE, 2 * _LINE + 1  # 1 while there is a job; work that sleepers missed
CODE, CONTEXT, ITEMS, GRAIN, SHARES, CHUNKS, EPOCH = range(3 * _LINE, 3 * _LINE + 7)  # the job
DONE = 4 * _LINE  # chunks of the job that workers have done
# For each thread: its ticket, (the job's number << 16) + chunks of its share not yet claimed;
# whether it sleeps; its semaphore
_FIRST = 6 * _LINE
_EACH = 2 * _LINE
TICKET, ASLEEP, SEMAPHORE = 0, _LINE, _LINE + 1


def new_cells(threads):
    """Cells for so many threads, on a cache line's boundary."""
    cells = np.zeros(_FIRST + _EACH * threads + _LINE, np.int64)
    return cells[-(cells.ctypes.data // 8) % _LINE :]


@register_jitable
def worker_cell(worker, field):
    """Index of a thread's cell."""
    return _FIRST + _EACH * worker + field


_CHUNK = 10_000.0  # nanoseconds of work that are worth a claim, which takes about 0.1 µs

_INT64 = ir.IntType(64)
_BYTES = ir.IntType(8).as_pointer()


# ------------------------------------------------------------------ atoms


def _cell(builder, base, index):
    start = builder.inttoptr(base, _INT64.as_pointer())
    return builder.gep(start, [index])


@intrinsic
def peek(typing_context, base, index):
    """The value of a cell; what its writer wrote before is visible after."""

    def codegen(context, builder, sig, args):
        return builder.load_atomic(_cell(builder, *args), "acquire", 8)

    return types.int64(types.int64, types.int64), codegen


@intrinsic
def poke(typing_context, base, index, value):
    """Set a cell; whoever sees it sees everything written before."""

    def codegen(context, builder, sig, args):
        builder.store_atomic(args[2], _cell(builder, *args[:2]), "release", 8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), codegen


@intrinsic
def exchange(typing_context, base, index, before, after):
    """Set a cell to ``after`` if it is ``before``; whether it was."""

    def codegen(context, builder, sig, args):
        base, index, before, after = args
        pair = builder.cmpxchg(_cell(builder, base, index), before, after, "seq_cst", "seq_cst")
        return builder.extract_value(pair, 1)

    return types.boolean(*[types.int64] * 4), codegen


@intrinsic
def count(typing_context, base, index, more):
    """Add to a cell, whoever else does so at the same time; returns what it was before."""

    def codegen(context, builder, sig, args):
        return builder.atomic_rmw("add", _cell(builder, *args[:2]), args[2], "seq_cst")

    return types.int64(types.int64, types.int64, types.int64), codegen


@intrinsic
def fence(typing_context):
    """No read after may overtake a write before."""

    def codegen(context, builder, sig, args):
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def pause(typing_context):
    """Tell the core that this is a spin: the other hardware thread may go ahead."""

    def codegen(context, builder, sig, args):
        triple = target()[0]
        void, int32 = ir.VoidType(), ir.IntType(32)
        if triple.startswith("x86_64"):
            kind, name, hint = ir.FunctionType(void, []), "llvm.x86.sse2.pause", []
        elif triple.startswith(("aarch64", "arm64")):
            kind, name, hint = ir.FunctionType(void, [int32]), "llvm.aarch64.hint", [int32(1)]
        else:
            return context.get_dummy_value()
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), hint)
        return context.get_dummy_value()

    return types.void(), codegen


@intrinsic
def call_system(typing_context, address, first, second, third):
    """Call a function of the operating system; it takes as many of the arguments as it has."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(ir.IntType(32), [_INT64] * 3)
        builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])
        return context.get_dummy_value()

    return types.void(*[types.int64] * 4), codegen


@intrinsic
def current_thread(typing_context, address):
    """The operating system's number of the calling thread, by its function at an address."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(_INT64, [])
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), [])

    return types.int64(types.int64), codegen


def emit_run(builder, cells, job, context, size, n, grain, chunks, work):
    """LLVM call of ``run``, by its address in the cells; job and context as integers."""
    kind = ir.FunctionType(_INT64, [_INT64] * 7 + [work.type])
    address = builder.load(_cell(builder, cells, _INT64(RUN)))
    run = builder.inttoptr(address, kind.as_pointer())
    return builder.call(run, [cells, job, context, size, n, grain, chunks, work])


@intrinsic
def call_job(typing_context, code, context_, start, stop):
    """Run items of a job; returns its error code, 0 for none."""

    def codegen(context, builder, sig, args):
        kind = ir.FunctionType(_INT64, [_BYTES, _INT64, _INT64])
        place = builder.inttoptr(args[1], _BYTES)
        function = builder.inttoptr(args[0], kind.as_pointer())
        return builder.call(function, [place, args[2], args[3]])

    return types.int64(*[types.int64] * 4), codegen


# ------------------------------------------------------------------ a job


@register_jitable
def cut(n, grain, part, parts):
    """First item of ``part`` when ``n`` items are shared out in multiples of ``grain``."""
    blocks = (n + grain - 1) // grain
    return min(n, blocks * part // parts * grain)


@register_jitable
def _claim(base, me, epoch):
    """Run chunks until none of this job is left; returns how many."""
    code, context = peek(base, CODE), peek(base, CONTEXT)
    n, grain = peek(base, ITEMS), peek(base, GRAIN)
    shares, chunks = peek(base, SHARES), peek(base, CHUNKS)
    done = 0
    for k in range(shares):
        share = (me + k) % shares
        at = worker_cell(share, TICKET)
        while True:
            # A job ends when its tickets are at 0, so a claim that succeeds proves that what was
            # read above belongs to this job.
            ticket = peek(base, at)
            left = ticket & 0xFFFF
            if left == 0 or ticket >> 16 != epoch:
                break
            if exchange(base, at, ticket, ticket - 1):
                part = share * chunks + chunks - left
                start = cut(n, grain, part, shares * chunks)
                stop = cut(n, grain, part + 1, shares * chunks)
                if start < stop:
                    call_job(code, context, start, stop)
                done += 1
    return done


@register_jitable
def is_recorded(base):
    """Whether the calling thread's jobs are being recorded."""
    recorder = peek(base, RECORDER)
    return recorder != 0 and recorder == current_thread(peek(base, WHO))


# A record: its number of words, the job, and a copy of its context
_WORDS, _CODE, _ITEMS, _GRAIN, _MOST, _WORK, _CONTEXT = range(7)


@register_jitable
def _record(base, code, context, size, n, grain, most, work):
    at, words = peek(base, RECORD), (size + 7) // 8
    if at + 8 * (_CONTEXT + words) > peek(base, RECORD_END):
        poke(base, FULL, 1)
        return
    poke(at, _WORDS, _CONTEXT + words)
    poke(at, _CODE, code)
    poke(at, _ITEMS, n)
    poke(at, _GRAIN, grain)
    poke(at, _MOST, most)
    poke(at, _WORK, int(min(work, 1e15)))
    for k in range(words):
        poke(at, _CONTEXT + k, peek(context, k))
    poke(base, RECORD, at + 8 * (_CONTEXT + words))


def replay(base, at, end):
    """Run the jobs recorded from address ``at`` to ``end``; returns the first error code."""
    number = 0
    while at < end:
        work = float(peek(at, _WORK))
        code = _run(
            base, peek(at, _CODE), at + 8 * _CONTEXT, peek(at, _ITEMS), peek(at, _GRAIN),
            peek(at, _MOST), work,
        )  # fmt: skip
        if code:
            poke(base, FAILED, number)
            return code
        at += 8 * peek(at, _WORDS)
        number += 1
    return 0


def thread(base):
    """The operating system's number of the calling thread."""
    return current_thread(peek(base, WHO))


def move(moves, count, addresses):
    """Set the words that point into inputs: moves (count, 3) are (word, input, offset)."""
    for k in range(count):
        start = peek(addresses, peek(moves, 3 * k + 1))
        poke(peek(moves, 3 * k), 0, start + peek(moves, 3 * k + 2))


def run(base, code, context, size, n, grain, most, work):
    """The one door of all work: run a job whose context has ``size`` bytes, and record it."""
    if is_recorded(base):
        _record(base, code, context, size, n, grain, most, work)
    return _run(base, code, context, n, grain, most, work)


@register_jitable
def _run(base, code, context, n, grain, most, work):
    """Run a job of ``work`` nanoseconds on one thread or on several; returns its error code.

    Several where the work is worth it and no other job is under way; ``most`` is the number of
    chunks that a share may be cut into, 0 for a job that must stay on one thread.
    """
    if work < peek(base, THRESHOLD) or most == 0:
        return call_job(code, context, 0, n)
    blocks = (n + grain - 1) // grain
    shares = min(peek(base, THREADS), blocks)
    if shares < 2 or not exchange(base, BUSY, 0, 1):
        return call_job(code, context, 0, n)
    most = min(most, blocks // shares)
    chunks = max(1, int(min(float(most), work / (_CHUNK * shares))))
    epoch = peek(base, EPOCH) + 1
    poke(base, EPOCH, epoch)
    poke(base, CODE, code)
    poke(base, CONTEXT, context)
    poke(base, ITEMS, n)
    poke(base, GRAIN, grain)
    poke(base, SHARES, shares)
    poke(base, CHUNKS, chunks)
    poke(base, DONE, 0)
    for share in range(shares - 1, -1, -1):
        poke(base, worker_cell(share, TICKET), (epoch << 16) + chunks)
    # A worker that misses this and falls asleep is not waited for, so nothing needs a fence here.
    for share in range(1, shares):
        if peek(base, worker_cell(share, ASLEEP)):
            missed = peek(base, MISSED) + int(min(work, 1e9))
            poke(base, MISSED, missed)
            if missed >= peek(base, WAKE):
                poke(base, MISSED, 0)
                wake(base, share)
    left = shares * chunks - _claim(base, 0, epoch)
    spins = 0
    while peek(base, DONE) != left:
        spins += 1
        if spins > 1000:  # a worker may need this core
            call_system(peek(base, YIELD), 0, 0, 0)
        else:
            pause()
    poke(base, BUSY, 0)
    return 0


@register_jitable
def wake(base, worker):
    at = _FIRST + _EACH * worker
    if peek(base, at + ASLEEP) and exchange(base, at + ASLEEP, 1, 0):
        call_system(peek(base, ROUSE), peek(base, at + SEMAPHORE), 1, 0)


def serve(base, worker):
    """What a worker does until it is told to end."""
    at = _FIRST + _EACH * worker
    seen = peek(base, at + TICKET) >> 16
    spins = 0
    while True:
        epoch = peek(base, at + TICKET) >> 16
        if epoch != seen:
            seen = epoch
            done = _claim(base, worker, epoch)
            if done:
                count(base, DONE, done)
            spins = 0
        elif peek(base, ENDING):
            return
        elif spins < peek(base, SPINS):
            pause()
            spins += 1
        else:
            poke(base, at + ASLEEP, 1)
            fence()
            called = peek(base, at + TICKET) >> 16 != seen or peek(base, ENDING)
            if not (called and exchange(base, at + ASLEEP, 1, 0)):
                call_system(peek(base, SLEEP), peek(base, at + SEMAPHORE), -1, 0)
                while peek(base, at + ASLEEP):  # it was a signal
                    call_system(peek(base, SLEEP), peek(base, at + SEMAPHORE), -1, 0)
            spins = 0


def idle(context, start, stop):
    """A job that spins as an idle worker does, once for each item; to measure with."""
    for _ in range(stop - start):
        pause()
    return 0
