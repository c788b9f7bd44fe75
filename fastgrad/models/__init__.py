"""Networks of convolutions that made history, and a plain one to begin with.

Names and state dicts are torchvision's where it has the network. All take ``num_classes`` and
``in_channels``. How many parameters each has is what is published for it, and a test counts them.
The weights are new: none come with the package.
"""

from .alexnet import AlexNet, alexnet
from .cifar import CifarResNet, resnet20, resnet32, resnet44, resnet56, resnet110
from .convnet import ConvNet, small_vgg
from .lenet import LeNet5
from .resnet import (
    BasicBlock,
    Bottleneck,
    ResNet,
    resnet18,
    resnet34,
    resnet50,
    resnet101,
    resnet152,
    resnext50_32x4d,
    wide_resnet50_2,
)
from .vgg import VGG, vgg11, vgg11_bn, vgg13, vgg13_bn, vgg16, vgg16_bn, vgg19, vgg19_bn

__all__ = [
    "VGG",
    "AlexNet",
    "BasicBlock",
    "Bottleneck",
    "CifarResNet",
    "ConvNet",
    "LeNet5",
    "ResNet",
    "alexnet",
    "resnet18",
    "resnet20",
    "resnet32",
    "resnet34",
    "resnet44",
    "resnet50",
    "resnet56",
    "resnet101",
    "resnet110",
    "resnet152",
    "resnext50_32x4d",
    "small_vgg",
    "vgg11",
    "vgg11_bn",
    "vgg13",
    "vgg13_bn",
    "vgg16",
    "vgg16_bn",
    "vgg19",
    "vgg19_bn",
    "wide_resnet50_2",
]
