"""Networks: parameters counted against what is published, names, shapes, and training steps."""

import inspect
import re
from contextlib import contextmanager

import numpy as np
import pytest

import fastgrad as fg
from fastgrad import models, nn

# Parameters of each, from the papers and from torchvision's tables.
_PARAMETERS = {
    "alexnet": 60_965_224,
    "vgg11": 132_863_336,
    "vgg11_bn": 132_868_840,
    "vgg13": 133_047_848,
    "vgg13_bn": 133_053_736,
    "vgg16": 138_357_544,
    "vgg16_bn": 138_365_992,
    "vgg19": 143_667_240,
    "vgg19_bn": 143_678_248,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnext50_32x4d": 25_028_904,
    "wide_resnet50_2": 68_883_240,
    "resnet20": 269_722,
    "resnet32": 464_154,
    "resnet44": 658_586,
    "resnet56": 853_018,
    "resnet110": 1_727_962,
    "small_vgg": 551_018,
    "LeNet5": 61_706,
}
_WITH_OPTIONS = [
    ("alexnet", {"groups": 1}, 62_378_344),
    ("LeNet5", {"padding": 0}, 61_706),
    ("resnet20", {"shortcut": "B"}, 272_474),
    ("resnet56", {"shortcut": "B"}, 855_770),
    ("resnet110", {"shortcut": "B"}, 1_730_714),
    ("resnet18", {"num_classes": 10, "in_channels": 1}, 11_175_370),
]


@contextmanager
def _nothing_is_drawn():
    """In the block weights are as they come: memory that nobody writes to is not there."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("uniform_", "normal_", "constant_"):
            patch.setattr(nn.init, name, lambda tensor, *args, **options: tensor)
        yield


@pytest.fixture
def unfilled():
    with _nothing_is_drawn():
        yield


def _count(model):
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", _PARAMETERS)
def test_parameters_are_as_many_as_published(name, unfilled):
    assert _count(getattr(models, name)()) == _PARAMETERS[name]


@pytest.mark.parametrize(("name", "options", "expected"), _WITH_OPTIONS)
def test_parameters_of_variants(name, options, expected, unfilled):
    assert _count(getattr(models, name)(**options)) == expected


def test_every_network_is_counted():
    classes = {name for name in models.__all__ if inspect.isclass(getattr(models, name))}
    assert set(models.__all__) - classes == set(_PARAMETERS) - {"LeNet5"}


# ------------------------------------------------------------------ names


def _batch_norm(prefix):
    names = "weight", "bias", "running_mean", "running_var", "num_batches_tracked"
    return [f"{prefix}.{name}" for name in names]


def _resnet_names(counts, convolutions):
    names = ["conv1.weight", *_batch_norm("bn1")]
    for stage, count in enumerate(counts, 1):
        for block in range(count):
            prefix = f"layer{stage}.{block}"
            for k in range(1, convolutions + 1):
                names += [f"{prefix}.conv{k}.weight", *_batch_norm(f"{prefix}.bn{k}")]
            if block == 0 and (stage > 1 or convolutions == 3):
                names += [f"{prefix}.downsample.0.weight", *_batch_norm(f"{prefix}.downsample.1")]
    return [*names, "fc.weight", "fc.bias"]


def _numbered(part, numbers):
    return [f"{part}.{number}.{name}" for number in numbers for name in ("weight", "bias")]


_VGG16 = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
_VGG11_BN = {0: 1, 4: 5, 8: 9, 11: 12, 15: 16, 18: 19, 22: 23, 25: 26}
_NAMES = {
    "alexnet": _numbered("features", (0, 3, 6, 8, 10)) + _numbered("classifier", (1, 4, 6)),
    "vgg16": _numbered("features", _VGG16) + _numbered("classifier", (0, 3, 6)),
    "vgg11_bn": [
        name
        for convolution, norm in _VGG11_BN.items()
        for name in (*_numbered("features", [convolution]), *_batch_norm(f"features.{norm}"))
    ]
    + _numbered("classifier", (0, 3, 6)),
    "resnet18": _resnet_names((2, 2, 2, 2), 2),
    "resnet50": _resnet_names((3, 4, 6, 3), 3),
}


@pytest.mark.parametrize("name", _NAMES)
def test_names_are_torchvisions(name, unfilled):
    state = getattr(models, name)().state_dict()
    assert list(state) == _NAMES[name]
    if name == "resnet18":
        assert len(state) == 122
        assert state["layer3.0.downsample.0.weight"].shape == (256, 128, 1, 1)
        assert state["layer4.1.conv2.weight"].shape == (512, 512, 3, 3)


# ------------------------------------------------------------------ shapes


@pytest.mark.parametrize(
    ("model", "size", "classes"),
    [
        (lambda: models.LeNet5(), (1, 28, 28), 10),
        (lambda: models.LeNet5(5, 3, padding=0, activation=nn.ReLU), (3, 32, 32), 5),
        (lambda: models.alexnet(num_classes=7), (3, 227, 227), 7),
        (lambda: models.vgg11(num_classes=7), (3, 64, 64), 7),
        (lambda: models.resnet18(in_channels=1), (1, 64, 48), 1000),
        (lambda: models.resnet50(num_classes=3), (3, 32, 32), 3),
        (lambda: models.resnet20(shortcut="B"), (3, 32, 32), 10),
        (lambda: models.resnet20(in_channels=1, num_classes=4), (1, 9, 14), 4),
        (lambda: models.small_vgg(), (3, 32, 32), 10),
        (lambda: models.ConvNet(6, 2, (9, 13), (4, 5), hidden=(8,), dropout=0.1), (2, 9, 13), 6),
    ],
)
def test_shapes(model, size, classes, unfilled):
    with fg.no_grad():
        assert model().eval()(fg.zeros(1, *size)).shape == (1, classes)


def test_alexnet_has_the_papers_layers(unfilled):
    model, shapes = models.alexnet(), []
    with fg.no_grad():
        x = fg.zeros(1, 3, 227, 227)
        for part in model.eval().features:
            x = part(x)
            if isinstance(part, nn.Conv2d | nn.MaxPool2d):
                shapes.append(x.shape[1:])
    assert shapes == [
        (96, 55, 55), (96, 27, 27), (256, 27, 27), (256, 13, 13), (384, 13, 13), (384, 13, 13),
        (256, 13, 13), (256, 6, 6),
    ]  # fmt: skip


def test_alexnet_begins_as_the_paper_says(monkeypatch):
    filled = {}
    monkeypatch.setattr(nn.init, "uniform_", lambda tensor, *args: tensor)
    for name in ("normal_", "constant_"):

        def note(tensor, val=None, *, std=None):
            filled[id(tensor)] = val if std is None else std

        monkeypatch.setattr(nn.init, name, note)
    model = models.alexnet()
    found = {name: filled[id(parameter)] for name, parameter in model.named_parameters()}
    ones = {"features.3", "features.8", "features.10", "classifier.1", "classifier.4"}
    for name, value in found.items():
        layer, _, kind = name.rpartition(".")
        assert value == (0.01 if kind == "weight" else float(layer in ones)), name


def test_dilation_instead_of_stride():
    options = {"num_classes": 2, "replace_stride_with_dilation": (False, True, True)}
    model = models.ResNet(models.Bottleneck, [1, 1, 1, 2], **options)
    found = [model.layer4[k].conv2 for k in (0, 1)]
    assert [(conv.stride, conv.dilation) for conv in found] == [((1, 1), (2, 2)), ((1, 1), (4, 4))]
    with fg.no_grad():
        assert model.layer4(model.layer3(fg.zeros(1, 512, 8, 8))).shape == (1, 2048, 8, 8)


def test_residuals_may_begin_as_nothing():
    blocks = {models.BasicBlock: "bn2", models.Bottleneck: "bn3"}
    for block, last in blocks.items():
        model = models.ResNet(block, [1, 1, 1, 1], 2, zero_init_residual=True)
        assert not getattr(model.layer3[0], last).weight.detach().numpy().any()


# ------------------------------------------------------------------ against PyTorch


def _in_torch(state, torch, stages, x):
    """A residual network of basic blocks, or of bottlenecks, from its state dict."""
    F = torch.nn.functional

    def norm(x, name):
        names = "running_mean", "running_var", "weight", "bias"
        return F.batch_norm(x, *(state[f"{name}.{each}"] for each in names), training=True)

    def block(x, name, stride):
        last = 3 if f"{name}.conv3.weight" in state else 2
        y = x
        for k in range(1, last + 1):
            weight = state[f"{name}.conv{k}.weight"]
            step = stride if weight.shape[-1] == 3 and k in (1, last - 1) else 1
            y = F.conv2d(y, weight, stride=step, padding=weight.shape[-1] // 2)
            y = norm(y, f"{name}.bn{k}")
            y = F.relu(y) if k < last else y
        for key in ("downsample", "shortcut"):
            if f"{name}.{key}.0.weight" in state:
                x = F.conv2d(x, state[f"{name}.{key}.0.weight"], stride=stride)
                return F.relu(norm(x, f"{name}.{key}.1") + y)
        more = y.shape[1] - x.shape[1]
        return F.relu(F.pad(x[:, :, ::stride, ::stride], (0, 0, 0, 0, 0, more)) + y)

    first = state["conv1.weight"]
    large = first.shape[-1] == 7
    x = F.conv2d(x, first, stride=2 if large else 1, padding=first.shape[-1] // 2)
    x = F.relu(norm(x, "bn1"))
    x = F.max_pool2d(x, 3, 2, 1) if large else x
    for stage, count in enumerate(stages, 1):
        for k in range(count):
            x = block(x, f"layer{stage}.{k}", 2 if stage > 1 and k == 0 else 1)
    return F.linear(x.mean((2, 3)), state["fc.weight"], state["fc.bias"])


@pytest.mark.parametrize(
    ("model", "stages"),
    [
        (lambda: models.ResNet(models.BasicBlock, [1, 2, 1, 1], 5), (1, 2, 1, 1)),
        (lambda: models.ResNet(models.Bottleneck, [1, 1, 2, 1], 5), (1, 1, 2, 1)),
        (lambda: models.CifarResNet(14, 5), (2, 2, 2)),
        (lambda: models.CifarResNet(8, 5, shortcut="B", width=8), (1, 1, 1)),
    ],
)
def test_residual_networks_are_pytorchs(model, stages):
    torch = pytest.importorskip("torch")
    fg.manual_seed(0)
    model = model().double()
    state = fg.interchange.to_torch_state_dict(model, torch.from_numpy)
    weights = {name: state[name].requires_grad_() for name, _ in model.named_parameters()}
    x = np.random.default_rng(0).standard_normal((2, 3, 33, 32))
    ours, theirs = model(fg.tensor(x)), _in_torch(state, torch, stages, torch.from_numpy(x))
    np.testing.assert_allclose(ours.detach().numpy(), theirs.detach().numpy(), 1e-9, 1e-9)
    ours.square().sum().backward()
    theirs.square().sum().backward()
    for name, parameter in model.named_parameters():
        grad = weights[name].grad.numpy()
        grad = grad.T if name == "fc.weight" else grad
        scale = abs(grad).max()
        np.testing.assert_allclose(parameter.grad.numpy(), grad, 1e-6, 1e-9 * scale, err_msg=name)


# ------------------------------------------------------------------ training


def _with_few_weights(build, inputs):
    """The network with one small linear layer as its classifier."""
    with _nothing_is_drawn():
        model = build()
        model.classifier = nn.Sequential(nn.Dropout(), nn.Linear(inputs, 10))
    return nn.init.initialize(model, "kaiming_uniform")


_TRAINED = {
    "LeNet5": (lambda: models.LeNet5(), (1, 28, 28)),
    "AlexNet": (lambda: _with_few_weights(models.alexnet, 9216), (3, 67, 67)),
    "VGG": (lambda: _with_few_weights(models.vgg11_bn, 25088), (3, 32, 32)),
    "ConvNet": (lambda: models.ConvNet(10, 1, 8, (4, 6), dropout=0.2), (1, 8, 8)),
    "small_vgg": (lambda: models.small_vgg(in_channels=1, image_size=8), (1, 8, 8)),
    "ResNet": (lambda: models.ResNet(models.BasicBlock, [1, 1, 1, 1], 10), (3, 32, 32)),
    "CifarResNet": (lambda: models.CifarResNet(8, stochastic_depth=0.5), (3, 12, 12)),
}


@pytest.mark.parametrize("name", _TRAINED)
def test_training_compiled_gives_the_same_bits(name):
    build, shape = _TRAINED[name]
    rng = np.random.default_rng(0)
    batches = [
        (fg.tensor(rng.standard_normal((4, *shape), np.float32)), fg.tensor(rng.integers(0, 10, 4)))
        for _ in range(4)
    ]

    def trained(compiled):
        fg.manual_seed(0)
        model = build()
        optimizer = fg.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

        def step(x, y):
            optimizer.zero_grad()
            loss = fg.functional.cross_entropy(model(x), y)
            loss.backward()
            optimizer.step()
            return loss

        step = fg.compile(step) if compiled else step
        losses = [step(x, y).item() for x, y in batches]
        model.eval()
        with fg.no_grad():
            return losses, model(batches[0][0]).numpy(), model.state_dict()

    (losses, scores, state), (again, same, other) = trained(False), trained(True)
    assert np.isfinite(losses).all()
    assert len(set(losses)) == 4
    assert losses == again
    np.testing.assert_array_equal(scores, same)
    for key, value in state.items():
        np.testing.assert_array_equal(value.data, other[key].data, err_msg=key)


def test_stochastic_depth_is_deeper_the_further_up():
    model = models.CifarResNet(20, stochastic_depth=0.45)
    found = [part.p for part in model.modules() if isinstance(part, nn.StochasticDepth)]
    np.testing.assert_allclose(found, 0.05 * np.arange(1, 10))
    none = models.CifarResNet(20)
    assert not any(isinstance(part, nn.StochasticDepth) for part in none.modules())


@pytest.mark.parametrize("drop", [0.0, 0.99])
def test_a_block_without_its_residual_is_its_shortcut(drop):
    fg.manual_seed(0)
    block = models.CifarResNet(8, stochastic_depth=drop).layer3[0]
    x = fg.rand(64, 32, 6, 6)
    with fg.no_grad():
        dropped = [
            bool((row == fg.relu(shortcut)).all())
            for row, shortcut in zip(block(x), block.shortcut(x), strict=True)
        ]
    assert (np.mean(dropped) > 0.9) if drop else not any(dropped)


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("build", "text"),
    [
        (lambda: models.CifarResNet(21), "CifarResNet: depth is 21; expected 6n + 2"),
        (lambda: models.CifarResNet(20, shortcut="C"), "shortcut is 'C'; expected 'A' or 'B'"),
        (lambda: models.CifarResNet(20, stochastic_depth=1.0), "stochastic_depth is 1.0; exp"),
        (lambda: models.ConvNet(image_size=3), "2 poolings leave nothing of images of (3, 3)"),
        (lambda: models.ConvNet(kernel_size=4), "ConvNet: kernel_size is 4; expected an odd"),
        (lambda: models.BasicBlock(8, 8, groups=2), "BasicBlock: groups 2, base_width 64"),
        (
            lambda: models.resnet18(replace_stride_with_dilation=(True,)),
            "replace_stride_with_dilation is (True,); expected None or 3",
        ),
    ],
)
def test_errors(build, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        build()
