"""What families of operations share: types, and rules made from a gradient's formula.

A gradient's formula is stated once, over a namespace ``m`` of functions: with ``K`` for ``m`` it
works on arrays, by kernels, and with ``T`` on tensors, by operations, where a gradient is to be
differentiated again. Both have the same functions by the same names.
"""

import inspect
import operator
import sys
from functools import lru_cache, partial, reduce

import numpy as np

from ..backend import K
from ..lifting import op
from ..tape import as_array, recording
from ..tensor import Tensor

T = sys.modules[__package__]
"""The operations, by the names of the kernels."""


# ------------------------------------------------------------------ types


def combine(name, a, b):
    """The kernel ``name`` on two operands, in the type that PyTorch gives them together."""
    try:
        if not isinstance(a, np.ndarray):
            same = b.dtype.kind == "f"
        elif not isinstance(b, np.ndarray):
            same = a.dtype.kind == "f"
        else:
            same = a.dtype is b.dtype and a.dtype.kind == "f"
        return getattr(K, name)(a, b) if same else getattr(K, name)(*promoted((a, b)))
    except (AttributeError, TypeError, ValueError, OverflowError) as error:
        raise do_not_combine(name, (a, b), error) from None


def combine_three(name, *operands):
    """The kernel ``name`` on operands of one type."""
    try:
        return getattr(K, name)(*operands)
    except (TypeError, ValueError) as error:
        raise do_not_combine(name, operands, error) from None


def do_not_combine(name, operands, error):
    """The error of operands that do not go together."""
    shapes = " and ".join(str(np.shape(x)) for x in operands)
    kind = ValueError if isinstance(error, ValueError) else TypeError
    return kind(f"{name}: cannot combine operands of shapes {shapes}: {error}")


def promoted(operands, least=None):
    """Operands in their common type, or in ``least`` where that is of a higher category."""
    dtype = result_type(*operands)
    if least is not None and category(dtype) < category(np.dtype(least)):
        dtype = np.dtype(least)
    if not any(isinstance(x, np.ndarray) for x in operands):
        return [np.asarray(x, dtype) for x in operands]
    return [
        x.astype(dtype, copy=False) if isinstance(x, np.ndarray) else dtype.type(x)
        for x in operands
    ]


def same_type(*operands):
    """``promoted``, where that changes anything."""
    dtypes = {x.dtype for x in operands if isinstance(x, np.ndarray)}
    if len(dtypes) == 1 and next(iter(dtypes)).kind == "f":
        return operands
    return promoted(operands)


_OF_NUMBERS = {"b": np.bool_, "i": np.int64, "f": np.float32}


def result_type(*operands):
    """PyTorch's type promotion.

    Bool gives way to integers, these to floats. Arrays without axes count only if they bring a
    higher category than those with axes, and numbers only if they bring a higher one still.
    """
    groups = {"axes": [], "no axes": [], "number": []}
    for x in operands:
        if isinstance(x, np.ndarray):
            groups["axes" if x.ndim else "no axes"].append(x.dtype)
        else:
            kind = np.asarray(x).dtype.kind  # of a NumPy number, too
            groups["number"].append(np.dtype(_OF_NUMBERS[kind]))
    result = None
    for dtypes in groups.values():
        if dtypes:
            group = reduce(_promote, dtypes)
            if result is None or category(group) > category(result):
                result = group
    return result


def category(dtype):
    """0 for bools, 1 for integers, 3 for floats."""
    return "biuf".index(dtype.kind) if dtype.kind != "u" else 1


def _promote(a, b):
    if category(a) != category(b):
        return max(a, b, key=category)
    return np.result_type(a, b)


def have_floats(*operands):
    """Whether an operand is of floats."""
    return any(
        x.dtype.kind == "f" if isinstance(x, np.ndarray) else isinstance(x, float) for x in operands
    )


def float_input(name, x):
    """``x`` as floats: integers and bools become float32, as in PyTorch."""
    if not isinstance(x, np.ndarray):
        if not isinstance(x, int | float):
            raise TypeError(f"{name}: expected a tensor of numbers, got {type(x).__name__}")
        return np.asarray(x, np.float32)
    if x.dtype.kind not in "fiub":
        raise TypeError(f"{name}: expected a tensor of numbers, got {x.dtype}")
    return x if x.dtype.kind == "f" else x.astype(np.float32)


def shape_of(name, x):
    """The shape of what should be a tensor or an array."""
    try:
        return x.shape
    except AttributeError:
        raise TypeError(f"{name}: expected a tensor, got {type(x).__name__}") from None


def ints(name, what, value, count, least, spread=True):
    """An option that is an int for all of ``count`` axes, or one for each, as a tuple of ints.

    ``least`` is the smallest, or None; ``spread`` says whether a tuple of one stands for all axes.
    """
    several = isinstance(value, list | tuple)
    values = tuple(value) if several else (value,)
    expected = "an int" if count == 1 else f"an int or {count} ints"
    expected += "" if least is None else f" from {least} on"
    try:
        if any(isinstance(n, bool) for n in values):
            raise TypeError
        values = tuple(map(operator.index, values))
    except TypeError:
        raise TypeError(f"{name}: {what} is {value!r}; expected {expected}") from None
    values = values * count if len(values) == 1 and (spread or not several) else values
    if len(values) != count or (least is not None and min(values) < least):
        raise ValueError(f"{name}: {what} is {value!r}; expected {expected}")
    return values


@lru_cache(maxsize=4096)
def _constants(dtype, numbers):
    for number in numbers:
        if not isinstance(number, int | float | np.number):
            raise TypeError(f"expected a number, got {type(number).__name__}")
    return tuple(np.asarray(number, dtype) for number in numbers)


def constants(dtype, numbers):
    """Numbers as arrays of a type, which a ufunc takes in half the time; arrays as they are."""
    if numbers and isinstance(numbers[0], np.ndarray):
        return numbers
    return _constants(dtype, numbers)


# ------------------------------------------------------------------ functions of one tensor


def unary(gradient=None, *, kernel=None, integers=False, bools=np.bool_):
    """Make an operation on one tensor from the formula of its gradient.

        @unary
        def sin(m, grad, x):
            "Sine ..."
            return m.mul(grad, m.cos(x))

    It computes the kernel of its name, or ``kernel``. The formula says what is kept for it: the
    input ``x``, the result ``out``, or neither. ``integers``: integers stay integers, and bools
    become ``bools``, or are refused where that is None.
    """
    if gradient is None:
        return partial(unary, kernel=kernel, integers=integers, bools=bools)
    name = gradient.__name__
    kernel = kernel or name
    saved = tuple(inspect.signature(gradient).parameters)[2:]

    def convert(x):
        """(x as floats, None), or (None, the result) where integers stay integers."""
        if not integers or not isinstance(x, np.ndarray) or x.dtype.kind not in "iub":
            return float_input(name, x), None
        if x.dtype.kind != "b":
            return None, getattr(K, kernel)(x)
        if bools is None:
            raise TypeError(f"{name}: not for bools; use logical_not or ~x")
        return None, as_array(getattr(K, kernel)(x.astype(np.int64))).astype(bools)

    def of_input(x):
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
            x, whole = convert(x)
            if x is None:
                return whole, None
        return getattr(K, kernel)(x), lambda grad: gradient(K, grad, x)

    def of_result(x):
        if not isinstance(x, np.ndarray) or x.dtype.kind != "f":
            x, _ = convert(x)
        out = getattr(K, kernel)(x)
        return out, lambda grad: gradient(K, grad, out)

    def of_neither(x):
        return of_input(x)[0], lambda grad: gradient(K, grad)

    rule = {("x",): of_input, ("out",): of_result, (): of_neither}[saved]
    lifted = op(rule, name=name).differentiable(
        {
            ("x",): lambda grad, x: gradient(T, grad, x),
            ("out",): lambda grad, out: gradient(T, grad, out),
            (): lambda grad: gradient(T, grad),
        }[saved]
    )
    return as_documented(lifted, gradient, inspect.signature(of_input))


def as_documented(lifted, source, signature):
    """An operation with the name, text and module of the function that it was made from."""
    lifted.__doc__, lifted.__module__ = source.__doc__, source.__module__
    lifted.__wrapped__, lifted.__signature__ = source, signature
    return lifted


# ------------------------------------------------------------------ recordings


def refuse_recording(name):
    """Refuse what cannot be recorded: the shape of its result depends on values."""
    if recording.here():
        recording.active.refuse(
            f"compile: {name}: the shape of its result depends on values, which differ from call "
            "to call"
        )


# ------------------------------------------------------------------ masks


@op(linear=True)
def _masked(x, *, kernel, others):
    run = getattr(K, kernel)
    return run(x, *others), lambda grad: run(grad, *others)


def masked(x, kernel, *others):
    """``kernel(x, *others)``, which takes some elements of x and leaves others: its own adjoint."""
    others = [y.data if isinstance(y, Tensor) else y for y in others]
    return _masked(x, kernel=kernel, others=others)


# ------------------------------------------------------------------ parts of a tensor


def add_to_part(whole, shape, grad, part):
    """``grad`` added to ``part(whole)``, a view; whole None stands for zeros of a shape."""
    if whole is None:
        whole = K.zeros(shape, grad.dtype)
        K.copy(grad, out=part(whole))
    else:
        view = part(whole)
        K.add(view, grad, out=view)
    return whole
