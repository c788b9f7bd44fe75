"""What the updates of all optimizers share: the walk over a table of parameters.

    @stepper(prepare, cost=0.3)
    def sgd_step(p, g, a, b, c, values):
        ...
        return p, a, b, c

makes of a function of vectors a launcher over lists of arrays. The function gets a vector of a
parameter, of its gradient, and of up to three arrays of state, and returns the new ones; state
that an optimizer does not have is handed back as it came. ``values`` is what ``prepare(like,
hyper, flags, used, t, x, y)`` made of the numbers, once for each array of a launch: ``used`` is
how many arrays of state there are, t the number of the step, x and y are scalars kept with it.
"""

import functools

from numba.extending import register_jitable

from ._compile import named
from ._jit import kernel
from ._pool import peek, poke
from ._simd import fma, if_greater, lanes, read, splat, write, zeros
from ._tables import ADDRESS, LIKE, SIZE, array_at, piece, table_of

LR, WEIGHT_DECAY, L1_DECAY, OWN_NUMBER = range(4)
MAXIMIZE, DECOUPLED, OWN_FLAG = range(3)


@kernel(serial=True)
def _tick(start, stop, table, row):
    for at in range(start, stop):
        poke(table[row, at], 0, peek(table[row, at], 0) + 1)


@register_jitable
def sign(x, size):
    """``size`` with the sign of ``x``, 0 for 0."""
    nothing = size - size
    return if_greater(x, nothing, size, if_greater(nothing, x, -size, nothing))


@register_jitable
def _penalties(like, hyper, flags):
    decay, l1_decay = hyper[WEIGHT_DECAY], hyper[L1_DECAY]
    return (
        flags[MAXIMIZE] or decay != 0.0 or l1_decay != 0.0,
        splat(like, decay), splat(like, l1_decay), splat(like, 1.0 - hyper[LR] * decay),
        flags[MAXIMIZE], flags[DECOUPLED], decay != 0.0, l1_decay != 0.0,
    )  # fmt: skip


@register_jitable
def _penalize(p, g, penalties):
    """(parameter, gradient) with what weight decay and l1_decay make of them."""
    some, decay, l1_decay, shrink, maximize, decoupled, has_decay, has_l1 = penalties
    if not some:  # one branch, as this runs for every vector
        return p, g
    g = -g if maximize else g
    if has_l1:
        g = g + sign(p, l1_decay)
    if decoupled:
        p = p * shrink
    elif has_decay:
        g = fma(decay, p, g)
    return p, g


@register_jitable
def _no_penalties(like, hyper, flags):
    return None


@register_jitable
def _leave(p, g, penalties):
    return p, g


def _walk(name, prepare, update, most, scalars, penalized):
    """The kernel; a table's columns: parameter, gradient, state, and the columns of scalars."""

    penalties_of, penalize = (_penalties, _penalize) if penalized else (_no_penalties, _leave)

    def walk(start, stop, table, like, hyper, flags):
        lane, nothing = lanes(like), zeros(like)
        penalties = penalties_of(like, hyper, flags)
        row = table.shape[0] - scalars
        used = min(row - ADDRESS - 2, most)  # arrays of state
        at, block = 0, start
        while block < stop:
            at, begin, end, block = piece(table, at, block, stop)
            size = table[SIZE, at]
            param = array_at(table[ADDRESS, at], size, like)
            grad = array_at(table[ADDRESS + 1, at], size, like)
            first = array_at(table[ADDRESS + 1 + min(used, 1), at], size, like)
            second = array_at(table[ADDRESS + 1 + min(used, 2), at], size, like)
            third = array_at(table[ADDRESS + 1 + min(used, 3), at], size, like)
            t, x, y = 0.0, 0.0, 0.0
            if scalars > 0:
                t = float(peek(table[row, at], 0) + 1)
            if scalars > 1:
                x = array_at(table[row + 1, at], 1, hyper)[0]
            if scalars > 2:
                y = array_at(table[row + 2, at], 1, hyper)[0]
            values = prepare(like, hyper, flags, used, t, x, y)
            for i in range(begin, end, lane):
                n = min(lane, end - i)
                p, g = penalize(read(param, i, n), read(grad, i, n), penalties)
                a = read(first, i, n) if used > 0 else nothing
                b = read(second, i, n) if used > 1 else nothing
                c = read(third, i, n) if used > 2 else nothing
                p, a, b, c = update(p, g, a, b, c, values)
                write(param, i, n, p)
                if used > 0:
                    write(first, i, n, a)
                if used > 1:
                    write(second, i, n, b)
                if used > 2:
                    write(third, i, n, c)

    walk.__name__, walk.__module__ = name, update.__module__
    return kernel(walk)


def _advance(name, function, scalars):
    """The kernel that moves one scalar or two on, after a step."""
    function = register_jitable(named(function, f"{name}.advance"))

    def advance(start, stop, table, hyper):
        last = table.shape[0] - 1
        row = last + 1 - scalars
        for at in range(start, stop):
            t = float(peek(table[row, at], 0) + 1)
            x = array_at(table[row + 1, at], 1, hyper)
            y = array_at(table[last, at], 1, hyper)
            x[0], y[0] = function(hyper, t, x[0], y[0])

    advance.__name__ = f"{name}_advance"
    return kernel(advance, serial=True)


def stepper(prepare, cost, most=1, scalars=1, advance=None, penalized=True):
    """Make a launcher ``step(params, grads, *state, *scalars, hyper, flags)`` of a function.

    cost       nanoseconds of one element's update
    most       arrays of state at most; a launch may have fewer, from the first on
    scalars    columns of arrays (1,): the count of steps, int64, and up to two float64
    advance    ``(hyper, t, x, y)`` to the floats (x, y) of the next step; one alone is both
    penalized  whether hyper begins with (lr, weight_decay, l1_decay), flags with (maximize,
               decoupled), and the walk sees to these
    """

    def build(update):
        name = update.__name__.removesuffix("_step")
        walk = _walk(
            name,
            register_jitable(named(prepare, f"{name}.prepare")),
            register_jitable(named(update, f"{name}.update")),
            most, scalars, penalized,
        )  # fmt: skip
        move = advance and _advance(name, advance, scalars)

        @functools.wraps(update)
        def step(*arguments):
            params, hyper, flags = arguments[0], arguments[-2], arguments[-1]
            table, blocks, elements = table_of(*arguments[:-2], others=scalars)
            walk(blocks, elements * cost, table, LIKE[params[0].dtype], hyper, flags)
            if move is not None:
                move(len(params), 0, table, hyper)
            if scalars:
                _tick(len(params), 0, table, len(table) - scalars)

        del step.__wrapped__  # a function of vectors has other arguments
        return step

    return build
