"""Residual networks for images of 32x32, with stochastic depth."""

from .. import nn, ops
from ..nn.container import in_order


class _PadShortcut(nn.Module):
    """The paper's option A: every second pixel, and zeros for the new channels."""

    def __init__(self, more, stride):
        super().__init__()
        self.more, self.stride = more, stride

    def forward(self, x):
        x = x[:, :, :: self.stride, :: self.stride]
        return ops.pad(x, (0, 0, 0, 0, 0, self.more))

    def extra_repr(self):
        return f"more={self.more}, stride={self.stride}"


def _shortcut(kind, inputs, outputs, stride):
    if stride == 1 and inputs == outputs:
        return nn.Identity()
    if kind == "A":
        return _PadShortcut(outputs - inputs, stride)
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class _Block(nn.Module):
    """``relu(shortcut(x) + residual(x))``, the residual left out with probability ``drop``."""

    def __init__(self, inputs, outputs, stride, shortcut, drop):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.drop = nn.StochasticDepth(drop, "row") if drop else nn.Identity()
        self.shortcut = _shortcut(shortcut, inputs, outputs, stride)

    def forward(self, x):
        layers = self.conv1, self.bn1, self.relu, self.conv2, self.bn2, self.drop
        return self.relu(in_order(layers, x) + self.shortcut(x))


class CifarResNet(nn.Module):
    """The residual network of 6n + 2 layers for CIFAR-10. He et al. 2016, section 4.2.

    A 3x3 convolution, three stages of n blocks of 16, 32 and 64 channels, the second and third
    halving the image, the mean over the image, and a linear layer. Convolutions begin with He's
    normal numbers.

    depth              20, 32, 44, 56, 110 in the paper; any 6n + 2
    shortcut           where the shape changes: "A", zeros for new channels, as in the paper, has
                       no parameters; "B" is a 1x1 convolution with a batch normalisation
    stochastic_depth   probability with which the last block's residual is left out of a sample
                       in training; that of block l of L is l / L of it. Huang et al. 2016, who
                       take 0.5, leave it out of whole batches
    width              channels of the first stage

    Parameters for 10 classes: with "A" 269,722 (20 layers), 464,154 (32), 658,586 (44), 853,018
    (56) and 1,727,962 (110), the paper's 0.27 to 1.7 million; with "B" 2,752 more.

    x is (N, in_channels, H, W), usually 32x32.

    >>> import fastgrad as fg
    >>> fg.models.CifarResNet(8, stochastic_depth=0.5)(fg.zeros(2, 3, 16, 16)).shape
    (2, 10)
    """

    def __init__(
        self, depth, num_classes=10, *, in_channels=3, shortcut="A", stochastic_depth=0.0, width=16
    ):
        super().__init__()
        if depth < 8 or depth % 6 != 2:
            raise ValueError(f"CifarResNet: depth is {depth}; expected 6n + 2: 8, 14, 20 ...")
        if shortcut not in ("A", "B"):
            raise ValueError(f"CifarResNet: shortcut is {shortcut!r}; expected 'A' or 'B'")
        if not 0 <= stochastic_depth < 1:
            raise ValueError(
                f"CifarResNet: stochastic_depth is {stochastic_depth}; expected a probability "
                "below 1"
            )
        each = depth // 6
        self.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        inputs, done = width, 0
        for stage in range(3):
            outputs, blocks = width << stage, []
            for block in range(each):
                done += 1
                drop = stochastic_depth * done / (3 * each)
                stride = 2 if stage and not block else 1
                blocks.append(_Block(inputs, outputs, stride, shortcut, drop))
                inputs = outputs
            self.add_module(f"layer{stage + 1}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(inputs, num_classes)
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, nonlinearity="relu")

    def forward(self, x):
        layers = (
            self.conv1, self.bn1, self.relu, self.layer1, self.layer2, self.layer3, self.avgpool,
        )  # fmt: skip
        return self.fc(ops.flatten(in_order(layers, x), 1))


def resnet20(**options):
    """``CifarResNet`` of 20 layers; options are its own."""
    return CifarResNet(20, **options)


def resnet32(**options):
    """``CifarResNet`` of 32 layers; options are its own."""
    return CifarResNet(32, **options)


def resnet44(**options):
    """``CifarResNet`` of 44 layers; options are its own."""
    return CifarResNet(44, **options)


def resnet56(**options):
    """``CifarResNet`` of 56 layers; options are its own."""
    return CifarResNet(56, **options)


def resnet110(**options):
    """``CifarResNet`` of 110 layers; options are its own."""
    return CifarResNet(110, **options)
