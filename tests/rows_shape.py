"""Rows of shape work, of putting together and taking apart; see ``op_cases``."""

import numpy as np
from op_cases import UNARY, Case, Sample

import fastgrad as fg

_CUBE, _MATRIX = ((2, 3, 4),), ((3, 4),)


def _joined(parts):
    """Several results as one: each its own multiple, so that none can stand for another."""
    return fg.cat([fg.ravel(part) * (k + 1.0) for k, part in enumerate(parts)])


def _joined_arrays(parts):
    return np.concatenate([np.ravel(part) * (k + 1.0) for k, part in enumerate(parts)])


def _several(name, reference, *samples, errors=()):
    """An operation that returns several tensors."""
    function = getattr(fg, name)
    return Case(
        name,
        lambda *x, **o: _joined(function(*x, **o)),
        lambda *x, **o: _joined_arrays(reference(*x, **o)),
        samples,
        errors=errors,
    )


def _many(name, reference, *samples, errors=()):
    """An operation on a list of tensors."""
    function = getattr(fg, name)
    return Case(
        name,
        lambda *x, **o: function(x, **o),
        lambda *x, **o: reference(x, **o),
        samples,
        errors=errors,
    )


def _case(name, reference, *samples, errors=()):
    return Case(name, getattr(fg, name), reference, samples, errors=errors)


def _sizes(x, size, dim=0):
    return np.split(x, np.cumsum(size)[:-1], axis=dim)


def _chunks(x, chunks, dim=0):
    each = -(-x.shape[dim] // chunks)
    return np.split(x, range(each, x.shape[dim], each), axis=dim)


def _cropped(x, pairs):
    ends = [n + min(b, 0) for n, (_, b) in zip(x.shape, pairs, strict=True)]
    return x[tuple(slice(max(-a, 0), end) for (a, _), end in zip(pairs, ends, strict=True))]


def _pad(x, pad, mode="constant", value=0.0):
    pairs = [(0, 0)] * (x.ndim - len(pad) // 2)
    pairs += [(pad[k], pad[k + 1]) for k in range(len(pad) - 2, -1, -2)]
    more = [(max(a, 0), max(b, 0)) for a, b in pairs]
    if mode == "circular":  # what is cut off does not come in again
        return np.pad(_cropped(x, pairs), more, mode="wrap")
    if mode == "constant":
        return _cropped(np.pad(x, more, constant_values=value), pairs)
    return _cropped(np.pad(x, more, mode={"reflect": "reflect", "replicate": "edge"}[mode]), pairs)


def _diag_embed(x, offset=0):
    n = x.shape[-1] + abs(offset)
    out = np.zeros((*x.shape[:-1], n, n))
    rows = np.arange(x.shape[-1]) + max(-offset, 0)
    out[..., rows, rows + offset] = x
    return out


def _repeat_interleave(x, repeats, dim=None):
    return np.repeat(x, repeats, axis=dim)


ROWS = (
    _case(
        "reshape",
        lambda x, shape: x.reshape(shape),
        Sample(_MATRIX, {"shape": (2, 6)}),
        Sample(_MATRIX, {"shape": (-1,)}),
        Sample(((1,),), {"shape": ()}),
        errors=(
            (
                (np.zeros(6),),
                {"shape": (4, 2)},
                ValueError,
                r"reshape: 6 elements of shape \(6,\) do not fit \(4, 2\)",
            ),
        ),
    ),
    _case(
        "ravel",
        np.ravel,
        *UNARY,
    ),
    _case(
        "view",
        lambda x, shape: x.reshape(shape),
        Sample(((12,),), {"shape": (2, 6)}),
        Sample(((12,),), {"shape": (-1, 3)}),
        errors=(
            ((np.zeros(6),), {"shape": (4, 2)}, ValueError, "view: 6 elements"),
            ((np.zeros(6),), {"shape": (-1, -1)}, ValueError, "view: 6 elements"),
            ((np.zeros((2, 3)).T,), {"shape": (6,)}, ValueError, "has no view of shape"),
        ),
    ),
    _case(
        "flatten",
        lambda x, start_dim=0, end_dim=-1: (
            x.reshape(*x.shape[:start_dim], -1, *x.shape[end_dim % max(x.ndim, 1) + 1 :])
            if x.ndim
            else x.reshape(1)
        ),
        Sample(_CUBE),
        Sample(_CUBE, {"start_dim": 1}),
        Sample(((),)),
        Sample(((2, 3, 4, 5),), {"start_dim": 1, "end_dim": 2}),
        errors=(
            ((np.zeros((2, 3)),), {"start_dim": 2}, IndexError, "flatten: dim 2"),
            ((np.zeros((2, 3)),), {"start_dim": 1, "end_dim": 0}, ValueError, "comes after"),
        ),
    ),
    _case(
        "unflatten",
        lambda x, dim, sizes: x.reshape(*x.shape[:dim], *sizes, *x.shape[dim:][1:]),
        Sample(((2, 12),), {"dim": 1, "sizes": (3, -1)}),
        Sample(((12,),), {"dim": 0, "sizes": (3, 4)}),
        errors=(((np.zeros((2, 5)),), {"dim": 1, "sizes": (2, 2)}, ValueError, "unflatten: 5"),),
    ),
    _case(
        "squeeze",
        lambda x, dim=None: np.squeeze(x, dim),
        Sample(((1, 3, 1),)),
        Sample(((1, 3, 1),), {"dim": 0}),
        Sample(((1, 3, 1),), {"dim": (0, 2)}),
    ),
    _case(
        "unsqueeze",
        lambda x, dim: np.expand_dims(x, dim),
        Sample(((2, 3),), {"dim": 0}),
        Sample(((2, 3),), {"dim": -1}),
        Sample(((),), {"dim": 0}),
        errors=(((np.zeros(3),), {"dim": 2}, IndexError, "unsqueeze: dim 2 is out of range"),),
    ),
    _case(
        "transpose",
        lambda x, dim0, dim1: np.swapaxes(x, dim0, dim1),
        Sample(_MATRIX, {"dim0": 0, "dim1": 1}),
        Sample(_CUBE, {"dim0": -1, "dim1": 0}),
        errors=(((np.zeros((2, 3)),), {"dim0": 0, "dim1": 2}, IndexError, "transpose: dim 2"),),
    ),
    _case(
        "permute",
        lambda x, dims: np.transpose(x, dims),
        Sample(_CUBE, {"dims": (2, 0, 1)}),
        Sample(_CUBE, {"dims": (-1, 1, 0)}),
        Sample(((),), {"dims": ()}),
        errors=(
            ((np.zeros((2, 3)),), {"dims": (0, 0)}, ValueError, "permute: dims"),
            ((np.zeros((2, 3)),), {"dims": (0,)}, ValueError, "permute: dims"),
        ),
    ),
    _case(
        "movedim",
        lambda x, source, destination: np.moveaxis(x, source, destination),
        Sample(_CUBE, {"source": 0, "destination": -1}),
        Sample(_CUBE, {"source": (0, 1), "destination": (1, 2)}),
        errors=(
            (
                (np.zeros((2, 3)),),
                {"source": (0, 0), "destination": (0, 1)},
                ValueError,
                "movedim: cannot move",
            ),
        ),
    ),
    _case(
        "narrow",
        lambda x, dim, start, length: np.take(x, range(start, start + length), dim),
        Sample(_CUBE, {"dim": 1, "start": 1, "length": 2}),
        Sample(_CUBE, {"dim": -1, "start": 0, "length": 0}),
        errors=(
            (
                (np.zeros(3),),
                {"dim": 0, "start": 2, "length": 2},
                IndexError,
                "narrow: no 2 elements from 2 on along dim 0 of 3",
            ),
        ),
    ),
    _case(
        "select",
        lambda x, dim, index: np.take(x, index, dim),
        Sample(_CUBE, {"dim": 1, "index": -1}),
        Sample(((4,),), {"dim": 0, "index": 2}),
        errors=(((np.zeros(3),), {"dim": 0, "index": 3}, IndexError, "select: index 3"),),
    ),
    _case(
        "diagonal",
        lambda x, offset=0, dim1=0, dim2=1: np.diagonal(x, offset, dim1, dim2),
        Sample(((4, 4),)),
        Sample(((3, 5),), {"offset": 2}),
        Sample(((3, 5),), {"offset": -1}),
        Sample(_CUBE, {"dim1": 0, "dim2": 2}),
        Sample(((3, 3),), {"offset": 5}),
        errors=(
            ((np.zeros((2, 3)),), {"dim1": 0, "dim2": 0}, ValueError, "diagonal: expected two"),
        ),
    ),
    _case(
        "diag",
        lambda x, diagonal=0: np.diag(x, diagonal),
        Sample(((3,),)),
        Sample(((3,),), {"diagonal": -1}),
        Sample(((3, 4),), {"diagonal": 1}),
        errors=(((np.zeros((2, 2, 2)),), {}, ValueError, "diag: expected a vector or a matrix"),),
    ),
    _case(
        "diag_embed",
        _diag_embed,
        Sample(((3,),)),
        Sample(((2, 3),), {"offset": 1}),
        Sample(((2, 3),), {"offset": -2}),
    ),
    _case(
        "trace",
        np.trace,
        Sample(((3, 3),)),
        Sample(((2, 5),)),
        errors=(((np.zeros(3),), {}, ValueError, "trace: expected a matrix"),),
    ),
    _case(
        "tril",
        lambda x, diagonal=0: np.tril(x, diagonal),
        Sample(((4, 4),)),
        Sample(((3, 5),), {"diagonal": 1}),
        Sample(((2, 3, 3),), {"diagonal": -1}),
        errors=(((np.zeros(3),), {}, ValueError, "tril: expected matrices"),),
    ),
    _case(
        "triu",
        lambda x, diagonal=0: np.triu(x, diagonal),
        Sample(((4, 4),)),
        Sample(((3, 5),), {"diagonal": 1}),
        Sample(((2, 3, 3),), {"diagonal": -1}),
    ),
    _case(
        "broadcast_to",
        lambda x, shape: np.broadcast_to(x, shape),
        Sample(((3, 1),), {"shape": (2, 3, 4)}),
        Sample(((),), {"shape": (2,)}),
        errors=(((np.zeros(3),), {"shape": (2,)}, ValueError, "does not broadcast"),),
    ),
    _case(
        "expand",
        lambda x, sizes: np.broadcast_to(
            x, [x.shape[k - len(sizes)] if s == -1 else s for k, s in enumerate(sizes)]
        ),
        Sample(((3, 1),), {"sizes": (2, -1, 4)}),
        Sample(((3, 1),), {"sizes": (3, 2)}),
    ),
    Case(
        "broadcast_tensors",
        lambda *x: _joined(fg.broadcast_tensors(*x)),
        lambda *x: _joined_arrays(np.broadcast_arrays(*x)),
        (Sample(((3, 1), (4,))), Sample(((), (2,)))),
        errors=(((np.zeros(3), np.zeros(2)), {}, ValueError, "do not broadcast"),),
    ),
    _case(
        "repeat",
        lambda x, repeats: np.tile(x, repeats),
        Sample(((2, 3),), {"repeats": (2, 1)}),
        Sample(((2, 3),), {"repeats": (2, 3, 2)}),
        Sample(((),), {"repeats": (3,)}),
        Sample(((2,),), {"repeats": (0,)}),
        errors=(((np.zeros((2, 3)),), {"repeats": (2,)}, ValueError, "repeat: "),),
    ),
    _case(
        "tile",
        lambda x, dims: np.tile(x, dims),
        Sample(((2, 3),), {"dims": (2,)}),
        Sample(((2,),), {"dims": (2, 2)}),
    ),
    _case(
        "repeat_interleave",
        _repeat_interleave,
        Sample(((2, 3),), {"repeats": 2}),
        Sample(((2, 3),), {"repeats": 3, "dim": -1}),
        errors=(((np.zeros(3),), {"repeats": -1}, ValueError, "expected repeats >= 0"),),
    ),
    _case(
        "flip",
        lambda x, dims: np.flip(x, dims),
        Sample(_CUBE, {"dims": (0, 2)}),
        Sample(_CUBE, {"dims": -1}),
    ),
    _case("fliplr", np.fliplr, Sample(((2, 3),))),
    _case("flipud", np.flipud, Sample(((2, 3),))),
    _case(
        "roll",
        lambda x, shifts, dims=None: np.roll(x, shifts, dims),
        Sample(_MATRIX, {"shifts": 5}),
        Sample(_MATRIX, {"shifts": (1, -2), "dims": (0, 1)}),
        Sample(((0, 3),), {"shifts": 1, "dims": 0}),
        errors=(
            ((np.zeros((2, 2)),), {"shifts": (1, 2), "dims": 0}, ValueError, "roll: 2 shifts"),
        ),
    ),
    _case(
        "rot90",
        lambda x, k=1, dims=(0, 1): np.rot90(x, k, dims),
        *(Sample(((2, 3),), {"k": k}) for k in (-1, 0, 1, 2)),
        Sample(_CUBE, {"dims": (2, 0)}),
    ),
    _many(
        "cat",
        lambda x, dim=0: np.concatenate(x, dim),
        Sample(((2, 3), (1, 3), (4, 3))),
        Sample(((2, 3), (2, 1)), {"dim": -1}),
        Sample(((3,),)),
        Sample(((0, 3), (2, 3))),
        errors=(((np.zeros((2, 3)), np.zeros((2, 4))), {}, ValueError, "do not fit along dim 0"),),
    ),
    _many(
        "stack",
        lambda x, dim=0: np.stack(x, dim),
        Sample(((2, 3), (2, 3))),
        Sample(((2, 3), (2, 3)), {"dim": -1}),
        Sample(((), ())),
        errors=(((np.zeros(2), np.zeros(3)), {}, ValueError, "stack: expected tensors of one"),),
    ),
    _many("hstack", np.hstack, Sample(((2, 3), (2, 1))), Sample(((2,), (3,)))),
    _many("vstack", np.vstack, Sample(((2, 3), (1, 3))), Sample(((3,), (3,)))),
    _many("dstack", np.dstack, Sample(((2, 3), (2, 3))), Sample(((3,), (3,)))),
    _many("column_stack", np.column_stack, Sample(((2, 3), (2, 1))), Sample(((3,), (3,)))),
    Case(
        "split",
        lambda x, size, dim=0: _joined(fg.split(x, size, dim)),
        lambda x, size, dim=0: _joined_arrays(_sizes(x, size, dim)),
        (Sample(((5, 3),), {"size": [2, 3]}), Sample(((5, 3),), {"size": [1, 0, 2], "dim": 1})),
        errors=(
            ((np.zeros(5),), {"size": [2, 2]}, ValueError, "do not make up 5"),
            ((np.zeros(5),), {"size": 0}, ValueError, "expected a size above 0"),
        ),
    ),
    _several(
        "chunk",
        _chunks,
        Sample(((5, 3),), {"chunks": 2}),
        Sample(((5, 4),), {"chunks": 3, "dim": 1}),
        errors=(((np.zeros(5),), {"chunks": 0}, ValueError, "at least 1 chunk"),),
    ),
    Case(
        "tensor_split",
        lambda x, parts, dim=0: _joined(fg.tensor_split(x, parts, dim)),
        lambda x, parts, dim=0: _joined_arrays(np.array_split(x, parts, dim)),
        (
            Sample(((7, 3),), {"parts": 3}),
            Sample(((7, 3),), {"parts": (2, 5)}),
            Sample(((7, 3),), {"parts": 2, "dim": 1}),
        ),
    ),
    _several(
        "unbind",
        lambda x, dim=0: np.moveaxis(x, dim, 0),
        Sample(((2, 3),)),
        Sample(_CUBE, {"dim": -1}),
    ),
    _several(
        "meshgrid",
        lambda *x, indexing="ij": np.meshgrid(*x, indexing=indexing),
        Sample(((2,), (3,))),
        Sample(((2,), (3,), (2,)), {"indexing": "xy"}),
    ),
    _case(
        "pad",
        _pad,
        Sample(((2, 3),), {"pad": (1, 2)}),
        Sample(((2, 3),), {"pad": (1, 0, 2, 1)}),
        Sample(((2, 3),), {"pad": (1, 2), "value": 1.5}),
        *(
            Sample((shape,), {"pad": pads, "mode": m})
            for m in ("reflect", "replicate", "circular")
            for shape, pads in (
                ((3, 4), (1, 2)),
                ((2, 3, 4), (-1, 2, 2, 0)),
                ((1, 3, 4, 17), (3, 3, 1, 1, 0, 2)),
            )
        ),
        Sample(((2, 3, 2, 2, 2),), {"pad": (1, 0, 1, 1, -1, 1, 0, 2, 1, 0), "value": -2.0}),
        Sample(((2, 3, 4),), {"pad": (0, 0, -1, 2)}),
        Sample(((2, 3, 5, 15),), {"pad": (0, 0, 0, 0, 1, 1, 1, 0)}),
        Sample(((2, 1, 70, 2),), {"pad": (1, 0, 0, 0, 1, 0, 1, 0), "value": 2.0}),
        Sample(((0, 3),), {"pad": (1, 1)}),
        Sample(((2, 0),), {"pad": (1, 1), "value": 3.0}),
        errors=(
            ((np.zeros(3),), {"pad": (1, 2, 3)}, ValueError, r"pad is \(1, 2, 3\); expected pairs"),
            ((np.zeros(3),), {"pad": (1, 0, 1, 0)}, ValueError, "of at most 1 axes"),
            ((np.zeros(3),), {"pad": (1.0, 2)}, TypeError, r"pad is \(1.0, 2\); expected ints"),
            ((np.zeros(3),), {"pad": 1}, TypeError, "pad: pad is 1; expected ints"),
            ((np.zeros(3),), {"pad": (-4, 3)}, ValueError, "cut off more than there is of dim 0"),
            ((np.zeros(3, int),), {"pad": (1, 1), "value": np.inf}, ValueError, "inf is no int64"),
            ((np.zeros(3),), {"pad": (1, 1), "value": "a"}, TypeError, "value is 'a'; expected a"),
            ((np.zeros(3),), {"pad": (3, 0), "mode": "reflect"}, ValueError, "is too much"),
            ((np.zeros(3),), {"pad": (-2, -2)}, ValueError, "cut off more"),
            ((np.zeros(3),), {"pad": (1, 1), "mode": "edge"}, ValueError, "unknown mode 'edge'"),
            (
                (np.zeros(3),),
                {"pad": (1, 1), "mode": "reflect", "value": 2.0},
                ValueError,
                "takes no value, got 2.0",
            ),
        ),
    ),
)
