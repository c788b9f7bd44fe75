"""LeNet-5."""

from .. import nn


class LeNet5(nn.Module):
    """LeNet-5 as it is built today: 61,706 parameters. LeCun et al. 1998.

    Convolution 5x5 to 6 channels, pooling, convolution 5x5 to 16 channels, pooling, and linear
    layers of 120, 84 and ``num_classes``. The original's differ in three places: its pooling has
    a weight and a bias for each channel, its second convolution sees only some of the 6 channels,
    and its last layer measures distances (60,000 parameters).

    padding      of the first convolution: 2 for images of 28x28, 0 for 32x32
    activation   makes the modules between: ``nn.Tanh`` as in the original, or ``nn.ReLU``

    x is (N, in_channels, 28, 28), the result (N, num_classes): scores, no probabilities.

    >>> import fastgrad as fg
    >>> fg.models.LeNet5()(fg.zeros(2, 1, 28, 28)).shape
    (2, 10)
    """

    def __init__(self, num_classes=10, in_channels=1, padding=2, activation=nn.Tanh):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5, padding=padding),
            activation(),
            nn.AvgPool2d(2),
            nn.Conv2d(6, 16, 5),
            activation(),
            nn.AvgPool2d(2),
        )
        self.classifier = nn.Sequential(
            nn.Linear(16 * 5 * 5, 120),
            activation(),
            nn.Linear(120, 84),
            activation(),
            nn.Linear(84, num_classes),
        )

    def forward(self, x):
        return self.classifier(self.features(x).flatten(1))
