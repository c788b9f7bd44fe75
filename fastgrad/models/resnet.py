"""Residual networks for large images, by torchvision's names."""

from .. import nn, ops
from ..nn.container import in_order


def _conv3x3(inputs, outputs, stride=1, groups=1, dilation=1):
    return nn.Conv2d(
        inputs, outputs, 3, stride, padding=dilation, groups=groups, dilation=dilation, bias=False
    )


class BasicBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut: ``relu(x + residual(x))``. He et al. 2016.

    downsample   what makes the shortcut's shape that of the residual; None where it is already

    >>> import fastgrad as fg
    >>> fg.models.BasicBlock(4, 4)(fg.zeros(2, 4, 8, 8)).shape
    (2, 4, 8, 8)
    """

    expansion = 1

    def __init__(
        self, inplanes, planes, stride=1, downsample=None, groups=1, base_width=64, dilation=1,
        norm_layer=None,
    ):  # fmt: skip
        super().__init__()
        if groups != 1 or base_width != 64 or dilation != 1:
            raise ValueError(
                f"BasicBlock: groups {groups}, base_width {base_width}, dilation {dilation}; it "
                "knows 1, 64 and 1 only, Bottleneck others"
            )
        norm_layer = norm_layer or nn.BatchNorm2d
        self.conv1 = _conv3x3(inplanes, planes, stride)
        self.bn1 = norm_layer(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = _conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x):
        residual = in_order((self.conv1, self.bn1, self.relu, self.conv2, self.bn2), x)
        return self.relu(residual + _shortcut(self, x))


class Bottleneck(nn.Module):
    """Convolutions 1x1, 3x3, 1x1 beside a shortcut. He et al. 2016.

    The 3x3 convolution has the stride, as in torchvision ("ResNet v1.5"); the paper's first one
    has. groups and base_width make it a ResNeXt's (Xie et al. 2017) or a wide one
    (Zagoruyko & Komodakis 2016).

    >>> import fastgrad as fg
    >>> fg.models.Bottleneck(16, 4)(fg.zeros(2, 16, 8, 8)).shape
    (2, 16, 8, 8)
    """

    expansion = 4

    def __init__(
        self, inplanes, planes, stride=1, downsample=None, groups=1, base_width=64, dilation=1,
        norm_layer=None,
    ):  # fmt: skip
        super().__init__()
        norm_layer = norm_layer or nn.BatchNorm2d
        width = int(planes * base_width / 64) * groups
        self.conv1 = nn.Conv2d(inplanes, width, 1, bias=False)
        self.bn1 = norm_layer(width)
        self.conv2 = _conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm_layer(width)
        self.conv3 = nn.Conv2d(width, planes * self.expansion, 1, bias=False)
        self.bn3 = norm_layer(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x):
        layers = (
            self.conv1, self.bn1, self.relu, self.conv2, self.bn2, self.relu, self.conv3, self.bn3,
        )  # fmt: skip
        return self.relu(in_order(layers, x) + _shortcut(self, x))


def _shortcut(block, x):
    return x if block.downsample is None else block.downsample(x)


class ResNet(nn.Module):
    """A residual network of blocks. He et al. 2016.

    A 7x7 convolution and a max pooling bring the image to a quarter; four stages of blocks follow,
    of 64, 128, 256 and 512 channels (times the block's ``expansion``), each but the first halving
    the image; then the mean over the image, and a linear layer.

    block      ``BasicBlock`` or ``Bottleneck``
    layers     how many blocks each stage has
    zero_init_residual              every residual begins as 0 (Goyal et al. 2017)
    replace_stride_with_dilation    for each of the last three stages, whether it dilates its
                                    kernels instead of halving the image
    norm_layer                      makes the normalisations, by default ``nn.BatchNorm2d``

    Arguments, initialisation and names in the state dict are torchvision's. x is (N, 3, H, W),
    from 32x32 on and usually 224x224. For images of 32x32 ``CifarResNet`` is the right one.

    >>> import fastgrad as fg
    >>> model = fg.models.ResNet(fg.models.BasicBlock, [1, 1, 1, 1], num_classes=10)
    >>> model.layer2[0].downsample[0]
    Conv2d(64, 128, kernel_size=(1, 1), stride=(2, 2), bias=False)
    """

    def __init__(
        self, block, layers, num_classes=1000, zero_init_residual=False, groups=1,
        width_per_group=64, replace_stride_with_dilation=None, norm_layer=None, *, in_channels=3,
    ):  # fmt: skip
        super().__init__()
        dilate = replace_stride_with_dilation or (False, False, False)
        if len(dilate) != 3:
            raise ValueError(
                f"ResNet: replace_stride_with_dilation is {dilate}; expected None or 3 of them"
            )
        self.groups, self.base_width = groups, width_per_group
        self.inplanes, self.dilation = 64, 1
        self._norm_layer = norm_layer or nn.BatchNorm2d
        self.conv1 = nn.Conv2d(in_channels, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = self._norm_layer(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        self.layer1 = self._stage(block, 64, layers[0])
        self.layer2 = self._stage(block, 128, layers[1], 2, dilate[0])
        self.layer3 = self._stage(block, 256, layers[2], 2, dilate[1])
        self.layer4 = self._stage(block, 512, layers[3], 2, dilate[2])
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)
        self._begin(zero_init_residual)

    def _stage(self, block, planes, count, stride=1, dilate=False):
        """Blocks, of which the first changes the number of channels and the image's size."""
        before = self.dilation
        if dilate:
            self.dilation, stride = self.dilation * stride, 1
        outputs, downsample = planes * block.expansion, None
        if stride != 1 or self.inplanes != outputs:
            downsample = nn.Sequential(
                nn.Conv2d(self.inplanes, outputs, 1, stride, bias=False), self._norm_layer(outputs)
            )
        same = self.groups, self.base_width
        norm = self._norm_layer
        blocks = [block(self.inplanes, planes, stride, downsample, *same, before, norm)]
        self.inplanes = outputs
        for _ in range(1, count):
            blocks.append(block(outputs, planes, 1, None, *same, self.dilation, norm))
        return nn.Sequential(*blocks)

    def _begin(self, zero_init_residual):
        """He's normal numbers for the convolutions."""
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            elif zero_init_residual and isinstance(part, BasicBlock | Bottleneck):
                last = part.bn2 if isinstance(part, BasicBlock) else part.bn3
                nn.init.zeros_(last.weight)

    def forward(self, x):
        layers = (
            self.conv1, self.bn1, self.relu, self.maxpool,
            self.layer1, self.layer2, self.layer3, self.layer4, self.avgpool,
        )  # fmt: skip
        return self.fc(ops.flatten(in_order(layers, x), 1))


def resnet18(**options):
    """ResNet of 18 layers: 11,689,512 parameters. Options are those of ``ResNet``."""
    return ResNet(BasicBlock, [2, 2, 2, 2], **options)


def resnet34(**options):
    """ResNet of 34 layers: 21,797,672 parameters. Options are those of ``ResNet``."""
    return ResNet(BasicBlock, [3, 4, 6, 3], **options)


def resnet50(**options):
    """ResNet of 50 layers: 25,557,032 parameters. Options are those of ``ResNet``."""
    return ResNet(Bottleneck, [3, 4, 6, 3], **options)


def resnet101(**options):
    """ResNet of 101 layers: 44,549,160 parameters. Options are those of ``ResNet``."""
    return ResNet(Bottleneck, [3, 4, 23, 3], **options)


def resnet152(**options):
    """ResNet of 152 layers: 60,192,808 parameters. Options are those of ``ResNet``."""
    return ResNet(Bottleneck, [3, 8, 36, 3], **options)


def resnext50_32x4d(**options):
    """ResNeXt-50 of 32 groups of width 4: 25,028,904 parameters. Xie et al. 2017."""
    return ResNet(Bottleneck, [3, 4, 6, 3], **{"groups": 32, "width_per_group": 4, **options})


def wide_resnet50_2(**options):
    """ResNet-50 with twice the width inside blocks: 68,883,240 parameters."""
    return ResNet(Bottleneck, [3, 4, 6, 3], **{"width_per_group": 128, **options})
