"""Jacobians, Hessians, and their products with vectors, by the names of PyTorch's module.

Each takes ``func``, a function of tensors that returns a tensor or a tuple of them, and ``inputs``,
a tensor or a tuple: the arguments. Results come like these: a tensor for a tensor, a tuple for a
tuple.

create_graph   the results can be differentiated again
strict         raise ``RuntimeError`` where an output does not depend on an input, instead of zeros
"""

from ..creation import ones, zeros
from ..differentiate import grad
from ..tape import enable_grad, is_grad_enabled
from ..tensor import Tensor
from ._jacobian import Own, fresh, jacobian_rows, zeros_like

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def vjp(func, inputs, v=None, create_graph=False, strict=False):
    """``(func(inputs), vᵀJ)``: v, of the outputs' shapes, times the Jacobian.

    ``v`` may be left out where the only output is one number.

    >>> import fastgrad as fg
    >>> fg.autograd.functional.vjp(lambda x: x * x, fg.tensor([1.0, 3.0]), fg.tensor([1.0, 1.0]))
    (tensor([1., 9.]), tensor([2., 6.]))
    """
    given = _Given("vjp", inputs, create_graph, strict)
    with enable_grad():
        outputs, several = given.call(func)
        v = _vectors("vjp", v, outputs, "outputs")
        products = given.gradients(outputs, v, create_graph, "the output of the function")
    return _tuple_if(several, given.final(outputs)), given.like_inputs(products)


def jvp(func, inputs, v=None, create_graph=False, strict=False):
    """``(func(inputs), Jv)``: the Jacobian times v, of the inputs' shapes.

    Computed as the gradient of ``wᵀJ`` by w. ``v`` may be left out where the only input is one
    number.

    >>> import fastgrad as fg
    >>> fg.autograd.functional.jvp(lambda x: x * x, fg.tensor([1.0, 3.0]), fg.tensor([1.0, 1.0]))
    (tensor([1., 9.]), tensor([2., 6.]))
    """
    given = _Given("jvp", inputs, create_graph, strict)
    with enable_grad():
        outputs, several = given.call(func)
        v = _vectors("jvp", v, given.inputs, "inputs")
        weights = [Own(zeros_like(x)) for x in outputs]
        pulled = given.gradients(outputs, weights, True, "the output of the function")
        products = given.derivatives(pulled, weights, v, create_graph)
    return _tuple_if(several, given.final(outputs)), _tuple_if(several, given.final(products))


def jacobian(
    func, inputs, create_graph=False, strict=False, vectorize=False, strategy="reverse-mode"
):
    """The Jacobian of ``func``: for each output and each input a tensor (\\*output, \\*input).

    One backward pass for each element of the outputs. For a tuple of outputs, a tuple; in it, for
    a tuple of inputs, tuples.

    vectorize   is taken for PyTorch's sake, and has no effect
    strategy    "reverse-mode" is all there is

    >>> import fastgrad as fg
    >>> fg.autograd.functional.jacobian(lambda x: x * x, fg.tensor([1.0, 3.0]))
    tensor([[2., 0.],
            [0., 6.]])
    """
    _check_strategy("jacobian", strategy)
    given = _Given("jacobian", inputs, create_graph, strict)
    with enable_grad():
        outputs, several = given.call(func)
        rows = [given.jacobian(output, number) for number, output in enumerate(outputs)]
    return _tuple_if(several, [given.like_inputs(row) for row in rows])


def hessian(
    func,
    inputs,
    create_graph=False,
    strict=False,
    vectorize=False,
    outer_jacobian_strategy="reverse-mode",
):
    """The second derivatives of ``func``, whose result is one number: (\\*input, \\*input).

    For a tuple of inputs, a tuple of tuples.

    vectorize, outer_jacobian_strategy   see ``jacobian``

    >>> import fastgrad as fg
    >>> fg.autograd.functional.hessian(lambda x: (x**3).sum(), fg.tensor([1.0, 3.0]))
    tensor([[ 6.,  0.],
            [ 0., 18.]])
    """
    _check_strategy("hessian", outer_jacobian_strategy)
    several = isinstance(inputs, tuple)

    def gradient(*inner):
        _, products = _scalar_vjp("hessian", func, inner, strict)
        return products

    found = jacobian(gradient, tuple(inputs) if several else (inputs,), create_graph, strict)
    return found if several else found[0][0]


def vhp(func, inputs, v=None, create_graph=False, strict=False):
    """``(func(inputs), vᵀH)``: v, of the inputs' shapes, times the Hessian.

    ``func`` must return one number. As H is symmetric, the same as ``hvp``.

    >>> import fastgrad as fg
    >>> fg.autograd.functional.vhp(lambda x: (x**3).sum(), fg.tensor([1.0]), fg.tensor([2.0]))
    (tensor(1.), tensor([12.]))
    """
    return _hessian_product("vhp", func, inputs, v, create_graph, strict)


def hvp(func, inputs, v=None, create_graph=False, strict=False):
    """``(func(inputs), Hv)``: the Hessian times v, of the inputs' shapes.

    ``func`` must return one number. The gradient of ``vᵀ∇func``: two backward passes.

    >>> import fastgrad as fg
    >>> fg.autograd.functional.hvp(lambda x: (x**3).sum(), fg.tensor([1.0]), fg.tensor([2.0]))
    (tensor(1.), tensor([12.]))
    """
    return _hessian_product("hvp", func, inputs, v, create_graph, strict)


def _hessian_product(name, func, inputs, v, create_graph, strict):
    given = _Given(name, inputs, create_graph, strict)
    with enable_grad():
        outputs, _ = given.call(func)
        _check_scalar(name, outputs)
        v = _vectors(name, v, given.inputs, "inputs")
        slopes = given.gradients(outputs, None, True, "the output of the function")
        products = given.gradients(slopes, v, create_graph, "the gradient of the function")
    return given.final(outputs)[0], given.like_inputs(products)


def _scalar_vjp(name, func, inner, strict):
    """(output, gradients) of a function of one number, in a graph that goes on from ``inner``."""
    given = _Given(name, inner, True, strict)
    outputs, _ = given.call(func)
    _check_scalar(name, outputs)
    return outputs[0], tuple(given.gradients(outputs, None, True, "the output of the function"))


# ------------------------------------------------------------------ arguments and results


class _Given:
    """Inputs of a call, as tensors to differentiate by."""

    def __init__(self, name, inputs, create_graph, strict):
        self.name, self.strict = name, strict
        self.create_graph = create_graph and is_grad_enabled()
        self.several = isinstance(inputs, tuple | list)
        given = tuple(inputs) if self.several else (inputs,)
        for position, x in enumerate(given):
            if not isinstance(x, Tensor):
                raise TypeError(
                    f"{name}: input {position} is {type(x).__name__}; expected a tensor"
                )
        with enable_grad():
            self.inputs = [fresh(x if self.create_graph else x.detach()) for x in given]

    def call(self, func):
        """(outputs, whether they are a tuple) of the function."""
        result = func(*self.inputs)
        several = isinstance(result, tuple | list)
        outputs = list(result) if several else [result]
        for position, x in enumerate(outputs):
            if not isinstance(x, Tensor):
                raise TypeError(
                    f"{self.name}: output {position} is {type(x).__name__}; expected a tensor"
                )
            if self.strict and not x._requires_grad:
                raise RuntimeError(
                    f"{self.name}: output {position} does not depend on the inputs; this is an "
                    "error with strict=True"
                )
        return outputs, several

    def gradients(self, outputs, v, create_graph, of):
        """``vᵀJ`` for each input, zeros where it has no influence."""
        v = [None] * len(outputs) if v is None else v
        pairs = [(x, w) for x, w in zip(outputs, v, strict=True) if x._requires_grad]
        found = [None] * len(self.inputs)
        if pairs:
            outputs, v = zip(*pairs, strict=True)
            found = grad(
                outputs, self.inputs, v, create_graph=create_graph, allow_unused=True,
                retain_graph=True,
            )  # fmt: skip
        return [
            self.or_zeros(x, like, f"{of} does not depend on input {position}")
            for position, (x, like) in enumerate(zip(found, self.inputs, strict=True))
        ]

    def derivatives(self, pulled, weights, v, create_graph):
        """The derivatives of ``Σ v · pulled`` by the weights that it is linear in."""
        pairs = [(x, w) for x, w in zip(pulled, v, strict=True) if x._requires_grad]
        found = [None] * len(weights)
        if pairs:
            pulled, v = zip(*pairs, strict=True)
            found = grad(
                pulled, weights, v, create_graph=create_graph, allow_unused=True,
                retain_graph=True,
            )  # fmt: skip
        return [
            self.or_zeros(x, like, f"output {position} does not depend on the inputs")
            for position, (x, like) in enumerate(zip(found, weights, strict=True))
        ]

    def or_zeros(self, gradient, like, message):
        """A gradient, zeros for None, or in strict mode an error."""
        if gradient is None and self.strict:
            raise RuntimeError(f"{self.name}: {message}; this is an error with strict=True")
        return zeros_like(like) if gradient is None else gradient

    def jacobian(self, output, number):
        """The Jacobian of one output by each input."""
        found = [None] * len(self.inputs)
        if output._requires_grad:
            found = jacobian_rows(output, self.inputs, self.create_graph)
        for position, x in enumerate(found):
            if x is None:
                like = self.inputs[position]
                nothing = zeros((*output.shape, *like.shape), dtype=output.dtype)
                found[position] = self.or_zeros(
                    None, nothing, f"output {number} does not depend on input {position}"
                )
        return found

    def final(self, tensors):
        """Results, without their graph unless that was asked for."""
        return [x if self.create_graph else x.detach() for x in tensors]

    def like_inputs(self, tensors):
        """Results as the inputs came: a tensor or a tuple."""
        return _tuple_if(self.several, self.final(tensors))


def _tuple_if(several, values):
    return tuple(values) if several else values[0]


def _vectors(name, v, like, what):
    """``v`` as a list of tensors of the shapes of ``like``; ones where it may be left out."""
    if v is None:
        if len(like) != 1 or like[0].data.size != 1:
            raise RuntimeError(
                f"{name}: v is missing; it can be left out only where the {what} are one number"
            )
        return [ones(like[0].shape, dtype=like[0].dtype)]
    v = list(v) if isinstance(v, tuple | list) else [v]
    shapes, expected = [tuple(x.shape) for x in v], [x.shape for x in like]
    if shapes != expected:
        raise RuntimeError(
            f"{name}: v has shapes {shapes}, expected those of the {what}, {expected}"
        )
    return v


def _check_scalar(name, outputs):
    if len(outputs) != 1 or outputs[0].data.size != 1:
        shapes = [x.shape for x in outputs]
        raise RuntimeError(f"{name}: expected a function that returns one number, got {shapes}")


def _check_strategy(name, strategy):
    if strategy != "reverse-mode":
        raise ValueError(f"{name}: strategy {strategy!r} is not supported; expected 'reverse-mode'")
