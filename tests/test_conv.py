"""Convolutions' modules against PyTorch's; what kernels must not do; geometry's corners."""

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import kernels, nn, reference
from fastgrad.kernels import _windows, _winograd, _winograd_weight, conv_weight
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


# ------------------------------------------------------------------ Winograd

_ONES = (1, 1, 1)
# batch, channels, out channels, image, padding, groups
_WINOGRAD = (
    (1, 1, 1, (3, 3), (0, 0), 1),
    (2, 5, 7, (4, 2), (1, 1), 1),
    (17, 12, 8, (5, 3), (4, 3), 4),  # padding beyond the window, several images in a block
    (3, 33, 40, (13, 11), (1, 2), 1),
    (2, 36, 70, (30, 29), (0, 1), 2),
    (1, 17, 16, (40, 150), (1, 0), 1),  # bands
    (2, 5, 20, (11, 9), (2, 2), 1, 5),
    (3, 20, 18, (8, 13), (0, 3), 2, 5),
)


def _volumes(dtype, batch, channels, out, image, padding, groups, span=3):
    """An image, a weight and a bias, and the options of ``conv_forward``."""
    rng = np.random.default_rng(0)
    size = tuple(n + 2 * p + 1 - span for n, p in zip(image, padding, strict=True))
    window = (out, channels // groups, span, 1, span)
    shapes = (batch, channels, image[0], 1, image[1]), window, (out,)
    arrays = [rng.standard_normal(shape).astype(dtype) for shape in shapes]
    low = (padding[0], 0, padding[1])
    return arrays, (_ONES, low, _ONES, groups, (size[0], 1, size[1]))


def _of_tiles(monkeypatch, edge):
    """Every convolution that can takes tiles of that size."""
    _forget_plans()
    for module in (_winograd, _winograd_weight):
        monkeypatch.setattr(module, "_cycles", lambda other, *_: float(other != edge))


def _forget_plans():
    _winograd.winograd_plan.cache_clear()
    _winograd_weight.weight_plan.cache_clear()


@pytest.fixture
def _plans():
    yield
    _forget_plans()


@pytest.mark.usefixtures("_plans")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("edge", [2, 4])
@pytest.mark.parametrize("sizes", _WINOGRAD)
def test_winograd_equals_the_twin(monkeypatch, sizes, edge, dtype):
    _of_tiles(monkeypatch, edge)
    (x, weight, bias), options = _volumes(dtype, *sizes)
    close = 1e-5 if dtype == "float32" else 1e-13
    for relu in (False, True):
        out = kernels.conv_forward(x, weight, bias, *options, relu)
        wanted = reference.conv_forward(x, weight, bias, *options, relu)
        np.testing.assert_allclose(out, wanted, rtol=0, atol=close * np.abs(wanted).max())
    start = np.arange(x.shape[1]).astype(dtype)
    for bias in (None, start):
        arguments = wanted, weight, bias, *options[:-1], x.shape[2:]
        back, same = kernels.conv_input_grad(*arguments), reference.conv_input_grad(*arguments)
        np.testing.assert_allclose(back, same, rtol=0, atol=close * np.abs(same).max())


@pytest.mark.usefixtures("_plans")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("edge", [2, 4])
@pytest.mark.parametrize("sizes", _WINOGRAD)
def test_winograds_weight_equals_the_twin(monkeypatch, sizes, edge, shared, dtype):
    _of_tiles(monkeypatch, edge)
    if shared:  # every line of points by itself, and a part for every block of tiles
        monkeypatch.setattr(_winograd_weight, "_TWO_SHARES", 0)
        monkeypatch.setattr(_winograd_weight, "_ONE_SHARE", 0)
        monkeypatch.setattr(_winograd_weight, "_CHAIN", 1)
    (x, weight, _), options = _volumes(dtype, *sizes)
    grad = np.random.default_rng(1).standard_normal((len(x), sizes[2], *options[-1])).astype(dtype)
    arguments = grad, x, *options[:-1], weight.shape[2:]
    out, wanted = kernels.conv_weight_grad(*arguments), reference.conv_weight_grad(*arguments)
    close = 1e-5 if dtype == "float32" else 1e-13
    np.testing.assert_allclose(out, wanted, rtol=0, atol=close * np.abs(wanted).max())


@pytest.mark.usefixtures("_plans")
@pytest.mark.parametrize(("edge", "most"), [(2, 2e-6), (4, 8e-6)])
def test_winograds_rounding_of_a_weight(monkeypatch, edge, most):
    """Of the largest result, where a sum has a thousand tiles; the direct way is off by 1e-6."""
    _of_tiles(monkeypatch, edge)
    monkeypatch.setattr(_winograd_weight, "_ITEMS", 1)
    (x, weight, _), options = _volumes("float32", 4, 24, 32, (64, 64), (1, 1), 1)
    grad = np.random.default_rng(1).standard_normal((4, 32, 64, 1, 64)).astype("float32")
    out = kernels.conv_weight_grad(grad, x, *options[:-1], weight.shape[2:])
    exact = reference.conv_weight_grad(
        grad.astype(float), x.astype(float), *options[:-1], weight.shape[2:]
    )
    assert np.abs(out - exact).max() < most * np.abs(exact).max()


@pytest.mark.parametrize(
    ("channels", "size", "batch", "edge"),
    [(64, 28, 8, 4), (128, 28, 8, 4), (512, 14, 8, 2), (4, 28, 8, None), (256, 7, 1, 2)],
)
def test_where_winograd_pays_for_a_weight(channels, size, batch, edge):
    shape = batch, channels, size, 1, size
    given = shape, shape, (3, 1, 3), _ONES, (1, 0, 1), _ONES, 1, 4
    made = _winograd_weight.weight_plan(*given, conv_weight._plan(*given).cycles)
    assert (made and made.sizes[_winograd.EDGE]) == edge


@pytest.mark.usefixtures("_plans")
@pytest.mark.parametrize(("edge", "most"), [(2, 1e-6), (4, 5e-6)])
def test_winograds_rounding(monkeypatch, edge, most):
    """Of the largest result, for 256 channels; the direct way is off by 2e-6."""
    _of_tiles(monkeypatch, edge)
    (x, weight, bias), options = _volumes("float32", 1, 256, 32, (14, 14), (1, 1), 1)
    out = kernels.conv_forward(x, weight, bias, *options)
    exact = reference.conv_forward(*(a.astype(float) for a in (x, weight, bias)), *options)
    assert np.abs(out - exact).max() < most * np.abs(exact).max()


@pytest.mark.parametrize(
    ("channels", "size", "edge"), [(64, 28, 4), (128, 28, 4), (256, 14, 2), (8, 28, None)]
)
def test_where_winograd_pays(channels, size, edge):
    shape, low = (channels, size, 1, size), (1, 0, 1)
    given = (channels, channels, 3, 1, 3), (4, *shape), _ONES, low, _ONES, 1, False, 4
    made = _winograd.winograd_plan((4, *shape), *given, 1)
    assert (made and made.sizes[_winograd.EDGE]) == edge
    # The bits of an image may depend neither on its batch nor on the threads.
    given = given[0], (1, *shape), *given[2:]
    alone = _winograd.winograd_plan((1, *shape), *given, 8)
    assert (alone and alone.sizes[_winograd.EDGE]) == edge


def test_compiled_winograd_equals_eager():
    rng = np.random.default_rng(0)
    layer = nn.Conv2d(40, 36, 3, padding=1)
    parameters = list(layer.parameters())

    def step(x):
        out = layer(x).relu()
        return out, *fg.grad((out * out).sum(), parameters)

    compiled = fg.compile(step)
    for _ in range(3):
        x = fg.Tensor(rng.standard_normal((6, 40, 15, 14)).astype(np.float32))
        for ours, same in zip(compiled(x), step(x), strict=True):
            np.testing.assert_array_equal(ours.data, same.data)
