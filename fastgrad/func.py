"""Functions of functions, in the style of ``torch.func`` and JAX: ``grad(f)`` is a function.

Arguments to differentiate by are tensors, or nested tuples, lists and dicts of them; results come
alike. They nest: ``grad(grad(f))`` is the second derivative. A result is part of a graph, and can
be differentiated further, where an argument, or a tensor that the function uses, requires grad.

argnums   number of the argument to differentiate by, or several as a tuple
has_aux   the function returns ``(output, aux)``; aux is handed through
"""

from functools import wraps

import numpy as np

from .autograd._jacobian import Own, depends_on_others, fresh, jacobian_rows, zeros_like
from .creation import zeros
from .differentiate import grad as gradients
from .tape import enable_grad, is_grad_enabled, mark
from .tensor import Tensor
from .trees import flatten

__all__ = [
    "grad", "grad_and_value", "hessian", "hvp", "jacobian", "jacrev", "jvp", "value_and_grad", "vjp"
]  # fmt: skip


def grad(func, argnums=0, has_aux=False):
    """The gradient of ``func``, whose result is one number (of no axes), as a function.

    With has_aux, it returns ``(gradient, aux)``.

    >>> import fastgrad as fg
    >>> fg.func.grad(lambda x: x**3)(fg.tensor(2.0))
    tensor(12.)
    >>> fg.func.grad(fg.func.grad(lambda x: x**3))(fg.tensor(2.0))
    tensor(12.)
    """
    both = _with_gradient("grad", func, argnums, has_aux)

    @wraps(func)
    def gradient(*args, **kwargs):
        found, _, aux = both(args, kwargs)
        return (found, aux) if has_aux else found

    return gradient


def grad_and_value(func, argnums=0, has_aux=False):
    """``(gradient, value)`` of ``func``; with has_aux ``(gradient, (value, aux))``. See ``grad``.

    >>> import fastgrad as fg
    >>> fg.func.grad_and_value(lambda x: x**3)(fg.tensor(2.0))
    (tensor(12.), tensor(8.))
    """
    both = _with_gradient("grad_and_value", func, argnums, has_aux)

    @wraps(func)
    def gradient_and_value(*args, **kwargs):
        found, value, aux = both(args, kwargs)
        return (found, (value, aux)) if has_aux else (found, value)

    return gradient_and_value


def value_and_grad(func, argnums=0, has_aux=False):
    """``(value, gradient)`` of ``func``; with has_aux ``((value, aux), gradient)``. See ``grad``.

    >>> import fastgrad as fg
    >>> fg.func.value_and_grad(lambda x: x**3)(fg.tensor(2.0))
    (tensor(8.), tensor(12.))
    """
    both = _with_gradient("value_and_grad", func, argnums, has_aux)

    @wraps(func)
    def value_and_gradient(*args, **kwargs):
        found, value, aux = both(args, kwargs)
        return ((value, aux), found) if has_aux else (value, found)

    return value_and_gradient


def jacrev(func, argnums=0, has_aux=False):
    """The Jacobian of ``func`` as a function, by one backward pass for each element of its result.

    Of shape (\\*output, \\*input); for nested outputs nested like these, and in each like the
    inputs. With has_aux, ``(jacobian, aux)``. Also called ``jacobian``.

    >>> import fastgrad as fg
    >>> fg.func.jacrev(lambda x: x * x)(fg.tensor([1.0, 3.0]))
    tensor([[2., 0.],
            [0., 6.]])
    """

    @wraps(func)
    def jacobian_of(*args, **kwargs):
        level = _Level("jacrev", args, argnums)
        with enable_grad():
            result, aux = level.call(func, kwargs, has_aux)
            outputs, rebuild = _tensors("jacrev", result, "output")
            create = level.goes_on(outputs)
            blocks = [level.like_inputs(_jacobian(x, level.inputs, create)) for x in outputs]
        found = rebuild(blocks)
        return (found, level.result(aux, create)) if has_aux else found

    return jacobian_of


jacobian = jacrev


def hessian(func, argnums=0):
    """The second derivatives of ``func``, whose result is one number, as a function.

    Of shape (\\*input, \\*input); for several arguments a tuple of tuples.

    >>> import fastgrad as fg
    >>> fg.func.hessian(lambda x: (x**3).sum())(fg.tensor([1.0, 3.0]))
    tensor([[ 6.,  0.],
            [ 0., 18.]])
    """
    return jacrev(jacrev(func, argnums), argnums)


def vjp(func, *primals, has_aux=False):
    """``(func(*primals), pull)``: ``pull(v)`` gives ``vᵀJ`` as a tuple, one for each primal.

    ``v`` is like the output. With has_aux, ``(output, pull, aux)``.

    >>> import fastgrad as fg
    >>> output, pull = fg.func.vjp(lambda x: x * x, fg.tensor([1.0, 3.0]))
    >>> pull(fg.tensor([1.0, 10.0]))
    (tensor([ 2., 60.]),)
    """
    level = _Level("vjp", primals, tuple(range(len(primals))))
    with enable_grad():
        result, aux = level.call(func, {}, has_aux)
    outputs, _ = _tensors("vjp", result, "output")
    create = level.goes_on(outputs)

    def pull(v):
        v = _like("vjp", v, outputs, "the output")
        further = is_grad_enabled() and (create or any(x.requires_grad for x in v))
        return level.like_inputs(_pull(outputs, level.inputs, v, further))

    output = level.result(result, create)
    return (output, pull, level.result(aux, create)) if has_aux else (output, pull)


def jvp(func, primals, tangents, *, strict=False, has_aux=False):
    """``(func(*primals), J · tangents)``, both tuples; with has_aux also aux.

    Computed as the gradient of ``wᵀJ`` by w.

    strict   raise ``RuntimeError`` where an output does not depend on the primals

    >>> import fastgrad as fg
    >>> fg.func.jvp(lambda x: x * x, (fg.tensor([1.0, 3.0]),), (fg.tensor([1.0, 10.0]),))
    (tensor([1., 9.]), tensor([ 2., 60.]))
    """
    primals = _as_tuple("jvp", primals, "primals")
    level = _Level("jvp", primals, tuple(range(len(primals))))
    tangents = _like("jvp", tangents, level.inputs, "the primals")
    with enable_grad():
        result, aux = level.call(func, {}, has_aux)
        outputs, rebuild = _tensors("jvp", result, "output")
        if strict and not all(x.requires_grad for x in outputs):
            raise RuntimeError("jvp: an output does not depend on the primals (strict=True)")
        create = level.goes_on([*outputs, *tangents])
        weights = [Own(zeros_like(x)) for x in outputs]
        pulled = _pull(outputs, level.inputs, weights, True)
        pushed = rebuild(_pull(pulled, weights, tangents, create))
    output = level.result(result, create)
    return (output, pushed, level.result(aux, create)) if has_aux else (output, pushed)


def hvp(func, primals, tangents, *, has_aux=False):
    """The Hessian of ``func``, whose result is one number, times tangents, without making it.

    One tensor for one primal, a tuple for several; with has_aux ``(product, aux)``. Computed as
    the gradient of ``tangentsᵀ∇func``.

    >>> import fastgrad as fg
    >>> fg.func.hvp(lambda x: (x**3).sum(), (fg.tensor([1.0, 3.0]),), (fg.tensor([1.0, 10.0]),))
    tensor([  6., 180.])
    """
    primals = _as_tuple("hvp", primals, "primals")
    level = _Level("hvp", primals, tuple(range(len(primals))) if len(primals) > 1 else 0)
    tangents = _like("hvp", tangents, level.inputs, "the primals")
    with enable_grad():
        result, aux = level.call(func, {}, has_aux)
        _check_number("hvp", result)
        create = level.goes_on([result, *tangents])
        slopes = _pull([result], level.inputs, [None], True)
        found = level.like_inputs(_pull(slopes, level.inputs, tangents, create))
    return (found, level.result(aux, create)) if has_aux else found


# ------------------------------------------------------------------ one level of differentiation


def _with_gradient(name, func, argnums, has_aux):
    """A function of (args, kwargs) that gives gradient, value and aux."""

    def both(args, kwargs):
        level = _Level(name, args, argnums)
        with enable_grad():
            result, aux = level.call(func, kwargs, has_aux)
            _check_number(name, result)
            create = level.goes_on([result])
            found = level.like_inputs(_pull([result], level.inputs, [None], create))
        return found, level.result(result, create), level.result(aux, create)

    return both


class _Level:
    """Arguments of a call; those to differentiate by are tensors of this level's own.

    argnums   a number, or a tuple of them
    """

    def __init__(self, name, args, argnums):
        self.name, self.args = name, list(args)
        self.recorded, self._since = is_grad_enabled(), mark()
        numbers = argnums if isinstance(argnums, tuple) else (argnums,)
        for number in numbers:
            if not -len(args) <= number < len(args):
                raise IndexError(
                    f"{name}: argnums {number} is out of range for {len(args)} arguments"
                )
        chosen = tuple([args[number] for number in numbers])
        tensors, self._rebuild = _tensors(name, chosen, "argument")
        with enable_grad():
            self.inputs = [fresh(x) for x in tensors]
        self._several = isinstance(argnums, tuple)
        for number, value in zip(numbers, self._rebuild(self.inputs), strict=True):
            self.args[number] = value

    def call(self, func, kwargs, has_aux):
        """(result, aux) of the function."""
        result = func(*self.args, **kwargs)
        if not has_aux:
            return result, None
        if not isinstance(result, tuple) or len(result) != 2:
            raise TypeError(f"{self.name}: with has_aux, the function must return (output, aux)")
        return result

    def goes_on(self, tensors):
        """Whether what is computed from ``tensors`` should be part of a graph outside."""
        return self.recorded and depends_on_others(tensors, self._since)

    def like_inputs(self, values):
        """One value for each input, in the inputs' form."""
        found = self._rebuild(values)
        return found if self._several else found[0]

    def result(self, value, create):
        """A result as it leaves this level."""
        if value is None or create:
            return value
        tensors, rebuild = flatten(value)
        return rebuild([x.detach() for x in tensors])


def _tensors(name, value, what):
    """``flatten``, of what must have tensors."""
    tensors, rebuild = flatten(value)
    if not tensors:
        raise TypeError(f"{name}: expected a tensor, or several, as {what}, got {value!r}")
    return tensors, rebuild


def _as_tuple(name, value, what):
    if not isinstance(value, tuple):
        raise TypeError(f"{name}: expected {what} as a tuple, got {type(value).__name__}")
    return value


def _like(name, value, like, what):
    """The tensors of ``value``, which must have the shapes of ``like``."""
    tensors, _ = flatten(value)
    shapes, expected = [x.shape for x in tensors], [x.shape for x in like]
    if shapes != expected:
        raise RuntimeError(f"{name}: got tensors of shapes {shapes}, expected {expected} of {what}")
    return tensors


def _check_number(name, result):
    if not isinstance(result, Tensor) or result.ndim:
        got = f"shape {result.shape}" if isinstance(result, Tensor) else type(result).__name__
        raise RuntimeError(f"{name}: expected a function that returns one number, got {got}")


def _pull(outputs, inputs, v, create_graph):
    """``vᵀJ`` for each input, zeros where it has no influence."""
    pairs = [(x, w) for x, w in zip(outputs, v, strict=True) if x.requires_grad]
    if not pairs:
        return [zeros_like(x) for x in inputs]
    outputs, v = zip(*pairs, strict=True)
    return list(
        gradients(
            outputs, inputs, v, retain_graph=True, create_graph=create_graph,
            materialize_grads=True,
        )
    )  # fmt: skip


def _jacobian(output, inputs, create_graph):
    """The Jacobian of an output by each input."""
    found = [None] * len(inputs)
    if output.requires_grad:
        found = jacobian_rows(output, inputs, create_graph)
    return [
        zeros((*output.shape, *x.shape), dtype=np.result_type(output.dtype, x.dtype))
        if block is None
        else block
        for x, block in zip(inputs, found, strict=True)
    ]
