"""VGG: stacks of 3x3 convolutions."""

from .. import nn

# Channels of each stage; every stage ends in a pooling that halves the image.
_STAGES = {
    11: ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    13: ((64, 64), (128, 128), (256, 256), (512, 512), (512, 512)),
    16: ((64, 64), (128, 128), (256,) * 3, (512,) * 3, (512,) * 3),
    19: ((64, 64), (128, 128), (256,) * 4, (512,) * 4, (512,) * 4),
}


def stages(
    widths, in_channels, *, kernel_size=3, batch_norm=True, conv_bias=True, activation=nn.ReLU
):
    """Stages of convolutions that keep the size of the image, each with a max pooling at its end.

    widths      for each stage the numbers of channels that its convolutions give
    conv_bias   also before a batch normalisation, which takes it away again

    >>> import fastgrad as fg
    >>> from fastgrad.models.vgg import stages
    >>> stages([(4, 4), (8,)], 3)(fg.zeros(2, 3, 8, 8)).shape
    (2, 8, 2, 2)
    """
    layers = []
    for stage in widths:
        for width in stage:
            bias = conv_bias or not batch_norm
            layers.append(
                nn.Conv2d(in_channels, width, kernel_size, padding=kernel_size // 2, bias=bias)
            )
            if batch_norm:
                layers.append(nn.BatchNorm2d(width))
            layers.append(activation())
            in_channels = width
        layers.append(nn.MaxPool2d(2, 2))
    return nn.Sequential(*layers)


class VGG(nn.Module):
    """A stack of convolutions, ``features``, and three linear layers. Simonyan & Zisserman 2015.

    features       a module that gives 512 channels
    init_weights   He's normal numbers for the convolutions, normal ones of deviation 0.01 for the
                   linear layers, and biases 0; otherwise the layers' own

    Arguments, initialisation and names in the state dict are torchvision's. x is (N, 3, 224, 224);
    of images of other sizes, from 32x32 on, the 7x7 features are averages.

    >>> import fastgrad as fg
    >>> model = fg.models.vgg11(num_classes=10)  # doctest: +SKIP
    >>> model(fg.zeros(2, 3, 224, 224)).shape  # doctest: +SKIP
    (2, 10)
    """

    def __init__(self, features, num_classes=1000, init_weights=True, dropout=0.5):
        super().__init__()
        self.features = features
        self.avgpool = nn.AdaptiveAvgPool2d((7, 7))
        self.classifier = nn.Sequential(
            nn.Linear(512 * 7 * 7, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, num_classes),
        )
        if init_weights:
            self.reset_parameters()

    def reset_parameters(self):
        """Draw the parameters of convolutions and linear layers anew."""
        for part in self.modules():
            if isinstance(part, nn.Conv2d):
                nn.init.kaiming_normal_(part.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(part, nn.Linear):
                nn.init.normal_(part.weight, std=0.01)
            else:
                continue
            if part.bias is not None:
                nn.init.zeros_(part.bias)

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def _vgg(depth, batch_norm, in_channels=3, **options):
    return VGG(stages(_STAGES[depth], in_channels, batch_norm=batch_norm), **options)


def vgg11(**options):
    """VGG of 11 layers: 132,863,336 parameters. Options are those of ``VGG``, and in_channels."""
    return _vgg(11, False, **options)


def vgg11_bn(**options):
    """``vgg11`` with batch normalisation: 132,868,840 parameters."""
    return _vgg(11, True, **options)


def vgg13(**options):
    """VGG of 13 layers: 133,047,848 parameters. Options are those of ``VGG``, and in_channels."""
    return _vgg(13, False, **options)


def vgg13_bn(**options):
    """``vgg13`` with batch normalisation: 133,053,736 parameters."""
    return _vgg(13, True, **options)


def vgg16(**options):
    """VGG of 16 layers: 138,357,544 parameters. Options are those of ``VGG``, and in_channels."""
    return _vgg(16, False, **options)


def vgg16_bn(**options):
    """``vgg16`` with batch normalisation: 138,365,992 parameters."""
    return _vgg(16, True, **options)


def vgg19(**options):
    """VGG of 19 layers: 143,667,240 parameters. Options are those of ``VGG``, and in_channels."""
    return _vgg(19, False, **options)


def vgg19_bn(**options):
    """``vgg19`` with batch normalisation: 143,678,248 parameters."""
    return _vgg(19, True, **options)
