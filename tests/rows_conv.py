"""Rows of convolutions and transposed convolutions; see ``op_cases``.

The references go pixel by pixel: the windows of a padded input, and the sum of scattered kernels.
"""

import itertools

import numpy as np
from op_cases import Case, Sample

import fastgrad as fg


def _each(value, rank):
    return tuple(value) if isinstance(value, tuple) else (value,) * rank


def _pads(padding, kernel, dilation, rank):
    if padding == "same":
        more = [(k - 1) * d for k, d in zip(kernel, dilation, strict=True)]
        return [(m // 2, m - m // 2) for m in more]
    return [(0, 0)] * rank if padding == "valid" else [(p, p) for p in _each(padding, rank)]


def _conv(x, weight, bias=None, stride=1, padding=0, dilation=1, groups=1):
    rank = weight.ndim - 2
    if x.ndim == rank + 1:
        return _conv(x[None], weight, bias, stride, padding, dilation, groups)[0]
    kernel = weight.shape[2:]
    stride, dilation = _each(stride, rank), _each(dilation, rank)
    x = np.pad(x, [(0, 0), (0, 0), *_pads(padding, kernel, dilation, rank)])
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    size = [(n - r) // s + 1 for n, r, s in zip(x.shape[2:], reach, stride, strict=True)]
    out = np.zeros((len(x), len(weight), *size))
    inputs, outputs, axes = weight.shape[1], len(weight) // groups, tuple(range(1, rank + 2))
    for place in itertools.product(*map(range, size)):
        window = tuple(
            slice(p * s, p * s + r, d)
            for p, s, r, d in zip(place, stride, reach, dilation, strict=True)
        )
        for o in range(len(weight)):
            g = o // outputs
            part = x[(slice(None), slice(g * inputs, (g + 1) * inputs), *window)]
            out[(slice(None), o, *place)] = (part * weight[o]).sum(axis=axes)
    return out if bias is None else out + bias.reshape(-1, *[1] * rank)


def _transpose(
    x, weight, bias=None, stride=1, padding=0, output_padding=0, groups=1, dilation=1
):  # fmt: skip
    rank = weight.ndim - 2
    if x.ndim == rank + 1:
        return _transpose(x[None], weight, bias, stride, padding, output_padding, groups, dilation)[
            0
        ]
    stride, dilation, padding, more = (
        _each(value, rank) for value in (stride, dilation, padding, output_padding)
    )
    reach = [(k - 1) * d + 1 for k, d in zip(weight.shape[2:], dilation, strict=True)]
    whole = [
        (n - 1) * s + r + m for n, s, r, m in zip(x.shape[2:], stride, reach, more, strict=True)
    ]
    each, inputs = weight.shape[1], len(weight) // groups
    out = np.zeros((len(x), each * groups, *whole))
    for place in itertools.product(*map(range, x.shape[2:])):
        window = tuple(
            slice(p * s, p * s + r, d)
            for p, s, r, d in zip(place, stride, reach, dilation, strict=True)
        )
        for c in range(len(weight)):
            g = c // inputs
            factor = x[(slice(None), c, *place)].reshape(-1, *[1] * (rank + 1))
            out[(slice(None), slice(g * each, (g + 1) * each), *window)] += factor * weight[c]
    inside = [slice(p, n - p) for p, n in zip(padding, whole, strict=True)]
    out = out[(..., *inside)]
    return out if bias is None else out + bias.reshape(-1, *[1] * rank)


_CONV = {
    1: (
        (((2, 3, 9), (4, 3, 3), (4,)), {}),
        (((3, 9), (4, 3, 4)), {"padding": "same", "dilation": 2}),
        (((2, 4, 40), (6, 2, 5), (6,)), {"stride": 3, "padding": 2, "groups": 2}),
        (((1, 1, 1), (1, 1, 1)), {}),
        (((0, 2, 5), (3, 2, 2), (3,)), {}),
    ),
    2: (
        (((2, 3, 5, 6), (4, 3, 3, 3), (4,)), {"padding": 1}),
        (((3, 5, 6), (2, 3, 2, 3), (2,)), {"padding": "valid"}),
        (((2, 2, 7, 8), (3, 2, 2, 4)), {"padding": "same"}),
        (((2, 4, 8, 7), (6, 2, 3, 2), (6,)),
         {"stride": (2, 3), "padding": (1, 0), "dilation": (1, 2), "groups": 2}),
        (((2, 3, 6, 5), (6, 1, 3, 3), (6,)), {"padding": 1, "groups": 3}),
        (((2, 20, 4, 5), (7, 20, 1, 1), (7,)), {"stride": 2}),
        (((1, 5, 4, 4), (33, 5, 2, 2), (33,)), {"padding": 1}),
    ),
    3: (
        (((2, 2, 3, 4, 5), (3, 2, 2, 3, 3), (3,)), {"padding": 1}),
        (((2, 4, 4, 3, 5), (2, 2, 3, 2, 2)),
         {"stride": (1, 2, 2), "padding": (2, 0, 1), "dilation": (2, 1, 1), "groups": 2}),
    ),
}  # fmt: skip
_TRANSPOSED = {
    1: (
        (((2, 3, 5), (3, 4, 3), (4,)), {}),
        (((4, 7), (4, 3, 4), (6,)),
         {"stride": 3, "padding": 2, "output_padding": 2, "groups": 2, "dilation": 2}),
    ),
    2: (
        (((2, 3, 4, 3), (3, 2, 3, 3), (2,)), {"stride": 2, "padding": 1, "output_padding": 1}),
        (((3, 4, 3), (3, 2, 2, 1)), {"stride": 3}),
        (((2, 4, 3, 4), (4, 1, 3, 2), (4,)), {"groups": 4, "dilation": (1, 2), "padding": (2, 0)}),
    ),
    3: ((((2, 2, 2, 3, 2), (2, 3, 2, 2, 3), (3,)), {"stride": (1, 2, 2), "padding": (0, 1, 1)}),),
}  # fmt: skip
_X, _W = np.zeros((2, 3, 5, 6)), np.zeros((4, 3, 3, 3))
_ERRORS = (
    ((np.zeros((2, 3, 5)), np.zeros(4)), {}, ValueError, r"expected a weight \(out"),
    ((np.zeros(3), _W), {}, ValueError, r"conv2d: expected x \(N, C, H, W\) or \(C, H, W\)"),
    ((_X, np.zeros((4, 2, 3, 3))), {}, ValueError, "has 3 channels; a weight .* expects 2"),
    ((_X, np.zeros((4, 1, 3, 3))), {"groups": 3}, ValueError, "3 groups do not divide"),
    ((_X, _W, np.zeros(3)), {}, ValueError, r"bias has shape \(3,\), expected \(4,\)"),
    ((_X, np.zeros((4, 3, 9, 3))), {"padding": 1}, ValueError,
     r"padded input \(7, 8\) is smaller than the kernel \(9, 3\)"),
    ((_X, _W), {"padding": -1}, ValueError, "padding is -1; expected an int or 2 ints from 0 on"),
    ((_X, _W), {"padding": "full"}, ValueError, "padding is 'full'"),
    ((_X, _W), {"padding": "same", "stride": 2}, ValueError, "'same' is for stride 1"),
    ((_X, _W), {"stride": 0}, ValueError, "stride is 0; expected an int or 2 ints from 1 on"),
    ((_X, _W), {"stride": (1, 2, 3)}, ValueError, r"stride is \(1, 2, 3\); expected an int or 2"),
    ((_X, _W), {"stride": 1.0}, TypeError, "stride is 1.0; expected an int or 2 ints"),
    ((_X, _W), {"padding": True}, TypeError, "padding is True; expected an int or 2 ints"),
    ((_X, _W), {"groups": 0}, ValueError, "groups is 0; expected an int from 1 on"),
    ((_X, _W), {"groups": 1.0}, TypeError, "groups is 1.0; expected an int from 1 on"),
    ((_X[0, 0], _W), {}, ValueError, r"got \(5, 6\)"),
    ((np.zeros((2, 3, 0, 0)), _W), {}, ValueError, r"padded input \(0, 0\) is smaller"),
    ((_X, np.zeros((4, 3, 0, 3))), {}, ValueError, r"H, W ≥ 1\), got \(4, 3, 0, 3\)"),
    ((_X > 0, _W > 0), {}, TypeError, "expected tensors of one type of numbers, got bool"),
    ((_X, _W.astype(np.float32)), {}, TypeError, "expected tensors of one type"),
)  # fmt: skip
_TRANSPOSED_ERRORS = (
    ((_X, np.zeros((3, 2, 3, 3))), {"output_padding": 1}, ValueError,
     r"output_padding \(1, 1\) must be less than stride \(1, 1\)"),
    ((_X, np.zeros((3, 2, 3, 3))), {"padding": 4}, ValueError, "gives a result of size"),
    ((_X, np.zeros((4, 2, 3, 3))), {}, ValueError, "has 3 channels; a weight .* expects 4"),
    ((_X, np.zeros((3, 2, 3, 3)), np.zeros(3)), {}, ValueError, r"expected \(2,\)"),
    ((_X, np.zeros((3, 2, 3, 3))), {"padding": "same"}, TypeError, "padding is 'same'; expected"),
    ((_X, np.zeros((3, 2, 3, 3))), {"groups": 2}, ValueError, "2 groups do not divide the weight"),
)  # fmt: skip


def _rows(prefix, reference, samples, errors):
    for rank, calls in samples.items():
        name = f"{prefix}{rank}d"
        yield Case(
            name, getattr(fg, name), reference,
            tuple(Sample(shapes, options) for shapes, options in calls),
            errors=errors if rank == 2 else (), special=False, rtol=1e-4,
        )  # fmt: skip


ROWS = (
    *_rows("conv", _conv, _CONV, _ERRORS),
    *_rows("conv_transpose", _transpose, _TRANSPOSED, _TRANSPOSED_ERRORS),
)
