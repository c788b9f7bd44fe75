"""AlexNet."""

from .. import nn

# The paper's response normalisation is x / (2 + 1e-4 · the sum of 5 squares)^0.75; PyTorch's
# takes the mean of the squares instead of their sum.
_NORM = {"size": 5, "alpha": 5e-4, "beta": 0.75, "k": 2.0}


class AlexNet(nn.Module):
    """AlexNet as in its paper: 60,965,224 parameters. Krizhevsky, Sutskever & Hinton 2012.

    Five convolutions of 96, 256, 384, 384 and 256 channels, the first two with local response
    normalisation, overlapping max pooling after the first, the second and the last, and linear
    layers of 4096, 4096 and ``num_classes`` behind dropouts. The weights begin normal with
    deviation 0.01, biases at 1 in the second, fourth and fifth convolution and in the hidden
    linear layers, else at 0, as in the paper.

    groups   2 divides the channels of convolutions 2, 4 and 5, as the paper's two GPUs did;
             with 1 the network has 62,378,344 parameters

    Arguments and names in the state dict are torchvision's. Its network is the later one of
    "One weird trick" (Krizhevsky 2014): 64, 192, 384, 256, 256 channels, without normalisation.

    x is (N, in_channels, 227, 227). Of images of other sizes, from 67x67 on, the 6x6 features that
    the linear layers expect are averages, as in torchvision.

    >>> import fastgrad as fg
    >>> model = fg.models.AlexNet(num_classes=10)  # doctest: +SKIP
    >>> model(fg.zeros(2, 3, 227, 227)).shape  # doctest: +SKIP
    (2, 10)
    """

    def __init__(self, num_classes=1000, dropout=0.5, *, groups=2, in_channels=3):
        super().__init__()
        # Names, so that the normalisations do not move torchvision's numbers.
        self.features = nn.Sequential(
            {
                "0": nn.Conv2d(in_channels, 96, 11, stride=4),
                "1": nn.ReLU(inplace=True),
                "norm1": nn.LocalResponseNorm(**_NORM),
                "2": nn.MaxPool2d(3, 2),
                "3": nn.Conv2d(96, 256, 5, padding=2, groups=groups),
                "4": nn.ReLU(inplace=True),
                "norm2": nn.LocalResponseNorm(**_NORM),
                "5": nn.MaxPool2d(3, 2),
                "6": nn.Conv2d(256, 384, 3, padding=1),
                "7": nn.ReLU(inplace=True),
                "8": nn.Conv2d(384, 384, 3, padding=1, groups=groups),
                "9": nn.ReLU(inplace=True),
                "10": nn.Conv2d(384, 256, 3, padding=1, groups=groups),
                "11": nn.ReLU(inplace=True),
                "12": nn.MaxPool2d(3, 2),
            }
        )
        self.avgpool = nn.AdaptiveAvgPool2d((6, 6))
        self.classifier = nn.Sequential(
            nn.Dropout(dropout),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(inplace=True),
            nn.Dropout(dropout),
            nn.Linear(4096, 4096),
            nn.ReLU(inplace=True),
            nn.Linear(4096, num_classes),
        )
        self.reset_parameters()

    def reset_parameters(self):
        """Draw the parameters anew."""
        convolutions = [part for part in self.features if isinstance(part, nn.Conv2d)]
        linear = [part for part in self.classifier if isinstance(part, nn.Linear)]
        ones = {id(part) for part in (*convolutions[1::2], convolutions[4], *linear[:2])}
        for part in (*convolutions, *linear):
            nn.init.normal_(part.weight, std=0.01)
            nn.init.constant_(part.bias, float(id(part) in ones))

    def forward(self, x):
        return self.classifier(self.avgpool(self.features(x)).flatten(1))


def alexnet(**options):
    """An ``AlexNet``, by torchvision's name."""
    return AlexNet(**options)
