"""Rows of sorting and counting; see ``op_cases``."""

import numpy as np
from op_cases import Case, Sample, distinct

import fastgrad as fg

_SAMPLES = (
    Sample(((),), {"dim": 0}), Sample(((1,),), {"dim": 0}), Sample(((40,),)),
    Sample(((5, 4),), {"dim": 0}), Sample(((5, 4),), {"dim": -1}), Sample(((2, 5, 4),), {"dim": 1}),
)  # fmt: skip
_MANY = Sample(((150,),))  # elements, beyond what is sorted by merging
_DIM_ERROR = (np.zeros((2, 3)),), {"dim": 2}, IndexError
_LABELS = np.array([1, 3, 1, 0])
_ROUND = np.array([[2.0, 1.0, 2.0], [2.0, 1.0, 2.0], [0.0, 1.0, 2.0]])


def _with(options, samples=_SAMPLES):
    return tuple(Sample(s.inputs, {**s.options, **options}) for s in samples)


def _values(function):
    return lambda *inputs, **options: function(*inputs, **options).values


def _sort(x, dim=-1, descending=False):
    if not x.ndim:
        return x
    return np.flip(np.sort(x, axis=dim), dim) if descending else np.sort(x, axis=dim)


def _argsort(x, dim=-1, descending=False):
    if not x.ndim:
        return np.zeros((), int)
    return np.argsort(-x if descending else x, axis=dim, kind="stable")


def _topk(x, k, dim=-1, largest=True):
    return np.take(_sort(x, dim, largest), range(k), dim) if x.ndim else x


def _kth(x, k, dim=-1, keepdim=False):
    if not x.ndim:
        return x
    return np.take(np.sort(x, axis=dim), [k - 1] if keepdim else k - 1, dim)


def _median(x, dim=None, keepdim=False):
    if dim is None:
        x, dim = x.reshape(-1), 0
    return _kth(x, (x.shape[dim] + 1) // 2 if x.ndim else 1, dim, keepdim)


def _mode(x, dim=-1, keepdim=False):
    def of_row(row):
        values, counts = np.unique(row, return_counts=True)
        return values[counts.argmax()]

    out = np.apply_along_axis(of_row, dim, x) if x.ndim else x
    return np.expand_dims(out, dim) if keepdim and x.ndim else out


def _search(rows, values, right=False, side=None):
    side = "right" if right else side or "left"
    if rows.ndim == 1:
        return np.searchsorted(rows, values, side)
    return np.stack([np.searchsorted(r, v, side) for r, v in zip(rows, values, strict=True)])


ROWS = (
    Case(
        "sort", _values(fg.sort), _sort, (*_SAMPLES, *_with({"descending": True}), _MANY),
        draw=distinct, special=False, errors=((*_DIM_ERROR, "sort: dim 2 is out of range"),),
    ),
    Case(
        "argsort", fg.argsort, _argsort, (*_SAMPLES, *_with({"descending": True}), _MANY),
        draw=distinct, special=False, gradient=False,
        errors=((*_DIM_ERROR, "argsort: dim 2 is out of range"),),
    ),
    Case(
        "topk", _values(fg.topk), _topk,
        (*_with({"k": 1}), *_with({"k": 3, "largest": False}, _SAMPLES[2:]),
         *_with({"k": 33}, (_SAMPLES[2], _MANY)), *_with({"k": 0}, _SAMPLES[2:])),
        draw=distinct, special=False,
        errors=(((np.zeros(3),), {"k": 4}, ValueError, "topk: k = 4 is out of range for 3"),
                ((np.zeros(3),), {"k": 1, "dim": 1}, IndexError, "topk: dim 1")),
    ),
    Case(
        "kthvalue", _values(fg.kthvalue), _kth,
        (*_with({"k": 1}), *_with({"k": 2, "keepdim": True}, _SAMPLES[2:]),
         *_with({"k": 70}, (_MANY,))),
        draw=distinct, special=False,
        errors=(((np.zeros(3),), {"k": 0}, ValueError, "kthvalue: k = 0 is out of range"),
                ((np.zeros((0, 3)),), {"k": 1, "dim": 0}, ValueError, "has no elements")),
    ),
    Case(
        "median",
        lambda x, **options: fg.median(x, **options).values if options else fg.median(x),
        _median,
        (*_SAMPLES, Sample(((4, 3),)), *_with({"keepdim": True}, _SAMPLES[3:]), _MANY),
        draw=distinct, special=False, errors=((*_DIM_ERROR, "median: dim 2 is out of range"),),
    ),
    Case(
        "mode", _values(fg.mode), _mode, (Sample((_ROUND,), {"dim": 0}), Sample((_ROUND,))),
        gradient=False, special=False,
    ),
    Case(
        "mode", _values(fg.mode), _mode,
        (*_SAMPLES, Sample(((4, 3),)), *_with({"keepdim": True}, _SAMPLES[3:])),
        draw=distinct, special=False,
        errors=(
            (*_DIM_ERROR, "mode: dim 2 is out of range"),
            ((np.zeros((0, 3)),), {"dim": 0}, ValueError, "mode: shape .* has no elements"),
        ),
    ),
    Case(
        "unique", fg.unique, lambda x, dim=None: np.unique(x, axis=dim),
        (Sample(((0,),)), Sample(((4, 3),)), Sample((_ROUND,)), Sample((_ROUND,), {"dim": 0}),
         Sample((_ROUND,), {"dim": 1})),
        gradient=False, special=False, errors=((*_DIM_ERROR, "unique: dim 2 is out of range"),),
    ),
    Case(
        "unique_consecutive", fg.unique_consecutive,
        lambda x, dim=None: x[[0, 2]] if dim == 0 else x.reshape(-1)[[0, 1, 2, 4, 5, 6, 7, 8]],
        (Sample((_ROUND,)), Sample((_ROUND,), {"dim": 0})),
        gradient=False, special=False,
        errors=((*_DIM_ERROR, "unique_consecutive: dim 2 is out of range"),),
    ),
    Case(
        "bincount", fg.bincount,
        lambda x, weights=None, minlength=0: np.bincount(x, weights, minlength),
        (Sample((_LABELS,)), Sample((_LABELS, (4,))), Sample((np.zeros(0, int),)),
         Sample((_LABELS,), {"minlength": 6})),
        gradient=False, special=False,
        errors=(((np.array([-1]),), {}, ValueError, "bincount: expected a vector of integers"),
                ((np.zeros(2),), {}, ValueError, "bincount: expected a vector of integers"),
                ((_LABELS, np.zeros(3)), {}, ValueError, r"weights have shape \(3,\)")),
    ),
    Case(
        "searchsorted", fg.searchsorted, _search,
        (Sample((np.arange(5.0), (3, 4))), Sample((np.arange(5), np.array([[2, 7]])),
         {"right": True}), Sample((np.sort(_ROUND, 1), _ROUND)),
         Sample((np.arange(5.0), np.arange(3.0)), {"side": "right"})),
        gradient=False, special=False,
        errors=(((np.zeros((2, 3)), np.zeros((3, 3))), {}, ValueError, "searchsorted: rows"),
                ((np.zeros(2), np.zeros(2)), {"side": "x"}, ValueError, "side 'x'")),
    ),
    Case(
        "bucketize", fg.bucketize,
        lambda x, edges, right=False: np.searchsorted(edges, x, "right" if right else "left"),
        (Sample(((3, 4), np.arange(3.0))),
         Sample((np.arange(3), np.arange(2)), {"right": True})),
        gradient=False, special=False,
        errors=(((np.zeros(2), np.zeros((2, 2))), {}, ValueError, "bucketize: expected bound"),),
    ),
)  # fmt: skip
