"""Convolutions' modules against PyTorch's; what kernels must not do; geometry's corners."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import kernels, nn, reference
from fastgrad.kernels import _windows
from fastgrad.kernels._llvm import VECTOR_BYTES

_MODES = ("zeros", "reflect", "replicate", "circular")
# how to make a module of either library, and an input's shape
_MODULES = {
    **{
        f"{mode}, padding {padding}": (
            lambda n, m=mode, p=padding: n.Conv2d(4, 6, (3, 4), padding=p, padding_mode=m),
            (2, 4, 9, 8),
        )
        for mode in _MODES
        for padding in ((1, 2), "same", "valid")
    },
    "stride, dilation, groups": (
        lambda n: n.Conv2d(4, 6, 3, stride=(2, 1), dilation=(1, 2), groups=2, bias=False),
        (2, 4, 9, 8),
    ),
    "1d, one sequence": (lambda n: n.Conv1d(4, 5, 3, padding=1), (4, 30)),
    "3d": (lambda n: n.Conv3d(2, 3, (1, 2, 3), padding="same", dilation=2), (2, 2, 3, 5, 6)),
    "transposed 1d": (lambda n: n.ConvTranspose1d(4, 5, 3, stride=2), (2, 4, 9)),
    "transposed 2d": (
        lambda n: n.ConvTranspose2d(4, 6, 3, 3, 1, 2, groups=2, bias=False, dilation=2),
        (2, 4, 5, 4),
    ),
    "transposed 3d": (lambda n: n.ConvTranspose3d(2, 3, 2, padding=1), (2, 3, 4, 5)),
}


def _pair(make):
    """A module of ours and PyTorch's with the same parameters."""
    torch = pytest.importorskip("torch")
    ours, theirs = make(nn), make(torch.nn)
    theirs.load_state_dict({k: torch.tensor(v.data) for k, v in ours.state_dict().items()})
    return ours, theirs, torch


@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("name", _MODULES)
def test_modules_equal_pytorchs(name):
    make, shape = _MODULES[name]
    if name == "transposed 3d":
        shape = (1, 2, 3, 4, 5)
    ours, theirs, torch = _pair(make)
    assert repr(ours) == repr(theirs)
    x = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    ours_x, theirs_x = fg.Tensor(x, requires_grad=True), torch.tensor(x, requires_grad=True)
    out, wanted = ours(ours_x), theirs(theirs_x)
    np.testing.assert_allclose(out.data, wanted.detach().numpy(), rtol=1e-4, atol=1e-5)
    (out * out).sum().backward()
    (wanted * wanted).sum().backward()
    pairs = zip([ours_x, *ours.parameters()], [theirs_x, *theirs.parameters()], strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a.grad.data, b.grad.numpy(), rtol=1e-3, atol=1e-3)


def test_output_size():
    make = lambda n: n.ConvTranspose2d(3, 2, 3, stride=(2, 3), padding=1)  # noqa: E731
    ours, theirs, torch = _pair(make)
    x = np.ones((1, 3, 4, 5), np.float32)
    for size in ((7, 13), (8, 15), (1, 2, 8, 14)):
        out, wanted = ours(fg.Tensor(x), size), theirs(torch.tensor(x), size)
        assert out.shape == tuple(wanted.shape)
    with pytest.raises(ValueError, match=r"output_size is \(9, 13\); .* \(7, 13\) to \(8, 15\)"):
        ours(fg.Tensor(x), (9, 13))


def test_initial_values():
    fg.manual_seed(0)
    for layer in (nn.Conv2d(8, 64, 5, groups=2), nn.ConvTranspose2d(64, 16, 5, groups=4)):
        bound = 1.0 / np.sqrt(np.prod(layer.weight.shape[1:]))
        for p in layer.parameters():
            assert bound * 0.9 < np.abs(p.data).max() <= bound


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nn.Conv2d(3, 4, 3, groups=2), "2 groups do not divide in_channels = 3"),
        (lambda: nn.Conv2d(4, 3, 3, groups=2), "2 groups do not divide out_channels = 3"),
        (lambda: nn.Conv2d(4, 3, 3, groups=0), "groups is 0"),
        (lambda: nn.Conv2d(4, 3, 3, padding_mode="mirror"), "padding_mode is 'mirror'"),
        (lambda: nn.ConvTranspose2d(4, 3, 3, padding_mode="reflect"), "expected one of"),
        (lambda: nn.Conv2d(4, 3, 3, padding="full"), "padding is 'full'"),
        (lambda: nn.Conv2d(4, 3, 3, 2, padding="same"), "'same' is for stride 1"),
        (lambda: nn.Conv2d(4, 3, (3, 3, 3)), "expected an int or 2 ints"),
        (lambda: nn.Conv2d(4, 3, 0), "Conv2d: kernel_size is 0"),
        (lambda: nn.Conv2d(4, 3, 1.5), "Conv2d: kernel_size is 1.5"),
        (lambda: nn.Conv2d(4, 3, 3, 0), "Conv2d: stride is 0"),
        (lambda: nn.Conv2d(4, 3, 3, 1, -1), "Conv2d: padding is -1"),
        (lambda: nn.Conv2d("4", 3, 3), "Conv2d: in_channels is '4'"),
        (lambda: nn.Conv2d(4, -3, 3), "Conv2d: out_channels is -3"),
        (lambda: nn.ConvTranspose2d(4, 3, 3, padding="same"), "ConvTranspose2d: padding is 'same'"),
        (
            lambda: nn.ConvTranspose1d(1, 1, 3, 2)(fg.zeros(1, 1, 4), 20),
            r"output_size is 20; .* \(9,\) to \(10,\)",
        ),
    ],
)
def test_wrong_arguments(make, message):
    with pytest.raises((TypeError, ValueError), match=message):
        make()


def test_whole_numbers():
    x, weight = np.arange(24).reshape(1, 2, 12), np.arange(-6, 6).reshape(2, 2, 3)
    out = fg.conv1d(fg.Tensor(x), fg.Tensor(weight), padding=1)
    assert out.dtype == np.int64
    floats = fg.conv1d(*(fg.Tensor(a.astype(float)) for a in (x, weight)), padding=1)
    np.testing.assert_array_equal(out.data, floats.data)


@pytest.mark.parametrize("channels", [1, 30, 60])
def test_what_lies_beside_an_image_does_not_matter(channels):
    """Vectors reach past rows and images: what they read there must not come out."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((3, channels, 7, 9)).astype(np.float32)
    weight = fg.Tensor(rng.standard_normal((20, channels, 3, 3)).astype(np.float32))

    def run(x):
        x = fg.Tensor(x, requires_grad=True)
        out = fg.conv2d(x, weight, padding=1)
        out.backward(fg.Tensor(np.ones(out.shape, np.float32)))
        return out.data, x.grad.data

    alone = run(x[1:2])
    x[0], x[2] = np.nan, np.inf
    for a, b in zip(run(x), alone, strict=True):
        np.testing.assert_array_equal(a[1], b[0])


@pytest.fixture
def way(request, monkeypatch):
    """A way of convolution, whatever the estimate says."""
    monkeypatch.setattr(_windows, "_mode", lambda *shape: request.param)
    _windows.plan.cache_clear()
    yield request.param
    _windows.plan.cache_clear()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("way", range(4), indirect=True)
def test_each_way_is_right_for_lines_of_each_length(way, dtype):
    lane = VECTOR_BYTES // np.dtype(dtype).itemsize
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((5, 2, 1, 3, 3)).astype(dtype)
    for width in range(1, lane if way == _windows.TOGETHER else 40):
        x = rng.standard_normal((2, 2, 1, 17, width)).astype(dtype)
        call = x, weight, None, (1, 1, 1), (0, 1, 1), (1, 1, 1), 1, (1, 17, width)
        wanted = reference.conv_forward(*call)
        np.testing.assert_allclose(kernels.conv_forward(*call), wanted, rtol=1e-4, atol=1e-4)


def test_a_strided_input():
    x = np.random.default_rng(0).standard_normal((6, 5, 2, 4)).astype(np.float32)
    weight = fg.ones(3, 4, 2, 2)
    turned = fg.Tensor(x.transpose(2, 3, 0, 1))
    again = fg.Tensor(np.ascontiguousarray(turned.data))
    np.testing.assert_array_equal(fg.conv2d(turned, weight).data, fg.conv2d(again, weight).data)
