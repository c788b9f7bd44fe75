"""Checks for operations, of ours and of users: ``gradcheck`` and ``assert_close``."""

import itertools

import numpy as np

from .tensor import Tensor, grad

_TOLERANCES = {"float32": (1.3e-6, 1e-5), "float64": (1e-7, 1e-7)}


def assert_close(actual, expected, *, rtol=None, atol=None, equal_nan=False, check_dtype=True):
    """Raise ``AssertionError`` unless two tensors or arrays agree in shape, type and values.

    Without tolerances those of PyTorch serve: relative 1.3e-6 and absolute 1e-5 for float32, both
    1e-7 for float64, exact otherwise.

    >>> import fastgrad as fg
    >>> assert_close(fg.tensor([1.0]), fg.tensor([1.0000001]))
    """
    actual, expected = (
        x.data if isinstance(x, Tensor) else np.asarray(x) for x in (actual, expected)
    )
    if actual.shape != expected.shape:
        raise AssertionError(f"assert_close: shapes differ: {actual.shape}, {expected.shape}")
    if check_dtype and actual.dtype != expected.dtype:
        raise AssertionError(f"assert_close: types differ: {actual.dtype}, {expected.dtype}")
    if (rtol is None) != (atol is None):
        raise ValueError("assert_close: rtol and atol come together")
    if rtol is None:
        rtol, atol = _TOLERANCES.get(actual.dtype.name, (0.0, 0.0))
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan)


def _tensors(outputs):
    return [outputs] if isinstance(outputs, Tensor) else list(outputs)


def gradcheck(func, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True):
    """Compare gradients with central differences ``(f(x + ε) - f(x - ε)) / 2ε``.

    func     a function of tensors that returns a tensor or several; it must be deterministic
    inputs   its arguments: a tensor, or a tuple; float64 ones that require grad are checked

    Every element of every such input is moved in turn; outputs are compared through a fixed
    random projection. Returns True, or raises ``AssertionError`` that names the input and the
    element (returns False with ``raise_exception=False``). Raises ``ValueError`` where no input is
    checkable or one is float32, whose rounding errors would drown the differences.

    >>> import fastgrad as fg
    >>> x = fg.tensor([0.5, 2.0], dtype=fg.float64, requires_grad=True)
    >>> gradcheck(lambda x: x * x, x)
    True
    """
    inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    checked = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    if not checked:
        raise ValueError("gradcheck: no input requires grad")
    if any(x.dtype != np.float64 for x in checked):
        raise ValueError("gradcheck: inputs that require grad must be float64")
    rng = np.random.default_rng(0)
    outputs = _tensors(func(*inputs))
    weights = [rng.uniform(0.5, 1.5, out.shape) for out in outputs]
    differentiable = [k for k, out in enumerate(outputs) if out.requires_grad]
    if not differentiable:
        raise ValueError("gradcheck: no output depends on the inputs that require grad")

    def projected():
        values = _tensors(func(*inputs))
        return sum(float((values[k].data * weights[k]).sum()) for k in differentiable)

    analytic = grad(
        [outputs[k] for k in differentiable],
        checked,
        [Tensor(weights[k]) for k in differentiable],
        allow_unused=True,
    )
    for number, (x, ours) in enumerate(zip(checked, analytic, strict=True)):
        numeric = np.zeros(x.shape)
        for index in itertools.product(*map(range, x.shape)):
            before = x.data[index]
            values = []
            for moved in (before + eps, before - eps):
                x.data[index] = moved
                values.append(projected())
            x.data[index] = before
            numeric[index] = (values[0] - values[1]) / (2 * eps)
        ours = np.zeros(x.shape) if ours is None else ours.data
        wrong = ~np.isclose(ours, numeric, rtol=rtol, atol=atol)
        if wrong.any():
            if not raise_exception:
                return False
            index = tuple(int(i) for i in np.argwhere(wrong)[0])
            raise AssertionError(
                f"gradcheck: input {number}, element {index}: gradient {ours[index]:.8g}, "
                f"central difference {numeric[index]:.8g} ({int(wrong.sum())} of {wrong.size})"
            )
    return True
