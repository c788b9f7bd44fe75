"""Checks for operations, of ours and of users: values, gradients, gradients of gradients."""

import itertools

import numpy as np

from .differentiate import grad
from .tensor import Tensor

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


# ------------------------------------------------------------------ gradients


class GradcheckError(RuntimeError, AssertionError):
    """A gradient that is not what it should be."""


def gradcheck(
    func,
    inputs,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_batched_forward_grad=False,
    check_forward_ad=False,
    check_backward_ad=True,
    fast_mode=False,
    masked=None,
):
    """Compare gradients with central differences ``(f(x + ε) - f(x - ε)) / 2ε``.

    func         a function of tensors that returns a tensor or several; it must be deterministic
    inputs       its arguments: a tensor, or a tuple; float64 ones that require grad are checked
    eps          how far elements are moved
    atol, rtol   ``|gradient - difference| ≤ atol + rtol · |difference|`` must hold
    nondet_tol   how far two backward passes may differ
    fast_mode    compare one random combination of the outputs, not each element of each: one
                 backward pass instead of one for each element
    check_grad_dtypes   gradients must have their inputs' types; they always have, and are checked

    Every element of every such input is moved in turn. Where no output requires grad, the
    differences must be 0. check_undefined_grad is always so, as outputs are followed back one at
    a time; masked is about sparse tensors, and has no effect. There is no forward mode and no
    batched gradient: to ask for a check of these is a ``ValueError``.

    Returns True, or raises ``GradcheckError``, a ``RuntimeError`` and ``AssertionError``, that
    names the input and the element (returns False with ``raise_exception=False``). Raises
    ``ValueError`` where no input is checkable, one is float32, whose rounding errors would drown
    the differences, or one has elements that share memory.

    >>> import fastgrad as fg
    >>> x = fg.tensor([0.5, 2.0], dtype=fg.float64, requires_grad=True)
    >>> gradcheck(lambda x: x * x, x)
    True
    """
    if check_batched_grad or check_batched_forward_grad or check_forward_ad:
        raise ValueError("gradcheck: there is no forward mode and no batched gradient to check")
    if not check_backward_ad:
        raise ValueError("gradcheck: check_backward_ad=False leaves nothing to check")
    check = _Check(func, inputs, eps, atol, rtol)
    try:
        check.run(nondet_tol, fast_mode)
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func,
    inputs,
    grad_outputs=None,
    *,
    eps=1e-6,
    atol=1e-5,
    rtol=1e-3,
    gen_non_contig_grad_outputs=False,
    raise_exception=True,
    nondet_tol=0.0,
    check_undefined_grad=True,
    check_grad_dtypes=False,
    check_batched_grad=False,
    check_fwd_over_rev=False,
    check_rev_over_rev=True,
    fast_mode=False,
    masked=False,
):
    """``gradcheck`` of the gradients of ``func``, by its inputs and by the gradients that come in.

    grad_outputs   gradients of the outputs; random ones by default
    gen_non_contig_grad_outputs   random ones whose elements are not side by side

    The others as for ``gradcheck``.

    >>> import fastgrad as fg
    >>> x = fg.tensor([0.5, 2.0], dtype=fg.float64, requires_grad=True)
    >>> gradgradcheck(lambda x: x * x.sin(), x)
    True
    """
    if check_fwd_over_rev or not check_rev_over_rev:
        raise ValueError("gradgradcheck: only check_rev_over_rev can be checked")
    inputs = _as_tuple(inputs)
    outputs = [x for x in _as_tuple(func(*inputs)) if _requires_grad(x)]
    if not outputs:
        raise ValueError("gradgradcheck: no output depends on the inputs that require grad")
    if grad_outputs is None:
        rng = np.random.default_rng(0)
        grad_outputs = [_random_gradient(rng, x, gen_non_contig_grad_outputs) for x in outputs]
    grad_outputs = _as_tuple(grad_outputs)
    if len(grad_outputs) != len(outputs):
        raise ValueError(
            f"gradgradcheck: got {len(grad_outputs)} grad_outputs, expected {len(outputs)}"
        )

    def gradients(*arguments):
        arguments, seeds = arguments[: len(inputs)], arguments[len(inputs) :]
        outputs = [x for x in _as_tuple(func(*arguments)) if _requires_grad(x)]
        wanted = [x for x in arguments if _requires_grad(x)]
        found = grad(outputs, wanted, seeds, create_graph=True, allow_unused=True)
        return tuple([x for x in found if x is not None])

    return gradcheck(
        gradients, (*inputs, *grad_outputs), eps=eps, atol=atol, rtol=rtol,
        raise_exception=raise_exception, nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad, check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad, fast_mode=fast_mode, masked=masked,
    )  # fmt: skip


def _as_tuple(values):
    return (values,) if isinstance(values, Tensor) else tuple(values)


def _requires_grad(x):
    return isinstance(x, Tensor) and x.requires_grad


def _random_gradient(rng, like, strided):
    array = rng.standard_normal(like.shape).astype(like.dtype)
    if strided:
        wide = np.zeros((*like.shape, 2), like.dtype)
        wide[..., 0] = array
        array = wide[..., 0]
    return Tensor(array, requires_grad=True)


class _Check:
    """One function at one place."""

    def __init__(self, func, inputs, eps, atol, rtol):
        self.func, self.inputs, self.eps = func, _as_tuple(inputs), eps
        self.close = {"rtol": rtol, "atol": atol}
        self.checked = [k for k, x in enumerate(self.inputs) if _requires_grad(x)]
        if not self.checked:
            raise ValueError("gradcheck: no input requires grad")
        for k in self.checked:
            array = self.inputs[k].data
            if array.dtype != np.float64:
                raise ValueError("gradcheck: inputs that require grad must be float64")
            if array.size and any(
                n > 1 and not step for n, step in zip(array.shape, array.strides, strict=True)
            ):
                raise ValueError(
                    f"gradcheck: elements of input {k} share memory (it was expanded); check a copy"
                )
        outputs = _as_tuple(func(*self.inputs))
        self.compared = [
            k for k, x in enumerate(outputs) if isinstance(x, Tensor) and x.dtype.kind == "f"
        ]
        recorded = [k for k in self.compared if outputs[k].requires_grad]
        self.compared = recorded or self.compared  # of some, those that claim to be constant count
        self.outputs = outputs

    def values(self):
        """The outputs that are compared, as one array of numbers."""
        outputs = _as_tuple(self.func(*self.inputs))
        parts = [outputs[k].data.reshape(-1) for k in self.compared]
        return np.concatenate([np.zeros(0), *parts])

    def differences(self, x):
        """Central differences of all outputs (rows) by the elements of ``x`` (columns)."""
        array, columns = x.data, []
        for index in itertools.product(*map(range, array.shape)):
            before = array[index]
            try:
                array[index] = before + self.eps
                above = self.values()
                array[index] = before - self.eps
                below = self.values()
            finally:
                array[index] = before
            columns.append((above - below) / (2 * self.eps))
        return np.stack(columns, 1) if columns else np.zeros((len(self.values()), 0))

    def gradients(self, outputs, seeds):
        """Gradients of all checked inputs, flat; zeros where there is none."""
        wanted = [self.inputs[k] for k in self.checked]
        pairs = [(x, seed) for x, seed in zip(outputs, seeds, strict=True) if x.requires_grad]
        found = [None] * len(wanted)
        if pairs:
            outputs, seeds = zip(*pairs, strict=True)
            found = grad(outputs, wanted, seeds, retain_graph=True, allow_unused=True)
        for number, x, ours in zip(self.checked, wanted, found, strict=True):
            if ours is not None and (ours.shape, ours.dtype) != (x.shape, x.dtype):
                raise GradcheckError(
                    f"gradcheck: input {number} is {x.dtype} {x.shape}, its gradient "
                    f"{ours.dtype} {ours.shape}"
                )
        return [
            np.zeros(x.data.size) if ours is None else ours.data.reshape(-1).copy()
            for x, ours in zip(wanted, found, strict=True)
        ]

    def combined(self, weights):
        """Gradients of the sum of all outputs, weighted."""
        outputs, seeds, first = [self.outputs[k] for k in self.compared], [], 0
        for x in outputs:
            part = weights[first : first + x.data.size].reshape(x.shape)
            seeds.append(Tensor(part.astype(x.dtype)))
            first += x.data.size
        return self.gradients(outputs, seeds)

    def jacobians(self):
        """For each checked input, the gradients of each element of each output, as rows."""
        rows = []
        for k in self.compared:
            x = self.outputs[k]
            for index in itertools.product(*map(range, x.shape)):
                seed = np.zeros(x.shape, x.dtype)
                seed[index] = 1
                rows.append(self.gradients([x], [Tensor(seed)]))
        columns = zip(*rows, strict=True) if rows else [()] * len(self.checked)
        sizes = [self.inputs[k].data.size for k in self.checked]
        return [np.array(c).reshape(len(rows), n) for c, n in zip(columns, sizes, strict=True)]

    def run(self, nondet_tol, fast):
        """Raises ``GradcheckError`` where a gradient and the differences disagree."""
        numeric = [self.differences(self.inputs[k]) for k in self.checked]
        weights = np.random.default_rng(0).uniform(0.5, 1.5, len(numeric[0]))
        found, repeated = self.combined(weights), self.combined(weights)
        for number, ours, others in zip(self.checked, found, repeated, strict=True):
            if not np.allclose(ours, others, rtol=0, atol=nondet_tol, equal_nan=True):
                raise GradcheckError(
                    f"gradcheck: input {number}: two backward passes differ by "
                    f"{np.abs(ours - others).max():.3g}, nondet_tol is {nondet_tol:.3g}"
                )
        if fast:
            found, numeric = [x[None] for x in found], [(weights @ x)[None] for x in numeric]
        else:
            found = self.jacobians()
        for number, ours, expected in zip(self.checked, found, numeric, strict=True):
            self.compare(number, ours, expected, fast)

    def compare(self, number, ours, expected, fast):
        """Raises ``GradcheckError`` where gradients are not close to the differences."""
        wrong = np.argwhere(~np.isclose(ours, expected, **self.close))
        if wrong.size:
            row, column = wrong[0]
            index = np.unravel_index(column, self.inputs[number].shape)
            raise GradcheckError(
                f"gradcheck: {'' if fast else self.label(row)}input {number}, element "
                f"{tuple(int(i) for i in index)}: gradient {ours[row, column]:.8g}, central "
                f"difference {expected[row, column]:.8g} ({len(wrong)} of {ours.size} differ)"
            )

    def label(self, row):
        """Which element of which output a row of a Jacobian is about."""
        for k in self.compared:
            x = self.outputs[k]
            if row < x.data.size:
                index = tuple(int(i) for i in np.unravel_index(row, x.shape))
                return f"output {k}, element {index}, "
            row -= x.data.size
        return ""
