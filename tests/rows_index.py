"""Rows of indexing; see ``op_cases``."""

import numpy as np
from op_cases import Case, Sample, distinct

import fastgrad as fg

_I2 = np.array([[0, 2, 1], [1, 1, 0]])
_V = np.array([2, 0, 2])


def _gather(x, dim, index):
    cut = tuple(
        slice(None) if k == dim % x.ndim else slice(0, n) for k, n in enumerate(index.shape)
    )
    return np.take_along_axis(x[cut], index, dim)


def _scatter(x, dim, index, src, add=False):
    out = x.copy()
    for place in np.ndindex(index.shape):
        target = list(place)
        target[dim] = index[place]
        value = src[place] if np.ndim(src) else src
        out[tuple(target)] = value + (out[tuple(target)] if add else 0)
    return out


def _indexed(x, dim, index, source, alpha=1, add=True):
    out = x.copy()
    for k, i in enumerate(index):
        at = (slice(None),) * dim
        part = source[(*at, k)] * alpha
        out[(*at, i)] = part + (out[(*at, i)] if add else 0)
    return out


def _put(x, index, source, add=True):
    out = x.copy()
    for i, value in zip(index.ravel(), source.ravel(), strict=True):
        out.reshape(-1)[i] = value + (out.reshape(-1)[i] if add else 0)
    return out


def _masked_scatter(x, mask, source):
    out, mask = x.copy(), np.broadcast_to(mask, x.shape)
    out[mask] = source[: mask.sum()]
    return out


def _in_view(x, src, view, *_):
    places = view(np.arange(x.size).reshape(x.shape))
    return _put(x, places, src, add=False)


def _scatter_reduce(x, index, src, name, include_self):
    out = x.copy()
    for column in range(index.shape[1]):
        for row in set(index[:, column]):
            values = [*src[: len(index), column][index[:, column] == row]]
            values += [x[row, column]] if include_self else []
            reduce = {"amax": np.max, "amin": np.min}.get(name) or getattr(np, name)
            out[row, column] = reduce(values)
    return out


def _named(function):
    """The index as a tensor operand: (x, index[, source]) and the dim as an option."""
    return lambda x, index, *rest, dim, **options: function(x, dim, index, *rest, **options)


def _case(name, reference, *samples, errors=(), **more):
    return Case(name, _named(getattr(fg, name)), _named(reference), samples, errors=errors, **more)


ROWS = (
    _case(
        "gather",
        _gather,
        Sample(((3, 4), _I2), {"dim": 0}),
        Sample(((3, 4), _I2), {"dim": -1}),
        Sample(((5,), _V), {"dim": 0}),
        errors=(
            (
                (np.zeros((2, 3)), np.array([[2]])),
                {"dim": 0},
                IndexError,
                "gather: index 2 is out of range; expected 0 <= index < 2",
            ),
            ((np.zeros((2, 3)), np.array([[0.0]])), {"dim": 0}, TypeError, "expected an index"),
            ((np.zeros((2, 3)), np.array([0])), {"dim": 0}, ValueError, "does not fit shape"),
        ),
    ),
    _case(
        "scatter",
        _scatter,
        Sample(((3, 4), np.array([[0, 2, 1], [1, 0, 2]]), (2, 3)), {"dim": 0}),
        Sample(((3, 4), np.array([[0, 2, 1]]), (2, 4)), {"dim": 1}),
        errors=(
            (
                (np.zeros((2, 3)), np.array([[0, 1]]), np.zeros((1, 1))),
                {"dim": 1},
                ValueError,
                "is smaller than index",
            ),
            ((np.zeros(2), np.array([2]), np.zeros(1)), {"dim": 0}, IndexError, "scatter: index 2"),
        ),
    ),
    Case(
        "scatter",
        lambda x, index: fg.scatter(x, 1, index, 2.5),
        lambda x, index: _scatter(x, 1, index, 2.5),
        (Sample(((2, 4), _I2)),),
    ),
    _case(
        "scatter_add",
        lambda x, dim, index, src: _scatter(x, dim, index, src, add=True),
        Sample(((3, 4), _I2, (2, 3)), {"dim": 0}),
        Sample(((3, 4), _I2, (3, 5)), {"dim": 1}),
    ),
    _case(
        "index_select",
        lambda x, dim, index: np.take(x, index, dim),
        Sample(((3, 4), _V), {"dim": 0}),
        Sample(((2, 3, 4), _V), {"dim": -1}),
        errors=(
            ((np.zeros(2), np.array([2])), {"dim": 0}, IndexError, "index_select: an index"),
            ((np.zeros(2), np.array([[0]])), {"dim": 0}, ValueError, "expected a vector"),
        ),
    ),
    _case(
        "index_add",
        _indexed,
        Sample(((3, 4), _V, (3, 4)), {"dim": 0}),
        Sample(((2, 3), _V, (2, 3)), {"dim": 1, "alpha": -0.5}),
    ),
    _case(
        "index_copy",
        lambda x, dim, index, source: _indexed(x, dim, index, source, add=False),
        Sample(((3, 4), np.array([2, 0]), (2, 4)), {"dim": 0}),
        Sample(((2, 3), np.array([2, 0]), (2, 2)), {"dim": 1}),
    ),
    Case(
        "index_fill",
        lambda x, index, dim: fg.index_fill(x, dim, index, 7.5),
        lambda x, index, dim: np.where(
            np.isin(np.arange(x.shape[dim]), index).reshape(
                [-1 if k == dim else 1 for k in range(x.ndim)]
            ),
            7.5,
            x,
        ),
        (Sample(((3, 4), np.array([2, 0])), {"dim": 0}), Sample(((3, 4), _V), {"dim": 1})),
    ),
    Case("take", fg.take, np.take, (Sample(((3, 4), _I2)), Sample(((5,), np.array([-1, 0]))))),
    Case(
        "put",
        fg.put,
        lambda x, i, source: _put(x, i, source, add=False),
        (Sample(((3, 4), np.array([[5, 0], [-1, 2]]), (2, 2))),),
        errors=(
            ((np.zeros(3), np.array([0]), np.zeros(2)), {}, ValueError, "put: 1 places for 2"),
        ),
    ),
    Case(
        "put",
        lambda x, i, source: fg.put(x, i, source, accumulate=True),
        _put,
        (Sample(((3, 4), _I2, (2, 3))),),
    ),
    Case(
        "index_put",
        lambda x, i, j, values: fg.index_put(x, (i, j), values, accumulate=True),
        lambda x, i, j, values: _put(x, i * x.shape[1] + j, values),
        (Sample(((3, 4), _I2, _I2[::-1].copy(), (2, 3))),),
        errors=(
            (
                (np.zeros((2, 2)), _I2, _I2, np.zeros((2, 3), np.float32)),
                {},
                TypeError,
                "index_put: values are float32, x is float64",
            ),
        ),
    ),
    Case(
        "masked_scatter",
        fg.masked_scatter,
        _masked_scatter,
        (
            Sample(((2, 3), np.array([[True, False, True], [False, True, True]]), (4,))),
            Sample(((2, 2), np.array([True, False]), (3,))),
        ),
        errors=(((np.zeros(2), np.zeros(2), np.zeros(2)), {}, TypeError, "a mask of bools"),),
    ),
    Case(
        "select_scatter",
        lambda x, src, dim, index: fg.select_scatter(x, src, dim, index),
        lambda x, src, dim, index: _in_view(x, src, lambda y: np.moveaxis(y, dim, 0)[index]),
        (Sample(((3, 4), (3,)), {"dim": 1, "index": 2}),),
        errors=(((np.zeros(3), np.zeros(3)), {"dim": 0, "index": 1}, ValueError, "src has shape"),),
    ),
    Case(
        "slice_scatter",
        lambda x, src: fg.slice_scatter(x, src, 1, 0, 4, 2),
        lambda x, src: _in_view(x, src, lambda y: y[:, 0:4:2]),
        (Sample(((3, 5), (3, 2))),),
    ),
    Case(
        "diagonal_scatter",
        fg.diagonal_scatter,
        lambda x, src, offset=0: _in_view(x, src, lambda y: np.diagonal(y, offset), offset),
        (Sample(((3, 4), (3,))), Sample(((3, 4), (3,)), {"offset": 1})),
    ),
    *(
        Case(
            "scatter_reduce",
            lambda x, index, src, name=name, own=own: fg.scatter_reduce(
                x, 0, index, src, name, include_self=own
            ),
            lambda x, index, src, name=name, own=own: _scatter_reduce(x, index, src, name, own),
            (Sample(((4, 3), _I2, (2, 3))), Sample(((3, 3), _I2, (2, 4)))),
            draw=distinct,
            special=False,
        )
        for name in ("sum", "prod", "mean", "amax", "amin")
        for own in (True, False)
    ),
    Case(
        "take_along_dim",
        lambda x, i, dim=None: fg.take_along_dim(x, i, dim),
        lambda x, i, dim=None: (
            np.take_along_axis(x, i, dim) if dim is not None else x.ravel()[i.ravel()]
        ),
        (
            Sample(((2, 4), _I2), {"dim": 1}),
            Sample(((3, 1), np.array([[0, 1, 2]])), {"dim": 0}),
            Sample(((3, 4), _I2)),
        ),
    ),
    Case(
        "masked_select",
        fg.masked_select,
        lambda x, m: np.broadcast_to(x, m.shape)[m],
        (
            Sample(((2, 3), np.array([[True, False, True], [False, True, True]]))),
            Sample(((3,), np.zeros((2, 3), bool))),
        ),
        errors=(((np.zeros(2), np.zeros(2)), {}, TypeError, "expected a mask of bools"),),
    ),
    Case(
        "nonzero",
        fg.nonzero,
        np.argwhere,
        (Sample((_I2,)), Sample((np.zeros((2, 3)),))),
        gradient=False,
        special=False,
    ),
    Case("argwhere", fg.argwhere, np.argwhere, (Sample((_I2,)),), gradient=False, special=False),
    Case(
        "one_hot",
        fg.one_hot,
        lambda x, num_classes=3: np.eye(num_classes, dtype=int)[x],
        (Sample((_V,)), Sample((_I2,), {"num_classes": 5})),
        gradient=False,
        special=False,
        errors=(
            ((np.array([3]),), {"num_classes": 3}, IndexError, "one_hot: index 3"),
            ((np.array([0.5]),), {}, TypeError, "one_hot: expected integer labels"),
        ),
    ),
)
