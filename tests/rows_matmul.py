"""Rows of the matrix products; see ``op_cases``."""

import numpy as np
from op_cases import Case, Sample

import fastgrad as fg

_A, _B, _V = np.zeros((2, 3)), np.zeros((4, 5)), np.zeros(3)
_BATCH = np.zeros((2, 3, 4))


def _row(name, reference, *shapes, errors=(), options=({},), **more):
    samples = tuple(Sample(shape, option) for shape in shapes for option in options)
    return Case(name, getattr(fg, name), reference, samples, errors=errors, **more)


def _error(message, *arrays, kind=ValueError):
    return (arrays, {}, kind, message)


def _adding(product):
    def reference(x, a, b, beta=1, alpha=1):
        return (beta * x if beta else np.zeros_like(x)) + alpha * product(a, b)

    return reference


def _einsum(equation, *shapes):
    """A row of one equation; ``einsum`` is called with the equation before the tensors."""
    return Sample(shapes, {"equation": equation})


def _tensordot(a, b, dims=2):
    return np.tensordot(a, b, axes=dims)


_WEIGHTS = ({}, {"beta": 0.5, "alpha": -2.0}, {"beta": 0})

ROWS = (
    _row(
        "matmul", np.matmul,
        ((3, 4), (4, 5)), ((1, 1), (1, 1)), ((4,), (4, 5)), ((3, 4), (4,)), ((4,), (4,)),
        ((2, 3, 4), (4, 5)), ((17, 33), (33, 2)), ((3, 0), (0, 2)), ((0, 3), (3, 2)),
        ((2, 3, 4), (4,)), ((4,), (2, 4, 5)), ((2, 3, 4), (2, 4, 5)), ((3, 4), (2, 4, 5)),
        ((2, 1, 3, 4), (3, 4, 2)), ((1, 3, 4), (2, 4, 1)), ((2, 1, 4), (2, 4, 3)),
        ((0, 3, 4), (0, 4, 2)), ((3, 2, 0), (3, 0, 2)), ((9, 17, 33), (9, 33, 40)),
        errors=(
            _error(r"matmul: inner sizes differ: \(2, 3\) @ \(4, 5\); expected \(3, n\)", _A, _B),
            _error("matmul: expected float tensors of one type, got float64 and float32",
                   _A, np.zeros((3, 2), np.float32), kind=TypeError),
            _error("matmul: expected one axis or more", np.zeros(()), _A),
            _error(r"matmul: batches differ: \(2, 3, 4\) @ \(3, 4, 2\)",
                   _BATCH, np.zeros((3, 4, 2))),
        ),
    ),
    _row("mm", np.matmul, ((3, 4), (4, 5)), ((3, 0), (0, 2)),
         errors=(_error(r"mm: expected \(m, k\) and \(k, n\), got \(2, 3\) and \(3,\)", _A, _V),)),
    _row("bmm", np.matmul, ((2, 3, 4), (2, 4, 5)), ((0, 3, 4), (0, 4, 5)), ((2, 3, 1), (2, 1, 4)),
         errors=(_error(r"bmm: expected .* got \(2, 3, 4\) and \(1, 4, 5\)",
                        _BATCH, np.zeros((1, 4, 5))),)),
    _row("mv", np.matmul, ((3, 4), (4,)), ((3, 0), (0,)),
         errors=(_error(r"mv: expected .* got \(2, 3\) and \(2, 3\)", _A, _A),)),
    _row("dot", np.dot, ((5,), (5,)), ((0,), (0,)),
         errors=(_error(r"dot: expected .* got \(3,\) and \(2,\)", _V, np.zeros(2)),)),
    _row("vdot", np.dot, ((5,), (5,)),
         errors=(_error(r"vdot: expected .* got \(3,\) and \(2,\)", _V, np.zeros(2)),)),
    _row("inner", np.inner, ((5,), (5,)), ((2, 3), (4, 3)), ((2, 3, 4), (4,)), ((), (2, 3)),
         errors=(_error(r"inner: expected .* got \(2, 3\) and \(4, 5\)", _A, _B),)),
    _row("outer", np.outer, ((3,), (4,)), ((0,), (4,)),
         errors=(_error(r"outer: expected .* got \(2, 3\) and \(3,\)", _A, _V),)),
    _row("kron", np.kron, ((3,), (4,)), ((2, 3), (4, 1)), ((2,), (2, 3)), ((), (2,))),
    _row(
        "addmm", _adding(np.matmul),
        ((3, 5), (3, 4), (4, 5)), ((5,), (3, 4), (4, 5)), ((), (3, 4), (4, 5)),
        options=_WEIGHTS, errors=(
            _error(r"addmm: expected .* got \(3,\) and \(2, 3\) and \(4, 5\)", _V, _A, _B),
            _error(r"addmm: x of shape \(3,\) does not broadcast to \(2, 2\)",
                   _V, _A, np.zeros((3, 2))),
        ),
    ),
    _row("addmv", _adding(np.matmul), ((3,), (3, 4), (4,)), ((1,), (3, 4), (4,)),
         options=_WEIGHTS, errors=(_error("addmv: expected", _V, _A, _A),)),
    _row("addr", _adding(np.outer), ((3, 4), (3,), (4,)), ((4,), (3,), (4,)),
         options=_WEIGHTS, errors=(_error("addr: expected", _V, _A, _V),)),
    _row("baddbmm", _adding(np.matmul), ((2, 3, 5), (2, 3, 4), (2, 4, 5)),
         ((5,), (2, 3, 4), (2, 4, 5)), options=_WEIGHTS,
         errors=(_error("baddbmm: expected", _V, _BATCH, _A),)),
    _row("addbmm", _adding(lambda a, b: np.matmul(a, b).sum(axis=0)),
         ((3, 5), (2, 3, 4), (2, 4, 5)), ((1,), (2, 3, 4), (2, 4, 5)), options=_WEIGHTS,
         errors=(_error("addbmm: expected", _V, _BATCH, _A),)),
    Case(
        "tensordot", fg.tensordot, _tensordot,
        (Sample(((2, 3, 4), (3, 4, 5))), Sample(((2, 3), (4, 5)), {"dims": 0}),
         Sample(((2, 3, 4), (4, 2, 5)), {"dims": ([0, 2], [1, 0])}),
         Sample(((3,), (3,)), {"dims": 1}), Sample(((2, 3), (3, 2)), {"dims": ([-1], [0])})),
        errors=(
            ((_A, _B), {"dims": 1}, ValueError, r"tensordot: dims \[1\] of \(2, 3\) and \[0\]"),
            ((_A, _B), {"dims": 3}, ValueError, "have no 3 axes to sum over"),
            ((_A, _B), {"dims": ([2], [0])}, IndexError, "tensordot: dim 2 is out of range"),
        ),
    ),
    Case(
        "einsum", lambda *x, equation: fg.einsum(equation, *x),
        lambda *x, equation: np.einsum(equation, *x),
        (
            _einsum("ij,jk->ik", (3, 4), (4, 5)), _einsum("ij,jk", (3, 4), (4, 5)),
            _einsum("bij,bjk->bik", (2, 3, 4), (2, 4, 5)), _einsum("ij->ji", (3, 4)),
            _einsum("bij,bkj->bki", (2, 3, 4), (2, 5, 4)), _einsum("ij->", (3, 4)),
            _einsum("ii->i", (4, 4)), _einsum("ii", (4, 4)), _einsum("iji->j", (3, 2, 3)),
            _einsum("i,j->ij", (3,), (4,)), _einsum("bi,bi->b", (2, 3), (2, 3)),
            _einsum("...ij,...jk->...ik", (2, 1, 3, 4), (5, 4, 5)),
            _einsum("i...->...", (3, 4, 5)), _einsum("ab,bc,cd,de->ae", (2, 3), (3, 4), (4, 5),
                                                     (5, 2)),
            _einsum("iij,jkk->ik", (3, 3, 4), (4, 2, 2)), _einsum("i,->i", (3,), ()),
            _einsum("bhqd,bhkd->bhqk", (2, 3, 4, 5), (2, 3, 6, 5)),
            _einsum("abcd,efcd->aebf", (2, 3, 4, 5), (3, 2, 4, 5)),
            _einsum("ij,jk->ik", (3, 0), (0, 5)), _einsum("bn,anm,bm->ba", (2, 5), (3, 5, 4),
                                                          (2, 4)),
        ),
        errors=(
            ((_A, _B), {"equation": "ij,jk"}, ValueError, "one axis has sizes 3 and 4"),
            ((_A,), {"equation": "ij,k"}, ValueError, "names 2 operands, got 1"),
            ((_A,), {"equation": "i1"}, ValueError, "has the character '1'"),
            ((_A,), {"equation": "ijk"}, ValueError, "names 3 axes of operand 0, which has 2"),
            ((_A,), {"equation": "ij->k"}, ValueError, "'k' in its result, which no operand has"),
            ((_A,), {"equation": "ij->ii"}, ValueError, "'i' twice in its result"),
        ),
    ),
)  # fmt: skip
