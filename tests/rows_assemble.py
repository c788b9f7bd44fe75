"""Rows of assembling, differences, distances, quantiles and histograms; see ``op_cases``."""

import numpy as np
from op_cases import Case, Sample, distinct

import fastgrad as fg


def _joined(function, numpy):
    """A function that gives several tensors, or arrays, as one row of numbers."""
    return (
        lambda *x, **options: fg.cat([fg.ravel(y) for y in function(*x, **options)]),
        lambda *x, **options: np.concatenate([np.ravel(y) for y in numpy(*x, **options)]),
    )


def _case(name, reference, *samples, **options):
    return Case(name, getattr(fg, name), reference, samples, **options)


def _joined_case(name, reference, *samples, **options):
    return Case(name, *_joined(getattr(fg, name), reference), samples, **options)


def _block_diag(*arrays):
    blocks = [np.atleast_2d(x) for x in arrays]
    out, i, j = np.zeros(np.sum([x.shape for x in blocks], axis=0)), 0, 0
    for x in blocks:
        out[i : i + x.shape[0], j : j + x.shape[1]] = x
        i, j = i + x.shape[0], j + x.shape[1]
    return out


def _product(a, b):
    return np.stack([np.repeat(a, len(b)), np.tile(b, len(a))], axis=1)


def _pairs(x, with_replacement=False):
    rows, columns = np.triu_indices(len(x), 0 if with_replacement else 1)
    return np.stack([x[rows], x[columns]], axis=1)


def _diff(x, n=1, dim=-1):
    return np.diff(x, n, dim)


def _trapezoid(y, x=None, dx=1.0, dim=-1):
    return np.trapezoid(y, x, dx, dim)


def _running(y, x=None, dx=1.0, dim=-1):
    shape = [-1 if k == dim % y.ndim else 1 for k in range(y.ndim)]
    widths = dx if x is None else np.diff(x).reshape(shape)
    sums = np.take(y, range(1, y.shape[dim]), dim) + np.take(y, range(y.shape[dim] - 1), dim)
    return np.cumsum(widths * sums / 2, axis=dim)


def _cdist(a, b, p=2.0):
    return np.linalg.norm(a[..., :, None, :] - b[..., None, :, :], p, axis=-1)


def _quantile(function):
    def quantile(x, q, dim=None, keepdim=False, interpolation="linear"):
        return function(x, q, axis=dim, keepdims=keepdim, method=interpolation)

    return quantile


def _nan_first(function):
    """A function of x with a NaN in front, along the last axis."""

    def of_tensors(x, **options):
        return function(fg.pad(x, (1, 0), value=np.nan) if x.dtype.kind == "f" else x, **options)

    return of_tensors


def _nan_put(function):
    def of_numpy(x, **options):
        wide = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(1, 0)], constant_values=np.nan)
        return function(wide, **options)

    return of_numpy


def _nanmedian(x, dim=None):
    return np.nanquantile(x, 0.5, axis=dim, method="lower")


_QUANTILES = tuple(
    Sample(((4, 5),), {"q": q, **more})
    for q in (0.0, 0.3, 1.0)
    for more in ({}, {"dim": 0}, {"dim": -1, "keepdim": True}, {"dim": 1, "interpolation": "lower"})
)
_PLACES = np.array([0, 1, 4, 5])
_NOT_FLOATS = ((np.zeros(3, int),), {"q": 0.5}, TypeError, "expected floats of one type")

ROWS = (
    _case("atleast_1d", np.atleast_1d, Sample(((),)), Sample(((3, 2),))),
    _case("atleast_2d", np.atleast_2d, Sample(((),)), Sample(((3,),)), Sample(((2, 3),))),
    _case("atleast_3d", np.atleast_3d, Sample(((),)), Sample(((3,),)), Sample(((2, 3),)),
          Sample(((2, 1, 3),))),
    _case("block_diag", _block_diag, Sample(((2, 3), (), (2,), (1, 2))), errors=(
        ((np.zeros((1, 1, 1)),), {}, ValueError, "block_diag: expected tensors of two axes"),)),
    _case("cartesian_prod", _product, Sample(((3,), (2,))), errors=(
        ((np.zeros((1, 1)),), {}, ValueError, "cartesian_prod: expected vectors"),)),
    _case("combinations", _pairs, Sample(((4,),)), Sample(((3,),), {"with_replacement": True}),
          errors=(((np.zeros((1, 1)),), {}, ValueError, "combinations: expected a vector"),)),
    Case("vander", lambda x, **options: fg.vander(x, **options),
         lambda x, N=None, increasing=False: np.vander(x, N, increasing),
          (Sample(((3,),)), Sample(((3,),), {"N": 2, "increasing": True})),
          errors=(((np.zeros((1, 1)),), {}, ValueError, "vander: expected a vector"),)),
    _joined_case("hsplit", np.hsplit, Sample(((3, 4),), {"indices_or_sections": 2}),
                 Sample(((4,),), {"indices_or_sections": [1, 2]}), errors=(
        ((np.zeros((2, 3)),), {"indices_or_sections": 2}, ValueError, "has no 2 equal parts"),)),
    _joined_case("vsplit", np.vsplit, Sample(((4, 3),), {"indices_or_sections": 2}), errors=(
        ((np.zeros(3),), {"indices_or_sections": 3}, ValueError, "vsplit: expected 2 axes"),)),
    _joined_case("dsplit", np.dsplit, Sample(((1, 2, 4),), {"indices_or_sections": [1]}), errors=(
        ((np.zeros(3),), {"indices_or_sections": 3}, ValueError, "dsplit: expected 3 axes"),)),
    _joined_case("unravel_index", np.unravel_index, Sample((np.array([5, 0, 3]),),
                 {"shape": (2, 3)}), gradient=False, special=False, errors=(
        ((np.zeros(1),), {"shape": (2,)}, TypeError, "unravel_index: expected integers"),)),
    _case("diff", _diff, Sample(((5,),)), Sample(((3, 4),), {"dim": 0}),
          Sample(((3, 4),), {"n": 2}), Sample(((3, 2),), {"n": 5}), errors=(
        ((np.zeros(()),), {}, ValueError, "diff: expected one axis or more"),)),
    Case("diff", lambda x, a, b: fg.diff(x, prepend=a, append=b),
         lambda x, a, b: np.diff(x, prepend=a, append=b), (Sample(((3, 4), (3, 1), (3, 2))),)),
    _case("trapezoid", _trapezoid, Sample(((5,),)), Sample(((3, 4), _PLACES)),
          Sample(((4, 3),), {"dim": 0, "dx": 0.5}), errors=(
        ((np.zeros(3), np.zeros(2)), {}, ValueError, "trapezoid: 2 places for 3 values"),
        ((np.zeros(3), np.zeros(3)), {"dx": 1.0}, TypeError, "trapezoid: expected x or dx"))),
    _case("cumulative_trapezoid", _running, Sample(((5,),)), Sample(((3, 4), _PLACES)),
          Sample(((4, 3),), {"dim": 0, "dx": 0.5})),
    _case("dist", lambda a, b, p=2: np.linalg.norm((a - b).ravel(), p), Sample(((3, 4), (4,))),
          Sample(((5,), (5,)), {"p": 1})),
    _case("cdist", _cdist, Sample(((4, 3), (2, 3))), Sample(((2, 4, 3), (2, 1, 3)), {"p": 1.0}),
          Sample(((4, 3), (2, 3)), {"p": 3.0}), errors=(
        ((np.zeros((2, 3)), np.zeros((2, 4))), {}, ValueError, "cdist: expected"),)),
    _case("pdist", lambda x, p=2.0: _cdist(x, x, p)[np.triu_indices(len(x), 1)],
          Sample(((4, 3),)), Sample(((4, 3),), {"p": 1.0}), errors=(
        ((np.zeros(3),), {}, ValueError, r"pdist: expected \(n, d\)"),)),
    _case("cross", lambda a, b, dim=-1: np.cross(a, b, axis=dim),
          Sample(((4, 3), (4, 3)), {"dim": 1}),
          Sample(((3, 4), (3, 1)), {"dim": 0}), errors=(
        ((np.zeros(2), np.zeros(2)), {}, ValueError, "cross: expected 3 elements"),)),
    _case("cov", lambda x, correction=1: np.cov(x, ddof=correction), Sample(((3, 6),)),
          Sample(((5,),)), Sample(((2, 6),), {"correction": 0}), special=False, errors=(
        ((np.zeros((1, 1, 1)),), {}, ValueError, "cov: expected a vector or a matrix"),)),
    Case("cov", lambda x, f, a: fg.cov(x, fweights=f, aweights=a),
         lambda x, f, a: np.cov(x, fweights=f, aweights=a),
         (Sample(((2, 3), np.array([1, 3, 2]), np.array([1, 2, 4]))),), special=False),
    _case("corrcoef", np.corrcoef, Sample(((3, 6),)), special=False, rtol=1e-4),
    _case("quantile", _quantile(np.quantile), *_QUANTILES,
          *(Sample(((7,),), {"q": 0.4, "interpolation": kind})
            for kind in ("higher", "midpoint", "nearest")),
          Sample(((3, 4),), {"q": np.array([0.2, 0.5]), "dim": 1}), draw=distinct, special=False,
          errors=(_NOT_FLOATS, ((np.zeros(0),), {"q": 0.5}, ValueError, "has no elements"),
                  ((np.zeros(2),), {"q": 0.5, "interpolation": "x"}, ValueError, "got .* 'x'"))),
    Case("nanquantile", _nan_first(fg.nanquantile), _nan_put(_quantile(np.nanquantile)),
         _QUANTILES[2:4], draw=distinct, special=False),
    Case("nanmedian", _nan_first(lambda x, dim=None: fg.nanmedian(x) if dim is None
                                 else fg.nanmedian(x, dim).values), _nan_put(_nanmedian),
         (Sample(((6,),)), Sample(((4, 5),), {"dim": 1})), draw=distinct, special=False),
    Case("nanmean", _nan_first(fg.nanmean), _nan_put(lambda x, dim=None: np.nanmean(x, axis=dim)),
         (Sample(((6,),)), Sample(((4, 5),), {"dim": 1})), special=False),
    _joined_case("aminmax", lambda x, dim=None: (np.min(x, axis=dim), np.max(x, axis=dim)),
                 Sample(((6,),)), Sample(((4, 5),), {"dim": 1}), draw=distinct),
    _case("msort", lambda x: np.sort(x, axis=0), Sample(((6,),)), Sample(((4, 5),)),
          draw=distinct, special=False),
    _case("diagflat", np.diagflat, Sample(((3,),)), Sample(((2, 2),)), special=False),
    _case("histc", lambda x, bins, min, max: np.histogram(x, bins, (min, max))[0],
          Sample(((50,),), {"bins": 7, "min": -1.01, "max": 1.5}), gradient=False, special=False,
          errors=(((np.zeros(2),), {"bins": 0}, ValueError, "histc: expected bins >= 1"),
                  ((np.zeros(2),), {"min": 2, "max": 1}, ValueError, "expected a finite range"))),
    Case("histogram", lambda x, w: fg.histogram(x, 5, range=(-1.01, 1.5), weight=w).hist,
         lambda x, w: np.histogram(x, 5, (-1.01, 1.5), weights=w)[0],
         (Sample(((50,), np.ones(50))),), gradient=False, special=False, errors=(
        ((np.zeros(2), np.zeros(3)), {}, ValueError, "histogram: weight has shape"),)),
    Case("norm", lambda x, **options: fg.norm(x, "nuc", **options),
         lambda x, dim=(0, 1), keepdim=False: np.linalg.norm(x, "nuc", dim, keepdim),
         (Sample(((3, 3),)), Sample(((4, 2),)), Sample(((2, 4),)),
          Sample(((2, 3, 4),), {"dim": (0, 2), "keepdim": True})), special=False, rtol=1e-4,
         errors=(((np.zeros(2),), {}, ValueError, "norm: 'nuc' wants two axes"),)),
)  # fmt: skip
