"""A plain convolutional network, for images of any size."""

from .. import nn
from ..ops._family import ints
from .vgg import stages


class ConvNet(nn.Module):
    """Stages of convolutions and a pooling each, then linear layers: ``[[conv-bn-relu]·M-pool]·N``.

    Parameters
    ----------
    num_classes, in_channels
        How many scores it gives, and how many channels images have.
    image_size
        Height and width of the images, or one number for both.
    channels
        The channels of each stage.
    kernel_size
        Of all convolutions, odd: they keep the size of the image, poolings halve it.
    convolutions
        How many a stage has.
    hidden
        Sizes of linear layers before the last.
    batch_norm, dropout
        Batch normalisation after each convolution; the share of features left out before each
        linear layer.
    activation
        Makes the modules between.

    Raises ``ValueError`` for an even kernel and for images that so many poolings leave nothing of.

    >>> import fastgrad as fg
    >>> fg.models.ConvNet(10, 3, 32, channels=(4, 8))(fg.zeros(2, 3, 32, 32)).shape
    (2, 10)
    """

    def __init__(
        self, num_classes=10, in_channels=1, image_size=28, channels=(16, 32), *, kernel_size=3,
        convolutions=1, hidden=(), batch_norm=True, dropout=0.0, activation=nn.ReLU,
    ):  # fmt: skip
        super().__init__()
        size = ints("ConvNet", "image_size", image_size, 2, 1)
        (kernel_size,) = ints("ConvNet", "kernel_size", kernel_size, 1, 1)
        if not isinstance(channels, tuple | list):
            raise TypeError(f"ConvNet: channels is {channels!r}; expected one of each stage")
        left = [side >> len(channels) for side in size]
        if not min(left):
            raise ValueError(
                f"ConvNet: {len(channels)} poolings leave nothing of images of {size}; "
                f"expected {1 << len(channels)} pixels or more"
            )
        if kernel_size % 2 == 0:
            raise ValueError(f"ConvNet: kernel_size is {kernel_size}; expected an odd number")
        self.features = stages(
            [(width,) * convolutions for width in channels], in_channels, kernel_size=kernel_size,
            batch_norm=batch_norm, conv_bias=False, activation=activation,
        )  # fmt: skip
        layers, inputs = [nn.Flatten()], (in_channels, *channels)[-1] * left[0] * left[1]
        for outputs in hidden:
            layers += [nn.Dropout(dropout)] if dropout else []
            layers += [nn.Linear(inputs, outputs), activation()]
            inputs = outputs
        layers += [nn.Dropout(dropout)] if dropout else []
        self.classifier = nn.Sequential(*layers, nn.Linear(inputs, num_classes))

    def forward(self, x):
        return self.classifier(self.features(x))


def small_vgg(num_classes=10, in_channels=3, image_size=32, dropout=0.5):
    """A VGG for images of 32x32: 32, 64 and 128 channels, two 3x3 convolutions each.

    With batch normalisation, and a hidden linear layer of 128: 551,018 parameters.

    >>> import fastgrad as fg
    >>> fg.models.small_vgg()(fg.zeros(2, 3, 32, 32)).shape
    (2, 10)
    """
    return ConvNet(
        num_classes, in_channels, image_size, (32, 64, 128), kernel_size=3, convolutions=2,
        hidden=(128,), dropout=dropout,
    )  # fmt: skip
